package node

import (
	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// maxPlaces bounds how many nodes' places are remembered.
const maxPlaces = 4096

// places remembers through which supernodes other nodes can be reached. The
// zero value is empty.
type places struct {
	at    map[linnet.NodeID]message.Location
	order []linnet.NodeID // the one learnt first leads
}

func (p *places) get(node linnet.NodeID) (message.Location, bool) {
	l, ok := p.at[node]
	return l, ok
}

func (p *places) learn(l message.Location) {
	if p.at == nil {
		p.at = make(map[linnet.NodeID]message.Location)
	}
	if _, known := p.at[l.Node]; !known {
		if len(p.order) == maxPlaces {
			delete(p.at, p.order[0])
			p.order = p.order[1:]
		}
		p.order = append(p.order, l.Node)
	}
	p.at[l.Node] = l
}
