package dissect

import (
	"container/list"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// exchanges remember what was sent and may be answered: frames by their id,
// requests by theirs, records of a stream by theirs.
type exchanges struct {
	byKey map[exchangeKey]*list.Element
	byAge list.List // of *exchange, the one sent longest ago first
}

type exchangeKey struct {
	src, dst netip.AddrPort // of what is to be answered
	what     exchangeKind
	id       uint32
}

type exchangeKind uint8

const (
	byFrame    exchangeKind = iota // id of a frame; of a fragment with its part above
	byRequest                      // id of a request
	byPacket                       // id of a record
	byChecksum                     // challenge of a nack
)

// exchange is one thing that was sent.
type exchange struct {
	key      exchangeKey
	number   int64
	time     time.Time // of the first time
	last     time.Time
	sent     int
	name     string // of the command
	protocol string
	expected bool // an answer has to come
	answered bool
}

// patience is how long a thing can be answered or sent again. A node gives up sooner.
const patience = 20 * time.Second

// sent notes that something was sent, and returns the first time if this is a
// repetition.
func (x *exchanges) sent(p *capture.Packet, what exchangeKind, id uint32) (e *exchange, again *Link) {
	key := exchangeKey{p.Src, p.Dst, what, id}
	if elem, ok := x.byKey[key]; ok {
		e = elem.Value.(*exchange)
		if within(p.Time, e.last, patience) {
			e.sent++
			e.last = p.Time
			x.byAge.MoveToBack(elem)
			return e, e.link(p, "repeats")
		}
		x.forget(elem)
	}
	if len(x.byKey) >= maxExchanges {
		x.forget(x.byAge.Front())
	}
	e = &exchange{key: key, number: p.Number, time: p.Time, last: p.Time, sent: 1, protocol: p.Protocol.String()}
	x.byKey[key] = x.byAge.PushBack(e)
	return e, nil
}

// answers finds what the packet, which goes the other way, answers.
func (x *exchanges) answers(p *capture.Packet, what exchangeKind, id uint32, how string) *Link {
	elem, ok := x.byKey[exchangeKey{p.Dst, p.Src, what, id}]
	if !ok {
		return nil
	}
	e := elem.Value.(*exchange)
	if !within(p.Time, e.last, patience) {
		return nil
	}
	e.answered = true
	return e.link(p, how)
}

// within says whether two times are near. Packets without a time always are.
func within(a, b time.Time, d time.Duration) bool {
	return a.IsZero() || b.IsZero() || a.Sub(b).Abs() <= d
}

func (e *exchange) link(p *capture.Packet, how string) *Link {
	l := &Link{How: how, Number: e.number, What: e.name}
	if !p.Time.IsZero() && !e.time.IsZero() {
		l.MS = float64(p.Time.Sub(e.time).Microseconds()) / 1000
	}
	if e.sent > 1 {
		l.Sent = e.sent
	}
	return l
}

func (x *exchanges) forget(elem *list.Element) {
	delete(x.byKey, x.byAge.Remove(elem).(*exchange).key)
}

// oldest takes the thing that was sent longest ago, at or before the time, or
// returns nil.
func (x *exchanges) oldest(before time.Time) *exchange {
	elem := x.byAge.Front()
	if elem == nil || elem.Value.(*exchange).last.After(before) {
		return nil
	}
	x.forget(elem)
	return elem.Value.(*exchange)
}

// unanswered tells that nothing answered a request.
func (d *Dissector) unanswered(e *exchange, end bool) {
	d.summary.Unanswered++
	note := fmt.Sprintf("no answer to %s within %v", e.name, patience)
	if end {
		note = fmt.Sprintf("no answer to %s when the capture ends", e.name)
	}
	if e.sent > 1 {
		note += fmt.Sprintf("; it was sent %d times", e.sent)
	}
	d.emit(Explanation{
		Number: e.number, Time: e.time, Kind: KindUnanswered, Protocol: e.protocol,
		Src: e.key.src, Dst: e.key.dst, Proven: true, Notes: []string{note},
	})
}
