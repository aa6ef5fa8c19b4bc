package session

import (
	"encoding/binary"
	"time"

	"github.com/linnet-p2p/linnet"
)

// Where asks the peer from which address packets come by a path; Seen brings
// the answer, which also shows that the path works. It neither uses the path nor makes it known to the peer.
func (e *Endpoint) Where(now time.Time, to linnet.NodeID, by Path, token uint64) error {
	return e.WhereAfter(now, to, by, token, 0)
}

// WhereAfter asks for the answer after a time, in whole seconds. Who does not want to wait
// answers at once.
func (e *Endpoint) WhereAfter(now time.Time, to linnet.NodeID, by Path, token uint64, after time.Duration) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	e.sendBy(s, &path{Path: by}, recWhere, whereBody(token, uint16(after/time.Second)))
	return nil
}

// where tells the peer from which address a packet of it came, unless that is for later.
func (e *Endpoint) where(s *session, via Path, body []byte) {
	if len(body) != whereSize || via.Kind == forwarded {
		return
	}
	token, after := binary.BigEndian.Uint64(body), time.Duration(binary.BigEndian.Uint16(body[8:]))*time.Second
	e.emit(Asked{s.peer, via, token, after})
	if after == 0 {
		e.see(s, via, token)
	}
}

// See answers a question that Asked told of with an After.
func (e *Endpoint) See(now time.Time, to linnet.NodeID, via Path, token uint64) error {
	e.at(now)
	s := e.standing(to)
	if s == nil {
		return ErrNoSession
	}
	e.see(s, via, token)
	return nil
}

func (e *Endpoint) see(s *session, via Path, token uint64) {
	e.sendBy(s, &path{Path: via}, recSeen, sighting{token, via.Addr}.body())
}
