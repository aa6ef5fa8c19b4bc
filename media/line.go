package media

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/pion/rtcp"
)

const (
	// maxStreams of one participant are kept, those that ended lately included.
	maxStreams = 16
	// maxBlocksInReport is what the 5 bits of a report's count can say.
	maxBlocksInReport = 31

	firstReport = 300 * time.Millisecond
	reportEvery = time.Second

	// A stream's packets may overtake its key, which travels in the session.
	maxEarly = 64
	earlyFor = 5 * time.Second
)

// A Line is the media between this device and one participant, both ways.
type Line struct {
	opts      ReceiverOptions
	senders   []*Sender   // of voice, the newest last: all reports go under its key
	receivers []*Receiver // those of the streams that the other end sends, then the ended ones
	current   int         // how many are not ended
	past      heard       // of streams forgotten

	show  *VideoSender   // nil: none
	watch *VideoReceiver // nil: none
	path  time.Duration  // round trip that others measured; 0: none did
	seen  videoCounts    // of video that ended

	early  []early
	report time.Time // the next one is due; zero before the first thing that came or went
}

type early struct {
	at   time.Time
	data []byte
}

// NewLine makes a Line without streams.
func NewLine(opts ReceiverOptions) *Line { return &Line{opts: opts} }

// AddSender begins a stream to the other end. A participant that says nothing
// needs one as well, for its reports.
func (l *Line) AddSender(s Stream) (*Sender, error) {
	x, err := NewSender(s)
	if err != nil {
		return nil, err
	}
	if len(l.senders) == maxStreams {
		return nil, fmt.Errorf("media: more than %d streams to one participant", maxStreams)
	}
	l.senders = append(l.senders, x)
	return x, nil
}

// Expect says which streams the other end sends from now on. What of the others
// is still on its way is taken for a while.
func (l *Line) Expect(now time.Time, streams ...Stream) error {
	if len(streams) > maxStreams/2 {
		return fmt.Errorf("%w: %d streams at once, at most %d", ErrStream, len(streams), maxStreams/2)
	}
	voices, video, err := split(streams)
	if err != nil {
		return err
	}
	if err := l.expectVideo(video); err != nil {
		return err
	}
	var receivers []*Receiver
	for _, s := range voices {
		r := l.receiver(s.SSRC)
		switch {
		case r == nil:
			var err error
			if r, err = NewReceiver(s, l.opts); err != nil {
				return err
			}
		case r.stream.Key != s.Key || r.stream.Salt != s.Salt:
			return fmt.Errorf("%w: SSRC %08x again with another key", ErrStream, s.SSRC)
		case slices.Contains(receivers, r):
			return fmt.Errorf("%w: SSRC %08x twice", ErrStream, s.SSRC)
		}
		receivers = append(receivers, r)
	}
	l.current = len(receivers)
	for _, r := range l.receivers {
		switch {
		case slices.Contains(receivers, r):
		case len(receivers) < maxStreams:
			receivers = append(receivers, r)
		default:
			l.past.add(r)
		}
	}
	l.receivers = receivers

	waiting := l.early
	l.early = nil
	for _, e := range waiting {
		if now.Sub(e.at) < earlyFor {
			l.Packet(e.at, e.data) // an error was nobody's business when it came, and is none now
		}
	}
	return nil
}

func (l *Line) receiver(ssrc uint32) *Receiver {
	for _, r := range l.receivers {
		if r.stream.SSRC == ssrc {
			return r
		}
	}
	return nil
}

// Packet takes an SRTP or SRTCP packet from the network. The error is for logs
// and tests: whoever knows the address can cause one. It keeps nothing of b.
func (l *Line) Packet(now time.Time, b []byte) error {
	switch {
	case len(b) < rtpHeader || len(b) > MaxPacket || b[0]>>6 != 2:
		return fmt.Errorf("%w: neither RTP nor RTCP", ErrPayload)
	case isRTCP(b):
		return l.control(now, b)
	}
	ssrc := binary.BigEndian.Uint32(b[8:])
	if l.watch != nil && l.watch.stream.SSRC == ssrc {
		return l.watch.Packet(now, b)
	}
	r := l.receiver(ssrc)
	if r == nil {
		l.hold(now, b)
		return errUnknownStream
	}
	if err := r.Packet(now, b); err != nil {
		return err
	}
	l.active(now)
	return nil
}

// isRTCP tells packet types 192 to 223 from RTP (RFC 5761, section 4).
func isRTCP(b []byte) bool { return b[1] >= 192 && b[1] <= 223 }

func (l *Line) hold(now time.Time, b []byte) {
	if len(l.early) == maxEarly {
		l.early = slices.Delete(l.early, 0, 1)
	}
	l.early = append(l.early, early{now, bytes.Clone(b)})
}

