package login

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// classicAuthority is made once: its keys take a while.
var classicAuthority = sync.OnceValues(func() (*suite.Authority, error) {
	return suite.CreateAuthority("museum", time.Now(), suite.AuthorityOptions{
		Suite: suite.ClassicName, Policy: suite.Policy{Registration: suite.RegistrationOpen, Password: cheap},
		LoginServers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.100:33033")},
	})
})

// newClassic is a network whose logins go over connections.
func newClassic(t testing.TB, registration suite.Registration, opts ServerOptions) *network {
	t.Helper()
	made, err := classicAuthority()
	if err != nil {
		t.Fatal(err)
	}
	authority, err := suite.ParseAuthority(made.Marshal())
	if err != nil {
		t.Fatal(err)
	}
	authority.Descriptor.Policy.Registration = registration
	n := &network{t: t, from: netip.MustParseAddr("192.0.2.1"), path: filepath.Join(t.TempDir(), "accounts.db")}
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

// from is a connection with an address.
type from struct {
	net.Conn
	addr netip.Addr
}

func (c from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(netip.AddrPortFrom(c.addr, 1024)) }

// dial connects to the server, as the link does: it reads five bytes before the
// server is asked. What either side writes is kept in said, if that is not nil.
func (n *network) dial(said *[2]bytes.Buffer) Dial {
	return func(context.Context, netip.AddrPort) (net.Conn, error) {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer server.Close()
			begin := make([]byte, 5)
			if _, err := io.ReadFull(server, begin); err == nil && IsClassic(begin) {
				n.server.ServeClassic(context.Background(), from{server, n.from})
			}
		}()
		n.t.Cleanup(func() { client.Close(); <-done })
		if said == nil {
			return client, nil
		}
		return recorded{client, said}, nil
	}
}

// recorded keeps what is written (0) and read (1).
type recorded struct {
	net.Conn
	said *[2]bytes.Buffer
}

func (r recorded) Write(b []byte) (int, error) { r.said[0].Write(b); return r.Conn.Write(b) }

func (r recorded) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	r.said[1].Write(b[:n])
	return n, err
}

func (n *network) classicClient() *Client {
	c := n.client()
	c.Dial = n.dial(nil)
	return c
}

