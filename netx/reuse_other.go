//go:build !linux

package netx

import "net"

// shared does nothing: other systems want to be asked before the port is bound.
func shared(net.Listener) {}
