package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Friends behind NATs of all kinds talk directly if there is any way, and do so when
// the callee answers after two seconds. Where it takes guessing, it may take longer.
func TestPathsThroughNATs(t *testing.T) {
	t.Parallel()
	cone, symmetric := netsim.PortRestrictedCone, netsim.Symmetric
	spoiling := cone()
	spoiling.Spoils = true
	for _, tt := range []struct {
		name    string
		a, b    netsim.NATOptions
		want    linnet.PathKind
		guesses bool
	}{
		{"cones", cone(), cone(), linnet.DirectUDP, false},
		{"routers that take early packets for themselves", spoiling, spoiling, linnet.DirectUDP, false},
		{"symmetric calls cone", symmetric(), cone(), linnet.DirectUDP, true},
		{"cone calls symmetric", cone(), symmetric(), linnet.DirectUDP, true},
		{"symmetric calls a full cone", symmetric(), netsim.NATOptions{}, linnet.DirectUDP, false},
		{"ports in order call cone", netsim.Sequential(1), cone(), linnet.DirectUDP, false},
		{"cone calls ports in order", cone(), netsim.Sequential(4), linnet.DirectUDP, false},
		{"symmetric calls symmetric", symmetric(), symmetric(), linnet.RelayUDP, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(tt.a)})
				bob := w.user("bob", netsim.HostOptions{Behind: w.in.NAT(tt.b)})
				befriend(alice, bob)
				for _, x := range []struct {
					*computer
					step uint16
				}{{alice, tt.a.Step}, {bob, tt.b.Step}} {
					x.eventually("knows how its NAT hands ports out", func() bool { return x.step == 0 || x.status().NAT.PortStep == int(x.step) })
				}
				for try := 1; ; try++ {
					m := linnet.CallMedia{Play: w.speech(), Seconds: 3}
					if tt.guesses {
						m.Seconds = 13
					}
					id := alice.call(bob.user(), m)
					bob.heard.await("it rings", func(e linnet.Event) bool { return isRinging(e) && e.Call.ID == id })
					time.Sleep(2 * time.Second)
					bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true})
					here, there := alice.ended(id), bob.ended(id)
					time.Sleep(pairLinger + 2*sweepEvery)
					time.Sleep(8 * time.Minute)                 // those that find out how long mappings last, too
					for _, m := range []*computer{alice, bob} { // spare ones are closed when the call is forgotten
						if n := m.host.Sockets(); n != 1 {
							t.Errorf("%s has %d sockets", m.name, n)
						}
					}
					if tt.guesses && try < 4 && here.Path != tt.want {
						continue // one in 3,000 has no luck
					}
					for _, r := range []linnet.CallRecord{here, there} {
						if r.Path != tt.want || r.Loss > 0 || !tt.guesses && len(r.Paths) != 1 {
							t.Errorf("by %v with loss %v; want %v", r.Paths, r.Loss, tt.want)
						}
						if direct := r.DirectMS != nil; direct != tt.want.Direct() || direct && !tt.guesses && *r.DirectMS > 1000 {
							t.Errorf("direct %v ms after the first ring", value(r.DirectMS))
						}
						if relayed := 2 * hostRTT; r.MediaMS == nil || *r.MediaMS > (relayed+50*time.Millisecond).Milliseconds() {
							t.Errorf("first media %v ms after the answer", value(r.MediaMS))
						}
						if r.NAT == nil || r.NAT.Local == "unknown" || r.NAT.Remote == "unknown" {
							t.Errorf("NATs %+v", r.NAT)
						}
					}
					return
				}
			})
		})
	}
}

// What happens to networks in the middle of a call costs little of it: the second path
// is warm, and whoever hears nothing says so.
func TestTroubleInCall(t *testing.T) {
	t.Parallel()
	symmetric := netsim.Symmetric
	for _, tt := range []struct {
		name  string
		nats  func(w *world) (a, b netsim.NATOptions)
		limit int // packets that may be missing
		do    func(w *world, alice *computer, via string)
	}{
		{"the relay is killed", func(*world) (a, b netsim.NATOptions) { return symmetric(), symmetric() }, 1000 / 20,
			func(w *world, alice *computer, via string) {
				for _, m := range w.supernodes {
					if m.id().Short() == via {
						m.kill()
					}
				}
			}},
		{"a symmetric NAT forgets", func(*world) (a, b netsim.NATOptions) { return symmetric(), symmetric() }, 1000 / 20,
			func(_ *world, alice *computer, _ string) { alice.nat.Reboot() }},
		{"a NAT with other ports forgets a direct call", func(*world) (a, b netsim.NATOptions) {
			a = netsim.PortRestrictedCone()
			a.Scatter = true
			return a, netsim.PortRestrictedCone()
		}, 1000 / 20,
			func(_ *world, alice *computer, _ string) { alice.nat.Reboot() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				a, b := tt.nats(w)
				alice := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(a)})
				bob := w.user("bob", netsim.HostOptions{Behind: w.in.NAT(b)})
				befriend(alice, bob)
				id := alice.call(bob.user(), linnet.CallMedia{Play: w.speech(), Seconds: 8})
				bob.rings()
				time.Sleep(2 * time.Second)
				bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true})
				time.Sleep(3 * time.Second)
				tt.do(w, alice, alice.status().Calls[0].Paths[0].Via)
				here, there := alice.ended(id), bob.ended(id)
				for _, x := range [][2]linnet.CallRecord{{here, there}, {there, here}} {
					if missing := int(x[0].PacketsSent - x[1].PacketsReceived); x[0].Outcome != linnet.OutcomeCompleted || missing > tt.limit {
						t.Errorf("%s, %d packets of %s did not come, limit %d; by %v", x[0].Outcome, missing, x[1].Peer, tt.limit, x[1].Paths)
					}
				}
			})
		})
	}
}

// value is what there is to print.
func value[T any](v *T) any {
	if v == nil {
		return "never"
	}
	return *v
}
