package node

import (
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// TestIdleTraffic counts what a device with nothing to do and a handful of contacts
// who are there sends and receives in six hours, with -v to read it, behind a NAT
// that forgets after 40 s.
func TestIdleTraffic(t *testing.T) {
	if testing.Short() {
		t.Skip("eight hours of a network")
	}
	t.Parallel()
	const ipAndUDP = 20 + 8
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		o := netsim.PortRestrictedCone()
		o.Timeout = 40 * time.Second
		alice, bob := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(o)}), w.user("bob", w.atHome())
		befriend(alice, bob)
		for _, name := range []string{"carol", "david", "erika"} {
			befriend(alice, w.user(name, w.atHome()))
		}
		time.Sleep(2 * time.Hour)
		for _, c := range must(alice.node.Contacts(t.Context())) {
			if c.State != linnet.Approved || c.Presence != linnet.Online {
				t.Errorf("%s: %v, %v", c.User, c.State, c.Presence)
			}
		}
		var packets, bytes atomic.Int64
		alice.host.Tap(func(p netsim.Packet) {
			packets.Add(1)
			bytes.Add(int64(ipAndUDP + len(p.Payload)))
		})
		begin := time.Now()
		time.Sleep(6 * time.Hour)
		rate := float64(bytes.Load()) * 8 / time.Since(begin).Seconds()
		t.Logf("%d packets, %d bytes with IP and UDP headers: %.0f bit/s", packets.Load(), bytes.Load(), rate)
		if rate > 100 { // 94, give or take 2
			t.Errorf("%.0f bit/s, want 100 at most", rate)
		}
		if same := w.compare(talk(bob, alice)); same < 1 {
			t.Errorf("a call to her after that: %.2f %%", 100*same)
		}
	})
}
