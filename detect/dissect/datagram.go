package dissect

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/maphash"
	"slices"

	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/wire/frame"
)

// datagram explains a UDP packet.
func (d *Dissector) datagram(p *capture.Packet) {
	if d.isCopy(p) {
		return
	}
	x := Explanation{
		Number: p.Number, Time: p.Time, Protocol: p.Protocol.String(),
		Src: p.Src, Dst: p.Dst, Bytes: p.Length,
	}
	f, err := frame.Parse(p.Payload)
	if err != nil {
		x.Kind = KindOtherUDP
		x.note("no frame: %v", reason(err))
		x.Proven = d.isProven(p) && p.Length == len(p.Payload)
		d.emit(x)
		return
	}
	if p.Length > len(p.Payload) {
		x.note("the capture has %d of its %d bytes", len(p.Payload), p.Length)
	}
	x.Frame = &Frame{ID: hex16(f.ID), Type: uint8(f.Type), Noise: f.Noise}
	switch f.Type {
	case frame.Command, frame.Resend, frame.Fragment:
		d.hidden(p, f, &x)
	case frame.Nack, frame.Confirm:
		d.seen(p, f, &x)
	case frame.Session:
		d.session(p, f, &x)
	}
	x.Proven = d.isProven(p)
	d.emit(x)
}

func (x *Explanation) note(format string, args ...any) {
	x.Notes = append(x.Notes, fmt.Sprintf(format, args...))
}

// hidden explains a frame with commands under the obfuscation.
func (d *Dissector) hidden(p *capture.Packet, f frame.Frame, x *Explanation) {
	x.Frame.CRC = hex32(f.CRC)
	id := uint32(f.ID)
	switch f.Type {
	case frame.Command:
		x.Kind, x.Frame.IV = KindCommand, hex32(f.IV)
	case frame.Resend:
		x.Kind, x.Frame.Challenge, x.Frame.IP = KindResend, hex32(f.Challenge), f.IP
	case frame.Fragment:
		x.Kind, x.Frame.IV = KindFragment, hex32(f.IV)
		x.Frame.Group, x.Frame.Part, x.Frame.Last = hex16(f.Group), int(f.Part), f.Last
		id |= (uint32(f.Part) + 1) << 16
	}
	sent, again := d.exchanges.sent(p, byFrame, id)
	if again != nil {
		d.summary.Resent++
	}
	switch nack := d.exchanges.answers(p, byChecksum, f.Challenge, "repeats the challenge of"); {
	case f.Type == frame.Resend && nack != nil:
		d.prove(p)
		x.Answers = nack
	default:
		// A reply has the frame id of what it answers.
		if x.Answers = d.exchanges.answers(p, byFrame, id, "answers"); x.Answers == nil {
			x.Answers = again
		}
	}
	o, ok := d.opener.open(p, f)
	if !ok {
		x.note("hidden: no addresses that are known open it (%d bytes of commands)", len(f.Body))
		return
	}
	d.prove(p)
	x.Frame.Seed, x.Frame.Key = hex32(o.seed), o.how
	if o.src.IsValid() {
		x.Frame.SeedIP = &[2]string{o.src.String(), o.dst.String()}
	}
	if f.Type == frame.Resend {
		d.opener.tell(p.Dst.Addr(), f.IP)
	}
	plain := o.plain
	if f.Type == frame.Fragment {
		if plain = d.fragment(p, f, plain, x); plain == nil {
			return
		}
	}
	x.Commands = d.commands(p, plain, again != nil)
	if len(x.Commands) > 0 {
		sent.name = x.Commands[0].Name
		// Requests are waited for one by one; of the others a confirm is due.
		sent.expected = x.Commands[0].Kind == kindOneWay
	}
	if slices.ContainsFunc(x.Commands, func(c Command) bool { return c.Answers != nil }) && f.Type != frame.Resend {
		x.Answers = nil // the command says so
	}
}

