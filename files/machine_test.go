package files

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A side is one device, with the file system and session that its machine believes in.
type side struct {
	*Machine
	self  Peer
	disk  map[linnet.FileID]Kept
	fetch map[linnet.FileID]Fetch
	mail  []Send
	told  []linnet.Event
}

// A couple are two devices, whose messages travel when carry is called.
type couple struct {
	t          testing.TB
	now        time.Time
	alice, bob *side
	apart      bool // nothing travels, nobody is found
	contacts   bool
}

func newCouple(t testing.TB) *couple {
	c := &couple{t: t, now: time.Unix(1_000_000, 0), contacts: true}
	c.alice = &side{self: Peer{linnet.NodeID{1}, "alice"}, disk: make(map[linnet.FileID]Kept)}
	c.bob = &side{self: Peer{linnet.NodeID{2}, "bob"}, disk: make(map[linnet.FileID]Kept)}
	c.start(c.alice)
	c.start(c.bob)
	return c
}

// start is a start, or one after kill -9: what is on disk is there, and no more.
func (c *couple) start(s *side) {
	var kept []Kept
	for _, k := range s.disk {
		kept = append(kept, k)
	}
	s.Machine = New(c.now, Options{Contact: func(linnet.UserName) bool { return c.contacts }}, kept)
	s.fetch, s.mail = make(map[linnet.FileID]Fetch), nil
}

func (c *couple) other(s *side) *side {
	if s == c.alice {
		return c.bob
	}
	return c.alice
}

// settle does what both want, until nobody wants anything.
func (c *couple) settle() {
	for busy := true; busy; {
		busy = false
		for _, s := range []*side{c.alice, c.bob} {
			for _, e := range s.Take() {
				busy = true
				c.effect(s, e)
			}
			for len(s.mail) > 0 {
				busy = true
				m := s.mail[0]
				s.mail = s.mail[1:]
				if o := c.other(s); !c.apart && m.Node == o.self.Node {
					o.Received(c.now, s.self, m.Message)
				}
			}
		}
	}
}

func (c *couple) effect(s *side, e Effect) {
	switch e := e.(type) {
	case Save:
		s.disk[e.Kept.ID] = e.Kept
	case Forget:
		delete(s.disk, e.ID)
	case LookUp:
		var found []linnet.NodeID
		if !c.apart {
			found = []linnet.NodeID{c.other(s).self.Node}
		}
		s.Found(c.now, e.User, found)
	case Send:
		s.mail = append(s.mail, e)
	case Fetch:
		if !c.apart {
			c.other(s).Received(c.now, s.self, e.First)
		}
		s.fetch[e.Kept.ID] = e
	case Stop:
		delete(s.fetch, e.ID)
	case Tell:
		s.told = append(s.told, e.Event)
	}
}

// pass lets time go by.
func (c *couple) pass(d time.Duration) {
	for end := c.now.Add(d); c.now.Before(end); {
		c.now = c.now.Add(500 * time.Millisecond)
		for _, s := range []*side{c.alice, c.bob} {
			if at := s.Deadline(); !at.IsZero() && !c.now.Before(at) {
				s.Tick(c.now)
			}
		}
		c.settle()
	}
}

// flow does what fetching does: as much as there is, or as the sender gives.
func (c *couple) flow(s *side) {
	for id, f := range s.fetch {
		delete(s.fetch, id)
		if c.apart {
			s.Fetched(c.now, id, errors.New("no path"))
			continue
		}
		k, status := c.other(s).Serve(s.self, id)
		if status != Ready {
			s.Fetched(c.now, id, Refusal(status))
			continue
		}
		if k.Sum != f.Kept.Sum {
			c.t.Fatalf("another file is served: %+v for %+v", k, f.Kept)
		}
		s.Progress(c.now, id, k.Size/2, 1, linnet.DirectUDP)
		s.Progress(c.now, id, k.Size, 1, linnet.DirectUDP)
		s.Fetched(c.now, id, nil)
	}
	c.settle()
}

