package frame

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"testing"

	"pgregory.net/rapid"
)

var records = []struct {
	name   string
	record Record
	wire   string
}{
	// Of public captures, after RC4; docs/protocol.md names the sources.
	{"SC: command 6", Record{Kind: Commands, Packet: 0x6d32, Body: unhex("06 32 6d31 42 8514c9")}, "14 6d32 06326d31428514c9"},
	{"SC: ack", Record{Kind: Ack, Packet: 0xb8ee}, "07 01 b8ee"},
	{"SC: five commands", Record{Kind: Commands, Packet: 0x6d36,
		Body: unhex("08326d354234aa09f8ee 08326d364234cd9668ee 08326d37423271b3cff7 08326d384234a45b64ee 08326d3942331c6325fa")},
		"68 6d36 08326d354234aa09f8ee 08326d364234cd9668ee 08326d37423271b3cff7 08326d384234a45b64ee 08326d3942331c6325fa"},
	{"SC: padding of 54 bytes", Record{Kind: Padding, Body: make([]byte, 54)}, "6f 03" + hex.EncodeToString(make([]byte, 54))},
	{"FS: padding of 35 bytes", Record{Kind: Padding, Body: make([]byte, 35)}, "49 03" + hex.EncodeToString(make([]byte, 35))},
	{"FS: command 6", Record{Kind: Commands, Packet: 0x97bf, Body: unhex("0a 32 97be 41 02 000410 000506")},
		"1c 97bf 0a3297be4102000410000506"},
	// Ours.
	{"session", Record{Kind: InSession, Tag: 0xdeadbeee, Body: unhex("0102")}, "0f 05 deadbeee 0102"},
	{"session, empty body", Record{Kind: InSession, Tag: 0xdeadbeee, Body: []byte{}}, "0b 05 deadbeee"},
	// CRC(0102) is 4933bd6d, so the word is beee ^ bd6d.
	{"session, classic", Record{Kind: InSession, Tag: 0xbeee, Classic: true, Body: unhex("0102")}, "0b 05 0383 0102"},
	{"session, classic, empty body", Record{Kind: InSession, Tag: 0xbeee, Classic: true, Body: []byte{}}, "07 05 4111"},
	{"no commands", Record{Kind: Commands, Packet: 1, Body: []byte{}}, "04 0001"},
	{"a kind of the future", Record{Kind: 0x7e, Body: unhex("0102")}, "07 7e 0102"},
	{"63 bytes need a second byte of length", Record{Kind: Padding, Body: make([]byte, 63)}, "8101 03" + hex.EncodeToString(make([]byte, 63))},
}

// of is the records of classic networks, or of the others.
func of(classic bool) (rs []Record) {
	for _, tt := range records {
		if tt.record.Kind != InSession || tt.record.Classic == classic {
			rs = append(rs, tt.record)
		}
	}
	return rs
}

func TestRecords(t *testing.T) {
	for _, tt := range records {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(tt.wire)
			if got := tt.record.Append([]byte{0xaa}); !bytes.Equal(got[1:], wire) || got[0] != 0xaa {
				t.Errorf("Append = %x\nwant   aa%x", got, wire)
			}
			got, n, err := ParseRecord(append(wire, 0xaa), tt.record.Classic)
			if err != nil || n != len(wire) || !reflect.DeepEqual(got, tt.record) {
				t.Errorf("ParseRecord = %+v, %d, %v\nwant %+v", got, n, err, tt.record)
			}
			for end := range wire {
				if got, n, err := ParseRecord(wire[:end], tt.record.Classic); n != 0 || err != nil {
					t.Errorf("the first %d bytes: %+v, %d, %v, want more to be asked for", end, got, n, err)
				}
			}
		})
	}
}

