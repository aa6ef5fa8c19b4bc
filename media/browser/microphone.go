package browser

import (
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

// microphone is what is known of the stream that comes from the browser, for
// the reports to it. The loss in them is the far end's: none happens on this hop.
type microphone struct {
	ssrc       uint32
	packets    uint64
	first      uint32 // extended sequence number
	highest    uint32
	lost       float64 // that the far end did not get, in all
	reported   uint32  // highest at the last report
	lastSR     uint32
	lastSRTime time.Time
}

func (m *microphone) count(p *rtp.Packet) {
	if m.packets == 0 || m.ssrc != p.SSRC {
		*m = microphone{ssrc: p.SSRC, first: uint32(p.SequenceNumber), highest: uint32(p.SequenceNumber)}
		m.reported = m.highest - 1
	}
	m.packets++
	if d := int16(p.SequenceNumber - uint16(m.highest)); d > 0 {
		m.highest += uint32(d)
	}
}

// report is nil before the first packet.
func (m *microphone) report(now time.Time, loss float64) *rtcp.ReceiverReport {
	if m.packets == 0 {
		return nil
	}
	m.lost += loss * float64(m.highest-m.reported)
	m.reported = m.highest
	b := rtcp.ReceptionReport{
		SSRC:               m.ssrc,
		FractionLost:       uint8(min(255, loss*256)),
		TotalLost:          uint32(min(m.lost, 1<<23-1)),
		LastSequenceNumber: m.highest,
	}
	if age := now.Sub(m.lastSRTime); m.lastSR != 0 && age < time.Hour {
		b.LastSenderReport, b.Delay = m.lastSR, uint32(age*(1<<16)/time.Second)
	}
	return &rtcp.ReceiverReport{SSRC: 1, Reports: []rtcp.ReceptionReport{b}}
}
