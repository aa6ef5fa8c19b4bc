package suite

import (
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"io"

	"github.com/linnet-p2p/linnet/wire/message"
)

// The old network needed four messages for what is one each way here (W7.6,
// packets 43 to 57), because the caller knows the callee's key from the directory.
// Objects that it had keep their ids.
//
//	caller  {0/3 id, 1/9 challenge, 4/6 nonce under the callee's key, 4/4000 sealed}
//	        sealed, under the caller's nonce, salt 0:
//	        {4/4001 caller's modulus, 4/4002 signature, 4/4003 payload}
//	callee  {0/3 id, 4/6 nonce under the caller's key, 4/A signed challenge, 4/4000 payload, sealed under the callee's nonce, salt 1}
//
// A nonce is the byte 01 and 127 random ones, encrypted with raw RSA. Sealed is
// what protect makes under the key derived from a nonce. The caller's signature
// covers network, responder, id (2), challenge (8), 4/6 and payload; the callee
// signs the challenge and the byte 01, and nothing else. Half of the key of the
// session is the beginning of SHA-1(00000000, nonce), caller's before callee's;
// the ids are the salts.
type classicHello struct {
	ID        uint32 `obj:"0/3"`
	Challenge uint64 `obj:"1/9"`
	Nonce     []byte `obj:"4/6"`
	Sealed    []byte `obj:"4/4000"`
}

type classicCaller struct {
	Modulus   []byte `obj:"4/4001"`
	Signature []byte `obj:"4/4002"`
	Payload   []byte `obj:"4/4003"`
}

type classicReply struct {
	ID        uint32 `obj:"0/3"`
	Nonce     []byte `obj:"4/6"`
	Challenge []byte `obj:"4/a"` // signed
	Sealed    []byte `obj:"4/4000"`
}

// forClassicCaller is the purpose of the caller's signature.
const forClassicCaller Purpose = "linnet/1 classic caller"

func (classic) HelloOverhead() int { return 440 } // three numbers of RSA, and the objects around them

// nonce draws an id and a nonce, and encrypts it.
func (c classic) nonce(peer []byte) (id uint16, nonce, hidden []byte, err error) {
	b := make([]byte, 2+classicUser)
	if _, err := io.ReadFull(c.rand, b); err != nil {
		return 0, nil, nil, err
	}
	id, nonce = binary.BigEndian.Uint16(b), b[2:]
	nonce[0] = 1
	if len(peer) != classicUser {
		return 0, nil, nil, ErrMalformed
	}
	hidden, err = rsaPublic(peer, nonce)
	return id, nonce, hidden, err
}

// reveal decrypts a nonce.
func (k *classicKeys) reveal(hidden []byte) ([]byte, error) {
	nonce, err := k.rsa.private(hidden)
	if err == nil && nonce[0] != 1 {
		err = ErrForged
	}
	return nonce, err
}

func (b Binding) classicSigned(h *classicHello, payload []byte) []byte {
	s := append(b.Network[:len(b.Network):len(b.Network)], b.Responder[:]...)
	s = binary.BigEndian.AppendUint16(s, uint16(h.ID))
	s = binary.BigEndian.AppendUint64(s, h.Challenge)
	return append(append(s, h.Nonce...), payload...)
}

// signedChallenge is what the callee's block holds.
func signedChallenge(challenge uint64) []byte {
	return append(binary.BigEndian.AppendUint64(nil, challenge), 1)
}

