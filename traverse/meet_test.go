package traverse

import (
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

func tcpCandidates(list ...string) (c []message.Candidate) {
	for _, s := range list {
		c = append(c, message.Candidate{Addr: addr(s), Type: uint32(ObservedTCP)})
	}
	return c
}

// meetings takes what a pair wants to dial.
func meetings(p *Pair) (list []Meet) {
	for _, e := range p.Take() {
		if m, ok := e.(Meet); ok {
			list = append(list, m)
		}
	}
	return list
}

// Nobody is dialled before a relay vouched, nor at another IP address than that, nor in a
// private network, and nobody more often than a burst of probes may begin.
func TestMeet(t *testing.T) {
	p := New(start, Options{Own: candidates("203.0.113.5:7000", "192.168.1.5:7000")})
	now := start
	theirs := tcpCandidates("198.51.100.1:5000", "198.51.100.1:5001", "198.51.100.99:22", "192.168.1.9:80", "198.51.100.1:5002", "198.51.100.1:5003", "198.51.100.1:5004")
	p.Remote(now, Unknown, theirs)
	p.Relay(now, relay)
	vouch := false
	for _, e := range p.Take() {
		switch e := e.(type) {
		case Meet:
			t.Errorf("dials %v, for which nobody vouched", e.Addr)
		case Vouch:
			vouch = e.Addr == netip.MustParseAddr("198.51.100.1")
		case Probe:
			if e.Path != relay {
				t.Errorf("probes %v", e.Path)
			}
		}
	}
	if !vouch {
		t.Error("no relay is asked")
	}
	p.PathUp(now, relay, 400*time.Millisecond)
	p.Take()
	p.Vouched(now, netip.MustParseAddr("198.51.100.1"))
	for i, m := range meetings(p) {
		if m.Addr.Addr() != netip.MustParseAddr("198.51.100.1") || m.Pace != 550*time.Millisecond || m.Tries != 7 || i >= maxMeet-1 {
			t.Errorf("dials %+v", m)
		}
	}
	p.Vouched(now, netip.MustParseAddr("198.51.100.1"))
	if again := meetings(p); len(again) > 0 {
		t.Errorf("vouched for again: dials %v", again)
	}
	dialled := 0
	for range 1000 {
		p.Remote(now, Unknown, theirs)
		dialled += len(meetings(p))
	}
	if dialled > 0 {
		t.Errorf("%d addresses are dialled again at once", dialled)
	}
	for i := range 1000 { // a peer that names others all the time
		p.Remote(now, Unknown, []message.Candidate{{Addr: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(6000+i)), Type: uint32(ObservedTCP)}})
		dialled += len(meetings(p))
	}
	for i := range 60 {
		now = now.Add(time.Second)
		p.Remote(now, Unknown, []message.Candidate{{Addr: netip.AddrPortFrom(netip.MustParseAddr("198.51.100.1"), uint16(8000+i)), Type: uint32(ObservedTCP)}})
		dialled += len(meetings(p))
	}
	if dialled > 2*maxMeet {
		t.Errorf("%d addresses are dialled in a minute", dialled)
	}

	met := session.Path{Kind: linnet.DirectTCP, Addr: addr("198.51.100.1:5000"), Stream: 7}
	p.Met(now, met)
	if e := p.Take(); len(e) != 1 || e[0] != (Probe{met}) {
		t.Errorf("a stream that was met: %v", e)
	}
	p.PathUp(now, met, 300*time.Millisecond)
	if p.Path() != met {
		t.Errorf("it uses %v", p.Path())
	}
	now = now.Add(time.Minute)
	p.Remote(now, Unknown, theirs)
	if again := meetings(p); len(again) > 0 {
		t.Errorf("dials %v though there is a path", again)
	}
	p.PathDown(now, met)
	if again := meetings(p); len(again) != maxMeet-1 {
		t.Errorf("dials %v when the path is gone", again)
	}
}
