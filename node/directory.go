package node

import (
	"context"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"strconv"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// settingSequence is the sequence of the last record that this device published.
const settingSequence = "record sequence"

func (s *station) startDirectory(ctx context.Context, now time.Time, self overlay.Identity, random *mathrand.Rand) error {
	kept, err := s.node.store.Setting(ctx, settingSequence, "0")
	if err != nil {
		return err
	}
	sequence, err := strconv.ParseUint(kept, 10, 64)
	if err != nil {
		return fmt.Errorf("setting %q: %w", settingSequence, err)
	}
	s.directory = directory.NewClient(directory.ClientOptions{
		Self: self, Trust: s.trust, Overlay: s.overlay, Rand: random, Sequence: sequence, SlotOf: s.node.slotOf(),
	})
	if m := s.people.machine; m != nil && m.Mine().Presence != linnet.Invisible {
		s.directory.Publish(now, directory.Status{NAT: uint32(traverse.Unknown)})
	}
	return nil
}

// Each client has a record, which ten supernodes keep, and is attached to two:
// where all supernodes are alike, each keeps five for every client. The rest is for
// those who were here in the last three days.
const (
	recordsPerClient = 10
	minRecords       = 100_000
)

// startSupernode begins with the records, cards and mail that this machine kept
// when it served before.
func (s *station) startSupernode(ctx context.Context, now time.Time) error {
	records, err := s.node.store.Records(ctx)
	if err != nil {
		return err
	}
	signed := make([][]byte, len(records))
	for i, r := range records {
		signed[i] = r.Bytes
	}
	cards, err := s.node.store.Cards(ctx)
	if err != nil {
		return err
	}
	heads, err := s.node.store.MailHeads(ctx)
	if err != nil {
		return err
	}
	s.member = directory.NewSupernode(directory.SupernodeOptions{
		Self: s.identity, Trust: s.trust, Seats: s.overlay, SlotOf: s.node.slotOf(),
		Records: max(minRecords, recordsPerClient*s.node.opts.Clients),
	})
	s.member.Start(now, signed, cards)
	s.mail.member = directory.NewMailbox(directory.MailboxOptions{Self: s.identity, Trust: s.trust, Seats: s.overlay, SlotOf: s.node.slotOf()})
	s.mail.member.Start(now, heads)
	return nil
}

// stopSupernode drops what the halves for others still wanted: the network has
// other copies.
func (s *station) stopSupernode(now time.Time) {
	s.member, s.mail.member = nil, nil
	s.ledger.waiting, s.mail.waiting = nil, nil
	for id, token := range s.own {
		delete(s.own, id)
		s.asked.answer(now, token, nil, session.ErrNoSession)
	}
}

// directoryReceived hands commands of the directory to the supernode's half.
func (s *station) directoryReceived(now time.Time, e session.Received) bool {
	switch m := e.Message.(type) {
	case *message.Search:
		s.searches++
	case *message.SearchCards:
		if !m.Member { // they are asked eight times each
			s.searches++
		}
	}
	if s.member != nil {
		return s.member.Received(now, e.From, e.ID, e.Message)
	}
	switch e.Message.(type) {
	case *message.StoreRecord, *message.Search, *message.StoreCard, *message.SearchCards, *message.AskCards:
		s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureUnavailable, Text: "this node keeps no directory"})
		return true
	}
	return false
}

// directoryEffect carries out what the client's half wants.
func (s *station) directoryEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		s.directoryRequest(now, s.directory, e)
	case directory.Published:
		s.published(now, e)
	case directory.NotPublished:
		s.log.Info("record not published", "err", e.Err, "retry", e.Retry)
	case directory.Withdrawn:
		if s.withdrawn != nil {
			close(s.withdrawn)
			s.withdrawn = nil
		}
	case directory.Unanswered:
		s.overlay.Doubt(now, e.Node)
	case directory.Found:
		s.found(now, e)
	}
}

// memberEffect carries out what the supernode's half wants, apart from what
// the ledger did before.
func (s *station) memberEffect(now time.Time, e directory.Effect) {
	switch e := e.(type) {
	case overlay.Request:
		s.directoryRequest(now, s.member, e)
	case overlay.Respond:
		s.respond(now, e.To, e.ID, e.Message)
	case overlay.Send:
		s.send(now, e.To, e.Message)
	case directory.ReadRecords:
		s.readRecords(e)
	case directory.Unanswered:
		s.overlay.Doubt(now, e.Node)
	}
}

// asker is either half of the directory.
type asker interface {
	Replied(now time.Time, t overlay.Token, from linnet.NodeID, m message.Message)
	Failed(now time.Time, t overlay.Token)
}

func (s *station) directoryRequest(now time.Time, who asker, e overlay.Request) {
	s.request(now, e.To, e.Message, func(now time.Time, reply message.Message, err error) {
		if err != nil {
			who.Failed(now, e.Token)
			return
		}
		who.Replied(now, e.Token, e.To, reply)
	})
}

func (s *station) published(now time.Time, e directory.Published) {
	if m := s.people.machine; m != nil && m.Mine().Presence != linnet.Invisible && s.withdrawn == nil {
		m.Published(now)
	}
	s.node.note(func(ctx context.Context) error {
		return s.node.store.SetSetting(ctx, settingSequence, strconv.FormatUint(e.Sequence, 10))
	}, func(_ time.Time, err error) {
		if err != nil {
			s.node.warn("the sequence of the device record cannot be kept: %v", err)
		}
	})
	s.log.Debug("record published", "copies", e.Copies)
}

// lookUp asks the directory for a user's devices; fresh wants no cached answer.
// Nobody found is no error but an empty listing.
func (s *station) lookUp(now time.Time, user linnet.UserName, fresh bool, done func(now time.Time, l linnet.Listing, err error)) {
	id := s.directory.Lookup(now, user, fresh)
	s.lookups[id] = func(then time.Time, l linnet.Listing, err error) {
		l.TookMS = linnet.Milliseconds(then.Sub(now))
		done(then, l, err)
	}
}

func (s *station) found(now time.Time, e directory.Found) {
	done := s.lookups[e.Lookup]
	delete(s.lookups, e.Lookup)
	l := linnet.Listing{User: e.User, Devices: []linnet.Device{}}
	for _, r := range e.Records {
		online := r.Reachable(now)
		l.Online = l.Online || online
		l.Devices = append(l.Devices, linnet.Device{
			Node: r.Node(), Name: r.Device, Online: online, Seen: r.Time, Supernodes: r.Location.Supernodes,
		})
		s.acquaint(now, r)
	}
	err := e.Err
	switch {
	case errors.Is(err, directory.ErrNotFound):
		err = nil
	case errors.Is(err, directory.ErrNotAttached):
		err = s.offlineError()
	case err != nil:
		err = &linnet.Error{Code: linnet.CodeNoNetwork, Text: "the directory gave no answer: " + err.Error(), Hint: "try again in a moment"}
	}
	if done != nil {
		done(now, l, err)
	}
}

// maxAcquaintances bounds how many devices found by look-ups are remembered.
const maxAcquaintances = 4096

// acquaint remembers what calling a device takes: its keys and its place.
func (s *station) acquaint(now time.Time, r *directory.Record) {
	cert, err := s.trust.Certificate(r.Certificate, now)
	if err != nil {
		return // the record would not have been accepted
	}
	if len(s.certificates) >= maxAcquaintances {
		s.certificates = make(map[linnet.NodeID]*suite.Certificate) // they can be looked up again
	}
	s.certificates[r.Node()] = cert
	s.places.learn(r.Location)
}
