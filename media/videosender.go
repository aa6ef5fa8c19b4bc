package media

import (
	"fmt"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/srtp/v3"
)

const (
	videoRing = 1024 // packets that can be sent again

	// resendFor is how long after it went a packet is worth sending again.
	resendFor   = 1500 * time.Millisecond
	maxSends    = 9           // of one packet
	videoQueued = 2048        // pieces that wait for their turn
	queuedFor   = time.Second // by the rate: more than this may wait only of one key picture
	keyAgain    = 500 * time.Millisecond
	tryEvery    = 100 * time.Millisecond
)

// A VideoSender makes the packets of one stream of pictures. They wait until the
// path can take them, and are kept to be sent again.
type VideoSender struct {
	stream Stream
	ctx    *srtp.Context
	next   uint64 // packet index
	ring   [videoRing]sentPiece

	queue   []Piece
	queued  int // bytes
	resend  []uint64
	skip    bool // pieces are dropped up to the next key picture
	pace    pacer
	path    congestion
	key     bool // a key picture is wanted
	keyAt   time.Time
	packets uint64
	resent  uint64
	skipped uint64 // pieces

	moved   uint64    // the first packet that took the path in use
	begins  uint64    // the first packet that is of use to the listener
	keyWent time.Time // a key picture began to go
	sent    int64     // bytes, those sent again not among them
	told    int64     // ... up to the newest packet that was reported
	tried   time.Time // whether the path lets anything through
	rtt     time.Duration

	heard  bool   // a report came
	origin uint32 // the first difference of the two clocks
	upTo   time.Time
}

type sentPiece struct {
	index    uint64
	data     []byte // as it was sent
	total    int64  // VideoSender.sent with it
	first    time.Time
	at       time.Time // of the last time
	sends    int
	wanted   bool // waits in resend
	reported bool
}

// NewVideoSender begins a stream; as with NewSender there must be no other one.
func NewVideoSender(s Stream) (*VideoSender, error) {
	if !s.Codec.Video {
		return nil, fmt.Errorf("%w: %v is no video", ErrStream, s)
	}
	ctx, err := s.context()
	if err != nil {
		return nil, err
	}
	return &VideoSender{stream: s, ctx: ctx, next: s.index(), path: newCongestion(), rtt: firstRTT}, nil
}

// Stream is what a listener who joins now has to know.
func (s *VideoSender) Stream() Stream {
	now := s.stream
	now.ROC, now.Sequence = uint32(s.next>>16), uint16(s.next)
	return now
}

// Show takes a piece of a picture from the encoder; lost says that pieces before it
// never came from there. It keeps p.Data.
func (s *VideoSender) Show(p Piece, lost bool) error {
	if lost {
		s.damaged()
	}
	begins, key, err := p.start()
	switch {
	case err != nil:
		return err
	case len(p.Data) > MaxPiece:
		s.damaged()
		return fmt.Errorf("%w: %d bytes, at most %d fit into a packet", ErrPiece, len(p.Data), MaxPiece)
	}
	waits := time.Duration(float64(s.queued*8) / s.path.rate * float64(time.Second))
	if begins && (waits > queuedFor && !key || len(s.queue) > videoQueued/2) {
		s.damaged()
	}
	if key && begins {
		s.skip = false
		if waits > queuedFor { // what waits is older than what this one shows
			s.skipped += uint64(len(s.queue))
			s.queue, s.queued = nil, 0
		}
	}
	if s.skip || len(s.queue) >= videoQueued {
		s.skipped++
		return nil
	}
	s.queue = append(s.queue, p)
	s.queued += len(p.Data)
	return nil
}

// damaged leaves out what nobody could show.
func (s *VideoSender) damaged() { s.skip, s.key = true, true }

// Packets gives the SRTP packets that are to go now.
func (s *VideoSender) Packets(now time.Time) ([][]byte, error) {
	if !s.fits() {
		s.path.stall(now, s.rtt)
	}
	var packets [][]byte
	for (len(s.resend) > 0 || len(s.queue) > 0) && s.pace.ready(now) && s.open(now) {
		var b []byte
		if len(s.resend) > 0 {
			b = s.again(now)
		} else {
			var err error
			if b, err = s.fresh(now); err != nil {
				return packets, err
			}
		}
		if b == nil {
			continue
		}
		factor := paceFactor
		if !s.path.began {
			factor = firstFactor
		}
		s.pace.sent(now, len(b)+datagram, s.path.rate*factor)
		packets = append(packets, b)
	}
	return packets, nil
}

// open says whether the path has room for more, or is to be tried.
func (s *VideoSender) open(now time.Time) bool {
	switch {
	case now.Before(s.path.resumed):
		return false
	case s.fits():
		return true
	case now.Sub(s.tried) < tryEvery:
		return false
	}
	s.tried = now
	return true
}

// fits says that what is on its way is no more than the path is thought to carry.
func (s *VideoSender) fits() bool { return !s.path.began || s.sent-s.told < s.path.window(s.rtt) }

// datagram is what frame, UDP and IP add to a packet.
const datagram = 7 + 28

