package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Files of a login server, in its home directory.
const (
	authorityFile = "authority.key" // the network's secrets; suite.Authority
	accountsFile  = "accounts.db"
)

// Places below the home directory of a network that was made by CreateNetwork.
const (
	LoginServerHome = "login-server"
	EchoHome        = "echo123" // below LoginServerHome
	SupernodeHome   = "supernode"
)

// EchoUser is who greets, records ten seconds and plays them back.
const EchoUser linnet.UserName = "echo123"

// NetworkOptions configures a new network. Name, LoginServer and one Supernode are needed.
type NetworkOptions struct {
	Name         string
	Suite        string               // default suite.ModernName
	Registration suite.Registration   // default open: the invite link is all it takes
	Password     suite.PasswordParams // what trying a password costs; default as in package suite
	LoginServer  netip.AddrPort       // where others reach it
	Supernodes   []netip.AddrPort     // the same of the first supernodes
}

// CreateNetwork makes the keys, the descriptor and the first machines of a
// network below home, and gives the invite link. Nothing runs yet. Supernode i
// lives in SupernodePath(home, i).
func CreateNetwork(ctx context.Context, home string, o NetworkOptions) (*suite.Invite, error) {
	server := filepath.Join(home, LoginServerHome)
	file := filepath.Join(server, authorityFile)
	if _, err := os.Stat(file); err == nil {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "there is a network in " + home + " already",
			Hint: "`linnet network run` starts it; give a new one another --home"}
	}
	if err := os.MkdirAll(server, 0o700); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeDisk, Text: "the directory cannot be made", Err: err}
	}
	if o.Registration == "" {
		o.Registration = suite.RegistrationOpen
	}
	now := time.Now()
	authority, err := suite.CreateAuthority(o.Name, now, suite.AuthorityOptions{
		Suite: o.Suite, Policy: suite.Policy{Promotion: suite.PromotionHosted, Registration: o.Registration, Password: o.Password},
		LoginServers: []netip.AddrPort{o.LoginServer},
	})
	if err != nil {
		return nil, err
	}
	accounts, err := login.OpenAccounts(ctx, filepath.Join(server, accountsFile))
	if err != nil {
		return nil, err
	}
	defer accounts.Close()
	issuer, err := login.NewServer(ctx, accounts, authority, login.ServerOptions{})
	if err != nil {
		return nil, err
	}
	crypto, err := suite.Named(authority.Descriptor.Suite)
	if err != nil {
		return nil, err
	}
	// The machines' identities first: the descriptor names the supernodes by
	// them. Their databases get the descriptor once it is signed.
	machines := make(map[string]*store.Identity)
	issue := func(dir string, user linnet.UserName, device string) (suite.Keys, *suite.Certificate, error) {
		keys, err := crypto.NewKeys()
		if err != nil {
			return nil, nil, err
		}
		signed, err := issuer.IssueService(ctx, user, device, keys.Public())
		if err != nil {
			return nil, nil, err
		}
		cert, err := authority.Descriptor.OpenCertificate(signed, now)
		machines[dir] = &store.Identity{User: user, Device: device, Keys: keys.Marshal(), Certificate: signed}
		return keys, cert, err
	}
	if _, _, err := issue(filepath.Join(server, EchoHome), EchoUser, "echo"); err != nil {
		return nil, err
	}
	for i, addr := range o.Supernodes {
		device := fmt.Sprintf("supernode-%d", i+1)
		keys, cert, err := issue(SupernodePath(home, i), linnet.NodeName(device), device)
		if err != nil {
			return nil, err
		}
		authority.Descriptor.Supernodes = append(authority.Descriptor.Supernodes,
			suite.Bootstrap{Addr: addr, Node: cert.NodeID(), Agreement: keys.Public().Agreement})
	}
	descriptor, err := authority.SignDescriptor(now)
	if err != nil {
		return nil, err
	}
	for dir, id := range machines {
		if err := equip(ctx, dir, &authority.Descriptor, descriptor, id); err != nil {
			return nil, err
		}
	}
	// The authority's file comes last: a network without it was never made.
	if err := writeSecret(file, authority.Marshal()); err != nil {
		return nil, err
	}
	invite := authority.Invite(append([]netip.AddrPort{o.LoginServer}, o.Supernodes...)[:min(2, 1+len(o.Supernodes))], nil)
	return &invite, nil
}

// SupernodePath is the home of a network's i-th own supernode.
func SupernodePath(home string, i int) string {
	if i == 0 {
		return filepath.Join(home, SupernodeHome)
	}
	return filepath.Join(home, fmt.Sprintf("%s-%d", SupernodeHome, i+1))
}

// equip gives a machine's database its network and identity.
func equip(ctx context.Context, dir string, d *suite.Descriptor, descriptor []byte, id *store.Identity) error {
	db, err := store.Open(ctx, dir)
	if err != nil {
		return err
	}
	err = db.SetNetwork(ctx, store.Network{ID: d.Network, Fingerprint: d.Fingerprint(), Serial: d.Serial, Descriptor: descriptor})
	if err == nil {
		err = db.SetIdentity(ctx, *id)
	}
	return errors.Join(err, db.Close())
}

