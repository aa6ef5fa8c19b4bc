package node

import (
	"bytes"
	"context"
	"crypto/cipher"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What others can read, forge, repeat or lie about: nothing that matters.

// A recording is what somebody wrote down.
type recording struct {
	mu    sync.Mutex
	bytes []byte
}

func (r *recording) add(b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes = append(append(r.bytes, b...), '|')
}

func (r *recording) has(b []byte) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Contains(r.bytes, b)
}

// A wiretap is the cryptography of a node that writes down what it may read: all
// that its sessions carry.
type wiretap struct {
	suite.SessionSuite
	read *recording
}

func (w wiretap) Initiate(b suite.Binding, own suite.Keys, peer, payload []byte) ([]byte, func([]byte) ([]byte, *suite.Traffic, error), error) {
	w.read.add(payload)
	return w.SessionSuite.Initiate(b, own, peer, payload)
}

func (w wiretap) Respond(b suite.Binding, own suite.Keys, msg []byte) (payload, peer []byte, reply func([]byte) ([]byte, *suite.Traffic, error), err error) {
	payload, peer, reply, err = w.SessionSuite.Respond(b, own, msg)
	w.read.add(payload)
	return payload, peer, reply, err
}

func (w wiretap) AEAD(key *[32]byte, salt uint32) (cipher.AEAD, error) {
	a, err := w.SessionSuite.AEAD(key, salt)
	return tapped{a, w.read}, err
}

type tapped struct {
	cipher.AEAD
	read *recording
}

func (t tapped) Seal(dst, nonce, plain, ad []byte) []byte {
	t.read.add(plain)
	return t.AEAD.Seal(dst, nonce, plain, ad)
}

func (t tapped) Open(dst, nonce, sealed, ad []byte) ([]byte, error) {
	b, err := t.AEAD.Open(dst, nonce, sealed, ad)
	t.read.add(b[min(len(dst), len(b)):])
	return b, err
}

// identity is what the computer proves who it is with.
func (m *computer) identity() *store.Identity {
	m.w.t.Helper()
	id, err := m.node.store.Identity(m.w.t.Context())
	if err != nil || id == nil {
		m.w.t.Fatalf("%s: identity %v, %v", m.name, id, err)
	}
	return id
}

// sessionOptions are those of the computer's own sessions.
func (m *computer) sessionOptions() session.Options {
	m.w.t.Helper()
	id, d := m.identity(), m.node.network.get()
	keys, err := suite.Modern().ParseKeys(id.Keys)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return session.Options{
		Suite: suite.Modern(), Network: d.Network, Node: m.id(), Keys: keys,
		Certificate: id.Certificate, OpenCertificate: d.OpenCertificate,
	}
}

// wiretap has supernodes record what they can read.
func (w *world) wiretap(read *recording) {
	for _, m := range w.supernodes {
		if err := m.node.Ready(w.t.Context()); err != nil {
			w.t.Fatal(err)
		}
		o := m.sessionOptions()
		o.Suite = wiretap{o.Suite, read}
		m.within(func(_ time.Time, s *station) { s.sessions = session.New(o) })
	}
}

