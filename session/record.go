package session

import (
	"encoding/binary"
	"net/netip"
)

// Kinds of records in a session packet.
const (
	recPadding   = 0
	recPart      = 1
	recAck       = 2
	recCommand   = 3
	recChallenge = 4
	recResponse  = 5
	recWhere     = 7
	recSeen      = 8
	recSilent    = 9
)

// What records cost at the most besides what they carry.
const (
	partOverhead  = 1 + 2 + binary.MaxVarintLen64 + 1
	ackSize       = 1 + 1 + binary.MaxVarintLen64 + 8
	looseOverhead = 1 + 2
	challengeSize = 1 + 1 + 8 // in all
)

// maxReceived bounds the body of a D frame that is looked at.
const maxReceived = 2048

// appendRecord appends one record, whose body is the concatenation of pieces.
func appendRecord(b []byte, kind byte, pieces ...[]byte) []byte {
	n := 0
	for _, p := range pieces {
		n += len(p)
	}
	b = binary.AppendUvarint(append(b, kind), uint64(n))
	for _, p := range pieces {
		b = append(b, p...)
	}
	return b
}

// cutRecord takes the first record off b. It says false at the end and at the
// first byte that makes no sense: a peer that sends such a thing is broken, and
// what came before it is still good.
func cutRecord(b []byte) (kind byte, body, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, nil, false
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > uint64(len(b)-1-size) {
		return 0, nil, nil, false
	}
	rest = b[1+size:]
	return b[0], rest[:n:n], rest[n:], true
}

// A piece is the body of a part record.
type piece struct {
	sequence uint64
	last     bool // of its command
	data     []byte
}

func (p piece) append(b []byte) []byte {
	var head [binary.MaxVarintLen64 + 1]byte
	n := binary.PutUvarint(head[:], p.sequence)
	if p.last {
		head[n] = 1
	}
	return appendRecord(b, recPart, head[:n+1], p.data)
}

func parsePiece(body []byte) (p piece, ok bool) {
	n, size := binary.Uvarint(body)
	if size <= 0 || len(body) == size || body[size] > 1 {
		return p, false
	}
	return piece{sequence: n, last: body[size] == 1, data: body[size+1:]}, true
}

// An ack says which parts arrived.
type ack struct {
	next  uint64 // all before it
	later uint64 // bit i: next+1+i as well
}

func (a ack) append(b []byte) []byte {
	var body [binary.MaxVarintLen64 + 8]byte
	n := binary.PutUvarint(body[:], a.next)
	binary.BigEndian.PutUint64(body[n:], a.later)
	return appendRecord(b, recAck, body[:n+8])
}

func parseAck(body []byte) (a ack, ok bool) {
	n, size := binary.Uvarint(body)
	if size <= 0 || len(body) != size+8 {
		return a, false
	}
	return ack{n, binary.BigEndian.Uint64(body[size:])}, true
}

// has says whether the ack covers a part.
func (a ack) has(sequence uint64) bool {
	if sequence < a.next {
		return true
	}
	i := sequence - a.next - 1 // a.next itself wraps around, out of the range
	return i < 64 && a.later&(1<<i) != 0
}

// whereSize is the body of a where: as long as the longest seen.
const whereSize = 8 + 2 + 16

// whereBody asks for an answer after so many seconds; 0: at once.
func whereBody(token uint64, after uint16) []byte {
	b := make([]byte, whereSize)
	binary.BigEndian.PutUint64(b, token)
	binary.BigEndian.PutUint16(b[8:], after)
	return b
}

// A sighting is the body of a seen record.
type sighting struct {
	token uint64
	addr  netip.AddrPort
}

func (s sighting) body() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, whereSize), s.token)
	b = binary.BigEndian.AppendUint16(b, s.addr.Port())
	return append(b, s.addr.Addr().Unmap().AsSlice()...)
}

func parseSighting(body []byte) (s sighting, ok bool) {
	if len(body) < 10 {
		return s, false
	}
	ip, ok := netip.AddrFromSlice(body[10:])
	return sighting{binary.BigEndian.Uint64(body), netip.AddrPortFrom(ip.Unmap(), binary.BigEndian.Uint16(body[8:]))}, ok
}
