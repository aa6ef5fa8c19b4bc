package arith

import (
	"bytes"
	"encoding/hex"
	"errors"
	"math"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

// vectors are lists in public documents about the old network; the tags of the
// sources are those of docs/protocol.md. The magic is not in them.
var vectors = []struct {
	source string
	wire   string
	text   string
}{
	{"SC/SN probe cmd 27/28 body", "15",
		`{}`},
	{"SC cmd 6", "34AA09F8EE",
		`{0/0=1315, 0/5=5}`},
	{"SC cmd 6", "3271B3CFF7",
		`{0/0=61, 0/5=5}`},
	{"SC cmd 6", "331C6325FA",
		`{0/0=171, 0/5=5}`},
	{"SO cmd 6, source prints the list", "345259F81E",
		`{0/0=754, 0/5=5}`},
	{"SO cmd 6, source prints the list", "3240F64FF7",
		`{0/0=45, 0/5=5}`},
	{"SO cmd 6", "33E454D622",
		`{0/0=449, 0/5=5}`},
	{"SO cmd 6", "34D8F390EE",
		`{0/0=1959, 0/5=5}`},
	{"SO cmd 6", "3458066D9E",
		`{0/0=777, 0/5=5}`},
	{"SO cmd 6", "32627897F7",
		`{0/0=56, 0/5=5}`},
	{"SO cmd 6", "34DEB4CAEE",
		`{0/0=2038, 0/5=5}`},
	{"SC cmd 11; log prints 7917455", "B09F39BC4CDC",
		`{0/9=7917455}`},
	{"SC cmd 84; log prints 0x29F5, 0x1E", "6AC26A84C9C9",
		`{0/3=10741, 0/F=30}`},
	{"SO cmd 48", "2D03",
		`{0/0=2}`},
	{"SC cmd 30", "42F27A3B4CD70FD56B74B3CF2B9E97CB",
		`{0/1=2, 1/D=x6b74b3cf2b9e97cb, 0/10=37058}`},
	{"SC cmd 31; log prints 44, 802011429, 57947", "B125F2828AB3ACC0D002C0EC738F272CB070244EA004",
		`{0/B=44, 0/C=802011429, 0/10=57947, 2/11=78.36.112.176:1184, 6/21=[0,0]}`},
	{"SC cmd 14", "F6231FA2A11B8DC2B269DE555BC892",
		`{5/0={3/0="xot_iam", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"OS cmd 14", "F622E605FA670B8506D3733D17E88329FB",
		`{5/0={3/0="diego.farren", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"OS cmd 14", "F623084231E64FAD64B34B6B1E9876",
		`{5/0={3/0="echo123", 0/1=0, 0/2=16}, 6/1=[16,11]}`},
	{"SC cmd 8; log: slot 1315, 11 in slot, 5 addrs", "F8EBDB70BF5AAD25C1AC83F2E7446B2CDF1DD80C4B2492945F1843692F77CD0C31A51614C657C033",
		`{5/6={0/0=1315, 2/3=68.231.242.131:11371, 2/3=12.216.29.223:9291, 2/3=24.95.148.146:26947, 2/3=12.205.119.47:42289, 2/3=87.198.20.22:13248, 0/7=11}}`},
	{"OS cmd 13016", "E9B11F90D226EA51E0392418B6040863C018CE14AC3955CC8829C7C9B62651C6472F5F594946A6C03926064DD87A6C0E9997348A5E4EFD7E500BBB327F8376A3DD6FDCE693FFFF",
		`{3/4="wackelpudding24", 3/D="0/5.5.0.117/259/", 0/E=2366914332, 0/20=10, 5/21={0/0=0, 0/1=0, 0/2=0, 0/3=0, 0/4=0, 0/5=0, 0/6=0, 0/7=0, 0/8=0, 0/9=0, 0/A=0, 0/B=0, 0/C=0, 0/D=0, 0/E=0, 0/F=0, 0/10=0, 0/11=0}, 0/22=1344350665, 1/24=xa3dd6fdce693ffff, 0/28=24, 0/29=30, 0/2E=134, 0/2F=1}`},
	{"SC cmd 8", "F8EBDAD0DE12AD25C1AC764DE7450CF81977F245FBA2F084A9589CF326DD9644B00F8E34DED18C77",
		`{5/6={0/0=1237, 2/3=69.231.77.118:63500, 2/3=69.242.119.25:41723, 2/3=88.169.132.240:62364, 2/3=68.150.221.38:4016, 2/3=209.222.52.142:30604, 0/7=11}}`},
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.source, func(t *testing.T) {
			wire := unhex(t, "42"+tt.wire)
			l, err := Parse(wire)
			if err != nil {
				t.Fatal(err)
			}
			if got := l.String(); got != tt.text {
				t.Errorf("Parse = %s\nwant    %s", got, tt.text)
			}
			if got, err := Append([]byte{0xaa}, l); err != nil || !bytes.Equal(got[1:], wire) || got[0] != 0xaa {
				t.Errorf("Append = %x, %v\nwant   aa%x", got, err, wire)
			}
		})
	}
}

// plain are the public vectors of plain lists, and whether they can be packed;
// the coder of reference_test.go says how.
var plain = []struct {
	source string
	wire   string
	err    error
}{
	{"SN: probe", "4100", nil},
	{"DN: host cache entry", "410502004C6E771C823B0001040002B981EDCE040003B981EDCE04000400", nil},
	{"FakeSkype: command 6", "4102000410000506", nil},
	{"SO: second list of a login request", "410704218001B2C7B3BFC30DD751014B89181EE33C51815DC63BF38A84DA9C819755A944CACFFE51DCF705C1F47D8D758644373BC2262DB2C5BF02DC96B4343F2C0EA5FEAE928CBF708F7DE679B59A5B42D81660EAA1FB66103B61A2CE9C4EAB3A6300F1C226BF1CCBCE7EAC66BB596B16B4858FF7B985CBC420BC67EA323656F8FCFA8D42B501319ACA0BBB48FB45AF0336656E00063305AF8BEDC704B290E3A703F0A7A401BDC1BAA30CEDA1D18A02030D302F362E31362E302E31302F2F00000EAEE584920B04131B65F124417C036C9501C0A8014BE108400417B09C46B24132AEE108", ErrOrder},
}

func TestPlainVectors(t *testing.T) {
	for _, tt := range plain {
		t.Run(tt.source, func(t *testing.T) {
			l, err := objlist.Parse(unhex(t, tt.wire))
			if err != nil {
				t.Fatal(err)
			}
			packed, err := Append([]byte{0xaa}, l)
			if err != tt.err {
				t.Fatalf("Append: %v, want %v", err, tt.err)
			}
			if err != nil {
				if !bytes.Equal(packed, []byte{0xaa}) {
					t.Errorf("Append left %x", packed)
				}
				return
			}
			if want := append([]byte{0xaa, 0x42}, reference(l)...); !bytes.Equal(packed, want) {
				t.Errorf("Append = %x, want %x", packed, want)
			}
			if got, err := Parse(packed[1:]); err != nil || !reflect.DeepEqual(got, l) {
				t.Errorf("Parse = %v, %v, want %v", got, err, l)
			}
		})
	}
}

func TestAppendRefuses(t *testing.T) {
	deep := objlist.List(nil)
	for range objlist.MaxDepth {
		deep = objlist.List{objlist.Nested(0, deep)}
	}
	tests := []struct {
		name string
		list objlist.List
		err  error
	}{
		{"lower id", objlist.List{objlist.Number(1, 0), objlist.Number(0, 0)}, ErrOrder},
		{"lower id of another kind", objlist.List{objlist.Number(1, 0), objlist.Blob(0, nil)}, ErrOrder},
		{"lower id inside", objlist.List{objlist.Nested(9, objlist.List{objlist.Number(1, 0), objlist.Number(0, 0)})}, ErrOrder},
		{"NUL in a string", objlist.List{objlist.String(0, "a\x00b")}, ErrValue},
		{"wide number", objlist.List{{Num: 1 << 32}}, ErrValue},
		{"IPv6", objlist.List{{Kind: objlist.KindAddr, Addr: netip.MustParseAddrPort("[2001:db8::1]:258")}}, ErrValue},
		{"9 deep", deep, objlist.ErrTooDeep},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if b, err := Append([]byte{0xaa}, tt.list); err != tt.err || !bytes.Equal(b, []byte{0xaa}) {
				t.Errorf("Append = %x, %v, want %v", b, err, tt.err)
			}
		})
	}
	if _, err := Append(nil, deep[0].List); err != nil {
		t.Errorf("8 deep: %v", err)
	}
	t.Run("unknown kind", func(t *testing.T) {
		defer func() {
			if recover() == nil {
				t.Error("Append took an object of kind 7")
			}
		}()
		Append(nil, objlist.List{{Kind: 7}})
	})
}

