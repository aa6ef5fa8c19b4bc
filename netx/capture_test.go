package netx_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
)

// packets reads a capture back, one line a packet, and verifies its checksums.
func packets(t *testing.T, file []byte) (lines []string) {
	t.Helper()
	r, err := pcapgo.NewReader(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	for {
		data, _, err := r.ReadPacketData()
		if err == io.EOF {
			return lines
		}
		if err != nil {
			t.Fatal(err)
		}
		first := layers.LayerTypeIPv4
		if data[0]>>4 == 6 {
			first = layers.LayerTypeIPv6
		}
		p := gopacket.NewPacket(data, first, gopacket.Default)
		if e := p.ErrorLayer(); e != nil {
			t.Fatalf("packet %d: %v", len(lines), e.Error())
		}
		if l, ok := p.TransportLayer().(interface {
			SetNetworkLayerForChecksum(gopacket.NetworkLayer) error
		}); ok {
			l.SetNetworkLayerForChecksum(p.NetworkLayer())
		}
		if e, bad := p.VerifyChecksums(); e != nil || len(bad) > 0 {
			t.Errorf("packet %d: checksums: %v %v", len(lines), e, bad)
		}
		flow := fmt.Sprint(p.NetworkLayer().NetworkFlow(), " ", p.TransportLayer().TransportFlow())
		switch l := p.TransportLayer().(type) {
		case *layers.UDP:
			lines = append(lines, fmt.Sprintf("%s udp %s", flow, l.Payload))
		case *layers.TCP:
			lines = append(lines, fmt.Sprintf("%s tcp syn=%v fin=%v seq=%d ack=%d %s", flow, l.SYN, l.FIN, l.Seq, l.Ack, l.Payload))
		}
	}
}

func TestCaptureUDP(t *testing.T) {
	for _, ends := range [][2]string{{"192.0.2.1", "192.0.2.2"}, {"2001:db8::1", "2001:db8::2"}} {
		synctest.Test(t, func(t *testing.T) {
			in := netsim.New(1)
			a := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr(ends[0])}})
			b := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr(ends[1])}})
			var file bytes.Buffer
			capture := netx.NewCapture(a, &file)
			ca, err := capture.ListenUDP(t.Context(), netip.AddrPortFrom(netip.Addr{}, 33001))
			if err != nil {
				t.Fatal(err)
			}
			defer ca.Close()
			cb, err := b.ListenUDP(t.Context(), netip.AddrPortFrom(b.Addr(), 33002))
			if err != nil {
				t.Fatal(err)
			}
			defer cb.Close()
			buf := make([]byte, 100)
			ca.WriteTo([]byte("ask"), cb.LocalAddr())
			_, from, _ := cb.ReadFrom(buf)
			cb.WriteTo([]byte("answer"), from)
			ca.ReadFrom(buf)
			want := []string{
				fmt.Sprintf("%s->%s 33001->33002 udp ask", ends[0], ends[1]),
				fmt.Sprintf("%s->%s 33002->33001 udp answer", ends[1], ends[0]),
			}
			if got := packets(t, file.Bytes()); !slices.Equal(got, want) || capture.Err() != nil {
				t.Errorf("captured %q, %v\nwant %q", got, capture.Err(), want)
			}
		})
	}
}

func TestCaptureTCP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := netsim.New(1)
		a := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.1")}})
		b := in.Host(netsim.HostOptions{Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.2")}})
		var fileA, fileB bytes.Buffer
		l, err := netx.NewCapture(b, &fileB).ListenTCP(t.Context(), netip.AddrPortFrom(netip.Addr{}, 80))
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		ca, err := netx.NewCapture(a, &fileA).DialTCP(t.Context(), netip.AddrPortFrom(b.Addr(), 80))
		if err != nil {
			t.Fatal(err)
		}
		cb, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 100)
		ca.Write([]byte("hello"))
		cb.Read(buf)
		cb.Write([]byte("ok"))
		ca.Read(buf)
		ca.Close()
		cb.Read(buf)
		cb.Close()
		const out, back = "192.0.2.1->192.0.2.2 49152->80 ", "192.0.2.2->192.0.2.1 80->49152 "
		want := []string{
			out + "tcp syn=true fin=false seq=0 ack=0 ",
			back + "tcp syn=true fin=false seq=0 ack=1 ",
			out + "tcp syn=false fin=false seq=1 ack=1 ",
			out + "tcp syn=false fin=false seq=1 ack=1 hello",
			back + "tcp syn=false fin=false seq=1 ack=6 ok",
			out + "tcp syn=false fin=true seq=6 ack=3 ",
			back + "tcp syn=false fin=true seq=3 ack=7 ",
		}
		if got := packets(t, fileA.Bytes()); !slices.Equal(got, want[:6]) { // it was closed before the peer's end came
			t.Errorf("dialling side captured\n%q\nwant\n%q", got, want[:6])
		}
		if got := packets(t, fileB.Bytes()); !slices.Equal(got, want) {
			t.Errorf("accepting side captured\n%q\nwant\n%q", got, want)
		}
	})
}

type fullDisk struct{ left int }

func (d *fullDisk) Write(b []byte) (int, error) {
	if d.left -= len(b); d.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

func TestFullDiskDoesNotStopTheNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := netsim.New(1).Host(netsim.HostOptions{})
		capture := netx.NewCapture(a, &fullDisk{left: 100})
		c, err := capture.ListenUDP(t.Context(), netip.AddrPortFrom(a.Addr(), 1))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		for range 5 {
			if _, err := c.WriteTo([]byte("datagram"), netip.AddrPortFrom(a.Addr(), 1)); err != nil {
				t.Fatal(err)
			}
		}
		if capture.Err() == nil {
			t.Error("Err is nil")
		}
	})
}
