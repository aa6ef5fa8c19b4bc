package linnet

// A Rung is one way to a supernode's listeners: one rung of the ladder that a
// node climbs until it is on the network. The lowest one that holds is the best.
type Rung uint8

// The rungs.
const (
	RungUDP Rung = iota
	RungTCP      // on the supernode's own port
	RungPort80
	RungPort443 // inside TLS
	NumRungs    = iota
)

var rungNames = [...]string{"udp", "tcp", "tcp-80", "tcp-443"}

// String is the name in JSON.
func (r Rung) String() string { return nameOf(rungNames[:], r, "rung") }

// MarshalText is the text of String.
func (r Rung) MarshalText() ([]byte, error) { return []byte(r.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (r *Rung) UnmarshalText(b []byte) error { return parseName(r, rungNames[:], b, "rung") }

// Port is the port that the rung takes on a machine whose own one is given.
func (r Rung) Port(own uint16) uint16 {
	switch r {
	case RungPort80:
		return 80
	case RungPort443:
		return 443
	}
	return own
}

// Rungs is a set of them.
type Rungs uint8

// RungsOf is the set of the given ones.
func RungsOf(list ...Rung) (s Rungs) {
	for _, r := range list {
		s |= 1 << r
	}
	return s
}

// Has says whether r is in the set.
func (s Rungs) Has(r Rung) bool { return s&(1<<r) != 0 }
