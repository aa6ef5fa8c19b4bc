package media

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	// MaxPacket is the largest SRTP or SRTCP packet that a Receiver looks at.
	MaxPacket = 1500

	// maxHeld is how far ahead of the next frame a packet may be; beyond, what
	// is missing is given up.
	maxHeld = 512
	// maxReady frames wait for the caller of Frames before packets are refused.
	maxReady = 2 * maxHeld

	// maxAhead is how much longer than the time that passed a gap may be.
	maxAhead = 2 * time.Second

	silence = 100 * time.Millisecond
)

// What Receiver.Packet says of packets that bring nothing. None of them is a
// reason to do anything: whoever knows the address can send such packets.
var (
	ErrForged  = errors.New("media: packet is forged, damaged or of another key")
	ErrReplay  = errors.New("media: packet came before, or is too old to tell")
	ErrPayload = errors.New("media: payload cannot be used")
)

// ReceiverOptions configures a Receiver. The zero value is right for calls and
// for recording them.
type ReceiverOptions struct {
	// Patience is how long to wait at least for a packet that others overtook,
	// even where the target delay of a player is shorter; 0 means 200 ms, which
	// covers the change from a slow path to a fast one. Nothing waits while
	// nothing is missing.
	Patience time.Duration
	// Pictures puts the pictures of video together for Line.Pictures.
	Pictures bool
	// Arrivals keeps the frames for Arrivals as well.
	Arrivals bool
}

// An Arrival is a frame as soon as it came, before those that it overtook: for
// a device that has a jitter buffer of its own.
type Arrival struct {
	Frame
	Index uint64 // of the packet that was to bring it; one more for each frame
}

// A Receiver takes the packets of one stream and gives its frames: in order,
// each exactly once, and a gap where some are missing for good.
type Receiver struct {
	stream   Stream
	patience time.Duration
	keep     bool // arrivals
	ctx      *srtp.Context
	plain    []byte
	packet   rtp.Packet
	blocks   []block

	first    uint64 // packet index that the stream began with
	highest  uint64 // that arrived
	started  bool
	lastTime time.Time // a packet arrived
	quiet    bool      // ... which said that silence follows

	// Frames between the network and the caller.
	held  map[uint64]held // by packet index
	next  uint64          // index of the next frame to give
	gone  uint64          // frames given up directly before next
	ready []Frame
	came  []Arrival
	begun bool      // a frame was given
	end   uint32    // the timestamp where it ended
	given time.Time // when it had arrived

	// repaired marks the frames given, by packet index, whose packet had not come
	// yet. A packet that still comes was overtaken and not lost.
	repaired [replayWindow]bool

	playout playout
	jitter  float64 // RFC 3550, in samples
	transit uint32
	counts  counts

	// For reports.
	lastSR        uint32
	lastSRTime    time.Time
	priorExpected uint64
	priorReceived uint64
}

type held struct {
	timestamp, samples uint32
	data               []byte
	arrived            time.Time
	repaired           bool // from the redundancy of a later packet
}

// counts are packets, frames and samples since the start.
type counts struct {
	received, forged, replayed, unusable uint64 // packets

	given, recovered uint64 // frames given, and those of them whose packet did not come
	missed, gaps     uint64 // frames given up, and in how many gaps
	late             uint64 // frames given that a player would have missed
	playable         uint64 // samples given
	concealed        uint64 // samples missed or late
}

// refused counts a packet that the SRTP context did not take, and says why.
func (c *counts) refused(err error) error {
	if err = refusal(err); err == ErrForged {
		c.forged++
	} else {
		c.replayed++
	}
	return err
}

func refusal(err error) error {
	if errors.Is(err, srtp.ErrFailedToVerifyAuthTag) {
		return ErrForged
	}
	return fmt.Errorf("%w: %w", ErrReplay, err)
}

// NewReceiver listens to a stream.
func NewReceiver(s Stream, opts ReceiverOptions) (*Receiver, error) {
	ctx, err := s.context()
	if err != nil {
		return nil, err
	}
	if opts.Patience == 0 {
		opts.Patience = 200 * time.Millisecond
	}
	return &Receiver{
		stream:   s,
		patience: opts.Patience,
		keep:     opts.Arrivals,
		ctx:      ctx,
		first:    s.index(),
		highest:  s.index(),
		next:     s.index(),
		held:     make(map[uint64]held),
	}, nil
}

// Stream is the stream that the receiver listens to.
func (r *Receiver) Stream() Stream { return r.stream }

