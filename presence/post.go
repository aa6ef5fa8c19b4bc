package presence

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

// newCourier makes what brings the user's decisions about somebody to that user's
// devices, or to the user's own other ones.
func (m *Machine) newCourier() *post.Courier {
	return post.NewCourier(post.Options{
		Self: m.o.Self.Node, User: m.o.User, Agenda: &m.agenda,
		Pass: m.Pass, Letter: m.letter, Done: m.told,
		Room: func() int { return directory.RequestRoom(m.o.Self.Certificate) },
	})
}

// introduction is the key of what a new device has to say to the user's other ones.
func (m *Machine) introduction() post.Key { return post.Key{To: m.o.User, About: m.o.User} }

// tellThem makes sure that there is an errand for whatever is not told yet.
func (m *Machine) tellThem(now time.Time, p *person) {
	for _, k := range []struct {
		key  post.Key
		due  bool
		what uint64
	}{
		{post.Key{To: p.user}, p.untold(), p.r.Version},
		{post.Key{To: m.o.User, About: p.user}, p.unsynced(), p.r.Since},
	} {
		version, there := m.courier.Version(k.key)
		switch {
		case !k.due:
			m.courier.Drop(k.key)
		case !there || version != k.what:
			m.courier.Bring(now, k.key, k.what)
		}
	}
}

// letter writes what an errand has to say to some devices.
func (m *Machine) letter(now time.Time, k post.Key, to ...*directory.Prekey) *post.Letter {
	s, ok := m.statementFor(k)
	if !ok {
		return nil
	}
	return post.Write(m.o.Suite, m.o.Self, now, directory.LetterContact, k.To, message.Marshal(&s), to...)
}

func (m *Machine) statementFor(k post.Key) (s statement, ok bool) {
	if k == m.introduction() {
		return statement{Version: introductionVersion, About: k.About}, true
	}
	if k.About != "" {
		p := m.people[k.About]
		if p == nil {
			return s, false
		}
		return statement{
			Stance: p.r.Stance, Since: p.r.Since, Version: p.r.Since, Message: p.r.Message,
			About: p.user, Name: p.name, Answers: p.r.Answered,
		}, true
	}
	p := m.people[k.To]
	if p == nil {
		return s, false
	}
	s = statement{Stance: p.r.Stance, Since: p.r.Since, Version: p.r.Version, Answers: p.r.Answered}
	for _, t := range p.r.Theirs {
		s.Heard = append(s.Heard, heard{t.Node, t.Version})
	}
	if p.stance() == stanceWant {
		pass, err := directory.MailPass(m.o.Self, p.user)
		if err != nil {
			return s, false
		}
		s.Key, s.Pass, s.Message = m.self.Key, pass, p.r.Message
	}
	return s, true
}

const introductionVersion = 1

// Pass is one that somebody gave for their mailbox, or nil.
func (m *Machine) Pass(user linnet.UserName) []byte {
	if p := m.people[user]; p != nil {
		return p.pass()
	}
	return nil
}

// told is when an errand is over.
func (m *Machine) told(now time.Time, k post.Key, version uint64, taken []linnet.NodeID) {
	if k == m.introduction() {
		m.self.Introduced = true
		m.save(Save{Self: message.Marshal(&m.self)})
		return
	}
	name := k.To
	if k.About != "" {
		name = k.About
	}
	p := m.people[name]
	if p == nil {
		return
	}
	if k.About != "" {
		p.r.Synced = max(p.r.Synced, version)
	} else {
		p.r.Told = max(p.r.Told, version)
	}
	m.save(Save{People: []KeptPerson{p.kept()}})
	for _, node := range taken { // who has the key can read a notice
		if d := m.devices[node]; d != nil && k.About == "" {
			m.greet(now, d)
		}
	}
}

// Straight is told a letter that came straight from a device.
func (m *Machine) Straight(now time.Time, from linnet.NodeID, box []byte) {
	if m.devices[from] == nil && !m.strange.Take(now, strangeRate, strangeBurst) || !m.letters.Take(now, letterRate, letterBurst) {
		return // it comes by the mailbox, then
	}
	l, err := m.open(now, box)
	if err != nil || l.Sender != from {
		return
	}
	a := post.Arrival{Letter: l}
	switch {
	case l.Kind != directory.LetterContact:
		if m.State(l.From) != linnet.Blocked {
			m.agenda.Do(Arrived{a})
		}
	case m.heardFrom(now, l, l.Signing):
		m.agenda.Do(a.Taken())
	}
}

// Letters that are opened at most: each costs a key agreement and two signatures. A
// crowd of strangers leaves room for contacts that are there.
const (
	letterRate   = 5
	letterBurst  = 30
	strangeRate  = 2
	strangeBurst = 15
)

func (m *Machine) open(now time.Time, box []byte) (*directory.Letter, error) {
	return directory.OpenLetter(m.o.Suite, m.o.Trust, m.o.User, box, m.private, now)
}
