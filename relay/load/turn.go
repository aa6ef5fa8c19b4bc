package load

import (
	"bytes"
	"cmp"
	"context"
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

// A TURN server (RFC 8656) of anybody's is measured with the same packets. Two legs are
// the two ways of one call, which has an allocation, as a client of TURN has for each of
// its calls: out by a channel in it, and back from its peer to the relayed address. The
// server has to let in clients without a password.

const (
	stunHeader   = 20
	stunCookie   = 0x2112a442
	stunAllocate = 0x0003
	stunBind     = 0x0009 // a channel to a peer
	stunSuccess  = 0x0100 // in the type of an answer

	attrError     = 0x0009
	attrChannel   = 0x000c
	attrPeer      = 0x0012 // XORed with the cookie
	attrRelayed   = 0x0016 // XORed with the cookie
	attrTransport = 0x0019

	channel       = 0x4000
	channelHeader = 4 // channel and length, before what the peer gets

	maxCalls = 4000 // each has a socket here and one there
)

// A call is legs 2k and 2k+1, at a TURN server.
type call struct {
	client  netx.BatchConn
	relayed netip.AddrPort
}

// allocate makes the allocations of all calls at a TURN server.
func (g *generator) allocate(ctx context.Context, local netip.Addr, server netip.AddrPort) error {
	for k := range g.o.Legs / 2 {
		x, err := newCall(ctx, local, server)
		if err != nil {
			return fmt.Errorf("load: allocate at %v: %w", server, err)
		}
		g.calls = append(g.calls, x)
		number := binary.BigEndian.AppendUint32(nil, channel<<16)
		if _, err := stunAsk(x.client, server, stunBind, attrChannel, number, attrPeer, xorAddr(g.peer(k).LocalAddr())); err != nil {
			return fmt.Errorf("load: bind a channel at %v: %w", server, err)
		}
		x.client.Trains()
		take, err := g.receiver(x.client, channelHeader)
		if err != nil {
			return err
		}
		g.atCalls = append(g.atCalls, take)
	}
	for k := range min(len(g.calls), len(g.from)/2) { // then peers come again
		take, err := g.receiver(g.peer(k), 0)
		if err != nil {
			return err
		}
		g.atCalls = append(g.atCalls, take)
	}
	return nil
}

// newCall makes an allocation. A port that somebody had in the last ten minutes may have an
// old one still, and then takes no other.
func newCall(ctx context.Context, local netip.Addr, server netip.AddrPort) (call, error) {
	for tries := 8; ; tries-- {
		c, err := netx.System{}.ListenUDP(ctx, netip.AddrPortFrom(local, 0))
		if err != nil {
			return call{}, err
		}
		var relayed netip.AddrPort
		answer, err := stunAsk(c, server, stunAllocate, attrTransport, []byte{17, 0, 0, 0}) // 17 is UDP
		if err == nil {
			relayed, err = relayedAddr(answer)
		}
		if err == nil {
			return call{netx.Batched(c), relayed}, nil
		}
		c.Close()
		if r, ok := errors.AsType[refusal](err); !ok || r.code != mismatch || tries == 0 {
			return call{}, err
		}
	}
}

// peer is the other end of a call: the socket that its way back is sent from.
func (g *generator) peer(k int) netx.BatchConn { return g.from[(2*k+1)%len(g.from)] }

func xorAddr(a netip.AddrPort) []byte {
	ip := a.Addr().As4()
	b := binary.BigEndian.AppendUint16([]byte{0, 1}, a.Port()^stunCookie>>16)
	return binary.BigEndian.AppendUint32(b, binary.BigEndian.Uint32(ip[:])^stunCookie)
}

// relayedAddr is where peers reach an allocation.
func relayedAddr(answer []byte) (netip.AddrPort, error) {
	value := attribute(answer, attrRelayed)
	if len(value) != 8 {
		return netip.AddrPort{}, errors.New("the answer has no relayed IPv4 address")
	}
	ip := binary.BigEndian.AppendUint32(nil, binary.BigEndian.Uint32(value[4:])^stunCookie)
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(ip)), binary.BigEndian.Uint16(value[2:])^stunCookie>>16), nil
}

// attribute finds one in a STUN message; nil if there is none.
func attribute(message []byte, kind uint16) []byte {
	for b := message[stunHeader:]; len(b) >= 4; {
		size := int(binary.BigEndian.Uint16(b[2:]))
		if len(b) < 4+size {
			break
		}
		if binary.BigEndian.Uint16(b) == kind {
			return b[4:][:size]
		}
		b = b[min(4+(size+3)&^3, len(b)):]
	}
	return nil
}

// stunAsk asks with attributes, each an int and a []byte of a multiple of four,
// and waits for the answer.
func stunAsk(c netx.PacketConn, server netip.AddrPort, kind uint16, attributes ...any) ([]byte, error) {
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
		return nil, err
	}
	for in := make([]byte, 2048); ; {
		n, from, err := c.ReadFrom(in)
		switch {
		case err != nil:
			return nil, errors.Join(errors.New("no answer: is it a TURN server that wants no password?"), err)
		case from != server || n < stunHeader || !bytes.Equal(in[4:stunHeader], b[4:stunHeader]):
		case binary.BigEndian.Uint16(in) != kind|stunSuccess:
			var r refusal
			if e := attribute(in[:n], attrError); len(e) >= 4 {
				r = refusal{100*int(e[2]) + int(e[3]), string(e[4:])}
			}
			return nil, r
		default:
			return in[:n], nil
		}
	}
}

const stunWait = 5 * time.Second

// A refusal is an error response; code 0 if it had none.
type refusal struct {
	code   int
	reason string
}

const mismatch = 437 // of the allocation

func (r refusal) Error() string { return fmt.Sprintf("refused: %d %s", r.code, r.reason) }

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