// code is the coded part that write makes, after the magic.
func code(write func(w *writer)) []byte {
	w := writer{out: []byte{objlist.MagicPacked}, width: 1 << window}
	write(&w)
	w.end()
	return w.out
}

func TestOtherEncodings(t *testing.T) {
	vector := unhex(t, "4234AA09F8EE") // {0/0=1315, 0/5=5}
	tests := []struct {
		name string
		wire []byte
		text string
	}{
		{"longer end", append(vector, 0xff), "{0/0=1315, 0/5=5}"},
		{"empty list with a whole window", unhex(t, "4215ffffff"), "{}"},
		{"id by an escape", code(func(w *writer) {
			w.symbol(headers, far)
			w.symbol(smalls.table, smalls.escape())
			w.number(&smalls, 0) // 7 bits
			w.chunk(0, 6)
			w.number(&values, 1)
			w.symbol(headers, end)
		}), "{0/45=1}"},
		{"id that runs over", code(func(w *writer) {
			w.header(0, 5)
			w.number(&values, 1)
			w.header(0, math.MaxUint32)
			w.number(&values, 2)
			w.symbol(headers, end)
		}), "{0/5=1, 0/4=2}"},
		{"headers not shared", code(func(w *writer) {
			for i := range 2 {
				w.header(3*(1-i), 0)
				if i > 0 {
					w.number(&smalls, 0)
				}
				w.header(0, 1)
				w.number(&values, 1)
				w.symbol(headers, end)
			}
			w.symbol(headers, end)
		}), "{5/0={0/1=1}, 5/0={0/1=1}}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if l, err := Parse(tt.wire); err != nil || l.String() != tt.text {
				t.Errorf("Parse(%x) = %v, %v, want %s", tt.wire, l, err, tt.text)
			}
		})
	}
}

