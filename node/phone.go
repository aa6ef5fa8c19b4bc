package node

import (
	"errors"
	"io"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ivf"
	"github.com/linnet-p2p/linnet/media/ogg"
	"github.com/linnet-p2p/linnet/session"
)

// A phone is this end of one call: what its handset says goes out, what comes is
// heard there and recorded. It has a goroutine of its own, since neither disk nor
// loop may hold up the other.
type phone struct {
	link   *link.Link
	log    *slog.Logger
	call   linnet.CallID
	peer   linnet.NodeID
	routes atomic.Pointer[[]session.Route]
	wake   chan struct{} // something came
	quit   chan struct{}
	done   chan struct{} // run is over

	mu      sync.Mutex // all up to view
	came    time.Time  // the last packet of the other end
	missed  time.Time  // when its absence was told last
	line    *media.Line
	sender  *media.Sender
	set     handset // nil: says nothing
	begun   bool    // there is, or was, a path
	held    bool
	started time.Time
	spans   []linnet.PathSpan
	first   time.Time // the first packet of the other end
	able    bool      // the other end's program knows video
	shown   linnet.Video
	view    viewer // nil: nothing is shown, and nobody looks

	film    *ivf.Recorder // nil: keeps no pictures
	tape    *ogg.Recorder // nil: keeps nothing
	events  phoneEvents
	audible bool // the first sound came; the loop's
}

// phoneEvents are called from the phone's goroutine.
type phoneEvents struct {
	silent  func()                            // none came for silentAfter, and again every silentAgain
	heard   func()                            // media of the peer came, at most once a second
	played  func()                            // the handset has nothing more to say
	trouble func(code linnet.Code, err error) // the file that is played or recorded fails; the call goes on
}

// maxSpans bounds the list of a call's paths: what moves more often is noise.
const maxSpans = 256

// newPhone makes the phone of a call, with the stream that it will speak on.
func newPhone(l *link.Link, log *slog.Logger, call linnet.CallID, peer linnet.NodeID, protection media.Protection, opts media.ReceiverOptions, now time.Time, events phoneEvents) (*phone, error) {
	p := &phone{
		link: l, log: log, call: call, peer: peer, events: events, started: now,
		wake: make(chan struct{}, 1), quit: make(chan struct{}), done: make(chan struct{}),
		line: media.NewLine(opts),
	}
	stream, err := media.NewStream(media.Opus(), protection, nil)
	if err != nil {
		return nil, err
	}
	p.sender, err = p.line.AddSender(stream)
	return p, err
}

// packet takes what came from the network. It runs in the link's goroutine.
func (p *phone) packet(b []byte) {
	p.mu.Lock()
	now := time.Now()
	err := p.line.Packet(now, b)
	if err == nil {
		p.came = now
		if p.first.IsZero() {
			p.first = now
		}
	}
	p.mu.Unlock()
	if err != nil {
		p.log.Debug("media packet", "err", err)
		return
	}
	p.nudge()
}

func (p *phone) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// expect says what the other end sends.
func (p *phone) expect(now time.Time, streams []media.Stream) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	defer p.nudge()
	return p.line.Expect(now, streams...)
}

// hold stops playing while somebody holds the call.
func (p *phone) hold(now time.Time, on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == on {
		return
	}
	p.held = on
	if p.set != nil && p.begun {
		p.set.hold(now, on)
	}
	if p.view != nil && !on {
		p.line.WantKeyPicture()
		p.view.key(now)
	}
	p.nudge()
}