func (s *VideoSender) fresh(now time.Time) ([]byte, error) {
	p := s.queue[0]
	s.queue = s.queue[1:]
	s.queued -= len(p.Data)
	h := rtp.Header{
		Version: 2, Marker: p.Last, PayloadType: s.stream.PayloadType,
		SequenceNumber: uint16(s.next), Timestamp: p.Timestamp, SSRC: s.stream.SSRC,
	}
	b, err := encrypt(s.ctx, &h, p.Data)
	if err != nil {
		return nil, fmt.Errorf("media: %v: %w", s.stream, err)
	}
	if begins, key, _ := p.start(); begins && key {
		s.keyWent = now
	}
	s.sent += int64(len(b) + datagram)
	s.ring[s.next%videoRing] = sentPiece{index: s.next, data: b, total: s.sent, first: now, at: now, sends: 1}
	s.next++
	s.packets++
	return b, nil
}

// again is the next packet that was asked for: the same bytes, so that no number
// is used twice under the key. It is nil if it is too late for it.
func (s *VideoSender) again(now time.Time) []byte {
	x := &s.ring[s.resend[0]%videoRing]
	index := s.resend[0]
	s.resend = s.resend[1:]
	if x.index != index || x.data == nil || now.Sub(x.first) > resendFor {
		return nil
	}
	x.wanted, x.at = false, now
	x.sends++
	s.resent++
	return x.data
}

// Deadline is when Packets has something; zero means not before Show.
func (s *VideoSender) Deadline() time.Time {
	if len(s.queue) == 0 && len(s.resend) == 0 {
		return time.Time{}
	}
	at := s.pace.at()
	if !s.fits() {
		at = later(at, s.tried.Add(tryEvery))
	}
	return later(at, s.path.resumed)
}

// Rate is how many bits a second the encoder may make: what the path carries, less
// what packets add and what has to be sent twice.
func (s *VideoSender) Rate() int {
	loss, _ := s.path.loss()
	return int(s.path.rate * .88 * (1 - min(loss, .5)))
}

// KeyPicture says, once for each time, that the encoder has to make a key picture.
func (s *VideoSender) KeyPicture(now time.Time) bool {
	if !s.key || now.Sub(s.keyAt) < keyAgain {
		return false
	}
	if waits := float64(s.queued*8) / s.path.rate; waits > queuedFor.Seconds()/2 {
		return false // it would wait as well
	}
	s.key, s.keyAt = false, now
	return true
}

// lost says that the listener can show nothing before the next key picture: what
// waits is of no use to it, unless one is among it.
func (s *VideoSender) lost(now time.Time) {
	if now.Sub(s.keyWent) < s.rtt+keyAgain {
		return // on its way
	}
	for i := range s.queue {
		if _, key, _ := s.queue[i].start(); key {
			return
		}
	}
	s.anew()
}

// anew leaves out all that waits, up to a key picture.
func (s *VideoSender) anew() {
	s.skipped += uint64(len(s.queue))
	s.queue, s.queued = nil, 0
	s.resend, s.begins = nil, s.next
	s.damaged()
}

// Moved says that packets take another path from now on. What was lost on the way
// before tells nothing of this one.
func (s *VideoSender) Moved() {
	s.moved, s.told = s.next, s.sent
	s.path.moved()
}

// nack takes what the listener misses.
func (s *VideoSender) nack(now time.Time, n *rtcp.TransportLayerNack, rtt time.Duration) {
	for _, pair := range n.Nacks {
		for _, sequence := range pair.PacketList() {
			index, ok := nearest(s.next, sequence)
			if !ok {
				continue
			}
			x := &s.ring[index%videoRing]
			if x.data == nil || x.index != index || index < s.begins || x.wanted || x.sends >= maxSends || now.Sub(x.at) < rtt/2 {
				continue
			}
			x.wanted = true
			s.resend = append(s.resend, index)
		}
	}
}

// report takes what the listener says of arrivals.
func (s *VideoSender) report(now time.Time, at uint32, block *rtcp.CCFeedbackReportBlock, rtt time.Duration) {
	s.rtt = rtt
	sp := span{from: s.upTo, to: s.upTo}
	var took []time.Duration
	for i, m := range block.MetricBlocks {
		index, ok := nearest(s.next, block.BeginSequence+uint16(i))
		if !ok {
			continue
		}
		x := &s.ring[index%videoRing]
		if x.data == nil || x.index != index || x.reported {
			continue
		}
		x.reported = true
		s.told = max(s.told, x.total)
		if index < s.moved {
			continue
		}
		if sp.from.IsZero() {
			sp.from, sp.to = x.first, x.first
		}
		if x.first.After(sp.to) {
			sp.to = x.first
		}
		sp.bytes += len(x.data) + datagram
		if !m.Received || m.ArrivalTimeOffset == arrivalUnknown {
			sp.lost++
			continue
		}
		sp.arrived++
		sp.through += len(x.data) + datagram
		if m.ArrivalTimeOffset < arrivalLongAgo {
			took = append(took, s.took(x.first, at-uint32(m.ArrivalTimeOffset)<<6))
		}
	}
	if sp.arrived+sp.lost == 0 {
		return
	}
	s.upTo = sp.to
	before := s.path.rate
	s.path.report(now, rtt, took, sp)
	if s.path.rate < before/2 {
		s.anew() // all that is missing would take so long that a new picture is there before
	}
}

// took is how long a packet was on its way, by clocks whose difference is the same each time.
func (s *VideoSender) took(went time.Time, came uint32) time.Duration {
	d := came - uint32(ntp(went)>>16)
	if !s.heard {
		s.heard, s.origin = true, d
	}
	return time.Duration(int32(d-s.origin)) * time.Second >> 16
}
