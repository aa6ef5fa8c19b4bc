package login_test

// The classic suite a second time, written from docs/protocol.md (sections 4 and
// 5) and the standard library alone: what classic_independent_test.go logs in
// with, and the examples of the document.

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Section 4: object lists. Keys are written as the document writes them, kind
// and hexadecimal id: 4/4005. Kinds 2 and 5 have no place in a login. parse
// panics at what it cannot read; the real other side is to send nothing such.

type object struct {
	key   string
	value any
}

type list []object

func (l list) get(key string) any {
	if i := slices.IndexFunc(l, func(o object) bool { return o.key == key }); i >= 0 {
		return l[i].value
	}
	return nil
}

func (l list) keys() (keys string) {
	for _, o := range l {
		keys += o.key + " "
	}
	return strings.TrimSpace(keys)
}

func (l list) bytes() []byte {
	b := binary.AppendUvarint([]byte{0x41}, uint64(len(l)))
	for _, o := range l {
		id, _ := strconv.ParseUint(o.key[2:], 16, 32)
		b = binary.AppendUvarint(append(b, o.key[0]-'0'), id)
		switch v := o.value.(type) {
		case uint32:
			b = binary.AppendUvarint(b, uint64(v))
		case uint64:
			b = binary.BigEndian.AppendUint64(b, v)
		case string:
			b = append(append(b, v...), 0)
		case []byte:
			b = append(binary.AppendUvarint(b, uint64(len(v))), v...)
		case []uint32:
			b = binary.AppendUvarint(b, uint64(len(v)))
			for _, n := range v {
				b = binary.AppendUvarint(b, uint64(n))
			}
		}
	}
	return b
}

// parse reads a list and returns what follows it.
func parse(b []byte) (l list, rest []byte) {
	take := func(n uint64) (taken []byte) { taken, b = b[:n], b[n:]; return taken }
	number := func() uint64 {
		v, n := binary.Uvarint(b)
		take(uint64(n))
		return v
	}
	if take(1)[0] != 0x41 {
		panic("no object list")
	}
	for range number() {
		kind := take(1)[0]
		o := object{key: fmt.Sprintf("%d/%X", kind, number())}
		switch kind {
		case 0:
			o.value = uint32(number())
		case 1:
			o.value = binary.BigEndian.Uint64(take(8))
		case 3:
			o.value = string(take(uint64(bytes.IndexByte(b, 0))))
			take(1)
		case 4:
			o.value = take(number())
		case 6:
			numbers := make([]uint32, number())
			for i := range numbers {
				numbers[i] = uint32(number())
			}
			o.value = numbers
		default:
			panic("unknown kind")
		}
		l = append(l, o)
	}
	return l, b
}

// Section 5, "RSA", "Block": numbers, blocks, signatures, certificates.

type rsaKey struct{ n, d *big.Int }

var e = big.NewInt(65537)

func newRSAKey(t *testing.T, bits int) rsaKey {
	k, err := rsa.GenerateKey(rand.Reader, bits)
	if err != nil {
		t.Fatal(err)
	}
	return rsaKey{k.N, k.D}
}

func publicKey(modulus []byte) rsaKey { return rsaKey{n: new(big.Int).SetBytes(modulus)} }

func (k rsaKey) modulus() []byte { return k.n.Bytes() }
func (k rsaKey) size() int       { return len(k.modulus()) }

func (k rsaKey) power(number []byte, exponent *big.Int) []byte {
	return new(big.Int).Exp(new(big.Int).SetBytes(number), exponent, k.n).FillBytes(make([]byte, k.size()))
}

// block is the message as long as a modulus, and what did not fit.
func block(size int, message []byte) (b, rest []byte) {
	sum := sha1.Sum(message)
	if fill := size - 23 - len(message); fill >= 0 {
		b = append(append([]byte{0x4b}, bytes.Repeat([]byte{0xbb}, fill)...), 0xba)
	} else {
		b, message, rest = []byte{0x6a}, message[:size-22], message[size-22:]
	}
	return slices.Concat(b, message, sum[:], []byte{0xbc}), rest
}

func (k rsaKey) sign(purpose string, message []byte) []byte {
	b, _ := block(k.size(), slices.Concat([]byte(purpose), []byte{0}, message))
	return k.power(b, k.d)
}

func (k rsaKey) verify(purpose string, message, signature []byte) bool {
	b, _ := block(k.size(), slices.Concat([]byte(purpose), []byte{0}, message))
	return bytes.Equal(k.power(signature, e), b)
}

// head is section 1's daily head, of an authority that has revoked nobody.
func (k rsaKey) head(now uint32) []byte {
	revoked := sha256.Sum256(nil)
	body := list{{"0/0", now}, {"1/1", uint64(1)}, {"4/2", revoked[:]}, {"1/3", uint64(1)}}.bytes()
	return list{{"4/0", body}, {"4/1", k.sign(purposeHead, body)}}.bytes()
}

