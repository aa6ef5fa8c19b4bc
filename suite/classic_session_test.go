package suite

import (
	"bytes"
	"errors"
	"testing"

	"pgregory.net/rapid"
)

// A classicTranscript is one session agreement between alice, who begins, and bob.
type classicTranscript struct {
	alice, bob Keys
	hello      []byte
	finish     func([]byte) ([]byte, *Traffic, error)
	reply      []byte
	bobs       *Traffic
}

func agreeClassic(t testing.TB) classicTranscript {
	t.Helper()
	tr := classicTranscript{alice: classicTestKeys(t, "alice"), bob: classicTestKeys(t, "bob")}
	var err error
	tr.hello, tr.finish, err = classicSeeded("hello").Initiate(binding, tr.alice, tr.bob.Public().Agreement, []byte("alice's certificate"))
	if err != nil {
		t.Fatal(err)
	}
	payload, peer, reply, err := classicSeeded("reply").Respond(binding, tr.bob, tr.hello)
	if err != nil || string(payload) != "alice's certificate" || !bytes.Equal(peer, tr.alice.Public().Agreement) {
		t.Fatalf("Respond = %q, %x, %v", payload, peer, err)
	}
	if tr.reply, tr.bobs, err = reply([]byte("bob's tag")); err != nil {
		t.Fatal(err)
	}
	return tr
}

func TestClassicSession(t *testing.T) {
	tr := agreeClassic(t)
	payload, alices, err := tr.finish(tr.reply)
	if err != nil || string(payload) != "bob's tag" {
		t.Fatalf("finish = %q, %v", payload, err)
	}
	if alices.Send != tr.bobs.Send || alices.Receive != alices.Send || tr.bobs.Receive != alices.Send {
		t.Error("more than one key")
	}
	if alices.SendSalt != tr.bobs.ReceiveSalt || alices.ReceiveSalt != tr.bobs.SendSalt || alices.SendSalt != ^alices.ReceiveSalt {
		t.Errorf("salts %08x %08x, %08x %08x", alices.SendSalt, alices.ReceiveSalt, tr.bobs.SendSalt, tr.bobs.ReceiveSalt)
	}
	if alices.Hash != tr.bobs.Hash {
		t.Error("the ends saw two exchanges")
	}
	pin(t, "classic-session-hello", tr.hello)
	pin(t, "classic-session-reply", tr.reply)
	pin(t, "classic-session-key", alices.Send[:])
	if n := len(tr.hello) - len("alice's certificate"); n > Classic().HelloOverhead() {
		t.Errorf("a hello adds %d bytes", n)
	}
	if len(tr.reply) > len(tr.hello) {
		t.Errorf("a reply of %d bytes to a hello of %d", len(tr.reply), len(tr.hello))
	}
}

// However long payload and certificate are, the bound of a hello holds.
func TestClassicHelloOverhead(t *testing.T) {
	alice, bob := classicTestKeys(t, "alice"), classicTestKeys(t, "bob").Public().Agreement
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 0, 1000).Draw(t, "payload")
		hello, _, err := Classic().Initiate(binding, alice, bob, payload)
		if err != nil || len(hello)-len(payload) > Classic().HelloOverhead() {
			t.Fatalf("%d bytes for %d, %v", len(hello), len(payload), err)
		}
	})
}

