package suite

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/linnet-p2p/linnet"
)

// SaltSize is the length of Certificate.Salt.
const SaltSize = 16

// MaxDeviceName is the longest name of a device, in bytes.
const MaxDeviceName = 64

const (
	minKey      = 32
	maxKey      = 512 // the classic suite's are 128 to 256
	maxNodeName = 64
)

// A Certificate is the authority's word that a device belongs to a user.
type Certificate struct {
	User      linnet.UserName // or a node name
	Device    string
	Signing   []byte
	Agreement []byte
	Issued    time.Time // whole minutes, like Expires
	Expires   time.Time
	Serial    uint64 // by which it is revoked
	Salt      []byte // see NodeID
}

// NodeID is the first half of SHA-256(signing key, salt). The salt comes from
// the authority and depends on the key (see Authority.Salt), so nobody can try
// keys until an id suits him.
func (c *Certificate) NodeID() linnet.NodeID {
	h := sha256.New()
	h.Write(c.Signing)
	h.Write(c.Salt)
	return linnet.NodeID(h.Sum(nil)[:len(linnet.NodeID{})])
}

// Issue signs a certificate with the login key. Times lose their seconds.
func Issue(login Keys, c *Certificate) ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("suite: issue certificate: %w", err)
	}
	return login.certify(c)
}

// OpenCertificate reads a certificate that the network's login key signed and
// that has not expired. One from the future is good: it is only this clock that
// says so, and clocks are wrong more often than authorities.
func (d *Descriptor) OpenCertificate(b []byte, now time.Time) (*Certificate, error) {
	s, err := Named(d.Suite)
	if err != nil {
		return nil, err
	}
	c, err := s.openCertificate(d.Login, b)
	if err != nil {
		return nil, fmt.Errorf("suite: open certificate: %w", err)
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("suite: open certificate: %w", err)
	}
	if !now.Before(c.Expires) {
		return nil, fmt.Errorf("suite: open certificate of %s: %w", c.User, ErrExpired)
	}
	return c, nil
}

// check keeps certificates within bounds on both ends.
func (c *Certificate) check() error {
	switch {
	case !validHolder(c.User):
		return fmt.Errorf("%w: user name %q", ErrMalformed, c.User)
	case !validText(c.Device, MaxDeviceName):
		return fmt.Errorf("%w: device name %q", ErrMalformed, c.Device)
	case !validKey(c.Signing) || !validKey(c.Agreement):
		return fmt.Errorf("%w: keys", ErrMalformed)
	case len(c.Salt) != SaltSize:
		return fmt.Errorf("%w: salt of %d bytes", ErrMalformed, len(c.Salt))
	case !c.Issued.Before(c.Expires):
		return fmt.Errorf("%w: expires before it is issued", ErrMalformed)
	}
	return nil
}

// validHolder says whether a certificate can be made out to the name.
func validHolder(name linnet.UserName) bool {
	if !name.IsNode() {
		parsed, err := linnet.ParseUserName(string(name))
		return err == nil && parsed == name
	}
	rest := name[len(linnet.NodeName("")):]
	if len(rest) == 0 || len(rest) > maxNodeName {
		return false
	}
	for _, c := range []byte(rest) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return false
		}
	}
	return true
}

// validText says whether s can be shown to people in one line.
func validText(s string, longest int) bool {
	if s == "" || len(s) > longest || !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

func validKey(k []byte) bool { return len(k) >= minKey && len(k) <= maxKey }

// CheckDeviceName says whether a certificate can be made out to a device of
// this name.
func CheckDeviceName(name string) error {
	if !validText(name, MaxDeviceName) {
		return fmt.Errorf("device name %q: %w", name, errDeviceName)
	}
	return nil
}

var errDeviceName = errors.New("a device name has 1 to 64 bytes of printable text")

func toMinutes(t time.Time) uint32   { return uint32(t.Unix() / 60) }
func fromMinutes(m uint32) time.Time { return time.Unix(int64(m)*60, 0).UTC() }
