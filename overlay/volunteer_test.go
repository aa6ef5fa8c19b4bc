package overlay_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
)

var fit = overlay.Conditions{Agreed: true, Upstream: 2_000_000, CPU: 5}

// crowded is a network whose supernodes, of 6 clients each, are all full.
func crowded(t *testing.T, seed uint64) *overlaytest.World {
	w := overlaytest.New(t, seed)
	for range 4 {
		n := w.Add(linnet.NodeName(fmt.Sprint("s", len(w.Nodes))), linnet.Supernode)
		n.Options = func(o *overlay.Options) { o.Limits.Clients = 6 }
		n.Start()
	}
	w.Run(20 * time.Second)
	return w
}

func volunteer(w *overlaytest.World, name linnet.UserName, c overlay.Conditions) *overlaytest.Node {
	n := w.Add(name, linnet.Ordinary)
	n.Options = func(o *overlay.Options) {
		o.Volunteer = overlay.Volunteer{Conditions: c, History: n.Disk["history"]}
		o.Limits.Clients = 6
	}
	return n
}

func role(n *overlaytest.Node) linnet.Role {
	var r linnet.Role
	for _, e := range effects[overlay.RoleChanged](n) {
		r = e.Role
	}
	return r
}

func TestPromotion(t *testing.T) {
	for _, tt := range []struct {
		name string
		set  func(*overlaytest.Node, *overlay.Conditions)
		want bool
	}{
		{"fit", func(*overlaytest.Node, *overlay.Conditions) {}, true},
		{"not asked", func(_ *overlaytest.Node, c *overlay.Conditions) { c.Agreed = false }, false},
		{"battery", func(_ *overlaytest.Node, c *overlay.Conditions) { c.Battery = true }, false},
		{"metered", func(_ *overlaytest.Node, c *overlay.Conditions) { c.Metered = true }, false},
		{"slow line", func(_ *overlaytest.Node, c *overlay.Conditions) { c.Upstream = 900_000 }, false},
		{"busy processor", func(_ *overlaytest.Node, c *overlay.Conditions) { c.CPU = 50 }, false},
		{"behind a NAT", func(n *overlaytest.Node, _ *overlay.Conditions) { n.NAT = true }, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := crowded(t, 50)
			c := fit
			n := volunteer(w, "volunteer", c)
			tt.set(n, &c)
			n.Options = func(o *overlay.Options) { o.Volunteer.Conditions = c }
			n.Start()
			w.Run(10 * time.Second)
			for i := range 12 {
				w.User(linnet.UserName(fmt.Sprint("user", i)))
			}
			w.Run(40 * time.Minute)
			if got := role(n)&linnet.Supernode != 0; got != tt.want {
				t.Fatalf("became a supernode: %v", got)
			}
			if !tt.want {
				return
			}
			if !agree(w) && len(w.Nodes[0].Machine.Serving()) != 5 {
				t.Error("the others do not know it")
			}
			for _, u := range w.Nodes[5:] {
				if len(u.Machine.Attachments()) == 0 {
					t.Errorf("%s is attached to nobody", u.Name)
				}
			}
		})
	}
}

// Without urgency half an hour is asked for, over all of the last days; a
// node that served before need not wait.
func TestUptimeIsAddedUp(t *testing.T) {
	w := overlaytest.New(t, 51) // fewer than ten supernodes: more are always wanted
	w.Supernodes(4)
	w.Run(20 * time.Second)
	n := volunteer(w, "volunteer", fit)
	for day := range 2 {
		n.Start()
		w.Run(11 * time.Minute)
		if got := role(n); got != linnet.Ordinary {
			t.Fatalf("a supernode after %d times eleven minutes", day+1)
		}
		n.Kill()
		w.Run(time.Minute)
	}
	n.Start()
	took := w.Until(25*time.Minute, "it is a supernode", // less than the half hour that it would take alone
		func() bool { return role(n)&linnet.Supernode != 0 })
	t.Logf("promoted after %v", took)
	n.Kill()
	w.Run(time.Minute)
	n.Effects = nil
	n.Start()
	took = w.Until(5*time.Minute, "it is one again", func() bool { return role(n)&linnet.Supernode != 0 })
	t.Logf("again after %v", took)
}

