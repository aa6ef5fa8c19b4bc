package link

import (
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// passOn takes a datagram that is for somebody else, and adds it to out if it
// goes on as a datagram: the tag is changed in its place, nothing is copied.
func (l *Link) passOn(now time.Time, d netx.Datagram, out *[]netx.Datagram) bool {
	if l.o.Forward == nil {
		return false
	}
	tag, ok := frame.TagOf(d.Data)
	if !ok || l.bound(tag) != nil {
		return false
	}
	to, under, mine := l.o.Forward(now, Origin{Addr: d.Addr}, tag, len(d.Data)-frame.SessionSize)
	switch {
	case to.Stream != 0:
		l.sendOn(to, under, d.Data[frame.SessionSize:])
	case to.Addr.IsValid():
		frame.SetTag(d.Data, under)
		*out = append(*out, netx.Datagram{Addr: to.Addr, Data: d.Data})
	}
	return mine
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
func (l *Link) flush(out []netx.Datagram) {
	for len(out) > 0 {
		n, err := l.udp.WriteBatch(out)
		for _, d := range out[:n] {
			l.count.udpOut.add(len(d.Data))
		}
		if err == nil {
			return
		}
		l.count.drop(DropForward)
		out = out[n+1:]
	}
}
