package spare

import (
	"runtime"
	"runtime/debug"
	"testing"
	"time"
)

func TestMeter(t *testing.T) {
	if Used() == 0 {
		t.Skip("this system does not tell")
	}
	var m Meter
	if got := m.Percent(); got != 0 {
		t.Errorf("%d %% before anything was measured", got)
	}
	began := time.Now()
	for used := Used(); Used() < used+30*time.Millisecond; { // however long that takes
	}
	took := time.Since(began)
	want := int(100*30*time.Millisecond/took) / runtime.GOMAXPROCS(0)
	if got := m.Percent(); got < want/2 || got > 150 {
		t.Errorf("%d %% of the processors, used about %d %%", got, want)
	}

	runtime.GC()
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(1 << 20))
	if got := m.Percent(); got < 10 {
		t.Errorf("%d %% of 1 MiB of memory", got)
	}
}