// TestSupernodesReadNothing looks for secrets in all that supernodes and relay can
// read, in all that passes on any cable, and on the disks of others.
func TestSupernodesReadNothing(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		var read, passed recording
		w.wiretap(&read)
		time.Sleep(2 * time.Minute) // until they have found each other again
		alice, bob := w.user("nightingale", w.atHome()), w.user("woodpecker", w.atHome())
		for _, m := range w.computers {
			m.host.Tap(func(p netsim.Packet) {
				if p.Sent {
					passed.add(p.Payload)
				}
			})
		}
		if err := alice.node.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := alice.node.Login(t.Context(), linnet.Credentials{User: alice.user(), Password: password, Device: "test"}); err != nil {
			t.Fatal(err)
		}
		alice.online()

		secrets := map[string][]byte{"password": []byte(password)}
		id := alice.call(bob.user(), linnet.CallMedia{Play: w.speech()})
		bob.rings()
		bob.answer(id, linnet.CallMedia{Play: w.speech()})
		for _, m := range []*computer{alice, bob} {
			m.reaches(id, linnet.CallActive)
			keys := m.identity().Keys[1:] // after the version: a seed and a private key
			secrets["signing key of "+m.name], secrets["agreement key of "+m.name] = keys[:32], keys[32:]
			m.heard.await("the other one is heard", func(e linnet.Event) bool { return e.Kind == linnet.EventCallHeard })
			m.within(func(_ time.Time, s *station) {
				p := s.phones[id]
				p.mu.Lock()
				voice := p.sender.Stream()
				p.mu.Unlock()
				secrets["media key of "+m.name], secrets["media salt of "+m.name] = voice.Key[:], voice.Salt[:]
			})
		}
		for _, m := range []*computer{alice, bob} {
			if r := m.ended(id); r.Outcome != linnet.OutcomeCompleted || r.Path != linnet.RelayUDP || r.PacketsReceived < 500 {
				t.Errorf("%s: %+v, want a call by a relay", m.name, r)
			}
		}
		frames, _ := w.frames(w.speech())
		for i, f := range frames {
			if i%10 == 0 && len(f.Data) >= 16 {
				secrets[fmt.Sprint("what was said in frame ", i)] = f.Data
			}
		}
		if len(secrets) < 50 {
			t.Fatalf("only %d secrets", len(secrets))
		}

		for name, secret := range secrets {
			if read.has(secret) {
				t.Errorf("a supernode can read the %s", name)
			}
			if passed.has(secret) {
				t.Errorf("the %s passes a cable", name)
			}
			for _, m := range append(w.supernodes, w.login) {
				if file := m.keeps(secret); file != "" {
					t.Errorf("%s keeps the %s in %s", m.name, name, file)
				}
			}
		}
		for _, m := range []*computer{alice, bob} {
			name := []byte(m.user())
			if !read.has(name) {
				t.Errorf("no supernode read the name %s, which it was asked for: is this the recording?", name)
			}
			if passed.has(name) {
				t.Errorf("the name %s passes a cable", name)
			}
			if m.keeps(m.identity().Keys[1:33]) == "" {
				t.Errorf("%s does not keep its own key: is this the disk?", m.name)
			}
		}
	})
}

// keeps is the file on the computer's disk that has b in it.
func (m *computer) keeps(b []byte) (file string) {
	m.w.t.Helper()
	err := filepath.WalkDir(m.opts.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, b) {
			file = path
		}
		return err
	})
	if err != nil {
		m.w.t.Fatal(err)
	}
	return file
}

// invite makes the first message of a session with a call request in it, as a
// device with these options would.
func invite(t *testing.T, now time.Time, o session.Options, to session.Peer, id linnet.CallID) []byte {
	t.Helper()
	e := session.New(o)
	request := &message.CallRequest{Call: id, Time: uint64(now.UnixMilli()), Codecs: []string{"opus"}}
	if err := e.Dial(now, to, session.Path{Kind: linnet.Forwarded}, request); err != nil {
		t.Fatal(err)
	}
	for _, effect := range e.Take() {
		if hello, ok := effect.(session.SendHello); ok {
			return hello.Message.(*message.Hello).Noise
		}
	}
	t.Fatal("no Hello")
	return nil
}

// forward has m send a first message through the supernodes, as its own.
func (m *computer) forward(to linnet.NodeID, hello []byte) {
	m.w.t.Helper()
	m.within(func(now time.Time, s *station) { s.forward(now, to, innerHello, hello) })
}

// peer is another device as the directory shows it to m.
func (m *computer) peer(of *computer) (p session.Peer) {
	m.w.t.Helper()
	if _, err := m.node.Lookup(m.w.t.Context(), of.user()); err != nil {
		m.w.t.Fatal(err)
	}
	id := of.id()
	m.within(func(_ time.Time, s *station) {
		p = session.Peer{Node: id, Agreement: s.certificates[id].Agreement, Certificate: s.certificates[id]}
	})
	return p
}

