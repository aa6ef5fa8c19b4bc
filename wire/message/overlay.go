package message

import (
	"net/netip"

	"github.com/linnet-p2p/linnet"
)

// AskSupernodes asks a supernode for addresses of supernodes: those of one
// slot, or of any slots (command 6).
type AskSupernodes struct {
	Slot  *uint32 `obj:"0/0,opt"` // this slot
	Slots uint32  `obj:"0/4,opt"` // or: this many slots of the answerer's choice
	Max   uint32  `obj:"0/5,opt"` // addresses of each slot
}

// SlotInfo answers AskSupernodes (command 8). Entries are what a node needs to
// open a session with the supernodes; Skype's answer had addresses only.
type SlotInfo struct {
	Slots   []SlotMembers `obj:"5/6,opt"`
	Entries [][]byte      `obj:"4/4000,opt"` // overlay.Entry, signed
}

// SlotMembers is one slot of a SlotInfo.
type SlotMembers struct {
	Slot  uint32           `obj:"0/0"`
	Addrs []netip.AddrPort `obj:"2/3,opt"`
	Total uint32           `obj:"0/7"` // supernodes in the slot
}

// NetworkStats is what supernodes tell of the whole network (command 11).
type NetworkStats struct {
	UsersOnline uint32 `obj:"0/9"`
}

// Probe asks "may I attach to you?" (command 27).
type Probe struct{}

// ProbeAccepted says yes (command 28).
type ProbeAccepted struct{}

// ProbeRefused says no and names others that have room (command 29).
type ProbeRefused struct {
	Others  []netip.AddrPort `obj:"2/3,opt"`
	Entries [][]byte         `obj:"4/4000,opt"` // overlay.Entry of some of them
}

// BecomeSupernode asks a client that said it could to become a supernode
// (command 26); Promotion answers.
type BecomeSupernode struct {
	Urgent bool `obj:"0/4000,opt"` // supernodes are full: a short uptime is enough
}

// Promotion answers BecomeSupernode.
type Promotion struct {
	Accepted bool `obj:"0/1"`
}

// DialBack asks the own supernode to have the sender's address tried by a
// supernode that the sender never sent anything to.
type DialBack struct {
	Addr  netip.AddrPort `obj:"2/1"`
	Nonce uint64         `obj:"1/2"`
}

// DialFor passes a DialBack on to the supernode that is to try.
type DialFor struct {
	Addr  netip.AddrPort `obj:"2/1"`
	Nonce uint64         `obj:"1/2"`
}

// NATTest asks the own supernode for packets at the sender's UDP address that its NAT
// did not ask for: a where record from another port of the supernode, whose token is
// Nonce, and a DialTest by another supernode.
type NATTest struct {
	Nonce uint64 `obj:"1/2"`
}

// NATTested says which of them were sent.
type NATTested struct {
	Port  uint32 `obj:"0/0"` // the other one; 0: there is none
	Asked bool   `obj:"0/1"` // another supernode
}

// DialTest is the try: who receives it can be reached by anybody.
type DialTest struct {
	Nonce uint64 `obj:"1/2"`
}

// DialTested answers DialTest.
type DialTested struct{}

// Attach asks a supernode to take the sender as its client (command 30).
type Attach struct {
	Uptime       uint32 `obj:"0/1"` // seconds
	Node         uint64 `obj:"1/d"` // first 8 bytes of the NodeID
	Port         uint32 `obj:"0/10"`
	Unknown23    uint32 `obj:"0/23,opt"` // missing or 0 in captures
	StackVersion uint32 `obj:"0/b,opt"`

	Others []linnet.NodeID `obj:"4/4001,opt"` // the client's other supernodes
	Able   bool            `obj:"0/4002,opt"` // it could be a supernode
}

// Attached says that the supernode took the client (command 31).
type Attached struct {
	StackVersion uint32         `obj:"0/b"`
	StackTime    uint32         `obj:"0/c"`
	Port         uint32         `obj:"0/10"`
	You          netip.AddrPort `obj:"2/11"`
	Supernode    []uint32       `obj:"6/21"`       // its presence says that a supernode answered
	Supernodes   uint32         `obj:"0/4000,opt"` // how many there are in the network
	Entries      [][]byte       `obj:"4/4000,opt"`
}

