// Package synth makes captures of calls that never took place, as the paper of
// 2007 describes calls of the classic network, with a label for each: for tests of package
// detect, and for teaching. What is in them is drawn from a seed, the same
// every time; the voice is random bytes.
//
//	e2e   id 2 (random) | r<<4|d 1 (r random, 0 to 7) | random ...
//	e2o   connection id 4 (one for each direction) | random ..., after a few short messages
//	tcp   random, the first segment of each direction 14 bytes
//
// A message of voice has (rate*time + header)*redundancy bytes, and 4 more for
// its start in UDP. Headers of 8 bytes are the paper's assumption, 5 to
// gateways what real captures fit (docs/detection.md). Here and there a
// message is longer, as if it carried a report too.
package synth

import (
	"container/heap"
	"encoding/binary"
	"fmt"
	"io"
	"math/rand/v2"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/netx"
)

// Options say what to make. The zero value is 30 perfect calls of 500 messages
// each way.
type Options struct {
	Seed     uint64
	Calls    int          // 0 means 30
	Messages int          // each way; 0 means 500
	Class    detect.Class // of all calls; "" means each in turn
	Jitter   float64      // ms, standard deviation of what a message waits on its way
	Loss     float64      // share of messages that do not arrive; TCP sends them again
}

// Call is the label of one call. A calls B.
type Call struct {
	Class      detect.Class   `json:"class"`
	A          netip.AddrPort `json:"a"`
	B          netip.AddrPort `json:"b"`
	Codec      string         `json:"codec"`
	Rate       float64        `json:"rate_kbit"`
	Frame      float64        `json:"frame_ms"`
	Redundancy int            `json:"redundancy"` // at the beginning
	Messages   int            `json:"messages"`   // sent each way; fewer arrive with Loss
}

// gatewayPort is where calls to telephones go.
const gatewayPort = 12340

// maxBody keeps messages within one Ethernet frame; they are not redundant
// beyond it.
const maxBody = 1400

// atOnce is how many calls overlap in time.
const atOnce = 8

// begin is when the first call of every capture begins.
var begin = time.Date(2007, 8, 27, 9, 0, 0, 0, time.UTC) // SIGCOMM 2007

// Write writes a pcap file of raw IP packets to w and returns the labels.
func Write(w io.Writer, o Options) ([]Call, error) {
	if o.Calls == 0 {
		o.Calls = 30
	}
	if o.Messages == 0 {
		o.Messages = 500
	}
	out := netx.NewPcapWriter(w)
	if err := out.Header(); err != nil {
		return nil, fmt.Errorf("synth: %w", err)
	}
	var calls []Call
	var active streams
	next := begin
	for len(calls) < o.Calls || len(active) > 0 {
		for len(active) < 2*atOnce && len(calls) < o.Calls {
			c := newCall(o, len(calls), next)
			calls = append(calls, c.Call)
			heap.Push(&active, c.stream(c.A, c.B))
			heap.Push(&active, c.stream(c.B, c.A))
			next = next.Add(time.Duration(c.random.IntN(1000)) * time.Millisecond)
		}
		s := active[0]
		if err := write(out, s); err != nil {
			return nil, fmt.Errorf("synth: %w", err)
		}
		if s.at.After(next) {
			next = s.at
		}
		if s.next() {
			heap.Fix(&active, 0)
		} else {
			heap.Pop(&active)
		}
	}
	return calls, nil
}

// call is one call while it is made.
type call struct {
	Call
	Options
	random *rand.Rand
	codec  detect.Codec
	header float64
	begin  time.Time
}

func newCall(o Options, index int, at time.Time) *call {
	random := rand.New(rand.NewPCG(o.Seed, uint64(index)))
	c := &call{Options: o, random: random, begin: at}
	c.Call.Messages = o.Messages
	c.Call.Class = o.Class
	if o.Class == "" {
		c.Call.Class = []detect.Class{detect.EndToEnd, detect.EndToOther, detect.OverTCP}[index%3]
	}
	c.codec = detect.Codecs[random.IntN(len(detect.Codecs))]
	mode := c.codec.Modes[random.IntN(len(c.codec.Modes))]
	c.Codec = c.codec.Name
	c.Rate = mode.Rates[random.IntN(len(mode.Rates))]
	c.Frame = mode.Frames[random.IntN(len(mode.Frames))]
	c.header = 8
	c.A, c.B = host(random, 10), host(random, 172)
	if c.Call.Class == detect.EndToOther {
		c.header = 5
		c.B = netip.AddrPortFrom(c.B.Addr(), gatewayPort)
	}
	c.Redundancy = min(1+random.IntN(detect.MaxRedundancy), int(maxBody/(c.Rate*c.Frame/8+c.header)))
	return c
}

