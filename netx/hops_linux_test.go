package netx

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestWriteHops reads the TTL with which datagrams arrive: that of one does not
// stay with the socket.
func TestWriteHops(t *testing.T) {
	for _, local := range []string{"127.0.0.1:0", "[::]:0"} {
		to, err := System{}.ListenUDP(t.Context(), netip.MustParseAddrPort("127.0.0.1:0"))
		if err != nil {
			t.Fatal(err)
		}
		defer to.Close()
		from, err := System{}.ListenUDP(t.Context(), netip.MustParseAddrPort(local))
		if err != nil {
			t.Fatal(err)
		}
		defer from.Close()
		conn := to.(udpConn)
		err = conn.raw.Control(func(fd uintptr) { err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTTL, 1) })
		if err != nil {
			t.Fatal(err)
		}
		if err := WriteHops(from, []byte("near"), to.LocalAddr(), 3); err != nil {
			t.Fatalf("from %s: %v", local, err)
		}
		if _, err := from.WriteTo([]byte("far"), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		for _, want := range []struct {
			text string
			near bool
		}{{"near", true}, {"far", false}} {
			b, oob := make([]byte, 16), make([]byte, 64)
			n, noob, _, _, err := conn.ReadMsgUDPAddrPort(b, oob)
			if err != nil {
				t.Fatal(err)
			}
			messages, err := unix.ParseSocketControlMessage(oob[:noob])
			if err != nil || len(messages) != 1 {
				t.Fatalf("control messages %v, %v", messages, err)
			}
			ttl := binary.NativeEndian.Uint32(messages[0].Data)
			if string(b[:n]) != want.text || (ttl == 3) != want.near {
				t.Errorf("from %s: %q came with TTL %d", local, b[:n], ttl)
			}
		}
	}
}
