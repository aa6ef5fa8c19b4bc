package link

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// The sockets of the system, bound to one address and to all of them.
func TestOverLoopback(t *testing.T) {
	for _, listen := range []string{"127.0.0.1:0", "0.0.0.0:0", "[::]:0", "[::1]:0"} {
		t.Run(listen, func(t *testing.T) {
			bind := netip.MustParseAddrPort(listen)
			h := new(tester)
			server := loginServer(h)
			h.answer = func(from Origin, c message.Command) {
				switch c.Body.(type) {
				case *message.Probe:
					h.link.Reply(from, c.ID, &message.Failure{Text: "no", Code: message.FailureTooMany})
				case *message.Hello:
					h.link.Reply(from, c.ID, &message.HelloReply{Noise: c.Body.(*message.Hello).Noise})
				default:
					server(from, c)
				}
			}
			b, _ := start(t, Options{Listen: bind, Handler: h})
			a, _ := start(t, Options{Listen: bind})
			to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), b.Addr().Port())
			if listen == "[::1]:0" || listen == "[::]:0" {
				to = netip.AddrPortFrom(netip.MustParseAddr("::1"), b.Addr().Port())
			}

			for range 2 {
				m, err := a.Request(t.Context(), to, &message.Probe{})
				if f, ok := m.(*message.Failure); !ok || f.Code != message.FailureTooMany {
					t.Fatalf("%T, %v", m, err)
				}
			}
			if a.Public() != to.Addr() {
				t.Errorf("public address %v", a.Public())
			}
			long := bytes.Repeat([]byte("noise "), frame.MaxPayload/12)
			m, err := a.Request(t.Context(), to, &message.Hello{Noise: long})
			if r, ok := m.(*message.HelloReply); !ok || !bytes.Equal(r.Noise, long) {
				t.Errorf("%T, %v", m, err)
			}

			stream, err := a.Dial(t.Context(), to)
			if err != nil {
				t.Fatal(err)
			}
			m, err = a.RequestStream(t.Context(), stream, &message.Login{Sealed: []byte{1, 2, 3}})
			if r, ok := m.(*message.LoginReply); !ok || !bytes.Equal(r.Sealed, []byte{3, 2, 1}) {
				t.Errorf("%T, %v", m, err)
			}

			got := make(chan string)
			b.Bind(0x10, func(_ Origin, body []byte) { got <- string(body) })
			for _, o := range []Origin{{Addr: to}, {Stream: stream}} {
				if err := a.SendPacket(o, 0x10, []byte("packet")); err != nil {
					t.Fatal(err)
				}
				if s := <-got; s != "packet" {
					t.Errorf("got %q", s)
				}
			}
		})
	}
}
