package sim

import (
	"bytes"
	"hash/maphash"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
)

// A library reads each record once, so that the ten supernodes that hold it have
// ten pointers to the same one, as long as it is asked for the copies of it
// in quick succession, which it is: all members of a slot are told at once.
type library struct {
	trust overlay.Trust
	seed  maphash.Seed
	shelf [1 << 14]*directory.Record
}

func newLibrary(t overlay.Trust) *library { return &library{trust: t, seed: maphash.MakeSeed()} }

func (l *library) find(b []byte) **directory.Record {
	return &l.shelf[maphash.Bytes(l.seed, b)%uint64(len(l.shelf))]
}

// opened is a record that was read a moment ago; nil: it was not.
func (l *library) opened(b []byte) *directory.Record {
	if r := *l.find(b); r != nil && bytes.Equal(r.Raw(), b) {
		return r
	}
	return nil
}

func (l *library) open(b []byte, now time.Time) (*directory.Record, error) {
	at := l.find(b)
	if r := *at; r != nil && bytes.Equal(r.Raw(), b) && now.Before(r.Expires) && now.Sub(r.Time) < l.trust.Keep() {
		return r, nil
	}
	r, err := directory.OpenRecord(l.trust, b, now)
	if err == nil {
		*at = r
	}
	return r, err
}

// A shelf is the records that a supernode has on its disk, by the number of their device.
type shelf map[uint32]*directory.Record

func (s *shelf) put(device uint32, r *directory.Record) {
	if *s == nil {
		*s = make(shelf)
	}
	(*s)[device] = r
}

func (s shelf) records() [][]byte {
	devices := make([]uint32, 0, len(s))
	for device := range s {
		devices = append(devices, device)
	}
	slices.Sort(devices)
	list := make([][]byte, len(devices))
	for i, device := range devices {
		list[i] = s[device].Raw()
	}
	return list
}
