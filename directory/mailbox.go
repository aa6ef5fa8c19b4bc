package directory

import (
	"cmp"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// KeepMail puts an item or removal on disk, in one transaction with forgetting
// the others; Mailbox.Kept is to be told when that is done.
type KeepMail struct {
	ID    message.MailID
	Head  []byte // for Mailbox.Start; small
	Bytes []byte
}

// ForgetMail removes mail from disk.
type ForgetMail struct{ IDs []message.MailID }

// ReadMail wants mail from disk; Mailbox.Read is to be told. Mail that is not
// there is left out.
type ReadMail struct {
	Token uint64
	IDs   []message.MailID
}

// MailboxOptions configures a Mailbox. Self, Trust and Seats are needed.
type MailboxOptions struct {
	Self   overlay.Identity
	Trust  overlay.Trust
	Seats  Seats
	SlotOf overlay.SlotFunc // nil means overlay.SlotOf

	Items    int     // and removals, on disk: 100,000
	Bytes    int64   // of them: 1 GiB
	Busy     int     // writes, reads and answers in memory at once: 256 of each
	Requests float64 // a second, of one node that is attached: 2
	Burst    float64 // and at once: 30
}

// A Mailbox is a supernode's part in mail for those who are away: it brings its
// clients' items to the members of the owner's slot, and is such a member.
// Items lie on disk; in memory is an index.
type Mailbox struct {
	machine
	o       MailboxOptions
	shelf   *mailShelf
	members map[overlay.Slot][]linnet.NodeID // of the slots with mail, as they were last
	rates   rates

	keeping map[message.MailID]*keeping
	reading map[uint64]func(now time.Time, items [][]byte)
	reads   uint64 // the last one's token
	writes  int    // on their way to members
	asks    int    // of clients, not answered yet

	sync mailSync
}

// keeping is mail that is being written to disk.
type keeping struct {
	mail *mail
	done []func(now time.Time, ok bool)
}

// NewMailbox makes a Mailbox; Start begins.
func NewMailbox(o MailboxOptions) *Mailbox {
	if o.SlotOf == nil {
		o.SlotOf = overlay.SlotOf
	}
	o.Items = cmp.Or(o.Items, 100_000)
	o.Bytes = cmp.Or(o.Bytes, 1<<30)
	o.Busy = cmp.Or(o.Busy, 256)
	o.Requests = cmp.Or(o.Requests, 2)
	o.Burst = cmp.Or(o.Burst, 30)
	return &Mailbox{
		o: o, shelf: newMailShelf(o.Items, o.Bytes), members: make(map[overlay.Slot][]linnet.NodeID), rates: make(rates),
		keeping: make(map[message.MailID]*keeping), reading: make(map[uint64]func(time.Time, [][]byte)),
		sync: mailSync{asked: make(map[message.MailID]time.Time), passing: make(map[overlay.Slot][]*mail)},
	}
}

// Start begins with the heads of the mail on disk.
func (m *Mailbox) Start(now time.Time, heads [][]byte) {
	var gone []message.MailID
	for _, b := range heads {
		h := &mail{kept: true}
		if message.Unmarshal(b, &h.mailHead) != nil {
			continue
		}
		if h.over(now) {
			gone = append(gone, h.ID)
			continue
		}
		m.place(now, h)
		m.shelf.add(h)
	}
	m.forget(gone)
	m.after(now, sweepEvery, m.sweep)
	m.after(now, rateSweep, m.sweepRates)
	m.after(now, mailSyncEvery, m.syncAll)
}

// Items is how many items and removals are kept here.
func (m *Mailbox) Items() int { return len(m.shelf.all) }

// place finds out the slot of mail, and whether this node serves it.
func (m *Mailbox) place(now time.Time, h *mail) {
	h.slot = m.o.SlotOf(h.Owner)
	if _, ok := m.members[h.slot]; !ok {
		m.members[h.slot] = m.o.Seats.Members(h.slot)
	}
	if !slices.Contains(m.members[h.slot], m.o.Self.Node) {
		h.strayed = now
	}
}

// Received takes a command of a session: id is the one to answer under. It
// says whether the command was one of mail.
func (m *Mailbox) Received(now time.Time, from linnet.NodeID, id uint16, msg message.Message) bool {
	var member bool
	switch msg := msg.(type) {
	case *message.PutMail:
		member = msg.Member
	case *message.AskMail:
		member = msg.Member
	case *message.AskPrekeys:
		member = msg.Member
	case *message.OfferMail:
		member = true
	default:
		return false
	}
	switch {
	case member && !m.o.Seats.IsSupernode(from), !member && from != m.o.Self.Node && !m.o.Seats.IsClient(from):
		m.refuse(from, id, message.FailureDenied, "you are not attached here")
		return true
	case !member && !m.rates.allow(now, from, m.o.Requests, m.o.Burst, 16*m.o.Busy):
		m.refuse(from, id, message.FailureTooMany, "too many requests")
		return true
	}
	switch msg := msg.(type) {
	case *message.PutMail:
		m.receivedPut(now, from, id, msg)
	case *message.AskMail:
		m.receivedAsk(now, from, id, msg)
	case *message.AskPrekeys:
		m.receivedAskPrekeys(now, from, id, msg)
	case *message.OfferMail:
		m.receivedOffer(now, from, id, msg)
	}
	return true
}

func (m *Mailbox) receivedPut(now time.Time, from linnet.NodeID, id uint16, msg *message.PutMail) {
	if h := m.shelf.all[mailIDOf(msg.Mail)]; h != nil && h.kept && msg.Member {
		m.emit(overlay.Respond{To: from, ID: id, Message: &message.MailStored{Mail: h.ID, Copies: 1}})
		return
	}
	head, signer, ok := m.open(now, msg)
	if !ok || !msg.Member && signer != from {
		m.refuse(from, id, message.FailureInvalid, "not valid mail of yours")
		return
	}
	if !msg.Member {
		m.spread(now, from, id, head, msg)
		return
	}
	m.keep(now, head, msg.Mail, func(_ time.Time, ok bool) {
		if ok {
			m.emit(overlay.Respond{To: from, ID: id, Message: &message.MailStored{Mail: head.ID, Copies: 1}})
		} else {
			m.refuse(from, id, message.FailureTooMany, "no room")
		}
	})
}

// open checks an item, a removal or a prekey.
func (m *Mailbox) open(now time.Time, msg *message.PutMail) (h mailHead, signer linnet.NodeID, ok bool) {
	b := msg.Mail
	switch {
	case msg.Prekey:
		p, err := OpenPrekey(m.o.Trust, b, now)
		if err != nil || msg.Removal {
			return h, signer, false
		}
		return mailHead{
			ID: mailIDOf(b), Owner: p.User, Device: p.Node, Time: uint64(p.Time.UnixMilli()), Size: uint32(len(b)), Prekey: true,
		}, p.Node, true
	case msg.Removal:
		o, err := OpenMailOrder(m.o.Trust, b, now)
		if err != nil || o.Action != MailRemove {
			return h, signer, false
		}
		return mailHead{
			ID: o.ID, Owner: o.Owner, Device: o.Node, Time: uint64(o.Time.UnixMilli()), Size: uint32(len(b)), Removes: o.IDs,
		}, o.Node, true
	}
	i, err := OpenItem(m.o.Trust, b, now)
	if err != nil {
		return h, signer, false
	}
	return mailHead{
		ID: i.ID, Owner: i.Owner, From: i.From, Device: i.Device, Time: uint64(i.Time.UnixMilli()), Size: uint32(len(b)), Contact: i.Contact,
	}, i.Sender, true
}

// keep puts mail on disk. done is told when it is there, or that it will not be;
// an item that its owner has removed already is as good as there, and so is a
// prekey whose device has a newer one.
func (m *Mailbox) keep(now time.Time, head mailHead, b []byte, done func(now time.Time, ok bool)) {
	if k := m.keeping[head.ID]; k != nil {
		if len(k.done) < m.o.Busy {
			k.done = append(k.done, done)
		} else {
			done(now, false)
		}
		return
	}
	h := &mail{mailHead: head}
	switch {
	case m.shelf.all[head.ID] != nil, m.shelf.removed(h), m.shelf.replaced(h):
		done(now, true)
		return
	case len(m.keeping) >= m.o.Busy, !m.shelf.admits(h):
		done(now, false)
		return
	}
	m.place(now, h)
	m.shelf.add(h) // so that what comes meanwhile finds the room taken
	m.keeping[h.ID] = &keeping{h, []func(time.Time, bool){done}}
	m.emit(KeepMail{ID: h.ID, Head: message.Marshal(&h.mailHead), Bytes: b})
}

// Kept is told what came of a KeepMail. Nobody heard of the mail before.
func (m *Mailbox) Kept(now time.Time, id message.MailID, err error) {
	k := m.keeping[id]
	if k == nil {
		return
	}
	delete(m.keeping, id)
	delete(m.sync.asked, id)
	switch {
	case err != nil:
		m.shelf.remove(k.mail)
	case k.mail.removal():
		k.mail.kept = true
		m.forget(m.shelf.bury(k.mail))
	case k.mail.Prekey:
		k.mail.kept = true
		m.forget(m.shelf.replace(k.mail))
	case m.shelf.removed(k.mail): // while it was written
		m.shelf.remove(k.mail)
		m.forget([]message.MailID{id})
	default:
		k.mail.kept = true
	}
	if k.mail.kept && !k.mail.strayed.IsZero() {
		m.passOn(now, k.mail)
	}
	for _, done := range k.done {
		done(now, err == nil)
	}
}

func (m *Mailbox) forget(ids []message.MailID) {
	if len(ids) > 0 {
		m.emit(ForgetMail{ids})
	}
}

// read gets mail from disk. It says whether it will.
func (m *Mailbox) read(ids []message.MailID, done func(now time.Time, items [][]byte)) bool {
	if len(m.reading) >= m.o.Busy {
		return false
	}
	m.reads++
	m.reading[m.reads] = done
	m.emit(ReadMail{m.reads, ids})
	return true
}

// Read is told what came of a ReadMail.
func (m *Mailbox) Read(now time.Time, token uint64, items [][]byte) {
	if done := m.reading[token]; done != nil {
		delete(m.reading, token)
		done(now, items)
	}
}

func (m *Mailbox) sweep(now time.Time) {
	var gone []message.MailID
	for id, h := range m.shelf.all {
		if h.kept && h.over(now) {
			gone = append(gone, id)
			m.shelf.remove(h)
		}
	}
	slices.SortFunc(gone, compareIDs)
	m.forget(gone)
	for slot := range m.members {
		if len(m.shelf.slots[slot]) == 0 {
			delete(m.members, slot)
		}
	}
	for id, since := range m.sync.asked {
		if now.Sub(since) > mailAskedFor {
			delete(m.sync.asked, id)
		}
	}
	m.after(now, sweepEvery, m.sweep)
}

func compareIDs(a, b message.MailID) int { return slices.Compare(a[:], b[:]) }

func (m *Mailbox) sweepRates(now time.Time) {
	m.rates.sweep(now, m.o.Requests)
	m.after(now, rateSweep, m.sweepRates)
}

// A mailWrite brings mail to all members of the owner's slot. The client is
// answered when a majority has it on disk, or when that can no longer be.
type mailWrite struct {
	put      message.PutMail
	mail     message.MailID
	slot     overlay.Slot
	from     linnet.NodeID
	id       uint16
	majority int
	copies   int
	waiting  int // members that did not answer the first time yet
	trying   int // members that may still get it
	full     bool
	answered bool
}

func (m *Mailbox) spread(now time.Time, from linnet.NodeID, id uint16, head mailHead, msg *message.PutMail) {
	if m.writes >= m.o.Busy {
		m.refuse(from, id, message.FailureTooMany, "busy")
		return
	}
	m.writes++
	slot := m.o.SlotOf(head.Owner)
	members := m.o.Seats.Members(slot)
	w := &mailWrite{
		put: message.PutMail{Mail: msg.Mail, Removal: msg.Removal, Prekey: msg.Prekey, Member: true}, mail: head.ID, slot: slot, from: from, id: id,
		majority: len(members)/2 + 1, waiting: len(members), trying: len(members),
	}
	if len(members) == 0 {
		m.settle(w)
		m.writes--
	}
	for _, node := range members {
		if node == m.o.Self.Node {
			m.keep(now, head, msg.Mail, func(now time.Time, ok bool) {
				w.full = w.full || !ok
				m.wrote(now, w, node, writeTries, ok)
			})
		} else {
			m.writeTo(now, w, node, 1)
		}
	}
}

func (m *Mailbox) writeTo(now time.Time, w *mailWrite, node linnet.NodeID, try int) {
	m.request(now, node, &w.put, memberWait, func(now time.Time, reply message.Message) {
		stored, ok := reply.(*message.MailStored)
		if f, refused := reply.(*message.Failure); refused && f.Code == message.FailureTooMany {
			w.full = true
		}
		m.wrote(now, w, node, try, ok && stored.Mail == w.mail)
	})
}

// wrote is told how a member answered.
func (m *Mailbox) wrote(now time.Time, w *mailWrite, node linnet.NodeID, try int, ok bool) {
	if try == 1 || node == m.o.Self.Node {
		w.waiting--
	}
	again := false
	if ok {
		w.copies++
	} else if again = try < writeTries; again {
		m.after(now, writeAgain, func(now time.Time) {
			if slices.Contains(m.o.Seats.Members(w.slot), node) {
				m.writeTo(now, w, node, try+1)
			} else {
				m.wrote(now, w, node, writeTries, false)
			}
		})
	}
	m.settle(w)
	if !again {
		if w.trying--; w.trying == 0 {
			m.writes--
		}
	}
}

func (m *Mailbox) settle(w *mailWrite) {
	switch {
	case w.answered:
		return
	case w.copies >= w.majority:
		m.emit(overlay.Respond{To: w.from, ID: w.id, Message: &message.MailStored{Mail: w.mail, Copies: uint32(w.copies)}})
	case w.waiting == 0 && w.full:
		m.refuse(w.from, w.id, message.FailureTooMany, "the mailbox is full")
	case w.waiting == 0:
		m.refuse(w.from, w.id, message.FailureUnavailable, "too few members of the slot answer")
	default:
		return
	}
	w.answered = true
}

const (
	maxMailList  = 256
	maxMailBatch = MaxItem // bytes of the items of an answer
)

func (m *Mailbox) receivedAsk(now time.Time, from linnet.NodeID, id uint16, msg *message.AskMail) {
	o, err := OpenMailOrder(m.o.Trust, msg.Order, now)
	if err != nil || o.Action == MailRemove || !msg.Member && o.Node != from {
		m.refuse(from, id, message.FailureInvalid, "not a valid order of yours")
		return
	}
	answer := func(_ time.Time, batch *message.MailBatch) {
		if batch == nil {
			m.refuse(from, id, message.FailureUnavailable, "too few members of the slot answer")
		} else {
			m.emit(overlay.Respond{To: from, ID: id, Message: batch})
		}
	}
	if msg.Member {
		m.ownMail(now, o, answer)
		return
	}
	if m.asks >= m.o.Busy {
		m.refuse(from, id, message.FailureTooMany, "busy")
		return
	}
	m.asks++
	members := slices.Clone(m.o.Seats.Members(m.o.SlotOf(o.Owner)))
	done := func(now time.Time, batch *message.MailBatch) {
		m.asks--
		answer(now, batch)
	}
	if o.Action == MailList {
		m.listFrom(now, o, members, done)
	} else {
		m.fetchFrom(now, o, members, false, done)
	}
}

// ownMail answers an order from this member's disk; nil: it cannot.
func (m *Mailbox) ownMail(now time.Time, o *MailOrder, done func(now time.Time, batch *message.MailBatch)) {
	items := m.shelf.list(o.Owner, o.Node)
	if o.Action == MailList {
		batch := new(message.MailBatch)
		for _, h := range items[:min(len(items), maxMailList)] {
			batch.Entries = append(batch.Entries, message.MailEntry{Mail: h.ID, From: h.From, Time: h.Time, Size: h.Size})
		}
		done(now, batch)
		return
	}
	var ids []message.MailID
	size := 0
	for _, h := range items {
		if slices.Contains(o.IDs, h.ID) && size+int(h.Size) <= maxMailBatch {
			size += int(h.Size)
			ids = append(ids, h.ID)
		}
	}
	if len(ids) == 0 {
		done(now, new(message.MailBatch))
	} else if !m.read(ids, func(now time.Time, items [][]byte) { done(now, &message.MailBatch{Items: items}) }) {
		done(now, nil)
	}
}

// from asks one member, which may be this one.
func (m *Mailbox) from(now time.Time, node linnet.NodeID, o *MailOrder, done func(now time.Time, batch *message.MailBatch)) {
	if node == m.o.Self.Node {
		m.ownMail(now, o, done)
		return
	}
	m.request(now, node, &message.AskMail{Order: o.raw, Member: true}, memberWait, func(now time.Time, reply message.Message) {
		batch, _ := reply.(*message.MailBatch)
		done(now, batch)
	})
}

// listFrom makes the union of what all members have. It counts only if so many
// answered that what a majority wrote cannot be missed. What most of them have
// comes first: a liar's inventions push nothing out.
func (m *Mailbox) listFrom(now time.Time, o *MailOrder, members []linnet.NodeID, done func(time.Time, *message.MailBatch)) {
	waiting, answers := len(members), 0
	union := make(mailUnion)
	finish := func(now time.Time) {
		if certain := len(members) - len(members)/2; answers < certain || answers == 0 {
			done(now, nil)
		} else {
			done(now, &message.MailBatch{Entries: union.entries(1)})
		}
	}
	if waiting == 0 {
		finish(now)
	}
	for _, node := range members {
		m.from(now, node, o, func(now time.Time, batch *message.MailBatch) {
			if batch != nil {
				answers++
				union.add(batch.Entries)
			}
			if waiting--; waiting == 0 {
				finish(now)
			}
		})
	}
}

// mailUnion counts who has an entry.
type mailUnion map[message.MailEntry]int

func (u mailUnion) add(entries []message.MailEntry) {
	for _, e := range entries[:min(len(entries), maxMailList)] {
		u[e]++
	}
}

// entries are those that most have, and of these the oldest, each id once: as
// many as so many lists may hold.
func (u mailUnion) entries(lists int) []message.MailEntry {
	var entries []message.MailEntry
	for e := range u {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b message.MailEntry) int {
		return cmp.Or(cmp.Compare(u[b], u[a]), cmp.Compare(a.Time, b.Time), compareIDs(a.Mail, b.Mail),
			cmp.Compare(a.From, b.From), cmp.Compare(a.Size, b.Size))
	})
	seen := make(map[message.MailID]bool)
	entries = slices.DeleteFunc(entries, func(e message.MailEntry) bool {
		again := seen[e.Mail]
		seen[e.Mail] = true
		return again
	})
	return entries[:min(len(entries), lists*maxMailList)]
}

// fetchFrom asks one member after the other until one has something of what is
// asked for: the rest is asked for again.
func (m *Mailbox) fetchFrom(now time.Time, o *MailOrder, members []linnet.NodeID, answered bool, done func(time.Time, *message.MailBatch)) {
	if len(members) == 0 {
		if answered {
			done(now, new(message.MailBatch))
		} else {
			done(now, nil)
		}
		return
	}
	m.from(now, members[0], o, func(now time.Time, batch *message.MailBatch) {
		if batch != nil {
			answered = true
			items := wanted(batch.Items, o.IDs)
			if len(items) > 0 {
				done(now, &message.MailBatch{Items: items})
				return
			}
		}
		m.fetchFrom(now, o, members[1:], answered, done)
	})
}

// wanted are the items that have these ids, which nobody can make up.
func wanted(items [][]byte, ids []message.MailID) [][]byte {
	return slices.DeleteFunc(slices.Clone(items), func(b []byte) bool { return !slices.Contains(ids, mailIDOf(b)) })
}
