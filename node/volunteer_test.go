package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/suite"
)

// volunteer is a user's machine, at an address that all can reach, whose state
// the test sets.
func (w *world) volunteer(name string, h netsim.HostOptions, state *atomic.Pointer[spare.State]) *computer {
	w.t.Helper()
	m := w.computer(name, h)
	m.opts.Invite = w.invite
	m.opts.Spare = func(context.Context) (spare.State, error) { return *state.Load(), nil }
	m.start()
	m.eventually("joins the network", func() bool { return m.node.network.get() != nil })
	if err := m.node.Register(w.t.Context(), linnet.Credentials{User: m.user(), Password: password, Device: "test"}); err != nil {
		w.t.Fatal(err)
	}
	m.online()
	return m
}

func (m *computer) agree(on bool) {
	m.w.t.Helper()
	if err := m.node.Volunteer(m.w.t.Context(), on); err != nil {
		m.w.t.Fatal(err)
	}
}

// within waits longer than eventually: a volunteer proves itself over minutes.
func (m *computer) inTime(d time.Duration, what string, ok func() bool) {
	m.w.t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(time.Second) {
		if time.Since(begin) > d {
			m.w.t.Fatalf("%s: waited %v in vain for: %s; %+v", m.name, d, what, m.status().Volunteer)
		}
	}
}

func (m *computer) serves() bool {
	v := m.status().Volunteer // nil before it is signed in
	return v != nil && v.Serving
}

// A user's machine becomes a supernode when its owner agreed and it is fit, does
// the work of one and its owner's calls besides, and goes back.
func TestVolunteer(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of a network")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 4, promotion: suite.PromotionOpen})
		var state atomic.Pointer[spare.State]
		state.Store(&spare.State{CPU: 5})
		alice := w.volunteer("alice", netsim.HostOptions{}, &state)
		bob := w.user("bob", w.atHome())
		time.Sleep(2 * time.Hour)
		if alice.serves() {
			t.Fatal("serves although nobody agreed")
		}

		alice.agree(true)
		alice.inTime(time.Hour, "serves", alice.serves)
		if s := alice.status(); s.Role != linnet.Supernode.String() || !s.Online {
			t.Errorf("status %+v", s)
		}
		for _, m := range w.supernodes {
			m.inTime(time.Minute, "knows of the new supernode", func() bool { return m.status().Known == 5 })
		}

		// What it keeps for others is what a supernode keeps, and its owner calls and is called.
		carol := w.user("carol", netsim.HostOptions{Behind: w.in.NAT(netsim.NATOptions{Mapping: netsim.AddressAndPortDependent, Filtering: netsim.AddressAndPortDependent})})
		alice.inTime(10*time.Minute, "keeps records", func() bool { return alice.status().Records > 0 })
		for _, pair := range [][2]*computer{{alice, bob}, {carol, alice}, {bob, carol}} {
			if same := w.compare(talk(pair[0], pair[1])); same < 1 {
				t.Errorf("%s calls %s: %.2f %%", pair[0].name, pair[1].name, 100*same)
			}
		}

		// It was a supernode before: started again it need not wait.
		alice.stop()
		bob.inTime(time.Minute, "is online without alice", func() bool { return bob.status().Online })
		alice.start()
		alice.inTime(time.Hour, "serves again", alice.serves) // two strangers have to try it, and chance names them

		state.Store(&spare.State{CPU: 5, Battery: true})
		alice.inTime(3*time.Minute, "stops on battery", func() bool { return !alice.serves() })
		alice.online()
		if v := alice.status().Volunteer; v.Why != "it runs on battery" || alice.status().Role != linnet.Ordinary.String() {
			t.Errorf("%+v", v)
		}
		if same := w.compare(talk(alice, w.user("dave", w.atHome()))); same < 1 {
			t.Errorf("a call after that: %.2f %%", 100*same)
		}

		state.Store(&spare.State{CPU: 5})
		alice.inTime(time.Hour, "serves on mains", alice.serves)
		alice.agree(false)
		alice.inTime(time.Second, "stops at once when told to", func() bool { return !alice.serves() })
		alice.online()
	})
}

// Who cannot be reached from outside is not asked.
func TestVolunteerBehindNAT(t *testing.T) {
	if testing.Short() {
		t.Skip("hours of a network")
	}
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 4, promotion: suite.PromotionOpen})
		var state atomic.Pointer[spare.State]
		state.Store(&spare.State{CPU: 5})
		alice := w.volunteer("alice", w.atHome(), &state)
		alice.agree(true)
		time.Sleep(2 * time.Hour)
		if v := alice.status().Volunteer; v.Serving || v.Reachable || v.UpstreamBPS == 0 {
			t.Errorf("%+v", v)
		}
	})
}

// An operator's supernode that its machine can hardly carry takes no more clients.
func TestStrainOfTheMachine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		sn := w.supernodes[0]
		var percent atomic.Int64
		sn.stop()
		sn.opts.Strain = func() int { return int(percent.Load()) }
		sn.start()
		load := func() Figures { return must(sn.node.Figures(t.Context())) }
		sn.eventually("serves", func() bool { return load().Serving })
		percent.Store(95)
		sn.eventually("takes no more clients", func() bool { f := load(); return f.Load == 95 && f.Sheds[overlay.Attaching] })
		percent.Store(20)
		sn.eventually("takes clients again", func() bool { return !load().Sheds[overlay.Attaching] })
	})
}
