package node

import (
	"context"
	"errors"
	"io"
	"sync"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/browser"
)

const (
	// absence is how long a call goes on without a page: reloading it, or moving to
	// another one, takes less.
	absence = 20 * time.Second
	// maxSaid frames wait for a phone, a second of them.
	maxSaid = 50
)

// A tab is a browser that is connected: a browser.Set, but for tests.
type tab interface {
	Hear(now time.Time, a media.Arrival)
	Loss(share float64)
	See(now time.Time, p media.Piece)
	Rate(bits int)
	KeyPicture(now time.Time)
	Close()
}

// page is the page of a browser as microphone and loudspeaker, camera and screen. It outlives the
// browser's connection, which a reload replaces. The zero value has none.
type page struct {
	connecting sync.Mutex // one at a time; before mu

	mu    sync.Mutex // after the lock of a phone
	set   tab        // nil: none
	since time.Time  // there is no set
	calls map[*pageHandset]bool
	ended bool
}

// Page implements linnet.Client.
func (n *Node) Page(ctx context.Context, offer string) (string, error) {
	n.page.connecting.Lock()
	defer n.page.connecting.Unlock()
	set, answer, err := browser.Answer(ctx, offer, browser.Options{
		Said: n.page.said, Shot: n.page.shot, WantKey: n.page.wantKey,
		Down: func(set *browser.Set) { n.page.drop(set) },
		Log:  n.log,
	})
	switch {
	case errors.Is(err, browser.ErrNoAddress):
		return "", &linnet.Error{Code: linnet.CodeNoNetwork, Text: "this computer has no network connection, and without one the browser passes no sound, not even to this computer",
			Hint: "connect to a network, any will do, and try again"}
	case errors.Is(err, browser.ErrOffer):
		return "", &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	case err != nil:
		return "", err
	}
	if !n.page.put(set) {
		set.Close()
		return "", errStopped
	}
	return answer, nil
}

// put takes a new connection in place of the one before, unless the node has stopped.
func (p *page) put(set tab) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return false
	}
	if p.set != nil {
		go p.set.Close() // it waits for callbacks, which wait for this lock
	}
	p.set = set
	p.wake()
	return true
}

// drop gives up a connection whose page is gone.
func (p *page) drop(set tab) {
	p.mu.Lock()
	defer p.mu.Unlock()
	go set.Close()
	if p.set == set {
		p.set, p.since = nil, time.Now()
		p.wake()
	}
}

// wake needs the lock.
func (p *page) wake() {
	for h := range p.calls {
		h.wake()
	}
}

func (p *page) close() {
	p.mu.Lock()
	p.ended = true
	set := p.set
	p.set = nil
	p.mu.Unlock()
	if set != nil {
		set.Close()
	}
}

// said takes what comes from the microphone.
func (p *page) said(f media.Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := range p.calls {
		h.push(time.Now(), f)
	}
}

// handset is the page in one call.
func (p *page) handset(wake func()) *pageHandset {
	h := &pageHandset{page: p, wake: wake}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.calls == nil {
		p.calls = make(map[*pageHandset]bool)
	}
	p.calls[h] = true
	if p.set == nil {
		p.since = time.Now() // from now on it is missed
	}
	return h
}

// A pageHandset is somebody at a browser in one call. The lock of the page is its own.
type pageHandset struct {
	page   *page
	wake   func()
	live   bool // neither held nor before the beginning
	queue  []media.Frame
	film   film
	begun  bool
	source uint32 // SSRC of the microphone
	shift  uint32 // added to its timestamps, so that those of several connections follow one another
	last   uint32
	at     time.Time
}

// push needs the lock of the page.
func (h *pageHandset) push(now time.Time, f media.Frame) {
	if f.SSRC != h.source && h.begun {
		passed := now.Sub(h.at) / (20 * time.Millisecond) // in whole frames, which recorders can fill
		h.shift = h.last + uint32(max(1, passed))*(media.OpusClock/50) - f.Timestamp
	}
	h.begun, h.source = true, f.SSRC
	f.Timestamp += h.shift
	h.last, h.at = f.Timestamp, now
	if !h.live {
		return
	}
	if len(h.queue) == maxSaid {
		h.queue = h.queue[1:]
	}
	h.queue = append(h.queue, f)
	h.wake()
}

func (h *pageHandset) begin(now time.Time) { h.hold(now, false) }

func (h *pageHandset) hold(_ time.Time, on bool) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	h.live, h.queue, h.film.shots = !on, nil, nil
}

func (h *pageHandset) hear(now time.Time, _ []media.Frame, came []media.Arrival) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set == nil {
		return
	}
	for _, a := range came {
		h.page.set.Hear(now, a)
	}
}

func (h *pageHandset) say(now time.Time) ([]media.Frame, error) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	said := h.queue
	h.queue = nil
	if h.page.set == nil && now.Sub(h.page.since) >= absence {
		return said, io.EOF
	}
	return said, nil
}

func (h *pageHandset) deadline() time.Time {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set == nil {
		return h.page.since.Add(absence)
	}
	return time.Time{}
}

func (h *pageHandset) loss(share float64) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set != nil {
		h.page.set.Loss(share)
	}
}

func (h *pageHandset) hangUp() {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	delete(h.page.calls, h)
}
