package netx

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"
)

// single hides that a socket knows batches.
type single struct{ PacketConn }

// blocking is a socket whose reader waits in the kernel, where there is such a thing.
func blocking(c PacketConn) PacketConn {
	if b, err := Blocking(c); err == nil {
		return b
	}
	return c
}

func TestBatches(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, wrap := range []func(PacketConn) PacketConn{
			func(c PacketConn) PacketConn { return c },
			func(c PacketConn) PacketConn { return single{c} },
			blocking,
		} {
			t.Run(local, func(t *testing.T) { testBatches(t, netip.MustParseAddrPort(local), wrap) })
		}
	}
}

func testBatches(t *testing.T, local netip.AddrPort, wrap func(PacketConn) PacketConn) {
	open := func() (BatchConn, netip.AddrPort) {
		c, err := System{}.ListenUDP(t.Context(), local)
		if err != nil {
			t.Skip("this machine has no such address:", err)
		}
		t.Cleanup(func() { c.Close() })
		at := c.LocalAddr()
		switch at.Addr() {
		case netip.IPv6Unspecified(), netip.IPv4Unspecified():
			at = netip.AddrPortFrom(loopback.Addr(), at.Port())
		}
		return Batched(wrap(c)), at
	}
	a, atA := open()
	b, atB := open()
	const count = 150 // more than a batch
	var out []Datagram
	for i := range count {
		out = append(out, Datagram{Addr: atB, Data: bytes.Repeat([]byte{byte(i)}, i+1)})
	}
	if n, err := a.WriteBatch(out); n != count || err != nil {
		t.Fatalf("sent %d: %v", n, err)
	}
	in := make([]Datagram, 70)
	for got := 0; got < count; {
		for i := range in {
			in[i].Data = make([]byte, 0, count)
		}
		n, err := b.ReadBatch(in)
		if err != nil || n == 0 {
			t.Fatalf("read %d: %v", n, err)
		}
		for _, d := range in[:n] {
			if d.Addr != atA || !bytes.Equal(d.Data, out[got].Data) {
				t.Fatalf("datagram %d is %x from %v", got, d.Data, d.Addr)
			}
			got++
		}
	}

	out = []Datagram{{Addr: atB, Data: []byte("first")}, {Addr: atB, Data: make([]byte, 100_000)}, {Addr: atB, Data: []byte("last")}}
	if n, err := a.WriteBatch(out); n != 1 || err == nil {
		t.Errorf("one that is too long: sent %d, %v", n, err)
	}
	if n, err := a.WriteBatch([]Datagram{{Data: []byte("nowhere")}}); n != 0 || err == nil {
		t.Errorf("one without an address: sent %d, %v", n, err)
	}

	done := make(chan error)
	go func() {
		_, err := a.ReadBatch(in)
		done <- err
	}()
	a.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after the end: %v", err)
	}
	if _, err := a.WriteBatch(out[:1]); !errors.Is(err, net.ErrClosed) {
		t.Errorf("write after the end: %v", err)
	}
}

// TestTrains sends a train to who wants trains, and to who does not.
func TestTrains(t *testing.T) {
	open := func() BatchConn {
		c, err := System{}.ListenUDP(t.Context(), loopback)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return Batched(c)
	}
	from, whole, singly := open(), open(), open()
	if !whole.Trains() {
		t.Skip("this system has no trains of datagrams")
	}
	data := make([]byte, 10*100+30)
	for i := range data {
		data[i] = byte(i / 100)
	}
	for _, to := range []BatchConn{whole, singly} {
		out := []Datagram{{Addr: to.LocalAddr(), Data: []byte("alone")}, {Addr: to.LocalAddr(), Data: data, Train: 100}}
		if n, err := from.WriteBatch(out); n != 2 || err != nil {
			t.Fatalf("sent %d, %v", n, err)
		}
		var got []byte
		in := make([]Datagram, 20)
		count := 0
		for len(got) < len(data)+5 {
			for i := range in {
				in[i].Data = make([]byte, 0, MaxTrain)
			}
			n, err := to.ReadBatch(in)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range in[:n] {
				count++
				got = append(got, d.Data...)
				if to == singly && (len(d.Data) > 100 || d.Train != 0) || to == whole && len(d.Data) > 5 && d.Train != 100 {
					t.Errorf("%d bytes, train of %d", len(d.Data), d.Train)
				}
			}
		}
		if want := append([]byte("alone"), data...); !bytes.Equal(got, want) {
			t.Error("other bytes than were sent")
		}
		if want := map[BatchConn]int{whole: 2, singly: 12}[to]; count != want {
			t.Errorf("read %d datagrams, want %d", count, want)
		}
	}
}

func TestBatchesDoNotAllocate(t *testing.T) {
	c, err := System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, at := Batched(c), c.LocalAddr()
	d := slices.Repeat([]Datagram{{Addr: at, Data: make([]byte, 160)}}, 16)
	in := make([]Datagram, 64)
	for i := range in {
		in[i].Data = make([]byte, 0, 200)
	}
	allocs := testing.AllocsPerRun(100, func() {
		if _, err = b.WriteBatch(d); err == nil {
			for left := len(d); left > 0 && err == nil; {
				var n int
				n, err = b.ReadBatch(in)
				left -= n
			}
		}
	})
	if err != nil || allocs > 4 { // the race detector empties pools now and then
		t.Errorf("%v allocations for %d datagrams, %v", allocs, len(d), err)
	}
}

func BenchmarkBatch(b *testing.B) {
	c, err := System{}.ListenUDP(b.Context(), loopback)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	conn, at := Batched(c), c.LocalAddr()
	for _, size := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			d := slices.Repeat([]Datagram{{Addr: at, Data: make([]byte, 160)}}, size)
			in := make([]Datagram, size)
			for i := range in {
				in[i].Data = make([]byte, 0, 200)
			}
			b.ReportAllocs()
			for i := 0; i < b.N; i += size {
				conn.WriteBatch(d)
				for left := size; left > 0; {
					n, err := conn.ReadBatch(in)
					if err != nil {
						b.Fatal(err)
					}
					left -= n
				}
			}
		})
	}
}
