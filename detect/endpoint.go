package detect

import (
	"fmt"
	"strings"
	"unsafe"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// Signalling hides from the other two classifiers: nine in ten of its flows
// have fewer than 6 packets. So this one takes all that a UDP address and port
// sends and receives together, whoever is at the other end. The nibbles of the
// message id are left out, as ids count; the function byte must be one that
// there is, of a message long enough for it; and where it says that an
// initialisation vector follows (type 2), that must look random.
const (
	minFrames    = 48   // of type 2: with fewer, n/16 is below 3 and chi-squared means nothing
	minPeers     = 5    //
	minPlausible = 0.90 // of all packets
	maxVector    = 45.0 // chi-squared of a nibble of the vector
	minVector    = 1.8
	maxPeers     = 8 // that are counted
)

type endpoint struct {
	packets   uint32
	plausible uint32
	types     [16]uint32
	peers     [maxPeers]endKey
	known     int                 // peers
	heads     *[Groups][16]uint16 // nibbles of the messages of type 2, the first 65535
}

const headsBytes = int(unsafe.Sizeof([Groups][16]uint16{}))

// Frame types, the low nibble of the third byte.
const (
	typeCommand  = 0x2
	typeResend   = 0x3
	typeConfirm  = 0x5
	typeNack     = 0x7
	typeData     = 0xd
	typeFragment = 0xf
)

// plausible tells whether a message could be a frame of the type it says.
func (s *sample) plausible() (kind byte, ok bool) {
	if s.have < 3 {
		return 0, false
	}
	function := s.head[2]
	kind = function & 0xf
	if function&0x80 != 0 {
		return kind, false
	}
	switch kind {
	case typeCommand:
		return kind, function == typeCommand && s.size >= 12 // the only type without random bits
	case typeResend:
		return kind, s.size >= 17
	case typeConfirm, typeNack:
		return kind, s.size == 11 || s.size == 23 // one IPv4 or IPv6 address
	case typeData:
		return kind, true
	case typeFragment:
		return kind, s.size > 3
	}
	return kind, false
}

// evidence adds messages between an endpoint and one peer, either way.
func (d *Detector) evidence(at, peer endKey, messages []sample) {
	e, known := d.endpoints.use(at)
	p := &e.value
	if !known {
		*p = endpoint{}
		d.endpoints.grow(e, int(unsafe.Sizeof(*p)))
	}
	p.meet(peer)
	for i := range messages {
		s := &messages[i]
		p.packets++
		kind, ok := s.plausible()
		if !ok {
			continue
		}
		p.plausible++
		p.types[kind]++
		if kind != typeCommand || p.types[kind] > 0xffff {
			continue
		}
		if p.heads == nil {
			p.heads = new([Groups][16]uint16)
			d.endpoints.grow(e, headsBytes)
		}
		for i, b := range s.head[:s.have] {
			p.heads[2*i][b>>4]++
			p.heads[2*i+1][b&0xf]++
		}
	}
}

func (p *endpoint) meet(peer endKey) {
	if p.known == maxPeers {
		return
	}
	for _, k := range p.peers[:p.known] {
		if k == peer {
			return
		}
	}
	p.peers[p.known] = peer
	p.known++
}

// judgeEndpoint reports an endpoint of enough packets and peers.
func (d *Detector) judgeEndpoint(e *entry[endKey, endpoint]) {
	p := &e.value
	if p.known < minPeers || p.packets < minFrames {
		return
	}
	r := &Result{
		Endpoint: true, Protocol: capture.UDP, Src: e.key.addrPort(), Packets: int64(p.packets), Peers: p.known,
		Class: NotSkype, Verdict: None,
	}
	r.Bayes = d.udp.belief(&beliefs{})
	if p.heads != nil {
		var n Nibbles
		for g := range n {
			for v := range n[g] {
				n[g][v] = uint32(p.heads[g][v])
			}
		}
		r.Chi2 = n.Chi2()
	}
	share := float64(p.plausible) / float64(p.packets)
	vector := r.Chi2[6:14]
	switch {
	case share < minPlausible:
		r.Why = fmt.Sprintf("%.0f %% of the messages have a function byte and a length that fit it; signalling has %.0f %%", 100*share, 100*minPlausible)
	case p.types[typeCommand] < minFrames:
		r.Why = fmt.Sprintf("function bytes fit, but only %d messages are commands; %d are needed", p.types[typeCommand], minFrames)
	default:
		r.Verdict = Signalling
		for i, chi2 := range vector {
			if chi2 >= maxVector || chi2 < minVector {
				r.Verdict = None
				r.Why = fmt.Sprintf("function bytes fit, but the vectors of commands are not random: nibble %d has %.1f", 7+i, chi2)
			}
		}
	}
	if r.Verdict == Signalling {
		peers := fmt.Sprint(p.known)
		if p.known == maxPeers {
			peers += " or more"
		}
		r.Why = fmt.Sprintf("%.0f %% of the messages, with %s peers, have a function byte and a length that fit it (%s), and the vectors of commands look random",
			100*share, peers, p.seen())
	}
	d.found(r)
}

// seen lists the frame types and how often they came.
func (p *endpoint) seen() string {
	var parts []string
	for kind, n := range p.types {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d of type %x", n, kind))
		}
	}
	return strings.Join(parts, ", ")
}
