package session

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	helloStep  = 256  // a Hello's payload is padded to a multiple
	maxHello   = 1150 // bytes of a Noise message that fit a datagram
	listCost   = 48   // what the list adds to certificate and commands
	maxShadows = 1024 // answered Hellos that Send does not use
	maxSeen    = 1 << 17
	hashSize   = 16
)

// dial is what an initiator keeps until the reply comes.
type dial struct {
	hello   *message.Hello
	finish  func(reply []byte) ([]byte, *suite.Traffic, error)
	early   [][]byte // commands that ride in the Hello
	via     []Path
	began   instant
	resend  instant // of the Hello on forwarded paths
	resends int
	lost    [hashSize]byte // the peer's Hello that lost against ours
	met     bool           // there is one
	rival   *session       // answered since: it counts if the peer says something in it first
}

// half is what a responder keeps until the first packet comes.
type half struct {
	reply  *message.HelloReply
	hash   [hashSize]byte
	time   uint64 // of the Hello
	held   []byte // its commands, if they have to wait
	shadow bool   // Send does not use it: not fresh, or we dial ourselves
	began  instant
	budget int // bytes that may still be sent to an address that proved nothing
}

// Dial makes sure of a session with a peer, and sends it the first commands. If
// there is one that was heard of lately and owes no answer, they go there. Else they
// ride in the Hello as far as they fit and are one-way, which makes them replayable:
// they must be idempotent. Dial during dialing sends the same Hello by one more path.
func (e *Endpoint) Dial(now time.Time, peer Peer, via Path, first ...message.Message) error {
	e.at(now)
	s := e.peers[peer.Node]
	if peer.Node == e.o.Node {
		return ErrUnreachable
	}
	if s == nil || s.state == up && (e.now.since(s.heard) >= redialAfter+s.keepAlive ||
		s.silence != 0 && e.now.since(s.silence) >= max(stalledAfter, trustedRTOs*s.rto())) {
		return e.hello(peer, via, first)
	}
	if s.state == dialing && len(s.dial.via) < MaxPaths && !slices.Contains(s.dial.via, via) {
		s.dial.via = append(s.dial.via, via)
		e.emit(SendHello{To: s.peer, Via: via, Message: s.dial.hello})
		e.redial(s)
	}
	for _, m := range first {
		if err := e.enqueue(s, encode(m, 0)); err != nil {
			return err
		}
	}
	return nil
}

// hello begins a session.
func (e *Endpoint) hello(peer Peer, via Path, first []message.Message) error {
	s := &session{
		peer: peer.Node, agreement: bytes.Clone(peer.Agreement), certificate: peer.Certificate,
		state: dialing, dialled: true, index: -1, heard: e.now,
		older: e.peers[peer.Node],
		dial:  &dial{via: []Path{via}, began: e.now},
	}
	limit := maxHello
	if via.Kind == forwarded {
		limit = maxForward
	}
	limit -= e.o.Suite.HelloOverhead()
	room := limit - listCost - len(e.o.Certificate)
	payload := message.HelloPayload{Certificate: e.o.Certificate, Time: uint64(e.time().UnixMilli())}
	var rest [][]byte
	for _, m := range first {
		b := encode(m, 0)
		if message.SpecOf(m).Kind == message.OneWay && len(rest) == 0 && len(payload.Commands)+len(b) <= room {
			payload.Commands = append(payload.Commands, b...)
			s.dial.early = append(s.dial.early, b)
		} else {
			rest = append(rest, b)
		}
	}
	payload.Tag = e.newTag(s)
	s.keys.own = payload.Tag
	size := len(message.Marshal(&payload)) + 6 // and the padding's own head
	padded := min((size+helloStep-1)/helloStep*helloStep, limit)
	payload.Padding = make([]byte, max(0, padded-size))
	msg, finish, err := e.o.Suite.Initiate(suite.Binding{Network: e.o.Network, Responder: s.peer}, e.o.Keys, s.agreement, message.Marshal(&payload))
	if err != nil {
		delete(e.tags, payload.Tag)
		return err
	}
	s.dial.hello, s.dial.finish = &message.Hello{Noise: msg}, finish
	e.peers[s.peer] = s
	e.emit(SendHello{To: s.peer, Via: via, Message: s.dial.hello})
	e.redial(s)
	for _, b := range rest {
		if err := e.enqueue(s, b); err != nil {
			return err
		}
	}
	return nil
}

