package message

import "github.com/linnet-p2p/linnet"

// Forward carries a handshake or a session packet to a node that has no path
// yet, through the supernodes of both ends (command 53, W5). The first
// supernode checks that Source is the session that it came over.
type Forward struct {
	Version uint32   `obj:"0/0"` // 2
	Target  Location `obj:"4/1"`
	Inner   uint32   `obj:"0/2"` // number of the command in Packet: 0x4001, 0x4002 or one of Inner...
	Packet  Packet   `obj:"5/3"`
	Source  Location `obj:"4/c"`
	Hops    uint32   `obj:"0/4"` // forwardings left, at most MaxHops
}

// Packet is what a Forward carries.
type Packet struct {
	Body []byte `obj:"4/0"` // a Noise message, or as the number in Forward.Inner says
}

// Forward.Inner for what is no handshake.
const (
	InnerPacket = 0x4003 // a session packet: 4 bytes of tag, then the body of a D frame
	InnerNotice = 0x4130 // a notice of presence, sealed for contacts
	InnerLetter = 0x4131 // a letter, sealed for the device
	InnerTaken  = 0x4132 // a letter's id, 16 bytes: it was opened, and is on disk
	InnerMail   = 0x4133 // nothing: a letter that was not taken lies in the mailbox
)

// MaxHops is how often a message is forwarded at the most: own supernode,
// supernode of the target, and one that it moved to.
const MaxHops = 3

// Unroutable tells the sender of a Forward that its target is not attached here.
type Unroutable struct {
	Target linnet.NodeID `obj:"4/1"`
	Source linnet.NodeID `obj:"4/2,opt"` // who sent the Forward: whom it is to be passed on to
}
