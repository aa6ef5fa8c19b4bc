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
	effects ordered[presence.Effect]
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

// presenceEffects carries out what the machine wants.
func (s *station) presenceEffects(now time.Time, effects []presence.Effect) {
	s.people.effects.run(s, now, effects, func(e presence.Effect) func(context.Context) error {
		save, ok := e.(presence.Save)
		if !ok {
			return nil
		}
		return func(ctx context.Context) error { return s.node.store.SavePresence(ctx, s.self.User, save) }
	}, s.presenceEffect, func(_ time.Time, dropped []presence.Effect, err error) {
		s.node.warn("contacts cannot be kept: %v", err)
		for _, e := range dropped { // whoever waits for an acknowledgement asks again
			if e, ok := e.(saved); ok {
				e.done <- err
			}
		}
		s.people.machine.NotSaved()
	})
}

func (s *station) presenceEffect(now time.Time, e presence.Effect) {
	m := s.people.machine
	switch e := e.(type) {
	case saved:
		e.done <- nil // has room for one
	case presence.Changed:
		s.mineChanged(now, e.Mine)
	case presence.Watch:
		var at []message.Location
		for _, node := range e.Nodes {
			if l, known := s.places.get(node); known {
				at = append(at, l)
			}
		}
		s.overlay.Watch(now, at)
	case presence.PublishPrekey:
		s.mail.ask(s.mail.client.PublishPrekey(now, e.Public, e.Made), func(now time.Time, d directory.MailDone) { m.PrekeyPublished(now, e.Public, d.Err) })
	case presence.CheckMail:
		s.checkMail(now)
	case presence.Tell:
		if c := e.Event.Contact; c != nil {
			s.pairAnew(now, c.User)
			s.filesOf(now, *c)
			if c.Presence != linnet.Offline || e.Event.Kind == linnet.EventContactAccepted {
				s.talks.machine.There(now, c.User)
				s.tells.machine.There(now, c.User)
			}
		}
		s.node.hub.tell(e.Event)
	case presence.Arrived:
		s.arrived(now, e.Arrival)
	default:
		s.postEffect(now, m, e)
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
	return n.untilSaved(ctx, func(now time.Time, s *station, done saved) error {
		if s.people.machine == nil {
			return linnet.Errorf(linnet.CodeUsage, "only people have contacts")
		}
		if err := f(now, s.people.machine); err != nil {
			return err
		}
		s.presenceEffects(now, append(s.people.machine.Take(), done))
		return nil
	})
}

// untilSaved runs f in the loop, and waits until the effects up to the one that it is
// given were carried out.
func (n *Node) untilSaved(ctx context.Context, f func(now time.Time, s *station, done saved) error) error {
	done := make(chan error, 1)
	if err := n.inStation(ctx, func(now time.Time, s *station) error { return f(now, s, saved{done}) }); err != nil {
		return err
	}
	err, waited := await(ctx, n, done)
	if waited != nil {
		return waited
	}
	return err
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
