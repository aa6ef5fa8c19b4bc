package http

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/coder/websocket"

	"github.com/linnet-p2p/linnet"
)

// openRemoteSite runs a Site that other machines reach, with a visitor who has no key.
func openRemoteSite(t *testing.T, f *fake, names ...string) *visitor {
	t.Helper()
	home := t.TempDir()
	setCheaply(t, home, "two birds, one page")
	s, err := NewSite(f, SiteOptions{Home: home, Listen: netip.MustParseAddrPort("0.0.0.0:0"), Names: names, Files: fstest.MapFS{"index.html": {Data: []byte("the page")}}})
	if err != nil {
		t.Fatal(err)
	}
	// The test speaks to it on this machine, and trusts its certificate alone.
	_, port, err := net.SplitHostPort(s.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	s.hosts = append([]string{net.JoinHostPort("127.0.0.1", port)}, s.hosts...)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	pool := x509.NewCertPool()
	pool.AddCert(s.tls.Leaf)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}
	t.Cleanup(transport.CloseIdleConnections)
	return &visitor{t: t, site: s, through: transport}
}

func TestSiteForOtherMachines(t *testing.T) {
	f := &fake{events: make(chan linnet.Event, 1)}
	v := openRemoteSite(t, f, "phone.example")
	port := v.site.hosts[0][strings.Index(v.site.hosts[0], ":"):]

	if resp, _ := v.ask("GET", "/", ""); resp.StatusCode != http.StatusOK || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "wss://"+v.site.hosts[0]) {
		t.Errorf("the page: %s, %v", resp.Status, resp.Header)
	}
	if resp, _ := v.ask("GET", "/v1/status", ""); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a key: %s", resp.Status)
	}
	resp, body := v.ask("POST", "/v1/session", `{"password":"two birds"}`)
	if resp.StatusCode != http.StatusUnauthorized || !bytes.Contains(body, []byte("wrong-password")) || len(resp.Cookies()) > 0 {
		t.Errorf("a wrong password: %s, %s", resp.Status, body)
	}
	resp, body = v.ask("POST", "/v1/session", `{"password":"two birds, one page"}`)
	var reply sessionReply
	if err := json.Unmarshal(body, &reply); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("the password: %s, %s", resp.Status, body)
	}
	c := resp.Cookies()[0]
	if !c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteStrictMode {
		t.Errorf("cookie %v", c)
	}
	v.cookie, v.key = c.Name+"="+c.Value, reply.Key

	for _, tt := range []struct {
		host, origin string
		status       int
	}{
		{v.site.hosts[0], "", http.StatusOK},
		{v.site.hosts[0], "https://" + v.site.hosts[0], http.StatusOK},
		{"phone.example" + port, "https://phone.example" + port, http.StatusOK},
		{"PHONE.example" + port, "", http.StatusOK},
		{"192.0.2.7" + port, "https://192.0.2.7" + port, http.StatusOK}, // behind a router that forwards the port
		{"[2001:db8::7]" + port, "", http.StatusOK},
		{"192.0.2.7:1", "", http.StatusMisdirectedRequest},
		{"evil.example" + port, "", http.StatusMisdirectedRequest},
		{"phone.example", "", http.StatusMisdirectedRequest},
		{"phone.example.evil.example" + port, "", http.StatusMisdirectedRequest},
		{v.site.hosts[0], "http://" + v.site.hosts[0], http.StatusForbidden},
		{v.site.hosts[0], "https://phone.example" + port, http.StatusForbidden},
		{v.site.hosts[0], "https://evil.example", http.StatusForbidden},
		{v.site.hosts[0], "null", http.StatusForbidden},
	} {
		if resp, body := v.ask("GET", "/v1/status", "", "Host", tt.host, "Origin", tt.origin); resp.StatusCode != tt.status {
			t.Errorf("host %q, origin %q: %s, %s", tt.host, tt.origin, resp.Status, body)
		}
	}

	conn, _, err := websocket.Dial(t.Context(), "wss://"+v.site.hosts[0]+"/v1/events?page=a&key="+v.key, &websocket.DialOptions{
		HTTPClient: &http.Client{Transport: v.through}, HTTPHeader: http.Header{"Cookie": {v.cookie}, "Origin": {"https://" + v.site.hosts[0]}}})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.CloseNow()
	if e := next(t, conn); !e.Phone {
		t.Errorf("the page is told %+v", e)
	}

	// A link works here as well.
	_, token, _ := strings.Cut(v.site.Link(), "#token=")
	if resp, _ := v.ask("POST", "/v1/session", `{"token":"`+token+`"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("a link: %s", resp.Status)
	}
	// Without TLS nothing is told.
	if resp, err := http.Get("http://" + v.site.hosts[0] + "/"); err == nil {
		resp.Body.Close()
		if resp.StatusCode != http.StatusBadRequest {
			t.Errorf("without TLS: %s", resp.Status)
		}
	}
}

func TestGuessingAtTheDoor(t *testing.T) {
	v := openRemoteSite(t, &fake{})
	var statuses []int
	for range freeMistakes + 2 {
		resp, body := v.ask("POST", "/v1/session", `{"password":"wrong"}`)
		statuses = append(statuses, resp.StatusCode)
		if resp.StatusCode == http.StatusTooManyRequests && (resp.Header.Get("Retry-After") == "" || !bytes.Contains(body, []byte("too-soon"))) {
			t.Errorf("it is told %v, %s", resp.Header, body)
		}
	}
	if statuses[freeMistakes-1] != http.StatusUnauthorized || statuses[freeMistakes+1] != http.StatusTooManyRequests {
		t.Errorf("guesses get %v", statuses)
	}
	if resp, _ := v.ask("POST", "/v1/session", `{"password":"two birds, one page"}`); resp.StatusCode != http.StatusTooManyRequests {
		t.Errorf("the right password is tried at once: %s", resp.Status)
	}
	_, token, _ := strings.Cut(v.site.Link(), "#token=")
	if resp, _ := v.ask("POST", "/v1/session", `{"token":"`+token+`"}`); resp.StatusCode != http.StatusOK {
		t.Errorf("guesses keep a link out: %s", resp.Status)
	}
	// Without TLS a password is not taken: it is for those who come from afar.
	local := openSite(t, &fake{})
	setCheaply(t, local.site.door.home, "two birds, one page")
	if resp, _ := local.ask("POST", "/v1/session", `{"password":"two birds, one page"}`); resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a password on this machine: %s", resp.Status)
	}
}

func TestOwnCertificate(t *testing.T) {
	home := t.TempDir()
	now := time.Now()
	get := func(now time.Time, settled bool, names ...string) *tls.Certificate {
		t.Helper()
		c, err := ownCertificate(home, now, names, settled)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	first := get(now, true, "192.0.2.7", "phone.example")
	if err := first.Leaf.VerifyHostname("192.0.2.7"); err != nil {
		t.Error(err)
	}
	if first.Leaf.IsCA || first.Leaf.KeyUsage != x509.KeyUsageDigitalSignature {
		t.Error("who trusts the certificate trusts others that it signs")
	}
	if f := fingerprint(first); len(f) != 32*3-1 || f != fingerprint(get(now.Add(700*24*time.Hour), true, "phone.example")) {
		t.Errorf("the fingerprint %s changes", f)
	}
	if fingerprint(get(now, false, "192.0.2.8", "phone.example")) != fingerprint(first) {
		t.Error("with each address of the machine the fingerprint changes")
	}
	if c := get(now.Add(certificateLife-certificateRest), true, "phone.example"); fingerprint(c) == fingerprint(first) || !now.Add(certificateLife).Before(c.Leaf.NotAfter) {
		t.Error("a certificate that ends soon is kept")
	}
	if get(now, true, "other.example").Leaf.VerifyHostname("other.example") != nil {
		t.Error("a new name is not in it")
	}
}
