package link

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// A stranger is somebody without a link: he sends whole datagrams and counts
// what comes back.
type stranger struct {
	t    *testing.T
	host *netsim.Host
	conn netx.PacketConn
	to   netip.AddrPort
	got  [][]byte
}

func newStranger(t *testing.T, h *netsim.Host, to netip.AddrPort) *stranger {
	t.Helper()
	conn, err := h.ListenUDP(t.Context(), netip.AddrPortFrom(netip.Addr{}, port))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	s := &stranger{t: t, host: h, conn: conn, to: to}
	h.Tap(func(p netsim.Packet) {
		if !p.Sent {
			s.got = append(s.got, bytes.Clone(p.Payload))
		}
	})
	return s
}

// ask sends a datagram and returns all that came back within five seconds.
func (s *stranger) ask(b []byte) [][]byte {
	s.t.Helper()
	s.got = nil
	if _, err := s.conn.WriteTo(b, s.to); err != nil {
		s.t.Fatal(err)
	}
	time.Sleep(5 * time.Second)
	synctest.Wait()
	return s.got
}

// command hides plain commands as a peer does who knows both addresses.
func (s *stranger) command(id uint16, plain []byte) []byte {
	return hide(frame.Frame{ID: id, Type: frame.Command, IV: rand.Uint32(), Body: plain}, s.host.Addr(), s.to.Addr())
}

func hide(f frame.Frame, src, dst netip.Addr) []byte {
	f.CRC = obfuscate.CRC(f.Body)
	seed := obfuscate.SeedOf(src, dst, f.ID, f.IV)
	if f.Type == frame.Resend {
		seed = obfuscate.ResendSeed(f.Challenge, f.ID)
	}
	b := f.Append(nil)
	obfuscate.XOR(b[len(b)-len(f.Body):], seed)
	return b
}

func total(datagrams [][]byte) (n int) {
	for _, d := range datagrams {
		n += len(d)
	}
	return n
}

// filled is a command with something in each of its fields.
func filled(spec message.Spec) message.Message {
	v := reflect.New(reflect.TypeOf(spec.Body).Elem())
	fill(v.Elem())
	return v.Interface()
}

func fill(v reflect.Value) {
	if v.Type() == reflect.TypeFor[netip.AddrPort]() {
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("192.0.2.1:1")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.String:
		v.SetString("abc")
	case reflect.Uint32:
		v.SetUint(1)
	}
}

// tooMuch answers every request with far more than was asked for, and says so
// to whoever sends one-way commands and packets too.
func tooMuch(h *tester) func(Origin, message.Command) {
	return func(from Origin, c message.Command) {
		h.link.Reply(from, c.ID, &message.Failure{Text: strings.Repeat("x", 3000)})
	}
}

