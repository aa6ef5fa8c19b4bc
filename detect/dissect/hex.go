package dissect

import "fmt"

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
