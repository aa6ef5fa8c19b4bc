package sim

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// What stands in for cryptography: everything is signed and every signature is
// checked, where and when the real code does it, but a signature is a checksum
// under the number of the signer. Nobody in a simulation computes another's.

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	errForged  = errors.New("forged")
)

// secret is the secrets of a node: its number. What of suite.Keys no machine of a
// simulation uses is left out.
type secret struct {
	suite.Keys
	node uint32
}

func keys(node uint32) secret { return secret{node: node} }

func (k secret) Public() suite.PublicKeys {
	signing := make([]byte, 32)
	binary.BigEndian.PutUint32(signing, k.node)
	agreement := make([]byte, 32)
	binary.BigEndian.PutUint32(agreement, ^k.node)
	return suite.PublicKeys{Signing: signing, Agreement: agreement}
}

func (k secret) Sign(p suite.Purpose, msg []byte) ([]byte, error) {
	return binary.BigEndian.AppendUint64(nil, checksum(k.node, p, msg)), nil
}

func (k secret) Marshal() []byte { return binary.BigEndian.AppendUint32(nil, k.node) }

func checksum(key uint32, p suite.Purpose, msg []byte) uint64 {
	sum := crc32.Update(key*0x9e3779b1, castagnoli, msg)
	h := uint64(sum)<<32 | uint64(uint32(len(msg))*31+uint32(len(p))*0x85ebca6b+key)
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	return h ^ h>>27
}

func verify(signing []byte, p suite.Purpose, msg, sig []byte) error {
	if len(signing) != 32 || len(sig) != 8 || binary.BigEndian.Uint64(sig) != checksum(binary.BigEndian.Uint32(signing), p, msg) {
		return errForged
	}
	return nil
}

// authority is the number that signs certificates.
const authority = ^uint32(0)

// A certificate on the wire is: node 4, account 4, expiry in minutes 4, signature 8.
func certify(node, account uint32, expires time.Time) []byte {
	b := binary.BigEndian.AppendUint32(nil, node)
	b = binary.BigEndian.AppendUint32(b, account)
	b = binary.BigEndian.AppendUint32(b, uint32(expires.Unix()/60))
	return binary.BigEndian.AppendUint64(b, checksum(authority, suite.ForCertificate, b))
}

const operator = 1 << 31 // of account: an operator's machine

func accountName(account uint32) linnet.UserName {
	if account&operator != 0 {
		return linnet.NodeName(fmt.Sprintf("s%d", account&^operator))
	}
	return linnet.UserName(fmt.Sprintf("user%d", account))
}

// trust is how all nodes of a run check one another.
func (w *world) newTrust() overlay.Trust {
	t := overlay.Trust{Verify: verify, Certificate: func(b []byte, now time.Time) (*suite.Certificate, error) {
		if len(b) != 20 || binary.BigEndian.Uint64(b[12:]) != checksum(authority, suite.ForCertificate, b[:12]) {
			return nil, errForged
		}
		node := binary.BigEndian.Uint32(b)
		expires := time.Unix(int64(binary.BigEndian.Uint32(b[8:]))*60, 0)
		if !now.Before(expires) {
			return nil, suite.ErrExpired
		}
		if int(node) >= len(w.nodes) {
			return nil, errForged
		}
		if c := w.nodes[node].cert; c != nil && c.Expires.Equal(expires) {
			return c, nil
		}
		public := keys(node).Public()
		c := &suite.Certificate{
			User: accountName(binary.BigEndian.Uint32(b[4:])), Device: "d", Signing: public.Signing, Agreement: public.Agreement,
			Issued: expires.AddDate(0, 0, -30), Expires: expires, Serial: 1, Salt: w.salt(node),
		}
		w.nodes[node].cert = c
		return c, nil
	}}
	full := t
	opened := make(map[string]*overlay.Entry) // entries are the same for everybody, and checked once
	t.Entry = func(b []byte, now time.Time) (*overlay.Entry, error) {
		if e := opened[string(b)]; e != nil && now.Before(e.Expires) {
			return e, nil
		}
		e, err := full.OpenEntry(b, now)
		if err == nil {
			opened[string(b)] = e
		}
		return e, err
	}
	return t
}

func (w *world) salt(node uint32) []byte {
	h := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint32(nil, node), w.o.Seed))
	return h[:suite.SaltSize]
}
