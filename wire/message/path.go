package message

import (
	"net/netip"

	"github.com/linnet-p2p/linnet"
)

// SessionRequest says how the sender can be reached (command 67): relays that
// hold a reservation for this pair and, only towards contacts, addresses.
type SessionRequest struct {
	Callee     linnet.UserName `obj:"3/0"`
	Caller     Location        `obj:"4/1"`
	Session    uint32          `obj:"0/3"`
	Relays     []RelayOffer    `obj:"5/7,opt"`
	NAT        uint32          `obj:"0/1b"` // traverse.NAT
	Candidates []Candidate     `obj:"5/4000,opt"`
}

// SessionAnswer is the other side's half (command 70).
type SessionAnswer struct {
	NAT        uint32      `obj:"0/1b,opt"`
	Candidates []Candidate `obj:"5/4000,opt"`
}

// PathPing asks a device that has a session with the sender, and was told by a
// SessionRequest how to reach it, for a PathPong: to measure the path between
// them. Nobody hears of it.
type PathPing struct{}

// PathPong answers PathPing.
type PathPong struct{}

// RelayOffer is a relay on which the sender holds a reservation. Relay and
// Session together are the right to its second side.
type RelayOffer struct {
	Session uint32         `obj:"0/3"` // as in the RelayReserve
	Relay   uint32         `obj:"0/4"` // the reservation
	Addr    netip.AddrPort `obj:"2/8"`
	Entry   []byte         `obj:"4/4000"` // overlay.Entry of the relay: its NodeID and key
}

// Candidate is an address at which the sender may be reached.
type Candidate struct {
	Addr netip.AddrPort `obj:"2/0"`
	Type uint32         `obj:"0/1"` // traverse.CandidateType
}

// RelayReserve asks a relay for a reservation (command 73), or renews it: of one
// sender, each Session is one reservation. Session is drawn at random. Tag is where
// the sender wants to receive: session packets under it, media under Tag|1.
type RelayReserve struct {
	Session uint32 `obj:"0/3"`
	Tag     uint32 `obj:"0/4000,opt"`
}

// RelayJoin takes the second side of a reservation (command 74).
type RelayJoin struct {
	Relay   uint32 `obj:"0/4"` // the reservation
	Session uint32 `obj:"0/3"`
	Tag     uint32 `obj:"0/4000,opt"`
}

// RelayEstablished answers both (command 75). The sender reaches the other
// side by frames to the relay under Tag and Tag|1.
type RelayEstablished struct {
	Unknown  uint32         `obj:"0/1f"` // always 0 in captures
	Lifetime uint32         `obj:"0/20"` // seconds; renewed by traffic
	Relay    uint32         `obj:"0/4,opt"`
	Tag      uint32         `obj:"0/4000,opt"`
	Addr     netip.AddrPort `obj:"2/8,opt"`    // where the relay takes frames
	Entry    []byte         `obj:"4/4000,opt"` // overlay.Entry of the relay, to be offered to the other side
}

// RelayJoined tells the first side that the second one is there (command 84).
type RelayJoined struct {
	Session uint32 `obj:"0/3"`
	Expires uint32 `obj:"0/f"` // seconds
}

// RelayMove moves the sender's side to the address of this session (command
// 92). The answer is a RelayEstablished.
type RelayMove struct {
	Relay uint32 `obj:"0/3"`
	UDP   uint32 `obj:"0/13"` // 1
}

// RelayRelease gives a reservation back; the relay tells it the other side.
type RelayRelease struct {
	Relay uint32 `obj:"0/3"`
}

// RelayVouch asks a relay whether the other side of a reservation comes from this IP
// address, whose port is 0: what a peer says of itself is not enough to send it
// much.
type RelayVouch struct {
	Relay uint32         `obj:"0/3"`
	Addr  netip.AddrPort `obj:"2/8"`
}

// RelayVouched answers it.
type RelayVouched struct {
	Same bool `obj:"0/1"`
}