// TestForgedCertificate has mallory call alice in the name of bob, her friend.
func TestForgedCertificate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{supernodes: 1})
		alice, bob, mallory := w.user("alice", w.atHome()), w.user("bob", w.atHome()), w.user("mallory", w.atHome())
		befriend(alice, bob)
		authority, err := LoadAuthority(w.login.opts.Home)
		if err != nil {
			t.Fatal(err)
		}
		own, hers, to := bob.sessionOptions(), mallory.sessionOptions(), mallory.peer(alice)
		genuine, err := own.OpenCertificate(own.Certificate, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		issue := func(by suite.Keys, change func(*suite.Certificate)) []byte {
			c := *genuine
			change(&c)
			return must(suite.Issue(by, &c))
		}
		hersAs := func(c *suite.Certificate) {
			c.Signing, c.Agreement = hers.Keys.Public().Signing, hers.Keys.Public().Agreement
		}
		altered := bytes.Clone(own.Certificate)
		altered[len(altered)/2] ^= 1
		for _, tt := range []struct {
			name        string
			certificate []byte
			keys        suite.Keys
			rings       bool
		}{
			{"bob's own", own.Certificate, own.Keys, true},
			{"bob's without his keys", own.Certificate, hers.Keys, false},
			{"altered", altered, own.Keys, false},
			{"of an authority of her own", issue(must(suite.Modern().NewKeys()), hersAs), hers.Keys, false},
			{"signed by herself", issue(hers.Keys, hersAs), hers.Keys, false},
			{"signed with the root key, which signs none", issue(authority.Root, hersAs), hers.Keys, false},
			{"expired", issue(authority.Login, func(c *suite.Certificate) {
				c.Issued, c.Expires = c.Issued.Add(-60*24*time.Hour), time.Now().Add(-time.Minute)
			}), own.Keys, false},
			{"her own", hers.Certificate, hers.Keys, false}, // no friend's first message rings
		} {
			o := own
			o.Certificate, o.Keys = tt.certificate, tt.keys
			mallory.forward(to.Node, invite(t, time.Now(), o, to, linnet.NewCallID()))
			time.Sleep(2 * time.Second)
			calls := alice.status().Calls
			if rings := len(calls) > 0; rings != tt.rings {
				t.Errorf("%s: rings is %v", tt.name, rings)
			}
			for _, c := range calls {
				if err := alice.node.HangUp(t.Context(), c.ID); err != nil {
					t.Error(err)
				}
			}
			time.Sleep(time.Minute)
		}
	})
}

// traffic counts what a host sends and receives.
type traffic struct {
	mu             sync.Mutex
	sent, received int
}

func (m *computer) traffic() *traffic {
	c := new(traffic)
	m.host.Tap(func(p netsim.Packet) {
		c.mu.Lock()
		defer c.mu.Unlock()
		if p.Sent {
			c.sent += len(p.Payload)
		} else {
			c.received += len(p.Payload)
		}
	})
	return c
}

// since gives what was counted since it was last asked.
func (c *traffic) since() (sent, received int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	sent, received = c.sent, c.received
	c.sent, c.received = 0, 0
	return sent, received
}

// TestReplayedInvite repeats the first message of a friend's call, which rings at
// once, by another node and at other times.
func TestReplayedInvite(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob, mallory := w.user("alice", w.atHome()), w.user("bob", w.atHome()), w.user("mallory", w.atHome())
		befriend(alice, bob)
		time.Sleep(4 * time.Minute) // until nobody has anything else to say
		to, id := bob.peer(alice), linnet.NewCallID()
		mallory.peer(alice) // so that she knows where to send it
		hello := invite(t, time.Now(), bob.sessionOptions(), to, id)
		bob.forward(to.Node, hello)
		if rings := alice.rings(); rings != id {
			t.Fatalf("call %v rings, want %v", rings, id)
		}
		rang := func() (n int) {
			alice.heard.mu.Lock()
			defer alice.heard.mu.Unlock()
			for _, e := range alice.heard.events {
				if isRinging(e) {
					n++
				}
			}
			return n
		}
		at, by := alice.traffic(), mallory.traffic()
		replay := func(when string, want int) {
			t.Helper()
			at.since()
			by.since()
			mallory.forward(to.Node, hello)
			time.Sleep(500 * time.Millisecond)
			if sent, received := at.since(); received < len(hello) || sent > received {
				t.Errorf("%s: alice got %d bytes and sent %d", when, received, sent)
			}
			if sent, received := by.since(); received > sent {
				t.Errorf("%s: mallory sent %d bytes and got %d", when, sent, received)
			}
			if n := rang(); n != want {
				t.Errorf("%s: it rang %d times, want %d", when, n, want)
			}
			if calls := alice.calls(); len(calls) != 1 || calls[0].ID != id {
				t.Errorf("%s: alice's history %+v", when, calls)
			}
		}
		replay("while it rings", 1)
		replay("again", 1)
		alice.node.HangUp(t.Context(), id)
		alice.ended(id)
		replay("after the end", 1)
		alice.stop()
		alice.start()
		alice.online()
		replay("after a restart", 0)
		time.Sleep(3 * time.Minute) // more than a request is fresh for
		replay("later", 0)
		alice.stop()
		alice.start()
		alice.online()
		replay("later, after a restart", 0)
		if r := alice.history(id); r.Outcome == linnet.OutcomeCompleted {
			t.Errorf("outcome %v", r.Outcome)
		}
	})
}

