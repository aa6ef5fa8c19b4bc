//go:build !linux

package load

import (
	"errors"
	"net"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

// receiver reads a socket beside all else. Packets arrived when it got them.
func (g *generator) receiver(c netx.BatchConn, head int) (func(), error) {
	g.wg.Go(func() {
		for b := make([]byte, netx.MaxTrain); ; {
			n, _, err := c.ReadFrom(b)
			if errors.Is(err, net.ErrClosed) {
				return
			}
			g.came(b[:n], head, time.Now())
		}
	})
	return func() {}, nil
}
