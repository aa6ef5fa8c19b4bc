package chat

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
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
func TestContentBytes(t *testing.T) {
	first, second := linnet.MessageID{1}, linnet.MessageID{2}
	tests := []struct {
		name string
		c    content
		wire string
	}{
		{"a message", content{Messages: []messagePart{{ID: first, Position: 1, Sent: 1772000000000, Text: "hi"}}},
			"41 01 0500 41 04 0400 10 01000000000000000000000000000000 0101 0000000000000001 0102 0000019c936e3800 0304 686900"},
		{"an edited reply", content{Messages: []messagePart{{ID: second, Position: 2, Sent: 1772000000001, Text: "ho", ReplyTo: first[:], Edited: 1772000000002}}},
			"41 01 0500 41 06 0400 10 02000000000000000000000000000000 0101 0000000000000002 0102 0000019c936e3801 0304 686f00 0406 10 01000000000000000000000000000000 0107 0000019c936e3802"},
		{"a deleted one", content{Messages: []messagePart{{ID: first, Position: 1, Sent: 1772000000000, Deleted: 1772000000003}}},
			"41 01 0500 41 04 0400 10 01000000000000000000000000000000 0101 0000000000000001 0102 0000019c936e3800 0108 0000019c936e3803"},
		{"a reaction and a receipt", content{Reactions: []reactionPart{{first, "👍", 1772000000004}}, Receipts: []receiptPart{{receiptRead, []linnet.MessageID{first, second}}}},
			"41 02 0501 41 03 0400 10 01000000000000000000000000000000 0301 f09f918d00 0102 0000019c936e3804 0502 41 03 0000 02 0401 10 01000000000000000000000000000000 0401 10 02000000000000000000000000000000"},
		{"read on another device", content{Receipts: []receiptPart{{receiptRead, []linnet.MessageID{first}}}, Peer: "bob"},
			"41 02 0502 41 02 0000 02 0401 10 01000000000000000000000000000000 0303 626f6200"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if got := message.Marshal(&tt.c); !bytes.Equal(got, wire) {
				t.Errorf("Marshal = %x\nwant      %x", got, wire)
			}
			got, ok := openContent(wire)
			if !ok || !bytes.Equal(message.Marshal(&got), wire) {
				t.Errorf("openContent = %+v, %v", got, ok)
			}
		})
	}
	good := messagePart{ID: first, Position: 1, Sent: 1, Text: "hi"}
	with := func(change func(m *messagePart)) content {
		m := good
		change(&m)
		return content{Messages: []messagePart{m}}
	}
	for name, c := range map[string]content{
		"no id":                 with(func(m *messagePart) { m.ID = linnet.MessageID{} }),
		"no position":           with(func(m *messagePart) { m.Position = 0 }),
		"a far position":        with(func(m *messagePart) { m.Position = maxPosition + 1 }),
		"a call":                with(func(m *messagePart) { m.Kind = uint32(linnet.CallMessage) }),
		"a kind of tomorrow":    with(func(m *messagePart) { m.Kind = 256 }),
		"too long":              with(func(m *messagePart) { m.Text = strings.Repeat("x", linnet.MaxMessage+1) }),
		"too much data":         with(func(m *messagePart) { m.Data = make([]byte, maxData+1) }),
		"half an id":            with(func(m *messagePart) { m.ReplyTo = first[:8] }),
		"too many messages":     {Messages: make([]messagePart, maxParts+1)},
		"a novel of a reaction": {Reactions: []reactionPart{{first, strings.Repeat("x", linnet.MaxEmoji+1), 1}}},
		"a reaction of no time": {Reactions: []reactionPart{{first, "x", 0}}},
		"a receipt of nothing":  {Receipts: []receiptPart{{3, []linnet.MessageID{first}}}},
		"too many receipts":     {Receipts: []receiptPart{{1, make([]linnet.MessageID, maxReceipts+1)}}},
		"of nobody":             {Peer: "No Body"},
	} {
		if _, ok := openContent(message.Marshal(&c)); ok {
			t.Errorf("%s: taken", name)
		}
	}
	if c, ok := openContent(message.Marshal(&content{Messages: []messagePart{{ID: first, Position: 1, Text: "a\xffb"}}})); !ok || c.Messages[0].Text != "a\ufffdb" {
		t.Errorf("text that is none: %+v, %v", c, ok)
	}
}

// testMachine is alice's; how others stand to her is up to state.
func testMachine(t testing.TB, state func(linnet.UserName) linnet.ContactState) (*Machine, *overlaytest.World) {
	t.Helper()
	w := overlaytest.New(t, 1)
	return New(w.Now, Options{
		Self: w.Identity("alice", "device"), User: "alice", Suite: suite.Modern(), Rand: rand.New(rand.NewPCG(1, 1)),
		State: state, Pass: func(linnet.UserName) []byte { return nil },
	}, Kept{}), w
}

func letterOf(from linnet.UserName, c content) post.Arrival {
	return post.Arrival{Letter: &directory.Letter{To: "alice", From: from, Sender: linnet.NodeID{9}, Kind: directory.LetterChat, Content: message.Marshal(&c)}}
}

