package traverse

import (
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

// Promises are the late answers that a supernode owes its clients. Each goes to where its
// question came from, as the answer at once would, and is no longer. The zero value owes nothing.
type Promises struct {
	owed []Promise // the next one first
	of   map[linnet.NodeID]int
}

const (
	// MaxPause is the latest that a supernode answers.
	MaxPause = 180 * time.Second

	maxPromises       = 1 << 13
	maxPromisesToPeer = 4 * LifetimeSockets // of one that was restarted meanwhile
)

// A Promise is one of them.
type Promise struct {
	Peer  linnet.NodeID
	Path  session.Path
	Token uint64
	At    time.Time
}

// Add says whether a question will be answered so late. If not, it has to be at once.
func (p *Promises) Add(now time.Time, peer linnet.NodeID, path session.Path, token uint64, after time.Duration) bool {
	if after > MaxPause || len(p.owed) >= maxPromises || p.of[peer] >= maxPromisesToPeer {
		return false
	}
	if p.of == nil {
		p.of = make(map[linnet.NodeID]int)
	}
	p.of[peer]++
	x := Promise{peer, path, token, now.Add(after)}
	i, _ := slices.BinarySearchFunc(p.owed, x, func(a, b Promise) int { return a.At.Compare(b.At) })
	p.owed = slices.Insert(p.owed, i, x)
	return true
}

// Tick is there for Deadline's sake: Take does all.
func (p *Promises) Tick(time.Time) {}

// Deadline is when the next answer is due; zero: none is.
func (p *Promises) Deadline() time.Time {
	if len(p.owed) == 0 {
		return time.Time{}
	}
	return p.owed[0].At
}

// Take hands over the answers that are due.
func (p *Promises) Take(now time.Time) (due []Promise) {
	n := 0
	for n < len(p.owed) && !p.owed[n].At.After(now) {
		x := p.owed[n]
		if p.of[x.Peer]--; p.of[x.Peer] == 0 {
			delete(p.of, x.Peer)
		}
		n++
	}
	if n > 0 {
		due = slices.Clone(p.owed[:n])
		p.owed = slices.Delete(p.owed, 0, n)
	}
	return due
}
