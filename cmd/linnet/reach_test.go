package main

import (
	"path/filepath"
	"testing"

	"github.com/linnet-p2p/linnet"
)

// People behind real firewalls get on the network, and can be called.
func TestReach(t *testing.T) {
	kinds := []struct {
		host, kind string
		by         linnet.Rung
		path       linnet.PathKind // of whom is called
	}{
		{"udpblocked", "udp-blocked", linnet.RungTCP, linnet.DirectTCP},
		{"webonly", "web-only", linnet.RungPort80, linnet.RelayTCP},
		{"tlsonly", "tls-only", linnet.RungPort443, linnet.RelayTCP},
		{"ipv6only", "ipv6-only", linnet.RungUDP, linnet.RelayUDP},
		{"dualstack", "dual-stack", linnet.RungUDP, linnet.DirectUDP},
		{"proxyonly", "udp-blocked", linnet.RungPort443, linnet.RelayTCP},
	}
	hosts := []string{"proxy=public", "caller=port-restricted"}
	for _, k := range kinds {
		hosts = append(hosts, k.host+"="+k.kind)
	}
	l := newLab(t, "reach", hosts...)
	l.web = listensOnWeb
	l.network()
	proxy := l.startProxy("proxy", "ann:secret")
	l.proxyOnly("proxyonly", "proxy")
	caller, play := l.resident("caller"), speech(t)
	for _, k := range kinds {
		t.Run(k.host, func(t *testing.T) {
			record := filepath.Join(t.TempDir(), "heard.ogg")
			r := l.newResident(k.host)
			r.flags = []string{"--auto-answer", "--record", record}
			if k.host == "proxyonly" {
				r.flags = append(r.flags, "--proxy", proxy)
			}
			if err := r.moveIn(); err != nil {
				t.Fatal(err)
			}
			for _, a := range r.status().Supernodes {
				if a.By != k.by {
					t.Errorf("attached by %v at %v, want %v", a.By, a.Addr, k.by)
				}
			}
			acquaint(t, caller, r)
			eventually(t, "a call is heard", func() bool { // in a stream, on a machine that is busy with other tests, much comes too late
				l.run("caller", "call", string(r.user), "--play", play, "--seconds", "3", "--home", caller.home)
				same, _, err := samePackets(play, record)
				if err != nil || same < 130 {
					t.Logf("%d packets of what was played were heard: %v", same, err)
				}
				return err == nil && same >= 130
			})
			var call linnet.CallRecord
			eventually(t, k.host+" has the call in its history", func() bool {
				if history, err := r.History(t.Context(), 1); err == nil && len(history) == 1 {
					call = history[0]
				}
				return call.Outcome == linnet.OutcomeCompleted
			})
			if call.Path != k.path {
				t.Errorf("the call came by %v, want %v", call.Path, k.path)
			}
			t.Logf("call by %v, MOS %.1f, loss %.3f", call.Path, call.MOS, call.Loss)
		})
	}
}
