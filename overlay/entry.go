package overlay

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// Bounds of an Entry.
const (
	MaxEntry = 640 // bytes: two keys, two signatures, names, addresses; the classic suite takes most of them
	MaxAddrs = 4

	MaxWebName = 64
)

// An Entry is what a supernode says of itself, signed with its device key. A
// newer one, of a higher incarnation, replaces it; one without the role of a
// supernode says that it serves no longer.
//
//	4/0 certificate   2/1 addresses, best first   0/2 roles   1/3 incarnation
//	0/4 web ports: 1 for 80, 2 for 443, they add up   3/5 name shown on 443
type Entry struct {
	Certificate []byte
	Addrs       []netip.AddrPort
	Roles       linnet.Role
	Incarnation uint64       // milliseconds since 1970 when the node started, or one more than it was accused under
	Web         linnet.Rungs // besides its own port: RungPort80, RungPort443
	WebName     string

	// Node, User, Agreement and Expires are the certificate's, known once the entry was opened.
	Node      linnet.NodeID
	User      linnet.UserName
	Agreement []byte
	Expires   time.Time

	cert *suite.Certificate
	seat *seat // what tables keep of it, once it was opened
	host *Host // and host caches
}

type entryBody struct {
	Certificate []byte           `obj:"4/0"`
	Addrs       []netip.AddrPort `obj:"2/1"`
	Roles       uint32           `obj:"0/2"`
	Incarnation uint64           `obj:"1/3"`
	Web         uint32           `obj:"0/4,opt"`
	WebName     string           `obj:"3/5,opt"`
}

// The bits of Web on the wire.
const (
	webPort80  = 1
	webPort443 = 2
)

func webBits(s linnet.Rungs) (bits uint32) {
	if s.Has(linnet.RungPort80) {
		bits |= webPort80
	}
	if s.Has(linnet.RungPort443) {
		bits |= webPort443
	}
	return bits
}

func webRungs(bits uint32) (s linnet.Rungs) {
	if bits&webPort80 != 0 {
		s |= linnet.RungsOf(linnet.RungPort80)
	}
	if bits&webPort443 != 0 {
		s |= linnet.RungsOf(linnet.RungPort443)
	}
	return s
}

// Errors of entries.
var (
	ErrEntrySize  = fmt.Errorf("an entry has at most %d bytes", MaxEntry)
	ErrEntryAddrs = fmt.Errorf("an entry has 1 to %d usable addresses", MaxAddrs)
	errFuture     = errors.New("it comes from the future")
	errWebName    = errors.New("its name is none of a host")

	errNotAdmitted = errors.New("the network does not let it be a supernode")
)

// maxSkew is how far the clocks of two nodes may be apart.
const maxSkew = 10 * time.Minute

// Sign gives the entry's wire form.
func (e *Entry) Sign(k suite.Keys) ([]byte, error) {
	if err := checkAddrs(e.Addrs); err != nil {
		return nil, err
	}
	if !validWebName(e.WebName) {
		return nil, errWebName
	}
	b, err := suite.SignBody(k, suite.ForEntry, &entryBody{e.Certificate, e.Addrs, uint32(e.Roles), e.Incarnation, webBits(e.Web), e.WebName})
	if err != nil {
		return nil, err
	}
	if len(b) > MaxEntry {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrEntrySize)
	}
	return b, nil
}

// OpenEntry reads an entry and checks its certificate, signature and bounds,
// and that the network admits its node.
func (t Trust) OpenEntry(b []byte, now time.Time) (*Entry, error) {
	if t.Entry != nil {
		return t.Entry(b, now)
	}
	e, err := t.openEntry(b, now)
	if err != nil {
		return nil, fmt.Errorf("entry: %w", err)
	}
	return e, nil
}

func (t Trust) openEntry(b []byte, now time.Time) (*Entry, error) {
	if len(b) > MaxEntry {
		return nil, ErrEntrySize
	}
	var body entryBody
	cert, err := t.Open(b, now, suite.ForEntry, &body, func() []byte { return body.Certificate })
	if err != nil {
		return nil, err
	}
	if t.Admit != nil && !t.Admit(cert, linnet.Role(body.Roles)) {
		return nil, fmt.Errorf("%s: %w", cert.User, errNotAdmitted)
	}
	if err := checkAddrs(body.Addrs); err != nil {
		return nil, err
	}
	if !validWebName(body.WebName) {
		return nil, errWebName
	}
	if body.Incarnation > uint64(now.Add(maxSkew).UnixMilli()) {
		return nil, errFuture
	}
	node := cert.NodeID()
	return &Entry{
		Certificate: body.Certificate, Addrs: body.Addrs, Roles: linnet.Role(body.Roles), Incarnation: body.Incarnation,
		Web: webRungs(body.Web), WebName: body.WebName,
		Node: node, User: cert.User, Agreement: cert.Agreement, Expires: cert.Expires, cert: cert,
		host: &Host{
			Node: node, Agreement: cert.Agreement, Addrs: body.Addrs,
			Rungs: linnet.RungsOf(linnet.RungUDP, linnet.RungTCP) | webRungs(body.Web), Name: body.WebName,
		},
		seat: newSeat(b, node, body.Incarnation, body.Addrs[0], accountOf(cert.User), uint32(cert.Expires.Unix()/60)),
	}, nil
}

// reopen reads the entry of a seat, which was checked when it was opened.
func (t Trust) reopen(x *seat) *Entry {
	e, err := t.OpenEntry(x.entry(), time.Unix(int64(x.expires())*60-1, 0))
	if err != nil {
		return nil // the rules of the network have changed since
	}
	return e
}

// Verify checks that the supernode of the entry signed msg.
func (e *Entry) Verify(t Trust, p suite.Purpose, msg, sig []byte) error {
	return t.Verify(e.cert.Signing, p, msg, sig)
}

// Host is how to open a session with the supernode.
func (e *Entry) Host() Host { return *e.host }

// Serves says that it is a supernode's.
func (e *Entry) Serves() bool { return e.Roles&linnet.Supernode != 0 }

// validWebName says that a name can be that of a certificate: nobody has more in his
// TLS hello than a supernode may ask for.
func validWebName(s string) bool {
	return len(s) <= MaxWebName && !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '.')
	})
}

func checkAddrs(addrs []netip.AddrPort) error {
	if len(addrs) == 0 || len(addrs) > MaxAddrs {
		return ErrEntryAddrs
	}
	for _, a := range addrs {
		if !usable(a) {
			return fmt.Errorf("%s: %w", a, ErrEntryAddrs)
		}
	}
	return nil
}

func usable(a netip.AddrPort) bool {
	ip := a.Addr()
	return ip.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() && ip.Zone() == ""
}
