package link

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	upstreamBytes = 128 << 10 // about a second of 1 Mbit/s, and less than maxQueue
	upstreamPiece = 16 << 10
)

// Upstream measures how fast this host can send to another node, in bit/s: it
// opens a stream, sends 128 KiB of padding and then ask, and waits for the reply,
// which comes when all is there. TCP begins slowly, so that a fast line seems
// slower than it is and never faster.
func (l *Link) Upstream(ctx context.Context, addr netip.AddrPort, ask message.Message) (int, error) {
	id, err := l.Dial(ctx, addr)
	if err != nil {
		return 0, err
	}
	defer l.Close(id)
	// The first reply says how long one takes by itself.
	begin := time.Now()
	if _, err := l.RequestStream(ctx, id, ask); err != nil {
		return 0, err
	}
	alone := time.Since(begin)
	s := l.stream(id)
	if s == nil {
		return 0, fmt.Errorf("link: measure upstream: %w", ErrStream)
	}
	begin = time.Now()
	for sent := 0; sent < upstreamBytes; sent += upstreamPiece {
		if err := s.send(frame.Record{Kind: frame.Padding, Body: random(upstreamPiece)}); err != nil {
			return 0, fmt.Errorf("link: measure upstream: %w", err)
		}
	}
	if _, err := l.RequestStream(ctx, id, ask); err != nil {
		return 0, err
	}
	took := max(time.Since(begin)-alone, time.Millisecond)
	return int(8 * upstreamBytes * time.Second / took), nil
}
