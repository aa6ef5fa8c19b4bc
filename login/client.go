package login

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Client asks the login servers of a network for certificates. One of them
// is tried at random, then the others.
type Client struct {
	Descriptor *suite.Descriptor
	Exchange   Exchange
	Dial       Dial             // for logins on classic networks
	Now        func() time.Time // nil means time.Now
	Rand       *random.Rand     // which server comes first; nil means at random
}

// A Grant is what a login server gave.
type Grant struct {
	Certificate *suite.Certificate // verified, and about the keys that were sent
	Signed      []byte             // its bytes: what others want to see
	Head        []byte             // the authority's head of the day; may be empty
	// Descriptor is a newer one than the client's, as it was signed, if a login
	// server had to give it; else nil.
	Descriptor []byte
}

// Register makes an account and certifies its first device. The keys have to be
// on disk before: if the answer is lost, the same call with the same keys gets
// it again. Errors are those of failure.go, or that no login server answered.
func (c *Client) Register(ctx context.Context, who linnet.Credentials, keys suite.Keys) (*Grant, error) {
	return c.prove(ctx, message.ActionRegister, who, keys)
}

// Login certifies a device of an account that exists.
func (c *Client) Login(ctx context.Context, who linnet.Credentials, keys suite.Keys) (*Grant, error) {
	return c.prove(ctx, message.ActionLogin, who, keys)
}

func (c *Client) prove(ctx context.Context, action uint32, who linnet.Credentials, keys suite.Keys) (*Grant, error) {
	user, err := linnet.ParseUserName(string(who.User))
	if err != nil {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	if err := suite.CheckDeviceName(who.Device); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
	}
	if who.Password == "" {
		return nil, linnet.Errorf(linnet.CodeUsage, "a password is needed")
	}
	s, err := suite.Named(c.Descriptor.Suite)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return c.ask(ctx, s, keys, message.LoginBody{
		Action:   action,
		User:     user,
		Device:   who.Device,
		Verifier: s.Verifier(who.Password, c.Descriptor.Network, user, c.Descriptor.Policy.Password),
		Token:    who.Token,
	})
}

// Renew gets a new certificate for an old one that is past RenewAt and has not
// expired. It needs no password.
func (c *Client) Renew(ctx context.Context, certificate []byte, keys suite.Keys) (*Grant, error) {
	old, err := c.Descriptor.OpenCertificate(certificate, c.now())
	if errors.Is(err, suite.ErrExpired) {
		return nil, ErrExpired
	}
	if err != nil {
		return nil, fmt.Errorf("login: renew: %w", err)
	}
	s, err := suite.Named(c.Descriptor.Suite)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return c.ask(ctx, s, keys, message.LoginBody{
		Action:   message.ActionRenew,
		User:     old.User,
		Device:   old.Device,
		Expiring: certificate,
	})
}

func (c *Client) now() time.Time {
	if c.Now == nil {
		return time.Now()
	}
	return c.Now()
}

// CheckClock asks a login server whether it takes the time of this machine. An
// error of linnet.CodeClock says by how much it is wrong.
func (c *Client) CheckClock(ctx context.Context) error {
	s, err := suite.Named(c.Descriptor.Suite)
	if err != nil {
		return err
	}
	keys, err := s.NewKeys()
	if err != nil {
		return err
	}
	// It asks for nothing: that is refused, and after the time was looked at.
	_, err = c.ask(ctx, s, keys, message.LoginBody{Device: "clock"})
	if code := linnet.CodeOf(err); code == linnet.CodeClock || code == linnet.CodeNoNetwork {
		return err
	}
	return nil
}

// ask asks one login server after the other. The first that answers decides.
func (c *Client) ask(ctx context.Context, s suite.Suite, keys suite.Keys, body message.LoginBody) (*Grant, error) {
	public := keys.Public()
	body.Signing, body.Agreement = public.Signing, public.Agreement
	var failures []error
	for _, addr := range shuffled(c.Descriptor.LoginServers, c.Rand) {
		a := attempt{client: c, suite: s, keys: keys, addr: addr, descriptor: c.Descriptor}
		grant, err := a.run(ctx, body)
		if err == nil {
			return grant, nil
		}
		if u, ok := errors.AsType[*unanswered](err); ok && ctx.Err() == nil {
			failures = append(failures, fmt.Errorf("%v: %w", addr, u.err))
			continue
		}
		return nil, err
	}
	return nil, noServer(failures)
}