// The rule of docs/protocol.md: whatever a stranger sends, he gets no more
// bytes than that back, for every command and every way to spoil it.
func TestNobodyGetsMoreThanHeSent(t *testing.T) {
	for _, family := range [][2]string{{"192.0.2.1", "198.51.100.1"}, {"2001:db8:1::1", "2001:db8:2::1"}} {
		simulate(t, func(t *testing.T, in *netsim.Internet) {
			h := new(tester)
			h.answer = tooMuch(h)
			server := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr(family[0])}})
			o := on(server)
			o.Handler = h
			l, _ := start(t, o)
			s := newStranger(t, in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr(family[1])}}), addr(server))
			check := func(what string, b []byte) {
				t.Helper()
				if n := total(s.ask(b)); n > len(b) {
					t.Errorf("%s: %d bytes got %d back", what, len(b), n)
				}
			}

			rng := rand.New(rand.NewPCG(1, 1))
			junk := func(n int) []byte {
				b := make([]byte, n)
				for i := range b {
					b[i] = byte(rng.Uint32())
				}
				return b
			}
			id := uint16(0)
			for _, spec := range message.Table {
				id += 2
				plain := message.Append(nil, message.Command{ID: id - 1, Body: filled(spec)})
				before := h.handled()
				whole := s.command(id, plain)
				check(spec.Name, whole)
				if raw := spec.Carriers&message.Raw != 0 && spec.Kind != message.Reply; raw != (h.handled() > before) {
					t.Errorf("%s: handled: %v, want %v", spec.Name, h.handled() > before, raw)
				}
				check(spec.Name+", repeated", whole)
				for n := range whole {
					check(fmt.Sprintf("%s, the first %d bytes", spec.Name, n), whole[:n])
				}
				for n := range plain {
					check(fmt.Sprintf("%s, cut to %d and hidden", spec.Name, n), s.command(id, plain[:n+1]))
				}
				spoilt := bytes.Clone(whole)
				spoilt[rng.IntN(len(spoilt))] ^= 1 << rng.IntN(8)
				check(spec.Name+", a bit flipped", spoilt)
				parts, err := frame.Split(id, plain, 5)
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range parts {
					check(spec.Name+", a fragment", hide(f, s.host.Addr(), server.Addr()))
				}
				check(spec.Name+", a resend with no challenge", hide(frame.Frame{ID: id, Type: frame.Resend, IP: server.Addr(), Body: plain}, s.host.Addr(), server.Addr()))
			}
			// Many commands in one datagram share its length.
			var many []byte
			for i := range uint16(20) {
				many = message.Append(many, message.Command{ID: 0x7000 + i, Body: &message.Probe{}})
			}
			check("twenty probes", s.command(0x7100, many))

			for typ := range 256 {
				for _, n := range []int{0, 1, 4, 8, 20, 23, 100} {
					check(fmt.Sprintf("type %02x", typ), append([]byte{1, 2, byte(typ)}, junk(n)...))
				}
			}
			for n := range 200 {
				check(fmt.Sprintf("%d random bytes", n), junk(n))
			}
			if l.Counters().Nacks == 0 {
				t.Error("there was no nack at all")
			}

			// None of it kept the link from serving.
			h.answer = nil
			client, _ := start(t, Options{Net: s.host})
			if _, err := client.Request(t.Context(), addr(server), &message.Probe{}); err != nil {
				t.Error(err)
			}
		})
	}
}

// No nack goes to what is shorter than a nack, nor to anything but commands.
func TestWhatGetsANack(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		server := in.Host(netsim.HostOptions{})
		start(t, on(server))
		s := newStranger(t, in.Host(netsim.HostOptions{}), addr(server))
		for typ := range byte(16) {
			for _, size := range []int{11, 12, 18, 60} { // a command has 12 at least
				want := typ == 0x2 && size >= 12
				got := s.ask(append([]byte{0x12, 0x34, typ}, make([]byte, size-3)...))
				if (len(got) == 1) != want {
					t.Errorf("type %x, %d bytes: %d answers, want one: %v", typ, size, len(got), want)
				}
				for _, b := range got {
					f, err := frame.Parse(b)
					if err != nil || f.Type != frame.Nack || f.ID != 0x1234 || f.IP != s.host.Addr() || len(b) != 11 {
						t.Errorf("answered %+v, %v", f, err)
					}
				}
			}
		}
	})
}

// A reply that is longer than the request waits until the address is proven;
// the request is handed over once, and a wrong challenge proves nothing.
func TestLongReplyWaitsForValidation(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		h := new(tester)
		h.answer = tooMuch(h)
		server := in.Host(netsim.HostOptions{})
		o := on(server)
		o.Handler = h
		start(t, o)
		s := newStranger(t, in.Host(netsim.HostOptions{}), addr(server))
		plain := message.Append(nil, message.Command{ID: 1, Body: &message.Probe{}})
		ask := func() frame.Frame {
			t.Helper()
			got := s.ask(s.command(2, plain))
			if len(got) != 1 {
				t.Fatalf("%d answers", len(got))
			}
			f, err := frame.Parse(got[0])
			if err != nil || f.Type != frame.Nack {
				t.Fatalf("answered by %v, %v", f.Type, err)
			}
			return f
		}
		resend := func(challenge uint32) [][]byte {
			return s.ask(hide(frame.Frame{ID: 2, Type: frame.Resend, Challenge: challenge, IP: server.Addr(), Body: plain}, s.host.Addr(), server.Addr()))
		}
		nack := ask()
		if got := resend(nack.Challenge ^ 1); got != nil {
			t.Errorf("a wrong challenge got %d answers", len(got))
		}
		time.Sleep(2 * time.Minute)
		if got := resend(nack.Challenge); got != nil {
			t.Errorf("a stale challenge got %d answers", len(got))
		}
		if got := total(resend(ask().Challenge)); got < 3000 {
			t.Errorf("validated, but %d bytes came", got)
		}
		if got := total(s.ask(s.command(2, plain))); got < 3000 {
			t.Errorf("repeated, but %d bytes came", got)
		}
		if n := h.handled(); n != 2 { // once each side of the two minutes, which are longer than resends
			t.Errorf("handled %d times", n)
		}
		time.Sleep(validFor)
		ask()
	})
}

