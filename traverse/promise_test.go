package traverse

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

func TestPromises(t *testing.T) {
	var p Promises
	path := session.Path{Kind: linnet.DirectUDP, Addr: addr("203.0.113.5:7000")}
	if p.Add(start, linnet.NodeID{1}, path, 1, MaxPause+1) {
		t.Error("promised something for too late")
	}
	for i := range maxPromisesToPeer {
		if !p.Add(start, linnet.NodeID{1}, path, uint64(i), time.Duration(60-i)*time.Second) {
			t.Fatal("refused")
		}
	}
	if p.Add(start, linnet.NodeID{1}, path, 99, time.Second) {
		t.Error("promised one too many to one")
	}
	for i := maxPromisesToPeer; i < maxPromises; i++ {
		if !p.Add(start, linnet.NodeID{2, byte(i), byte(i >> 8)}, path, 7, 100*time.Second) {
			t.Fatal("refused")
		}
	}
	if p.Add(start, linnet.NodeID{3}, path, 7, time.Second) {
		t.Error("promised one too many")
	}
	first := p.Deadline()
	if due := p.Take(first.Add(-time.Second)); len(due) != 0 {
		t.Errorf("%d are due", len(due))
	}
	if due := p.Take(first); len(due) != 1 || due[0].Token != uint64(maxPromisesToPeer-1) || due[0].Path != path || first != start.Add(time.Duration(60-maxPromisesToPeer+1)*time.Second) {
		t.Errorf("first %+v", due)
	}
	if due := p.Take(start.Add(time.Hour)); len(due) != maxPromises-1 || len(p.of)+len(p.owed) != 0 || !p.Deadline().IsZero() {
		t.Errorf("%d in the end", len(due))
	}
}
