package node

import (
	"encoding/binary"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/netsim"
)

// A person sits at a browser: says numbered frames until it is closed, and
// counts what is heard.
type person struct {
	mu     sync.Mutex
	heard  int
	loss   float64
	closed chan struct{}
}

func (p *person) Hear(_ time.Time, a media.Arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if a.Data != nil {
		p.heard++
	}
}

func (p *person) Loss(share float64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.loss = share
}

func (*person) See(time.Time, media.Piece) {}
func (*person) Rate(int)                   {}
func (*person) KeyPicture(time.Time)       {}

func (p *person) Close() { close(p.closed) }

func (p *person) hears() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.heard
}

// sitDown connects a browser whose clock begins anywhere, and speaks.
func (m *computer) sitDown(ssrc, timestamp uint32) *person {
	p := &person{closed: make(chan struct{})}
	if !m.node.page.put(p) {
		m.w.t.Fatal("the page is not taken")
	}
	go func() {
		for n := uint32(0); ; n++ {
			data := binary.BigEndian.AppendUint32([]byte{0x48}, n)
			m.node.page.said(media.Frame{SSRC: ssrc, Timestamp: timestamp + 960*n, Samples: 960, Data: data})
			select {
			case <-p.closed:
				return
			case <-time.After(20 * time.Millisecond):
			}
		}
	}()
	return p
}

// TestCallAtPage: what is said at a browser is heard, and the other way round;
// the call goes on when the page is loaded again, and ends when nobody comes back.
func TestCallAtPage(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		before := alice.sitDown(1, 1<<32-4800)
		id := alice.call("bob", linnet.CallMedia{Page: true})
		bob.rings()
		recording := filepath.Join(w.dir, "heard.ogg")
		bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true, Record: recording})
		if e := alice.reaches(id, linnet.CallActive); !e.Call.Page {
			t.Error("the call is not told to be at the page")
		}
		time.Sleep(5 * time.Second)
		if n := before.hears(); n < 240 || n > 260 {
			t.Errorf("%d frames were heard in 5 s, want about 250", n)
		}
		time.Sleep(time.Second)
		after := alice.sitDown(2, 77)
		<-before.closed
		time.Sleep(5 * time.Second)
		if n := after.hears(); n < 240 || n > 260 {
			t.Errorf("%d frames were heard in 5 s after the page was loaded again, want about 250", n)
		}
		if err := alice.node.Hold(t.Context(), id, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		held := after.hears()
		time.Sleep(5 * time.Second)
		if n := after.hears(); n != held {
			t.Errorf("%d frames were heard of a held call", n-held)
		}
		if err := alice.node.Hold(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)

		left := time.Now()
		alice.node.page.drop(after)
		r := alice.ended(id)
		if d := r.Ended.Sub(left); r.Outcome != linnet.OutcomeCompleted || d < absence || d > absence+time.Second {
			t.Errorf("%v %v after the page was closed", r.Outcome, d)
		}
		bob.ended(id)
		frames, _ := w.frames(recording)
		said := 0
		for _, f := range frames {
			if len(f.Data) == 5 && f.Data[0] == 0x48 {
				said++
			}
		}
		if said < 570 || said > 610 { // of 5, 1, 5 and 1 s
			t.Errorf("bob heard %d frames, want about 600", said)
		}
		if len(alice.node.page.calls) != 0 {
			t.Errorf("the page is in %d calls that are over", len(alice.node.page.calls))
		}
		if _, err := alice.node.Call(t.Context(), "bob", linnet.CallMedia{Page: true, Play: w.speech()}); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("a call at the page that plays a file: %v", err)
		}
	})
}

func TestJoin(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		m := w.computer("alice", netsim.HostOptions{})
		m.start()
		ctx := t.Context()
		if err := m.node.Register(ctx, linnet.Credentials{User: "alice", Password: password}); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("an account without a network: %v", err)
		}
		if err := m.node.Join(ctx, "linnet:nonsense"); linnet.CodeOf(err) != linnet.CodeInvite {
			t.Errorf("nonsense: %v", err)
		}
		elsewhere := *w.invite
		elsewhere.Fingerprint[0]++
		if err := m.node.Join(ctx, elsewhere.String()); linnet.CodeOf(err) != linnet.CodeNoNetwork {
			t.Errorf("a network that is not there: %v", err)
		}
		for _, link := range []string{" " + w.invite.String() + "\n", w.invite.String()} {
			if err := m.node.Join(ctx, link); err != nil {
				t.Fatal(err)
			}
		}
		if err := m.node.Join(ctx, elsewhere.String()); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("a second network: %v", err)
		}
		if err := m.node.Register(ctx, linnet.Credentials{User: "alice", Password: password}); err != nil {
			t.Fatal(err)
		}
		m.online()
	})
}
