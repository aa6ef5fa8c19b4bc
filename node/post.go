package node

import (
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A correspondent is a machine that writes letters.
type correspondent interface {
	Found(now time.Time, user linnet.UserName, devices []post.Device, err error)
	Prekeys(now time.Time, user linnet.UserName, list []*directory.Prekey, err error)
	MailPut(now time.Time, ticket uint64, err error)
	Unreachable(now time.Time, node linnet.NodeID)
}

// maxForwarded is less than what supernodes forward in one piece.
const maxForwarded = 4000

// postEffect carries out what a correspondent wants.
func (s *station) postEffect(now time.Time, m correspondent, e any) {
	switch e := e.(type) {
	case post.LookUp:
		s.lookUp(now, e.User, true, func(now time.Time, l linnet.Listing, err error) {
			var devices []post.Device
			for _, d := range l.Devices {
				devices = append(devices, post.Device{Node: d.Node, Reachable: d.Online})
			}
			m.Found(now, e.User, devices, err)
		})
	case post.Forward:
		if _, known := s.places.get(e.To); !known {
			m.Unreachable(now, e.To)
			return
		}
		if e.Inner == message.InnerLetter && (len(e.Body) > maxForwarded || s.sessions.Up(e.To)) {
			s.say(now, e.To, &message.Letter{Box: e.Body})
			return
		}
		s.forward(now, e.To, e.Inner, e.Body)
	case post.AskPrekeys:
		s.mail.ask(s.mail.client.Prekeys(now, e.User), func(now time.Time, d directory.MailDone) { m.Prekeys(now, e.User, d.Prekeys, d.Err) })
	case post.PutMail:
		s.mail.ask(s.mail.client.Put(now, e.To, e.Device, e.Box, e.Pass), func(now time.Time, d directory.MailDone) { m.MailPut(now, e.Ticket, d.Err) })
	case post.RemoveMail:
		s.mail.ask(s.mail.client.Remove(now, e.IDs), func(time.Time, directory.MailDone) {}) // what is left is found again
	case post.LeaveMail:
		s.people.machine.Left(e.ID)
	}
}