// control takes SRTCP.
func (l *Line) control(now time.Time, b []byte) error {
	r := l.receiver(binary.BigEndian.Uint32(b[4:]))
	if r == nil {
		return errUnknownStream
	}
	plain, err := r.ctx.DecryptRTCP(nil, b, nil)
	if err != nil {
		return r.counts.refused(err)
	}
	packets, err := rtcp.Unmarshal(plain)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrPayload, err)
	}
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.SenderReport:
			if r := l.receiver(p.SSRC); r != nil {
				r.senderReport(now, p)
			}
			l.reports(now, p.Reports)
		case *rtcp.ReceiverReport:
			l.reports(now, p.Reports)
		default:
			l.videoControl(now, p)
		}
	}
	l.active(now)
	return nil
}

func (l *Line) reports(now time.Time, reports []rtcp.ReceptionReport) {
	for _, b := range reports {
		for _, s := range l.senders {
			if s.stream.SSRC == b.SSRC && s.packets > 0 {
				s.report(now, b)
			}
		}
	}
}

func (l *Line) active(now time.Time) {
	if l.report.IsZero() {
		l.report = now.Add(firstReport)
	}
}

// due is when the next report is; zero means never.
func (l *Line) due() time.Time {
	if len(l.senders) == 0 {
		return time.Time{} // without a key
	}
	for _, s := range l.senders {
		if s.packets > 0 && l.report.IsZero() {
			return s.began.Add(firstReport)
		}
	}
	return l.report
}

// Report is the SRTCP packet that is due, or nil. It is to be called whenever
// Deadline has passed.
func (l *Line) Report(now time.Time) ([]byte, error) {
	if due := l.due(); due.IsZero() || now.Before(due) {
		return nil, nil
	}
	l.report = now.Add(reportEvery)

	var blocks []rtcp.ReceptionReport
	for _, r := range l.receivers[:l.current] {
		if b, ok := r.report(now); ok && len(blocks) < maxBlocksInReport {
			blocks = append(blocks, b)
		}
	}
	var packets []rtcp.Packet
	for i := len(l.senders) - 1; i >= 0; i-- {
		s := l.senders[i]
		first := len(packets) == 0
		if s.packets > 0 && now.Sub(s.at) < 2*reportEvery {
			sr := s.senderReport(now)
			if first {
				sr.Reports = blocks
			}
			packets = append(packets, sr)
		} else if first {
			packets = append(packets, &rtcp.ReceiverReport{SSRC: s.stream.SSRC, Reports: blocks})
		}
	}
	return l.protect(packets)
}

// protect makes SRTCP under the key of the voice.
func (l *Line) protect(packets []rtcp.Packet) ([]byte, error) {
	plain, err := rtcp.Marshal(packets)
	if err != nil {
		return nil, fmt.Errorf("media: write a report: %w", err)
	}
	return l.senders[len(l.senders)-1].protectReport(plain)
}

// Frames gives the frames of all streams that are due, each stream's in order.
func (l *Line) Frames(now time.Time) []Frame {
	var frames []Frame
	for _, r := range l.receivers {
		frames = append(frames, r.Frames(now)...)
	}
	return frames
}

// Arrivals gives the frames of all streams as they came (see Receiver.Arrivals).
func (l *Line) Arrivals() []Arrival {
	var came []Arrival
	for _, r := range l.receivers {
		came = append(came, r.Arrivals()...)
	}
	return came
}

// Deadline is when Frames or Report will have something even if no packet
// comes; zero means never.
func (l *Line) Deadline() time.Time {
	at := earlier(l.due(), l.videoDeadline())
	for _, r := range l.receivers {
		at = earlier(at, r.Deadline())
	}
	return at
}

// SilentAt is the first SilentAt of the streams that the other end sends. From
// then on the path may be dead, and the listener should say so on another one.
func (l *Line) SilentAt() time.Time {
	var at time.Time
	for _, r := range l.receivers[:l.current] {
		at = earlier(at, r.SilentAt())
	}
	return at
}

// earlier is the earlier of two times of which zero means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// Figures are what was measured so far.
func (l *Line) Figures() Figures {
	var f Figures
	all := l.past
	for _, r := range l.receivers {
		all.add(r)
		f.Jitter = max(f.Jitter, r.stream.Codec.duration(int64(r.jitter)))
		if r.started {
			f.Delay = max(f.Delay, r.playout.target()+r.usualFrame())
		}
	}
	f.Received, f.Lost, f.Recovered, f.Missed = all.received, all.lost, all.recovered, all.missed
	f.Concealed = all.concealed
	f.Forged, f.Replayed = all.forged, all.replayed
	f.Video = l.videoFigures()
	for _, s := range l.senders {
		f.Sent += s.packets
		if s.heard { // the newest that the other end reported on
			f.FarLoss, f.FarJitter = s.Loss(), s.farJitter
		}
		if s.rtt.any {
			f.RTT = time.Duration(s.rtt.mean * float64(time.Second))
		}
	}
	if frames := all.given + all.missed; all.given > 0 {
		f.Loss = float64(all.missed) / float64(frames)
		burst := 1.
		if all.gaps > 0 {
			burst = float64(all.missed) / float64(all.gaps)
		}
		f.MOS = MOS(f.RTT/2+f.Delay+coding, float64(all.missed+all.late)/float64(frames), burst)
	}
	return f
}

var errUnknownStream = errors.New("media: packet of an unknown stream")
