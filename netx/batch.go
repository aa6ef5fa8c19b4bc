package netx

import (
	"net/netip"
	"time"
)

// A Datagram is one of a batch.
type Datagram struct {
	Addr netip.AddrPort // where it came from, or goes to
	Data []byte
	// Train, if not 0, says that Data is a train of datagrams of this size, of
	// which the last may be shorter. Where Trains said no there are none.
	Train int
}

// Cars is how many datagrams it is.
func (d Datagram) Cars() int {
	if d.Train == 0 {
		return 1
	}
	return (len(d.Data) + d.Train - 1) / d.Train
}

// MaxTrain is how many bytes and datagrams a train has at most: what the kernel
// takes.
const (
	MaxTrain     = 65507
	MaxTrainCars = 64
)

// A BatchConn moves several datagrams in one call of the kernel. One goroutine
// reads; any may write.
type BatchConn interface {
	PacketConn
	// ReadBatch waits for a datagram and takes those that are there with it, at
	// most one for each of d: into the capacity of its Data, whose length it sets.
	ReadBatch(d []Datagram) (n int, err error)
	// Trains asks for datagrams of one sender and size that came together to be
	// read as one, and says whether they can be, and be sent so (UDP GRO and GSO).
	// Reading them needs room for MaxTrain bytes.
	Trains() bool
	// WriteBatch sends in order. If it fails, n were sent and the error is of
	// d[n]; those behind it were not tried.
	WriteBatch(d []Datagram) (n int, err error)
	// Waited is how long ReadBatch has found nothing to read and waited, all calls
	// together, and the one that waits now: what it did not wait its reader was busy.
	// It is unknown where the system does not tell.
	Waited() (d time.Duration, known bool)
}

// Batched gives a socket that knows no batches those of one datagram.
func Batched(c PacketConn) BatchConn {
	if b, ok := c.(BatchConn); ok {
		return b
	}
	return singly{c}
}

type singly struct{ PacketConn }

func (singly) Trains() bool { return false }

func (singly) Waited() (time.Duration, bool) { return 0, false }

func (s singly) WriteHops(b []byte, to netip.AddrPort, hops int) error {
	return WriteHops(s.PacketConn, b, to, hops)
}

func (s singly) ReadBatch(d []Datagram) (int, error) {
	if len(d) == 0 {
		return 0, nil
	}
	b := d[0].Data[:cap(d[0].Data)]
	n, from, err := s.ReadFrom(b)
	if err != nil {
		return 0, err
	}
	d[0] = Datagram{Addr: from, Data: b[:n]}
	return 1, nil
}

func (s singly) WriteBatch(d []Datagram) (int, error) {
	for i := range d {
		if _, err := s.WriteTo(d[i].Data, d[i].Addr); err != nil {
			return i, err
		}
	}
	return len(d), nil
}
