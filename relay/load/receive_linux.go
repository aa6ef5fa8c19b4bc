package load

import (
	"fmt"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/linnet-p2p/linnet/netx"
)

// receiver gives what takes the packets that are there at a socket, and never waits. They
// arrived when the kernel got them, so that it does not matter when that is; and nobody
// has to be woken for them, which would be a cost of what relays.
func (g *generator) receiver(c netx.BatchConn, head int) (func(), error) {
	raw, err := c.(syscall.Conn).SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("load: %w", err)
	}
	if g.o.PPS > 0 {
		var failed error
		if err := raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1) }); err != nil || failed != nil {
			return nil, fmt.Errorf("load: have arrivals stamped: %w", failed)
		}
	}
	control := make([]byte, unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{})))+unix.CmsgSpace(4)) // a train tells its size, too
	take := func(fd uintptr) bool {
		for range netx.MaxTrainCars {
			n, size, _, _, err := unix.RecvmsgBuffers(int(fd), g.in, control, unix.MSG_DONTWAIT)
			if err != nil {
				break
			}
			g.came(g.in[0][:n], head, stamp(control[:size]))
		}
		return true
	}
	return func() { raw.Read(take) }, nil
}

// stamp is when the kernel got a packet.
func stamp(control []byte) time.Time {
	for len(control) > 0 {
		header, data, rest, err := unix.ParseOneSocketControlMessage(control)
		if err != nil {
			break
		}
		if header.Level == unix.SOL_SOCKET && header.Type == unix.SCM_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})) {
			return time.Unix((*unix.Timespec)(unsafe.Pointer(&data[0])).Unix())
		}
		control = rest
	}
	return time.Now()
}
