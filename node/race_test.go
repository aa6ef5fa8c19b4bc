package node

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

func TestInsist(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	for _, tt := range []struct {
		name    string
		attempt func(ctx context.Context, n int) (int, error)
		want    int
		err     error
		took    time.Duration
	}{
		{"at once", func(context.Context, int) (int, error) { return 1, nil }, 1, nil, 0},
		{"refused", func(context.Context, int) (int, error) { return 0, refused }, 0, refused, 0},
		{"the first is lost", func(ctx context.Context, n int) (int, error) {
			if n == 1 {
				<-ctx.Done()
				return 0, ctx.Err()
			}
			return n, nil
		}, 2, nil, time.Second},
		{"all are lost", func(ctx context.Context, n int) (int, error) { <-ctx.Done(); return 0, ctx.Err() }, 0, context.DeadlineExceeded, 5 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
				defer cancel()
				began, calls := time.Now(), make(chan int, 1)
				calls <- 0
				got, err := insist(ctx, time.Second, 3, func(ctx context.Context) (int, error) {
					n := <-calls + 1
					calls <- n
					return tt.attempt(ctx, n)
				}, func(int) {})
				if got != tt.want || !errors.Is(err, tt.err) || time.Since(began) != tt.took {
					t.Errorf("%d, %v after %v; want %d, %v after %v", got, err, time.Since(began), tt.want, tt.err, tt.took)
				}
			})
		})
	}
}
