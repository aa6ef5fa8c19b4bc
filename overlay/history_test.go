package overlay

import (
	"testing"
	"time"
)

func TestHistoryIsOfAWeek(t *testing.T) {
	day := time.Unix(1_900_000_000/86400*86400, 0)
	var h history
	for i := range 10 {
		h.at(day.AddDate(0, 0, i))
		h.up[0] += 600
	}
	if got := h.sum(); got != 7*10*time.Minute {
		t.Errorf("%v, want the last seven days of ten minutes each", got)
	}
	h.at(day.AddDate(0, 0, 13))
	if got := h.sum(); got != 3*10*time.Minute {
		t.Errorf("four days later %v, want half an hour", got)
	}
	h.at(day.AddDate(0, 0, 9)) // a clock that went back
	h.at(day.AddDate(5, 0, 0))
	if got := h.sum(); got != 0 {
		t.Errorf("years later %v", got)
	}
}

func FuzzHistory(f *testing.F) {
	m := New(Options{})
	m.volunteer.history = history{day: 20000, up: [7]uint32{600, 0, 86400}, served: true}
	f.Add(m.History())
	f.Add([]byte{1})
	f.Fuzz(func(t *testing.T, b []byte) {
		var m Machine
		if m.volunteer.history.load(b) != nil {
			return
		}
		if m.volunteer.history.sum() > 7*24*time.Hour {
			t.Fatal("more than a week")
		}
		var again Machine
		if err := again.volunteer.history.load(m.History()); err != nil || again.volunteer.history != m.volunteer.history {
			t.Fatalf("%v: %+v, %+v", err, again.volunteer.history, m.volunteer.history)
		}
		m.volunteer.history.at(time.Unix(1_900_000_000, 0))
	})
}