// saves says how many messages are kept, and whether what came was acknowledged.
func saves(effects []Effect) (n int, taken bool) {
	for _, e := range effects {
		switch e := e.(type) {
		case Save:
			n += len(e.Messages)
		case post.Forward, post.RemoveMail:
			taken = true
		}
	}
	return n, taken
}

func texts(n, size int) (c content) {
	for range n {
		c.Messages = append(c.Messages, messagePart{ID: linnet.NewMessageID(), Position: 1, Sent: 1, Text: strings.Repeat("x", size)})
	}
	return c
}

// Strangers may say a few words, and a crowd of them fills no disk; whom the user
// wrote to may answer; nothing of who is blocked is kept.
func TestStrangers(t *testing.T) {
	states := map[linnet.UserName]linnet.ContactState{"eve": linnet.Blocked}
	m, w := testMachine(t, func(u linnet.UserName) linnet.ContactState { return states[u] })
	arrives := func(from linnet.UserName, c content) (int, bool) {
		m.Take()
		m.Arrived(w.Now, letterOf(from, c))
		return saves(m.Take())
	}
	for name, tt := range map[string]struct {
		from linnet.UserName
		c    content
	}{
		"of who is blocked": {"eve", texts(1, 1)},
		"a long one":        {"mallory", texts(1, linnet.MaxStrangerMessage+1)},
		"too many":          {"mallory", texts(strangerMessages+1, 1)},
		"a reaction":        {"mallory", content{Reactions: []reactionPart{{linnet.MessageID{1}, "x", 1}}}},
		"a receipt":         {"mallory", content{Receipts: []receiptPart{{receiptRead, []linnet.MessageID{{1}}}}}},
		"nothing":           {"mallory", content{}},
		"a file":            {"mallory", content{Messages: []messagePart{{ID: linnet.MessageID{1}, Position: 1, Kind: uint32(linnet.FileMessage)}}}},
	} {
		if n, taken := arrives(tt.from, tt.c); n != 0 || taken {
			t.Errorf("%s: %d kept, acknowledged: %v", name, n, taken)
		}
	}
	if len(m.talks) > 0 {
		t.Errorf("%d people are known of whom nothing is kept", len(m.talks))
	}
	for i := range maxStrangers + 5 {
		from := linnet.UserName("user" + string(rune('a'+i%26)) + string(rune('a'+i/26)))
		n, taken := arrives(from, texts(1, 10))
		if want := i < maxStrangers; (n == 1) != want || taken != want {
			t.Fatalf("stranger %d: %d kept, acknowledged: %v", i, n, taken)
		}
	}
	for i := 1; i <= strangerMessages; i++ {
		if n, _ := arrives("useraa", texts(1, 10)); (n == 1) != (i < strangerMessages) {
			t.Errorf("message %d of a stranger: %d kept", i+1, n)
		}
	}
	if err := m.Send(w.Now, "useraa", Draft{ID: linnet.NewMessageID(), Text: "Who are you?"}); err != nil {
		t.Fatal(err)
	}
	if n, _ := arrives("useraa", texts(3, 10)); n != 3 {
		t.Errorf("an answer: %d kept", n)
	}
	states["useraa"] = linnet.Approved
	if n, _ := arrives("useraa", texts(2, linnet.MaxMessage)); n != 2 {
		t.Errorf("of a contact: %d kept", n)
	}
	kept := 0
	for range 1000 { // and a flood of them
		n, _ := arrives("useraa", texts(2, linnet.MaxMessage))
		kept += n
	}
	if most := allowedBurst / linnet.MaxMessage; kept > most || kept < most/2 {
		t.Errorf("%d messages of a flood are kept", kept)
	}
	w.Now = w.Now.Add(time.Hour)
	heard := 0
	for range 1000 { // nor does a flood of receipts keep the disk busy
		m.Arrived(w.Now, letterOf("useraa", content{Receipts: []receiptPart{{receiptRead, make([]linnet.MessageID, maxReceipts)}}}))
		heard += len(m.Take()) / 2
	}
	if most := allowedBurst / receiptCost / maxReceipts; heard > most || heard < most/4 {
		t.Errorf("%d letters of receipts are read", heard)
	}
	w.Now = w.Now.Add(time.Hour)
	if n, _ := arrives("useraa", texts(2, linnet.MaxMessage)); n != 2 {
		t.Errorf("an hour later: %d kept", n)
	}
}

// What a stranger may not say does not stay in the mailbox, where there is room for few
// of them; what a contact said too fast does.
func TestMailThatIsNotKept(t *testing.T) {
	m, w := testMachine(t, func(u linnet.UserName) linnet.ContactState {
		if u == "bob" {
			return linnet.Approved
		}
		return linnet.NoContact
	})
	arrives := func(from linnet.UserName, c content) []Effect {
		a := letterOf(from, c)
		a.Mail = message.MailID{1}
		m.Arrived(w.Now, a)
		return m.Take()
	}
	if out := arrives("mallory", texts(1, linnet.MaxStrangerMessage+1)); len(out) != 1 || !isA[post.RemoveMail](out[0]) {
		t.Errorf("a stranger's: %#v", out)
	}
	m.talk("bob").allowance = allowance{used: allowedBurst, at: w.Now}
	if out := arrives("bob", texts(1, 1)); len(out) != 1 || !isA[post.LeaveMail](out[0]) {
		t.Errorf("a contact's: %#v", out)
	}
}

