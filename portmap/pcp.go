package portmap

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	pcpPort = 5351

	pcpVersion  = 2
	pcpMap      = 1
	pcpResponse = 0x80
	pcpSize     = 60 // of request and response alike
	pcpRepeat   = 250 * time.Millisecond
)

// pcp is the Port Control Protocol.
type pcp struct {
	server netip.AddrPort
	nonce  [12]byte // names the mapping
}

func (*pcp) name() string { return "pcp" }

// A pcpMapping is what request and response say (RFC 6887, sections 7 and 11).
//
//	version 1 | opcode 1 | reserved 2 (result in the 2nd byte) | lifetime 4 | client 16 (in a response: epoch 4, reserved 12)
//	nonce 12 | protocol 1 | reserved 3 | inner port 2 | outer port 2 | outer address 16
type pcpMapping struct {
	response     bool
	result       uint8
	life         uint32
	client       netip.Addr // of a request
	nonce        [12]byte
	protocol     uint8
	inner, outer uint16
	addr         netip.Addr // outer
}

func (m pcpMapping) append(b []byte) []byte {
	opcode := uint8(pcpMap)
	if m.response {
		opcode |= pcpResponse
	}
	b = append(b, pcpVersion, opcode, 0, m.result)
	b = binary.BigEndian.AppendUint32(b, m.life)
	client := netip.IPv6Unspecified().As16()
	if m.client.IsValid() {
		client = m.client.As16()
	}
	b = append(b, client[:]...)
	b = append(b, m.nonce[:]...)
	b = append(b, m.protocol, 0, 0, 0)
	b = binary.BigEndian.AppendUint16(b, m.inner)
	b = binary.BigEndian.AppendUint16(b, m.outer)
	addr := netip.AddrFrom4([4]byte{}).As16()
	if m.addr.IsValid() {
		addr = m.addr.As16()
	}
	return append(b, addr[:]...)
}

var errPCP = errors.New("not the answer of a PCP server")

func parsePCP(b []byte) (m pcpMapping, err error) {
	if len(b) < 4 || b[0] != pcpVersion || b[1]&^pcpResponse != pcpMap {
		return m, errPCP
	}
	m.response, m.result = b[1]&pcpResponse != 0, b[3]
	if len(b) < pcpSize {
		return m, errPCP
	}
	m.life = binary.BigEndian.Uint32(b[4:])
	if !m.response {
		m.client = netip.AddrFrom16([16]byte(b[8:24])).Unmap()
	}
	m.nonce = [12]byte(b[24:36])
	m.protocol = b[36]
	m.inner, m.outer = binary.BigEndian.Uint16(b[40:]), binary.BigEndian.Uint16(b[42:])
	m.addr = netip.AddrFrom16([16]byte(b[44:60])).Unmap()
	return m, nil
}

func transportNumber(transport string) uint8 {
	if transport == "tcp" {
		return 6
	}
	return 17
}

func (p *pcp) mapPort(ctx context.Context, transport string, inner, outer uint16, life time.Duration) (netip.AddrPort, time.Duration, error) {
	m, err := p.exchange(ctx, transport, inner, outer, life)
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	if m.outer == 0 {
		return netip.AddrPort{}, 0, refusal{errNoPort}
	}
	return netip.AddrPortFrom(m.addr, m.outer), time.Duration(m.life) * time.Second, nil
}

func (p *pcp) unmapPort(ctx context.Context, transport string, inner, outer uint16) error {
	_, err := p.exchange(ctx, transport, inner, outer, 0)
	return err
}

func (p *pcp) exchange(ctx context.Context, transport string, inner, outer uint16, life time.Duration) (m pcpMapping, err error) {
	conn, err := new(net.Dialer).DialContext(ctx, "udp", p.server.String())
	if err != nil {
		return m, err
	}
	defer conn.Close()
	request := pcpMapping{
		life: uint32(life / time.Second), client: conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(),
		nonce: p.nonce, protocol: transportNumber(transport), inner: inner, outer: outer,
	}
	b := make([]byte, 1100)
	for repeat := pcpRepeat; ctx.Err() == nil; repeat *= 2 {
		if _, err := conn.Write(request.append(nil)); err != nil {
			return m, err
		}
		until := time.Now().Add(repeat)
		if end, ok := ctx.Deadline(); ok && end.Before(until) {
			until = end
		}
		conn.SetReadDeadline(until)
		n, err := conn.Read(b)
		if errors.Is(err, net.ErrClosed) {
			return m, err
		}
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				continue
			}
			return m, err // refused: nobody listens there
		}
		m, err = parsePCP(b[:n])
		switch {
		case err != nil:
			return m, err // a NAT-PMP server says that it does not know this version
		case !m.response || !bytes.Equal(m.nonce[:], p.nonce[:]) || m.protocol != request.protocol || m.inner != inner:
			continue
		case m.result != 0:
			return m, refusal{fmt.Errorf("the router refuses: PCP result %d", m.result)}
		}
		return m, nil
	}
	return m, context.DeadlineExceeded
}