func (c classic) Initiate(b Binding, own Keys, peer []byte, payload []byte) ([]byte, func([]byte) ([]byte, *Traffic, error), error) {
	k, ok := own.(*classicKeys)
	if !ok {
		return nil, nil, errKeys
	}
	id, nonce, hidden, err := c.nonce(peer)
	if err != nil {
		return nil, nil, fmt.Errorf("suite: initiate: %w", err)
	}
	var challenge [8]byte
	if _, err := io.ReadFull(c.rand, challenge[:]); err != nil {
		return nil, nil, fmt.Errorf("suite: initiate: %w", err)
	}
	h := classicHello{ID: uint32(id), Challenge: binary.BigEndian.Uint64(challenge[:]), Nonce: hidden}
	inside := classicCaller{Modulus: k.rsa.modulus(), Payload: payload}
	if inside.Signature, err = k.Sign(forClassicCaller, b.classicSigned(&h, payload)); err != nil {
		return nil, nil, err
	}
	key := deriveClassic(nonce)
	h.Sealed = protect(aesClassic(&key), saltRequest, 0, message.Marshal(&inside))
	msg := message.Marshal(&h)
	peer = bytes.Clone(peer)
	finish := func(reply []byte) ([]byte, *Traffic, error) {
		var r classicReply
		if err := unmarshal(reply, &r); err != nil {
			return nil, nil, fmt.Errorf("suite: finish: %w", err)
		}
		if r.ID > 0xffff || !verifiesBlock(peer, signedChallenge(h.Challenge), r.Challenge) {
			return nil, nil, fmt.Errorf("suite: finish: %w", ErrForged)
		}
		theirs, err := k.reveal(r.Nonce)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: finish: %w", err)
		}
		key := deriveClassic(theirs)
		payload, err := unprotect(aesClassic(&key), saltReply, 0, r.Sealed)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: finish: %w", err)
		}
		return payload, classicTraffic(nonce, theirs, id, uint16(r.ID), msg, reply), nil
	}
	return msg, finish, nil
}

func (c classic) Respond(b Binding, own Keys, msg []byte) ([]byte, []byte, func([]byte) ([]byte, *Traffic, error), error) {
	k, ok := own.(*classicKeys)
	if !ok {
		return nil, nil, nil, errKeys
	}
	var h classicHello
	if err := unmarshal(msg, &h); err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	nonce, err := k.reveal(h.Nonce)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	key := deriveClassic(nonce)
	inside, err := unprotect(aesClassic(&key), saltRequest, 0, h.Sealed)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	var caller classicCaller
	if err := unmarshal(inside, &caller); err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	peer := caller.Modulus
	if h.ID > 0xffff || len(peer) != classicUser {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", ErrMalformed)
	}
	if err := c.Verify(peer, forClassicCaller, b.classicSigned(&h, caller.Payload), caller.Signature); err != nil {
		return nil, nil, nil, fmt.Errorf("suite: respond: %w", err)
	}
	msg = bytes.Clone(msg)
	reply := func(payload []byte) ([]byte, *Traffic, error) {
		id, own, hidden, err := c.nonce(peer)
		if err != nil {
			return nil, nil, fmt.Errorf("suite: reply: %w", err)
		}
		r := classicReply{ID: uint32(id), Nonce: hidden}
		block, _ := isoBlock(k.rsa.size(), signedChallenge(h.Challenge))
		if r.Challenge, err = k.rsa.private(block); err != nil {
			return nil, nil, fmt.Errorf("suite: reply: %w", err)
		}
		key := deriveClassic(own)
		r.Sealed = protect(aesClassic(&key), saltReply, 0, bytes.Clone(payload))
		answer := message.Marshal(&r)
		t := classicTraffic(nonce, own, uint16(h.ID), id, msg, answer)
		t.Send, t.Receive = t.Receive, t.Send
		t.SendSalt, t.ReceiveSalt = t.ReceiveSalt, t.SendSalt
		return answer, t, nil
	}
	return caller.Payload, peer, reply, nil
}

// classicTraffic is the caller's.
func classicTraffic(caller, callee []byte, callerID, calleeID uint16, msg, reply []byte) *Traffic {
	t := &Traffic{SendSalt: uint32(callerID)<<16 | uint32(calleeID)}
	t.ReceiveSalt = ^t.SendSalt
	copy(t.Send[:], expandClassic(caller, sha1.Size)[:16])
	copy(t.Send[16:], expandClassic(callee, sha1.Size)[:16])
	t.Receive = t.Send
	t.Hash = sha256.Sum256(append(bytes.Clone(msg), reply...))
	return t
}

// Upgrade has no step to offer.
func (classic) Upgrade(*Traffic, Keys, []byte) ([]byte, func([]byte) ([]byte, *Traffic, error), error) {
	return nil, nil, nil
}

// AnswerUpgrade is the other half of nothing.
func (classic) AnswerUpgrade(_ *Traffic, _ Keys, _, first []byte) ([]byte, func([]byte) (*Traffic, error), error) {
	if len(first) > 0 {
		return nil, nil, fmt.Errorf("suite: upgrade of a classic session: %w", ErrMalformed)
	}
	return nil, nil, nil
}
