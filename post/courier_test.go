package post_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A carrier is the smallest machine that has a Courier. Its letters are empty, and
// what it wants done is written down in words.
type carrier struct {
	*post.Courier
	agenda   alarm.Agenda
	now      time.Time
	stranger bool // to everybody
	boxes    int  // the number of each box is its name
	ticket   uint64
	letters  map[linnet.NodeID]directory.LetterID // the last to each
	boxSize  int                                  // for each device
}

var bob, phone, self = linnet.NodeID{1}, linnet.NodeID{2}, linnet.NodeID{9}

func newCarrier(remember time.Duration) *carrier {
	m := &carrier{agenda: alarm.Agenda{Rand: rand.New(rand.NewPCG(1, 1))}, now: time.Unix(1e9, 0), letters: make(map[linnet.NodeID]directory.LetterID), boxSize: 100}
	m.Courier = post.NewCourier(post.Options{
		Self: self, User: "alice", Agenda: &m.agenda, Remember: remember,
		Pass: func(linnet.UserName) []byte {
			if m.stranger {
				return nil
			}
			return []byte("pass")
		},
		Letter: func(_ time.Time, _ post.Key, to ...*directory.Prekey) *post.Letter {
			m.boxes++
			l := &post.Letter{ID: directory.LetterID{byte(m.boxes)}, Box: make([]byte, m.boxSize*len(to))}
			if len(to) == 1 {
				m.letters[to[0].Node] = l.ID
			}
			return l
		},
		Done: func(_ time.Time, k post.Key, version uint64, taken []linnet.NodeID) {
			m.agenda.Do(fmt.Sprintf("%s has %d, taken by %s", k.To, version, names(taken)))
		},
		Room: func() int { return 150 },
	})
	m.agenda.SetReady(true)
	return m
}

func names(nodes []linnet.NodeID) (list []string) {
	for _, n := range nodes {
		list = append(list, map[linnet.NodeID]string{bob: "bob", phone: "phone", self: "self"}[n])
	}
	return list
}

// wants takes the effects, in words.
func (m *carrier) wants() (words []string) {
	for _, e := range m.agenda.Take() {
		switch e := e.(type) {
		case post.AskPrekeys:
			words = append(words, "prekeys of "+string(e.User))
		case post.LookUp:
			words = append(words, "look-up of "+string(e.User))
		case post.Forward:
			words = append(words, map[uint32]string{message.InnerLetter: "letter to ", message.InnerMail: "mail waits for "}[e.Inner]+names([]linnet.NodeID{e.To})[0])
		case post.PutMail:
			m.ticket = e.Ticket
			words = append(words, fmt.Sprintf("mail to %s for %q, %d bytes, pass %q", e.To, names([]linnet.NodeID{e.Device})[0], len(e.Box), e.Pass))
		case string:
			words = append(words, e)
		}
	}
	return words
}

// passes lets time pass.
func (m *carrier) passes(d time.Duration) {
	end := m.now.Add(d)
	for at := m.agenda.Deadline(); !at.IsZero() && !at.After(end); at = m.agenda.Deadline() {
		m.now = at
		m.agenda.Tick(at)
	}
	m.now = end
}

func (m *carrier) brings(version uint64) { m.Bring(m.now, post.Key{To: "bob"}, version) }

// prekeys answers with those of devices.
func (m *carrier) prekeys(devices ...linnet.NodeID) {
	var list []*directory.Prekey
	for _, d := range devices {
		list = append(list, &directory.Prekey{Node: d})
	}
	m.Prekeys(m.now, "bob", list, nil)
}

// found answers that these are there, of bob and his phone.
func (m *carrier) found(there ...linnet.NodeID) {
	var list []post.Device
	for _, d := range []linnet.NodeID{bob, phone} {
		list = append(list, post.Device{Node: d, Reachable: slices.Contains(there, d)})
	}
	m.Found(m.now, "bob", list, nil)
}

// straight is at the letters to those that are there.
func (m *carrier) straight(there ...linnet.NodeID) {
	m.prekeys(bob, phone)
	m.found(there...)
}

func (m *carrier) takes(d linnet.NodeID) { m.Taken(m.now, d, m.letters[d]) }

func (m *carrier) stored(err error) { m.MailPut(m.now, m.ticket, err) }

