package suite

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"unicode"
)

// An Invite is a link that brings somebody into a network. Its text is
// "linnet:" and the base32 (a-z, 2-7, no padding) of
//
//	version      [1]byte   // 0x01
//	fingerprint  [32]byte  // Descriptor.Fingerprint
//	addresses    [1]byte   // how many follow, at most MaxInviteAddrs
//	address      [...]byte // each: 4 or 6, the IP address, port [2]byte
//	token        [1]byte   // its length, at most MaxInviteToken
//	             [...]byte
//	checksum     [4]byte   // of SHA-256 over all before it
//
// The checksum catches slips of the pen, nothing else: a forged invite leads to
// a forged network, so one has to trust who gave it.
type Invite struct {
	Fingerprint [32]byte
	Bootstrap   []netip.AddrPort // who can tell the descriptor
	Token       []byte           // lets people register, or one machine of the operator's; may be empty
}

// Bounds of an invite.
const (
	MaxInviteAddrs = 4
	MaxInviteToken = 48 // a machine's has 16 random bytes and its name
)

// Why a text is no invite. People see these sentences.
var (
	ErrNoInvite      = errors.New("this is not an invite to a Linnet network; one begins with \"linnet:\"")
	ErrInviteTypo    = errors.New("the invite has a typing mistake or a part of it is missing; copy it again as a whole")
	ErrInviteVersion = errors.New("the invite was made by a newer version of Linnet; update Linnet to use it")
)

const (
	inviteScheme  = "linnet:"
	inviteVersion = 1
	checksumSize  = 4
	maxInviteText = 4096 // with the address of a page and white space
)

var inviteText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the link. Addresses and token beyond the bounds are left out, as
// are addresses that nobody could reach.
func (i Invite) String() string {
	b := append([]byte{inviteVersion}, i.Fingerprint[:]...)
	var addrs []byte
	count := 0
	for _, a := range i.Bootstrap {
		if !dialable(a) || count == MaxInviteAddrs {
			continue
		}
		ip := a.Addr().Unmap()
		family := byte(4)
		if ip.Is6() {
			family = 6
		}
		addrs = append(append(addrs, family), ip.AsSlice()...)
		addrs = binary.BigEndian.AppendUint16(addrs, a.Port())
		count++
	}
	b = append(append(b, byte(count)), addrs...)
	token := i.Token
	if len(token) > MaxInviteToken {
		token = nil
	}
	b = append(append(b, byte(len(token))), token...)
	return sealInvite(b)
}

func sealInvite(b []byte) string {
	sum := sha256.Sum256(b)
	return inviteScheme + inviteText.EncodeToString(append(b, sum[:checksumSize]...))
}

// ParseInvite reads what String wrote, in any case, with the white space that
// mail puts in, or behind the # of a web address.
func ParseInvite(s string) (Invite, error) {
	if len(s) > maxInviteText {
		return Invite{}, fmt.Errorf("%d characters: %w", len(s), ErrNoInvite)
	}
	s = strings.ToLower(strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return -1
		}
		return r
	}, s))
	if strings.HasPrefix(s, "https://") {
		_, s, _ = strings.Cut(s, "#")
	}
	text, ok := strings.CutPrefix(s, inviteScheme)
	if !ok {
		return Invite{}, ErrNoInvite
	}
	b, err := inviteText.DecodeString(text)
	// The last character has bits to spare; one spelling of an invite is enough.
	if err != nil || inviteText.EncodeToString(b) != text || len(b) <= checksumSize {
		return Invite{}, ErrInviteTypo
	}
	b, sum := b[:len(b)-checksumSize], b[len(b)-checksumSize:]
	if want := sha256.Sum256(b); !bytes.Equal(sum, want[:checksumSize]) {
		return Invite{}, ErrInviteTypo
	}
	if b[0] != inviteVersion {
		return Invite{}, fmt.Errorf("version %d: %w", b[0], ErrInviteVersion)
	}
	r := inviteReader{b: b[1:]}
	var i Invite
	copy(i.Fingerprint[:], r.next(len(i.Fingerprint)))
	n := r.byte()
	if n > MaxInviteAddrs {
		return Invite{}, ErrInviteTypo
	}
	for range n {
		i.Bootstrap = append(i.Bootstrap, r.addr())
	}
	if n := r.byte(); n > MaxInviteToken {
		r.bad = true
	} else if n > 0 {
		i.Token = bytes.Clone(r.next(n))
	}
	if r.bad || len(r.b) > 0 {
		return Invite{}, ErrInviteTypo
	}
	return i, nil
}

// An inviteReader remembers that something was wrong, so that the layout reads
// straight down.
type inviteReader struct {
	b   []byte
	bad bool
}

func (r *inviteReader) next(n int) []byte {
	if len(r.b) < n {
		r.bad, r.b = true, nil
		return make([]byte, n)
	}
	field := r.b[:n]
	r.b = r.b[n:]
	return field
}

func (r *inviteReader) byte() int { return int(r.next(1)[0]) }

func (r *inviteReader) addr() netip.AddrPort {
	size := 4
	switch r.byte() {
	case 4:
	case 6:
		size = 16
	default:
		r.bad = true
	}
	ip, _ := netip.AddrFromSlice(r.next(size))
	a := netip.AddrPortFrom(ip, binary.BigEndian.Uint16(r.next(2)))
	if !dialable(a) || size == 16 && ip.Is4In6() {
		r.bad = true
	}
	return a
}
