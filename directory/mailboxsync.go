package directory

import (
	"maps"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Mail cannot be published again by its sender, so members compare what they
// have: all of a slot's former members offer the ids of its mail to each new one,
// each member to the others in turn, and whoever was taken for a member what he was
// given to all of them. Only what is lacking is sent.
const (
	mailSyncEvery = 10 * time.Minute
	mailOffer     = 256 // ids in an offer
	mailPause     = 50 * time.Millisecond
	mailTries     = 3
	mailAskedFor  = 10 * time.Second // then another member's offer is taken up
	mailPassOn    = 2 * time.Second  // what strays meanwhile is offered together
)

type mailSync struct {
	queue   []func(now time.Time) // what is sent, one every mailPause
	running bool
	round   int
	asked   map[message.MailID]time.Time // what this node wants, and since when
	passing map[overlay.Slot][]*mail     // that strayed just now, and is to be offered
}

// MembersChanged is told after overlay.MembersChanged.
func (m *Mailbox) MembersChanged(now time.Time) {
	gains := make(map[overlay.Slot][]linnet.NodeID)
	for slot, before := range m.members {
		after := m.o.Seats.Members(slot)
		if slices.Equal(before, after) {
			continue
		}
		m.members[slot] = after
		gains[slot] = nil
		for _, node := range after {
			if !slices.Contains(before, node) && node != m.o.Self.Node {
				gains[slot] = append(gains[slot], node)
			}
		}
	}
	for _, slot := range slices.Sorted(maps.Keys(gains)) {
		serves := slices.Contains(m.members[slot], m.o.Self.Node)
		for _, h := range m.shelf.slots[slot] {
			if serves {
				h.strayed = time.Time{}
			} else if h.strayed.IsZero() {
				h.strayed = now
			}
		}
		m.offer(now, gains[slot], m.mailOf(slot))
	}
}

// syncAll offers each slot's mail to the next one of its members.
func (m *Mailbox) syncAll(now time.Time) {
	m.sync.round++
	for _, slot := range slices.Sorted(maps.Keys(m.members)) {
		if others := m.others(slot); len(others) > 0 {
			m.offer(now, others[m.sync.round%len(others):][:1], m.mailOf(slot))
		}
	}
	m.after(now, mailSyncEvery, m.syncAll)
}

// passOn offers mail of a slot that this node does not hold to its members, as catchUp
// gives them records.
func (m *Mailbox) passOn(now time.Time, h *mail) {
	slot := h.slot
	if m.sync.passing[slot] == nil {
		m.after(now, mailPassOn, func(now time.Time) {
			strayed := m.sync.passing[slot]
			delete(m.sync.passing, slot)
			if len(m.sync.queue) > mailOffer {
				return // syncAll offers it: what new members are to have goes before
			}
			m.offer(now, m.others(slot), func() []*mail {
				return slices.DeleteFunc(slices.Clone(strayed), func(h *mail) bool { return m.shelf.all[h.ID] != h }) // removed meanwhile
			})
		})
	}
	m.sync.passing[slot] = append(m.sync.passing[slot], h)
}

// mailOf gets what there is of a slot.
func (m *Mailbox) mailOf(slot overlay.Slot) func() []*mail {
	return func() []*mail { return m.shelf.slots[slot] }
}

func (m *Mailbox) others(slot overlay.Slot) []linnet.NodeID {
	return slices.DeleteFunc(slices.Clone(m.members[slot]), func(n linnet.NodeID) bool { return n == m.o.Self.Node })
}

// offer tells nodes what mail there is when it is their turn: removals first, so
// that what was removed is not wanted.
func (m *Mailbox) offer(now time.Time, nodes []linnet.NodeID, of func() []*mail) {
	for _, node := range nodes {
		m.enqueue(now, func(now time.Time) {
			if !m.o.Seats.IsSupernode(node) {
				return
			}
			for part := range slices.Chunk(idsOf(of()), mailOffer) {
				m.offerPart(now, node, part, 1)
			}
		})
	}
}

func (m *Mailbox) offerPart(now time.Time, node linnet.NodeID, ids []message.MailID, try int) {
	m.request(now, node, &message.OfferMail{Mail: ids}, memberWait, func(now time.Time, reply message.Message) {
		want, ok := reply.(*message.MailWanted)
		if !ok {
			if try < mailTries {
				m.after(now, writeAgain, func(now time.Time) { m.offerPart(now, node, ids, try+1) })
			}
			return
		}
		for _, id := range want.Mail[:min(len(want.Mail), len(ids))] {
			if slices.Contains(ids, id) {
				m.enqueue(now, func(now time.Time) { m.give(now, node, id) })
			}
		}
	})
}

// idsOf are the ids of mail that is on disk.
func idsOf(list []*mail) []message.MailID {
	var removals, items []message.MailID
	for _, h := range list {
		switch {
		case !h.kept:
		case h.removal():
			removals = append(removals, h.ID)
		default:
			items = append(items, h.ID)
		}
	}
	return append(removals, items...)
}

// give sends mail to another member.
func (m *Mailbox) give(now time.Time, node linnet.NodeID, id message.MailID) {
	h := m.shelf.all[id]
	if h == nil || !m.o.Seats.IsSupernode(node) {
		return
	}
	m.read([]message.MailID{id}, func(now time.Time, items [][]byte) {
		for _, b := range items {
			put := &message.PutMail{Mail: b, Removal: h.removal(), Prekey: h.Prekey, Member: true}
			m.request(now, node, put, memberWait, func(time.Time, message.Message) {}) // what is lost is offered again
		}
	})
}

// enqueue does something in its turn: mail for others must not fill the link.
func (m *Mailbox) enqueue(now time.Time, do func(now time.Time)) {
	if len(m.sync.queue) >= m.o.Items {
		return // it is offered again
	}
	m.sync.queue = append(m.sync.queue, do)
	if !m.sync.running {
		m.sync.running = true
		m.after(now, mailPause, m.nextSync)
	}
}

func (m *Mailbox) nextSync(now time.Time) {
	do := m.sync.queue[0]
	m.sync.queue = m.sync.queue[1:]
	if m.sync.running = len(m.sync.queue) > 0; m.sync.running {
		m.after(now, mailPause, m.nextSync)
	} else {
		m.sync.queue = nil
	}
	do(now)
}

// receivedOffer answers what of an offer this node lacks. What it asked somebody
// else for a moment ago it does not want twice.
func (m *Mailbox) receivedOffer(now time.Time, from linnet.NodeID, id uint16, msg *message.OfferMail) {
	want := new(message.MailWanted)
	for _, mail := range msg.Mail[:min(len(msg.Mail), mailOffer)] {
		since, asked := m.sync.asked[mail]
		switch {
		case m.shelf.all[mail] != nil, asked && now.Sub(since) < mailAskedFor:
		case !asked && len(m.sync.asked) >= m.o.Items, len(m.shelf.all) >= m.o.Items:
		default:
			m.sync.asked[mail] = now
			want.Mail = append(want.Mail, mail)
		}
	}
	m.emit(overlay.Respond{To: from, ID: id, Message: want})
}
