package link

import (
	"bytes"
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// counter is a network that sends nothing and counts it.
type counter struct {
	netx.Network
	addr netip.AddrPort
	sent int
}

func (c *counter) ListenUDP(context.Context, netip.AddrPort) (netx.PacketConn, error) { return c, nil }
func (c *counter) ListenTCP(context.Context, netip.AddrPort) (net.Listener, error)    { return nil, nil }
func (c *counter) Addrs() ([]netip.Addr, error)                                       { return []netip.Addr{c.addr.Addr()}, nil }
func (c *counter) LocalAddr() netip.AddrPort                                          { return c.addr }
func (c *counter) Close() error                                                       { return nil }
func (c *counter) ReadFrom([]byte) (int, netip.AddrPort, error) {
	return 0, netip.AddrPort{}, net.ErrClosed
}

func (c *counter) WriteTo(b []byte, _ netip.AddrPort) (int, error) {
	c.sent += len(b)
	return len(b), nil
}

// unread is a link whose datagrams a test hands over itself.
func unread(t testing.TB, h *tester) (*reader, *counter) {
	t.Helper()
	c := &counter{addr: netip.MustParseAddrPort("192.0.2.1:33033")}
	l, err := Open(Options{Net: c, Handler: h, Listen: c.addr})
	if err != nil {
		t.Fatal(err)
	}
	h.link = l
	return l.readers[0], c
}

// FuzzDatagram gives a link three datagrams of a stranger: the bytes as they
// are, the same as plain commands, hidden as they should be, and as a
// fragment. None gets more bytes back than it has.
func FuzzDatagram(f *testing.F) {
	from := netip.MustParseAddrPort("198.51.100.1:40000")
	for _, spec := range message.Table {
		f.Add(message.Append(nil, message.Command{ID: 0x6d31, Body: filled(spec)}))
	}
	for _, typ := range []frame.Type{frame.Command, frame.Resend, frame.Confirm, frame.Nack, frame.Session, frame.Fragment} {
		f.Add(frame.Frame{ID: 0x6d32, Type: typ, IP: from.Addr(), Body: []byte("body")}.Append(nil))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h := new(tester)
		h.answer = tooMuch(h)
		l, c := unread(t, h)
		try := func(b []byte) {
			c.sent = 0
			l.datagram(from, bytes.Clone(b))
			if c.sent > len(b) {
				t.Fatalf("%d bytes got %d: %x", len(b), c.sent, b)
			}
		}
		try(b)
		if len(b) == 0 || len(b) > maxBuffer-frame.FragmentSize {
			return
		}
		try(hide(frame.Frame{ID: 2, Type: frame.Command, Body: b}, from.Addr(), c.addr.Addr()))
		try(hide(frame.Frame{ID: 2, Type: frame.Command, Body: b}, from.Addr(), c.addr.Addr()))
		try(hide(frame.Frame{ID: 4, Type: frame.Fragment, Group: 4, Last: true, Body: b}, from.Addr(), c.addr.Addr()))

		// From here on the sender is known: nothing to count, but nothing may break.
		proof := frame.Frame{ID: 6, Type: frame.Resend, Challenge: l.challenge.of(from, minuteOf(time.Now())), IP: c.addr.Addr(), Body: b}
		l.datagram(from, hide(proof, from.Addr(), c.addr.Addr()))
		l.datagram(from, hide(frame.Frame{ID: 8, Type: frame.Fragment, Group: 8, Last: true, Body: b}, from.Addr(), c.addr.Addr()))
	})
}

func TestFragmentsOfStrangersAreNotKept(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		from := netip.MustParseAddrPort("198.51.100.1:40000")
		l, c := unread(t, new(tester))
		part := hide(frame.Frame{ID: 4, Type: frame.Fragment, Group: 4, Body: make([]byte, 1000)}, from.Addr(), c.addr.Addr())
		l.datagram(from, part)
		if n := l.fragments.Size(); n != 0 || l.Counters().Dropped[DropUnvalidated] != 1 {
			t.Errorf("%d bytes kept of a stranger", n)
		}
		proof := frame.Frame{ID: 6, Type: frame.Resend, Challenge: l.challenge.of(from, minuteOf(time.Now())), IP: c.addr.Addr(), Body: []byte{0}}
		l.datagram(from, hide(proof, from.Addr(), c.addr.Addr()))
		l.datagram(from, part)
		if l.fragments.Size() == 0 {
			t.Error("nothing kept of a peer that proved its address")
		}
	})
}

// Invented senders must not push out peers that proved their address.
func TestStrangersAreNotRemembered(t *testing.T) {
	l, c := unread(t, new(tester))
	plain := message.Append(nil, message.Command{ID: 1, Body: &message.Probe{}})
	for i := range 1000 {
		from := netip.AddrPortFrom(netip.AddrFrom4([4]byte{198, 51, byte(i >> 8), byte(i)}), 1)
		l.datagram(from, hide(frame.Frame{ID: 2, Type: frame.Command, Body: plain}, from.Addr(), c.addr.Addr()))
		l.datagram(from, frame.Frame{ID: 2, Type: frame.Command, Body: plain}.Append(nil))
	}
	if n := len(l.peers.elems); n != 0 {
		t.Errorf("%d strangers are remembered", n)
	}
}

// What a relay and media do all day: a datagram in, a datagram out.
func BenchmarkPacket(b *testing.B) {
	l, _ := unread(b, new(tester))
	from := netip.MustParseAddrPort("198.51.100.1:40000")
	to := Origin{Addr: netip.MustParseAddrPort("198.51.100.2:40000")}
	l.Bind(0x10, func(_ Origin, body []byte) { l.SendPacket(to, 0x20, body) })
	in := frame.Frame{ID: 1, Type: frame.Session, Tag: 0x10, Body: make([]byte, 160)}.Append(nil)
	b.ReportAllocs()
	for b.Loop() {
		l.datagram(from, in)
	}
}

func TestPacketsDoNotAllocate(t *testing.T) {
	l, _ := unread(t, new(tester))
	from := netip.MustParseAddrPort("198.51.100.1:40000")
	l.Bind(0x10, func(o Origin, body []byte) { l.SendPacket(o, 0x20, body) })
	in := frame.Frame{ID: 1, Type: frame.Session, Tag: 0x10, Body: make([]byte, 160)}.Append(nil)
	if n := testing.AllocsPerRun(1000, func() { l.datagram(from, in) }); n >= 1 {
		t.Errorf("%v allocations a packet", n)
	}
}
