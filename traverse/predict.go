package traverse

import (
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/wire/message"
)

// A NAT that hands its ports out in order needs no guessing: a few fresh sockets open it
// towards the peer, and the next one asks a supernode where it is seen. So the ports before
// that one are those of the others. The peer hears of them as candidates, and probes them.
// Only if that does not work are ports drawn at random.
const (
	predictSockets = 8
	predictPorts   = 10          // more than sockets: others behind the NAT may have got some in between
	predictFor     = time.Second // before ports are drawn at random
)

// Predict asks to open spare sockets, to open the NAT from each of them in turn for an
// address of the peer, and then to ask from one more where it is seen: PredictFrom takes the answer.
type Predict struct {
	Sockets int
	To      netip.AddrPort
	Hops    []int
}

// Tell asks to tell the peer our addresses again, with those that are Predicted now.
type Tell struct{}

func (Predict) effect() {}
func (Tell) effect()    {}

// PredictFrom says where the last socket of a Predict is seen.
func (p *Pair) PredictFrom(_ time.Time, at netip.AddrPort) {
	at, step := clean(at), int(p.nat.Step())
	if !p.hunt.predict || p.settled() || step == 0 || !at.IsValid() {
		return
	}
	p.predicted = p.predicted[:0]
	for port := int(at.Port()) - step; port >= firstPort && len(p.predicted) < predictPorts; port -= step {
		p.predicted = append(p.predicted, message.Candidate{Addr: netip.AddrPortFrom(at.Addr(), uint16(port)), Type: uint32(Predicted)})
	}
	if len(p.predicted) > 0 {
		p.emit(Tell{})
	}
}

// Predicted are the candidates that the peer is told besides our addresses. They stay, as
// one of them may be in use, and who names an address no more has left it.
func (p *Pair) Predicted() []message.Candidate { return p.predicted }

// Elsewhere drops them: this node is behind another NAT now.
func (p *Pair) Elsewhere() { p.predicted = nil }
