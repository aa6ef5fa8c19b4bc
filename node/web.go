package node

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/overlay"
)

// webRungs are the ports of the web on which this node listens.
func (n *Node) webRungs() (s linnet.Rungs) {
	if n.opts.Web.Plain.IsValid() {
		s |= linnet.RungsOf(linnet.RungPort80)
	}
	if n.opts.Web.TLS.IsValid() {
		s |= linnet.RungsOf(linnet.RungPort443)
	}
	return s
}

// webName is the name that a certificate is for, as clients say it to the server:
// no pattern of names. Empty if there is none.
func webName(c *tls.Certificate) string {
	if c == nil || c.Leaf == nil {
		return ""
	}
	for _, name := range c.Leaf.DNSNames {
		if !strings.Contains(name, "*") && len(name) <= overlay.MaxWebName {
			return strings.ToLower(name)
		}
	}
	return ""
}

// listenError says which of a node's ports cannot be had, and what to do.
func listenError(addr netip.AddrPort, err error) error {
	flag := "--listen"
	if e, ok := errors.AsType[*link.ListenError](err); ok {
		addr = e.Addr
		if e.Web {
			flag = "--listen-80 and --listen-443"
		}
	}
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return &linnet.Error{Code: linnet.CodeInUse, Text: fmt.Sprintf("port %d is used by another program", addr.Port()),
			Hint: "stop that one, or choose another port with " + flag, Err: err}
	case errors.Is(err, syscall.EACCES):
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("this user may not listen on port %d", addr.Port()),
			Hint: "give the program the right (setcap cap_net_bind_service=+ep, or AmbientCapabilities in its unit), or choose another port with " + flag, Err: err}
	}
	return fmt.Errorf("open the sockets: %w", err)
}
