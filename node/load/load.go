// Package load measures how many attached nodes a supernode holds, and what
// each costs it: memory while it is idle, processor time to attach it and to keep
// it, and what is left for look-ups.
//
// The supernode is the real one (package node), in a process of its own (Serve).
// Run makes a network with one supernode, certifies as many devices as it is
// told, and runs their halves: for each device the real machines of packages
// session, overlay and directory, with keys and an address of its own, and in
// place of package link the little that a client needs of it (see exchange). All
// devices of a shard share one socket and one goroutine: a socket of the wildcard
// address receives for all of 127.0.0.0/8 and says for which address (IP_PKTINFO).
//
// What a device does here is what an idle one does everywhere: it probes, opens
// a session, upgrades it to hybrid keys, attaches, publishes its record every ten
// minutes, keeps alive. It is attached to one supernode where in a larger network it
// would be to two.
package load

import (
	"fmt"
	"slices"
	"time"
)

// Options is a measurement.
type Options struct {
	Clients int     // devices; default 1000, at most 1,000,000
	Rate    float64 // begin to attach, a second; 0 means as many as go
	Publish float64 // the share that publishes a record; 0 means all, negative none

	// KeepAlive is the pause between the keep-alives of a client; 0 means 60 s. In a
	// network it has two supernodes, which it asks in turn every 30 s.
	KeepAlive time.Duration

	Idle    time.Duration // how long the keep-alives are measured; default KeepAlive, or some clients say nothing
	Lookups float64       // a second, while these are measured; 0 means 100
	Quiet   time.Duration // that is waited before; 0 means 15 s: the keys before the upgrade live ten
	Profile string        // a file for the supernode's heap, as pprof reads it; empty: none
}

// maxClients fits into 127.1.0.0 to 127.255.255.255 with room to spare.
const maxClients = 1_000_000

func (o *Options) fill() error {
	if o.Clients == 0 {
		o.Clients = 1000
	}
	if o.Clients < 1 || o.Clients > maxClients {
		return fmt.Errorf("%d clients: give 1 to %d", o.Clients, maxClients)
	}
	if o.Publish == 0 {
		o.Publish = 1
	}
	o.Publish = min(max(o.Publish, 0), 1)
	if o.Idle <= 0 {
		o.Idle = o.KeepAlive
	}
	if o.KeepAlive <= 0 {
		o.KeepAlive = time.Minute
	}
	if o.Quiet <= 0 {
		o.Quiet = 15 * time.Second
	}
	if o.Lookups <= 0 {
		o.Lookups = 100
	}
	return nil
}

// A Result is what was measured. Processor time is the supernode's, of all its
// goroutines and of the kernel for it.
type Result struct {
	Clients  int `json:"clients"`  // that were to attach
	Attached int `json:"attached"` // as the supernode counts at the end
	Records  int `json:"records"`  // the same
	Cores    int `json:"cores"`

	Attach Attach `json:"attach"`
	Memory Memory `json:"memory"`
	Idle   Idle   `json:"idle"`
	Lookup Lookup `json:"lookup"`
	Limit  Limit  `json:"limit"`
}

// Attach is the way from nothing to attached and published.
type Attach struct {
	Seconds    float64 `json:"seconds"`
	Rate       float64 `json:"clients_per_s"`     // of time, with the generator on the same machine
	CPU        float64 `json:"cpu_us_per_client"` // handshake, upgrade, attachment, record
	PerCore    float64 `json:"clients_per_core_s"`
	Refused    int     `json:"refused"` // probes, which came again
	PeakRSS    int64   `json:"peak_rss_bytes"`
	P50Seconds float64 `json:"p50_s"` // of one client, from its first probe
	P99Seconds float64 `json:"p99_s"`
}

// Memory is of the supernode's process, as the kernel counts what is resident.
type Memory struct {
	Before     int64   `json:"rss_before_bytes"`  // nobody attached; free memory given back
	After      int64   `json:"rss_after_bytes"`   // all attached and idle, as it ran
	Settled    int64   `json:"rss_settled_bytes"` // the same after free memory was given back to the system
	Heap       int64   `json:"heap_bytes"`        // live objects of the settled process, less those before
	PerClient  float64 `json:"bytes_per_client"`  // (Settled - Before) / attached
	AsItRan    float64 `json:"bytes_per_client_unsettled"`
	HeapClient float64 `json:"heap_bytes_per_client"`
}

// Idle is all attached and doing nothing but keeping alive.
type Idle struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu_share"` // of one core
	Packets float64 `json:"packets_per_s"`
}

// Lookup is look-ups of random clients for random clients, on top of that.
type Lookup struct {
	Asked  int     `json:"asked"`
	Failed int     `json:"failed"`
	Rate   float64 `json:"per_s"`
	P50    float64 `json:"p50_ms"`
	P99    float64 `json:"p99_ms"`
	CPU    float64 `json:"cpu_us"` // of one look-up, beyond what idling takes
}

// Limit is how many clients the measured supernode could hold.
type Limit struct {
	Configured int `json:"configured"`   // what it is told to take
	Load       int `json:"load_percent"` // of its limits, as it tells others, at the end
	CPU        int `json:"by_cpu"`       // where idle clients and a look-up of each an hour take 70 % of a core
	PerGiB     int `json:"per_gib"`      // by memory
}

// busyShare is of a core: beyond it there is no room for a crowd that comes back.
const busyShare = 0.7

func (r *Result) derive() {
	n := float64(max(r.Attached, 1))
	r.Attach.PerCore = 1e6 / max(r.Attach.CPU, 1)
	r.Memory.PerClient = float64(r.Memory.Settled-r.Memory.Before) / n
	r.Memory.AsItRan = float64(r.Memory.After-r.Memory.Before) / n
	r.Memory.HeapClient = float64(r.Memory.Heap) / n
	each := r.Idle.CPU/n + r.Lookup.CPU/1e6/3600
	r.Limit.CPU = int(busyShare / max(each, 1e-9))
	r.Limit.PerGiB = int((1 << 30) / max(r.Memory.AsItRan, r.Memory.PerClient, 1))
}

// percentile sorts d; 0 if there are none.
func percentile(d []time.Duration, p float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[min(int(p*float64(len(d))), len(d)-1)]
}
