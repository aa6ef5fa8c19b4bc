package suite

import (
	"bytes"
	"crypto/ecdh"
	"testing"

	"github.com/linnet-p2p/linnet"
)

var binding = Binding{Network: linnet.NetworkID{1, 2, 3}, Responder: linnet.NodeID{4, 5, 6}}

// A transcript is one session agreement between alice, who begins, and bob.
type transcript struct {
	alice, bob Keys
	hello      []byte
	finish     func([]byte) ([]byte, *Traffic, error)
	reply      []byte
	bobs       *Traffic
}

func agree(t testing.TB) transcript {
	t.Helper()
	tr := transcript{alice: testKeys(t, "alice"), bob: testKeys(t, "bob")}
	var err error
	tr.hello, tr.finish, err = seeded("hello").Initiate(binding, tr.alice, tr.bob.Public().Agreement, []byte("alice's certificate"))
	if err != nil {
		t.Fatal(err)
	}
	payload, peer, reply, err := seeded("reply").Respond(binding, tr.bob, tr.hello)
	if err != nil {
		t.Fatal(err)
	}
	if string(payload) != "alice's certificate" {
		t.Fatalf("payload is %q", payload)
	}
	if !bytes.Equal(peer, tr.alice.Public().Agreement) {
		t.Fatalf("peer is %x, want alice", peer)
	}
	if tr.reply, tr.bobs, err = reply([]byte("bob's tag")); err != nil {
		t.Fatal(err)
	}
	return tr
}

// mirrored wants the two ends of one agreement.
func mirrored(t testing.TB, a, b *Traffic) {
	t.Helper()
	if a.Send != b.Receive || a.Receive != b.Send || a.Hash != b.Hash {
		t.Errorf("the ends disagree:\n%x\n%x", a, b)
	}
	if a.Send == a.Receive || a.Send == [32]byte{} || a.Receive == [32]byte{} {
		t.Errorf("keys are %x, %x", a.Send, a.Receive)
	}
}

func TestSessionVector(t *testing.T) {
	tr := agree(t)
	payload, alices, err := tr.finish(tr.reply)
	if err != nil || string(payload) != "bob's tag" {
		t.Fatalf("finish = %q, %v", payload, err)
	}
	mirrored(t, alices, tr.bobs)
	pin(t, "session-hello", tr.hello)
	pin(t, "session-reply", tr.reply)
	pin(t, "session-send", alices.Send[:])
	pin(t, "session-receive", alices.Receive[:])
	pin(t, "session-hash", alices.Hash[:])
}

