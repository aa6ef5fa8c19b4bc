package link

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/obfuscate"
)

// loginServer answers logins by their sealed bytes, turned round.
func loginServer(h *tester) func(Origin, message.Command) {
	return func(from Origin, c message.Command) {
		if login, ok := c.Body.(*message.Login); ok {
			reply := bytes.Clone(login.Sealed)
			for i, j := 0, len(reply)-1; i < j; i, j = i+1, j-1 {
				reply[i], reply[j] = reply[j], reply[i]
			}
			h.link.Reply(from, c.ID, &message.LoginReply{Sealed: reply})
		}
	}
}

// pair is two links on their hosts with a stream between them.
func pair(t *testing.T, in *netsim.Internet, cable netsim.Link) (client, server *Link, hc, hs *tester, stream uint64) {
	t.Helper()
	a, b := in.Host(netsim.HostOptions{Link: cable}), in.Host(netsim.HostOptions{Link: cable})
	client, hc = start(t, on(a))
	o, h := on(b), new(tester)
	h.answer = loginServer(h)
	o.Handler = h
	server, hs = start(t, o)
	stream, err := client.Dial(t.Context(), addr(b))
	if err != nil {
		t.Fatal(err)
	}
	return client, server, hc, hs, stream
}

func TestStream(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		cable := netsim.Link{Delay: delay, Jitter: delay, Loss: 0.05}
		client, server, hc, hs, stream := pair(t, in, cable)
		for i, size := range []int{1, 1000, 60_000} {
			sealed := bytes.Repeat([]byte{1, 2, 3, 4}, size)[:size]
			m, err := client.RequestStream(t.Context(), stream, &message.Login{Sealed: sealed})
			if err != nil {
				t.Fatal(err)
			}
			if r, ok := m.(*message.LoginReply); !ok || len(r.Sealed) != size || r.Sealed[0] != sealed[size-1] {
				t.Errorf("reply %d is %T", i, m)
			}
		}
		far := hs.told().origins[0]
		if far.Stream == 0 || !far.Addr.IsValid() {
			t.Errorf("the request came from %v", far)
		}

		if err := client.SendPacket(Origin{Stream: stream}, 0x10, []byte("there")); err != nil {
			t.Error(err)
		}
		if err := server.SendPacket(far, 0x12, []byte("and back")); err != nil {
			t.Error(err)
		}
		client.Bind(0x13, func(from Origin, body []byte) {
			if from.Stream != stream || string(body) != "fast" {
				t.Errorf("bound tag got %q from %v", body, from)
			}
			client.SendPacket(from, 0x14, body)
		})
		server.SendPacket(far, 0x13, []byte("fast"))
		time.Sleep(5 * time.Second)
		same(t, "server's packets", hs.told().packets, []string{"10 there", "14 fast"})
		same(t, "client's packets", hc.told().packets, []string{"12 and back"})

		server.SendPacket(far, 0x12, []byte("the last word"))
		server.Close(far.Stream)
		time.Sleep(5 * time.Second)
		same(t, "what was queued at the close", hc.told().packets, []string{"12 and back", "12 the last word"})
		if fmt.Sprint(hs.told().closed) != fmt.Sprint([]uint64{far.Stream}) || fmt.Sprint(hc.told().closed) != fmt.Sprint([]uint64{stream}) {
			t.Errorf("closed: %v of %v, %v of %v", hs.told().closed, far.Stream, hc.told().closed, stream)
		}
		for _, l := range []*Link{client, server} {
			if n := l.Counters().Streams; n != 0 {
				t.Errorf("%d streams left", n)
			}
		}
		if _, err := client.RequestStream(t.Context(), stream, &message.Login{}); !errors.Is(err, ErrStream) {
			t.Errorf("request on a closed stream: %v", err)
		}
		if err := client.SendPacket(Origin{Stream: stream}, 1, nil); !errors.Is(err, ErrStream) {
			t.Errorf("packet on a closed stream: %v", err)
		}
	})
}