func TestErrors(t *testing.T) {
	object := func(kind objlist.Kind, write func(w *writer)) []byte {
		return code(func(w *writer) {
			lv := firstLevel
			w.header(lv.place(kind), 0)
			write(w)
			w.symbol(headers, end)
		})
	}
	none := func(*writer) {}
	tests := []struct {
		name   string
		wire   []byte
		offset int
		err    error
	}{
		{"nothing", nil, 0, objlist.ErrTruncated},
		{"plain list", unhex(t, "4100"), 0, objlist.ErrMagic},
		{"magic only", unhex(t, "42"), 1, objlist.ErrTruncated},
		{"coded part cut", unhex(t, "4234AA09F8"), 5, objlist.ErrTruncated},
		{"a byte that nothing reads", unhex(t, "421500000000"), 5, objlist.ErrTrailing},
		{"uint64 of 7 bytes", append(object(objlist.KindUint64, func(w *writer) { w.number(&values, 7) }), 1, 2, 3, 4, 5, 6, 7), 3, objlist.ErrLength},
		{"uint64 cut", append(object(objlist.KindUint64, func(w *writer) { w.number(&values, 8) }), 1, 2, 3), 8, objlist.ErrTruncated},
		{"address cut", append(object(objlist.KindAddr, none), 1, 2, 3), 6, objlist.ErrTruncated},
		{"blob too long", append(object(objlist.KindBlob, func(w *writer) { w.number(&values, 4) }), 1), 2, objlist.ErrLength},
		{"blob longer than memory", object(objlist.KindBlob, func(w *writer) { w.number(&values, math.MaxUint32) }), 4, objlist.ErrLength},
		{"numbers too many", object(objlist.KindNumbers, func(w *writer) { w.number(&values, 1000) }), 2, objlist.ErrCount},
		{"numbers as in 2006", object(objlist.KindNumbers, func(w *writer) { w.number(&values, 1<<30) }), 5, objlist.ErrCount},
		{"numbers beyond the bits", object(objlist.KindNumbers, func(w *writer) { w.number(&values, 15) }), 4, objlist.ErrTruncated},
		{"number of 33 bits", object(objlist.KindNumber, func(w *writer) {
			w.symbol(values.table, values.escape())
			w.number(&values, 17)
			w.chunk(0, 16)
			w.chunk(0, 16)
		}), 2, objlist.ErrNumber},
		{"escape in an escape", object(objlist.KindNumber, func(w *writer) {
			w.symbol(values.table, values.escape())
			w.symbol(values.table, values.escape())
		}), 1, objlist.ErrNumber},
		{"step of 33 bits", code(func(w *writer) {
			w.symbol(headers, far)
			w.symbol(smalls.table, smalls.escape())
			w.number(&smalls, 26)
			w.chunk(0, 16)
			w.chunk(0, 16)
		}), 3, objlist.ErrNumber},
		{"more shared than there are", code(func(w *writer) {
			for i := range 2 {
				w.header(3*(1-i), 0)
				if i > 0 {
					w.number(&smalls, 2)
				}
				w.header(0, 1)
				w.number(&values, 1)
				w.symbol(headers, end)
			}
			w.symbol(headers, end)
		}), 3, ErrShared},
		{"9 deep", code(func(w *writer) {
			for range objlist.MaxDepth {
				w.symbol(headers, another+3)
				w.number(&smalls, 0)
			}
			for range objlist.MaxDepth + 1 {
				w.symbol(headers, end)
			}
		}), 9, objlist.ErrTooDeep},
		{"4097 objects", pack(t, crowd(objlist.MaxObjects)), 874, objlist.ErrTooMany},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(tt.wire)
			var syntax *objlist.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset != tt.offset || syntax.Err != tt.err {
				t.Errorf("Parse(%x): %v, want byte %d: %v", tt.wire[:min(len(tt.wire), 20)], err, tt.offset, tt.err)
			}
		})
	}
}

