package link

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

var update = flag.Bool("update", false, "write the worked examples into docs/protocol.md")

// docs/protocol.md holds the examples between two markers. Their bytes were
// captured; what is said of them comes from the code, so that neither can
// change alone. go test -update writes them.
func TestExamplesInProtocol(t *testing.T) {
	const path = "../docs/protocol.md"
	begin, end := []byte("<!-- worked examples: begin -->\n"), []byte("<!-- worked examples: end -->")
	doc, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok1 := bytes.Cut(doc, begin)
	old, tail, ok2 := bytes.Cut(tail, end)
	if !ok1 || !ok2 {
		t.Fatalf("%s has not the markers %s and %s", path, begin, end)
	}
	e := &examples{t: t}
	e.datagrams()
	e.fragments()
	e.stream()
	e.lists()
	e.lookup()
	e.packet()
	if bytes.Equal(old, e.text.Bytes()) {
		return
	}
	if !*update {
		t.Fatalf("%s is not up to date: go test ./link -run ExamplesInProtocol -update", path)
	}
	doc = bytes.Join([][]byte{head, begin, e.text.Bytes(), end, tail}, nil)
	if err := os.WriteFile(path, doc, 0o644); err != nil {
		t.Fatal(err)
	}
}

// examples writes the examples and checks what it says of them.
type examples struct {
	t    *testing.T
	text bytes.Buffer
}

func (e *examples) title(s string) { fmt.Fprintf(&e.text, "### %s\n\n", s) }

func (e *examples) say(format string, a ...any) {
	fmt.Fprintln(&e.text, strings.TrimRight("    "+fmt.Sprintf(format, a...), " "))
}

