package node

import (
	"time"

	"github.com/linnet-p2p/linnet/media"
)

// maxShots pieces wait for a phone: a second of video at the highest rate.
const maxShots = 512

// film is the camera of a page in one call.
type film struct {
	shots  []shot
	begun  bool
	source uint32 // SSRC of the camera
	shift  uint32 // added to its timestamps, so that those of several connections follow one another
	last   uint32
	at     time.Time
	blind  bool // what is seen needs a key picture
}

// push takes a piece.
func (f *film) push(now time.Time, p media.Piece, lost bool) {
	if p.SSRC != f.source && f.begun {
		f.shift = f.last + uint32(max(1, now.Sub(f.at)/time.Millisecond)*media.VideoClock/1000) - p.Timestamp
	}
	f.begun, f.source = true, p.SSRC
	p.Timestamp += f.shift
	f.last, f.at = p.Timestamp, now
	if len(f.shots) == maxShots {
		f.shots, lost = nil, true
	}
	f.shots = append(f.shots, shot{p, lost})
}

// shot takes what the camera sees.
func (p *page) shot(piece media.Piece, lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := range p.calls {
		if h.live {
			h.film.push(time.Now(), piece, lost)
			h.wake()
		}
	}
}

// wantKey says that the page cannot show what came.
func (p *page) wantKey() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for h := range p.calls {
		if h.live {
			h.film.blind = true
			h.wake()
		}
	}
}

func (h *pageHandset) see(now time.Time, pieces []media.Piece) {
	if len(pieces) == 0 {
		return
	}
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set == nil {
		return
	}
	for _, p := range pieces {
		h.page.set.See(now, p)
	}
}

// shoot ends never: whether there is a page is the handset's business.
func (h *pageHandset) shoot(time.Time) ([]shot, error) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	shots := h.film.shots
	h.film.shots = nil
	return shots, nil
}

func (h *pageHandset) rate(bits int) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set != nil {
		h.page.set.Rate(bits)
	}
}

func (h *pageHandset) key(now time.Time) {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	if h.page.set != nil {
		h.page.set.KeyPicture(now)
	}
}

func (h *pageHandset) wantsKey() bool {
	h.page.mu.Lock()
	defer h.page.mu.Unlock()
	blind := h.film.blind
	h.film.blind = false
	return blind
}

func (*pageHandset) due() time.Time { return time.Time{} }
func (*pageHandset) close()         {}
