package detect

import (
	"cmp"
	"net/netip"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// Options configures a Detector. The zero value is the corrected method.
type Options struct {
	AsPublished bool    // the method of 2007 with its printed thresholds
	Chi2        float64 // most chi-squared of a random nibble; 0 means 45, as published 150 for all three thresholds
	Belief      float64 // least belief of a voice flow; 0 means -5
	MinPackets  int     // of a flow that is judged; 0 means 100, below 80 chi-squared means little
	MaxMemory   int     // bytes for flows and endpoints together; 0 means 16 MiB
	Histograms  bool    // keep sizes and gaps of flows, for a report
}

// Verdict is what a flow or an endpoint is taken for.
type Verdict string

// The verdicts.
const (
	None       Verdict = "none"
	Voice      Verdict = "skype-voice"
	Signalling Verdict = "skype-signalling"
)

// Result is what was found out about one direction of a flow, or about an
// endpoint, a UDP address and port with all that it sent and received.
type Result struct {
	Endpoint bool
	Protocol capture.Protocol
	Src, Dst netip.AddrPort // an endpoint has no Dst
	Packets  int64          // with payload
	Peers    int            // of an endpoint, counted up to maxPeers
	Class    Class          // by the chi-squared classifier
	Chi2     [Groups]float64
	Bayes    Belief // of flows only
	Verdict  Verdict
	Why      string     // in words
	Shape    *Histogram // of flows, with Options.Histograms
}

// A Detector judges the packets of one capture. It is not for concurrent use.
type Detector struct {
	chi2      ChiSquared
	udp, tcp  *bayes
	options   Options
	found     func(*Result)
	flows     table[flowKey, flow]
	endpoints table[endKey, endpoint]
	gaps      [Window - 1]float64 // scratch
}

// New makes a Detector that hands every result to found: a flow of enough
// packets when it ends or has to make room, an endpoint of enough packets and
// peers at the end.
func New(o Options, found func(*Result)) *Detector {
	o.Belief = cmp.Or(o.Belief, minBelief)
	o.MinPackets = cmp.Or(o.MinPackets, 100)
	o.MaxMemory = cmp.Or(o.MaxMemory, 16<<20)
	d := &Detector{options: o, found: found}
	if o.AsPublished {
		d.chi2, d.udp, d.tcp = Published(cmp.Or(o.Chi2, 150)), share(publishedBayes), share(publishedBayes)
	} else {
		d.chi2, d.udp, d.tcp = Corrected(cmp.Or(o.Chi2, 45)), share(correctedUDP), share(correctedTCP)
	}
	d.flows.limit, d.flows.evicted = o.MaxMemory*3/4, d.ended
	d.endpoints.limit, d.endpoints.evicted = o.MaxMemory/4, d.judgeEndpoint
	return d
}

// Add takes the next packet of the capture.
func (d *Detector) Add(p *capture.Packet) {
	if p.Length > 0 {
		d.add(p)
	}
}

// Close judges what is still open. The Detector is not to be used afterwards.
func (d *Detector) Close() {
	d.flows.drain()
	d.endpoints.drain()
}
