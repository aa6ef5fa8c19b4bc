package media

import (
	"bytes"
	"fmt"
	"slices"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	// overtaking is how long a missing packet may be one that others overtook.
	overtaking = 15 * time.Millisecond
	// missingFor is how long a packet is asked for; longer where the path is.
	missingFor  = 600 * time.Millisecond
	maxMissing  = 400 // at once: more is a picture that has to be made anew
	maxAsks     = 8
	keyAskAgain = 300 * time.Millisecond
	firstRTT    = 100 * time.Millisecond // until it is measured

	feedbackEvery = 75 * time.Millisecond
	maxArrivals   = 480 // in one report, which has to fit into a packet

	// What an arrival's time can also say (RFC 8888, section 3.1).
	arrivalUnknown = 0x1fff
	arrivalLongAgo = 0x1ffe
)

// A VideoReceiver takes the packets of one stream of pictures. It gives their
// pieces as they come, asks again for those that do not, and for a key picture
// where that was in vain.
type VideoReceiver struct {
	stream Stream
	ctx    *srtp.Context
	plain  []byte
	packet rtp.Packet

	highest uint64 // index of the newest packet, or of the one before the first
	started bool
	missing map[uint64]*missing
	came    []Piece
	whole   *pictures // nil: only pieces are wanted

	arrivals map[uint64]time.Time // zero: it came after it was asked for
	reported uint64               // up to here arrivals were told
	before   uint64               // ... and up to here the time before
	tell     time.Time            // the next report is due
	needKey  bool
	wantKey  bool // the device asks for a key picture
	keyAsked time.Time

	received, lost, repaired, keys uint64
}

type missing struct {
	since time.Time
	asked time.Time
	asks  int
}

// NewVideoReceiver listens to a stream. Pictures are put together if somebody wants them.
func NewVideoReceiver(s Stream, whole bool) (*VideoReceiver, error) {
	ctx, err := s.context()
	if err != nil {
		return nil, err
	}
	r := &VideoReceiver{
		stream: s, ctx: ctx, highest: s.index() - 1, needKey: true,
		missing: make(map[uint64]*missing), arrivals: make(map[uint64]time.Time),
		reported: s.index(), before: s.index(),
	}
	if whole {
		r.whole = newPictures(s.index())
	}
	return r, nil
}

// Packet takes an SRTP packet from the network. It keeps nothing of b.
func (r *VideoReceiver) Packet(now time.Time, b []byte) error {
	if len(b) < rtpHeader+r.stream.Protection.tag() || len(b) > MaxPacket {
		return fmt.Errorf("%w: %d bytes", ErrPayload, len(b))
	}
	if _, err := r.packet.Header.Unmarshal(b); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	index, ok := nearest(r.highest, r.packet.SequenceNumber)
	if !ok || index < r.stream.index() {
		return ErrReplay
	}
	if !r.started {
		r.ctx.SetROC(r.stream.SSRC, uint32(index>>16))
	}
	plain, err := r.ctx.DecryptRTP(r.plain[:0], b, nil)
	if err != nil {
		return refusal(err)
	}
	r.plain = plain
	if err := r.packet.Unmarshal(plain); err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if r.packet.PayloadType != r.stream.PayloadType {
		return fmt.Errorf("%w: payload type %d", ErrPayload, r.packet.PayloadType)
	}
	r.count(now, index)
	return r.take(Piece{SSRC: r.stream.SSRC, Index: index, Timestamp: r.packet.Timestamp, Last: r.packet.Marker, Data: bytes.Clone(r.packet.Payload)})
}

// count notes which packet came, and which others did not.
func (r *VideoReceiver) count(now time.Time, index uint64) {
	r.started = true
	r.received++
	if r.tell.IsZero() {
		r.tell = now.Add(feedbackEvery)
	}
	at := now
	if m := r.missing[index]; m != nil {
		if m.asks > 0 {
			at = time.Time{}
			r.repaired++
		}
		delete(r.missing, index)
	}
	if index >= r.before && len(r.arrivals) < 2*maxArrivals {
		r.arrivals[index] = at
	}
	if int64(index) <= int64(r.highest) { // which may be -1
		return
	}
	if gap := index - r.highest - 1; gap+uint64(len(r.missing)) > maxMissing {
		r.giveUp(index)
	} else {
		for i := r.highest + 1; i < index; i++ {
			r.missing[i] = &missing{since: now}
		}
	}
	r.highest = index
}

// giveUp waits no longer for what is missing before an index.
func (r *VideoReceiver) giveUp(before uint64) {
	r.lost += uint64(len(r.missing))
	if before > r.highest+1 {
		r.lost += before - r.highest - 1
	}
	clear(r.missing)
	r.needKey = true
	if r.whole != nil {
		r.whole.lost(before)
	}
}

func (r *VideoReceiver) take(p Piece) error {
	_, key, err := p.start()
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	if key {
		r.needKey, r.wantKey = false, false
		r.keys++
	}
	if len(r.came) < maxReady {
		r.came = append(r.came, p)
	}
	if r.whole != nil {
		r.whole.add(p)
	}
	return nil
}

