package session

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	seenV4 = sighting{0x0102030405060708, netip.MustParseAddrPort("192.0.2.7:33033")}
	seenV6 = sighting{0x0102030405060708, netip.MustParseAddrPort("[2001:db8::7]:33033")}
)

func TestRecords(t *testing.T) {
	tests := []struct {
		name string
		wire string
		got  func(body []byte) (any, bool)
		want any
		make []byte
	}{
		{"part", "01 05 05 01 616263", func(b []byte) (any, bool) { p, ok := parsePiece(b); return p, ok },
			piece{5, true, []byte("abc")}, piece{5, true, []byte("abc")}.append(nil)},
		{"part, more follow", "01 04 ac02 00 61", func(b []byte) (any, bool) { p, ok := parsePiece(b); return p, ok },
			piece{300, false, []byte("a")}, piece{300, false, []byte("a")}.append(nil)},
		{"ack", "02 09 07 8000000000000001", func(b []byte) (any, bool) { a, ok := parseAck(b); return a, ok },
			ack{7, 1<<63 | 1}, ack{7, 1<<63 | 1}.append(nil)},
		{"challenge", "04 08 0102030405060708", func(b []byte) (any, bool) { return b, true },
			unhex(t, "0102030405060708"), appendRecord(nil, recChallenge, unhex(t, "0102030405060708"))},
		{"silent", "09 00", func(b []byte) (any, bool) { return len(b), true }, 0, appendRecord(nil, recSilent)},
		{"where", "07 1a 0102030405060708 000000000000000000000000000000000000", func(b []byte) (any, bool) { return len(b), true },
			whereSize, appendRecord(nil, recWhere, whereBody(0x0102030405060708, 0))},
		{"where, after 5 minutes", "07 1a 0102030405060708 012c 00000000000000000000000000000000", func(b []byte) (any, bool) { return len(b), true },
			whereSize, appendRecord(nil, recWhere, whereBody(0x0102030405060708, 300))},
		{"seen", "08 0e 0102030405060708 8109 c0000207", func(b []byte) (any, bool) { s, ok := parseSighting(b); return s, ok },
			seenV4, appendRecord(nil, recSeen, seenV4.body())},
		{"seen, IPv6", "08 1a 0102030405060708 8109 20010db8000000000000000000000007", func(b []byte) (any, bool) { s, ok := parseSighting(b); return s, ok },
			seenV6, appendRecord(nil, recSeen, seenV6.body())},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if !bytes.Equal(tt.make, wire) {
				t.Errorf("made %x, want %x", tt.make, wire)
			}
			kind, body, rest, ok := cutRecord(append(wire, 0xff))
			if !ok || kind != wire[0] || len(rest) != 1 {
				t.Fatalf("cut %d %x, %x left, %v", kind, body, rest, ok)
			}
			if got, ok := tt.got(body); !ok || !reflect.DeepEqual(got, tt.want) {
				t.Errorf("got %v %v, want %v", got, ok, tt.want)
			}
		})
	}
}

func TestBadRecords(t *testing.T) {
	for _, s := range []string{"", "01", "01 02 00", "01 ff", "01 ffffffffffffffffff7f 00", "01 ffffffffffffffffffff01"} {
		if kind, body, _, ok := cutRecord(unhex(t, s)); ok {
			t.Errorf("%q gives record %d %x", s, kind, body)
		}
	}
	for _, s := range []string{"", "05", "05 02", "ff", "ffffffffffffffffffff01 00"} {
		if p, ok := parsePiece(unhex(t, s)); ok {
			t.Errorf("%q gives part %v", s, p)
		}
	}
	for _, s := range []string{"", "05", "05 00000000000000", "05 000000000000000000", "ffffffffffffffffffff01 0000000000000000"} {
		if a, ok := parseAck(unhex(t, s)); ok {
			t.Errorf("%q gives ack %v", s, a)
		}
	}
}

func TestBadSighting(t *testing.T) {
	for _, s := range []string{"", "0102030405060708 8109", "0102030405060708 8109 c00002", "0102030405060708 8109 c000020701"} {
		if x, ok := parseSighting(unhex(t, s)); ok {
			t.Errorf("%q gives %v", s, x)
		}
	}
}

func TestAckHas(t *testing.T) {
	a := ack{next: 10, later: 1 | 1<<63}
	for n, want := range map[uint64]bool{0: true, 9: true, 10: false, 11: true, 12: false, 74: true, 75: false, 1 << 62: false} {
		if a.has(n) != want {
			t.Errorf("has(%d) = %v", n, !want)
		}
	}
}

