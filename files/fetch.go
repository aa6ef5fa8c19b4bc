package files

import (
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Refusal is the status that the sender gave instead of a file.
type Refusal byte

func (r Refusal) Error() string { return "the other side does not give the file" }

// ErrMismatch says that what came is not what was offered.
var ErrMismatch = errors.New("what arrived is not what was offered")

// Fetched says how a Fetch ended: with all of the file in its place, or why not. A
// *linnet.Error is trouble with this machine, which the user has to look at; what
// nobody knows better is tried again.
func (m *Machine) Fetched(now time.Time, id linnet.FileID, err error) {
	f := m.files[id]
	if f == nil || !f.fetching {
		return
	}
	f.fetching, f.Flows, f.BPS, f.Path = false, false, 0, linnet.NoPath
	m.fetches--
	if f.State != linnet.FileActive {
		return
	}
	var refusal Refusal
	local, isLocal := errors.AsType[*linnet.Error](err)
	switch {
	case err == nil:
		m.end(now, f, linnet.FileDone, "", "")
		m.sendEnd(f, message.FileComplete)
	case errors.Is(err, ErrMismatch):
		m.end(now, f, linnet.FileFailed, linnet.CodeBadFile, "what arrived is not what was offered: the file changed meanwhile, or one of the two disks is bad")
		m.sendEnd(f, message.FileBroken)
	case errors.As(err, &refusal) && refusal == Unknown:
		m.end(now, f, linnet.FileCancelled, "", string(f.Peer)+" does not offer it any more")
	case errors.As(err, &refusal) && refusal == Paused:
		f.PausedThere = true
		m.changed(f)
	case errors.As(err, &refusal) && refusal == Unreadable:
		f.PausedThere, f.Why, f.Code = true, string(f.Peer)+"'s machine cannot read the file any more", linnet.CodeBadFile
		m.changed(f)
	case isLocal:
		f.PausedHere, f.Code, f.Why = true, local.Code, local.Text
		m.changed(f)
		m.do(Send{User: f.Peer, Node: f.Device, Message: &message.FilePause{File: id, On: true}})
	default:
		f.retryAt = now.Add(min(firstRetry<<min(f.retries, 10), lastRetry))
		f.retries++
		m.tell(f, linnet.EventFileChanged)
	}
	m.Tick(now)
}

// Wake tries files of a user again at once: he, or this device, came online.
func (m *Machine) Wake(now time.Time, user linnet.UserName) {
	for _, f := range m.sorted() {
		if f.Peer != user {
			continue
		}
		if !f.Incoming {
			m.offer(now, user)
			continue
		}
		f.retries, f.retryAt = 0, now
		if f.State == linnet.FileActive && f.PausedThere && now.Sub(f.inquired) >= lastRetry { // or over there: nothing is fetched that would tell
			f.inquired = now
			m.do(Send{User: user, Node: f.Device, Message: &message.FileAnswer{File: f.ID, Verdict: message.FileAccepted}, Open: true})
		}
	}
	m.Tick(now)
}

// Blocked ends all files of a user who is not to be noticed any more.
func (m *Machine) Blocked(now time.Time, user linnet.UserName) {
	for _, f := range m.sorted() {
		if f.Peer == user {
			m.end(now, f, linnet.FileCancelled, "", "")
		}
	}
}
