package media

import (
	"fmt"
	"time"

	"github.com/pion/rtcp"
)

// Video is one stream each way beside the voices of a Line, and comes and goes
// while they last.

// VideoFigures are what a Line measured of its video since it began.
type VideoFigures struct {
	Sent     uint64 // packets, those sent again not among them
	Resent   uint64
	Skipped  uint64 // pieces that the path had no room for
	Received uint64 // packets, each counted once
	Lost     uint64 // packets that did not come in time, though asked for
	Repaired uint64 // packets that came because they were asked for
	Keys     uint64 // key pictures that came
	Rate     int    // bits a second that the encoder may make; 0: nothing is shown
}

// videoCounts are the figures of streams that ended.
type videoCounts VideoFigures

func (c *videoCounts) addSender(s *VideoSender) {
	c.Sent += s.packets
	c.Resent += s.resent
	c.Skipped += s.skipped
}

func (c *videoCounts) addReceiver(r *VideoReceiver) {
	c.Received += r.received
	c.Lost += r.lost
	c.Repaired += r.repaired
	c.Keys += r.keys
}

// split tells voices from the video, of which there may be one.
func split(streams []Stream) (voices []Stream, video *Stream, err error) {
	for _, s := range streams {
		switch {
		case !s.Codec.Video:
			voices = append(voices, s)
		case video != nil:
			return nil, nil, fmt.Errorf("%w: more than one video", ErrStream)
		default:
			video = &s
		}
	}
	return voices, video, nil
}

// ShowVideo begins to show something, instead of what was shown before.
func (l *Line) ShowVideo(s Stream) error {
	x, err := NewVideoSender(s)
	if err != nil {
		return err
	}
	l.EndVideo()
	l.show = x
	return nil
}

// EndVideo shows nothing any more.
func (l *Line) EndVideo() {
	if l.show != nil {
		l.seen.addSender(l.show)
		l.show = nil
	}
}

// Showing is what is shown; nil: nothing.
func (l *Line) Showing() *VideoSender { return l.show }

// Watching is the video that the other end sends.
func (l *Line) Watching() (s Stream, ok bool) {
	if l.watch == nil {
		return s, false
	}
	return l.watch.stream, true
}

// expectVideo says what the other end shows from now on.
func (l *Line) expectVideo(s *Stream) error {
	if old := l.watch; old != nil {
		if s != nil && old.stream.SSRC == s.SSRC {
			if old.stream.Key != s.Key || old.stream.Salt != s.Salt {
				return fmt.Errorf("%w: SSRC %08x again with another key", ErrStream, s.SSRC)
			}
			return nil
		}
		l.seen.addReceiver(old)
		l.watch = nil
	}
	if s == nil {
		return nil
	}
	r, err := NewVideoReceiver(*s, l.opts.Pictures)
	if err != nil {
		return err
	}
	l.watch = r
	return nil
}

// Pieces gives what came of the other end's video, as it came.
func (l *Line) Pieces() []Piece {
	if l.watch == nil {
		return nil
	}
	return l.watch.Pieces()
}

// Pictures gives the whole pictures of it, in order, if the options ask for them.
func (l *Line) Pictures() []Picture {
	if l.watch == nil {
		return nil
	}
	return l.watch.Pictures()
}

// WantKeyPicture asks the other end for a picture that needs none before it.
func (l *Line) WantKeyPicture() {
	if l.watch != nil {
		l.watch.wantKey = true
	}
}

// SetRTT is the round trip as others measured it: who only watches cannot.
func (l *Line) SetRTT(d time.Duration) { l.path = d }

func (l *Line) rtt() time.Duration {
	if n := len(l.senders); n > 0 && l.senders[n-1].rtt.any {
		return time.Duration(l.senders[n-1].rtt.mean * float64(time.Second))
	}
	if l.path > 0 {
		return l.path
	}
	return firstRTT
}

// videoControl takes what the other end says of the video shown to it.
func (l *Line) videoControl(now time.Time, p rtcp.Packet) {
	s := l.show
	if s == nil {
		return
	}
	switch p := p.(type) {
	case *rtcp.TransportLayerNack:
		if p.MediaSSRC == s.stream.SSRC {
			s.nack(now, p, l.rtt())
		}
	case *rtcp.PictureLossIndication:
		if p.MediaSSRC == s.stream.SSRC {
			s.lost(now)
		}
	case *rtcp.CCFeedbackReport:
		for i := range p.ReportBlocks {
			if b := &p.ReportBlocks[i]; b.MediaSSRC == s.stream.SSRC {
				s.report(now, p.ReportTimestamp, b, l.rtt())
			}
		}
	}
}

// Video gives the packets that are to go now for the video both ways. It is to be
// called whenever Deadline has passed.
func (l *Line) Video(now time.Time) ([][]byte, error) {
	var packets [][]byte
	if l.watch != nil && len(l.senders) > 0 {
		if say := l.watch.feedback(now, l.rtt(), l.senders[len(l.senders)-1].stream.SSRC); len(say) > 0 {
			b, err := l.protect(say)
			if err != nil {
				return nil, err
			}
			packets = append(packets, b)
		}
	}
	if l.show != nil {
		shown, err := l.show.Packets(now)
		packets = append(packets, shown...)
		if err != nil {
			return packets, err
		}
	}
	return packets, nil
}

func (l *Line) videoDeadline() time.Time {
	var at time.Time
	if l.watch != nil {
		at = l.watch.deadline(l.rtt())
	}
	if l.show != nil {
		at = earlier(at, l.show.Deadline())
	}
	return at
}

func (l *Line) videoFigures() VideoFigures {
	all := l.seen
	if l.watch != nil {
		all.addReceiver(l.watch)
	}
	if l.show != nil {
		all.addSender(l.show)
		all.Rate = l.show.Rate()
	}
	return VideoFigures(all)
}