// move says where packets go from now on. Before the first path that can carry
// media nothing is played, as nobody would hear it.
func (p *phone) move(now time.Time, routes []session.Route, rtt time.Duration) {
	routes = slices.DeleteFunc(slices.Clone(routes), func(r session.Route) bool { return r.Path.Kind == linnet.Forwarded })
	before := p.routes.Swap(&routes)
	if len(routes) == 0 {
		return
	}
	at := routes[0].Path
	span := linnet.PathSpan{TMS: now.Sub(p.started).Milliseconds(), Path: at.Kind, RTTMS: linnet.Milliseconds(rtt)}
	if at.Kind.Relayed() {
		span.Via = at.Via.Short()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.line.SetRTT(rtt)
	elsewhere := before == nil || len(*before) == 0 || (*before)[0].Path != at // not only a second path beside it
	if s := p.line.Showing(); s != nil && p.begun && elsewhere {
		s.Moved()
	}
	if !p.begun && p.view != nil {
		p.view.begin(now)
	}
	if !p.begun && p.set != nil {
		p.set.begin(now)
		if p.held {
			p.set.hold(now, true)
		}
		p.nudge()
	}
	p.begun = true
	if n := len(p.spans); n > 0 && p.spans[n-1].Path == span.Path && p.spans[n-1].Via == span.Via || n == maxSpans {
		return
	}
	p.spans = append(p.spans, span)
}

// receipt is what was measured so far.
func (p *phone) receipt() linnet.Receipt {
	p.mu.Lock()
	defer p.mu.Unlock()
	r := p.line.Figures().Receipt()
	r.Paths = append([]linnet.PathSpan(nil), p.spans...)
	if n := len(r.Paths); n > 0 {
		r.Path = r.Paths[n-1].Path
	}
	if !p.first.IsZero() {
		r.MediaMS = new(p.first.Sub(p.started).Milliseconds())
	}
	return r
}

// figures are what was measured so far; a packet may still be coming in.
func (p *phone) figures() media.Figures {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.line.Figures()
}

// stop ends the phone and waits until the recording is on disk.
func (p *phone) stop() {
	close(p.quit)
	<-p.done
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.set != nil {
		p.set.hangUp()
		p.set = nil
	}
	if p.view != nil {
		p.view.close()
		p.view = nil
	}
}

// run plays and records until stop.
func (p *phone) run() {
	defer close(p.done)
	timer := time.NewTimer(0)
	defer timer.Stop()
	var heard time.Time
	for {
		select {
		case <-p.quit:
			p.endTape()
			return
		case <-timer.C:
		case <-p.wake:
		}
		now := time.Now()
		frames, packets, next := p.turn(now)
		for _, b := range packets {
			p.send(b)
		}
		pictures, shown, soon := p.look(now)
		for _, b := range shown {
			p.sendVideo(b)
		}
		next = soonest(next, soon)
		p.record(frames)
		p.recordVideo(pictures)
		if len(frames) > 0 && now.Sub(heard) >= time.Second {
			heard = now
			p.events.heard()
		}
		timer.Reset(max(0, time.Until(next)))
	}
}

// idle is how often a phone that waits for nothing looks up.
const idle = time.Second

// turn gives what was heard, the packets to send now, and when to come back.
func (p *phone) turn(now time.Time) (heard []media.Frame, packets [][]byte, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	heard = p.line.Frames(now)
	came := p.line.Arrivals()
	var say []media.Frame
	if p.set != nil && p.begun && !p.held {
		p.set.hear(now, heard, came)
		p.set.loss(p.sender.Loss())
		var err error
		if say, err = p.set.say(now); err != nil {
			p.set.hangUp()
			p.set = nil
			if !errors.Is(err, io.EOF) {
				p.events.trouble(linnet.CodeBadFile, err)
			}
			p.events.played()
		}
	}
	for _, f := range say {
		b, err := p.sender.Packet(now, f)
		if err != nil {
			p.log.Debug("media frame", "err", err)
		} else if b != nil {
			packets = append(packets, b)
		}
	}
	if report, err := p.line.Report(now); err != nil {
		p.log.Debug("media report", "err", err)
	} else if report != nil {
		packets = append(packets, report)
	}
	if missed := p.missedAt(); !missed.IsZero() && !missed.After(now) {
		p.missed = now
		p.events.silent()
	}
	next = now.Add(idle)
	for _, d := range []time.Time{p.line.Deadline(), p.deadline(), p.missedAt()} {
		next = soonest(next, d)
	}
	return heard, packets, next
}

// Whoever talks sends a packet every 20 ms. One who has nothing more to say looks
// the same as one who is not heard, so this ends after a while.
const (
	silentAfter = 100 * time.Millisecond
	silentAgain = 200 * time.Millisecond
	silentMost  = 10 * time.Second
)

// missedAt is when the absence of packets is told; zero: not before the next one came.
func (p *phone) missedAt() time.Time {
	if p.held || p.came.IsZero() || p.missed.Sub(p.came) > silentMost {
		return time.Time{}
	}
	if p.missed.Before(p.came) {
		return p.came.Add(silentAfter)
	}
	return p.missed.Add(silentAgain)
}

// deadline is when the phone next has something to say by itself.
func (p *phone) deadline() time.Time {
	if p.set == nil || !p.begun || p.held {
		return time.Time{}
	}
	return p.set.deadline()
}

func (p *phone) send(b []byte) {
	routes := p.routes.Load()
	if routes == nil {
		return // no path yet; the listener counts what is missing
	}
	for _, r := range *routes {
		p.sendBy(r, b)
	}
}

func (p *phone) record(frames []media.Frame) {
	if p.tape == nil || len(frames) == 0 {
		return
	}
	if err := p.tape.Write(frames...); err != nil {
		p.events.trouble(linnet.CodeDisk, err)
	}
}

func (p *phone) endTape() {
	if p.film != nil {
		if err := p.film.Close(); err != nil {
			p.events.trouble(linnet.CodeDisk, err)
		}
	}
	if p.tape == nil {
		return
	}
	p.mu.Lock()
	rest := p.line.Frames(time.Now())
	p.mu.Unlock()
	p.record(rest)
	if err := p.tape.Close(); err != nil {
		p.events.trouble(linnet.CodeDisk, err)
	}
}
