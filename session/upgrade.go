package session

import (
	"time"

	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

const upgradeAgain = time.Minute // after one that failed

// upgrade is a change of keys on its way. Only the device that dialed starts
// one, so two never cross.
//
// The initiator has the new keys first, and uses them at once; what it sent
// before, the third message included, goes under the old keys until it is
// acked, because without the third message the responder can read nothing else.
type upgrade struct {
	own, peer uint32 // the new tags
	second    func([]byte) ([]byte, *suite.Traffic, error)
	third     func([]byte) (*suite.Traffic, error)
}

func (e *Endpoint) startUpgrade(s *session) {
	s.rekey = e.now.add(upgradeAgain)
	if s.old != nil {
		return
	}
	first, second, err := e.o.Suite.Upgrade(&s.keys.Traffic, e.o.Keys, s.agreement)
	if err != nil {
		return
	}
	if first == nil { // the suite has no such step: an empty message tells the peer
		e.push(s, encode(&message.Upgrade1{Tag: s.keys.own}, 0))
		s.rekey = e.now.add(rekeyAfter)
		s.upgraded = true
		e.emit(Upgraded{s.peer})
		return
	}
	if s.upgrade != nil { // it came to nothing
		e.unbind(s, s.upgrade.own)
		s.upgrade = nil
	}
	s.upgrade = &upgrade{own: e.boundTag(s), second: second}
	e.push(s, encode(&message.Upgrade1{Body: first, Tag: s.upgrade.own}, 0))
}

// upgradeStep takes one of the three messages; one that does not fit is
// ignored, and the keys stay.
func (e *Endpoint) upgradeStep(s *session, m message.Message) {
	switch m := m.(type) {
	case *message.Upgrade1:
		if s.dialled || !isTag(m.Tag) || s.old != nil {
			return
		}
		second, third, err := e.o.Suite.AnswerUpgrade(&s.keys.Traffic, e.o.Keys, s.agreement, m.Body)
		if err != nil {
			return
		}
		if second == nil {
			s.upgraded = true
			e.emit(Upgraded{s.peer})
			return
		}
		if s.upgrade != nil {
			e.unbind(s, s.upgrade.own)
		}
		s.upgrade = &upgrade{own: e.boundTag(s), peer: m.Tag, third: third}
		e.push(s, encode(&message.Upgrade2{Body: second, Tag: s.upgrade.own}, 0))

	case *message.Upgrade2:
		u := s.upgrade
		if !s.dialled || u == nil || !isTag(m.Tag) {
			return
		}
		third, traffic, err := u.second(m.Body)
		if err != nil {
			return
		}
		u.peer = m.Tag
		e.push(s, encode(&message.Upgrade3{Body: third}, 0))
		for i := range s.flow.queue {
			s.flow.queue[i].old = true
		}
		for i := range s.flow.flight {
			s.flow.flight[i].old = true
		}
		e.change(s, traffic)

	case *message.Upgrade3:
		u := s.upgrade
		if s.dialled || u == nil {
			return
		}
		traffic, err := u.third(m.Body)
		if err != nil {
			return
		}
		e.change(s, traffic)
	}
}

// boundTag draws a tag whose media is welcome before the keys have changed: it
// may overtake the last message of the change.
func (e *Endpoint) boundTag(s *session) uint32 {
	tag := e.newTag(s)
	e.emit(Bind{s.peer, tag})
	return tag
}

// change begins to use new keys.
func (e *Endpoint) change(s *session, traffic *suite.Traffic) {
	old := s.keys
	s.old, s.oldGone = &old, e.now.add(oldKeysFor)
	s.keys = epoch{Traffic: *traffic, own: s.upgrade.own, peer: s.upgrade.peer}
	s.upgrade = nil
	s.rekey = e.now.add(rekeyAfter)
	e.emit(Upgraded{s.peer})
	e.emit(Moved{s.peer, s.routes()})
	s.upgraded = true
	e.touch(s)
}

// handingOver says that the peer may not have the new keys yet.
func (s *session) handingOver() bool {
	if s.old == nil || !s.dialled || s.flow == nil {
		return false
	}
	for i := range s.flow.flight {
		if s.flow.flight[i].old {
			return true
		}
	}
	return len(s.flow.queue) > 0 && s.flow.queue[0].old
}

// forgetOld ends the life of the keys before the last change.
func (e *Endpoint) forgetOld(s *session) {
	if s.handingOver() {
		s.oldGone = e.now.add(oldKeysFor)
		return
	}
	e.unbind(s, s.old.own)
	s.old, s.oldGone = nil, 0
}