func host(random *rand.Rand, network byte) netip.AddrPort {
	a := netip.AddrFrom4([4]byte{network, 16 + byte(random.IntN(16)), byte(random.IntN(256)), 1 + byte(random.IntN(254))})
	return netip.AddrPortFrom(a, uint16(1024+random.IntN(64000)))
}

// stream is one direction of a call, at the packet that comes next.
type stream struct {
	call     *call
	src, dst netip.AddrPort
	at       time.Time
	payload  []byte
	seq      uint32

	random     *rand.Rand
	sent       int
	sending    time.Time
	connection [4]byte // id, to gateways
	heads      [][]byte
	redundancy int
	voice      float64 // how far the rate is from its mean, in standard deviations
}

func (c *call) stream(src, dst netip.AddrPort) *stream {
	s := &stream{call: c, src: src, dst: dst, random: rand.New(rand.NewPCG(c.random.Uint64(), c.random.Uint64())),
		redundancy: c.Redundancy, sending: c.begin, at: c.begin}
	s.sending = s.sending.Add(time.Duration(s.random.Float64() * c.Frame * 1e6))
	s.seq = s.random.Uint32()
	s.fill(s.connection[:])
	switch c.Call.Class {
	case detect.EndToOther: // as the captures of l7-filter: each short message twice
		short := s.bytes(1 + s.random.IntN(6))
		opening := append(s.connection[:len(s.connection):len(s.connection)], s.bytes(4)...)
		s.heads = [][]byte{short, short, opening, opening}
	case detect.OverTCP:
		s.heads = [][]byte{s.bytes(14)}
	}
	s.next()
	return s
}

// next makes the next packet that arrives, and reports whether there is one.
func (s *stream) next() bool {
	c := s.call
	s.seq += uint32(len(s.payload))
	wait := 0.0
	for {
		if len(s.heads) > 0 {
			s.payload, s.heads = s.heads[0], s.heads[1:]
		} else {
			if s.sent == c.Call.Messages {
				return false
			}
			s.sent++
			s.payload = s.message()
		}
		s.sending = s.sending.Add(time.Duration(c.Frame * 1e6))
		if s.random.Float64() >= c.Loss {
			break
		}
		if c.Call.Class == detect.OverTCP {
			wait = 3 * c.Frame // it comes late, and what follows it queues up
			break
		}
	}
	arrives := s.sending.Add(time.Duration((wait + abs(s.random.NormFloat64())*c.Jitter) * 1e6))
	s.at = maxTime(arrives, s.at.Add(100*time.Microsecond)) // packets do not overtake
	return true
}

func (s *stream) message() []byte {
	c := s.call
	if s.random.IntN(2000) == 0 { // the network got worse or better
		s.redundancy = 1 + s.random.IntN(detect.MaxRedundancy)
	}
	s.voice = 0.8*s.voice + 0.6*s.random.NormFloat64() // speech varies slowly
	block := c.Rate*c.Frame/8 + c.header
	n := block*float64(min(s.redundancy, int(maxBody/block))) + c.codec.Sigma*s.voice
	if s.random.IntN(100) == 0 {
		n += 10 + s.random.Float64()*40 // a report
	}
	body := s.bytes(max(int(n+0.5), 8))
	switch c.Call.Class {
	case detect.EndToEnd:
		start := s.bytes(4)
		start[2] = start[2]&0x70 | 0x0d
		return append(start, body...)
	case detect.EndToOther:
		return append(s.connection[:len(s.connection):len(s.connection)], body...)
	}
	return body
}

func (s *stream) bytes(n int) []byte {
	b := make([]byte, n)
	s.fill(b)
	return b
}

func (s *stream) fill(b []byte) {
	for i := 0; i < len(b); i += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], s.random.Uint64())
		copy(b[i:], word[:])
	}
}

func abs(x float64) float64 { return max(x, -x) }

func maxTime(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// streams are ordered by their next packet.
type streams []*stream

func (s streams) Len() int           { return len(s) }
func (s streams) Less(i, j int) bool { return s[i].at.Before(s[j].at) }
func (s streams) Swap(i, j int)      { s[i], s[j] = s[j], s[i] }
func (s *streams) Push(x any)        { *s = append(*s, x.(*stream)) }
func (s *streams) Pop() any {
	last := (*s)[len(*s)-1]
	*s = (*s)[:len(*s)-1]
	return last
}

// write writes the packet that a stream is at.
func write(w *netx.PcapWriter, s *stream) error {
	if s.call.Call.Class != detect.OverTCP {
		return w.Datagram(s.at, s.src, s.dst, s.payload)
	}
	segment := netx.Segment{Flags: byte(capture.PSH), Seq: s.seq}
	return w.Segment(s.at, s.src, s.dst, segment, s.payload)
}
