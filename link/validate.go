package link

import (
	cryptorand "crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/wire/frame"
)

// A challenger makes the challenges of nacks: a keyed hash of address, port
// and minute, so that a nack leaves nothing behind here.
type challenger struct{ key [32]byte }

func newChallenger() (c challenger) {
	cryptorand.Read(c.key[:])
	return c
}

func (c *challenger) of(addr netip.AddrPort, minute int64) uint32 {
	var b [32 + 16 + 2 + 8]byte
	copy(b[:], c.key[:])
	ip := addr.Addr().As16()
	copy(b[32:], ip[:])
	binary.BigEndian.PutUint16(b[48:], addr.Port())
	binary.BigEndian.PutUint64(b[50:], uint64(minute))
	sum := sha256.Sum256(b[:])
	return binary.BigEndian.Uint32(sum[:])
}

func minuteOf(t time.Time) int64 { return t.Unix() / 60 }

// check says whether a resend answers a challenge of this minute or the last.
func (c *challenger) check(addr netip.AddrPort, challenge uint32, now time.Time) bool {
	m := minuteOf(now)
	return challenge == c.of(addr, m) || challenge == c.of(addr, m-1)
}

// nackSize is the length of a nack to addr.
func nackSize(addr netip.Addr) int {
	if addr.Is4() {
		return frame.NackSize
	}
	return frame.NackSize + frame.IPv6Extra
}

// nack answers the frame id of somebody who has to prove his address, or does
// not know it. The caller has checked that he sent no fewer bytes.
func (l *Link) nack(to netip.AddrPort, id uint16) {
	l.count.nacks.Add(1)
	l.write(to, frame.Frame{
		ID: id, Type: frame.Nack, Noise: noise(), IP: to.Addr(), Challenge: l.challenge.of(to, minuteOf(time.Now())),
	}, 0)
}

// noise is for bits 4-6 of a type byte.
func noise() uint8 { return uint8(rand.Uint32()) }
