package call

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

var start = time.Unix(1_800_000_000, 0)

func request(id byte, at time.Time) *message.CallRequest {
	return &message.CallRequest{Call: linnet.CallID{id, 1}, Time: uint64(at.UnixMilli()), Codecs: []string{"opus"}}
}

// rings counts Ring effects.
func rings(effects []Effect) (n int) {
	for _, e := range effects {
		if _, ok := e.(Ring); ok {
			n++
		}
	}
	return n
}

// refusals are the reasons of CallEnd in effects.
func refusals(effects []Effect) (reasons []linnet.Outcome) {
	for _, e := range effects {
		if s, ok := e.(Send); ok {
			if end, ok := s.Message.(*message.CallEnd); ok {
				reasons = append(reasons, linnet.Outcome(end.Reason))
			}
		}
	}
	return reasons
}

func TestRequestsAndReplays(t *testing.T) {
	alice := Peer{Node: linnet.NodeID{1}, User: "alice", Contact: true}
	stranger := Peer{Node: linnet.NodeID{2}, User: "mallory"}
	tests := []struct {
		name  string
		from  Peer
		early bool
		sent  time.Time
		rings int
		ends  int // refusals
	}{
		{"in a session", stranger, false, start, 1, 0},
		{"early, of a contact", alice, true, start, 1, 0},
		{"early, of a contact whose clock is a bit off", alice, true, start.Add(119 * time.Second), 1, 0},
		{"early, of a stranger", stranger, true, start, 0, 0},
		{"early and old", alice, true, start.Add(-121 * time.Second), 0, 0},
		{"early and from the future", alice, true, start.Add(121 * time.Second), 0, 0},
		{"in a session, old", alice, false, start.Add(-121 * time.Second), 0, 1},
		{"in a session, at the end of time", alice, false, time.UnixMilli(1 << 62), 0, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := New(Options{})
			m.SessionUp(start, tt.from.Node)
			m.Received(start, tt.from, tt.early, request(1, tt.sent))
			e := m.Take()
			if got := rings(e); got != tt.rings {
				t.Errorf("rings %d times, want %d: %v", got, tt.rings, e)
			}
			if got := refusals(e); len(got) != tt.ends {
				t.Errorf("refused with %v", got)
			}
			if tt.rings == 0 && tt.ends == 0 && len(e) != 0 {
				t.Errorf("a request that may be a replay has effects: %v", e)
			}
			for range 3 { // the same again, in every way
				m.Received(start, tt.from, true, request(1, tt.sent))
				m.Received(start, tt.from, tt.from == stranger && tt.early, request(1, tt.sent))
			}
			if got := rings(m.Take()); got != 0 {
				t.Errorf("rang %d times for copies", got)
			}
		})
	}
}

// A replayed request rings neither while the call lasts, nor after it, nor after
// a restart, for as long as its time is fresh.
func TestReplayNeverRingsTwice(t *testing.T) {
	alice := Peer{Node: linnet.NodeID{1}, User: "alice", Contact: true}
	sent := start.Add(freshFor) // a clock that is ahead makes the longest window
	m := New(Options{RingFor: time.Second, DeadAfter: time.Second})
	m.Received(start, alice, true, request(1, sent))
	var history []linnet.CallRecord
	first := m.Take()
	if rings(first) != 1 {
		t.Fatal("the first copy does not ring")
	}
	for _, e := range first {
		if r, ok := e.(Ring); ok {
			history = append(history, r.Call.CallRecord)
		}
	}
	restarted := New(Options{})
	restarted.Recover(start.Add(time.Second), start, history)
	ended := 0
	for _, e := range restarted.Take() {
		if e, ok := e.(Ended); ok && e.Record.Outcome == linnet.OutcomeLost {
			ended++
		}
	}
	if ended != 1 {
		t.Errorf("%d final records of the call that the first run died in", ended)
	}
	for now := start; now.Before(start.Add(10 * time.Minute)); now = now.Add(500 * time.Millisecond) {
		for name, m := range map[string]*Machine{"first run": m, "restarted": restarted} {
			m.Tick(now)
			m.Received(now, alice, true, request(1, sent))
			if rings(m.Take()) != 0 {
				t.Fatalf("%s: rings again after %v", name, now.Sub(start))
			}
		}
	}
	if n := len(m.memory.calls) + len(m.memory.order) + len(restarted.memory.calls); n != 0 {
		t.Errorf("%d entries are never forgotten", n)
	}
}

