package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// seal makes a request as the client does, after change had its way with the body.
func (n *network) seal(keys suite.Keys, change func(*message.LoginBody)) (*message.Login, func([]byte) ([]byte, error)) {
	n.t.Helper()
	public := keys.Public()
	body := message.LoginBody{
		Action:    message.ActionLogin,
		User:      "alice",
		Device:    "laptop",
		Verifier:  suite.Modern().Verifier("secret", n.descriptor.Network, "alice", cheap),
		Signing:   public.Signing,
		Agreement: public.Agreement,
		Time:      uint64(n.now().UnixMilli()),
		Nonce:     bytes.Repeat([]byte{7}, nonceSize),
	}
	change(&body)
	request := message.LoginRequest{Signed: message.Marshal(&body)}
	request.Signature, _ = keys.Sign(suite.ForLogin, toSign(n.descriptor.Network, request.Signed))
	return n.sealBytes(message.Marshal(&request))
}

func (n *network) sealBytes(request []byte) (*message.Login, func([]byte) ([]byte, error)) {
	n.t.Helper()
	key, err := n.descriptor.LoginKey(n.now())
	if err != nil {
		n.t.Fatal(err)
	}
	sealed, open, err := suite.Modern().SealRequest(key.Public, request)
	if err != nil {
		n.t.Fatal(err)
	}
	return &message.Login{Key: key.Day, Sealed: sealed}, open
}

// result opens the server's answer to a request.
func (n *network) result(m *message.Login, open func([]byte) ([]byte, error)) message.LoginResult {
	n.t.Helper()
	reply, ok := n.server.Handle(n.t.Context(), n.from, m).(*message.LoginReply)
	if !ok {
		n.t.Fatal("the answer is not sealed")
	}
	b, err := open(reply.Sealed)
	if err != nil {
		n.t.Fatal(err)
	}
	var r message.LoginResult
	if err := message.Unmarshal(b, &r); err != nil {
		n.t.Fatal(err)
	}
	return r
}

func TestRepeatedRequestIsDropped(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	n.register("alice", "secret", keys)
	m, open := n.seal(keys, func(*message.LoginBody) {})
	if r := n.result(m, open); r.Certificate == nil {
		t.Fatalf("first: %+v", r.Failure)
	}
	for range 3 {
		if answer := n.server.Handle(t.Context(), n.from, m); answer != nil {
			t.Errorf("repeated: answered %T", answer)
		}
		n.pass(2 * time.Minute)
	}
	// The body's time is what ends the need to remember it.
	if r := n.result(m, open); r.Failure == nil || r.Failure.Code != message.FailureClock {
		t.Errorf("six minutes later: %+v", r)
	}
}

// Everything that the wire shows of the two is the same.
func TestUnknownUserLooksLikeWrongPassword(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.register("alice", "secret", newKeys(t))
	ask := func(user linnet.UserName) message.LoginResult {
		return n.result(n.seal(newKeys(t), func(b *message.LoginBody) { b.User, b.Verifier = user, make([]byte, 32) }))
	}
	for i := range 6 { // into the delays
		wrong, unknown := ask("alice"), ask("nobody")
		if !bytes.Equal(message.Marshal(&wrong), message.Marshal(&unknown)) {
			t.Fatalf("attempt %d: %+v %v for a wrong password, %+v %v for an unknown user",
				i, wrong.Failure, wrong.RetryAfter, unknown.Failure, unknown.RetryAfter)
		}
	}
}

func TestGuessingIsSlow(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	own := newKeys(t)
	n.register("alice", "secret", own)
	login := func(password string, keys suite.Keys) error {
		_, err := n.client().Login(t.Context(), who("alice", password), keys)
		return err
	}
	guesses := 0
	var waited time.Duration
	for waited < 24*time.Hour {
		err := login("guess", newKeys(t))
		soon, delayed := errors.AsType[*TooSoonError](err)
		switch {
		case delayed:
			n.pass(soon.After)
			waited += soon.After
		case errors.Is(err, ErrPassword):
			guesses++
		default:
			t.Fatal(err)
		}
	}
	if guesses < freeForUser || guesses > 120 {
		t.Errorf("%d guesses in a day from one address", guesses)
	}
	login("guess", newKeys(t))
	if err := login("secret", newKeys(t)); linnet.CodeOf(err) != linnet.CodeTooSoon {
		t.Errorf("a new device from the guesser's address: %v", err)
	}
	if err := login("secret", own); err != nil {
		t.Errorf("alice's own device is kept out by the guesses of others: %v", err)
	}
	guesser := n.from
	n.from = netip.MustParseAddr("198.51.100.7")
	if err := login("secret", newKeys(t)); err != nil {
		t.Errorf("a new device from elsewhere: %v", err)
	}
	n.from = guesser
	n.pass(strikesLive + time.Second)
	if err := login("secret", newKeys(t)); err != nil {
		t.Errorf("after an hour of silence: %v", err)
	}
}

