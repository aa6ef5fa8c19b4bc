package main

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node/load"
)

type benchAttachCmd struct {
	Clients int     `default:"10000" help:"Devices that attach, each with an address in 127.0.0.0/8."`
	Rate    float64 `default:"0" help:"How many begin to attach in a second. 0 is as many as go."`
	Publish float64 `default:"1" help:"Share of them that publish a record, 0 to 1."`
	Seconds int     `default:"60" help:"How long keep-alives are measured, and look-ups on top of them. Each client keeps alive once in 60 s."`
	Lookups float64 `default:"100" help:"Look-ups in a second."`
	Profile string  `placeholder:"FILE" type:"path" help:"Write the supernode's heap for go tool pprof."`
	Pipe    bool    `hidden:""`
}

func (c *benchAttachCmd) Run(p *program) error {
	if c.Pipe {
		return load.Serve(p.ctx, p.stdin, p.stdout)
	}
	o := load.Options{
		Clients: c.Clients, Rate: c.Rate, Publish: c.Publish, Lookups: c.Lookups,
		Idle: time.Duration(c.Seconds) * time.Second, Profile: c.Profile,
	}
	if c.Publish == 0 {
		o.Publish = -1
	}
	dial := func(ctx context.Context) (io.ReadWriteCloser, error) {
		return ownProcess(ctx, (*exec.Cmd).Start, "bench", "attach", "--pipe")
	}
	var said time.Time
	r, err := load.Run(p.ctx, o, dial, func(what string, done, all int) {
		if time.Since(said) > 5*time.Second {
			said = time.Now()
			p.tell("%s: %d of %d", what, done, all)
		}
	})
	if err != nil {
		return &linnet.Error{Code: linnet.CodeFailed, Text: err.Error()}
	}
	return p.print(r, func(w *tabwriter.Writer) { printAttach(w, r) })
}

func printAttach(w io.Writer, r load.Result) {
	mib := func(n int64) float64 { return float64(n) / (1 << 20) }
	a, m := r.Attach, r.Memory
	fmt.Fprintf(w, "%d of %d nodes attached, %d records\n", r.Attached, r.Clients, r.Records)
	fmt.Fprintf(w, "  attach\t%.0f/s\tin %.0f s; one takes %.2f s, p99 %.2f s\n", a.Rate, a.Seconds, a.P50Seconds, a.P99Seconds)
	fmt.Fprintf(w, "  \t%.0f us each\t%.0f/s of one core\n", a.CPU, a.PerCore)
	fmt.Fprintf(w, "  memory\t%.0f bytes each\tresident, %.1f to %.1f MiB; %.0f live\n", m.PerClient, mib(m.Before), mib(m.Settled), m.HeapClient)
	fmt.Fprintf(w, "  \t%.0f bytes each\tas it ran; at most %.1f MiB while they came\n", m.AsItRan, mib(a.PeakRSS))
	fmt.Fprintf(w, "  idle\t%.1f %% of a core\t%.0f packets/s\n", 100*r.Idle.CPU, r.Idle.Packets)
	fmt.Fprintf(w, "  look-ups\t%.0f/s\t%.1f ms, p99 %.1f ms, %.0f us each; %d of %d failed\n", r.Lookup.Rate, r.Lookup.P50, r.Lookup.P99, r.Lookup.CPU, r.Lookup.Failed, r.Lookup.Asked)
	fmt.Fprintf(w, "  limit\t%d\tas told; load %d %%. One core carries %d, a GiB holds %d\n", r.Limit.Configured, r.Limit.Load, r.Limit.CPU, r.Limit.PerGiB)
}