// Late messages of an ended call are answered with its end, and change nothing.
func TestLateMessages(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	id := alice.dial("bob")
	w.run(time.Second)
	alice.must(alice.m.HangUp, id)
	w.run(time.Minute)
	for _, msg := range []message.Message{
		&message.CallRinging{Call: id}, &message.CallAnswer{Call: id, Codecs: []string{"opus"}}, &message.CallAlive{Call: id},
	} {
		alice.m.Received(w.now, w.peer(bob), false, msg)
		e := alice.m.Take()
		if got := refusals(e); len(e) != 1 || len(got) != 1 || got[0] != linnet.OutcomeCancelled {
			t.Errorf("%T: %v, want the end of the call", msg, e)
		}
	}
	for _, msg := range []message.Message{
		&message.CallEnded{Call: id}, &message.CallTone{Call: id, Tone: "1"}, &message.MediaKeys{Call: id},
	} {
		if alice.m.Received(w.now, w.peer(bob), false, msg); len(alice.m.Take()) != 0 {
			t.Errorf("%T of an ended call has effects", msg)
		}
	}
	w.want(alice, id, linnet.OutcomeCancelled)
	w.want(bob, id, linnet.OutcomeMissed)
}

// everything is each message of the package about one call.
func everything(id linnet.CallID) (all []message.Message) {
	all = append(all,
		&message.CallRequest{Call: id, Time: uint64(start.UnixMilli()), Codecs: []string{"opus"}},
		&message.CallRinging{Call: id}, &message.CallAnswer{Call: id, Codecs: []string{"opus"}}, &message.CallAnswer{Call: id},
		&message.CallEnded{Call: id}, &message.CallHold{Call: id, On: true}, &message.CallTone{Call: id, Tone: "1"},
		&message.CallAlive{Call: id, State: 3}, &message.CallAlive{Call: id, State: 99},
		&message.MediaKeys{Call: id, Streams: make([]message.MediaStream, 2)}, &message.CallReceipt{Call: id}, &message.Goodbye{})
	for reason := range uint32(20) {
		all = append(all, &message.CallEnd{Call: id, Reason: reason})
	}
	return all
}

// Nobody touches a call that is not theirs, even who knows its id and even with
// the name of somebody who takes part.
func TestStrangersTouchNoCall(t *testing.T) {
	w, alice, bobs := pair(t, 1)
	bob := bobs[0]
	mallory := []Peer{{linnet.NodeID{66}, "mallory", true}, {linnet.NodeID{67}, "bob", true}, {linnet.NodeID{68}, "alice", true},
		{bob.id, "mallory", true}, {alice.id, "mallory", true}}
	check := func(stage string, id linnet.CallID) {
		t.Helper()
		for _, d := range w.order {
			before, finals := d.m.Calls(), d.finals[id]
			for _, from := range mallory {
				for _, msg := range everything(id) {
					d.m.SessionUp(w.now, from.Node)
					d.m.Take()
					d.m.Received(w.now, from, false, msg)
					for _, e := range d.m.Take() {
						if _, harmless := e.(Send); !harmless {
							t.Errorf("%s: %T of %s: %v does %+v", stage, msg, from.User, d, e)
						}
					}
				}
			}
			after := d.m.Calls()
			if len(before) != len(after) || len(after) > 0 && before[0].State != after[0].State || finals != d.finals[id] {
				t.Errorf("%s: %v: calls were %v, are %v", stage, d, before, after)
			}
		}
	}
	id := alice.dial("bob")
	w.run(time.Second)
	check("ringing", id)
	bob.must(bob.m.Answer, id)
	w.run(time.Second)
	check("active", id)
	bob.must(bob.m.HangUp, id)
	w.run(time.Minute)
	check("ended", id)
	w.want(alice, id, linnet.OutcomeCompleted)
	w.want(bob, id, linnet.OutcomeCompleted)
}

