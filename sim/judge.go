package sim

import (
	"fmt"
	"time"
)

// A judgement says what of a run was not as it should be.
type judgement = func(*world, *Report) []string

func all(list ...judgement) judgement {
	return func(w *world, r *Report) (faults []string) {
		for _, j := range list {
			faults = append(faults, j(w, r)...)
		}
		return faults
	}
}

func unless(so bool, format string, args ...any) []string {
	if so {
		return nil
	}
	return []string{fmt.Sprintf(format, args...)}
}

func lookups(least float64) judgement {
	return func(_ *world, r *Report) []string {
		return append(unless(r.Lookup.Success >= least, "%.4f of the lookups succeeded, want %.4f", r.Lookup.Success, least),
			unless(r.Lookup.Count >= 100, "only %d lookups", r.Lookup.Count)...)
	}
}

func attached(least float64) judgement {
	return func(_ *world, r *Report) []string {
		return unless(r.Attached.Min >= least, "at worst %.4f were attached, want %.4f", r.Attached.Min, least)
	}
}

func finally(least float64) judgement {
	return func(_ *world, r *Report) []string {
		return unless(r.Attached.Final >= least, "%.4f attached in the end, want %.4f", r.Attached.Final, least)
	}
}

func lookupsAtLast(least float64) judgement {
	return func(w *world, r *Report) []string { return lookups(least)(w, r) }
}

// within wants 99 % attached again so long after the blow, and then on.
func within(limit time.Duration) judgement {
	return func(w *world, r *Report) []string {
		return append(unless(w.recovered <= limit, "99 %% attached again after %v, want %v", w.recovered, limit),
			finally(0.99)(w, r)...)
	}
}

// outage2010 wants more than a quarter of the supernodes to be missed by nobody;
// where half of them go, volunteers have to make up for it.
func outage2010(w *world, r *Report) []string {
	if w.o.Gone > 0.3 {
		return all(finally(0.99), truth, withinLimits, noneLost, func(_ *world, r *Report) []string {
			return unless(r.Promotions > 0, "nobody was promoted")
		})(w, r)
	}
	return all(within(2*time.Minute), lookups(0.99), withinLimits, noneLost)(w, r)
}

func withinLimits(w *world, r *Report) []string {
	return unless(r.Load.Max <= float64(r.Load.Limit), "a supernode had %.0f clients, limit %d", r.Load.Max, r.Load.Limit)
}

func noneLost(_ *world, r *Report) []string {
	return unless(r.Lost == 0, "%d supernodes were lost to their load", r.Lost)
}

func truth(w *world, _ *Report) []string {
	return unless(w.lookups.wrong == 0, "%d wrong answers were believed", w.lookups.wrong)
}

func seats(w *world, _ *Report) []string {
	return append(unless(w.seized <= 2, "the attacker has %d of 10 seats of a slot", w.seized), unless(len(w.targets) == 2, "there was no attack")...)
}

// idle is the traffic of a client that looks nobody up.
func idle(_ *world, r *Report) []string {
	return unless(8*r.Idle <= 100, "an idle client uses %.0f bit/s", 8*r.Idle)
}

// membership is what supernodes have to know of one another, and when.
func membership(w *world, r *Report) []string {
	return append(append(unless(len(w.detected) > 0, "no supernode died"),
		unless(r.Detection <= 10, "a death was noticed after %.1f s", r.Detection)...),
		append(unless(r.Dissemination <= 20, "a death was known everywhere after %.1f s", r.Dissemination),
			unless(r.Membership <= 5000, "membership takes %.0f bytes/s", r.Membership)...)...)
}

// oneNetwork wants all supernodes to know one another.
func oneNetwork(w *world, _ *Report) []string {
	for _, n := range w.nodes[:w.o.Supernodes] {
		if got := len(n.machine.Serving()); got != w.supernodes {
			return []string{fmt.Sprintf("a supernode knows %d of %d", got, w.supernodes)}
		}
	}
	return nil
}
