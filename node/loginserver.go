package node

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// LoginServerOptions configures a LoginServer. Home is needed.
type LoginServerOptions struct {
	Home         string
	Listen       netip.AddrPort // zero: the port that the descriptor names, on all addresses
	Web          link.Web       // listeners on the ports of the web
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
	via  *link.Link
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
	authority, err := LoadAuthority(opts.Home)
	if err != nil {
		return nil, err
	}
	classic := authority.Descriptor.Suite == suite.ClassicName
	if !opts.Listen.IsValid() && len(authority.Descriptor.LoginServers) > 0 {
		opts.Listen = everywhere(authority.Descriptor.LoginServers[0].Port())
	}
	s := &LoginServer{opts: opts, work: make(chan loginRequest, loginQueue)}
	if s.accounts, err = login.OpenAccounts(ctx, filepath.Join(opts.Home, accountsFile)); err != nil {
		return nil, err
	}
	s.server, err = login.NewServer(ctx, s.accounts, authority, login.ServerOptions{
		Save: func(b []byte) error { return saveAuthority(opts.Home, b) },
		Log:  opts.Log,
	})
	if err == nil {
		o := link.Options{Net: opts.Net, Listen: opts.Listen, Web: opts.Web, Handler: s, FirstID: opts.FirstFrameID, Log: opts.Log}
		if classic {
			o.Foreign = s.classicLogin
		}
		if s.link, err = link.Open(o); err != nil {
			err = listenError(opts.Listen, err)
		}
	}
	if err != nil {
		return nil, errors.Join(err, s.accounts.Close())
	}
	s.link.SetClassic(classic)
	return s, nil
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
				if err := r.via.Reply(r.from, r.cmd.ID, reply); err != nil {
					s.opts.Log.Debug("login reply", "to", r.from.Addr, "err", err)
				}
			}
		}
	}
}

// HandleCommand implements link.Handler.
func (s *LoginServer) HandleCommand(from link.Origin, c message.Command) { s.take(s.link, from, c) }

// take works on what came over a link, which may be that of a supernode in the
// same process.
func (s *LoginServer) take(via *link.Link, from link.Origin, c message.Command) {
	select {
	case s.work <- loginRequest{via, from, c}:
	default: // the client asks another login server, or again
	}
}

// HandlePacket implements link.Handler: a login server has no sessions.
func (s *LoginServer) HandlePacket(link.Origin, uint32, []byte) {}

// StreamClosed implements link.Handler.
func (s *LoginServer) StreamClosed(uint64) {}