// A request fails with its stream, not by a timeout of its own.
func TestStreamEndsItsRequests(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		client, server, _, hs, stream := pair(t, in, netsim.Link{})
		hs.answer = func(from Origin, c message.Command) { server.Close(from.Stream) }
		if _, err := client.RequestStream(t.Context(), stream, &message.Login{Sealed: []byte{1}}); !errors.Is(err, ErrStream) {
			t.Errorf("error %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		client2, _, _, hs2, stream2 := pair(t, in, netsim.Link{})
		hs2.answer = func(Origin, message.Command) {}
		if _, err := client2.RequestStream(ctx, stream2, &message.Login{Sealed: []byte{1}}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		if _, err := client2.RequestStream(ctx, stream2, &message.DialTest{}); !errors.Is(err, ErrCarrier) {
			t.Errorf("a dial test over a stream: %v", err)
		}
	})
}

func TestDialFailures(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		l, h := start(t, on(a))
		if _, err := l.Dial(t.Context(), addr(b)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("no listener: %v", err)
		}
		tcp, err := b.ListenTCP(t.Context(), addr(b))
		if err != nil {
			t.Fatal(err)
		}
		defer tcp.Close()
		serve := func(say string) {
			conn, err := tcp.Accept()
			if err == nil {
				conn.Write([]byte(say))
				io.Copy(io.Discard, conn)
				conn.Close()
			}
		}
		go serve("HTTP/1.1 400 Bad Request")
		if _, err := l.Dial(t.Context(), addr(b)); !errors.Is(err, obfuscate.ErrOpening) {
			t.Errorf("another protocol: %v", err)
		}
		began := time.Now()
		go serve("")
		if _, err := l.Dial(t.Context(), addr(b)); !errors.Is(err, errOpening) || time.Since(began) != openTimeout {
			t.Errorf("silence: %v after %v", err, time.Since(began))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		go serve("")
		if _, err := l.Dial(ctx, addr(b)); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("context: %v", err)
		}
		synctest.Wait()
		if l.Counters().Streams != 0 || h.told().closed != nil {
			t.Errorf("%d streams left, %v told of", l.Counters().Streams, h.told().closed)
		}
	})
}

// Whoever does not open as nodes do hears nothing and is soon gone.
func TestStrangersOnTheListener(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		l, h := start(t, on(b))
		for _, tt := range []struct {
			say string
			d   time.Duration
		}{{"", openTimeout}, {"GET / HTTP/1.1\r\n\r\n", 0}, {"too short", openTimeout}} {
			conn, err := in.Host(netsim.HostOptions{}).DialTCP(t.Context(), addr(b))
			if err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			conn.Write([]byte(tt.say))
			if got, _ := io.ReadAll(conn); len(got) > 0 || time.Since(began) != tt.d {
				t.Errorf("%q: heard %q, gone after %v, want %v", tt.say, got, time.Since(began), tt.d)
			}
			conn.Close()
		}
		if n := l.Counters(); n.Dropped[DropStreams] != 3 || n.TCPSent.Bytes != 0 || h.told().closed != nil {
			t.Errorf("counted %+v, told of %v", n, h.told().closed)
		}
	})
}

