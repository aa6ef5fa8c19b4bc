package call_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/post/posttest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A listener is a device that tells, and hears what others tell.
type listener struct {
	*posttest.Device
	t        *call.Teller
	stranger bool // nobody gives a pass
	public   []byte
	private  []byte
	left     map[message.MailID]bool
	told     []call.Told
	heard    []call.Word
	seen     map[directory.LetterID]bool
}

func addListener(w *posttest.World, user linnet.UserName, name string) *listener {
	l := &listener{left: make(map[message.MailID]bool), seen: make(map[directory.LetterID]bool)}
	var err error
	if l.public, l.private, err = suite.Modern().NewPrekey(); err != nil {
		w.T.Fatal(err)
	}
	l.Device = w.Add(user, name, l)
	return l
}

func (l *listener) start() {
	w := l.World
	l.t = call.NewTeller(call.TellerOptions{
		Self: l.ID, User: l.User, Suite: suite.Modern(), Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 1)),
		Pass: func(user linnet.UserName) []byte {
			for _, d := range w.Devices {
				if d.User == user && !l.stranger {
					pass, err := directory.MailPass(d.ID, l.User)
					if err != nil {
						w.T.Fatal(err)
					}
					return pass
				}
			}
			return nil
		},
	})
	l.Start(l.t)
	l.Later(time.Second, func() { l.t.Attached(w.Now, true) })
	l.Later(3*time.Second, func() {
		l.LookForMail(func(id message.MailID) bool { return !l.left[id] }, func(items []*directory.Item) {
			for _, i := range items {
				l.left[i.ID] = true
				l.hears(i.Box)
			}
		})
	})
}

func (l *listener) tell(to linnet.UserName, words ...call.Word) {
	l.Act("tells "+string(to), func(now time.Time) error { l.t.Tell(now, to, now, words...); return nil })
}

func (l *listener) hears(box []byte) (id directory.LetterID) {
	letter, err := directory.OpenLetter(suite.Modern(), l.World.IDs.Trust, l.User, box, func(id suite.PrekeyID) []byte {
		if id == suite.PrekeyIDOf(l.public) {
			return l.private
		}
		return nil
	}, l.World.Now)
	if err != nil {
		l.World.T.Errorf("%v opens a letter: %v", l, err)
		return id
	}
	w, err := call.ParseWord(letter.Content)
	if err != nil || letter.Kind != directory.LetterCall {
		l.World.T.Errorf("%v hears kind %v, %v", l, letter.Kind, err)
	} else if !l.seen[letter.ID] {
		l.seen[letter.ID] = true
		l.heard = append(l.heard, *w)
	}
	return letter.ID
}

func (*listener) Save(any) (func(), bool)           { return nil, false }
func (l *listener) Listed() (known, reachable bool) { return l.Life > 0, l.Runs() }
func (l *listener) Effect(e any)                    { l.told = append(l.told, e.(call.Told)) }

func (l *listener) Prekey() *directory.Prekey {
	if l.Life == 0 {
		return nil
	}
	return &directory.Prekey{Public: l.public, Time: l.World.IDs.Now, User: l.User, Node: l.ID.Node}
}

func (l *listener) Arrives(from linnet.NodeID, inner uint32, body []byte) {
	switch inner {
	case message.InnerLetter:
		id := l.hears(body)
		l.Send(post.Forward{To: from, Inner: message.InnerTaken, Body: id[:]})
	case message.InnerTaken:
		l.t.Taken(l.World.Now, from, directory.LetterID(body))
	}
}

func missed(n byte) call.Word { return call.Word{What: call.WordMissed, Call: linnet.CallID{n}} }

// hear says which calls somebody heard of.
func (l *listener) calls() (list []byte) {
	for _, w := range l.heard {
		list = append(list, w.Call[0])
	}
	return list
}

// Words come in their order, straight to who is there and by the mailbox to who is not.
func TestTellerTells(t *testing.T) {
	w := posttest.New(t, 1)
	w.Loss, w.Twice = 0.2, 0.2
	alice, bob, phone := addListener(w, "alice", "device"), addListener(w, "bob", "device"), addListener(w, "bob", "phone")
	for _, l := range []*listener{alice, bob, phone} {
		l.start()
	}
	w.Run(10 * time.Second)
	phone.End()
	for n := range byte(5) {
		alice.tell("bob", missed(n+1))
		alice.tell("bob", missed(n+1)) // waits already
	}
	sound := call.CutSound(call.Word{Voicemail: linnet.VoicemailID{9}}, make([]byte, 3*call.PieceSize))
	alice.tell("bob", sound...)
	w.Until("all is told", func() bool { return len(alice.told) == 6 })
	for i, told := range alice.told {
		if told.Err != nil || told.To != "bob" || i < 5 && told.First.Call != (linnet.CallID{byte(i + 1)}) {
			t.Errorf("told: %+v", told)
		}
	}
	phone.start()
	w.Run(time.Minute)
	for _, l := range []*listener{bob, phone} {
		distinct := slices.Compact(l.calls())
		if want := []byte{1, 2, 3, 4, 5, 0}; l == bob && !slices.Equal(distinct, want) || len(l.heard) < 8 {
			t.Errorf("%v heard of %v", l, l.calls())
		}
	}
	asked := w.Asked
	w.Run(24 * time.Hour)
	if w.Asked != asked || len(alice.told) != 6 {
		t.Errorf("%d questions when all is told, told %+v", w.Asked-asked, alice.told)
	}
}

