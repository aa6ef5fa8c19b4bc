package presence

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The vectors of docs/protocol.md.
func TestStatementBytes(t *testing.T) {
	key := bytes.Repeat([]byte{0x4b}, contactKeySize)
	tests := []struct {
		name string
		s    statement
		wire string
	}{
		{"request", statement{Stance: 1, Since: 1772000000000, Version: 1772000000001, Key: key, Pass: []byte{0xaa}, Message: "hi"},
			"41 06 0000 01 0101 0000019c936e3800 0102 0000019c936e3801 0404 20 4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b4b 0405 01 aa 0306 686900"},
		{"no", statement{Stance: 2, Since: 1772000000002, Version: 1772000000003, Heard: []heard{{linnet.NodeID{1}, 1772000000001}}, Answers: 1772000000000},
			"41 05 0000 02 0101 0000019c936e3802 0102 0000019c936e3803 0503 41 02 0400 10 01000000000000000000000000000000 0101 0000019c936e3801 0109 0000019c936e3800"},
		{"blocked, for an own device", statement{Stance: 3, Since: 1772000000004, Version: 1772000000004, About: "eve"},
			"41 04 0000 03 0101 0000019c936e3804 0102 0000019c936e3804 0307 65766500"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if got := message.Marshal(&tt.s); !bytes.Equal(got, wire) {
				t.Errorf("Marshal = %x\nwant      %x", got, wire)
			}
			got, ok := openStatement(wire)
			if !ok || !bytes.Equal(message.Marshal(&got), wire) {
				t.Errorf("openStatement = %+v, %v", got, ok)
			}
		})
	}
	for name, s := range map[string]statement{
		"no version":       {Stance: 1},
		"a block":          {Stance: 3, Version: 1},
		"a short key":      {Stance: 1, Version: 1, Key: key[1:]},
		"a long message":   {Stance: 1, Version: 1, Message: strings.Repeat("x", linnet.MaxRequest+1)},
		"a large pass":     {Stance: 1, Version: 1, Pass: make([]byte, maxPassSize+1)},
		"too many devices": {Stance: 1, Version: 1, Heard: make([]heard, maxDevices+1)},
		"about nobody":     {Stance: 1, Version: 1, About: "No Body"},
	} {
		if _, ok := openStatement(message.Marshal(&s)); ok {
			t.Errorf("%s: taken", name)
		}
	}
}

// testMachine is alice's, with bob as a contact whose device is carol's as well, for hostile inputs.
func testMachine(t testing.TB, s suite.SealSuite) (m *Machine, w *overlaytest.World, bob overlay.Identity, public []byte) {
	t.Helper()
	w = overlaytest.New(t, 1)
	bob = w.Identity("bob", "device")
	public, private, err := s.NewPrekey()
	if err != nil {
		t.Fatal(err)
	}
	r := relation{Stance: uint32(stanceWant), Since: 1, Version: 2, Told: 2, Synced: 1, Theirs: []theirs{{
		Node: bob.Node, Version: 3, Stance: uint32(stanceWant), Since: 1, Heard: 2, Signing: bob.Keys.Public().Signing,
		Key: bytes.Repeat([]byte{7}, contactKeySize),
	}}}
	m, err = New(w.Now, Options{
		Self: w.Identity("alice", "device"), User: "alice", Suite: s, Trust: w.Trust, Rand: rand.New(rand.NewPCG(1, 1)),
	}, Kept{
		People:  []KeptPerson{{User: "bob", State: linnet.Approved, Relation: message.Marshal(&r)}},
		Prekeys: []Prekey{{Public: public, Private: private, Made: w.Now, Published: w.Now}},
	})
	if err != nil {
		t.Fatal(err)
	}
	m.prekeys = []Prekey{{Public: public, Private: private, Made: w.Now, Published: w.Now}}
	m.Attached(w.Now, true)
	m.Published(w.Now)
	m.Take()
	return m, w, bob, public
}

// bobsNotice is one as bob's device makes it, under his key.
func bobsNotice(t testing.TB, bob overlay.Identity, body noticeBody) []byte {
	t.Helper()
	b := Machine{o: Options{Self: bob}, self: own{Key: bytes.Repeat([]byte{7}, contactKeySize)}}
	return b.sealNotice(&body)
}

