package suite

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/mlkem"
	"errors"
	"fmt"
	"io"

	"github.com/flynn/noise"
	"golang.org/x/crypto/curve25519"
)

// Prologues of the two Noise handshakes. The first one is followed by the
// network id and the responder's NodeID; the second one by the Hash of the
// session's traffic, the encapsulation key and the ciphertext. All of these
// have fixed lengths.
const (
	sessionPrologue = "linnet/1"
	upgradePrologue = "linnet/1 upgrade"
)

var errKeys = errors.New("suite: keys of another suite")

func noiseSuite() noise.CipherSuite {
	return noise.NewCipherSuite(noise.DH25519, noise.CipherAESGCM, noise.HashSHA256)
}

func (m modern) handshake(b Binding, own Keys, peer []byte, initiator bool) (*noise.HandshakeState, error) {
	k, ok := own.(*modernKeys)
	if !ok {
		return nil, errKeys
	}
	prologue := append([]byte(sessionPrologue), b.Network[:]...)
	prologue = append(prologue, b.Responder[:]...)
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:   noiseSuite(),
		Random:        m.rand,
		Pattern:       noise.HandshakeIK,
		Initiator:     initiator,
		Prologue:      prologue,
		StaticKeypair: k.agreement,
		PeerStatic:    peer,
	})
}

func (m modern) Initiate(b Binding, own Keys, peer []byte, payload []byte) ([]byte, func([]byte) ([]byte, *Traffic, error), error) {
	hs, err := m.handshake(b, own, peer, true)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: initiate: %w", err)
	}
	msg, _, _, err := hs.WriteMessage(nil, payload)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: initiate: %w", err)
	}
	finish := func(reply []byte) ([]byte, *Traffic, error) {
		payload, first, second, err := readLast(hs, reply)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: finish: %w", err)
		}
		return payload, traffic(first, second, hs), nil
	}
	return msg, finish, nil
}

func (m modern) Respond(b Binding, own Keys, msg []byte) ([]byte, []byte, func([]byte) ([]byte, *Traffic, error), error) {
	hs, err := m.handshake(b, own, nil, false)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	payload, _, _, err := hs.ReadMessage(nil, msg)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	reply := func(payload []byte) ([]byte, *Traffic, error) {
		msg, first, second, err := hs.WriteMessage(nil, payload)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: reply: %w", err)
		}
		return msg, traffic(second, first, hs), nil
	}
	return payload, hs.PeerStatic(), reply, nil
}

// The messages of an upgrade:
//
//	first   encapsulation key [1184]byte
//	second  ciphertext [1088]byte | Noise_KKpsk0 message 1 [48]byte
//	third   Noise_KKpsk0 message 2 [48]byte
//
// The answerer is the Noise initiator, since it is the first to know the
// ML-KEM secret.
func (m modern) upgrade(now *Traffic, own Keys, peer, key, ciphertext, secret []byte, initiator bool) (*noise.HandshakeState, error) {
	k, ok := own.(*modernKeys)
	if !ok {
		return nil, errKeys
	}
	prologue := append([]byte(upgradePrologue), now.Hash[:]...)
	prologue = append(prologue, key...)
	prologue = append(prologue, ciphertext...)
	return noise.NewHandshakeState(noise.Config{
		CipherSuite:           noiseSuite(),
		Random:                m.rand,
		Pattern:               noise.HandshakeKK,
		Initiator:             initiator,
		Prologue:              prologue,
		PresharedKey:          secret,
		PresharedKeyPlacement: 0,
		StaticKeypair:         k.agreement,
		PeerStatic:            peer,
	})
}

func (m modern) Upgrade(now *Traffic, own Keys, peer []byte) ([]byte, func([]byte) ([]byte, *Traffic, error), error) {
	seed := make([]byte, mlkem.SeedSize)
	if _, err := io.ReadFull(m.rand, seed); err != nil {
		return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
	}
	key, err := mlkem.NewDecapsulationKey768(seed)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
	}
	first := key.EncapsulationKey().Bytes()
	session := *now
	second := func(msg []byte) ([]byte, *Traffic, error) {
		if len(msg) < mlkem.CiphertextSize768 {
			return nil, nil, fmt.Errorf("suite: upgrade: %w", ErrMalformed)
		}
		ciphertext, msg := msg[:mlkem.CiphertextSize768], msg[mlkem.CiphertextSize768:]
		secret, err := key.Decapsulate(ciphertext)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
		}
		hs, err := m.upgrade(&session, own, peer, first, ciphertext, secret, false)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
		}
		if err := readEmpty(hs.ReadMessage(nil, msg)); err != nil {
			return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
		}
		third, initiator, responder, err := hs.WriteMessage(nil, nil)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: upgrade: %w", err)
		}
		return third, traffic(responder, initiator, hs), nil
	}
	return first, second, nil
}

func (m modern) AnswerUpgrade(now *Traffic, own Keys, peer []byte, first []byte) ([]byte, func([]byte) (*Traffic, error), error) {
	key, err := mlkem.NewEncapsulationKey768(first)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: answer upgrade: %w", err)
	}
	secret, ciphertext := key.Encapsulate()
	hs, err := m.upgrade(now, own, peer, first, ciphertext, secret, true)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: answer upgrade: %w", err)
	}
	msg, _, _, err := hs.WriteMessage(nil, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: answer upgrade: %w", err)
	}
	third := func(msg []byte) (*Traffic, error) {
		payload, initiator, responder, err := readLast(hs, msg)
		if err := readEmpty(payload, nil, nil, err); err != nil {
			return nil, fmt.Errorf("suite: answer upgrade: %w", err)
		}
		return traffic(initiator, responder, hs), nil
	}
	return append(ciphertext, msg...), third, nil
}

// readLast reads the message that ends a handshake. It may be called again
// after an error: anybody on the way can send a forged answer before the true
// one, which then has to be as good as ever. The handshake undoes a failed
// decryption by itself, but not a failed agreement, so the share is tried first.
func readLast(hs *noise.HandshakeState, msg []byte) (payload []byte, initiator, responder *noise.CipherState, err error) {
	if len(msg) < curve25519.PointSize {
		return nil, nil, nil, ErrMalformed
	}
	if _, err := curve25519.X25519(hs.LocalEphemeral().Private, msg[:curve25519.PointSize]); err != nil {
		return nil, nil, nil, err
	}
	return hs.ReadMessage(nil, msg)
}

// readEmpty takes the results of reading a message that carries nothing.
func readEmpty(payload []byte, _, _ *noise.CipherState, err error) error {
	if err == nil && len(payload) > 0 {
		return ErrMalformed
	}
	return err
}

func traffic(send, receive *noise.CipherState, hs *noise.HandshakeState) *Traffic {
	return &Traffic{
		Send:    send.UnsafeKey(),
		Receive: receive.UnsafeKey(),
		Hash:    [32]byte(hs.ChannelBinding()),
	}
}

// helloOverhead is what message 1 of Noise_IK adds: an ephemeral key, the static
// key and its tag, the payload's tag.
const helloOverhead = 32 + 32 + 16 + 16

func (modern) HelloOverhead() int  { return helloOverhead }
func (modern) PacketOverhead() int { return PacketOverhead }

func (modern) AEAD(key *[32]byte, _ uint32) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, fmt.Errorf("suite: packet cipher: %w", err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, fmt.Errorf("suite: packet cipher: %w", err)
	}
	return aead, nil
}
