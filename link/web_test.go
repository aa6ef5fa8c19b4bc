package link

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/wire/message"
)

var web = Web{Plain: netip.MustParseAddrPort("[::]:80"), TLS: netip.MustParseAddrPort("[::]:443")}

// The ports of the web carry the same streams, and who watches sees TLS on 443.
func TestWebPorts(t *testing.T) {
	for _, classic := range []bool{false, true} {
		t.Run(fmt.Sprint("classic=", classic), func(t *testing.T) {
			simulate(t, func(t *testing.T, in *netsim.Internet) {
				a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
				o, h := on(b), new(tester)
				o.Web, o.Handler = web, h
				h.answer = loginServer(h)
				server, _ := start(t, o)
				client, _ := start(t, on(a))
				server.SetClassic(classic)
				client.SetClassic(classic)
				var seen record
				a.Tap(func(p netsim.Packet) {
					if p.Sent && p.To.Port() == portTLS {
						seen.add(fmt.Sprintf("%x", p.Payload[:3]))
					}
				})
				for _, port := range []uint16{80, 443} {
					at := netip.AddrPortFrom(b.Addr(), port)
					var stream uint64
					var err error
					if port == portTLS {
						stream, err = client.DialTLS(t.Context(), at, "phone.example.org")
					} else {
						stream, err = client.Dial(t.Context(), at)
					}
					if err != nil {
						t.Fatalf("port %d: %v", port, err)
					}
					reply, err := client.RequestStream(t.Context(), stream, &message.Login{Sealed: []byte{1, 2}})
					if r, ok := reply.(*message.LoginReply); !ok || r.Sealed[0] != 2 {
						t.Errorf("port %d: %T, %v", port, reply, err)
					}
				}
				first := "160301"
				if classic {
					first = "804601"
				}
				if seen.all()[0] != first {
					t.Errorf("a stream to 443 begins with %s, want %s", seen.all()[0], first)
				}
			})
		})
	}
}

// A newcomer does not know yet that the network is a classic one.
func TestNewcomerOn443OfAClassicNetwork(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		o := on(b)
		o.Web = web
		server, _ := start(t, o)
		server.SetClassic(true)
		client, _ := start(t, on(a))
		if _, err := client.DialTLS(t.Context(), netip.AddrPortFrom(b.Addr(), 443), ""); err != nil {
			t.Error(err)
		}
	})
}

// Who begins with TLS and does not go on is gone after ten seconds, and who
// speaks TLS and then nothing as well.
func TestHalfOpenTLS(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		o := on(b)
		o.Web = web
		server, _ := start(t, o)
		at := netip.AddrPortFrom(b.Addr(), 443)
		began := time.Now()
		half, err := a.DialTCP(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		defer half.Close()
		half.Write([]byte{22, 3, 1, 2, 0, 1})
		raw, err := a.DialTCP(t.Context(), at)
		if err != nil {
			t.Fatal(err)
		}
		silent := tls.Client(raw, &tls.Config{InsecureSkipVerify: true})
		defer raw.Close()
		if err := silent.Handshake(); err != nil {
			t.Fatal(err)
		}
		if silent.ConnectionState().Version != tls.VersionTLS13 {
			t.Error("not TLS 1.3")
		}
		synctest.Wait()
		if n := server.Counters().Streams; n != 2 {
			t.Errorf("%d streams are opening", n)
		}
		time.Sleep(time.Until(began.Add(openTimeout + time.Second)))
		if n := server.Counters(); n.Streams != 0 || n.Dropped[DropStreams] != 2 {
			t.Errorf("after %v: %+v", time.Since(began), n)
		}
	})
}

// TLS that a server of the web answers is no stream.
func TestTLSOfAnother(t *testing.T) {
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		a, b := in.Host(netsim.HostOptions{}), in.Host(netsim.HostOptions{})
		listener, err := b.ListenTCP(t.Context(), netip.AddrPortFrom(b.Addr(), 443))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
		certificate, err := selfSigned(time.Now())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			if conn, err := listener.Accept(); err == nil {
				c := tls.Server(conn, &tls.Config{Certificates: []tls.Certificate{*certificate}})
				c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n"))
				c.Close()
			}
		}()
		client, _ := start(t, on(a))
		if _, err := client.DialTLS(t.Context(), netip.AddrPortFrom(b.Addr(), 443), ""); err == nil {
			t.Error("the answer of a web server passed for a stream")
		}
	})
}
