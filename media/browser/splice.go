package browser

import "time"

// A splice makes one stream of packets for the browser out of the streams that
// follow one another: of two calls, or of one that began again.
type splice struct {
	clock     uint32 // ticks of the timestamps in a second
	begun     bool
	source    uint32 // SSRC of the stream that goes through now
	sequence  uint16 // added to its packet indices
	timestamp uint32 // added to its timestamps
	top       uint16 // the highest sequence number given
	last      uint32 // the timestamp that went with it
	at        time.Time
}

// next numbers a packet; marker says that a stream begins.
func (s *splice) next(now time.Time, source uint32, index uint64, at uint32) (sequence uint16, timestamp uint32, marker bool) {
	if !s.begun || s.source != source {
		if s.begun {
			passed := uint64(max(0, now.Sub(s.at))/time.Millisecond) * uint64(s.clock) / 1000
			s.sequence = s.top + 1 - uint16(index)
			s.timestamp = s.last + uint32(passed) - at
		}
		s.begun, s.source, marker = true, source, true
		s.top = uint16(index) + s.sequence - 1
	}
	sequence, timestamp = uint16(index)+s.sequence, at+s.timestamp
	if int16(sequence-s.top) > 0 {
		s.top, s.last, s.at = sequence, timestamp, now
	}
	return sequence, timestamp, marker
}
