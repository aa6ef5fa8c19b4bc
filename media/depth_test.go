package media

import (
	"testing"

	"github.com/pion/rtcp"
)

func TestDepth(t *testing.T) {
	const perSecond = 50
	steady := func(seconds, lost int) [][2]int {
		all := make([][2]int, seconds)
		for i := range all {
			all[i] = [2]int{perSecond, lost}
		}
		return all
	}
	join := func(parts ...[][2]int) (all [][2]int) {
		for _, p := range parts {
			all = append(all, p...)
		}
		return all
	}
	tests := []struct {
		name    string
		seconds [][2]int // packets sent, packets lost
		want    int
	}{
		{"nothing known", nil, 1},
		{"clean, but not for 20 s", steady(19, 0), 1},
		{"clean for 20 s", steady(20, 0), 0},
		{"0.5 % in 20 s", join(steady(19, 0), [][2]int{{perSecond, 5}}), 0},
		{"1 % in 20 s", join(steady(15, 0), steady(5, 2)), 1},
		{"2 %", steady(30, 1), 1},
		{"4 %", steady(30, 2), 1},
		{"10 %", steady(30, 5), 2},
		{"14 % at the start", steady(1, 7), 2},
		{"20 % after a clean minute", join(steady(60, 0), steady(5, 10)), 2},
		{"clean again for 5 s", join(steady(60, 10), steady(5, 0)), 1},
		{"clean again for 20 s", join(steady(60, 10), steady(20, 0)), 0},
		{"nothing sent", join(steady(30, 0), make([][2]int, 30)), 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			first := uint32(0xfffff00a) // rolls over
			d := depth{last: rtcp.ReceptionReport{LastSequenceNumber: first - 1}}
			sequence, lost := first-1, 0
			for _, s := range tt.seconds {
				sequence += uint32(s[0])
				lost += s[1]
				d.report(rtcp.ReceptionReport{LastSequenceNumber: sequence, TotalLost: uint32(lost)})
			}
			if got := d.frames(); got != tt.want {
				loss, of := d.loss(recentReports)
				t.Errorf("frames = %d at %.3f of %.0f, want %d", got, loss, of, tt.want)
			}
		})
	}
}

func TestDepthIgnoresOldReports(t *testing.T) {
	var d depth
	d.report(rtcp.ReceptionReport{LastSequenceNumber: 200, TotalLost: 50})
	d.report(rtcp.ReceptionReport{LastSequenceNumber: 100, TotalLost: 0})
	if loss, of := d.loss(recentReports); loss != .25 || of != 200 {
		t.Errorf("loss = %v of %v, want 0.25 of 200", loss, of)
	}
}
