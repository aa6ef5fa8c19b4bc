package link

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	maxAnswers     = 16 << 10
	maxAnswerBytes = 8 << 20
	rememberFor    = time.Minute // longer than a command is resent
)

// ErrForgotten says that a request is too old to be answered.
var ErrForgotten = errors.New("the request is no longer remembered")

// received is how the latest copy of a command came in.
type received struct {
	frame    uint16
	sum      uint32     // of the plain datagram: the same id with another is another command
	self     netip.Addr // our address to which it was sent
	credit   int        // bytes that may go back to an address that did not prove itself
	nackable bool
}

// remembered is a command that was handed over, and our reply once there is one.
type remembered struct {
	received
	plain []byte
	until time.Time
}

// answers remembers what was asked and answered, so that a resent request
// costs no second run.
type answers struct {
	byKey *lru[answerKey, remembered]
	bytes int // of plain
}

type answerKey struct {
	from   netip.AddrPort
	id     uint16 // of the request, or of a one-way command's frame
	oneWay bool
}

func newAnswers() *answers { return &answers{byKey: newLRU[answerKey, remembered](maxAnswers)} }

// arrived takes note of a command. If it is known, again is true.
func (a *answers) arrived(key answerKey, r received, now time.Time) (m *remembered, again bool) {
	if m := a.byKey.get(key); m != nil {
		if now.Before(m.until) && m.sum == r.sum {
			m.received = r
			return m, true
		}
		a.bytes -= len(m.plain)
		*m = remembered{received: r, until: now.Add(rememberFor)}
		return m, false
	}
	if len(a.byKey.elems) >= a.byKey.max {
		a.removeOldest()
	}
	m = a.byKey.add(key)
	*m = remembered{received: r, until: now.Add(rememberFor)}
	return m, false
}

// reply adds the answer; the oldest ones give room.
func (a *answers) reply(m *remembered, plain []byte) {
	a.bytes += len(plain) - len(m.plain)
	m.plain = plain
	for a.bytes > maxAnswerBytes && a.removeOldest() {
	}
}

func (a *answers) removeOldest() bool {
	m := a.byKey.removeOldest()
	if m == nil {
		return false
	}
	a.bytes -= len(m.plain)
	return true
}

// expire forgets what is past its time, the longest unused first. It may be
// megabytes, and on a link where only sessions speak nothing else would.
func (a *answers) expire(now time.Time) {
	for o := a.byKey.oldest; o != nil && now.After(o.value.until); o = a.byKey.oldest {
		a.removeOldest()
	}
}

// request hands a request to the handler, or answers it from memory.
func (l *Link) request(from Origin, c message.Command, r received) {
	l.mu.Lock()
	m, again := l.answers.arrived(answerKey{from: from.Addr, id: c.ID}, r, time.Now())
	var send func() error
	if again && m.plain != nil {
		send = l.answer(from.Addr, m)
	}
	l.mu.Unlock()
	switch {
	case !again:
		l.o.Handler.HandleCommand(from, c)
	case send != nil:
		if err := send(); err != nil {
			l.o.Log.Debug("repeat a reply", "to", from.Addr, "err", err)
		}
	default:
		l.count.drop(DropRepeated)
	}
}

// oneWay hands commands over and acknowledges them, unless replies do.
func (l *Link) oneWay(from Origin, commands []message.Command, r received, confirm bool) {
	l.mu.Lock()
	_, again := l.answers.arrived(answerKey{from: from.Addr, id: r.frame, oneWay: true}, r, time.Now())
	confirm = confirm && (r.credit >= nackSize(from.Addr.Addr()) || l.validated(from.Addr, time.Now()))
	l.mu.Unlock()
	if !again {
		for _, c := range commands {
			l.o.Handler.HandleCommand(from, c)
		}
	}
	if confirm { // it is as long as a nack
		l.write(from.Addr, frame.Frame{ID: r.frame, Type: frame.Confirm, Noise: noise(), IP: from.Addr.Addr(), Challenge: rand.Uint32()}, 0)
	}
}

// Reply answers the request that came from there with the id. Over UDP an
// address that did not prove itself gets a nack instead of more bytes than it
// sent; its resend brings the reply.
func (l *Link) Reply(to Origin, id uint16, m message.Message) error {
	spec := message.SpecOf(m)
	via := message.Raw
	if to.Stream != 0 {
		via = message.Stream
	}
	if spec == nil || spec.Kind != message.Reply || spec.Carriers&via == 0 {
		return fmt.Errorf("link: reply %T to %v: %w", m, to.Addr, ErrCarrier)
	}
	plain := message.Append(nil, message.Command{ID: id, Body: m})
	err := l.reply(to, id, plain)
	if err != nil {
		return fmt.Errorf("link: %s to %v: %w", spec.Name, to.Addr, err)
	}
	return nil
}

func (l *Link) reply(to Origin, id uint16, plain []byte) error {
	if to.Stream != 0 {
		s := l.stream(to.Stream)
		if s == nil {
			return ErrStream
		}
		return s.commands(plain)
	}
	if len(plain) > frame.MaxPayload {
		return ErrTooLong
	}
	l.mu.Lock()
	r := l.answers.byKey.get(answerKey{from: to.Addr, id: id})
	var send func() error
	if r != nil {
		l.answers.reply(r, plain)
		send = l.answer(to.Addr, r)
	}
	l.mu.Unlock()
	if r == nil {
		return ErrForgotten
	}
	return send()
}

// answer decides what may go back now: the reply, a nack or nothing. The
// credit is spent. l.mu is held, but not while what it returns is called.
func (l *Link) answer(to netip.AddrPort, m *remembered) func() error {
	credit := m.credit
	m.credit = 0
	switch {
	case sizeOf(m.plain) <= credit || l.validated(to, time.Now()):
		id, self, plain := m.frame, m.self, m.plain
		return func() error { return l.writeCommands(to, id, self, plain) }
	case m.nackable && credit >= nackSize(to.Addr()):
		id := m.frame
		return func() error { l.nack(to, id); return nil }
	default:
		return func() error { return nil }
	}
}
