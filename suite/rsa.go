package suite

import (
	"crypto/rand"
	"crypto/rsa"
	"fmt"
	"math/big"
)

// Raw RSA: a number to the power of the exponent, and nothing else. crypto/rsa
// makes the keys, but it does nothing without the padding that the old network
// did without, to its cost: see the table at Classic. Nor does this run in
// constant time, as crypto/rsa would.

// rsaExponent is the public exponent of all keys.
const rsaExponent = 65537

var bigExponent = big.NewInt(rsaExponent)

// rsaKey is a private key with what the Chinese remainder theorem needs: it
// makes the exponentiation four times as fast.
type rsaKey struct {
	n, p, q, dp, dq, qInv *big.Int
}

func newRSA(bits int) (*rsaKey, error) {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		return nil, fmt.Errorf("suite: new RSA key: %w", err)
	}
	return rsaOf(k.Primes[0], k.Primes[1])
}

// rsaOf makes a key of its primes. Numbers that are none, or go badly together,
// give no working key and are refused.
func rsaOf(p, q *big.Int) (*rsaKey, error) {
	one := big.NewInt(1)
	if p.Cmp(one) <= 0 || q.Cmp(one) <= 0 || p.Cmp(q) == 0 || p.Bit(0) == 0 || q.Bit(0) == 0 {
		return nil, fmt.Errorf("suite: RSA key: %w", ErrMalformed)
	}
	k := &rsaKey{n: new(big.Int).Mul(p, q), p: p, q: q, qInv: new(big.Int).ModInverse(q, p)}
	k.dp = new(big.Int).ModInverse(bigExponent, new(big.Int).Sub(p, one))
	k.dq = new(big.Int).ModInverse(bigExponent, new(big.Int).Sub(q, one))
	if k.qInv == nil || k.dp == nil || k.dq == nil || k.n.BitLen()%8 != 0 {
		return nil, fmt.Errorf("suite: RSA key: %w", ErrMalformed)
	}
	probe := make([]byte, k.size())
	probe[k.size()-1] = 3
	there, err := k.private(probe)
	if err == nil {
		there, err = rsaPublic(k.modulus(), there)
	}
	if err != nil || string(there) != string(probe) {
		return nil, fmt.Errorf("suite: RSA key: %w", ErrMalformed)
	}
	return k, nil
}

func (k *rsaKey) size() int       { return k.n.BitLen() / 8 }
func (k *rsaKey) modulus() []byte { return k.n.Bytes() }

// private is what only the key's owner can do: sign a block, or decrypt. All
// numbers are big-endian and as long as the modulus.
func (k *rsaKey) private(b []byte) ([]byte, error) {
	c, err := rsaNumber(k.n, b)
	if err != nil {
		return nil, err
	}
	mp := new(big.Int).Exp(new(big.Int).Mod(c, k.p), k.dp, k.p)
	mq := new(big.Int).Exp(new(big.Int).Mod(c, k.q), k.dq, k.q)
	h := mp.Sub(mp, mq)
	h.Mul(h, k.qInv).Mod(h, k.p)
	return h.Mul(h, k.q).Add(h, mq).FillBytes(make([]byte, len(b))), nil
}

// rsaPublic is what everybody can do: verify, or encrypt.
func rsaPublic(modulus, b []byte) ([]byte, error) {
	if !validModulus(modulus) {
		return nil, fmt.Errorf("suite: RSA modulus: %w", ErrMalformed)
	}
	n := new(big.Int).SetBytes(modulus)
	c, err := rsaNumber(n, b)
	if err != nil {
		return nil, err
	}
	return c.Exp(c, bigExponent, n).FillBytes(make([]byte, len(b))), nil
}

// rsaNumber reads a number below n in n's length.
func rsaNumber(n *big.Int, b []byte) (*big.Int, error) {
	c := new(big.Int).SetBytes(b)
	if len(b) != (n.BitLen()+7)/8 || c.Cmp(n) >= 0 {
		return nil, fmt.Errorf("suite: RSA: number out of range: %w", ErrMalformed)
	}
	return c, nil
}

// validModulus says whether bytes can be a modulus of their full length.
func validModulus(b []byte) bool {
	return len(b) > 0 && b[0]&0x80 != 0 && b[len(b)-1]&1 != 0
}
