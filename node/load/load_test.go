package load

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// pipe is the near end of a Serve that runs in this process.
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
	orders, w := io.Pipe()
	r, answers := io.Pipe()
	done := make(chan error, 1)
	go func() {
		err := Serve(ctx, orders, answers)
		answers.CloseWithError(errors.Join(err, io.EOF))
		done <- err
	}()
	return pipe{r, w, done}, nil
}

func TestRun(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems do not receive for all of 127.0.0.0/8")
	}
	o := Options{Clients: 41, Publish: .5, Quiet: time.Second, Idle: 2 * time.Second, Lookups: 20}
	phases := make(map[string]bool)
	r, err := Run(t.Context(), o, inThisProcess, func(what string, done, all int) { phases[what] = done <= all })
	if err != nil {
		t.Fatal(err)
	}
	if r.Attached != 41 || r.Records != 20 || r.Attach.Rate <= 0 || r.Attach.CPU <= 0 || r.Memory.Before == 0 || r.Memory.Settled == 0 ||
		r.Lookup.Asked == 0 || r.Limit.PerGiB == 0 || r.Attach.P99Seconds < r.Attach.P50Seconds {
		t.Errorf("%+v", r)
	}
	if len(phases) != 5 {
		t.Errorf("told of %v", phases)
	}
}

func TestRunRefuses(t *testing.T) {
	for _, n := range []int{-1, maxClients + 1} {
		if _, err := Run(t.Context(), Options{Clients: n}, inThisProcess, nil); err == nil || !strings.Contains(err.Error(), "give 1 to 1000000") {
			t.Errorf("%d clients: %v", n, err)
		}
	}
}

func TestServeRefuses(t *testing.T) {
	for _, in := range []string{"x\n", `{"home":"` + t.TempDir() + `"}`} { // no network lives there
		if err := Serve(t.Context(), strings.NewReader(in), io.Discard); err == nil {
			t.Errorf("%q was taken", in)
		}
	}
}

// Every client has an address of its own, by which its shard finds it.
func TestAddresses(t *testing.T) {
	c := &crowd{devices: make([]device, 1000)}
	for first := range 3 {
		s := &shard{crowd: c, first: first, step: 3}
		for range s.all() {
			s.clients = append(s.clients, new(client))
		}
		for i := range c.devices {
			if found := s.clientAt(addrOf(i).AsSlice()); (found != nil) != (i%3 == first) {
				t.Fatalf("shard %d, device %d: %v", first, i, found)
			} else if found != nil && found != s.clients[i/3] {
				t.Fatalf("device %d is another one", i)
			}
		}
	}
	s := &shard{crowd: c, step: 1, clients: []*client{{}}}
	for _, a := range []string{"127.0.0.1", "127.0.255.255", "127.1.0.1", "10.0.0.1", "::1"} {
		if s.clientAt(net.ParseIP(a)) != nil {
			t.Errorf("%s is nobody's", a)
		}
	}
	if last := addrOf(maxClients - 1); !last.IsLoopback() {
		t.Errorf("the last address is %v", last)
	}
}

func TestPace(t *testing.T) {
	now := time.Unix(1, 0)
	p := pace{rate: 10}
	total := 0
	for range 101 {
		total += p.due(now, 5)
		now = now.Add(33 * time.Millisecond)
	}
	if total != 33 {
		t.Errorf("%d in 3.3 s, at 10 a second", total)
	}
	p = pace{rate: -1}
	if n := p.due(now, 5); n != 5 {
		t.Errorf("%d of 5 at once", n)
	}
}
