package media

import (
	"errors"
	"io"
	"time"
)

// A Player gives the frames of a Source at the times at which they are to be
// sent, with timestamps that count from its start.
type Player struct {
	source Source
	clock  Codec
	start  time.Time // at which timestamp 0 was due
	next   Frame     // read already, with its own time as timestamp
	due    int64     // in samples since start
	err    error     // of reading what comes behind next
	paused time.Time // zero while it plays
}

// behind is how late a player may be before it takes that the machine slept:
// the frames then follow at their own pace instead of all at once.
const behind = time.Second

// NewPlayer plays source from start on. All frames of source are coded by c.
func NewPlayer(source Source, c Codec, start time.Time) *Player {
	p := &Player{source: source, clock: c, start: start}
	p.next, p.err = source.Next()
	return p
}

// Frames gives the frames that are due. The error is what the source said
// (io.EOF at its end), once the last frame before it has been played to its end.
func (p *Player) Frames(now time.Time) ([]Frame, error) {
	if !p.paused.IsZero() {
		return nil, nil
	}
	if late := now.Sub(p.at()); late > behind {
		p.skip(late)
	}
	var frames []Frame
	for !p.at().After(now) {
		if p.err != nil {
			return frames, p.err
		}
		f := p.next
		f.Timestamp = uint32(p.due)
		frames = append(frames, f)
		p.due += int64(f.Samples)
		p.next, p.err = p.source.Next()
	}
	return frames, nil
}

// Deadline is when Frames has something to say; zero means not before Resume.
func (p *Player) Deadline() time.Time {
	if !p.paused.IsZero() {
		return time.Time{}
	}
	return p.at()
}

// Done says that everything was given to its end without an error.
func (p *Player) Done(now time.Time) bool {
	return errors.Is(p.err, io.EOF) && p.paused.IsZero() && !p.at().After(now)
}

// Pause stops playing, as while a call is held.
func (p *Player) Pause(now time.Time) {
	if p.paused.IsZero() {
		p.paused = now
	}
}

// Resume goes on. The time in between is a gap in the timestamps.
func (p *Player) Resume(now time.Time) {
	if !p.paused.IsZero() {
		p.skip(now.Sub(p.paused))
		p.paused = time.Time{}
	}
}

// at is when the next frame is due.
func (p *Player) at() time.Time { return p.start.Add(p.clock.duration(p.due)) }

// skip moves what is left later by d, to whole frames of 2.5 ms, so that
// recorders can fill the gap.
func (p *Player) skip(d time.Duration) {
	const step = OpusClock / 400
	p.due += max(0, p.clock.ticks(d)) / step * step
}
