package node

import (
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/portmap"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/traverse"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Each kind of NAT is recognised as soon as the node has its two supernodes, and
// nothing is said of what was not measured.
func TestNetcheck(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, nat, mapping, filtering string
		behind                        func(w *world) netsim.HostOptions
	}{
		{"public", "none", "endpoint-independent", "endpoint-independent", func(*world) netsim.HostOptions { return netsim.HostOptions{} }},
		{"full-cone", "full cone", "endpoint-independent", "endpoint-independent", behind(netsim.NATOptions{})},
		{"restricted", "restricted cone", "endpoint-independent", "address-dependent", behind(netsim.NATOptions{Filtering: netsim.AddressDependent})},
		{"port-restricted", "port-restricted cone", "endpoint-independent", "address-and-port-dependent", behind(netsim.PortRestrictedCone())},
		{"by-address", "symmetric", "address-dependent", "address-dependent", behind(netsim.NATOptions{Mapping: netsim.AddressDependent, Filtering: netsim.AddressDependent})},
		{"symmetric", "symmetric", "address-and-port-dependent", "address-and-port-dependent", behind(netsim.Symmetric())},
		{"carrier", "symmetric", "address-and-port-dependent", "address-and-port-dependent", func(w *world) netsim.HostOptions {
			carrier := w.in.NAT(netsim.NATOptions{Mapping: netsim.AddressAndPortDependent, Filtering: netsim.AddressAndPortDependent})
			home := netsim.PortRestrictedCone()
			home.Behind = carrier
			return netsim.HostOptions{Behind: w.in.NAT(home)}
		}},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 6})
		for _, tt := range tests {
			m := w.user(tt.name, tt.behind(w))
			m.eventually("has two supernodes", func() bool { return len(m.status().Supernodes) == 2 })
			time.Sleep(2 * time.Second)
			got := m.status().NAT
			str := func(s *string) string {
				if s == nil {
					return ""
				}
				return *s
			}
			if got.Name != tt.nat || str(got.Mapping) != tt.mapping || str(got.Filtering) != tt.filtering || got.UDP == nil || !*got.UDP {
				t.Errorf("%s: %s, mapping %q, filtering %q, UDP %v", tt.name, got.Name, str(got.Mapping), str(got.Filtering), got.UDP)
			}
			if hairpin := got.Hairpin != nil && *got.Hairpin; hairpin != (m.nat == nil) {
				t.Errorf("%s: hairpin %v", tt.name, hairpin)
			}
			for _, a := range m.status().Supernodes {
				if a.RTTMS < linnet.Milliseconds(hostRTT/2) || a.RTTMS > 2*linnet.Milliseconds(hostRTT) {
					t.Errorf("%s: a supernode is %v ms away", tt.name, a.RTTMS)
				}
			}
			if m.nat == nil && (len(got.Public) != 1 || got.Public[0].Addr() != m.host.Addr()) {
				t.Errorf("%s: public %v, want %v", tt.name, got.Public, m.host.Addr())
			}
			if got.PortMapping != nil || got.TCP.HTTP != nil || got.TCP.HTTPS != nil { // no supernode listens there
				t.Errorf("%s: claims what it did not measure: %+v", tt.name, got)
			}
		}
	})
}

// How long a NAT keeps a mapping is found out within three minutes, and holds it from then
// on; who has no NAT does not ask.
func TestMappingLifetime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 6})
		for _, tt := range []struct {
			name    string
			timeout time.Duration
			want    linnet.MappingLifetime
		}{
			{"short", 25 * time.Second, linnet.MappingLifetime{AtLeastS: 20, BelowS: 30}},
			{"usual", 70 * time.Second, linnet.MappingLifetime{AtLeastS: 60, BelowS: 80}},
			{"long", time.Hour, linnet.MappingLifetime{AtLeastS: 160}},
		} {
			o := netsim.PortRestrictedCone()
			o.Timeout = tt.timeout
			m := w.user(tt.name, netsim.HostOptions{Behind: w.in.NAT(o)})
			m.online()
			if got := m.status().NAT.Lifetime; got != nil {
				t.Errorf("%s: knows at once: %+v", tt.name, *got)
			}
			time.Sleep(4 * time.Minute)
			if got := m.status().NAT.Lifetime; got == nil || *got != tt.want {
				t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
			}
			time.Sleep(4 * time.Minute) // another supernode bears it out
			if n := m.host.Sockets(); n != 1 {
				t.Errorf("%s: %d sockets", tt.name, n)
			}
		}
		public := w.user("public", netsim.HostOptions{})
		time.Sleep(4 * time.Minute)
		if got := public.status().NAT.Lifetime; got != nil {
			t.Errorf("without a NAT: %+v", *got)
		}
	})
}

