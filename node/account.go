package node

import (
	"cmp"
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// Join implements linnet.Client.
func (n *Node) Join(ctx context.Context, link string) error {
	invite, err := suite.ParseInvite(strings.TrimSpace(link))
	if err != nil {
		return &linnet.Error{Code: linnet.CodeInvite, Text: err.Error(), Hint: "paste all of the link that you were given"}
	}
	if err := n.Ready(ctx); err != nil {
		return err
	}
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	switch d := n.network.get(); {
	case d == nil:
		if err := n.joinNetwork(ctx, &invite); err != nil {
			return err
		}
	case d.Fingerprint() != invite.Fingerprint:
		return &linnet.Error{Code: linnet.CodeUsage, Text: "this node belongs to the network " + d.Name + " already",
			Hint: "give the second network a --home of its own"}
	}
	n.opts.Invite = &invite // for its token
	return nil
}

// Register implements linnet.Client.
func (n *Node) Register(ctx context.Context, c linnet.Credentials) error {
	return n.prove(ctx, c, (*login.Client).Register)
}

// Login implements linnet.Client.
func (n *Node) Login(ctx context.Context, c linnet.Credentials) error {
	return n.prove(ctx, c, (*login.Client).Login)
}

// prove gets a certificate for a password, and goes on the network with it.
func (n *Node) prove(ctx context.Context, c linnet.Credentials,
	ask func(*login.Client, context.Context, linnet.Credentials, suite.Keys) (*login.Grant, error)) error {
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	if n.network.get() == nil && n.opts.Invite == nil {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "this node has no network yet", Hint: "start it with `linnet up --join INVITE`, or paste an invite on its page"}
	}
	d, err := n.network.wait(ctx)
	if err != nil {
		return err
	}
	if c.Device == "" {
		host, _ := os.Hostname()
		c.Device = cmp.Or(host, "device")
	}
	if c.Token == nil && n.opts.Invite != nil {
		c.Token = n.opts.Invite.Token
	}
	id, err := n.store.Identity(ctx)
	if err != nil {
		return err
	}
	if id != nil && len(id.Certificate) > 0 {
		return &linnet.Error{Code: linnet.CodeUsage, Text: string(id.User) + " is signed in on this node already",
			Hint: "`linnet logout` first, or use another --home"}
	}
	return n.obtain(ctx, d, id, &store.Identity{User: c.User, Device: c.Device}, func(server *login.Client, keys suite.Keys) (*login.Grant, error) {
		return ask(server, ctx, c, keys)
	})
}

// obtain gets the certificate of an identity, which may be the one that is kept,
// and goes on the network with it.
func (n *Node) obtain(ctx context.Context, d *suite.Descriptor, kept, id *store.Identity, ask func(*login.Client, suite.Keys) (*login.Grant, error)) error {
	crypto, err := suite.Named(d.Suite)
	if err != nil {
		return err
	}
	// Keys are on disk before the server hears of them: when its answer is lost, the
	// same request is made again and gets the same answer.
	if kept != nil && kept.User == id.User && kept.Device == id.Device {
		id = kept
	} else {
		keys, err := crypto.NewKeys()
		if err != nil {
			return err
		}
		id.Keys = keys.Marshal()
		if err := n.store.SetIdentity(ctx, *id); err != nil {
			return err
		}
	}
	keys, err := crypto.ParseKeys(id.Keys)
	if err != nil {
		return err
	}
	grant, err := ask(n.loginClient(d), keys)
	if trouble := proxyTrouble(err); trouble != nil {
		return trouble
	}
	if err != nil {
		return err
	}
	return n.granted(ctx, id, grant)
}

func (n *Node) loginClient(d *suite.Descriptor) *login.Client {
	return &login.Client{Descriptor: d, Exchange: n.exchange, Dial: n.dialRaw}
}

