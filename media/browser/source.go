package browser

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// A source is what is known of a stream that comes from the browser, for the
// reports to it. The loss in them is the far end's: none happens on this hop.
//
// Only the share of the last second tells of loss, and the sum does not: the browser
// takes its encoders' repair from the one, and the rate of all that it sends from the other.
type source struct {
	ssrc       uint32
	packets    uint64
	highest    uint32 // extended sequence number
	lastSR     uint32
	lastSRTime time.Time
}

func (m *source) count(p *rtp.Packet) {
	if m.packets == 0 || m.ssrc != p.SSRC {
		*m = source{ssrc: p.SSRC, highest: uint32(p.SequenceNumber)}
	}
	m.packets++
	if d := int16(p.SequenceNumber - uint16(m.highest)); d > 0 {
		m.highest += uint32(d)
	}
}

// heard takes a report of the browser about what it sent.
func (m *source) heard(now time.Time, packets []rtcp.Packet) {
	for _, p := range packets {
		if sr, ok := p.(*rtcp.SenderReport); ok && sr.SSRC == m.ssrc {
			m.lastSR, m.lastSRTime = uint32(sr.NTPTime>>16), now
		}
	}
}

// report is nil before the first packet.
func (m *source) report(now time.Time, loss float64) *rtcp.ReceiverReport {
	if m.packets == 0 {
		return nil
	}
	b := rtcp.ReceptionReport{
		SSRC:               m.ssrc,
		FractionLost:       uint8(min(255, loss*256)),
		LastSequenceNumber: m.highest,
	}
	if age := now.Sub(m.lastSRTime); m.lastSR != 0 && age < time.Hour {
		b.LastSenderReport, b.Delay = m.lastSR, uint32(age*(1<<16)/time.Second)
	}
	return &rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{b}}
}
