package netx

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// maxBatch is how many datagrams one call of the kernel moves. Beyond some
// dozens the call itself costs nothing any more.
const maxBatch = 64

// A message is what recvmmsg and sendmmsg take an array of: struct mmsghdr, which
// ends with its size but for what the alignment of the platform adds.
type message struct {
	header unix.Msghdr
	size   uint32
}

// A batch is the memory of one recvmmsg or sendmmsg. It stays at its place
// while the kernel points into it.
type batch struct {
	messages [maxBatch]message
	vectors  [maxBatch]unix.Iovec
	names    [maxBatch]unix.RawSockaddrInet6 // large enough for IPv4 too
	controls [maxBatch]control
	count    int
	moved    int
	long     bool   // the call may take milliseconds
	blocks   bool   // it waits in the kernel
	waits    *waits // of who reads
	errno    syscall.Errno
	call     func(fd uintptr) bool // made once: a closure per call would be garbage
}

// A control says how long the datagrams of a train are: a C int when read, an
// unsigned short when written (udp(7)).
type control struct {
	header unix.Cmsghdr
	value  [8]byte
}

func newBatch(trap, wait uintptr) *batch {
	b := new(batch)
	for i := range b.messages {
		h := &b.messages[i].header
		h.Name = (*byte)(unsafe.Pointer(&b.names[i]))
		h.Iov = &b.vectors[i]
		h.Iovlen = 1
	}
	b.call = func(fd uintptr) bool {
		for {
			var n uintptr
			var errno syscall.Errno
			if b.long {
				n, _, errno = unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&b.messages)), uintptr(b.count), unix.MSG_DONTWAIT, 0, 0)
			} else {
				// It never waits, and takes some 100 microseconds: just long enough for the
				// scheduler to give the processor away meanwhile, if it knew, and so short
				// that this and getting it back would be a tenth of all that a relay does.
				n, _, errno = unix.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&b.messages)), uintptr(b.count), unix.MSG_DONTWAIT, 0, 0)
			}
			if errno == unix.EAGAIN {
				b.waits.begin()
				if !b.blocks {
					return false
				}
				n, _, errno = unix.Syscall6(trap, fd, uintptr(unsafe.Pointer(&b.messages)), uintptr(b.count), wait, 0, 0)
			}
			if errno == unix.EINTR {
				continue
			}
			b.moved, b.errno = int(n), errno
			b.waits.end()
			return true
		}
	}
	return b
}

var (
	readBatches  = sync.Pool{New: func() any { return newBatch(unix.SYS_RECVMMSG, unix.MSG_WAITFORONE) }}
	writeBatches = sync.Pool{New: func() any { return newBatch(unix.SYS_SENDMMSG, 0) }}
)

// Trains sets UDP_GRO; a kernel that knows it (Linux 5.0) knows UDP_SEGMENT too.
func (c socket) Trains() bool {
	var failed error
	err := c.raw.Control(func(fd uintptr) { failed = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1) })
	return err == nil && failed == nil
}

// Waited knows.
func (c socket) Waited() (time.Duration, bool) { return c.waits.sum(), true }

// ReadBatch uses recvmmsg.
func (c socket) ReadBatch(d []Datagram) (int, error) {
	b := readBatches.Get().(*batch)
	defer readBatches.Put(b)
	b.waits, b.blocks = c.waits, c.blocks
	b.count = min(len(d), maxBatch)
	for i := range b.count {
		b.messages[i].header.Namelen = unix.SizeofSockaddrInet6
		b.point(i, d[i].Data[:cap(d[i].Data)])
		b.messages[i].header.Control = (*byte)(unsafe.Pointer(&b.controls[i]))
		b.messages[i].header.SetControllen(int(unsafe.Sizeof(control{})))
	}
	if err := b.run("recvmmsg", c.raw.Read); err != nil {
		return 0, err
	}
	if b.messages[0].header.Namelen == 0 { // nobody's: Close shut the socket down
		return 0, net.ErrClosed
	}
	for i := range b.moved {
		d[i] = Datagram{b.addr(i), d[i].Data[:b.messages[i].size], b.train(i)}
	}
	return b.moved, nil
}

