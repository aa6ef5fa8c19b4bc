package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/sample"
)

var (
	matrixPairs   = flag.String("pairs", "", "of TestNATMatrix: `KIND+KIND,...`, KIND alone for all pairs with it, or all; default: a dozen")
	matrixTries   = flag.Int("tries", 1, "calls of each pair")
	matrixSeconds = flag.Float64("seconds", 0, "of voice in each call; default: 2, or 10 in the long form")
	matrixOptions = flag.String("options", "", "natlab's `OPTION,...` for all hosts, as delay=40,loss=1")
	matrixAtOnce  = flag.Int("at-once", 4, "calls at the same time")
)

// natKinds are the surroundings of a host that natlab makes.
var natKinds = []string{
	"public", "full-cone", "restricted-cone", "port-restricted", "symmetric", "cgnat", "cgnat-symmetric", "firewall",
	"udp-blocked", "web-only", "tls-only", "ipv6-only", "dual-stack", "proxy-only",
}

// shortMatrix are pairs of every kind that can be run by all who change something.
const shortMatrix = "public+firewall,full-cone+port-restricted,port-restricted+port-restricted,restricted-cone+cgnat,cgnat+cgnat,firewall+firewall," +
	"dual-stack+port-restricted,port-restricted+symmetric,cgnat+cgnat-symmetric,symmetric+firewall,public+symmetric,symmetric+cgnat-symmetric"

// ringFor is how long a callee takes to answer.
const ringFor = 2 * time.Second

// best is the best path between hosts of two kinds. RelayTCP stands for any over a
// relay: each side has its own way to it.
func best(a, b string) linnet.PathKind {
	is := func(kinds ...string) bool { return slices.Contains(kinds, a) || slices.Contains(kinds, b) }
	both := func(kinds ...string) bool { return slices.Contains(kinds, a) && slices.Contains(kinds, b) }
	switch {
	case both("public", "ipv6-only", "dual-stack"):
		return linnet.DirectUDP
	case is("web-only", "tls-only", "proxy-only", "ipv6-only"),
		is("udp-blocked") && is("symmetric", "cgnat-symmetric"),
		both("symmetric", "cgnat-symmetric"):
		return linnet.RelayTCP
	case is("udp-blocked"):
		return linnet.DirectTCP
	}
	return linnet.DirectUDP
}

type natPair struct{ a, b string }

// matrixOf reads what -pairs says.
func matrixOf(t testing.TB, list string) (pairs []natPair) {
	t.Helper()
	for _, word := range strings.Split(list, ",") {
		a, b, two := strings.Cut(word, "+")
		for i, x := range natKinds {
			for _, y := range natKinds[i:] {
				if word == "all" || !two && (x == a || y == a) || two && (x == a && y == b || x == b && y == a) {
					pairs = append(pairs, natPair{x, y})
				}
			}
		}
	}
	if len(pairs) == 0 {
		t.Fatalf("-pairs=%s names no pair; the kinds are %s", list, strings.Join(natKinds, " "))
	}
	return pairs
}

// A natResult is what the calls of one pair were like.
type natResult struct {
	natPair
	tries, connected int
	atAnswer, atEnd  map[linnet.PathKind]int
	direct           []time.Duration // from the first ring
	heard            []time.Duration // the callee's first sound after its answer
	late             int             // packets that did not come, of the first 200 ms and of the rest, at most in one call
	missing          int
	trouble          error // the last one
}

