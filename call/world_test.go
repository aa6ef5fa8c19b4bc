package call

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// world is machines on a network in virtual time: it does for them what a node
// does, and spoils messages as it is told. A session opens with a Hello and its
// answer, is up at the initiator after one round trip and at the responder with
// the next packet, and is upgraded a round trip later.
type world struct {
	t      testing.TB
	now    time.Time
	rand   *rand.Rand
	queue  []event // ordered by time, then by age
	events int
	nodes  map[linnet.NodeID]*device
	order  []*device
	users  map[linnet.UserName][]linnet.NodeID
	delay  time.Duration

	loss     float64       // of messages
	losses   int           // in a row and direction at the most; 0: no limit
	twice    float64       // duplicated
	jitter   time.Duration // more than delay: messages overtake one another
	inARow   map[way]int
	onSend   func(from, to linnet.NodeID, msg message.Message) bool // false: lost
	contacts bool
}

// way is where messages are lost one after the other.
type way struct {
	from, to linnet.NodeID
	call     linnet.CallID
}

type event struct {
	at  time.Time
	seq int
	do  func()
}

// device is a node as far as calls are concerned.
type device struct {
	w        *world
	id       linnet.NodeID
	user     linnet.UserName
	opts     Options
	m        *Machine
	dead     bool
	run      int
	sessions map[linnet.NodeID]bool // may send to
	opening  map[linnet.NodeID]bool
	rings    map[linnet.CallID]int
	stored   map[linnet.CallID]linnet.CallRecord // the history, kept over a crash
	finals   map[linnet.CallID]int
	merged   map[linnet.CallID]linnet.CallID
	replaced map[linnet.CallID]linnet.CallID
	media    map[linnet.CallID]linnet.NodeID
	log      []Effect
}

func newWorld(t testing.TB, seed uint64) *world {
	return &world{
		t: t, now: time.Unix(1_800_000_000, 0), rand: rand.New(rand.NewPCG(seed, 1)), delay: 25 * time.Millisecond,
		nodes: map[linnet.NodeID]*device{}, users: map[linnet.UserName][]linnet.NodeID{},
		inARow: map[way]int{}, contacts: true,
	}
}

func (w *world) device(name string, user linnet.UserName, opts Options) *device {
	d := &device{w: w, user: user, opts: opts, stored: map[linnet.CallID]linnet.CallRecord{}, finals: map[linnet.CallID]int{},
		rings: map[linnet.CallID]int{}, merged: map[linnet.CallID]linnet.CallID{}, replaced: map[linnet.CallID]linnet.CallID{}}
	copy(d.id[:], name)
	d.opts.Self, d.opts.User = d.id, user
	d.opts.Refer = func(r Referral) ([]byte, error) {
		r.By, r.Node = d.user, d.id
		return json.Marshal(r)
	}
	d.opts.Referred = func(_ time.Time, b []byte) (r *Referral, err error) { return r, json.Unmarshal(b, &r) }
	w.nodes[d.id], w.order = d, append(w.order, d)
	w.users[user] = append(w.users[user], d.id)
	d.start()
	return d
}

func (d *device) start() {
	d.dead, d.run = false, d.run+1
	d.m = New(d.opts)
	d.sessions, d.opening, d.media = map[linnet.NodeID]bool{}, map[linnet.NodeID]bool{}, map[linnet.CallID]linnet.NodeID{}
	var history []linnet.CallRecord
	for _, r := range d.stored {
		history = append(history, r)
	}
	slices.SortFunc(history, func(a, b linnet.CallRecord) int { return slices.Compare(a.ID[:], b.ID[:]) })
	d.m.Recover(d.w.now, d.w.now, history)
	d.flush()
}

// kill ends a node without a word. Others' sessions to it stay until they try.
func (d *device) kill() {
	d.dead = true
	for _, other := range d.w.order {
		if other != d && other.sessions[d.id] {
			w, run := d.w, other.run
			w.after(8*time.Second, func() {
				if other.run == run && d.dead && other.sessions[d.id] {
					delete(other.sessions, d.id)
					other.do(func(m *Machine) { m.SessionDown(w.now, d.id) })
				}
			})
		}
	}
}