func (c *couple) offer(size int64) linnet.FileID {
	id := linnet.NewFileID()
	k := Kept{File: linnet.File{ID: id, Peer: "bob", Name: "../a.txt", Size: size, Place: "/a.txt"}, Sum: [32]byte{1}, Tree: [32]byte{2}}
	if err := c.alice.Offer(c.now, k, []byte("hashes")); err != nil {
		c.t.Fatal(err)
	}
	c.settle()
	return id
}

func (c *couple) stands(s *side, id linnet.FileID, want linnet.FileState) linnet.File {
	c.t.Helper()
	for _, f := range s.Files() {
		if f.ID == id {
			if f.State != want {
				c.t.Errorf("%s: the file is %v, want %v: %+v", s.self.User, f.State, want, f)
			}
			return f
		}
	}
	c.t.Errorf("%s has no such file", s.self.User)
	return linnet.File{}
}

func (c *couple) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Error(err)
	}
}

func TestOfferAndFetch(t *testing.T) {
	c := newCouple(t)
	id := c.offer(100)
	if f := c.stands(c.bob, id, linnet.FileOffered); f.Name != "a.txt" || f.Size != 100 || f.Peer != "alice" || !f.Incoming {
		t.Errorf("bob is offered %+v", f)
	}
	if f := c.stands(c.alice, id, linnet.FileOffered); !f.Told {
		t.Errorf("alice does not know that bob has it: %+v", f)
	}
	c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
	c.settle()
	c.stands(c.alice, id, linnet.FileActive)
	c.flow(c.bob)
	c.stands(c.alice, id, linnet.FileDone)
	if f := c.stands(c.bob, id, linnet.FileDone); f.Done != 100 {
		t.Errorf("bob: %+v", f)
	}
	for _, err := range []error{c.bob.Answer(c.now, id, true, ""), c.bob.Pause(c.now, id, true), c.bob.Cancel(c.now, id), c.bob.Cancel(c.now, linnet.FileID{9})} {
		if err == nil {
			t.Error("something can be done to a file that is over, or is not")
		}
	}
}

// However often somebody says that he is asked still, it is written down once.
func TestStrangerSaysSoAgain(t *testing.T) {
	c := newCouple(t)
	c.alice.o.Asked = func(linnet.UserName) bool { return true }
	c.apart = true
	id := c.offer(100)
	c.alice.told = nil
	for range 3 {
		c.alice.Received(c.now, c.bob.self, &message.FileAnswer{File: id, Verdict: message.FileStranger})
		c.settle()
	}
	c.stands(c.alice, id, linnet.FileOffered)
	if n := len(c.alice.told); n != 1 {
		t.Errorf("told %d times", n)
	}
}

// The offer is taken back before it is known that somebody has it.
func TestCancelBeforeItIsSeen(t *testing.T) {
	c := newCouple(t)
	c.apart = true
	id := c.offer(100)
	c.apart = false
	c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: id, Name: "a.txt", Size: 100, Sum: [32]byte{1}, Tree: [32]byte{2}})
	c.ok(c.alice.Cancel(c.now, id))
	c.settle()
	c.stands(c.bob, id, linnet.FileCancelled)
}

func TestReceiverIsAway(t *testing.T) {
	c := newCouple(t)
	c.apart = true
	id := c.offer(100)
	c.pass(3 * time.Hour)
	if f := c.stands(c.alice, id, linnet.FileOffered); f.Told {
		t.Errorf("alice: %+v", f)
	}
	c.apart = false
	c.alice.Wake(c.now, "bob") // presence says that he is back
	c.settle()
	c.stands(c.bob, id, linnet.FileOffered)
	c.apart = true
	c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
	c.settle()
	c.flow(c.bob)
	c.pass(time.Minute)
	c.stands(c.bob, id, linnet.FileActive)
	c.apart = false
	for range 3 {
		c.pass(lastRetry + time.Second)
		c.flow(c.bob)
	}
	c.stands(c.bob, id, linnet.FileDone)
	c.stands(c.alice, id, linnet.FileDone)
}

