package dissect

import (
	"encoding/json"
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

var (
	alice  = netip.MustParseAddrPort("10.0.0.5:40000")
	public = netip.MustParseAddr("203.0.113.7") // of alice
	server = netip.MustParseAddrPort("192.0.2.1:33033")
	noon   = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
)

// script feeds packets one by one, a millisecond apart.
type script struct {
	*Dissector
	t      *testing.T
	number int64
	all    []Explanation
}

func newScript(t *testing.T, o Options) *script { return &script{Dissector: New(o), t: t} }

// packet feeds one and returns its explanation, of which there has to be one.
func (s *script) packet(p capture.Packet) Explanation {
	s.t.Helper()
	all := s.feed(p)
	if len(all) != 1 {
		s.t.Fatalf("packet %d has %d explanations: %+v", s.number, len(all), all)
	}
	return all[0]
}

func (s *script) feed(p capture.Packet) []Explanation {
	s.number++
	p.Number = s.number
	if p.Time.IsZero() {
		p.Time = noon.Add(time.Duration(s.number) * time.Millisecond)
	}
	if p.Length == 0 {
		p.Length = len(p.Payload)
	}
	all := s.Packet(&p)
	s.all = append(s.all, all...)
	return all
}

func (s *script) udp(src, dst netip.AddrPort, f frame.Frame) Explanation {
	s.t.Helper()
	return s.packet(udp(src, dst, f))
}

func udp(src, dst netip.AddrPort, f frame.Frame) capture.Packet {
	return capture.Packet{Protocol: capture.UDP, Src: src, Dst: dst, Payload: f.Append(nil)}
}

// hide makes a command frame, or another that is hidden.
func hide(f frame.Frame, src, dst netip.Addr, plain []byte) frame.Frame {
	f.IV, f.CRC, f.Body = 0x01020304, obfuscate.CRC(plain), slices.Clone(plain)
	seed := obfuscate.SeedOf(src, dst, f.ID, f.IV)
	if f.Type == frame.Resend {
		seed = obfuscate.ResendSeed(f.Challenge, f.ID)
	}
	obfuscate.XOR(f.Body, seed)
	return f
}

func command(id uint16, m message.Message) []byte {
	return message.Append(nil, message.Command{ID: id, Body: m})
}

var (
	probe    = command(0x7f4d, &message.Probe{})
	accepted = command(0x7f4d, &message.ProbeAccepted{})
)

// What a node behind a NAT and a supernode say to each other first.
func TestProbeBehindNAT(t *testing.T) {
	s := newScript(t, Options{Names: map[netip.AddrPort]string{server: "supernode"}})
	first := s.udp(alice, server, hide(frame.Frame{ID: 0x7f4e, Type: frame.Command}, netip.IPv4Unspecified(), server.Addr(), probe))
	nack := s.udp(server, alice, frame.Frame{ID: 0x7f4e, Type: frame.Nack, Noise: 0x70, IP: public, Challenge: 0x83b08656})
	resend := s.udp(alice, server, hide(frame.Frame{ID: 0x7f4e, Type: frame.Resend, IP: server.Addr(), Challenge: 0x83b08656}, netip.Addr{}, netip.Addr{}, probe))
	reply := s.udp(server, alice, hide(frame.Frame{ID: 0x7f4e, Type: frame.Command}, server.Addr(), public, accepted))

	if c := only(t, first); c.Name != "probe" || c.Kind != "request" || c.ID != "7f4d" || c.List != "{}" {
		t.Errorf("first: %+v", c)
	}
	if !first.Proven || first.DstName != "supernode" || first.Frame.Seed == "" || !strings.Contains(first.Frame.Key, "does not know") {
		t.Errorf("first: %+v, frame %+v", first, first.Frame)
	}
	if nack.Kind != KindNack || nack.Frame.Noise != 0x70 || nack.Frame.IP != public || nack.Answers == nil || nack.Answers.Number != 1 || nack.Answers.What != "probe" {
		t.Errorf("nack: %+v, frame %+v, answers %+v", nack, nack.Frame, nack.Answers)
	}
	if resend.Kind != KindResend || resend.Frame.Seed != hex32(0x83b08656^0x7f4e) || resend.Answers == nil || resend.Answers.Number != 2 {
		t.Errorf("resend: %+v, frame %+v, answers %+v", resend, resend.Frame, resend.Answers)
	}
	if c := only(t, resend); c.Answers == nil || c.Answers.Number != 1 || c.Answers.Sent != 2 {
		t.Errorf("resent command: %+v", c.Answers)
	}
	c := only(t, reply)
	if c.Name != "probe accepted" || c.Answers == nil || c.Answers.Number != 1 || c.Answers.MS != 3 {
		t.Errorf("reply: %+v, answers %+v", c, c.Answers)
	}
	if reply.Frame.SeedIP == nil || reply.Frame.SeedIP[1] != public.String() {
		t.Errorf("the reply went to %v", reply.Frame.SeedIP)
	}
	if got := s.Summary(); got.Resent != 1 || got.Unanswered != 0 || len(s.Close()) != 0 {
		t.Errorf("summary %+v", got)
	}
}

func only(t *testing.T, x Explanation) Command {
	t.Helper()
	if len(x.Commands) != 1 || x.Commands[0].Error != "" {
		t.Fatalf("packet %d: commands %+v, notes %q", x.Number, x.Commands, x.Notes)
	}
	return x.Commands[0]
}

func TestPublicAddressFromTheCommandLine(t *testing.T) {
	f := hide(frame.Frame{ID: 2, Type: frame.Command}, public, server.Addr(), probe)
	x := newScript(t, Options{}).udp(alice, server, f)
	if len(x.Commands) != 0 || x.Proven || x.Frame.Seed != "" {
		t.Errorf("opened without the address: %+v", x)
	}
	x = newScript(t, Options{Public: []netip.Addr{public}}).udp(alice, server, f)
	if only(t, x).Name != "probe" || !strings.Contains(x.Frame.Key, "--public") {
		t.Errorf("%+v, frame %+v", x, x.Frame)
	}
}

// The datagrams of section B of the public vectors: their key schedule is unknown,
// what is in the clear is not.
func TestDatagramsOfTheOldNetwork(t *testing.T) {
	for _, tt := range []struct {
		line, kind string
		frame      Frame
	}{
		{"7f4e 02 118ac037 fc95755e 5eb9817a8efa81", KindCommand, Frame{ID: "7f4e", Type: 2, IV: "118ac037", CRC: "fc95755e"}},
		{"7f4e 77 527c4833 83b08656", KindNack, Frame{ID: "7f4e", Type: 7, Noise: 0x70, IP: netip.MustParseAddr("82.124.72.51"), Challenge: "83b08656"}},
		{"7f48 63 01 83b08656 82a12c75 f102f088 fe65132ce197ac", KindResend,
			Frame{ID: "7f48", Type: 3, Noise: 0x60, Challenge: "83b08656", IP: netip.MustParseAddr("130.161.44.117"), CRC: "f102f088"}},
	} {
		p, err := ParseLine(tt.line, 1)
		if err != nil {
			t.Fatal(err)
		}
		x := New(Options{}).Packet(p)
		if len(x) != 1 || x[0].Kind != tt.kind || *x[0].Frame != tt.frame || len(x[0].Commands) != 0 {
			t.Errorf("%s: %+v, frame %+v", tt.line, x, x[0].Frame)
		}
	}
}

// A nack and the resend that repeats its challenge are proof without any key (SC 6d2c).
func TestResendProves(t *testing.T) {
	s := newScript(t, Options{})
	for i, line := range []string{
		"10.0.0.5:40000 > 83.71.32.91:1000 6d2c 02 00000000 4adf5dd8 00000000000000",
		"83.71.32.91:1000 > 10.0.0.5:40000 6d2c 47 4e2470b0 a98b0587",
		"10.0.0.5:40000 > 83.71.32.91:1000 6d2c 13 01 a98b0587 5347205b 4adf5dd8 4f7b05c7e53d0c",
	} {
		p, err := ParseLine(line, 0)
		if err != nil {
			t.Fatal(err)
		}
		x := s.packet(*p)
		if x.Proven != (i == 2) {
			t.Errorf("%s: proven %v", line, x.Proven)
		}
	}
}

func TestFragments(t *testing.T) {
	plain := command(9, &message.Failure{Code: 1, Text: strings.Repeat("a long word ", 30)})
	parts, err := frame.Split(10, plain, 100)
	if err != nil || len(parts) < 2 {
		t.Fatalf("%d parts, %v", len(parts), err)
	}
	s := newScript(t, Options{})
	slices.Reverse(parts)
	for i, f := range parts {
		x := s.udp(server, alice, hide(f, server.Addr(), alice.Addr(), f.Body))
		if x.Kind != KindFragment || x.Frame.Part != len(parts)-1-i || x.Frame.Last != (i == 0) {
			t.Errorf("part %d: %+v", i, x.Frame)
		}
		if last := i == len(parts)-1; last && only(t, x).Name != "failure" || !last && len(x.Commands) != 0 {
			t.Errorf("part %d: commands %+v", i, x.Commands)
		}
	}
}

func TestSeveralCommands(t *testing.T) {
	s := newScript(t, Options{})
	plain := append(command(0x6d4d, &message.Probe{}), "\x05\x01\x41\x00\x00\x00\x00"...) // number 0, and bytes after its list
	x := s.udp(alice, server, hide(frame.Frame{ID: 4, Type: frame.Command}, alice.Addr(), server.Addr(), append(plain, 0xff)))
	if len(x.Commands) != 3 {
		t.Fatalf("%+v", x.Commands)
	}
	for i, want := range []struct{ name, err string }{{"probe", ""}, {"unknown", "list: byte 2: bytes after the end of the list"}, {"unknown", "this is no command: its length does not fit"}} {
		if c := x.Commands[i]; c.Name != want.name || c.Error != want.err {
			t.Errorf("command %d: %q, %q", i, c.Name, c.Error)
		}
	}
}

func TestUnanswered(t *testing.T) {
	s := newScript(t, Options{})
	for i := range 3 {
		p := udp(alice, server, hide(frame.Frame{ID: 0x7f4e, Type: frame.Command}, alice.Addr(), server.Addr(), probe))
		p.Payload[3] ^= byte(i) // another IV each time
		f, _ := frame.Parse(p.Payload)
		p = udp(alice, server, hideIV(f.IV, probe))
		p.Time = noon.Add(time.Duration(i) * time.Second)
		s.feed(p)
	}
	late := udp(server, alice, frame.Frame{ID: 1, Type: frame.Session, KeepAlive: true})
	late.Time = noon.Add(2*time.Second + patience)
	x := s.feed(late)
	if len(x) != 2 || x[0].Kind != KindUnanswered || x[0].Number != 1 || !strings.Contains(x[0].Notes[0], "no answer to probe") || !strings.Contains(x[0].Notes[0], "sent 3 times") {
		t.Errorf("%+v", x)
	}
	if x[1].Kind != KindKeepAlive || !x[1].Proven {
		t.Errorf("%+v", x[1])
	}
	if again := s.Close(); len(again) != 0 {
		t.Errorf("told twice: %+v", again)
	}
}

func hideIV(iv uint32, plain []byte) frame.Frame {
	f := frame.Frame{ID: 0x7f4e, Type: frame.Command, IV: iv, CRC: obfuscate.CRC(plain), Body: slices.Clone(plain)}
	obfuscate.XOR(f.Body, obfuscate.SeedOf(alice.Addr(), server.Addr(), f.ID, iv))
	return f
}

// A capture of a whole network has what one node sent and another received.
func TestCopies(t *testing.T) {
	s := newScript(t, Options{})
	p := udp(alice, server, frame.Frame{ID: 1, Type: frame.Session, Tag: 0x0a0b0c0e, Body: make([]byte, 40)})
	s.packet(p)
	if x := s.feed(p); len(x) != 0 {
		t.Errorf("the copy: %+v", x)
	}
	s.packet(p) // a third is sent again
	if got := s.Summary(); got.Copies != 1 || got.Packets != 3 {
		t.Errorf("summary %+v", got)
	}
}

func TestSessionAndMedia(t *testing.T) {
	s := newScript(t, Options{})
	relay := netip.MustParseAddrPort("192.0.2.9:33034")
	sealed := append([]byte{0, 0, 0, 0, 0, 0, 0, 7}, make([]byte, 24)...)
	x := s.udp(alice, relay, frame.Frame{ID: 1, Type: frame.Session, Tag: 0xdeadbeee, Body: sealed})
	if x.Kind != KindSession || x.Frame.Tag != "deadbeee" || x.Frame.Counter == nil || *x.Frame.Counter != 7 {
		t.Errorf("%+v, frame %+v", x, x.Frame)
	}
	x = s.udp(relay, server, frame.Frame{ID: 2, Type: frame.Session, Tag: 0xcafebabe, Body: sealed})
	if len(x.Notes) != 1 || !strings.Contains(x.Notes[0], "passed on by a relay: the body of 1") {
		t.Errorf("relayed: %q", x.Notes)
	}
	rtp := append([]byte{0x80, 0x80 | 111, 0x01, 0x02, 0, 0, 0x03, 0xc0, 1, 2, 3, 4}, make([]byte, 40)...)
	x = s.udp(alice, relay, frame.Frame{ID: 3, Type: frame.Session, Tag: 0xdeadbeef, Body: rtp})
	if want := (Media{Protocol: "srtp", PayloadType: 111, Marker: true, Sequence: 0x102, Timestamp: 960, SSRC: "01020304"}); x.Kind != KindMedia || x.Media == nil || *x.Media != want {
		t.Errorf("%+v, media %+v", x, x.Media)
	}
	rtcp := append([]byte{0x80, 201, 0, 1, 1, 2, 3, 4}, make([]byte, 20)...)
	if x = s.udp(alice, relay, frame.Frame{ID: 4, Type: frame.Session, Tag: 0xdeadbeef, Body: rtcp}); x.Media == nil || x.Media.Protocol != "srtcp" {
		t.Errorf("%+v", x.Media)
	}
}

func TestOtherTraffic(t *testing.T) {
	s := newScript(t, Options{})
	dns := capture.Packet{Protocol: capture.UDP, Src: alice, Dst: netip.MustParseAddrPort("192.0.2.53:53"), Payload: []byte("\x12\x34\x81\x00\x00\x01\x00\x00\x00\x00\x00\x00")}
	if x := s.packet(dns); x.Kind != KindOtherUDP || x.Proven || x.Frame != nil {
		t.Errorf("%+v", x)
	}
}

// Whatever is remembered is bounded, however many hosts a capture has.
func TestMemoryIsBounded(t *testing.T) {
	d := New(Options{})
	body := make([]byte, 20)
	for i := range 3 * maxProven {
		src := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), uint16(i))
		p := udp(src, server, frame.Frame{ID: uint16(i), Type: frame.Command, Body: body})
		p.Number, p.Length = int64(i), len(p.Payload)
		d.Packet(&p)
		p = udp(server, src, frame.Frame{ID: uint16(i), Type: frame.Nack, IP: public, Challenge: uint32(i)})
		p.Length = len(p.Payload)
		d.Packet(&p)
		p = capture.Packet{Protocol: capture.TCP, Src: src, Dst: server, Payload: body[:4], Length: 4, Seq: uint32(i)}
		d.Packet(&p)
	}
	for what, n := range map[string]int{
		"exchanges": len(d.exchanges.byKey) - maxExchanges,
		"streams":   len(d.streams.byEnds) - maxStreams,
		"hosts":     len(d.opener.known.young) - maxHosts,
		"proven":    len(d.proven.young) - maxProven,
		"copies":    len(d.copies.young) - maxCopies,
	} {
		if n > 0 {
			t.Errorf("%s: %d more than allowed", what, n)
		}
	}
}

