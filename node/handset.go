package node

import (
	"io"
	"time"

	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
)

// A handset is who speaks and listens at this end of a call: a file, echo123, or
// somebody at a browser. Its methods are called under the lock of the phone.
type handset interface {
	// begin says that there is a path: what is said from now on is heard.
	begin(now time.Time)
	// hear takes what came: the frames in order, with the gaps, and the same ones as they came.
	hear(now time.Time, frames []media.Frame, came []media.Arrival)
	// say gives what is to be sent now. Whatever the error, it says no more; io.EOF is its regular end.
	say(now time.Time) ([]media.Frame, error)
	// deadline is when say has something by itself; zero means not soon.
	deadline() time.Time
	hold(now time.Time, on bool)
	// loss is the share of what was said lately that the other end missed.
	loss(share float64)
	// hangUp is the end: nothing is asked any more.
	hangUp()
}

// A filePlayer says what is in a file.
type filePlayer struct {
	file   *ogg.File
	player *media.Player // from the beginning
}

func (p *filePlayer) begin(now time.Time) {
	p.player = media.NewPlayer(p.file, media.Opus(), now)
}

func (p *filePlayer) say(now time.Time) ([]media.Frame, error) { return p.player.Frames(now) }

func (p *filePlayer) deadline() time.Time { return p.player.Deadline() }

func (p *filePlayer) hold(now time.Time, on bool) {
	if on {
		p.player.Pause(now)
	} else {
		p.player.Resume(now)
	}
}

func (p *filePlayer) hangUp() { p.file.Close() }

func (*filePlayer) hear(time.Time, []media.Frame, []media.Arrival) {}
func (*filePlayer) loss(float64)                                   {}

// An echoService is echo123.
type echoService struct {
	said media.EchoOptions
	echo *media.Echo // from the beginning
}

func (e *echoService) begin(now time.Time) { e.echo = media.NewEcho(e.said, media.Opus(), now) }

func (e *echoService) hear(now time.Time, frames []media.Frame, _ []media.Arrival) {
	e.echo.Hear(now, frames)
}

func (e *echoService) say(now time.Time) ([]media.Frame, error) {
	frames := e.echo.Say(now)
	if e.echo.State() == media.EchoDone {
		return frames, io.EOF
	}
	return frames, nil
}

func (e *echoService) deadline() time.Time { return e.echo.Deadline() }

func (*echoService) hold(time.Time, bool) {}
func (*echoService) loss(float64)         {}
func (*echoService) hangUp()              {}
