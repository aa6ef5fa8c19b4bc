package presence

import (
	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A statement is what a letter of kind LetterContact holds: what the user of the
// sending device decided about its receiver, and what contacts get of it.
//
//	0/0 stance (0 none, 1 want, 2 refuse)   1/1 since, when the user decided   1/2 version, rising with each statement of the device
//	5/3 heard: {4/0 NodeID of a device of the receiver, 1/1 the version of its statement that the sender has}, up to 8 times
//	1/9 answers, the since of the receiver that the user knew when he decided
//	4/4 contact key of the device (32), 4/5 pass for the mailbox: with stance 1   3/6 message of the request
//
// Times are milliseconds since 1970. A user's devices tell each other what was
// decided about somebody else by statements with
//
//	3/7 about whom   3/8 how the user calls them   and stance 3, block
//
// One about the user is a new device's, which wants to be told all of that.
type statement struct {
	Stance  uint32          `obj:"0/0"`
	Since   uint64          `obj:"1/1"`
	Version uint64          `obj:"1/2"`
	Heard   []heard         `obj:"5/3,opt"`
	Key     []byte          `obj:"4/4,opt"`
	Pass    []byte          `obj:"4/5,opt"`
	Message string          `obj:"3/6,opt"`
	About   linnet.UserName `obj:"3/7,opt"`
	Name    string          `obj:"3/8,opt"`
	Answers uint64          `obj:"1/9,opt"`
}

type heard struct {
	Node    linnet.NodeID `obj:"4/0"`
	Version uint64        `obj:"1/1"`
}

const (
	maxPassSize = 1 << 10
	maxName     = 200
)

// openStatement reads a statement. What is too large or makes no sense is none.
func openStatement(b []byte) (s statement, ok bool) {
	if message.Unmarshal(b, &s) != nil || len(s.Heard) > maxDevices || len(s.Pass) > maxPassSize ||
		len(s.Message) > linnet.MaxRequest || len(s.Name) > maxName || len(s.Key) != 0 && len(s.Key) != contactKeySize {
		return s, false
	}
	most := stanceRefuse
	if s.About != "" {
		most = stanceBlock
		if user, err := linnet.ParseUserName(string(s.About)); err != nil || user != s.About {
			return s, false
		}
	}
	s.Message = linnet.Line(s.Message)
	return s, s.Version > 0 && stance(s.Stance) <= most
}

// heardOf is the version of a device's statement that the sender has.
func (s *statement) heardOf(node linnet.NodeID) (version uint64) {
	for _, h := range s.Heard {
		if h.Node == node {
			version = max(version, h.Version)
		}
	}
	return version
}
