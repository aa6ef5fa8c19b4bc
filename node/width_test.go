package node

import (
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
)

// What is asked of a peer that was forgotten meanwhile is kept nowhere.
func TestWidthOfForgotten(t *testing.T) {
	tr, err := newTrunk(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tr.Close()
	peer := linnet.NodeID{1}
	tr.move(peer, nil)
	tr.sized(session.Sized{Peer: peer, Size: 1265, Sure: true})
	tr.forget(peer)
	tr.sure(t.Context(), peer)
	tr.sized(session.Sized{Peer: peer, Size: 1265, Sure: true})
	if n := len(tr.widths) + len(tr.routes); n != 0 {
		t.Errorf("%d entries are left", n)
	}
}
