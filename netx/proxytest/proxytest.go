// Package proxytest is small proxies for tests: HTTP CONNECT (RFC 9110) and SOCKS 5
// (RFC 1928, 1929), with passwords. It speaks just enough, and says what it was asked.
package proxytest

import (
	"bufio"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"regexp"
	"sync"

	"github.com/linnet-p2p/linnet/netx"
)

// A Proxy serves on any number of listeners. The zero value wants no password.
type Proxy struct {
	Net            netx.Network // by which it connects
	User, Password string       // "" means that all are served
	Digest         bool         // not Basic
	Allow          func(netip.AddrPort) bool

	mu     sync.Mutex
	seen   []string
	nonces int
}

// Seen is what was connected to, and what was refused, in order.
func (p *Proxy) Seen() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.seen...)
}

func (p *Proxy) note(format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seen = append(p.seen, fmt.Sprintf(format, args...))
}

// Serve serves until the listener is closed. Which of the two protocols a client
// speaks its first byte tells.
func (p *Proxy) Serve(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go p.serve(c)
	}
}

func (p *Proxy) serve(c net.Conn) {
	defer c.Close()
	r := bufio.NewReader(c)
	first, err := r.Peek(1)
	if err != nil {
		return
	}
	if first[0] == 5 {
		p.socks(c, r)
	} else {
		p.http(c, r)
	}
}

func (p *Proxy) http(c net.Conn, r *bufio.Reader) {
	request, err := http.ReadRequest(r)
	if err != nil {
		return
	}
	answer := func(status int, headers string) {
		fmt.Fprintf(c, "HTTP/1.1 %d %s\r\n%s\r\n", status, http.StatusText(status), headers)
	}
	to, err := netip.ParseAddrPort(request.Host)
	switch {
	case request.Method != http.MethodConnect || err != nil:
		answer(http.StatusBadRequest, "")
	case p.User != "" && !p.authorized(request):
		p.note("no password")
		challenge := `Basic realm="test"`
		if p.Digest {
			challenge = fmt.Sprintf(`Digest realm="te\"st", qop="auth-int, auth", nonce="%s", opaque="x", algorithm=MD5`, p.nonce())
		}
		answer(http.StatusProxyAuthRequired, "Proxy-Authenticate: NTLM\r\nProxy-Authenticate: "+challenge+"\r\n")
	case !p.allowed(to):
		answer(http.StatusForbidden, "")
	default:
		there, err := p.dial(to)
		if err != nil {
			answer(http.StatusBadGateway, "")
			return
		}
		defer there.Close()
		answer(http.StatusOK, "")
		join(c, r, there)
	}
}

func (p *Proxy) nonce() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return fmt.Sprint("nonce", p.nonces)
}

// Forget makes the nonces that were given out useless.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.nonces++
}

var parameter = regexp.MustCompile(`(\w+)=(?:"((?:[^"\\]|\\.)*)"|([^,]*))`)

func (p *Proxy) authorized(r *http.Request) bool {
	got := r.Header.Get("Proxy-Authorization")
	if !p.Digest {
		return got == "Basic "+base64.StdEncoding.EncodeToString([]byte(p.User+":"+p.Password))
	}
	given := make(map[string]string)
	for _, m := range parameter.FindAllStringSubmatch(got, -1) {
		given[m[1]] = m[2] + m[3]
	}
	h := func(s string) string {
		sum := md5.Sum([]byte(s))
		return hex.EncodeToString(sum[:])
	}
	a1 := h(p.User + `:te"st:` + p.Password)
	want := h(a1 + ":" + p.nonce() + ":" + given["nc"] + ":" + given["cnonce"] + ":auth:" + h("CONNECT:"+given["uri"]))
	return given["response"] == want && given["nonce"] == p.nonce() && given["opaque"] == "x" && given["uri"] == r.Host
}

func (p *Proxy) allowed(to netip.AddrPort) bool {
	ok := p.Allow == nil || p.Allow(to)
	if !ok {
		p.note("not %v", to)
	}
	return ok
}

func (p *Proxy) dial(to netip.AddrPort) (net.Conn, error) {
	p.note("%v", to)
	return p.Net.DialTCP(context.Background(), to)
}

var errSOCKS = errors.New("no SOCKS 5")

func (p *Proxy) socks(c net.Conn, r *bufio.Reader) error {
	read := func(n int) []byte {
		b := make([]byte, n)
		io.ReadFull(r, b)
		return b
	}
	head := read(2)
	methods := read(int(head[1]))
	method := byte(0)
	if p.User != "" {
		method = 2
	}
	found := false
	for _, m := range methods {
		found = found || m == method
	}
	if !found {
		p.note("no password")
		c.Write([]byte{5, 0xff})
		return errSOCKS
	}
	c.Write([]byte{5, method})
	if method == 2 {
		user := read(int(read(2)[1]))
		password := read(int(read(1)[0]))
		if string(user) != p.User || string(password) != p.Password {
			p.note("no password")
			c.Write([]byte{1, 1})
			return errSOCKS
		}
		c.Write([]byte{1, 0})
	}
	request := read(4)
	size := 4
	if request[3] == 4 {
		size = 16
	}
	a, _ := netip.AddrFromSlice(read(size))
	to := netip.AddrPortFrom(a, binary.BigEndian.Uint16(read(2)))
	answer := func(code byte) { c.Write([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0}) }
	if request[1] != 1 || !p.allowed(to) {
		answer(2)
		return errSOCKS
	}
	there, err := p.dial(to)
	if err != nil {
		answer(5)
		return err
	}
	defer there.Close()
	answer(0)
	join(c, r, there)
	return nil
}

// join carries bytes both ways until one side ends.
func join(c net.Conn, r io.Reader, there net.Conn) {
	ended := make(chan struct{}, 2)
	go func() { io.Copy(there, r); ended <- struct{}{} }()
	go func() { io.Copy(c, there); ended <- struct{}{} }()
	<-ended
	c.Close()
	there.Close()
	<-ended
}
