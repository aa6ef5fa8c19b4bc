package files

import (
	"encoding/hex"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Offer begins to offer a file: ID, Peer, Name, Size, Place, Sum, Tree, Spooled and Modified of k are set, and
// pieces are the SHA-256s of its pieces.
func (m *Machine) Offer(now time.Time, k Kept, pieces []byte) error {
	switch {
	case !m.o.Contact(k.Peer):
		return ErrContact
	case len(m.open) >= maxOpen:
		return ErrTooMany
	}
	k.Incoming, k.State, k.Offered, k.SHA256 = false, linnet.FileOffered, now, hex.EncodeToString(k.Sum[:])
	k.File.Name = SafeName(k.File.Name)
	f := &file{Kept: k}
	m.add(f)
	m.do(Save{f.Kept, pieces})
	m.tell(f, linnet.EventFileChanged)
	m.offer(now, k.Peer)
	m.Tick(now)
	return nil
}

// offer has a user's devices looked up, to be offered what there is for him.
func (m *Machine) offer(at time.Time, user linnet.UserName) {
	u := m.users[user]
	if u == nil {
		u = new(offering)
		m.users[user] = u
	}
	if u.at.IsZero() || at.Before(u.at) {
		u.at, u.tries = at, 0
	}
}

// Found says which devices of a user can be reached.
func (m *Machine) Found(now time.Time, user linnet.UserName, devices []linnet.NodeID) {
	u := m.users[user]
	if u == nil {
		return
	}
	u.looking = false
	waits := false
	for _, f := range m.sorted() {
		if f.Incoming || f.Peer != user || f.PausedHere {
			continue
		}
		waits = waits || !f.Told
		for _, device := range devices[:min(len(devices), maxDevices)] {
			if f.Device.IsZero() || f.Device == device {
				m.do(Send{User: user, Node: device, Message: &message.FileOffer{
					File: f.ID, Time: uint64(max(0, f.Offered.UnixMilli())), Name: f.File.Name, Size: uint64(f.Size), Sum: f.Sum, Tree: f.Tree,
				}, Open: true})
			}
		}
	}
	switch {
	case waits && u.at.IsZero():
		u.at = now.Add(min(firstOffer<<min(u.tries, 10), lastOffer))
		u.tries++
	case u.at.IsZero():
		delete(m.users, user)
	}
}

// answered takes what the receiver's device says to an offer.
func (m *Machine) answered(now time.Time, from Peer, x *message.FileAnswer) {
	f := m.files[x.File]
	switch {
	case f == nil || f.Incoming || f.Peer != from.User:
		if x.Verdict == message.FileAccepted {
			m.do(Send{User: from.User, Node: from.Node, Message: &message.FileEnd{File: x.File, Reason: message.FileCancelled}})
		}
		return
	case !f.Device.IsZero() && f.Device != from.Node:
		if x.Verdict == message.FileSeen || x.Verdict == message.FileAccepted {
			m.do(Send{User: from.User, Node: from.Node, Message: &message.FileEnd{File: x.File, Reason: message.FileElsewhere}})
		}
		return
	}
	switch x.Verdict {
	case message.FileSeen:
		if f.State == linnet.FileCancelled || f.State == linnet.FileFailed { // before this was heard
			m.do(Send{User: from.User, Node: from.Node, Message: &message.FileEnd{File: x.File, Reason: message.FileCancelled}})
			return
		}
		if len(f.asking) < maxDevices && !slices.Contains(f.asking, from.Node) {
			f.asking = append(f.asking, from.Node)
		}
		if !f.Told && !f.State.Final() {
			f.Told, f.Why, f.Code = true, "", ""
			m.changed(f)
		}
	case message.FileAccepted:
		switch {
		case f.State == linnet.FileOffered:
			m.accepted(f, from.Node)
		case f.State == linnet.FileCancelled, f.State == linnet.FileFailed:
			m.do(Send{User: from.User, Node: from.Node, Message: &message.FileEnd{File: x.File, Reason: message.FileCancelled}})
		}
		if f.State == linnet.FileActive && f.PausedHere {
			m.do(Send{User: from.User, Node: from.Node, Message: &message.FilePause{File: f.ID, On: true}})
		}
	case message.FileDeclined:
		if f.State == linnet.FileOffered {
			f.Device = from.Node
			m.end(now, f, linnet.FileDeclined, "", "")
			m.tellOthers(f, message.FileElsewhere)
		}
	case message.FileTooMany:
		if f.State == linnet.FileOffered && !f.Told {
			f.Code, f.Why = linnet.CodeBusy, "too many files wait for "+string(f.Peer)+"'s answer; it is offered again later"
			m.changed(f)
		}
	case message.FileStranger:
		switch {
		case f.State != linnet.FileOffered:
		case m.o.Asked != nil && m.o.Asked(f.Peer):
			if f.Code != linnet.CodeRejected { // else he has said so
				f.Code, f.Why = linnet.CodeRejected, string(f.Peer)+" has not said yes to being a contact; it is offered again then"
				m.changed(f)
			}
		default:
			m.end(now, f, linnet.FileFailed, linnet.CodeRejected, string(f.Peer)+" takes files of contacts only, and you are none")
		}
	}
}

// accepted notes which device takes the file.
func (m *Machine) accepted(f *file, device linnet.NodeID) {
	f.State, f.Device, f.Told, f.Why, f.Code = linnet.FileActive, device, true, "", ""
	m.changed(f)
	m.tellOthers(f, message.FileElsewhere)
}

// tellOthers ends a file for the devices that ask their user, but for the one that took it.
func (m *Machine) tellOthers(f *file, reason uint32) {
	for _, node := range f.asking {
		if node != f.Device {
			m.do(Send{User: f.Peer, Node: node, Message: &message.FileEnd{File: f.ID, Reason: reason}, Open: true})
		}
	}
	f.asking = nil
}

// Serve says whether a device that asks for a file gets it, as a status of the stream.
func (m *Machine) Serve(from Peer, id linnet.FileID) (Kept, byte) {
	if f := m.files[id]; f != nil && !f.Incoming && f.Peer == from.User && f.State == linnet.FileOffered {
		m.accepted(f, from.Node) // its answer was lost
	}
	f := m.of(from, id)
	switch {
	case f == nil || f.Incoming || f.State != linnet.FileActive || !m.o.Contact(from.User):
		return Kept{}, Unknown
	case f.PausedHere:
		return Kept{}, Paused
	case f.PausedThere: // who fetches goes on
		f.PausedThere = false
		m.changed(f)
	}
	return f.Kept, Ready
}

// Served says that a file does not flow any more, and what this machine has against it,
// if that is why.
func (m *Machine) Served(id linnet.FileID, trouble *linnet.Error) {
	f := m.files[id]
	if f == nil || f.Incoming || f.State != linnet.FileActive {
		return
	}
	flowed := f.Flows
	f.Flows, f.BPS, f.Path = false, 0, linnet.NoPath
	if trouble != nil {
		f.PausedHere, f.Code, f.Why = true, trouble.Code, trouble.Text
		m.changed(f)
	} else if flowed {
		m.tell(f, linnet.EventFileChanged)
	}
}