// WriteBatch uses sendmmsg.
func (c socket) WriteBatch(d []Datagram) (int, error) {
	b := writeBatches.Get().(*batch)
	defer writeBatches.Put(b)
	for sent := 0; sent < len(d); sent += b.moved {
		rest := d[sent:]
		b.count, b.long, b.blocks = min(len(rest), maxBatch), false, c.blocks
		for i := range b.count {
			if !b.setAddr(i, rest[i].Addr, c.v4) {
				b.count = i
				break
			}
			b.point(i, rest[i].Data)
			b.setTrain(i, rest[i].Train)
			b.long = b.long || rest[i].Train != 0
		}
		if b.count == 0 {
			return sent, errFamily
		}
		if err := b.run("sendmmsg", c.raw.Write); err != nil {
			return sent, err
		}
	}
	return len(d), nil
}

var errFamily = &net.OpError{Op: "sendmmsg", Net: "udp", Err: os.NewSyscallError("sendmmsg", unix.EAFNOSUPPORT)}

// run waits until the socket is ready and moves what it can.
func (b *batch) run(name string, ready func(func(fd uintptr) bool) error) error {
	if err := ready(b.call); err != nil {
		if b.blocks || errors.Is(err, net.ErrClosed) { // one that blocks has no other
			return net.ErrClosed
		}
		return err
	}
	if b.errno != 0 {
		return &net.OpError{Op: name, Net: "udp", Err: os.NewSyscallError(name, b.errno)}
	}
	return nil
}

func (b *batch) point(i int, data []byte) {
	b.vectors[i].Base = unsafe.SliceData(data)
	b.vectors[i].SetLen(len(data))
}

// train is the size of the datagrams of a train that was read.
func (b *batch) train(i int) int {
	c := &b.controls[i]
	if int(b.messages[i].header.Controllen) < unix.CmsgLen(4) || c.header.Level != unix.IPPROTO_UDP || c.header.Type != unix.UDP_GRO {
		return 0
	}
	if size := int(binary.NativeEndian.Uint32(c.value[:])); size < int(b.messages[i].size) {
		return size
	}
	return 0
}

func (b *batch) setTrain(i, size int) {
	if size == 0 {
		h := &b.messages[i].header
		h.Control = nil
		h.SetControllen(0)
		return
	}
	binary.NativeEndian.PutUint16(b.attach(i, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), uint16(size))
}

// attach gives a message a control, and its value to be filled in.
func (b *batch) attach(i, level, kind, size int) []byte {
	h, c := &b.messages[i].header, &b.controls[i]
	c.header = unix.Cmsghdr{Level: int32(level), Type: int32(kind)}
	c.header.SetLen(unix.CmsgLen(size))
	h.Control = (*byte)(unsafe.Pointer(c))
	h.SetControllen(unix.CmsgSpace(size))
	return c.value[:size]
}

func (b *batch) addr(i int) netip.AddrPort {
	name := &b.names[i]
	port := swapped(name.Port)
	if name.Family == unix.AF_INET {
		v4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(name))
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), port)
	}
	a := netip.AddrFrom16(name.Addr).Unmap()
	if name.Scope_id != 0 && a.IsLinkLocalUnicast() {
		a = a.WithZone(zoneName(name.Scope_id))
	}
	return netip.AddrPortFrom(a, port)
}

// setAddr says where a message goes; false if the socket's family cannot.
func (b *batch) setAddr(i int, to netip.AddrPort, v4 bool) bool {
	name, header := &b.names[i], &b.messages[i].header
	a := to.Addr()
	switch {
	case v4 && a.Unmap().Is4():
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(name)) = unix.RawSockaddrInet4{
			Family: unix.AF_INET, Port: swapped(to.Port()), Addr: a.Unmap().As4(),
		}
		header.Namelen = unix.SizeofSockaddrInet4
	case v4 || !a.IsValid():
		return false
	default:
		*name = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: swapped(to.Port()), Addr: a.As16(), Scope_id: zoneID(a.Zone())}
		header.Namelen = unix.SizeofSockaddrInet6
	}
	return true
}

// swapped turns a port between the host's order and the network's.
func swapped(port uint16) uint16 {
	var b [2]byte
	binary.NativeEndian.PutUint16(b[:], port)
	return binary.BigEndian.Uint16(b[:])
}

func zoneName(id uint32) string {
	if i, err := net.InterfaceByIndex(int(id)); err == nil {
		return i.Name
	}
	return ""
}

func zoneID(name string) uint32 {
	if name == "" {
		return 0
	}
	if i, err := net.InterfaceByName(name); err == nil {
		return uint32(i.Index)
	}
	return 0
}
