package traverse

import (
	"net/netip"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

func TestSteps(t *testing.T) {
	for _, tt := range []struct {
		ports []uint16
		want  uint16
	}{
		{[]uint16{2000, 2001, 2002, 2003, 2004, 2005, 2006, 2007}, 1},
		{[]uint16{2000, 2002, 2004, 2010, 2012, 2014, 2016, 2018}, 2}, // others got some
		{[]uint16{2000, 2004, 2005, 2011, 2012, 2013}, 1},
		{[]uint16{65533, 65535, 1, 3, 5, 7}, 2},
		{[]uint16{2000, 2001, 2002, 2003, 2004}, 0},          // too few
		{[]uint16{2000, 2001, 2002, 2003, 2004, 2000}, 0},    // back
		{[]uint16{2000, 2001, 2002, 2003, 2004, 2104}, 0},    // far
		{[]uint16{2000, 2003, 2006, 2009, 2012, 2016}, 0},    // not by threes
		{[]uint16{2000, 2020, 2040, 2060, 2080, 2100}, 0},    // a large step
		{[]uint16{2000, 2000, 2000, 2000, 2000, 2000}, 0},    // one port
		{[]uint16{20100, 23900, 21000, 22000, 22500, 23}, 0}, // anywhere
	} {
		var d Detector
		d.Observed(netip.MustParseAddrPort("198.51.100.1:1"), netip.MustParseAddrPort("203.0.113.1:5"))
		d.Observed(netip.MustParseAddrPort("198.51.100.2:1"), netip.MustParseAddrPort("203.0.113.1:6"))
		d.Spread(tt.ports)
		told := d.Finding(nil).Told()
		if got := told.Step(); got != tt.want {
			t.Errorf("%v: step %d, want %d", tt.ports, got, tt.want)
		}
		if _, high := told.Block(); high != 0 && tt.want != 0 || told.Mapping() != AddressAndPortDependent {
			t.Errorf("%v: NAT %x", tt.ports, told)
		}
	}
}

// Who is behind a NAT that hands ports out in order opens few sockets, and tells where they
// are. Ports are drawn at random only if that does not work.
func TestPredict(t *testing.T) {
	begin := func() *hunter {
		h := newHunter(symmetric.WithStep(2), cone)
		h.Vouched(h.now, peerIP)
		h.run(300 * time.Millisecond)
		if want := (Predict{predictSockets, addr("198.51.100.1:5000"), farther}); len(h.predicts) != 1 || !reflect.DeepEqual(h.predicts[0], want) {
			t.Fatalf("predicts %v", h.predicts)
		}
		h.PredictFrom(h.now, addr("203.0.113.5:40020"))
		h.run(100 * time.Millisecond)
		first, last := message.Candidate{Addr: addr("203.0.113.5:40018"), Type: uint32(Predicted)}, addr("203.0.113.5:40000")
		if told := h.Predicted(); h.tells != 1 || len(told) != predictPorts || told[0] != first || told[predictPorts-1].Addr != last || len(h.spreads) != 0 {
			t.Fatalf("told %d times of %v, %v", h.tells, told, h.spreads)
		}
		return h
	}
	h := begin()
	h.run(time.Minute)
	if len(h.spreads) != 1 || h.spreads[0].Sockets != spread || len(h.gathers) != 1 || len(h.predicts) != 1 {
		t.Errorf("in vain: predicts %v, then %v, gathered %v", h.predicts, h.spreads, h.gathers)
	}
	h = begin()
	h.PathUp(h.now, session.Path{Kind: linnet.DirectUDP, Addr: addr("198.51.100.1:5000"), Socket: 7}, 30*time.Millisecond)
	h.run(time.Minute)
	if len(h.spreads) != 0 || len(h.gathers) != 1 || !slices.Equal(h.gathers[0].Keep, []uint32{7}) || len(h.Predicted()) == 0 {
		t.Errorf("with a path: %v, gathered %v, tells %v", h.spreads, h.gathers, h.Predicted())
	}
	h.PredictFrom(h.now, addr("203.0.113.5:40020"))
	if h.run(time.Second); h.tells != 1 {
		t.Error("tells what nobody asked for")
	}
	if h.Elsewhere(); len(h.Predicted()) != 0 {
		t.Error("still tells ports of another NAT")
	}
	// Ports that do not exist are not told.
	h = newHunter(symmetric.WithStep(2), cone)
	h.Vouched(h.now, peerIP)
	h.run(300 * time.Millisecond)
	h.PredictFrom(h.now, addr("203.0.113.5:1030"))
	if told := h.Predicted(); len(told) != 3 {
		t.Errorf("told %v", told)
	}
}

// The other side waits for that before it guesses.
func TestGuessesAfterPrediction(t *testing.T) {
	h := newHunter(cone, symmetric.WithStep(1))
	h.Vouched(h.now, peerIP)
	h.run(time.Minute)
	if len(h.guesses) != maxGuesses || h.at[0] < predictFor {
		t.Errorf("%d guesses from %v on", len(h.guesses), h.at[0])
	}
}
