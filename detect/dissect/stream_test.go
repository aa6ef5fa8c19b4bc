package dissect

import (
	"bytes"
	"encoding/hex"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// direction is one direction of a stream as it is on the wire.
func direction(seed uint32, records ...frame.Record) []byte {
	b := obfuscate.AppendOpening(nil, seed, 1)
	start := len(b)
	for _, r := range records {
		b = r.Append(b)
	}
	obfuscate.NewStream(seed).XOR(b[start:])
	return b
}

func segment(fromClient bool, seq uint32, payload []byte, flags capture.Flags) capture.Packet {
	p := capture.Packet{Protocol: capture.TCP, Src: alice, Dst: server, Seq: seq, Payload: payload, Flags: flags | capture.ACK}
	if !fromClient {
		p.Src, p.Dst = server, alice
	}
	return p
}

// recordsOf are all records that were explained.
func recordsOf(all []Explanation) (records []Record) {
	for _, x := range all {
		if x.Stream != nil {
			records = append(records, x.Stream.Records...)
		}
	}
	return records
}

var (
	ask     = command(0x6d31, &message.AskDescriptor{Fingerprint: make([]byte, 32)})
	refusal = command(0x6d31, &message.Failure{Code: message.FailureNotFound, Text: "no such network"})
)

func TestStream(t *testing.T) {
	s := newScript(t, Options{})
	syn := segment(true, 999, nil, capture.SYN)
	syn.Flags = capture.SYN
	if x := s.packet(syn); x.Kind != KindConnection || x.Stream.Event != "connects" || x.Stream.From != "client" {
		t.Errorf("%+v, stream %+v", x, x.Stream)
	}
	if all := s.feed(segment(false, 4999, nil, capture.SYN)); len(all) != 0 {
		t.Errorf("SYN of the server: %+v", all)
	}
	there := direction(0x81020304, frame.Record{Kind: frame.Padding, Body: []byte{1, 2, 3}}, frame.Record{Kind: frame.Commands, Packet: 0x6d32, Body: ask})
	back := direction(0x91020304, frame.Record{Kind: frame.Ack, Packet: 0x6d32}, frame.Record{Kind: frame.Commands, Packet: 0x0101, Body: refusal},
		frame.Record{Kind: frame.InSession, Tag: 0x0a0b0c0e, Body: make([]byte, 30)})
	x := s.packet(segment(true, 1000, there, capture.PSH))
	if o := x.Stream.Opening; x.Kind != KindStream || o == nil || *o != (Opening{"81020304", "0001"}) || !x.Proven || x.Stream.Waiting != 0 {
		t.Errorf("%+v, stream %+v", x, x.Stream)
	}
	if r := x.Stream.Records; len(r) != 2 || r[0].Kind != "padding" || r[1].Packet != "6d32" || r[1].Commands[0].Name != "ask descriptor" {
		t.Errorf("%+v", r)
	}
	x = s.packet(segment(false, 5000, back, capture.PSH))
	r := x.Stream.Records
	if len(r) != 3 || r[0].Kind != "ack" || r[0].Answers == nil || r[0].Answers.Number != 3 || r[2].Kind != KindSession || r[2].Tag != "0a0b0c0e" {
		t.Fatalf("%+v", r)
	}
	if a := r[1].Commands[0].Answers; a == nil || a.Number != 3 || a.What != "ask descriptor" || a.MS != 1 {
		t.Errorf("reply answers %+v", a)
	}
	for _, tt := range []struct {
		p     capture.Packet
		event string
	}{
		{segment(true, 1000+uint32(len(there)), nil, capture.FIN), "ends its side"},
		{segment(false, 5000+uint32(len(back)), nil, capture.RST), "breaks the connection"},
	} {
		if x := s.packet(tt.p); x.Stream.Event != tt.event || x.Kind != KindConnection {
			t.Errorf("%+v, want %s", x.Stream, tt.event)
		}
	}
	// The same ports again, the same first number: another connection.
	if x := s.packet(syn); x.Stream.Connection != 2 {
		t.Errorf("%+v", x.Stream)
	}
}

// However the segments of a stream come, its records are the same.
func TestStreamInAnyOrder(t *testing.T) {
	var want []string
	var records []frame.Record
	for i := range 20 {
		r := frame.Record{Kind: frame.Commands, Packet: uint16(i), Body: ask}
		records = append(records, r)
		want = append(want, hex16(uint16(i)))
	}
	wire := direction(0x81020304, records...)
	rapid.Check(t, func(rt *rapid.T) {
		var cuts []capture.Packet
		for at := 0; at < len(wire); {
			n := min(len(wire)-at, rapid.IntRange(1, 200).Draw(rt, "size"))
			back := rapid.IntRange(0, min(at, 20)).Draw(rt, "overlap")
			cuts = append(cuts, segment(true, uint32(at-back)-300, wire[at-back:at+n], 0)) // the numbers run over
			at += n
		}
		syn := segment(true, ^uint32(300), nil, 0)
		syn.Flags = capture.SYN
		cuts = rapid.Permutation(append(cuts, cuts...)).Draw(rt, "order")
		s := newScript(t, Options{})
		s.feed(syn)
		for _, p := range cuts {
			s.feed(p)
		}
		var got []string
		for _, r := range recordsOf(s.all) {
			got = append(got, r.Packet)
		}
		if !slices.Equal(got, want) {
			rt.Errorf("packets %v, want %v", got, want)
		}
		if s.streams.bytes != 0 {
			rt.Errorf("%d bytes are kept", s.streams.bytes)
		}
	})
}

// A record may come a byte at a time; what waits is not copied with each.
func TestLongRecordInShortSegments(t *testing.T) {
	there := direction(0x81020304, frame.Record{Kind: frame.Padding, Body: make([]byte, 30_000)})
	d := New(Options{})
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var records []Record
	for i := range there {
		p := segment(true, uint32(i), there[i:i+1], 0)
		p.Length = 1
		records = append(records, recordsOf(d.Packet(&p))...)
	}
	runtime.ReadMemStats(&after)
	if len(records) != 1 || records[0].Bytes < 30_000 {
		t.Errorf("%+v", records)
	}
	if per := (after.TotalAlloc - before.TotalAlloc) / uint64(len(there)); per > 4096 {
		t.Errorf("%d bytes are allocated for each segment of one byte", per)
	}
}

func TestStreamsThatCannotBeRead(t *testing.T) {
	wire := direction(0x81020304, frame.Record{Kind: frame.Commands, Packet: 1, Body: ask})
	nonsense := bytes.Repeat([]byte{0xff}, 6)
	obfuscate.NewStream(0x81020304).XOR(nonsense)
	nonsense = append(direction(0x81020304), nonsense...)
	cut := segment(true, 0, wire[:20], 0)
	cut.Length = 30
	for _, tt := range []struct {
		name    string
		packets []capture.Packet
		note    string
	}{
		{"HTTP", []capture.Packet{segment(true, 0, []byte("GET / HTTP/1.1\r\n\r\n"), 0)}, "no opening"},
		{"TLS", []capture.Packet{segment(true, 0, []byte("\x16\x03\x01\x00\x05\x01\x00\x00\x01\x03"), 0)}, "TLS"},
		{"cut by the capture", []capture.Packet{cut}, "has 20 of its 30 bytes"},
		{"nonsense", []capture.Packet{segment(true, 0, nonsense, 0)}, "no record"},
		{"a hole", []capture.Packet{segment(true, 0, wire[:20], 0), segment(true, 21, wire[21:], 0)}, "1 bytes before it are missing"},
	} {
		s := newScript(t, Options{})
		for _, p := range tt.packets {
			s.feed(p)
		}
		last := s.all[len(s.all)-1]
		if !strings.Contains(strings.Join(last.Notes, "; "), tt.note) || len(last.Stream.Records) != 0 {
			t.Errorf("%s: %+v, notes %q", tt.name, last.Stream, last.Notes)
		}
	}
}

// A hole that is never filled costs no more than maxAhead.
func TestHoleIsBounded(t *testing.T) {
	s := newScript(t, Options{})
	s.feed(segment(true, 0, direction(0x81020304), 0))
	payload := bytes.Repeat([]byte{1}, 32<<10)
	for i := range 100 {
		s.feed(segment(true, 1000+uint32(i*len(payload)), payload, 0))
		if s.streams.bytes > maxAhead+len(payload) {
			t.Fatalf("%d bytes wait", s.streams.bytes)
		}
	}
	if !strings.Contains(s.all[len(s.all)-68].Notes[0], "cannot be read on") {
		t.Errorf("%q", s.all[len(s.all)-68].Notes)
	}
}

// W2.3: on port 443 of a classic network.
func TestDisguise(t *testing.T) {
	s := newScript(t, Options{})
	record := frame.Record{Kind: frame.Ack, Packet: 7}
	x := s.packet(segment(true, 0, append(obfuscate.AppendClientHello(nil, [16]byte{}), direction(0x81020304, record)...), 0))
	if x.Stream.Opening == nil || len(x.Stream.Records) != 1 || !strings.Contains(strings.Join(x.Notes, "; "), "begins as SSL would") {
		t.Errorf("%+v, notes %q", x.Stream, x.Notes)
	}
	x = s.packet(segment(false, 0, append(obfuscate.AppendServerHello(nil, 1, [60]byte{}), direction(0x91020304, record)...), 0))
	if x.Stream.Opening == nil || len(x.Stream.Records) != 1 || !strings.Contains(strings.Join(x.Notes, "; "), "answers as SSL would") {
		t.Errorf("%+v, notes %q", x.Stream, x.Notes)
	}
}

// W7.2. The list is the layout; the number under RSA is made up.
func TestClassicLogin(t *testing.T) {
	unhex := func(s string) []byte {
		b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	sealed := make([]byte, 50)
	crc := obfuscate.CRC(sealed)
	sealed = append(sealed, byte(crc), byte(crc>>8))
	keys := append(unhex("41 03 0009 8040 0408 c001"), make([]byte, 192)...)
	keys = append(keys, unhex("000c 01")...)
	if len(keys) != 0xcd {
		t.Fatalf("%x bytes of keys", len(keys))
	}

	s := newScript(t, Options{})
	s.packet(segment(true, 0, unhex("16 0301 0000"), 0))
	s.packet(segment(false, 0, unhex("17 0301 0000"), 0))
	request := frame.LoginRecord{Kind: frame.LoginKey, Body: keys}.Append(nil)
	request = frame.LoginRecord{Kind: frame.LoginData, Body: sealed}.Append(request)
	s.packet(segment(true, 5, request[:100], 0))
	s.packet(segment(true, 105, request[100:], 0))
	sealed[3] ^= 1
	s.packet(segment(false, 5, frame.LoginRecord{Kind: frame.LoginData, Body: sealed}.Append(nil), 0))

	var kinds []string
	var notes []string
	for _, x := range s.all {
		if x.Kind != KindLogin || !x.Proven {
			t.Errorf("packet %d: %+v", x.Number, x)
		}
	}
	for _, r := range recordsOf(s.all) {
		kinds = append(kinds, r.Kind)
		notes = append(notes, strings.Join(r.Notes, "; "))
	}
	if want := []string{"hello", "hello-answer", "visible", "sealed", "sealed"}; !slices.Equal(kinds, want) {
		t.Fatalf("%q, want %q", kinds, want)
	}
	for i, want := range map[int]string{2: "1536 bits under raw RSA", 3: "are the CRC of the sealed ones (record 0", 4: "are not the CRC"} {
		if !strings.Contains(notes[i], want) {
			t.Errorf("record %d: %s, want %q", i, notes[i], want)
		}
	}
	if !strings.Contains(notes[3], "user, secret") || !strings.Contains(notes[4], "certificate") {
		t.Errorf("%q", notes)
	}
}

// A login of August 2006, recorded by somebody else, has the layout that
// W7.2 gives; the CRCs of what nobody can read fit all the same.
func TestLoginOf2006(t *testing.T) {
	in := openShared(t, "pos_skypeirc_2006_part1.pcap")
	r, err := capture.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	login := netip.MustParseAddrPort("195.215.8.141:33033")
	d := New(Options{})
	var kinds []string
	fit := 0
	for {
		p, err := r.Next()
		if err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		for _, x := range d.Packet(p) {
			if x.Src != login && x.Dst != login {
				continue
			}
			for _, r := range recordsOf([]Explanation{x}) {
				kinds = append(kinds, r.Kind)
				if strings.Contains(strings.Join(r.Notes, "; "), "are the CRC of the sealed ones") {
					fit++
				}
			}
		}
	}
	if want := []string{"hello", "hello-answer", "visible", "sealed", "sealed"}; len(kinds) < len(want) || !slices.Equal(kinds[:len(want)], want) {
		t.Errorf("records %q, want %q first", kinds, want)
	}
	if sealed := len(kinds) - 3; fit != sealed {
		t.Errorf("%d of %d CRCs fit", fit, sealed)
	}
}

// openShared opens a capture that is not part of the repository.
func openShared(t *testing.T, name string) *os.File {
	dir := "."
	for range 5 {
		if f, err := os.Open(filepath.Join(dir, "shared", "captures", name)); err == nil {
			t.Cleanup(func() { f.Close() })
			return f
		}
		dir = filepath.Join(dir, "..")
	}
	t.Skip(name, "is not here: it is nobody's to give away")
	return nil
}
