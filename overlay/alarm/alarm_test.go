package alarm

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestRingsInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		type key struct{ at, n int }
		const void = 7
		var q Queue[key]
		var want []key
		start := time.Unix(0, 0)
		for n, at := range rapid.SliceOf(rapid.IntRange(0, 20)).Draw(t, "moments") {
			q.Set(start.Add(time.Duration(at)), key{at, n})
			if at != void {
				want = append(want, key{at, n})
			}
		}
		slices.SortStableFunc(want, func(a, b key) int { return a.at - b.at })
		var got []key
		for now := 0; now <= 20; now++ {
			q.Skip(func(k key) bool { return k.at == void })
			for {
				k, ok := q.Pop(start.Add(time.Duration(now)))
				if !ok {
					break
				}
				if k.at != now {
					t.Fatalf("an alarm of %d rang at %d", k.at, now)
				}
				got = append(got, k)
			}
		}
		if !slices.Equal(got, want) || !q.Next().IsZero() {
			t.Fatalf("rang %v, want %v, next %v", got, want, q.Next())
		}
	})
}
