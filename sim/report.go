package sim

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// A Report is how a run went. Its JSON is what `linnet sim --json` prints.
type Report struct {
	Scenario   string  `json:"scenario"`
	Nodes      int     `json:"nodes"`
	Supernodes int     `json:"supernodes"`
	Seed       uint64  `json:"seed"`
	Virtual    float64 `json:"virtual_seconds"`
	Wall       float64 `json:"wall_seconds"`

	Lookup struct {
		Count    int     `json:"count"`
		Success  float64 `json:"success"` // 0 to 1
		P50      float64 `json:"p50_ms"`
		P99      float64 `json:"p99_ms"`
		Messages float64 `json:"messages_mean"`   // requests and answers, at all nodes
		Wrong    int     `json:"wrong"`           // answers that are not true
		Warm     float64 `json:"warm"`            // share that the own supernode could answer: one round trip
		Trips    int     `json:"round_trips_p99"` // of those that succeeded
	} `json:"lookup"`
	Attached struct {
		Min       float64 `json:"min"` // fraction of the clients that run
		Final     float64 `json:"final"`
		Recovered float64 `json:"recovered_99_s"` // after the blow; 0: it never fell below
	} `json:"attached_fraction"`
	Load struct {
		Mean  float64 `json:"mean"` // clients
		P99   float64 `json:"p99"`
		Max   float64 `json:"max"`
		Limit int     `json:"limit"`
	} `json:"supernode_load"`

	Lost          int     `json:"supernodes_lost_to_load"`
	Bytes         float64 `json:"bytes_per_node_per_s"`                 // of a client, both directions, headers included
	Idle          float64 `json:"idle_bytes_per_node_per_s"`            // the same without look-ups
	Detection     float64 `json:"detection_p99_s"`                      // of a supernode's death by anybody
	Dissemination float64 `json:"dissemination_p99_s"`                  // until all others know
	Membership    float64 `json:"membership_bytes_per_supernode_per_s"` // sent
	Promotions    int     `json:"promotions"`
	Seats         int     `json:"seats_seized"`
	Events        int64   `json:"events"`
	Memory        uint64  `json:"memory_bytes"` // of this process, from the operating system, at most

	Failed []string `json:"failed"` // what was not as the scenario wants it; empty: survived

	series []sample
	about  string
	naive  bool
}

func (w *world) report(wall time.Duration) *Report {
	w.sample()
	r := &Report{
		Scenario: w.o.Scenario, Nodes: w.o.Nodes, Supernodes: w.o.Supernodes, Seed: w.o.Seed,
		Virtual: time.Duration(w.now).Seconds(), Wall: wall.Seconds(), Lost: w.lost, Promotions: w.promotions, Seats: w.seized, Events: w.events,
		Failed: []string{}, series: w.series, about: w.scenario.about, naive: w.o.Naive,
	}
	c := &w.lookups
	r.Lookup.Count, r.Lookup.Wrong = c.count, c.wrong
	if c.count > 0 {
		r.Lookup.Success = float64(c.success) / float64(c.count)
		r.Lookup.Messages = float64(w.searches) / float64(c.count+c.cut)
	}
	if c.success > 0 {
		r.Lookup.Warm = float64(c.trips[0]+c.trips[1]) / float64(c.success)
		for sum := 0; sum*100 < c.success*99; r.Lookup.Trips++ {
			sum += c.trips[r.Lookup.Trips]
		}
		r.Lookup.Trips--
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	r.Memory = memory.Sys
	r.Lookup.P50, r.Lookup.P99 = percentile(c.took, 50), percentile(c.took, 99)
	r.Attached.Min, r.Attached.Final, r.Attached.Recovered = w.attachMin, w.fraction(), w.recovered.Seconds()
	r.Load.P99, r.Load.Max, r.Load.Limit = float64(w.loadP99), float64(w.loadMax), w.limit
	if w.loadCount > 0 {
		r.Load.Mean = float64(w.loadSum) / float64(w.loadCount)
	}
	measured := (time.Duration(w.now) - warmUp).Seconds()
	r.Bytes = float64(w.clientBytes) / float64(max(w.up, 1)) / measured
	r.Idle = float64(w.clientBytes-w.searchBytes) / float64(max(w.up, 1)) / measured
	r.Membership = float64(w.memberBytes) / float64(max(w.supernodes, 1)) / measured
	r.Detection, r.Dissemination = percentile(seconds(w.detected), 99), percentile(seconds(w.told), 99)
	if w.scenario.judge != nil && w.failure == nil {
		r.Failed = append(r.Failed, w.scenario.judge(w, r)...)
	}
	return r
}

func seconds(list []time.Duration) []float64 {
	s := make([]float64, len(list))
	for i, d := range list {
		s[i] = d.Seconds()
	}
	return s
}

// percentile of a list, which it sorts; 0 if that is empty.
func percentile(list []float64, p int) float64 {
	if len(list) == 0 {
		return 0
	}
	slices.Sort(list)
	return list[min(len(list)*p/100, len(list)-1)]
}

// Line is the report as a line of a table.
func (r *Report) Line() string {
	name := r.Scenario
	if r.naive {
		name += ", naive"
	}
	seconds := func(s float64) string { return (time.Duration(s) * time.Second).String() }
	verdict := "stood"
	if len(r.Failed) > 0 {
		verdict = "failed: " + strings.Join(r.Failed, "; ")
	}
	deaths := "-"
	if r.Detection > 0 {
		deaths = fmt.Sprintf("%.1f / %.1f s", r.Detection, r.Dissemination)
	}
	return fmt.Sprintf("| %s | %d / %d | %d | %s | %s | %.2f GB | %d, %.3f %% | %.0f / %.0f ms, %d | %.1f | %.2f / %.2f %%, %.0f s | %.0f / %.0f / %d | %.1f, %.0f | %s | %s |",
		name, r.Nodes, r.Supernodes, r.Seed, seconds(r.Virtual), seconds(r.Wall), float64(r.Memory)/1e9,
		r.Lookup.Count, 100*r.Lookup.Success, r.Lookup.P50, r.Lookup.P99, r.Lookup.Trips, r.Lookup.Messages,
		100*r.Attached.Min, 100*r.Attached.Final, r.Attached.Recovered, r.Load.P99, r.Load.Max, r.Load.Limit,
		r.Bytes, r.Membership, deaths, verdict)
}