// What begins as no stream does may be something else that this node speaks.
func TestForeignConnections(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		o := on(b)
		var asked []string
		o.Foreign = func(begin []byte, conn net.Conn) bool {
			asked = append(asked, string(begin))
			if string(begin) != "\x16\x03\x01\x00\x00" {
				return false
			}
			rest := make([]byte, 2)
			io.ReadFull(conn, rest)
			conn.Write(append([]byte("heard "), rest...))
			return true
		}
		l, h := start(t, o)
		for _, tt := range []struct{ say, want string }{
			{"\x16\x03\x01\x00\x00hi", "heard hi"},
			{"GET / HTTP/1.1\r\n\r\n", ""},
		} {
			conn, err := in.Host(netsim.HostOptions{}).DialTCP(t.Context(), addr(b))
			if err != nil {
				t.Fatal(err)
			}
			conn.Write([]byte(tt.say))
			if got, _ := io.ReadAll(conn); string(got) != tt.want {
				t.Errorf("%q: heard %q, want %q", tt.say, got, tt.want)
			}
			conn.Close()
		}
		a, _ := start(t, on(in.Host(netsim.HostOptions{})))
		if _, err := a.Dial(t.Context(), addr(b)); err != nil {
			t.Errorf("a stream: %v", err)
		}
		if n := l.Counters(); len(asked) != 2 || n.Dropped[DropStreams] != 1 || h.told().closed != nil {
			t.Errorf("asked about %q, counted %+v, told of %v", asked, n, h.told().closed)
		}
	})
}

// rawStream opens a stream without a link and hides what is written to it.
func rawStream(t *testing.T, from *netsim.Host, to netip.AddrPort) (net.Conn, *obfuscate.Stream) {
	t.Helper()
	conn, err := from.DialTCP(t.Context(), to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.Write(obfuscate.AppendOpening(nil, 0xdeadbeef, 1))
	return conn, obfuscate.NewStream(0xdeadbeef)
}

// The bytes of a stream, as W2 lists them.
func TestStreamBytes(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		start(t, on(b))
		conn, out := rawStream(t, in.Host(netsim.HostOptions{}), addr(b))
		say := frame.Record{Kind: frame.Commands, Packet: 0x6d32, Body: message.Append(nil, message.Command{ID: 0x6d31, Body: &message.Login{Sealed: []byte{7}}})}.Append(nil)
		out.XOR(say)
		conn.Write(say)
		var opening [obfuscate.OpeningSize]byte
		if _, err := io.ReadFull(conn, opening[:]); err != nil {
			t.Fatal(err)
		}
		seed, _, err := obfuscate.ParseOpening(opening)
		if err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(time.Second))
		got, _ := io.ReadAll(conn)
		obfuscate.NewStream(seed).XOR(got)
		var kinds []string
		for len(got) > 0 {
			r, n, err := frame.ParseRecord(got, false)
			if err != nil || n == 0 {
				t.Fatalf("%x: %v", got, err)
			}
			kinds = append(kinds, fmt.Sprintf("%d %04x", r.Kind, r.Packet))
			got = got[n:]
		}
		same(t, "records", kinds, []string{"3 0000", "1 6d32"})
	})
}

// A classic network on port 443: SSL to look at, then records of sessions with
// the low half of their tag.
func TestClassicStream(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		to := netip.AddrPortFrom(b.Addr(), portTLS)
		server, hs := start(t, Options{Net: b, Listen: netip.AddrPortFrom(netip.Addr{}, portTLS)})
		server.SetClassic(true)
		client, _ := start(t, on(a))
		newcomer, err := client.Dial(t.Context(), to) // has no descriptor yet
		if err != nil {
			t.Fatal(err)
		}
		client.Close(newcomer)
		time.Sleep(time.Minute)

		var seen record
		a.Tap(func(p netsim.Packet) {
			if p.TCP && len(p.Payload) > 0 {
				seen.add(fmt.Sprintf("%v %d %x", p.Sent, len(p.Payload), p.Payload[:3]))
			}
		})
		client.SetClassic(true)
		stream, err := client.Dial(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		if first := seen.all(); len(first) < 2 || first[0] != "true 72 804601" || first[1] != "false 79 160301" {
			t.Errorf("the stream begins with %q", first)
		}
		server.Bind(0xabcd, func(_ Origin, body []byte) { seen.add("media " + string(body)) })
		for _, tag := range []uint32{0xabcc, 0xabcd} {
			if err := client.SendPacket(Origin{Addr: to, Stream: stream}, tag, []byte("packet")); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		same(t, "packets", hs.told().packets, []string{"abcc packet"})
		if !slices.Contains(seen.all(), "media packet") {
			t.Error("media was not told from session packets")
		}
	})
}

