package directory

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Quotas of a mailbox, at each member of its slot.
const (
	ownerItems   = 1000 // from contacts
	ownerBytes   = 8 << 20
	senderItems  = 200 // of them from one contact
	senderBytes  = 2 << 20
	ownerAsks    = 32  // items from strangers, one each
	ownerOrders  = 128 // removals: of more, the oldest are forgotten
	userItems    = 1000
	mailStrayFor = 24 * time.Hour // that mail is kept after its slot went elsewhere
)

// mailHead is what a member has in memory of an item or removal; the rest is on
// disk. Its wire form is what stands beside it there.
type mailHead struct {
	ID      message.MailID   `obj:"4/0"`
	Owner   linnet.UserName  `obj:"3/1"`
	From    linnet.UserName  `obj:"3/2,opt"`
	Device  linnet.NodeID    `obj:"4/3,opt"` // of an item: for whom; of a removal: by whom
	Time    uint64           `obj:"1/4"`
	Size    uint32           `obj:"0/5"`
	Contact bool             `obj:"0/6,opt"`
	Removes []message.MailID `obj:"4/7,opt"` // not empty: it is a removal
	Prekey  bool             `obj:"0/8,opt"` // of the device
}

// mail is one on the shelf.
type mail struct {
	mailHead
	slot    overlay.Slot
	kept    bool      // it is on disk
	strayed time.Time // since when this node is no member of the slot; zero: it is
}

func (h *mail) removal() bool { return len(h.Removes) > 0 }

func (h *mail) over(now time.Time) bool {
	keep := MailKeepFor
	if h.removal() {
		keep += 2 * maxSkew // it outlives what it removes
	}
	return now.Sub(time.UnixMilli(int64(h.Time))) > keep || !h.strayed.IsZero() && now.Sub(h.strayed) > mailStrayFor
}

// grave says that a device of the owner removed an item; the zero device stands for any.
type grave struct {
	id   message.MailID
	node linnet.NodeID
}

// mailShelf is the index of the mail that a member holds.
type mailShelf struct {
	room  int   // items and removals
	bytes int64 // left
	all   map[message.MailID]*mail
	boxes map[linnet.UserName]*mailbox
	users map[linnet.UserName]int // items of each sender, whoever they are for
	slots map[overlay.Slot][]*mail
}

// mailbox is that of one owner, in the order of arrival.
type mailbox struct {
	items    []*mail
	removals []*mail
	prekeys  []*mail
	graves   map[grave]int
}

func newMailShelf(room int, bytes int64) *mailShelf {
	return &mailShelf{
		room: room, bytes: bytes, all: make(map[message.MailID]*mail), boxes: make(map[linnet.UserName]*mailbox),
		users: make(map[linnet.UserName]int), slots: make(map[overlay.Slot][]*mail),
	}
}

// admits says whether there is room for an item, in the quotas and at all.
func (s *mailShelf) admits(h *mail) bool {
	if len(s.all) >= s.room || int64(h.Size) > s.bytes {
		return false
	}
	if h.removal() || h.Prekey {
		return true
	}
	if s.users[h.From] >= userItems {
		return false
	}
	b := s.boxes[h.Owner]
	if b == nil {
		return true
	}
	var items, bytes, fromItems, fromBytes, asks, fromAsks int
	for _, x := range b.items {
		same := x.From == h.From
		if !x.Contact {
			asks++
			if same {
				fromAsks++
			}
			continue
		}
		items++
		bytes += int(x.Size)
		if same {
			fromItems++
			fromBytes += int(x.Size)
		}
	}
	if !h.Contact {
		return asks < ownerAsks && fromAsks == 0
	}
	size := int(h.Size)
	return items < ownerItems && bytes+size <= ownerBytes && fromItems < senderItems && fromBytes+size <= senderBytes
}

