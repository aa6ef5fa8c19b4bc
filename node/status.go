package node

import (
	"time"

	"github.com/linnet-p2p/linnet"
)

// status fills in what is known of a node that somebody is signed in on.
func (s *station) status(now time.Time, out *linnet.Status) {
	out.User, out.Device, out.Node = s.self.User, s.self.Device, s.id
	out.Certificate = s.self.Expires
	out.Online = len(s.overlay.Attachments()) > 0
	out.Trouble = s.trouble
	for _, id := range s.overlay.Attachments() {
		if host, ok := s.overlay.Host(id); ok {
			a := linnet.Attachment{Node: id, Addr: s.overlay.AddrOf(host), RTTMS: linnet.Milliseconds(s.overlay.RTT(id))}
			if routes := s.sessions.Routes(id); len(routes) > 0 && routes[0].Path.Addr.IsValid() {
				a.Addr = routes[0].Path.Addr
			}
			a.By, _ = s.overlay.AttachedBy(id)
			out.Supernodes = append(out.Supernodes, a)
		}
	}
	out.NAT = s.netcheck()
	out.Known = s.overlay.Supernodes()
	slot := s.node.slotOf()(s.self.User)
	out.Slot, out.Block = int(slot), int(slot.Block())
	out.Clients = s.overlay.Clients()
	out.Volunteer = s.volunteerStatus(now)
	if s.member != nil {
		out.Records = s.member.Records()
	}
	for _, c := range s.calls.Calls() {
		if c.State == linnet.CallEnded {
			continue
		}
		s.complete(&c)
		out.Calls = append(out.Calls, c)
	}
}

func (s *station) offlineError() error {
	text := s.trouble
	if text == "" {
		text = "this node is not attached to a supernode yet"
	}
	return &linnet.Error{Code: linnet.CodeNoNetwork, Text: text, Hint: "try again in a moment; `linnet status` shows how it stands"}
}
