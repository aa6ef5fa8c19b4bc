package directory_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

func testAddrs(n *overlaytest.Node) []netip.AddrPort { return []netip.AddrPort{n.Addr} }

// FuzzReceived hands the machines any commands of anybody, asked for or not.
func FuzzReceived(f *testing.F) {
	w := newNetwork(f, 41)
	sn := w.supernodes(3)[0]
	alice := w.online("alice")
	record := sn.Disk["record "+alice.ID().String()]
	absence := directory.Absence{User: "bob", Slot: overlay.SlotOf("bob"), Time: w.Now, Entry: sn.Machine.Entry()}
	absent, _ := absence.Sign(sn.Identity.Keys)
	card := signCard(f, alice.Identity, directory.Card{User: "alice", Edition: 7, Time: w.Now, Text: maria})
	for _, m := range []message.Message{
		&message.StoreRecord{Record: record}, &message.StoreRecord{Record: record, Member: true}, &message.Stored{Sequence: 1<<64 - 1, Copies: 1 << 31},
		&message.Search{Terms: []message.Term{{Text: "bob", Field: message.FieldUser}}, Member: true},
		&message.SearchResult{Hits: []message.Hit{{Record: record, User: "bob"}}, Absent: [][]byte{absent, absent}},
		&message.Failure{Code: message.FailureTooMany},
		&message.StoreCard{Card: card}, &message.StoreCard{Card: card, Member: true}, &message.CardStored{Edition: 1<<64 - 1, Full: []uint32{1 << 31}, Newer: card},
		&message.SearchCards{Text: "maria"}, &message.SearchCards{Text: "maria", Part: 7, Rank: 1 << 31, After: "bob", Member: true},
		&message.AskCards{Users: []message.KnownCard{{User: "alice"}, {User: "bob", Edition: 1<<64 - 1}}},
		&message.AskCards{Users: []message.KnownCard{{User: "alice"}}, Text: "maria", Member: true},
		&message.Cards{Cards: [][]byte{card, card, nil}, More: true, Partial: true, Rank: 1 << 31, Last: "alice"},
	} {
		for who := range uint8(4) {
			f.Add(who, message.Append(nil, message.Command{ID: 1, Body: m}))
		}
	}
	f.Fuzz(func(t *testing.T, who uint8, b []byte) {
		from := linnet.NodeID{who}
		if int(who) < len(w.Nodes) {
			from = w.Nodes[who].ID()
		}
		s, d, p := w.shelves[sn], w.devices[alice], w.pagers[alice]
		p.Search(w.Now, "maria", directory.Place{})
		p.Set(w.Now, &maria)
		p.Tick(w.Now)
		d.Lookup(w.Now, "bob", true)
		d.Publish(w.Now, directory.Status{})
		d.Tick(w.Now)
		for len(b) > 0 {
			c, rest, err := message.Parse(b, message.Session)
			b = rest
			if err != nil {
				continue
			}
			s.Received(w.Now, from, c.ID, c.Body)
			for _, e := range slices.Concat(s.Take(), d.Take(), p.Take()) {
				switch e := e.(type) {
				case overlay.Request: // whatever was asked, this is the answer
					s.Replied(w.Now, e.Token, e.To, c.Body)
					d.Replied(w.Now, e.Token, e.To, c.Body)
					p.Replied(w.Now, e.Token, e.To, c.Body)
				case directory.ReadRecords:
					s.Read(w.Now, e.Token, [][]byte{record, b})
				}
			}
		}
		s.Tick(w.Now.Add(time.Minute))
		d.Tick(w.Now.Add(time.Minute))
		p.Tick(w.Now.Add(time.Minute))
		s.Take()
		d.Take()
		p.Take()
	})
}

// Whatever a crowd does, the tables stay within their limits.
func TestBounds(t *testing.T) {
	w := overlaytest.New(t, 42)
	sn := w.Supernodes(1)[0]
	other := w.Identity("node:other", "device")
	seats := crowded{sn.Machine, other.Node}
	s := directory.NewSupernode(directory.SupernodeOptions{
		Self: sn.Identity, Trust: w.Trust, Seats: seats, Records: 10, Busy: 8, Cards: 9, PerSlot: 7,
	})
	s.Start(w.Now, nil, nil)
	for i := range 40 {
		id := w.Identity(linnet.UserName(fmt.Sprint("crowd", i)), "device")
		r := testRecord(w, id, 1)
		b, err := r.Sign(id.Keys)
		if err != nil {
			t.Fatal(err)
		}
		s.Received(w.Now, id.Node, 1, &message.StoreRecord{Record: b})
		s.Received(w.Now, other.Node, 1, &message.StoreRecord{Record: b, Member: true})
		card := signCard(t, id, directory.Card{User: linnet.UserName(fmt.Sprint("crowd", i)), Edition: 1, Time: w.Now, Text: maria})
		s.Received(w.Now, id.Node, 1, &message.StoreCard{Card: card})
		s.Received(w.Now, other.Node, 1, &message.StoreCard{Card: card, Member: true})
		s.Received(w.Now, id.Node, 1, &message.SearchCards{Text: fmt.Sprint("maria", i)})
		s.Received(w.Now, id.Node, 1, &message.AskCards{Users: []message.KnownCard{{User: "alice"}}})
		for j := range 10 {
			s.Received(w.Now, id.Node, 1, &message.Search{Terms: []message.Term{{Text: fmt.Sprint("nobody", j, "x", i), Field: message.FieldUser}}})
		}
	}
	sizes := s.Sizes()
	for table, limit := range map[string]int{"records": 10, "writes": 8, "lookups": 8, "rates": 8, "cards": 9, "searches": 8, "stores": 8, "asks": 8, "reading": 0} {
		if sizes[table] != limit {
			t.Errorf("%s: %d, limit %d", table, sizes[table], limit)
		}
	}
	// Nothing is left when nobody asks any more.
	for range 300 {
		w.Run(time.Second)
		s.Tick(w.Now)
		s.Take()
	}
	sizes = s.Sizes()
	for _, table := range []string{"writes", "lookups", "rates", "finds", "cached", "card moves", "pending", "done", "asking"} {
		if sizes[table] != 0 {
			t.Errorf("%s: %d are left", table, sizes[table])
		}
	}
	if sizes["alarms"] > 4 {
		t.Errorf("%d alarms are left", sizes["alarms"])
	}

	d := directory.NewClient(directory.ClientOptions{Self: other, Trust: w.Trust, Overlay: seats})
	for range 1000 {
		d.Lookup(w.Now, "bob", false)
	}
	busy := 0
	for _, e := range d.Take() {
		if f, ok := e.(directory.Found); ok && f.Err == directory.ErrBusy {
			busy++
		}
	}
	if busy != 1000-256 {
		t.Errorf("%d of 1000 lookups at once were refused", busy)
	}
}

// crowded are seats where everybody is a client, and another member never answers.
type crowded struct {
	*overlay.Machine
	mute linnet.NodeID
}

func (c crowded) IsClient(linnet.NodeID) bool { return true }
func (c crowded) IsSupernode(n linnet.NodeID) bool {
	return n == c.mute || c.Machine.IsSupernode(n)
}
func (c crowded) Members(s overlay.Slot) []linnet.NodeID {
	return append([]linnet.NodeID{c.mute}, c.Machine.Members(s)...)
}