// A device that is stolen, or belongs to whoever guesses, guesses no faster.
func TestKnownDeviceGuessesSlowlyToo(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	n.register("alice", "secret", keys)
	for i := range freeForDevice + 1 {
		n.from = netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
		_, err := n.client().Login(t.Context(), who("alice", "guess"), keys)
		if delayed := linnet.CodeOf(err) == linnet.CodeTooSoon; delayed != (i >= freeForDevice) {
			t.Errorf("guess %d: %v", i, err)
		}
	}
}

// One address cannot try one password on every user.
func TestSprayingIsSlow(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.stand()
	for i := range 2 * freeForAddress {
		n.from = netip.MustParseAddr(fmt.Sprintf("2001:db8:1:20%02x::%x", i, i)) // all of one /56
		_, err := n.client().Login(t.Context(), who(fmt.Sprintf("user%d", i), "123456"), newKeys(t))
		if delayed := linnet.CodeOf(err) == linnet.CodeTooSoon; delayed != (i >= freeForAddress) {
			t.Fatalf("user %d: %v", i, err)
		}
	}
}

func TestNewDevicesInADay(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	first := newKeys(t)
	n.register("alice", "secret", first)
	login := func(keys suite.Keys) error {
		_, err := n.client().Login(t.Context(), who("alice", "secret"), keys)
		return err
	}
	for range 4 {
		n.pass(time.Hour)
		if err := login(newKeys(t)); err != nil {
			t.Fatal(err)
		}
	}
	sixth := newKeys(t)
	soon, ok := errors.AsType[*TooSoonError](login(sixth))
	if !ok || soon.After < 19*time.Hour || soon.After > 20*time.Hour+time.Second {
		t.Fatalf("the sixth device: %v, want it to wait for 20 hours", soon)
	}
	if err := login(first); err != nil {
		t.Errorf("a device that is not new: %v", err)
	}
	n.pass(soon.After)
	if err := login(sixth); err != nil {
		t.Errorf("after %v: %v", soon.After, err)
	}
}

// The salt in a NodeID depends on names and keys: whoever could change one of
// them at will could draw ids until one has the seat he wants.
func TestNodeIDsCannotBeDrawn(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	n.register("alice", "secret", keys)
	n.register("bob", "secret", newKeys(t))
	tests := []struct {
		name   string
		change func(*message.LoginBody)
	}{
		{"device name", func(b *message.LoginBody) { b.Device = "phone" }},
		{"agreement key", func(b *message.LoginBody) { b.Agreement = newKeys(t).Public().Agreement }},
		{"user", func(b *message.LoginBody) {
			b.User = "bob"
			b.Verifier = suite.Modern().Verifier("secret", n.descriptor.Network, "bob", cheap)
		}},
	}
	for _, tt := range tests {
		if r := n.result(n.seal(keys, tt.change)); r.Certificate != nil || r.Failure.Code != message.FailureInvalid {
			t.Errorf("%s changed: %+v", tt.name, r.Failure)
		}
	}
}

func TestRenew(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	g := n.register("alice", "secret", keys)
	if _, err := n.client().Renew(t.Context(), g.Signed, keys); linnet.CodeOf(err) != linnet.CodeTooSoon {
		t.Errorf("at once: %v", err)
	}
	n.pass(15*24*time.Hour + time.Minute)
	if _, err := n.client().Renew(t.Context(), g.Signed, newKeys(t)); err == nil {
		t.Error("renewed for the keys of somebody else")
	}
	renewed, err := n.client().Renew(t.Context(), g.Signed, keys)
	if err != nil {
		t.Fatalf("at half of its life: %v", err)
	}
	if renewed.Certificate.NodeID() != g.Certificate.NodeID() || !renewed.Certificate.Expires.After(g.Certificate.Expires) {
		t.Errorf("renewed: %+v", renewed.Certificate)
	}
	if renewed.Descriptor == nil {
		t.Error("the old descriptor's keys are long forgotten; a new one should have been fetched")
	}
	n.pass(15*24*time.Hour + time.Minute)
	if _, err := n.client().Renew(t.Context(), g.Signed, keys); !errors.Is(err, ErrExpired) {
		t.Errorf("expired: %v", err)
	}
	if _, err := n.accounts.Revoke(t.Context(), "alice", "laptop", n.now()); err != nil {
		t.Fatal(err)
	}
	if _, err := n.client().Renew(t.Context(), renewed.Signed, keys); !errors.Is(err, ErrRevoked) {
		t.Errorf("revoked: %v", err)
	}
}

