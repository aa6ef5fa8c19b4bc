//go:build !linux

package netx

import "time"

// Trains says no.
func (c udpConn) Trains() bool { return false }

// Waited does not know.
func (udpConn) Waited() (time.Duration, bool) { return 0, false }

// ReadBatch reads one.
func (c udpConn) ReadBatch(d []Datagram) (int, error) { return singly{c}.ReadBatch(d) }

// WriteBatch sends them one after the other.
func (c udpConn) WriteBatch(d []Datagram) (int, error) { return singly{c}.WriteBatch(d) }
