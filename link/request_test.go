package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

const delay = 10 * time.Millisecond // of each host's cable: 40 ms there and back

func TestLearnsThePublicAddress(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		nat := in.NAT(netsim.PortRestrictedCone())
		client := in.Host(netsim.HostOptions{Behind: nat, Link: netsim.Link{Delay: 2 * delay}})
		server := in.Host(netsim.HostOptions{})
		seen := types(client)
		l, _ := start(t, on(client))
		_, h := start(t, on(server))
		if l.Public().IsValid() {
			t.Errorf("knows %v without having asked", l.Public())
		}
		for range 2 {
			m, err := l.Request(t.Context(), addr(server), &message.Probe{})
			if _, ok := m.(*message.ProbeAccepted); !ok {
				t.Fatalf("reply is %T, %v", m, err)
			}
		}
		same(t, "the client's datagrams", seen.all(), []string{
			"out command 18", "in nack 11", "out resend 23", "in command 18",
			"out command 18", "in command 18",
		})
		if l.Public() != nat.Addr() {
			t.Errorf("public address %v, want %v", l.Public(), nat.Addr())
		}
		if h.handled() != 2 || h.told().origins[0].Addr != netip.AddrPortFrom(nat.Addr(), port) {
			t.Errorf("handled %d, from %v", h.handled(), h.told().origins)
		}
		if d := l.RTT(addr(server)); d != 40*time.Millisecond {
			t.Errorf("RTT %v, want 40ms", d)
		}
	})
}

// A server that does not know its own address either (a NAT one to one) learns
// it from resends, and only for that peer: strangers must not tell it who it is.
func TestServerBehindNAT(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		nat := in.NAT(netsim.NATOptions{})
		server, client := in.Host(netsim.HostOptions{Behind: nat}), in.Host(netsim.HostOptions{})
		ls, _ := start(t, on(server))
		lc, _ := start(t, on(client))
		ls.KeepAlive(addr(client)) // opens the NAT
		time.Sleep(delay)
		for range 2 {
			if _, err := lc.Request(t.Context(), netip.AddrPortFrom(nat.Addr(), port), &message.Probe{}); err != nil {
				t.Fatal(err)
			}
		}
		if ls.Counters().Nacks != 1 {
			t.Errorf("%d nacks, want one for both requests", ls.Counters().Nacks)
		}
		if ls.Public().IsValid() {
			t.Errorf("the server took %v from a stranger", ls.Public())
		}
	})
}

func TestBothFamilies(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::1")}})
		b := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("2001:db8::2")}})
		seen := types(a)
		l, _ := start(t, on(a))
		start(t, on(b))
		for range 2 {
			if _, err := l.Request(t.Context(), addr(b), &message.Probe{}); err != nil {
				t.Fatal(err)
			}
		}
		// A bare probe of 18 bytes would be too short for a nack of 23.
		same(t, "datagrams over IPv6", seen.all(), []string{
			"out command 28", "in nack 23", "out resend 45", "in command 18",
			"out command 28", "in command 18",
		})
		if l.Public() != a.Addr() {
			t.Errorf("public address %v", l.Public())
		}
	})
}

func TestLossAndReordering(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		bad := netsim.Link{Delay: delay, Jitter: delay, Loss: 0.1, Reorder: 0.2}
		a, b := in.Host(netsim.HostOptions{Link: bad}), in.Host(netsim.HostOptions{Link: bad})
		l, _ := start(t, on(a))
		_, h := start(t, on(b))
		const n = 200
		for i := range n {
			if _, err := l.Request(t.Context(), addr(b), &message.Probe{}); err != nil {
				t.Fatalf("request %d: %v", i, err)
			}
		}
		if h.handled() != n {
			t.Errorf("%d requests were handled %d times", n, h.handled())
		}
		if c := l.Counters(); c.Resent < n/10 {
			t.Errorf("only %d resends: the test shows nothing", c.Resent)
		}
	})
}

func TestLostNack(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}}), in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}})
		seen := types(a)
		l, _ := start(t, on(a))
		start(t, on(b))
		time.AfterFunc(3*delay, a.Cut) // while the nack is under way
		time.AfterFunc(5*delay, a.Heal)
		if _, err := l.Request(t.Context(), addr(b), &message.Probe{}); err != nil {
			t.Fatal(err)
		}
		same(t, "datagrams", seen.all(), []string{"out command 18", "out command 18", "in nack 11", "out resend 23", "in command 18"})
	})
}