func TestRespondRefuses(t *testing.T) {
	tr := agree(t)
	tests := []struct {
		name string
		b    Binding
		own  Keys
	}{
		{"another network", Binding{linnet.NetworkID{9}, binding.Responder}, tr.bob},
		{"another responder's id", Binding{binding.Network, linnet.NodeID{9}}, tr.bob},
		{"another responder's keys", binding, testKeys(t, "carol")},
		{"reflected to its sender", binding, tr.alice},
	}
	for _, tt := range tests {
		if _, _, _, err := Modern().Respond(tt.b, tt.own, tr.hello); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	everyChange(tr.hello, func(changed []byte) {
		if _, _, _, err := Modern().Respond(binding, tr.bob, changed); err == nil {
			t.Fatalf("accepted %x", changed)
		}
	})
}

// However many forged replies come first, the true one is as good as ever.
func TestFinishAfterForgedReplies(t *testing.T) {
	tr := agree(t)
	carol, _, err := seeded("carol's hello").Initiate(binding, testKeys(t, "carol"), tr.bob.Public().Agreement, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, reply, err := Modern().Respond(binding, tr.bob, carol)
	if err != nil {
		t.Fatal(err)
	}
	stray, _, err := reply([]byte("for carol"))
	if err != nil {
		t.Fatal(err)
	}
	forged := [][]byte{stray, tr.hello}
	for _, point := range lowOrder(t) {
		forged = append(forged, append(point, tr.reply[32:]...))
	}
	for _, b := range forged {
		if _, _, err := tr.finish(b); err == nil {
			t.Fatalf("accepted %x", b)
		}
	}
	everyChange(tr.reply, func(changed []byte) {
		if _, _, err := tr.finish(changed); err == nil {
			t.Fatalf("accepted %x", changed)
		}
	})
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		t.Fatalf("the true reply: %v", err)
	}
	mirrored(t, alices, tr.bobs)
}

// lowOrder gives X25519 shares with which every agreement is zero.
func lowOrder(t testing.TB) [][]byte {
	t.Helper()
	points := [][]byte{
		make([]byte, 32),
		append([]byte{1}, make([]byte, 31)...),
		unhex(t, "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
	}
	key, err := ecdh.X25519().NewPrivateKey(bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range points {
		public, err := ecdh.X25519().NewPublicKey(p)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := key.ECDH(public); err == nil {
			t.Fatalf("%x is no point of low order", p)
		}
	}
	return points
}

func TestInitiateRefusesKeys(t *testing.T) {
	alice := testKeys(t, "alice")
	for _, peer := range append(lowOrder(t), nil, make([]byte, 31), make([]byte, 33)) {
		if _, _, err := Modern().Initiate(binding, alice, peer, nil); err == nil {
			t.Errorf("began a session with key %x", peer)
		}
	}
}

// An upgraded is one upgrade of agree's session, alice beginning.
type upgraded struct {
	first, second, third []byte
	alices, bobs         *Traffic
}

func upgrade(t testing.TB, starter, answerer modern, a, b *Traffic, alice, bob Keys) upgraded {
	t.Helper()
	var u upgraded
	first, second, err := starter.Upgrade(a, alice, bob.Public().Agreement)
	if err != nil {
		t.Fatal(err)
	}
	msg, third, err := answerer.AnswerUpgrade(b, bob, alice.Public().Agreement, first)
	if err != nil {
		t.Fatal(err)
	}
	u.first, u.second = first, msg
	if u.third, u.alices, err = second(msg); err != nil {
		t.Fatal(err)
	}
	if u.bobs, err = third(u.third); err != nil {
		t.Fatal(err)
	}
	return u
}

func TestUpgrade(t *testing.T) {
	tr := agree(t)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		t.Fatal(err)
	}
	u := upgrade(t, seeded("alice"), seeded("bob"), alices, tr.bobs, tr.alice, tr.bob)
	mirrored(t, u.alices, u.bobs)
	for _, old := range [][32]byte{alices.Send, alices.Receive} {
		if u.alices.Send == old || u.alices.Receive == old {
			t.Error("a key outlived the upgrade")
		}
	}
	// The other one may begin the next time; it builds on the last.
	v := upgrade(t, seeded("bob"), seeded("alice"), u.bobs, u.alices, tr.bob, tr.alice)
	mirrored(t, v.alices, v.bobs)

	// Both begin the same exchange again: the encapsulation is new each time.
	w := upgrade(t, seeded("alice"), seeded("bob"), alices, tr.bobs, tr.alice, tr.bob)
	if w.alices.Send == u.alices.Send {
		t.Error("the ML-KEM secret does not matter")
	}
}

// The beginner's half against an answer that was recorded once: what it depends
// on besides, the seed gives.
func TestUpgradeVector(t *testing.T) {
	tr := agree(t)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		t.Fatal(err)
	}
	first, second, err := seeded("upgrade").Upgrade(alices, tr.alice, tr.bob.Public().Agreement)
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "upgrade-first", first)
	third, traffic, err := second(vector(t, "upgrade-second"))
	if err != nil {
		t.Fatal(err)
	}
	pin(t, "upgrade-third", third)
	pin(t, "upgrade-send", traffic.Send[:])
	pin(t, "upgrade-receive", traffic.Receive[:])
	pin(t, "upgrade-hash", traffic.Hash[:])
}

