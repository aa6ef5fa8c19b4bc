package node

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Friends of whom one has no UDP talk by TCP, directly, if the NAT of neither gives every
// destination a port of its own; strangers do not.
func TestMeetByTCP(t *testing.T) {
	t.Parallel()
	cone, symmetric := netsim.PortRestrictedCone, netsim.Symmetric
	scattered := cone()
	scattered.Scatter = true
	blocked := cone()
	blocked.Pass = netsim.OnlyTCP()
	web := cone()
	web.Pass = netsim.OnlyTCP(80, 443)
	for _, tt := range []struct {
		name    string
		a, b    *netsim.NATOptions // nil: public
		friends bool
		want    linnet.PathKind
	}{
		{"no UDP calls cone", &blocked, new(cone()), true, linnet.DirectTCP},
		{"cone with other ports calls no UDP", &scattered, &blocked, true, linnet.DirectTCP},
		{"no UDP calls public", &blocked, nil, true, linnet.DirectTCP},
		{"both have none", &blocked, &blocked, true, linnet.DirectTCP},
		{"no UDP calls symmetric", &blocked, new(symmetric()), true, linnet.RelayTCP},
		{"only the web calls cone", &web, new(cone()), true, linnet.RelayTCP},
		{"strangers", &blocked, new(cone()), false, linnet.RelayTCP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{web: true})
				place := func(o *netsim.NATOptions) (h netsim.HostOptions) {
					if o != nil {
						h.Behind = w.in.NAT(*o)
					}
					return h
				}
				alice, bob := w.user("alice", place(tt.a)), w.user("bob", place(tt.b))
				if tt.friends {
					befriend(alice, bob)
				}
				id := alice.call(bob.user(), linnet.CallMedia{Play: w.speech(), Seconds: 4})
				bob.heard.await("it rings", func(e linnet.Event) bool { return isRinging(e) && e.Call.ID == id })
				time.Sleep(2 * time.Second)
				bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true})
				here, there := alice.ended(id), bob.ended(id)
				for _, r := range []linnet.CallRecord{here, there} {
					if r.Outcome != linnet.OutcomeCompleted || r.Loss > 0 || r.Path.Direct() != tt.want.Direct() || tt.want.Direct() && (r.Path != tt.want || len(r.Paths) != 1) {
						t.Errorf("%s by %v with loss %v; want %v", r.Outcome, r.Paths, r.Loss, tt.want)
					}
				}
			})
		})
	}
}