func TestNodesAreCertifiedLocallyOnly(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	b, err := n.server.IssueNode(t.Context(), "super1", keys.Public())
	if err != nil {
		t.Fatal(err)
	}
	c, err := n.descriptor.OpenCertificate(b, n.now())
	if err != nil || c.User != linnet.NodeName("super1") {
		t.Fatalf("certificate: %+v, %v", c, err)
	}
	for _, action := range []uint32{message.ActionRegister, message.ActionLogin} {
		r := n.result(n.seal(newKeys(t), func(b *message.LoginBody) { b.Action, b.User = action, "node:super2" }))
		if r.Certificate != nil {
			t.Errorf("action %d certified a node", action)
		}
	}
	n.pass(20 * 24 * time.Hour)
	if _, err := n.client().Renew(t.Context(), b, keys); err != nil {
		t.Errorf("renewal by the node itself: %v", err)
	}
	n.register("alice", "secret", newKeys(t))
	if _, err := n.server.IssueService(t.Context(), "alice", "robot", newKeys(t).Public()); err == nil {
		t.Error("the owner certified a device of a user who has a password")
	}
}

func TestHeadTellsOfRevocations(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	g := n.register("alice", "secret", keys)
	head := func() *suite.Head {
		d, ok := n.server.Handle(t.Context(), n.from, &message.AskDescriptor{Fingerprint: n.server.fingerprint[:]}).(*message.DescriptorIs)
		if !ok {
			t.Fatal("no descriptor")
		}
		h, err := n.descriptor.OpenHead(d.Head)
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	before := head()
	if before.Revoked != suite.DigestRevoked(nil) {
		t.Error("something is revoked")
	}
	if _, err := n.accounts.Revoke(t.Context(), "alice", "laptop", n.now()); err != nil {
		t.Fatal(err)
	}
	n.pass(headLife)
	after := head()
	if after.Revoked != suite.DigestRevoked([]uint64{g.Certificate.Serial}) || after.Serial <= before.Serial {
		t.Errorf("head: %+v after %+v", after, before)
	}
}

func TestBusyServerSaysSo(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{Workers: 1, Queue: 2})
	n.server.workers <- struct{}{} // the only worker is at work
	m, _ := n.seal(newKeys(t), func(*message.LoginBody) {})
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { n.server.Handle(ctx, n.from, m) })
	}
	for n.server.underway.Load() < 2 {
		time.Sleep(time.Millisecond)
	}
	f, ok := n.server.Handle(ctx, n.from, m).(*message.Failure)
	if !ok || f.Code != message.FailureTooMany {
		t.Errorf("a third request: %+v", f)
	}
	cancel()
	wg.Wait()
}

func TestSaveOncePerDay(t *testing.T) {
	var saved [][]byte
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{Save: func(b []byte) error { saved = append(saved, b); return nil }})
	for range 3 {
		n.server.Handle(t.Context(), n.from, &message.AskDescriptor{})
		n.pass(24 * time.Hour)
	}
	if len(saved) != 3 {
		t.Fatalf("saved %d times in three days", len(saved))
	}
	a, err := suite.ParseAuthority(saved[2])
	if err != nil {
		t.Fatal(err)
	}
	// A server that starts from what was saved opens what was sealed before.
	key, err := n.descriptor.LoginKey(n.now())
	if err != nil {
		t.Fatal(err)
	}
	sealed, _, err := suite.Modern().SealRequest(key.Public, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := a.OpenRequest(key.Day, sealed); err != nil {
		t.Error(err)
	}
}