// crowd is the cheapest list of n+1 objects or a few fewer that there is: empty
// strings under shared headers.
func crowd(n int) objlist.List {
	const each = 127
	strings := make(objlist.List, each)
	for i := range strings {
		strings[i] = objlist.String(0, "")
	}
	var l objlist.List
	for ; n > 0; n -= each + 1 {
		l = append(l, objlist.Nested(0, strings[:min(n, each)]))
	}
	return append(l, objlist.Number(0, 0))
}

func pack(t testing.TB, l objlist.List) []byte {
	t.Helper()
	b, err := Append(nil, l)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A list packs as the definition says, to bytes that read as the same list.
func TestRoundTrip(t *testing.T) {
	var d Decoder
	rapid.Check(t, func(t *rapid.T) {
		l := drawList(t, 1)
		packed, err := Append(nil, l)
		if err != nil {
			t.Fatal(err)
		}
		if want := reference(l); !bytes.Equal(packed[1:], want) {
			t.Fatalf("Append(%v) = 42 %x\nwant %x", l, packed[1:], want)
		}
		got, err := d.Decode(packed)
		if err != nil || !reflect.DeepEqual(got, l) {
			t.Fatalf("Decode(%x) = %v, %v\nwant %v", packed, got, err, l)
		}
		if again, err := Append(nil, got); err != nil || !bytes.Equal(again, packed) {
			t.Fatalf("%x packs again as %x, %v", packed, again, err)
		}
	})
}

// drawList draws a list whose ids do not descend; lists in it often have the
// same headers.
func drawList(t *rapid.T, depth int) (l objlist.List) {
	kinds := []objlist.Kind{objlist.KindNumber, objlist.KindUint64, objlist.KindAddr, objlist.KindString, objlist.KindBlob, objlist.KindNumbers}
	if depth < objlist.MaxDepth {
		kinds = append(kinds, objlist.KindList, objlist.KindList)
	}
	steps := rapid.OneOf(rapid.Uint32Range(0, 2), rapid.Uint32Range(0, 200), rapid.Uint32())
	numbers := rapid.OneOf(rapid.Uint32Range(0, 9), rapid.Uint32())
	text := rapid.OneOf(rapid.StringN(0, 40, -1), rapid.StringMatching(`[a-z.]{0,20}[0-9]{0,4}`),
		rapid.Custom(func(t *rapid.T) string { return string(rapid.SliceOfN(rapid.Byte(), 0, 9).Draw(t, "bytes")) }))
	var id uint32
	for range rapid.IntRange(0, 5).Draw(t, "count") {
		if step := steps.Draw(t, "step"); step <= math.MaxUint32-id {
			id += step
		}
		var o objlist.Object
		switch rapid.SampledFrom(kinds).Draw(t, "kind") {
		case objlist.KindNumber:
			o = objlist.Number(id, numbers.Draw(t, "number"))
		case objlist.KindUint64:
			o = objlist.Uint64(id, rapid.Uint64().Draw(t, "uint64"))
		case objlist.KindAddr:
			ip := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, "ip"))
			o = objlist.Addr(id, netip.AddrPortFrom(netip.AddrFrom4(ip), rapid.Uint16().Draw(t, "port")))
		case objlist.KindString:
			o = objlist.String(id, strings.ReplaceAll(text.Draw(t, "string"), "\x00", ""))
		case objlist.KindBlob:
			o = objlist.Blob(id, rapid.SliceOf(rapid.Byte()).Draw(t, "blob"))
		case objlist.KindNumbers:
			o = objlist.Numbers(id, rapid.SliceOfN(numbers, 1, 9).Draw(t, "numbers"))
		case objlist.KindList:
			o = objlist.Nested(id, drawList(t, depth+1))
		}
		l = append(l, o)
	}
	return l
}

