package relay

import (
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
)

// No command makes a relay tell the other side of a reservation more bytes than it
// has itself. Its own sender's answer may be longer, but he has shown in his session that
// he is where it goes.
func TestOneSideIsNoAmplifierForTheOther(t *testing.T) {
	for _, tt := range []struct {
		name string
		by   Sender
		m    func(relay uint32) message.Message
	}{
		{"reserve", alice, func(uint32) message.Message { return &message.RelayReserve{Session: 7, Tag: aliceTag} }},
		{"join", bob, func(id uint32) message.Message {
			return &message.RelayJoin{Session: 7, Relay: id, Tag: bobTag}
		}},
		{"move", alice, func(id uint32) message.Message { return &message.RelayMove{Relay: id, UDP: 1} }},
		{"vouch", alice, func(id uint32) message.Message { return &message.RelayVouch{Relay: id, Addr: bob.Origin.Addr} }},
		{"release", alice, func(id uint32) message.Message { return &message.RelayRelease{Relay: id} }},
		{"release by the second", bob, func(id uint32) message.Message { return &message.RelayRelease{Relay: id} }},
	} {
		s, a, _ := call(t, ServerOptions{})
		size := func(m message.Message) int { return len(message.Append(nil, message.Command{ID: 1, Body: m})) }
		m := tt.m(a.Relay)
		for range 3 {
			told := 0
			_, tell := s.Handle(start, tt.by, m)
			for _, x := range tell {
				if x.Node == tt.by.Node {
					t.Errorf("%s: its sender is told %v besides the answer", tt.name, x.Message)
				}
				told += size(x.Message)
			}
			if told > size(m) {
				t.Errorf("%s: %d bytes had %d told", tt.name, size(m), told)
			}
		}
	}
}
