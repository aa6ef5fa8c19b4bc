package dissect

import (
	"bytes"
	"cmp"
	"container/list"
	"net/netip"
	"slices"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// Bounds of what is kept of TCP connections. Beyond them the one that was quiet
// the longest is forgotten.
const (
	maxStreams     = 4096
	maxStreamBytes = 32 << 20 // of all
	maxAhead       = 1 << 20  // bytes of one direction that wait for others
	maxSegments    = 256      // the same, of segments
)

// streams are the TCP connections of a capture.
type streams struct {
	byEnds map[ends]*list.Element
	byUse  list.List // of *stream, the quietest first
	bytes  int       // that wait, in all of them
}

// ends are the two addresses of a connection, the lower one first.
type ends [2]netip.AddrPort

func endsOf(p *capture.Packet) (e ends, from int) {
	if p.Src.Compare(p.Dst) <= 0 {
		return ends{p.Src, p.Dst}, 0
	}
	return ends{p.Dst, p.Src}, 1
}

// stream is one connection.
type stream struct {
	ends      ends
	number    int64
	client    int // which end opened it
	halves    [2]half
	disguised bool // it begins as SSL would (W2.3)
	bytes     int  // that wait
}

// half is one direction.
type half struct {
	known  bool // next is
	ended  bool
	next   uint32 // sequence number of the next byte
	offset int64  // of the same from the start
	ahead  []piece
	waits  int // bytes in ahead

	phase  phase
	cipher *obfuscate.Stream
	buf    []byte // not explained yet; plain once there is a cipher
}

// piece is a segment that came before its turn.
type piece struct {
	seq  uint32
	data []byte
}

// phase is what a direction is known to carry.
type phase uint8

const (
	beginning phase = iota
	records
	loginRecords
	other
)

func newStreams() streams { return streams{byEnds: make(map[ends]*list.Element)} }

// of is the connection of a packet; a new one where the packet begins one.
func (s *streams) of(p *capture.Packet, count *int64) (x *stream, from int) {
	e, from := endsOf(p)
	syn := p.Flags&capture.SYN != 0
	if elem, ok := s.byEnds[e]; ok {
		x = elem.Value.(*stream)
		h := &x.halves[from]
		closed := x.halves[0].ended && x.halves[1].ended
		if !syn || p.Flags&capture.ACK != 0 || !closed && h.known && h.next-uint32(h.offset) == p.Seq+1 {
			s.byUse.MoveToBack(elem)
			return x, from
		}
		s.forget(elem) // the ports are used again
	}
	if len(s.byEnds) >= maxStreams {
		s.forget(s.byUse.Front())
	}
	*count++
	x = &stream{ends: e, number: *count, client: from}
	if syn && p.Flags&capture.ACK != 0 {
		x.client = 1 - from
	}
	s.byEnds[e] = s.byUse.PushBack(x)
	return x, from
}

func (s *streams) forget(elem *list.Element) {
	x := s.byUse.Remove(elem).(*stream)
	s.bytes -= x.bytes
	delete(s.byEnds, x.ends)
}

// weigh counts what a connection keeps, and makes room.
func (s *streams) weigh(x *stream) {
	s.bytes -= x.bytes
	x.bytes = 0
	for i := range x.halves {
		x.bytes += cap(x.halves[i].buf) + x.halves[i].waits
	}
	s.bytes += x.bytes
	for s.bytes > maxStreamBytes && s.byUse.Len() > 1 {
		s.forget(s.byUse.Front())
	}
}

// segment explains a TCP packet.
func (d *Dissector) segment(p *capture.Packet) {
	s, from := d.streams.of(p, &d.summary.Connections)
	h := &s.halves[from]
	x := Explanation{
		Number: p.Number, Time: p.Time, Protocol: p.Protocol.String(), Kind: KindConnection,
		Src: p.Src, Dst: p.Dst, Bytes: p.Length,
		Stream: &Segment{Connection: s.number, Offset: h.offset, From: fromServer},
	}
	if from == s.client {
		x.Stream.From = fromClient
	}
	payload, seq := p.Payload, p.Seq
	if p.Flags&capture.SYN != 0 {
		seq++
		if !h.known {
			h.known, h.next = true, seq
			if from == s.client {
				x.Stream.Event = "connects"
			}
		}
	}
	news := d.take(p, s, h, seq, payload, &x)
	if !h.ended && (p.Flags&capture.RST != 0 || p.Flags&capture.FIN != 0 && h.known && h.next == seq+uint32(p.Length)) {
		h.ended = true
		x.Stream.Event = "ends its side"
		if p.Flags&capture.RST != 0 {
			x.Stream.Event = "breaks the connection"
			s.halves[1-from].ended = true
		}
		if n := len(h.buf) + h.waits; n > 0 && h.phase != other {
			x.note("%d bytes at the end are no complete record", n)
		}
	}
	d.streams.weigh(s)
	if !news && x.Stream.Event == "" {
		return
	}
	if news {
		x.Kind = map[phase]string{beginning: KindStream, records: KindStream, loginRecords: KindLogin, other: KindOtherTCP}[h.phase]
		if len(x.Stream.Records) > 0 && h.phase == other {
			x.Kind = KindStream
		}
		x.Stream.Waiting = len(h.buf)
	}
	x.Proven = d.isProven(p)
	d.emit(x)
}

// take puts a segment into its place and explains what is complete with it. It
// says whether the segment was news.
func (d *Dissector) take(p *capture.Packet, s *stream, h *half, seq uint32, payload []byte, x *Explanation) (news bool) {
	if p.Length == 0 {
		return false
	}
	if !h.known {
		h.known, h.next = true, seq
		x.note("the capture begins within this connection")
	}
	at := int32(seq - h.next)
	switch {
	case int(at)+p.Length <= 0:
		d.summary.Copies++
		return false
	case h.phase == other:
		if at >= 0 {
			h.next, h.offset = seq+uint32(p.Length), h.offset+int64(at)+int64(p.Length)
		}
		return true
	case len(payload) < p.Length:
		x.note("the capture has %d of its %d bytes: the stream cannot be read on", len(payload), p.Length)
		h.give(other)
		return true
	case at > 0:
		return d.keep(h, seq, payload, x)
	}
	d.feed(p, s, h, payload[-at:], x)
	for len(h.ahead) > 0 && int32(h.ahead[0].seq-h.next) <= 0 {
		next := h.ahead[0]
		h.ahead, h.waits = h.ahead[1:], h.waits-len(next.data)
		if used := int(h.next - next.seq); used < len(next.data) {
			d.feed(p, s, h, next.data[used:], x)
		}
	}
	return true
}

// keep holds back a segment until those before it come.
func (d *Dissector) keep(h *half, seq uint32, payload []byte, x *Explanation) (news bool) {
	i, found := slices.BinarySearchFunc(h.ahead, seq, func(q piece, seq uint32) int {
		return cmp.Compare(int32(q.seq-h.next), int32(seq-h.next))
	})
	if found && len(payload) <= len(h.ahead[i].data) {
		d.summary.Copies++
		return false
	}
	h.ahead = slices.Insert(h.ahead, i, piece{seq, bytes.Clone(payload)})
	h.waits += len(payload)
	if h.waits > maxAhead || len(h.ahead) > maxSegments {
		x.note("%d bytes before it are not in the capture: the stream cannot be read on", h.ahead[0].seq-h.next)
		h.give(other)
		return true
	}
	x.note("%d bytes before it are missing so far; it waits for them", h.ahead[0].seq-h.next)
	return true
}

// give turns a direction to a phase of which nothing is kept.
func (h *half) give(p phase) {
	h.phase, h.buf, h.ahead, h.waits, h.cipher = p, nil, nil, 0, nil
}

// feed takes the next bytes of a direction and explains what is complete.
func (d *Dissector) feed(p *capture.Packet, s *stream, h *half, b []byte, x *Explanation) {
	h.next += uint32(len(b))
	h.offset += int64(len(b))
	if h.phase == other {
		return
	}
	start := len(h.buf)
	h.buf = append(h.buf, b...)
	if h.cipher != nil {
		h.cipher.XOR(h.buf[start:])
	}
	waiting := len(h.buf)
	for d.step(p, s, h, x) {
	}
	if len(h.buf) < waiting {
		h.buf = slices.Clone(h.buf) // without what was explained
	}
}

// step explains the next thing of a direction, if it is complete.
func (d *Dissector) step(p *capture.Packet, s *stream, h *half, x *Explanation) bool {
	switch h.phase {
	case beginning:
		return d.begin(p, s, h, x)
	case records:
		return d.record(p, s, h, x)
	case loginRecords:
		return d.loginRecord(h, x)
	}
	return false
}

// Bytes with which a direction may begin that is no stream.
var (
	loginHello  = []byte{0x16, 0x03, 0x01, 0, 0} // an empty record: no TLS client sends one
	loginAnswer = []byte{0x17, 0x03, 0x01, 0, 0}
)

const (
	tlsHandshake  = 0x16
	tlsHeaderSize = 5
)

// begin finds out what a direction carries.
func (d *Dissector) begin(p *capture.Packet, s *stream, h *half, x *Explanation) bool {
	if len(h.buf) < tlsHeaderSize {
		return false
	}
	isTLS := h.buf[0] == tlsHandshake && h.buf[1] == 3
	switch {
	case bytes.HasPrefix(h.buf, loginHello), bytes.HasPrefix(h.buf, loginAnswer):
		h.phase = loginRecords
		d.classic = true // modern networks sign in over a stream
		d.prove(p)
		return true
	case obfuscate.IsClientHello(h.buf):
		if len(h.buf) < obfuscate.ClientHelloSize {
			return false
		}
		x.note("begins as SSL would, with %d bytes that say nothing (port 443 of a classic network)", obfuscate.ClientHelloSize)
		s.disguised = true
		h.drop(obfuscate.ClientHelloSize)
		return true
	case isTLS && s.disguised:
		n := tlsHeaderSize + int(h.buf[3])<<8 + int(h.buf[4])
		if len(h.buf) < n {
			return false
		}
		x.note("answers as SSL would, with %d bytes that say nothing", n)
		h.drop(n)
		return true
	case isTLS:
		x.note("TLS: nothing of it can be seen from outside")
		h.give(other)
		return false
	case len(h.buf) < obfuscate.OpeningSize:
		return false
	}
	seed, word, err := obfuscate.ParseOpening([obfuscate.OpeningSize]byte(h.buf))
	if err != nil {
		x.note("no opening of a stream")
		h.give(other)
		return false
	}
	d.prove(p)
	x.Stream.Opening = &Opening{Seed: hex32(seed), Word: hex16(word)}
	h.drop(obfuscate.OpeningSize)
	h.phase, h.cipher = records, obfuscate.NewStream(seed)
	h.cipher.XOR(h.buf)
	return true
}

// drop takes n bytes from what waits.
func (h *half) drop(n int) { h.buf = h.buf[n:] }

// record explains the next record of a stream.
func (d *Dissector) record(p *capture.Packet, s *stream, h *half, x *Explanation) bool {
	rec, n, err := frame.ParseRecord(h.buf, d.classic)
	if err != nil {
		x.note("what follows is no record: the stream cannot be read on")
		h.give(other)
		return false
	}
	if n == 0 {
		return false
	}
	r := Record{Bytes: n}
	switch rec.Kind {
	case frame.Commands:
		r.Kind, r.Packet = "commands", hex16(rec.Packet)
		sent, again := d.exchanges.sent(p, byPacket, uint32(rec.Packet))
		r.Commands = d.commands(p, bytes.Clone(rec.Body), again != nil)
		if r.Answers = again; again != nil {
			d.summary.Resent++
		}
		if len(r.Commands) > 0 {
			sent.name = r.Commands[0].Name
		}
	case frame.Ack:
		r.Kind, r.Packet = "ack", hex16(rec.Packet)
		r.Answers = d.exchanges.answers(p, byPacket, uint32(rec.Packet), "acknowledges")
	case frame.Padding:
		r.Kind = "padding"
	case frame.InSession:
		var counter *uint64
		var media *Media
		r.Kind, counter, media = d.packet(rec.Tag, rec.Body)
		r.Tag, r.Counter, r.Media = hex32(rec.Tag), counter, media
	default:
		r.Kind = unknown
	}
	x.Stream.Records = append(x.Stream.Records, r)
	h.drop(n)
	return true
}
