package detect

import (
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestChi2(t *testing.T) {
	const n = 160
	tests := []struct {
		name string
		byte func(i int) byte
		want [2]float64 // high and low nibble
	}{
		{"fixed", func(int) byte { return 0x0d }, [2]float64{15 * n, 15 * n}},
		{"one fixed bit, else even", func(i int) byte { return byte(i%8)<<4 | 0xd }, [2]float64{n, 15 * n}},
		{"two fixed bits, else even", func(i int) byte { return byte(i % 4) }, [2]float64{15 * n, 3 * n}},
		{"even", func(i int) byte { return byte(i%16)<<4 | byte(i%16) }, [2]float64{0, 0}},
	}
	for _, tt := range tests {
		var c Nibbles
		for i := range n {
			c.Add([]byte{0, 0, tt.byte(i)})
		}
		chi2 := c.Chi2()
		if got := [2]float64(chi2[4:6]); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		if chi2[6] != 0 {
			t.Errorf("%s: a nibble that no message has: %v", tt.name, chi2[6])
		}
	}
}

// The statistic is the textbook's, and 15 n at most.
func TestChi2IsPearsons(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		heads := rapid.SliceOfN(rapid.SliceOfN(rapid.Byte(), 8, 8), 1, 200).Draw(t, "heads")
		var c Nibbles
		for _, h := range heads {
			c.Add(h)
		}
		n := float64(len(heads))
		for g, got := range c.Chi2() {
			want := -n // sum of squares over the expected count, less n
			for v := range 16 {
				observed := 0.0
				for _, h := range heads {
					if nibble := h[g/2] >> (4 * (1 - g%2)) & 0xf; int(nibble) == v {
						observed++
					}
				}
				want += observed * observed / (n / 16)
			}
			if math.Abs(got-want) > 1e-6*n || got > 15*n+1e-6 {
				t.Fatalf("nibble %d: %v, want %v", g+1, got, want)
			}
		}
	})
}

// The least recently used goes when there is no room, and never what is used.
func TestTable(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var order []int // oldest first
		var gone []int
		x := table[int, int]{limit: 8 * entryBytes, evicted: func(e *entry[int, int]) { gone = append(gone, e.key) }}
		for _, key := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "keys") {
			gone = nil
			was := len(order)
			for i, k := range order {
				if k == key {
					order = append(order[:i:i], order[i+1:]...)
					break
				}
			}
			e, known := x.use(key)
			if known != (len(order) < was) {
				t.Fatalf("key %d known: %v", key, known)
			}
			order = append(order, key)
			x.grow(e, 0)
			if len(order) > 8 {
				if len(gone) != 1 || gone[0] != order[0] {
					t.Fatalf("%v went, want %d", gone, order[0])
				}
				order = order[1:]
			} else if len(gone) > 0 {
				t.Fatalf("%v went with %d in it", gone, len(order))
			}
			if len(x.entries) != len(order) || x.bytes != len(order)*entryBytes {
				t.Fatalf("%d entries of %d bytes, want %d", len(x.entries), x.bytes, len(order))
			}
		}
		gone = nil
		x.drain()
		if len(gone) != len(order) || x.bytes != 0 {
			t.Fatalf("drained %d of %d, %d bytes left", len(gone), len(order), x.bytes)
		}
	})
}
