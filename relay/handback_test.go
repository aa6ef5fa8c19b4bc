package relay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A relay that is given up tells both sides, admits nobody, and still forwards
// while they move.
func TestHandBack(t *testing.T) {
	now := time.Unix(1000, 0)
	s := NewServer(now, ServerOptions{Addr: netip.MustParseAddrPort("192.0.2.1:33033")})
	alice := Sender{linnet.NodeID{1}, udp("192.0.2.7:1000")}
	bob := Sender{linnet.NodeID{2}, udp("192.0.2.8:1000")}
	a, ok := first(s.Handle(now, alice, &message.RelayReserve{Session: 7, Tag: 2})).(*message.RelayEstablished)
	if !ok {
		t.Fatal("no reservation")
	}
	if _, ok := first(s.Handle(now, bob, &message.RelayJoin{Session: 7, Relay: a.Relay, Tag: 4})).(*message.RelayEstablished); !ok {
		t.Fatal("not joined")
	}
	told := make(map[linnet.NodeID]bool)
	for _, tell := range s.HandBack() {
		if m, ok := tell.Message.(*message.RelayRelease); !ok || m.Relay != a.Relay {
			t.Errorf("told %v", tell.Message)
		}
		told[tell.Node] = true
	}
	if len(told) != 2 || !told[alice.Node] || !told[bob.Node] {
		t.Errorf("told %v", told)
	}
	if to, _, mine := s.Forward(now, alice.Origin, a.Tag, 100); !mine || to != bob.Origin {
		t.Errorf("a packet goes to %v, %v", to, mine)
	}
	if f, ok := first(s.Handle(now, alice, &message.RelayReserve{Session: 8, Tag: 6})).(*message.Failure); !ok || f.Code != message.FailureUnavailable {
		t.Error("a new reservation was admitted")
	}
}

func first(m message.Message, _ []Tell) message.Message { return m }