func TestDemotion(t *testing.T) {
	w := overlaytest.New(t, 52)
	w.Supernodes(4)
	w.Run(20 * time.Second)
	n := volunteer(w, "volunteer", fit)
	n.Start()
	w.Until(time.Hour, "it is a supernode", func() bool { return role(n)&linnet.Supernode != 0 })
	clients := []*overlaytest.Node{w.User("alice"), w.User("bob"), w.User("carol")}
	w.Run(time.Minute)
	on := fit
	on.Battery = true
	n.Machine.SetConditions(w.Now, on)
	n.Pump()
	if role(n) != linnet.Ordinary {
		t.Fatal("still a supernode, on battery")
	}
	w.Run(5 * time.Second)
	for _, c := range append(clients, n) {
		if got := c.Machine.Attachments(); len(got) != 2 {
			t.Errorf("%s is attached to %d", c.Name, len(got))
		}
	}
	for _, s := range w.Nodes[:4] {
		if len(s.Machine.Serving()) != 4 {
			t.Errorf("%s knows %d supernodes", s.Name, len(s.Machine.Serving()))
		}
	}
	n.Machine.SetConditions(w.Now, fit)
	n.Pump()
	w.Run(20 * time.Minute)
	if role(n) != linnet.Ordinary {
		t.Error("back at once: there is no hysteresis")
	}
	w.Until(time.Hour, "after a rest it serves again", func() bool { return role(n)&linnet.Supernode != 0 })
}

// A crowd fills all supernodes within a minute. A large network, of which each is pinged
// every few minutes, knows that a minute later, and asks for volunteers. Nobody chooses
// whose loads are counted by having those doubted.
func TestMeanLoadIsOfLately(t *testing.T) {
	w := overlaytest.New(t, 55)
	nodes := w.Supernodes(100)
	self, idle := nodes[0], 0 // at the end of nodes
	mean := func(load int, length time.Duration) int {
		for i := range int(length / time.Second) {
			for j, n := range nodes {
				if i%10 == 0 {
					n.Machine.Strain(w.Now, load)
				}
				if j >= len(nodes)-idle {
					n.Machine.Strain(w.Now, 0)
					self.Machine.Doubt(w.Now, n.ID())
				}
			}
			self.Pump()
			w.Run(time.Second)
		}
		return self.Machine.MeanLoad(w.Now)
	}
	if got := mean(70, 5*time.Minute); got != 70 {
		t.Fatalf("%d percent before", got)
	}
	if got := mean(100, 90*time.Second); got < 95 {
		t.Errorf("%d percent 90 s after all are full", got)
	}
	idle = 40
	if got := mean(100, 2*time.Minute); got < 45 || got > 75 {
		t.Errorf("%d percent if 40 of 100 have nothing to do and are doubted", got)
	}
	if got := self.Machine.Sizes()["sampled"]; got != 32 {
		t.Errorf("%d are counted", got)
	}
}

// Volunteers are not asked without need, and step down when that is over.
func TestIdleSupernodesStepDown(t *testing.T) {
	w := overlaytest.New(t, 53)
	for range 12 {
		n := w.Add(linnet.NodeName(fmt.Sprint("s", len(w.Nodes))), linnet.Supernode)
		n.Options = func(o *overlay.Options) { o.Limits.Clients = 3 }
		n.Start()
	}
	w.Run(20 * time.Second)
	one := volunteer(w, "volunteer", fit)
	one.Start()
	w.Run(40 * time.Minute)
	if role(one) != linnet.Ordinary {
		t.Fatal("a supernode of a network that is idle")
	}
	var users []*overlaytest.Node
	for i := range 16 {
		users = append(users, w.User(linnet.UserName(fmt.Sprint("user", i))))
	}
	w.Until(10*time.Minute, "it is needed and serves", func() bool { return role(one)&linnet.Supernode != 0 })
	for _, u := range users {
		u.Machine.Leave(w.Now)
		u.Pump()
		u.Kill()
	}
	w.Run(25 * time.Minute)
	if role(one) == linnet.Ordinary {
		t.Error("it stepped down within half an hour")
	}
	w.Until(40*time.Minute, "it stepped down", func() bool { return role(one) == linnet.Ordinary })
}
