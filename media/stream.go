package media

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/pion/srtp/v3"

	"github.com/linnet-p2p/linnet/wire/message"
)

// A Stream is one source of media and the key of its packets. Its sender makes
// it and hands it to each listener inside their session.
type Stream struct {
	SSRC        uint32
	Key         [32]byte
	Salt        [12]byte
	ROC         uint32 // rollover counter at Sequence
	Sequence    uint16 // of the first packet that the listener is to expect
	Codec       Codec
	PayloadType uint8
	Redundancy  uint8      // payload type of RFC 2198 packets; 0 means that there are none
	Screen      bool       // video: what is shown is a screen, and not what a camera sees
	Protection  Protection // the network's; it is not handed over
}

// A Protection is how packets are protected. The network's suite decides it, so
// that no listener can be talked into another one.
type Protection uint8

// The protections.
const (
	// GCM is AEAD_AES_256_GCM.
	GCM Protection = iota
	// CTR is AES-256 in counter mode without a tag, as on classic networks: whoever
	// is on the way can change what is said, though not listen.
	CTR
)

// tag is the length of what authenticates a packet.
func (p Protection) tag() int {
	if p == CTR {
		return 0
	}
	return srtpTag
}

// ErrStream says that a stream that somebody handed over cannot be used.
var ErrStream = errors.New("media: bad stream")

// NewStream draws the SSRC, key and first sequence number of a new source.
// random nil means crypto/rand.
func NewStream(c Codec, p Protection, random io.Reader) (Stream, error) {
	if random == nil {
		random = rand.Reader
	}
	s := Stream{Codec: c, PayloadType: c.PayloadType, Redundancy: c.Redundancy, Protection: p}
	var number [6]byte
	for _, b := range [][]byte{number[:], s.Key[:], s.Salt[:]} {
		if _, err := io.ReadFull(random, b); err != nil {
			return Stream{}, fmt.Errorf("media: draw a key: %w", err)
		}
	}
	s.SSRC = binary.BigEndian.Uint32(number[:])
	// In the lower half: else the first rollover could come with the first lost
	// packet, and be missed (RFC 3711, section 3.3.1).
	s.Sequence = binary.BigEndian.Uint16(number[4:]) &^ (1 << 15)
	return s, nil
}

// String names the stream without its secrets.
func (s Stream) String() string {
	return fmt.Sprintf("%s stream %08x from %d", s.Codec.Name, s.SSRC, s.index())
}

// GoString keeps the secrets out of %#v as well.
func (s Stream) GoString() string { return s.String() }

// index is the 48-bit packet index of RFC 3711 at Sequence.
func (s Stream) index() uint64 { return uint64(s.ROC)<<16 | uint64(s.Sequence) }

// Message is the stream as it is handed over.
func (s Stream) Message() message.MediaStream {
	return message.MediaStream{
		SSRC:        s.SSRC,
		Key:         s.Key[:],
		Salt:        s.Salt[:],
		ROC:         s.ROC,
		Sequence:    uint32(s.Sequence),
		Codec:       s.Codec.Name,
		PayloadType: uint32(s.PayloadType),
		Redundancy:  uint32(s.Redundancy),
		Screen:      s.Screen,
	}
}

// ParseStream checks a stream that another participant handed over.
func ParseStream(m message.MediaStream, p Protection) (Stream, error) {
	s := Stream{Protection: p, SSRC: m.SSRC, ROC: m.ROC, Sequence: uint16(m.Sequence), PayloadType: uint8(m.PayloadType), Redundancy: uint8(m.Redundancy), Screen: m.Screen}
	var err error
	switch {
	case copy(s.Key[:], m.Key) < len(s.Key) || len(m.Key) > len(s.Key):
		err = fmt.Errorf("key of %d bytes, want %d", len(m.Key), len(s.Key))
	case copy(s.Salt[:], m.Salt) < len(s.Salt) || len(m.Salt) > len(s.Salt):
		err = fmt.Errorf("salt of %d bytes, want %d", len(m.Salt), len(s.Salt))
	case m.Sequence > 0xffff:
		err = fmt.Errorf("sequence %d is beyond 16 bits", m.Sequence)
	case !validPayloadType(m.PayloadType):
		err = fmt.Errorf("payload type %d", m.PayloadType)
	case m.Redundancy != 0 && (!validPayloadType(m.Redundancy) || m.Redundancy == m.PayloadType):
		err = fmt.Errorf("payload type %d for redundancy", m.Redundancy)
	default:
		s.Codec, err = CodecNamed(m.Codec)
	}
	if err != nil {
		return Stream{}, fmt.Errorf("%w %08x: %w", ErrStream, m.SSRC, err)
	}
	return s, nil
}

// validPayloadType keeps off 64 to 95, which with the marker bit look like RTCP
// (RFC 5761, section 4).
func validPayloadType(t uint32) bool { return t < 64 || t > 95 && t < 128 }

// replayWindow covers five seconds of voice: more than any path is late, and
// what is older would not be played. Of video it is several seconds as well, at the
// highest rate.
const (
	replayWindow      = 256
	videoReplayWindow = 2048
)

func (s Stream) context() (*srtp.Context, error) {
	profile, salt := srtp.ProtectionProfileAeadAes256Gcm, s.Salt[:]
	window := uint(replayWindow)
	if s.Codec.Video {
		window = videoReplayWindow
	}
	options := []srtp.ContextOption{srtp.SRTPReplayProtection(window), srtp.SRTCPReplayProtection(replayWindow)}
	if s.Protection == CTR {
		// Its salt has two bytes more, which are zero, as RFC 7714 has it where the
		// same derivation makes its keys.
		profile, salt = srtp.ProtectionProfileAes256CmHmacSha1_80, append(salt[:len(salt):len(salt)], 0, 0)
		options = append(options, srtp.SRTPAuthenticationTagLength(0))
	}
	c, err := srtp.CreateContext(s.Key[:], salt, profile, options...)
	if err != nil {
		return nil, fmt.Errorf("media: %v: %w", s, err)
	}
	c.SetROC(s.SSRC, s.ROC)
	return c, nil
}
