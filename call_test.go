package linnet

import (
	"encoding/json"
	"testing"
	"time"
)

func TestOutcomeText(t *testing.T) {
	// Histories keep these words and peers these numbers: neither may move.
	want := []string{"none", "completed", "missed", "no-answer", "busy", "rejected", "cancelled", "offline",
		"not-found", "lost", "failed", "answered-elsewhere"}
	for i, text := range want {
		if got := Outcome(i).String(); got != text {
			t.Errorf("Outcome(%d) = %q, want %q", i, got, text)
		}
		var back Outcome
		if err := back.UnmarshalText([]byte(text)); err != nil || back != Outcome(i) {
			t.Errorf("UnmarshalText(%q) = %d, %v, want %d", text, back, err, i)
		}
	}
	if got := Outcome(200).String(); got != "outcome(200)" {
		t.Errorf("Outcome(200) = %q", got)
	}
	var o Outcome
	if err := o.UnmarshalText([]byte("vanished")); err == nil {
		t.Error("an unknown outcome was read")
	}
}

// The names are those that `linnet call --json` promises.
func TestCallRecordJSON(t *testing.T) {
	started := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	r := CallRecord{
		ID: CallID{1}, Peer: "bob", Started: started, Answered: started.Add(time.Second), Ended: started.Add(time.Minute),
		Outcome: OutcomeCompleted,
		Receipt: Receipt{
			Path: DirectUDP, PacketsSent: 10, PacketsReceived: 9, Loss: 0.1, JitterMS: 1.5, RTTMS: 20, ConcealedMS: 40, MOS: 4.1,
			Suffered: ThisSide,
			Paths:    []PathSpan{{0, RelayUDP, "ab12", 30}, {420, DirectUDP, "", 20}},
		},
	}
	const want = `{"call":"aeaaaaaaaaaaaaaaaaaaaaaaaa","peer":"bob","incoming":false,` +
		`"started":"2026-03-01T12:00:00Z","answered":"2026-03-01T12:00:01Z","ended":"2026-03-01T12:01:00Z",` +
		`"outcome":"completed","path":"direct-udp","packets_sent":10,"packets_received":9,"loss":0.1,"jitter_ms":1.5,` +
		`"rtt_ms":20,"concealed_ms":40,"mos":4.1,"suffered":"here","paths":[{"t_ms":0,"path":"relay-udp","via":"ab12","rtt_ms":30},` +
		`{"t_ms":420,"path":"direct-udp","rtt_ms":20}]}`
	got, err := json.Marshal(r)
	if err != nil || string(got) != want {
		t.Errorf("Marshal: %v\n got %s\nwant %s", err, got, want)
	}
	var back CallRecord
	if err := json.Unmarshal(got, &back); err != nil || back.Peer != r.Peer || back.Outcome != r.Outcome ||
		back.Paths[1] != r.Paths[1] || back.Suffered != r.Suffered {
		t.Errorf("Unmarshal = %+v, %v", back, err)
	}
	if got := r.Talked(); got != 59*time.Second {
		t.Errorf("Talked = %v", got)
	}
}

func TestMissed(t *testing.T) {
	tests := []struct {
		name string
		r    CallRecord
		want bool
	}{
		{"gave up", CallRecord{Incoming: true, Outcome: OutcomeMissed}, true},
		{"was busy", CallRecord{Incoming: true, Outcome: OutcomeBusy}, true},
		{"own call", CallRecord{Outcome: OutcomeNoAnswer}, false},
		{"said no", CallRecord{Incoming: true, Outcome: OutcomeRejected}, false},
		{"lost in talk", CallRecord{Incoming: true, Outcome: OutcomeLost, Answered: time.Unix(1, 0)}, false},
	}
	for _, tt := range tests {
		if got := tt.r.Missed(); got != tt.want {
			t.Errorf("%s: Missed = %v", tt.name, got)
		}
	}
}
