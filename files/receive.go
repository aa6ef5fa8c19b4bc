package files

import (
	"encoding/hex"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Peer is the device at the other end of a session.
type Peer struct {
	Node linnet.NodeID
	User linnet.UserName
}

// Received takes a message of a device; it says false if it is none of files.
func (m *Machine) Received(now time.Time, from Peer, x message.Message) bool {
	switch x.(type) {
	case *message.FileOffer, *message.FileAnswer, *message.FileEnd, *message.FilePause:
		if !m.mayTell(now, from.User) {
			return true // it is said again
		}
	}
	switch x := x.(type) {
	case *message.FileOffer:
		m.offered(now, from, x)
	case *message.FileAnswer:
		m.answered(now, from, x)
	case *message.FileEnd:
		m.ended(now, from, x)
	case *message.FilePause:
		if f := m.of(from, x.File); f != nil && f.State == linnet.FileActive {
			m.pausedThere(now, f, x.On)
		}
	default:
		return false
	}
	return true
}

// mayTell says whether a user is listened to. Nothing is kept of what strangers say, nor
// of how much that is.
func (m *Machine) mayTell(now time.Time, user linnet.UserName) bool {
	if !m.o.Contact(user) {
		return true
	}
	b := m.said[user]
	if b == nil {
		b = new(overlay.Bucket)
		m.said[user] = b
	}
	return b.Take(now, saidRate, saidBurst)
}

// of is a file that a device has a say in, or nil.
func (m *Machine) of(from Peer, id linnet.FileID) *file {
	if f := m.files[id]; f != nil && f.Peer == from.User && f.Device == from.Node {
		return f
	}
	return nil
}

// offered takes an offer, for the first time or again.
func (m *Machine) offered(now time.Time, from Peer, x *message.FileOffer) {
	answer := func(v uint32) {
		m.do(Send{User: from.User, Node: from.Node, Message: &message.FileAnswer{File: x.File, Verdict: v}})
	}
	if f := m.files[x.File]; f != nil {
		if f := m.of(from, x.File); f != nil && f.Incoming {
			m.offeredAgain(now, f, answer)
		}
		return
	}
	switch {
	case !m.o.Contact(from.User):
		answer(message.FileStranger)
		return
	case x.Size > linnet.MaxFile:
		answer(message.FileDeclined)
		return
	case m.count(func(f *file) bool { return f.asked() && f.Peer == from.User }) >= maxAskedOf, m.count((*file).asked) >= maxAsked,
		len(m.open) >= maxOpen:
		answer(message.FileTooMany)
		return
	}
	f := &file{Kept: Kept{
		File: linnet.File{
			ID: x.File, Peer: from.User, Incoming: true, Name: SafeName(x.Name), Size: int64(x.Size), SHA256: hex.EncodeToString(x.Sum[:]),
			Told: true, Offered: now,
		},
		Device: from.Node, Sum: x.Sum, Tree: x.Tree,
	}}
	m.add(f)
	m.do(Save{Kept: f.Kept})
	answer(message.FileSeen)
	m.tell(f, linnet.EventFileOffered)
}

func (f *file) asked() bool { return f.Incoming && f.State == linnet.FileOffered }

// offeredAgain tells a sender who has forgotten, or was away, how a file stands.
func (m *Machine) offeredAgain(now time.Time, f *file, answer func(uint32)) {
	switch f.State {
	case linnet.FileOffered:
		answer(message.FileSeen)
	case linnet.FileActive:
		answer(message.FileAccepted)
		if f.PausedHere {
			m.do(Send{User: f.Peer, Node: f.Device, Message: &message.FilePause{File: f.ID, On: true}})
		}
		if f.PausedThere {
			m.pausedThere(now, f, false)
		}
		f.retries, f.retryAt = 0, now
	case linnet.FileDeclined:
		answer(message.FileDeclined)
	case linnet.FileDone:
		m.sendEnd(f, message.FileComplete)
	case linnet.FileFailed:
		m.sendEnd(f, message.FileBroken)
	default:
		m.sendEnd(f, message.FileCancelled)
	}
}

func (m *Machine) sendEnd(f *file, reason uint32) {
	if !f.Device.IsZero() {
		m.do(Send{User: f.Peer, Node: f.Device, Message: &message.FileEnd{File: f.ID, Reason: reason}})
	}
}

func (m *Machine) pausedThere(now time.Time, f *file, on bool) {
	if f.PausedThere == on {
		return
	}
	f.PausedThere = on
	m.paused(now, f, on)
}

// paused stops a file, or lets it go on.
func (m *Machine) paused(now time.Time, f *file, on bool) {
	f.Why, f.Code = "", ""
	if on {
		m.stop(f)
	} else {
		f.retries, f.retryAt = 0, now
	}
	m.changed(f)
}

// ended takes the end of a file from the other side.
func (m *Machine) ended(now time.Time, from Peer, x *message.FileEnd) {
	f := m.files[x.File]
	if f == nil || f.Peer != from.User || f.State.Final() || !f.Device.IsZero() && f.Device != from.Node {
		return
	}
	switch {
	case x.Reason == message.FileComplete && !f.Incoming && f.State == linnet.FileActive:
		m.end(now, f, linnet.FileDone, "", "")
	case x.Reason == message.FileElsewhere && f.Incoming:
		m.end(now, f, linnet.FileCancelled, "", "another of your devices took it")
	case x.Reason == message.FileBroken:
		m.end(now, f, linnet.FileFailed, linnet.CodeBadFile, "what arrived is not what was offered: the file changed meanwhile")
	case x.Reason == message.FileCancelled:
		m.end(now, f, linnet.FileCancelled, "", string(f.Peer)+" cancelled it")
	}
}

// Answer says yes or no to an offer. part is where the bytes are to go.
func (m *Machine) Answer(now time.Time, id linnet.FileID, yes bool, part string) error {
	f := m.files[id]
	switch {
	case f == nil || !f.Incoming:
		return ErrUnknown
	case f.State != linnet.FileOffered:
		return ErrAnswered
	case !yes:
		m.end(now, f, linnet.FileDeclined, "", "")
		m.do(Send{User: f.Peer, Node: f.Device, Message: &message.FileAnswer{File: id, Verdict: message.FileDeclined}, Open: true})
		return nil
	}
	f.State, f.Part = linnet.FileActive, part
	f.retries, f.retryAt = 0, now
	m.changed(f)
	m.Tick(now)
	return nil
}

// Pause stops a file for a while, or lets it go on.
func (m *Machine) Pause(now time.Time, id linnet.FileID, on bool) error {
	f := m.files[id]
	switch {
	case f == nil:
		return ErrUnknown
	case f.State != linnet.FileActive:
		return ErrState
	}
	f.PausedHere = on
	m.paused(now, f, on)
	m.do(Send{User: f.Peer, Node: f.Device, Message: &message.FilePause{File: id, On: on}})
	if !on && !f.Incoming {
		m.offer(now, f.Peer)
	}
	m.Tick(now)
	return nil
}

// Cancel ends a file.
func (m *Machine) Cancel(now time.Time, id linnet.FileID) error {
	f := m.files[id]
	switch {
	case f == nil:
		return ErrUnknown
	case f.State.Final():
		return ErrState
	}
	m.end(now, f, linnet.FileCancelled, "", "")
	m.sendEnd(f, message.FileCancelled)
	m.tellOthers(f, message.FileCancelled)
	return nil
}

// Progress says how many bytes of a file the receiver has, verified and kept as such
// (SetProgress of package store: nobody is shown more than a crash leaves), or how many
// were sent, and by which path.
func (m *Machine) Progress(now time.Time, id linnet.FileID, done, bps int64, path linnet.PathKind) {
	f := m.files[id]
	if f == nil || f.State != linnet.FileActive || f.PausedHere || f.PausedThere || f.Incoming && !f.fetching {
		return
	}
	begins := !f.Flows
	f.Done, f.BPS, f.Path, f.Flows = min(done, f.Size), bps, path, true
	if f.Incoming {
		f.retries = 0
	}
	if !f.Incoming && now.Sub(f.saved) >= saveEvery {
		f.saved = now
		m.do(Save{Kept: f.Kept})
	}
	if begins || now.Sub(f.told) >= tellEvery {
		f.told = now
		m.tell(f, linnet.EventFileProgress)
	}
}

// Place says where a file that is complete will be: that is kept before it is put there,
// so that it is put there once.
func (m *Machine) Place(id linnet.FileID, place string) error {
	f := m.files[id]
	if f == nil || f.State != linnet.FileActive {
		return ErrState
	}
	f.File.Place = place
	m.do(Save{Kept: f.Kept})
	return nil
}
