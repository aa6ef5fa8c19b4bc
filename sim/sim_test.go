package sim

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"testing"
	"time"
)

// short is each scenario as small as it still means something.
var short = map[string]Options{
	"steady":         {Nodes: 600, Supernodes: 20, Duration: 4 * time.Minute},
	"growth":         {Nodes: 300, Supernodes: 40, Duration: 10 * time.Minute},
	"churn":          {Nodes: 200, Supernodes: 30, Duration: time.Hour},
	"partition":      {Nodes: 400, Supernodes: 24, Duration: 20 * time.Minute},
	"outage-2007":    {Nodes: 400, Supernodes: 15, Duration: 8 * time.Minute},
	"outage-2010":    {Nodes: 400, Supernodes: 15, Duration: 6 * time.Minute},
	"flash-crowd":    {Nodes: 400, Supernodes: 15, Duration: 6 * time.Minute},
	"liars":          {Nodes: 400, Supernodes: 40, Duration: 6 * time.Minute},
	"sybil":          {Nodes: 800, Supernodes: 40, Duration: 4 * time.Minute},
	"authority-down": {Nodes: 400, Supernodes: 20, Duration: 5 * time.Minute},
}

func run(t *testing.T, o Options) *Report {
	t.Helper()
	r, err := Run(o)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%s", b)
	return r
}

func TestScenarios(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	for _, name := range slices.Sorted(maps.Keys(scenarios)) {
		t.Run(name, func(t *testing.T) {
			o := short[name]
			if os.Getenv("LINNET_LONG") != "" {
				o = Options{} // the scenario's own size
			}
			o.Scenario, o.Seed = name, 1
			r := run(t, o)
			for _, f := range r.Failed {
				t.Errorf("seed %d: %s", r.Seed, f)
			}
		})
	}
}

// Without shedding and back-off both outages fail look-ups and drive supernodes beyond
// their limits: they are as hard as they are meant to be.
func TestNaiveNetworksCollapse(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a quarter of a minute")
	}
	for _, name := range []string{"outage-2007", "outage-2010"} {
		t.Run(name, func(t *testing.T) {
			o := short[name]
			o.Scenario, o.Seed, o.Naive, o.Duration = name, 6, true, 4*time.Minute // of so few supernodes not enough go with some seeds
			if r := run(t, o); r.Lookup.Success > 0.95 || r.Load.Max <= float64(r.Load.Limit) {
				t.Errorf("%.2f of the look-ups succeeded, and no supernode had more than %v clients", r.Lookup.Success, r.Load.Max)
			}
		})
	}
}

// The same options give the same run, and what travels as bytes the same as what
// travels as structs.
func TestSameSeedSameRun(t *testing.T) {
	o := Options{Scenario: "churn", Nodes: 60, Supernodes: 8, Duration: 20 * time.Minute, Seed: 7}
	first := run(t, o)
	second := run(t, o)
	o.Wire = true
	wire := run(t, o)
	for _, r := range []*Report{first, second, wire} {
		r.Wall, r.Memory = 0, 0
	}
	a, _ := json.Marshal(first)
	b, _ := json.Marshal(second)
	if string(a) != string(b) {
		t.Errorf("%s\n%s", a, b)
	}
	c, _ := json.Marshal(wire)
	if string(a) != string(c) {
		t.Errorf("%s\nas bytes %s", a, c)
	}
	o.Wire, o.Seed = false, 8
	if other := run(t, o); other.Events == first.Events {
		t.Error("another seed gives the same run")
	}
}
