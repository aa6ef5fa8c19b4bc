//go:build !linux

package netx

import (
	"context"
	"slices"
	"time"
)

const watchEvery = 5 * time.Second

// Watch looks every few seconds.
func (s System) Watch(ctx context.Context, changed func()) error {
	known, _ := s.Addrs()
	for {
		select {
		case <-time.After(watchEvery):
		case <-ctx.Done():
			return nil
		}
		if addrs, err := s.Addrs(); err == nil && !slices.Equal(addrs, known) {
			known = addrs
			changed()
		}
	}
}