func (w *world) after(d time.Duration, do func()) {
	w.events++
	e := event{w.now.Add(d), w.events, do}
	i, _ := slices.BinarySearchFunc(w.queue, e, func(a, b event) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.seq - b.seq
	})
	w.queue = slices.Insert(w.queue, i, e)
}

// run lets time pass.
func (w *world) run(d time.Duration) {
	end := w.now.Add(d)
	for steps := 0; ; steps++ {
		if steps > 1_000_000 {
			w.t.Fatal("the machines do not come to rest")
		}
		next := end
		if len(w.queue) > 0 && w.queue[0].at.Before(next) {
			next = w.queue[0].at
		}
		for _, d := range w.order {
			if t := d.m.Deadline(); !d.dead && !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		if next.After(w.now) {
			w.now = next
		}
		for len(w.queue) > 0 && !w.queue[0].at.After(w.now) {
			do := w.queue[0].do
			w.queue = w.queue[1:]
			do()
		}
		for _, d := range w.order {
			if t := d.m.Deadline(); !d.dead && !t.IsZero() && !t.After(w.now) {
				d.do(func(m *Machine) { m.Tick(w.now) })
			}
		}
		if !w.now.Before(end) {
			return
		}
	}
}

func (d *device) do(f func(m *Machine)) {
	if !d.dead {
		f(d.m)
		d.flush()
	}
}

func (d *device) flush() {
	w := d.w
	for _, e := range d.m.Take() {
		d.log = append(d.log, e)
		switch e := e.(type) {
		case LookUp:
			run := d.run
			w.after(2*w.delay, func() {
				if run != d.run {
					return
				}
				nodes, ok := w.users[e.User]
				if !ok {
					d.do(func(m *Machine) { m.Missing(w.now, e.Call, linnet.OutcomeNotFound) })
					return
				}
				d.do(func(m *Machine) { m.Found(w.now, e.Call, nodes) })
			})
		case Open:
			w.open(d, w.nodes[e.Node], e.First)
		case Send:
			if d.sessions[e.Node] {
				w.carry(d, w.nodes[e.Node], e.Message)
			}
		case Ring:
			d.rings[e.Call.ID]++
			d.stored[e.Call.ID] = e.Call.CallRecord
		case Changed:
			if e.Call.State != linnet.CallEnded {
				d.stored[e.Call.ID] = e.Call.CallRecord
			}
		case StartMedia:
			d.media[e.Call] = e.Node
			if d.sessions[e.Node] { // own keys follow at once
				w.carry(d, w.nodes[e.Node], &message.MediaKeys{Call: e.Call, Streams: []message.MediaStream{{SSRC: 1}}})
			}
		case StopMedia:
			if _, ok := d.media[e.Call]; !ok {
				w.t.Errorf("%s stops media that never started", d.id[:2])
			}
			delete(d.media, e.Call)
		case Replaced:
			d.replaced[e.Old] = e.New
		case Merged:
			d.merged[e.Call] = e.Into
			delete(d.stored, e.Call)
		case Ended:
			d.finals[e.Record.ID]++
			if e.Record.Ended.IsZero() || e.Record.Outcome == linnet.OutcomeNone {
				w.t.Errorf("final record without an end: %+v", e.Record)
			}
			d.stored[e.Record.ID] = e.Record
		}
	}
}

func (w *world) peer(d *device) Peer { return Peer{d.id, d.user, w.contacts} }

func (w *world) open(from, to *device, first message.Message) {
	switch {
	case from.sessions[to.id] && !to.dead && to.sessions[from.id]:
		if first != nil {
			w.carry(from, to, first)
		}
		return
	case from.opening[to.id]:
		return
	}
	delete(from.sessions, to.id)
	from.opening[to.id] = true
	fromRun := from.run
	alive := func() bool { return !from.dead && from.run == fromRun }
	w.after(w.delay, func() {
		toRun := to.run
		if to.dead {
			w.after(8*time.Second, func() {
				if alive() {
					delete(from.opening, to.id)
					from.do(func(m *Machine) { m.SessionDown(w.now, to.id) })
				}
			})
			return
		}
		to.sessions[from.id] = true
		if first != nil {
			to.do(func(m *Machine) { m.Received(w.now, w.peer(from), true, first) })
		}
		w.after(w.delay, func() {
			if !alive() {
				return
			}
			delete(from.opening, to.id)
			from.sessions[to.id] = true
			from.do(func(m *Machine) { m.SessionUp(w.now, to.id) })
			w.after(w.delay, func() {
				if to.run == toRun {
					to.do(func(m *Machine) { m.SessionUp(w.now, from.id) })
				}
			})
			w.after(2*w.delay, func() {
				if alive() {
					from.do(func(m *Machine) { m.Upgraded(w.now, to.id) })
				}
				if to.run == toRun {
					to.do(func(m *Machine) { m.Upgraded(w.now, from.id) })
				}
			})
		})
	})
}

func (w *world) carry(from, to *device, msg message.Message) {
	on := way{from: from.id, to: to.id}
	if req, ok := msg.(*message.CallRequest); ok {
		on.call = req.Call
	} else {
		on.call, _ = callOf(msg)
	}
	lost := w.loss > 0 && w.rand.Float64() < w.loss && (w.losses == 0 || w.inARow[on] < w.losses)
	if w.onSend != nil && !w.onSend(from.id, to.id, msg) {
		return
	}
	if lost {
		w.inARow[on]++
		return
	}
	w.inARow[on] = 0
	copies := 1
	if w.twice > 0 && w.rand.Float64() < w.twice {
		copies = 2
	}
	for range copies {
		delay := w.delay
		if w.jitter > 0 {
			delay += time.Duration(w.rand.Int64N(int64(w.jitter)))
		}
		run := to.run
		w.after(delay, func() {
			if to.run == run {
				to.do(func(m *Machine) { m.Received(w.now, w.peer(from), false, msg) })
			}
		})
	}
}

func (w *world) id() (id linnet.CallID) {
	for i := range id {
		id[i] = byte(w.rand.Uint32())
	}
	return id
}

// dial calls a user and returns the id.
func (d *device) dial(user linnet.UserName) linnet.CallID {
	id := d.w.id()
	d.do(func(m *Machine) {
		if err := m.Dial(d.w.now, id, user); err != nil {
			d.w.t.Fatal(err)
		}
	})
	return id
}

// must does something that the user may do now.
func (d *device) must(what func(now time.Time, id linnet.CallID) error, id linnet.CallID) {
	d.w.t.Helper()
	d.do(func(*Machine) {
		if err := what(d.w.now, id); err != nil {
			d.w.t.Fatal(err)
		}
	})
}

func (d *device) state(id linnet.CallID) linnet.CallState {
	for _, c := range d.m.Calls() {
		if c.ID == id {
			return c.State
		}
	}
	return linnet.CallEnded
}

// outcome is what the history holds, which has to be final.
func (d *device) outcome(id linnet.CallID) linnet.Outcome {
	d.w.t.Helper()
	if n := d.finals[id]; n > 1 || n == 0 && d.stored[id].ID == id {
		d.w.t.Errorf("%s has %d final outcomes of a call: %+v", d.id[:2], n, d.stored[id])
	}
	return d.stored[id].Outcome
}

func (d *device) String() string { return fmt.Sprintf("%s/%s", d.user, d.id[:2]) }

// pair is alice with one device and bob with as many as wanted.
func pair(t *testing.T, bobs int) (w *world, alice *device, bob []*device) {
	w = newWorld(t, 7)
	alice = w.device("a1", "alice", Options{})
	for i := range bobs {
		bob = append(bob, w.device(string([]byte{'b', '1' + byte(i)}), "bob", Options{}))
	}
	return w, alice, bob
}

func (w *world) want(d *device, id linnet.CallID, want linnet.Outcome) {
	w.t.Helper()
	if got := d.outcome(id); got != want {
		w.t.Errorf("%v: outcome %v, want %v", d, got, want)
	}
}

func (w *world) wantState(d *device, id linnet.CallID, want linnet.CallState) {
	w.t.Helper()
	if got := d.state(id); got != want {
		w.t.Errorf("%v: state %v, want %v", d, got, want)
	}
}

func has[E Effect](d *device) bool {
	for _, e := range d.log {
		if _, ok := e.(E); ok {
			return true
		}
	}
	return false
}
