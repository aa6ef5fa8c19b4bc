package portmap

import (
	"context"
	"net/netip"
	"time"

	pmp "github.com/jackpal/go-nat-pmp"
)

// natPMP is the NAT Port Mapping Protocol.
type natPMP struct{ gateway netip.Addr }

func (*natPMP) name() string { return "nat-pmp" }

func (p *natPMP) client(ctx context.Context) *pmp.Client {
	wait := askFor
	if end, ok := ctx.Deadline(); ok {
		wait = max(time.Until(end)/2, time.Millisecond) // there are two exchanges; 0 would be half a minute
	}
	return pmp.NewClientWithTimeout(p.gateway.AsSlice(), wait)
}

func (p *natPMP) mapPort(ctx context.Context, transport string, inner, outer uint16, life time.Duration) (netip.AddrPort, time.Duration, error) {
	c := p.client(ctx)
	at, err := c.GetExternalAddress()
	if err != nil {
		return netip.AddrPort{}, 0, err
	}
	m, err := c.AddPortMapping(transport, int(inner), int(outer), int(life/time.Second))
	if err != nil {
		return netip.AddrPort{}, 0, refusal{err}
	}
	if m.MappedExternalPort == 0 {
		return netip.AddrPort{}, 0, refusal{errNoPort}
	}
	addr := netip.AddrPortFrom(netip.AddrFrom4(at.ExternalIPAddress), m.MappedExternalPort)
	return addr, time.Duration(m.PortMappingLifetimeInSeconds) * time.Second, nil
}

func (p *natPMP) unmapPort(ctx context.Context, transport string, inner, _ uint16) error {
	_, err := p.client(ctx).AddPortMapping(transport, int(inner), 0, 0)
	return err
}