// Who answers on 443 with something else is no node.
func TestDisguiseOfAnother(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		to := netip.AddrPortFrom(b.Addr(), portTLS)
		listener, err := b.ListenTCP(t.Context(), to)
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		go func() {
			if conn, err := listener.Accept(); err == nil {
				conn.Write(make([]byte, obfuscate.ServerHelloSize))
				conn.Close()
			}
		}()
		client, _ := start(t, on(a))
		client.SetClassic(true)
		if _, err := client.Dial(t.Context(), to); !errors.Is(err, obfuscate.ErrOpening) {
			t.Errorf("Dial: %v", err)
		}
	})
}

func TestStreamOfNonsense(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		l, h := start(t, on(b))
		for _, plain := range [][]byte{
			bytes.Repeat([]byte{0xff}, 100), // impossible length
			{0x00},                          // no packet id
			{0x03, 0x01},                    // an ack of nothing
			append(frame.Record{Kind: frame.Commands, Body: []byte{1, 2, 3}}.Append(nil), 1, 1),   // no command, then no record
			append(frame.Record{Kind: 0x42, Body: []byte("newer")}.Append(nil), 0xff, 0xff, 0xff), // unknown kinds pass
		} {
			conn, out := rawStream(t, in.Host(netsim.HostOptions{}), addr(b))
			hidden := bytes.Clone(plain)
			out.XOR(hidden)
			conn.Write(hidden)
			began := time.Now()
			io.Copy(io.Discard, conn)
			if d := time.Since(began); d != 0 {
				t.Errorf("%x: closed after %v", plain, d)
			}
			conn.Close()
		}
		synctest.Wait()
		if len(h.told().closed) != 5 || h.handled() != 0 || l.Counters().Streams != 0 {
			t.Errorf("%d closed, %d commands, %d left", len(h.told().closed), h.handled(), l.Counters().Streams)
		}
	})
}

func TestSlowReaderIsDropped(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		l, h := start(t, on(b))
		rawStream(t, in.Host(netsim.HostOptions{}), addr(b)) // and nobody reads it
		synctest.Wait()
		time.Sleep(time.Millisecond)
		began := time.Now()
		var err error
		sent := 0
		for ; err == nil && sent < 1000; sent++ {
			err = l.stream(1).commands(make([]byte, 10_000))
			synctest.Wait()
		}
		if !errors.Is(err, ErrStream) || time.Since(began) != 0 || l.Counters().Dropped[DropSlow] != 1 {
			t.Errorf("after %d commands and %v: %v", sent, time.Since(began), err)
		}
		synctest.Wait()
		if len(h.told().closed) != 1 {
			t.Errorf("told of %v", h.told().closed)
		}
	})
}

// Packets that somebody else has passed on to a slow reader are lost, and do not
// cost him his stream, as long as he reads at all.
func TestPacketsToASlowReaderAreLost(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		b := in.Host(netsim.HostOptions{})
		l, h := start(t, on(b))
		rawStream(t, in.Host(netsim.HostOptions{}), addr(b))
		synctest.Wait()
		slow := l.stream(1)
		for range 1000 {
			if err := l.SendPacket(Origin{Stream: 1}, 1, make([]byte, 10_000)); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		if lost := l.Counters().Dropped[DropSlow]; lost < 900 || lost == 1000 {
			t.Errorf("%d of 1000 are lost", lost)
		}
		if err := slow.commands(make([]byte, 10_000)); err != nil || len(h.told().closed) != 0 {
			t.Errorf("a command behind them: %v; told of %v", err, h.told().closed)
		}
		time.Sleep(2 * writeTimeout)
		if len(h.told().closed) != 1 {
			t.Errorf("who never reads: told of %v", h.told().closed)
		}
	})
}

