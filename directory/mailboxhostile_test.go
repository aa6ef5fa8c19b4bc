package directory_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func signItem(t testing.TB, w *overlaytest.World, from overlay.Identity, to linnet.UserName, box string, pass []byte) []byte {
	t.Helper()
	i := directory.Item{Certificate: from.Certificate, Owner: to, Time: w.Now, Box: []byte(box), Pass: pass}
	b, err := i.Sign(from.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func signOrder(t testing.TB, w *overlaytest.World, by overlay.Identity, action directory.MailAction, ids ...message.MailID) []byte {
	t.Helper()
	o := directory.MailOrder{Certificate: by.Certificate, Action: action, IDs: ids, Time: w.Now}
	b, err := o.Sign(by.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestItemForged(t *testing.T) {
	w := overlaytest.New(t, 1)
	alice, bob, eve := w.Identity("alice", "laptop"), w.Identity("bob", "phone"), w.Identity("eve", "tablet")
	machine := w.Identity("node:s1", "device")
	pass, err := directory.MailPass(bob, "alice")
	if err != nil {
		t.Fatal(err)
	}
	good := signItem(t, w, alice, "bob", "hello", pass)
	i, err := directory.OpenItem(w.Trust, good, w.Now)
	if err != nil || i.From != "alice" || i.Sender != alice.Node || i.Owner != "bob" || !i.Contact || string(i.Box) != "hello" {
		t.Fatalf("%+v, %v", i, err)
	}
	if i, err := directory.OpenItem(w.Trust, signItem(t, w, alice, "bob", "hello", nil), w.Now); err != nil || i.Contact {
		t.Errorf("without a pass: %+v, %v", i, err)
	}
	if i, err := directory.OpenItem(w.Trust, signItem(t, w, bob, "bob", "hello", nil), w.Now); err != nil || !i.Contact {
		t.Errorf("to oneself: %+v, %v", i, err)
	}
	for at := range good {
		bad := bytes.Clone(good)
		bad[at] ^= 0x20
		if _, err := directory.OpenItem(w.Trust, bad, w.Now); err == nil {
			t.Errorf("byte %d changed, and it opens", at)
		}
	}
	notHers, _ := directory.MailPass(eve, "alice")
	for name, bad := range map[string][]byte{
		"another's key":      signItem(t, w, overlay.Identity{Certificate: alice.Certificate, Keys: eve.Keys}, "bob", "x", nil),
		"another's pass":     signItem(t, w, eve, "bob", "x", pass),
		"pass of a stranger": signItem(t, w, alice, "bob", "x", notHers),
		"no user":            signItem(t, w, alice, "node:s1", "x", nil),
		"not a name":         signItem(t, w, alice, "B O B", "x", nil),
		"from a machine":     signItem(t, w, machine, "bob", "x", nil),
		"longer":             append(bytes.Clone(good), 0),
		"empty":              nil,
	} {
		if _, err := directory.OpenItem(w.Trust, bad, w.Now); err == nil {
			t.Errorf("%s: it opens", name)
		}
	}
	for _, at := range []time.Duration{-time.Hour, directory.MailKeepFor + time.Hour} {
		if _, err := directory.OpenItem(w.Trust, good, w.Now.Add(at)); err == nil {
			t.Errorf("it opens after %v", at)
		}
	}
	// Its sender's certificate may have expired since: it was good when the item was signed.
	late := overlaytest.New(t, 1)
	late.Now = w.Now.AddDate(0, 0, 29)
	if _, err := directory.OpenItem(w.Trust, signItem(t, late, alice, "bob", "x", nil), w.Now.AddDate(0, 0, 40)); err != nil {
		t.Errorf("an item of an expired certificate: %v", err)
	}
	late.Now = w.Now.AddDate(0, 0, 31)
	if _, err := directory.OpenItem(w.Trust, signItem(t, late, alice, "bob", "x", nil), late.Now); !errors.Is(err, suite.ErrExpired) {
		t.Errorf("an item by an expired certificate: %v", err)
	}
}

func TestMailOrderForged(t *testing.T) {
	w := overlaytest.New(t, 1)
	bob, eve := w.Identity("bob", "phone"), w.Identity("eve", "tablet")
	ids := make([]message.MailID, directory.MaxMailIDs)
	for name, tt := range map[string]struct {
		order []byte
		after time.Duration
		ok    bool
	}{
		"list":               {signOrder(t, w, bob, directory.MailList), 0, true},
		"list, old":          {signOrder(t, w, bob, directory.MailList), time.Hour, false},
		"list of ids":        {signOrder(t, w, bob, directory.MailList, ids...), 0, false},
		"fetch":              {signOrder(t, w, bob, directory.MailFetch, ids...), 0, true},
		"fetch of nothing":   {signOrder(t, w, bob, directory.MailFetch), 0, false},
		"fetch of too much":  {signOrder(t, w, bob, directory.MailFetch, append(ids, ids...)...), 0, false},
		"removal":            {signOrder(t, w, bob, directory.MailRemove, ids...), 0, true},
		"removal, old":       {signOrder(t, w, bob, directory.MailRemove, ids...), time.Hour, true},
		"removal, very old":  {signOrder(t, w, bob, directory.MailRemove, ids...), directory.MailKeepFor + time.Hour, false},
		"unknown":            {signOrder(t, w, bob, 3, ids...), 0, false},
		"by another's key":   {signOrder(t, w, overlay.Identity{Certificate: bob.Certificate, Keys: eve.Keys}, directory.MailList), 0, false},
		"an item":            {signItem(t, w, bob, "bob", "x", nil), 0, false},
		"something enormous": {make([]byte, 1<<16), 0, false},
	} {
		o, err := directory.OpenMailOrder(w.Trust, tt.order, w.Now.Add(tt.after))
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && (o.Owner != "bob" || o.Node != bob.Node) {
			t.Errorf("%s: of %s", name, o.Owner)
		}
	}
}

// Who has no business here is refused, and nothing of it is kept.
func TestMailOfStrangers(t *testing.T) {
	w := newMailNetwork(t, 2, 1)
	alice := w.user("alice")
	eve := w.Identity("eve", "tablet")
	sn := w.Nodes[0]
	k := w.keepers[sn]
	item, others := signItem(t, w.World, eve, "bob", "x", nil), signItem(t, w.World, alice.Identity, "bob", "x", nil)
	list := signOrder(t, w.World, alice.Identity, directory.MailList)
	for name, tt := range map[string]struct {
		from linnet.NodeID
		msg  message.Message
		code uint32
	}{
		"put by who is not attached":   {eve.Node, &message.PutMail{Mail: item}, message.FailureDenied},
		"put as a member":              {eve.Node, &message.PutMail{Mail: item, Member: true}, message.FailureDenied},
		"offer":                        {alice.ID(), &message.OfferMail{Mail: make([]message.MailID, 10)}, message.FailureDenied},
		"ask as a member":              {alice.ID(), &message.AskMail{Order: list, Member: true}, message.FailureDenied},
		"put of somebody else's":       {alice.ID(), &message.PutMail{Mail: item}, message.FailureInvalid},
		"ask with a replayed order":    {alice.ID(), &message.AskMail{Order: signOrder(t, w.World, eve, directory.MailList)}, message.FailureInvalid},
		"an item as a removal":         {alice.ID(), &message.PutMail{Mail: others, Removal: true}, message.FailureInvalid},
		"a list as a removal":          {alice.ID(), &message.PutMail{Mail: list, Removal: true}, message.FailureInvalid},
		"a removal as a question":      {alice.ID(), &message.AskMail{Order: signOrder(t, w.World, alice.Identity, directory.MailRemove, message.MailID{})}, message.FailureInvalid},
		"nothing":                      {alice.ID(), &message.PutMail{}, message.FailureInvalid},
		"an enormous item of nonsense": {alice.ID(), &message.PutMail{Mail: make([]byte, 1<<16)}, message.FailureInvalid},
	} {
		if !k.Received(w.Now, tt.from, 1, tt.msg) {
			t.Fatalf("%s: not taken", name)
		}
		effects := k.Take()
		if len(effects) != 1 {
			t.Fatalf("%s: %+v", name, effects)
		}
		r, _ := effects[0].(overlay.Respond)
		f, _ := r.Message.(*message.Failure)
		if f == nil || f.Code != tt.code || r.To != tt.from {
			t.Errorf("%s: %+v", name, effects[0])
		}
	}
	refused := 0
	for range 100 {
		k.Received(w.Now, alice.ID(), 1, &message.AskMail{Order: list})
		for _, e := range k.Take() {
			if f, ok := e.(overlay.Respond).Message.(*message.Failure); ok && f.Code == message.FailureTooMany {
				refused++
			}
		}
	}
	if refused < 70 {
		t.Errorf("%d of 100 questions at once were refused", refused)
	}
}

// Whatever a crowd does, and however slow the disk is, the tables stay within
// their limits, and nothing is left when nobody asks any more.
func TestMailBounds(t *testing.T) {
	w := overlaytest.New(t, 42)
	sn := w.Supernodes(1)[0]
	other := w.Identity("node:other", "device")
	m := directory.NewMailbox(directory.MailboxOptions{
		Self: sn.Identity, Trust: w.Trust, Seats: crowded{sn.Machine, other.Node}, Items: 10, Busy: 4,
	})
	m.Start(w.Now, nil)
	largest := make(map[string]int)
	measure := func() {
		for table, n := range m.Sizes() {
			largest[table] = max(largest[table], n)
		}
	}
	var waiting []message.MailID
	for i := range 60 {
		id := w.Identity(linnet.UserName(fmt.Sprint("crowd", i)), "device")
		b := signItem(t, w, id, linnet.UserName(fmt.Sprint("owner", i)), "x", nil)
		m.Received(w.Now, id.Node, 1, &message.PutMail{Mail: b})
		m.Received(w.Now, other.Node, 1, &message.PutMail{Mail: b, Member: true})
		m.Received(w.Now, id.Node, 1, &message.AskMail{Order: signOrder(t, w, id, directory.MailList)})
		offer := &message.OfferMail{Mail: make([]message.MailID, 300)}
		for j := range offer.Mail {
			offer.Mail[j] = message.MailID{byte(i), byte(j), byte(j >> 8)}
		}
		m.Received(w.Now, other.Node, 1, offer)
		measure()
		for _, e := range m.Take() {
			if e, ok := e.(directory.KeepMail); ok {
				waiting = append(waiting, e.ID)
			}
		}
		if i%10 == 9 {
			for _, id := range waiting {
				m.Kept(w.Now, id, nil)
			}
			waiting = nil
		}
	}
	for table, limit := range map[string]int{"mail": 10, "keeping": 4, "writes": 4, "asks": 4, "asked": 10} {
		if largest[table] != limit {
			t.Errorf("%s: %d, limit %d", table, largest[table], limit)
		}
	}
	if n := largest["rates"]; n > 16*4 {
		t.Errorf("%d rates", n)
	}
	for range 300 {
		w.Run(time.Second)
		m.Tick(w.Now)
		for _, e := range m.Take() {
			if e, ok := e.(directory.ReadMail); ok {
				m.Read(w.Now, e.Token, nil)
			}
		}
	}
	for table, n := range m.Sizes() {
		if limit := map[string]int{"mail": 10, "alarms": 6}[table]; n > limit {
			t.Errorf("%s: %d are left", table, n)
		}
	}
}

// FuzzMail hands both machines any commands of anybody, asked for or not.
func FuzzMail(f *testing.F) {
	w := newMailNetwork(f, 41, 3)
	alice := w.user("alice")
	sn := w.Nodes[0]
	item := signItem(f, w.World, alice.Identity, "alice", "x", nil)
	prekey, err := (&directory.Prekey{Certificate: alice.Identity.Certificate, Public: []byte("public"), Time: w.Now}).Sign(alice.Identity.Keys)
	if err != nil {
		f.Fatal(err)
	}
	for _, m := range []message.Message{
		&message.PutMail{Mail: item}, &message.PutMail{Mail: item, Member: true}, &message.MailStored{Copies: 1 << 31},
		&message.PutMail{Mail: signOrder(f, w.World, alice.Identity, directory.MailRemove, message.MailID{1}), Removal: true, Member: true},
		&message.AskMail{Order: signOrder(f, w.World, alice.Identity, directory.MailList)},
		&message.AskMail{Order: signOrder(f, w.World, alice.Identity, directory.MailFetch, message.MailID{1}), Member: true},
		&message.MailBatch{Items: [][]byte{item}, Entries: []message.MailEntry{{From: "x"}, {From: "x"}}},
		&message.OfferMail{Mail: []message.MailID{{1}, {1}}}, &message.MailWanted{Mail: []message.MailID{{1}, {1}}},
		&message.Failure{Code: message.FailureTooMany},
		&message.PutMail{Mail: prekey, Prekey: true}, &message.PutMail{Mail: prekey, Prekey: true, Member: true},
		&message.AskPrekeys{User: "alice"}, &message.AskPrekeys{User: "alice", Member: true}, &message.Prekeys{Prekeys: [][]byte{prekey, prekey}},
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
		now := w.Now // and new machines each time: an input does what it does
		k := directory.NewMailbox(directory.MailboxOptions{Self: sn.Identity, Trust: w.Trust, Seats: sn.Machine})
		k.Start(now, nil)
		c := directory.NewMailClient(directory.MailClientOptions{Self: alice.Identity, Trust: w.Trust, Overlay: alice.Machine})
		c.List(now)
		c.Fetch(now, []message.MailID{{1}})
		c.Prekeys(now, "alice")
		for len(b) > 0 {
			cmd, rest, err := message.Parse(b, message.Session)
			b = rest
			if err != nil {
				continue
			}
			k.Received(now, from, cmd.ID, cmd.Body)
			for _, e := range append(k.Take(), c.Take()...) {
				switch e := e.(type) {
				case overlay.Request: // whatever was asked, this is the answer
					k.Replied(now, e.Token, e.To, cmd.Body)
					c.Replied(now, e.Token, e.To, cmd.Body)
				case directory.KeepMail:
					k.Kept(now, e.ID, nil)
				case directory.ReadMail:
					k.Read(now, e.Token, [][]byte{item})
				}
			}
		}
		for range 5 {
			now = now.Add(20 * time.Second)
			k.Tick(now)
			c.Tick(now)
			k.Take()
			c.Take()
		}
	})
}
