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

func TestBatches(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::1]:0", "[::]:0"} {
		for _, wrap := range []func(PacketConn) PacketConn{
			func(c PacketConn) PacketConn { return c },
			func(c PacketConn) PacketConn { return single{c} },
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
		out = append(out, Datagram{atB, bytes.Repeat([]byte{byte(i)}, i+1)})
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

	out = []Datagram{{atB, []byte("first")}, {atB, make([]byte, 100_000)}, {atB, []byte("last")}}
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

func TestBatchesDoNotAllocate(t *testing.T) {
	c, err := System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	b, at := Batched(c), c.LocalAddr()
	d := slices.Repeat([]Datagram{{at, make([]byte, 160)}}, 16)
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
			d := slices.Repeat([]Datagram{{at, make([]byte, 160)}}, size)
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