// granted keeps a certificate and uses it.
func (n *Node) granted(ctx context.Context, id *store.Identity, g *login.Grant) error {
	id.Certificate = g.Signed
	if err := n.store.SetIdentity(ctx, *id); err != nil {
		return err
	}
	if g.Descriptor != nil {
		if err := n.takeDescriptor(ctx, n.network.get().Fingerprint(), g.Descriptor); err != nil {
			n.log.Warn("newer descriptor", "err", err)
		}
	}
	return n.install(ctx, id)
}

// install makes the station of an identity, or tells the one that there is of
// its new certificate.
func (n *Node) install(ctx context.Context, id *store.Identity) error {
	var err error
	if waited := n.do(ctx, func(now time.Time) {
		if n.station != nil {
			err = n.station.renew(now, id.Certificate)
			return
		}
		n.station, err = n.newStation(ctx, now, id)
	}); waited != nil {
		return waited
	}
	return err
}

// Logout implements linnet.Client.
func (n *Node) Logout(ctx context.Context) error {
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	var gone <-chan struct{}
	if err := n.inStation(ctx, func(now time.Time, s *station) error {
		gone = s.withdraw(now)
		return nil
	}); err != nil {
		return err
	}
	select {
	case <-gone:
	case <-time.After(farewell): // the directory notices by itself, later
	}
	if err := n.inStation(ctx, func(now time.Time, s *station) error {
		s.leave(now)
		n.station = nil
		return nil
	}); err != nil {
		return err
	}
	return n.store.ForgetIdentity(ctx)
}

// resume signs in again who was signed in before.
func (n *Node) resume(ctx context.Context) error {
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	id, err := n.store.Identity(ctx)
	if err != nil || id == nil || len(id.Certificate) == 0 || n.network.get() == nil {
		return err
	}
	err = n.install(ctx, id)
	if errors.Is(err, suite.ErrExpired) {
		if id.User.IsNode() {
			return &linnet.Error{Code: linnet.CodeNotSignedIn, Text: "the certificate of this machine has expired", Hint: noMachine.Hint, Err: err}
		}
		n.warn("The certificate of this device has expired: sign in again with `linnet login %s`.", id.User)
		id.Certificate = nil
		return n.store.SetIdentity(ctx, *id)
	}
	return err
}

// How often the node looks whether its certificate gets old, and whether there
// is a newer descriptor, which takes 11 kB.
const (
	maintainEvery   = time.Hour
	maintainSoon    = time.Minute // after a failure
	descriptorEvery = 6 * time.Hour
)

// maintain renews the certificate at half of its life, and fetches newer descriptors.
func (n *Node) maintain(ctx context.Context) error {
	wait := maintainEvery
	var refreshed time.Time
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = maintainEvery
		if n.network.get() == nil {
			continue
		}
		var stale error
		if time.Since(refreshed) >= descriptorEvery {
			if stale = n.refreshNetwork(ctx); stale == nil {
				refreshed = time.Now()
			}
		}
		if err := errors.Join(stale, n.renewCertificate(ctx)); err != nil {
			n.log.Info("maintenance", "err", err)
			wait = maintainSoon
		}
	}
}

func (n *Node) renewCertificate(ctx context.Context) error {
	if err := n.account.take(ctx); err != nil {
		return err
	}
	defer n.account.give()
	id, err := n.store.Identity(ctx)
	if err != nil || id == nil || len(id.Certificate) == 0 {
		return err
	}
	d := n.network.get()
	cert, err := d.OpenCertificate(id.Certificate, time.Now())
	if err != nil || time.Now().Before(login.RenewAt(cert)) {
		return err
	}
	crypto, err := suite.Named(d.Suite)
	if err != nil {
		return err
	}
	keys, err := crypto.ParseKeys(id.Keys)
	if err != nil {
		return err
	}
	grant, err := n.loginClient(d).Renew(ctx, id.Certificate, keys)
	if err != nil {
		return err
	}
	return n.granted(ctx, id, grant)
}
