package node

import "context"

// A turn is had by one at a time. It is waited for as long as a context lasts, by what
// may take long; a mutex would also stop the virtual time of tests.
type turn chan struct{}

func newTurn() turn { return make(turn, 1) }

func (t turn) take(ctx context.Context) error {
	select {
	case t <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (t turn) give() { <-t }
