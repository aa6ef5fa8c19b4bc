package netx_test

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/netx/proxytest"
)

var anyLoopback = netip.MustParseAddrPort("127.0.0.1:0")

// farAway stands for hosts elsewhere, which only the proxy can reach: what
// is dialled is an echo on loopback, and who is in front of a proxy must not get there.
type farAway struct {
	netx.System
	echo netip.AddrPort
}

func (f farAway) DialTCP(ctx context.Context, remote netip.AddrPort) (net.Conn, error) {
	if !remote.Addr().IsLoopback() {
		remote = f.echo
	}
	return f.System.DialTCP(ctx, remote)
}

func listen(t *testing.T, serve func(net.Listener)) string {
	t.Helper()
	l, err := netx.System{}.ListenTCP(t.Context(), anyLoopback)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() { defer close(done); serve(l) }()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func echo(l net.Listener) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() { defer c.Close(); io.Copy(c, c) }()
	}
}

// without an environment of whoever runs the tests.
func without(t *testing.T) {
	for _, name := range []string{"HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"} {
		t.Setenv(name, "")
	}
}

const far = "192.0.2.7:443"

func TestProxies(t *testing.T) {
	without(t)
	network := farAway{echo: netip.MustParseAddrPort(listen(t, echo))}
	for _, tt := range []struct {
		name, scheme, password string
		proxy                  *proxytest.Proxy
		want                   string // in the error; "" is none
		hint                   string
	}{
		{name: "open", scheme: "http"},
		{name: "basic", scheme: "http", password: "ann:se%40cret", proxy: &proxytest.Proxy{User: "ann", Password: "se@cret"}},
		{name: "digest", scheme: "http", password: "ann:secret", proxy: &proxytest.Proxy{User: "ann", Password: "secret", Digest: true}},
		{name: "no password", scheme: "http", proxy: &proxytest.Proxy{User: "ann", Password: "secret"},
			want: "wants a name and a password", hint: "--proxy http://NAME:PASSWORD@"},
		{name: "wrong password", scheme: "http", password: "ann:guess", proxy: &proxytest.Proxy{User: "ann", Password: "secret"},
			want: "refuses the name or the password", hint: "check both"},
		{name: "wrong digest", scheme: "http", password: "ann:guess", proxy: &proxytest.Proxy{User: "ann", Password: "secret", Digest: true},
			want: "refuses the name or the password", hint: "check both"},
		{name: "forbidden", scheme: "http", proxy: &proxytest.Proxy{Allow: func(netip.AddrPort) bool { return false }},
			want: "does not connect to 192.0.2.7:443: 403 Forbidden", hint: "allow CONNECT"},
		{name: "socks", scheme: "socks5"},
		{name: "socks with a password", scheme: "socks5", password: "ann:secret", proxy: &proxytest.Proxy{User: "ann", Password: "secret"}},
		{name: "socks without a password", scheme: "socks5", proxy: &proxytest.Proxy{User: "ann", Password: "secret"},
			want: "wants a name and a password", hint: "--proxy socks5://NAME:PASSWORD@"},
		{name: "socks with a wrong password", scheme: "socks5", password: "ann:guess", proxy: &proxytest.Proxy{User: "ann", Password: "secret"},
			want: "refuses the name or the password", hint: "check both"},
		{name: "socks forbidden", scheme: "socks5", proxy: &proxytest.Proxy{Allow: func(netip.AddrPort) bool { return false }},
			want: "does not connect to 192.0.2.7:443", hint: "allow connections"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := cmp.Or(tt.proxy, new(proxytest.Proxy))
			p.Net = network
			u := tt.scheme + "://"
			if tt.password != "" {
				u += tt.password + "@"
			}
			behind, err := netx.Proxy{URL: u + listen(t, p.Serve)}.Behind(netx.System{})
			if err != nil {
				t.Fatal(err)
			}
			for again := range 3 { // the way is known then, and a digest's nonce is used up at last
				if again == 2 {
					p.Forget()
				}
				c, err := behind.DialTCP(t.Context(), netip.MustParseAddrPort(far))
				if tt.want != "" {
					e, ok := errors.AsType[*netx.ProxyError](err)
					if !ok || !strings.Contains(e.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
						t.Errorf("error %v, hint %q", err, e)
					}
					if strings.Contains(err.Error(), "guess") {
						t.Error("the password is in the error")
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if got := c.RemoteAddr().String(); got != far {
					t.Errorf("remote address %s", got)
				}
				b := make([]byte, 5)
				if _, err := c.Write([]byte("hello")); err != nil {
					t.Fatal(err)
				}
				if _, err := io.ReadFull(c, b); err != nil || string(b) != "hello" {
					t.Errorf("%q, %v", b, err)
				}
				c.Close()
			}
			if seen := p.Seen(); seen[len(seen)-1] != far || p.User != "" && !p.Digest && tt.scheme == "http" && len(seen) != 4 {
				t.Errorf("the proxy saw %q", seen)
			}
		})
	}
}

func TestProxyOfTheEnvironment(t *testing.T) {
	network := farAway{echo: netip.MustParseAddrPort(listen(t, echo))}
	for _, tt := range []struct {
		name string
		set  map[string]string // PROXY stands for its address
		flag string
		used bool
	}{
		{name: "none"},
		{name: "HTTPS_PROXY", set: map[string]string{"HTTPS_PROXY": "http://PROXY"}, used: true},
		{name: "https_proxy", set: map[string]string{"https_proxy": "PROXY"}, used: true},
		{name: "ALL_PROXY", set: map[string]string{"ALL_PROXY": "socks5://PROXY"}, used: true},
		{name: "all_proxy", set: map[string]string{"all_proxy": "socks5h://PROXY"}, used: true},
		{name: "HTTP_PROXY is for other things", set: map[string]string{"HTTP_PROXY": "http://PROXY"}},
		{name: "NO_PROXY", set: map[string]string{"HTTPS_PROXY": "http://PROXY", "NO_PROXY": "192.0.2.0/24"}},
		{name: "no_proxy", set: map[string]string{"HTTPS_PROXY": "http://PROXY", "no_proxy": "*"}},
		{name: "none by flag", set: map[string]string{"HTTPS_PROXY": "http://PROXY"}, flag: "none"},
		{name: "flag", set: map[string]string{"HTTPS_PROXY": "http://127.0.0.1:1"}, flag: "http://PROXY", used: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			without(t)
			p := &proxytest.Proxy{Net: network}
			at := listen(t, p.Serve)
			for name, value := range tt.set {
				t.Setenv(name, strings.ReplaceAll(value, "PROXY", at))
			}
			behind, err := netx.Proxy{URL: strings.ReplaceAll(tt.flag, "PROXY", at)}.Behind(network)
			if err != nil {
				t.Fatal(err)
			}
			c, err := behind.DialTCP(t.Context(), netip.MustParseAddrPort(far))
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if used := len(p.Seen()) > 0; used != tt.used {
				t.Errorf("the proxy saw %q", p.Seen())
			}
		})
	}
}

