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
	longBuffer   = 1 << 16 // for netx.MaxTrain
	maxBatch     = 64      // datagrams read, and passed on, at once
	maxCommands  = 32      // in one datagram
	maxAddresses = 16      // own ones under which a datagram is tried
	lookAgain    = 30 * time.Second

	// unaligned is how much more than a power of two lies between the beginnings of
	// datagrams that are read: all would share the same few lines of the cache.
	unaligned = 5 * 64

	maxUDPErrors = 100 // in a row; some systems report those of earlier datagrams

	expireEvery = 10 * time.Second // answers that are remembered
)

// A reader reads one of the sockets on the link's UDP port. What it has is its
// goroutine's own; the system gives what comes from one address to one reader.
type reader struct {
	*Link
	conn   netx.BatchConn
	trains bool // datagrams may come and go coupled

	shown  []byte    // the plain body of what is being read
	looked time.Time // when it asked for interface addresses
}

func newReader(l *Link, conn netx.PacketConn) *reader {
	r := &reader{Link: l, conn: netx.Batched(conn)}
	r.trains = l.o.Trains && r.conn.Trains()
	return r
}

func (r *reader) read() error {
	room := maxBuffer
	if r.trains {
		room = longBuffer
	}
	in, out := make([]netx.Datagram, maxBatch), make([]netx.Datagram, 0, maxBatch)
	memory, apart := make([]byte, maxBatch*(room+unaligned)), room+unaligned
	for i := range in {
		in[i].Data = memory[i*apart : i*apart : i*apart+room]
	}
	var expired time.Time
	for failures := 0; ; {
		n, err := r.conn.ReadBatch(in)
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
			r.mu.Lock()
			r.answers.expire(now)
			r.mu.Unlock()
		}
		r.count.udpIn.addAll(in[:n])
		for _, d := range in[:n] {
			for rest := d.Data; len(rest) > 0; {
				size := len(rest)
				if d.Train != 0 {
					size = min(d.Train, size)
				}
				var mine bool
				if out, mine = r.passOn(now, out, d.Addr, rest[:size]); !mine {
					r.datagram(d.Addr, rest[:size:size])
				}
				rest = rest[size:]
			}
		}
		r.flush(out)
		out = out[:0]
	}
}

// datagram takes what anybody may have sent.
func (r *reader) datagram(from netip.AddrPort, b []byte) {
	f, err := frame.Parse(b)
	if err != nil {
		r.count.drop(DropMalformed)
		return
	}
	switch f.Type {
	case frame.Session:
		if !f.KeepAlive {
			r.packet(Origin{Addr: from}, f.Tag, f.Body)
		}
	case frame.Command:
		if self, ok := r.show(from, f); ok {
			r.commands(from, f, self, len(b))
		} else {
			r.count.drop(DropSeed)
			if len(b) >= nackSize(from.Addr()) {
				r.nack(from, f.ID)
			}
		}
	case frame.Resend:
		r.resend(from, f, len(b))
	case frame.Confirm:
		r.answered(from, f.ID, answer{self: f.IP})
	case frame.Nack:
		r.answered(from, f.ID, answer{self: f.IP, nack: true, challenge: f.Challenge})
	case frame.Fragment:
		r.fragment(from, f)
	}
}

// show puts the plain body into r.shown. The key depends on the address to
// which the peer sent: one of ours, but not every socket says which.
func (r *reader) show(from netip.AddrPort, f frame.Frame) (self netip.Addr, ok bool) {
	tried, ok := r.showAs(from, f, nil)
	if ok {
		return tried[len(tried)-1], true
	}
	if now := time.Now(); now.Sub(r.looked) > lookAgain { // the network may have changed
		r.looked = now
		if addrs, err := r.o.Net.Addrs(); err == nil {
			r.mu.Lock()
			r.interfaces = addrs
			r.mu.Unlock()
			if tried, ok = r.showAs(from, f, tried); ok {
				return tried[len(tried)-1], true
			}
		}
	}
	return netip.Addr{}, false
}