const (
	asks, looks             = "prekeys of bob", "look-up of bob"
	toBob, toPhone          = "letter to bob", "letter to phone"
	waitsForPhone           = "mail waits for phone"
	mailForBob              = `mail to bob for "bob", 100 bytes, pass "pass"`
	mailForPhone            = `mail to bob for "phone", 100 bytes, pass "pass"`
	nobodyTook, bobTook     = "bob has 1, taken by []", "bob has 1, taken by [bob]"
	bothTook                = "bob has 1, taken by [bob phone]"
	afterFirstTry, dayAfter = 5 * time.Second, 24 * time.Hour
)

// TestSteps has a carrier bring version 1 to bob, and answers it.
func TestSteps(t *testing.T) {
	refused := errors.New("refused")
	for _, tt := range []struct {
		name string
		do   func(m *carrier)
		want []string
	}{
		{"all take it", func(m *carrier) { m.straight(bob, phone); m.takes(phone); m.takes(bob) },
			[]string{asks, looks, toBob, toPhone, bothTook}},
		{"what is taken twice is taken", func(m *carrier) { m.straight(bob, phone); m.takes(bob); m.takes(bob); m.takes(phone); m.takes(phone) },
			[]string{asks, looks, toBob, toPhone, bothTook}},
		{"what is said to be taken by another device", func(m *carrier) {
			m.straight(bob)
			m.Taken(m.now, phone, m.letters[bob])
			m.Taken(m.now, bob, directory.LetterID{77})
		}, []string{asks, looks, toBob}},
		{"who is not there has mail", func(m *carrier) { m.straight(bob); m.takes(bob); m.wants(); m.stored(nil) }, []string{bobTook}},
		{"who keeps silent has mail, after three letters", func(m *carrier) { m.straight(bob, phone); m.takes(bob); m.passes(5 * time.Second) },
			[]string{asks, looks, toBob, toPhone, toPhone, toPhone, mailForPhone}},
		{"who has mail because he kept silent is told", func(m *carrier) {
			m.straight(bob, phone)
			m.takes(bob)
			m.passes(5 * time.Second)
			m.wants()
			m.stored(nil)
			m.passes(dayAfter)
		}, []string{bobTook, waitsForPhone, waitsForPhone, waitsForPhone, waitsForPhone}},
		{"until he is gone", func(m *carrier) {
			m.straight(bob, phone)
			m.takes(bob)
			m.passes(5 * time.Second)
			m.stored(nil)
			m.wants()
			m.stored(nil)
			m.passes(2 * time.Second)
			m.Unreachable(m.now, phone)
			m.passes(dayAfter)
		}, []string{bobTook, waitsForPhone}},
		{"nobody is there", func(m *carrier) { m.straight() }, []string{asks, looks, mailForBob, mailForPhone}},
		{"nobody knows where they are", func(m *carrier) { m.prekeys(bob); m.Found(m.now, "bob", nil, refused) }, []string{asks, looks, mailForBob}},
		{"a stranger leaves one box for as many as fit", func(m *carrier) { m.stranger = true; m.straight(); m.stored(nil) },
			[]string{asks, looks, `mail to bob for "", 100 bytes, pass ""`}},
		{"a stranger whom one device heard leaves nothing", func(m *carrier) { m.stranger = true; m.straight(bob); m.takes(bob) },
			[]string{asks, looks, toBob, bobTook}},
		{"a stranger whose box fits for nobody", func(m *carrier) { m.stranger, m.boxSize = true, 1000; m.straight(); m.passes(time.Second) },
			[]string{asks, looks, `mail to bob for "", 1000 bytes, pass ""`}},
		{"a full mailbox is tried again", func(m *carrier) {
			m.prekeys(bob)
			m.found()
			m.stored(nil) // of nothing
			m.wants()
			m.stored(directory.ErrMailFull)
			m.passes(afterFirstTry)
			m.prekeys(bob)
			m.found()
		}, []string{asks, looks, mailForBob}},
		{"a pass that is refused is not shown again", func(m *carrier) {
			m.prekeys(bob)
			m.found()
			m.wants()
			m.stored(directory.ErrMailRefused)
			m.passes(afterFirstTry)
			m.prekeys(bob)
			m.found()
		}, []string{asks, looks, `mail to bob for "", 100 bytes, pass ""`}},
		{"no answer of the mailbox", func(m *carrier) { m.prekeys(bob); m.found(); m.wants(); m.passes(time.Minute + afterFirstTry) }, []string{asks}},
		{"no prekeys", func(m *carrier) { m.prekeys(); m.passes(afterFirstTry) }, []string{asks, asks}},
		{"no answer about prekeys", func(m *carrier) { m.passes(time.Minute + afterFirstTry) }, []string{asks, asks}},
		{"an error about prekeys", func(m *carrier) { m.Prekeys(m.now, "bob", nil, refused); m.passes(afterFirstTry) }, []string{asks, asks}},
		{"no answer about the place", func(m *carrier) { m.prekeys(bob); m.passes(time.Minute + afterFirstTry) }, []string{asks, looks, asks}},
		{"this device is not written to", func(m *carrier) { m.prekeys(self, bob); m.found(bob, self) }, []string{asks, looks, toBob}},
		{"it is dropped", func(m *carrier) { m.straight(bob); m.Drop(post.Key{To: "bob"}); m.takes(bob); m.passes(dayAfter) },
			[]string{asks, looks, toBob}},
		{"a newer version takes its place", func(m *carrier) {
			m.straight(bob, phone)
			m.wants()
			was := m.letters[bob]
			m.brings(2)
			m.passes(2 * time.Second)
			m.straight(bob)
			m.Taken(m.now, bob, was)
			m.passes(time.Second)
		}, []string{asks, looks, toBob}},
		{"somebody comes", func(m *carrier) { m.prekeys(); m.wants(); m.passes(2 * time.Second); m.Hurry(m.now, "bob") }, []string{asks}},
		{"somebody comes in the middle of it", func(m *carrier) { m.straight(bob); m.wants(); m.Hurry(m.now, "bob"); m.passes(time.Second) }, nil},
		{"urged in the middle of it", func(m *carrier) {
			m.straight(bob)
			m.wants()
			m.Urge(m.now, post.Key{To: "bob"}, 1)
			m.passes(time.Second)
		}, nil},
		{"urged while it waits", func(m *carrier) {
			m.prekeys()
			m.wants()
			m.passes(2 * time.Second)
			m.Urge(m.now, post.Key{To: "bob"}, 1)
		}, []string{asks}},
		{"the network goes and comes", func(m *carrier) {
			m.straight(bob)
			m.wants()
			m.agenda.SetReady(false)
			m.passes(dayAfter)
			m.agenda.SetReady(true)
			m.Begin(m.now)
		}, []string{asks}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newCarrier(0)
			m.brings(1)
			tt.do(m)
			if got := m.wants(); !slices.Equal(got, tt.want) {
				t.Errorf("it wants\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

// The user's other devices are brought things in the same way; that there is none ends it.
func TestOwnDevices(t *testing.T) {
	m := newCarrier(0)
	m.Bring(m.now, post.Key{To: "alice", About: "bob"}, 1)
	m.Prekeys(m.now, "alice", []*directory.Prekey{{Node: self}}, nil)
	if got, want := m.wants(), []string{"prekeys of alice", "alice has 1, taken by []"}; !slices.Equal(got, want) {
		t.Errorf("it wants %q, want %q", got, want)
	}
}

// Whom something was brought to lately gets the next thing at once, and is looked for
// again if he does not take it.
func TestRemembers(t *testing.T) {
	m := newCarrier(time.Minute)
	m.brings(1)
	m.straight(bob)
	m.takes(bob)
	m.wants()
	m.stored(nil)
	m.wants()
	for _, tt := range []struct {
		name string
		do   func()
		want []string
	}{
		{"at once", func() { m.takes(bob) }, []string{toBob, mailForPhone}},
		{"he keeps silent", func() { m.passes(7 * time.Second) }, []string{toBob, toBob, toBob, asks}},
		{"found again", func() { m.straight(bob); m.takes(bob) }, []string{looks, toBob, mailForPhone}},
		{"he is gone", func() { m.Unreachable(m.now, bob); m.passes(2 * time.Second) }, []string{toBob, asks}},
		{"and again", func() { m.straight(bob); m.takes(bob) }, []string{looks, toBob, mailForPhone}},
		{"forgotten", func() {}, []string{asks}},
	} {
		if _, there := m.Version(post.Key{To: "bob"}); !there {
			if m.passes(time.Second); tt.name == "forgotten" {
				m.passes(time.Minute)
			}
			m.brings(2)
		}
		tt.do()
		if got := m.wants(); !slices.Equal(got, tt.want) {
			t.Errorf("%s: it wants\n%q, want\n%q", tt.name, got, tt.want)
		}
		m.stored(nil)
		m.wants()
	}
}

// What fails is tried again ever more seldom, up to two hours, and for ever.
func TestTriesAgain(t *testing.T) {
	m := newCarrier(0)
	m.brings(1)
	last := m.now
	for want := 5 * time.Second; last.Sub(time.Unix(1e9, 0)) < 2*24*time.Hour; want = min(2*want, 2*time.Hour) {
		m.prekeys()
		m.wants()
		for len(m.wants()) == 0 {
			m.passes(time.Second)
		}
		if wait := m.now.Sub(last); wait < want*8/10 || wait > want+2*time.Second {
			t.Fatalf("tried again after %v, want %v or a little less", wait, want)
		}
		last = m.now
	}
}

// Not all at once: neither the supernode nor a device is asked more than it answers.
func TestKeepsPace(t *testing.T) {
	m := newCarrier(time.Hour)
	for i := range 100 {
		m.Bring(m.now, post.Key{To: linnet.UserName(fmt.Sprint("user", i))}, 1)
	}
	asked := make(map[string]bool)
	for range 151 {
		questions := m.wants()
		if len(questions) > 1 {
			t.Fatalf("%d questions in a second", len(questions))
		}
		for _, q := range questions {
			asked[q] = true
		}
		m.passes(time.Second)
	}
	if len(asked) != 100 {
		t.Errorf("%d of 100 are asked for", len(asked))
	}

	m = newCarrier(time.Hour)
	m.brings(1)
	m.straight(bob, phone)
	m.takes(bob)
	m.takes(phone)
	m.wants()
	begin := m.now
	for i := range 20 { // things for one person
		m.Bring(m.now, post.Key{To: "bob", About: linnet.UserName(fmt.Sprint("user", i))}, 1)
	}
	letters := 0
	for ; letters < 20 && m.now.Sub(begin) < time.Minute; m.passes(50 * time.Millisecond) {
		for _, w := range m.wants() {
			if w == toBob {
				letters++
				m.takes(bob)
				m.takes(phone)
			}
		}
	}
	if took := m.now.Sub(begin); letters < 20 || took < 4*time.Second {
		t.Errorf("%d letters to one device in %v", letters, took)
	}
}

// What is remembered has a bound.
func TestRemembersNotAll(t *testing.T) {
	m := newCarrier(time.Hour)
	for i := range 300 {
		user := linnet.UserName(fmt.Sprint("user", i))
		m.Bring(m.now, post.Key{To: user}, 1)
		m.passes(2 * time.Second)
		m.Prekeys(m.now, user, []*directory.Prekey{{Node: bob}}, nil)
		m.Found(m.now, user, []post.Device{{Node: bob, Reachable: true}}, nil)
		m.takes(bob)
	}
	m.wants()
	atOnce := 0
	for i := range 300 {
		m.wants()
		m.Bring(m.now, post.Key{To: linnet.UserName(fmt.Sprint("user", i))}, 2)
		if slices.Contains(m.wants(), toBob) {
			atOnce++
		}
		m.takes(bob)
	}
	if atOnce != 256 {
		t.Errorf("%d of 300 are written to at once, want 256", atOnce)
	}
}

// The effects that say that a letter was taken.
func TestArrivalTaken(t *testing.T) {
	l := &directory.Letter{ID: directory.LetterID{3}, Sender: bob}
	straight, mail := post.Arrival{Letter: l}, post.Arrival{Letter: l, Mail: message.MailID{4}}
	if f, ok := straight.Taken().(post.Forward); !ok || f.To != bob || f.Inner != message.InnerTaken || directory.LetterID(f.Body) != l.ID {
		t.Errorf("straight: %+v", f)
	}
	if r, ok := mail.Taken().(post.RemoveMail); !ok || !slices.Equal(r.IDs, []message.MailID{{4}}) {
		t.Errorf("from the mailbox: %+v", r)
	}
}
