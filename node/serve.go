package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"sync/atomic"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/files/disk"
)

// acceptBulk serves those who fetch files, until ctx ends.
func (s *station) acceptBulk(ctx context.Context, t *trunk) {
	for {
		conn, err := t.Accept(ctx)
		if err != nil {
			return
		}
		s.keepWide(conn)
		s.node.beside(func(context.Context) {
			defer conn.Close()
			for {
				stream, err := conn.AcceptStream(ctx)
				if err != nil {
					return
				}
				s.node.beside(func(context.Context) { s.serve(ctx, conn, stream) })
			}
		})
	}
}

// serve answers one request.
func (s *station) serve(ctx context.Context, conn *bulk.Conn, stream *quic.Stream) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	stream.SetDeadline(time.Now().Add(answerIn))
	var head [files.RequestSize]byte
	if _, err := io.ReadFull(stream, head[:]); err != nil {
		stream.CancelWrite(0)
		return
	}
	r, err := files.ParseRequest(head[:])
	if err != nil {
		stream.CancelWrite(0)
		return
	}
	job := &errand{stop: stop}
	k, status := s.serves(ctx, conn.Peer, r, job)
	if status == files.Ready {
		defer s.served(r.File, job)
	}
	var trouble *linnet.Error
	switch {
	case status != files.Ready:
		stream.Write([]byte{status})
	case r.Want == files.WantTree:
		trouble = s.serveTree(ctx, stream, k)
	default:
		trouble = s.serveBytes(ctx, conn, stream, k, r.From)
	}
	stream.Close()
	if trouble != nil {
		s.node.must(func(now time.Time) {
			if s.node.station == s {
				s.files.machine.Served(k.ID, trouble)
			}
		})
	}
}

// serves asks whether a file is to be had.
func (s *station) serves(ctx context.Context, peer linnet.NodeID, r files.Request, job *errand) (k files.Kept, status byte) {
	status = files.Unknown
	s.node.do(ctx, func(time.Time) { // a node that stops knows of nothing
		cert := s.sessions.Certificate(peer)
		if s.node.station != s || cert == nil {
			return
		}
		if k, status = s.files.machine.Serve(files.Peer{Node: peer, User: cert.User}, r.File); status != files.Ready {
			return
		}
		if r.From > k.Size {
			status = files.Unknown
			return
		}
		if s.files.serving[r.File] == nil {
			s.files.serving[r.File] = make(map[*errand]struct{})
		}
		for before := range s.files.serving[r.File] { // what it left, or does not read: one is enough
			before.stop()
		}
		s.files.serving[r.File][job] = struct{}{}
	})
	return k, status
}

func (s *station) served(id linnet.FileID, job *errand) {
	s.node.must(func(time.Time) {
		delete(s.files.serving[id], job)
		if len(s.files.serving[id]) == 0 {
			delete(s.files.serving, id)
			if s.node.station == s {
				s.files.machine.Served(id, nil)
			}
		}
	})
}

// serveTree sends the hashes of the pieces.
func (s *station) serveTree(ctx context.Context, stream *quic.Stream, k files.Kept) *linnet.Error {
	pieces, err := s.node.store.Pieces(ctx, k.ID)
	if err != nil || len(pieces) != files.Pieces(k.Size)*sha256.Size {
		stream.Write([]byte{files.Unreadable})
		return &linnet.Error{Code: linnet.CodeDisk, Text: "what is known of the file cannot be read", Hint: "cancel, and send it again", Err: err}
	}
	stream.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { stream.CancelWrite(0) })()
	stream.Write(append([]byte{files.Ready}, pieces...)) // who left comes back
	return nil
}

// serveBytes sends the file from a byte on.
func (s *station) serveBytes(ctx context.Context, conn *bulk.Conn, stream *quic.Stream, k files.Kept, from int64) *linnet.Error {
	f, err := disk.OpenSource(k.File.Place, k.Size, k.Modified)
	if err != nil {
		stream.Write([]byte{files.Unreadable})
		e, _ := errors.AsType[*linnet.Error](err)
		return e
	}
	defer f.Close()
	stream.SetDeadline(time.Time{})
	defer context.AfterFunc(ctx, func() { stream.CancelWrite(0); stream.CancelRead(0) })()
	if _, err := stream.Write([]byte{files.Ready}); err != nil {
		return nil
	}
	var call atomic.Bool
	s.node.beside(func(context.Context) { // ends with the stream
		var b [1]byte
		for {
			if _, err := io.ReadFull(stream, b[:]); err != nil {
				return
			}
			call.Store(b[0] == 1)
		}
	})
	s.files.senders.Add(1)
	defer s.files.senders.Add(-1)
	var pacer bulk.Pacer
	content := io.NewSectionReader(f, from, k.Size-from)
	buf := make([]byte, 64<<10)
	meter := meter{at: time.Now(), done: from}
	s.report(k.ID, from, 0)
	for sent := from; sent < k.Size; {
		now := time.Now()
		stats := conn.ConnectionStats()
		rate := pacer.Rate(now, bulk.View{
			Call: call.Load() || s.files.talking.Load(), Relayed: s.files.trunk.path(conn.Peer).Relayed(), Limit: float64(s.node.opts.FileRate),
			Share: int(s.files.senders.Load()),
			RTT:   stats.LatestRTT, Sent: stats.PacketsSent, Lost: stats.PacketsLost,
		})
		chunk := buf
		if rate > 0 {
			chunk = buf[:min(max(int(rate/20), 1<<10), len(buf))]
		}
		n, err := content.Read(chunk)
		if err != nil && !errors.Is(err, io.EOF) || n == 0 {
			stream.CancelWrite(0)
			return &linnet.Error{Code: linnet.CodeBadFile, Text: k.File.Place + " cannot be read", Hint: "check it, then resume", Err: err}
		}
		if wait := pacer.After(now, rate, n); wait > 0 {
			select {
			case <-time.After(wait):
			case <-ctx.Done():
				return nil
			}
		}
		if _, err := stream.Write(chunk[:n]); err != nil {
			return nil // who left comes back
		}
		sent += int64(n)
		if now := time.Now(); now.Sub(meter.at) >= reportEvery {
			s.report(k.ID, sent, meter.bps(now, sent))
		}
	}
	return nil
}
