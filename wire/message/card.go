package message

import "github.com/linnet-p2p/linnet"

// StoreCard hands a signed card of the white pages to the own supernode, or from
// there to a member of one of its slots.
type StoreCard struct {
	Card   []byte `obj:"4/0"`        // directory.Card, signed by a device of its user
	Member bool   `obj:"0/4000,opt"` // from a supernode to a member: keep it, ask nobody
}

// CardStored answers StoreCard.
type CardStored struct {
	Edition uint64   `obj:"1/0"`     // of the newest card held for this user
	Copies  uint32   `obj:"0/1"`     // members that keep it, in the slot where they are fewest
	Full    []uint32 `obj:"6/2,opt"` // slots that have no room for it
	Newer   []byte   `obj:"4/3,opt"` // a newer card of the user
}

// SearchCards asks for the cards that have all words of a text.
type SearchCards struct {
	Text   string          `obj:"3/0"`
	Rank   uint32          `obj:"0/1,opt"`    // with After: the last hit that the asker has
	After  linnet.UserName `obj:"3/2,opt"`    // none: from the first
	Part   uint32          `obj:"0/3,opt"`    // with Member: of the index that is asked for
	Member bool            `obj:"0/4000,opt"` // from a supernode to a member: answer from your own store
}

// AskCards asks for the cards of users, where these are newer than the asker knows.
type AskCards struct {
	Users  []KnownCard `obj:"5/0"`
	Text   string      `obj:"3/1,opt"`    // that they were found by: the slots to ask; none: those of their names
	Member bool        `obj:"0/4000,opt"` // from a supernode to a member: answer from your own store
}

// KnownCard is what somebody knows of a user's card.
type KnownCard struct {
	User    linnet.UserName `obj:"3/0"`
	Edition uint64          `obj:"1/1"` // 0: nothing
	Time    uint64          `obj:"1/2"` // milliseconds since 1970
}

// Cards answers SearchCards and AskCards.
type Cards struct {
	Cards   [][]byte        `obj:"4/0,opt"`
	More    bool            `obj:"0/1,opt"` // of a search: there are hits after these
	Partial bool            `obj:"0/2,opt"` // too few members answered to be sure of what is not here
	Rank    uint32          `obj:"0/3,opt"` // with More: where these end
	Last    linnet.UserName `obj:"3/4,opt"`
}
