package objlist

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"math"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Lists in public documents about the old network; the tags of the sources are
// those of docs/protocol.md.
var vectors = []struct {
	name string
	wire string
	text string
}{
	{"SN: probe with a raw list", "4100", `{}`},
	{"OS: one number", "41 01 000101", `{0/1=1}`},
	{"DN: host cache entry", "41 05 02004C6E771C823B 000104 0002B981EDCE04 0003B981EDCE04 000400",
		`{2/0=76.110.119.28:33339, 0/1=4, 0/2=1239105721, 0/3=1239105721, 0/4=0}`},
	{"FS: body of command 6", "41 02 000410 000506", `{0/4=16, 0/5=6}`},
	{"SO: second list of a login request",
		"410704218001B2C7B3BFC30DD751014B89181EE33C51815DC63BF38A84DA9C819755A944CACFFE51DCF705C1F47D8D758644373BC2262DB2C5BF02DC96B4343F2C0EA5FEAE928CBF708F7DE679B59A5B42D81660EAA1FB66103B61A2CE9C4EAB3A6300F1C226BF1CCBCE7EAC66BB596B16B4858FF7B985CBC420BC67EA323656F8FCFA8D42B501319ACA0BBB48FB45AF0336656E00063305AF8BEDC704B290E3A703F0A7A401BDC1BAA30CEDA1D18A02030D302F362E31362E302E31302F2F00000EAEE584920B04131B65F124417C036C9501C0A8014BE108400417B09C46B24132AEE108",
		`{4/21=xb2c7b3bfc30dd751014b89181ee33c51815dc63bf38a84da9c819755a944cacffe51dcf705c1f47d8d758644373bc2262db2c5bf02dc96b4343f2c0ea5feae928cbf708f7de679b59a5b42d81660eaa1fb66103b61a2ce9c4eab3a6300f1c226bf1ccbce7eac66bb596b16b4858ff7b985cbc420bc67ea323656f8fcfa8d42b5, 1/31=x9aca0bbb48fb45af, 3/36="en", 6/33=[1224426927,888719410,2692080,3295584445,559173869], 3/D="0/6.16.0.10//", 0/E=2990617262, 4/13=x65f124417c036c9501c0a8014be108400417b09c46b24132aee108}`},
	{"SO: command 6D of a session, unix42.c", "41 04 0001B8C18C8C09 000300 040432410400010D030223786F745F69616D2F24786F7465675F69616D3B3136323064313131623465643239323000001C01001D01 000705",
		`{0/1=2441289912, 0/3=0, 4/4=x410400010d030223786f745f69616d2f24786f7465675f69616d3b3136323064313131623465643239323000001c01001d01, 0/7=5}`},
	{"SO: the list in 4/4 of the one before", "410400010D030223786F745F69616D2F24786F7465675F69616D3B3136323064313131623465643239323000001C01001D01",
		`{0/1=13, 3/2="#xot_iam/$xoteg_iam;1620d111b4ed2920", 0/1C=1, 0/1D=1}`},
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			l, err := Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.String(); got != tt.text {
				t.Errorf("Parse = %s\nwant    %s", got, tt.text)
			}
			if got := l.Append(nil); !bytes.Equal(got, wire) {
				t.Errorf("Append = %x\nwant     %x", got, wire)
			}
		})
	}
}

