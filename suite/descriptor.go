package suite

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Descriptor is all that a node has to know about a network before it can
// join: its keys, its servers and its rules. The root key signs it.
//
// On the wire it is {4/0 body, 4/1 signature of the root key, 4/2 a LoginKey
// signed by the login key, any number of times}. The keys of the days stand
// beside the body because the login servers renew them, and need no root key
// for it.
type Descriptor struct {
	Name         string           `obj:"3/0"`
	Network      linnet.NetworkID `obj:"4/1"`
	Suite        string           `obj:"3/2"`
	Root         []byte           `obj:"4/3"` // of the suite, too; no two suites have root keys of one length
	Login        []byte           `obj:"4/4"` // signs certificates, heads, keys of the day
	LoginServers []netip.AddrPort `obj:"2/5,opt"`
	Supernodes   []Bootstrap      `obj:"5/6,opt"`
	Policy       Policy           `obj:"5/7"`
	Serial       uint64           `obj:"1/8"` // a node keeps the descriptor with the highest

	LoginKeys []LoginKey // rising by day
}

// Bootstrap is what a node needs to open a session with one of the network's
// first supernodes.
type Bootstrap struct {
	Addr      netip.AddrPort `obj:"2/0"`
	Node      linnet.NodeID  `obj:"4/1"`
	Agreement []byte         `obj:"4/2"`
}

// Bounds of a descriptor.
const (
	MaxDescriptor   = 60 << 10 // of its bytes
	maxNetworkName  = 64
	maxLoginServers = 16
	maxSupernodes   = 64
	maxLoginKeys    = 32
)

type signedDescriptor struct {
	Body      []byte   `obj:"4/0"`
	Signature []byte   `obj:"4/1"`
	LoginKeys [][]byte `obj:"4/2,opt"`
}

// Fingerprint names a network without room for doubt: an invite carries it, and
// no descriptor with another root key has it.
func Fingerprint(root []byte, network linnet.NetworkID) [32]byte {
	return sha256.Sum256(append(slices.Clone(root), network[:]...))
}

// Fingerprint is what an invite to the network carries.
func (d *Descriptor) Fingerprint() [32]byte { return Fingerprint(d.Root, d.Network) }

// Sign makes the bytes that OpenDescriptor reads. The login keys are those of
// an Authority, already signed.
func (d *Descriptor) Sign(root Keys) ([]byte, error) {
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("suite: sign descriptor: %w", err)
	}
	s := signedDescriptor{Body: message.Marshal(d)}
	var err error
	if s.Signature, err = root.Sign(ForDescriptor, s.Body); err != nil {
		return nil, fmt.Errorf("suite: sign descriptor: %w", err)
	}
	for _, k := range d.LoginKeys {
		s.LoginKeys = append(s.LoginKeys, k.Signed)
	}
	b := message.Marshal(&s)
	if len(b) > MaxDescriptor {
		return nil, fmt.Errorf("suite: sign descriptor: %d bytes: %w", len(b), ErrMalformed)
	}
	return b, nil
}

// Holders are the machines that tell newcomers the descriptor, the login
// servers first.
func (d *Descriptor) Holders() []netip.AddrPort {
	holders := slices.Clone(d.LoginServers)
	for _, s := range d.Supernodes {
		holders = append(holders, s.Addr)
	}
	return holders
}

// OpenDescriptor reads the descriptor of the network that an invite means.
func OpenDescriptor(b []byte, fingerprint [32]byte) (*Descriptor, error) {
	d, err := openDescriptor(b, fingerprint)
	if err != nil {
		return nil, fmt.Errorf("suite: open descriptor: %w", err)
	}
	return d, nil
}

func openDescriptor(b []byte, fingerprint [32]byte) (*Descriptor, error) {
	if len(b) > MaxDescriptor {
		return nil, fmt.Errorf("%d bytes: %w", len(b), ErrMalformed)
	}
	var s signedDescriptor
	if err := unmarshalExact(b, &s); err != nil {
		return nil, err
	}
	d := new(Descriptor)
	if err := unmarshal(s.Body, d); err != nil {
		return nil, err
	}
	if d.Fingerprint() != fingerprint {
		return nil, fmt.Errorf("it is of another network: %w", ErrForged)
	}
	// The suite is what the descriptor says it is. Nobody can lie about it: the
	// fingerprint names the root key, and each suite takes only root keys of its own length.
	cryptography, err := Named(d.Suite)
	if err != nil {
		return nil, err
	}
	if err := cryptography.Verify(d.Root, ForDescriptor, s.Body, s.Signature); err != nil {
		return nil, err
	}
	d.Policy = d.Policy.orDefault()
	if err := d.check(); err != nil {
		return nil, err
	}
	if len(s.LoginKeys) > maxLoginKeys {
		return nil, fmt.Errorf("%d login keys: %w", len(s.LoginKeys), ErrMalformed)
	}
	for _, b := range s.LoginKeys {
		k, err := d.OpenLoginKey(b)
		if err != nil {
			return nil, err
		}
		d.LoginKeys = append(d.LoginKeys, k)
	}
	if !slices.IsSortedFunc(d.LoginKeys, func(a, b LoginKey) int { return cmp.Compare(a.Day, b.Day) }) {
		return nil, fmt.Errorf("login keys out of order: %w", ErrMalformed)
	}
	return d, nil
}

func (d *Descriptor) check() error {
	if _, err := Named(d.Suite); err != nil {
		return err
	}
	switch {
	case !validText(d.Name, maxNetworkName):
		return fmt.Errorf("%w: network name %q", ErrMalformed, d.Name)
	case !validKey(d.Root) || !validKey(d.Login):
		return fmt.Errorf("%w: keys", ErrMalformed)
	case bytes.Equal(d.Root, d.Login):
		return fmt.Errorf("%w: one key as root and login key", ErrMalformed)
	case len(d.LoginServers) > maxLoginServers || !all(d.LoginServers, dialable):
		return fmt.Errorf("%w: login servers", ErrMalformed)
	case len(d.Supernodes) > maxSupernodes || !all(d.Supernodes, Bootstrap.valid):
		return fmt.Errorf("%w: supernodes", ErrMalformed)
	}
	return d.Policy.orDefault().check()
}

func (b Bootstrap) valid() bool { return dialable(b.Addr) && validKey(b.Agreement) }

// dialable says whether a packet can be sent to the address at all.
func dialable(a netip.AddrPort) bool {
	return a.IsValid() && a.Port() != 0 && !a.Addr().IsUnspecified() && !a.Addr().IsMulticast() && a.Addr().Zone() == ""
}

func all[T any](list []T, good func(T) bool) bool {
	return !slices.ContainsFunc(list, func(v T) bool { return !good(v) })
}