// writeSecret replaces a file, so that a crash leaves the old or the new one.
func writeSecret(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: path + " cannot be written", Err: err}
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: path + " cannot be written", Err: err}
	}
	return nil
}

// LoginServerOptions configures a LoginServer. Home is needed.
type LoginServerOptions struct {
	Home         string
	Listen       netip.AddrPort // zero: the port that the descriptor names, on all addresses
	Net          netx.Network
	Log          *slog.Logger
	FirstFrameID uint16
}

// A LoginServer is the authority of a network on the network.
type LoginServer struct {
	opts     LoginServerOptions
	link     *link.Link
	server   *login.Server
	accounts *login.Accounts
	work     chan loginRequest
}

type loginRequest struct {
	from link.Origin
	cmd  message.Command
}

// Bounds of a LoginServer: requests that wait, and goroutines that work on them.
// What does not fit is told to come back by the login package, or dropped here.
const (
	loginQueue   = 1024
	loginWorkers = 64
)

// OpenLoginServer opens the sockets and accounts of a login server.
func OpenLoginServer(ctx context.Context, opts LoginServerOptions) (*LoginServer, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	authority, err := loadAuthority(opts.Home)
	if err != nil {
		return nil, err
	}
	if !opts.Listen.IsValid() && len(authority.Descriptor.LoginServers) > 0 {
		opts.Listen = netip.AddrPortFrom(netip.IPv6Unspecified(), authority.Descriptor.LoginServers[0].Port())
	}
	s := &LoginServer{opts: opts, work: make(chan loginRequest, loginQueue)}
	if s.accounts, err = login.OpenAccounts(ctx, filepath.Join(opts.Home, accountsFile)); err != nil {
		return nil, err
	}
	s.server, err = login.NewServer(ctx, s.accounts, authority, login.ServerOptions{
		Save: func(b []byte) error { return writeSecret(filepath.Join(opts.Home, authorityFile), b) },
		Log:  opts.Log,
	})
	if err == nil {
		s.link, err = link.Open(link.Options{Net: opts.Net, Listen: opts.Listen, Handler: s, FirstID: opts.FirstFrameID, Log: opts.Log})
		if err != nil {
			err = listenError(opts.Listen, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.accounts.Close())
	}
	return s, nil
}

func loadAuthority(home string) (*suite.Authority, error) {
	b, err := os.ReadFile(filepath.Join(home, authorityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "there is no login server in " + home,
			Hint: "`linnet network create NAME` makes a network; its login server lives in the directory " + LoginServerHome}
	}
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	return suite.ParseAuthority(b)
}

// Addr is where the server listens.
func (s *LoginServer) Addr() netip.AddrPort { return s.link.Addr() }

// Run serves until ctx ends, and returns nil then.
func (s *LoginServer) Run(ctx context.Context) error {
	defer s.accounts.Close()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return s.link.Run(ctx) })
	for range loginWorkers {
		group.Go(func() error { return s.serve(ctx) })
	}
	if err := group.Wait(); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (s *LoginServer) serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case r := <-s.work:
			if reply := s.server.Handle(ctx, r.from.Addr.Addr(), r.cmd.Body); reply != nil {
				if err := s.link.Reply(r.from, r.cmd.ID, reply); err != nil {
					s.opts.Log.Debug("login reply", "to", r.from.Addr, "err", err)
				}
			}
		}
	}
}

// HandleCommand implements link.Handler.
func (s *LoginServer) HandleCommand(from link.Origin, c message.Command) {
	select {
	case s.work <- loginRequest{from, c}:
	default: // the client asks another login server, or again
	}
}

// HandlePacket implements link.Handler: a login server has no sessions.
func (s *LoginServer) HandlePacket(link.Origin, uint32, []byte) {}

// StreamClosed implements link.Handler.
func (s *LoginServer) StreamClosed(uint64) {}

// CreateInvite makes an invite for a network whose login server lives in home,
// with a token for so many accounts that is good until expires.
func CreateInvite(ctx context.Context, home string, uses int, expires time.Time) (*suite.Invite, error) {
	authority, err := loadAuthority(home)
	if err != nil {
		return nil, err
	}
	accounts, err := login.OpenAccounts(ctx, filepath.Join(home, accountsFile))
	if err != nil {
		return nil, err
	}
	defer accounts.Close()
	var token []byte
	if uses > 0 {
		if token, err = accounts.CreateInvite(ctx, uses, expires); err != nil {
			return nil, err
		}
	}
	d := &authority.Descriptor
	bootstrap := append([]netip.AddrPort(nil), d.LoginServers...)
	for _, s := range d.Supernodes {
		bootstrap = append(bootstrap, s.Addr)
	}
	invite := authority.Invite(bootstrap[:min(2, len(bootstrap))], token)
	return &invite, nil
}
