package dissect

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// A HexError says where text is no row of bytes.
type HexError struct {
	Offset int // of the byte, not of the digit
	Text   string
}

func (e *HexError) Error() string { return fmt.Sprintf("byte %d: %s", e.Offset, e.Text) }

// ParseHex reads bytes in hexadecimal. White space and colons between the
// digits are passed over.
func ParseHex(s string) ([]byte, error) {
	var b []byte
	half, high := false, byte(0)
	for _, c := range s {
		var digit byte
		switch {
		case c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == ':':
			continue
		case '0' <= c && c <= '9':
			digit = byte(c - '0')
		case 'a' <= c|0x20 && c|0x20 <= 'f':
			digit = byte(c|0x20-'a') + 10
		default:
			return nil, &HexError{len(b), fmt.Sprintf("%q is no hexadecimal digit", c)}
		}
		if half {
			b = append(b, high<<4|digit)
		}
		half, high = !half, digit
	}
	if half {
		return nil, &HexError{len(b), "half of it is missing"}
	}
	return b, nil
}

// ParseLine reads a datagram from a line: its bytes in hexadecimal, and before
// them, if known, where it came from and where it went.
//
//	7f4e 77 527c4833 83b08656
//	24.98.66.80:33033 > 172.16.72.131:40000  7f4e77527c483383b08656
//
// A port may be missing.
func ParseLine(s string, number int64) (*capture.Packet, error) {
	p := &capture.Packet{Number: number, Protocol: capture.UDP}
	if src, rest, ok := cutAddr(s); ok {
		rest = strings.TrimPrefix(strings.TrimSpace(rest), ">")
		if dst, rest, ok := cutAddr(rest); ok {
			p.Src, p.Dst, s = src, dst, rest
		}
	}
	b, err := ParseHex(s)
	if err != nil {
		return nil, err
	}
	p.Payload, p.Length = b, len(b)
	return p, nil
}

// cutAddr reads an address at the start of s.
func cutAddr(s string) (a netip.AddrPort, rest string, ok bool) {
	word, rest, _ := strings.Cut(strings.TrimSpace(s), " ")
	if a, err := netip.ParseAddrPort(word); err == nil {
		return a, rest, true
	}
	ip, err := netip.ParseAddr(word)
	return netip.AddrPortFrom(ip, 0), rest, err == nil
}
