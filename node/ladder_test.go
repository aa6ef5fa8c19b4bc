package node

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/netx/proxytest"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

var webPorts = link.Web{Plain: netip.MustParseAddrPort("[::]:80"), TLS: netip.MustParseAddrPort("[::]:443")}

// behind are the options of a host at home behind a firewall that lets little out.
func (w *world) behind(pass func(tcp bool, to netip.AddrPort) bool) netsim.HostOptions {
	nat := netsim.PortRestrictedCone()
	nat.Pass = pass
	return netsim.HostOptions{Behind: w.in.NAT(nat)}
}

// by are the rungs on which a computer is attached.
func (m *computer) by() (rungs linnet.Rungs) {
	for _, a := range m.status().Supernodes {
		rungs |= linnet.RungsOf(a.By)
	}
	return rungs
}

// Whatever little a firewall leaves, one gets on the network within two seconds, and a
// call connects and carries every word.
func TestBehindFirewalls(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		pass func(bool, netip.AddrPort) bool
		want linnet.Rung
		path linnet.PathKind // that bob's half of a call takes
	}{
		{"no UDP", netsim.OnlyTCP(), linnet.RungTCP, linnet.DirectTCP},
		{"only 80 and 443", netsim.OnlyTCP(80, 443), linnet.RungPort80, linnet.RelayUDP},
		{"only 443", netsim.OnlyTCP(443), linnet.RungPort443, linnet.RelayUDP},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{web: true})
				alice, bob := w.user("alice", w.behind(tt.pass)), w.user("bob", w.atHome())
				alice.stop()
				began := time.Now()
				alice.start()
				alice.eventually("is on the network", func() bool { return alice.status().Online })
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("on the network after %v", took)
				}
				alice.online()
				if got, want := alice.by(), linnet.RungsOf(tt.want); got != want {
					t.Errorf("attached by the rungs %b, want %b", got, want)
				}
				befriend(alice, bob)
				heard := talk(alice, bob)
				if same := w.compare(heard); same < 1 {
					t.Errorf("%.2f %% of the packets are those that were played", 100*same)
				}
				if path := alice.calls()[0].Path; path != linnet.RelayTCP && path != tt.path {
					t.Errorf("alice's call took %v", path)
				}
				if path := bob.calls()[0].Path; path != tt.path {
					t.Errorf("bob's call took %v", path)
				}
			})
		})
	}
}

// Both ends have nothing but port 443: the relay has two streams to join.
func TestCallBetweenStreams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		alice, bob := w.user("alice", w.behind(netsim.OnlyTCP(443))), w.user("bob", w.behind(netsim.OnlyTCP(443)))
		heard := talk(alice, bob)
		if same := w.compare(heard); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		for _, m := range []*computer{alice, bob} {
			if path := m.calls()[0].Path; path != linnet.RelayTCP {
				t.Errorf("%s: the call took %v", m.name, path)
			}
		}
	})
}

// A classic network's streams on 443 are in disguise, its logins stand beside them.
func TestClassicNetworkBehind443(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true, suite: suite.ClassicName})
		alice, bob := w.user("alice", w.behind(netsim.OnlyTCP(443))), w.user("bob", w.atHome())
		heard := talk(bob, alice)
		if same := w.compare(heard); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		if path := alice.calls()[0].Path; path != linnet.RelayTCP {
			t.Errorf("the call took %v", path)
		}
	})
}

// A relay that one side reaches by a stream dies in a call: the other one goes on.
func TestStreamToARelayDies(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		alice, bob := w.user("alice", w.behind(netsim.OnlyTCP(443))), w.user("bob", w.atHome())
		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		bob.rings()
		heard := filepath.Join(w.dir, "heard.ogg")
		bob.answer(id, linnet.CallMedia{Record: heard})
		alice.reaches(id, linnet.CallActive)
		time.Sleep(5 * time.Second)
		for _, m := range w.supernodes {
			if slices.ContainsFunc(alice.status().Calls[0].Receipt.Paths, func(p linnet.PathSpan) bool { return p.Via == m.id().String() || p.Via == m.id().Short() }) {
				m.kill()
				break
			}
		}
		for _, m := range []*computer{alice, bob} {
			if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted {
				t.Errorf("%s: %v", m.name, r.Outcome)
			}
		}
		if paths := alice.calls()[0].Paths; len(paths) < 2 {
			t.Errorf("the call took %+v, want another relay after the first", paths)
		}
		if same := w.compare(heard); same < 0.9 {
			t.Errorf("%.2f %% of the packets were heard", 100*same)
		}
	})
}

