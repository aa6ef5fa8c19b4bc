package overlay

import (
	"fmt"
	"iter"
	"math"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A node that lacks supernodes seeks them in rounds. In each it climbs the ladder (climb):
// hosts of the cache are asked whether they take clients, a few at a time, and by
// every rung whose turn it is; those that say yes are connected to.
const (
	probeSpare  = 1 // hosts asked at once, besides what is missing
	probePause  = 300 * time.Millisecond
	probeWait   = time.Second
	probeMax    = 30 // hosts asked by UDP in one round
	streamWait  = 5 * time.Second
	streamMax   = 6 // hosts asked by each of the other rungs
	refusedMost = 6 // probes in one round: a network that is full is asked again later
	retryFirst  = time.Second
	retryMost   = time.Minute            // where nobody answers: 30 probes
	retryBusy   = 30 * time.Second       // where supernodes answer that they are full: it costs them little
	seekPause   = 500 * time.Millisecond // after a loss: the others that lost the same one seek, too
)

// seek begins a round of attaching if one is wanted.
func (m *Machine) seek(now time.Time) {
	a := &m.attach
	if a.seeking || a.missing() <= 0 || m.serving() || m.leaving {
		return
	}
	a.seeking, a.climb, a.refused, a.ready = true, newClimb(now, a.rung), 0, nil
	a.round++
	a.probes = nil
	m.step(now)
}

// step goes on with the round: whatever changed, it looks at what is missing.
func (m *Machine) step(now time.Time) {
	a := &m.attach
	if !a.seeking {
		return
	}
	for a.missing() > 0 && len(a.ready) > 0 {
		w := a.ready[0]
		a.ready = a.ready[1:]
		m.connect(now, w)
	}
	if a.missing() <= 0 {
		if !slices.ContainsFunc(a.links, func(l *link) bool { return l.state != attached }) {
			a.seeking, a.climb, a.short, a.series = false, nil, 0, 0
			a.tidy()
		}
		return
	}
	if m.climb(now) || a.underWay() {
		return // step is called again
	}
	m.retry(now)
}

// climb asks the next hosts by the rungs whose turn it is, and says whether that
// goes on in a moment.
func (m *Machine) climb(now time.Time) (more bool) {
	a := &m.attach
	if a.refused >= refusedMost && !m.o.Naive {
		return false
	}
	for r := linnet.RungUDP; r < linnet.NumRungs && r <= a.climb.heard; r++ {
		begins := a.climb.begins(&m.o.Ladder, r)
		if now.Before(begins) {
			if m.anyHost(r) {
				m.after(now, begins.Sub(now), m.step)
				return true
			}
			continue
		}
		if m.o.Ladder.Turns && r+1 < linnet.NumRungs && !now.Before(a.climb.begins(&m.o.Ladder, r+1)) {
			continue // its time is over
		}
		if now.Before(a.climb.next[r]) || m.probe(now, r) {
			more = true // step is called again at climb.next
		}
	}
	return more
}

// probe asks the next few hosts by a rung, if there are any.
func (m *Machine) probe(now time.Time, r linnet.Rung) (asked bool) {
	a := &m.attach
	round := a.round
	for range min(a.missing()+probeSpare, m.o.Ladder.most(r)-a.climb.tried[r]) { // each that says yes keeps a place for this node
		h := m.candidate(now, r)
		if h == nil {
			break
		}
		asked = true
		h.mark(round, linnet.RungsOf(r))
		a.climb.tried[r]++
		p := m.probeOf(h, r)
		a.probes = append(a.probes, probing{p, h})
		m.emit(p)
		m.after(now, a.climb.wait(&m.o.Ladder, r, now), func(now time.Time) {
			if a.round == round && a.asked(p) == h {
				a.probed(p)
				if r == linnet.RungUDP {
					h.failed()
				}
				m.step(now)
			}
		})
	}
	if asked {
		a.climb.next[r] = now.Add(probePause)
		m.after(now, probePause, m.step)
	}
	return asked
}

// probeOf is how a host is asked by a rung.
func (m *Machine) probeOf(h *cachedHost, r linnet.Rung) Probe {
	addrs := m.reachable(h.Addrs)
	at := addrs[int(h.failures)%len(addrs)] // the others have their turn
	p := Probe{Rung: r, Addr: netip.AddrPortFrom(at.Addr(), r.Port(at.Port()))}
	if r == linnet.RungPort443 {
		p.Name = h.Name
	}
	return p
}

// reachable are those of a host's addresses that this node can send to.
func (m *Machine) reachable(addrs []netip.AddrPort) []netip.AddrPort {
	if m.o.Reach == nil {
		return addrs
	}
	var good []netip.AddrPort
	for _, a := range addrs {
		if m.o.Reach(a.Addr()) {
			good = append(good, a)
		}
	}
	return good
}

// AddrOf is where this node reaches a host: at the first of its addresses that is
// of a family that this node has. Zero if there is none.
func (m *Machine) AddrOf(h Host) netip.AddrPort {
	for _, a := range h.Addrs {
		if m.o.Reach == nil || m.o.Reach(a.Addr()) {
			return a
		}
	}
	return netip.AddrPort{}
}

// Probed tells the answer to a Probe: ProbeAccepted means that the supernode
// takes clients, ProbeRefused that it does not and may name others; nil is none.
func (m *Machine) Probed(now time.Time, p Probe, rtt time.Duration, answer message.Message) {
	a := &m.attach
	if l := a.better[p]; l != nil && answer != nil {
		delete(a.better, p)
		m.emit(Better{l.host.Node, p})
	}
	h := a.asked(p)
	if h == nil {
		return
	}
	a.probed(p)
	if answer != nil {
		m.heard(p.Rung)
	}
	h.rtt = uint32(max(1, min(rtt.Microseconds(), math.MaxUint32)))
	switch answer := answer.(type) {
	case *message.ProbeAccepted:
		a.ready = append(a.ready, way{h, p})
	case *message.ProbeRefused:
		a.refused++
		m.redirected(now, answer.Entries[:min(len(answer.Entries), namedToProber)])
	}
	m.step(now)
}

// heard gives up what was asked by higher rungs than one that holds.
func (m *Machine) heard(r linnet.Rung) {
	a := &m.attach
	if a.climb != nil { // else it came after the round
		a.climb.answered(r)
	}
	if !m.o.Ladder.Turns {
		a.probes = slices.DeleteFunc(a.probes, func(p probing) bool { return p.Rung > r })
	}
}

// redirected prefers the supernodes that one without room named.
func (m *Machine) redirected(now time.Time, entries [][]byte) {
	for _, b := range entries[:min(len(entries), maxEntries)] {
		e, err := m.o.Trust.OpenEntry(b, now)
		if err != nil {
			return
		}
		if e.Serves() {
			m.learnHost(now, e.host)
			if h := m.hosts.get(e.Node); h != nil {
				h.named = m.attach.round
			}
		}
	}
}

// candidate is the best host to ask by a rung that is not asked yet. A little chance
// keeps a crowd of clients from all choosing the same one, and another network
// than that of the first attachment is worth a detour.
func (m *Machine) candidate(now time.Time, r linnet.Rung) *cachedHost {
	var best *cachedHost
	var bestScore float64
	for h := range m.untried(r) {
		if m.attach.asked(m.probeOf(h, r)) != nil {
			continue
		}
		score := h.score(now) + 20*m.o.Rand.Float64()
		if h.named == m.attach.round {
			score += redirection
		}
		for _, l := range m.attach.links {
			if widely(h.Addrs[0].Addr()).Contains(l.host.Addrs[0].Addr()) {
				score -= 30
			}
		}
		if best == nil || score > bestScore {
			best, bestScore = h, score
		}
	}
	return best
}

// untried are the hosts that are in no link, can be sent to, and were not asked by a
// rung in this round.
func (m *Machine) untried(r linnet.Rung) iter.Seq[*cachedHost] {
	round := m.attach.round
	fits := func(h *cachedHost) bool { // what is quick to say comes first
		return (h.round < round || h.round == round && !h.tried.Has(r)) && h.listens(r) && m.attach.find(h.Node) == nil && m.AddrOf(*h.Host).IsValid()
	}
	return func(yield func(*cachedHost) bool) {
		for _, h := range m.hosts.hosts {
			if fits(h) && !yield(h) {
				return
			}
		}
		for _, h := range m.bootstrap {
			if fits(h) && m.hosts.get(h.Node) == nil && !yield(h) {
				return
			}
		}
	}
}

func (m *Machine) anyHost(r linnet.Rung) bool {
	for range m.untried(r) {
		return true
	}
	return false
}

// redirection is what it counts that a supernode without room named a host.
const redirection = 60

// seekSoon seeks after a moment, which is longer while another supernode serves.
func (m *Machine) seekSoon(now time.Time) {
	if m.attach.planned {
		return
	}
	m.attach.planned = true
	m.after(now, time.Duration(m.o.Rand.Int64N(int64(seekPause))), func(now time.Time) {
		m.attach.planned = false
		m.seek(now)
	})
}

// retry ends a round that found too little. Within a series the next one begins
// after a pause, then after longer ones.
func (m *Machine) retry(now time.Time) {
	a := &m.attach
	a.seeking = false
	a.tidy()
	a.series++
	known := len(m.hosts.hosts) + len(m.bootstrap)
	last := a.series >= m.o.Ladder.Rounds || a.climb.any() || known == 0 || len(a.links) > 0
	wait := m.o.Ladder.Pause
	if last {
		most := retryMost
		if a.climb.heard == linnet.RungUDP {
			most = retryBusy
		}
		wait = m.jitter(min(retryFirst<<min(a.short, 10), most))
		a.series = 0
		a.short++
	}
	if m.o.Naive {
		wait = 0
	}
	round := a.round
	m.after(now, wait, func(now time.Time) {
		if a.round == round {
			m.seek(now)
		}
	})
	if last && len(a.links) == 0 {
		err := ErrNoHosts
		if known > 0 {
			err = fmt.Errorf("%d supernodes are known, %s: %w", known, a.climb.summary(), ErrNoHost)
		}
		m.emit(Offline{err, wait})
	}
	a.climb = nil
}