func classicKeys(t testing.TB) suite.Keys {
	t.Helper()
	keys, err := suite.Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func TestClassicRegisterLoginRenew(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	keys := classicKeys(t)
	g, err := n.classicClient().Register(t.Context(), who("Alice", "secret"), keys)
	if err != nil {
		t.Fatal(err)
	}
	if c := g.Certificate; c.User != "alice" || c.Device != "laptop" || c.Expires.Sub(c.Issued) != 30*24*time.Hour {
		t.Errorf("certificate: %+v", c)
	}
	if _, err := n.descriptor.OpenHead(g.Head); err != nil {
		t.Errorf("head: %v", err)
	}
	again, err := n.classicClient().Login(t.Context(), who("alice", "secret"), keys)
	if err != nil || again.Certificate.NodeID() != g.Certificate.NodeID() {
		t.Errorf("login: %v", err)
	}
	if _, err := n.classicClient().Renew(t.Context(), g.Signed, keys); !errors.As(err, new(*TooSoonError)) {
		t.Errorf("renewed at once: %v", err)
	}
	n.pass(16 * 24 * time.Hour)
	renewed, err := n.classicClient().Renew(t.Context(), g.Signed, keys)
	if err != nil || !renewed.Certificate.Expires.After(g.Certificate.Expires) || renewed.Certificate.Serial != g.Certificate.Serial {
		t.Errorf("renew: %+v, %v", renewed, err)
	}
	ticket, err := n.accounts.CreateTicket(t.Context(), "supernode-7", n.now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if g, err := n.classicClient().Enlist(t.Context(), ticket, classicKeys(t)); err != nil || g.Certificate.User != "node:supernode-7" {
		t.Errorf("enlist: %+v, %v", g, err)
	}
}

func TestClassicRefusals(t *testing.T) {
	alice := classicKeys(t)
	tests := []struct {
		name         string
		registration suite.Registration
		do           func(n *network, c *Client) error
		want         error
	}{
		{"taken", suite.RegistrationOpen, func(n *network, c *Client) error {
			_, err := c.Register(n.t.Context(), who("alice", "other"), classicKeys(n.t))
			return err
		}, ErrTaken},
		{"wrong password", suite.RegistrationOpen, func(n *network, c *Client) error {
			_, err := c.Login(n.t.Context(), who("alice", "Secret"), classicKeys(n.t))
			return err
		}, ErrPassword},
		{"wrong password from a known device", suite.RegistrationOpen, func(n *network, c *Client) error {
			_, err := c.Login(n.t.Context(), who("alice", "guess"), alice)
			return err
		}, ErrPassword},
		{"unknown user", suite.RegistrationOpen, func(n *network, c *Client) error {
			_, err := c.Login(n.t.Context(), who("nobody", "secret"), classicKeys(n.t))
			return err
		}, ErrPassword},
		{"user without a password", suite.RegistrationOpen, func(n *network, c *Client) error {
			if _, err := n.server.IssueService(n.t.Context(), "echo123", "echo", classicKeys(n.t).Public()); err != nil {
				return err
			}
			_, err := c.Login(n.t.Context(), who("echo123", "secret"), classicKeys(n.t))
			return err
		}, ErrPassword},
		{"no invite", suite.RegistrationInvite, func(n *network, c *Client) error {
			_, err := c.Register(n.t.Context(), who("bob", "secret"), classicKeys(n.t))
			return err
		}, ErrInvite},
		{"closed", suite.RegistrationClosed, func(n *network, c *Client) error {
			_, err := c.Register(n.t.Context(), who("bob", "secret"), classicKeys(n.t))
			return err
		}, ErrClosed},
		{"revoked", suite.RegistrationOpen, func(n *network, c *Client) error {
			if _, err := n.accounts.Revoke(n.t.Context(), "alice", "laptop", n.now()); err != nil {
				return err
			}
			_, err := c.Login(n.t.Context(), who("alice", "secret"), alice)
			return err
		}, ErrRevoked},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := newClassic(t, tt.registration, ServerOptions{})
			if tt.registration == suite.RegistrationOpen {
				if _, err := n.classicClient().Register(t.Context(), who("alice", "secret"), alice); err != nil {
					t.Fatal(err)
				}
			}
			if err := tt.do(n, n.classicClient()); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

// Guesses are slowed down as they are elsewhere.
func TestClassicGuesses(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	if _, err := n.classicClient().Register(t.Context(), who("alice", "secret"), classicKeys(t)); err != nil {
		t.Fatal(err)
	}
	mallory := classicKeys(t)
	for range freeForUser {
		if _, err := n.classicClient().Login(t.Context(), who("alice", "guess"), mallory); !errors.Is(err, ErrPassword) {
			t.Fatal(err)
		}
	}
	if _, err := n.classicClient().Login(t.Context(), who("alice", "secret"), mallory); !errors.As(err, new(*TooSoonError)) {
		t.Errorf("one guess too many: %v", err)
	}
}

// The bytes of W7.2, and nothing that can be read.
func TestClassicBytes(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	c := n.client()
	var said [2]bytes.Buffer
	c.Dial = n.dial(&said)
	if _, err := c.Register(t.Context(), who("alice", "secret"), classicKeys(t)); err != nil {
		t.Fatal(err)
	}
	var kinds [2][]frame.LoginRecordKind
	var lengths [2][]int
	for i := range said {
		for b := said[i].Bytes(); len(b) > 0; {
			r, size, err := frame.ParseLoginRecord(b)
			if err != nil || size > len(b) {
				t.Fatalf("%x: %v", b, err)
			}
			kinds[i], lengths[i] = append(kinds[i], r.Kind), append(lengths[i], len(r.Body))
			b = b[size:]
		}
		for _, secret := range []string{"alice", "laptop"} {
			if bytes.Contains(said[i].Bytes(), []byte(secret)) {
				t.Errorf("%s can be read", secret)
			}
		}
	}
	if k := kinds[0]; len(k) != 3 || k[0] != frame.LoginKey || k[1] != frame.LoginKey || k[2] != frame.LoginData || lengths[0][0] != 0 || lengths[0][1] != 0xcd {
		t.Errorf("the client said %x of %d bytes", k, lengths[0])
	}
	if k := kinds[1]; len(k) != 2 || k[0] != frame.LoginData || k[1] != frame.LoginData || lengths[1][0] != 0 {
		t.Errorf("the server said %x of %d bytes", k, lengths[1])
	}
}

// What makes no sense, and what was said before, is answered by the end of the
// connection.
func TestClassicServerCloses(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	c := n.client()
	var said [2]bytes.Buffer
	c.Dial = n.dial(&said)
	keys := classicKeys(t)
	if _, err := c.Register(t.Context(), who("alice", "secret"), keys); err != nil {
		t.Fatal(err)
	}
	good := said[0].Bytes()
	flipped := bytes.Clone(good)
	flipped[len(flipped)-1] ^= 1
	empty := append(bytes.Clone(good[:5+5+0xcd]), 0x17, 3, 1, 0, 0)
	huge := append(bytes.Clone(good[:5+5+0xcd]), 0x17, 3, 1, 0xff, 0xff)
	tls := append(bytes.Clone(good[:5]), 0x16, 3, 3, 0, 1, 0)
	swapped := append(append(bytes.Clone(good[:5]), good[5+5+0xcd:]...), good[5:5+5+0xcd]...)
	for name, b := range map[string][]byte{
		"repeated": good, "altered": flipped, "no request": empty, "a huge record": huge, "another version of TLS": tls, "records swapped": swapped,
		"too little": good[:300],
	} {
		conn, err := n.dial(nil)(t.Context(), netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			conn.Write(b)
			if len(b) == 300 {
				conn.Close()
			}
		}()
		if got, _ := io.ReadAll(conn); !bytes.Equal(got, classicReady) && name != "too little" {
			t.Errorf("%s: answered %x", name, got)
		}
	}
	if _, err := n.classicClient().Login(t.Context(), who("alice", "secret"), keys); err != nil {
		t.Errorf("after all that: %v", err)
	}
}

// A place in the queue is for a request, and not for a connection on which there
// may come one.
func TestClassicSilenceTakesNoPlace(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{Queue: 1})
	for range 3 {
		conn, err := n.dial(nil)(t.Context(), netip.AddrPort{})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := conn.Write(classicAsk); err != nil {
			t.Fatal(err)
		}
		if _, err := readRecord(conn); err != nil {
			t.Fatalf("the server is not ready: %v", err)
		}
	}
	if _, err := n.classicClient().Register(t.Context(), who("alice", "secret"), classicKeys(t)); err != nil {
		t.Errorf("beside silent ones: %v", err)
	}
}

// A busy server has no words for it, and a server that speaks something else is
// none.
func TestClassicUnanswered(t *testing.T) {
	busy := newClassic(t, suite.RegistrationOpen, ServerOptions{Queue: 1})
	busy.server.underway.Store(1)
	if _, err := busy.classicClient().Login(t.Context(), who("alice", "secret"), classicKeys(t)); linnet.CodeOf(err) != linnet.CodeNoNetwork {
		t.Errorf("busy: %v", err)
	}
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	for name, say := range map[string]string{"TLS": "\x15\x03\x01\x00\x02\x02\x28", "text": "HTTP/1.1 400 Bad Request", "huge": "\x17\x03\x01\xff\xff", "nothing": ""} {
		c := n.client()
		c.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
			client, server := net.Pipe()
			go func() {
				io.ReadFull(server, make([]byte, 5))
				io.WriteString(server, say)
				server.Close()
			}()
			return client, nil
		}
		if _, err := c.Login(t.Context(), who("alice", "secret"), classicKeys(t)); linnet.CodeOf(err) != linnet.CodeNoNetwork {
			t.Errorf("%s: %v", name, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	c := n.client()
	c.Dial = func(context.Context, netip.AddrPort) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			io.Copy(io.Discard, io.LimitReader(server, 5))
			cancel() // and never a word
		}()
		return client, nil
	}
	if _, err := c.Login(ctx, who("alice", "secret"), classicKeys(t)); err == nil || linnet.CodeOf(err) == linnet.CodeNoNetwork {
		t.Errorf("cancelled: %v, not that nobody answers", err)
	}
}

// The server keeps no fast hash of the fast one.
func TestClassicLockIsSlow(t *testing.T) {
	n := newClassic(t, suite.RegistrationOpen, ServerOptions{})
	if _, err := n.classicClient().Register(t.Context(), who("alice", "secret"), classicKeys(t)); err != nil {
		t.Fatal(err)
	}
	s, err := n.accounts.standing(t.Context(), claim{user: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	verifier := suite.Classic().Verifier("secret", n.descriptor.Network, "alice", cheap)
	if want := suite.Classic().Lock(s.lock.salt, verifier, cheap); !bytes.Equal(s.lock.hash, want) {
		t.Errorf("kept %x, want %x", s.lock.hash, want)
	}
}

func FuzzClassicRequest(f *testing.F) {
	n := newClassic(f, suite.RegistrationOpen, ServerOptions{})
	keys := classicKeys(f)
	body := &message.LoginBody{
		Action: message.ActionLogin, User: "alice", Verifier: make([]byte, 16), Time: 1, Nonce: make([]byte, 16),
		Signing: keys.Public().Signing, Agreement: keys.Public().Signing, Device: "laptop",
	}
	good, err := classicForm{}.request(body, func(b []byte) ([]byte, error) {
		return keys.Sign(suite.ForLogin, toSign(n.descriptor.Network, b))
	})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{0x41, 0, 0x41, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := n.server.read(b)
		if err != nil {
			return
		}
		n.server.check(body)
	})
}

func FuzzClassicResult(f *testing.F) {
	f.Add(classicForm{}.result(&message.LoginResult{Certificate: []byte{1}, Head: []byte{2}}))
	f.Add(classicForm{}.result(&message.LoginResult{Failure: &message.Failure{Code: 7, Text: "no"}, RetryAfter: 3}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := classicForm{}.readResult(b)
		if err == nil && r.Failure != nil {
			explain(r)
		}
	})
}

func BenchmarkClassicLogin(b *testing.B) {
	n := newClassic(b, suite.RegistrationOpen, ServerOptions{})
	keys := classicKeys(b)
	c := n.classicClient()
	c.Rand = rand.New(rand.NewPCG(1, 2))
	if _, err := c.Register(context.Background(), who("alice", "secret"), keys); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		n.pass(time.Hour)
		if _, err := c.Login(context.Background(), who("alice", "secret"), keys); err != nil {
			b.Fatal(err)
		}
	}
}