// Packet takes an SRTP packet from the network. It keeps nothing of b.
func (r *Receiver) Packet(now time.Time, b []byte) error {
	if len(b) < rtpHeader+r.stream.Protection.tag() || len(b) > MaxPacket {
		r.counts.unusable++
		return fmt.Errorf("%w: %d bytes", ErrPayload, len(b))
	}
	if len(r.ready) >= maxReady {
		return fmt.Errorf("%w: %d frames wait already", ErrPayload, len(r.ready))
	}
	if _, err := r.packet.Header.Unmarshal(b); err != nil {
		r.counts.unusable++
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	index, ok := nearest(r.highest, r.packet.SequenceNumber)
	if !ok || index < r.first {
		r.counts.replayed++
		return ErrReplay // older than the key was when it was handed over
	}
	if !r.started {
		// Until the first packet the context takes this for the rollover counter,
		// which may have moved on since the key was handed over.
		r.ctx.SetROC(r.stream.SSRC, uint32(index>>16))
	}
	plain, err := r.ctx.DecryptRTP(r.plain[:0], b, nil)
	if err != nil {
		return r.counts.refused(err)
	}
	r.plain = plain
	if err := r.packet.Unmarshal(plain); err != nil {
		r.counts.unusable++
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	r.count(now, index, r.packet.Timestamp)

	if err := r.frames(now, index); err != nil {
		r.counts.unusable++
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	return nil
}

// nearest is the packet index that ends in sequence and is nearest to highest
// (RFC 3711, section 3.3.1).
func nearest(highest uint64, sequence uint16) (index uint64, ok bool) {
	i := int64(highest) + int64(int16(sequence-uint16(highest)))
	return uint64(i), i >= 0 && i < 1<<48
}

// count takes an authentic packet into the statistics of RFC 3550.
func (r *Receiver) count(now time.Time, index uint64, timestamp uint32) {
	transit := uint32(r.stream.Codec.ticks(now.Sub(time.Unix(0, 0)))) - timestamp
	if r.started {
		d := float64(int32(transit - r.transit))
		r.jitter += (max(d, -d) - r.jitter) / 16
	}
	r.transit = transit
	r.counts.received++
	r.highest = max(r.highest, index)
	r.started = true
	r.lastTime = now
}

// frames takes the frames of r.packet.
func (r *Receiver) frames(now time.Time, index uint64) error {
	p := &r.packet
	switch {
	case p.PayloadType == r.stream.PayloadType:
		return r.take(now, index, p.Timestamp, p.Payload, false)
	case p.PayloadType != r.stream.Redundancy || r.stream.Redundancy == 0:
		return fmt.Errorf("payload type %d", p.PayloadType)
	}
	blocks, err := parseBlocks(r.blocks[:0], p.Payload)
	if err != nil {
		return err
	}
	r.blocks = blocks
	var errs error
	for i, x := range blocks {
		back := uint64(len(blocks) - 1 - i)
		if x.payloadType != r.stream.PayloadType || back > index || back > 0 && len(x.data) == 0 {
			continue // comfort noise, a second coding, or an empty place
		}
		errs = errors.Join(errs, r.take(now, index-back, p.Timestamp-x.age, x.data, back > 0))
	}
	return errs
}

// take holds a frame until those before it are given.
func (r *Receiver) take(now time.Time, index uint64, timestamp uint32, data []byte, repaired bool) error {
	if h, have := r.held[index]; have || index < r.next {
		if mark := &r.repaired[index%replayWindow]; !have && !repaired && *mark {
			*mark = false
			r.counts.recovered--
		} else if have && !repaired {
			h.repaired = false
			r.held[index] = h
		}
		return nil
	}
	samples, err := r.stream.Codec.samples(data)
	if err != nil {
		return err
	}
	for index-r.next >= maxHeld {
		r.step(index - maxHeld + 1)
	}
	if !repaired {
		r.quiet = r.stream.Codec.quiet(data)
	}
	if late := r.playout.arrived(now, timestamp, r.stream.Codec); late > r.playout.target() {
		r.counts.late++
		r.counts.concealed += uint64(samples)
	}
	data = bytes.Clone(data)
	r.held[index] = held{timestamp, samples, data, now, repaired}
	if r.keep && len(r.came) < maxReady {
		r.came = append(r.came, Arrival{Frame{SSRC: r.stream.SSRC, Timestamp: timestamp, Samples: samples, Data: data}, index})
	}
	return nil
}

// Arrivals gives the frames that came since the last call, each once and without
// gaps, in the order in which they came. Frames is to be called all the same.
func (r *Receiver) Arrivals() []Arrival {
	came := r.came
	r.came = nil
	return came
}

// Frames gives the frames that are due, gaps among them.
func (r *Receiver) Frames(now time.Time) []Frame {
	for len(r.held) > 0 {
		if _, have := r.held[r.next]; !have && now.Before(r.giveUp()) {
			break
		}
		r.step(1 << 62)
	}
	ready := r.ready
	r.ready = nil
	return ready
}

// Deadline is when Frames will have something even if no packet comes; zero
// means never.
func (r *Receiver) Deadline() time.Time {
	switch {
	case len(r.ready) > 0:
		return r.lastTime
	case len(r.held) == 0:
		return time.Time{}
	}
	if h, have := r.held[r.next]; have {
		return h.arrived
	}
	return r.giveUp()
}

// giveUp is when the frames before the first held one are given up.
func (r *Receiver) giveUp() time.Time {
	var since time.Time
	var longest uint32
	for _, h := range r.held {
		if since.IsZero() || h.arrived.Before(since) {
			since = h.arrived
		}
		longest = max(longest, h.samples)
	}
	// A frame repeated two places later comes two frames later.
	return since.Add(max(r.patience, r.playout.target(), r.stream.Codec.Duration((maxDepth+1)*longest)))
}

// step gives the next frame, or gives up those before the next held one or
// before limit, whatever comes first.
func (r *Receiver) step(limit uint64) {
	h, have := r.held[r.next]
	if have {
		delete(r.held, r.next)
		r.repaired[r.next%replayWindow] = h.repaired
		r.next++
		r.give(h)
		return
	}
	to := limit
	for index := range r.held {
		to = min(to, index)
	}
	r.gone += to - r.next
	for i := range min(to-r.next, replayWindow) {
		r.repaired[(r.next+i)%replayWindow] = false
	}
	r.next = to
}

func (r *Receiver) give(h held) {
	gap := int64(int32(h.timestamp - r.end))
	if !r.begun {
		gap = int64(min(r.gone, maxHeld)) * int64(h.samples) // their timestamps are not known
		r.begun, r.given = true, h.arrived
	}
	// Time cannot have passed that did not pass here.
	gap = max(0, min(gap, r.stream.Codec.ticks(h.arrived.Sub(r.given)+maxAhead)))
	if gap > 0 || r.gone > 0 {
		r.ready = append(r.ready, Frame{SSRC: r.stream.SSRC, Timestamp: h.timestamp - uint32(gap), Samples: uint32(gap), Lost: r.gone})
	}
	if r.gone > 0 {
		r.counts.missed += r.gone
		r.counts.gaps++
		r.counts.concealed += uint64(gap)
	}
	r.gone = 0
	r.ready = append(r.ready, Frame{SSRC: r.stream.SSRC, Timestamp: h.timestamp, Samples: h.samples, Data: h.data})
	r.counts.given++
	r.counts.playable += uint64(h.samples)
	if h.repaired {
		r.counts.recovered++
	}
	r.end = h.timestamp + h.samples
	if h.arrived.After(r.given) {
		r.given = h.arrived
	}
}

// SilentAt is when nothing will have come for 100 ms (or one and a half frames,
// if that is longer) from somebody who ought to be heard: the path may be
// dead. It is zero while nothing is expected: before the first packet and in
// silence that is not sent.
func (r *Receiver) SilentAt() time.Time {
	if !r.started || r.quiet {
		return time.Time{}
	}
	return r.lastTime.Add(max(silence, r.usualFrame()*3/2))
}

// usualFrame is how long a frame lasts on average.
func (r *Receiver) usualFrame() time.Duration {
	if r.counts.given == 0 {
		return 0
	}
	return r.stream.Codec.duration(int64(r.counts.playable / r.counts.given))
}

// expected is the number of packets that were sent, as far as this end can
// know.
func (r *Receiver) expected() uint64 {
	if !r.started {
		return 0
	}
	return r.highest - r.first + 1
}

// report is the block for this stream in a report (RFC 3550, appendix A.3); ok
// is false when there is nothing to tell.
func (r *Receiver) report(now time.Time) (b rtcp.ReceptionReport, ok bool) {
	if !r.started {
		return b, false
	}
	expected, received := r.expected(), r.counts.received
	lost := int64(expected) - int64(received)
	b = rtcp.ReceptionReport{
		SSRC:               r.stream.SSRC,
		TotalLost:          uint32(max(0, min(lost, 1<<23-1))),
		LastSequenceNumber: uint32(r.highest),
		Jitter:             uint32(r.jitter),
	}
	if e, l := expected-r.priorExpected, int64(expected-r.priorExpected)-int64(received-r.priorReceived); e > 0 && l > 0 {
		b.FractionLost = uint8(min(255, l*256/int64(e)))
	}
	r.priorExpected, r.priorReceived = expected, received
	if age := now.Sub(r.lastSRTime); !r.lastSRTime.IsZero() && age < time.Hour {
		b.LastSenderReport = r.lastSR
		b.Delay = uint32(age * (1 << 16) / time.Second)
	}
	return b, true
}

// senderReport remembers the other end's clock, to be told back.
func (r *Receiver) senderReport(now time.Time, s *rtcp.SenderReport) {
	r.lastSR, r.lastSRTime = uint32(s.NTPTime>>16), now
}

// lost is the number of packets that did not come.
func (r *Receiver) lost() uint64 {
	if e := r.expected(); e > r.counts.received {
		return e - r.counts.received
	}
	return 0
}