func TestBounds(t *testing.T) {
	t.Run("one user", func(t *testing.T) {
		m := New(Options{CallWaiting: true})
		n := 0
		for i := range byte(200) {
			m.Received(start, Peer{linnet.NodeID{i}, "mallory", true}, false, request(i, start))
			n += rings(m.Take())
		}
		if n != 2 {
			t.Errorf("%d calls of one user ring", n)
		}
	})
	t.Run("everybody", func(t *testing.T) {
		m := New(Options{CallWaiting: true})
		n := 0
		for i := range byte(200) {
			m.Received(start, Peer{linnet.NodeID{i}, linnet.UserName([]byte{'u', i}), true}, false, request(i, start))
			n += rings(m.Take())
		}
		if n != 8 {
			t.Errorf("%d calls ring", n)
		}
	})
	t.Run("over time", func(t *testing.T) {
		m := New(Options{})
		var n int
		for i := range 1000 { // one after the other, each taken back at once
			from := Peer{Node: linnet.NodeID{1}, User: "mallory"}
			req := request(0, start)
			req.Call = linnet.CallID{byte(i), byte(i >> 8), 1}
			m.Received(start, from, false, req)
			m.Received(start, from, false, &message.CallEnd{Call: req.Call, Reason: uint32(linnet.OutcomeCancelled)})
			for _, e := range m.Take() {
				if _, ok := e.(Ended); ok {
					n++
				}
			}
		}
		if n != 100 || len(m.memory.calls) != 100 {
			t.Errorf("%d lines of history, %d remembered, want 100", n, len(m.memory.calls))
		}
	})
	t.Run("many users over time", func(t *testing.T) {
		m := New(Options{})
		for i := range 5000 {
			from := Peer{Node: linnet.NodeID{1, byte(i), byte(i >> 8)}, User: linnet.UserName([]byte{'u', byte(i), byte(i >> 8)})}
			for j := range byte(3) {
				id := linnet.CallID{byte(i), byte(i >> 8), j, 1}
				m.Received(start, from, false, &message.CallEnd{Call: id, Reason: uint32(linnet.OutcomeNoAnswer)})
				m.Received(start, from, true, &message.CallRequest{Call: id, Time: uint64(start.UnixMilli())})
				m.Received(start, from, false, &message.CallRequest{Call: id, Time: uint64(start.UnixMilli())})
			}
			m.Take()
		}
		if len(m.memory.calls) > 1024 || len(m.calls) > 100 {
			t.Errorf("%d remembered, %d held", len(m.memory.calls), len(m.calls))
		}
		// There is room left for people whom the user knows.
		m.Tick(start.Add(time.Minute))
		m.Tick(start.Add(time.Minute))
		m.Take()
		m.Received(start, Peer{linnet.NodeID{9}, "alice", true}, false, request(9, start))
		if rings(m.Take()) != 1 {
			t.Error("a contact's call does not ring")
		}
	})
	t.Run("devices of a callee", func(t *testing.T) {
		m := New(Options{})
		m.Dial(start, linnet.CallID{1}, "bob")
		devices := make([]linnet.NodeID, 300)
		for i := range devices {
			devices[i] = linnet.NodeID{1, byte(i), byte(i >> 8)}
		}
		m.Found(start, linnet.CallID{1}, devices)
		opened := 0
		for _, e := range m.Take() {
			if _, ok := e.(Open); ok {
				opened++
			}
		}
		if opened != 16 {
			t.Errorf("%d sessions are opened for one call", opened)
		}
	})
	t.Run("keys", func(t *testing.T) {
		w, alice, bobs := pair(t, 1)
		bob := bobs[0]
		id := alice.dial("bob")
		w.run(time.Second)
		keys := &message.MediaKeys{Call: id, Streams: make([]message.MediaStream, 9)}
		alice.do(func(m *Machine) { m.Received(w.now, w.peer(bob), false, keys) })
		if alice.m.calls[0].legs[0].keys != nil {
			t.Error("keeps nine streams")
		}
	})
}

// A device in a call that says ever the same costs no more than a person who
// presses keys, and what it says again is heard in the end.
func TestHastyDevice(t *testing.T) {
	m := New(Options{})
	alice := Peer{Node: linnet.NodeID{1}, User: "alice", Contact: true}
	now := start
	m.SessionUp(now, alice.Node)
	m.Upgraded(now, alice.Node)
	req := request(1, now)
	m.Received(now, alice, false, req)
	if err := m.Answer(now, req.Call); err != nil {
		t.Fatal(err)
	}
	m.Take()
	changed := func() (n int) {
		for _, e := range m.Take() {
			if _, ok := e.(Changed); ok {
				n++
			}
		}
		return n
	}
	for i := range 10_000 {
		m.Received(now, alice, false, &message.CallHold{Call: req.Call, On: i%2 == 0})
	}
	if n := changed(); n < 50 || n > 200 {
		t.Errorf("10000 holds at once changed the call %d times", n)
	}
	now = now.Add(5 * time.Second)
	m.Received(now, alice, false, &message.CallEnd{Call: req.Call, Reason: uint32(linnet.OutcomeCompleted)})
	if n := changed(); n != 1 {
		t.Error("the end of the call was not heard")
	}
	for range 100 {
		m.Received(now, alice, false, &message.CallEnded{Call: req.Call})
		m.Received(now, alice, false, &message.CallReceipt{Call: req.Call})
	}
	receipts := 0
	for _, e := range m.Take() {
		if _, ok := e.(PeerReceipt); ok {
			receipts++
		}
	}
	if receipts > 1 {
		t.Errorf("%d receipts of one call", receipts)
	}
}