// redial sets the time to repeat the Hello on forwarded paths.
func (e *Endpoint) redial(s *session) {
	if d := s.dial; d.resend == 0 && d.via[len(d.via)-1].Kind == forwarded {
		d.resend = e.now.add(time.Second)
	}
	e.touch(s)
}

func (e *Endpoint) repeatHello(s *session) {
	d := s.dial
	for _, via := range d.via {
		if via.Kind == forwarded {
			e.emit(SendHello{To: s.peer, Via: via, Message: d.hello})
		}
	}
	d.resend = 0
	if d.resends++; d.resends < 5 {
		d.resend = e.now.add(time.Second << d.resends)
	}
}

// Abort ends dialing: the carrier of the Hello has given up.
func (e *Endpoint) Abort(now time.Time, to linnet.NodeID, err error) {
	e.at(now)
	if s := e.peers[to]; s != nil && s.state == dialing {
		e.giveUp(s, err)
	}
}

// HelloReply takes the answer to a Hello.
func (e *Endpoint) HelloReply(now time.Time, via Path, from linnet.NodeID, m *message.HelloReply) {
	e.at(now)
	s := e.peers[from]
	if s == nil || s.state != dialing {
		return
	}
	body, traffic, err := s.dial.finish(m.Noise)
	if err != nil {
		return // forged: the true one may still come
	}
	var payload message.HelloReplyPayload
	if message.Unmarshal(body, &payload) != nil || !isTag(payload.Tag) {
		e.giveUp(s, ErrUnreachable)
		return
	}
	s.keys.Traffic, s.keys.peer = *traffic, payload.Tag
	began := s.dial.began
	if s.dial.met { // what it says follows in our session
		e.seen.add(e.now, s.dial.lost)
	}
	if s.dial.rival != nil {
		e.remove(s.dial.rival)
	}
	s.dial = nil
	s.paths = []path{{Path: via, rank: 1, since: e.now, heard: e.now}}
	e.established(s, e.now.since(began))
	e.startUpgrade(s)
	e.early(s, payload.Commands, false)
}

// Hello takes the first message of somebody who dials us. via is the way back,
// id what the answer has to carry.
func (e *Endpoint) Hello(now time.Time, via Path, id uint16, m *message.Hello) {
	e.at(now)
	if len(m.Noise) > maxHello+helloStep {
		return
	}
	sum := sha256.Sum256(m.Noise)
	hash := [hashSize]byte(sum[:])
	if s := e.halves[hash]; s != nil {
		e.emit(SendHello{To: s.peer, Via: via, ReplyTo: id, Message: s.half.reply})
		return
	}
	if e.seen.has(hash) {
		return
	}
	body, agreement, reply, err := e.o.Suite.Respond(suite.Binding{Network: e.o.Network, Responder: e.o.Node}, e.o.Keys, m.Noise)
	if err != nil {
		return
	}
	var p message.HelloPayload
	if message.Unmarshal(body, &p) != nil || !isTag(p.Tag) {
		return
	}
	c, err := e.o.OpenCertificate(bytes.Clone(p.Certificate), now) // what it keeps must not keep the whole Hello
	if err != nil || !bytes.Equal(c.Agreement, agreement) {
		return
	}
	peer := c.NodeID()
	if peer == e.o.Node {
		return
	}
	head := e.peers[peer]
	glare := head != nil && head.state == dialing && bytes.Compare(e.o.Node[:], peer[:]) < 0
	if glare && e.now.since(head.dial.began) < glareFor {
		head.dial.lost, head.dial.met = hash, true
		return // ours counts
	}
	fresh := now.Sub(time.UnixMilli(int64(p.Time))).Abs() <= helloFresh && e.seen.add(e.now, hash)
	if head != nil && head.state == answered && head.half.time >= p.Time {
		fresh = false // the newest one counts
	}
	shadow := glare || !fresh
	if shadow && e.shadows >= maxShadows {
		return
	}

	s := &session{
		peer: peer, agreement: bytes.Clone(agreement), certificate: c,
		state: answered, index: -1, heard: e.now,
		paths: []path{{Path: via, rank: 1, since: e.now}},
	}
	tag := e.newTag(s)
	msg, traffic, err := reply(message.Marshal(&message.HelloReplyPayload{Tag: tag}))
	if err != nil || len(msg) > len(m.Noise) {
		delete(e.tags, tag)
		return
	}
	s.keys = epoch{Traffic: *traffic, own: tag, peer: p.Tag}
	s.half = &half{
		reply: &message.HelloReply{Noise: msg}, hash: hash, time: p.Time,
		shadow: shadow, began: e.now, budget: len(m.Noise) - len(msg),
	}
	e.halves[hash] = s
	e.emit(SendHello{To: peer, Via: via, ReplyTo: id, Message: s.half.reply})
	e.touch(s)
	if shadow {
		e.shadows++
		s.half.held = p.Commands
		if glare {
			if head.dial.rival != nil {
				e.remove(head.dial.rival)
			}
			head.dial.rival = s
		}
		return
	}

	e.peers[peer] = s
	if head != nil {
		switch head.state {
		case dialing: // both dialed: theirs counts, ours follows inside it
			for i := len(head.dial.early) - 1; i >= 0; i-- {
				f := head.flowing(e.now)
				f.queue = append([]outgoing{{command: head.dial.early[i]}}, f.queue...)
				f.queued += len(head.dial.early[i])
			}
			fallthrough
		case answered:
			s.older = head.older
			e.absorb(s, head)
			e.remove(head)
		default:
			s.older = head
		}
	}
	if e.o.Early != nil && !e.o.Early(c) {
		s.half.held = p.Commands
		return
	}
	e.early(s, p.Commands, true)
}

