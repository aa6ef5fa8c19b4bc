package netx

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpproxy"
	"golang.org/x/net/proxy"
)

// A Proxy says through which proxy TCP connections go. The zero value asks the
// environment: HTTPS_PROXY, else ALL_PROXY, and NO_PROXY, in capitals or not.
type Proxy struct {
	// URL is http://, https:// or socks5://[NAME:PASSWORD@]HOST[:PORT], or "none".
	// Hosts of NO_PROXY are reached without it.
	URL string
}

// proxied is a Network behind a proxy. UDP, and who listens, have no use for it.
type proxied struct {
	Network
	choose func(*url.URL) (*url.URL, error)

	mu         sync.Mutex
	challenges map[string]challenge // by proxy: how it wants to be told the password
}

// Behind sends the TCP connections of a Network through the proxy, if there is one.
func (p Proxy) Behind(n Network) (Network, error) {
	from, use := "--proxy", p.URL
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"} {
		if use == "" {
			from, use = name, os.Getenv(name)
		}
	}
	if use == "" || use == "none" {
		return n, nil
	}
	if err := checkProxy(use); err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	config := httpproxy.FromEnvironment()
	config.HTTPSProxy = use
	return &proxied{Network: n, choose: config.ProxyFunc(), challenges: make(map[string]challenge)}, nil
}

// portOf are the schemes that are known, and what port they mean.
var portOf = map[string]string{"http": "80", "https": "443", "socks5": "1080", "socks5h": "1080"}

func checkProxy(s string) error {
	if !strings.Contains(s, "://") {
		s = "http://" + s // as everybody reads the variables
	}
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || portOf[u.Scheme] == "" {
		return errors.New("a proxy is http://, https:// or socks5://[NAME:PASSWORD@]HOST[:PORT]") // without s: it may hold a password
	}
	return nil
}

// A ProxyError is a proxy's fault, or its no. Text and Hint are for people.
type ProxyError struct {
	Proxy      string // host and port
	Text, Hint string
	Err        error
}

func (e *ProxyError) Error() string {
	s := "proxy " + e.Proxy + " " + e.Text
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

func (e *ProxyError) Unwrap() error { return e.Err }

// DialTCP connects through the proxy, unless remote is one of those that need none.
func (p *proxied) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	remote = Unmap(remote)
	u, err := p.choose(&url.URL{Scheme: "https", Host: remote.String()})
	if err != nil {
		return nil, fmt.Errorf("netx: proxy: %w", err)
	}
	if u == nil {
		return p.Network.DialTCP(ctx, remote)
	}
	connect := p.connect
	if strings.HasPrefix(u.Scheme, "socks5") {
		connect = p.socks
	}
	c, err := connect(ctx, u, remote)
	if err != nil {
		return nil, fmt.Errorf("netx: %w", err)
	}
	return &throughProxy{c, net.TCPAddrFromAddrPort(remote)}, nil
}

// throughProxy is a connection whose other end is not where its packets go.
type throughProxy struct {
	net.Conn
	remote net.Addr
}

func (c *throughProxy) RemoteAddr() net.Addr { return c.remote }

