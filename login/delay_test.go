package login

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDelaysGrow(t *testing.T) {
	var d delays
	now := time.Unix(1_000_000, 0)
	s := suspect{"x", 2}
	for i, want := range []time.Duration{0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900} {
		wait := d.attempt(now, s)
		if wait != want*time.Second {
			t.Errorf("attempt %d waits for %v, want %v", i, wait, want*time.Second)
		}
		if wait > 0 && d.attempt(now.Add(wait-1), s) == 0 {
			t.Errorf("attempt %d was heard too early", i)
		}
		now = now.Add(wait)
		if wait > 0 && d.attempt(now, s) != 0 {
			t.Fatalf("attempt %d has to wait again", i)
		}
	}
	if wait := d.attempt(now.Add(strikesLive+time.Second), s); wait != 0 {
		t.Errorf("forgotten strikes delay for %v", wait)
	}
}

func TestForgivenAttemptsDoNotCount(t *testing.T) {
	var d delays
	now := time.Unix(1_000_000, 0)
	for range 100 {
		if wait := d.attempt(now, suspect{"x", 1}); wait != 0 {
			t.Fatalf("waits for %v", wait)
		}
		d.forgive(suspect{"x", 1})
	}
	if len(d.by) != 0 || d.order.Len() != 0 {
		t.Errorf("%d are still remembered", len(d.by))
	}
}

// A flood of strangers costs bounded memory, and those struck last are kept.
func TestDelaysAreBounded(t *testing.T) {
	var d delays
	now := time.Unix(1_000_000, 0)
	for i := range maxStrikes + 100 {
		d.attempt(now, suspect{fmt.Sprint(i), 0})
	}
	if len(d.by) != maxStrikes || d.order.Len() != maxStrikes {
		t.Errorf("%d remembered, list of %d, want %d", len(d.by), d.order.Len(), maxStrikes)
	}
	if d.attempt(now, suspect{fmt.Sprint(maxStrikes + 99), 0}) == 0 {
		t.Error("the last one was forgotten")
	}
}

func TestPlace(t *testing.T) {
	for a, want := range map[string]string{
		"192.0.2.1":              "192.0.2.1",
		"::ffff:192.0.2.1":       "192.0.2.1",
		"2001:db8:1:2ff::1":      "2001:db8:1:200::/56",
		"2001:db8:1:200:1:2:3:4": "2001:db8:1:200::/56",
		"fe80::1%eth0":           "fe80::/56",
	} {
		if got := place(netip.MustParseAddr(a)); got != want {
			t.Errorf("place(%s) = %s, want %s", a, got, want)
		}
	}
}

// A nonce is refused for as long as its request's time passes for now, whatever
// else happens.
func TestNoncesAreRemembered(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := nonces{limit: 50}
		now := time.Unix(1_000_000, 0)
		usedAt := make(map[byte]time.Time)
		t.Repeat(map[string]func(*rapid.T){
			"time": func(t *rapid.T) {
				now = now.Add(time.Duration(rapid.IntRange(0, 11*60).Draw(t, "seconds")) * time.Second)
			},
			"use": func(t *rapid.T) {
				b := rapid.Byte().Draw(t, "nonce")
				fresh, room := n.use([nonceSize]byte{b}, now)
				at, used := usedAt[b]
				if used && now.Sub(at) < 2*maxSkew && fresh {
					t.Fatalf("nonce %d passes again after %v", b, now.Sub(at))
				}
				if used && now.Sub(at) >= 6*maxSkew && !fresh {
					t.Fatalf("nonce %d is still remembered after %v", b, now.Sub(at))
				}
				if fresh && room {
					usedAt[b] = now
				}
			},
			"": func(t *rapid.T) {
				if len(n.new) > 50 || len(n.old) > 50 {
					t.Fatalf("%d and %d remembered", len(n.new), len(n.old))
				}
			},
		})
	})
}
