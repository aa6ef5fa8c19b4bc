package traverse

import (
	"testing"
	"time"
)

// A line between a Lifetime and a supernode, through a NAT that forgets.
type forgetful struct {
	lifetime  time.Duration
	lose      func(n int) bool // the nth packet
	refuse    bool
	refreshed map[uint32]time.Time
	n         int
}

func (f *forgetful) run(l *Lifetime) (kept Kept, known bool, took time.Duration) {
	type answer struct {
		at time.Time
		AskLater
	}
	var answers []answer
	now := start
	f.refreshed = make(map[uint32]time.Time)
	for range 10000 {
		l.Tick(now)
		for _, x := range l.Take() {
			ask := x.(AskLater)
			f.refreshed[ask.Socket] = now
			if f.n++; f.lose != nil && f.lose(f.n) {
				continue
			}
			after := ask.After
			if f.refuse {
				after = 0
			}
			answers = append(answers, answer{now.Add(after + 50*time.Millisecond), ask})
		}
		if kept, known, over := l.Result(); over {
			return kept, known, now.Sub(start)
		}
		next := l.Deadline()
		for _, a := range answers {
			if a.at.Before(next) {
				next = a.at
			}
		}
		now = later(now, next)
		for i := 0; i < len(answers); i++ {
			a := answers[i]
			if a.at.After(now) {
				continue
			}
			answers = append(answers[:i], answers[i+1:]...)
			i--
			if now.Sub(f.refreshed[a.Socket]) < f.lifetime {
				f.refreshed[a.Socket] = now // as many do
				l.Seen(now, a.Socket, a.Token)
			}
		}
	}
	panic("it does not end")
}

func TestLifetime(t *testing.T) {
	sockets := []uint32{11, 12, 13, 14, 15, 16, 17}
	for _, tt := range []struct {
		name  string
		line  forgetful
		kept  Kept
		known bool
		pause time.Duration // of keep-alives
	}{
		{"30 s", forgetful{lifetime: 35 * time.Second}, Kept{30 * time.Second, 40 * time.Second}, true, 22500 * time.Millisecond},
		{"2 minutes", forgetful{lifetime: 125 * time.Second}, Kept{120 * time.Second, 160 * time.Second}, true, time.Minute},
		{"long", forgetful{lifetime: time.Hour}, Kept{160 * time.Second, 0}, true, time.Minute},
		{"hardly any", forgetful{lifetime: 10 * time.Second}, Kept{0, 20 * time.Second}, true, 15 * time.Second},
		{"one in five is lost", forgetful{lifetime: 65 * time.Second, lose: func(n int) bool { return n%5 == 2 }}, Kept{60 * time.Second, 80 * time.Second}, true, 45 * time.Second},
		{"a supernode that answers at once", forgetful{lifetime: time.Hour, refuse: true}, Kept{}, false, 0},
		{"nothing comes", forgetful{lifetime: time.Hour, lose: func(int) bool { return true }}, Kept{}, false, 0},
		{"all is lost after a while", forgetful{lifetime: time.Hour, lose: func(n int) bool { return n > 2*LifetimeSockets }}, Kept{0, 20 * time.Second}, false, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			kept, known, took := tt.line.run(NewLifetime(start, sockets, 1<<40))
			if known != tt.known || known && (kept != tt.kept || kept.KeepAlive() != tt.pause) {
				t.Errorf("%+v, %v; pause %v", kept, known, kept.KeepAlive())
			}
			if took > 6*time.Minute {
				t.Errorf("it took %v", took)
			}
		})
	}
	l := NewLifetime(start, sockets, 1<<40)
	if l.Seen(start, 99, 1<<40) {
		t.Error("took an answer to somebody else's question")
	}
	l.Tick(start)
	if l.Seen(start, 11, 77); l.signs != [LifetimeSockets]signs{} {
		t.Error("took an answer to nothing")
	}
}
