package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/store"
)

// A ledger puts the records and cards that a supernode keeps on disk, outside the loop.
// What a machine wanted after a Persist waits until it is there; what comes
// together shares a transaction.
type ledger struct {
	waiting []directory.Effect // in order
	writing bool
}

// memberEffects carries out what the supernode's half wants, in order.
func (s *station) memberEffects(now time.Time, effects []directory.Effect) {
	durable := slices.ContainsFunc(effects, func(e directory.Effect) bool {
		switch e.(type) {
		case directory.Persist, directory.Forget, directory.PersistCard, directory.ForgetCard:
			return true
		}
		return false
	})
	if !durable && !s.ledger.writing {
		for _, e := range effects {
			s.memberEffect(now, e)
		}
		return
	}
	s.ledger.waiting = append(s.ledger.waiting, effects...)
	if !s.ledger.writing {
		s.write()
	}
}

// write stores all that waits in one go, and goes on with the rest after it.
func (s *station) write() {
	batch, member := s.ledger.waiting, s.member
	s.ledger.waiting, s.ledger.writing = nil, true
	s.node.beside(func(context.Context) {
		err := s.persist(batch)
		s.node.must(func(now time.Time) {
			s.ledger.writing = false
			if s.node.station != s {
				return
			}
			if err != nil {
				// Nothing is promised that is not on disk: whoever waits asks somebody else.
				s.node.warn("records and cards cannot be kept: %v", err)
				batch = slices.DeleteFunc(batch, func(e directory.Effect) bool { _, reads := e.(directory.ReadRecords); return !reads })
			}
			if s.member != member {
				batch = nil
			}
			for _, e := range batch {
				s.memberEffect(now, e)
			}
			if len(s.ledger.waiting) > 0 {
				s.write()
			}
		})
	})
}

// readRecords is asked for what is on disk by now.
func (s *station) readRecords(e directory.ReadRecords) {
	member := s.member
	s.node.beside(func(ctx context.Context) {
		records, err := s.node.store.RecordsOf(ctx, e.Nodes...)
		if err != nil && ctx.Err() == nil {
			s.node.warn("records cannot be read: %v", err)
		}
		s.node.must(func(now time.Time) { member.Read(now, e.Token, records) })
	})
}

func (s *station) persist(batch []directory.Effect) error {
	last, cards := make(map[linnet.NodeID][]byte), make(map[linnet.UserName][]byte) // nil: to be forgotten
	for _, e := range batch {
		switch e := e.(type) {
		case directory.Persist:
			last[e.Node] = e.Record
		case directory.Forget:
			last[e.Node] = nil
		case directory.PersistCard:
			cards[e.User] = e.Card
		case directory.ForgetCard:
			cards[e.User] = nil
		}
	}
	var put []store.Record
	var forget []linnet.NodeID
	for node, record := range last {
		if record == nil {
			forget = append(forget, node)
		} else {
			put = append(put, store.Record{Node: node, Time: time.Now(), Bytes: record})
		}
	}
	changes := make([]store.Card, 0, len(cards))
	for user, card := range cards {
		changes = append(changes, store.Card{User: user, Bytes: card})
	}
	ctx := context.Background()
	err := errors.Join(s.node.store.ForgetRecords(ctx, forget...), s.node.store.PutRecords(ctx, put...))
	if len(changes) > 0 {
		err = errors.Join(err, s.node.store.ChangeCards(ctx, changes...))
	}
	return err
}