// showAs tries own addresses that are not in tried yet and returns all, the
// right one last.
func (r *reader) showAs(from netip.AddrPort, f frame.Frame, tried []netip.Addr) ([]netip.Addr, bool) {
	r.mu.Lock()
	own := append([]netip.Addr{r.self(from), r.public[family(from.Addr())]}, r.interfaces...)
	r.mu.Unlock()
	if from.Addr().IsLoopback() {
		own = append(own, from.Addr())
	}
	for _, self := range own {
		if !self.IsValid() || self.Is4() != from.Addr().Is4() || slices.Contains(tried, self) || len(tried) >= maxAddresses {
			continue
		}
		tried = append(tried, self)
		r.shown = append(r.shown[:0], f.Body...)
		obfuscate.XOR(r.shown, obfuscate.SeedOf(from.Addr(), self, f.ID, f.IV))
		if obfuscate.CRC(r.shown) == f.CRC {
			return tried, true
		}
	}
	return tried, false
}

// resend takes the answer to a nack: proof that the address is the sender's.
func (r *reader) resend(from netip.AddrPort, f frame.Frame, size int) {
	now := time.Now()
	r.shown = append(r.shown[:0], f.Body...)
	obfuscate.XOR(r.shown, obfuscate.ResendSeed(f.Challenge, f.ID))
	if !r.challenge.check(from, f.Challenge, now) || obfuscate.CRC(r.shown) != f.CRC {
		r.count.drop(DropSeed)
		return
	}
	r.mu.Lock()
	r.peer(from).valid = now.Add(validFor)
	r.learn(from, f.IP, false)
	r.mu.Unlock()
	r.commands(from, f, f.IP, size)
}

// fragment takes part of a long command, from peers that proved their address
// or were asked something.
func (r *reader) fragment(from netip.AddrPort, f frame.Frame) {
	now := time.Now()
	r.mu.Lock()
	welcome := r.validated(from, now) || r.asked(from)
	r.mu.Unlock()
	if !welcome {
		r.count.drop(DropUnvalidated)
		return
	}
	self, ok := r.show(from, f)
	if !ok {
		r.count.drop(DropSeed)
		return
	}
	f.Body = r.shown
	r.mu.Lock()
	payload, err := r.fragments.Add(now, from, f)
	r.mu.Unlock()
	if err != nil {
		r.count.drop(DropFragments)
	}
	if payload != nil {
		r.shown = payload
		r.commands(from, frame.Frame{ID: f.Group, Type: frame.Fragment}, self, len(payload))
	}
}

// commands handles the plain commands in r.shown, which came in a datagram of
// size bytes, sent to our address self.
func (r *reader) commands(from netip.AddrPort, f frame.Frame, self netip.Addr, size int) {
	var requests, oneWay []message.Command
	rest := r.shown
	for n := 0; len(rest) > 0; n++ {
		var c message.Command
		var err error
		c, rest, err = message.Parse(rest, message.Raw)
		if err != nil || n == maxCommands {
			r.count.drop(DropMalformed)
			if n == maxCommands {
				break
			}
			continue
		}
		switch message.SpecOf(c.Body).Kind {
		case message.Reply:
			r.answered(from, c.ID+1, answer{self: self, body: c.Body})
		case message.Request:
			requests = append(requests, c)
		case message.OneWay:
			oneWay = append(oneWay, c)
		}
	}
	came := received{frame: f.ID, sum: obfuscate.CRC(r.shown), self: self, nackable: f.Type == frame.Command}
	for _, c := range requests {
		came.credit = size / len(requests)
		r.request(Origin{Addr: from}, c, came)
	}
	if len(oneWay) > 0 {
		came.credit = size
		r.oneWay(Origin{Addr: from}, oneWay, came, len(requests) == 0)
	}
}

// write sends one frame. What hides its body is the seed.
func (l *Link) write(to netip.AddrPort, f frame.Frame, seed uint32) error {
	return l.writeBy(l.udp(), to, f, seed)
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
