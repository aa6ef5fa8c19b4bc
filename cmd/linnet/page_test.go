package main

import (
	"encoding/json"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

// opensPage follows a link as a browser does: the page, a key for the token, and the node's status with it.
func opensPage(t *testing.T, link string) {
	t.Helper()
	page, token, found := strings.Cut(link, "#token=")
	if !found {
		t.Fatalf("%q is no link to a page", link)
	}
	fetch := func(method, path, body string, more http.Header) (*http.Response, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, page+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range more {
			req.Header[name] = values
		}
		if body != "" {
			req.Header.Set("Content-Type", "application/json")
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %s, %v, %.200s", path, resp.Status, err, b)
		}
		return resp, string(b)
	}
	if _, html := fetch("GET", "", "", nil); !strings.Contains(html, "assets/page.js") || strings.Contains(html, "<script>") || strings.Contains(html, "style=") {
		t.Errorf("the page is %q", html)
	}
	fetch("GET", "assets/page.js", "", nil)
	resp, body := fetch("POST", "v1/session", `{"token":"`+token+`"}`, nil)
	var session struct{ Key string }
	if err := json.Unmarshal([]byte(body), &session); err != nil {
		t.Fatal(err)
	}
	c := resp.Cookies()[0]
	if _, status := fetch("GET", "v1/status", "", http.Header{"Cookie": {c.Name + "=" + c.Value}, "Linnet-Key": {session.Key}}); !strings.Contains(status, `"home"`) {
		t.Errorf("the status is %s", status)
	}
}

func TestPageForOtherMachinesWantsAPassword(t *testing.T) {
	home := t.TempDir()
	everybody := pageFlags{Web: netip.MustParseAddrPort("0.0.0.0:0")}
	if _, err := everybody.site(nil, home); linnet.CodeOf(err) != linnet.CodeUsage || !strings.Contains(err.Error(), "linnet page --set-password") {
		t.Errorf("a page for everybody: %v", err)
	}
	set := func(password string) (code int, said string) {
		var stderr strings.Builder
		return run(t.Context(), []string{"--home", home, "page", "--set-password"}, strings.NewReader(password+"\n"), io.Discard, &stderr), stderr.String()
	}
	if code, said := set("short"); code != 2 {
		t.Errorf("a short password: %d, %s", code, said)
	}
	if code, said := set("two birds, one page"); code != 0 {
		t.Fatalf("the password: %d, %s", code, said)
	}
	site, err := everybody.site(nil, home)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(site.Link(), "https://") || len(site.Fingerprint()) != 95 {
		t.Errorf("the page is %s, its fingerprint %s", site.URL(), site.Fingerprint())
	}
	if _, err := (pageFlags{Web: everybody.Web, WebCert: "chain.pem"}).site(nil, home); linnet.CodeOf(err) != linnet.CodeUsage {
		t.Errorf("a certificate without its key: %v", err)
	}
}
