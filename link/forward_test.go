package link

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// table is who is told what about packets for others.
type table struct {
	mu sync.Mutex
	to map[uint32]Origin
}

func (f *table) set(tag uint32, to Origin) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.to[tag] = to
}

func (f *table) forward(_ time.Time, _ Origin, tag uint32, size int) (Origin, uint32, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	to, mine := f.to[tag]
	return to, tag + 0x100 + uint32(size), mine
}

// TestPassOn sends packets over all pairs of legs, real sockets at their ends.
func TestPassOn(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	f := &table{to: make(map[uint32]Origin)}
	relay, hr := start(t, Options{Listen: loopback, Forward: f.forward})
	var ends [2]*Link
	var handlers [2]*tester
	var towards, from [2]Origin // the relay as an end sees it, and the stream of an end at the relay
	for i := range ends {
		ends[i], handlers[i] = start(t, Options{Listen: loopback})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		stream, err := ends[i].Dial(ctx, relay.Addr())
		if err != nil {
			t.Fatal(err)
		}
		towards[i] = Origin{Addr: relay.Addr(), Stream: stream}
		bound := make(chan Origin, 1)
		relay.Bind(uint32(i), func(from Origin, _ []byte) { bound <- from })
		if err := ends[i].SendPacket(towards[i], uint32(i), []byte("here")); err != nil {
			t.Fatal(err)
		}
		from[i] = <-bound
		relay.Unbind(uint32(i))
	}
	legs := []struct {
		name     string
		sends    Origin
		receiver Origin
	}{
		{"UDP to UDP", Origin{Addr: relay.Addr()}, Origin{Addr: ends[1].Addr()}},
		{"UDP to TCP", Origin{Addr: relay.Addr()}, from[1]},
		{"TCP to UDP", towards[0], Origin{Addr: ends[1].Addr()}},
		{"TCP to TCP", towards[0], from[1]},
	}
	var want []string
	for i, leg := range legs {
		tag := uint32(0x10 + i)
		f.set(tag, leg.receiver)
		for k := range 3 {
			if err := ends[0].SendPacket(leg.sends, tag, fmt.Appendf(nil, "%s %d", leg.name, k)); err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%x %s %d", tag+0x100+uint32(len(leg.name)+2), leg.name, k))
		}
		eventually(t, func() bool { return len(handlers[1].told().packets) == len(want) })
	}
	if got := handlers[1].told().packets; !slices.Equal(got, want) {
		t.Errorf("passed on: %q\nwant %q", got, want)
	}

	// What is bound, nobody's or for nowhere is not passed on.
	bound := make(chan string, 1)
	f.set(0x20, Origin{Addr: ends[1].Addr()})
	relay.Bind(0x20, func(_ Origin, body []byte) { bound <- string(body) })
	f.set(0x21, Origin{})
	for tag := uint32(0x20); tag < 0x23; tag++ {
		if err := ends[0].SendPacket(Origin{Addr: relay.Addr()}, tag, fmt.Appendf(nil, "%x", tag)); err != nil {
			t.Fatal(err)
		}
	}
	if got := <-bound; got != "20" {
		t.Errorf("bound: %q", got)
	}
	eventually(t, func() bool { return len(hr.told().packets) == 1 })
	if got := hr.told().packets; got[0] != "22 22" {
		t.Errorf("the relay's own: %q", got)
	}

	// A receiver that cannot be sent to hurts none of the others.
	f.set(0x30, Origin{Addr: netip.MustParseAddrPort("[2001:db8::1]:1")})
	f.set(0x31, Origin{Addr: ends[1].Addr()})
	for _, tag := range []uint32{0x30, 0x31} {
		if err := ends[0].SendPacket(Origin{Addr: relay.Addr()}, tag, []byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, func() bool { return len(handlers[1].told().packets) == len(want)+1 })
	if n := relay.Counters().Dropped[DropForward]; n != 1 {
		t.Errorf("%d packets could not be passed on, want 1", n)
	}
}

// TestPassTrainsOn sends a train in which packets for several receivers are
// coupled, and one for the relay itself.
func TestPassTrainsOn(t *testing.T) {
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	f := &table{to: make(map[uint32]Origin)}
	relay, hr := start(t, Options{Listen: loopback, Forward: f.forward, Trains: true})
	conn, err := netx.System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	sender := netx.Batched(conn)
	if !sender.Trains() {
		t.Skip("this system has no trains of datagrams")
	}
	var ends [2]*tester
	for i := range ends {
		var end *Link
		end, ends[i] = start(t, Options{Listen: loopback, Trains: i == 1})
		f.set(uint32(i), Origin{Addr: end.Addr()})
	}
	order := []uint32{0, 0, 0, 1, 7, 1, 1, 0, 1, 1}
	var train []byte
	var want [3][]string
	for i, tag := range order {
		body := fmt.Appendf(nil, "packet %d", i)
		train = frame.Frame{Type: frame.Session, Tag: tag, Body: body}.Append(train)
		if tag == 7 {
			want[2] = append(want[2], fmt.Sprintf("7 %s", body))
		} else {
			want[tag] = append(want[tag], fmt.Sprintf("%x %s", tag+0x100+uint32(len(body)), body))
		}
	}
	d := netx.Datagram{Addr: relay.Addr(), Data: train, Train: len(train) / len(order)}
	if _, err := sender.WriteBatch([]netx.Datagram{d}); err != nil {
		t.Fatal(err)
	}
	for i, h := range []*tester{ends[0], ends[1], hr} {
		eventually(t, func() bool { return len(h.told().packets) == len(want[i]) })
		if got := h.told().packets; !slices.Equal(got, want[i]) {
			t.Errorf("%d got %q, want %q", i, got, want[i])
		}
	}
	if c := relay.Counters(); c.UDPReceived.Packets != uint64(len(order)) || c.UDPSent.Packets != uint64(len(order)-1) {
		t.Errorf("counted %+v", c)
	}
}

// TestReaders has packets of many senders passed on by a link with several readers,
// while others ask it something, and streams and sockets come and go.
func TestReaders(t *testing.T) {
	const readers, senders, each = 4, 32, 20
	loopback := netip.MustParseAddrPort("127.0.0.1:0")
	for _, trains := range []bool{false, true} {
		f := &table{to: make(map[uint32]Origin)}
		h := new(tester)
		h.answer = func(from Origin, c message.Command) {
			h.link.Reply(from, c.ID, &message.Failure{Code: message.FailureTooMany})
		}
		relay, _ := start(t, Options{Listen: loopback, Handler: h, Forward: f.forward, Trains: trains, Readers: readers})
		if n := len(relay.readers); n == 1 {
			t.Skip("this system does not divide the senders to a port")
		} else if n != readers {
			t.Fatalf("%d readers", n)
		}
		if _, err := Open(Options{Handler: h, Listen: relay.Addr(), Readers: readers}); err == nil {
			t.Fatal("two links on one port")
		}
		end, got := start(t, Options{Listen: loopback})
		f.set(1, Origin{Addr: end.Addr()})
		var wg sync.WaitGroup
		for range senders {
			sender, _ := start(t, Options{Listen: loopback})
			wg.Go(func() {
				if _, err := sender.Request(t.Context(), relay.Addr(), &message.Probe{}); err != nil {
					t.Error(err)
				}
				for range each {
					if err := sender.SendPacket(Origin{Addr: relay.Addr()}, 1, []byte("x")); err != nil {
						t.Error(err)
					}
					time.Sleep(time.Millisecond) // a socket's buffer is no endless one
				}
			})
		}
		wg.Wait()
		eventually(t, func() bool { return len(got.told().packets) == senders*each })
		if n := len(relay.Waited()); n != readers {
			t.Errorf("%d readers tell how long they waited", n)
		}
	}
}

func TestCouple(t *testing.T) {
	a, b := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:1")
	memory := make([]byte, 2*netx.MaxTrain)
	part := func(from, to int) []byte { return memory[from:to] }
	tests := []struct {
		name string
		last netx.Datagram
		to   netip.AddrPort
		b    []byte
		ok   bool
	}{
		{"second", netx.Datagram{Addr: a, Data: part(0, 100)}, a, part(100, 200), true},
		{"shorter end", netx.Datagram{Addr: a, Data: part(0, 200), Train: 100}, a, part(200, 250), true},
		{"behind a shorter end", netx.Datagram{Addr: a, Data: part(0, 250), Train: 100}, a, part(250, 350), false},
		{"longer", netx.Datagram{Addr: a, Data: part(0, 100)}, a, part(100, 201), false},
		{"for another", netx.Datagram{Addr: a, Data: part(0, 100)}, b, part(100, 200), false},
		{"elsewhere", netx.Datagram{Addr: a, Data: part(0, 100)}, a, part(101, 201), false},
		{"other memory", netx.Datagram{Addr: a, Data: make([]byte, 100)}, a, part(100, 200), false},
		{"too many", netx.Datagram{Addr: a, Data: part(0, 64*7), Train: 7}, a, part(64*7, 65*7), false},
		{"too long", netx.Datagram{Addr: a, Data: part(0, 54*1200), Train: 1200}, a, part(54*1200, 55*1200), false},
	}
	for _, tt := range tests {
		out := []netx.Datagram{tt.last}
		if ok := couple(out, tt.to, tt.b); ok != tt.ok || len(out[0].Data) != len(tt.last.Data)+len(tt.b)*map[bool]int{true: 1}[ok] {
			t.Errorf("%s: %v, %d bytes", tt.name, ok, len(out[0].Data))
		}
	}
	if couple(nil, a, part(0, 1)) {
		t.Error("coupled to nothing")
	}
}

func eventually(t *testing.T, is func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it did not happen")
		}
	}
}
