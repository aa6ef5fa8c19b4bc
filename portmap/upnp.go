package portmap

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/huin/goupnp"
	"github.com/huin/goupnp/dcps/internetgateway2"
)

// A gatewayService is what the three kinds of UPnP services that give ports away have in common.
type gatewayService interface {
	AddPortMappingCtx(ctx context.Context, remote string, outer uint16, transport string, inner uint16, client string, enabled bool, name string, lease uint32) error
	DeletePortMappingCtx(ctx context.Context, remote string, outer uint16, transport string) error
	GetExternalIPAddressCtx(ctx context.Context) (string, error)
	GetServiceClient() *goupnp.ServiceClient
}

// upnp is the Internet Gateway Device of UPnP.
type upnp struct {
	root    string // URL of a device's description; "": it is looked for
	gateway netip.Addr
	service gatewayService
	local   netip.Addr
}

func (*upnp) name() string { return "upnp" }

var errNoGateway = errors.New("no UPnP gateway answers")

// find looks for the service, once.
func (u *upnp) find(ctx context.Context) error {
	if u.service != nil {
		return nil
	}
	ctx = context.WithValue(ctx, askedBy{}, u)
	var found []gatewayService
	if u.root != "" {
		at, err := url.Parse(u.root)
		if err != nil {
			return err
		}
		c, err := internetgateway2.NewWANIPConnection1ClientsByURLCtx(ctx, at)
		if err != nil {
			return err
		}
		found = services(found, c)
	} else {
		// All three at once: each waits two seconds for answers, and routers that have the
		// second version of a service answer who looks for the first, and then have none.
		var wg sync.WaitGroup
		var c1 []*internetgateway2.WANIPConnection1
		var c2 []*internetgateway2.WANIPConnection2
		var c3 []*internetgateway2.WANPPPConnection1
		wg.Go(func() { c1, _, _ = internetgateway2.NewWANIPConnection1ClientsCtx(ctx) })
		wg.Go(func() { c2, _, _ = internetgateway2.NewWANIPConnection2ClientsCtx(ctx) })
		wg.Go(func() { c3, _, _ = internetgateway2.NewWANPPPConnection1ClientsCtx(ctx) })
		wg.Wait()
		found = services(services(services(found, c1), c2), c3)
	}
	if len(found) == 0 {
		return errNoGateway
	}
	at := found[0].GetServiceClient().Location
	router, err := netip.ParseAddr(at.Hostname())
	if err != nil {
		return fmt.Errorf("UPnP gateway at %s: %w", at.Host, err)
	}
	if u.local, err = localAddr(netip.AddrPortFrom(router, 1900)); err != nil {
		return err
	}
	u.service = found[0]
	u.service.GetServiceClient().SOAPClient.HTTPClient = *routerHTTP
	return nil
}

// may says whether a host is asked. Anybody on the network may answer who looks for a
// router, and name any host at all: this one's own services, or somebody's.
func (u *upnp) may(at netip.Addr) bool {
	if u.root != "" {
		root, err := url.Parse(u.root)
		return err == nil && root.Hostname() == at.String()
	}
	if at == u.gateway || gatewayKnown || !at.IsPrivate() {
		return at == u.gateway
	}
	own, err := localAddr(netip.AddrPortFrom(at, 1900))
	return err == nil && own != at
}

// askedBy is the key of the *upnp in the context of a request.
type askedBy struct{}

var errNoRouter = errors.New("that is not the router")

// routerHTTP speaks with the router alone, and reads no more than a router has to say.
var routerHTTP = &http.Client{
	Transport: &shortAnswers{http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			at, err := netip.ParseAddrPort(addr)
			if u, ok := ctx.Value(askedBy{}).(*upnp); err != nil || !ok || !u.may(at.Addr()) {
				return nil, fmt.Errorf("%s: %w", addr, errNoRouter)
			}
			return new(net.Dialer).DialContext(ctx, network, addr)
		},
	}},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

func init() { goupnp.HTTPClientDefault = routerHTTP }

// maxAnswer is for a device with everything that a router can be.
const maxAnswer = 1 << 20

type shortAnswers struct{ http.Transport }

func (t *shortAnswers) RoundTrip(r *http.Request) (*http.Response, error) {
	a, err := t.Transport.RoundTrip(r)
	if err == nil {
		a.Body = http.MaxBytesReader(nil, a.Body, maxAnswer)
	}
	return a, err
}

func services[S gatewayService](all []gatewayService, more []S) []gatewayService {
	for _, s := range more {
		all = append(all, s)
	}
	return all
}

func (u *upnp) mapPort(ctx context.Context, transport string, inner, outer uint16, life time.Duration) (at netip.AddrPort, given time.Duration, err error) {
	if err := u.find(ctx); err != nil {
		return at, 0, err
	}
	ctx = context.WithValue(ctx, askedBy{}, u)
	external, err := u.service.GetExternalIPAddressCtx(ctx)
	if err != nil {
		return at, 0, err
	}
	ip, err := netip.ParseAddr(external)
	if err != nil {
		return at, 0, refusal{fmt.Errorf("the router names no address: %w", err)}
	}
	// Some routers keep a mapping for ever or not at all; some ports are others'.
	for _, port := range []uint16{outer, uint16(20000 + rand.IntN(40000)), uint16(20000 + rand.IntN(40000))} {
		for _, lease := range []time.Duration{life, 0} {
			err = u.service.AddPortMappingCtx(ctx, "", port, strings.ToUpper(transport), inner, u.local.String(), true, ownerName, uint32(lease/time.Second))
			if err == nil {
				return netip.AddrPortFrom(ip, port), life, nil
			}
			if ctx.Err() != nil {
				return at, 0, err
			}
		}
	}
	return at, 0, refusal{err}
}

func (u *upnp) unmapPort(ctx context.Context, transport string, _, outer uint16) error {
	if u.service == nil {
		return nil
	}
	return u.service.DeletePortMappingCtx(context.WithValue(ctx, askedBy{}, u), "", outer, strings.ToUpper(transport))
}