// AttachRefused says that the supernode is full, and who has room (command 32).
type AttachRefused struct {
	Others  []netip.AddrPort `obj:"2/3,opt"`
	Entries [][]byte         `obj:"4/4000,opt"`
}

// Detach tells a supernode that the client leaves, or a client that the
// supernode does; then Entries name others.
type Detach struct {
	Entries [][]byte `obj:"4/4000,opt"`
}

// KeepAlive asks for a KeepAliveAck; it keeps the NAT mapping to a supernode
// open and notices a dead one. PeerDown is a supernode that the sender lost.
type KeepAlive struct {
	PeerDown linnet.NodeID   `obj:"4/1,opt"`
	Others   []linnet.NodeID `obj:"4/2,opt"` // from a client: its other supernodes, whose death it wants to hear of
	Able     bool            `obj:"0/3,opt"` // from a client: it could be a supernode
	Watch    []Location      `obj:"4/4,opt"` // from a client: devices, each with a supernode; Gone names those that are not attached there
}

// KeepAliveAck answers KeepAlive. Load travels with it, never as an event.
type KeepAliveAck struct {
	You        netip.AddrPort `obj:"2/11"`
	Load       uint32         `obj:"0/1"`        // percent of the supernode's limit
	Supernodes uint32         `obj:"0/4000,opt"` // as in Attached
}

// Ping is the SWIM probe between supernodes. Updates are entries and
// suspicions that the sender learnt last.
type Ping struct {
	Seq     uint32        `obj:"0/1"`
	Target  linnet.NodeID `obj:"4/1"` // whom it means: an old address may answer for another
	Updates []Rumour      `obj:"5/2,opt"`
}

// PingRequest asks a third supernode to ping Target for the sender.
type PingRequest struct {
	Seq    uint32        `obj:"0/1"`
	Target linnet.NodeID `obj:"4/1"`
}

// Pong answers Ping and PingRequest.
type Pong struct {
	Seq     uint32        `obj:"0/1"`
	Target  linnet.NodeID `obj:"4/1"`
	Updates []Rumour      `obj:"5/2,opt"`
	Load    uint32        `obj:"0/3,opt"` // percent of the answerer's limit
}

// Rumour is what one supernode says of another one. An accusation needs no
// entry: who does not know the accused has nothing to bury.
type Rumour struct {
	State       uint32        `obj:"0/0"`     // overlay.State: alive, suspect, dead, left
	Entry       []byte        `obj:"4/1,opt"` // overlay.Entry, signed
	Node        linnet.NodeID `obj:"4/3"`     // whose entry it is
	Incarnation uint64        `obj:"1/4"`     // of that entry
}

// Rumours spreads membership news at once, besides what pings carry.
type Rumours struct {
	Updates []Rumour `obj:"5/2"`
	Inside  bool     `obj:"0/3,opt"` // the receiver is to tell its block
}

// Digest compares membership tables: one hash per block that the sender knows
// of, over entries older than 60 s unless All is set.
type Digest struct {
	Blocks []uint32 `obj:"6/1"`
	Hashes []byte   `obj:"4/2"` // 8 bytes for each of Blocks

	After linnet.NodeID `obj:"4/3,opt"` // the page before ended here
	All   bool          `obj:"0/4,opt"` // of a newcomer: over all entries, however young
}

// Differ answers Digest: the blocks whose hashes differ, and what the answerer knows there.
type Differ struct {
	Blocks  []uint32      `obj:"6/1,opt"`
	Updates []Rumour      `obj:"5/2,opt"` // in the order of their nodes
	After   linnet.NodeID `obj:"4/3,opt"` // of the Digest
}

// Watch asks a supernode for a client of another one which of these nodes are not
// attached to it; there is no answer if all of them are.
type Watch struct {
	Nodes []linnet.NodeID `obj:"4/0"`
	Asker linnet.NodeID   `obj:"4/1"`
}

// Gone says of which nodes the supernode that was asked knows nothing.
type Gone struct {
	Nodes []linnet.NodeID `obj:"4/0"`
	Asker linnet.NodeID   `obj:"4/1,opt"` // between supernodes: the client that it is for
}
