package sim

import (
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	sessionTimeout = int64(3 * time.Second) // of a handshake, or of what is never acknowledged
	maxBacklog     = int64(2 * time.Second) // of a processor; what comes then is lost, as in a full socket

	// What a client that attaches takes of a supernode's processor in all, as measured
	// (docs/benchmarks.md): handshake, upgrade, attachment, record. Then the shares of
	// it that other things take, with the kernel's work for them.
	measuredHandshake = int64(2 * time.Millisecond)

	commandShare = 100
	probeShare   = 400

	// helloQueue is how much of what waits for its handshake goes before other things: 64, as in
	// package node.
	helloQueue = 64 * measuredHandshake
)

// travel is how long a packet takes; ok is false when there is no way. What a
// session sends comes again until it arrives.
func (w *world) travel(a, b *node, again bool) (d int64, ok bool) {
	if w.cut != nil && w.cut(a, b) {
		return 0, false
	}
	d = w.distance(a, b)
	d += int64(w.rand.Uint32() & 0x1fffff) // up to 2 ms of jitter
	for rto := 3 * d; w.o.Loss > 0 && w.rand.Float64() < w.o.Loss; rto *= 2 {
		if !again || rto > 100*d {
			return 0, false
		}
		d += rto
	}
	return d, true
}

// fly lets something raw travel.
func (w *world) fly(k kind, from, to *node, msg message.Message) {
	d, ok := w.travel(from, to, k == ended)
	if !ok || !to.up() {
		return
	}
	e := w.queue.make(k, w.now+d, to.index)
	e.life, e.peer, e.msg, e.extra, e.legs = to.life, from.index, msg, w.now, w.leg()
	w.queue.push(e)
}

// leg counts one more journey after those that led to what happens now.
func (w *world) leg() uint8 { return min(w.legs, 200) + 1 }

func (w *world) probe(n *node, addr netip.AddrPort) {
	if peer := w.located(addr); peer != nil {
		w.sized(n, peer, probeMessage, false)
		w.fly(probe, n, peer, probeMessage)
	}
}

var probeMessage = &message.Probe{}

// open makes a session: a handshake there and back.
func (w *world) open(n, peer *node) {
	to := peer.index
	if life, ok := n.sessions.get(to); ok && peer.up() && peer.life == life {
		n.machine.Up(w.time(), peer.id, peer.addr)
		return
	}
	if n.isOpening(to) >= 0 {
		return
	}
	n.opening = append(n.opening, opening{peer: to, since: w.now})
	e := w.queue.make(timeout, w.now+sessionTimeout, n.index)
	e.life, e.peer, e.extra = n.life, to, -w.now
	w.queue.push(e)
	w.bytes(n, peer, helloBytes)
	w.fly(hello, n, peer, nil)
}

func (n *node) isOpening(to uint32) int {
	return slices.IndexFunc(n.opening, func(o opening) bool { return o.peer == to })
}

// send sends a command, if there is such a peer.
func (w *world) send(n, peer *node, out outgoing) {
	if peer == nil {
		return
	}
	if w.lie != nil && n.liar {
		if out.msg = w.lie(n, out.msg); out.msg == nil {
			return
		}
	}
	if peer == n {
		w.deliverTo(n, n, out, w.now)
		return
	}
	index := peer.index
	life, ok := n.sessions.get(index)
	if !ok {
		w.open(n, peer)
		if i := n.isOpening(index); i >= 0 && len(n.opening[i].wait) < maxQueue {
			out.legs = w.legs
			n.opening[i].wait = append(n.opening[i].wait, out)
		}
		return
	}
	w.sized(n, peer, out.msg, out.reply)
	d, way := w.travel(n, peer, true)
	if !way || !peer.up() || peer.life != life {
		e := w.queue.make(timeout, w.now+sessionTimeout, n.index)
		e.life, e.peer, e.extra = n.life, index, int64(life)
		w.queue.push(e)
		return
	}
	w.deliverTo(n, peer, out, w.now+d)
}

func (w *world) deliverTo(from, to *node, out outgoing, at int64) {
	if w.o.Wire {
		b := message.Append(nil, message.Command{ID: out.id, Body: out.msg})
		c, rest, err := message.Parse(b, message.Session)
		if err != nil || len(rest) > 0 {
			w.fail("%T does not survive the wire: %v", out.msg, err)
		}
		out.msg = c.Body
	}
	e := w.queue.make(arrive, at, to.index)
	e.life, e.peer, e.msg, e.reply, e.part, e.id, e.extra = to.life, from.index, out.msg, out.reply, out.part, out.id, int64(out.token)
	if e.legs = w.legs; from != to {
		e.legs = w.leg()
	}
	w.queue.push(e)
}

// patience is what an alarm counts for the round trips of a lookup: whoever asks
// somebody else because no answer came has lost one.
const patience = 2

