package relay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A relay with a volume for the day tells everybody to go when that is used up, drops
// who stays, and takes calls again on the next day.
func TestQuota(t *testing.T) {
	const size = 100
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	s := NewServer(now, ServerOptions{Addr: netip.MustParseAddrPort("192.0.2.1:33033"), Daily: 1000, Spent: 1000 - 2*(size+frame.SessionSize)})
	alice := Sender{linnet.NodeID{1}, udp("192.0.2.7:1000")}
	bob := Sender{linnet.NodeID{2}, udp("192.0.2.8:1000")}
	reserve := func(session uint32) message.Message {
		return first(s.Handle(now, alice, &message.RelayReserve{Session: session, Tag: 2 * session}))
	}
	a, ok := reserve(7).(*message.RelayEstablished)
	if !ok {
		t.Fatal("no reservation")
	}
	if _, ok := first(s.Handle(now, bob, &message.RelayJoin{Session: 7, Relay: a.Relay, Tag: 4})).(*message.RelayEstablished); !ok {
		t.Fatal("not joined")
	}
	passes := func() bool {
		to, _, _ := s.Forward(now, alice.Origin, a.Tag, size)
		return to == bob.Origin
	}
	if !passes() || len(s.Expire(now)) != 0 || s.Stats().UsedUp {
		t.Fatalf("before: %+v", s.Stats())
	}
	now = now.Add(time.Second)
	if !passes() {
		t.Fatal("the last packet of the day does not pass")
	}
	if tell := s.Expire(now); len(tell) != 2 || tell[0].Node == tell[1].Node {
		t.Errorf("told %v, want both sides that the relay gives up", tell)
	}
	if st := s.Stats(); !st.UsedUp || st.Spent != 1000 {
		t.Errorf("%+v", st)
	}
	if _, refused := reserve(8).(*message.Failure); !refused || s.Stats().Refused != 1 {
		t.Error("a new reservation was admitted")
	}
	now = now.Add(time.Second)
	if !passes() || s.Expire(now) != nil {
		t.Error("nobody had time to go, or was told twice")
	}
	now = now.Add(leaveIn)
	if s.Expire(now); passes() || s.Stats().Reservations != 0 {
		t.Error("who stays is relayed for")
	}
	now = now.Add(12 * time.Hour)
	s.Expire(now)
	if _, ok := reserve(9).(*message.RelayEstablished); !ok || s.Stats().Spent != 0 {
		t.Errorf("on the next day: %+v", s.Stats())
	}
}
