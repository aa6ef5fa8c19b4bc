package link

import (
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

const (
	maxBuffer    = 2048
	maxBatch     = 64 // datagrams read, and passed on, at once
	maxCommands  = 32 // in one datagram
	maxAddresses = 16 // own ones under which a datagram is tried
	lookAgain    = 30 * time.Second
	maxUDPErrors = 100 // in a row; some systems report those of earlier datagrams

	expireEvery = 10 * time.Second // answers that are remembered
)

func (l *Link) readUDP() error {
	room := maxBuffer
	if l.trains {
		room = netx.MaxTrain
	}
	in, out := make([]netx.Datagram, maxBatch), make([]netx.Datagram, 0, maxBatch)
	for i := range in {
		in[i].Data = make([]byte, 0, room)
	}
	var expired time.Time
	for failures := 0; ; {
		n, err := l.udp.ReadBatch(in)
		if err != nil {
			if failures++; errors.Is(err, net.ErrClosed) || failures > maxUDPErrors {
				return err
			}
			continue
		}
		failures = 0
		now := time.Now()
		if now.Sub(expired) > expireEvery {
			expired = now
			l.mu.Lock()
			l.answers.expire(now)
			l.mu.Unlock()
		}
		l.count.udpIn.addAll(in[:n])
		for _, d := range in[:n] {
			for rest := d.Data; len(rest) > 0; {
				size := len(rest)
				if d.Train != 0 {
					size = min(d.Train, size)
				}
				var mine bool
				if out, mine = l.passOn(now, out, d.Addr, rest[:size]); !mine {
					l.datagram(d.Addr, rest[:size:size])
				}
				rest = rest[size:]
			}
		}
		l.flush(out)
		out = out[:0]
	}
}

// datagram takes what anybody may have sent.
func (l *Link) datagram(from netip.AddrPort, b []byte) {
	f, err := frame.Parse(b)
	if err != nil {
		l.count.drop(DropMalformed)
		return
	}
	switch f.Type {
	case frame.Session:
		if !f.KeepAlive {
			l.packet(Origin{Addr: from}, f.Tag, f.Body)
		}
	case frame.Command:
		if self, ok := l.show(from, f); ok {
			l.commands(from, f, self, len(b))
		} else {
			l.count.drop(DropSeed)
			if len(b) >= nackSize(from.Addr()) {
				l.nack(from, f.ID)
			}
		}
	case frame.Resend:
		l.resend(from, f, len(b))
	case frame.Confirm:
		l.answered(from, f.ID, answer{self: f.IP})
	case frame.Nack:
		l.answered(from, f.ID, answer{self: f.IP, nack: true, challenge: f.Challenge})
	case frame.Fragment:
		l.fragment(from, f)
	}
}

// show puts the plain body into l.shown. The key depends on the address to
// which the peer sent: one of ours, but not every socket says which.
func (l *Link) show(from netip.AddrPort, f frame.Frame) (self netip.Addr, ok bool) {
	tried, ok := l.showAs(from, f, nil)
	if ok {
		return tried[len(tried)-1], true
	}
	if now := time.Now(); now.Sub(l.looked) > lookAgain { // the network may have changed
		l.looked = now
		if addrs, err := l.o.Net.Addrs(); err == nil {
			l.mu.Lock()
			l.interfaces = addrs
			l.mu.Unlock()
			if tried, ok = l.showAs(from, f, tried); ok {
				return tried[len(tried)-1], true
			}
		}
	}
	return netip.Addr{}, false
}

// showAs tries own addresses that are not in tried yet and returns all, the
// right one last.
func (l *Link) showAs(from netip.AddrPort, f frame.Frame, tried []netip.Addr) ([]netip.Addr, bool) {
	l.mu.Lock()
	own := append([]netip.Addr{l.self(from), l.public[family(from.Addr())]}, l.interfaces...)
	l.mu.Unlock()
	if from.Addr().IsLoopback() {
		own = append(own, from.Addr())
	}
	for _, self := range own {
		if !self.IsValid() || self.Is4() != from.Addr().Is4() || slices.Contains(tried, self) || len(tried) >= maxAddresses {
			continue
		}
		tried = append(tried, self)
		l.shown = append(l.shown[:0], f.Body...)
		obfuscate.XOR(l.shown, obfuscate.SeedOf(from.Addr(), self, f.ID, f.IV))
		if obfuscate.CRC(l.shown) == f.CRC {
			return tried, true
		}
	}
	return tried, false
}

// resend takes the answer to a nack: proof that the address is the sender's.
func (l *Link) resend(from netip.AddrPort, f frame.Frame, size int) {
	now := time.Now()
	l.shown = append(l.shown[:0], f.Body...)
	obfuscate.XOR(l.shown, obfuscate.ResendSeed(f.Challenge, f.ID))
	if !l.challenge.check(from, f.Challenge, now) || obfuscate.CRC(l.shown) != f.CRC {
		l.count.drop(DropSeed)
		return
	}
	l.mu.Lock()
	l.peer(from).valid = now.Add(validFor)
	l.learn(from, f.IP, false)
	l.mu.Unlock()
	l.commands(from, f, f.IP, size)
}

// fragment takes part of a long command, from peers that proved their address
// or were asked something.
func (l *Link) fragment(from netip.AddrPort, f frame.Frame) {
	now := time.Now()
	l.mu.Lock()
	welcome := l.validated(from, now) || l.asked(from)
	l.mu.Unlock()
	if !welcome {
		l.count.drop(DropUnvalidated)
		return
	}
	self, ok := l.show(from, f)
	if !ok {
		l.count.drop(DropSeed)
		return
	}
	f.Body = l.shown
	l.mu.Lock()
	payload, err := l.fragments.Add(now, from, f)
	l.mu.Unlock()
	if err != nil {
		l.count.drop(DropFragments)
	}
	if payload != nil {
		l.shown = payload
		l.commands(from, frame.Frame{ID: f.Group, Type: frame.Fragment}, self, len(payload))
	}
}

// commands handles the plain commands in l.shown, which came in a datagram of
// size bytes, sent to our address self.
func (l *Link) commands(from netip.AddrPort, f frame.Frame, self netip.Addr, size int) {
	var requests, oneWay []message.Command
	rest := l.shown
	for n := 0; len(rest) > 0; n++ {
		var c message.Command
		var err error
		c, rest, err = message.Parse(rest, message.Raw)
		if err != nil || n == maxCommands {
			l.count.drop(DropMalformed)
			if n == maxCommands {
				break
			}
			continue
		}
		switch message.SpecOf(c.Body).Kind {
		case message.Reply:
			l.answered(from, c.ID+1, answer{self: self, body: c.Body})
		case message.Request:
			requests = append(requests, c)
		case message.OneWay:
			oneWay = append(oneWay, c)
		}
	}
	r := received{frame: f.ID, sum: obfuscate.CRC(l.shown), self: self, nackable: f.Type == frame.Command}
	for _, c := range requests {
		r.credit = size / len(requests)
		l.request(Origin{Addr: from}, c, r)
	}
	if len(oneWay) > 0 {
		r.credit = size
		l.oneWay(Origin{Addr: from}, oneWay, r, len(requests) == 0)
	}
}

// write sends one frame. What hides its body is the seed.
func (l *Link) write(to netip.AddrPort, f frame.Frame, seed uint32) error {
	return l.writeBy(l.udp, to, f, seed)
}

func (l *Link) writeBy(conn netx.PacketConn, to netip.AddrPort, f frame.Frame, seed uint32) error {
	buf := l.buffers.Get().(*[]byte)
	b := f.Append((*buf)[:0])
	if f.Type == frame.Command || f.Type == frame.Resend || f.Type == frame.Fragment {
		obfuscate.XOR(b[len(b)-len(f.Body):], seed)
	}
	_, err := conn.WriteTo(b, to)
	if err == nil {
		l.count.udpOut.add(len(b))
	}
	*buf = b
	l.buffers.Put(buf)
	return err
}

// writeCommands sends plain commands, in fragments where they do not fit.
func (l *Link) writeCommands(to netip.AddrPort, id uint16, self netip.Addr, plain []byte) error {
	parts := []frame.Frame{{ID: id, Type: frame.Command, Body: plain}}
	if tooLong(plain) {
		var err error
		if parts, err = frame.Split(id, plain, maxDatagram-frame.FragmentSize); err != nil {
			return err
		}
	}
	for _, f := range parts {
		f.Noise, f.IV, f.CRC = noise(), rand.Uint32(), obfuscate.CRC(f.Body)
		if err := l.write(to, f, obfuscate.SeedOf(self, to.Addr(), id, f.IV)); err != nil {
			return err
		}
	}
	return nil
}

// tooLong says whether commands need fragments. A resend is the longest frame
// that they may have to fit into.
func tooLong(plain []byte) bool { return len(plain) > maxDatagram-frame.ResendSize-frame.IPv6Extra }

// sizeOf is how many bytes writeCommands sends.
func sizeOf(plain []byte) int {
	if !tooLong(plain) {
		return frame.CommandSize + len(plain)
	}
	const part = maxDatagram - frame.FragmentSize
	return len(plain) + (len(plain)+part-1)/part*frame.FragmentSize
}
