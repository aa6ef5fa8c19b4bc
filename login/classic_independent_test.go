package login_test

// The login of classic networks a second time, client and server, written from
// docs/protocol.md alone (see classic_bytes_test.go). Package suite appears only
// to make what the real other side needs to run: an authority, a descriptor, a
// device's keys.

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/suite"
)

// machine is what the old client told of itself. It may be missing.
var machine = list{{"1/31", uint64(1)}, {"3/36", "de"}, {"6/33", []uint32{1, 2, 3, 4, 1 << 31}}, {"3/D", "0/2.5.0.151//"}, {"0/E", uint32(0xc0000207)}}

// request is what a client sends: all of the protected record.
func (k rsaKey) request(network []byte, code uint32, password, device string, machine list) []byte {
	who := list{{"0/0", code}, {"0/2", uint32(1)}, {"3/4", "alice"}, {"4/5", secretOf("alice", password)}}
	what := slices.Concat(list{{"4/21", k.modulus()}}, machine, list{{"3/4000", device}, {"1/4001", uint64(time.Now().UnixMilli())},
		{"4/4002", random(16)}, {"4/4005", make([]byte, 128)}})
	return k.signRequest(network, append(who.bytes(), what.bytes()...))
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

	good := func() []byte { return device.request(network, codeLogin, "correct horse", "laptop", machine) }
	phone := second.request(network, codeLogin, "correct horse", "phone", nil)
	for _, tt := range []struct {
		name, device string
		key          rsaKey
		request      []byte
		code         uint32
	}{
		{"log in without an account", "", device, good(), badPassword},
		{"register", "laptop", device, device.request(network, codeRegister, "correct horse", "laptop", machine), granted},
		{"log in", "laptop", device, good(), granted},
		{"log in on a second device", "phone", second, phone, granted},
		{"wrong password", "", device, device.request(network, codeLogin, "wrong horse", "laptop", machine), badPassword},
		{"name taken", "", second, second.request(network, codeRegister, "another horse", "phone", machine), nameTaken},
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
	conn.SetDeadline(time.Now().Add(10 * time.Second))
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
	if stranger.n.Cmp(loginKey.n) > 0 {
		loginKey, stranger = stranger, loginKey // so that his signatures are numbers below the login key
	}
	network := linnet.NetworkID(random(16))
	keys, err := suite.Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	now, salt := minutes(time.Now()), random(16)
	set := func(key string, value any) func(list) {
		return func(l list) { l[slices.IndexFunc(l, func(o object) bool { return o.key == key })].value = value }
	}
	for _, tt := range []struct {
		name    string
		signer  rsaKey                                    // of the certificate; default the login key
		edit    func(certificate list)                    // before it is signed
		spoil   func(sessionKey, protected []byte) []byte // the answer
		refused string                                    // why the client does not believe it; default: it does
	}{
		{name: "good"},
		{name: "bit flipped", refused: "open login reply: not made by whom it claims",
			spoil: func(_, p []byte) []byte { p[40] ^= 1; return p }},
		{name: "bit of the certificate flipped, check mended", refused: "open certificate: suite: ISO 9796-2 block: not made by whom it claims",
			spoil: func(_, p []byte) []byte { p[40] ^= 1; return append(p[:len(p)-2], check(p[:len(p)-2])...) }},
		{name: "under the client's salt", refused: "ClassicAnswer: objlist: byte ",
			spoil: func(k, p []byte) []byte {
				plain, _ := unprotect(k, fromServer, p)
				return protect(k, fromClient, plain)
			}},
		{name: "signed by a stranger", refused: "open certificate: suite: ISO 9796-2 block: not made by whom it claims", signer: stranger},
		{name: "expired", refused: "expired", edit: func(l list) { set("0/4001", now-31*24*60)(l); set("0/4", now-24*60)(l) }},
		{name: "for another user", refused: "it certified mallory", edit: set("3/0", "mallory")},
		{name: "for another device", refused: `it certified alice on "phone"`, edit: set("3/4000", "phone")},
		{name: "for another key", refused: "other keys than were asked for", edit: set("4/1", otherDevice.modulus())},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var wg sync.WaitGroup
			defer wg.Wait()
			var code uint32 // of the request that is to come
			answer := func(request list) list {
				if request.get("0/0") != code {
					t.Errorf("request %v, want code %#x", request, code)
				}
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
			for _, code = range []uint32{codeRegister, codeLogin} {
				call := client.Login
				if code == codeRegister {
					call = client.Register
				}
				grant, err := call(t.Context(), alice, keys)
				if tt.refused != "" {
					if err == nil || !strings.Contains(err.Error(), tt.refused) {
						t.Errorf("%#x: %v, want %q", code, err, tt.refused)
					}
					continue
				}
				if err != nil {
					t.Fatalf("%#x: %v", code, err)
				}
				id := sha256.Sum256(slices.Concat(keys.Public().Signing, salt))
				c := grant.Certificate
				if c.User != "alice" || c.Device != "laptop" || !bytes.Equal(c.Signing, keys.Public().Signing) || c.Serial != 42 ||
					minutes(c.Issued) != now || minutes(c.Expires) != now+30*24*60 || c.NodeID() != linnet.NodeID(id[:16]) {
					t.Errorf("%#x: certificate %+v", code, c)
				}
			}
			if tt.refused != "" {
				return
			}
			alice.Password = "wrong horse"
			if _, err := client.Login(t.Context(), alice, keys); !errors.Is(err, login.ErrPassword) {
				t.Errorf("wrong password: %v", err)
			}
		})
	}
}
