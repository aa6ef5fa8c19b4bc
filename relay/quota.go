package relay

import "time"

// leaveIn is how long those who are told that the day's volume is used up may take to
// go: they have to find another way first.
const leaveIn = 30 * time.Second

// A quota is the volume that a relay may pass on in a day of UTC, for who pays for his
// line. When it is used up nobody is admitted until the next day, those who are
// there are told to go, and the rest is dropped.
type quota struct {
	bytes uint64 // 0: no limit
	day   int64  // since 1970
	spent uint64 // of that day
	seen  uint64 // forwarded since the start, of which spent knows
	over  time.Time
}

func dayOf(now time.Time) int64 { return now.Unix() / (24 * 3600) }

// count takes what was forwarded since the start. It says whether the volume has just
// been used up, and whether those who are still there had their time.
func (q *quota) count(now time.Time, forwarded uint64) (told, late bool) {
	if day := dayOf(now); day != q.day {
		q.day, q.spent, q.over = day, 0, time.Time{}
	}
	q.spent += forwarded - q.seen
	q.seen = forwarded
	switch {
	case q.bytes == 0 || q.spent < q.bytes:
		return false, false
	case q.over.IsZero():
		q.over = now
		return true, false
	}
	return false, now.Sub(q.over) >= leaveIn
}
