package traverse

import (
	"net/netip"
	"testing"
)

func TestPlausible(t *testing.T) {
	home := []string{"192.168.1.5:7000", "203.0.113.5:7000"}
	tests := []struct {
		addr string
		own  []string
		want bool
	}{
		{"198.51.100.1:5000", nil, true},
		{"[2001:db8::1]:5000", nil, true},
		{"198.51.100.1:0", home, false},
		{"0.0.0.0:5000", home, false},
		{"[::]:5000", home, false},
		{"0.1.2.3:5000", home, false},
		{"224.0.0.1:5000", home, false},
		{"[ff02::1]:5000", home, false},
		{"255.255.255.255:5000", home, false},
		{"250.0.0.1:5000", home, false},
		{"203.0.113.5:7000", home, false}, // ourselves
		{"[::ffff:203.0.113.5]:7000", home, false},
		{"203.0.113.5:7001", home, true}, // a neighbour behind the same NAT
		{"127.0.0.1:5000", home, false},
		{"127.0.0.1:5000", []string{"127.0.0.1:5001"}, true},
		{"[::ffff:127.0.0.1]:5000", home, false},
		{"[::1]:5000", []string{"127.0.0.1:5001"}, false},
		{"10.1.2.3:5000", home, true},
		{"10.1.2.3:5000", []string{"203.0.113.5:7000"}, false},
		{"100.64.1.1:5000", []string{"203.0.113.5:7000"}, false},
		{"[fd00::1]:5000", home, false},
		{"[fd00::1]:5000", []string{"[fd00::2]:5000"}, true},
		{"169.254.1.1:5000", home, false},
		{"[fe80::1%eth0]:5000", []string{"[fe80::2%eth0]:5000"}, false},
	}
	for _, tt := range tests {
		if got := Plausible(addr(tt.addr), candidates(tt.own...)); got != tt.want {
			t.Errorf("%s, while we are %v: %v", tt.addr, tt.own, got)
		}
	}
	if Plausible(netip.AddrPort{}, nil) {
		t.Error("no address at all is plausible")
	}
}

func TestNAT(t *testing.T) {
	n := NewNAT(AddressAndPortDependent, AddressDependent)
	if n != 0x0b || n.Mapping() != AddressAndPortDependent || n.Filtering() != AddressDependent {
		t.Errorf("NewNAT gives %#x: %d, %d", n, n.Mapping(), n.Filtering())
	}
	if Unknown.Mapping() != BehaviorUnknown || Unknown.Filtering() != BehaviorUnknown {
		t.Error("Unknown knows something")
	}
}
