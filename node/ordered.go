package node

import (
	"context"
	"time"
)

// ordered carries out the effects of a machine in their order. What follows one that
// is written to disk waits for that: what was acknowledged, promised or sent is not lost.
type ordered[E any] struct {
	waiting []E
	writing bool
}

// run does effects. Write gives what puts one on disk, or nil if there is nothing to
// write. What waited for a write that failed is dropped, and told with it.
func (o *ordered[E]) run(s *station, now time.Time, effects []E,
	write func(E) func(context.Context) error, do func(now time.Time, e E), failed func(now time.Time, dropped []E, err error),
) {
	o.waiting = append(o.waiting, effects...)
	for len(o.waiting) > 0 && !o.writing {
		e := o.waiting[0]
		o.waiting = o.waiting[1:]
		w := write(e)
		if w == nil {
			do(now, e)
			continue
		}
		o.writing = true
		s.node.note(w, func(now time.Time, err error) {
			o.writing = false
			if s.node.station != s {
				return
			}
			if err != nil {
				dropped := append([]E{e}, o.waiting...)
				o.waiting = nil
				failed(now, dropped, err)
			}
			o.run(s, now, nil, write, do, failed)
		})
	}
}
