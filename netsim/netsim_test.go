package netsim

import (
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

func socket(t *testing.T, h *Host) netx.PacketConn {
	t.Helper()
	c, err := h.ListenUDP(t.Context(), netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func send(t *testing.T, c netx.PacketConn, to netip.AddrPort, text string) {
	t.Helper()
	if _, err := c.WriteTo([]byte(text), to); err != nil {
		t.Fatal(err)
	}
}

// at is where others reach the socket c of h.
func at(h *Host, c netx.PacketConn) netip.AddrPort {
	return netip.AddrPortFrom(h.Addr(), c.LocalAddr().Port())
}

// inbox collects what arrives at a socket until it closes.
type inbox struct {
	texts []string
	from  []netip.AddrPort
	when  []time.Duration // since the inbox was opened
}

func collect(c netx.PacketConn) *inbox {
	in := new(inbox)
	start := time.Now()
	go func() {
		b := make([]byte, 2048)
		for {
			n, from, err := c.ReadFrom(b)
			if err != nil {
				return
			}
			in.texts = append(in.texts, string(b[:n]))
			in.from = append(in.from, from)
			in.when = append(in.when, time.Since(start))
		}
	}()
	return in
}

func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}