func TestRecordErrors(t *testing.T) {
	for _, tt := range []struct {
		name string
		wire string
		err  error
	}{
		{"empty", "00", ErrRecord},
		{"empty control", "01", ErrRecord},
		{"half a packet id", "02 01", ErrRecord},
		{"control of type 0", "03 00", ErrRecord},
		{"ack of 1 byte", "05 01 b8", ErrRecord},
		{"ack of 3 bytes", "09 01 b8ee00", ErrRecord},
		{"session with half a tag", "07 05 dead", ErrRecord},
		{"longer than allowed", "8c8008", ErrRecordLength},
		{"length of 4 bytes", "808080", ErrRecordLength},
	} {
		_, n, err := ParseRecord(unhex(tt.wire), false)
		if !errors.Is(err, tt.err) || n != 0 {
			t.Errorf("%s: %d, %v, want %v", tt.name, n, err, tt.err)
		}
	}
	if _, n, err := ParseRecord(unhex("05 05 de"), true); !errors.Is(err, ErrRecord) || n != 0 {
		t.Errorf("classic session with half a word: %d, %v", n, err)
	}
	longest := Record{Kind: InSession, Body: make([]byte, MaxPayload)}
	if _, n, err := ParseRecord(longest.Append(nil), false); n == 0 || err != nil {
		t.Errorf("the longest one: %d, %v", n, err)
	}
}

// However a stream is cut, the same records come out, and nothing stays behind.
func TestRecordsInPieces(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want []Record
		var stream []byte
		classic := rapid.Bool().Draw(t, "classic")
		for range rapid.IntRange(0, 10).Draw(t, "records") {
			r := rapid.SampledFrom(of(classic)).Draw(t, "record")
			want = append(want, r)
			stream = r.Append(stream)
		}
		in := Records{Classic: classic}
		var got []Record
		for len(stream) > 0 {
			n := rapid.IntRange(1, len(stream)).Draw(t, "piece")
			piece := bytes.Clone(stream[:n])
			stream = stream[n:]
			in.Feed(piece)
			for {
				r, ok, err := in.Next()
				if err != nil {
					t.Fatal(err)
				}
				if !ok {
					break
				}
				if r.Body != nil {
					r.Body = append([]byte{}, r.Body...)
				}
				got = append(got, r)
			}
			clear(piece) // the caller's buffer is the caller's again
		}
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v\nwant %+v", got, want)
		}
		if in.buf != nil {
			t.Fatalf("%d bytes are kept", cap(in.buf))
		}
	})
}

func TestRecordsAllocateNothing(t *testing.T) {
	var stream []byte
	for _, r := range of(true) {
		stream = r.Append(stream)
	}
	in := Records{Classic: true}
	if n := testing.AllocsPerRun(100, func() {
		in.Feed(stream)
		for ok := true; ok; {
			var err error
			if _, ok, err = in.Next(); err != nil {
				t.Fatal(err)
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations for whole records, want none", n)
	}
}

// Fed in two pieces or at once, a stream gives the same records and errors.
func FuzzRecords(f *testing.F) {
	var all []byte
	for _, tt := range records {
		f.Add(unhex(tt.wire), 2, tt.record.Classic)
		all = append(all, unhex(tt.wire)...)
	}
	f.Add(all, 20, false)
	f.Fuzz(func(t *testing.T, b []byte, cut int, classic bool) {
		cut = min(max(cut, 0), len(b))
		whole, wholeErr := readAll(classic, b)
		parts, partsErr := readAll(classic, b[:cut], b[cut:])
		if !reflect.DeepEqual(whole, parts) || wholeErr != partsErr {
			t.Fatalf("at once: %+v, %v\nin two: %+v, %v", whole, wholeErr, parts, partsErr)
		}
		for _, r := range whole {
			again, n, err := ParseRecord(r.Append(nil), classic)
			if n == 0 || err != nil || !reflect.DeepEqual(again, r) {
				t.Fatalf("%+v became %+v, %v", r, again, err)
			}
		}
	})
}

func readAll(classic bool, pieces ...[]byte) (all []Record, err error) {
	in := Records{Classic: classic}
	for _, p := range pieces {
		in.Feed(p)
		for {
			r, ok, err := in.Next()
			if err != nil {
				return all, err
			}
			if !ok {
				break
			}
			if r.Body != nil {
				r.Body = append([]byte{}, r.Body...)
			}
			all = append(all, r)
		}
	}
	return all, nil
}
