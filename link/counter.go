package link

import (
	"fmt"
	"sync/atomic"

	"github.com/linnet-p2p/linnet/netx"
)

// Traffic counts one direction of one transport. For TCP a packet is a record.
type Traffic struct{ Packets, Bytes uint64 }

// Counters are what a Link did since it was opened.
type Counters struct {
	UDPReceived, UDPSent Traffic
	TCPReceived, TCPSent Traffic
	Resent               uint64 // commands that were sent again
	Nacks                uint64 // sent
	Streams              int    // open now
	Dropped              [numDrops]uint64
}

// A Drop is a reason for which something that arrived was not used. It indexes
// Counters.Dropped.
type Drop uint8

// The reasons.
const (
	DropMalformed   Drop = iota // neither frame nor command, or not one that may travel so
	DropSeed                    // hidden under addresses or a challenge that are not ours
	DropUnexpected              // an answer that nobody waits for
	DropUnvalidated             // fragments from an address that did not prove itself
	DropRepeated                // a request that is being answered
	DropFragments               // fragments that contradict each other, or too many
	DropStreams                 // more streams than allowed, or no opening in time
	DropSlow                    // a stream whose reader does not keep up
	DropForward                 // a packet for somebody else that could not be sent
	numDrops
)

var dropNames = [numDrops]string{"malformed", "seed", "unexpected", "unvalidated", "repeated", "fragments", "streams", "slow", "forward"}

// String is the label for metrics.
func (d Drop) String() string {
	if d < numDrops {
		return dropNames[d]
	}
	return fmt.Sprintf("drop(%d)", uint8(d))
}

type counters struct {
	udpIn, udpOut, tcpIn, tcpOut traffic
	resent, nacks                atomic.Uint64
	dropped                      [numDrops]atomic.Uint64
}

type traffic struct{ packets, bytes atomic.Uint64 }

func (t *traffic) add(n int) {
	t.packets.Add(1)
	t.bytes.Add(uint64(n))
}

// addAll adds a batch at once, since each Add costs as much as the rest of
// passing a packet on.
func (t *traffic) addAll(batch []netx.Datagram) {
	var packets, bytes int
	for _, d := range batch {
		packets += d.Cars()
		bytes += len(d.Data)
	}
	t.packets.Add(uint64(packets))
	t.bytes.Add(uint64(bytes))
}

func (t *traffic) load() Traffic { return Traffic{t.packets.Load(), t.bytes.Load()} }

func (c *counters) drop(d Drop) { c.dropped[d].Add(1) }

// Counters is a copy of the counters.
func (l *Link) Counters() Counters {
	c := Counters{
		UDPReceived: l.count.udpIn.load(), UDPSent: l.count.udpOut.load(),
		TCPReceived: l.count.tcpIn.load(), TCPSent: l.count.tcpOut.load(),
		Resent: l.count.resent.Load(), Nacks: l.count.nacks.Load(),
	}
	for i := range c.Dropped {
		c.Dropped[i] = l.count.dropped[i].Load()
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	c.Streams = len(l.streams)
	return c
}