func TestParseLine(t *testing.T) {
	for _, tt := range []struct{ line, src, dst, payload string }{
		{"01 02:03\t04", "", "", "\x01\x02\x03\x04"},
		{"192.0.2.1:33033 > 10.0.0.5:40000 0102", "192.0.2.1:33033", "10.0.0.5:40000", "\x01\x02"},
		{"192.0.2.1 10.0.0.5 0102", "192.0.2.1:0", "10.0.0.5:0", "\x01\x02"},
		{"[2001:db8::1]:5 > 2001:db8::2 01", "[2001:db8::1]:5", "[2001:db8::2]:0", "\x01"},
	} {
		p, err := ParseLine(tt.line, 3)
		if err != nil {
			t.Errorf("%s: %v", tt.line, err)
			continue
		}
		src, dst := "", ""
		if p.Src.IsValid() {
			src, dst = p.Src.String(), p.Dst.String()
		}
		if src != tt.src || dst != tt.dst || string(p.Payload) != tt.payload || p.Length != len(tt.payload) || p.Number != 3 {
			t.Errorf("%s: %+v", tt.line, p)
		}
	}
	for line, want := range map[string]string{
		"01 0":                      "byte 1: half of it is missing",
		"0102 xx":                   "byte 2: 'x' is no hexadecimal digit",
		"10:33033 > 10.0.0.5:1 010": "byte 3: '>' is no hexadecimal digit",
	} {
		if _, err := ParseLine(line, 1); err == nil || err.Error() != want {
			t.Errorf("%s: %v, want %s", line, err, want)
		}
	}
}

