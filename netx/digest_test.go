package netx

import (
	"net/url"
	"strings"
	"testing"
)

// The challenges of RFC 7616, 3.9.1. The figures are those of another implementation,
// which gives the RFC's for the RFC's request; here the method is CONNECT.
func TestDigest(t *testing.T) {
	user := url.UserPassword("Mufasa", "Circle of Life")
	for _, tt := range []struct{ header, response string }{
		{`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=MD5, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`, "4713b813c4f0a44cbbdce320fc4f103b"},
		{`Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"`, "10227a14c140acb95edeab5578538d40e3fc8190bda23e706573e87c81f08d4f"},
		{`Digest realm="http-auth@example.org", nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"`, "c9b2f7ce124b3e93e1fa3a32672adcdd"},
		{`Digest realm="http-auth@example.org", qop=auth, algorithm=MD5-sess, nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"`, "e16982fca1194051f4f21336677343f6"},
	} {
		c := parseChallenge(tt.header)
		got := c.digest(user, "192.0.2.7:443", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ")
		if !strings.Contains(got, `response="`+tt.response+`"`) || !strings.HasPrefix(got, `Digest username="Mufasa", realm="http-auth@example.org"`) {
			t.Errorf("%s:\n%s", tt.header, got)
		}
	}
}

func TestChallenges(t *testing.T) {
	for header, scheme := range map[string]string{
		"Basic": "basic", "basic realm=x": "basic", "NTLM": "", "": "", "Digest": "", `Digest realm="x"`: "",
		`Digest nonce=n`: "digest", `Digest nonce="n", qop="auth-int"`: "", `Digest nonce="n", algorithm=SHA-512`: "",
		`Digest nonce="n\"`: "digest", `Digest nonce="`: "", "Digest ,,, nonce = n": "digest",
	} {
		if c := parseChallenge(header); c.scheme != scheme {
			t.Errorf("%q is %q, want %q", header, c.scheme, scheme)
		}
	}
	best := strongest([]string{"Basic", "Digest nonce=a", "Digest nonce=b, algorithm=SHA-256, stale=TRUE", "NTLM"})
	if best.nonce != "b" || !best.stale {
		t.Errorf("%+v", best)
	}
}

func FuzzChallenge(f *testing.F) {
	f.Add(`Digest realm="a\"b", nonce="n", qop="auth, auth-int", opaque=x, stale=true`)
	f.Add("Basic")
	f.Fuzz(func(t *testing.T, header string) {
		out := parseChallenge(header).authorization(url.UserPassword("a", "b"), "192.0.2.7:443")
		if strings.ContainsAny(out, "\r\n") {
			t.Errorf("%q", out)
		}
	})
}
