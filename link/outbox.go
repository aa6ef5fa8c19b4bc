package link

import (
	"time"

	"github.com/linnet-p2p/linnet/wire/frame"
)

const (
	maxReliable = 256 << 10              // bytes of commands; a peer who leaves more unread is dropped
	maxPackets  = 64 << 10               // bytes of packets; more are lost, as datagrams are, the oldest first
	maxMediaAge = 300 * time.Millisecond // what waited longer comes too late to be heard
	writeChunk  = 4 << 10                // of packets; what is handed to the kernel can no longer be dropped
)

// An outbox is what waits for a stream to take it: commands, of which none may
// be lost, and packets, which must not wait. The zero value is empty.
type outbox struct {
	reliable []byte
	records  int // in reliable

	packets []byte // from begins the oldest
	from    int
	marks   []mark // of the packets; first is the oldest's
	first   int
}

// A mark is one packet in an outbox.
type mark struct {
	size  int
	media bool
	since time.Time
}

// put adds a record. It says how many packets were lost for it, and whether there
// was room.
func (o *outbox) put(now time.Time, r frame.Record) (lost int, ok bool) {
	if r.Kind != frame.InSession {
		if len(o.reliable)+len(r.Body) > maxReliable {
			return 0, false
		}
		o.reliable = r.Append(o.reliable)
		o.records++
		return 0, true
	}
	if o.from > maxPackets {
		o.packets, o.from = append(o.packets[:0], o.packets[o.from:]...), 0
		o.marks, o.first = append(o.marks[:0], o.marks[o.first:]...), 0
	}
	before := len(o.packets)
	o.packets = r.Append(o.packets)
	o.marks = append(o.marks, mark{len(o.packets) - before, r.Tag&1 != 0, now})
	for len(o.packets)-o.from > maxPackets {
		o.next()
		lost++
	}
	return lost, true
}

// waiting says whether there are packets.
func (o *outbox) waiting() bool { return o.first < len(o.marks) }

// next takes the oldest packet out.
func (o *outbox) next() (mark, []byte) {
	m := o.marks[o.first]
	packet := o.packets[o.from : o.from+m.size]
	o.first++
	o.from += m.size
	if !o.waiting() {
		o.packets, o.marks, o.from, o.first = o.packets[:0], o.marks[:0], 0, 0
	}
	return m, packet
}

// take appends to b what is to be written next, and says how many records that
// is, and how many packets had waited too long.
func (o *outbox) take(now time.Time, b []byte) (_ []byte, records, lost int) {
	b = append(b, o.reliable...)
	records = o.records
	o.reliable, o.records = o.reliable[:0], 0
	for begin := len(b); o.waiting() && len(b)-begin < writeChunk; {
		m, packet := o.next()
		if m.media && now.Sub(m.since) > maxMediaAge {
			lost++
			continue
		}
		b = append(b, packet...)
		records++
	}
	return b, records, lost
}