// Whatever a certified peer puts into its packets: no panic, no unbounded
// memory, no sequence that goes back.
func FuzzRecords(f *testing.F) {
	f.Add(piece{0, true, encode(tone("x"), 0)}.append(nil))
	f.Add(ack{3, 5}.append(nil))
	f.Add(appendRecord(appendRecord(nil, recChallenge, make([]byte, 8)), recResponse, make([]byte, 8)))
	f.Add(appendRecord(nil, recWhere, whereBody(1, 300)))
	f.Add(appendRecord(nil, recSeen, seenV6.body()))
	f.Add(appendRecord(nil, recCommand, encode(tone("x"), 0)))
	f.Add(piece{0, true, encode(&message.Upgrade2{Body: []byte{1}, Tag: 2}, 0)}.append(nil))
	f.Add(piece{0, true, encode(&message.Goodbye{Reason: "?"}, 0)}.append(nil))
	options := bob.options()
	f.Fuzz(func(t *testing.T, records []byte) {
		if len(records) > maxReceived-overhead {
			return
		}
		options.Rand = rand.NewChaCha8([32]byte{1})
		b := New(options)
		b.at(start)
		s := &session{
			peer: alice.peer.Node, agreement: alice.peer.Agreement, state: up, index: -1, heard: b.now,
			keys:  epoch{own: 2, peer: 4},
			paths: []path{{Path: through, rank: 1, up: true}},
		}
		b.peers[s.peer], b.tags[2] = s, s
		b.Send(start, s.peer, tone("something to acknowledge"))
		b.Take()
		body, _ := (&epoch{}).seal(modern, records)
		b.Packet(start, through, 2, body)
		sent := 0
		for _, x := range b.Take() {
			if p, ok := x.(SendPacket); ok {
				sent += len(p.Body)
			}
		}
		if s.want > uint64(len(records)) {
			t.Errorf("%d parts in %d bytes", s.want, len(records))
		}
		if sent > len(body)+2*maxBody { // an answer to an upgrade at the most
			t.Errorf("%d bytes answered with %d", len(body), sent)
		}
		if f := s.flow; f != nil && (len(f.later) > partWindow || len(f.command) > MaxCommand) {
			t.Errorf("%d parts, %d bytes are kept", len(f.later), len(f.command))
		}
		now := start
		for range 100 {
			if at := b.Deadline(); !at.IsZero() {
				now = later(now, at)
			}
			b.Tick(now)
			b.Take()
		}
		if len(b.peers)+len(b.tags)+len(b.queue) != 0 { // nobody ever answered
			t.Errorf("%d peers, %d tags, %d in the queue", len(b.peers), len(b.tags), len(b.queue))
		}
	})
}

// The payload of a Hello comes from any device that the authority certified.
func FuzzHello(f *testing.F) {
	whole := message.HelloPayload{Certificate: alice.certificate, Tag: 2, Time: uint64(start.UnixMilli()), Commands: encode(tone("x"), 0)}
	f.Add(message.Marshal(&whole), make([]byte, 200))
	whole.Tag = 3
	f.Add(message.Marshal(&whole), []byte(nil))
	f.Add([]byte{}, []byte{0x41, 0})
	options := bob.options()
	f.Fuzz(func(t *testing.T, payload, noise []byte) {
		if len(payload) > 1000 {
			return
		}
		b := New(options)
		for _, tt := range []struct {
			peer  bool
			noise []byte
		}{{false, noise}, {true, sealHello(payload)}} {
			b.Hello(start, through, 1, &message.Hello{Noise: tt.noise})
			size := 0
			for _, x := range b.Take() {
				switch x := x.(type) {
				case SendHello:
					size += len(x.Message.(*message.HelloReply).Noise)
				case Received:
					if spec := message.SpecOf(x.Message); spec.Kind != message.OneWay || !x.Early {
						t.Errorf("a Hello carried %+v", x)
					}
				default:
					t.Errorf("a Hello alone made %#v", x)
				}
			}
			if size > len(tt.noise) {
				t.Errorf("%d bytes answered with %d", len(tt.noise), size)
			}
		}
	})
}

// sealHello is the message of a device that is alice but says what it likes.
func sealHello(payload []byte) []byte {
	msg, _, err := modern.Initiate(binding(bob), alice.keys, bob.peer.Agreement, payload)
	if err != nil {
		panic(err)
	}
	return msg
}
