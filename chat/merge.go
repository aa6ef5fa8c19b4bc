package chat

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// Merge is what two copies of a message say together. It is the same in whatever
// order copies come, and however often: what was sent first stays, the last edit
// counts, a deletion is final, and the state rises. A copy of somebody else than
// the author changes nothing.
func Merge(a, b linnet.Message) (m linnet.Message, changed bool) {
	m = a
	if b.ID != a.ID || b.User != a.User || b.Author != a.Author {
		return m, false
	}
	if later(b, a) {
		m.Text, m.Edited = b.Text, b.Edited
		changed = true
	}
	if b.State > m.State {
		m.State = b.State
		changed = true
	}
	if d := b.Deleted; !d.IsZero() && (a.Deleted.IsZero() || d.Before(a.Deleted)) {
		m.Deleted = d
		changed = true
	}
	if !m.Deleted.IsZero() {
		m.Text, m.Data, m.Edited = "", nil, time.Time{}
	}
	return m, changed
}

// later says that b is an edit after a. Two devices of the author may edit at the
// same time: then the text decides.
func later(b, a linnet.Message) bool {
	switch c := b.Edited.Compare(a.Edited); {
	case !a.Deleted.IsZero() || !b.Deleted.IsZero():
		return false
	case c == 0:
		return !b.Edited.IsZero() && b.Text > a.Text
	default:
		return c > 0
	}
}

// MergeReaction is which of two reactions of one person to one message counts.
func MergeReaction(a, b linnet.Reaction) linnet.Reaction {
	if c := b.Time.Compare(a.Time); c > 0 || c == 0 && b.Emoji > a.Emoji {
		return b
	}
	return a
}
