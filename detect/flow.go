package detect

import (
	"net/netip"
	"time"
	"unsafe"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// A flow is one direction of a 5-tuple. It ends with silence.
const (
	udpSilence = 20 * time.Second
	tcpSilence = 5 * time.Minute
)

// captureEcho is how soon the second copy of a message follows that was
// captured twice.
const captureEcho = 5 * time.Millisecond

type endKey struct {
	addr [16]byte
	port uint16
}

func endOf(a netip.AddrPort) endKey { return endKey{a.Addr().As16(), a.Port()} }

func (k endKey) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom16(k.addr).Unmap(), k.port)
}

type flowKey struct {
	src, dst endKey
	protocol capture.Protocol
}

// sample is what is kept of a message until its window is full.
type sample struct {
	time int64 // ns
	size uint32
	have uint8 // bytes of head that there were
	head [8]byte
}

type flow struct {
	packets int64
	last    int64    // ns
	tail    [8]byte  // of the message before
	window  []sample // not counted anywhere yet
	sums    *sums    // of earlier windows; nil for most flows, which are short
}

// sums is what is left of full windows.
type sums struct {
	nibbles Nibbles
	beliefs beliefs
	shape   *Histogram
}

const (
	sampleBytes = int(unsafe.Sizeof(sample{}))
	sumsBytes   = int(unsafe.Sizeof(sums{}))
	shapeBytes  = int(unsafe.Sizeof(Histogram{}))
)

func (d *Detector) add(p *capture.Packet) {
	now := p.Time.UnixNano()
	key := flowKey{endOf(p.Src), endOf(p.Dst), p.Protocol}
	e, known := d.flows.use(key)
	silence := udpSilence
	if p.Protocol == capture.TCP {
		silence = tcpSilence
	}
	if known && now-e.value.last > int64(silence) {
		d.flows.remove(e)
		e, _ = d.flows.use(key)
	}
	f := &e.value
	s := sample{time: now, size: uint32(p.Length)}
	s.have = uint8(copy(s.head[:], p.Payload))
	var tail [8]byte
	copy(tail[:], p.Payload[max(0, len(p.Payload)-8):])
	if !d.options.AsPublished && f.again(&s, tail) {
		return
	}
	f.packets++
	f.last, f.tail = now, tail
	before := cap(f.window)
	f.window = append(f.window, s)
	d.flows.grow(e, (cap(f.window)-before)*sampleBytes)
	if len(f.window) == Window {
		if f.sums == nil {
			d.flows.grow(e, d.newSums(f))
		}
		d.udpEvidence(e)
		d.count(e)
		f.window = f.window[:0]
	}
}

// again tells a message that was captured twice, as on two interfaces or at
// both ends: counting it twice would double the statistic of random nibbles.
func (f *flow) again(s *sample, tail [8]byte) bool {
	if len(f.window) == 0 || tail != f.tail || s.time-f.last > int64(captureEcho) {
		return false
	}
	before := &f.window[len(f.window)-1]
	return s.head == before.head && s.size == before.size
}

// newSums returns the bytes that they take.
func (d *Detector) newSums(f *flow) int {
	f.sums = new(sums)
	if !d.options.Histograms {
		return sumsBytes
	}
	f.sums.shape = new(Histogram)
	return sumsBytes + shapeBytes
}

// ended judges a flow that is over, and leaves it ready to be another one.
func (d *Detector) ended(e *entry[flowKey, flow]) {
	f := &e.value
	d.udpEvidence(e)
	if f.packets >= int64(d.options.MinPackets) {
		if f.sums == nil {
			d.newSums(f)
		}
		d.count(e)
		d.judgeFlow(e)
	}
	window := f.window[:0]
	if cap(window) > 4 {
		window = nil
	}
	*f = flow{window: window}
}

// count adds a flow's window to its sums.
func (d *Detector) count(e *entry[flowKey, flow]) {
	f := &e.value
	for i := range f.window {
		s := &f.window[i]
		have := int(s.have)
		if d.chi2.Padding {
			have = len(s.head) // what is missing is zero
		}
		f.sums.nibbles.Add(s.head[:have])
	}
	if len(f.window) == Window {
		d.bayesOf(e.key.protocol).add(&f.sums.beliefs, f.window, d.gaps[:])
	}
	if f.sums.shape != nil {
		f.sums.shape.add(f.window)
	}
}

func (d *Detector) bayesOf(p capture.Protocol) *bayes {
	if p == capture.TCP {
		return d.tcp
	}
	return d.udp
}

// udpEvidence hands a window of UDP messages to the endpoints at both ends.
func (d *Detector) udpEvidence(e *entry[flowKey, flow]) {
	if e.key.protocol == capture.UDP && len(e.value.window) > 0 {
		d.evidence(e.key.src, e.key.dst, e.value.window)
		d.evidence(e.key.dst, e.key.src, e.value.window)
	}
}
