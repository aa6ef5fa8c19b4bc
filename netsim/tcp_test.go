package netsim

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

func listen(t *testing.T, h *Host) net.Listener {
	t.Helper()
	l, err := h.ListenTCP(t.Context(), netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func port(l net.Listener) uint16 { return l.Addr().(*net.TCPAddr).AddrPort().Port() }

// connected gives both ends of a connection.
func connected(t *testing.T, from, to *Host) (a, b net.Conn) {
	t.Helper()
	l := listen(t, to)
	a, err := from.DialTCP(t.Context(), netip.AddrPortFrom(to.Addr(), port(l)))
	if err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

func TestTCPIsReliableOverABadLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		bad := Link{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Loss: 0.1, Reorder: 0.1, Rate: 1 << 20}
		nat := in.NAT(PortRestrictedCone())
		a, b := connected(t, in.Host(HostOptions{Link: bad, Behind: nat}), in.Host(HostOptions{Link: bad}))
		data := make([]byte, 1<<20)
		rand.NewChaCha8([32]byte{}).Read(data)
		go func() {
			a.Write(data)
			a.Close()
		}()
		got, err := io.ReadAll(b)
		if err != nil || !bytes.Equal(got, data) {
			t.Errorf("%d of %d bytes arrived, equal: %v, error: %v", len(got), len(data), bytes.Equal(got, data), err)
		}
		if host, _, _ := net.SplitHostPort(b.RemoteAddr().String()); host != nat.Addr().String() {
			t.Errorf("connection came from %v", host)
		}
	})
}

func TestTCPHandshakeTakesARoundTrip(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		link := Link{Delay: 25 * time.Millisecond}
		start := time.Now()
		connected(t, in.Host(HostOptions{Link: link}), in.Host(HostOptions{Link: link}))
		if d := time.Since(start); d != 150*time.Millisecond {
			t.Errorf("accepted after %v, want three times 50ms", d)
		}
	})
}

func TestTCPDialFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b, away := in.Host(HostOptions{}), in.Host(HostOptions{}), in.Host(HostOptions{})
		hidden := in.Host(HostOptions{Behind: in.NAT(PortRestrictedCone())})
		away.Cut()
		soon, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		for _, tt := range []struct {
			name string
			ctx  context.Context
			to   netip.Addr
			want error
		}{
			{"no listener", t.Context(), b.Addr(), syscall.ECONNREFUSED},
			{"cable cut", t.Context(), away.Addr(), syscall.ETIMEDOUT},
			{"behind NAT", t.Context(), hidden.realm.nat.Addr(), syscall.ETIMEDOUT},
			{"context ends", soon, away.Addr(), context.DeadlineExceeded},
			{"no such family", t.Context(), netip.MustParseAddr("2001:db8::1"), syscall.ENETUNREACH},
		} {
			if _, err := a.DialTCP(tt.ctx, netip.AddrPortFrom(tt.to, 80)); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
	})
}

func TestKillResetsAndBootStartsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		h, other := in.Host(HostOptions{}), in.Host(HostOptions{})
		a, b := connected(t, other, h)
		u := socket(t, h)
		h.Kill()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("peer reads %v, want a reset", err)
		}
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("killed host reads %v", err)
		}
		if _, _, err := u.ReadFrom(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Errorf("killed host's UDP socket reads %v", err)
		}
		if _, err := h.ListenUDP(t.Context(), netip.AddrPort{}); !errors.Is(err, syscall.ENETDOWN) {
			t.Errorf("killed host opens a socket: %v", err)
		}
		h.Boot()
		connected(t, other, h)
	})
}

func TestTCPOverACutCable(t *testing.T) {
	for _, tt := range []struct {
		name string
		cut  time.Duration
		want error
	}{{"short", 20 * time.Second, nil}, {"long", 2 * time.Minute, syscall.ETIMEDOUT}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				in := New(1)
				h := in.Host(HostOptions{})
				a, b := connected(t, h, in.Host(HostOptions{}))
				h.Cut()
				a.Write([]byte("late"))
				time.Sleep(tt.cut)
				h.Heal()
				b.SetReadDeadline(time.Now().Add(time.Minute))
				if tt.want == nil {
					got := make([]byte, 4)
					if _, err := io.ReadFull(b, got); err != nil || string(got) != "late" {
						t.Errorf("read %q, %v", got, err)
					}
				} else if _, err := a.Write([]byte("x")); !errors.Is(err, tt.want) {
					t.Errorf("write: %v, want %v", err, tt.want)
				}
			})
		})
	}
}

func TestTCPWindowAndDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b := connected(t, in.Host(HostOptions{}), in.Host(HostOptions{}))
		a.SetWriteDeadline(time.Now().Add(time.Second))
		n, err := a.Write(make([]byte, 2*window))
		if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("wrote %d, %v: want a full window and a deadline", n, err)
		}
		a.SetWriteDeadline(time.Time{})
		go io.Copy(io.Discard, b)
		if n, err := a.Write(make([]byte, 2*window)); n != 2*window || err != nil {
			t.Errorf("wrote %d, %v with a reader", n, err)
		}
		a.SetReadDeadline(time.Now().Add(time.Second))
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestTCPHalfDeadPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		a, b := connected(t, in.Host(HostOptions{}), in.Host(HostOptions{}))
		b.Write([]byte("bye"))
		b.Close()
		if got, err := io.ReadAll(a); string(got) != "bye" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		a.Write([]byte("nobody reads this"))
		settle(time.Second)
		if _, err := a.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("write to a closed peer: %v", err)
		}
	})
}

func TestClosedListenerRefusesWhoWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := New(1)
		h, other := in.Host(HostOptions{}), in.Host(HostOptions{})
		l := listen(t, h)
		a, err := other.DialTCP(t.Context(), netip.AddrPortFrom(h.Addr(), port(l)))
		if err != nil {
			t.Fatal(err)
		}
		settle(0)
		l.Close()
		if _, err := a.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("read: %v", err)
		}
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("accept: %v", err)
		}
	})
}
