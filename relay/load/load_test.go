package load

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var localhost = netip.MustParseAddr("127.0.0.1")

// pipe is both ends of a Serve that runs in this process.
type pipe struct {
	io.Reader
	io.WriteCloser
	done chan error
}

func (p pipe) Close() error {
	p.WriteCloser.Close()
	return <-p.done
}

func inThisProcess(ctx context.Context) (io.ReadWriteCloser, error) {
	plans, w := io.Pipe()
	r, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		done <- Serve(ctx, localhost, plans, answers)
		answers.Close()
	}()
	return pipe{r, w, done}, nil
}

func TestRun(t *testing.T) {
	for _, o := range []Options{
		{Legs: 100, Size: 160, PPS: 1000},
		{Legs: 1, Size: 1200, PPS: 1000, Train: true},
		{Legs: 100, Size: 160, PPS: 1000, Baseline: Single},
		{Legs: 70},
		{Legs: 3, Size: 1200, Train: true},
	} {
		o.Turns, o.Time = 1, 200*time.Millisecond
		steps := 0
		r, err := Run(t.Context(), o, localhost, inThisProcess, func(done, all int) { steps++ })
		if err != nil {
			t.Fatalf("%+v: %v", o, err)
		}
		if r.Relayed == 0 || r.Ratio <= 0 || r.Offered == 0 || steps < 2 {
			t.Errorf("%+v: %+v", o, r)
		}
		if o.PPS > 0 && (r.Loss != 0 || r.Offered > 1.1*float64(o.PPS)) {
			t.Errorf("%+v: %+v, want no loss", o, r)
		}
	}
}

func TestRunRefuses(t *testing.T) {
	for want, o := range map[string]Options{
		"1 bytes: give 15 to 1452":      {Size: 1},
		"-1 legs: give 1 to 100000":     {Legs: -1},
		"1000 turns: give 1 to 100":     {Turns: 1000},
		"200000 legs: give 1 to 100000": {Legs: 200_000},
		"5000 bytes: give 15 to 1452":   {Size: 5000},
	} {
		if _, err := Run(t.Context(), o, localhost, inThisProcess, func(int, int) {}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for _, in := range []string{"x\n", "{}\n", `{"kind":"relay","legs":-1,"ports":1}` + "\n", `{"kind":"teapot","legs":1,"ports":1}` + "\n"} {
		if err := Serve(t.Context(), localhost, strings.NewReader(in), io.Discard); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}
