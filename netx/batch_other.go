//go:build !linux

package netx

// Trains says no.
func (c udpConn) Trains() bool { return false }

// ReadBatch reads one.
func (c udpConn) ReadBatch(d []Datagram) (int, error) { return singly{c}.ReadBatch(d) }

// WriteBatch sends them one after the other.
func (c udpConn) WriteBatch(d []Datagram) (int, error) { return singly{c}.WriteBatch(d) }
