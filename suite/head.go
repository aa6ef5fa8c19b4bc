package suite

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"
)

// MaxHeadAge is how old a head may be before its reader should say so and make
// no new contacts.
const MaxHeadAge = 48 * time.Hour

// A Head is the authority's word of the day: what is the newest, and what is
// revoked. Nobody can hide news from a node for longer than MaxHeadAge.
type Head struct {
	Time       time.Time // whole minutes
	Serial     uint64    // higher with each head
	Revoked    [32]byte  // DigestRevoked of all revoked certificates
	Descriptor uint64    // serial of the newest descriptor
}

type headBody struct {
	Time       uint32   `obj:"0/0"` // minutes since 1970
	Serial     uint64   `obj:"1/1"`
	Revoked    [32]byte `obj:"4/2"`
	Descriptor uint64   `obj:"1/3"`
}

func (h *Head) sign(login Keys) ([]byte, error) {
	return SignBody(login, ForHead, &headBody{toMinutes(h.Time), h.Serial, h.Revoked, h.Descriptor})
}

// OpenHead reads a head that the network's login key signed, however old it is.
func (d *Descriptor) OpenHead(b []byte) (*Head, error) {
	s, err := Named(d.Suite)
	if err != nil {
		return nil, err
	}
	var w headBody
	if err := openBody(s, d.Login, ForHead, b, &w); err != nil {
		return nil, fmt.Errorf("suite: open head: %w", err)
	}
	return &Head{fromMinutes(w.Time), w.Serial, w.Revoked, w.Descriptor}, nil
}

// Stale says that the head is too old to trust in for anything new.
func (h *Head) Stale(now time.Time) bool { return now.Sub(h.Time) > MaxHeadAge }

// DigestRevoked is the hash of a set of revoked serials: SHA-256 over each once,
// rising, in 8 bytes.
func DigestRevoked(serials []uint64) [32]byte {
	serials = slices.Clone(serials)
	slices.Sort(serials)
	var b []byte
	for _, n := range slices.Compact(serials) {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return sha256.Sum256(b)
}
