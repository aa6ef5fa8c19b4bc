package login_test

// The login of classic networks a second time, client and server, written from
// docs/protocol.md (sections 1, 4 and 5) and the standard library alone. Package
// suite appears only to make what the real other side needs to run: an
// authority, a descriptor, a device's keys.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"crypto/rand"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/suite"
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
	for one := big.NewInt(1); ; {
		p, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			t.Fatal(err)
		}
		q, err := rand.Prime(rand.Reader, bits/2)
		if err != nil {
			t.Fatal(err)
		}
		phi := new(big.Int).Mul(new(big.Int).Sub(p, one), new(big.Int).Sub(q, one))
		if d := new(big.Int).ModInverse(e, phi); d != nil {
			return rsaKey{new(big.Int).Mul(p, q), d}
		}
	}
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
	body := make([]byte, binary.BigEndian.Uint16(header[3:]))
	if want := []byte{kind, 3, 1}; !bytes.Equal(header[:3], want) {
		return nil, fmt.Errorf("record %x, want %x", header, want)
	}
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

// request is what the first role sends: all of the protected record.
func (k rsaKey) request(network []byte, code uint32, user, password, device string) []byte {
	b := list{{"0/0", code}, {"0/2", uint32(1)}, {"3/4", user}, {"4/5", secretOf(user, password)}}.bytes()
	b = append(b, list{
		{"4/21", k.modulus()}, {"1/31", uint64(1)}, {"3/36", "de"}, {"6/33", []uint32{1, 2, 3, 4, 1 << 31}},
		{"3/D", "0/2.5.0.151//"}, {"0/E", uint32(0xc0000207)},
		{"3/4000", device}, {"1/4001", uint64(time.Now().UnixMilli())}, {"4/4002", random(16)}, {"4/4005", make([]byte, 128)},
	}.bytes()...)
	return k.signRequest(network, b)
}

// signRequest replaces the last 128 bytes.
func (k rsaKey) signRequest(network, request []byte) []byte {
	unsigned := request[:len(request)-128]
	return append(slices.Clip(unsigned), k.sign(purposeRequest, slices.Concat(network, unsigned))...)
}

// logIn is a client's whole connection. It returns io.EOF if the server hangs up.
func logIn(addr netip.AddrPort, loginKey rsaKey, k []byte, protected []byte) (list, error) {
	conn, err := net.DialTimeout("tcp", addr.String(), 5*time.Second)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	conn.Write(record(0x16, nil))
	if _, err := readRecord(conn, 0x17); err != nil {
		return nil, err
	}
	hello := list{{"0/9", uint32(0x2000)}, {"4/8", loginKey.power(k, e)}, {"0/C", uint32(1)}}.bytes()
	conn.Write(append(record(0x16, hello), record(0x17, protected)...))
	answer, err := readRecord(conn, 0x17)
	if err != nil {
		return nil, err
	}
	plain, err := unprotect(k, fromServer, answer)
	if err != nil {
		return nil, err
	}
	if end, err := conn.Read(make([]byte, 1)); err != io.EOF {
		return nil, fmt.Errorf("after the answer: %d bytes, %v", end, err)
	}
	l, rest := parse(plain)
	if len(rest) > 0 {
		return nil, fmt.Errorf("%x follows the answer", rest)
	}
	return l, nil
}