// early hands out the commands of a Hello.
func (e *Endpoint) early(s *session, commands []byte, early bool) {
	for len(commands) > 0 {
		c, rest, err := message.Parse(commands, message.Session)
		commands = rest
		if err == nil && message.SpecOf(c.Body).Kind == message.OneWay && !internal(c.Body) {
			e.emit(Received{From: s.peer, Message: c.Body, Early: early})
		}
	}
}

// internal says that a command is the session's own.
func internal(m message.Message) bool {
	switch m.(type) {
	case *message.Upgrade1, *message.Upgrade2, *message.Upgrade3, *message.Goodbye:
		return true
	}
	return false
}

// confirm is called for the first packet under the keys of an answered Hello.
func (e *Endpoint) confirm(s *session) {
	h := s.half
	head := e.peers[s.peer]
	if head == s {
		e.peers[s.peer] = s.older
		s.older = nil
		head = e.peers[s.peer]
	}
	for head != nil { // whatever else there is gives way
		next := head.older
		switch head.state {
		case dialing, answered:
			e.absorb(s, head)
			e.remove(head)
		case up:
			e.finish(head, ErrReplaced)
		}
		head = next
	}
	e.peers[s.peer] = s
	delete(e.halves, h.hash)
	if h.shadow {
		e.shadows--
	}
	s.half = nil
	e.established(s, e.now.since(h.began))
	e.early(s, h.held, false)
}

// established makes a session up on its first path.
func (e *Endpoint) established(s *session, rtt time.Duration) {
	if old := s.older; old != nil {
		s.older = nil
		e.finish(old, ErrReplaced)
		e.peers[s.peer] = s
	}
	s.state, s.heard = up, e.now
	s.rekey = e.now.add(rekeyAfter)
	e.emit(Up{Peer: s.peer, Certificate: s.certificate, Dialled: s.dialled})
	if e.o.ForgetCertificates {
		s.certificate = nil
	}
	e.emit(Bind{s.peer, s.keys.own})
	e.pathUp(s, s.main(), min(rtt, maxRTO))
	e.emit(Moved{s.peer, s.routes()})
	e.touch(s)
}

// giveUp ends a session that never was up. What it was to send goes by the
// older one, if there is one.
func (e *Endpoint) giveUp(s *session, err error) {
	old := s.older
	if e.peers[s.peer] != s { // a shadow
		e.remove(s)
		return
	}
	if old != nil {
		s.older = nil
		if s.dial != nil {
			for _, b := range s.dial.early {
				e.enqueue(old, b)
			}
		}
		e.absorb(old, s)
		e.remove(s)
		e.peers[old.peer] = old
		return
	}
	e.finish(s, err)
}

// seen remembers Hellos for as long as their time may be fresh, in two
// generations.
type seen struct {
	young, old map[[hashSize]byte]struct{}
	turned     instant
}

func (s *seen) has(hash [hashSize]byte) bool {
	_, young := s.young[hash]
	_, old := s.old[hash]
	return young || old
}

// add says false if there is no room: then the Hello does not count as fresh.
func (s *seen) add(now instant, hash [hashSize]byte) bool {
	if age := now.since(s.turned); age >= 2*helloFresh || s.young == nil {
		s.old, s.young = s.young, make(map[[hashSize]byte]struct{})
		if age >= 4*helloFresh {
			s.old = nil
		}
		s.turned = now
	}
	if len(s.young) >= maxSeen {
		return false
	}
	s.young[hash] = struct{}{}
	return true
}
