package directory_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// publish makes a prekey of a device and publishes it.
func (w *mailNetwork) publish(n *overlaytest.Node) (public, private []byte) {
	w.T.Helper()
	public, private, err := suite.Modern().NewPrekey()
	if err != nil {
		w.T.Fatal(err)
	}
	if d := w.ask(n, func(m mailer) directory.MailTicket { return m.PublishPrekey(w.Now, public, w.Now) }); d.Err != nil {
		w.T.Fatalf("publish: %v", d.Err)
	}
	return public, private
}

func (w *mailNetwork) prekeys(n *overlaytest.Node, user linnet.UserName) (publics [][]byte) {
	w.T.Helper()
	d := w.ask(n, func(m mailer) directory.MailTicket { return m.Prekeys(w.Now, user) })
	if d.Err != nil {
		w.T.Fatalf("prekeys: %v", d.Err)
	}
	for _, p := range d.Prekeys {
		publics = append(publics, p.Public)
	}
	return publics
}

func equal(a, b [][]byte) bool { return slices.EqualFunc(a, b, bytes.Equal) }

// Prekeys are found while their device is away, whatever becomes of a few members.
func TestPrekeys(t *testing.T) {
	w := newMailNetwork(t, 51, 12)
	alice, bob := w.user("alice"), w.user("bob")
	if got := w.prekeys(alice, "bob"); len(got) != 0 {
		t.Errorf("%d prekeys before there is one", len(got))
	}
	first, _ := w.publish(bob)
	w.put(alice, "bob", "a request", nil)
	w.Run(time.Minute)
	second, _ := w.publish(bob)
	w.Run(time.Second)
	if got := w.prekeys(alice, "bob"); !equal(got, [][]byte{second}) {
		t.Errorf("%d prekeys, or an old one (%v)", len(got), equal(got, [][]byte{first}))
	}
	if got := w.boxes(bob); !slices.Equal(got, []string{"a request"}) {
		t.Errorf("mail beside prekeys: %q", got)
	}
	members := w.ByID(alice.Machine.Attachments()[0]).Machine.Members(overlay.SlotOf("bob"))
	for _, id := range members {
		kept := 0
		for key := range w.ByID(id).Disk {
			if len(key) == len("mail ")+32 && key[:5] == "mail " {
				kept++
			}
		}
		if kept != 2 {
			t.Errorf("a member keeps %d things, want the item and the newest prekey", kept)
		}
	}
	bob.Kill()
	for _, id := range members[:4] { // each starts with what it had
		w.ByID(id).Kill()
		w.start(w.ByID(id))
	}
	w.Run(time.Minute)
	if got := w.prekeys(alice, "bob"); !equal(got, [][]byte{second}) {
		t.Errorf("%d prekeys after restarts", len(got))
	}
	if got := w.prekeys(alice, "nobody"); len(got) != 0 {
		t.Errorf("%d prekeys of nobody", len(got))
	}
}

// One supernode that knows none says nothing of those that do not answer.
func TestPrekeysOfSomeSupernodes(t *testing.T) {
	w := newMailNetwork(t, 53, 3)
	alice := w.user("alice")
	for _, tt := range []struct {
		second message.Message
		want   error
	}{
		{&message.Prekeys{}, nil},
		{nil, directory.ErrNoAnswer},
		{&message.Failure{Code: message.FailureTooMany, Text: "busy"}, directory.ErrNoAnswer},
	} {
		c := directory.NewMailClient(directory.MailClientOptions{Self: alice.Identity, Trust: w.Trust, Overlay: alice.Machine})
		ticket := c.Prekeys(w.Now, "bob")
		replies := []message.Message{&message.Prekeys{}, tt.second}
		for _, e := range c.Take() {
			r := e.(overlay.Request)
			if replies[0] == nil {
				c.Failed(w.Now, r.Token)
			} else {
				c.Replied(w.Now, r.Token, r.To, replies[0])
			}
			replies = replies[1:]
		}
		if len(replies) != 0 {
			t.Fatalf("%d supernodes were not asked", len(replies))
		}
		effects := c.Take()
		if d, ok := effects[len(effects)-1].(directory.MailDone); !ok || d.Ticket != ticket || len(d.Prekeys) != 0 || !errors.Is(d.Err, tt.want) {
			t.Errorf("the second says %v: %+v, want %v", tt.second, d, tt.want)
		}
	}
}