func (e *examples) check(ok bool, format string, a ...any) {
	e.t.Helper()
	if !ok {
		e.t.Fatalf(format, a...)
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// short cuts long hexadecimal.
func short(b []byte) string {
	if len(b) <= 24 {
		return hex.EncodeToString(b)
	}
	return fmt.Sprintf("%x..%x", b[:8], b[len(b)-4:])
}

var (
	asker    = netip.MustParseAddr("198.51.100.7")
	answerer = netip.MustParseAddr("192.0.2.33")
)

func (e *examples) datagrams() {
	e.title("A probe, a nack, a resend")
	fmt.Fprintf(&e.text, "%v asks %v, both on port 33033, and does not know how it is seen. Its first datagram gets lost.\n\n", asker, answerer)
	for i, d := range []struct {
		what     string
		src, dst netip.Addr
		wire     string
	}{
		{"probe", netip.Addr{}, answerer, "7a0202 1a7ad6b9 f43b46e0 1a70a35a651f69"},
		{"the same again: id and CRC stay, iv and body are others", netip.Addr{}, answerer, "7a0202 14df02f4 f43b46e0 adc36c653dd2dd"},
		{"nack, under the id of the probe", answerer, asker, "7a0277 c6336407 b911a8c7"},
		{"resend", asker, answerer, "7a0223 01 b911a8c7 c0000221 f43b46e0 0f22da601a1481"},
		{"probe accepted", answerer, asker, "7a0202 7fc5d666 d74e1085 84464e18e3d30a"},
		{"the next probe: both sides know how they are seen", asker, answerer, "7a0402 615996db f7bf928e 6893473b7f8c2f"},
	} {
		if i > 0 {
			e.say("")
		}
		e.datagram(d.what, d.src, d.dst, unhex(d.wire))
	}
	fmt.Fprintln(&e.text)
}

// datagram explains one that is not a fragment, from the addresses that make
// its key.
func (e *examples) datagram(what string, src, dst netip.Addr, wire []byte) {
	f, err := frame.Parse(wire)
	e.check(err == nil && bytes.Equal(f.Append(nil), wire), "%s: %+v, %v", what, f, err)
	start := fmt.Sprintf("%04x %02x", f.ID, wire[2])
	note := fmt.Sprintf("%s, %d bytes", what, len(wire))
	switch f.Type {
	case frame.Nack:
		e.say("%-48s %s", fmt.Sprintf("%s %x %08x", start, f.IP.AsSlice(), f.Challenge), note)
		e.say("  you are %v; challenge %08x", f.IP, f.Challenge)
		e.check(f.IP == dst, "%s says %v", what, f.IP)
		return
	case frame.Resend:
		e.say("%-48s %s", fmt.Sprintf("%s 01 %08x %x %08x %x", start, f.Challenge, f.IP.AsSlice(), f.CRC, f.Body), note)
		e.check(f.IP == dst, "%s goes to %v", what, f.IP)
		seed := obfuscate.ResendSeed(f.Challenge, f.ID)
		e.say("  seed         challenge %08x XOR id %04x = %08x", f.Challenge, f.ID, seed)
		e.body(f, seed)
	case frame.Command:
		e.say("%-48s %s", fmt.Sprintf("%s %08x %08x %x", start, f.IV, f.CRC, f.Body), note)
		buffer := binary.LittleEndian.AppendUint32(append(reversed(src), reversed(dst)...), uint32(f.ID))
		seed := obfuscate.SeedOf(src, dst, f.ID, f.IV)
		e.check(seed == obfuscate.CRC(buffer)^f.IV, "%s: the seed is %08x", what, seed)
		e.say("  seed buffer  %x %x %x: source, destination, id", buffer[:4], buffer[4:8], buffer[8:])
		e.say("  seed         CRC %08x XOR iv %08x = %08x", obfuscate.CRC(buffer), f.IV, seed)
		e.body(f, seed)
	}
}

func reversed(ip netip.Addr) []byte {
	if !ip.IsValid() {
		ip = netip.IPv4Unspecified()
	}
	a := ip.As4()
	return []byte{a[3], a[2], a[1], a[0]}
}

// body explains what is hidden in f.
func (e *examples) body(f frame.Frame, seed uint32) {
	keystream := make([]byte, len(f.Body))
	obfuscate.XOR(keystream, seed)
	plain := bytes.Clone(f.Body)
	obfuscate.XOR(plain, seed)
	e.check(obfuscate.CRC(plain) == f.CRC, "CRC of %x is not %08x", plain, f.CRC)
	e.say("  keystream    %x", keystream)
	e.say("  plain        %s", e.command(plain, message.Raw))
	e.say("  CRC          %08x", f.CRC)
}

// command splits the only command of plain into its parts and names them.
func (e *examples) command(plain []byte, via message.Carrier) string {
	c, rest, err := message.Parse(plain, via)
	e.check(err == nil && len(rest) == 0, "%x: %v", plain, err)
	spec := message.SpecOf(c.Body)
	length, n := binary.Uvarint(plain)
	_, word := binary.Uvarint(plain[n:])
	body := plain[n+word:]
	out := fmt.Sprintf("%x %x ", plain[:n], plain[n:n+word])
	id := ""
	if spec.Kind != message.OneWay {
		out += fmt.Sprintf("%x ", body[:2])
		id = fmt.Sprintf(" %04x", c.ID)
		body = body[2:]
	}
	out += fmt.Sprintf("%02x %s", body[0], short(body[1:]))
	return fmt.Sprintf("%s: %d bytes, command %d, %v%s, %s", strings.TrimSpace(out), length, spec.Number, spec.Kind, id, e.list(body))
}

// list reads a list of either form.
func (e *examples) list(b []byte) string {
	parse := objlist.Parse
	if b[0] == objlist.MagicPacked {
		parse = arith.Parse
	}
	l, err := parse(b)
	e.check(err == nil, "%x: %v", b, err)
	if s := l.String(); len(s) < 80 {
		return s
	}
	return fmt.Sprintf("%d objects", len(l))
}

func (e *examples) fragments() {
	e.title("Fragments")
	plain := message.Append(nil, message.Command{ID: 0x7a05, Body: &message.Hello{Noise: make([]byte, 1400)}})
	fmt.Fprintf(&e.text, "A hello with a Noise message of 1400 bytes (zeros, here) is too long for a datagram. Its plain command has %d bytes.\n\n", len(plain))
	e.say("%s", e.command(plain, message.Raw))
	parts, err := frame.Split(0x7a06, plain, maxDatagram-frame.FragmentSize)
	e.check(err == nil && len(parts) == 2, "%d fragments, %v", len(parts), err)
	captured := []string{"7a062f 7a06 00 02 37b12e24 780424fc", "7a067f 7a06 81 02 7a2fc940 5325e45d"}
	for i, p := range parts {
		p.IV, p.CRC = binary.BigEndian.Uint32(unhex(captured[i])[7:]), obfuscate.CRC(p.Body)
		p.Noise = unhex(captured[i])[2]
		seed := obfuscate.SeedOf(asker, answerer, p.ID, p.IV)
		size := len(p.Body)
		p.Body = bytes.Clone(p.Body)
		obfuscate.XOR(p.Body, seed)
		wire := p.Append(nil)
		e.check(bytes.HasPrefix(wire, unhex(captured[i])), "fragment %d is %x", i, wire[:15])
		e.say("%x %02x %x %02x %02x %x %x %s    part %d of group %04x: %d bytes of body, %d in all, seed %08x", wire[:2], wire[2], wire[3:5], wire[5], wire[6],
			wire[7:11], wire[11:15], short(p.Body), p.Part, p.Group, size, len(wire), seed)
	}
	fmt.Fprintln(&e.text)
}

func (e *examples) stream() {
	e.title("A stream")
	fmt.Fprintf(&e.text, "%v dials %v, logs in with three bytes, and sends a session packet. Openings first, then what follows in each direction.\n\n", asker, answerer)
	for i, d := range []struct {
		who     string
		opening string
		pieces  []string
	}{
		{"who connects", "dc76583f 4ef2be17bd4b2ac909aa",
			[]string{"41f0ce60b819bb5f17d3f4e19c3a9f061a2b0a9707670060c6c5a8099b1b4016667a3b1a"}},
		{"who answers", "0b579a9e 8f3df45f74dd54c4d6fa",
			[]string{"e0fc03553fa110b1c2147b6d22f583447c3c3c81c1905cac7c24e6b9857aa4085890d2", "7080dbf8fdd5973213debd90c25d754f8bff09"}},
	} {
		if i > 0 {
			e.say("")
		}
		opening := unhex(d.opening)
		seed, word, err := obfuscate.ParseOpening([obfuscate.OpeningSize]byte(opening))
		e.check(err == nil && bytes.Equal(obfuscate.AppendOpening(nil, seed, word), opening), "opening %s: %v", d.opening, err)
		plain := bytes.Clone(opening[4:])
		obfuscate.XOR(plain, seed)
		e.say("%x %x    %s", opening[:4], opening[4:], d.who)
		e.say("  plain    %x %x %x, seed %08x", plain[:2], plain[2:6], plain[6:], seed)
		hidden := obfuscate.NewStream(seed)
		stream := unhex(strings.Join(d.pieces, ""))
		wire := bytes.Clone(stream)
		hidden.XOR(stream)
		for len(stream) > 0 {
			r, n, err := frame.ParseRecord(stream, false)
			e.check(err == nil && n > 0 && bytes.Equal(r.Append(nil), stream[:n]), "record %x: %v", stream, err)
			e.say("%s", short(wire[:n]))
			e.say("  plain    %s", e.record(r))
			stream, wire = stream[n:], wire[n:]
		}
	}
	fmt.Fprintln(&e.text)
}

func (e *examples) record(r frame.Record) string {
	length, _ := binary.Uvarint(r.Append(nil))
	start := fmt.Sprintf("%02x", length)
	switch r.Kind {
	case frame.Commands:
		return fmt.Sprintf("%s %04x | %s", start, r.Packet, e.command(r.Body, message.Stream))
	case frame.Ack:
		return fmt.Sprintf("%s 01 %04x: ack of packet %04x", start, r.Packet, r.Packet)
	case frame.Padding:
		return fmt.Sprintf("%s 03 %s: %d bytes of padding", start, short(r.Body), len(r.Body))
	}
	return fmt.Sprintf("%s 05 %08x %x: session packet, tag %08x", start, r.Tag, r.Body, r.Tag)
}

func (e *examples) lists() {
	e.title("A list, plain and packed")
	list := objlist.List{objlist.Number(0, 1315), objlist.Number(5, 5)}
	raw := list.Append(nil)
	packed, err := arith.Append(nil, list)
	e.check(err == nil && bytes.Equal(packed, unhex("42 34aa09f8ee")), "%v packs to %x, %v", list, packed, err) // SC
	e.say("%v", list)
	e.say("%x %x %x %x    magic, 2 objects, number 0 = 1315, number 5 = 5", raw[:1], raw[1:2], raw[2:6], raw[6:])
	e.say("%x %x            magic, coded (SC)", packed[:1], packed[1:])
	fmt.Fprintln(&e.text)
}

func (e *examples) lookup() {
	e.title("A lookup")
	plain := message.Append(nil, message.Command{ID: 1, Body: &message.Search{
		Terms:  []message.Term{{Text: "bob", Operator: message.OpEqual, Field: message.FieldUser}},
		Wanted: []uint32{message.FieldUser, message.FieldRecord},
	}})
	e.say("%s", e.command(plain, message.Session))
	e.say("01 %02x 05 01 %x    the same as a session record: part with sequence 5, the last of its command", len(plain)+2, plain)
	fmt.Fprintln(&e.text)
}

func (e *examples) packet() {
	e.title("A session packet")
	fmt.Fprint(&e.text, "The packet of section 5 that says \"hello\", under tag deadbeee, as a datagram and in a stream.\n\n")
	body := unhex("0102030405060708 d94aa3e45f869d84226df784da24faeac2ced348b1") // suite/testdata: session-packet
	f := frame.Frame{ID: 1, Noise: 0x50, Type: frame.Session, Tag: 0xdeadbeee, Body: body}
	wire := f.Append(nil)
	e.say("%x %x %x %x %x    id, type, tag, counter, ciphertext", wire[:2], wire[2:3], wire[3:7], wire[7:15], wire[15:])
	record := frame.Record{Kind: frame.InSession, Tag: f.Tag, Body: body}.Append(nil)
	e.say("%x 05 %x %x %x    length, kind, tag, counter, ciphertext", record[:1], record[2:6], record[6:14], record[14:])
	classic := frame.Record{Kind: frame.InSession, Classic: true, Tag: 0xbeee, Body: unhex("0102")}.Append(nil)
	e.say("%x 05 %x %x    a record of a classic network: tag beee XOR the low half of the CRC %08x, body", classic[:1], classic[2:4], classic[4:], obfuscate.CRC(unhex("0102")))
	fmt.Fprintln(&e.text)
}
