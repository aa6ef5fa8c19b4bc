package media

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Figures are what a Line measured since it began.
type Figures struct {
	Sent     uint64 // packets
	Received uint64 // packets, each counted once
	Lost     uint64 // packets that did not come

	Recovered uint64  // frames whose packet did not come, from a later packet
	Missed    uint64  // frames that never came
	Loss      float64 // share of frames that never came: loss after recovery

	Jitter    time.Duration // RFC 3550, section 6.4.1
	RTT       time.Duration // 0: not measured
	Delay     time.Duration // that a player puts on top, so as to miss few frames
	Concealed time.Duration // that a player had to invent: frames that never came, or too late for Delay
	MOS       float64       // 1 to 4.41; 0 when nothing was heard

	FarLoss   float64       // share of packets that the other end lately missed, before recovery
	FarJitter time.Duration // that it sees

	Video VideoFigures

	Forged   uint64 // packets thrown away because nobody with the key made them
	Replayed uint64 // ... because they came before
}

// Receipt is the figures in the words of a call's receipt. Paths and who
// suffered are for the call to add.
func (f Figures) Receipt() linnet.Receipt {
	return linnet.Receipt{
		PacketsSent:     f.Sent,
		PacketsReceived: f.Received + f.Recovered,
		Loss:            f.Loss,
		JitterMS:        linnet.Milliseconds(f.Jitter),
		RTTMS:           linnet.Milliseconds(f.RTT),
		ConcealedMS:     f.Concealed.Milliseconds(),
		MOS:             f.MOS,
	}
}

// Message is the figures as the other end is told them after a call.
func (f Figures) Message(call linnet.CallID) message.CallReceipt {
	return message.CallReceipt{
		Call:     call,
		Sent:     uint32(f.Sent),
		Received: uint32(f.Received + f.Recovered),
		LossPPM:  uint32(f.Loss * 1e6),
		JitterUS: uint32(f.Jitter.Microseconds()),
		RTTUS:    uint32(f.RTT.Microseconds()),
		MOS100:   uint32(f.MOS*100 + .5),
	}
}

// Suffered says at which ends a call was poor; a MOS of 0 is unknown, and good
// enough.
func Suffered(here, there float64) linnet.Side {
	poor := func(mos float64) bool { return mos > 0 && mos < Poor }
	switch {
	case poor(here) && poor(there):
		return linnet.BothSides
	case poor(here):
		return linnet.ThisSide
	case poor(there):
		return linnet.OtherSide
	}
	return linnet.NoSide
}

// heard sums up streams whose clocks may differ.
type heard struct {
	received, lost, forged, replayed uint64
	given, recovered, missed, gaps   uint64
	late                             uint64
	concealed                        time.Duration
}

func (h *heard) add(r *Receiver) {
	c := &r.counts
	h.received += c.received
	h.lost += r.lost()
	h.forged += c.forged
	h.replayed += c.replayed
	h.given += c.given
	h.recovered += c.recovered
	h.missed += c.missed
	h.gaps += c.gaps
	h.late += c.late
	h.concealed += r.stream.Codec.duration(int64(c.concealed))
}