// Pieces gives what came since the last call, in the order in which it came.
func (r *VideoReceiver) Pieces() []Piece {
	came := r.came
	r.came = nil
	return came
}

// Pictures gives the whole pictures that came since the last call.
func (r *VideoReceiver) Pictures() []Picture {
	if r.whole == nil {
		return nil
	}
	ready := r.whole.ready
	r.whole.ready = nil
	return ready
}

// patience is how long a packet is waited for.
func patience(rtt time.Duration) time.Duration { return max(missingFor, 4*rtt) }

// askAgain is how long after a question the next one follows.
func askAgain(rtt time.Duration) time.Duration { return rtt + rtt/4 + overtaking }

// feedback is what the sender is to know now.
func (r *VideoReceiver) feedback(now time.Time, rtt time.Duration, from uint32) []rtcp.Packet {
	var packets []rtcp.Packet
	if ask := r.asks(now, rtt); len(ask) > 0 {
		packets = append(packets, &rtcp.TransportLayerNack{SenderSSRC: from, MediaSSRC: r.stream.SSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)})
	}
	if !r.keyDue(rtt).IsZero() && !now.Before(r.keyDue(rtt)) {
		r.keyAsked, r.wantKey = now, false
		packets = append(packets, &rtcp.PictureLossIndication{SenderSSRC: from, MediaSSRC: r.stream.SSRC})
	}
	if !r.tell.IsZero() && !now.Before(r.tell) {
		packets = append(packets, r.arrivalReport(now, from))
	}
	return packets
}

// asks are the sequence numbers to ask for now.
func (r *VideoReceiver) asks(now time.Time, rtt time.Duration) []uint16 {
	var ask []uint16
	var gone uint64
	for i, m := range r.missing {
		if now.Sub(m.since) >= patience(rtt) {
			gone = max(gone, i+1)
			continue
		}
		if r.askAt(m, rtt).After(now) || len(ask) == maxMissing/4 {
			continue
		}
		m.asked = now
		m.asks++
		ask = append(ask, uint16(i))
	}
	if gone > 0 {
		for i := range r.missing {
			if i < gone {
				delete(r.missing, i)
				r.lost++
			}
		}
		r.needKey = true
		if r.whole != nil {
			r.whole.lost(gone)
		}
	}
	base := uint16(r.highest)
	slices.SortFunc(ask, func(a, b uint16) int { return int(int16(a-base)) - int(int16(b-base)) })
	return ask
}

// askAt is when a packet is to be asked for, or given up.
func (r *VideoReceiver) askAt(m *missing, rtt time.Duration) time.Time {
	at := m.since.Add(overtaking)
	switch {
	case m.asks >= maxAsks:
		return m.since.Add(patience(rtt))
	case m.asks > 0:
		at = m.asked.Add(askAgain(rtt))
	}
	if end := m.since.Add(patience(rtt)); end.Before(at) {
		return end
	}
	return at
}

// keyDue is when a key picture is to be asked for; zero means that none is needed.
func (r *VideoReceiver) keyDue(rtt time.Duration) time.Time {
	if !r.started || !r.needKey && !r.wantKey {
		return time.Time{}
	}
	if r.keyAsked.IsZero() {
		return r.tell // the first one may just be on its way
	}
	return r.keyAsked.Add(max(keyAskAgain, rtt*2))
}

// arrivalReport tells when packets came (RFC 8888). It covers what the last one
// told as well, which may be lost.
func (r *VideoReceiver) arrivalReport(now time.Time, from uint32) rtcp.Packet {
	first := r.before
	if r.highest-first >= maxArrivals {
		first = r.highest - maxArrivals + 1
	}
	block := rtcp.CCFeedbackReportBlock{MediaSSRC: r.stream.SSRC, BeginSequence: uint16(first)}
	for i := first; i <= r.highest; i++ {
		var m rtcp.CCFeedbackMetricBlock
		if at, came := r.arrivals[i]; came {
			m.Received, m.ArrivalTimeOffset = true, arrivalUnknown
			if !at.IsZero() {
				m.ArrivalTimeOffset = uint16(min(now.Sub(at)*1024/time.Second, arrivalLongAgo))
			}
		}
		block.MetricBlocks = append(block.MetricBlocks, m)
	}
	r.before, r.reported = r.reported, r.highest+1
	for i := range r.arrivals {
		if i < r.before {
			delete(r.arrivals, i)
		}
	}
	r.tell = time.Time{}
	return &rtcp.CCFeedbackReport{SenderSSRC: from, ReportTimestamp: uint32(ntp(now) >> 16), ReportBlocks: []rtcp.CCFeedbackReportBlock{block}}
}

// deadline is when feedback has something; zero means never.
func (r *VideoReceiver) deadline(rtt time.Duration) time.Time {
	at := earlier(r.tell, r.keyDue(rtt))
	for _, m := range r.missing {
		at = earlier(at, r.askAt(m, rtt))
	}
	return at
}
