package http

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Who may use a Site has two things: a cookie, which no script can read, and a
// key, which the page keeps where only its own address can read it. Browsers send
// a cookie to every port of this machine, and so to programs of others that listen
// on one; they get nothing by it without the key.
//
// Both come for a token of a link that the node gave out, and each token works
// once. They outlast a restart of the node: cookie and key are made from a secret
// on disk.
//
//	cookie = base64url(expires [8]byte, mac [32]byte)   // HMAC-SHA-256 of "cookie" and expires
//	key    = base64url(mac [32]byte)                    // HMAC-SHA-256 of "key" and the cookie
type keys struct {
	secret []byte

	mu     sync.Mutex
	tokens []string // given out and not used yet, the oldest first
}

const (
	keysFile    = "page.key"
	sessionLife = 30 * 24 * time.Hour
	maxTokens   = 16 // links that wait for being opened
)

// openKeys reads the secret of a home directory, or makes it.
func openKeys(home string) (*keys, error) {
	path := filepath.Join(home, keysFile)
	secret, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(secret) != sha256.Size {
		secret = make([]byte, sha256.Size)
		rand.Read(secret)
		err = os.WriteFile(path, secret, 0o600)
	}
	if err != nil {
		return nil, fmt.Errorf("key of the page: %w", err)
	}
	return &keys{secret: secret}, nil
}

// token is what a new link carries.
func (k *keys) token() string {
	b := make([]byte, 32)
	rand.Read(b)
	t := encode(b)
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.tokens) == maxTokens {
		k.tokens = k.tokens[1:]
	}
	k.tokens = append(k.tokens, t)
	return t
}

// use takes a token, once.
func (k *keys) use(token string) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	for i, t := range k.tokens {
		if subtle.ConstantTimeCompare([]byte(t), []byte(token)) == 1 {
			k.tokens = append(k.tokens[:i:i], k.tokens[i+1:]...)
			return true
		}
	}
	return false
}

// session makes a cookie, and the key that goes with it.
func (k *keys) session(now time.Time) (cookie, key string) {
	expires := binary.BigEndian.AppendUint64(nil, uint64(now.Add(sessionLife).Unix()))
	cookie = encode(append(expires, k.mac("cookie", string(expires))...))
	return cookie, encode(k.mac("key", cookie))
}

// good says whether cookie and key belong together, and are still good.
func (k *keys) good(now time.Time, cookie, key string) bool {
	b, err := base64.RawURLEncoding.DecodeString(cookie)
	if err != nil || len(b) != 8+sha256.Size || !hmac.Equal(b[8:], k.mac("cookie", string(b[:8]))) {
		return false
	}
	given, err := base64.RawURLEncoding.DecodeString(key)
	return err == nil && hmac.Equal(given, k.mac("key", cookie)) && now.Unix() < int64(binary.BigEndian.Uint64(b))
}

func (k *keys) mac(what, of string) []byte {
	h := hmac.New(sha256.New, k.secret)
	fmt.Fprintf(h, "linnet page %s\x00%s", what, of)
	return h.Sum(nil)
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }
