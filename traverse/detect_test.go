package traverse

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestDetector(t *testing.T) {
	const own = "10.0.0.2:33033"
	tests := []struct {
		name      string
		witnesses string // supernode>you
		want      string // Finding.Name
		mapping   Behavior
		public    int
	}{
		{"nobody answered", "", "unknown", BehaviorUnknown, 0},
		{"one alone cannot tell", "198.51.100.1:1>203.0.113.1:5", "unknown", BehaviorUnknown, 1},
		{"not translated", "198.51.100.1:1>10.0.0.2:33033", "none", EndpointIndependent, 1},
		{"another port for each address", "198.51.100.1:1>203.0.113.1:5 198.51.100.1:2>203.0.113.1:5 198.51.100.2:1>203.0.113.1:6", "symmetric", AddressDependent, 2},
		{"one address for two", "198.51.100.1:1>203.0.113.1:5 198.51.100.2:1>203.0.113.1:5", "cone", EndpointIndependent, 1},
		{"one address for two ports of one", "198.51.100.1:1>203.0.113.1:5 198.51.100.1:2>203.0.113.1:5", "unknown", BehaviorUnknown, 1},
		{"another port for each", "198.51.100.1:1>203.0.113.1:5 198.51.100.2:1>203.0.113.1:6", "symmetric", BehaviorUnknown, 2},
		{"another port for each port", "198.51.100.1:1>203.0.113.1:5 198.51.100.1:2>203.0.113.1:6", "symmetric", AddressAndPortDependent, 2},
		{"two agree, one does not", "198.51.100.1:1>203.0.113.1:5 198.51.100.2:1>203.0.113.1:5 198.51.100.3:1>203.0.113.1:7", "symmetric", BehaviorUnknown, 2},
		{"the last word counts", "198.51.100.1:1>203.0.113.1:4 198.51.100.2:1>203.0.113.1:5 198.51.100.1:1>203.0.113.1:5", "cone", EndpointIndependent, 1},
		{"IPv6 is not compared with IPv4", "198.51.100.1:1>203.0.113.1:5 [2001:db8::1]:1>[2001:db8::9]:5", "unknown", BehaviorUnknown, 2},
		{"IPv4 in IPv6 clothes", "[::ffff:198.51.100.1]:1>203.0.113.1:5 198.51.100.2:1>[::ffff:203.0.113.1]:5", "cone", EndpointIndependent, 1},
		{"another family than its own", "198.51.100.1:1>[2001:db8::9]:5", "unknown", BehaviorUnknown, 0},
		{"a network on loopback", "127.0.0.1:1>10.0.0.2:33033 127.0.0.1:2>10.0.0.2:33033", "this machine", EndpointIndependent, 1},
		{"a network on this machine's own address", "10.0.0.2:1>10.0.0.2:33033", "this machine", EndpointIndependent, 1},
		{"one supernode elsewhere", "127.0.0.1:1>10.0.0.2:33033 10.0.0.3:1>10.0.0.2:33033", "none", EndpointIndependent, 1},
		{"no port", "198.51.100.1:1>203.0.113.1:0", "unknown", BehaviorUnknown, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var d Detector
			for w := range strings.FieldsSeq(tt.witnesses) {
				at, you, _ := strings.Cut(w, ">")
				d.Observed(netip.MustParseAddrPort(at), netip.MustParseAddrPort(you))
			}
			f := d.Finding([]netip.AddrPort{netip.MustParseAddrPort(own)})
			if f.Name() != tt.want || f.NAT != NewNAT(tt.mapping, BehaviorUnknown) || len(f.Public) != tt.public {
				t.Errorf("%s, mapping %q, public %v; want %s, %q, %d of them", f.Name(), f.NAT.Mapping(), f.Public, tt.want, tt.mapping, tt.public)
			}
		})
	}
}

func TestDetectorForgets(t *testing.T) {
	var d Detector
	a, b := netip.MustParseAddrPort("198.51.100.1:1"), netip.MustParseAddrPort("198.51.100.2:1")
	d.Observed(a, netip.MustParseAddrPort("203.0.113.1:5"))
	d.Observed(b, netip.MustParseAddrPort("203.0.113.1:6"))
	if d.Observed(a, netip.MustParseAddrPort("203.0.113.1:7")) || !d.Observed(a, netip.MustParseAddrPort("203.0.113.2:7")) {
		t.Error("another IP address, and no other port, is another place")
	}
	d.Forget(a)
	if f := d.Finding(nil); f.Name() != "unknown" || len(f.Public) != 1 {
		t.Errorf("with one left: %s, %v", f.Name(), f.Public)
	}
}

