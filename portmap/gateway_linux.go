package portmap

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"strings"
)

// gatewayKnown says that gateway is no guess.
const gatewayKnown = true

// gateway is the router of the default route over IPv4; zero if there is none.
func gateway() netip.Addr {
	f, err := os.Open("/proc/net/route")
	if err != nil {
		return netip.Addr{}
	}
	defer f.Close()
	return defaultRoute(f)
}

// defaultRoute reads the kernel's table: addresses are numbers of the host's own
// byte order in hex.
func defaultRoute(table io.Reader) netip.Addr {
	for lines := bufio.NewScanner(table); lines.Scan(); {
		f := strings.Fields(lines.Text())
		if len(f) < 8 || f[1] != "00000000" || f[7] != "00000000" {
			continue
		}
		b, err := hex.DecodeString(f[2])
		if err != nil || len(b) != 4 || f[2] == "00000000" {
			continue
		}
		var ip [4]byte
		binary.NativeEndian.PutUint32(ip[:], binary.BigEndian.Uint32(b))
		return netip.AddrFrom4(ip)
	}
	return netip.Addr{}
}
