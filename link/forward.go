package link

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// passOn takes a datagram that is for somebody else, and adds it to out if it
// goes on as a datagram: the tag is changed in its place, nothing is copied.
func (r *reader) passOn(now time.Time, out []netx.Datagram, from netip.AddrPort, b []byte) (_ []netx.Datagram, mine bool) {
	if r.o.Forward == nil {
		return out, false
	}
	tag, ok := frame.TagOf(b)
	if !ok || r.bound(tag) != nil {
		return out, false
	}
	to, under, mine := r.o.Forward(now, Origin{Addr: from}, tag, len(b)-frame.SessionSize)
	switch {
	case to.Stream != 0:
		r.sendOn(to, under, b[frame.SessionSize:])
	case to.Addr.IsValid():
		frame.SetTag(b, under)
		if r.trains && couple(out, to.Addr, b) {
			break
		}
		out = append(out, netx.Datagram{Addr: to.Addr, Data: b})
	}
	return out, mine
}

// couple adds a datagram to the train that ends right before it in memory, if it
// goes to the same address.
func couple(out []netx.Datagram, to netip.AddrPort, b []byte) bool {
	if len(out) == 0 {
		return false
	}
	last := &out[len(out)-1]
	n := len(last.Data)
	size := cmp.Or(last.Train, n)
	if last.Addr != to || n%size != 0 || len(b) > size || n == size*netx.MaxTrainCars || n+len(b) > netx.MaxTrain ||
		n == cap(last.Data) || &last.Data[:n+1][n] != &b[0] {
		return false
	}
	last.Data, last.Train = last.Data[:n+len(b)], size
	return true
}

// passRecordOn does it for what came in a stream.
func (l *Link) passRecordOn(from Origin, tag uint32, body []byte) bool {
	if l.o.Forward == nil {
		return false
	}
	to, under, mine := l.o.Forward(time.Now(), from, tag, len(body))
	if to != (Origin{}) {
		l.sendOn(to, under, body)
	}
	return mine
}

func (l *Link) sendOn(to Origin, tag uint32, body []byte) {
	if err := l.sendPacket(to, tag, body); err != nil {
		l.count.drop(DropForward)
	}
}

// flush sends what a batch left to be passed on.
func (r *reader) flush(out []netx.Datagram) {
	for len(out) > 0 {
		n, err := r.conn.WriteBatch(out)
		r.count.udpOut.addAll(out[:n])
		if err == nil {
			return
		}
		if d := out[n]; d.Train != 0 {
			r.trains = false // of interfaces that cannot take them there may be no other
			r.flush(cars(d))
		} else {
			r.count.drop(DropForward)
		}
		out = out[n+1:]
	}
}

// cars takes a train apart.
func cars(d netx.Datagram) (all []netx.Datagram) {
	for b := range slices.Chunk(d.Data, d.Train) {
		all = append(all, netx.Datagram{Addr: d.Addr, Data: b})
	}
	return all
}
