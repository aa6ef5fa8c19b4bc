package call

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// Recover takes the newest lines of the history when the node starts: those of
// the last five minutes at least, so that requests which rang before cannot be
// replayed now, and every line without an end. An earlier run died in those
// calls; each gets its Ended. died is when that run was last known to live.
func (m *Machine) Recover(now, died time.Time, history []linnet.CallRecord) {
	for _, r := range history {
		if r.Ended.IsZero() {
			r = Unfinished(r, died)
			m.do(Ended{r})
		}
		at := r.Ended
		if now.Sub(r.Started) <= remembered {
			at = now // the request may be fresh still
		}
		if now.Sub(at) <= remembered {
			m.memory.put(r.ID, past{user: r.Peer, incoming: r.Incoming, outcome: r.Outcome, at: now})
		}
	}
}

// Learn is told of a call that this user missed without a ring here, so that what is
// left of it on the network says nothing new.
func (m *Machine) Learn(now time.Time, r linnet.CallRecord) {
	if _, known := m.memory.get(now, r.ID); known || m.find(r.ID) != nil || now.Sub(r.Started) > remembered ||
		!m.memory.room(now, Peer{User: r.Peer}, m.opts.RecentUser, m.opts.RecentTotal) {
		return
	}
	m.memory.put(r.ID, past{user: r.Peer, incoming: true, outcome: r.Outcome, at: now})
}

// Unfinished is the final record of a call that was in progress when the node
// died.
func Unfinished(r linnet.CallRecord, died time.Time) linnet.CallRecord {
	r.Outcome = linnet.OutcomeLost
	r.Ended = r.Started
	for _, t := range []time.Time{r.Answered, died} {
		if t.After(r.Ended) {
			r.Ended = t
		}
	}
	return r
}
