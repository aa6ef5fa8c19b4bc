package sim

import (
	"testing"

	"pgregory.net/rapid"
)

func TestSessions(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s sessions
		want := make(map[uint32]uint32)
		for range rapid.IntRange(0, 300).Draw(t, "steps") {
			peer := uint32(rapid.IntRange(0, 40).Draw(t, "peer")) * 1_000_003
			if _, had := want[peer]; rapid.Bool().Draw(t, "remove") {
				if s.remove(peer) != had {
					t.Fatalf("removed %d: %v", peer, !had)
				}
				delete(want, peer)
			} else {
				life := rapid.Uint32().Draw(t, "life")
				s.set(peer, life)
				want[peer] = life
			}
			if s.count != len(want) {
				t.Fatalf("%d sessions, want %d", s.count, len(want))
			}
		}
		for i := range uint32(41) {
			life, ok := s.get(i * 1_000_003)
			if w, had := want[i*1_000_003]; ok != had || life != w {
				t.Fatalf("%d: %d %v, want %d %v", i, life, ok, w, had)
			}
		}
	})
}
