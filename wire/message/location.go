package message

import (
	"errors"

	"github.com/linnet-p2p/linnet"
)

// A Location says where a node can be reached: its id, and the supernodes that
// it is attached to, best first. Skype's location blob (W5.1) carried IPv4
// addresses; ours names supernodes, whose addresses everybody knows, and gives
// no address of the node itself away.
//
//	version [1]byte   // 1
//	node    [16]byte
//	count   [1]byte   // at most MaxAttachments
//	count times: supernode [16]byte
type Location struct {
	Node       linnet.NodeID
	Supernodes []linnet.NodeID
}

// MaxAttachments is how many supernodes a Location names at the most.
const MaxAttachments = 4

const locationVersion = 1

// ErrLocation says that a blob is no location of a version known here.
var ErrLocation = errors.New("not a location")

// AppendBinary appends the blob to b.
func (l Location) AppendBinary(b []byte) ([]byte, error) {
	if len(l.Supernodes) > MaxAttachments {
		return b, ErrLocation
	}
	b = append(b, locationVersion)
	b = append(b, l.Node[:]...)
	b = append(b, byte(len(l.Supernodes)))
	for _, s := range l.Supernodes {
		b = append(b, s[:]...)
	}
	return b, nil
}

// UnmarshalBinary reads the blob.
func (l *Location) UnmarshalBinary(b []byte) error {
	const id = len(linnet.NodeID{})
	if len(b) < 2+id || b[0] != locationVersion {
		return ErrLocation
	}
	n, rest := int(b[1+id]), b[2+id:]
	if n > MaxAttachments || len(rest) != n*id {
		return ErrLocation
	}
	l.Node = linnet.NodeID(b[1 : 1+id])
	l.Supernodes = make([]linnet.NodeID, n)
	for i := range l.Supernodes {
		l.Supernodes[i] = linnet.NodeID(rest[i*id:])
	}
	return nil
}
