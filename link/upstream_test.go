package link

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/message"
)

// narrow is a network whose streams take time for what is written: bit/s.
type narrow struct {
	netx.Network
	rate int
}

func (n narrow) DialTCP(ctx context.Context, to netip.AddrPort) (net.Conn, error) {
	c, err := n.Network.DialTCP(ctx, to)
	return narrowConn{c, n.rate}, err
}

type narrowConn struct {
	net.Conn
	rate int
}

func (c narrowConn) Write(b []byte) (int, error) {
	time.Sleep(time.Duration(8*len(b)) * time.Second / time.Duration(c.rate))
	return c.Conn.Write(b)
}

func TestUpstream(t *testing.T) {
	for _, rate := range []int{100_000, 1_000_000, 10_000_000} {
		simulate(t, func(t *testing.T, in *netsim.Internet) {
			a, b := in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}}), in.Host(netsim.HostOptions{Link: netsim.Link{Delay: delay}})
			o := on(a)
			o.Net = narrow{a, rate}
			client, _ := start(t, o)
			o, h := on(b), new(tester)
			h.answer = loginServer(h)
			o.Handler = h
			start(t, o)
			got, err := client.Upstream(t.Context(), addr(b), &message.Login{Sealed: []byte{1}})
			if err != nil || got > rate*101/100 || got < rate*3/4 {
				t.Errorf("a line of %d bit/s was measured as %d, %v", rate, got, err)
			}
			time.Sleep(time.Minute)
			if client.Counters().Streams != 0 {
				t.Error("the stream was left open")
			}
		})
	}
}
