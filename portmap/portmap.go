// Package portmap asks the router of a home to let strangers in at one port: by PCP
// (RFC 6887), NAT-PMP (RFC 6886) or UPnP, whichever answers first in this order. It
// keeps that up while it runs, and gives the port back at its end.
//
// It opens sockets of the operating system, towards the own gateway alone. What the
// router says is a claim like any other: package traverse tries the address
// before anybody relies on it.
package portmap

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"time"
)

// Options configures Run. Port is required.
type Options struct {
	Port    uint16        // UDP and TCP, of this host
	Changed chan struct{} // a value says that the host is on another network; nil: it never is
	Log     *slog.Logger  // nil discards

	nonce [12]byte // of PCP: whoever draws another one cannot renew what he has

	// For tests.
	gateway  func() netip.Addr
	pcpPort  uint16
	rootUPnP string        // of the device, instead of looking for one
	patience time.Duration // instead of askFor and giveBack; 0: these
}

// Found is what routers offer. The zero value is nothing.
type Found struct {
	Protocols []string       // that answered: pcp, nat-pmp, upnp
	Addr      netip.AddrPort // where strangers reach the UDP port; zero: nowhere
	TCP       netip.AddrPort // the same for the TCP port
}

const (
	lifetime  = time.Hour // asked for; renewed at half of what is given
	shortest  = time.Minute
	again     = 10 * time.Minute // where there was no router, or it refused
	askFor    = 3 * time.Second  // one protocol
	giveBack  = time.Second      // at the end
	ownerName = "linnet"
)

// A protocol asks one router. Transport is udp or tcp; the outer port is a wish.
type protocol interface {
	name() string
	mapPort(ctx context.Context, transport string, inner, outer uint16, life time.Duration) (at netip.AddrPort, given time.Duration, err error)
	unmapPort(ctx context.Context, transport string, inner, outer uint16) error
}

// Run keeps the port mapped until ctx ends. It tells what it found at first, and what
// changes; tell may be called until Run returns. Errors do no harm: there is no mapping
// then.
func Run(ctx context.Context, o Options, tell func(Found)) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.gateway == nil {
		o.gateway = gateway
	}
	if o.pcpPort == 0 {
		o.pcpPort = pcpPort
	}
	rand.Read(o.nonce[:])
	var told *Found
	var held lease
	defer func() { held.release(ctx, o) }()
	for {
		found, next := o.round(ctx, &held)
		if ctx.Err() != nil {
			return
		}
		if told == nil || told.Addr != found.Addr || told.TCP != found.TCP || len(told.Protocols) != len(found.Protocols) {
			told = &found
			tell(found)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-o.Changed:
			timer.Stop()
			held = lease{} // of another network: whoever was the router there forgets it
		case <-timer.C:
		}
	}
}

// A lease is what a router granted.
type lease struct {
	by    protocol
	outer map[string]uint16 // by transport
}

// round asks for the mapping, or asks again, and says when to do so next.
func (o *Options) round(ctx context.Context, held *lease) (found Found, next time.Duration) {
	protocols := []protocol{held.by}
	if held.by == nil {
		protocols = o.protocols(ctx)
	}
	next = again
	for _, p := range protocols {
		wish := o.Port
		if held.outer["udp"] != 0 {
			wish = held.outer["udp"]
		}
		at, life, err := o.ask(ctx, p, "udp", wish)
		if err != nil {
			o.Log.Debug("port mapping", "by", p.name(), "err", err)
			if _, refused := err.(refusal); refused {
				found.Protocols = append(found.Protocols, p.name())
			}
			continue
		}
		found.Protocols = append(found.Protocols, p.name())
		found.Addr = at
		held.by, held.outer = p, map[string]uint16{"udp": at.Port()}
		next = min(max(life/2, shortest), lifetime/2)
		if at, _, err := o.ask(ctx, p, "tcp", at.Port()); err == nil {
			found.TCP = at
			held.outer["tcp"] = at.Port()
		} else {
			o.Log.Debug("port mapping for TCP", "by", p.name(), "err", err)
		}
		return found, next
	}
	*held = lease{}
	return found, next
}

// A refusal says that the router knows the protocol, and does not want to.
type refusal struct{ error }

var errNoPort = errors.New("the router gives no port")

func (o *Options) ask(ctx context.Context, p protocol, transport string, outer uint16) (netip.AddrPort, time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(o.patience, askFor))
	defer cancel()
	return p.mapPort(ctx, transport, o.Port, outer, lifetime)
}

// protocols are those that may be tried, in order.
func (o *Options) protocols(ctx context.Context) (list []protocol) {
	if g := o.gateway(); g.IsValid() {
		list = append(list, &pcp{netip.AddrPortFrom(g, o.pcpPort), o.nonce}, &natPMP{g})
	}
	return append(list, &upnp{root: o.rootUPnP, gateway: o.gateway()})
}

func (h *lease) release(ctx context.Context, o Options) {
	if h.by == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cmp.Or(o.patience, giveBack))
	defer cancel()
	for transport, outer := range h.outer {
		if err := h.by.unmapPort(ctx, transport, o.Port, outer); err != nil {
			o.Log.Debug("give the port back", "by", h.by.name(), "err", err)
		}
	}
}

// localAddr is the host's own address towards another one.
func localAddr(to netip.AddrPort) (netip.Addr, error) {
	conn, err := net.Dial("udp", to.String())
	if err != nil {
		return netip.Addr{}, err
	}
	defer conn.Close()
	return conn.LocalAddr().(*net.UDPAddr).AddrPort().Addr().Unmap(), nil
}
