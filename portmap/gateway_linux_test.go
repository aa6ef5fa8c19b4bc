package portmap

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

func TestDefaultRoute(t *testing.T) {
	const table = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
	var one [2]byte
	binary.NativeEndian.PutUint16(one[:], 1)
	if one[0] != 1 {
		t.Skip("the table is of a little-endian machine")
	}
	if got := defaultRoute(strings.NewReader(table)); got != netip.MustParseAddr("192.168.1.1") {
		t.Errorf("gateway %v", got)
	}
	if got := defaultRoute(strings.NewReader("nonsense\n00 00\n")); got.IsValid() {
		t.Errorf("gateway %v", got)
	}
}
