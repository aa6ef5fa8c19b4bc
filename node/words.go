package node

import (
	"context"
	mathrand "math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// Of a call that nobody answered the callee's devices are told by letters (call.Word),
// and what is said to them then, too.

// wordsFor is how old may be what a word tells of.
const wordsFor = 7 * 24 * time.Hour

// tells is a station's part in what others are told of calls; an operator's machine has none.
type tells struct {
	machine *call.Teller // nil: none
	left    map[linnet.VoicemailID]chan<- error
}

// startTelling begins with what is to be told still.
func (s *station) startTelling(ctx context.Context, now time.Time, crypto suite.SealSuite, random *mathrand.Rand) error {
	if s.people.machine == nil {
		return nil
	}
	s.tells.left = make(map[linnet.VoicemailID]chan<- error)
	s.tells.machine = call.NewTeller(call.TellerOptions{
		Self: s.identity, User: s.self.User, Suite: crypto, Rand: random, Pass: s.people.machine.Pass,
	})
	calls, err := s.node.store.Untold(ctx)
	if err != nil {
		return err
	}
	for _, c := range calls {
		s.tellMissed(now, c)
	}
	heard, err := s.node.store.HeardUntold(ctx, s.self.User)
	if err != nil {
		return err
	}
	for _, v := range heard {
		s.tellHeard(now, v)
	}
	return nil
}

func (s *station) tellMissed(now time.Time, c linnet.CallRecord) {
	if s.tells.machine != nil {
		s.tells.machine.Tell(now, c.Peer, c.Started, call.Word{What: call.WordMissed, Call: c.ID, Began: uint64(c.Started.UnixMilli())})
	}
}

func (s *station) tellHeard(now time.Time, v linnet.Voicemail) {
	s.tells.machine.Tell(now, v.Peer, v.Heard, call.Word{What: call.WordHeard, Voicemail: v.ID})
}

// tellEffect carries out what the Teller wants.
func (s *station) tellEffect(now time.Time, e any) {
	told, ok := e.(call.Told)
	if !ok {
		s.postEffect(now, s.tells.machine, e)
		return
	}
	if told.Err != nil {
		s.log.Debug("word of a call", "to", told.To, "err", told.Err)
	}
	w, disk := told.First, s.node.store
	switch w.What {
	case call.WordMissed:
		s.node.note(func(ctx context.Context) error { return disk.Told(ctx, w.Call) }, s.node.logHistory)
	case call.WordHeard:
		s.node.note(func(ctx context.Context) error { return disk.HeardTold(ctx, w.Voicemail) }, s.node.logHistory)
	case call.WordPiece:
		if left := s.tells.left[w.Voicemail]; left != nil { // or it was withdrawn
			left <- told.Err // has room for one
			delete(s.tells.left, w.Voicemail)
		}
	}
}

// word takes a letter about a call of somebody who is not blocked. That it is taken
// is said when what it says is on disk, or is not wanted.
func (s *station) word(now time.Time, a post.Arrival) {
	l := a.Letter
	taken := func(now time.Time) { s.postEffect(now, s.talks.machine, a.Taken()) }
	w, err := call.ParseWord(l.Content)
	if err != nil {
		taken(now)
		return
	}
	n, owner := s.node, s.self.User
	note := func(write func(ctx context.Context) (*linnet.Event, error)) {
		n.note(func(ctx context.Context) error {
			e, err := write(ctx)
			if e != nil && err == nil {
				n.hub.tell(*e)
			}
			return err
		}, func(now time.Time, err error) {
			switch {
			case err != nil:
				n.warn("a letter about a call cannot be kept: %v", err)
				s.people.machine.Left(a.Mail)
			case n.station == s:
				taken(now)
			}
		})
	}
	at := l.Time // of the mailbox's bounds; what it says is before that
	if began := time.UnixMilli(int64(min(w.Began, 1<<52))); began.Before(at) && at.Sub(began) < wordsFor {
		at = began
	}
	switch w.What {
	case call.WordMissed:
		r := linnet.CallRecord{ID: w.Call, Peer: l.From, Incoming: true, Started: at, Ended: at, Outcome: linnet.OutcomeMissed}
		s.calls.Learn(now, r)
		note(func(ctx context.Context) (*linnet.Event, error) {
			fresh, err := n.store.PutMissed(ctx, r)
			if !fresh {
				return nil, err
			}
			return &linnet.Event{Kind: linnet.EventCallEnded, Record: &r}, err
		})
	case call.WordPiece:
		if s.contactState(l.From) != linnet.Approved {
			taken(now)
			return
		}
		v := linnet.Voicemail{ID: w.Voicemail, Call: w.Call, Peer: l.From, Sent: at}
		note(func(ctx context.Context) (*linnet.Event, error) {
			whole, err := n.store.PutVoicemailPiece(ctx, owner, store.VoicemailPiece{Voicemail: v, Piece: int(w.Piece), Pieces: int(w.Pieces), Bytes: w.Sound})
			if err != nil || whole == nil {
				return nil, err
			}
			sound, length, bad := cleanSound(whole)
			v.Length = length.Truncate(time.Millisecond).Seconds()
			if err := n.store.PutVoicemail(ctx, owner, v, sound); err != nil || bad != nil {
				return nil, err
			}
			return &linnet.Event{Kind: linnet.EventVoicemail, Voicemail: &v}, nil
		})
	case call.WordHeard:
		note(func(ctx context.Context) (*linnet.Event, error) {
			fresh, err := n.store.HeardVoicemail(ctx, owner, l.From, w.Voicemail, true)
			if !fresh {
				return nil, err
			}
			v := linnet.Voicemail{ID: w.Voicemail, Peer: l.From, Own: true, Heard: time.Now()}
			return &linnet.Event{Kind: linnet.EventVoicemail, Voicemail: &v}, err
		})
	}
}
