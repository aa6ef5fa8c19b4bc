package node

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Of a call that nobody answered the callee's devices are told by letters, which
// wait in the mailbox, and what is said to them then, too (call.Word).

const (
	wordsEvery = 10 * time.Minute // what could not be told is tried again
	wordsFor   = 7 * 24 * time.Hour
	busyPause  = 2 * time.Second // a supernode takes two requests a second
	busyTries  = 30

	looksRate  = 0.1 // a second that the mailbox is looked into because others say so
	looksBurst = 5
)

// tellWords tells others, while the node runs, of calls that they missed and of voice
// mail that was heard. What is to be told is in the store until it was.
func (n *Node) tellWords(ctx context.Context) {
	for {
		wait := time.NewTimer(wordsEvery)
		select {
		case <-ctx.Done():
			wait.Stop()
			return
		case <-n.words:
		case <-wait.C:
		}
		wait.Stop()
		if err := n.tellAll(ctx); err != nil && ctx.Err() == nil {
			n.log.Debug("words of calls", "err", err)
		}
	}
}

// moreWords has tellWords look at once.
func (n *Node) moreWords() {
	select {
	case n.words <- struct{}{}:
	default:
	}
}

func (n *Node) tellAll(ctx context.Context) error {
	var user linnet.UserName
	if err := n.inStation(ctx, func(_ time.Time, s *station) error {
		if !s.online || s.self.User.IsNode() {
			return errNotSignedIn
		}
		user = s.self.User
		return nil
	}); err != nil {
		return err
	}
	calls, err := n.store.Untold(ctx)
	if err != nil {
		return err
	}
	var last error // one who cannot be told does not keep the others waiting
	for _, c := range calls {
		err := n.leaveWords(ctx, c.Peer, call.Word{What: call.WordMissed, Call: c.ID, Began: uint64(c.Started.UnixMilli())})
		if told(err, c.Started) {
			err = n.store.Told(ctx, c.ID)
		}
		last = cmp.Or(err, last)
	}
	heard, err := n.store.HeardUntold(ctx, user)
	if err != nil {
		return err
	}
	for _, v := range heard {
		err := n.leaveWords(ctx, v.Peer, call.Word{What: call.WordHeard, Voicemail: v.ID})
		if told(err, v.Heard) {
			err = n.store.HeardTold(ctx, v.ID)
		}
		last = cmp.Or(err, last)
	}
	return last
}

// told says that there is nothing more to try for what happened at a time: it is in
// their mailbox, or that does not want it.
func told(err error, at time.Time) bool {
	return err == nil || time.Since(at) > wordsFor || errors.Is(err, errNoDevices) ||
		errors.Is(err, directory.ErrMailFull) || errors.Is(err, directory.ErrMailRefused) || errors.Is(err, directory.ErrItemSize)
}

var errSeal = errors.New("the letter cannot be sealed")

var errNoDevices = errors.New("nobody of that name has a device that letters can be sealed to")

// leaveWords puts words into a user's mailbox, for each device, and returns when a
// majority has all of them on disk. Who is no contact gets the first one only, if it is short.
// Devices that are there are told to look.
func (n *Node) leaveWords(ctx context.Context, to linnet.UserName, words ...call.Word) error {
	var self overlay.Identity
	var crypto suite.SealSuite
	var pass []byte
	if err := n.inStation(ctx, func(_ time.Time, s *station) error {
		var err error
		self, pass = s.identity, s.people.machine.Pass(to)
		crypto, err = suite.Named(n.network.get().Suite)
		return err
	}); err != nil {
		return err
	}
	d, err := n.patiently(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket { return c.Prekeys(now, to) })
	if err != nil {
		return err
	}
	prekeys := d.Prekeys
	if len(prekeys) == 0 {
		return errNoDevices
	}
	seal := func(w call.Word, prekeys ...*directory.Prekey) ([]byte, error) {
		l := post.Write(crypto, self, time.Now(), directory.LetterCall, to, w.Marshal(), prekeys...)
		if l == nil {
			return nil, errSeal
		}
		return l.Box, nil
	}
	put := func(device linnet.NodeID, box []byte) error {
		_, err := n.patiently(ctx, func(now time.Time, c *directory.MailClient) directory.MailTicket {
			return c.Put(now, to, device, box, pass)
		})
		return err
	}
	if pass == nil {
		for k := len(prekeys); k > 0; k-- {
			box, err := seal(words[0], prekeys[:k]...)
			if err != nil {
				return err
			}
			if len(box) <= directory.RequestRoom(self.Certificate) {
				return put(linnet.NodeID{}, box)
			}
		}
		return directory.ErrItemSize
	}
	for _, p := range prekeys {
		for _, w := range words {
			box, err := seal(w, p)
			if err == nil {
				err = put(p.Node, box)
			}
			if err != nil {
				return err
			}
		}
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		s.lookUp(now, to, true, func(now time.Time, l linnet.Listing, _ error) {
			for _, d := range l.Devices {
				i := slices.IndexFunc(prekeys, func(p *directory.Prekey) bool { return p.Node == d.Node })
				if i < 0 || !d.Online {
					continue
				}
				if box, err := seal(call.Word{What: call.WordLook}, prekeys[i]); err == nil {
					s.forward(now, d.Node, message.InnerLetter, box)
				}
			}
		})
		return nil
	})
}

// patiently asks the mailbox again while it has too much to do.
func (n *Node) patiently(ctx context.Context, ask func(now time.Time, c *directory.MailClient) directory.MailTicket) (d directory.MailDone, err error) {
	for range busyTries {
		d, err = n.askMail(ctx, ask)
		if !errors.Is(err, directory.ErrBusy) && !errors.Is(err, directory.ErrNoAnswer) {
			return d, err
		}
		select {
		case <-time.After(busyPause):
		case <-ctx.Done():
			return d, ctx.Err()
		}
	}
	return d, err
}

// word takes a letter about a call of somebody who is not blocked. That it is taken
// is said when what it says is on disk, or is not wanted.
func (s *station) word(now time.Time, a post.Arrival) {
	l := a.Letter
	taken := func(now time.Time) {
		if !a.Straight() {
			s.postEffect(now, s.talks.machine, a.Taken())
		}
	}
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
	case call.WordLook:
		if s.contactState(l.From) == linnet.Approved && s.people.looks.Take(now, looksRate, looksBurst) {
			s.checkMail(now)
		}
	}
}