// TestNATMatrix has people behind NATs and firewalls of all kinds call one another.
func TestNATMatrix(t *testing.T) {
	list := *matrixPairs
	if list == "" && os.Getenv("LINNET_LONG") != "" {
		list = "all"
	} else if list == "" {
		list = shortMatrix
	}
	if *matrixSeconds == 0 {
		*matrixSeconds = 2
		if os.Getenv("LINNET_LONG") != "" {
			*matrixSeconds = 10
		}
	}
	pairs := matrixOf(t, list)
	var hosts []string
	for _, p := range pairs {
		for _, h := range []struct{ prefix, kind string }{{"a", p.a}, {"b", p.b}} {
			options := h.kind
			if h.kind == "proxy-only" {
				options = "udp-blocked"
			}
			if *matrixOptions != "" {
				options += "," + *matrixOptions
			}
			if spec := hostOf(h.prefix, h.kind) + "=" + options; !slices.Contains(hosts, spec) {
				hosts = append(hosts, spec)
			}
		}
	}
	l := newLab(t, fmt.Sprintf("m%d", os.Getpid()), append(hosts, "proxy=public")...)
	l.web = listensOnWeb
	l.network()
	m := &matrix{lab: l, proxy: l.startProxy("proxy", ""), voice: filepath.Join(l.dir, "voice.ogg"), people: make(map[string]*neighbour)}
	if err := os.WriteFile(m.voice, sample.Speech(), 0o600); err != nil {
		t.Fatal(err)
	}
	m.moveIn(hosts)

	results := make([]natResult, len(pairs))
	var wg sync.WaitGroup
	room := make(chan struct{}, *matrixAtOnce)
	for i, p := range pairs {
		wg.Go(func() {
			a, b := m.people[hostOf("a", p.a)], m.people[hostOf("b", p.b)]
			a.mu.Lock() // callers before callees, always: nobody waits in a ring
			defer a.mu.Unlock()
			b.mu.Lock()
			defer b.mu.Unlock()
			room <- struct{}{}
			results[i] = m.calls(p, a, b)
			<-room
		})
	}
	wg.Wait()
	m.report(results)
}

type matrix struct {
	*lab
	proxy  string // of all that have nothing else
	voice  string
	people map[string]*neighbour // by host
}

type neighbour struct {
	mu sync.Mutex // held by whoever calls or is called
	*resident
	err error
}

// moveIn gives all hosts a node.
func (m *matrix) moveIn(hosts []string) {
	var wg sync.WaitGroup
	room := make(chan struct{}, *matrixAtOnce)
	for _, spec := range hosts {
		host, _, _ := strings.Cut(spec, "=")
		n := &neighbour{resident: m.newResident(host)}
		m.people[host] = n
		if strings.HasSuffix(host, "proxyonly") {
			m.proxyOnly(host, "proxy")
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
				n.env = append(n.env, name+"="+m.proxy)
			}
		}
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			n.err = n.moveIn()
		})
	}
	wg.Wait()
}

func (m *matrix) calls(p natPair, a, b *neighbour) natResult {
	r := natResult{natPair: p, atAnswer: make(map[linnet.PathKind]int), atEnd: make(map[linnet.PathKind]int)}
	// One try may have no luck in guessing: then it takes another one.
	for i := 0; i < *matrixTries || *matrixTries == 1 && i < 3 && r.reached(best(p.a, p.b)) == 0 && r.connected > 0; i++ {
		r.tries++
		if i > 0 { // a new port, a new mapping, a new session
			a.end(syscall.SIGTERM)
			a.start()
		}
		err := m.call(&r, a, b)
		if err == nil {
			r.connected++
		} else {
			r.trouble = err
		}
	}
	return r
}

