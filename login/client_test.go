package login

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// One server that answers is enough, and the first one asked is any of them.
func TestServersAreTriedInTurn(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.register("alice", "secret", newKeys(t))
	alive := netip.MustParseAddrPort("192.0.2.101:33033")
	n.descriptor.LoginServers = []netip.AddrPort{
		netip.MustParseAddrPort("192.0.2.100:33033"), alive, netip.MustParseAddrPort("192.0.2.102:33033"),
	}
	c := n.client()
	var asked []netip.AddrPort
	lies := map[string]func() (message.Message, error){
		"unreachable": func() (message.Message, error) { return nil, errLost },
		"unsigned refusal": func() (message.Message, error) {
			return &message.Failure{Code: message.FailureTaken, Text: "name taken"}, nil
		},
		"unsigned key failure": func() (message.Message, error) {
			return &message.Failure{Code: message.FailureKey, Text: "new key"}, nil
		},
		"garbage":  func() (message.Message, error) { return &message.LoginReply{Sealed: make([]byte, 100)}, nil },
		"nonsense": func() (message.Message, error) { return &message.Goodbye{}, nil },
	}
	for name, lie := range lies {
		first := make(map[netip.AddrPort]bool)
		c.Exchange = func(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error) {
			asked = append(asked, to)
			if to == alive {
				return n.exchange(ctx, to, m)
			}
			return lie()
		}
		device := newKeys(t)
		for range 10 {
			asked = nil
			if _, err := c.Login(t.Context(), who("alice", "secret"), device); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			first[asked[0]] = true
		}
		if len(first) != 3 {
			t.Errorf("%s: the first server asked is always one of %v", name, first)
		}
		n.pass(24 * time.Hour) // a new device a day is no limit
	}

	c.Exchange = func(context.Context, netip.AddrPort, message.Message) (message.Message, error) { return nil, errLost }
	if _, err := c.Login(t.Context(), who("alice", "secret"), newKeys(t)); linnet.CodeOf(err) != linnet.CodeNoNetwork || !errors.Is(err, errLost) {
		t.Errorf("nobody answers: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	c.Exchange = func(context.Context, netip.AddrPort, message.Message) (message.Message, error) {
		cancel()
		return nil, ctx.Err()
	}
	if _, err := c.Login(ctx, who("alice", "secret"), newKeys(t)); linnet.CodeOf(err) == linnet.CodeNoNetwork {
		t.Errorf("cancelled: %v, not that nobody answers", err)
	}
}

// A refusal that a login server sealed is final: no other server is asked.
func TestRefusalIsFinal(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.descriptor.LoginServers = append(n.descriptor.LoginServers, netip.MustParseAddrPort("192.0.2.101:33033"))
	asked := 0
	c := n.client()
	c.Exchange = func(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error) {
		asked++
		return n.exchange(ctx, to, m)
	}
	if _, err := c.Login(t.Context(), who("nobody", "secret"), newKeys(t)); !errors.Is(err, ErrPassword) || asked != 1 {
		t.Errorf("%v after %d requests", err, asked)
	}
}

// A login server's certificate counts only if the network's key signed it for
// the keys that were sent.
func TestCertificateIsVerified(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	forger := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	mallory := newKeys(t)
	forged, err := forger.server.IssueService(t.Context(), "alice", "laptop", mallory.Public())
	if err != nil {
		t.Fatal(err)
	}
	otherKeys, err := n.server.IssueService(t.Context(), "alice", "laptop", mallory.Public())
	if err != nil {
		t.Fatal(err)
	}
	for name, certificate := range map[string][]byte{"another authority's": forged, "for other keys": otherKeys, "empty": nil} {
		c := n.client()
		// A login server that was broken into: it can open requests and seal
		// answers, but not sign.
		c.Exchange = func(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error) {
			l := m.(*message.Login)
			_, seal, err := n.server.authority.OpenRequest(l.Key, l.Sealed)
			if err != nil {
				return nil, err
			}
			b, err := seal(message.Marshal(&message.LoginResult{Certificate: certificate}))
			return &message.LoginReply{Sealed: b}, err
		}
		if g, err := c.Login(t.Context(), who("alice", "secret"), newKeys(t)); err == nil {
			t.Errorf("%s: accepted %+v", name, g.Certificate)
		}
	}
}

func TestBadCredentials(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	for _, w := range []linnet.Credentials{
		{User: "a", Password: "secret", Device: "laptop"},
		{User: "node:super", Password: "secret", Device: "laptop"},
		{User: "alice", Device: "laptop"},
		{User: "alice", Password: "secret"},
	} {
		if _, err := n.client().Register(t.Context(), w, newKeys(t)); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%+v: %v", w, err)
		}
	}
}

func TestFetchDescriptor(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	other := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	good, lying := netip.MustParseAddrPort("192.0.2.1:1"), netip.MustParseAddrPort("192.0.2.2:2")
	exchange := func(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error) {
		if to == lying {
			return &message.DescriptorIs{Descriptor: other.server.Descriptor()}, nil
		}
		return n.exchange(ctx, to, m)
	}
	fingerprint := n.descriptor.Fingerprint()
	for range 10 {
		d, signed, err := FetchDescriptor(t.Context(), exchange, []netip.AddrPort{lying, good}, fingerprint, nil)
		if err != nil || d.Network != n.descriptor.Network || len(signed) == 0 {
			t.Fatal(err)
		}
	}
	if _, _, err := FetchDescriptor(t.Context(), exchange, []netip.AddrPort{lying}, fingerprint, nil); linnet.CodeOf(err) != linnet.CodeNoNetwork || !errors.Is(err, suite.ErrForged) {
		t.Errorf("another network's descriptor: %v", err)
	}
}