func TestNotice(t *testing.T) {
	m, w, bob, _ := testMachine(t, suite.Modern())
	good := noticeBody{Time: ms(w.Now), Presence: uint32(linnet.Away), Since: ms(w.Now), Mood: "out"}
	body := message.Marshal(&noticeBody{Time: 1772000000000, Presence: 2, Mood: "out", Answer: true})
	if want := unhex(t, "41 04 0100 0000019c936e3800 0001 02 0303 6f757400 0004 01"); !bytes.Equal(body, want) {
		t.Errorf("body %x, want %x", body, want)
	}
	notice := bobsNotice(t, bob, good)
	t.Logf("a notice with a mood of 3 bytes has %d", len(notice))
	signed := func(change func(b *noticeBody)) []byte {
		b := good
		change(&b)
		return bobsNotice(t, bob, b)
	}
	damaged := bytes.Clone(notice)
	damaged[len(damaged)-1] ^= 1
	for name, b := range map[string][]byte{
		"damaged":             damaged,
		"short":               notice[:20],
		"nothing":             nil,
		"too long":            make([]byte, maxNotice+1),
		"old":                 signed(func(b *noticeBody) { b.Time -= uint64((noticeSkew + time.Second).Milliseconds()) }),
		"of the future":       signed(func(b *noticeBody) { b.Time += uint64((noticeSkew + time.Second).Milliseconds()) }),
		"a novel":             signed(func(b *noticeBody) { b.Mood = strings.Repeat("x", linnet.MaxMood+1) }),
		"a state of tomorrow": signed(func(b *noticeBody) { b.Presence = 9 }),
		"signed by another":   bobsNotice(t, w.Identity("carol", "device"), good),
	} {
		m.Noticed(w.Now, bob.Node, b)
		if got := m.contact(m.people["bob"]).Presence; got != linnet.Offline {
			t.Errorf("%s: he is %v", name, got)
		}
	}
	m.Noticed(w.Now, w.Identity("carol", "device").Node, notice)
	if got := m.contact(m.people["bob"]).Presence; got != linnet.Offline {
		t.Errorf("from another device: he is %v", got)
	}
	m.Noticed(w.Now, bob.Node, notice)
	if got := m.contact(m.people["bob"]); got.Presence != linnet.Away || got.Mood != "out" {
		t.Errorf("a good one: %+v", got)
	}
	for i := range 100 { // and a flood of them
		m.Noticed(w.Now, bob.Node, signed(func(b *noticeBody) { b.Time, b.Answer = ms(w.Now)+uint64(i), true }))
	}
	if n := m.notices.Waiting(); n > noticeBurst {
		t.Errorf("%d answers to a flood wait", n)
	}
}

// Front ends are told in JSON, in which times end with the year 9999.
func TestTimesOfOthers(t *testing.T) {
	if _, err := json.Marshal(linnet.Contact{Since: fromMS(1<<64 - 1)}); err != nil {
		t.Error(err)
	}
}

// A crowd of strangers fills no table, and letters are opened only so fast.
func TestCrowd(t *testing.T) {
	s := suite.Modern()
	m, w, _, public := testMachine(t, s)
	prekey := &directory.Prekey{Public: public}
	now := w.Now
	for i := range maxAsking + 10 {
		id := w.Identity(linnet.UserName("user"+string(rune('a'+i%26))+string(rune('a'+i/26%26))), "device")
		from := Machine{o: Options{Self: id, User: "somebody", Suite: s}, people: map[linnet.UserName]*person{"alice": {user: "alice", r: relation{Stance: 1, Since: 5, Version: 5}}}}
		from.self.Key = newContactKey()
		box := from.letter(now, post.Key{To: "alice"}, prekey).Box
		if i%10 == 0 {
			now = now.Add(10 / strangeRate * time.Second)
		}
		m.Straight(now, id.Node, box)
		m.Take()
	}
	if n := len(m.people); n != maxAsking+1 {
		t.Errorf("%d people, want bob and %d that ask", n, maxAsking)
	}
	taken := 0
	for range 200 {
		m.Straight(now, linnet.NodeID{1}, []byte("nonsense"))
		if len(m.Take()) > 0 {
			taken++
		}
	}
	if taken != 0 || m.strange.Take(now, strangeRate, strangeBurst) {
		t.Error("a flood of letters is not held up")
	}
	if !m.letters.Take(now, letterRate, letterBurst) {
		t.Error("it keeps out contacts")
	}
}

// FuzzMachine hands the machine what anybody, or a contact, may send.
func FuzzMachine(f *testing.F) {
	s := suite.Modern()
	_, w, bob, public := testMachine(f, s)
	f.Add(uint8(0), bobsNotice(f, bob, noticeBody{Time: ms(w.Now), Presence: 1, Answer: true}))
	for _, x := range []statement{{Stance: 1, Since: 9, Version: 9, Key: make([]byte, contactKeySize)}, {Stance: 2, Version: 9}, {Stance: 3, Version: 9, Since: 9, About: "eve"}} {
		f.Add(uint8(1), message.Marshal(&x))
		f.Add(uint8(2), message.Marshal(&x))
	}
	f.Add(uint8(3), message.Marshal(&noticeBody{Time: ms(w.Now), Presence: 3, Mood: "x"}))
	f.Fuzz(func(t *testing.T, kind uint8, b []byte) {
		m, _, _, _ := testMachine(t, s)
		from := bob
		switch kind % 4 {
		case 0:
			m.Noticed(w.Now, bob.Node, b)
			m.Straight(w.Now, bob.Node, b)
		case 1, 2: // what a contact, or the user's own other device, really signed
			if kind%4 == 2 {
				from = w.Identity("alice", "phone")
			}
			l := directory.Letter{To: "alice", ID: directory.NewLetterID(), Kind: directory.LetterContact, Time: w.Now, Content: b}
			box, err := l.Seal(s, from, public)
			if err != nil {
				t.Skip()
			}
			m.Straight(w.Now, from.Node, box)
			m.Mail(w.Now, []*directory.Item{{Owner: "alice", Sender: from.Node, Box: box}}, false)
		case 3:
			signed, err := suite.SignBody(bob.Keys, suite.ForNotice, &noticeBody{})
			if err != nil {
				t.Fatal(err)
			}
			id := suite.PrekeyIDOf(bytes.Repeat([]byte{7}, contactKeySize))
			sealed := suite.SealUnder((*[32]byte)(bytes.Repeat([]byte{7}, contactKeySize)), suite.ForNotice, append(signed, b...))
			m.Noticed(w.Now, bob.Node, append(id[:], sealed...))
		}
		now := w.Now
		for range 20 {
			now = now.Add(time.Minute)
			m.Tick(now)
			m.Take()
		}
		if len(m.people) > 3 || len(m.devices) > maxDevices {
			t.Errorf("%d people, %d devices", len(m.people), len(m.devices))
		}
	})
}