func (k rsaKey) certify(certificate list) []byte {
	b, rest := block(k.size(), certificate.bytes())
	return slices.Concat([]byte{0, 0, 0, 1}, k.power(b, k.d), rest)
}

// openCertificate knows only the form with a rest: none is short enough for the other.
func (k rsaKey) openCertificate(t *testing.T, b []byte) list {
	t.Helper()
	plain := k.power(b[4:4+k.size()], e)
	message := slices.Concat(plain[1:k.size()-21], b[4+k.size():])
	want, _ := block(k.size(), message)
	if !bytes.Equal(b[:4], []byte{0, 0, 0, 1}) || !bytes.Equal(plain, want) {
		t.Fatalf("certificate %x holds the block %x, want %x", b, plain, want)
	}
	certificate, rest := parse(message)
	if len(rest) > 0 {
		t.Errorf("%x follows the list of the certificate", rest)
	}
	return certificate
}

// Section 5, "SHA-1 in counter mode", "Protection", "Login (classic)": records.

func expand(seed []byte, n int) (x []byte) {
	for i := uint32(0); len(x) < n; i++ {
		sum := sha1.Sum(append(binary.BigEndian.AppendUint32(nil, i), seed...))
		x = append(x, sum[:]...)
	}
	return x[:n]
}

// A direction's salt; its index is 0.
const fromClient, fromServer = 0, 1

func crypt(k []byte, salt byte, text []byte) []byte {
	aesKey, err := aes.NewCipher(expand(k, 32))
	if err != nil {
		panic(err)
	}
	counter := [16]byte{3: salt, 7: salt}
	out := make([]byte, len(text))
	cipher.NewCTR(aesKey, counter[:]).XORKeyStream(out, text)
	return out
}

func check(ciphertext []byte) []byte {
	return binary.LittleEndian.AppendUint16(nil, uint16(^crc32.ChecksumIEEE(ciphertext)))
}

func protect(k []byte, salt byte, plain []byte) []byte {
	ciphertext := crypt(k, salt, plain)
	return append(ciphertext, check(ciphertext)...)
}

func unprotect(k []byte, salt byte, b []byte) ([]byte, error) {
	end := len(b) - 2
	if end < 0 || !bytes.Equal(check(b[:end]), b[end:]) {
		return nil, fmt.Errorf("wrong check: %x", b)
	}
	return crypt(k, salt, b[:end]), nil
}

func record(kind byte, body []byte) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{kind, 3, 1}, uint16(len(body))), body...)
}

func readRecord(r io.Reader, kind byte) ([]byte, error) {
	header := make([]byte, 5)
	if _, err := io.ReadFull(r, header); err != nil {
		return nil, err
	}
	if want := []byte{kind, 3, 1}; !bytes.Equal(header[:3], want) {
		return nil, fmt.Errorf("record %x, want %x", header, want)
	}
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	_, err := io.ReadFull(r, body)
	return body, err
}

func secretOf(user, password string) []byte {
	sum := md5.Sum([]byte(user + "\nskyper\n" + password))
	return sum[:]
}

func random(n int) []byte {
	b := make([]byte, n)
	rand.Read(b)
	return b
}

func minutes(t time.Time) uint32 { return uint32(t.Unix() / 60) }

const (
	codeLogin    = uint32(0x1399)
	codeRegister = uint32(0x4001)
	granted      = uint32(4200) // refused: plus a failure code of section 4
	nameTaken    = granted + 6
	badPassword  = granted + 7

	purposeRequest = "linnet/1 login request"
	purposeHead    = "linnet/1 daily head"

	certificateKeys = "3/0 0/3 4/1 0/4 3/4000 0/4001 1/4002 4/4003"
)

// The examples of section 5, worked out a second time.
func TestClassicExamplesOfDocument(t *testing.T) {
	short, _ := block(30, []byte("abc"))
	long, rest := block(30, []byte("abcdefghi"))
	seed, _ := hex.DecodeString("84857bbcd2749582677dbe0b6a932ba4052055bb20cb3586")
	k := append([]byte{1}, expand(seed, 191)...)
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"short block", short, "4bbbbbbbbbba616263a9993e364706816aba3e25717850c26c9cd0d89dbc"},
		{"long block", long, "6a6162636465666768c63b19f1e4c8b5f76b25c49b8b87f57d8e4872a1bc"},
		{"rest", rest, "69"},
		{"K begins", k[:24], "01d455856d3fb054049667b75c1538c2d83d873c2e85a564"},
		{"K ends", k[184:], "51fb61beee2701b2"},
		{"AES key", expand(k, 32), "17ee80c572971f5e034065e03abede47316f746da7efb8370970735020aae4ff"},
		{"keystream of the request", crypt(k, fromClient, make([]byte, 9)), "0e020cb15535e1662d"},
		{"keystream of the answer", crypt(k, fromServer, make([]byte, 9)), "063917c01f8bc0c623"},
		{"secret", secretOf("alice", "correct horse"), "d2af83892c03165554755feebe94e134"},
	} {
		if got := hex.EncodeToString(tt.got); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}