// removed says that the item's owner does not want it any more.
func (s *mailShelf) removed(h *mail) bool {
	b := s.boxes[h.Owner]
	return !h.removal() && b != nil && b.graves[grave{h.ID, h.Device}] > 0
}

func (s *mailShelf) add(h *mail) {
	s.all[h.ID] = h
	s.bytes -= int64(h.Size)
	s.slots[h.slot] = append(s.slots[h.slot], h)
	b := s.boxes[h.Owner]
	if b == nil {
		b = &mailbox{graves: make(map[grave]int)}
		s.boxes[h.Owner] = b
	}
	switch {
	case h.Prekey:
		b.prekeys = append(b.prekeys, h)
		return
	case !h.removal():
		b.items = append(b.items, h)
		s.users[h.From]++
		return
	}
	b.removals = append(b.removals, h)
	for _, id := range h.Removes {
		b.graves[grave{id, h.Device}]++
		b.graves[grave{id, linnet.NodeID{}}]++
	}
}

func (s *mailShelf) remove(h *mail) {
	delete(s.all, h.ID)
	s.bytes += int64(h.Size)
	same := func(x *mail) bool { return x == h }
	if s.slots[h.slot] = slices.DeleteFunc(s.slots[h.slot], same); len(s.slots[h.slot]) == 0 {
		delete(s.slots, h.slot)
	}
	b := s.boxes[h.Owner]
	if h.Prekey {
		b.prekeys = slices.DeleteFunc(b.prekeys, same)
	} else if h.removal() {
		b.removals = slices.DeleteFunc(b.removals, same)
		for _, id := range h.Removes {
			count(b.graves, grave{id, h.Device})
			count(b.graves, grave{id, linnet.NodeID{}})
		}
	} else {
		b.items = slices.DeleteFunc(b.items, same)
		count(s.users, h.From)
	}
	if len(b.items)+len(b.removals)+len(b.prekeys) == 0 {
		delete(s.boxes, h.Owner)
	}
}

// count takes one away.
func count[K comparable](m map[K]int, k K) {
	if m[k]--; m[k] <= 0 {
		delete(m, k)
	}
}

// bury removes what a removal is about, and the oldest removals where there are
// too many; both are gone.
func (s *mailShelf) bury(r *mail) (gone []message.MailID) {
	for _, id := range r.Removes {
		h := s.all[id]
		if h != nil && h.kept && !h.removal() && h.Owner == r.Owner && (h.Device == linnet.NodeID{} || h.Device == r.Device) {
			gone = append(gone, id)
			s.remove(h)
		}
	}
	for b := s.boxes[r.Owner]; len(b.removals) > ownerOrders; {
		oldest := b.removals[0]
		gone = append(gone, oldest.ID)
		s.remove(oldest)
	}
	return gone
}

// replaced says that there is a newer prekey of the device, or of so many others
// that there is no place for it.
func (s *mailShelf) replaced(h *mail) bool {
	b := s.boxes[h.Owner]
	if b == nil || !h.Prekey {
		return false
	}
	newer := 0
	for _, x := range b.prekeys {
		if x.Time > h.Time {
			if x.Device == h.Device {
				return true
			}
			newer++
		}
	}
	return newer >= maxDevices
}

// replace removes the prekeys in whose place one came.
func (s *mailShelf) replace(h *mail) (gone []message.MailID) {
	for _, x := range slices.Clone(s.boxes[h.Owner].prekeys) {
		if x.kept && (x != h && x.Device == h.Device || s.replaced(x)) {
			gone = append(gone, x.ID)
			s.remove(x)
		}
	}
	return gone
}

// list are the items that a device may have, the oldest arrivals first.
func (s *mailShelf) list(owner linnet.UserName, node linnet.NodeID) (items []*mail) {
	if b := s.boxes[owner]; b != nil {
		for _, h := range b.items {
			if h.kept && (h.Device == linnet.NodeID{} || h.Device == node) {
				items = append(items, h)
			}
		}
	}
	return items
}