func TestClassicLoginByIndependentClient(t *testing.T) {
	authority, err := suite.CreateAuthority("Museum", time.Now(), suite.AuthorityOptions{Suite: "classic", Policy: suite.Policy{
		Registration: suite.RegistrationOpen, Password: suite.PasswordParams{Time: 1, Memory: 64, Threads: 1}}})
	if err != nil {
		t.Fatal(err)
	}
	network, loginKey := authority.Descriptor.Network[:], publicKey(authority.Descriptor.Login)
	addr := serveReal(t, authority)
	device, second := newRSAKey(t, 1024), newRSAKey(t, 1024)
	newK := func() []byte { return append([]byte{1}, expand(random(24), 191)...) }
	send := func(request []byte) (list, error) {
		k := newK()
		return logIn(addr, loginKey, k, protect(k, fromClient, request))
	}

	register := device.request(network, codeRegister, "alice", "correct horse", "laptop")
	phone := second.request(network, codeLogin, "alice", "correct horse", "phone")
	for _, tt := range []struct {
		name, device string
		key          rsaKey
		request      []byte
		code         uint32
	}{
		{"wrong before there is an account", "", device, device.request(network, codeLogin, "alice", "correct horse", "laptop"), badPassword},
		{"register", "laptop", device, register, granted},
		{"log in on a second device", "phone", second, phone, granted},
		{"wrong password", "", device, device.request(network, codeLogin, "alice", "wrong horse", "laptop"), badPassword},
		{"name taken", "", second, second.request(network, codeRegister, "alice", "another horse", "phone"), nameTaken},
	} {
		before := minutes(time.Now())
		answer, err := send(tt.request)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		if answer.get("0/1") != tt.code {
			t.Fatalf("%s: answer %v, want code %d", tt.name, answer, tt.code)
		}
		if tt.code != granted {
			if text, _ := answer.get("3/4001").(string); text == "" || answer.get("4/24") != nil {
				t.Errorf("%s: answer %v, want a text and no certificate", tt.name, answer)
			}
			continue
		}
		certificate := loginKey.openCertificate(t, answer.get("4/24").([]byte))
		if certificate.keys() != certificateKeys {
			t.Errorf("%s: certificate of %s", tt.name, certificate.keys())
		}
		issued := certificate.get("0/4001").(uint32)
		if certificate.get("3/0") != "alice" || certificate.get("3/4000") != tt.device || certificate.get("0/3") != uint32(0) ||
			!bytes.Equal(certificate.get("4/1").([]byte), tt.key.modulus()) || len(certificate.get("4/4003").([]byte)) != 16 ||
			issued < before || issued > minutes(time.Now()) || certificate.get("0/4") != issued+30*24*60 {
			t.Errorf("%s: certificate %v", tt.name, certificate)
		}
		head, _ := parse(answer.get("4/4000").([]byte))
		if !loginKey.verify(purposeHead, head.get("4/0").([]byte), head.get("4/1").([]byte)) {
			t.Errorf("%s: the signature of the head is wrong", tt.name)
		}
	}

	good := func() []byte { return device.request(network, codeLogin, "alice", "correct horse", "laptop") }
	for name, try := range map[string]func() (list, error){
		"nonce repeated":           func() (list, error) { return send(phone) },
		"signed by another device": func() (list, error) { return send(second.signRequest(network, good())) },
		"for another network":      func() (list, error) { return send(device.signRequest(random(16), good())) },
		"K begins with 02": func() (list, error) {
			k := append([]byte{2}, random(191)...)
			return logIn(addr, loginKey, k, protect(k, fromClient, good()))
		},
		"a bit flipped": func() (list, error) {
			k := newK()
			protected := protect(k, fromClient, good())
			protected[20] ^= 1
			return logIn(addr, loginKey, k, protected)
		},
		"the server's own salt": func() (list, error) {
			k := newK()
			return logIn(addr, loginKey, k, protect(k, fromServer, good()))
		},
	} {
		if answer, err := try(); !errors.Is(err, io.EOF) {
			t.Errorf("%s: answer %v, %v, want the connection closed", name, answer, err)
		}
	}
	if answer, err := send(good()); err != nil || answer.get("0/1") != granted { // what the cases above have in common
		t.Errorf("an honest login: %v, %v", answer, err)
	}
}

// serveReal runs the login server of this package.
func serveReal(t *testing.T, authority *suite.Authority) netip.AddrPort {
	accounts, err := login.OpenAccounts(t.Context(), filepath.Join(t.TempDir(), "accounts.db"))
	if err != nil {
		t.Fatal(err)
	}
	server, err := login.NewServer(t.Context(), accounts, authority, login.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { listener.Close(); wg.Wait(); accounts.Close() })
	ctx := t.Context()
	wg.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				begin := make([]byte, 5)
				if _, err := io.ReadFull(conn, begin); err != nil || !login.IsClassic(begin) {
					t.Errorf("connection begins %x, %v", begin, err)
					return
				}
				server.ServeClassic(ctx, conn)
			})
		}
	})
	return listener.Addr().(*net.TCPAddr).AddrPort()
}

// serve is the other role: a login server's whole side of a connection. answer
// gets both lists of a request as one, spoil the protected answer.
func (k rsaKey) serve(conn net.Conn, network []byte, answer func(request list) list, spoil func(sessionKey, protected []byte) []byte) error {
	defer conn.Close()
	if body, err := readRecord(conn, 0x16); err != nil || len(body) > 0 {
		return fmt.Errorf("first record: %x, %v", body, err)
	}
	conn.Write(record(0x17, nil))
	body, err := readRecord(conn, 0x16)
	if err != nil {
		return err
	}
	hello, _ := parse(body)
	if len(body) != 0xcd || hello.keys() != "0/9 4/8 0/C" || hello.get("0/9") != uint32(0x2000) || hello.get("0/C") != uint32(1) {
		return fmt.Errorf("second record: %v", hello)
	}
	sessionKey := k.power(hello.get("4/8").([]byte), k.d)
	if body, err = readRecord(conn, 0x17); err != nil {
		return err
	}
	plain, err := unprotect(sessionKey, fromClient, body)
	if err != nil || sessionKey[0] != 1 {
		return fmt.Errorf("K = %x: %v", sessionKey, err)
	}
	who, rest := parse(plain)
	what, rest := parse(rest)
	if who.keys() != "0/0 0/2 3/4 4/5" || who.get("0/2") != uint32(1) || len(rest) > 0 ||
		what.keys() != "4/21 1/31 3/36 6/33 3/D 0/E 3/4000 1/4001 4/4002 4/4005" || len(what.get("4/4002").([]byte)) != 16 {
		return fmt.Errorf("request: %v, %v, %x", who, what, rest)
	}
	signed := slices.Concat(network, plain[:len(plain)-128])
	if !publicKey(what.get("4/21").([]byte)).verify(purposeRequest, signed, what.get("4/4005").([]byte)) {
		return errors.New("the request's signature is wrong")
	}
	if age := time.Now().UnixMilli() - int64(what.get("1/4001").(uint64)); age < 0 || age > 10_000 {
		return fmt.Errorf("request made %d ms ago", age)
	}
	protected := protect(sessionKey, fromServer, answer(append(who, what...)).bytes())
	_, err = conn.Write(record(0x17, spoil(sessionKey, protected)))
	return err
}

