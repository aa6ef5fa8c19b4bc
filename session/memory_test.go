package session

import (
	"runtime"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func binding(d device) suite.Binding {
	return suite.Binding{Network: network, Responder: d.peer.Node}
}

// crowd opens n sessions with bob, each of another device, and lets them fall quiet.
func crowd(t testing.TB, n int, forget bool) *Endpoint {
	o := bob.options()
	o.ForgetCertificates = forget
	o.IdleTimeout = 24 * time.Hour // it takes a while to open so many
	server := New(o)
	now := start
	for i := range n {
		d := newDevice(linnet.UserName("user"+string(rune('a'+i%26))), login)
		client := New(d.options())
		here := Path{Kind: linnet.DirectUDP, Addr: address(i)}
		there := Path{Kind: linnet.DirectUDP, Addr: address(-1)}
		client.Dial(now, bob.peer, there)
		for range 6 {
			for _, x := range client.Take() {
				switch x := x.(type) {
				case SendHello:
					server.Hello(now, here, 1, x.Message.(*message.Hello))
				case SendPacket:
					server.Packet(now, here, x.Tag, x.Body)
				}
			}
			now = now.Add(30 * time.Millisecond)
			server.Tick(now)
			for _, x := range server.Take() {
				switch x := x.(type) {
				case SendHello:
					client.HelloReply(now, there, bob.peer.Node, x.Message.(*message.HelloReply))
				case SendPacket:
					if x.To == d.peer.Node {
						client.Packet(now, there, x.Tag, x.Body)
					}
				}
			}
			client.Tick(now)
		}
		if !server.Upgraded(d.peer.Node) {
			t.Fatalf("session %d is not up", i)
		}
	}
	for now = now.Add(oldKeysFor + coolAfter); server.Deadline().Before(now); {
		server.Tick(now)
		server.Take()
	}
	for _, s := range server.peers {
		if s.old != nil || s.flow != nil || s.keys.warm() || forget != (s.certificate == nil) {
			t.Fatal("a session is not quiet")
		}
	}
	if len(server.peers) != n {
		t.Fatalf("%d sessions, want %d", len(server.peers), n)
	}
	return server
}

func heap() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// An idle session costs at most 2 KiB, certificate, tables and all.
func TestIdleSessionSize(t *testing.T) {
	const n = 512 // a power of two, where maps and slices have most room to spare
	for _, tt := range []struct {
		forget bool
		most   float64
	}{{false, 2048}, {true, 1024}} {
		before := heap()
		server := crowd(t, n, tt.forget)
		size := float64(heap()-before) / n
		runtime.KeepAlive(server)
		t.Logf("%.0f bytes per idle session, certificates forgotten: %v", size, tt.forget)
		if size > tt.most {
			t.Errorf("%.0f bytes per idle session, certificates forgotten: %v", size, tt.forget)
		}
	}
}

func BenchmarkIdleSession(b *testing.B) {
	const n = 2000
	for range b.N {
		before := heap()
		server := crowd(b, n, true)
		b.ReportMetric(float64(heap()-before)/n, "B/session")
		runtime.KeepAlive(server)
	}
}

// A keep-alive of an idle session as its supernode sees it: ciphers are built,
// a challenge is answered, the ciphers go.
func BenchmarkKeepAlive(b *testing.B) {
	w := newWorld(b, alice, bob)
	x, y := w.join()
	b.ReportAllocs()
	for b.Loop() {
		w.now = w.now.Add(30 * time.Second)
		x.Probe(w.now, y.peer.Node, direct(y))
		for _, f := range x.Take() {
			if p, ok := f.(SendPacket); ok {
				y.Packet(w.now, direct(x), p.Tag, p.Body)
			}
		}
		y.Tick(w.now)
		y.Take()
		x.peers[y.peer.Node].heard, x.peers[y.peer.Node].silence = x.now, 0
	}
}

func BenchmarkSend(b *testing.B) {
	w := newWorld(b, alice, bob)
	x, y := w.join()
	b.ReportAllocs()
	for b.Loop() {
		x.Send(w.now, y.peer.Node, &message.CallAlive{})
		for _, f := range x.Take() {
			if p, ok := f.(SendPacket); ok {
				y.Packet(w.now, direct(x), p.Tag, p.Body)
			}
		}
		w.now = w.now.Add(ackDelay)
		y.Tick(w.now)
		for _, f := range y.Take() {
			if p, ok := f.(SendPacket); ok {
				x.Packet(w.now, direct(y), p.Tag, p.Body)
			}
		}
	}
}

// What is said to somebody who has shown nothing yet is cut to what may be
// sent, down to nothing.
func TestLittleRoom(t *testing.T) {
	w := newWorld(t, alice, bob)
	a, b := w.nodes[0], w.nodes[1]
	w.cut = func(from, _ *node, _ Path) bool { return from == b } // a never hears of it
	if err := a.Dial(w.now, b.peer, direct(b)); err != nil {
		t.Fatal(err)
	}
	w.run(100 * time.Millisecond)
	s := b.peers[a.peer.Node]
	if s == nil || s.state != answered {
		t.Fatal("b did not answer")
	}
	for _, m := range []message.Message{&message.Detach{}, &message.Unroutable{}, tone(""), tone("%0100d", 1)} {
		for budget := range 200 {
			s.half.budget, s.flow = budget, nil
			if err := b.Send(w.now, a.peer.Node, m); err != nil {
				t.Fatal(err)
			}
			if b.Take(); s.half.budget < 0 {
				t.Fatalf("%T, budget %d: %d more than allowed", m, budget, -s.half.budget)
			}
		}
	}
}
