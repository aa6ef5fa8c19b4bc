package main

import (
	"context"
	"errors"
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
	direct           []time.Duration // from the callee's first ring; of calls that went directly at all
	heard            []time.Duration // the callee's first packet after its answer
	beyond           []time.Duration // the same less a round trip over the nearest relay
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
	m := newMatrix(l, *matrixSeconds)
	m.proxy = l.startProxy("proxy", "")
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
	proxy   string // of all that have nothing else
	voice   string
	seconds float64               // of it in a call
	people  map[string]*neighbour // by host
}

// newMatrix is a matrix of a lab whose network is up.
func newMatrix(l *lab, seconds float64) *matrix {
	m := &matrix{lab: l, seconds: seconds, voice: filepath.Join(l.dir, "voice.ogg"), people: make(map[string]*neighbour)}
	if err := os.WriteFile(m.voice, sample.Speech(), 0o600); err != nil {
		l.t.Fatal(err)
	}
	return m
}

// A neighbour is who lives on a host.
type neighbour struct {
	mu sync.Mutex // held by whoever calls or is called
	*resident
	flatmates []*resident // who take turns with him in calling
	err       error
}

// flat is how many nodes share the host of a caller with many tries, in each of which he is to have
// a new port, mapping and session. One alone would be restarted, and so tell the directory
// where it is, more often than supernodes take that of a device (a record in 5 s).
const flat = 5

// turn is who calls next. Who did before begins anew.
func (n *neighbour) turn() *resident {
	n.flatmates = append(n.flatmates[1:], n.flatmates[0])
	return n.flatmates[0]
}

// moveIn gives all hosts a node.
func (m *matrix) moveIn(hosts []string) {
	var wg sync.WaitGroup
	room := make(chan struct{}, *matrixAtOnce)
	for _, spec := range hosts {
		host, _, _ := strings.Cut(spec, "=")
		n := &neighbour{resident: m.newResident(host)}
		n.flatmates = []*resident{n.resident}
		m.people[host] = n
		if strings.HasSuffix(host, "proxyonly") {
			m.proxyOnly(host, "proxy")
			for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
				n.env = append(n.env, name+"="+m.proxy)
			}
		}
		for i := 1; i < flat && *matrixTries > 1 && strings.HasPrefix(host, "a"); i++ {
			mate := m.newResident(fmt.Sprintf("%s%d", host, i))
			mate.host, mate.env = host, n.env
			n.flatmates = append(n.flatmates, mate)
		}
		wg.Go(func() {
			room <- struct{}{}
			defer func() { <-room }()
			for _, r := range n.flatmates {
				n.err = errors.Join(n.err, r.moveIn())
			}
		})
	}
	wg.Wait()
}

func (m *matrix) calls(p natPair, a, b *neighbour) natResult {
	r := natResult{natPair: p, atAnswer: make(map[linnet.PathKind]int), atEnd: make(map[linnet.PathKind]int)}
	// One try may have no luck in guessing: then it takes another one.
	for i := 0; i < *matrixTries || *matrixTries == 1 && i < 3 && r.reached(best(p.a, p.b)) == 0 && r.connected > 0; i++ {
		r.tries++
		caller := a.turn()
		err := errors.Join(a.err, b.err)
		if err == nil {
			err = m.call(&r, caller, b.resident)
			if *matrixTries > 1 || r.reached(best(p.a, p.b)) == 0 {
				caller.end(syscall.SIGTERM)
				caller.start()
			}
		}
		if err == nil {
			r.connected++
		} else {
			r.trouble = err
		}
	}
	return r
}