func TestClassicLoginAtIndependentServer(t *testing.T) {
	loginKey, stranger, otherDevice := newRSAKey(t, 1536), newRSAKey(t, 1536), newRSAKey(t, 1024)
	network := linnet.NetworkID(random(16))
	keys, err := suite.Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	now, salt := minutes(time.Now()), random(16)
	set := func(key string, value any) func(list) {
		return func(l list) { l[slices.IndexFunc(l, func(o object) bool { return o.key == key })].value = value }
	}
	mend := func(p []byte) []byte { return append(p[:len(p)-2], check(p[:len(p)-2])...) }
	for _, tt := range []struct {
		name   string
		signer rsaKey                                    // of the certificate; default the login key
		edit   func(certificate list)                    // before it is signed
		spoil  func(sessionKey, protected []byte) []byte // the answer
	}{
		{name: "good"},
		{name: "bit flipped", spoil: func(_, p []byte) []byte { p[40] ^= 1; return p }},
		{name: "bit of the certificate flipped, check mended", spoil: func(_, p []byte) []byte { p[40] ^= 1; return mend(p) }},
		{name: "under the client's salt", spoil: func(k, p []byte) []byte {
			plain, _ := unprotect(k, fromServer, p)
			return protect(k, fromClient, plain)
		}},
		{name: "signed by a stranger", signer: stranger},
		{name: "expired", edit: func(l list) { set("0/4001", now-31*24*60)(l); set("0/4", now-24*60)(l) }},
		{name: "for another user", edit: set("3/0", "mallory")},
		{name: "for another device", edit: set("3/4000", "phone")},
		{name: "for another key", edit: set("4/1", otherDevice.modulus())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			answer := func(request list) list {
				if secret := request.get("4/5").([]byte); request.get("3/4") != "alice" || !bytes.Equal(secret, secretOf("alice", "correct horse")) {
					return list{{"0/1", badPassword}, {"3/4001", "the name or the password is wrong"}}
				}
				certificate := list{{"3/0", "alice"}, {"0/3", uint32(0)}, {"4/1", request.get("4/21")}, {"0/4", now + 30*24*60},
					{"3/4000", request.get("3/4000")}, {"0/4001", now}, {"1/4002", uint64(42)}, {"4/4003", salt}}
				if tt.edit != nil {
					tt.edit(certificate)
				}
				return list{{"0/1", granted}, {"4/24", cmp.Or(tt.signer, loginKey).certify(certificate)}, {"4/4000", loginKey.head(now)}}
			}
			spoil := func(k, p []byte) []byte {
				if tt.spoil != nil {
					p = tt.spoil(k, p)
				}
				return p
			}
			client := login.Client{
				Descriptor: &suite.Descriptor{Suite: "classic", Network: network, Login: loginKey.modulus(),
					LoginServers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033")}},
				Dial: func(context.Context, netip.AddrPort) (net.Conn, error) {
					near, far := net.Pipe()
					wg.Go(func() {
						if err := loginKey.serve(far, network[:], answer, spoil); err != nil {
							t.Errorf("server: %v", err)
						}
					})
					return near, nil
				},
			}
			alice := linnet.Credentials{User: "alice", Password: "correct horse", Device: "laptop"}
			for name, call := range map[string]func(context.Context, linnet.Credentials, suite.Keys) (*login.Grant, error){
				"register": client.Register, "log in": client.Login,
			} {
				grant, err := call(t.Context(), alice, keys)
				if tt.name != "good" {
					if err == nil {
						t.Errorf("%s: accepted %+v", name, grant.Certificate)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				id := sha256.Sum256(slices.Concat(keys.Public().Signing, salt))
				c := grant.Certificate
				if c.User != "alice" || c.Device != "laptop" || !bytes.Equal(c.Signing, keys.Public().Signing) || c.Serial != 42 ||
					minutes(c.Issued) != now || minutes(c.Expires) != now+30*24*60 || c.NodeID() != linnet.NodeID(id[:16]) {
					t.Errorf("%s: certificate %+v", name, c)
				}
			}
			alice.Password = "wrong horse"
			if _, err := client.Login(t.Context(), alice, keys); tt.name == "good" && !errors.Is(err, login.ErrPassword) {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}