func TestPause(t *testing.T) {
	for _, who := range []string{"alice", "bob"} {
		c := newCouple(t)
		id := c.offer(100)
		c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
		c.settle()
		s := map[string]*side{"alice": c.alice, "bob": c.bob}[who]
		c.ok(s.Pause(c.now, id, true))
		c.settle()
		c.pass(time.Hour)
		if len(c.bob.fetch) > 0 {
			t.Errorf("%s paused, and bob fetches", who)
		}
		c.stands(c.alice, id, linnet.FilePaused)
		c.stands(c.bob, id, linnet.FilePaused)
		c.ok(s.Pause(c.now, id, false))
		c.settle()
		c.pass(time.Second)
		c.flow(c.bob)
		c.stands(c.alice, id, linnet.FileDone)
		c.stands(c.bob, id, linnet.FileDone)
	}
}

func TestTroubleOfFetching(t *testing.T) {
	for _, tt := range []struct {
		err         error
		bob, alice  linnet.FileState
		here, there bool
	}{
		{&linnet.Error{Code: linnet.CodeDisk, Text: "full"}, linnet.FilePaused, linnet.FilePaused, true, false},
		{ErrMismatch, linnet.FileFailed, linnet.FileFailed, false, false},
		{Refusal(Unknown), linnet.FileCancelled, linnet.FileActive, false, false},
		{Refusal(Paused), linnet.FilePaused, linnet.FileActive, false, true},
		{Refusal(Unreadable), linnet.FilePaused, linnet.FileActive, false, true},
		{errors.New("anything else"), linnet.FileActive, linnet.FileActive, false, false},
	} {
		c := newCouple(t)
		id := c.offer(100)
		c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
		c.settle()
		c.bob.Fetched(c.now, id, tt.err)
		c.settle()
		c.stands(c.alice, id, tt.alice)
		if f := c.stands(c.bob, id, tt.bob); f.PausedHere != tt.here || f.PausedThere != tt.there {
			t.Errorf("%v: %+v", tt.err, f)
		}
	}
}

func TestBounds(t *testing.T) {
	c := newCouple(t)
	for i := range 3 * maxAskedOf {
		c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: linnet.FileID{byte(i)}, Name: "x"})
	}
	if n := len(c.bob.Files()); n != maxAskedOf {
		t.Errorf("%d offers of one sender wait", n)
	}
	for i := range 3 * maxAsked {
		from := Peer{linnet.NodeID{3, byte(i)}, linnet.UserName(fmt.Sprint("user", i))}
		c.bob.Received(c.now, from, &message.FileOffer{File: linnet.FileID{1, byte(i)}, Name: "x"})
	}
	if n := len(c.bob.Files()); n != maxAsked {
		t.Errorf("%d offers wait", n)
	}
	c.apart = true
	for _, f := range c.bob.Files() {
		c.ok(c.bob.Answer(c.now, f.ID, true, "/x"))
	}
	c.bob.Tick(c.now)
	c.settle()
	if n := len(c.bob.fetch); n != maxFetches {
		t.Errorf("%d files are fetched at once", n)
	}
	c.apart, c.contacts = false, false
	c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: linnet.FileID{9, 9}, Name: "x"})
	if _, there := c.bob.Get(linnet.FileID{9, 9}); there {
		t.Error("a stranger's offer is shown")
	}
	c.bob.Take()
	c.contacts = true
	for i := range maxFinal + 100 {
		id := linnet.FileID{200, byte(i >> 8), byte(i)}
		c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: id, Name: "x"})
		c.now = c.now.Add(time.Second)
		c.ok(c.bob.Answer(c.now, id, false, ""))
		c.settle()
	}
	if n := len(c.bob.files) - len(c.bob.open); n != maxFinal {
		t.Errorf("%d files that are over are remembered", n)
	}
	if len(c.bob.disk) != len(c.bob.files) {
		t.Errorf("%d files are kept, %d known", len(c.bob.disk), len(c.bob.files))
	}
}

