package node

import (
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
)

// warn tells the person whose node it is about trouble that stops nothing.
func (n *Node) warn(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	n.log.Warn(text)
	n.hub.tell(linnet.Event{Kind: linnet.EventWarning, Text: text})
}

// warnPause is how long the same trouble with the disk is not told again.
const warnPause = time.Minute

// warnDisk is warn for what every write may meet as long as a disk is full.
func (n *Node) warnDisk(now time.Time, what string, err error) {
	if now.Sub(n.diskWarned[what]) < warnPause {
		return
	}
	n.diskWarned[what] = now
	n.warn("%s: %v", what, err)
}

// warnCall is warn about trouble that a call goes on with, such as a full disk
// under its recording.
func (n *Node) warnCall(id linnet.CallID, code linnet.Code, err error) {
	n.log.Warn(err.Error(), "call", id)
	about := linnet.CallInfo{CallRecord: linnet.CallRecord{ID: id}}
	n.hub.tell(linnet.Event{Kind: linnet.EventWarning, Call: &about, Text: err.Error(), Code: code})
}
