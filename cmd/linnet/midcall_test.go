package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/sample"
)

// TestTroubleInCall does to a call between real NATs what networks do to calls, and
// counts the voice that is missing at either end.
func TestTroubleInCall(t *testing.T) {
	if os.Getenv("LINNET_LONG") == "" && *labLogs == "" {
		t.Skip("only in the long form (LINNET_LONG=1)")
	}
	const frame = 20 * time.Millisecond
	for _, tt := range []struct {
		name   string
		hosts  [2]string     // kinds
		limit  time.Duration // of missing voice, besides the time for which nothing could come
		lasts  time.Duration // that time
		happen func(l *lab, r [2]*resident, supernodes map[string]*process, via string)
	}{
		{"a NAT forgets a direct call", [2]string{"port-restricted", "port-restricted"}, time.Second, 0,
			func(l *lab, r [2]*resident, _ map[string]*process, _ string) { l.do("forget", r[0].host) }},
		{"a NAT forgets a relayed call", [2]string{"symmetric", "symmetric"}, time.Second, 0,
			func(l *lab, r [2]*resident, _ map[string]*process, _ string) { l.do("forget", r[0].host) }},
		{"the line is cut for two seconds", [2]string{"port-restricted", "port-restricted"}, time.Second, 2 * time.Second,
			func(l *lab, r [2]*resident, _ map[string]*process, _ string) {
				l.do("cut", r[0].host)
				time.Sleep(2 * time.Second)
				l.do("heal", r[0].host)
			}},
		{"the relay is killed", [2]string{"symmetric", "symmetric"}, time.Second, 0,
			func(l *lab, _ [2]*resident, supernodes map[string]*process, via string) { supernodes[via].kill() }},
		{"only the direct path dies", [2]string{"public", "port-restricted"}, 150*time.Millisecond + frame, 0,
			func(l *lab, r [2]*resident, _ map[string]*process, _ string) {
				l.do("exec", r[0].host, "--", "ip", "route", "add", "blackhole", l.do("wan", r[1].host))
			}},
		{"the address changes", [2]string{"port-restricted", "port-restricted"}, time.Second, 0,
			func(l *lab, r [2]*resident, _ map[string]*process, _ string) {
				old := l.do("addr", r[0].host)
				gateway := old[:strings.LastIndexByte(old, '.')] + ".1"
				l.do("exec", r[0].host, "--", "sh", "-c", "ip addr add "+old[:strings.LastIndexByte(old, '.')]+".77/32 dev eth0; "+
					"ip route replace default via "+gateway+" src "+old[:strings.LastIndexByte(old, '.')]+".77; ip addr del "+old+"/32 dev eth0")
			}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			a, b := hostOf("a", tt.hosts[0]), hostOf("b", tt.hosts[1])
			l := newLab(t, "midcall", a+"="+tt.hosts[0]+",delay=10", b+"="+tt.hosts[1]+",delay=10")
			first, second := l.network()
			r := [2]*resident{l.resident(a), l.resident(b)}
			supernodes := make(map[string]*process)
			for _, s := range r[0].status().Supernodes {
				supernodes[s.Node.Short()] = first
				if s.Addr.Addr().String() == l.do("addr", "s2") {
					supernodes[s.Node.Short()] = second
				}
			}
			voice := filepath.Join(l.dir, "voice.ogg")
			if err := os.WriteFile(voice, sample.Speech(), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			acquaint(t, r[0], r[1])
			var told [2]<-chan linnet.Event
			for i := range told {
				var err error
				if told[i], err = r[i].Events(ctx); err != nil {
					t.Fatal(err)
				}
			}
			if _, err := r[0].Call(ctx, r[1].user, linnet.CallMedia{Play: voice, Seconds: 9, Stay: true}); err != nil {
				t.Fatal(err)
			}
			ring, err := await(ctx, told[1], linnet.EventCallRings)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(ringFor)
			if err := r[1].Answer(ctx, ring.Call.ID, linnet.CallMedia{Play: voice, Stay: true}); err != nil {
				t.Fatal(err)
			}
			time.Sleep(3 * time.Second)
			via := ""
			if calls := r[0].status().Calls; len(calls) == 1 && len(calls[0].Paths) > 0 {
				via = calls[0].Paths[len(calls[0].Paths)-1].Via
			}
			tt.happen(l, r, supernodes, via)
			var records [2]*linnet.CallRecord
			for i := range told {
				e, err := await(ctx, told[i], linnet.EventCallEnded)
				if err != nil {
					t.Fatal(err)
				}
				records[i] = e.Record
			}
			for i, c := range records {
				// The first and the last packets may still have been under way.
				missing := max(0, time.Duration(records[1-i].PacketsSent-c.PacketsReceived)-5) * frame
				t.Logf("%s: %s, by %v, missing %v", r[i].host, c.Outcome, c.Paths, missing)
				if c.Outcome != linnet.OutcomeCompleted || missing > tt.lasts+tt.limit {
					t.Errorf("%s: %s, missing %v, limit %v", r[i].host, c.Outcome, missing, tt.lasts+tt.limit)
				}
			}
		})
	}
}

// TestSleepOfANode stops a node for a minute, as a laptop does whose lid is closed, and
// counts until it has its supernodes and can be called again.
func TestSleepOfANode(t *testing.T) {
	if os.Getenv("LINNET_LONG") == "" && *labLogs == "" {
		t.Skip("only in the long form (LINNET_LONG=1)")
	}
	l := newLab(t, "sleep", "ann=port-restricted,delay=10", "bob=port-restricted,delay=10")
	l.network()
	ann, bob := l.resident("ann"), l.resident("bob")
	acquaint(t, ann, bob)
	bob.Process.Signal(syscall.SIGSTOP)
	time.Sleep(time.Minute)
	bob.Process.Signal(syscall.SIGCONT)
	woke := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	events, err := bob.Events(ctx)
	if err != nil {
		t.Fatal(err)
	}
	go ann.Call(ctx, bob.user, linnet.CallMedia{})
	if _, err := await(ctx, events, linnet.EventCallRings); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(woke); took > 2*time.Second {
		t.Errorf("a call rings %v after a sleep of a minute", took)
	} else {
		t.Logf("a call rings %v after a sleep of a minute", took)
	}
	if n := len(bob.status().Supernodes); n != 2 {
		t.Errorf("it has %d supernodes", n)
	}
}

func acquaint(t *testing.T, a, b *resident) {
	t.Helper()
	for _, x := range [][2]*resident{{a, b}, {b, a}} {
		if err := x[0].AddContact(t.Context(), linnet.Contact{User: x[1].user}); err != nil {
			t.Fatal(err)
		}
	}
}
