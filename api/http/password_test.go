package http

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// setCheaply keeps a password whose lock takes no time.
func setCheaply(t *testing.T, home, password string) {
	t.Helper()
	l := lock{Time: 1, Memory: 8, Threads: 1, Salt: []byte("salt of a test..")}
	l.Hash = l.hash(password)
	b, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(home, passwordFile), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestPasswordIsKept(t *testing.T) {
	home := t.TempDir()
	d := doorman{home: home}
	try := func(password string) bool {
		t.Helper()
		right, wait, err := d.admit(t.Context(), time.Now(), netip.MustParseAddr("192.0.2.1"), password)
		if err != nil || wait > 0 {
			t.Fatalf("%q: wait %v, %v", password, wait, err)
		}
		return right
	}
	if try("") || try("any") {
		t.Error("without a password somebody gets in")
	}
	if err := SetPassword(home, "two birds, one page"); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, passwordFile)
	if b, err := os.ReadFile(path); err != nil || strings.Contains(string(b), "birds") {
		t.Errorf("the file holds %s, %v", b, err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file is %v, %v", info.Mode(), err)
	}
	if !try("two birds, one page") || try("two birds") {
		t.Error("the password is not the one that was set")
	}
	if err := SetPassword(home, strings.Repeat("x", MaxPassword+1)); linnet.CodeOf(err) != linnet.CodeUsage {
		t.Errorf("a long password: %v", err)
	}
	for _, damaged := range []string{"", "{}", `{"argon2id_time":1,"argon2id_memory_kib":8,"argon2id_threads":0,"hash":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}`} {
		if err := os.WriteFile(path, []byte(damaged), 0o600); err != nil {
			t.Fatal(err)
		}
		if right, _, err := d.admit(t.Context(), time.Now().Add(2*forgotten), netip.MustParseAddr("192.0.2.1"), "any"); right || linnet.CodeOf(err) != linnet.CodeBadFile {
			t.Errorf("%s: %v, %v", damaged, right, err)
		}
	}
}

// guess has an address try a wrong password at now, and gives how long it has to wait instead.
func guess(t *testing.T, d *doorman, now time.Time, from string) time.Duration {
	t.Helper()
	right, wait, err := d.admit(t.Context(), now, netip.MustParseAddr(from), "wrong")
	if right || err != nil {
		t.Fatalf("%s: %v, %v", from, right, err)
	}
	return wait
}

func TestGuessesAreSlow(t *testing.T) {
	d := &doorman{home: t.TempDir()}
	setCheaply(t, d.home, "right")
	begin := time.Now()
	now := begin
	tried := 0
	for now.Before(begin.Add(24 * time.Hour)) {
		if wait := guess(t, d, now, "192.0.2.1"); wait > 0 {
			now = now.Add(wait)
		} else {
			tried++
		}
	}
	if tried > 120 {
		t.Errorf("one address tries %d passwords a day", tried)
	}
	if guess(t, d, now, "192.0.2.2") > 0 {
		t.Error("another address has to wait")
	}
	// Who knows it is let in after mistakes, and is as new then.
	at := netip.MustParseAddr("192.0.2.3")
	for range freeMistakes - 1 {
		now = now.Add(perAttempt)
		guess(t, d, now, at.String())
	}
	for range freeMistakes + 1 {
		now = now.Add(perAttempt)
		if right, wait, err := d.admit(t.Context(), now, at, "right"); !right || wait > 0 || err != nil {
			t.Errorf("the right password: %v, wait %v, %v", right, wait, err)
		}
	}
	// A network of IPv6 is one place, and so is an address in both its forms.
	for i := range freeMistakes {
		now = now.Add(perAttempt)
		guess(t, d, now, fmt.Sprintf("2001:db8::%x", i))
		guess(t, d, now, "::ffff:192.0.2.9")
		now = now.Add(perAttempt)
	}
	if guess(t, d, now, "2001:db8::ffff") == 0 || guess(t, d, now, "192.0.2.9") == 0 {
		t.Error("another form of an address is another place")
	}
	if guess(t, d, now.Add(forgotten+time.Second), "192.0.2.9") > 0 {
		t.Error("mistakes are never forgotten")
	}
}

func TestManyPlacesGuessSlowly(t *testing.T) {
	d := &doorman{home: t.TempDir()}
	setCheaply(t, d.home, "right")
	begin := time.Now()
	tried := 0
	for i := range 20 * maxPlaces {
		now := begin.Add(time.Duration(i) * 10 * time.Millisecond)
		if guess(t, d, now, netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}).String()) == 0 {
			tried++
		}
	}
	if most := atOnce + int(20*maxPlaces*10*time.Millisecond/perAttempt) + 1; tried > most || tried < most-2 {
		t.Errorf("all together tried %d, want %d", tried, most)
	}
	for i := range 2 * maxPlaces {
		d.attempt(begin.Add(time.Hour+time.Duration(i)*perAttempt), placeOf(netip.AddrFrom4([4]byte{11, 0, byte(i >> 8), byte(i)})))
	}
	if len(d.wrong) > maxPlaces {
		t.Errorf("%d places are remembered", len(d.wrong))
	}
}