func TestClassicRespondRefuses(t *testing.T) {
	tr := agreeClassic(t)
	tests := []struct {
		name string
		b    Binding
		own  Keys
	}{
		{"another network", Binding{[16]byte{9}, binding.Responder}, tr.bob},
		{"another responder's id", Binding{binding.Network, [16]byte{9}}, tr.bob},
		{"another responder's keys", binding, classicTestKeys(t, "carol")},
		{"reflected to its sender", binding, tr.alice},
	}
	for _, tt := range tests {
		if _, _, _, err := Classic().Respond(tt.b, tt.own, tr.hello); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	for i := range tr.hello {
		changed := bytes.Clone(tr.hello)
		changed[i] ^= 1 << (i % 8)
		if payload, peer, _, err := Classic().Respond(binding, tr.bob, changed); err == nil {
			t.Fatalf("byte %d altered: %q of %x", i, payload, peer)
		}
	}
	if _, _, _, err := Classic().Respond(binding, testKeys(t, "bob"), tr.hello); !errors.Is(err, errKeys) {
		t.Errorf("modern keys: %v", err)
	}
}

// Who cannot sign the challenge is not taken for bob, and the true reply is as
// good as before.
func TestClassicFinishRefuses(t *testing.T) {
	tr := agreeClassic(t)
	stray, _, err := Classic().Initiate(binding, classicTestKeys(t, "carol"), tr.bob.Public().Agreement, nil)
	if err != nil {
		t.Fatal(err)
	}
	_, _, reply, err := Classic().Respond(binding, tr.bob, stray)
	if err != nil {
		t.Fatal(err)
	}
	toCarol, _, err := reply(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, forged := range [][]byte{nil, tr.hello, toCarol, tr.reply[:len(tr.reply)-1]} {
		if _, _, err := tr.finish(forged); err == nil {
			t.Errorf("took %x", forged)
		}
	}
	if _, _, err := tr.finish(tr.reply); err != nil {
		t.Errorf("the true reply: %v", err)
	}
}

// Without an upgrade there is nothing to say and nothing to take.
func TestClassicUpgrade(t *testing.T) {
	tr := agreeClassic(t)
	if first, second, err := Classic().Upgrade(tr.bobs, tr.alice, nil); first != nil || second != nil || err != nil {
		t.Errorf("Upgrade = %x, %v", first, err)
	}
	if second, third, err := Classic().AnswerUpgrade(tr.bobs, tr.bob, nil, nil); second != nil || third != nil || err != nil {
		t.Errorf("AnswerUpgrade = %x, %v", second, err)
	}
	if _, _, err := Classic().AnswerUpgrade(tr.bobs, tr.bob, nil, []byte{1}); !errors.Is(err, ErrMalformed) {
		t.Errorf("an upgrade of another suite: %v", err)
	}
}

// No forward secrecy: what was recorded is read by who gets both devices' keys,
// however much later.
func TestClassicSessionIsReadLater(t *testing.T) {
	tr := agreeClassic(t)
	aead, err := Classic().AEAD(&tr.bobs.Send, tr.bobs.SendSalt)
	if err != nil {
		t.Fatal(err)
	}
	recorded := SealPacket(nil, aead, 5, []byte("meet me at noon"))

	var hello classicHello
	var reply classicReply
	if err := errors.Join(unmarshal(tr.hello, &hello), unmarshal(tr.reply, &reply)); err != nil {
		t.Fatal(err)
	}
	callers, err := tr.bob.(*classicKeys).reveal(hello.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	callees, err := tr.alice.(*classicKeys).reveal(reply.Nonce)
	if err != nil {
		t.Fatal(err)
	}
	keys := classicTraffic(callers, callees, uint16(hello.ID), uint16(reply.ID), tr.hello, tr.reply)
	if aead, err = Classic().AEAD(&keys.Receive, keys.ReceiveSalt); err != nil {
		t.Fatal(err)
	}
	if plain, _, err := OpenPacket(nil, aead, recorded); err != nil || string(plain) != "meet me at noon" {
		t.Errorf("read %q, %v", plain, err)
	}
}

func FuzzClassicRespond(f *testing.F) {
	tr := agreeClassic(f)
	f.Add(tr.hello)
	f.Add(tr.reply)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		_, peer, reply, err := Classic().Respond(binding, tr.bob, b)
		if err != nil {
			return
		}
		if len(peer) != classicUser {
			t.Errorf("peer is %x", peer)
		}
		reply(nil)
	})
}

func FuzzClassicFinish(f *testing.F) {
	tr := agreeClassic(f)
	f.Add(tr.reply)
	f.Add(tr.hello)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) { tr.finish(b) })
}

func BenchmarkClassicSession(b *testing.B) {
	alice, bob := classicTestKeys(b, "alice"), classicTestKeys(b, "bob")
	for b.Loop() {
		hello, finish, err := Classic().Initiate(binding, alice, bob.Public().Agreement, make([]byte, 300))
		if err != nil {
			b.Fatal(err)
		}
		_, _, reply, err := Classic().Respond(binding, bob, hello)
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
