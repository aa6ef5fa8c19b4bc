package node

import (
	"context"
	"errors"
	"sync"
	"time"
)

// race makes attempts, of which attempt i begins after delays[i], until one
// succeeds, and says which. The others are told to end, and what they bring all the
// same is dropped. Nothing that it started goes on when it returns.
func race[T any](ctx context.Context, delays []time.Duration, attempt func(ctx context.Context, i int) (T, error), drop func(T)) (first T, winner int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		value T
		err   error
		from  int
	}
	results := make(chan result, len(delays))
	var wg sync.WaitGroup
	for i, delay := range delays {
		wg.Go(func() {
			select {
			case <-time.After(delay):
				v, err := attempt(ctx, i)
				results <- result{v, err, i}
			case <-ctx.Done():
				results <- result{err: ctx.Err(), from: i}
			}
		})
	}
	winner = -1
	var failures []error
	for range delays {
		r := <-results
		switch {
		case r.err == nil && winner < 0:
			first, winner = r.value, r.from
			cancel()
		case r.err == nil:
			drop(r.value)
		case winner < 0:
			failures = append(failures, r.err)
		}
	}
	wg.Wait()
	if winner < 0 {
		return first, winner, errors.Join(failures...)
	}
	return first, winner, nil
}

// insist makes an attempt, and beside it another one whenever none ended for so long, up
// to so many: what is lost on a bad line is sent again sooner so than by TCP itself. An
// attempt that fails ends it.
func insist[T any](ctx context.Context, every time.Duration, times int, attempt func(ctx context.Context) (T, error), drop func(T)) (T, error) {
	delays := make([]time.Duration, times)
	for i := range delays {
		delays[i] = time.Duration(i) * every
	}
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	v, _, err := race(ctx, delays, func(ctx context.Context, _ int) (T, error) {
		v, err := attempt(ctx)
		if err != nil && ctx.Err() == nil {
			fail(err)
		}
		return v, err
	}, drop)
	if err != nil && context.Cause(ctx) != nil {
		err = context.Cause(ctx)
	}
	return v, err
}