// Everything about resends that an observer sees: same id, same CRC, another
// IV, and the times.
func TestResends(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, silent := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		o := on(a)
		o.FirstID = 0x7a00
		l, _ := start(t, o)
		began := time.Now()
		var times record
		var frames []frame.Frame
		a.Tap(func(p netsim.Packet) {
			f, err := frame.Parse(p.Payload)
			if err != nil {
				t.Error(err)
			}
			frames = append(frames, f)
			times.add(time.Since(began).String())
		})
		_, err := l.Request(t.Context(), addr(silent), &message.Probe{})
		if !errors.Is(err, ErrNoAnswer) {
			t.Errorf("error %v", err)
		}
		same(t, "sent at", times.all(), []string{"0s", "500ms", "1.5s", "3.5s", "7.5s", "15.5s"})
		if d := time.Since(began); d != 31500*time.Millisecond {
			t.Errorf("gave up after %v", d)
		}
		ivs := make(map[uint32]bool)
		for _, f := range frames {
			ivs[f.IV] = true
			if f.ID != 0x7a00 || f.CRC != frames[0].CRC {
				t.Errorf("resent with id %04x, CRC %08x", f.ID, f.CRC)
			}
		}
		if len(ivs) != len(frames) {
			t.Errorf("%d IVs in %d frames", len(ivs), len(frames))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Request(ctx, addr(silent), &message.Probe{}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if last := frames[len(frames)-1]; last.ID != 0x7a02 {
			t.Errorf("the next command has id %04x", last.ID)
		}
		if n := len(l.waiting); n != 0 {
			t.Errorf("%d exchanges left", n)
		}
	})
}

func TestTimeoutFollowsTheRTT(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}}), in.Host(netsim.HostOptions{Link: netsim.Link{Delay: 9 * delay}})
		l, _ := start(t, on(a))
		start(t, on(b))
		if _, err := l.Request(t.Context(), addr(b), &message.Probe{}); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		var times record
		a.Tap(func(p netsim.Packet) { times.add(time.Since(began).String()) })
		b.Cut()
		l.Request(t.Context(), addr(b), &message.Probe{})
		same(t, "sent at", times.all(), []string{"0s", "300ms", "900ms", "2.1s", "4.5s", "9.3s"})
	})
}

// A long request goes out as fragments, and so does its reply.
func TestFragments(t *testing.T) {
	for _, loss := range []float64{0, 0.02} {
		t.Run(fmt.Sprint("loss ", loss), func(t *testing.T) {
			simulate(t, func(t *testing.T, in *netsim.Internet) {
				link := netsim.Link{Delay: delay, Loss: loss, Reorder: 0.1}
				a, b := in.Host(netsim.HostOptions{Link: link}), in.Host(netsim.HostOptions{Link: link})
				h := new(tester)
				h.answer = func(from Origin, c message.Command) {
					if hello, ok := c.Body.(*message.Hello); ok {
						h.link.Reply(from, c.ID, &message.HelloReply{Noise: hello.Noise})
					}
				}
				o := on(b)
				o.Handler = h
				seen := types(a)
				l, _ := start(t, on(a))
				start(t, o)
				hello := &message.Hello{Noise: make([]byte, 10_000)}
				for i := range hello.Noise {
					hello.Noise[i] = byte(i * i)
				}
				m, err := l.Request(t.Context(), addr(b), hello)
				if err != nil {
					t.Fatal(err)
				}
				if reply, ok := m.(*message.HelloReply); !ok || !reflect.DeepEqual(reply.Noise, hello.Noise) {
					t.Errorf("the reply is not the echo: %T", m)
				}
				if loss == 0 {
					same(t, "introduction", seen.all()[:4], []string{"out command 18", "in nack 11", "out resend 23", "out fragment 1232"})
				}
				hellos := 0
				for _, m := range h.told().bodies {
					if _, ok := m.(*message.Hello); ok {
						hellos++
					}
				}
				if hellos != 1 {
					t.Errorf("the request was handled %d times", hellos)
				}
			})
		})
	}
}

