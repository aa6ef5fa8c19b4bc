package node

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/wire/message"
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
	s.node.beside(func(ctx context.Context) {
		err := s.persist(batch)
		var records, cards [][]byte // on disk, of those that it was about
		unkept := changedIn(batch)
		if err != nil {
			var unread [2]error
			records, unread[0] = s.node.store.RecordsOf(ctx, unkept.nodes...)
			cards, unread[1] = s.node.store.CardsOf(ctx, unkept.users...)
			if err := errors.Join(unread[:]...); err != nil && ctx.Err() == nil {
				s.log.Warn("records and cards cannot be read", "err", err)
			}
		}
		s.node.must(func(now time.Time) {
			s.ledger.writing = false
			if s.node.station != s {
				return
			}
			if s.member != member {
				batch = nil
			} else if err != nil {
				s.node.warnDisk(now, "records and cards cannot be kept", err)
				batch = slices.DeleteFunc(batch, promise)
				again := changedIn(s.ledger.waiting) // their end comes
				member.Unkept(now, slices.DeleteFunc(unkept.nodes, func(n linnet.NodeID) bool { return slices.Contains(again.nodes, n) }), records)
				member.UnkeptCards(now, slices.DeleteFunc(unkept.users, func(u linnet.UserName) bool { return slices.Contains(again.users, u) }), cards)
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

// changed is whose records and cards are to be kept or forgotten.
type changed struct {
	nodes []linnet.NodeID
	users []linnet.UserName
}

func changedIn(effects []directory.Effect) (c changed) {
	for _, e := range effects {
		switch e := e.(type) {
		case directory.Persist:
			c.nodes = append(c.nodes, e.Node)
		case directory.Forget:
			c.nodes = append(c.nodes, e.Node)
		case directory.PersistCard:
			c.users = append(c.users, e.User)
		case directory.ForgetCard:
			c.users = append(c.users, e.User)
		}
	}
	return c
}

// promise says that an effect is not true unless those before it are on disk.
// Without it, whoever waits asks somebody else.
func promise(e directory.Effect) bool {
	switch e := e.(type) {
	case overlay.Respond:
		switch e.Message.(type) {
		case *message.Stored, *message.CardStored:
			return true
		}
	case overlay.Request: // of a write that counts this supernode's own copy already
		switch e.Message.(type) {
		case *message.StoreRecord, *message.StoreCard:
			return true
		}
	}
	return false
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
