package overlay_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"os"
	"runtime"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A supernode holds a million clients: what each takes, and how long the machine
// is busy at once and in all while they keep alive, and fall silent.
func TestMillionClients(t *testing.T) {
	n := 50_000
	if os.Getenv("LINNET_LONG") != "" {
		n = 1_000_000
	}
	w := overlaytest.New(t, 71)
	now := w.Now
	m := overlay.New(overlay.Options{
		Self: w.Identity("node:self", "device"), Trust: w.Trust, Rand: rand.New(rand.NewPCG(71, 1)), Role: linnet.Supernode,
		Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:33033")}, Limits: overlay.Limits{Clients: n, Commands: 1e9},
	})
	if err := m.Start(now); err != nil {
		t.Fatal(err)
	}
	other := []linnet.NodeID{{1}} // the other supernode of each client
	node := func(i int) (id linnet.NodeID) {
		binary.BigEndian.PutUint64(id[:], rand.NewPCG(uint64(i), 1).Uint64()) // an id is a hash
		binary.BigEndian.PutUint64(id[8:], uint64(i))
		return id
	}
	before := heap()
	for i := range n {
		a := [4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}
		m.Up(now, node(i), netip.AddrPortFrom(netip.AddrFrom4(a), 33033))
		m.Received(now, node(i), 1, &message.Attach{Others: other})
		m.Take()
	}
	size := float64(heap()-before) / float64(n)
	if m.Clients() != n {
		t.Fatalf("%d clients of %d", m.Clients(), n)
	}

	// Each speaks every half minute, in an order of its own; the machine ticks when it wants to.
	var longest, all time.Duration
	took := func(f func()) {
		began := time.Now()
		f()
		d := time.Since(began)
		longest, all = max(longest, d), all+d
	}
	ticks := 0
	advance := func(end time.Time) {
		for {
			at := m.Deadline()
			if at.IsZero() || at.After(end) {
				return
			}
			took(func() { m.Tick(at); m.Take() })
			ticks++
		}
	}
	const every = 30 * time.Second
	keepAlive := &message.KeepAlive{Others: other}
	begin := time.Now()
	for range 10 {
		for i := range n {
			now = now.Add(every / time.Duration(n))
			advance(now)
			m.Received(now, node(i*7919%n), 1, keepAlive)
			m.Take()
		}
	}
	spoke := time.Since(begin) - all
	if m.Clients() != n {
		t.Errorf("%d clients of %d after five minutes of keep-alives", m.Clients(), n)
	}
	t.Logf("%d clients: %.0f bytes each; %.2f microseconds a keep-alive; %d ticks in 5 minutes took %v, the longest %v",
		n, size, float64(spoke.Nanoseconds())/1e3/float64(10*n), ticks, all.Round(time.Microsecond), longest.Round(time.Microsecond))
	if size > 300 {
		t.Errorf("%.0f bytes for each client", size)
	}

	longest, all = 0, 0
	now = now.Add(200 * time.Second)
	advance(now)
	t.Logf("all silent: forgotten in %v", all.Round(time.Millisecond))
	if m.Clients() != 0 {
		t.Errorf("%d clients that fell silent are left", m.Clients())
	}
	runtime.KeepAlive(m)
}