// hostPort is where a proxy is.
func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = portOf[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// reach connects to a proxy itself.
func (p *proxied) reach(ctx context.Context, u *url.URL) (net.Conn, error) {
	at := hostPort(u)
	host, port, _ := net.SplitHostPort(at)
	n, err := net.DefaultResolver.LookupPort(ctx, "tcp", port)
	var addrs []netip.Addr
	if err == nil {
		addrs, err = net.DefaultResolver.LookupNetIP(ctx, "ip", host) // an address is its own answer
	}
	for _, a := range addrs {
		var c net.Conn
		if c, err = p.Network.DialTCP(ctx, netip.AddrPortFrom(a.Unmap(), uint16(n))); err == nil {
			if u.Scheme == "https" {
				c = tls.Client(c, &tls.Config{ServerName: host})
			}
			return c, nil
		}
	}
	return nil, &ProxyError{Proxy: at, Text: "cannot be reached", Hint: "check its address, in --proxy or HTTPS_PROXY, and that it runs", Err: err}
}

// interruptible gives up what is done with c when ctx ends. Calling done is the end of it.
func interruptible(ctx context.Context, c net.Conn) (done func() error) {
	stop := context.AfterFunc(ctx, func() { c.SetDeadline(time.Unix(1, 0)) })
	return func() error {
		if !stop() {
			return ctx.Err()
		}
		return nil
	}
}

// maxProxyAnswer bounds what a proxy says before the connection begins.
const maxProxyAnswer = 64 << 10

// connect asks an HTTP proxy: without the password at first, as how to tell it is
// the proxy's to say.
func (p *proxied) connect(ctx context.Context, u *url.URL, remote netip.AddrPort) (net.Conn, error) {
	at := hostPort(u)
	p.mu.Lock()
	known := p.challenges[at]
	p.mu.Unlock()
	told := false // the password, in answer to a challenge of just now
	for range 3 { // a known way may be out of date: its nonce is used up
		c, err := p.reach(ctx, u)
		if err != nil {
			return nil, err
		}
		done := interruptible(ctx, c)
		answer, rest, err := ask(c, remote, known.authorization(u.User, remote.String()))
		late := done()
		switch {
		case late != nil:
			c.Close()
			return nil, &ProxyError{Proxy: at, Text: "does not answer in time", Hint: "check its address, in --proxy or HTTPS_PROXY", Err: late}
		case err != nil:
			c.Close()
			return nil, &ProxyError{Proxy: at, Text: "does not answer as an HTTP proxy does", Hint: "check its address, in --proxy or HTTPS_PROXY", Err: err}
		case answer.StatusCode == http.StatusOK:
			p.mu.Lock()
			p.challenges[at] = known
			p.mu.Unlock()
			return &buffered{c, rest}, nil
		}
		c.Close()
		if answer.StatusCode != http.StatusProxyAuthRequired {
			return nil, &ProxyError{Proxy: at, Text: fmt.Sprintf("does not connect to %v: %s", remote, answer.Status),
				Hint: "ask whoever runs it to allow CONNECT to port 443"}
		}
		offered := strongest(answer.Header.Values("Proxy-Authenticate"))
		switch {
		case u.User == nil:
			return nil, &ProxyError{Proxy: at, Text: "wants a name and a password", Hint: "give them: --proxy http://NAME:PASSWORD@" + at}
		case offered.scheme == "":
			return nil, &ProxyError{Proxy: at, Text: "wants to be told the password in a way that is not known here", Hint: "basic and digest are; ask whoever runs it"}
		case told && !offered.stale:
			return nil, &ProxyError{Proxy: at, Text: "refuses the name or the password", Hint: "check both, in --proxy or HTTPS_PROXY"}
		}
		known, told = offered, true
	}
	return nil, &ProxyError{Proxy: at, Text: "asks for the password again and again", Hint: "ask whoever runs it"}
}

// ask sends one CONNECT. rest is what came behind the answer.
func ask(c net.Conn, remote netip.AddrPort, authorization string) (*http.Response, *bufio.Reader, error) {
	request := "CONNECT " + remote.String() + " HTTP/1.1\r\nHost: " + remote.String() + "\r\n"
	if authorization != "" {
		request += "Proxy-Authorization: " + authorization + "\r\n"
	}
	if _, err := io.WriteString(c, request+"\r\n"); err != nil {
		return nil, nil, err
	}
	limited := &io.LimitedReader{R: c, N: maxProxyAnswer}
	rest := bufio.NewReader(limited)
	answer, err := http.ReadResponse(rest, &http.Request{Method: http.MethodConnect})
	if err != nil {
		return nil, nil, err
	}
	limited.N = 1 << 62
	return answer, rest, nil
}

// buffered reads first what came with an answer.
type buffered struct {
	net.Conn
	rest *bufio.Reader
}

func (c *buffered) Read(b []byte) (int, error) { return c.rest.Read(b) }

// socks asks a SOCKS 5 proxy.
func (p *proxied) socks(ctx context.Context, u *url.URL, remote netip.AddrPort) (net.Conn, error) {
	var auth *proxy.Auth
	if u.User != nil {
		password, _ := u.User.Password()
		auth = &proxy.Auth{User: u.User.Username(), Password: password}
	}
	at := hostPort(u)
	d, err := proxy.SOCKS5("tcp", at, auth, reaching{p, u})
	if err != nil {
		return nil, err
	}
	c, err := d.(proxy.ContextDialer).DialContext(ctx, "tcp", remote.String())
	if err == nil {
		return c, nil
	}
	if e, ok := errors.AsType[*ProxyError](err); ok {
		return nil, e
	}
	e := &ProxyError{Proxy: at, Text: fmt.Sprintf("does not connect to %v", remote), Hint: "ask whoever runs it to allow connections to port 443", Err: err}
	switch s := err.Error(); {
	case strings.Contains(s, "username/password"):
		e.Text, e.Hint = "refuses the name or the password", "check both, in --proxy or ALL_PROXY"
	case strings.Contains(s, "no acceptable authentication"):
		e.Text, e.Hint = "wants a name and a password", "give them: --proxy socks5://NAME:PASSWORD@"+at
	}
	return nil, e
}

// reaching is how the SOCKS client gets its connection to the proxy.
type reaching struct {
	p *proxied
	u *url.URL
}

func (r reaching) Dial(network, addr string) (net.Conn, error) {
	return r.DialContext(context.Background(), network, addr)
}

func (r reaching) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	return r.p.reach(ctx, r.u)
}

// basic is the answer to a challenge of that scheme.
func basic(user *url.Userinfo) string {
	password, _ := user.Password()
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(user.Username()+":"+password))
}