func TestKinds(t *testing.T) {
	tests := []struct {
		name string
		list List
		wire string
	}{
		{"number", List{Number(0x0b, 300)}, "41 01 00 0b ac02"},
		{"largest number", List{Number(math.MaxUint32, math.MaxUint32)}, "41 01 00 ffffffff0f ffffffff0f"},
		{"uint64", List{Uint64(0x0d, 0x6b74b3cf2b9e97cb)}, "41 01 01 0d 6b74b3cf2b9e97cb"},
		{"address", List{Addr(0x11, netip.MustParseAddrPort("192.0.2.7:33033"))}, "41 01 02 11 c0000207 8109"},
		{"string", List{String(0x10, "zoë")}, "41 01 03 10 7a6fc3ab 00"},
		{"empty string", List{String(0x10, "")}, "41 01 03 10 00"},
		{"blob", List{Blob(0xefef, []byte{0, 1, 0x41})}, "41 01 04 efdf03 03 000141"},
		{"list", List{Nested(6, List{Number(0, 1315), Nested(1, nil)})}, "41 01 05 06 41 02 00 00 a30a 05 01 4100"},
		{"numbers", List{Numbers(0x33, []uint32{1, 128, math.MaxUint32})}, "41 01 06 33 03 01 8001 ffffffff0f"},
		{"ids repeat and keep their order", List{Number(3, 2), Number(1, 0), Number(3, 1)}, "41 03 000302 000100 000301"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if got := tt.list.Append([]byte{0xaa}); !bytes.Equal(got[1:], wire) || got[0] != 0xaa {
				t.Errorf("Append = %x, want aa%x", got, wire)
			}
			if got, err := Parse(wire); err != nil || !reflect.DeepEqual(got, tt.list) {
				t.Errorf("Parse = %v, %v, want %v", got, err, tt.list)
			}
		})
	}
}

