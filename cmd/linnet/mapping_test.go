package main

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestPortsInOrder calls through a NAT that gives every destination the next port.
func TestPortsInOrder(t *testing.T) {
	l := newLab(t, "order", "a=symmetric", "b=port-restricted")
	var next []string // a map, because bare numbers would have their bytes in the order of this machine
	for i := range 1000 {
		next = append(next, fmt.Sprintf("%d : %d", i, 30000+i))
	}
	l.do("router", "a", "--", "nft", fmt.Sprintf("flush chain ip nat leave; add rule ip nat leave meta l4proto { tcp, udp } snat ip to %s : numgen inc mod %d map { %s }",
		l.do("wan", "a"), len(next), strings.Join(next, ", ")))
	l.network()
	m := newMatrix(l, 2)
	m.moveIn([]string{"a=", "b="})
	a, b := m.people["a"], m.people["b"]
	for _, n := range []*neighbour{a, b} {
		if n.err != nil {
			t.Fatal(n.err)
		}
	}
	eventually(t, "it is known that ports come in order", func() bool { nat := a.status().NAT; return nat != nil && nat.PortStep == 1 })
	r := natResult{natPair: natPair{"in-order", "port-restricted"}, atAnswer: make(map[linnet.PathKind]int), atEnd: make(map[linnet.PathKind]int)}
	if err := m.call(&r, a.resident, b.resident); err != nil {
		t.Fatal(err)
	}
	if len(r.direct) == 0 || r.atEnd[linnet.DirectUDP] != 1 {
		t.Fatalf("by %s", counts(r.atEnd))
	}
	t.Logf("direct %v after the first ring", r.direct[0])
}

// TestLifetimeOfRealNAT finds out how long the kernel's own NATs keep a mapping.
func TestLifetimeOfRealNAT(t *testing.T) {
	if os.Getenv("LINNET_LONG") == "" {
		t.Skip("it takes three minutes: LINNET_LONG=1")
	}
	l := newLab(t, "lifetime", "a=port-restricted,udp-timeout=35", "b=symmetric", "c=firewall,udp-timeout=70")
	l.network()
	want := map[string]linnet.MappingLifetime{"a": {AtLeastS: 30, BelowS: 40}, "b": {AtLeastS: 120, BelowS: 160}, "c": {AtLeastS: 60, BelowS: 80}}
	people := make(map[string]*resident)
	for host := range want {
		people[host] = l.resident(host)
	}
	for until := time.Now().Add(7 * time.Minute); ; time.Sleep(time.Second) {
		known := 0
		for host, lasts := range want {
			if nat := people[host].status().NAT; nat != nil && nat.Lifetime != nil {
				if known++; *nat.Lifetime != lasts {
					t.Fatalf("%s: %+v, want %+v", host, *nat.Lifetime, lasts)
				}
			}
		}
		if known == len(want) {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("%d of %d are known", known, len(want))
		}
	}
}
