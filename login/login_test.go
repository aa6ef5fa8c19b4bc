package login

import (
	"context"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// network is an authority with one login server, and the way to it.
type network struct {
	t          testing.TB
	path       string // of the accounts
	accounts   *Accounts
	server     *Server
	descriptor *suite.Descriptor

	mu   sync.Mutex
	skew time.Duration // the server's clock is this much ahead of the real one
	noon time.Time     // or of this, where it stands still
	from netip.Addr    // where clients are
	lose int           // so many answers get lost
}

var errLost = errors.New("the answer got lost")

// cheap keeps the tests from spending their time on Argon2id.
var cheap = suite.PasswordParams{Time: 1, Memory: 8, Threads: 1}

func newNetwork(t testing.TB, registration suite.Registration, opts ServerOptions) *network {
	t.Helper()
	n := &network{t: t, from: netip.MustParseAddr("192.0.2.1"), path: filepath.Join(t.TempDir(), "accounts.db")}
	authority, err := suite.CreateAuthority("test", time.Now(), suite.AuthorityOptions{
		Policy:       suite.Policy{Registration: registration, Password: cheap},
		LoginServers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:33033")},
	})
	if err != nil {
		t.Fatal(err)
	}
	if n.accounts, err = OpenAccounts(t.Context(), n.path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.accounts.Close() })
	opts.Now = n.now
	if n.server, err = NewServer(t.Context(), n.accounts, authority, opts); err != nil {
		t.Fatal(err)
	}
	if n.descriptor, err = suite.OpenDescriptor(n.server.Descriptor(), authority.Descriptor.Fingerprint()); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *network) now() time.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.noon.IsZero() {
		return n.noon.Add(n.skew)
	}
	return time.Now().Add(n.skew)
}

// stand stops the clock: a test that counts guesses is not to depend on how fast
// the machine makes them.
func (n *network) stand() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noon = time.Now()
}

// pass lets time go by, for servers and clients alike.
func (n *network) pass(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.skew += d
}

