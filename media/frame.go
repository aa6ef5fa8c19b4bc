package media

import "io"

// A Frame is one coded frame: for Opus, one packet as the encoder made it. The
// clock of its codec (48 kHz for Opus) counts Timestamp, Samples and Trim.
type Frame struct {
	SSRC      uint32 // of the stream that it came on; 0 from a file
	Timestamp uint32 // of its first sample; wraps around
	Samples   uint32 // how long it lasts
	Data      []byte // as coded; nil is a gap: nothing to play for Samples

	// Lost is the number of packets that never came, in a gap. A gap with none
	// lost is silence that the other end did not send (DTX, hold).
	Lost uint64

	// Trim samples at the end are not to be played (RFC 7845, section 4.4): the
	// last frame of a file says so. It does not travel.
	Trim uint32
}

// A Source gives frames one after the other, and io.EOF behind the last one.
type Source interface {
	Next() (Frame, error)
}

// Frames is a Source of frames in memory.
func Frames(frames []Frame) Source { return &memory{frames} }

type memory struct{ left []Frame }

func (m *memory) Next() (Frame, error) {
	if len(m.left) == 0 {
		return Frame{}, io.EOF
	}
	f := m.left[0]
	m.left = m.left[1:]
	return f, nil
}
