package session

import "time"

// wakeQueue is a heap of sessions by the time at which they want to be looked
// at. A timer for each of 100,000 sessions would cost more than all the rest of them.
type wakeQueue []*session

// set moves s to its place for a wake time; 0 takes it out.
func (q *wakeQueue) set(s *session, wake instant) {
	h := *q
	switch {
	case wake == 0 && s.index < 0:
		return
	case wake == 0:
		i, last := int(s.index), len(h)-1
		h.swap(i, last)
		h[last] = nil
		*q = h[:last]
		s.index, s.wake = -1, 0
		if i < last {
			q.fix(i)
		}
		return
	case s.index < 0:
		s.index = int32(len(h))
		*q = append(h, s)
	}
	s.wake = wake
	q.fix(int(s.index))
}

func (q wakeQueue) swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i), int32(j)
}

func (q wakeQueue) fix(i int) {
	for i > 0 && q[i].wake < q[(i-1)/2].wake {
		q.swap(i, (i-1)/2)
		i = (i - 1) / 2
	}
	for {
		least := i
		for c := 2*i + 1; c <= 2*i+2 && c < len(q); c++ {
			if q[c].wake < q[least].wake {
				least = c
			}
		}
		if least == i {
			return
		}
		q.swap(i, least)
		i = least
	}
}

// settle frees what a session needs no more, and says when it wants to be
// looked at again.
func (e *Endpoint) settle(s *session) {
	if s.state == dead {
		return
	}
	if f := s.flow; f != nil && f.quiet() {
		s.flow = nil
	}
	if s.state == closing && (s.flow == nil || len(s.flow.queue)+len(s.flow.flight) == 0) {
		e.remove(s)
		return
	}
	e.queue.set(s, s.due(e.idle(s)))
}

// idle is how long a session without keep-alives stands though nothing is heard.
func (e *Endpoint) idle(s *session) time.Duration {
	if s.lasting {
		return lastingIdle
	}
	return e.o.IdleTimeout
}

// due is when tick has something to do.
func (s *session) due(idle time.Duration) (at instant) {
	switch s.state {
	case dialing:
		at = sooner(s.dial.began.add(dialTimeout), s.dial.resend)
	case answered:
		at = s.half.began.add(answeredFor)
	case closing:
		at = s.end
	case up:
		at = s.oldGone
		if s.dialled {
			at = sooner(at, s.rekey)
		}
		if s.silence != 0 {
			at = sooner(at, s.silence.add(lostAfter))
		}
		if !s.stalled {
			at = sooner(at, s.stallAt())
		}
		if s.keepAlive == 0 {
			at = sooner(at, s.heard.add(idle))
		} else if s.main().retry == 0 {
			at = sooner(at, s.keepAliveAt())
		}
		for i := range s.paths {
			at = sooner(at, s.paths[i].retry)
		}
		if w := s.main().width; w != nil {
			at = sooner(at, min(w.next, s.wide))
		}
	}
	if s.keys.warm() || s.old != nil && s.old.warm() {
		at = sooner(at, s.coolAt())
	}
	if f := s.flow; f != nil {
		if f.owed > 0 {
			at = sooner(at, f.ackAt)
		}
		if len(f.flight) > 0 && s.state == up {
			at = sooner(at, f.progress.add(stuckAfter))
		}
		for _, r := range f.requests {
			at = sooner(at, r.timeout)
		}
		at = sooner(at, s.resendAt())
	}
	return at
}

func (s *session) coolAt() instant { return max(s.heard, s.sent).add(coolAfter) }

func (s *session) keepAliveAt() instant { return min(s.heard, s.sent).add(s.keepAlive) }

// stallAt is when other paths are tried, 0 if nothing is owed to us.
func (s *session) stallAt() (at instant) {
	if s.silence != 0 {
		at = s.silence.add(stalledAfter)
	}
	if s.flow != nil && len(s.flow.flight) > 0 {
		at = sooner(at, s.flow.flight[0].first.add(stalledAfter))
	}
	if at != 0 {
		at = max(at, s.stall)
	}
	return at
}

// tick does what is due for one session.
func (e *Endpoint) tick(s *session) {
	past := func(at instant) bool { return at != 0 && at <= e.now }
	switch s.state {
	case dialing:
		if past(s.dial.began.add(dialTimeout)) {
			e.giveUp(s, ErrUnreachable)
			return
		}
		if past(s.dial.resend) {
			e.repeatHello(s)
		}
	case answered:
		if past(s.half.began.add(answeredFor)) {
			e.giveUp(s, ErrUnreachable)
			return
		}
	case closing:
		if past(s.end) {
			e.remove(s)
			return
		}
	case up:
		if f := s.flow; s.silence != 0 && past(s.silence.add(lostAfter)) ||
			f != nil && len(f.flight) > 0 && past(f.progress.add(stuckAfter)) {
			e.finish(s, ErrLost)
			return
		}
		if s.keepAlive == 0 && past(s.heard.add(e.idle(s))) {
			e.finish(s, ErrIdle)
			return
		}
		if !s.stalled && past(s.stallAt()) {
			e.tryPaths(s)
		}
		e.retries(s)
		e.tryWidths(s)
		if s.keepAlive != 0 && s.main().retry == 0 && past(s.keepAliveAt()) {
			e.challenge(s, s.main())
		}
		if past(s.oldGone) {
			e.forgetOld(s)
		}
		if s.dialled && past(s.rekey) {
			e.startUpgrade(s)
		}
	}
	e.expire(s)
	e.timeouts(s)
	if past(s.coolAt()) {
		s.keys.cool()
		if s.old != nil {
			s.old.cool()
		}
	}
}

// tryPaths is called when the peer owes an answer for a second: every path that
// was up carries everything until the one in use is heard or another takes its place.
func (e *Endpoint) tryPaths(s *session) {
	s.stalled, s.stall = true, e.now.add(stalledAfter)
	for i := range s.paths {
		if p := &s.paths[i]; p.retry == 0 && (p.up || p.rank != 0) {
			e.challenge(s, p)
		}
	}
}