func TestAppendCutsWhatDoesNotFit(t *testing.T) {
	tests := []struct {
		name string
		obj  Object
		want string
	}{
		{"NUL in a string", String(1, "ab\x00cd"), `{3/1="ab"}`},
		{"wide number", Object{ID: 1, Num: 1<<32 | 5}, `{0/1=5}`},
		{"IPv6", Object{ID: 1, Kind: KindAddr, Addr: netip.MustParseAddrPort("[2001:db8::1]:258")}, `{4/1=x20010db80000000000000000000000010102}`},
		{"IPv4 in IPv6", Object{ID: 1, Kind: KindAddr, Addr: netip.MustParseAddrPort("[::ffff:192.0.2.1]:7")}, `{2/1=192.0.2.1:7}`},
		{"no address", Object{ID: 1, Kind: KindAddr}, `{2/1=0.0.0.0:0}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			l, err := Parse(List{tt.obj}.Append(nil))
			if err != nil || l.String() != tt.want {
				t.Errorf("reads as %v, %v, want %s", l, err, tt.want)
			}
		})
	}
	t.Run("unknown kind", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("Append took an object of kind 7")
			}
		}()
		List{{Kind: 7}}.Append(nil)
	})
}

func TestEndpoint(t *testing.T) {
	for _, s := range []string{"192.0.2.7:33033", "[2001:db8::1]:258"} {
		want := netip.MustParseAddrPort(s)
		o := Addr(1, want)
		if got, ok := o.Endpoint(); !ok || got != want {
			t.Errorf("Endpoint of Addr(%v) = %v, %v", want, got, ok)
		}
	}
	for _, o := range []Object{Number(1, 2), Blob(1, make([]byte, ipv6Size-1)), String(1, "eighteen bytes, yes")} {
		if got, ok := o.Endpoint(); ok {
			t.Errorf("Endpoint of %v = %v", o, got)
		}
	}
}

func TestErrors(t *testing.T) {
	nested := func(depth int) string { return strings.Repeat("41010500", depth-1) + "4100" }
	many := func(n int) string { // n+1 objects, n of them in a nested list
		return "41010500" + "41" + hex.EncodeToString(binary.AppendUvarint(nil, uint64(n))) + strings.Repeat("000000", n)
	}
	tests := []struct {
		name   string
		wire   string
		offset int
		err    error // nil where the bytes are right: the limit itself
	}{
		{"nothing", "", 0, ErrTruncated},
		{"other magic", "40 00", 0, ErrMagic},
		{"packed", "42 15", 0, ErrPacked},
		{"packed inside", "41 01 0500 4215", 4, ErrPacked},
		{"no count", "41", 1, ErrTruncated},
		{"count cut", "41 80", 1, ErrTruncated},
		{"count too large", "41 02 000000 0000", 1, ErrCount},
		{"count times size overflows", "41 d6aad5aa05 000000", 1, ErrCount},
		{"kind 7", "41 01 070000", 2, ErrKind},
		{"second object of kind ff", "41 02 000000 ff0000", 5, ErrKind},
		{"id cut", "41 01 00ffff", 3, ErrTruncated},
		{"id of 33 bits", "41 01 00 8080808010 00", 3, ErrNumber},
		{"id of 6 bytes", "41 01 00 808080808000 00", 3, ErrNumber},
		{"number of 33 bits", "41 01 0000 ffffffff1f", 4, ErrNumber},
		{"number cut", "41 01 0000 80", 4, ErrTruncated},
		{"uint64 cut", "41 01 0100 00000000000000", 4, ErrTruncated},
		{"address cut", "41 01 0200 c00002078f", 4, ErrTruncated},
		{"string without end", "41 01 0300 6162", 4, ErrTruncated},
		{"blob too long", "41 01 0400 03 6162", 4, ErrLength},
		{"blob longer than memory", "41 01 0400 ffffffff0f 61", 4, ErrLength},
		{"numbers too many", "41 01 0600 03 0102", 4, ErrCount},
		{"numbers as in 2006", "41 01 0600 8080808004 01020304", 4, ErrCount},
		{"one of the numbers cut", "41 01 0600 02 0180", 6, ErrTruncated},
		{"nested list missing", "41 01 050000", 4, ErrMagic},
		{"8 deep", nested(MaxDepth), 0, nil},
		{"9 deep", nested(MaxDepth + 1), 4 * MaxDepth, ErrTooDeep},
		{"4096 objects", many(MaxObjects - 1), 0, nil},
		{"4097 objects", many(MaxObjects), 5, ErrTooMany},
		{"trailing byte", "4100 00", 2, ErrTrailing},
		{"longer number than need be", "41 01 8000 00", 2, ErrKind},
		{"longer id and number than need be", "41 8100 00 8000 8500", 0, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(unhex(t, tt.wire))
			if tt.err == nil {
				if err != nil {
					t.Errorf("Parse: %v", err)
				}
				return
			}
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != tt.offset || syntax.Err != tt.err {
				t.Errorf("Parse: %v, want byte %d: %v", err, tt.offset, tt.err)
			}
		})
	}
}

func TestEveryTruncationIsAnError(t *testing.T) {
	for _, tt := range vectors {
		wire := unhex(t, tt.wire)
		for n := range wire {
			if l, err := Parse(wire[:n]); err == nil {
				t.Errorf("%s: the first %d bytes parse as %v", tt.name, n, l)
			}
		}
	}
}

func TestUvarint(t *testing.T) {
	tests := []struct {
		wire string
		v    uint32
		n    int
	}{
		{"da01", 218, 2}, {"e301", 227, 2}, {"72", 114, 1}, {"9a04", 538, 2}, {"a105", 673, 2}, {"c1ad06", 13016<<3 | 1, 3},
		{"ffffffff0f", math.MaxUint32, 5}, {"ffffffff1f", 0, -1}, {"808080808001", 0, -1},
		{"8000", 0, 2}, {"", 0, 0}, {"80", 0, 0}, {"80808080", 0, 0}, {"05ff", 5, 1},
	}
	for _, tt := range tests {
		if v, n := Uvarint(unhex(t, tt.wire)); v != tt.v || n != tt.n {
			t.Errorf("Uvarint(%s) = %d, %d, want %d, %d", tt.wire, v, n, tt.v, tt.n)
		}
	}
}

func TestDecodeLeavesTheRest(t *testing.T) {
	var d Decoder
	l, rest, err := d.Decode(unhex(t, "41 01 000101 beef"))
	if err != nil || l.String() != "{0/1=1}" || !bytes.Equal(rest, []byte{0xbe, 0xef}) {
		t.Errorf("Decode = %v, %x, %v", l, rest, err)
	}
}

// A Decoder that has read other lists, broken ones too, reads the same as a new one.
func TestDecoderReuse(t *testing.T) {
	var d Decoder
	for range 2 {
		for _, tt := range vectors {
			wire := unhex(t, tt.wire)
			if _, _, err := d.Decode(wire[:len(wire)-1]); err == nil {
				t.Fatalf("%s: a truncated list decodes", tt.name)
			}
			want, _ := Parse(wire)
			if got, _, err := d.Decode(wire); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: Decode = %#v, %v, want %#v", tt.name, got, err, want)
			}
		}
	}
}

func TestDecodeAllocatesNothing(t *testing.T) {
	var d Decoder
	wire := sample.Append(nil)
	decode := func() {
		if _, _, err := d.Decode(wire); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 { // until the memory is one piece
		decode()
	}
	if n := testing.AllocsPerRun(100, decode); n != 0 {
		t.Errorf("Decode into used memory: %v allocations, want none", n)
	}
}

// sample has every kind, and is about as large as an answer to command 8.
var sample = List{
	Nested(6, List{
		Number(0, 1315),
		Addr(3, netip.MustParseAddrPort("198.51.100.1:33033")),
		Addr(3, netip.MustParseAddrPort("[2001:db8::1]:33033")),
		Nested(4, List{Numbers(1, []uint32{1, 2, 70000})}),
		Number(7, 11),
	}),
	Uint64(0x0d, 1<<63),
	String(0x10, "echo123"),
	Numbers(0x21, []uint32{0, 0}),
	Blob(0x4000, make([]byte, 100)),
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawList(t, 1)
		wire := l.Append(nil)
		got, err := Parse(wire)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Fatalf("Parse(Append(%v)) = %v, %v", l, got, err)
		}
	})
}

func drawList(t *rapid.T, depth int) (l List) {
	for range rapid.IntRange(0, 5).Draw(t, "count") {
		id := rapid.Uint32().Draw(t, "id")
		kinds := []Kind{KindNumber, KindUint64, KindAddr, KindString, KindBlob, KindNumbers}
		if depth < MaxDepth {
			kinds = append(kinds, KindList)
		}
		var o Object
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case KindNumber:
			o = Number(id, rapid.Uint32().Draw(t, "number"))
		case KindUint64:
			o = Uint64(id, rapid.Uint64().Draw(t, "uint64"))
		case KindAddr:
			ip := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip"))
			o = Addr(id, netip.AddrPortFrom(netip.AddrFrom4(ip), rapid.Uint16().Draw(t, "port")))
		case KindString:
			o = String(id, strings.ReplaceAll(rapid.String().Draw(t, "string"), "\x00", ""))
		case KindBlob:
			o = Blob(id, rapid.SliceOf(rapid.Byte()).Draw(t, "blob"))
		case KindNumbers:
			o = Numbers(id, rapid.SliceOfN(rapid.Uint32(), 1, 9).Draw(t, "numbers"))
		case KindList:
			o = Nested(id, drawList(t, depth+1))
		}
		l = append(l, o)
	}
	return l
}

// What parses is written again as bytes that parse to the same, and no input
// makes Parse panic or allocate more than its length explains.
func FuzzParse(f *testing.F) {
	for _, tt := range vectors {
		f.Add(unhex(f, tt.wire))
	}
	f.Add(sample.Append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		l, err := Parse(b)
		if err != nil {
			var syntax *SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(b) {
				t.Fatalf("Parse: %#v", err)
			}
			return
		}
		again := l.Append(nil)
		if len(again) > len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(again))
		}
		if l2, err := Parse(again); err != nil || !reflect.DeepEqual(l, l2) {
			t.Fatalf("%v became %v, %v", l, l2, err)
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	b.ReportAllocs()
	wire := sample.Append(nil)
	b.SetBytes(int64(len(wire)))
	for b.Loop() {
		wire = sample.Append(wire[:0])
	}
}

func BenchmarkDecode(b *testing.B) {
	b.ReportAllocs()
	wire := sample.Append(nil)
	b.SetBytes(int64(len(wire)))
	var d Decoder
	for b.Loop() {
		if _, _, err := d.Decode(wire); err != nil {
			b.Fatal(err)
		}
	}
}

// unhex reads hexadecimal digits with a space between fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
