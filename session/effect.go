package session

import (
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Effect is what the owner of an Endpoint has to do or to know.
type Effect interface{ effect() }

// SendHello asks to send a handshake command. A Hello (ReplyTo 0) is repeated by
// whoever carries it, except on Forwarded paths, where the Endpoint does it; a
// HelloReply answers the command whose id was ReplyTo.
type SendHello struct {
	To      linnet.NodeID
	Via     Path
	ReplyTo uint16
	Message message.Message
}

// SendPacket asks to send a D frame.
type SendPacket struct {
	To    linnet.NodeID
	Via   Path
	Tag   uint32
	Body  []byte
	Whole bool // no router may cut it: it is to find out whether it passes
}

// Up says that a session stands.
type Up struct {
	Peer        linnet.NodeID
	Certificate *suite.Certificate // nil if Dial had none
	Dialled     bool               // by us
}

// Upgraded says that from now on the peer is sent to under hybrid keys.
type Upgraded struct{ Peer linnet.NodeID }

// Down says that there is no session any more, or never came to be.
type Down struct {
	Peer linnet.NodeID
	Err  error
}

// Received is a command of a peer. A request has an ID, for Respond.
type Received struct {
	From    linnet.NodeID
	ID      uint16
	Message message.Message
	Early   bool // it came in a Hello, which may be a replay
}

// Reply answers a Request; Message may be a *message.Failure.
type Reply struct {
	From    linnet.NodeID
	Token   uint64
	Message message.Message
}

// Failed says that no reply to a Request will come.
type Failed struct {
	To    linnet.NodeID
	Token uint64
	Err   error
}

// PathUp says that a challenge made the round trip by a path.
type PathUp struct {
	Peer linnet.NodeID
	Path Path
	RTT  time.Duration
}

// Met says that a packet of the peer came by a path that was not known. It is
// challenged; until PathUp it may be a copy that somebody sent from elsewhere.
type Met struct {
	Peer linnet.NodeID
	Path Path
}

// Seen is the answer to Where: the peer sees packets that come by Path from You.
type Seen struct {
	Peer  linnet.NodeID
	Path  Path
	Token uint64
	You   netip.AddrPort
}

// Asked says that a where of the peer came, which is answered, or is to be after a time: by See,
// at once if not then.
type Asked struct {
	Peer  linnet.NodeID
	Path  Path
	Token uint64
	After time.Duration
}

// Silent says that the peer misses media. It says so by every path that it has, and
// this one works at least in one direction.
type Silent struct {
	Peer linnet.NodeID
	Path Path
}

// PathDown says that a path that was up answers no more.
type PathDown struct {
	Peer linnet.NodeID
	Path Path
}

// Sized says how large the bodies of D frames are that pass by the path in use, where
// somebody wanted to know (Widen). Not Sure: larger ones are being tried.
type Sized struct {
	Peer linnet.NodeID
	Size int
	Sure bool
}

// Bind says that frames with this tag, and media with Tag|1, come from Peer.
type Bind struct {
	Peer linnet.NodeID
	Tag  uint32
}

// Unbind ends a Bind.
type Unbind struct {
	Peer linnet.NodeID
	Tag  uint32
}

// Moved says where packets and media of a peer go from now on.
type Moved struct {
	Peer   linnet.NodeID
	Routes []Route
}

func (SendHello) effect()  {}
func (SendPacket) effect() {}
func (Up) effect()         {}
func (Upgraded) effect()   {}
func (Down) effect()       {}
func (Received) effect()   {}
func (Reply) effect()      {}
func (Failed) effect()     {}
func (PathUp) effect()     {}
func (Met) effect()        {}
func (Seen) effect()       {}
func (Asked) effect()      {}
func (Silent) effect()     {}
func (PathDown) effect()   {}
func (Bind) effect()       {}
func (Unbind) effect()     {}
func (Moved) effect()      {}
func (Sized) effect()      {}