// Who offers and takes back all the time does not keep the disk and the user busy.
func TestFlood(t *testing.T) {
	c := newCouple(t)
	const flood = 10 * saidBurst
	told := 0
	for i := range flood {
		id := linnet.FileID{byte(i >> 8), byte(i)}
		c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: id, Name: "x"})
		c.bob.Received(c.now, c.alice.self, &message.FileEnd{File: id, Reason: message.FileCancelled})
		for _, e := range c.bob.Take() {
			if _, ok := e.(Tell); ok {
				told++
			}
		}
	}
	if told > saidBurst {
		t.Errorf("of %d offers the user is told %d times", flood, told)
	}
	c.now = c.now.Add(time.Minute)
	c.bob.Received(c.now, c.alice.self, &message.FileOffer{File: linnet.FileID{15: 1}, Name: "x"})
	if _, there := c.bob.Get(linnet.FileID{15: 1}); !there {
		t.Error("nothing is heard of them a minute later")
	}
}

// Nobody but the device that offered, or took, a file has a say in it.
func TestStrangersHaveNoSay(t *testing.T) {
	c := newCouple(t)
	id := c.offer(100)
	c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
	c.settle()
	eve, second := Peer{linnet.NodeID{3}, "eve"}, Peer{linnet.NodeID{4}, "bob"}
	for _, from := range []Peer{eve, second} {
		for _, m := range []message.Message{
			&message.FileEnd{File: id, Reason: message.FileComplete}, &message.FileEnd{File: id, Reason: message.FileCancelled},
			&message.FilePause{File: id, On: true}, &message.FileAnswer{File: id, Verdict: message.FileDeclined}, &message.FileAnswer{File: id, Verdict: message.FileAccepted},
			&message.FileOffer{File: id, Name: "other", Size: 7},
		} {
			c.alice.Received(c.now, from, m)
		}
		if _, status := c.alice.Serve(from, id); status != Unknown {
			t.Errorf("%v is served: %d", from, status)
		}
	}
	c.settle()
	c.stands(c.alice, id, linnet.FileActive)
	c.bob.Received(c.now, eve, &message.FileEnd{File: id, Reason: message.FileCancelled})
	c.bob.Received(c.now, eve, &message.FileOffer{File: id, Name: "other", Size: 7})
	if f := c.stands(c.bob, id, linnet.FileActive); f.Name != "a.txt" || f.Size != 100 {
		t.Errorf("bob: %+v", f)
	}
}

func TestBlocked(t *testing.T) {
	c := newCouple(t)
	id := c.offer(100)
	c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
	c.settle()
	c.bob.Blocked(c.now, "alice")
	c.settle()
	c.stands(c.bob, id, linnet.FileCancelled)
	if len(c.bob.fetch) > 0 {
		t.Error("it is fetched from somebody who is blocked")
	}
}

// A file that its sender paused and cancelled is over for the receiver, too, though he
// was away then and fetches nothing.
func TestCancelledWhilePaused(t *testing.T) {
	c := newCouple(t)
	id := c.offer(100)
	c.ok(c.bob.Answer(c.now, id, true, "/a.part"))
	c.settle()
	c.ok(c.alice.Pause(c.now, id, true))
	c.settle()
	c.apart = true
	c.ok(c.alice.Cancel(c.now, id))
	c.settle()
	c.apart = false
	c.bob.Wake(c.now, "alice")
	c.settle()
	c.stands(c.bob, id, linnet.FileCancelled)
}

