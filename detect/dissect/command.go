package dissect

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/message"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// A Command is one command in the clear.
type Command struct {
	Number  uint32   `json:"number"`
	Name    string   `json:"name"` // as in docs/protocol.md, or "unknown"
	Kind    string   `json:"kind"` // request, reply or one-way
	ID      string   `json:"id,omitempty"`
	Bytes   int      `json:"bytes"`  // on the wire
	Packed  bool     `json:"packed"` // the list is a 0x42 one
	List    string   `json:"list,omitempty"`
	Fields  []Field  `json:"fields,omitempty"`
	Error   string   `json:"error,omitempty"` // why it, or what follows it, cannot be read
	Answers *Link    `json:"answers,omitempty"`
	Notes   []string `json:"notes,omitempty"`
}

var kindOneWay = message.OneWay.String()

// specs is message.Table by command word.
var specs = func() map[uint32]*message.Spec {
	m := make(map[uint32]*message.Spec)
	for i := range message.Table {
		s := &message.Table[i]
		m[uint32(s.Number)<<kindBits|uint32(s.Kind)] = s
	}
	return m
}()

// Of a command word (W3.1): number, then three bits of kind.
const (
	kindBits = 3
	kindMask = 1<<kindBits - 1
	idSize   = 2
)

// commands explains commands that stand back to back. What makes no sense ends
// them with an Error; who made them may not have meant us.
func (d *Dissector) commands(p *capture.Packet, b []byte, again bool) []Command {
	var all []Command
	for len(b) > 0 {
		if len(all) == maxCommands {
			all[len(all)-1].Error = fmt.Sprintf("%d bytes of more commands are not shown", len(b))
			break
		}
		c, rest := d.command(p, b, again)
		d.summary.Commands[c.Name]++
		all = append(all, c)
		b = rest
	}
	return all
}

// command explains the first command of b and returns what follows it.
func (d *Dissector) command(p *capture.Packet, b []byte, again bool) (c Command, rest []byte) {
	length, n := objlist.Uvarint(b)
	word, m := uint32(0), 0
	if n > 0 {
		word, m = objlist.Uvarint(b[n:])
	}
	c = Command{Name: unknown, Number: word >> kindBits, Kind: message.Kind(word & kindMask).String(), Bytes: len(b)}
	if n <= 0 || m <= 0 || uint64(length) > uint64(len(b)-n-m) {
		c.Error = "this is no command: its length does not fit"
		return c, nil
	}
	body, rest := b[n+m:n+m+int(length)], b[n+m+int(length):]
	c.Bytes -= len(rest)
	var names []message.Field
	if spec := specs[word]; spec != nil {
		c.Name, names = spec.Name, spec.Fields()
	}
	kind := message.Kind(word & kindMask)
	if kind == message.Request || kind == message.Reply {
		if len(body) < idSize {
			c.Error = "its request id is missing"
			return c, rest
		}
		id := binary.BigEndian.Uint16(body)
		c.ID, body = hex16(id), body[idSize:]
		d.request(p, kind, id, &c)
	}
	c.Packed = len(body) > 0 && body[0] == objlist.MagicPacked
	l, err := ParseList(body)
	if err != nil {
		c.Error = "list: " + Reason(err)
		return c, rest
	}
	c.List, c.Fields = l.String(), fieldsOf(l, names)
	if !again {
		d.meaning(uint16(c.Number), kind, l, &c)
	}
	return c, rest
}

const unknown = "unknown"

// request ties a reply to its request.
func (d *Dissector) request(p *capture.Packet, kind message.Kind, id uint16, c *Command) {
	if kind == message.Reply {
		c.Answers = d.exchanges.answers(p, byRequest, uint32(id), "answers")
		return
	}
	e, again := d.exchanges.sent(p, byRequest, uint32(id))
	if again != nil {
		c.Answers = again
	}
	e.name, e.expected = c.Name, true
}

// Commands of which there is something to say to people.
const (
	firstOwn = 0x4000 // the old network had none from here on

	numberForward    = 53
	numberHello      = 0x4001
	numberHelloReply = 0x4002
	numberLogin      = 0x4301
	numberLoginReply = 0x4302
	numberDescriptor = 0x4304
)

// meaning says what can be seen of a command and what is sealed.
func (d *Dissector) meaning(number uint16, kind message.Kind, l objlist.List, c *Command) {
	blob := func(id uint32) []byte {
		for i := range l {
			if l[i].Kind == objlist.KindBlob && l[i].ID == id {
				return l[i].Bytes
			}
		}
		return nil
	}
	note := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	switch number {
	case numberHello:
		switch n := len(blob(0)); {
		case d.classic:
			note("visible: the caller's session id, a challenge, and a nonce under raw RSA with the receiver's key (%d bytes in all)", n)
			note("sealed: who calls, and first commands")
		case n > noiseKey+noiseSealedKey:
			note("Noise IK, message 1: visible is the ephemeral key (%d bytes)", noiseKey)
			note("sealed to the receiver: the caller's key (%d), then certificate, tag and first commands (%d)", noiseSealedKey, n-noiseKey-noiseSealedKey)
		}
	case numberHelloReply:
		switch n := len(blob(0)); {
		case d.classic:
			note("visible: the receiver's session id, a nonce under raw RSA with the caller's key, the signed challenge (%d bytes in all)", n)
		case n > noiseKey:
			note("Noise IK, message 2: visible is the ephemeral key (%d bytes); sealed are tag and commands (%d)", noiseKey, n-noiseKey)
		}
	case numberForward:
		if kind == message.OneWay {
			note("only the target can read the packet inside")
		}
	case numberLogin:
		if day, n := numberOf(l, 0), len(blob(1)); n > hpkeKey {
			note("visible: that somebody signs in, to the key of %s, and the encapsulated key (%d bytes)", dayOf(day), hpkeKey)
			note("sealed to the login server: user, verifier of the password, device and its keys (%d bytes)", n-hpkeKey)
		}
	case numberLoginReply:
		if n := len(blob(1)); n > 0 {
			note("sealed to who asked: the certificate, or why there is none (%d bytes)", n)
		}
	case numberDescriptor:
		if n := d.learn(blob(0)); n != nil {
			note("network %q, suite %s, %d login servers, %d supernodes; signed by its root key; anybody may read it",
				n.Name, n.Suite, len(n.LoginServers), len(n.Supernodes))
		}
	}
}

// Sizes of what is sealed on modern networks.
const (
	noiseKey       = 32        // an X25519 key
	noiseSealedKey = 32 + 16   // the same, sealed
	hpkeKey        = 1088 + 32 // encapsulated by ML-KEM-768 and X25519
)

func numberOf(l objlist.List, id uint32) uint32 {
	for i := range l {
		if l[i].Kind == objlist.KindNumber && l[i].ID == id {
			return uint32(l[i].Num)
		}
	}
	return 0
}

// dayOf is a date of days since 1970.
func dayOf(day uint32) string {
	return time.Unix(int64(day)*24*60*60, 0).UTC().Format(time.DateOnly)
}