// call makes one call, which b answers after ringFor.
func (m *matrix) call(r *natResult, a, b *resident) error {
	ctx, cancel := context.WithTimeout(m.t.Context(), 30*time.Second+time.Duration(m.seconds*float64(time.Second)))
	defer cancel()
	for _, x := range [][2]*resident{{a, b}, {b, a}} {
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
	if _, err := a.Call(ctx, b.user, linnet.CallMedia{Play: m.voice, Seconds: m.seconds, Stay: true}); err != nil {
		return err
	}
	ring, err := await(ctx, told, linnet.EventCallRings)
	if err != nil {
		return fmt.Errorf("it does not ring: %w; the caller: %s", err, said(told2))
	}
	select {
	case <-time.After(ringFor):
	case <-ctx.Done():
		return ctx.Err()
	}
	relayed := relayedRTT(a.status(), b.status())
	if err := b.Answer(ctx, ring.Call.ID, linnet.CallMedia{Play: m.voice, Stay: true}); err != nil {
		return err
	}
	if _, err := await(ctx, told, linnet.EventCallHeard); err != nil {
		return fmt.Errorf("nothing is heard: %w", err)
	}
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
	if there.Record.MediaMS == nil {
		return errors.New("the callee's receipt knows no media")
	}
	heard := time.Duration(*there.Record.MediaMS) * time.Millisecond
	r.heard = append(r.heard, heard)
	r.beyond = append(r.beyond, heard-relayed)
	paths := here.Record.Paths
	r.atAnswer[paths[0].Path]++
	r.atEnd[paths[len(paths)-1].Path]++
	if ms := there.Record.DirectMS; ms != nil {
		r.direct = append(r.direct, time.Duration(*ms)*time.Millisecond)
	}
	for _, x := range [][2]*linnet.CallRecord{{here.Record, there.Record}, {there.Record, here.Record}} {
		sent, got := int(x[0].PacketsSent), int(x[1].PacketsReceived)
		missing := int(x[1].Loss*float64(got)/(1-min(x[1].Loss, .99)) + .5)
		r.missing = max(r.missing, missing)
		r.late = max(r.late, sent-got-missing)
	}
	return nil
}

// relayedRTT is the round trip between two nodes over the supernode that is nearest to both, by
// what each measured to it; 0: that is not known.
func relayedRTT(a, b linnet.Status) (least time.Duration) {
	for _, x := range a.Supernodes {
		for _, y := range b.Supernodes {
			ms := x.RTTMS + y.RTTMS
			if rtt := time.Duration(ms * float64(time.Millisecond)); x.Node == y.Node && x.RTTMS > 0 && y.RTTMS > 0 && (least == 0 || rtt < least) {
				least = rtt
			}
		}
	}
	return least
}

// said is what a node has told so far.
func said(events <-chan linnet.Event) string {
	var words []string
	for {
		select {
		case e, open := <-events:
			if !open {
				return strings.Join(append(words, "is gone"), ", ")
			}
			switch {
			case e.Record != nil:
				words = append(words, fmt.Sprintf("%s: %s", e.Kind, e.Record.Outcome))
			case e.Call != nil:
				words = append(words, fmt.Sprintf("%s: %s", e.Kind, e.Call.State))
			default:
				words = append(words, fmt.Sprintf("%s %s", e.Kind, e.Text))
			}
		default:
			return strings.Join(words, ", ")
		}
	}
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

// Limits of what users notice, of all calls on lines without delay or loss.
const (
	soundLimit = 50 * time.Millisecond // beyond a relayed round trip
	bestShare  = 95                    // percent of a pair's calls that go by the best path
)

// report prints the table, and fails where a pair did not do as well as it could.
func (m *matrix) report(results []natResult) {
	var table strings.Builder
	w := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "pair\tconnected\tat the answer\tat the end\tbest\tdirect after p50, p95\tfirst media after p50, p95\tmissing: first 200 ms, rest\ttrouble")
	line := func(r *natResult, want, trouble string) {
		fmt.Fprintf(w, "%s\t%d of %d\t%s\t%s\t%s\t%s, %s\t%s, %s\t%d, %d\t%s\n", r, r.connected, r.tries, counts(r.atAnswer), counts(r.atEnd), want,
			shown(quantile(r.direct, .5)), shown(quantile(r.direct, .95)), shown(quantile(r.heard, .5)), shown(quantile(r.heard, .95)), r.late, r.missing, trouble)
	}
	all := natResult{atAnswer: make(map[linnet.PathKind]int), atEnd: make(map[linnet.PathKind]int)}
	var ringing []time.Duration // until a call was direct that can be; those that never were count as endless
	for i := range results {
		r := &results[i]
		want := best(r.a, r.b)
		trouble := ""
		switch {
		case r.trouble != nil:
			trouble = r.trouble.Error()
		case r.reached(want)*100 < bestShare*r.tries && (*matrixTries > 1 || r.reached(want) == 0):
			trouble = "not by the best path"
		case *matrixOptions == "" && r.missing > 0:
			trouble = "packets are missing"
		}
		if trouble != "" {
			m.t.Errorf("%s: %s", r, trouble)
		}
		line(r, want.String(), trouble)
		all.add(r)
		if want.Direct() {
			ringing = append(ringing, r.direct...)
			for range r.connected - len(r.direct) {
				ringing = append(ringing, time.Hour)
			}
		}
	}
	line(&all, "", "")
	w.Flush()
	fmt.Println(table.String()) // also where the test passes without -v
	direct, _ := quantile(ringing, .95)
	sound, _ := quantile(all.beyond, .95)
	fmt.Printf("Of %d calls that can be direct, 95 of 100 were %v after the first ring (limit %v). First media, 95 of 100: %v after the answer and a relayed round trip (limit %v).\n",
		len(ringing), direct, ringFor, sound, soundLimit)
	if *matrixPairs == "" && os.Getenv("LINNET_LONG") == "" || *matrixOptions != "" {
		return // a dozen calls on a busy machine tell little, and bad lines are shown, not judged
	}
	if direct > ringFor {
		m.t.Errorf("direct at p95 %v after the first ring, limit %v", direct, ringFor)
	}
	if sound > soundLimit {
		m.t.Errorf("first media at p95 %v later than a relayed round trip after the answer, limit %v", sound, soundLimit)
	}
}

// String names the pair; no kinds: it is all of them.
func (r *natResult) String() string {
	if r.a == "" {
		return "all"
	}
	return r.a + " to " + r.b
}

// add counts the calls of another pair in.
func (r *natResult) add(x *natResult) {
	r.tries, r.connected = r.tries+x.tries, r.connected+x.connected
	for k, n := range x.atAnswer {
		r.atAnswer[k] += n
	}
	for k, n := range x.atEnd {
		r.atEnd[k] += n
	}
	r.direct, r.heard, r.beyond = append(r.direct, x.direct...), append(r.heard, x.heard...), append(r.beyond, x.beyond...)
	r.late, r.missing = max(r.late, x.late), max(r.missing, x.missing)
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

// quantile says false where there is nothing to judge by.
func quantile(d []time.Duration, q float64) (time.Duration, bool) {
	if len(d) == 0 {
		return 0, false
	}
	d = slices.Sorted(slices.Values(d))
	return d[int(q*float64(len(d)-1)+.5)], true
}

func shown(d time.Duration, known bool) string {
	if !known {
		return "-"
	}
	return d.Round(time.Millisecond).String()
}