func TestProxyTroubles(t *testing.T) {
	without(t)
	for _, bad := range []string{"ftp://a:secret@b", "http://", "://", "http://a:secret@b:port"} {
		if _, err := (netx.Proxy{URL: bad}).Behind(netx.System{}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	dial := func(serve func(net.Listener), scheme string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		behind, err := netx.Proxy{URL: scheme + "://" + listen(t, serve)}.Behind(netx.System{})
		if err != nil {
			t.Fatal(err)
		}
		_, err = behind.DialTCP(ctx, netip.MustParseAddrPort(far))
		return err
	}
	says := func(text string) func(net.Listener) {
		return func(l net.Listener) {
			if c, err := l.Accept(); err == nil {
				defer c.Close()
				c.Write([]byte(text))
				io.Copy(io.Discard, c)
			}
		}
	}
	for scheme, text := range map[string]string{"http": "SSH-2.0-test\r\n", "socks5": "HTTP/1.1 400\r\n\r\n"} {
		if err := dial(says(text), scheme); err == nil {
			t.Errorf("%s: %q passed for a proxy", scheme, text)
		}
		if err := dial(says(""), scheme); err == nil {
			t.Errorf("%s: silence passed for a proxy", scheme)
		}
	}
	if err := dial(says("HTTP/1.1 200 OK\r\nX: "+strings.Repeat("x", 1<<20)), "http"); err == nil {
		t.Error("an endless answer passed")
	}
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	behind, err := netx.Proxy{URL: "http://" + l.Addr().String()}.Behind(netx.System{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := behind.DialTCP(t.Context(), netip.MustParseAddrPort(far)); err == nil || !strings.Contains(err.Error(), "cannot be reached") {
		t.Errorf("error %v", err)
	}
}