// When there are too many streams, those with a use stay, and the oldest of the
// others makes room.
func TestMaxStreams(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		client, h := start(t, on(a))
		o := on(b)
		o.MaxStreams = 2
		server, _ := start(t, o)
		var ids []uint64
		dial := func() error {
			id, err := client.Dial(t.Context(), addr(b))
			ids = append(ids, id)
			synctest.Wait()
			return err
		}
		for i := range 3 {
			if err := dial(); err != nil {
				t.Errorf("stream %d: %v", i, err)
			}
			if i == 0 {
				server.Vouch(1)
			}
		}
		if closed := h.told().closed; !slices.Equal(closed, ids[1:2]) {
			t.Errorf("%v made room, want %v", closed, ids[1:2])
		}
		server.Vouch(3)
		if dial() == nil {
			t.Error("no stream is left without a use, and one more was taken")
		}
		client.Close(ids[0])
		time.Sleep(time.Second)
		if err := dial(); err != nil {
			t.Errorf("after one closed: %v", err)
		}
	})
}

// A stream that leads to nothing ends, whatever is said on it; one with a use stays.
func TestStreamsWithoutUse(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		client, server, h, _, useful := pair(t, in, netsim.Link{})
		server.Vouch(1)
		began := time.Now()
		chatty, err := client.Dial(t.Context(), client.stream(useful).remote)
		if err != nil {
			t.Fatal(err)
		}
		for time.Since(began) < 2*strangerLife && len(h.told().closed) == 0 {
			client.SendPacket(Origin{Stream: chatty}, 8, []byte("still here"))
			time.Sleep(time.Second)
		}
		if closed := h.told().closed; !slices.Equal(closed, []uint64{chatty}) || time.Since(began) < strangerLife {
			t.Errorf("closed %v after %v, want %d", closed, time.Since(began), chatty)
		}
		time.Sleep(time.Hour)
		if client.stream(useful) == nil {
			t.Error("the stream with a use is closed")
		}
	})
}

// Who opens streams and says nothing does not keep others out: not with one
// IPv4 address, and not with all addresses of an IPv6 network.
func TestStreamsOfOneHousehold(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		server := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("11.9.9.9"), netip.MustParseAddr("2001:db8:9::1")}})
		addrs, _ := server.Addrs()
		l, _ := start(t, on(server))
		for family, to := range addrs {
			own := [][]string{{"11.8.8.8", "11.8.8.9"}, {"2001:db8:8::1", "2001:db8:8::2", "2001:db8:8:1::1"}}[family]
			var hosts []*Link
			for _, a := range own {
				client, _ := start(t, on(in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr(a)}})))
				hosts = append(hosts, client)
			}
			greedy, stranger := hosts[:len(hosts)-1], hosts[len(hosts)-1]
			at := netip.AddrPortFrom(to, port)
			for i := range fromOne + 1 {
				if _, err := greedy[i%len(greedy)].Dial(t.Context(), at); (err == nil) != (i < fromOne) {
					t.Fatalf("stream %d to %v: %v", i, at, err)
				}
			}
			if _, err := stranger.Dial(t.Context(), at); err != nil {
				t.Error(err)
			}
		}
		if n := l.Counters().Streams; n != 2*(fromOne+1) {
			t.Errorf("%d streams", n)
		}
	})
}

func TestKilledPeerClosesItsStreams(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		client, h := start(t, on(a))
		o := on(b)
		o.Handler = new(tester)
		server, err := Open(o)
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- server.Run(t.Context()) }()
		stream, err := client.Dial(t.Context(), addr(b))
		if err != nil {
			t.Fatal(err)
		}
		b.Kill()
		<-done
		time.Sleep(time.Second)
		if len(h.told().closed) != 1 || h.told().closed[0] != stream {
			t.Errorf("told of %v, want %v", h.told().closed, stream)
		}
	})
}