func TestSameIDAnotherCommand(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		server := in.Host(netsim.HostOptions{})
		_, h := start(t, on(server))
		s := newStranger(t, in.Host(netsim.HostOptions{}), addr(server))
		for _, m := range []message.Message{&message.Probe{}, &message.Probe{}, &message.AskSupernodes{Max: 1}} {
			s.ask(s.command(2, message.Append(nil, message.Command{ID: 1, Body: m})))
		}
		if h.handled() != 2 {
			t.Errorf("handled %d commands, want the probe once and what came under its id", h.handled())
		}
	})
}

func TestReplyErrors(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		l, _ := start(t, on(in.Host(netsim.HostOptions{})))
		nobody := Origin{Addr: netip.MustParseAddrPort("192.0.2.1:1")}
		for _, tt := range []struct {
			to   Origin
			m    message.Message
			want error
		}{
			{nobody, &message.ProbeAccepted{}, ErrForgotten},
			{nobody, &message.Probe{}, ErrCarrier},
			{nobody, &message.LoginReply{}, ErrCarrier},
			{Origin{Stream: 7}, &message.LoginReply{}, ErrStream},
			{Origin{Stream: 7}, &message.DialTested{}, ErrCarrier},
		} {
			if err := l.Reply(tt.to, 1, tt.m); !errors.Is(err, tt.want) {
				t.Errorf("reply %T to %v: %v, want %v", tt.m, tt.to, err, tt.want)
			}
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	a, now := newAnswers(), time.Now()
	key := func(i int) answerKey {
		return answerKey{from: netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(i >> 16)}), uint16(i))}
	}
	for i := range maxAnswers + 10 {
		a.arrived(key(i), received{}, now)
	}
	if n := len(a.byKey.elems); n != maxAnswers {
		t.Errorf("%d remembered", n)
	}
	for i := range 1000 {
		m, _ := a.arrived(key(i), received{}, now)
		a.reply(m, make([]byte, frame.MaxPayload))
		if a.bytes > maxAnswerBytes {
			t.Fatalf("%d bytes remembered", a.bytes)
		}
	}
	var sum int
	for e := a.byKey.latest; e != nil; e = e.older {
		sum += len(e.value.plain)
	}
	if sum != a.bytes {
		t.Errorf("counted %d bytes, there are %d", a.bytes, sum)
	}
	a.expire(now)
	if len(a.byKey.elems) == 0 {
		t.Error("forgotten at once")
	}
	if a.expire(now.Add(rememberFor + 1)); len(a.byKey.elems) != 0 || a.bytes != 0 {
		t.Errorf("%d are left when all is past its time, %d bytes", len(a.byKey.elems), a.bytes)
	}
}

func TestLRU(t *testing.T) {
	c := newLRU[int, string](2)
	for i, v := range []string{"a", "b", "c"} {
		*c.add(i + 1) = v
		c.get(1)
	}
	var got []string
	for i := range 4 {
		if v := c.get(i); v != nil {
			got = append(got, *v)
		}
	}
	if !slices.Equal(got, []string{"a", "c"}) {
		t.Errorf("kept %q", got)
	}
	for c.removeOldest() != nil {
	}
	if len(c.elems) != 0 || c.latest != nil || c.oldest != nil {
		t.Error("something is left")
	}
}
