package message

import "github.com/linnet-p2p/linnet"

// StoreRecord hands a signed device record to the own supernode, or from there
// to a member of the user's slot (command 12).
type StoreRecord struct {
	Record  []byte `obj:"4/b"`        // directory.Record, signed by the device
	Unknown uint32 `obj:"0/1f"`       // always 1 in captures
	Member  bool   `obj:"0/4000,opt"` // from a supernode to a member: keep it, ask nobody
}

// Stored answers StoreRecord.
type Stored struct {
	Sequence uint64 `obj:"1/1"` // of the newest record held for this device
	Copies   uint32 `obj:"0/2"` // members that keep it, the answerer included
}

// Search asks for users by conditions (command 14). An exact user is one Term
// {name, OpEqual, FieldUser} and Wanted FieldUser, FieldRecord.
type Search struct {
	Terms  []Term   `obj:"5/0"`
	Wanted []uint32 `obj:"6/1"`
	Member bool     `obj:"0/4000,opt"` // from a supernode to a member: answer from your own store
	Fresh  bool     `obj:"0/4001,opt"` // the last answer led nowhere: not from a cache
	Elder  bool     `obj:"0/4002,opt"` // from a newcomer to a member that was there before: ask nobody else
}

// Term is one condition of a Search.
type Term struct {
	Text     string  `obj:"3/0,opt"`
	Number   *uint32 `obj:"0/0,opt"`
	Operator uint32  `obj:"0/1"`
	Field    uint32  `obj:"0/2"`
}

// Operators and fields of a Term (W5, command 14).
const (
	OpEqual   = 0
	OpAtLeast = 1

	FieldRecord = 11
	FieldTime   = 15
	FieldUser   = 16
)

// SearchResult answers Search (command 15).
type SearchResult struct {
	Hits   []Hit    `obj:"5/0,opt"`
	Done   uint32   `obj:"0/1"`        // 1: this is all
	Absent [][]byte `obj:"4/4000,opt"` // directory.Absence of each member that has nothing, signed
}

// Hit is one record of a SearchResult; its ids are the wanted fields.
type Hit struct {
	Record []byte          `obj:"4/b"`
	User   linnet.UserName `obj:"3/10"`
}