func TestHostileRequests(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	n.register("alice", "secret", keys)
	good, _ := n.seal(keys, func(*message.LoginBody) {})
	flipped := bytes.Clone(good.Sealed)
	flipped[len(flipped)-1] ^= 1
	noise, _ := n.sealBytes([]byte("not an object list"))
	// What alice's device signed for the login server of another network.
	body := message.LoginBody{Action: message.ActionLogin, User: "alice", Device: "laptop", Nonce: make([]byte, nonceSize),
		Signing: keys.Public().Signing, Agreement: keys.Public().Agreement}
	foreign := message.LoginRequest{Signed: message.Marshal(&body)}
	foreign.Signature, _ = keys.Sign(suite.ForLogin, toSign(linnet.NetworkID{1}, foreign.Signed))
	other, _ := n.sealBytes(message.Marshal(&foreign))
	for name, m := range map[string]message.Message{
		"empty":                      &message.Login{},
		"altered":                    &message.Login{Key: good.Key, Sealed: flipped},
		"cut":                        &message.Login{Key: good.Key, Sealed: good.Sealed[:1000]},
		"day of another time":        &message.Login{Key: 1, Sealed: good.Sealed},
		"no list":                    noise,
		"signed for another network": other,
		"another command":            &message.Goodbye{},
		"another network":            &message.AskDescriptor{Fingerprint: make([]byte, 32)},
	} {
		if f, ok := n.server.Handle(t.Context(), n.from, m).(*message.Failure); !ok || f.Text == "" || len(f.Text) > 200 {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for name, change := range map[string]func(*message.LoginBody){
		"no nonce":         func(b *message.LoginBody) { b.Nonce = nil },
		"no verifier":      func(b *message.LoginBody) { b.Verifier = nil },
		"long verifier":    func(b *message.LoginBody) { b.Verifier = make([]byte, 1000) },
		"upper case":       func(b *message.LoginBody) { b.User = "Alice" },
		"strange name":     func(b *message.LoginBody) { b.User = "a' OR 1=1 --" },
		"no device":        func(b *message.LoginBody) { b.Device = "" },
		"device of lines":  func(b *message.LoginBody) { b.Device = "a\nb" },
		"long device":      func(b *message.LoginBody) { b.Device = strings.Repeat("x", 1000) },
		"short agreement":  func(b *message.LoginBody) { b.Agreement = []byte{1} },
		"unknown action":   func(b *message.LoginBody) { b.Action = 99 },
		"renewing nothing": func(b *message.LoginBody) { b.Action = message.ActionRenew },
	} {
		if r := n.result(n.seal(keys, change)); r.Certificate != nil || r.Failure == nil || r.Failure.Code != message.FailureInvalid {
			t.Errorf("%s: %+v", name, r.Failure)
		}
	}
	if got := n.count("SELECT COUNT(*) FROM devices"); got != 1 {
		t.Errorf("%d devices", got)
	}
}

// Whatever is in a sealed request, and whatever a signed body says, reading it
// does no harm; no fuzzer can sign, and what passes check is safe to act on.
func FuzzRequest(f *testing.F) {
	n := newNetwork(f, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(f)
	body := message.Marshal(&message.LoginBody{Action: message.ActionRegister, User: "alice", Device: "laptop", Verifier: make([]byte, 32),
		Signing: keys.Public().Signing, Agreement: keys.Public().Agreement, Nonce: make([]byte, nonceSize), Time: 1, Token: []byte{1}, Expiring: []byte{2}})
	f.Add(message.Marshal(&message.LoginRequest{Signed: body, Signature: make([]byte, 64)}), body)
	f.Fuzz(func(t *testing.T, request, signed []byte) {
		if _, err := n.server.read(request); err == nil {
			t.Error("the fuzzer can sign")
		}
		var body message.LoginBody
		if message.Unmarshal(signed, &body) != nil || n.server.check(&body) != nil {
			return
		}
		if len(body.Nonce) != nonceSize || suite.CheckDeviceName(body.Device) != nil {
			t.Errorf("passed: %+v", body)
		}
		if _, err := linnet.ParseUserName(string(body.User)); err != nil && body.Action != message.ActionRenew {
			t.Errorf("passed: user name %q", body.User)
		}
	})
}

// What was answered for is in the files: a copy of them, taken while the server
// runs on, has it.
func TestAnsweredIsOnDisk(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	n.register("alice", "secret", newKeys(t))
	home := t.TempDir()
	for _, suffix := range []string{"", "-wal"} {
		b, err := os.ReadFile(n.path + suffix)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(home, "copy.db"+suffix), b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	accounts, err := OpenAccounts(t.Context(), filepath.Join(home, "copy.db"))
	if err != nil {
		t.Fatal(err)
	}
	n.accounts.Close()
	n.accounts = accounts
	defer accounts.Close()
	if a, d := n.count("SELECT COUNT(*) FROM accounts WHERE user_name = 'alice'"), n.count("SELECT COUNT(*) FROM devices"); a != 1 || d != 1 {
		t.Errorf("%d accounts, %d devices", a, d)
	}
}

// A server that cannot write grants nothing, says that it is its own trouble,
// and the client then asks another one.
func TestServerThatCannotWrite(t *testing.T) {
	n := newNetwork(t, suite.RegistrationOpen, ServerOptions{})
	keys := newKeys(t)
	n.register("alice", "secret", keys)
	n.accounts.Close()
	if _, err := n.client().Login(t.Context(), who("alice", "secret"), keys); linnet.CodeOf(err) != linnet.CodeNoNetwork {
		t.Errorf("got %v", err)
	}
}
