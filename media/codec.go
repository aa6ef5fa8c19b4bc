package media

import (
	"errors"
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

	Video bool // pictures, in packets of which each is a piece of one

	samples func(payload []byte) (uint32, error) // how long a frame lasts
	quiet   func(payload []byte) bool            // more silence than one frame follows
}

// Opus is the voice of calls (RFC 6716, RFC 7587).
func Opus() Codec {
	return Codec{Name: "opus", Clock: OpusClock, PayloadType: 111, Redundancy: 63, samples: OpusSamples, quiet: opusQuiet}
}

// VP8 is the video of calls (RFC 6386, RFC 7741): the one that every browser and
// every machine codes well.
func VP8() Codec { return Codec{Name: "vp8", Clock: VideoClock, PayloadType: 96, Video: true} }

// VideoClock is the clock of every video stream.
const VideoClock = 90000

// ErrCodec says that a codec is not known here.
var ErrCodec = errors.New("media: unknown codec")

// CodecNamed finds a codec by the name that calls use for it.
func CodecNamed(name string) (Codec, error) {
	for _, c := range []Codec{Opus(), VP8()} {
		if name == c.Name {
			return c, nil
		}
	}
	return Codec{}, fmt.Errorf("%w: %q", ErrCodec, name)
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