// Whatever supernodes say, little of it is kept, and the order of the two
// decisive ones does not matter.
func TestDetectorIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		addr := rapid.Custom(func(t *rapid.T) netip.AddrPort {
			return netip.MustParseAddrPort(fmt.Sprintf("203.0.113.%d:%d", rapid.IntRange(1, 20).Draw(t, "host"), rapid.IntRange(0, 3).Draw(t, "port")))
		})
		var d, e Detector
		said := rapid.SliceOfDistinct(addr, func(a netip.AddrPort) netip.AddrPort { return a }).Draw(t, "supernodes")
		you := make([]netip.AddrPort, len(said))
		for i, at := range said {
			you[i] = addr.Draw(t, "you")
			d.Observed(at, you[i])
		}
		if len(d.witnesses) > maxWitnesses || len(d.Finding(nil).Public) > maxWitnesses {
			t.Fatalf("%d witnesses", len(d.witnesses))
		}
		for _, w := range slices.Backward(d.witnesses) {
			e.Observed(w.at, w.you)
		}
		if f, g := d.Finding(nil), e.Finding(nil); f.Name() != g.Name() || f.NAT != g.NAT {
			t.Fatalf("%v %s, in the other order %v %s", f.NAT, f.Name(), g.NAT, g.Name())
		}
	})
}

func TestFilterTests(t *testing.T) {
	for _, tt := range []struct {
		test FilterTest
		want Behavior
		name string // of a NAT with an endpoint-independent mapping
	}{
		{FilterTest{ByPort: true, ByStranger: true, FromPort: true, FromStranger: true}, EndpointIndependent, "full cone"},
		{FilterTest{ByPort: true, ByStranger: true, FromStranger: true}, AddressAndPortDependent, "port-restricted cone"}, // it was no stranger
		{FilterTest{ByStranger: true, FromStranger: true}, EndpointIndependent, "full cone"},
		{FilterTest{ByPort: true, ByStranger: true, FromPort: true}, AddressDependent, "restricted cone"},
		{FilterTest{ByPort: true, FromPort: true}, BehaviorUnknown, "cone"}, // there was no stranger to try
		{FilterTest{ByPort: true, ByStranger: true}, AddressAndPortDependent, "port-restricted cone"},
		{FilterTest{ByPort: true}, AddressAndPortDependent, "port-restricted cone"},
		{FilterTest{ByStranger: true}, BehaviorUnknown, "cone"},
		{FilterTest{}, BehaviorUnknown, "cone"},
	} {
		var d Detector
		for _, s := range []string{"198.51.100.1:1", "198.51.100.2:1"} {
			d.Observed(netip.MustParseAddrPort(s), netip.MustParseAddrPort("203.0.113.1:5"))
		}
		d.Tested(tt.test)
		if f := d.Finding(nil); f.NAT.Filtering() != tt.want || f.Name() != tt.name {
			t.Errorf("%+v: %q, %s", tt.test, f.NAT.Filtering(), f.Name())
		}
		if f := d.Finding([]netip.AddrPort{netip.MustParseAddrPort("203.0.113.1:5")}); (f.Name() == "firewall") != (tt.want > EndpointIndependent) {
			t.Errorf("%+v without a NAT: %s", tt.test, f.Name())
		}
	}
}

func TestBlocks(t *testing.T) {
	for _, tt := range []struct {
		ports     []uint16
		low, high uint32
	}{
		{[]uint16{20100, 23900, 21000, 22000, 22500, 23000}, 18944, 25087},
		{[]uint16{1024, 1100, 1050, 1060, 1070, 1080}, 1024, 1279},
		{[]uint16{65000, 65535, 65100, 65200, 65300, 65400}, 64768, 65535},
		{[]uint16{20100, 23900, 21000}, 0, 0},                     // too few
		{[]uint16{1100, 60000, 21000, 22000, 22500, 23000}, 0, 0}, // anywhere
	} {
		var d Detector
		d.Observed(netip.MustParseAddrPort("198.51.100.1:1"), netip.MustParseAddrPort("203.0.113.1:5"))
		d.Observed(netip.MustParseAddrPort("198.51.100.2:1"), netip.MustParseAddrPort("203.0.113.1:6"))
		d.Spread(tt.ports)
		if low, high := d.Finding(nil).Told().Block(); low != tt.low || high != tt.high {
			t.Errorf("%v: block %d to %d, want %d to %d", tt.ports, low, high, tt.low, tt.high)
		}
	}
}