// A peer that started again has forgotten that we proved our address.
func TestFragmentsAfterTheirRestart(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		h := new(tester)
		h.answer = func(from Origin, c message.Command) { h.link.Reply(from, c.ID, &message.HelloReply{Noise: []byte{1}}) }
		o := on(b)
		o.Handler = h
		l, _ := start(t, on(a))
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			server, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			h.link = server
			done := make(chan error)
			go func() { done <- server.Run(ctx) }()
			if _, err := l.Request(t.Context(), addr(b), &message.Hello{Noise: make([]byte, 5000)}); err != nil {
				t.Error(err)
			}
			cancel()
			<-done
		}
	})
}

func TestTooLong(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		l, _ := start(t, on(in.Host(netsim.HostOptions{})))
		_, err := l.Request(t.Context(), addr(in.Host(netsim.HostOptions{})), &message.Hello{Noise: make([]byte, frame.MaxPayload)})
		if !errors.Is(err, ErrTooLong) {
			t.Errorf("error %v", err)
		}
		if _, err := l.Request(t.Context(), addr(in.Host(netsim.HostOptions{})), &message.Search{}); !errors.Is(err, ErrCarrier) {
			t.Errorf("a search outside a session: %v", err)
		}
	})
}

// A liar who answers every resend with another nack gets a few of them only.
func TestEndlessNacks(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}}), in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}})
		l, _ := start(t, on(a))
		liar, err := b.ListenUDP(t.Context(), netip.AddrPortFrom(netip.Addr{}, port))
		if err != nil {
			t.Fatal(err)
		}
		got := 0
		go func() {
			for buf := make([]byte, 2000); ; {
				n, from, err := liar.ReadFrom(buf)
				if err != nil {
					return
				}
				got++
				f, _ := frame.Parse(buf[:n])
				liar.WriteTo(frame.Frame{ID: f.ID, Type: frame.Nack, IP: netip.MustParseAddr("192.0.2.99"), Challenge: uint32(got)}.Append(nil), from)
			}
		}()
		_, err = l.Request(t.Context(), addr(b), &message.Probe{})
		liar.Close()
		synctest.Wait()
		if !errors.Is(err, ErrNoAnswer) || got != resends+1+maxNacks {
			t.Errorf("%d datagrams for one request, error %v", got, err)
		}
	})
}

// Answers that nobody asked for teach nothing.
func TestUnexpectedAnswers(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		l, _ := start(t, on(a))
		c, err := b.ListenUDP(t.Context(), netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for _, typ := range []frame.Type{frame.Nack, frame.Confirm} {
			c.WriteTo(frame.Frame{Type: typ, IP: netip.MustParseAddr("192.0.2.99")}.Append(nil), addr(a))
		}
		time.Sleep(time.Millisecond)
		if n := l.Counters(); n.Dropped[DropUnexpected] != 2 || n.UDPSent.Packets != 0 || l.Public().IsValid() {
			t.Errorf("%+v, public %v", n, l.Public())
		}
	})
}

// No raw command of this issue is one-way, so both halves are driven by hand.
func TestSendIsConfirmed(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}}), in.Host(netsim.HostOptions{})
		la, ha := start(t, on(a))
		seen := types(a)
		peer, err := b.ListenUDP(t.Context(), netip.AddrPortFrom(netip.Addr{}, port))
		if err != nil {
			t.Fatal(err)
		}
		defer peer.Close()

		done := make(chan error, 1)
		go func() {
			_, err := la.exchange(t.Context(), addr(b), &message.NetworkStats{UsersOnline: 1}, false)
			done <- err
		}()
		buf := make([]byte, 2000)
		n, from, _ := peer.ReadFrom(buf)
		f, _ := frame.Parse(buf[:n])
		peer.WriteTo(frame.Frame{ID: f.ID, Type: frame.Confirm, IP: from.Addr()}.Append(nil), from)
		if err := <-done; err != nil {
			t.Fatal(err)
		}
		if la.Public() != a.Addr() {
			t.Errorf("a confirm taught %v", la.Public())
		}

		c := []message.Command{{Body: &message.NetworkStats{UsersOnline: 2}}}
		for _, size := range []int{100, 100, frame.NackSize - 1} {
			la.oneWay(Origin{Addr: addr(b)}, c, received{frame: 0x1234, self: a.Addr(), credit: size}, true)
		}
		time.Sleep(time.Second)
		if ha.handled() != 1 {
			t.Errorf("handled %d times", ha.handled())
		}
		same(t, "datagrams", seen.all(), []string{"out command 17", "in confirm 11", "out confirm 11", "out confirm 11"})
	})
}
