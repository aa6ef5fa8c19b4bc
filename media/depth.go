package media

import (
	"math"

	"github.com/pion/rtcp"
)

// depth decides how many earlier frames go with each new one, by the loss that
// the listener reports:
//
//	1  for the first 20 s, and while nothing is known
//	0  below 1 % in the last 20 s
//	2  above 10 % in the last 5 s, or where that cannot be excluded
//
// Five seconds of voice are 250 packets, from which a loss of 10 % reads as
// anything between 6 and 14. So it is the upper end of what the count allows
// (two standard errors) that is held against the 10 %: an unneeded copy costs
// sixty bytes, a missing one a gap in the speech.
type depth struct {
	last    rtcp.ReceptionReport               // at first what a listener would say who heard nothing
	reports [20]struct{ expected, lost int64 } // one a second, the newest at (n-1)%20
	n       int
}

const (
	recentReports = 5   // in which the loss may exceed highLoss
	fewPackets    = 50  // of which no share is worth computing
	lowLoss       = .01 // below: no copies
	highLoss      = .10 // above: two
)

// report takes what a listener counted; reports overlap, so it is the change
// since the one before that says how things are now.
func (d *depth) report(r rtcp.ReceptionReport) {
	expected := int64(int32(r.LastSequenceNumber - d.last.LastSequenceNumber))
	if expected < 0 {
		return // overtaken by a later one
	}
	lost := int64(signed24(r.TotalLost) - signed24(d.last.TotalLost))
	x := &d.reports[d.n%len(d.reports)]
	x.expected, x.lost = expected, max(0, min(lost, expected))
	d.n++
	d.last = r
}

func signed24(v uint32) int32 { return int32(v<<8) >> 8 }

// loss is the share of packets lost in the last n reports, and of how many.
func (d *depth) loss(n int) (share, of float64) {
	var expected, lost int64
	for i := max(0, d.n-n); i < d.n; i++ {
		x := d.reports[i%len(d.reports)]
		expected, lost = expected+x.expected, lost+x.lost
	}
	if expected == 0 {
		return 0, 0
	}
	return float64(lost) / float64(expected), float64(expected)
}

func (d *depth) frames() int {
	if share, of := d.loss(recentReports); of >= fewPackets && share+2*math.Sqrt(share*(1-share)/of) > highLoss {
		return 2
	}
	if share, _ := d.loss(len(d.reports)); d.n >= len(d.reports) && share < lowLoss {
		return 0
	}
	return 1
}
