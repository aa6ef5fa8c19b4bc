package load

import (
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

const (
	firstTimeout = time.Second // generous: the machine may be busy with much else
	tries        = 5
)

// An exchange is a raw request, a Probe or a Hello, that waits for its reply. It
// is the part of package link that a client needs: who is asked for the first time
// answers with a nack, which has to be answered with what it says.
type exchange struct {
	id    uint16 // of its frame
	plain []byte
	hello *message.Hello // nil: a Probe
	via   session.Path
	asked time.Time
	due   time.Time // to be sent again
	sent  int
}

func newExchange(now time.Time, m message.Message) *exchange {
	x := &exchange{id: uint16(rand.Uint32()), asked: now}
	x.hello, _ = m.(*message.Hello)
	c := message.Command{ID: x.id - 1, Body: m}
	x.plain = message.Append(nil, c)
	if short := frame.NackSize - frame.CommandSize - len(x.plain); short > 0 { // nobody answers more bytes than came
		x.plain = message.AppendPadded(nil, c, short)
	}
	return x
}

// command is the request from an address to another one.
func (x *exchange) command(now time.Time, from, to netip.Addr) []byte {
	x.due = now.Add(firstTimeout << x.sent)
	x.sent++
	f := frame.Frame{ID: x.id, Type: frame.Command, IV: rand.Uint32(), CRC: obfuscate.CRC(x.plain), Body: x.plain}
	return hidden(f, obfuscate.SeedOf(from, to, x.id, f.IV))
}

// resend answers a nack.
func (x *exchange) resend(challenge uint32, to netip.Addr) []byte {
	return hidden(frame.Frame{
		ID: x.id, Type: frame.Resend, Challenge: challenge, IP: to, CRC: obfuscate.CRC(x.plain), Body: x.plain,
	}, obfuscate.ResendSeed(challenge, x.id))
}

func hidden(f frame.Frame, seed uint32) []byte {
	b := f.Append(nil)
	obfuscate.XOR(b[len(b)-len(f.Body):], seed)
	return b
}

// replyIn is the reply in a frame that was sent from an address to another one,
// and the frame id of the exchange that it belongs to.
func replyIn(f frame.Frame, from, to netip.Addr) (m message.Message, id uint16, ok bool) {
	obfuscate.XOR(f.Body, obfuscate.SeedOf(from, to, f.ID, f.IV))
	if obfuscate.CRC(f.Body) != f.CRC {
		return nil, 0, false
	}
	c, _, err := message.Parse(f.Body, message.Raw)
	return c.Body, c.ID + 1, err == nil
}
