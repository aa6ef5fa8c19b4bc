package overlay

import (
	"cmp"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Trust is how signatures of others are checked: by the suite and descriptor
// of the network, or by something cheaper in a simulation.
type Trust struct {
	// Certificate opens a certificate; see suite.Descriptor.OpenCertificate.
	Certificate func(b []byte, now time.Time) (*suite.Certificate, error)
	// Verify checks a signature; see suite.Suite.
	Verify func(signing []byte, p suite.Purpose, msg, sig []byte) error
	// Profiles says that device records are profiles (suite.OpenProfile).
	Profiles bool
	// Admit says who may have roles: the network's policy, Hosted or Open. nil
	// admits everybody.
	Admit func(*suite.Certificate, linnet.Role) bool
	// Records is how long a device record is kept that nobody refreshes: the
	// network's policy. Zero means KeepRecords.
	Records time.Duration
	// Entry, if not nil, does the work of OpenEntry: a simulation of thousands of
	// nodes checks the entry that they all have once.
	Entry func(b []byte, now time.Time) (*Entry, error)
}

// KeepRecords is how long a device record is kept unless the policy says otherwise.
const KeepRecords = 72 * time.Hour

// Keep is how long a device record is kept that nobody refreshes.
func (t Trust) Keep() time.Duration { return cmp.Or(t.Records, KeepRecords) }

// TrustIn is the Trust that a network's descriptor gives.
func TrustIn(d *suite.Descriptor) (Trust, error) {
	s, err := suite.Named(d.Suite)
	if err != nil {
		return Trust{}, err
	}
	return Trust{
		Certificate: d.OpenCertificate, Verify: s.Verify, Profiles: d.Suite == suite.ClassicName,
		Records: time.Duration(d.Policy.Records) * time.Hour,
	}, nil
}

// An Identity is what a node proves who it is with.
type Identity struct {
	Node        linnet.NodeID
	Certificate []byte // of the node, as the authority signed it
	Keys        suite.Keys
}

// Open reads what a device signed (suite.SignBody) into body, and checks the
// certificate, which is found in the body once that is read, and the signature.
func (t Trust) Open(b []byte, now time.Time, p suite.Purpose, body any, certificate func() []byte) (*suite.Certificate, error) {
	s, err := suite.ParseSigned(b)
	if err != nil {
		return nil, err
	}
	if err := message.Unmarshal(s.Body, body); err != nil {
		return nil, err
	}
	cert, err := t.Certificate(certificate(), now)
	if err != nil {
		return nil, err
	}
	if err := t.Verify(cert.Signing, p, s.Body, s.Signature); err != nil {
		return nil, err
	}
	return cert, nil
}
