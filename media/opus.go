package media

import (
	"errors"
	"fmt"
)

// OpusClock is the clock of every Opus stream, whatever its bandwidth (RFC 7587).
const OpusClock = 48000

// MaxOpusSamples is the longest Opus packet: 120 ms (RFC 6716, section 3.4).
const MaxOpusSamples = OpusClock * 120 / 1000

// ErrOpus says that bytes are no Opus packet.
var ErrOpus = errors.New("not an Opus packet")

// OpusFrameSamples is the length of each frame in a packet that begins with
// toc, by table 2 of RFC 6716.
func OpusFrameSamples(toc byte) uint32 {
	size := toc >> 3 & 3
	switch config := toc >> 3; {
	case config < 12: // SILK: 10, 20, 40, 60 ms
		return [4]uint32{480, 960, 1920, 2880}[size]
	case config < 16: // hybrid: 10, 20 ms
		return [2]uint32{480, 960}[size&1]
	default: // CELT: 2.5, 5, 10, 20 ms
		return 120 << size
	}
}

// OpusSamples is how long an Opus packet lasts.
func OpusSamples(packet []byte) (uint32, error) {
	if len(packet) == 0 {
		return 0, fmt.Errorf("%w: it is empty", ErrOpus)
	}
	frames := uint32(1)
	switch packet[0] & 3 {
	case 1, 2:
		frames = 2
	case 3:
		if len(packet) < 2 {
			return 0, fmt.Errorf("%w: the count of its frames is missing", ErrOpus)
		}
		frames = uint32(packet[1] & 0x3f)
	}
	samples := frames * OpusFrameSamples(packet[0])
	if samples == 0 || samples > MaxOpusSamples {
		return 0, fmt.Errorf("%w: %d frames last %d samples, want 1 to %d", ErrOpus, frames, samples, MaxOpusSamples)
	}
	return samples, nil
}

// OpusStereo says whether a packet that begins with toc is coded in stereo.
func OpusStereo(toc byte) bool { return toc&4 != 0 }

// opusQuiet says that the encoder has nothing to say (DTX), and that its next
// packet may be 400 ms away.
func opusQuiet(packet []byte) bool { return len(packet) <= 2 }
