package traverse

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// A Belief is what is held true of how long the NAT keeps a mapping. A supernode that lies
// can make it seem long, by holding the mappings meanwhile. So a longer pause than the usual
// one counts only if a second supernode found one, and then the shorter of theirs.
type Belief struct {
	kept  Kept
	known bool
	alone linnet.NodeID // who alone says so; zero: it need not be borne out, or was
}

// Found takes what a measurement by a supernode found. It says whether another supernode is
// to bear that out.
func (b *Belief) Found(by linnet.NodeID, kept Kept, usual time.Duration) (another bool) {
	if !b.known {
		b.kept, b.known = kept, true
		if kept.KeepAlive() > usual {
			b.alone = by
		}
		return !b.alone.IsZero()
	}
	if kept.AtLeast < b.kept.AtLeast {
		b.kept = kept
	}
	b.alone = linnet.NodeID{}
	return false
}

// Needs says whether a measurement by a supernode would tell anything new.
func (b *Belief) Needs(by linnet.NodeID) bool { return !b.known || !b.alone.IsZero() && b.alone != by }

// Kept is what was found, borne out or not.
func (b *Belief) Kept() (kept Kept, known bool) { return b.kept, b.known }

// KeepAlive is the pause that may be used; zero means the usual one.
func (b *Belief) KeepAlive() time.Duration {
	if !b.known || !b.alone.IsZero() {
		return 0
	}
	return b.kept.KeepAlive()
}
