package netx

import "net/netip"

// A Datagram is one of a batch.
type Datagram struct {
	Addr netip.AddrPort // where it came from, or goes to
	Data []byte
}

// A BatchConn moves several datagrams in one call of the kernel. One goroutine
// reads; any may write.
type BatchConn interface {
	PacketConn
	// ReadBatch waits for a datagram and takes those that are there with it, at
	// most one for each of d: into the capacity of its Data, whose length it sets.
	ReadBatch(d []Datagram) (n int, err error)
	// WriteBatch sends in order. If it fails, n were sent and the error is of
	// d[n]; those behind it were not tried.
	WriteBatch(d []Datagram) (n int, err error)
}

// Batched gives a socket that knows no batches those of one datagram.
func Batched(c PacketConn) BatchConn {
	if b, ok := c.(BatchConn); ok {
		return b
	}
	return singly{c}
}

type singly struct{ PacketConn }

func (s singly) ReadBatch(d []Datagram) (int, error) {
	if len(d) == 0 {
		return 0, nil
	}
	b := d[0].Data[:cap(d[0].Data)]
	n, from, err := s.ReadFrom(b)
	if err != nil {
		return 0, err
	}
	d[0] = Datagram{from, b[:n]}
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
