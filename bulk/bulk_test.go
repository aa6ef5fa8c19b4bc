package bulk

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
)

// pair are two endpoints on a line; lose says which packets get lost.
type pair struct {
	a, b     *Endpoint
	idA, idB linnet.NodeID
}

func newPair(t testing.TB, lose func() bool) *pair {
	t.Helper()
	p := &pair{idA: linnet.NodeID{1}, idB: linnet.NodeID{2}}
	var mu sync.Mutex
	send := func(from linnet.NodeID, to **Endpoint) func(linnet.NodeID, []byte) {
		return func(_ linnet.NodeID, b []byte) {
			if !Is(b) || len(b) > leastSize {
				t.Errorf("a packet of %d bytes that begins with %#x", len(b), b[0])
			}
			mu.Lock()
			lost := lose != nil && lose()
			mu.Unlock()
			if !lost {
				(*to).Packet(from, b)
			}
		}
	}
	var err error
	if p.a, err = New(Options{Send: send(p.idA, &p.b)}); err != nil {
		t.Fatal(err)
	}
	if p.b, err = New(Options{Send: send(p.idB, &p.a)}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.a.Close(); p.b.Close() })
	return p
}

// serve answers each stream with what it brought.
func (p *pair) serve(ctx context.Context) {
	for {
		c, err := p.b.Accept(ctx)
		if err != nil {
			return
		}
		go func() {
			for {
				s, err := c.AcceptStream(ctx)
				if err != nil {
					return
				}
				go func() {
					io.Copy(s, s)
					s.Close()
				}()
			}
		}()
	}
}

func TestBytesArrive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		random := rand.New(rand.NewPCG(1, 2))
		p := newPair(t, func() bool { return random.IntN(20) == 0 })
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.serve(ctx)
		if err := p.b.Expect(p.idA, p.a.Hash()); err != nil {
			t.Fatal(err)
		}
		c, err := p.a.Dial(ctx, p.idB, p.b.Hash())
		if err != nil {
			t.Fatal(err)
		}
		s, err := c.OpenStreamSync(ctx)
		if err != nil {
			t.Fatal(err)
		}
		want := make([]byte, 300_000)
		for i := range want {
			want[i] = byte(i * i >> 7)
		}
		go func() {
			s.Write(want)
			s.Close()
		}()
		if got, err := io.ReadAll(s); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes came back, %v", len(got), err)
		}
		p.a.Forget(p.idB)
		if _, err := c.OpenStream(); err == nil {
			t.Error("a connection goes on after Forget")
		}
	})
}

// Packets are as large as the session says when a connection begins. If that is too much
// later, the connection ends.
func TestResize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, nil)
		var most [2]atomic.Int32
		for i, x := range []struct {
			from *Endpoint
			id   linnet.NodeID
			to   *Endpoint
		}{{p.a, p.idA, p.b}, {p.b, p.idB, p.a}} {
			x.from.port.send = func(_ linnet.NodeID, b []byte) {
				most[i].Store(max(most[i].Load(), int32(len(b))))
				x.to.Packet(x.id, b)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.serve(ctx)
		if err := p.b.Expect(p.idA, p.a.Hash()); err != nil {
			t.Fatal(err)
		}
		p.b.Resize(p.idA, 1265)
		connect := func() *Conn {
			c, err := p.a.Dial(ctx, p.idB, p.b.Hash())
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		exchange := func(c *Conn) error {
			s, err := c.OpenStreamSync(ctx)
			if err != nil {
				return err
			}
			go func() {
				s.Write(make([]byte, 100_000))
				s.Close()
			}()
			_, err = io.ReadAll(s)
			return err
		}
		if err := exchange(connect()); err != nil || most[0].Load() != leastSize || most[1].Load() != 1265 {
			t.Errorf("%v; packets of %d and %d bytes", err, most[0].Load(), most[1].Load())
		}
		p.a.Resize(p.idB, 1445)
		c := connect()
		if err := exchange(c); err != nil || most[0].Load() != mostSize {
			t.Errorf("%v; packets of %d bytes", err, most[0].Load())
		}
		p.a.Resize(p.idB, 1445)
		if err := exchange(c); err != nil {
			t.Error(err)
		}
		p.a.Resize(p.idB, 1265)
		if err := exchange(c); err == nil {
			t.Error("a connection goes on whose packets do not pass")
		}
		if err := exchange(connect()); err != nil {
			t.Error(err)
		}
		p.b.Resize(p.idA, 0)
		time.Sleep(time.Second)
		p.b.mu.Lock()
		defer p.b.mu.Unlock()
		if n := len(p.b.peers[p.idA].conns); n != 0 {
			t.Errorf("%d connections of the other side go on", n)
		}
	})
}

// Where packets turn out to be too large while a connection begins, it begins with smaller ones.
func TestDialIntoBlackHole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, nil)
		p.a.port.send = func(_ linnet.NodeID, b []byte) {
			if len(b) <= leastSize {
				p.b.Packet(p.idA, b)
			}
		}
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.serve(ctx)
		if err := p.b.Expect(p.idA, p.a.Hash()); err != nil {
			t.Fatal(err)
		}
		p.a.Resize(p.idB, mostSize)
		time.AfterFunc(2*time.Second, func() { p.a.Resize(p.idB, leastSize) })
		began := time.Now()
		c, err := p.a.Dial(ctx, p.idB, p.b.Hash())
		if took := time.Since(began); err != nil || took > 3*time.Second {
			t.Fatalf("%v after %v", err, took)
		}
		time.Sleep(time.Second)
		if _, err := c.OpenStream(); err != nil {
			t.Error(err)
		}
	})
}

func TestWhoIsLetIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, nil)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go p.serve(ctx)
		short := func() context.Context {
			ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			t.Cleanup(cancel)
			return ctx
		}
		if _, err := p.a.Dial(short(), p.idB, p.b.Hash()); err == nil {
			t.Error("somebody was let in whom nobody expected")
		}
		// Somebody with another certificate than was said is shut out once it shows.
		if err := p.b.Expect(p.idA, Hash{1}); err != nil {
			t.Fatal(err)
		}
		if c, err := p.a.Dial(short(), p.idB, p.b.Hash()); err == nil {
			select {
			case <-c.Context().Done():
			case <-time.After(5 * time.Second):
				t.Error("a wrong certificate was taken")
			}
		}
		if err := p.b.Expect(p.idA, p.a.Hash()); err != nil {
			t.Fatal(err)
		}
		if _, err := p.a.Dial(short(), p.idB, Hash{1}); !errors.Is(err, ErrIdentity) {
			t.Errorf("another certificate than was said: %v", err)
		}
		if c, err := p.a.Dial(short(), p.idB, p.b.Hash()); err != nil {
			t.Error(err)
		} else {
			c.Close()
		}
	})
}

// Who is expected may begin few handshakes, and those that he leaves unfinished are
// forgotten.
func TestHandshakesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPair(t, nil)
		var refused atomic.Int32
		p.b.port.send = func(_ linnet.NodeID, b []byte) { // a hears nothing
			if len(b) < 100 {
				refused.Add(1)
			}
		}
		if err := p.b.Expect(p.idA, p.a.Hash()); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer stop()
		var dials sync.WaitGroup
		for range 5 * connsOfPeer {
			dials.Go(func() {
				if _, err := p.a.Dial(ctx, p.idB, p.b.Hash()); err == nil {
					t.Error("connected without an answer")
				}
			})
		}
		dials.Wait()
		coming := func() int {
			p.b.mu.Lock()
			defer p.b.mu.Unlock()
			return p.b.peers[p.idA].coming
		}
		if n := coming(); n != connsOfPeer || refused.Load() == 0 { // QUIC leaves some of a burst without a word
			t.Errorf("%d handshakes go on, %d packets refuse", n, refused.Load())
		}
		time.Sleep(2 * handshakeFor)
		if n := coming(); n != 0 {
			t.Errorf("%d handshakes are not forgotten", n)
		}
	})
}

func TestPeersAreBounded(t *testing.T) {
	p := newPair(t, nil)
	for i := range 3 * maxPeers {
		if err := p.b.Expect(linnet.NodeID{9, byte(i)}, Hash{1}); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(p.b.peers); n > maxPeers {
		t.Errorf("%d peers", n)
	}
}

func TestPace(t *testing.T) {
	var p Pacer
	now := time.Unix(0, 0)
	step := func(v View, d time.Duration) (rate float64) {
		for end := now.Add(d); now.Before(end); now = now.Add(50 * time.Millisecond) {
			rate = p.Rate(now, v)
		}
		return rate
	}
	empty, full := 20*time.Millisecond, 120*time.Millisecond
	if r := step(View{RTT: empty}, time.Second); r != 0 {
		t.Errorf("alone: %v bytes a second", r)
	}
	if r := step(View{RTT: full, Limit: 1000}, time.Second); r != 1000 {
		t.Errorf("with a limit: %v", r)
	}
	if r := step(View{RTT: empty, Relayed: true}, time.Second); r != relayedRate {
		t.Errorf("relayed: %v", r)
	}
	if r := step(View{RTT: empty, Relayed: true, Share: 4}, time.Second); r != relayedRate/4 {
		t.Errorf("one of four, relayed: %v", r)
	}
	if r := p.Rate(now, View{RTT: empty, Call: true}); r != firstCallRate {
		t.Errorf("a call begins: %v", r)
	}
	if r := step(View{RTT: empty, Call: true}, 10*time.Second); r != callRate {
		t.Errorf("beside a call on an empty line: %v", r)
	}
	if r := step(View{RTT: full, Call: true}, 3*time.Second); r != leastRate {
		t.Errorf("beside a call on a full line: %v", r)
	}
	if r := step(View{RTT: empty, Call: true, Relayed: true}, 10*time.Second); r != relayedCallRate {
		t.Errorf("beside a relayed call: %v", r)
	}
	// A path that is longer from now on is no queue for ever.
	step(View{RTT: full, Call: true}, 2*baseFor+baseFor/2)
	if r := step(View{RTT: full, Call: true}, 10*time.Second); r != callRate {
		t.Errorf("on a longer path: %v", r)
	}
	v := View{RTT: full, Call: true}
	for range 100 {
		v.Sent, v.Lost = v.Sent+100, v.Lost+5
		step(v, lookEvery)
	}
	if r := p.Rate(now, v); r > 1.2*leastRate {
		t.Errorf("with loss: %v", r)
	}
	if d := p.After(now, 1000, 500); d != 0 {
		t.Errorf("the first bytes wait %v", d)
	}
	if d := p.After(now, 1000, 500); d != 500*time.Millisecond {
		t.Errorf("the next bytes wait %v", d)
	}
}
