package dissect

import (
	"net/netip"
	"time"
)

// Kinds of an Explanation.
const (
	KindCommand    = "command"    // a UDP frame of commands
	KindResend     = "resend"     // the same after a nack
	KindConfirm    = "confirm"    //
	KindNack       = "nack"       //
	KindFragment   = "fragment"   //
	KindSession    = "session"    // a session packet, sealed
	KindMedia      = "media"      // SRTP or SRTCP, sealed
	KindKeepAlive  = "keep-alive" //
	KindConnection = "connection" // TCP: begin or end
	KindStream     = "stream"     // TCP: records of a stream
	KindLogin      = "login"      // TCP: records of a classic login
	KindOtherTCP   = "other-tcp"  // TCP: something else, or not to be read
	KindOtherUDP   = "other-udp"  // UDP: no frame
	KindUnanswered = "unanswered" // a request that nothing answered; stands after its time
)

// An Explanation is what one packet means. Fields that do not apply are empty;
// names of JSON are documented in docs/dissect.md and keep their meaning.
type Explanation struct {
	Number   int64          `json:"number"` // of the packet in the capture, as Wireshark counts
	Time     time.Time      `json:"time,omitzero"`
	Kind     string         `json:"kind"`
	Protocol string         `json:"protocol"` // udp or tcp
	Src      netip.AddrPort `json:"src,omitzero"`
	Dst      netip.AddrPort `json:"dst,omitzero"`
	SrcName  string         `json:"src_name,omitempty"`
	DstName  string         `json:"dst_name,omitempty"`
	Bytes    int            `json:"bytes"`  // of the payload
	Proven   bool           `json:"proven"` // certainly of this protocol
	Frame    *Frame         `json:"frame,omitempty"`
	Stream   *Segment       `json:"stream,omitempty"`
	Commands []Command      `json:"commands,omitempty"`
	Media    *Media         `json:"media,omitempty"`
	Answers  *Link          `json:"answers,omitempty"` // the packet that this one answers, confirms or repeats
	Notes    []string       `json:"notes,omitempty"`
}

// Frame is the part of a datagram that is in the clear.
type Frame struct {
	ID        string     `json:"id"`                  // 4 hexadecimal digits
	Type      uint8      `json:"type"`                // 2, 3, 5, 7, 13 or 15
	Noise     uint8      `json:"noise"`               // bits 4 to 6 of the type byte
	IV        string     `json:"iv,omitempty"`        // command, fragment
	CRC       string     `json:"crc,omitempty"`       // of the plain body: command, resend, fragment
	Challenge string     `json:"challenge,omitempty"` // nack, resend
	IP        netip.Addr `json:"ip,omitzero"`         // nack, confirm: where its sender sees its receiver; resend: whom it goes to
	Group     string     `json:"group,omitempty"`     // fragment
	Part      int        `json:"part,omitempty"`      // fragment
	Last      bool       `json:"last,omitempty"`      // fragment
	Tag       string     `json:"tag,omitempty"`       // session, media
	Counter   *uint64    `json:"counter,omitempty"`   // session packet: its number

	Seed   string     `json:"seed,omitempty"`    // of RC4, where it was found
	Key    string     `json:"key,omitempty"`     // what the seed was made of
	SeedIP *[2]string `json:"seed_ip,omitempty"` // command, fragment: public addresses of sender and receiver in the seed
}

// Media is the header of an SRTP or SRTCP packet, which is in the clear.
type Media struct {
	Protocol    string `json:"protocol"` // srtp or srtcp
	PayloadType uint8  `json:"payload_type"`
	Marker      bool   `json:"marker,omitempty"`
	Sequence    uint16 `json:"sequence,omitempty"`
	Timestamp   uint32 `json:"timestamp,omitempty"`
	SSRC        string `json:"ssrc"`
}

// Segment is what a TCP segment added to its stream.
type Segment struct {
	Connection int64    `json:"connection"` // number of the stream in the capture
	Offset     int64    `json:"offset"`     // of the first byte in its direction
	From       string   `json:"from"`       // client or server: who opened the connection, as far as one can tell
	Event      string   `json:"event,omitempty"`
	Opening    *Opening `json:"opening,omitempty"`
	Records    []Record `json:"records,omitempty"`
	Waiting    int      `json:"waiting,omitempty"` // bytes of a record that is not complete
}

// Values of Segment.From.
const (
	fromClient = "client"
	fromServer = "server"
)

// Opening is the first 14 bytes of a direction.
type Opening struct {
	Seed string `json:"seed"`
	Word string `json:"word"`
}

// A Record is one unit of a stream, or of a classic login.
type Record struct {
	Kind     string    `json:"kind"`             // commands, ack, padding, session, media, unknown; hello, hello-answer, visible, sealed
	Bytes    int       `json:"bytes"`            // on the wire
	Packet   string    `json:"packet,omitempty"` // commands, ack
	Tag      string    `json:"tag,omitempty"`    // session, media
	Counter  *uint64   `json:"counter,omitempty"`
	Media    *Media    `json:"media,omitempty"`
	Commands []Command `json:"commands,omitempty"`
	List     string    `json:"list,omitempty"`   // login, visible
	Fields   []Field   `json:"fields,omitempty"` // login, visible
	Answers  *Link     `json:"answers,omitempty"`
	Notes    []string  `json:"notes,omitempty"`
}

// A Link points to an earlier packet.
type Link struct {
	How    string  `json:"how"` // answers, confirms, could not open, repeats, repeats the challenge of, acknowledges
	Number int64   `json:"number"`
	MS     float64 `json:"ms"`             // since then
	What   string  `json:"what,omitempty"` // the command there
	Sent   int     `json:"sent,omitempty"` // how often it was sent until now, if more than once
}