func TestPrekeyForged(t *testing.T) {
	w := overlaytest.New(t, 52)
	bob := w.Identity("bob", "device")
	sign := func(change func(p *directory.Prekey)) []byte {
		p := directory.Prekey{Certificate: bob.Certificate, Public: []byte("public"), Time: w.Now}
		change(&p)
		b, err := p.Sign(bob.Keys)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	if p, err := directory.OpenPrekey(w.Trust, sign(func(*directory.Prekey) {}), w.Now); err != nil || p.User != "bob" || p.Node != bob.Node {
		t.Fatalf("%+v, %v", p, err)
	}
	whole := sign(func(*directory.Prekey) {})
	damaged := bytes.Clone(whole)
	damaged[len(damaged)-1] ^= 1
	for name, b := range map[string][]byte{
		"damaged":          damaged,
		"another's":        sign(func(p *directory.Prekey) { p.Certificate = w.Identity("eve", "device").Certificate }),
		"a machine's":      sign(func(p *directory.Prekey) { p.Certificate = w.Identity("node:x", "device").Certificate }),
		"of the future":    sign(func(p *directory.Prekey) { p.Time = w.Now.Add(11 * time.Minute) }),
		"old":              sign(func(p *directory.Prekey) { p.Time = w.Now.Add(-directory.PrekeyFor - time.Second) }),
		"too long":         sign(func(p *directory.Prekey) { p.Public = make([]byte, 5000) }),
		"something else":   signItem(t, w, bob, "bob", "x", nil),
		"nothing":          nil,
		"half of it":       whole[:len(whole)/2],
		"with a byte more": append(bytes.Clone(whole), 0),
	} {
		if _, err := directory.OpenPrekey(w.Trust, b, w.Now); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// A letter is opened by those that it is for, and is what its sender wrote.
func TestLetter(t *testing.T) {
	w := overlaytest.New(t, 53)
	alice, s := w.Identity("alice", "device"), suite.Modern()
	public, private, err := s.NewPrekey()
	if err != nil {
		t.Fatal(err)
	}
	find := func(id suite.PrekeyID) []byte {
		if id == suite.PrekeyIDOf(public) {
			return private
		}
		return nil
	}
	letter := directory.Letter{To: "bob", ID: directory.LetterID{1}, Kind: directory.LetterContact, Time: w.Now, Content: []byte("hello")}
	box, err := letter.Seal(s, alice, public)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("a letter of 5 bytes for one device has %d", len(box))
	got, err := directory.OpenLetter(s, w.Trust, "bob", box, find, w.Now)
	letter.From, letter.Sender = "alice", alice.Node
	if err != nil || got.From != "alice" || got.Sender != alice.Node || got.ID != letter.ID || string(got.Content) != "hello" || got.Kind != letter.Kind {
		t.Errorf("%+v, %v", got, err)
	}
	if _, err := directory.OpenLetter(s, w.Trust, "carol", box, find, w.Now); err == nil {
		t.Error("passed on to somebody else")
	}
	if _, err := directory.OpenLetter(s, w.Trust, "bob", box, find, w.Now.Add(31*24*time.Hour)); err == nil {
		t.Error("good for ever")
	}
	if _, err := directory.OpenLetter(s, w.Trust, "bob", box, func(suite.PrekeyID) []byte { return nil }, w.Now); !errors.Is(err, suite.ErrExpired) {
		t.Errorf("without a prekey: %v", err)
	}
	forged := letter
	box, err = forged.Seal(s, overlay.Identity{Certificate: w.Identity("eve", "device").Certificate, Keys: alice.Keys}, public)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := directory.OpenLetter(s, w.Trust, "bob", box, find, w.Now); err == nil {
		t.Error("signed by another device")
	}
}

// The vector of docs/protocol.md: a prekey of 32 bytes, from the machine of alice in the tests' network.
func TestPrekeyBytes(t *testing.T) {
	w := overlaytest.New(t, 54)
	alice := w.Identity("alice", "device")
	p := directory.Prekey{Certificate: alice.Certificate, Public: bytes.Repeat([]byte{7}, 32), Time: time.UnixMilli(1772000000000)}
	b, err := p.Sign(alice.Keys)
	if err != nil {
		t.Fatal(err)
	}
	body := "41 03 0400 " + hex.EncodeToString(append([]byte{byte(len(alice.Certificate)&0x7f | 0x80), byte(len(alice.Certificate) >> 7)}, alice.Certificate...)) +
		" 0401 20 0707070707070707070707070707070707070707070707070707070707070707 0102 0000019c936e3800"
	want, err := hex.DecodeString(string(bytes.ReplaceAll([]byte(body), []byte(" "), nil)))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(b, want) {
		t.Errorf("%x\nlacks\n%x", b, want)
	}
}

// FuzzOpenLetter reads what anybody may have left: prekeys, letters, and what is inside of these.
func FuzzOpenLetter(f *testing.F) {
	w := overlaytest.New(f, 55)
	alice, s := w.Identity("alice", "device"), suite.Modern()
	public, private, err := s.NewPrekey()
	if err != nil {
		f.Fatal(err)
	}
	letter := directory.Letter{To: "bob", Kind: directory.LetterContact, Time: w.Now, Content: []byte("hello")}
	box, _ := letter.Seal(s, alice, public)
	f.Add(box)
	p := directory.Prekey{Certificate: alice.Certificate, Public: public, Time: w.Now}
	signed, _ := p.Sign(alice.Keys)
	f.Add(signed)
	f.Add(message.Marshal(&message.AskPrekeys{User: "bob"}))
	find := func(suite.PrekeyID) []byte { return private }
	f.Fuzz(func(t *testing.T, b []byte) {
		directory.OpenPrekey(w.Trust, b, w.Now)
		directory.OpenLetter(s, w.Trust, "bob", b, find, w.Now)
		if inside, err := suite.Seal(s, suite.ForLetter, b, public); err == nil {
			directory.OpenLetter(s, w.Trust, "bob", inside, find, w.Now)
		}
	})
}