// Whatever both do, are killed, lose sight of each other: once they are together again
// and nobody pauses, each file is over, and nobody believes that it arrived when it did not.
func TestAgreement(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := newCouple(t)
		var ids []linnet.FileID
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			s := []*side{c.alice, c.bob}[rapid.IntRange(0, 1).Draw(r, "side")]
			var id linnet.FileID
			if len(ids) > 0 {
				id = rapid.SampledFrom(ids).Draw(r, "file")
			}
			switch rapid.IntRange(0, 9).Draw(r, "what") {
			case 0:
				if len(ids) < 3 {
					ids = append(ids, c.offer(100))
				}
			case 1:
				c.bob.Answer(c.now, id, rapid.IntRange(0, 4).Draw(r, "yes") > 0, "/part")
			case 2:
				s.Pause(c.now, id, rapid.Bool().Draw(r, "on"))
			case 3:
				if rapid.IntRange(0, 3).Draw(r, "really") == 0 {
					s.Cancel(c.now, id)
				}
			case 4:
				c.start(s) // killed
			case 5:
				c.apart = !c.apart
			case 6:
				c.pass(time.Duration(rapid.IntRange(1, 100).Draw(r, "seconds")) * time.Second)
			case 7:
				c.flow(c.bob)
			case 8:
				s.Wake(c.now, c.other(s).self.User)
			case 9:
				s.mail = nil // lost with a session
			}
			if rapid.Bool().Draw(r, "settle") {
				c.settle()
			}
		}
		c.apart = false
		c.alice.Wake(c.now, "bob")
		c.settle()
		for _, id := range ids {
			if f, ok := c.bob.Get(id); ok && f.State == linnet.FileOffered {
				c.bob.Answer(c.now, id, true, "/part")
			}
			for _, s := range []*side{c.alice, c.bob} {
				s.Pause(c.now, id, false)
				c.settle()
			}
		}
		for range 3 {
			c.alice.Wake(c.now, "bob")
			c.bob.Wake(c.now, "alice")
			c.pass(2 * lastRetry)
			c.flow(c.bob)
		}
		for _, id := range ids {
			a, _ := c.alice.Get(id)
			b, there := c.bob.Get(id)
			switch {
			case !there && a.State == linnet.FileCancelled: // before bob heard of it
			case a.State == linnet.FileCancelled && b.State.Final(): // while bob's last word was on its way
			case !there || !a.State.Final() || !b.State.Final() || (a.State == linnet.FileDone) != (b.State == linnet.FileDone):
				r.Fatalf("alice: %v, bob: %v\n%+v\n%+v", a.State, b.State, a, b)
			}
		}
	})
}

func FuzzMachine(f *testing.F) {
	for _, m := range []message.Message{
		&message.FileOffer{File: linnet.FileID{1}, Name: "a", Size: 5}, &message.FileAnswer{File: linnet.FileID{1}, Verdict: 1},
		&message.FileEnd{File: linnet.FileID{1}, Reason: 1}, &message.FilePause{File: linnet.FileID{1}, On: true},
	} {
		f.Add(message.Append(nil, message.Command{Body: m}))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newCouple(t)
		id := c.offer(100)
		if c.bob.Answer(c.now, id, true, "/part") == nil {
			c.settle()
		}
		for n := 0; len(b) > 0 && n < 64; n++ {
			var x message.Command
			var err error
			if x, b, err = message.Parse(b, message.Session); err != nil {
				continue
			}
			for _, s := range []*side{c.alice, c.bob} {
				s.Received(c.now, c.other(s).self, x.Body)
			}
			c.settle()
		}
		c.pass(5 * time.Second)
		for _, s := range []*side{c.alice, c.bob} {
			for _, f := range s.Files() {
				if f.Size < 0 || f.Size > linnet.MaxFile || f.Done > f.Size || SafeName(f.Name) != f.Name {
					t.Errorf("%+v", f)
				}
			}
		}
	})
}

// What wants somebody looked up while that is under way waits for the answer, and keeps
// nobody awake until then.
func TestOfferDuringALookUp(t *testing.T) {
	c := newCouple(t)
	for range 2 {
		k := Kept{File: linnet.File{ID: linnet.NewFileID(), Peer: "bob", Name: "a.txt", Size: 1, Place: "/a.txt"}}
		if err := c.alice.Offer(c.now, k, nil); err != nil {
			t.Fatal(err)
		}
	}
	if at := c.alice.Deadline(); !at.IsZero() {
		t.Errorf("it wants to be called at %v, to do nothing", at)
	}
	c.alice.Found(c.now, "bob", nil)
	if at := c.alice.Deadline(); !at.Equal(c.now) {
		t.Errorf("after the answer it wants to be called at %v", at)
	}
}