// A carry goes back over bytes ff, as far as it must.
func TestCarry(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	over := 0
	for range 20000 {
		w, r := writer{width: 1 << window}, newRefCoder()
		for range 4 {
			v := random.Uint32() >> random.IntN(32)
			w.number(&values, v)
			r.value(v)
			if w.low>>window != 0 && bytes.HasSuffix(w.out, []byte{0xff}) {
				over++
			}
		}
		w.end()
		if want := r.end(); !bytes.Equal(w.out, want) {
			t.Fatalf("%x, want %x", w.out, want)
		}
	}
	if over == 0 {
		t.Error("no carry went over a byte ff")
	}
}

// A cut list is an error, or what is left of it decides the same list. Where
// there are raw bytes, others take their place.
func TestCut(t *testing.T) {
	whole := 0
	for _, tt := range vectors {
		wire := unhex(t, "42"+tt.wire)
		l, err := Parse(wire)
		if err != nil {
			t.Fatal(err)
		}
		if len(appendRaw(nil, l)) > 0 {
			continue
		}
		for n := range wire {
			got, err := Parse(wire[:n])
			if err == nil && !reflect.DeepEqual(got, l) {
				t.Errorf("%s: the first %d bytes are %v", tt.source, n, got)
			}
			if err == nil {
				whole++
			}
		}
	}
	if whole > len(vectors)/4 {
		t.Errorf("%d cut lists were read", whole)
	}
}

// The package comment says how much a byte can say.
func TestDensity(t *testing.T) {
	l := crowd(objlist.MaxObjects - 100)
	wire := pack(t, l)
	got, err := Parse(wire)
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Fatal(err)
	}
	objects, characters, numbers := contents(got)
	limit(t, wire, objects, characters, numbers)
	if objects < 4*len(wire) {
		t.Errorf("%d objects in %d bytes: this is no test of the limit", objects, len(wire))
	}
}

func contents(l objlist.List) (objects, characters, numbers int) {
	for _, o := range l {
		a, b, c := contents(o.List)
		objects, characters, numbers = objects+1+a, characters+b, numbers+len(o.Numbers)+c
		if o.Kind == objlist.KindString {
			characters += len(o.Bytes)
		}
	}
	return objects, characters, numbers
}

func limit(t *testing.T, wire []byte, objects, characters, numbers int) {
	t.Helper()
	if n := len(wire) - 1; objects > 6*n || characters > 3*n || numbers > 3*n {
		t.Fatalf("%d bytes have %d objects, %d characters, %d numbers", n, objects, characters, numbers)
	}
}

// A Decoder that has read other lists, broken ones too, reads the same as a new one.
func TestDecoderReuse(t *testing.T) {
	var d Decoder
	for range 2 {
		for _, tt := range vectors {
			wire := unhex(t, "42"+tt.wire)
			if _, err := d.Decode(append(wire[:len(wire):len(wire)], 1, 2, 3, 4)); err == nil {
				t.Fatalf("%s: a list with 4 bytes more decodes", tt.source)
			}
			want, _ := Parse(wire)
			if got, err := d.Decode(wire); err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s: Decode = %#v, %v, want %#v", tt.source, got, err, want)
			}
		}
	}
}

