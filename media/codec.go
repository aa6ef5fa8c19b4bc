package media

import (
	"fmt"
	"time"
)

// A Codec is a form of coded media. Codecs travel by name; the payload types
// are only those that NewStream proposes.
type Codec struct {
	Name        string
	Clock       uint32 // ticks of the RTP timestamp in a second
	PayloadType uint8
	Redundancy  uint8 // payload type of RFC 2198 packets; 0 where repeating frames does not pay

	samples func(payload []byte) (uint32, error) // how long a frame lasts
	quiet   func(payload []byte) bool            // more silence than one frame follows
}

// Opus is the voice of calls (RFC 6716, RFC 7587).
func Opus() Codec {
	return Codec{Name: "opus", Clock: OpusClock, PayloadType: 111, Redundancy: 63, samples: OpusSamples, quiet: opusQuiet}
}

// CodecNamed finds a codec by the name that calls use for it.
func CodecNamed(name string) (Codec, error) {
	if opus := Opus(); name == opus.Name {
		return opus, nil
	}
	return Codec{}, fmt.Errorf("media: codec %q is unknown here", name)
}

// Duration is how long n samples last.
func (c Codec) Duration(n uint32) time.Duration { return c.duration(int64(n)) }

func (c Codec) duration(n int64) time.Duration {
	return time.Duration(n) * time.Second / time.Duration(c.Clock)
}

// ticks is the inverse of duration.
func (c Codec) ticks(d time.Duration) int64 {
	sec, rest := d/time.Second, d%time.Second // a long d times the clock would overflow
	return int64(sec)*int64(c.Clock) + int64(rest)*int64(c.Clock)/int64(time.Second)
}
