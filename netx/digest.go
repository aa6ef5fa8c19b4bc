package netx

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"net/url"
	"strings"
)

// A challenge is how a proxy wants to be told the password: Basic, or Digest
// (RFC 7616). The zero value is not at all.
type challenge struct {
	scheme    string // "basic", "digest"
	realm     string
	nonce     string
	opaque    string
	algorithm string // as the proxy writes it; "" means MD5
	qop       bool   // with "auth", else as in RFC 2069
	stale     bool   // the password was right, the nonce too old
}

var hashes = map[string]func() hash.Hash{"": md5.New, "MD5": md5.New, "SHA-256": sha256.New}

// strongest is the best of the challenges of an answer that can be met.
func strongest(headers []string) (best challenge) {
	rank := func(c challenge) int {
		switch {
		case c.scheme == "digest" && strings.HasPrefix(strings.ToUpper(c.algorithm), "SHA-256"):
			return 3
		case c.scheme == "digest":
			return 2
		case c.scheme == "basic":
			return 1
		}
		return 0
	}
	for _, h := range headers {
		if c := parseChallenge(h); rank(c) > rank(best) {
			best = c
		}
	}
	return best
}

// parseChallenge reads one Proxy-Authenticate header; zero if it is of no use.
func parseChallenge(header string) challenge {
	scheme, rest, _ := strings.Cut(strings.TrimSpace(header), " ")
	c := challenge{scheme: strings.ToLower(scheme)}
	switch c.scheme {
	case "basic":
		return c
	case "digest":
	default:
		return challenge{}
	}
	auth := false // one of several qualities of protection
	for name, value := range parameters(rest) {
		switch name {
		case "realm":
			c.realm = value
		case "nonce":
			c.nonce = value
		case "opaque":
			c.opaque = value
		case "algorithm":
			c.algorithm = value
		case "stale":
			c.stale = strings.EqualFold(value, "true")
		case "qop":
			c.qop = true
			for q := range strings.SplitSeq(value, ",") {
				auth = auth || strings.EqualFold(strings.TrimSpace(q), "auth")
			}
		}
	}
	algorithm, _ := strings.CutSuffix(strings.ToUpper(c.algorithm), "-SESS")
	if hashes[algorithm] == nil || c.nonce == "" || c.qop && !auth {
		return challenge{}
	}
	return c
}

// parameters are the name=value pairs of a header, values quoted or not (an
// iter.Seq2). What makes no sense ends them.
func parameters(s string) func(yield func(name, value string) bool) {
	return func(yield func(name, value string) bool) {
		for {
			name, rest, ok := strings.Cut(strings.TrimLeft(s, " \t,"), "=")
			if !ok {
				return
			}
			var value strings.Builder
			rest = strings.TrimLeft(rest, " \t")
			if quoted, ok := strings.CutPrefix(rest, `"`); ok {
				i := 0
				for ; i < len(quoted) && quoted[i] != '"'; i++ {
					if quoted[i] == '\\' && i+1 < len(quoted) {
						i++
					}
					value.WriteByte(quoted[i])
				}
				s = quoted[min(i+1, len(quoted)):]
			} else {
				i := strings.IndexAny(rest, ", \t")
				if i < 0 {
					i = len(rest)
				}
				value.WriteString(rest[:i])
				s = rest[i:]
			}
			if !yield(strings.ToLower(strings.TrimSpace(name)), value.String()) {
				return
			}
		}
	}
}

// authorization is the Proxy-Authorization header for CONNECT to uri; "" if none
// is wanted.
func (c challenge) authorization(user *url.Userinfo, uri string) string {
	switch {
	case c.scheme == "" || user == nil:
		return ""
	case c.scheme == "basic":
		return basic(user)
	}
	return c.digest(user, uri, rand.Text())
}

func (c challenge) digest(user *url.Userinfo, uri, cnonce string) string {
	algorithm, session := strings.CutSuffix(strings.ToUpper(c.algorithm), "-SESS")
	h := func(parts ...string) string {
		sum := hashes[algorithm]()
		sum.Write([]byte(strings.Join(parts, ":")))
		return hex.EncodeToString(sum.Sum(nil))
	}
	password, _ := user.Password()
	a1 := h(user.Username(), c.realm, password)
	if session {
		a1 = h(a1, c.nonce, cnonce)
	}
	a2 := h("CONNECT", uri)
	const count = "00000001" // each connection asks with a cnonce of its own
	out := fmt.Sprintf(`Digest username=%s, realm=%s, nonce=%s, uri=%s`, quote(user.Username()), quote(c.realm), quote(c.nonce), quote(uri))
	if c.qop {
		out += fmt.Sprintf(`, qop=auth, nc=%s, cnonce=%s, response="%s"`, count, quote(cnonce), h(a1, c.nonce, count, cnonce, "auth", a2))
	} else {
		out += fmt.Sprintf(`, response="%s"`, h(a1, c.nonce, a2))
		if session {
			out += ", cnonce=" + quote(cnonce)
		}
	}
	if c.algorithm != "" {
		out += ", algorithm=" + c.algorithm
	}
	if c.opaque != "" {
		out += ", opaque=" + quote(c.opaque)
	}
	return out
}

func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\r", "", "\n", "").Replace(s) + `"`
}