// TestReplayedDatagrams sends all that a supernode got once more, from an address
// that has proved nothing.
func TestReplayedDatagrams(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		supernode := w.supernodes[0]
		var mu sync.Mutex
		var got [][]byte
		supernode.host.Tap(func(p netsim.Packet) {
			if !p.Sent && !p.TCP {
				mu.Lock()
				defer mu.Unlock()
				got = append(got, bytes.Clone(p.Payload))
			}
		})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		id := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		bob.rings()
		bob.answer(id, linnet.CallMedia{})
		time.Sleep(5 * time.Second)
		alice.node.HangUp(t.Context(), id)
		bob.ended(id)
		mu.Lock()
		datagrams := slices.Clone(got)
		mu.Unlock()
		if len(datagrams) < 50 {
			t.Fatalf("only %d datagrams", len(datagrams))
		}

		spoofer := w.computer("spoofer", netsim.HostOptions{})
		socket, err := spoofer.host.ListenUDP(t.Context(), netip.AddrPortFrom(spoofer.host.Addr(), port))
		if err != nil {
			t.Fatal(err)
		}
		defer socket.Close()
		count, answered := spoofer.traffic(), 0
		for _, b := range datagrams[:min(len(datagrams), 400)] {
			count.since()
			if _, err := socket.WriteTo(b, netip.AddrPortFrom(supernode.host.Addr(), port)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(15 * time.Second) // any answer was repeated by then
			if _, received := count.since(); received > len(b) {
				t.Errorf("%d bytes are answered with %d: %x", len(b), received, b)
			} else if received > 0 {
				answered++
			}
		}
		if answered == 0 {
			t.Error("nothing at all was answered: is this the supernode?")
		}
		if l, err := alice.node.Lookup(t.Context(), "bob"); err != nil || !l.Online {
			t.Errorf("bob afterwards: %+v, %v", l, err)
		}
	})
}

// alone believes that it holds every slot by itself.
type alone struct {
	directory.Seats
	self linnet.NodeID
}

func (a alone) Members(overlay.Slot) []linnet.NodeID { return []linnet.NodeID{a.self} }

// TestLyingSupernode gives alice a supernode that tells its own version of bob's record.
func TestLyingSupernode(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(old, now []byte) [][]byte{
		"has none":       func(_, _ []byte) [][]byte { return nil },
		"has an old one": func(old, _ []byte) [][]byte { return [][]byte{old} },
		"alters it": func(_, now []byte) [][]byte {
			b := bytes.Clone(now)
			b[len(b)-1] ^= 1 // the signature's
			return [][]byte{b}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
				o := bob.sessionOptions()
				record := directory.Record{
					Certificate: o.Certificate, Location: message.Location{Node: o.Node}, Sequence: 0, Time: time.Now().Add(-time.Hour),
				}
				old := must(record.Sign(o.Keys))
				now := w.recordOf(o.Node)
				deceive := func(liar *computer) {
					for _, b := range lie(old, now) {
						if err := liar.node.store.PutRecords(t.Context(), store.Record{Node: o.Node, Time: time.Now(), Bytes: b}); err != nil {
							t.Fatal(err)
						}
					}
					self := overlay.Identity{Node: liar.id(), Certificate: liar.identity().Certificate}
					liar.within(func(at time.Time, s *station) {
						self.Keys = s.keys
						gullible := s.trust
						gullible.Verify = func([]byte, suite.Purpose, []byte, []byte) error { return nil }
						s.member = directory.NewSupernode(directory.SupernodeOptions{Self: self, Trust: gullible, Seats: alone{s.overlay, s.id}})
						s.member.Start(at, lie(old, now), nil)
					})
				}
				finds := func() bool {
					l, err := alice.node.Lookup(t.Context(), "bob")
					return err == nil && l.Online
				}
				asked := alice.status().Supernodes[0].Node // first by alice
				deceive(w.supernodes[slices.IndexFunc(w.supernodes, func(m *computer) bool { return m.id() == asked })])
				if !finds() {
					t.Error("the lie of one supernode is believed")
				}
				id := alice.call("bob", linnet.CallMedia{})
				bob.rings()
				alice.node.HangUp(t.Context(), id)
				bob.ended(id)
				for _, liar := range w.supernodes {
					deceive(liar)
				}
				if finds() {
					t.Error("there is no lie: all supernodes say the same, and alice finds bob")
				}
			})
		})
	}
}

// recordOf is the record of a device that supernodes keep.
func (w *world) recordOf(node linnet.NodeID) []byte {
	w.t.Helper()
	for _, m := range w.supernodes {
		records, err := m.node.store.Records(context.Background())
		if err != nil {
			w.t.Fatal(err)
		}
		for _, r := range records {
			if r.Node == node {
				return r.Bytes
			}
		}
	}
	w.t.Fatal("nobody keeps the record")
	return nil
}