// A contact says that the key of another one is his own: all contacts of that one have
// it.
func TestBorrowedKey(t *testing.T) {
	s := suite.Modern()
	m, w, bob, public := testMachine(t, s)
	mallory := w.Identity("mallory", "device")
	from := Machine{o: Options{Self: mallory, User: "mallory", Suite: s}, people: map[linnet.UserName]*person{"alice": {user: "alice", r: relation{Stance: 1, Since: 5, Version: 5}}}}
	from.self.Key = bytes.Repeat([]byte{7}, contactKeySize) // bob's
	box := from.letter(w.Now, post.Key{To: "alice"}, &directory.Prekey{Public: public}).Box
	m.Straight(w.Now, mallory.Node, box)
	if err := m.Answer(w.Now, "mallory", true); err != nil {
		t.Fatal(err)
	}
	m.Noticed(w.Now, bob.Node, bobsNotice(t, bob, noticeBody{Time: ms(w.Now), Presence: uint32(linnet.Away)}))
	if got := m.contact(m.people["bob"]).Presence; got != linnet.Away {
		t.Errorf("bob is %v", got)
	}
}

// A device that only ever says that it is offline costs no more than others.
func TestFarewellFlood(t *testing.T) {
	m, w, bob, _ := testMachine(t, suite.Modern())
	b := bobsNotice(t, bob, noticeBody{Time: ms(w.Now)})
	for range 2 * noticeBurst {
		m.Noticed(w.Now, bob.Node, b)
	}
	if m.friends["bob"].strays.Take(w.Now, noticeRate, noticeBurst) {
		t.Error("a flood of notices is not held up")
	}
}

// What could not be saved is not acknowledged when it comes again, but saved.
func TestNotSaved(t *testing.T) {
	s := suite.Modern()
	m, w, _, public := testMachine(t, s)
	carol := w.Identity("carol", "device")
	from := Machine{o: Options{Self: carol, User: "carol", Suite: s}, people: map[linnet.UserName]*person{"alice": {user: "alice", r: relation{Stance: 1, Since: 5, Version: 5}}}}
	from.self.Key = newContactKey()
	box := from.letter(w.Now, post.Key{To: "alice"}, &directory.Prekey{Public: public}).Box
	m.Straight(w.Now, carol.Node, box)
	m.Take() // the disk is full
	m.NotSaved()
	m.Straight(w.Now, carol.Node, box)
	saved, taken := false, false
	for _, e := range m.Take() {
		switch e := e.(type) {
		case Save:
			saved = saved || !taken && slices.ContainsFunc(e.People, func(p KeptPerson) bool { return p.User == "carol" && p.State == linnet.Asking })
		case post.Forward:
			taken = taken || e.Inner == message.InnerTaken
		}
	}
	if !saved || !taken {
		t.Errorf("saved before: %v, acknowledged: %v", saved, taken)
	}
	m.Straight(w.Now, carol.Node, box)
	if n := len(m.Take()); n != 1 {
		t.Errorf("%d effects of a letter that is on disk, want the acknowledgement", n)
	}
}

// What a contact says of himself is text, and does nothing else to a terminal.
func TestControlCharacters(t *testing.T) {
	m, w, bob, _ := testMachine(t, suite.Modern())
	m.Noticed(w.Now, bob.Node, bobsNotice(t, bob, noticeBody{Time: ms(w.Now), Presence: uint32(linnet.Online), Mood: "a\x1b[2Jb\u202ec\nd\u009be\xff"}))
	if got := m.contact(m.people["bob"]).Mood; got != "a [2Jb c d e\ufffd" {
		t.Errorf("mood %q", got)
	}
	s, ok := openStatement(message.Marshal(&statement{Stance: 1, Version: 1, Message: "a\x1bb"}))
	if !ok || s.Message != "a b" {
		t.Errorf("message %q, %v", s.Message, ok)
	}
}
