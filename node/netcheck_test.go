package node

import (
	"testing"
	"testing/synctest"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// Each kind of NAT is recognised as soon as the node has its two supernodes, and
// nothing is said of what was not measured.
func TestNetcheck(t *testing.T) {
	tests := []struct {
		name, nat, mapping string
		behind             func(w *world) netsim.HostOptions
	}{
		{"public", "none", "endpoint-independent", func(*world) netsim.HostOptions { return netsim.HostOptions{} }},
		{"full-cone", "cone", "endpoint-independent", behind(netsim.NATOptions{})},
		{"port-restricted", "cone", "endpoint-independent", behind(netsim.PortRestrictedCone())},
		{"by-address", "symmetric", "", behind(netsim.NATOptions{Mapping: netsim.AddressDependent, Filtering: netsim.AddressDependent})},
		{"symmetric", "symmetric", "", behind(netsim.NATOptions{Mapping: netsim.AddressAndPortDependent, Filtering: netsim.AddressAndPortDependent})},
		{"carrier", "symmetric", "", func(w *world) netsim.HostOptions {
			carrier := w.in.NAT(netsim.NATOptions{Mapping: netsim.AddressAndPortDependent, Filtering: netsim.AddressAndPortDependent})
			home := netsim.PortRestrictedCone()
			home.Behind = carrier
			return netsim.HostOptions{Behind: w.in.NAT(home)}
		}},
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		for _, tt := range tests {
			m := w.user(tt.name, tt.behind(w))
			m.eventually("has two supernodes", func() bool { return len(m.status().Supernodes) == 2 })
			got := m.status().NAT
			mapping := ""
			if got.Mapping != nil {
				mapping = *got.Mapping
			}
			if got.Name != tt.nat || mapping != tt.mapping || got.UDP == nil || !*got.UDP {
				t.Errorf("%s: %s, mapping %q, UDP %v", tt.name, got.Name, mapping, got.UDP)
			}
			if m.nat == nil && (len(got.Public) != 1 || got.Public[0].Addr() != m.host.Addr()) {
				t.Errorf("%s: public %v, want %v", tt.name, got.Public, m.host.Addr())
			}
			if got.Filtering != nil || got.Hairpin != nil || got.PortMapping != nil || got.TCP != (linnet.TCPReach{}) {
				t.Errorf("%s: claims what it did not measure: %+v", tt.name, got)
			}
		}
	})
}

func behind(o netsim.NATOptions) func(*world) netsim.HostOptions {
	return func(w *world) netsim.HostOptions { return netsim.HostOptions{Behind: w.in.NAT(o)} }
}