// Only a supernode that serves this node is believed where a spare socket of it is seen.
func TestSeenByAnybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		m := w.user("alice", netsim.HostOptions{Behind: w.in.NAT(netsim.Symmetric())})
		time.Sleep(20 * time.Second)
		m.in(func(now time.Time, s *station) {
			const socket, port = 77, 4000
			s.test.spares = map[uint32]uint16{socket: 0}
			for by, at := range s.witnesses {
				seen := session.Seen{Peer: by, Path: session.Path{Kind: linnet.DirectUDP, Addr: at, Socket: socket}, You: netip.MustParseAddrPort("203.0.113.9:4000")}
				for _, lie := range []session.Seen{
					{Peer: linnet.NodeID{1}, Path: seen.Path, You: seen.You},
					{Peer: by, Path: session.Path{Kind: linnet.DirectUDP, Addr: seen.You, Socket: socket}, You: seen.You},
				} {
					if s.seen(now, lie); s.test.spares[socket] != 0 {
						t.Errorf("believed %+v", lie)
					}
				}
				if s.seen(now, seen); s.test.spares[socket] != port {
					t.Errorf("did not take %+v", seen)
				}
				return
			}
			t.Error("nobody serves this node")
		})
	})
}

func behind(o netsim.NATOptions) func(*world) netsim.HostOptions {
	return func(w *world) netsim.HostOptions { return netsim.HostOptions{Behind: w.in.NAT(o)} }
}

// A port that the router gave away is a candidate, for contacts alone.
func TestMappedCandidate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice := w.user("alice", w.atHome())
		at := netip.AddrPortFrom(alice.nat.Addr(), 4711)
		alice.node.foundMapping(portmap.Found{Protocols: []string{"pcp"}, Addr: at})
		if got := alice.status().NAT.PortMapping; !slices.Equal(got, []string{"pcp"}) {
			t.Errorf("port mapping %v", got)
		}
		for _, contact := range []bool{true, false} {
			var list []message.Candidate
			alice.node.do(t.Context(), func(time.Time) { list = alice.node.station.candidates(&pair{contact: contact}) })
			named := slices.Contains(list, message.Candidate{Addr: at, Type: uint32(traverse.Mapped)})
			if named != contact {
				t.Errorf("to a contact %v: candidates %v", contact, list)
			}
		}
	})
}

// Which ports of supernodes streams reach is tried when somebody asks.
func TestNetcheckReach(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{web: true})
		for _, tt := range []struct {
			name             string
			pass             func(bool, netip.AddrPort) bool
			udp              bool
			own, http, https bool
		}{
			{"all", nil, true, true, true, true},
			{"no-udp", netsim.OnlyTCP(), false, true, true, true},
			{"web", netsim.OnlyTCP(80, 443), false, false, true, true},
			{"tls", netsim.OnlyTCP(443), false, false, false, true},
		} {
			m := w.user(tt.name, w.behind(tt.pass))
			m.online()
			m.eventually("knows where streams pass", func() bool { tcp := m.status().NAT.TCP; return tcp.Own != nil && tcp.HTTP != nil && tcp.HTTPS != nil })
			got := m.status().NAT
			is := func(b *bool, want bool) bool { return b != nil && *b == want }
			if !is(got.UDP, tt.udp) || !is(got.TCP.Own, tt.own) || !is(got.TCP.HTTP, tt.http) || !is(got.TCP.HTTPS, tt.https) {
				t.Errorf("%s: UDP %v, TCP %+v", tt.name, got.UDP, got.TCP)
			}
		}
	})
}