func TestFieldsHaveNames(t *testing.T) {
	offer := message.RelayOffer{Session: 7, Relay: 8, Addr: netip.MustParseAddrPort("[2001:db8::1]:33033")}
	s := newScript(t, Options{})
	plain := command(0, &message.SessionRequest{Callee: "bob", Relays: []message.RelayOffer{offer}})
	x := s.udp(alice, server, hide(frame.Frame{ID: 4, Type: frame.Command}, alice.Addr(), server.Addr(), plain))
	var b strings.Builder
	text := NewText(&b, false)
	text.Write(&x)
	text.Flush()
	for _, want := range []string{`3/0 Callee="bob"`, "5/7 Relays={0/3 Session=7, 0/4 Relay=8,", "Addr=[2001:db8::1]:33033"} {
		if !strings.Contains(strings.Join(strings.Fields(b.String()), " "), want) {
			t.Errorf("no %s in\n%s", want, &b)
		}
	}
}

// FuzzPackets makes packets of what it gets: a byte says which way and how, one
// how long, then the payload.
func FuzzPackets(f *testing.F) {
	f.Add([]byte("\x00\x0b\x7f\x4e\x77\x52\x7c\x48\x33\x83\xb0\x86\x56"))
	opening := obfuscate.AppendOpening(nil, 0x81020304, 1)
	f.Add(append([]byte{0x02, byte(len(opening))}, opening...))
	f.Add([]byte("\x02\x05\x16\x03\x01\x00\x00\x03\x05\x17\x03\x01\x00\x00\x02\x07\x16\x03\x01\x00\x02\x41\x00\x03\x09\x17\x03\x01\x00\x04\x01\x02\x03\x04"))
	hello := hide(frame.Frame{ID: 2, Type: frame.Command}, alice.Addr(), server.Addr(), command(1, &message.Hello{Noise: make([]byte, 100)})).Append(nil)
	f.Add(append([]byte{0, byte(len(hello))}, hello...))
	f.Fuzz(func(t *testing.T, b []byte) {
		d := New(Options{Public: []netip.Addr{public}})
		text, lines := NewText(io.Discard, true), json.NewEncoder(io.Discard)
		write := func(all []Explanation) {
			for i := range all {
				text.Write(&all[i])
				if err := lines.Encode(&all[i]); err != nil {
					t.Fatal(err)
				}
			}
		}
		var seq [2]uint32
		for n := int64(1); len(b) >= 2; n++ {
			how, size := b[0], min(int(b[1]), len(b)-2)
			p := capture.Packet{
				Number: n, Time: noon.Add(time.Duration(how) * 100 * time.Millisecond), Src: alice, Dst: server,
				Payload: b[2 : 2+size], Length: size, Protocol: capture.UDP, Flags: capture.Flags(how >> 3),
			}
			b = b[2+size:]
			way := how & 1
			if way == 1 {
				p.Src, p.Dst = server, alice
			}
			if how&2 != 0 {
				p.Protocol, p.Seq = capture.TCP, seq[way]
				seq[way] += uint32(size)
			}
			if how&4 != 0 {
				p.Length, p.Seq = p.Length+5, p.Seq+uint32(how)
			}
			write(d.Packet(&p))
		}
		write(d.Close())
	})
}

func FuzzParseLine(f *testing.F) {
	f.Add("192.0.2.1:33033 > 10.0.0.5:40000 7f4e77527c483383b08656")
	f.Add("7f4e 02 118ac037")
	f.Fuzz(func(t *testing.T, line string) {
		if p, err := ParseLine(line, 1); err == nil && 2*len(p.Payload) > len(line) {
			t.Errorf("%d bytes of %q", len(p.Payload), line)
		}
	})
}
