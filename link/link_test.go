package link

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A tester is a handler that answers probes and failures of its own making,
// and writes down what it was given.
type tester struct {
	answer func(from Origin, c message.Command) // nil answers probes

	link *Link

	mu      sync.Mutex
	origins []Origin
	bodies  []message.Message
	packets []string
	closed  []uint64
}

func (h *tester) HandleCommand(from Origin, c message.Command) {
	h.mu.Lock()
	h.origins = append(h.origins, from)
	h.bodies = append(h.bodies, c.Body)
	h.mu.Unlock()
	if h.answer != nil {
		h.answer(from, c)
	} else if _, ok := c.Body.(*message.Probe); ok {
		h.link.Reply(from, c.ID, &message.ProbeAccepted{})
	}
}

func (h *tester) HandlePacket(from Origin, tag uint32, body []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.packets = append(h.packets, fmt.Sprintf("%x %s", tag, body))
}

func (h *tester) StreamClosed(stream uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.closed = append(h.closed, stream)
}

// told is a copy of what the handler was given until now.
func (h *tester) told() (t struct {
	origins []Origin
	bodies  []message.Message
	packets []string
	closed  []uint64
}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	t.origins, t.bodies = slices.Clone(h.origins), slices.Clone(h.bodies)
	t.packets, t.closed = slices.Clone(h.packets), slices.Clone(h.closed)
	return t
}

func (h *tester) handled() int { return len(h.told().bodies) }

// start runs a link for the length of the test.
func start(t testing.TB, o Options) (*Link, *tester) {
	t.Helper()
	h, _ := o.Handler.(*tester)
	if h == nil {
		h = new(tester)
	}
	o.Handler = h
	l, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	h.link = l
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return l, h
}

const port = 33033

func on(h *netsim.Host) Options {
	return Options{Net: h, Listen: netip.AddrPortFrom(netip.Addr{}, port)}
}

func addr(h *netsim.Host) netip.AddrPort { return netip.AddrPortFrom(h.Addr(), port) }

// types collects what datagrams a host exchanges, as "out command 18".
func types(h *netsim.Host) *record {
	seen := new(record)
	h.Tap(func(p netsim.Packet) {
		if p.TCP {
			return
		}
		dir := "in"
		if p.Sent {
			dir = "out"
		}
		f, _ := frame.Parse(p.Payload)
		seen.add(fmt.Sprintf("%s %v %d", dir, f.Type, len(p.Payload)))
	})
	return seen
}

// A record is what a tap saw.
type record struct {
	mu    sync.Mutex
	lines []string
}

func (r *record) add(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

func (r *record) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.lines)
}

func same(t *testing.T, what string, got, want []string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n got %q\nwant %q", what, got, want)
	}
}

func simulate(t *testing.T, f func(t *testing.T, in *netsim.Internet)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, netsim.New(1)) })
}

func TestBothSocketsShareThePort(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		h := in.Host(netsim.HostOptions{})
		// The port that the host would give to UDP first is taken for TCP.
		taken, err := h.ListenTCP(t.Context(), netip.AddrPortFrom(netip.Addr{}, 49152))
		if err != nil {
			t.Fatal(err)
		}
		defer taken.Close()
		l, _ := start(t, Options{Net: h})
		if tcp := netx.AddrPort(l.tcp[0].Addr()); tcp.Port() != l.Addr().Port() || tcp.Port() == 49152 {
			t.Errorf("UDP listens on %v, TCP on %v", l.Addr(), tcp)
		}
		if _, err := Open(Options{Net: h, Listen: netip.AddrPortFrom(netip.Addr{}, 49152), Handler: new(tester)}); err == nil {
			t.Error("opened a port that is taken")
		}
		u, err := h.ListenUDP(t.Context(), netip.AddrPortFrom(netip.Addr{}, 49152))
		if err != nil {
			t.Errorf("the failed Open left its UDP socket: %v", err)
		} else {
			u.Close()
		}
	})
}

func TestRunEndsWithItsSocket(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		h := in.Host(netsim.HostOptions{})
		o := on(h)
		o.Handler = new(tester)
		l, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- l.Run(t.Context()) }()
		h.Kill()
		if err := <-done; err == nil {
			t.Error("Run returned nil")
		}
		if _, err := l.Request(t.Context(), addr(h), &message.Probe{}); err == nil {
			t.Error("a request succeeded")
		}
	})
}

func TestPackets(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		la, _ := start(t, on(a))
		lb, hb := start(t, on(b))
		var bound record
		lb.Bind(0xabc, func(from Origin, body []byte) { bound.add(fmt.Sprint(from.Addr, " ", string(body))) })
		to := Origin{Addr: addr(b)}
		la.SendPacket(to, 0xabc, []byte("bound"))
		la.SendPacket(to, 0xabd, []byte("not bound"))
		la.SendPacket(to, 0xabd, nil)
		la.KeepAlive(addr(b))
		synctest.Wait()
		time.Sleep(time.Millisecond)
		lb.Unbind(0xabc)
		la.SendPacket(to, 0xabc, []byte("unbound"))
		time.Sleep(time.Millisecond)
		same(t, "bound", bound.all(), []string{fmt.Sprint(addr(a), " bound")})
		same(t, "handler", hb.told().packets, []string{"abd not bound", "abd ", "abc unbound"})
		if err := la.SendPacket(to, 1, make([]byte, MaxPacket+1)); err == nil {
			t.Error("a packet of any size is sent")
		}
		if c := lb.Counters(); c.UDPReceived.Packets != 5 || la.Counters().UDPSent != c.UDPReceived || c.UDPSent.Packets != 0 {
			t.Errorf("counted %+v", c)
		}
	})
}