// exchange takes a message over the wire's bytes to the server and back.
func (n *network) exchange(ctx context.Context, _ netip.AddrPort, m message.Message) (message.Message, error) {
	request, _, err := message.Parse(message.Append(nil, message.Command{ID: 1, Body: m}), message.Stream)
	if err != nil {
		return nil, err
	}
	answer := n.server.Handle(ctx, n.from, request.Body)
	if answer == nil {
		return nil, errLost
	}
	reply, _, err := message.Parse(message.Append(nil, message.Command{ID: 1, Body: answer}), message.Stream)
	if err != nil {
		return nil, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lose > 0 {
		n.lose--
		return nil, errLost
	}
	return reply.Body, nil
}

func (n *network) client() *Client {
	return &Client{Descriptor: n.descriptor, Exchange: n.exchange, Now: n.now, Rand: random.New(random.NewPCG(1, 2))}
}

func newKeys(t testing.TB) suite.Keys {
	t.Helper()
	keys, err := suite.Modern().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func who(user, password string) linnet.Credentials {
	return linnet.Credentials{User: linnet.UserName(user), Password: password, Device: "laptop"}
}

// register makes an account that has to succeed.
func (n *network) register(user, password string, keys suite.Keys) *Grant {
	n.t.Helper()
	g, err := n.client().Register(n.t.Context(), who(user, password), keys)
	if err != nil {
		n.t.Fatalf("register %s: %v", user, err)
	}
	return g
}

func (n *network) count(query string, args ...any) int {
	n.t.Helper()
	count, err := sqlite.One(n.t.Context(), n.accounts.db, sqlite.Column[int], query, args...)
	if err != nil {
		n.t.Fatal(err)
	}
	return count
}

func TestRegisterAndLogin(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	first, second := newKeys(t), newKeys(t)
	g := n.register("Alice", "secret", first)
	if c := g.Certificate; c.User != "alice" || c.Device != "laptop" || c.Expires.Sub(c.Issued) != 30*24*time.Hour {
		t.Errorf("certificate: %+v", c)
	}
	if _, err := n.descriptor.OpenHead(g.Head); err != nil {
		t.Errorf("head: %v", err)
	}
	again, err := n.client().Login(t.Context(), who("alice", "secret"), first)
	if err != nil {
		t.Fatal(err)
	}
	if again.Certificate.NodeID() != g.Certificate.NodeID() || again.Certificate.Serial != g.Certificate.Serial {
		t.Error("a device that signs in again is another node")
	}
	other, err := n.client().Login(t.Context(), who("alice", "secret"), second)
	if err != nil {
		t.Fatal(err)
	}
	if other.Certificate.NodeID() == g.Certificate.NodeID() || other.Certificate.Serial == g.Certificate.Serial {
		t.Error("two devices are one node")
	}
	if got := n.count("SELECT COUNT(*) FROM devices WHERE user_name = 'alice'"); got != 2 {
		t.Errorf("%d devices, want 2", got)
	}
}

func TestRefusals(t *testing.T) {
	day := 24 * time.Hour
	tests := []struct {
		name         string
		registration suite.Registration
		do           func(n *network, c *Client) error
		want         error
	}{
		{"taken", suite.RegistrationOpen, func(n *network, c *Client) error {
			n.register("alice", "secret", newKeys(n.t))
			_, err := c.Register(n.t.Context(), who("ALICE", "secret"), newKeys(n.t))
			return err
		}, ErrTaken},
		{"wrong password", suite.RegistrationOpen, func(n *network, c *Client) error {
			n.register("alice", "secret", newKeys(n.t))
			_, err := c.Login(n.t.Context(), who("alice", "Secret"), newKeys(n.t))
			return err
		}, ErrPassword},
		{"wrong password from a known device", suite.RegistrationOpen, func(n *network, c *Client) error {
			keys := newKeys(n.t)
			n.register("alice", "secret", keys)
			_, err := c.Login(n.t.Context(), who("alice", "guess"), keys)
			return err
		}, ErrPassword},
		{"unknown user", suite.RegistrationOpen, func(n *network, c *Client) error {
			_, err := c.Login(n.t.Context(), who("nobody", "secret"), newKeys(n.t))
			return err
		}, ErrPassword},
		{"user without a password", suite.RegistrationOpen, func(n *network, c *Client) error {
			if _, err := n.server.IssueService(n.t.Context(), "echo123", "echo", newKeys(n.t).Public()); err != nil {
				return err
			}
			_, err := c.Login(n.t.Context(), who("echo123", "secret"), newKeys(n.t))
			return err
		}, ErrPassword},
		{"name of a service", suite.RegistrationOpen, func(n *network, c *Client) error {
			if _, err := n.server.IssueService(n.t.Context(), "echo123", "echo", newKeys(n.t).Public()); err != nil {
				return err
			}
			_, err := c.Register(n.t.Context(), who("echo123", "secret"), newKeys(n.t))
			return err
		}, ErrTaken},
		{"no invite", suite.RegistrationInvite, func(n *network, c *Client) error {
			_, err := c.Register(n.t.Context(), who("alice", "secret"), newKeys(n.t))
			return err
		}, ErrInvite},
		{"made-up invite", suite.RegistrationInvite, func(n *network, c *Client) error {
			w := who("alice", "secret")
			w.Token = make([]byte, tokenSize)
			_, err := c.Register(n.t.Context(), w, newKeys(n.t))
			return err
		}, ErrInvite},
		{"expired invite", suite.RegistrationInvite, func(n *network, c *Client) error {
			w := who("alice", "secret")
			w.Token = n.invite(1, day)
			n.pass(day + time.Second)
			_, err := c.Register(n.t.Context(), w, newKeys(n.t))
			return err
		}, ErrInvite},
		{"used invite", suite.RegistrationInvite, func(n *network, c *Client) error {
			w := who("alice", "secret")
			w.Token = n.invite(1, day)
			if _, err := c.Register(n.t.Context(), w, newKeys(n.t)); err != nil {
				return err
			}
			w.User = "bob"
			_, err := c.Register(n.t.Context(), w, newKeys(n.t))
			return err
		}, ErrInvite},
		{"taken, with an invite that stays good", suite.RegistrationInvite, func(n *network, c *Client) error {
			w := who("alice", "secret")
			w.Token = n.invite(2, day)
			if _, err := c.Register(n.t.Context(), w, newKeys(n.t)); err != nil {
				return err
			}
			_, taken := c.Register(n.t.Context(), w, newKeys(n.t))
			w.User = "bob"
			if _, err := c.Register(n.t.Context(), w, newKeys(n.t)); err != nil {
				return err
			}
			return taken
		}, ErrTaken},
		{"closed", suite.RegistrationClosed, func(n *network, c *Client) error {
			_, err := c.Register(n.t.Context(), who("alice", "secret"), newKeys(n.t))
			return err
		}, ErrClosed},
		{"revoked", suite.RegistrationOpen, func(n *network, c *Client) error {
			keys := newKeys(n.t)
			n.register("alice", "secret", keys)
			if _, err := n.accounts.Revoke(n.t.Context(), "alice", "laptop", n.now()); err != nil {
				return err
			}
			_, err := c.Login(n.t.Context(), who("alice", "secret"), keys)
			return err
		}, ErrRevoked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newNetwork(t, tt.registration, ServerOptions{})
			if err := tt.do(n, n.client()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func (n *network) invite(uses int, life time.Duration) []byte {
	n.t.Helper()
	token, err := n.accounts.CreateInvite(n.t.Context(), uses, time.Now().Add(life))
	if err != nil {
		n.t.Fatal(err)
	}
	return token
}

func TestWrongClock(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.register("alice", "secret", newKeys(t))
	for _, tt := range []struct {
		skew time.Duration
		want string
	}{
		{4 * time.Minute, ""},
		{-4 * time.Minute, ""},
		{6 * time.Minute, "the clock of this machine is 6m0s ahead"},
		{-3 * 365 * 24 * time.Hour, "the clock of this machine is 26280h0m0s behind"},
	} {
		c := n.client()
		c.Now = func() time.Time { return n.now().Add(tt.skew) }
		if err := c.CheckClock(t.Context()); (err == nil) != (tt.want == "") || err != nil && (linnet.CodeOf(err) != linnet.CodeClock || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("check of a clock off by %v: %v, want %q", tt.skew, err, tt.want)
		}
		_, err := c.Login(t.Context(), who("alice", "secret"), newKeys(t))
		if tt.want == "" {
			if err != nil {
				t.Errorf("clock off by %v: %v", tt.skew, err)
			}
			continue
		}
		e, ok := errors.AsType[*linnet.Error](err)
		if !ok || e.Code != linnet.CodeClock || e.Text != tt.want {
			t.Errorf("clock off by %v: %v, want %q", tt.skew, err, tt.want)
		}
	}
}

// Whatever answer gets lost, the same call again succeeds, and nothing is there twice.
func TestLostAnswer(t *testing.T) {
	n := newNetwork(t, suite.RegistrationInvite, ServerOptions{})
	w, keys := who("alice", "secret"), newKeys(t)
	w.Token = n.invite(1, time.Hour)
	n.lose = 1
	if _, err := n.client().Register(t.Context(), w, keys); linnet.CodeOf(err) != linnet.CodeNoNetwork {
		t.Fatalf("the answer was not lost: %v", err)
	}
	if _, err := n.client().Register(t.Context(), w, keys); err != nil {
		t.Fatalf("register again: %v", err)
	}
	if accounts, devices := n.count("SELECT COUNT(*) FROM accounts"), n.count("SELECT COUNT(*) FROM devices"); accounts != 1 || devices != 1 {
		t.Errorf("%d accounts, %d devices, want one of each", accounts, devices)
	}
	w.Password = "other"
	if _, err := n.client().Register(t.Context(), w, keys); !errors.Is(err, ErrInvite) {
		t.Errorf("the same with another password: %v", err)
	}
}

// Many registrations at once: a name goes to one of them, an invite to as many
// as it is for.
func TestRaces(t *testing.T) {
	n := newNetwork(t, suite.RegistrationInvite, ServerOptions{})
	const invited = 5
	token := n.invite(invited, time.Hour)
	var wg sync.WaitGroup
	results := make([]error, 2*invited)
	for i := range results {
		wg.Go(func() {
			w := who(fmt.Sprintf("user%d", i), "secret")
			w.Token = token
			_, results[i] = n.client().Register(t.Context(), w, newKeys(t))
		})
	}
	wg.Wait()
	succeeded := 0
	for _, err := range results {
		switch {
		case err == nil:
			succeeded++
		case !errors.Is(err, ErrInvite) && linnet.CodeOf(err) != linnet.CodeTooSoon:
			t.Error(err)
		}
	}
	if accounts := n.count("SELECT COUNT(*) FROM accounts"); succeeded != invited || accounts != invited {
		t.Errorf("%d registered, %d accounts, want %d", succeeded, accounts, invited)
	}

	n = newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	for i := range results {
		wg.Go(func() { _, results[i] = n.client().Register(t.Context(), who("alice", "secret"), newKeys(t)) })
	}
	wg.Wait()
	succeeded = 0
	for _, err := range results {
		if err == nil {
			succeeded++
		}
	}
	if succeeded != 1 || n.count("SELECT COUNT(*) FROM devices") != 1 {
		t.Errorf("%d registered as alice", succeeded)
	}
}