func TestUpgradeTampered(t *testing.T) {
	tr := agree(t)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		t.Fatal(err)
	}
	alice, bob := tr.alice.Public().Agreement, tr.bob.Public().Agreement
	first, second, err := Modern().Upgrade(alices, tr.alice, bob)
	if err != nil {
		t.Fatal(err)
	}
	answer := func(first []byte) []byte { // nil if bob sees by himself that it is wrong
		msg, _, err := Modern().AnswerUpgrade(tr.bobs, tr.bob, alice, first)
		if err != nil {
			return nil
		}
		return msg
	}
	for i := 0; i < len(first); i += 7 {
		changed := bytes.Clone(first)
		changed[i] ^= 1 << (i % 8)
		if msg := answer(changed); msg != nil {
			if _, _, err := second(msg); err == nil {
				t.Fatalf("byte %d of the first message is not authenticated", i)
			}
		}
	}
	for _, b := range [][]byte{nil, first[:len(first)-1], append(bytes.Clone(first), 0)} {
		if answer(b) != nil {
			t.Errorf("answered a first message of %d bytes", len(b))
		}
	}

	msg, third, err := Modern().AnswerUpgrade(tr.bobs, tr.bob, alice, first)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(msg); i += 5 {
		changed := bytes.Clone(msg)
		changed[i] ^= 1 << (i % 8)
		if _, _, err := second(changed); err == nil {
			t.Fatalf("byte %d of the second message is not authenticated", i)
		}
		if _, _, err := second(msg[:i]); err == nil {
			t.Fatalf("the first %d bytes of the second message were enough", i)
		}
	}
	last, after, err := second(msg)
	if err != nil {
		t.Fatal(err)
	}
	for _, point := range lowOrder(t) {
		if _, err := third(append(point, last[32:]...)); err == nil {
			t.Fatal("accepted a share of low order")
		}
	}
	everyChange(last, func(changed []byte) {
		if _, err := third(changed); err == nil {
			t.Fatalf("accepted %x", changed)
		}
	})
	bobs, err := third(last)
	if err != nil {
		t.Fatalf("the true third message: %v", err)
	}
	mirrored(t, after, bobs)
}

func TestUpgradeIsBound(t *testing.T) {
	tr := agree(t)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		t.Fatal(err)
	}
	alice, bob, carol := tr.alice.Public().Agreement, tr.bob.Public().Agreement, testKeys(t, "carol")
	first, second, err := Modern().Upgrade(alices, tr.alice, bob)
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := *tr.bobs
	elsewhere.Hash[31] ^= 1
	tests := []struct {
		name string
		now  *Traffic
		own  Keys
		peer []byte
	}{
		{"another session", &elsewhere, tr.bob, alice},
		{"another answerer", tr.bobs, carol, alice},
		{"meant for another beginner", tr.bobs, tr.bob, carol.Public().Agreement},
	}
	for _, tt := range tests {
		msg, _, err := Modern().AnswerUpgrade(tt.now, tt.own, tt.peer, first)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := second(msg); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
}

func FuzzRespond(f *testing.F) {
	tr := agree(f)
	f.Add(tr.hello)
	f.Add(tr.reply)
	f.Add(tr.hello[:96])
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, peer, reply, err := Modern().Respond(binding, tr.bob, b)
		if err != nil {
			return
		}
		// Anybody can write a good hello, but only with a key of his own.
		if len(peer) != 32 {
			t.Errorf("peer is %x", peer)
		}
		if _, _, err := reply(nil); err != nil {
			t.Error(err)
		}
	})
}

func FuzzUpgrade(f *testing.F) {
	tr := agree(f)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		f.Fatal(err)
	}
	first, second, err := Modern().Upgrade(alices, tr.alice, tr.bob.Public().Agreement)
	if err != nil {
		f.Fatal(err)
	}
	msg, third, err := Modern().AnswerUpgrade(tr.bobs, tr.bob, tr.alice.Public().Agreement, first)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(first)
	f.Add(msg)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		Modern().AnswerUpgrade(tr.bobs, tr.bob, tr.alice.Public().Agreement, b)
		if _, _, err := second(b); err == nil && !bytes.Equal(b, msg) {
			t.Errorf("second took %x, which bob did not write", b)
		}
		if _, err := third(b); err == nil {
			t.Errorf("third took %x, which alice did not write", b)
		}
	})
}

func BenchmarkSession(b *testing.B) {
	s := Modern()
	alice, bob := testKeys(b, "alice"), testKeys(b, "bob")
	payload := make([]byte, 300)
	for b.Loop() {
		hello, finish, err := s.Initiate(binding, alice, bob.Public().Agreement, payload)
		if err != nil {
			b.Fatal(err)
		}
		_, _, reply, err := s.Respond(binding, bob, hello)
		if err != nil {
			b.Fatal(err)
		}
		msg, _, err := reply(nil)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := finish(msg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRespond(b *testing.B) {
	tr := agree(b)
	for b.Loop() {
		_, _, reply, err := Modern().Respond(binding, tr.bob, tr.hello)
		if err != nil {
			b.Fatal(err)
		}
		if _, _, err := reply(nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkUpgrade(b *testing.B) {
	tr := agree(b)
	_, alices, err := tr.finish(tr.reply)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		upgrade(b, seeded("alice"), seeded("bob"), alices, tr.bobs, tr.alice, tr.bob)
	}
}
