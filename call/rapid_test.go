package call

import (
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"pgregory.net/rapid"
)

// TestOneOutcome lets people do anything at any time, on a network that loses,
// doubles and reorders, and then reads the histories.
func TestOneOutcome(t *testing.T) {
	t.Run("losses are repaired", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { anything(t, 1, false, false) })
	})
	t.Run("losses may be too many, nodes die", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { anything(t, 0, true, false) })
	})
	t.Run("calls are handed over", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { anything(t, 1, false, true) })
	})
	t.Run("calls are handed over, nodes die", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) { anything(t, 0, true, true) })
	})
}

func anything(t *rapid.T, losses int, deaths, transfers bool) {
	w := newWorld(nil, rapid.Uint64().Draw(t, "seed"))
	w.t = fatal{nil, t}
	w.contacts = rapid.Bool().Draw(t, "contacts")
	w.loss, w.losses = rapid.Float64Range(0, 0.5).Draw(t, "loss"), losses
	w.twice = rapid.Float64Range(0, 0.3).Draw(t, "twice")
	w.jitter = time.Duration(rapid.IntRange(0, 1000).Draw(t, "jitter")) * time.Millisecond
	w.device("a1", "alice", Options{CallWaiting: rapid.Bool().Draw(t, "waiting"), PerUser: 8})
	w.device("b1", "bob", Options{PerUser: 8})
	if rapid.Bool().Draw(t, "three") {
		w.device("b2", "bob", Options{Lines: 2, PerUser: 8})
	}
	actions := []string{"dial", "answer", "answer", "hang up", "hold", "resume", "reject", "kill"}
	type dialled struct {
		by *device
		id linnet.CallID
	}
	var calls []dialled
	if transfers { // alice talks with both
		actions = append(actions, "transfer", "connect", "connect", "accept", "accept", "accept", "decline")
		w.device("c1", "carol", Options{CallWaiting: true, PerUser: 8})
		for _, user := range []linnet.UserName{"bob", "carol"} {
			calls = append(calls, dialled{w.order[0], w.order[0].dial(user)})
			w.run(3 * time.Second)
			d := w.nodes[w.users[user][0]]
			d.do(func(m *Machine) { m.Answer(w.now, calls[len(calls)-1].id) })
			w.run(time.Second)
		}
	}
	for range rapid.IntRange(1, 12).Draw(t, "steps") {
		d := w.order[rapid.IntRange(0, len(w.order)-1).Draw(t, "who")]
		ids := []linnet.CallID{}
		for _, c := range d.m.Calls() {
			ids = append(ids, c.ID)
		}
		what := rapid.SampledFrom(actions).Draw(t, "what")
		switch {
		case what == "kill" && deaths:
			if d.dead {
				d.start()
			} else {
				d.kill()
			}
		case d.dead:
		case what == "dial" && len(calls) < 4:
			calls = append(calls, dialled{d, d.dial(other(t, w, d.user))})
		case len(ids) > 0: // most of these are refused, which is fine
			id := ids[rapid.IntRange(0, len(ids)-1).Draw(t, "call")]
			d.do(func(m *Machine) {
				switch what {
				case "answer":
					m.Answer(w.now, id)
				case "hang up":
					m.HangUp(w.now, id)
				case "hold":
					m.Hold(w.now, id)
				case "resume":
					m.Resume(w.now, id)
				case "reject":
					m.Reject(w.now, id)
				case "transfer":
					m.Transfer(w.now, id, w.id(), other(t, w, d.user))
				case "connect":
					m.Connect(w.now, id, w.id(), ids[len(ids)-1])
				case "decline":
					m.DeclineTransfer(w.now, id)
				case "accept":
					if next := w.id(); m.AcceptTransfer(w.now, id, next) == nil {
						calls = append(calls, dialled{d, next})
					}
				}
			})
		}
		w.run(time.Duration(rapid.IntRange(0, 3000).Draw(t, "pause")) * time.Millisecond)
	}
	for _, d := range w.order {
		if d.dead {
			d.start()
		}
	}
	w.run(2 * time.Minute) // whatever rings gives up
	for range 2 {
		for _, d := range w.order {
			for _, c := range d.m.Calls() {
				d.do(func(m *Machine) { m.HangUp(w.now, c.ID) })
				w.run(time.Minute)
			}
		}
	}
	w.run(time.Minute)
	for _, d := range w.order {
		if len(d.m.calls) != 0 || len(d.media) != 0 {
			t.Fatalf("%v: calls left %+v, media left %v", d, d.m.Calls(), d.media)
		}
		for id, n := range d.finals {
			if n != 1 || d.rings[id] > 1 {
				t.Fatalf("%v: call %v has %d outcomes, rang %d times", d, id, n, d.rings[id])
			}
		}
		for id, r := range d.stored {
			if d.finals[id] != 1 {
				t.Fatalf("%v: history without a final word: %+v", d, r)
			}
		}
	}
	for _, c := range calls {
		if into, ok := c.by.merged[c.id]; ok {
			if c.by.finals[c.id] != 0 || c.by.finals[into] != 1 {
				t.Fatalf("%v: merged call %v", c.by, c.id)
			}
			continue
		}
		if c.by.finals[c.id] != 1 {
			t.Fatalf("%v: call %v has %d outcomes", c.by, c.id, c.by.finals[c.id])
		}
		var theirs []linnet.Outcome
		for _, d := range w.order {
			if d != c.by && d.finals[c.id] == 1 {
				theirs = append(theirs, d.stored[c.id].Outcome)
			}
		}
		if msg := disagree(c.by.stored[c.id].Outcome, theirs, deaths); msg != "" {
			t.Fatalf("call %v: caller %v, devices of the callee %v: %s", c.id, c.by.stored[c.id].Outcome, theirs, msg)
		}
	}
}

