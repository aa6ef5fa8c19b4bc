package media

import (
	"io"
	"time"
)

// EchoOptions configures an Echo. The zero value says nothing, records ten
// seconds and plays them back.
type EchoOptions struct {
	Greeting []Frame       // what to do, said first
	Tone     []Frame       // now speak
	Closing  []Frame       // said at the end
	Record   time.Duration // 0 means 10 s
}

// EchoState is where an Echo stands.
//
//	Greeting ──said──▶ Recording ──time is up──▶ Playing ──▶ Closing ──▶ Done
type EchoState uint8

// The states. The tone belongs to the greeting.
const (
	EchoGreeting EchoState = iota
	EchoRecording
	EchoPlaying
	EchoClosing
	EchoDone
)

const (
	defaultRecord = 10 * time.Second
	// maxRecorded bytes are kept: ten seconds at the highest bit rate of Opus.
	maxRecorded = 10 * 510000 / 8
	// maxRecordedFrames keeps ten seconds of the shortest frames, 2.5 ms.
	maxRecordedFrames = 4000
)

// An Echo is what answers a call to echo123: it greets, records, and plays back
// what it heard. It hears and says coded frames; nothing is decoded.
type Echo struct {
	opts  EchoOptions
	state EchoState
	say   *Player // nil while recording
	clock Codec
	start time.Time
	until time.Time // of recording
	kept  []Frame
	bytes int
}

// NewEcho starts to greet at now.
func NewEcho(opts EchoOptions, c Codec, now time.Time) *Echo {
	if opts.Record == 0 {
		opts.Record = defaultRecord
	}
	e := &Echo{opts: opts, clock: c, start: now}
	first := append(append([]Frame(nil), opts.Greeting...), opts.Tone...)
	e.say = NewPlayer(Frames(first), c, now)
	return e
}

// State says where the echo stands.
func (e *Echo) State() EchoState { return e.state }

// Hear takes what the caller says.
func (e *Echo) Hear(now time.Time, frames []Frame) {
	if e.state != EchoRecording || !now.Before(e.until) {
		return
	}
	for _, f := range frames {
		if len(e.kept) == maxRecordedFrames || e.bytes+len(f.Data) > maxRecorded {
			return
		}
		if f.Data == nil && len(e.kept) == 0 {
			continue // silence before the first word is not worth repeating
		}
		f.Samples = min(f.Samples, uint32(e.clock.ticks(e.opts.Record)))
		e.kept = append(e.kept, f)
		e.bytes += len(f.Data)
	}
}

// Say gives the frames that are due to the caller. Their timestamps count from
// the start, pauses included, so that all of them fit into one stream.
func (e *Echo) Say(now time.Time) []Frame {
	var said []Frame
	for e.state != EchoDone {
		if e.state == EchoRecording {
			if now.Before(e.until) {
				break
			}
			e.play(EchoPlaying, e.kept, e.until)
		}
		offset := uint32(e.clock.ticks(e.say.start.Sub(e.start)))
		frames, err := e.say.Frames(now)
		for _, f := range frames {
			f.Timestamp += offset
			said = append(said, f)
		}
		if err != io.EOF {
			break
		}
		switch ended := e.say.at(); e.state {
		case EchoGreeting:
			e.state, e.until = EchoRecording, ended.Add(e.opts.Record)
		case EchoPlaying:
			e.kept = nil
			e.play(EchoClosing, e.opts.Closing, ended)
		case EchoClosing:
			e.state = EchoDone
		}
	}
	return said
}

func (e *Echo) play(s EchoState, frames []Frame, at time.Time) {
	e.state = s
	e.say = NewPlayer(Frames(frames), e.clock, at)
}

// Deadline is when Say has something to say, or the state changes; zero means
// never again.
func (e *Echo) Deadline() time.Time {
	switch e.state {
	case EchoRecording:
		return e.until
	case EchoDone:
		return time.Time{}
	}
	return e.say.Deadline()
}
