// Package load measures what a relay costs: packets per second of one core, and
// the time that it adds to each.
//
// The relay runs in a process of its own (Serve), with one core (Core) and the code that a
// node relays with: package link between the sockets, relay.Server in it. Its
// reservations are made here and not in sessions; no packet notices. Beside it,
// in the same run, a plain forwarder with the same system calls shows the
// machine's limit. Run generates the packets, receives them and compares.
package load

import (
	"context"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

// A Kind is what relays.
type Kind string

// The kinds.
const (
	Relay    Kind = "relay"
	Recvmmsg Kind = "recvmmsg" // a plain forwarder, in batches
	Single   Kind = "single"   // a plain forwarder, a system call for each packet
	turnKind Kind = "turn"     // a TURN server that runs already
	other    Kind = "other"    // a forwarder in a program of its own
	direct   Kind = "direct"   // none: from the sender to the receiver, for comparison
)

// A plan is what the process that relays is told.
type plan struct {
	Kind  Kind              `json:"kind"`
	Legs  int               `json:"legs"`
	Sides [2]netip.AddrPort `json:"sides"` // the first address of each
	Ports int               `json:"ports"` // how many follow it
	Admit bool              `json:"admit"` // a relay takes no leg before it is offered, and then as it likes
	Train bool              `json:"train"` // packets of one leg come after one another
}

const (
	sockets = 64 // of a side, at most
	maxLegs = 100_000
)

// A ready is its answer: where it relays, and the tag of each leg.
type ready struct {
	Addr netip.AddrPort `json:"addr"`
	Tags []uint32       `json:"tags"`
	Err  string         `json:"error,omitempty"`
}

// A question is a line to it: for its usage, and whether it takes more legs.
type question struct {
	Offer int `json:"offer"`
}

// A usage is the answer: what it did until now.
type usage struct {
	Tags []uint32 `json:"tags,omitempty"` // of the legs that it takes, of those that were offered

	Packets uint64        `json:"packets"` // passed on
	CPU     time.Duration `json:"cpu_ns"`
}

// Options is a measurement.
type Options struct {
	Legs  int           // default 1000
	Size  int           // bytes of a datagram; default 160
	PPS   int           // packets per second offered, all legs together; 0: as many as can be sent
	Time  time.Duration // of each turn; default 3 s
	Turns int           // of everything, interleaved; default 3
	Train bool          // packets of one leg follow each other, else of distinct legs

	Baseline Kind // default Recvmmsg

	// TURN, if set, is a server to measure beside the others, with an allocation for each two
	// legs; TURNProcess is its process on this machine.
	TURN        netip.AddrPort
	TURNProcess int

	// Forwarder, if set, starts another forwarder to measure beside the others. It is
	// told and asked what Serve is.
	Forwarder func(context.Context) (io.ReadWriteCloser, error)

	// Overload, if not 0, offers calls to the relay when all else is measured, one
	// way each, until their packets would be so many times what it relayed before.
	Overload float64
}

// callRate is the packets per second of a voice call, one way.
const callRate = 50

// A Result is the median of the turns. Rates are packets per second of processor
// time of the process that relays, so that others on the machine matter little.
type Result struct {
	Legs     int     `json:"legs"`
	Size     int     `json:"size"`
	Offered  float64 `json:"pps_offered"`
	Relayed  float64 `json:"pps_relayed"` // per second of time
	Loss     float64 `json:"loss"`
	Added    Added   `json:"added_us"` // against no relay between the same sockets, from the call that sends to the kernel that receives; only below saturation
	CPU      float64 `json:"cpu_seconds"`
	PerCore  float64 `json:"pps_per_core"`
	Baseline float64 `json:"baseline_pps"` // of the plain forwarder, per core
	Ratio    float64 `json:"ratio"`        // PerCore / Baseline

	TURN      *Beside   `json:"turn,omitempty"`
	Forwarder *Beside   `json:"forwarder,omitempty"`
	Overload  *Overload `json:"overload,omitempty"`
}

// Beside is what relayed the same packets in the same run.
type Beside struct {
	Relayed float64 `json:"pps_relayed"`
	PerCore float64 `json:"pps_per_core"`
	Ratio   float64 `json:"ratio"` // Result.PerCore / PerCore
	Loss    float64 `json:"loss"`
	Added   Added   `json:"added_us"`
}

// An Overload is what became of more calls than the relay can carry.
type Overload struct {
	Offered  int     `json:"calls_offered"`
	Admitted int     `json:"calls_admitted"`
	Loss     float64 `json:"loss"` // of the packets of those that were admitted, from first to last
}

// Added is percentiles of a delay, in microseconds.
type Added struct {
	P50  float64 `json:"p50"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
}

// added compares; it is zero where delays were not measured.
func added(with, without []time.Duration) Added {
	us := func(p float64) float64 {
		return float64(percentile(with, p)-percentile(without, p)) / float64(time.Microsecond)
	}
	return Added{us(.5), us(.99), us(.999)}
}

// percentile sorts d.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(p*float64(len(d))), len(d)-1)]
}

func median(f []float64) float64 {
	if len(f) == 0 {
		return 0
	}
	slices.Sort(f)
	return f[len(f)/2]
}

func (o *Options) fill() error {
	for _, d := range []struct {
		v        *int
		fallback int
		min, max int
		name     string
	}{
		{&o.Legs, 1000, 1, maxLegs, "legs"},
		{&o.Size, 160, minSize, 1452, "bytes"},
		{&o.Turns, 3, 1, 100, "turns"},
	} {
		if *d.v == 0 {
			*d.v = d.fallback
		}
		if *d.v < d.min || *d.v > d.max {
			return fmt.Errorf("%d %s: give %d to %d", *d.v, d.name, d.min, d.max)
		}
	}
	if o.Time == 0 {
		o.Time = 3 * time.Second
	}
	if o.TURN.IsValid() && (!o.TURN.Addr().Is4() || o.Legs > 2*maxCalls || o.Legs%2 != 0) {
		return fmt.Errorf("a TURN server at %v for %d legs: give one with IPv4, and an even number of legs, %d at most", o.TURN, o.Legs, 2*maxCalls)
	}
	if o.Overload < 0 || o.Overload > 10 {
		return fmt.Errorf("an overload of %v: give 1 to 10, or 0 for none", o.Overload)
	}
	if o.Baseline == "" {
		o.Baseline = Recvmmsg
	}
	return nil
}
