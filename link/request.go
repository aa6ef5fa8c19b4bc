package link

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

const (
	resends      = 5
	maxNacks     = 3                // answered for one command
	challengeAge = 50 * time.Second // after which a challenge may have run out
)

// An exchange is a command of ours that waits for its answer.
type exchange struct {
	to      netip.AddrPort
	peer    *peer
	id      uint16 // of its frame
	plain   []byte
	answers chan answer

	challenge  uint32
	challenged time.Time // zero: not
	nacks      int
}

// waitKey finds the exchange that an answer belongs to.
type waitKey struct {
	from netip.AddrPort
	id   uint16
}

// An answer is what came back.
type answer struct {
	self      netip.Addr      // where the peer sees us
	body      message.Message // nil in a confirm
	nack      bool
	challenge uint32
}

// answered hands an answer to whoever waits for it.
func (l *Link) answered(from netip.AddrPort, id uint16, a answer) {
	l.mu.Lock()
	x := l.waiting[waitKey{from, id}]
	if x != nil {
		l.learn(from, a.self, true)
	}
	l.mu.Unlock()
	if x == nil {
		l.count.drop(DropUnexpected)
		return
	}
	select {
	case x.answers <- a:
	default: // more answers than one needs
	}
}

// Request sends a raw request over UDP, again where it gets lost, and returns
// the reply.
func (l *Link) Request(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error) {
	a, err := l.command(ctx, to, m, message.Request)
	if err != nil {
		return nil, err
	}
	return a.body, nil
}

// Send sends a raw one-way command over UDP, again where it gets lost, and
// returns when it is acknowledged.
func (l *Link) Send(ctx context.Context, to netip.AddrPort, m message.Message) error {
	_, err := l.command(ctx, to, m, message.OneWay)
	return err
}

func (l *Link) command(ctx context.Context, to netip.AddrPort, m message.Message, kind message.Kind) (answer, error) {
	to = netx.Unmap(to)
	spec := message.SpecOf(m)
	if spec == nil || spec.Kind != kind || spec.Carriers&message.Raw == 0 {
		return answer{}, fmt.Errorf("link: %T to %v: %w", m, to, ErrCarrier)
	}
	a, err := l.exchange(ctx, to, m, false)
	if err != nil {
		return answer{}, fmt.Errorf("link: %s to %v: %w", spec.Name, to, err)
	}
	return a, nil
}

// begin gives a command its id and registers it.
func (l *Link) begin(to netip.AddrPort, m message.Message) (*exchange, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	x := &exchange{to: to, peer: l.peer(to), answers: make(chan answer, 4)}
	switch {
	case l.closed:
		return nil, ErrClosed
	case len(l.waiting) >= maxRequests:
		return nil, ErrBusy
	}
	x.id = l.nextID
	for l.waiting[waitKey{to, x.id}] != nil {
		x.id += 2
	}
	l.nextID = x.id + 2
	c := message.Command{ID: x.id - 1, Body: m}
	x.plain = message.Append(nil, c)
	// What is shorter than a nack gets none, and then its sender never learns his address.
	if short := nackSize(to.Addr()) - frame.CommandSize - len(x.plain); short > 0 {
		x.plain = message.AppendPadded(nil, c, short)
	}
	if len(x.plain) > frame.MaxPayload {
		return nil, ErrTooLong
	}
	l.waiting[waitKey{to, x.id}] = x
	x.peer.asked++
	return x, nil
}

func (l *Link) end(x *exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.waiting, waitKey{x.to, x.id})
	x.peer.asked--
}

// exchange sends m until it is answered. If it only introduces this node, a
// nack and our resend are all it wants.
func (l *Link) exchange(ctx context.Context, to netip.AddrPort, m message.Message, introduce bool) (answer, error) {
	x, err := l.begin(to, m)
	if err != nil {
		return answer{}, err
	}
	defer l.end(x)
	var failed error // of the latest attempt to send
	for attempt := range resends + 1 {
		if attempt > 0 {
			l.count.resent.Add(1)
		}
		if tooLong(x.plain) {
			if err := l.introduce(ctx, to, attempt > 0); err != nil {
				return answer{}, err
			}
		}
		failed = l.transmit(x, introduce)
		sent := time.Now()
		timer := time.NewTimer(l.timeout(to) << attempt)
	wait:
		for {
			select {
			case a := <-x.answers:
				if a.nack && x.nacks == maxNacks {
					continue
				}
				if attempt == 0 { // else nobody knows which one was answered
					l.measured(to, time.Since(sent))
				}
				if !a.nack {
					timer.Stop()
					return a, nil
				}
				x.nacks++
				x.challenge, x.challenged = a.challenge, time.Now()
				failed = l.transmit(x, false)
				if introduce {
					timer.Stop()
					return a, failed
				}
				sent = time.Now()
				timer.Reset(l.timeout(to) << attempt)
			case <-timer.C:
				break wait
			case <-ctx.Done():
				timer.Stop()
				return answer{}, ctx.Err()
			case <-l.done:
				timer.Stop()
				return answer{}, ErrClosed
			}
		}
	}
	if failed != nil {
		return answer{}, failed
	}
	return answer{}, ErrNoAnswer
}

// transmit sends the command once: as the answer to a challenge if there is
// one. As a stranger it says that it knows nothing of its own address, which
// gets a nack for certain.
func (l *Link) transmit(x *exchange, stranger bool) error {
	l.mu.Lock()
	self := l.self(x.to)
	l.mu.Unlock()
	if stranger {
		self = netip.Addr{}
	}
	if time.Since(x.challenged) > challengeAge || tooLong(x.plain) {
		return l.writeCommands(x.to, x.id, self, x.plain)
	}
	err := l.write(x.to, frame.Frame{
		ID: x.id, Type: frame.Resend, Noise: noise(), Challenge: x.challenge, IP: x.to.Addr(),
		CRC: obfuscate.CRC(x.plain), Body: x.plain,
	}, obfuscate.ResendSeed(x.challenge, x.id))
	if err == nil {
		l.mu.Lock()
		x.peer.introduced = time.Now().Add(introducedBy)
		l.mu.Unlock()
	}
	return err
}

// introduce makes the peer validate our address, if it did not lately or again
// is set.
func (l *Link) introduce(ctx context.Context, to netip.AddrPort, again bool) error {
	l.mu.Lock()
	known := time.Now().Before(l.peer(to).introduced)
	l.mu.Unlock()
	if known && !again {
		return nil
	}
	_, err := l.exchange(ctx, to, &message.Probe{}, true)
	return err
}