func noServer(failures []error) error {
	return &linnet.Error{
		Code: linnet.CodeNoNetwork,
		Text: "no login server can be reached",
		Hint: "check the connection and try again; who is signed in already can call without it",
		Err:  errors.Join(failures...),
	}
}

// unanswered says that a server gave no answer that counts; another one may.
type unanswered struct{ err error }

func (u *unanswered) Error() string { return u.err.Error() }

// An attempt is one request at one server.
type attempt struct {
	client     *Client
	suite      suite.Suite
	keys       suite.Keys
	addr       netip.AddrPort
	descriptor *suite.Descriptor
	renewed    []byte // descriptor's bytes, once the server gave it
}

func (a *attempt) run(ctx context.Context, body message.LoginBody) (*Grant, error) {
	key, err := a.descriptor.LoginKey(a.client.now())
	if err != nil {
		return a.again(ctx, body, err)
	}
	request, err := a.sign(body)
	if err != nil {
		return nil, err
	}
	sealed, open, err := a.suite.SealRequest(key.Public, request)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	if a.suite.Name() == suite.ClassicName {
		reply, err := a.askClassic(ctx, sealed)
		if err != nil {
			return nil, &unanswered{err}
		}
		return a.read(reply, open, body)
	}
	m, err := a.client.Exchange(ctx, a.addr, &message.Login{Key: key.Day, Sealed: sealed})
	if err != nil {
		return nil, &unanswered{err}
	}
	switch m := m.(type) {
	case *message.LoginReply:
		return a.read(m.Sealed, open, body)
	case *message.Failure:
		if m.Code == message.FailureKey {
			return a.again(ctx, body, errors.New(m.Text))
		}
		// Nobody has signed this, so it is a reason to ask another server and
		// to believe nothing.
		return nil, &unanswered{errors.New(m.Text)}
	}
	return nil, &unanswered{fmt.Errorf("answered with %T", m)}
}

// again makes the attempt once more, with the server's own descriptor.
func (a *attempt) again(ctx context.Context, body message.LoginBody, why error) (*Grant, error) {
	if a.renewed != nil {
		return nil, &unanswered{why}
	}
	d, b, err := askDescriptor(ctx, a.client.Exchange, a.addr, a.descriptor.Fingerprint())
	if err != nil {
		return nil, &unanswered{err}
	}
	if d.Serial < a.descriptor.Serial || d.Suite != a.descriptor.Suite {
		return nil, &unanswered{errors.New("its descriptor is not a newer one of this network")}
	}
	a.descriptor, a.renewed = d, b
	return a.run(ctx, body)
}

// sign makes the bytes to seal. Each try has its own nonce.
func (a *attempt) sign(body message.LoginBody) ([]byte, error) {
	body.Time = uint64(a.client.now().UnixMilli())
	body.Nonce = make([]byte, nonceSize)
	rand.Read(body.Nonce)
	request, err := formOf(a.suite).request(&body, func(signed []byte) ([]byte, error) {
		return a.keys.Sign(suite.ForLogin, toSign(a.descriptor.Network, signed))
	})
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return request, nil
}

// read opens an answer. Only the login servers can have sealed it.
func (a *attempt) read(sealed []byte, open func([]byte) ([]byte, error), body message.LoginBody) (*Grant, error) {
	b, err := open(sealed)
	if err != nil {
		return nil, &unanswered{err}
	}
	result, err := formOf(a.suite).readResult(b)
	if err != nil {
		return nil, &unanswered{err}
	}
	if result.Failure != nil {
		if result.Failure.Code == message.FailureUnavailable {
			return nil, &unanswered{errors.New(result.Failure.Text)}
		}
		return nil, explain(result)
	}
	cert, err := a.descriptor.OpenCertificate(result.Certificate, a.client.now())
	if err != nil {
		return nil, &unanswered{err}
	}
	if cert.User != body.User || cert.Device != body.Device || !bytes.Equal(cert.Signing, body.Signing) || !bytes.Equal(cert.Agreement, body.Agreement) {
		return nil, &unanswered{fmt.Errorf("it certified %s on %q with other keys than were asked for", cert.User, cert.Device)}
	}
	return &Grant{Certificate: cert, Signed: result.Certificate, Head: result.Head, Descriptor: a.renewed}, nil
}

// shuffled is the order in which servers are asked.
func shuffled(addrs []netip.AddrPort, r *random.Rand) []netip.AddrPort {
	addrs = slices.Clone(addrs)
	shuffle := random.Shuffle
	if r != nil {
		shuffle = r.Shuffle
	}
	shuffle(len(addrs), func(i, j int) { addrs[i], addrs[j] = addrs[j], addrs[i] })
	return addrs
}
