package node

import (
	"context"
	"time"
)

// strainEvery is how often an operator's supernode is told what it costs its machine: it
// takes no more clients when that is too much.
const strainEvery = 5 * time.Second

func (s *station) watchStrain() {
	if s.node.opts.Strain == nil {
		return
	}
	s.node.beside(func(ctx context.Context) {
		for same := true; same; {
			select {
			case <-time.After(strainEvery):
			case <-ctx.Done():
				return
			}
			percent := s.node.opts.Strain()
			if s.node.do(ctx, func(now time.Time) {
				if same = s.node.station == s; same {
					s.overlay.Strain(now, percent)
				}
			}) != nil {
				return
			}
		}
	})
}