// fragment puts fragments together, and returns the commands with the last of them.
func (d *Dissector) fragment(p *capture.Packet, f frame.Frame, plain []byte, x *Explanation) []byte {
	f.Body = plain
	whole, err := d.parts.Add(p.Time, p.Src, f)
	switch {
	case errors.Is(err, frame.ErrFull):
		d.parts = newReassembly()
		x.note("too many fragments wait for others; all are given up")
	case err != nil:
		x.note("the fragments contradict each other")
	case whole == nil:
		x.note("%d bytes of commands; other fragments are missing", len(plain))
	default:
		x.note("with it all fragments are there: %d bytes of commands", len(whole))
	}
	return whole
}

// seen explains a nack or a confirm, which tell their receiver how it is seen.
func (d *Dissector) seen(p *capture.Packet, f frame.Frame, x *Explanation) {
	x.Frame.IP = f.IP
	if f.Type == frame.Nack {
		x.Kind, x.Frame.Challenge = KindNack, hex32(f.Challenge)
		x.Answers = d.exchanges.answers(p, byFrame, uint32(f.ID), "could not open")
		d.exchanges.sent(p, byChecksum, f.Challenge)
	} else {
		x.Kind = KindConfirm
		x.Answers = d.exchanges.answers(p, byFrame, uint32(f.ID), "confirms")
	}
	same := f.IP == p.Dst.Addr().Unmap()
	if same {
		d.prove(p)
	}
	if x.Answers != nil || same {
		d.opener.tell(p.Dst.Addr(), f.IP)
	}
	x.note("says: I see you as %v", f.IP)
}

// session explains a D frame: what it holds is sealed, its head is not.
func (d *Dissector) session(p *capture.Packet, f frame.Frame, x *Explanation) {
	if f.KeepAlive {
		x.Kind = KindKeepAlive
		return
	}
	x.Frame.Tag = hex32(f.Tag)
	x.Kind, x.Frame.Counter, x.Media = d.packet(f.Tag, f.Body)
	// A relay changes the tag and the id, and nothing else.
	key := copyKey{hash: maphash.Bytes(d.seed, f.Body)}
	if len(f.Body) < minPassedOn {
		return
	}
	if from, ok := d.passedOn.get(key); ok && from.dst == p.Src {
		x.note("passed on by a relay: the body of %d under another tag", from.number)
	} else {
		d.passedOn.put(key, passed{p.Number, p.Dst})
	}
}

// minPassedOn is a body long enough not to be another's by chance.
const minPassedOn = 16

// packet says what travels under a tag: even ones have session packets, odd ones media.
func (d *Dissector) packet(tag uint32, body []byte) (kind string, counter *uint64, m *Media) {
	if tag&1 == 1 {
		return KindMedia, nil, mediaOf(body)
	}
	if len(body) >= counterSize+minSeal {
		n := binary.BigEndian.Uint64(body)
		counter = &n
	}
	return KindSession, counter, nil
}

// Of a session packet, in either suite.
const (
	counterSize = 8 // in the clear
	minSeal     = 4 // what sealing adds at the least: two CRCs of 16 bits
)

// mediaOf reads the header of RTP, or of RTCP beside it (RFC 5761).
func mediaOf(b []byte) *Media {
	const rtp, rtcp = 12, 8
	if len(b) < rtcp || b[0]>>6 != 2 {
		return nil
	}
	if 192 <= b[1] && b[1] <= 223 {
		return &Media{Protocol: "srtcp", PayloadType: b[1], SSRC: hex32(binary.BigEndian.Uint32(b[4:]))}
	}
	if len(b) < rtp {
		return nil
	}
	return &Media{
		Protocol: "srtp", PayloadType: b[1] & 0x7f, Marker: b[1]&0x80 != 0,
		Sequence: binary.BigEndian.Uint16(b[2:]), Timestamp: binary.BigEndian.Uint32(b[4:]),
		SSRC: hex32(binary.BigEndian.Uint32(b[8:])),
	}
}

// reason is an error without the name of the package that it came from.
func reason(err error) string {
	for _, known := range []struct {
		err  error
		text string
	}{
		{frame.ErrTruncated, "too short for its type"},
		{frame.ErrTooLong, "too long for its type"},
		{frame.ErrType, "no such type"},
		{frame.ErrFamily, "no such family of addresses"},
	} {
		if errors.Is(err, known.err) {
			return known.text
		}
	}
	return err.Error()
}
