package node

import (
	"context"
	"net"

	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// What a network's suite decides outside of package suite.

// classic says whether the node's network, which it has, is a classic one.
func (n *Node) classic() bool { return n.network.get().Suite == suite.ClassicName }

// protection is how media is protected.
func (n *Node) protection() media.Protection {
	if n.classic() {
		return media.CTR
	}
	return media.GCM
}

// slotOf says where the records of a user are.
func (n *Node) slotOf() overlay.SlotFunc {
	if n.classic() {
		return overlay.ClassicSlotOf
	}
	return overlay.SlotOf
}

// classicLogin takes connections that begin as a login on a classic network does.
func (s *LoginServer) classicLogin(begin []byte, conn net.Conn) bool {
	if !login.IsClassic(begin) {
		return false
	}
	s.server.ServeClassic(context.Background(), conn) // the link closes the connection when it ends
	return true
}
