package load

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

// A TURN server (RFC 8656) of anybody's is measured with the same packets: each
// socket has an allocation, each leg a channel in it. It has to let in clients
// without a password.

const (
	stunHeader   = 20
	stunCookie   = 0x2112a442
	stunAllocate = 0x0003
	stunBind     = 0x0009 // a channel to a peer
	stunSuccess  = 0x0100 // in the type of an answer

	attrChannel   = 0x000c
	attrPeer      = 0x0012 // XORed with the cookie
	attrTransport = 0x0019

	firstChannel  = 0x4000
	channelHeader = 4 // channel and length, before what the peer gets
)

// allocate makes the allocations and channels of all legs at a TURN server.
func (g *generator) allocate(server netip.AddrPort) error {
	for s, c := range g.from {
		if err := stunAsk(c, server, stunAllocate, attrTransport, []byte{17, 0, 0, 0}); err != nil { // 17 is UDP
			return fmt.Errorf("load: allocate at %v: %w", server, err)
		}
		for leg := s; leg < g.o.Legs; leg += len(g.from) {
			_, to := plan{Sides: g.sides, Ports: len(g.from)}.ends(leg)
			channel := binary.BigEndian.AppendUint16(nil, g.channel(leg))
			if err := stunAsk(c, server, stunBind, attrChannel, append(channel, 0, 0), attrPeer, xorAddr(to)); err != nil {
				return fmt.Errorf("load: bind a channel at %v: %w", server, err)
			}
		}
	}
	return nil
}

// channel is that of a leg, in the allocation of its socket. A channel has one
// peer, which may have one channel.
func (g *generator) channel(leg int) uint16 { return firstChannel + uint16(leg/len(g.from)) }

func xorAddr(a netip.AddrPort) []byte {
	ip := a.Addr().As4()
	b := binary.BigEndian.AppendUint16([]byte{0, 1}, a.Port()^stunCookie>>16)
	return binary.BigEndian.AppendUint32(b, binary.BigEndian.Uint32(ip[:])^stunCookie)
}

// stunAsk asks with attributes, each an int and a []byte of a multiple of four,
// and waits for the answer.
func stunAsk(c netx.BatchConn, server netip.AddrPort, kind uint16, attributes ...any) error {
	b := binary.BigEndian.AppendUint16(nil, kind)
	b = binary.BigEndian.AppendUint32(append(b, 0, 0), stunCookie)
	b = append(b, rand.Text()[:12]...)
	for i := 0; i < len(attributes); i += 2 {
		value := attributes[i+1].([]byte)
		b = binary.BigEndian.AppendUint16(b, uint16(attributes[i].(int)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(value)))
		b = append(b, value...)
	}
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)-stunHeader))
	stop := time.AfterFunc(stunWait, func() { c.Close() })
	defer stop.Stop()
	if _, err := c.WriteTo(b, server); err != nil {
		return err
	}
	for in := make([]byte, 2048); ; {
		n, from, err := c.ReadFrom(in)
		switch {
		case err != nil:
			return errors.Join(errors.New("no answer: is it a TURN server that wants no password?"), err)
		case from != server || n < stunHeader || !bytes.Equal(in[4:stunHeader], b[4:stunHeader]):
		case binary.BigEndian.Uint16(in) != kind|stunSuccess:
			return fmt.Errorf("refused: answer of type %#04x", binary.BigEndian.Uint16(in))
		default:
			return nil
		}
	}
}

const stunWait = 5 * time.Second

// cpuOf is the processor time of another process, in steps of 10 ms; 0 where
// the system does not tell.
func cpuOf(pid int) time.Duration {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := bytes.Fields(b[bytes.LastIndexByte(b, ')')+1:]) // from the third on, proc_pid_stat(5)
	if len(fields) < 13 {
		return 0
	}
	user, err1 := strconv.Atoi(string(fields[11]))
	system, err2 := strconv.Atoi(string(fields[12]))
	if cmp.Or(err1, err2) != nil {
		return 0
	}
	return time.Duration(user+system) * (time.Second / 100)
}
