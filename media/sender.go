package media

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	rtpHeader = 12
	srtpTag   = 16

	// Overhead is what a Sender adds to a coded frame that goes alone; with CTR it
	// is the header only.
	Overhead = rtpHeader + srtpTag

	// MaxFrame is the largest coded frame that a Sender takes: an Opus frame of
	// 20 ms at the highest bit rate has 1275 bytes.
	MaxFrame = 1275
	// maxRepair is where repeating frames would make a datagram too large for
	// paths that nobody has probed (1232 bytes, less a frame's header).
	maxRepair = 1232 - 7 - Overhead

	maxDepth = 2
)

// ErrFrameSize says that a frame does not fit into a packet.
var ErrFrameSize = fmt.Errorf("media: a coded frame of more than %d bytes does not fit into a packet; code with fewer bits or in shorter frames", MaxFrame)

// A Sender makes the packets of one stream. Each packet also repeats as many of
// the frames before it as the loss that the listener reports asks for.
type Sender struct {
	stream Stream
	ctx    *srtp.Context
	next   uint64 // packet index: ROC<<16 | sequence
	repeat []sent // the last frames, oldest first, at most maxDepth
	blocks []block
	plain  []byte

	depth   depth
	packets uint64
	octets  uint32
	last    sent      // of the last packet
	at      time.Time // and when it went
	began   time.Time // the first packet went

	rtt       smooth
	heard     bool
	farJitter time.Duration
}

type sent struct {
	timestamp, samples uint32
	data               []byte
}

// NewSender begins a stream, for which there must be no other Sender, ever: two
// would use the same numbers under the same key.
func NewSender(s Stream) (*Sender, error) {
	ctx, err := s.context()
	if err != nil {
		return nil, err
	}
	x := &Sender{stream: s, ctx: ctx, next: s.index()}
	x.depth.last.LastSequenceNumber = uint32(x.next - 1)
	return x, nil
}

// Stream is what a listener who joins now has to know.
func (s *Sender) Stream() Stream {
	now := s.stream
	now.ROC, now.Sequence = uint32(s.next>>16), uint16(s.next)
	return now
}

// Packet is the SRTP packet that carries f, and nil for a gap. The sender keeps
// neither f.Data nor what it returns.
func (s *Sender) Packet(now time.Time, f Frame) ([]byte, error) {
	if f.Data == nil {
		return nil, nil
	}
	if len(f.Data) > MaxFrame {
		return nil, ErrFrameSize
	}
	h := rtp.Header{
		Version:        2,
		Marker:         s.packets == 0 || f.Timestamp != s.last.timestamp+s.last.samples, // after silence
		PayloadType:    s.stream.PayloadType,
		SequenceNumber: uint16(s.next),
		Timestamp:      f.Timestamp,
		SSRC:           s.stream.SSRC,
	}
	payload := f.Data
	if blocks := s.repair(f); len(blocks) > 1 {
		h.PayloadType = s.stream.Redundancy
		s.plain = appendBlocks(s.plain[:0], blocks)
		payload = s.plain
	}
	b, err := encrypt(s.ctx, &h, payload)
	if err != nil {
		return nil, fmt.Errorf("media: %v: %w", s.stream, err)
	}

	if s.packets == 0 {
		s.began = now
	}
	s.next++
	s.packets++
	s.octets += uint32(len(payload))
	s.last = sent{timestamp: f.Timestamp, samples: f.Samples}
	s.at = now
	s.remember(f)
	return b, nil
}

// encrypt makes an SRTP packet.
func encrypt(ctx *srtp.Context, h *rtp.Header, payload []byte) ([]byte, error) {
	b := make([]byte, rtpHeader+len(payload), rtpHeader+len(payload)+srtpTag)
	if _, err := h.MarshalTo(b); err != nil {
		return nil, err
	}
	copy(b[rtpHeader:], payload)
	return ctx.EncryptRTP(b, b, h)
}

// repair is the blocks of the packet that brings f.
func (s *Sender) repair(f Frame) []block {
	s.blocks = s.blocks[:0]
	if s.stream.Redundancy == 0 {
		return nil
	}
	first, room := len(s.repeat), maxRepair-lastHeader-len(f.Data)
	for want := s.depth.frames(); first > 0 && want > 0; want-- {
		r := s.repeat[first-1]
		age := f.Timestamp - r.timestamp
		room -= blockHeader + len(r.data)
		if room < 0 || age == 0 || age > maxBlockAge || len(r.data) > maxBlockSize {
			break // and none before it: the listener counts places
		}
		first--
	}
	for _, r := range s.repeat[first:] {
		s.blocks = append(s.blocks, block{s.stream.PayloadType, f.Timestamp - r.timestamp, r.data})
	}
	s.blocks = append(s.blocks, block{payloadType: s.stream.PayloadType, data: f.Data})
	return s.blocks
}

func (s *Sender) remember(f Frame) {
	if s.stream.Redundancy == 0 {
		return
	}
	if len(s.repeat) == maxDepth {
		copy(s.repeat, s.repeat[1:])
		s.repeat = s.repeat[:maxDepth-1]
	}
	s.repeat = append(s.repeat, sent{f.Timestamp, f.Samples, bytes.Clone(f.Data)})
}

// Loss is the share of the packets of the last seconds that the listener says
// did not arrive, before repair. Encoders with repair of their own want it.
func (s *Sender) Loss() float64 {
	share, _ := s.depth.loss(recentReports)
	return share
}

// report takes what the listener says of this stream.
func (s *Sender) report(now time.Time, r rtcp.ReceptionReport) {
	s.depth.report(r)
	s.heard = true
	s.farJitter = s.stream.Codec.Duration(min(r.Jitter, 60*s.stream.Codec.Clock))
	if r.LastSenderReport == 0 {
		return
	}
	// RFC 3550, section 6.4.1, figure 2: all in 1/65536 s.
	rtt := int32(uint32(ntp(now)>>16) - r.LastSenderReport - r.Delay)
	if rtt >= 0 && rtt < maxRTT {
		s.rtt.add(float64(rtt) / (1 << 16))
	}
}

// maxRTT in 1/65536 s: what is longer is a mistake of the other end's.
const maxRTT = 30 << 16

func (s *Sender) senderReport(now time.Time) *rtcp.SenderReport {
	return &rtcp.SenderReport{
		SSRC:        s.stream.SSRC,
		NTPTime:     ntp(now),
		RTPTime:     s.last.timestamp + uint32(s.stream.Codec.ticks(now.Sub(s.at))),
		PacketCount: uint32(s.packets),
		OctetCount:  s.octets,
	}
}

// protectReport makes SRTCP of plain RTCP under the key of this stream.
func (s *Sender) protectReport(plain []byte) ([]byte, error) {
	b, err := s.ctx.EncryptRTCP(nil, plain, nil)
	if err != nil {
		return nil, fmt.Errorf("media: report of %v: %w", s.stream, err)
	}
	return b, nil
}

// ntp is t as a 64-bit time stamp of NTP (RFC 3550, section 4).
func ntp(t time.Time) uint64 {
	const since1900 = 2208988800
	return uint64(t.Unix()+since1900)<<32 | uint64(t.Nanosecond())<<32/1e9
}

// smooth is a running mean with weight 1/8 for the newest (RFC 6298).
type smooth struct {
	mean float64
	any  bool
}

func (s *smooth) add(v float64) {
	if !s.any {
		s.mean, s.any = v, true
		return
	}
	s.mean += (v - s.mean) / 8
}
