package http

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/linnet-p2p/linnet"
)

// A visitor is a browser, or something that pretends to be one.
type visitor struct {
	t           *testing.T
	site        *Site
	cookie, key string
	through     http.RoundTripper // nil: the default one
}

// openSite runs a Site of f on a free port, with a visitor who came by its link.
func openSite(t *testing.T, f *fake) *visitor {
	t.Helper()
	home := t.TempDir()
	s, err := NewSite(f, SiteOptions{Home: home, Listen: netip.MustParseAddrPort("127.0.0.1:0"), Files: fstest.MapFS{
		"index.html":     {Data: []byte("<!doctype html>the page")},
		"assets/page.js": {Data: []byte("the script")},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	v := &visitor{t: t, site: s}
	_, token, _ := strings.Cut(s.Link(), "#token=")
	resp, body := v.ask("POST", "/v1/session", `{"token":"`+token+`"}`)
	var reply sessionReply
	if err := json.Unmarshal(body, &reply); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("session: %s, %s", resp.Status, body)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || !strings.HasPrefix(c.Name, "linnet-") {
		t.Errorf("cookie %v", c)
	}
	v.cookie, v.key = c.Name+"="+c.Value, reply.Key
	return v
}

// ask makes a request as the page does; headers are name, value, ... and an empty value leaves one out.
func (v *visitor) ask(method, path, body string, headers ...string) (*http.Response, []byte) {
	v.t.Helper()
	req, err := http.NewRequestWithContext(v.t.Context(), method, v.site.URL()+strings.TrimPrefix(path, "/"), strings.NewReader(body))
	if err != nil {
		v.t.Fatal(err)
	}
	h := req.Header
	h.Set("Cookie", v.cookie)
	h.Set(keyHeader, v.key)
	if body != "" {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		switch name, value := headers[i], headers[i+1]; {
		case name == "Host":
			req.Host = value
		case value == "":
			h.Del(name)
		default:
			h.Set(name, value)
		}
	}
	through := v.through
	if through == nil {
		through = http.DefaultTransport
	}
	resp, err := through.RoundTrip(req)
	if err != nil {
		v.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return resp, b
}

func TestSiteRefuses(t *testing.T) {
	f := &fake{}
	v := openSite(t, f)
	port := v.site.hosts[0][strings.Index(v.site.hosts[0], ":"):]
	tests := []struct {
		name, method, path, body string
		headers                  []string
		status                   int
	}{
		{"another host (DNS rebinding)", "GET", "/v1/status", "", []string{"Host", "evil.example" + port}, http.StatusMisdirectedRequest},
		{"another host, for a file", "GET", "/", "", []string{"Host", "evil.example"}, http.StatusMisdirectedRequest},
		{"another port", "GET", "/v1/status", "", []string{"Host", "127.0.0.1:1"}, http.StatusMisdirectedRequest},
		{"another origin", "POST", "/v1/logout", "", []string{"Origin", "http://evil.example"}, http.StatusForbidden},
		{"another port's origin", "POST", "/v1/logout", "", []string{"Origin", "http://127.0.0.1:1"}, http.StatusForbidden},
		{"no origin", "POST", "/v1/logout", "", []string{"Origin", "null"}, http.StatusForbidden},
		{"the same over TLS", "POST", "/v1/logout", "", []string{"Origin", "https://" + v.site.hosts[0]}, http.StatusForbidden},
		{"another site reads", "GET", "/v1/status", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, http.StatusForbidden},
		{"another port reads", "GET", "/v1/status", "", []string{"Sec-Fetch-Site", "same-site", "Sec-Fetch-Mode", "cors"}, http.StatusForbidden},
		{"another site leads here", "GET", "/v1/status", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, http.StatusForbidden},
		{"another site frames or loads files", "GET", "/assets/page.js", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "no-cors"}, http.StatusForbidden},
		{"no cookie", "GET", "/v1/status", "", []string{"Cookie", ""}, http.StatusUnauthorized},
		{"no key", "GET", "/v1/status", "", []string{keyHeader, ""}, http.StatusUnauthorized},
		{"a wrong key", "GET", "/v1/status", "", []string{keyHeader, encode(make([]byte, 32))}, http.StatusUnauthorized},
		{"a wrong cookie", "GET", "/v1/status", "", []string{"Cookie", v.site.cookie + "=" + encode(make([]byte, 40))}, http.StatusUnauthorized},
		{"a garbled cookie", "GET", "/v1/status", "", []string{"Cookie", v.site.cookie + "=*"}, http.StatusUnauthorized},
		{"another node's cookie", "GET", "/v1/status", "", []string{"Cookie", strings.Replace(v.cookie, "linnet-", "linnet-0", 1)}, http.StatusUnauthorized},
		{"the key in the address", "GET", "/v1/status?key=" + v.key, "", []string{keyHeader, ""}, http.StatusUnauthorized},
		{"a form", "POST", "/v1/login", `{"user":"alice"}`, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{"too large", "POST", "/v1/login", `{"user":"` + strings.Repeat("a", maxBody) + `"}`, nil, http.StatusBadRequest},
		{"no JSON", "POST", "/v1/login", "password", nil, http.StatusBadRequest},
		{"a file that is played", "POST", "/v1/calls", `{"user":"bob","play":"/etc/passwd"}`, nil, http.StatusBadRequest},
		{"a file that is written", "POST", "/v1/calls/" + linnet.CallID{9}.String() + "/answer", `{"record":"/home/alice/.bashrc"}`, nil, http.StatusBadRequest},
		{"a token that is none", "POST", "/v1/session", `{"token":"x"}`, nil, http.StatusUnauthorized},
		{"no token", "POST", "/v1/session", `{}`, nil, http.StatusUnauthorized},
		{"a token by form", "POST", "/v1/session", `{"token":"x"}`, []string{"Content-Type", "text/plain"}, http.StatusUnsupportedMediaType},
		{"a token that is too large", "POST", "/v1/session", `{"token":"` + strings.Repeat("x", maxBody) + `"}`, nil, http.StatusBadRequest},
		{"links are for the socket", "POST", "/v1/link", "", nil, http.StatusNotFound},
		{"an offer of a page that is not the phone", "POST", "/v1/page", `{"offer":"x"}`, []string{pageHeader, "other"}, http.StatusConflict},
		{"a page without a name", "GET", "/v1/events", "", []string{"Upgrade", "websocket"}, http.StatusBadRequest},
		{"no file", "GET", "/etc/passwd", "", nil, http.StatusNotFound},
		{"out of the files", "GET", "/assets/%2e%2e/%2e%2e/page.key", "", nil, http.StatusNotFound},
		{"a directory", "GET", "/assets", "", nil, http.StatusNotFound},
		{"write a file", "PUT", "/index.html", `{}`, nil, http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp, body := v.ask(tt.method, tt.path, tt.body, tt.headers...)
			var told failure
			if err := json.Unmarshal(body, &told); resp.StatusCode != tt.status || tt.status != http.StatusNotFound && (err != nil || told.Text == "") {
				t.Errorf("status %d, %s, want %d and a reason", resp.StatusCode, body, tt.status)
			}
			if resp.Header.Get("Access-Control-Allow-Origin") != "" {
				t.Error("another origin may read the answer")
			}
		})
	}
	if len(f.asked) > 0 {
		t.Errorf("the node was asked %v", f.asked)
	}
}

func TestSiteServesItsPage(t *testing.T) {
	v := openSite(t, &fake{})
	resp, body := v.ask("GET", "/", "", "Cookie", "", keyHeader, "", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate")
	if resp.StatusCode != http.StatusOK || !strings.Contains(string(body), "the page") {
		t.Errorf("%s, %s", resp.Status, body)
	}
	csp := resp.Header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self';", "style-src 'self';", "frame-ancestors 'none'", "base-uri 'none'"} {
		if !strings.Contains(csp, want) {
			t.Errorf("the policy %q lacks %q", csp, want)
		}
	}
	if strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	for _, host := range v.site.hosts {
		if resp, _ := v.ask("GET", "/v1/status", "", "Host", host, "Origin", "http://"+host); resp.StatusCode != http.StatusOK {
			t.Errorf("%s: %s", host, resp.Status)
		}
	}
}

func TestLinkWorksOnce(t *testing.T) {
	v := openSite(t, &fake{})
	_, token, _ := strings.Cut(v.site.Link(), "#token=")
	body := `{"token":"` + token + `"}`
	if resp, _ := v.ask("POST", "/v1/session", body, "Cookie", "", keyHeader, ""); resp.StatusCode != http.StatusOK {
		t.Errorf("the first time: %s", resp.Status)
	}
	if resp, _ := v.ask("POST", "/v1/session", body); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("the second time: %s", resp.Status)
	}
	_, first, _ := strings.Cut(v.site.Link(), "#token=")
	for range maxTokens {
		v.site.Link()
	}
	if v.site.keys.use(first) {
		t.Error("a link works that is older than those that are kept")
	}
}

func TestKeysOutliveARestart(t *testing.T) {
	home := t.TempDir()
	open := func() *keys {
		k, err := openKeys(home)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	now := time.Now()
	cookie, key := open().session(now)
	if !open().good(now, cookie, key) {
		t.Error("after a restart the key is refused")
	}
	if open().good(now.Add(sessionLife), cookie, key) {
		t.Error("a key is good that has expired")
	}
	other, _ := open().session(now.Add(time.Hour))
	if open().good(now, other, key) {
		t.Error("the key of one cookie is good for another one")
	}
	home = t.TempDir()
	if open().good(now, cookie, key) {
		t.Error("another node takes the key")
	}
}

func TestSiteIsForThisMachine(t *testing.T) {
	for _, at := range []string{"0.0.0.0:0", "192.0.2.1:80", "[::]:0"} {
		if _, err := NewSite(&fake{}, SiteOptions{Home: t.TempDir(), Listen: netip.MustParseAddrPort(at)}); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("%s: %v", at, err)
		}
	}
	v := openSite(t, &fake{})
	taken := netip.MustParseAddrPort(v.site.hosts[0])
	if _, err := NewSite(&fake{}, SiteOptions{Home: t.TempDir(), Listen: taken}); linnet.CodeOf(err) != linnet.CodeInUse {
		t.Errorf("a port that is taken: %v", err)
	}
}

// tab is a page that is open.
func (v *visitor) tab(name string, headers ...string) (*websocket.Conn, *http.Response, error) {
	h := http.Header{"Cookie": {v.cookie}, "Origin": {"http://" + v.site.hosts[0]}}
	for i := 0; i < len(headers); i += 2 {
		h.Set(headers[i], headers[i+1])
	}
	key := v.key
	if k := h.Get(keyHeader); k != "" {
		key = k
	}
	return websocket.Dial(v.t.Context(), "ws://"+v.site.hosts[0]+"/v1/events?page="+name+"&key="+key, &websocket.DialOptions{HTTPHeader: h})
}

func (v *visitor) mustTab(name string) *websocket.Conn {
	v.t.Helper()
	c, _, err := v.tab(name)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { c.CloseNow() })
	return c
}

// next is what a page is told next.
func next(t *testing.T, c *websocket.Conn) (e struct {
	linnet.Event
	Phone bool `json:"phone"`
}) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	_, b, err := c.Read(ctx)
	if err == nil {
		err = json.Unmarshal(b, &e)
	}
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestPages(t *testing.T) {
	f := &fake{events: make(chan linnet.Event, 1)}
	v := openSite(t, f)
	v.site.desk.grace = 10 * time.Millisecond
	for name, headers := range map[string][]string{
		"another origin": {"Origin", "http://evil.example"},
		"no cookie":      {"Cookie", "x=y"},
		"a wrong key":    {keyHeader, "x"},
	} {
		if c, resp, err := v.tab("a", headers...); err == nil {
			c.CloseNow()
			t.Errorf("%s: the page is let in", name)
		} else if resp.StatusCode < 400 {
			t.Errorf("%s: %v", name, err)
		}
	}

	a := v.mustTab("a")
	if e := next(t, a); e.Kind != "phone" || !e.Phone {
		t.Errorf("the first page is told %+v", e)
	}
	f.events <- linnet.Event{Kind: linnet.EventOnline}
	if e := next(t, a); e.Kind != linnet.EventOnline {
		t.Errorf("the page is told %+v", e)
	}
	b := v.mustTab("b")
	if e := next(t, b); e.Kind != "phone" || e.Phone {
		t.Errorf("the second page is told %+v", e)
	}
	if resp, _ := v.ask("POST", "/v1/page", `{"offer":"x"}`, pageHeader, "b"); resp.StatusCode != http.StatusConflict {
		t.Errorf("an offer of the second page: %s", resp.Status)
	}
	if err := b.Write(t.Context(), websocket.MessageText, []byte(`{"take":true}`)); err != nil {
		t.Fatal(err)
	}
	if e := next(t, b); !e.Phone {
		t.Errorf("who takes over is told %+v", e)
	}
	if e := next(t, a); e.Phone {
		t.Errorf("who was the phone is told %+v", e)
	}
	if resp, body := v.ask("POST", "/v1/page", `{"offer":"x"}`, pageHeader, "b"); resp.StatusCode != http.StatusOK || !bytes.Contains(body, []byte("answer to x")) {
		t.Errorf("an offer of the phone: %s, %s", resp.Status, body)
	}
	b.CloseNow()
	if e := next(t, a); !e.Phone {
		t.Errorf("when the phone is closed the other page is told %+v", e)
	}
	// A page that says nonsense, or too much, is closed.
	for _, said := range []string{"nonsense", `{"take":false,"x":"` + strings.Repeat("x", maxPageMessage) + `"}`} {
		c := v.mustTab("c")
		next(t, c)
		if err := c.Write(t.Context(), websocket.MessageText, []byte(said)); err != nil {
			t.Fatal(err)
		}
		if _, _, err := c.Read(t.Context()); err == nil {
			t.Errorf("%.20s: the page stays", said)
		}
	}
	// One that falls behind is told to come again.
	close(f.events)
	if _, _, err := a.Read(t.Context()); websocket.CloseStatus(err) != websocket.StatusTryAgainLater {
		t.Errorf("at the end of the events: %v", err)
	}
}

func TestPageThatLoadsAgainStaysThePhone(t *testing.T) {
	var d desk
	a, b := d.sit("a"), d.sit("b")
	if !<-a.phone || <-b.phone {
		t.Error("the first page is not the phone")
	}
	d.rise(a)
	if !d.isPhone("a") || d.isPhone("b") || d.isPhone("") {
		t.Error("the phone is given away while it loads")
	}
	if a = d.sit("a"); !<-a.phone {
		t.Error("the page that loaded again is not the phone")
	}
	d.take(b)
	d.take(b)
	if <-a.phone || !<-b.phone || !d.isPhone("b") {
		t.Error("the second page has not taken over")
	}
}

func TestLink(t *testing.T) {
	c, _ := serve(t, &fake{})
	if _, err := c.Link(t.Context()); linnet.CodeOf(err) != linnet.CodeNotFound {
		t.Errorf("without a page: %v", err)
	}
	if _, err := c.Page(t.Context(), "x"); err != nil {
		t.Error(errors.Unwrap(err))
	}
}

// counted knows how many of the connections that a server took are open.
type counted struct {
	net.Listener
	open, most atomic.Int64
}

func (c *counted) Accept() (net.Conn, error) {
	conn, err := c.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c.most.Store(max(c.most.Load(), c.open.Add(1)))
	return &countedConn{Conn: conn, of: c}, nil
}

type countedConn struct {
	net.Conn
	of   *counted
	once sync.Once
}

func (c *countedConn) Close() error {
	c.once.Do(func() { c.of.open.Add(-1) })
	return c.Conn.Close()
}

// Other users of the machine cannot take all descriptors, nor keep a connection for ever.
func TestStrangersOnThisMachine(t *testing.T) {
	s, err := NewSite(&fake{}, SiteOptions{Home: t.TempDir(), Listen: netip.MustParseAddrPort("127.0.0.1:0"), Files: fstest.MapFS{}})
	if err != nil {
		t.Fatal(err)
	}
	s.patience = 50 * time.Millisecond
	taken := &counted{Listener: s.listener}
	s.listener = taken
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	defer func() {
		cancel()
		<-done
	}()
	dial := func() net.Conn {
		c, err := net.Dial("tcp", s.hosts[0])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	for _, path := range []string{"/v1/session", "/v1/status", "/"} {
		c := dial()
		io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: "+s.hosts[0]+"\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{")
		c.SetReadDeadline(time.Now().Add(30 * time.Second))
		if _, err := io.Copy(io.Discard, c); err != nil {
			t.Errorf("%s: it waits for the rest: %v", path, err)
		}
	}
	for range maxConns + 10 {
		dial()
	}
	time.Sleep(100 * time.Millisecond) // a wrong one may pass, a right one does not fail
	if n := taken.most.Load(); n > maxConns {
		t.Errorf("%d connections are open", n)
	}
}
