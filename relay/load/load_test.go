package load

import (
	"context"
	"encoding/binary"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// pipe is both ends of a Serve that runs in this process.
type pipe struct {
	io.Reader
	io.WriteCloser
	done chan error
}

func (p pipe) Close() error {
	p.WriteCloser.Close()
	return <-p.done
}

func inThisProcess(ctx context.Context) (io.ReadWriteCloser, error) {
	plans, w := io.Pipe()
	r, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, localhost, plans, answers)
		answers.Close()
	}()
	return pipe{r, w, done}, nil
}

func TestRun(t *testing.T) {
	for _, o := range []Options{
		{Legs: 100, Size: 160, PPS: 1000},
		{Legs: 1, Size: 1200, PPS: 1000, Train: true},
		{Legs: 100, Size: 160, PPS: 1000, Baseline: Single},
		{Legs: 70},
		{Legs: 3, Size: 1200, Train: true},
	} {
		o.Turns, o.Time = 1, 200*time.Millisecond
		steps := 0
		r, err := Run(t.Context(), o, localhost, inThisProcess, func(done, all int) { steps++ })
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if r.Relayed == 0 || r.Ratio <= 0 || r.Offered == 0 || steps < 2 {
			t.Errorf("%+v: %+v", o, r)
		}
		if measured := r.Added != (Added{}); measured != (o.PPS > 0) {
			t.Errorf("%+v: added %+v", o, r.Added)
		}
		if o.PPS > 0 && (r.Loss != 0 || r.Offered > 1.1*float64(o.PPS)) {
			t.Errorf("%+v: %+v, want no loss", o, r)
		}
	}
}

// fakeTURN gives allocations with a channel each, and passes on both ways.
func fakeTURN(t *testing.T) netip.AddrPort {
	listen := func() netx.PacketConn {
		c, err := netx.System{}.ListenUDP(t.Context(), netip.AddrPortFrom(localhost, 0))
		if err != nil {
			t.Error(err)
			return nil
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	server := listen()
	go func() {
		type allocation struct {
			relayed netx.PacketConn
			peer    netip.AddrPort
		}
		clients, refused := make(map[netip.AddrPort]*allocation), make(map[netip.AddrPort]bool)
		for b := make([]byte, 2048); ; {
			n, from, err := server.ReadFrom(b)
			if err != nil {
				return
			}
			a := clients[from]
			switch kind := binary.BigEndian.Uint16(b); kind {
			case stunAllocate:
				if len(refused) < 3 && !refused[from] { // these ports had an allocation lately
					refused[from] = true
					binary.BigEndian.PutUint16(b, kind|0x0110)
					server.WriteTo(append(b[:stunHeader:stunHeader], 0, attrError, 0, 5, 0, 0, 4, 37, 'x', 0, 0, 0), from)
					continue
				}
				a = &allocation{relayed: listen()}
				clients[from] = a
				go func() {
					for b := make([]byte, 2048); ; {
						n, _, err := a.relayed.ReadFrom(b[channelHeader:])
						if err != nil {
							return
						}
						binary.BigEndian.PutUint16(b, channel)
						binary.BigEndian.PutUint16(b[2:], uint16(n))
						server.WriteTo(b[:channelHeader+n], from)
					}
				}()
				binary.BigEndian.PutUint16(b, kind|stunSuccess)
				answer := append(b[:stunHeader:stunHeader], 0, 8, 0, 5, 's', 'o', 'f', 't', 's', 0, 0, 0, attrRelayed>>8, attrRelayed&0xff, 0, 8) // padded
				server.WriteTo(append(answer, xorAddr(a.relayed.LocalAddr())...), from)
			case stunBind:
				peer := b[n-6 : n] // port and address, as xorAddr has them
				for i, x := range []byte{0x21, 0x12, 0x21, 0x12, 0xa4, 0x42} {
					peer[i] ^= x
				}
				a.peer = netip.AddrPortFrom(netip.AddrFrom4([4]byte(peer[2:])), binary.BigEndian.Uint16(peer))
				binary.BigEndian.PutUint16(b, kind|stunSuccess)
				server.WriteTo(b[:stunHeader], from)
			case channel:
				a.relayed.WriteTo(b[channelHeader:n], a.peer)
			}
		}
	}()
	return server.LocalAddr()
}

func TestRunBesideTURN(t *testing.T) {
	o := Options{Legs: 150, PPS: 1000, Turns: 1, Time: 200 * time.Millisecond, TURN: fakeTURN(t)}
	r, err := Run(t.Context(), o, localhost, inThisProcess, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if r.TURN == nil || r.TURN.Loss != 0 || r.TURN.Relayed == 0 {
		t.Errorf("%+v", r.TURN)
	}
}

func TestOverload(t *testing.T) {
	o := Options{Legs: 10, PPS: 1000, Turns: 1, Time: 200 * time.Millisecond, Overload: 1.3}
	r, err := Run(t.Context(), o, localhost, inThisProcess, func(int, int) {})
	if err != nil {
		t.Fatal(err)
	}
	if want := 1.3 * r.Relayed / callRate; r.Overload == nil || r.Overload.Offered != int(want) || r.Overload.Admitted == 0 {
		t.Errorf("%+v, want %v calls", r.Overload, want)
	}
}

func TestRunRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		"1 bytes: give 15 to 1452":      {Size: 1},
		"-1 legs: give 1 to 100000":     {Legs: -1},
		"1000 turns: give 1 to 100":     {Turns: 1000},
		"200000 legs: give 1 to 100000": {Legs: 200_000},
		"5000 bytes: give 15 to 1452":   {Size: 5000},
		"give 1 to 10, or 0 for none":   {Overload: 11},
		"8000 at most":                  {Legs: 8002, TURN: netip.AddrPortFrom(localhost, 3478)},
	} {
		if _, err := Run(t.Context(), o, localhost, inThisProcess, func(int, int) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for _, in := range []string{"x\n", "{}\n", `{"kind":"relay","legs":-1,"ports":1}` + "\n", `{"kind":"teapot","legs":1,"ports":1}` + "\n"} {
		if err := Serve(t.Context(), localhost, strings.NewReader(in), io.Discard); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}