// other is somebody else than user.
func other(t *rapid.T, w *world, user linnet.UserName) linnet.UserName {
	var others []linnet.UserName
	for _, d := range w.order {
		if d.user != user {
			others = append(others, d.user)
		}
	}
	return rapid.SampledFrom(others).Draw(t, "whom")
}

// disagree compares a caller's outcome with those at the devices of the callee.
func disagree(caller linnet.Outcome, callee []linnet.Outcome, deaths bool) string {
	if deaths && (caller == linnet.OutcomeLost || slices.Contains(callee, linnet.OutcomeLost)) {
		return "" // a side died, and neither can know all
	}
	count := func(o linnet.Outcome) (n int) {
		for _, x := range callee {
			if x == o {
				n++
			}
		}
		return n
	}
	for _, o := range callee {
		switch o {
		case caller.AtCallee(), linnet.OutcomeBusy: // a device may have been busy all the while
		case linnet.OutcomeMissed: // by a device that was too slow, while another one was busy
			if caller != linnet.OutcomeBusy {
				return "they differ"
			}
		case linnet.OutcomeAnsweredElsewhere:
			if caller != linnet.OutcomeCompleted && caller != linnet.OutcomeLost {
				return "answered nowhere"
			}
		default:
			return "they differ"
		}
	}
	switch {
	case caller == linnet.OutcomeCompleted && count(linnet.OutcomeCompleted) != 1:
		return "completed by not exactly one device"
	case (caller == linnet.OutcomeRejected || caller == linnet.OutcomeBusy) && count(caller) == 0:
		return "nobody said so"
	case caller == linnet.OutcomeLost && !deaths:
		return "lost although every loss was repaired"
	}
	return ""
}

// fatal lets the world fail a rapid check.
type fatal struct {
	testing.TB
	t *rapid.T
}

func (f fatal) Errorf(format string, args ...any) { f.t.Fatalf(format, args...) }
func (f fatal) Fatal(args ...any)                 { f.t.Fatal(args...) }
func (f fatal) Helper()                           {}
