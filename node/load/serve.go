package load

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/pprof"
	"time"

	"github.com/shirou/gopsutil/v4/process"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
)

// A plan is what the process of the supernode is told first.
type plan struct {
	Home    string         `json:"home"`
	Listen  netip.AddrPort `json:"listen"`
	Clients int            `json:"clients"` // that it takes
}

// An order is every later line.
type order struct {
	Settle  bool   `json:"settle"`  // give free memory back to the system before counting
	Profile string `json:"profile"` // write the heap there
}

// A usage is its answer to each.
type usage struct {
	Clients int           `json:"clients"`
	Records int           `json:"records"`
	Load    int           `json:"load"`
	Packets uint64        `json:"packets"` // in and out
	RSS     int64         `json:"rss"`
	Heap    int64         `json:"heap"` // live objects, if it was to settle
	CPU     time.Duration `json:"cpu"`
	Cores   int           `json:"cores"`
	Err     string        `json:"error,omitempty"`
}

// Serve runs the supernode of a network that Run has made, as it is told on r
// until r ends, and answers on w.
func Serve(ctx context.Context, r io.Reader, w io.Writer) error {
	orders, answers := json.NewDecoder(bufio.NewReader(r)), json.NewEncoder(w)
	var p plan
	if err := orders.Decode(&p); err != nil {
		return fmt.Errorf("load: read the plan: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	n, err := node.Open(ctx, node.Options{Home: p.Home, Listen: p.Listen, Role: linnet.Supernode | linnet.Relay, Clients: p.Clients, Drain: time.Millisecond})
	if err != nil {
		return errors.Join(err, answers.Encode(usage{Err: err.Error()}))
	}
	ran := make(chan error, 1)
	go func() { ran <- n.Run(ctx) }()
	err = n.Ready(ctx)
	for err == nil {
		var o order
		if err = orders.Decode(&o); err != nil {
			break
		}
		var u usage
		if u, err = measure(ctx, n, o); err == nil {
			err = answers.Encode(u)
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	cancel()
	return errors.Join(err, <-ran)
}

func measure(ctx context.Context, n *node.Node, o order) (u usage, err error) {
	if o.Settle {
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Heap = int64(m.HeapAlloc)
	}
	if o.Profile != "" {
		if err := writeHeap(o.Profile); err != nil {
			return u, err
		}
	}
	self, err := process.NewProcessWithContext(ctx, int32(os.Getpid()))
	if err != nil {
		return u, fmt.Errorf("load: own process: %w", err)
	}
	memory, err := self.MemoryInfoWithContext(ctx)
	if err != nil {
		return u, fmt.Errorf("load: resident memory: %w", err)
	}
	times, err := self.TimesWithContext(ctx)
	if err != nil {
		return u, fmt.Errorf("load: processor time: %w", err)
	}
	f, err := n.Figures(ctx)
	if err != nil {
		return u, err
	}
	u.Clients, u.Records, u.Load = f.Clients, f.Records, f.Load
	u.Packets = f.Link.UDPReceived.Packets + f.Link.UDPSent.Packets
	u.RSS, u.CPU, u.Cores = int64(memory.RSS), time.Duration((times.User+times.System)*1e9), runtime.GOMAXPROCS(0)
	return u, nil
}

func writeHeap(name string) error {
	f, err := os.Create(name)
	if err == nil {
		err = errors.Join(pprof.Lookup("heap").WriteTo(f, 0), f.Close())
	}
	if err != nil {
		return fmt.Errorf("load: heap profile: %w", err)
	}
	return nil
}
