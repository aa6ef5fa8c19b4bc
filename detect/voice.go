package detect

import (
	"fmt"

	"github.com/linnet-p2p/linnet/detect/capture"
)

// leastTCPWindows keeps a TCP flow from being a call on one window: that all
// of it looks random says only that it is encrypted or compressed.
const leastTCPWindows = 3

// judgeFlow joins the two classifiers: chi-squared says whether a flow looks
// like Skype, naive Bayes whether it looks like voice.
func (d *Detector) judgeFlow(e *entry[flowKey, flow]) {
	f := &e.value
	r := &Result{
		Protocol: e.key.protocol, Src: e.key.src.addrPort(), Dst: e.key.dst.addrPort(), Packets: f.packets,
		Chi2: f.sums.nibbles.Chi2(), Bayes: d.bayesOf(e.key.protocol).belief(&f.sums.beliefs), Verdict: None, Shape: f.sums.shape,
	}
	if r.Shape != nil {
		r.Shape.Nibbles = f.sums.nibbles
	}
	r.Bayes.Voice = r.Bayes.Windows > 0 && r.Bayes.Belief() > d.options.Belief
	var why string
	r.Class, why = d.chi2.Classify(r.Chi2, f.packets, r.Protocol == capture.TCP)
	switch {
	case r.Class == NotSkype:
		r.Why = why
	case r.Bayes.Windows == 0:
		r.Why = fmt.Sprintf("%s, but too short to tell voice", r.Class.looks())
	case r.Class == OverTCP && !d.options.AsPublished && r.Bayes.Windows < leastTCPWindows:
		r.Why = fmt.Sprintf("%s, and too short to tell a call from other encrypted traffic", r.Class.looks())
	case r.Bayes.Size <= d.options.Belief:
		r.Why = fmt.Sprintf("%s, but the sizes fit no voice codec (%s at best: %.1f, voice is above %g)",
			r.Class.looks(), r.Bayes.Codec, r.Bayes.Size, d.options.Belief)
	case r.Bayes.Gap <= d.options.Belief:
		r.Why = fmt.Sprintf("%s, but the gaps are not those of voice (%.1f, voice is above %g)",
			r.Class.looks(), r.Bayes.Gap, d.options.Belief)
	default:
		r.Verdict = Voice
		r.Why = fmt.Sprintf("%s; sizes fit %s (%.1f) and gaps a voice codec's frames (%.1f), both above %g",
			r.Class.looks(), r.Bayes.Codec, r.Bayes.Size, r.Bayes.Gap, d.options.Belief)
	}
	d.found(r)
}

func (c Class) looks() string {
	switch c {
	case EndToEnd:
		return "all random except byte 3, as calls between two clients"
	case EndToOther:
		return "4 fixed bytes and then random ones, as calls to a gateway"
	}
	return "all random, as Skype over TCP and anything encrypted"
}