// What more tries do not help, or what is too late, is given up, and the next thing told.
func TestTellerGivesUp(t *testing.T) {
	w := posttest.New(t, 2)
	alice, bob, carol := addListener(w, "alice", "device"), addListener(w, "bob", "device"), addListener(w, "carol", "device")
	alice.start()
	bob.start()
	w.Run(10 * time.Second)
	alice.tell("carol", missed(1)) // has never been there
	w.Until("nobody is there", func() bool { return len(alice.told) == 1 })
	if err := alice.told[0].Err; !errors.Is(err, post.ErrNobody) {
		t.Errorf("of nobody: %v", err)
	}

	bob.End()
	alice.stranger = true // leaves one request, and no second one
	alice.tell("bob", missed(2))
	alice.tell("bob", missed(3))
	w.Until("the second is given up", func() bool { return len(alice.told) == 3 })
	if first, second := alice.told[1].Err, alice.told[2].Err; first != nil || !errors.Is(second, directory.ErrMailFull) {
		t.Errorf("of a stranger: %v, %v", first, second)
	}

	carol.start()
	alice.stranger, w.Deaf = false, true
	w.Run(10 * time.Second)
	began := w.Now
	alice.tell("carol", call.CutSound(call.Word{Voicemail: linnet.VoicemailID{9}}, []byte{1})...)
	alice.tell("carol", missed(4))
	w.Until("voice mail is given up", func() bool { return len(alice.told) == 4 })
	if took := w.Now.Sub(began); alice.told[3].Err == nil || took > 6*time.Minute {
		t.Errorf("%v after %v", alice.told[3].Err, took)
	}
	w.Deaf = false
	w.Until("the rest is told", func() bool { return len(alice.told) == 5 })
	if err := alice.told[4].Err; err != nil || !slices.Equal(carol.calls(), []byte{4}) {
		t.Errorf("%v; carol heard of %v", err, carol.calls())
	}

	w.Deaf = true
	carol.End()
	began = w.Now
	alice.tell("carol", missed(5))
	for len(alice.told) == 5 && w.Now.Sub(began) < 8*24*time.Hour {
		w.Run(time.Hour)
	}
	if took := w.Now.Sub(began); took < 7*24*time.Hour || alice.told[5].Err == nil {
		t.Errorf("a call is told of for %v: %v", took, alice.told[5].Err)
	}
}

// That there are no prekeys is believed when it is said again and again.
func TestTellerFindsWhoCameLate(t *testing.T) {
	w := posttest.New(t, 4)
	alice, bob := addListener(w, "alice", "device"), addListener(w, "bob", "device")
	alice.start()
	w.Run(10 * time.Second)
	alice.tell("bob", missed(1))
	w.Run(time.Minute)
	bob.start()
	w.Until("bob is told", func() bool { return len(alice.told) == 1 })
	if err := alice.told[0].Err; err != nil {
		t.Error(err)
	}
}

// What is withdrawn goes no further, and what waits behind it is told.
func TestTellerWithdraws(t *testing.T) {
	w := posttest.New(t, 5)
	alice, bob := addListener(w, "alice", "device"), addListener(w, "bob", "device")
	alice.start()
	bob.start()
	w.Run(10 * time.Second)
	sound := call.CutSound(call.Word{Voicemail: linnet.VoicemailID{9}}, make([]byte, 5*call.PieceSize))
	alice.tell("bob", sound...)
	alice.tell("bob", missed(1))
	withdraw := func(first call.Word) {
		alice.Act("withdraws", func(now time.Time) error { alice.t.Withdraw(now, "bob", first); return nil })
	}
	w.Until("a part is there", func() bool { return len(bob.heard) == 2 })
	withdraw(sound[0])
	withdraw(sound[0])  // is withdrawn
	withdraw(missed(2)) // was never told
	w.Until("the next is told", func() bool { return len(alice.told) == 1 })
	w.Run(time.Minute)
	if alice.told[0].First.Call != missed(1).Call || len(alice.told) != 1 || len(bob.heard) >= 2+len(sound) || bob.heard[len(bob.heard)-1].What != call.WordMissed {
		t.Errorf("told %+v; bob heard %d things", alice.told, len(bob.heard))
	}
	alice.tell("bob", sound...)
	withdraw(sound[0])
	w.Run(time.Minute)
	alice.tell("bob", missed(3))
	w.Until("there is nothing in the way", func() bool { return len(alice.told) == 2 })
}

// There is an end to what waits for one person.
func TestTellerIsBounded(t *testing.T) {
	w := posttest.New(t, 3)
	w.Deaf = true
	alice := addListener(w, "alice", "device")
	alice.start()
	for n := range 1100 {
		alice.tell("bob", call.Word{What: call.WordMissed, Call: linnet.CallID{byte(n), byte(n >> 8), 1}})
	}
	if n := len(alice.told); n != 100 || alice.told[0].Err == nil {
		t.Errorf("%d are given up", n)
	}
}