// call makes one call, which b answers after ringFor.
func (m *matrix) call(r *natResult, a, b *neighbour) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second+time.Duration(*matrixSeconds*float64(time.Second)))
	defer cancel()
	for _, x := range [][2]*neighbour{{a, b}, {b, a}} {
		if x[0].err != nil {
			return fmt.Errorf("%s: %w", x[0].host, x[0].err)
		}
		if err := x[0].waitOnline(ctx); err != nil {
			return err
		}
		if err := x[0].AddContact(ctx, linnet.Contact{User: x[1].user}); err != nil {
			return fmt.Errorf("%s: %w", x[0].host, err)
		}
	}
	told, err := b.Events(ctx)
	if err != nil {
		return err
	}
	told2, err := a.Events(ctx)
	if err != nil {
		return err
	}
	if _, err := a.Call(ctx, b.user, linnet.CallMedia{Play: m.voice, Seconds: *matrixSeconds, Stay: true}); err != nil {
		return err
	}
	ring, err := await(ctx, told, linnet.EventCallRings)
	if err != nil {
		return fmt.Errorf("it does not ring: %w", err)
	}
	var direct time.Duration
	for rang := time.Now(); time.Since(rang) < ringFor; time.Sleep(20 * time.Millisecond) {
		if direct == 0 && len(b.status().Calls) > 0 && b.status().Calls[0].Path.Direct() {
			direct = time.Since(rang)
		}
	}
	answered := time.Now()
	if err := b.Answer(ctx, ring.Call.ID, linnet.CallMedia{Play: m.voice, Stay: true}); err != nil {
		return err
	}
	if _, err := await(ctx, told, linnet.EventCallHeard); err != nil {
		return fmt.Errorf("nothing is heard: %w", err)
	}
	heard := time.Since(answered)
	there, err := await(ctx, told, linnet.EventCallEnded)
	if err != nil {
		return fmt.Errorf("it does not end: %w", err)
	}
	here, err := await(ctx, told2, linnet.EventCallEnded)
	if err != nil {
		return fmt.Errorf("it does not end: %w", err)
	}
	if here.Record.Outcome != linnet.OutcomeCompleted || len(here.Record.Paths) == 0 {
		return fmt.Errorf("%s, %d paths", here.Record.Outcome, len(here.Record.Paths))
	}
	r.heard = append(r.heard, heard)
	paths := here.Record.Paths
	r.atAnswer[paths[0].Path]++
	r.atEnd[paths[len(paths)-1].Path]++
	if i := slices.IndexFunc(paths, func(s linnet.PathSpan) bool { return s.Path.Direct() }); i >= 0 {
		if direct == 0 {
			direct = ringFor + time.Duration(paths[i].TMS)*time.Millisecond
		}
		r.direct = append(r.direct, direct)
	}
	for _, x := range [][2]*linnet.CallRecord{{here.Record, there.Record}, {there.Record, here.Record}} {
		sent, got := int(x[0].PacketsSent), int(x[1].PacketsReceived)
		missing := int(x[1].Loss*float64(got)/(1-min(x[1].Loss, .99)) + .5)
		r.missing = max(r.missing, missing)
		r.late = max(r.late, sent-got-missing)
	}
	return nil
}

func await(ctx context.Context, events <-chan linnet.Event, kind linnet.EventKind) (linnet.Event, error) {
	for {
		select {
		case e, open := <-events:
			if !open {
				return e, fmt.Errorf("the node is gone before %s", kind)
			}
			if e.Kind == kind {
				return e, nil
			}
		case <-ctx.Done():
			return linnet.Event{}, fmt.Errorf("no %s: %w", kind, ctx.Err())
		}
	}
}

// report prints the table, and fails where a pair did not do as well as it could.
func (m *matrix) report(results []natResult) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "pair\tconnected\tat the answer\tat the end\tbest\tdirect after p50, p95\theard after p95\tmissing: first 200 ms, rest\ttrouble")
	for i := range results {
		r := &results[i]
		want := best(r.a, r.b)
		trouble := ""
		switch {
		case r.trouble != nil:
			trouble = r.trouble.Error()
		case r.reached(want)*100 < 95*r.tries && (*matrixTries > 1 || r.reached(want) == 0):
			trouble = "not by the best path"
		case *matrixOptions == "" && r.missing > 0:
			trouble = "packets are missing"
		}
		if trouble != "" {
			m.t.Errorf("%s to %s: %s", r.a, r.b, trouble)
		}
		fmt.Fprintf(w, "%s to %s\t%d of %d\t%s\t%s\t%s\t%s, %s\t%s\t%d, %d\t%s\n", r.a, r.b, r.connected, r.tries,
			counts(r.atAnswer), counts(r.atEnd), want, quantile(r.direct, .5), quantile(r.direct, .95), quantile(r.heard, .95), r.late, r.missing, trouble)
	}
	w.Flush()
	fmt.Println(table.String()) // also where the test passes without -v
}

// reached counts the calls that ended on a path as good as this one.
func (r *natResult) reached(want linnet.PathKind) (n int) {
	for at, calls := range r.atEnd {
		if at <= want {
			n += calls
		}
	}
	return n
}

func counts(paths map[linnet.PathKind]int) string {
	var words []string
	for k := linnet.NoPath; k <= linnet.Forwarded; k++ {
		switch n := paths[k]; {
		case n == 1 && len(paths) == 1:
			return k.String()
		case n > 0:
			words = append(words, fmt.Sprintf("%d %s", n, k))
		}
	}
	return strings.Join(words, ", ")
}

func quantile(d []time.Duration, q float64) string {
	if len(d) == 0 {
		return "-"
	}
	d = slices.Sorted(slices.Values(d))
	return d[int(q*float64(len(d)-1)+.5)].Round(10 * time.Millisecond).String()
}
