package node

import (
	"context"
	"errors"
	mathrand "math/rand/v2"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// people is a station's part in contacts and presence; an operator's machine has none.
type people struct {
	machine *presence.Machine // nil: none
	waiting []presence.Effect // in order, until what was to be saved is on disk
	saving  bool
}

// saved is an effect of the node's own: all effects before it were done.
type saved struct{ done chan<- error }

func (s *station) startPresence(ctx context.Context, now time.Time, crypto suite.Suite, random *mathrand.Rand) error {
	if s.self.User.IsNode() {
		return nil
	}
	kept, err := s.node.store.Presence(ctx, s.self.User)
	if err != nil {
		return err
	}
	s.people.machine, err = presence.New(now, presence.Options{
		Self: s.identity, User: s.self.User, Suite: crypto, Trust: s.trust, Rand: random, Accept: s.node.opts.Echo,
	}, kept)
	return err
}

// contactState is how this user and another one stand.
func (s *station) contactState(user linnet.UserName) linnet.ContactState {
	if s.people.machine == nil {
		return linnet.NoContact
	}
	return s.people.machine.State(user)
}

// onList says whether somebody may learn this device's addresses, in a call, and
// ring early.
func (s *station) onList(user linnet.UserName) bool { return s.contactState(user).OnList() }

var errBlocked = errors.New("its user is blocked")

// greets checks the certificate of a Hello. One of somebody blocked gets no answer,
// as if nobody was there, but from a supernode: what it does for others it does
// for all.
func (s *station) greets(open func([]byte, time.Time) (*suite.Certificate, error)) func([]byte, time.Time) (*suite.Certificate, error) {
	return func(b []byte, now time.Time) (*suite.Certificate, error) {
		cert, err := open(b, now)
		if err == nil && s.contactState(cert.User) == linnet.Blocked && s.node.role()&linnet.Supernode == 0 {
			return nil, errBlocked
		}
		return cert, err
	}
}

// presenceEffects carries out what the machine wants, in order. What follows a
// Save waits until that is on disk: a request that was acknowledged is not lost.
func (s *station) presenceEffects(now time.Time, effects []presence.Effect) {
	p := &s.people
	p.waiting = append(p.waiting, effects...)
	for len(p.waiting) > 0 && !p.saving {
		e := p.waiting[0]
		p.waiting = p.waiting[1:]
		save, ok := e.(presence.Save)
		if !ok {
			s.presenceEffect(now, e, nil)
			continue
		}
		p.saving = true
		s.node.note(func(ctx context.Context) error { return s.node.store.SavePresence(ctx, s.self.User, save) }, func(now time.Time, err error) {
			p.saving = false
			if s.node.station != s {
				return
			}
			if err != nil {
				s.node.warn("contacts cannot be kept: %v", err)
				for _, e := range p.waiting { // whoever waits for an acknowledgement asks again
					if e, ok := e.(saved); ok {
						s.presenceEffect(now, e, err)
					}
				}
				p.waiting = nil
				s.people.machine.NotSaved()
			}
			s.presenceEffects(now, nil)
		})
	}
}

func (s *station) presenceEffect(now time.Time, e presence.Effect, failed error) {
	m := s.people.machine
	switch e := e.(type) {
	case saved:
		e.done <- failed // has room for one
	case presence.Changed:
		s.mineChanged(now, e.Mine)
	case presence.LookUp:
		s.lookUp(now, e.User, true, func(now time.Time, l linnet.Listing, err error) {
			var devices []presence.Device
			for _, d := range l.Devices {
				devices = append(devices, presence.Device{Node: d.Node, Reachable: d.Online})
			}
			m.Found(now, e.User, devices, err)
		})
	case presence.Forward:
		if _, known := s.places.get(e.To); !known {
			m.Unreachable(now, e.To)
			return
		}
		s.forward(now, e.To, e.Inner, e.Body)
	case presence.Watch:
		var at []message.Location
		for _, node := range e.Nodes {
			if l, known := s.places.get(node); known {
				at = append(at, l)
			}
		}
		s.overlay.Watch(now, at)
	case presence.AskPrekeys:
		s.mail.ask(s.mail.client.Prekeys(now, e.User), func(now time.Time, d directory.MailDone) { m.Prekeys(now, e.User, d.Prekeys, d.Err) })
	case presence.PublishPrekey:
		s.mail.ask(s.mail.client.PublishPrekey(now, e.Public, e.Made), func(now time.Time, d directory.MailDone) { m.PrekeyPublished(now, e.Public, d.Err) })
	case presence.PutMail:
		s.mail.ask(s.mail.client.Put(now, e.To, e.Device, e.Box, e.Pass), func(now time.Time, d directory.MailDone) { m.MailPut(now, e.Ticket, d.Err) })
	case presence.RemoveMail:
		s.mail.ask(s.mail.client.Remove(now, e.IDs), func(time.Time, directory.MailDone) {}) // what is left is found again
	case presence.CheckMail:
		s.checkMail(now)
	case presence.Tell:
		if c := e.Event.Contact; c != nil {
			s.pairAnew(now, c.User)
			s.filesOf(now, *c)
		}
		s.node.hub.tell(e.Event)
	}
}

// mineChanged publishes this device, or not, and lets calls ring, or not.
func (s *station) mineChanged(now time.Time, mine linnet.Mine) {
	s.node.hub.tell(linnet.Event{Kind: linnet.EventMine, Mine: &mine})
	s.calls.DoNotDisturb(mine.Presence == linnet.DoNotDisturb)
	if mine.Presence == linnet.Invisible {
		s.directory.Withdraw(now)
	} else if s.withdrawn == nil {
		s.directory.Publish(now, directory.Status{NAT: uint32(traverse.Unknown)})
	}
}

// checkMail gets what is in the own mailbox and was not left there before.
func (s *station) checkMail(now time.Time) {
	m := s.people.machine
	s.mail.ask(s.mail.client.List(now), func(now time.Time, d directory.MailDone) {
		var ids []message.MailID
		for _, e := range d.Entries {
			if m.Wants(e.Mail) {
				ids = append(ids, e.Mail)
			}
		}
		if len(ids) == 0 {
			return
		}
		more := len(ids) > directory.MaxMailIDs
		s.mail.ask(s.mail.client.Fetch(now, ids[:min(len(ids), directory.MaxMailIDs)]), func(now time.Time, d directory.MailDone) {
			m.Mail(now, d.Items, more && d.Err == nil)
		})
	})
}

// inPresence runs f in the loop with the machine of whoever is signed in, and
// waits until all that follows from it is on disk.
func (n *Node) inPresence(ctx context.Context, f func(now time.Time, m *presence.Machine) error) error {
	done := make(chan error, 1)
	err := n.inStation(ctx, func(now time.Time, s *station) error {
		if s.people.machine == nil {
			return linnet.Errorf(linnet.CodeUsage, "only people have contacts")
		}
		if err := f(now, s.people.machine); err != nil {
			return err
		}
		s.presenceEffects(now, append(s.people.machine.Take(), saved{done}))
		return nil
	})
	if err != nil {
		return err
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-n.life.Done():
		return errStopped
	}
}

// Presence implements linnet.Client.
func (n *Node) Presence(ctx context.Context) (mine linnet.Mine, err error) {
	return mine, n.inPresence(ctx, func(_ time.Time, m *presence.Machine) error {
		mine = m.Mine()
		return nil
	})
}

// SetPresence implements linnet.Client.
func (n *Node) SetPresence(ctx context.Context, mine linnet.Mine) error {
	return n.inPresence(ctx, func(now time.Time, m *presence.Machine) error { return m.Say(now, mine.Presence, mine.Mood) })
}

// Contacts implements linnet.Client.
func (n *Node) Contacts(ctx context.Context) (list []linnet.Contact, err error) {
	return list, n.inPresence(ctx, func(now time.Time, m *presence.Machine) error {
		m.Refresh(now)
		list = m.Contacts()
		return nil
	})
}

// AddContact implements linnet.Client.
func (n *Node) AddContact(ctx context.Context, c linnet.Contact) error {
	return n.inPresence(ctx, func(now time.Time, m *presence.Machine) error { return m.Ask(now, c.User, c.Name, c.Message) })
}

// AnswerContact implements linnet.Client.
func (n *Node) AnswerContact(ctx context.Context, user linnet.UserName, yes bool) error {
	return n.inPresence(ctx, func(now time.Time, m *presence.Machine) error { return m.Answer(now, user, yes) })
}

// BlockContact implements linnet.Client.
func (n *Node) BlockContact(ctx context.Context, user linnet.UserName, on bool) error {
	return n.inPresence(ctx, func(now time.Time, m *presence.Machine) error { return m.Block(now, user, on) })
}

// RemoveContact implements linnet.Client.
func (n *Node) RemoveContact(ctx context.Context, user linnet.UserName) error {
	return n.inPresence(ctx, func(now time.Time, m *presence.Machine) error { return m.Remove(now, user) })
}
