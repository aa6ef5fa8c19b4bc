package media

import (
	"math"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

func TestMOS(t *testing.T) {
	const ms = time.Millisecond
	tests := []struct {
		name  string
		delay time.Duration
		loss  float64
		burst float64
		want  float64
	}{
		// R = 93.2: annex B of G.107 gives the default connection 4.41.
		{"nothing spoilt", 50 * ms, 0, 1, 4.409},
		{"100 ms are free", 100 * ms, 0, 1, 4.409},
		// Idd(200) = 25*(2^(1/6) - 3*(1+(1/3)^6)^(1/6) + 2) = 3.04; R = 90.16
		{"200 ms", 200 * ms, 0, 1, 4.338},
		// Ie,eff = 95*1/(1+10) = 8.64; R = 84.56
		{"1 %", 0, .01, 1, 4.180},
		// Ie,eff = 95*10/(10+10) = 47.5; R = 45.7
		{"10 %", 0, .10, 1, 2.352},
		// BurstR = 2: Ie,eff = 95*10/(5+10) = 63.33; R = 29.87
		{"10 % in bursts", 0, .10, 4, 1.604},
		{"everything lost", 0, 1, 1, 1},
		{"an hour late", time.Hour, 0, 1, 2.224}, // Idd -> 50, R = 43.2: delay alone never makes it worse
	}
	for _, tt := range tests {
		if got := MOS(tt.delay, tt.loss, tt.burst); math.Abs(got-tt.want) > .005 {
			t.Errorf("%s: MOS = %.3f, want %.3f", tt.name, got, tt.want)
		}
	}
}

func TestSuffered(t *testing.T) {
	for _, tt := range []struct {
		here, there float64
		want        linnet.Side
	}{{4.4, 4.4, linnet.NoSide}, {3, 4.4, linnet.ThisSide}, {4.4, 3, linnet.OtherSide}, {2, 2, linnet.BothSides}, {0, 0, linnet.NoSide}} {
		if got := Suffered(tt.here, tt.there); got != tt.want {
			t.Errorf("Suffered(%v, %v) = %v, want %v", tt.here, tt.there, got, tt.want)
		}
	}
}
