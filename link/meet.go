package link

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"syscall"
	"time"

	"github.com/linnet-p2p/linnet/netx"
)

// Meet opens a stream from the link's own port to somebody who does the same towards it:
// the first packet of each opens the NAT of its side. The one that came too early was lost,
// or refused, and TCP itself would repeat it after a second; so the connection is tried
// anew after every pace, so many times. Against a listener it is an ordinary Dial. If the
// other side came in by the listener meanwhile there is no stream (0), and no error.
func (l *Link) Meet(ctx context.Context, addr netip.AddrPort, pace time.Duration, tries int) (stream uint64, err error) {
	for range tries {
		attempt, cancel := context.WithTimeout(ctx, pace)
		conn, failed := netx.DialFrom(attempt, l.o.Net, l.addr, addr)
		err = failed
		switch {
		case err == nil:
			stream, err = l.enter(ctx, conn, door{dialled: true})
		case errors.Is(err, syscall.EADDRNOTAVAIL): // the two are connected
			err = nil
		case errors.Is(err, netx.ErrReuse):
		default:
			<-attempt.Done()
			cancel()
			continue
		}
		cancel()
		break
	}
	if err != nil {
		return 0, fmt.Errorf("link: meet %v: %w", addr, err)
	}
	return stream, nil
}
