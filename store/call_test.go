package store

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet"
)

func TestCallHasOneOutcome(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	c := linnet.CallRecord{ID: linnet.CallID{1}, Peer: "bob", Incoming: true, Started: at(1)}
	ok(t, s.PutCall(t.Context(), c))
	c.Answered = at(2)
	c.By = "carol" // too late
	ok(t, s.PutCall(t.Context(), c))
	c.Ended, c.Outcome = at(10), linnet.OutcomeCompleted
	c.Receipt = linnet.Receipt{Path: linnet.DirectUDP, PacketsSent: 400, Loss: 0.01, MOS: 4.2,
		Paths: []linnet.PathSpan{{TMS: 0, Path: linnet.RelayUDP, Via: "relay", RTTMS: 20}, {TMS: 300, Path: linnet.DirectUDP, RTTMS: 9}}}
	ok(t, s.PutCall(t.Context(), c))
	want := c
	want.By = ""

	// What comes late changes nothing but the receipt.
	c.Ended, c.Outcome, c.Answered = at(20), linnet.OutcomeLost, at(3)
	c.Suffered = linnet.OtherSide
	want.Suffered = linnet.OtherSide
	ok(t, s.PutCall(t.Context(), c))
	ok(t, s.PutCall(t.Context(), linnet.CallRecord{ID: c.ID, Peer: "bob", Incoming: true, Started: at(1)}))

	s = reopen(t, s, home)
	if got := must(s.Call(t.Context(), c.ID))(t); !reflect.DeepEqual(*got, want) {
		t.Errorf("got  %+v\nwant %+v", *got, want)
	}
	if got := must(s.Call(t.Context(), linnet.CallID{9}))(t); got != nil {
		t.Errorf("a call that never was: %+v", got)
	}
}

func TestCallsNewestFirst(t *testing.T) {
	s := openTest(t, t.TempDir())
	for i := range 5 {
		ok(t, s.PutCall(t.Context(), linnet.CallRecord{ID: linnet.CallID{byte(i)}, Peer: "bob", Started: at(i), Ended: at(i), Outcome: linnet.OutcomeBusy, By: "carol"}))
	}
	calls := must(s.Calls(t.Context(), 2))(t)
	if len(calls) != 2 || calls[0].ID != (linnet.CallID{4}) || calls[1].ID != (linnet.CallID{3}) || calls[1].By != "carol" {
		t.Errorf("%+v", calls)
	}
}

// Calls that were going on when the process died get their one outcome when the
// store is opened again.
func TestCallsOfADeadProcess(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	tests := []struct {
		record linnet.CallRecord
		want   linnet.Outcome
	}{
		{linnet.CallRecord{ID: linnet.CallID{1}, Peer: "bob", Incoming: true, Started: at(1)}, linnet.OutcomeMissed},
		{linnet.CallRecord{ID: linnet.CallID{2}, Peer: "bob", Incoming: true, Started: at(2), Answered: at(3)}, linnet.OutcomeLost},
		{linnet.CallRecord{ID: linnet.CallID{3}, Peer: "bob", Started: at(3)}, linnet.OutcomeLost},
		{linnet.CallRecord{ID: linnet.CallID{4}, Peer: "bob", Started: at(4), Answered: at(5)}, linnet.OutcomeLost},
		{linnet.CallRecord{ID: linnet.CallID{5}, Peer: "bob", Started: at(5), Ended: at(6), Outcome: linnet.OutcomeRejected}, linnet.OutcomeRejected},
	}
	for _, tt := range tests {
		ok(t, s.PutCall(t.Context(), tt.record))
	}
	s = reopen(t, s, home)
	for _, tt := range tests {
		got := must(s.Call(t.Context(), tt.record.ID))(t)
		if got.Outcome != tt.want || got.Ended.IsZero() {
			t.Errorf("%+v became %+v", tt.record, got)
		}
	}
}

func TestMissedOnce(t *testing.T) {
	s := openTest(t, t.TempDir())
	rang := linnet.CallRecord{ID: linnet.CallID{1}, Peer: "bob", Incoming: true, Started: at(1), Ended: at(2), Outcome: linnet.OutcomeBusy}
	ok(t, s.PutCall(t.Context(), rang))
	for _, tt := range []struct {
		id   byte
		want bool
	}{{1, false}, {2, true}, {2, false}} {
		c := linnet.CallRecord{ID: linnet.CallID{tt.id}, Peer: "bob", Incoming: true, Started: at(3), Outcome: linnet.OutcomeMissed}
		if got := must(s.PutMissed(t.Context(), c))(t); got != tt.want {
			t.Errorf("call %d is new: %v", tt.id, got)
		}
	}
	if c := must(s.Call(t.Context(), linnet.CallID{1}))(t); c.Outcome != linnet.OutcomeBusy {
		t.Errorf("%+v", c)
	}
	for i := range 2 * missedADay {
		must(s.PutMissed(t.Context(), linnet.CallRecord{ID: linnet.CallID{9, byte(i)}, Peer: "eve", Incoming: true, Started: at(3), Outcome: linnet.OutcomeMissed}))(t)
	}
	if n := len(must(s.Calls(t.Context(), 1000))(t)); n != 2+missedADay {
		t.Errorf("%d calls", n)
	}
}

// Whether a callee is to be told is written with the outcome, also after a crash.
func TestUntold(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	for i, o := range []linnet.Outcome{linnet.OutcomeCompleted, linnet.OutcomeNoAnswer, linnet.OutcomeRejected, linnet.OutcomeOffline, linnet.OutcomeNone} {
		c := linnet.CallRecord{ID: linnet.CallID{byte(i)}, Peer: "bob", Started: at(i)}
		ok(t, s.PutCall(t.Context(), c))
		if o != linnet.OutcomeNone {
			c.Ended, c.Outcome = at(i+1), o
			ok(t, s.PutCall(t.Context(), c))
			ok(t, s.PutCall(t.Context(), c)) // the receipt
		}
	}
	s = reopen(t, s, home)
	var ids []byte
	for _, c := range must(s.Untold(t.Context()))(t) {
		ids = append(ids, c.ID[0])
		ok(t, s.Told(t.Context(), c.ID))
	}
	if !bytes.Equal(ids, []byte{1, 3, 4}) {
		t.Errorf("to be told: %v", ids)
	}
	if left := must(s.Untold(t.Context()))(t); len(left) != 0 {
		t.Errorf("told twice: %v", left)
	}
}
