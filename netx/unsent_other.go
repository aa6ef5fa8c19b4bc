//go:build !linux

package netx

import "net"

// boundUnsent leaves the system its own ways.
func boundUnsent(net.Conn) {}
