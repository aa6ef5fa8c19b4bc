// Package session is an authenticated, encrypted conversation between two
// certified devices, over any path that packets can take between them.
//
// A session belongs to the devices and not to addresses: it keeps going when a
// device changes networks, when a call moves from a relay to a direct path, and
// when a path dies and another one lives. One Endpoint holds all sessions of a
// node.
//
// The package opens no socket, starts no goroutine and reads no clock. Methods
// take the time and an event; what is to be done comes out of Endpoint.Take.
// It carries commands and does not know what they mean, apart from its own
// (handshake, upgrade, goodbye). Which addresses to try and which path to
// prefer is decided by package traverse. Media never passes through here; the
// session only tells where media of a peer goes (Routes).
//
// # Life of a session
//
//	        Dial                      HelloReply
//	none ─────────▶ dialing ─────────────────────────▶ up ──Upgrade1..3──▶ up (hybrid keys; the same again every hour)
//	  │                │ Hello of the lower NodeID      ▲                        │ Close             │ silence, Goodbye
//	  │ Hello          ▼                                │                        ▼                   ▼
//	  └─────────▶ answered ──first packet under the keys┘                     closing ─────────────▶ none
//
// A session is up for the responder only when the first packet under the new
// keys shows that the initiator is there and nobody replays its Hello; until
// then it may answer with no more bytes than the Hello had. Send works in every
// state but closing: it goes to the newest session of the peer, and waits in a
// queue while it is dialing.
//
// When both sides dial at once, the Hello of the lower NodeID counts: its
// sender ignores the other Hello, and the other side answers
// and gives up its own dialing; what it wanted to say follows in the session.
// After two seconds without a reply the lower one answers as well, in case only the
// other direction works: then the session that speaks first counts.
//
// A second Hello of a peer that has a session (it restarted) replaces the
// session when its first packet arrives: Down with ErrReplaced, then Up.
//
// The exact repeat of a Hello gets the same reply and does nothing else. Early
// commands (those inside a Hello) are delivered at once only if the Hello is
// new, its time is within two minutes of ours, and Options.Early lets this peer
// say something before it has shown that it is there; else they wait for the
// first packet. They are delivered at least once, everything else exactly once.
//
// # Handshake
//
// The commands Hello and HelloReply carry the two messages of
// suite.SessionSuite with HelloPayload and HelloReplyPayload inside. A Hello is
// padded to a multiple of 256 bytes: its length says little of its contents, and the
// reply is always shorter. The certificate in it has to name the agreement key
// that the handshake proved.
//
// # Session packets
//
// The body of a D frame, and of control 05 of a stream:
//
//	counter [8]byte   // big-endian; with four zero bytes before it the nonce
//	sealed  [...]byte // suite.SessionSuite.AEAD over records
//
//	record:
//	    kind   [1]byte
//	    length uvarint
//	    body   [length]byte
//
//	kind 0 padding    any bytes
//	     1 part       sequence uvarint | last [1]byte (0 or 1) | piece of a command
//	     2 ack        next uvarint (lowest sequence missing) | later [8]byte (bit i: next+1+i is here)
//	     3 command    one command that is neither acked nor resent
//	     4 challenge  [8]byte
//	     5 response   [8]byte of the challenge, by the path that it came from
//	     6            not used: packets of package bulk are too large for it, and travel as media does
//	     7 where      [8]byte token | [18]byte zero; alone in its packet
//	     8 seen       [8]byte of the where | port [2]byte | IPv4 or IPv6 address that it came from
//	     9 silent     empty: no media comes by the path that the receiver of this uses
//
// Unknown kinds are skipped. The tag before the body names the session and its
// keys; tags are drawn by the receiver in pairs, the even one for session
// packets, the odd one for media. New keys come with new tags, and the old ones
// are good for ten more seconds. Through a relay the tag stays the relay's, and the
// newest keys are tried first.
package session

import (
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// Limits of every session.
const (
	MaxCommand = 64 << 10  // bytes of a reliable command
	MaxQueue   = 256 << 10 // bytes that wait to be sent to one peer
	MaxPaths   = 16        // known at a time
	MaxRoutes  = 2         // used at a time
	maxTags    = 8         // received through relays
	maxBody    = 1200      // bytes of a D body, where nothing more is known to pass (width.go)
	maxForward = 900       // the same, where a forwarding is wrapped around it
	maxPending = 256       // requests that wait for their reply
)

// Errors that callers branch on.
var (
	ErrNoSession   = errors.New("there is no session with this node")
	ErrQueue       = errors.New("too much waits to be sent to this node")
	ErrSize        = errors.New("the command is too large for this way to send it")
	ErrPath        = errors.New("nobody answered on this path yet")
	ErrTimeout     = errors.New("no reply came in time")
	ErrUnreachable = errors.New("the node did not answer")
	ErrLost        = errors.New("the node fell silent on every path")
	ErrIdle        = errors.New("nothing was heard for a long time")
	ErrClosed      = errors.New("the session was closed")
	ErrReplaced    = errors.New("the peer began a new session")
)

// A ClosedError says that the peer closed the session, and why.
type ClosedError struct{ Reason string }

func (e *ClosedError) Error() string {
	if e.Reason == "" {
		return "the peer closed the session"
	}
	return fmt.Sprintf("the peer closed the session: %q", e.Reason)
}

// Is makes a ClosedError an ErrClosed.
func (e *ClosedError) Is(target error) bool { return target == ErrClosed }

// instant is a time since Endpoint.epoch: a third of the size of a time.Time,
// and there are several in each of 100,000 sessions. Zero means never.
type instant int64

func (t instant) add(d time.Duration) instant   { return t + instant(d) }
func (t instant) since(u instant) time.Duration { return time.Duration(t - u) }

// sooner is the earlier of two deadlines, of which zero is none.
func sooner(a, b instant) instant {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

type state uint8

const (
	dialing state = iota
	answered
	up
	closing
	dead
)

// Times of every session.
const (
	dialTimeout    = 32 * time.Second // forwarded Hellos: 1 s, doubling, 5 times
	redialAfter    = 10 * time.Second // Dial trusts a session that was heard since then
	answeredFor    = 30 * time.Second // an answered session waits for the first packet
	glareFor       = 2 * time.Second
	helloFresh     = 2 * time.Minute
	oldKeysFor     = 10 * time.Second
	rekeyAfter     = time.Hour
	lastingIdle    = rekeyAfter - 10*time.Minute // new keys would be a sign of life
	rekeyPackets   = 1 << 32
	trustedRTOs    = 4                // without an answer: on a long, bad line a second is little, and a new session loses what is on its way in the old one
	stalledAfter   = time.Second      // other paths are tried
	lostAfter      = 10 * time.Second // nothing heard though it was asked for
	stuckAfter     = 30 * time.Second // heard, but nothing is acknowledged
	lingerFor      = 2 * time.Second
	requestTimeout = 10 * time.Second
	coolAfter      = time.Second // ciphers and buffers of a quiet session are freed: 1,000 keep-alives a second may be all that there is
)

// session is one incarnation of the conversation with a peer. What a quiet one
// can do without is behind the pointers.
type session struct {
	peer        linnet.NodeID
	agreement   []byte
	certificate *suite.Certificate // nil while an initiator knows the key only, or where it is forgotten

	keys  epoch  // what packets are sent under
	old   *epoch // still received under, until oldGone
	tags  []uint32
	paths []path

	// A newer session of the same peer that is not up yet is put before this one.
	older *session

	flow    *flow    // what is in flight; nil when quiet
	next    uint64   // sequence of the next part to send
	want    uint64   // sequence of the next part to receive
	dial    *dial    // while dialing
	half    *half    // while answered
	upgrade *upgrade // while the keys are changing

	rtt       time.Duration // smoothed
	rttVar    time.Duration
	moved     instant // when the path changed of which these two are
	keepAlive time.Duration

	heard   instant // last valid packet
	sent    instant // last packet
	silence instant // since when the peer owes an answer
	oldGone instant
	rekey   instant
	end     instant // of a closing session
	stall   instant // other paths are not tried again before
	rough   instant // until then parts go by all paths
	wide    instant // until then somebody needs to know what the path in use carries
	wake    instant // when tick has something to do
	index   int32   // in Endpoint.queue

	state    state
	dialled  bool // we are the initiator, who starts upgrades
	upgraded bool
	dirty    bool
	stalled  bool
	lasting  bool
}

// A Peer is whom Dial wants to talk to.
type Peer struct {
	Node        linnet.NodeID
	Agreement   []byte
	Certificate *suite.Certificate // where known; handed out again by Up
}
