package node

import (
	"fmt"

	"github.com/linnet-p2p/linnet"
)

// warn tells the person whose node it is about trouble that stops nothing.
func (n *Node) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	n.log.Warn(text)
	n.hub.tell(linnet.Event{Kind: linnet.EventWarning, Text: text})
}

// warnCall is warn about trouble that a call goes on with, such as a full disk
// under its recording.
func (n *Node) warnCall(id linnet.CallID, code linnet.Code, err error) {
	n.log.Warn(err.Error(), "call", id)
	about := linnet.CallInfo{CallRecord: linnet.CallRecord{ID: id}}
	n.hub.tell(linnet.Event{Kind: linnet.EventWarning, Call: &about, Text: err.Error(), Code: code})
}