func TestAllocatesNothing(t *testing.T) {
	var d Decoder
	wire := pack(t, sample)
	buf := make([]byte, 0, 2*len(wire))
	both := func() {
		l, err := d.Decode(wire)
		if err != nil {
			t.Fatal(err)
		}
		if buf, err = Append(buf[:0], l); err != nil {
			t.Fatal(err)
		}
	}
	for range 8 { // until the memory is one piece
		both()
	}
	if n := testing.AllocsPerRun(100, both); n != 0 {
		t.Errorf("Decode and Append into used memory: %v allocations, want none", n)
	}
}

// sample is a list of 200 bytes as plain ones go, of every kind and with text.
var sample = objlist.List{
	objlist.Nested(6, objlist.List{
		objlist.Number(0, 1315),
		objlist.Addr(3, netip.MustParseAddrPort("198.51.100.1:33033")),
		objlist.Addr(3, netip.MustParseAddrPort("198.51.100.2:443")),
		objlist.Nested(4, objlist.List{objlist.Numbers(5, []uint32{1, 2, 70000})}),
		objlist.Number(7, 11),
	}),
	objlist.Nested(6, objlist.List{
		objlist.Number(0, 61),
		objlist.Addr(3, netip.MustParseAddrPort("203.0.113.77:40112")),
		objlist.Number(7, 10),
	}),
	objlist.Uint64(0x0d, 1<<63),
	objlist.String(0x10, "echo123"),
	objlist.String(0x14, "Zoë Müller, 10115 Berlin, DE"),
	objlist.Numbers(0x21, []uint32{0, 0}),
	objlist.Blob(0x4000, bytes.Repeat([]byte{0x5a}, 78)),
}

// No input makes Decode panic, and what it reads is no more than the input can
// say. It packs again, unless ids descend, no longer than it was, and then reads
// the same.
func FuzzDecode(f *testing.F) {
	for _, tt := range vectors {
		f.Add(unhex(f, tt.wire))
	}
	for _, l := range []objlist.List{sample, crowd(200)} {
		f.Add(pack(f, l)[1:])
	}
	var d Decoder
	f.Fuzz(func(t *testing.T, b []byte) {
		wire := append([]byte{objlist.MagicPacked}, b...)
		l, err := d.Decode(wire)
		limit(t, append(wire, make([]byte, 4)...), len(d.objects)+len(d.open), len(d.text), len(d.numbers))
		if err != nil {
			var syntax *objlist.SyntaxError
			if !errors.As(err, &syntax) || syntax.Offset < 0 || syntax.Offset > len(wire) {
				t.Fatalf("Decode: %#v", err)
			}
			return
		}
		again, err := Append(nil, l)
		if errors.Is(err, ErrOrder) {
			return
		}
		if err != nil || !bytes.Equal(again[1:], reference(l)) {
			t.Fatalf("Append(%v) = %x, %v, want 42 %x", l, again, err, reference(l))
		}
		if l2, err := Parse(again); err != nil || !reflect.DeepEqual(l, l2) {
			t.Fatalf("%v became %v, %v", l, l2, err)
		}
	})
}

// limit200 is what a list of 200 bytes may take to pack and to read.
const limit200 = 10 * time.Microsecond

func ofLimit(b *testing.B) {
	b.ReportMetric(float64(b.Elapsed())/float64(b.N)/float64(limit200), "of-limit")
}

var benchLists = map[string]objlist.List{
	"kinds": sample,
	"text":  {objlist.String(1, strings.Repeat("The quick brown fox. ", 10)[:195])},
}

func BenchmarkAppend(b *testing.B) {
	for name, l := range benchLists {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			wire := pack(b, l)
			for b.Loop() {
				var err error
				if wire, err = Append(wire[:0], l); err != nil {
					b.Fatal(err)
				}
			}
			ofLimit(b)
		})
	}
}

func BenchmarkDecode(b *testing.B) {
	for name, l := range benchLists {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			wire := pack(b, l)
			var d Decoder
			for b.Loop() {
				if _, err := d.Decode(wire); err != nil {
					b.Fatal(err)
				}
			}
			ofLimit(b)
		})
	}
}

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