func isA[T any](e Effect) bool {
	_, ok := e.(T)
	return ok
}

// To read what somebody wrote in a day, who writes as much as he may, takes a moment.
func TestReadVeryMany(t *testing.T) {
	m, w := testMachine(t, func(linnet.UserName) linnet.ContactState { return linnet.Approved })
	ids := make([]linnet.MessageID, 150_000)
	for i := range ids {
		ids[i] = linnet.NewMessageID()
	}
	m.Read(w.Now, "bob", ids)
	if n := len(m.boxes[post.Key{To: "bob"}].entries); n != len(ids) {
		t.Errorf("%d receipts", n)
	}
}

// Nobody moves a conversation to the end of all positions, where it would have no order.
func TestFarPositions(t *testing.T) {
	m, w := testMachine(t, func(linnet.UserName) linnet.ContactState { return linnet.Approved })
	for range 3 {
		m.Arrived(w.Now, letterOf("bob", content{Messages: []messagePart{{ID: linnet.NewMessageID(), Position: maxPosition, Text: "x"}}}))
	}
	if n, taken := saves(m.Take()); n != 0 || !taken {
		t.Errorf("%d are kept, acknowledged: %v", n, taken)
	}
	m.Arrived(w.Now, letterOf("bob", content{Messages: []messagePart{{ID: linnet.NewMessageID(), Position: 5000, Text: "x"}}}))
	if n, _ := saves(m.Take()); n != 1 || m.talks["bob"].Highest != 5000 {
		t.Errorf("what a new device hears first: %d are kept", n)
	}
}

// Front ends are told in JSON, in which times end with the year 9999.
func TestTimesOfOthers(t *testing.T) {
	const never = 1<<64 - 1
	defer func(l *time.Location) { time.Local = l }(time.Local)
	time.Local = time.FixedZone("far east", 14*60*60)
	p := messagePart{ID: linnet.MessageID{1}, Position: 1, Sent: never, Edited: never}
	m := p.message(time.UnixMilli(1))
	m.Reactions = []linnet.Reaction{{User: "bob", Time: fromMS(never)}}
	m.Deleted = fromMS(never)
	if _, err := json.Marshal(m); err != nil {
		t.Error(err)
	}
}

// What could not be saved is not sent.
func TestNotSaved(t *testing.T) {
	m, w := testMachine(t, func(linnet.UserName) linnet.ContactState { return linnet.Approved })
	m.Attached(w.Now, true)
	if err := m.Send(w.Now, "bob", Draft{ID: linnet.MessageID{1}, Text: "hi"}); err != nil {
		t.Fatal(err)
	}
	for _, e := range m.Take() {
		if s, ok := e.(Save); ok {
			m.NotSaved(s)
		}
	}
	m.Prekeys(w.Now, "bob", []*directory.Prekey{{Node: linnet.NodeID{1}}}, nil)
	for range 100 {
		w.Now = w.Now.Add(time.Minute)
		m.Tick(w.Now)
	}
	if out := m.Take(); len(out) > 0 || len(m.boxes) > 0 {
		t.Errorf("still wants %T, %d outboxes", out, len(m.boxes))
	}
}

// FuzzContent hands the machine what a contact, a stranger or the user's own other
// device may send.
func FuzzContent(f *testing.F) {
	for _, c := range []content{texts(1, 5), {Reactions: []reactionPart{{linnet.MessageID{1}, "x", 1}}}, {Receipts: []receiptPart{{2, []linnet.MessageID{{1}}}}, Peer: "bob"}} {
		f.Add(uint8(0), message.Marshal(&c))
	}
	m, w := testMachine(f, func(u linnet.UserName) linnet.ContactState {
		if u == "bob" {
			return linnet.Approved
		}
		return linnet.NoContact
	})
	m.Attached(w.Now, true)
	f.Fuzz(func(t *testing.T, who uint8, b []byte) {
		from := []linnet.UserName{"bob", "mallory", "alice"}[who%3]
		l := &directory.Letter{To: "alice", From: from, Sender: linnet.NodeID{9}, Kind: directory.LetterChat, Content: b}
		m.Arrived(w.Now, post.Arrival{Letter: l, Mail: message.MailID{1}})
		for _, e := range m.Take() {
			s, ok := e.(Save)
			if !ok {
				continue
			}
			for _, x := range s.Messages {
				if x.Author != from || len(x.Text) > linnet.MaxMessage || x.Own() != (from == "alice") || x.Kind == linnet.CallMessage {
					t.Errorf("kept %+v", x)
				}
			}
			for _, k := range s.Marks {
				if k.Theirs != (from == "alice") {
					t.Errorf("of %s: %+v", from, k)
				}
			}
		}
	})
}
