package http

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"golang.org/x/crypto/argon2"

	"github.com/linnet-p2p/linnet"
)

// passwordFile keeps the password of the page in the home of the node, as a lock.
const passwordFile = "page.password"

// MaxPassword bounds a password, in bytes.
const MaxPassword = 512

// A lock is what is kept of a password: enough to try one, and slowly.
type lock struct {
	Time    uint32 `json:"argon2id_time"`
	Memory  uint32 `json:"argon2id_memory_kib"`
	Threads uint8  `json:"argon2id_threads"`
	Salt    []byte `json:"salt"`
	Hash    []byte `json:"hash"`
}

// newLock is the second recommended option of RFC 9106, section 4.
func newLock(password string) lock {
	l := lock{Time: 3, Memory: 64 << 10, Threads: 4, Salt: make([]byte, 16)}
	rand.Read(l.Salt)
	l.Hash = l.hash(password)
	return l
}

func (l lock) hash(password string) []byte {
	return argon2.IDKey([]byte(password), l.Salt, l.Time, l.Memory, l.Threads, 32)
}

func (l lock) opens(password string) bool {
	return subtle.ConstantTimeCompare(l.hash(password), l.Hash) == 1
}

// SetPassword keeps a password for the page of the node in home, which also a
// running node asks for from now on. Browsers that are in stay in.
func SetPassword(home, password string) error {
	if len(password) > MaxPassword {
		return linnet.Errorf(linnet.CodeUsage, "a password has at most %d bytes", MaxPassword)
	}
	b, err := json.Marshal(newLock(password))
	if err == nil {
		err = writeFile(filepath.Join(home, passwordFile), b)
	}
	if err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: "the password of the page cannot be kept", Err: err}
	}
	return nil
}

// writeFile writes a secret in full or not at all.
func writeFile(path string, b []byte) error {
	tmp := path + ".new"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// readLock is nil without an error where no password was set.
func readLock(home string) (*lock, error) {
	b, err := os.ReadFile(filepath.Join(home, passwordFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("password of the page: %w", err)
	}
	var l lock
	if err := json.Unmarshal(b, &l); err != nil || len(l.Hash) != 32 || l.Time == 0 || l.Threads == 0 || l.Memory > 1<<20 {
		return nil, &linnet.Error{Code: linnet.CodeBadFile, Text: passwordFile + " is damaged", Hint: "set the password of the page again", Err: err}
	}
	return &l, nil
}

// A doorman tries passwords: one at a time, since each takes memory and time, and
// not all that strangers have. Wrong ones from one place double the time until the
// next is tried, and all places together have a few a second, so that many places
// are no help. Who sits at the node gets in by a link meanwhile.
type doorman struct {
	home string

	trying sync.Mutex
	mu     sync.Mutex
	wrong  map[netip.Prefix]*mistakes
	spent  time.Time // to when the attempts of all are paid for
}

type mistakes struct {
	count int
	last  time.Time
}

const (
	freeMistakes = 5
	firstWait    = 2 * time.Second
	longestWait  = 15 * time.Minute
	forgotten    = time.Hour
	maxPlaces    = 1024
	perAttempt   = time.Second // of all places together
	atOnce       = 10
)

// admit says whether the password is right, or how long to wait before another attempt.
func (d *doorman) admit(ctx context.Context, now time.Time, from netip.Addr, password string) (right bool, wait time.Duration, err error) {
	place := placeOf(from)
	if wait := d.attempt(now, place); wait > 0 {
		return false, wait, nil
	}
	l, err := readLock(d.home)
	if err != nil || l == nil || len(password) > MaxPassword {
		return false, 0, err
	}
	d.trying.Lock()
	defer d.trying.Unlock()
	if ctx.Err() != nil { // it left while others were tried
		return false, 0, ctx.Err()
	}
	if right = l.opens(password); right {
		d.mu.Lock()
		delete(d.wrong, place)
		d.mu.Unlock()
	}
	return right, 0, nil
}

// placeOf is what one person has: an address, or a network of IPv6.
func placeOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 32
	if a.Is6() {
		bits = 64
	}
	p, _ := a.Prefix(bits)
	return p
}

// attempt counts a mistake before it is known to be one, which leaves no gap for
// attempts at the same time, or says how long to wait and counts nothing.
func (d *doorman) attempt(now time.Time, place netip.Prefix) (wait time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := d.wrong[place]
	if m != nil && now.Sub(m.last) > forgotten {
		m = nil
	}
	if m != nil && m.count >= freeMistakes {
		pause := min(firstWait<<min(m.count-freeMistakes, 16), longestWait)
		if wait := m.last.Add(pause).Sub(now); wait > 0 {
			return wait
		}
	}
	if least := now.Add(-atOnce * perAttempt); d.spent.Before(least) {
		d.spent = least
	}
	if wait := d.spent.Add(perAttempt).Sub(now); wait > 0 {
		return wait
	}
	d.spent = d.spent.Add(perAttempt)
	if m == nil {
		m = &mistakes{}
		d.remember(place, m)
	}
	m.count++
	m.last = now
	return 0
}

// remember needs the lock. The place that was quiet the longest makes room.
func (d *doorman) remember(place netip.Prefix, m *mistakes) {
	if d.wrong == nil {
		d.wrong = make(map[netip.Prefix]*mistakes)
	}
	if _, known := d.wrong[place]; !known && len(d.wrong) >= maxPlaces {
		var oldest netip.Prefix
		for p, x := range d.wrong {
			if !oldest.IsValid() || x.last.Before(d.wrong[oldest].last) {
				oldest = p
			}
		}
		delete(d.wrong, oldest)
	}
	d.wrong[place] = m
}
