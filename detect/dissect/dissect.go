// Package dissect explains captured traffic of a network, for people who learn
// how it works: which frames and records there are, what the obfuscation hides,
// what commands say, what answers what.
//
// It knows no secret: what is sealed or inside a session stays closed, and is
// named as such. It reads packets in the order of a capture, opens no file and
// reads no clock. Captures may be of any size and come from anybody: everything
// that is remembered is bounded, and the oldest is forgotten.
//
// # What opens a datagram
//
// A command frame is hidden under a key made of the public addresses of both
// ends, which need not be those in the packet. A Dissector tries those of the
// packet, those that nacks and confirms told either end before, none for the
// sender (who does not know its own yet), and Options.Public. The CRC tells which
// was right. A resend carries all that opens it.
//
// # What makes a datagram one of ours
//
// Any 11 bytes may look like a nack. An address speaks the protocol for certain
// (Explanation.Proven) once a CRC fitted, a nack or a confirm told the address that
// the packet went to, or a resend repeated the challenge of a nack.
package dissect

import (
	"container/list"
	"encoding/binary"
	"hash/maphash"
	"math"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// Options configures a Dissector. The zero value works.
type Options struct {
	Public  []netip.Addr              // addresses under which hosts of the capture are known outside
	Names   map[netip.AddrPort]string // of machines
	Classic bool                      // the network's suite is classic; learnt where the capture shows it
}

// Bounds of what a Dissector remembers, each of entries or, where it says so, bytes.
const (
	maxHosts     = 4096
	maxProven    = 16384
	maxExchanges = 16384
	maxCopies    = 8192
	maxPassedOn  = 8192
	maxNames     = 4096
	maxPublic    = 16 // of Options.Public
	maxCommands  = 64 // of one frame
)

// copyWithin is how soon the same bytes again are the same packet, seen at its
// other end, and not one that was sent again.
const copyWithin = time.Second

// A Dissector explains the packets of one capture, one after the other. It is not for
// concurrent use.
type Dissector struct {
	classic   bool
	names     map[netip.AddrPort]string
	opener    opener
	parts     *frame.Reassembly
	exchanges exchanges
	streams   streams
	proven    *recent[netip.AddrPort, struct{}]
	copies    *recent[copyKey, time.Time]
	passedOn  *recent[copyKey, passed]
	seed      maphash.Seed
	summary   Summary
	out       []Explanation
}

// copyKey is a packet, or a body that a relay passed on (then without addresses).
type copyKey struct {
	src, dst netip.AddrPort
	hash     uint64
}

type passed struct {
	number int64
	dst    netip.AddrPort
}

// Summary counts what a Dissector saw.
type Summary struct {
	Packets     int64            `json:"packets"` // of UDP and TCP
	Copies      int64            `json:"copies"`  // seen at both ends, or TCP sent again: not explained twice
	Kinds       map[string]int64 `json:"kinds"`   // explanations by kind
	Commands    map[string]int64 `json:"commands,omitempty"`
	Connections int64            `json:"connections"`
	Resent      int64            `json:"resent"`
	Unanswered  int64            `json:"unanswered"`
}

// New makes a Dissector.
func New(o Options) *Dissector {
	d := &Dissector{
		classic:  o.Classic,
		names:    make(map[netip.AddrPort]string),
		opener:   newOpener(o.Public),
		proven:   newRecent[netip.AddrPort, struct{}](maxProven),
		copies:   newRecent[copyKey, time.Time](maxCopies),
		passedOn: newRecent[copyKey, passed](maxPassedOn),
		seed:     maphash.MakeSeed(),
		summary:  Summary{Kinds: make(map[string]int64), Commands: make(map[string]int64)},
	}
	for addr, name := range o.Names {
		d.name(addr, name)
	}
	d.parts = newReassembly()
	d.exchanges = exchanges{byKey: make(map[exchangeKey]*list.Element)}
	d.streams = newStreams()
	return d
}

// newReassembly has room for the peers of a whole capture, which may be the
// same host's sockets.
func newReassembly() *frame.Reassembly {
	return frame.NewReassembly(frame.Limits{PerPeer: 64, Total: 8 << 20})
}

// Packet explains one packet. Most have one Explanation, TCP segments without
// payload often none; what was lost before it comes first.
func (d *Dissector) Packet(p *capture.Packet) []Explanation {
	d.out = nil
	d.summary.Packets++
	d.expire(p.Time.Add(-patience), false)
	switch p.Protocol {
	case capture.UDP:
		d.datagram(p)
	case capture.TCP:
		d.segment(p)
	}
	return d.out
}

// Close explains what the end of the capture leaves open.
func (d *Dissector) Close() []Explanation {
	d.out = nil
	d.expire(time.Unix(math.MaxInt32, 0), true)
	return d.out
}

// expire tells what was sent at or before the time and is still unanswered.
func (d *Dissector) expire(before time.Time, end bool) {
	for e := d.exchanges.oldest(before); e != nil; e = d.exchanges.oldest(before) {
		if e.expected && !e.answered {
			d.unanswered(e, end)
		}
	}
}

// Summary counts what was explained so far.
func (d *Dissector) Summary() Summary { return d.summary }

// Name gives a machine a name, which explanations show.
func (d *Dissector) name(addr netip.AddrPort, name string) {
	if _, ok := d.names[addr]; ok || len(d.names) < maxNames {
		d.names[addr] = name
	}
}

// emit adds an explanation.
func (d *Dissector) emit(x Explanation) {
	x.SrcName, x.DstName = d.names[x.Src], d.names[x.Dst]
	d.summary.Kinds[x.Kind]++
	d.out = append(d.out, x)
}

// isProven says whether one of the ends speaks the protocol for certain.
func (d *Dissector) isProven(p *capture.Packet) bool {
	_, src := d.proven.get(p.Src)
	_, dst := d.proven.get(p.Dst)
	return src || dst
}

func (d *Dissector) prove(p *capture.Packet) {
	for _, addr := range []netip.AddrPort{p.Src, p.Dst} {
		if _, ok := d.proven.get(addr); !ok && addr.IsValid() {
			d.proven.put(addr, struct{}{})
		}
	}
}

// isCopy says whether the packet was seen a moment ago, byte by byte.
func (d *Dissector) isCopy(p *capture.Packet) bool {
	if p.Time.IsZero() {
		return false
	}
	key := copyKey{p.Src, p.Dst, maphash.Bytes(d.seed, p.Payload)}
	at, ok := d.copies.get(key)
	if ok && p.Time.Sub(at).Abs() <= copyWithin {
		d.copies.remove(key) // the third is news again
		d.summary.Copies++
		return true
	}
	d.copies.put(key, p.Time)
	return false
}

// learn takes the network's descriptor from a command that shows it. A
// fingerprint that is its own proves nothing but that nobody broke it on the way.
func (d *Dissector) learn(signed []byte) *suite.Descriptor {
	n, err := OpenDescriptor(signed)
	if err != nil {
		return nil
	}
	for addr, name := range Names(n) {
		if _, ok := d.names[addr]; !ok {
			d.name(addr, name)
		}
	}
	d.classic = d.classic || n.Suite == suite.ClassicName
	return n
}

func hex32(v uint32) string { return string(appendHex(nil, binary.BigEndian.AppendUint32(nil, v))) }
func hex16(v uint16) string { return string(appendHex(nil, binary.BigEndian.AppendUint16(nil, v))) }

func appendHex(dst, b []byte) []byte {
	const digits = "0123456789abcdef"
	for _, c := range b {
		dst = append(dst, digits[c>>4], digits[c&15])
	}
	return dst
}