// The only way out is a proxy, which lets nothing but port 443 pass.
func TestBehindProxies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, url string
		proxy     *proxytest.Proxy
	}{
		{"HTTP", "http://ann:secret@%s", &proxytest.Proxy{User: "ann", Password: "secret", Digest: true}},
		{"SOCKS", "socks5://ann:secret@%s", &proxytest.Proxy{User: "ann", Password: "secret"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{web: true})
				at := w.proxy(t, tt.proxy)
				alice := w.computer("alice", w.behind(func(tcp bool, to netip.AddrPort) bool { return tcp && to == at }))
				alice.opts.Invite = w.invite
				alice.opts.Net = must(netx.Proxy{URL: fmt.Sprintf(tt.url, at)}.Behind(alice.host))
				alice.start()
				alice.eventually("joins the network", func() bool { return alice.node.network.get() != nil })
				if err := alice.node.Register(t.Context(), linnet.Credentials{User: "alice", Password: password, Device: "test"}); err != nil {
					t.Fatal(err)
				}
				alice.online()
				if got := alice.by(); got != linnet.RungsOf(linnet.RungPort443) {
					t.Errorf("attached by the rungs %b", got)
				}
				bob := w.user("bob", w.atHome())
				heard := talk(bob, alice)
				if same := w.compare(heard); same < 1 {
					t.Errorf("%.2f %% of the packets are those that were played", 100*same)
				}
				if path := alice.calls()[0].Path; path != linnet.RelayTCP {
					t.Errorf("the call took %v", path)
				}
			})
		})
	}
}

// proxy runs a proxy on a public host until the test ends.
func (w *world) proxy(t *testing.T, p *proxytest.Proxy) netip.AddrPort {
	t.Helper()
	host := w.in.Host(netsim.HostOptions{Name: "proxy", Link: netsim.Link{Delay: w.cable}})
	p.Net = host
	p.Allow = func(to netip.AddrPort) bool { return to.Port() == 443 }
	l, err := host.ListenTCP(t.Context(), netip.AddrPortFrom(host.Addr(), 3128))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); p.Serve(l) }()
	t.Cleanup(func() { l.Close(); host.Kill(); <-done })
	return netip.AddrPortFrom(host.Addr(), 3128)
}

// What a proxy says against it is what people are told.
func TestProxyRefuses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		at := w.proxy(t, &proxytest.Proxy{User: "ann", Password: "secret"})
		alice := w.computer("alice", w.behind(func(tcp bool, to netip.AddrPort) bool { return tcp && to == at }))
		alice.opts.Invite = w.invite
		alice.opts.Net = must(netx.Proxy{URL: "http://" + at.String()}.Behind(alice.host))
		n, err := Open(t.Context(), alice.opts)
		if err != nil {
			t.Fatal(err)
		}
		err = n.Run(context.WithoutCancel(t.Context()))
		e, ok := errors.AsType[*linnet.Error](err)
		if !ok || e.Code != linnet.CodeNoNetwork || !strings.Contains(e.Text, "wants a name and a password") || !strings.Contains(e.Hint, "--proxy") {
			t.Errorf("error %v", err)
		}
	})
}

// The ladder of 2006 with whole nodes: by port 443 after fifteen seconds.
func TestClassicLadderOfANode(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		alice := w.user("alice", w.behind(netsim.OnlyTCP(443)))
		alice.stop()
		alice.opts.Ladder = overlay.ClassicLadder
		began := time.Now()
		alice.start()
		alice.eventually("is on the network", func() bool { return alice.status().Online })
		if took := time.Since(began); took < 15*time.Second || took > 16*time.Second {
			t.Errorf("on the network after %v", took)
		}
	})
}

// A phone that leaves the office for a network without a firewall is soon on UDP
// again, with the same sessions, and finds out what NAT it is behind.
func TestBackToUDP(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		var open atomic.Bool
		alice := w.user("alice", w.behind(func(tcp bool, to netip.AddrPort) bool {
			return open.Load() || netsim.OnlyTCP(443)(tcp, to)
		}))
		if got := alice.by(); got != linnet.RungsOf(linnet.RungPort443) {
			t.Fatalf("attached by the rungs %b", got)
		}
		open.Store(true)
		time.Sleep(10 * time.Minute)
		s := alice.status()
		if got := alice.by(); got != linnet.RungsOf(linnet.RungUDP) || s.NAT.Name != "port-restricted cone" {
			t.Errorf("attached by the rungs %b, NAT %s", got, s.NAT.Name)
		}
		if e, lost := alice.heard.find(func(e linnet.Event) bool { return e.Kind == linnet.EventOffline }); lost {
			t.Errorf("she was offline meanwhile: %s", e.Text)
		}
	})
}

// Streams that are of no use any more are closed, those of the attached stay.
func TestStreamsAreClosed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		alice := w.user("alice", w.behind(netsim.OnlyTCP(443)))
		time.Sleep(10 * time.Minute)
		if n := alice.node.link.Counters().Streams; n != 2 {
			t.Errorf("alice has %d streams, want one to each of two supernodes", n)
		}
		alice.stop()
		time.Sleep(2 * time.Minute)
		for _, m := range w.supernodes {
			if n := m.node.link.Counters().Streams; n != 0 {
				t.Errorf("%s has %d streams left", m.name, n)
			}
		}
	})
}