// ring is a node's alarm.
func (w *world) ring(n *node) {
	w.legs = patience
	w.tick(n)
	w.pump(n)
}

// handle lets an event happen, and says to which node.
func (w *world) handle(e *event) *node {
	defer w.queue.done(e)
	if e.kind == script {
		e.do()
		return nil
	}
	n := w.nodes[e.node]
	if n.up() && n.life == e.life && (n.processor == 0 || w.work(n, e)) {
		w.happen(n, e)
	}
	return n
}

func (w *world) happen(n *node, e *event) {
	w.legs = e.legs
	now, peer := w.time(), w.nodes[e.peer]
	switch e.kind {
	case arrive:
		w.received(n, peer, e)
	case hello:
		n.sessions.set(e.peer, peer.life)
		n.machine.Up(now, peer.id, peer.addr)
		w.bytes(n, peer, helloBytes)
		w.fly(welcome, n, peer, nil)
	case welcome:
		i := n.isOpening(e.peer)
		if i < 0 {
			return // too late
		}
		waiting := n.opening[i].wait
		n.opening = slices.Delete(n.opening, i, i+1)
		n.sessions.set(e.peer, peer.life)
		n.machine.Up(now, peer.id, peer.addr)
		for _, out := range waiting {
			w.legs = max(e.legs, out.legs+2)
			w.send(n, peer, out)
		}
	case timeout:
		if i := n.isOpening(e.peer); e.extra <= 0 && i >= 0 && n.opening[i].since == -e.extra {
			n.opening = slices.Delete(n.opening, i, i+1)
			n.machine.Down(now, peer.id)
		} else if life, ok := n.sessions.get(e.peer); e.extra > 0 && ok && int64(life) == e.extra {
			n.sessions.remove(e.peer)
			n.machine.Down(now, peer.id)
		}
	case ended:
		if n.sessions.remove(e.peer) {
			n.machine.Down(now, peer.id)
		}
	case probe, dialled:
		sent := e.extra
		if answer := n.machine.Raw(now, peer.addr, e.msg); answer != nil && e.kind == probe && peer.up() {
			w.sized(n, peer, answer, true)
			if d, ok := w.travel(n, peer, false); ok {
				back := w.queue.make(probed, w.now+d, peer.index)
				back.life, back.peer, back.msg, back.extra = peer.life, n.index, answer, sent
				w.queue.push(back)
			}
		}
	case probed:
		n.machine.Probed(now, overlay.Probe{Addr: peer.addr}, time.Duration(w.now-e.extra), e.msg)
	}
	w.pump(n)
}

func (w *world) received(n, from *node, e *event) {
	now := w.time()
	if !e.reply {
		if !n.machine.Received(now, from.id, e.id, e.msg) && n.member != nil {
			n.member.Received(now, from.id, e.id, e.msg)
		}
		return
	}
	i := slices.IndexFunc(n.asked, func(a asked) bool { return a.id == e.id && a.peer == from.index })
	if i < 0 {
		return
	}
	a := n.asked[i]
	n.asked[i] = n.asked[len(n.asked)-1]
	n.asked = n.asked[:len(n.asked)-1]
	switch {
	case a.part == ofOverlay:
		n.machine.Replied(now, a.token, from.id, e.msg)
	case a.part == ofClient && n.client != nil:
		n.client.Replied(now, a.token, from.id, e.msg)
	case a.part == ofMember && n.member != nil:
		n.member.Replied(now, a.token, from.id, e.msg)
	}
}

// work says whether a supernode gets to an event now; if its processor is busy
// the event comes again, or is lost. Handshakes wait until all else is done, in a queue of
// their own that holds up the rest only so far; without shedding they do not.
func (w *world) work(n *node, e *event) bool {
	if e.queued {
		return true // its work was counted
	}
	handshake := n.processor
	if w.nodes[e.peer].serves() {
		handshake = measuredHandshake
	}
	cost := handshake / commandShare
	switch e.kind {
	case hello:
		cost = handshake
	case probe, dialled:
		cost = handshake / probeShare
	case timeout, ended, welcome:
		cost = 0
	}
	n.busy, n.ahead = max(n.busy, w.now), max(n.ahead, w.now)
	yields := e.kind == hello && !w.o.Naive
	from := n.ahead
	if yields {
		from = n.busy
	}
	if from-w.now > maxBacklog {
		w.dropped++
		return false
	}
	n.busy += cost
	n.used += cost
	at := n.busy
	if !yields {
		n.ahead += cost
		at = n.ahead + min(n.busy-n.ahead, helloQueue)
	}
	if at-w.now < int64(time.Millisecond) {
		return true
	}
	again := w.queue.make(e.kind, at, e.node)
	*again = *e
	again.at, again.queued = at, true
	w.queue.push(again)
	return false
}
