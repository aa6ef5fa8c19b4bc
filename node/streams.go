package node

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
)

// streams is which TCP streams of the link are used by whom, as one of the loop's
// machines: it closes those that are of no use any more.
type streams struct {
	link     *link.Link
	sessions *session.Endpoint
	of       map[uint64]*use
	probed   map[overlay.Probe]uint64 // by which a probe was answered
	sweep    time.Time                // when to look; zero: there are none
}

// A use is whose session goes over a stream.
type use struct {
	node  linnet.NodeID // zero: nobody's yet
	since time.Time
}

const (
	streamSweep = 10 * time.Second
	streamGrace = 10 * time.Second // for a handshake over it, or a Goodbye
)

func newStreams(l *link.Link, e *session.Endpoint) streams {
	return streams{link: l, sessions: e, of: make(map[uint64]*use), probed: make(map[overlay.Probe]uint64)}
}

// add notes a stream on which a session with a node begins, or stands.
func (t *streams) add(now time.Time, stream uint64, node linnet.NodeID) {
	if u := t.of[stream]; u == nil || u.node != node {
		t.of[stream] = &use{node, now}
	}
	if t.sweep.IsZero() {
		t.sweep = now.Add(streamSweep)
	}
}

// up notes that a session stands on a stream, so that the link keeps it.
func (t *streams) up(now time.Time, stream uint64, node linnet.NodeID) {
	t.add(now, stream, node)
	t.link.Vouch(stream)
}

// answer keeps a stream by which a probe was answered, for the session that may follow.
func (t *streams) answer(now time.Time, p overlay.Probe, stream uint64) {
	if old, known := t.probed[p]; known {
		t.link.Close(old)
	}
	t.add(now, stream, linnet.NodeID{})
	t.probed[p] = stream
}

// answered takes it up again.
func (t *streams) answered(now time.Time, p overlay.Probe, node linnet.NodeID) (stream uint64, open bool) {
	stream, open = t.probed[p]
	if open {
		delete(t.probed, p)
		t.add(now, stream, node)
	}
	return stream, open
}

// closed forgets a stream, and says whose session it was.
func (t *streams) closed(stream uint64) (node linnet.NodeID) {
	if u := t.of[stream]; u != nil {
		node = u.node
	}
	delete(t.of, stream)
	for p, s := range t.probed {
		if s == stream {
			delete(t.probed, p)
		}
	}
	return node
}

// Deadline implements machine.
func (t *streams) Deadline() time.Time { return t.sweep }

// Tick implements machine.
func (t *streams) Tick(now time.Time) {
	if t.sweep.IsZero() || now.Before(t.sweep) {
		return
	}
	for stream, u := range t.of {
		if now.Sub(u.since) >= streamGrace && !t.used(stream, u.node) {
			t.link.Close(stream)
			t.closed(stream)
		}
	}
	t.sweep = time.Time{}
	if len(t.of) > 0 {
		t.sweep = now.Add(streamSweep)
	}
}

func (t *streams) used(stream uint64, node linnet.NodeID) bool {
	for _, p := range t.sessions.Paths(node) {
		if p.Path.Stream == stream {
			return true
		}
	}
	return false
}
