package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/sim"
)

type simCmd struct {
	Scenario   string        `arg:"" help:"What happens: ${scenarios}."`
	Nodes      int           `help:"Ordinary nodes; each scenario has its own default."`
	Supernodes int           `help:"Supernodes; each scenario has its own default."`
	Seed       uint64        `default:"1" help:"The same seed gives the same run."`
	Duration   time.Duration `help:"Virtual time after everybody is online."`
	Loss       float64       `help:"Share of packets that are lost, such as 0.01; each scenario has its own default."`
	Report     string        `placeholder:"FILE" type:"path" help:"Write a page with charts."`
	Gone       float64       `help:"Share of the supernodes that outage-2010 takes; 0.28 unless given."`
	Line       bool          `help:"Print one line of the table in docs/benchmarks.md."`
	Naive      bool          `help:"For study: supernodes do not shed load and clients do not back off."`
}

// scenarioNames are for the help.
func scenarioNames() string { return strings.Join(slices.Sorted(maps.Keys(sim.Scenarios())), ", ") }

func (c *simCmd) Run(p *program) error {
	if _, ok := sim.Scenarios()[c.Scenario]; !ok {
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("there is no scenario %q", c.Scenario), Hint: "choose one of " + scenarioNames()}
	}
	r, err := sim.Run(sim.Options{
		Scenario: c.Scenario, Nodes: c.Nodes, Supernodes: c.Supernodes, Seed: c.Seed, Duration: c.Duration, Loss: c.Loss, Gone: c.Gone, Naive: c.Naive,
		Progress: p.stderr, Stop: p.ctx.Done(),
	})
	if err != nil {
		return err
	}
	if p.ctx.Err() != nil {
		return p.ctx.Err()
	}
	if c.Report != "" {
		if err := writePage(c.Report, r.WritePage); err != nil {
			return err
		}
	}
	if c.Line {
		fmt.Fprintln(p.stdout, r.Line())
	} else if err := p.print(r, func(w *tabwriter.Writer) { printSim(w, r) }); err != nil {
		return err
	}
	if len(r.Failed) > 0 {
		return &linnet.Error{Code: linnet.CodeFailed, Text: fmt.Sprintf("the network did not stand it: %s", strings.Join(r.Failed, "; ")),
			Hint: fmt.Sprintf("--seed %d --nodes %d --supernodes %d replays this run", r.Seed, r.Nodes, r.Supernodes)}
	}
	return nil
}

func printSim(w *tabwriter.Writer, r *sim.Report) {
	fmt.Fprintf(w, "%s\t%d nodes, %d supernodes, seed %d: %.0f s in %.1f s\n", r.Scenario, r.Nodes, r.Supernodes, r.Seed, r.Virtual, r.Wall)
	fmt.Fprintf(w, "lookups\t%d, %.2f %% succeeded, %.0f ms median, %.0f ms and %d round trips p99, %.1f messages\n",
		r.Lookup.Count, 100*r.Lookup.Success, r.Lookup.P50, r.Lookup.P99, r.Lookup.Trips, r.Lookup.Messages)
	fmt.Fprintf(w, "attached\t%.2f %% at worst, %.2f %% in the end", 100*r.Attached.Min, 100*r.Attached.Final)
	if r.Attached.Recovered > 0 {
		fmt.Fprintf(w, ", 99 %% again after %.0f s", r.Attached.Recovered)
	}
	fmt.Fprintf(w, "\nsupernodes\t%.0f clients in the mean, %.0f at most, limit %d; %d lost to their load, %d promoted\n", r.Load.Mean, r.Load.Max, r.Load.Limit, r.Lost, r.Promotions)
	fmt.Fprintf(w, "traffic\t%.1f bytes/s of a client, %.0f bytes/s of membership sent by a supernode\n", r.Bytes, r.Membership)
	if r.Detection > 0 {
		fmt.Fprintf(w, "deaths\tnoticed after %.1f s, known everywhere after %.1f s (p99)\n", r.Detection, r.Dissemination)
	}
}
