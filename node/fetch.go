package node

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/files/disk"
	"github.com/linnet-p2p/linnet/wire/message"
)

const (
	reportEvery = 500 * time.Millisecond // how far a file is; a crash loses no more than that
	lookEvery   = 250 * time.Millisecond // whether there is a call
	answerIn    = 15 * time.Second
	pieceIn     = 5 * time.Minute // or somebody else's turn comes: few files are fetched at once
)

// startFetch gets a file, beside the loop.
func (s *station) startFetch(e files.Fetch) {
	f := &s.files
	id := e.Kept.ID
	ctx, stop := context.WithCancel(f.ctx)
	before := f.work[id] // it was told to stop, and may still be at the part
	job := &errand{stop, make(chan struct{})}
	f.work[id] = job
	s.node.beside(func(context.Context) {
		defer stop()
		if before != nil {
			<-before.done
		}
		err := s.fetch(ctx, e.Kept, e.First)
		close(job.done)
		s.node.must(func(now time.Time) {
			if f.work[id] != job {
				return // it was told to stop, and the next one has begun
			}
			delete(f.work, id)
			if s.node.station == s {
				s.log.Debug("fetched", "file", id, "err", err)
				f.machine.Fetched(now, id, err)
			}
		})
	})
}

// fetch gets the rest of a file and puts it in its place.
func (s *station) fetch(ctx context.Context, k files.Kept, first message.Message) error {
	if disk.Settled(ctx, k.Part, k.File.Place, k.Sum) {
		return nil
	}
	conn, err := s.connectBulk(ctx, k.Peer, k.Device, first)
	if err != nil {
		return fmt.Errorf("connect to %s: %v", k.Peer, err) // no %w: no way there is no trouble with this machine
	}
	defer conn.Close()
	tree, err := fetchTree(ctx, conn, k)
	if err != nil {
		return err
	}
	part, err := disk.OpenPart(ctx, k.Part, k.Size, k.Done, tree)
	if err != nil {
		return err
	}
	defer part.Close()
	if part.Done() < k.Size {
		if err := disk.CheckRoom(ctx, filepath.Dir(k.Part), k.Size-part.Done()); err != nil {
			return err
		}
		if err := s.fetchBytes(ctx, conn, k, part); err != nil {
			return err
		}
	}
	if err := part.Complete(ctx, k.Sum); err != nil {
		return err
	}
	return s.settleFile(ctx, k)
}

// settleFile gives a complete file its name, which is kept before.
func (s *station) settleFile(ctx context.Context, k files.Kept) error {
	place := k.File.Place
	for {
		var err error
		if place == "" {
			if place, err = disk.Free(filepath.Dir(k.Part), k.File.Name); err != nil {
				return err
			}
			if err := s.node.inFiles(ctx, func(_ time.Time, m *files.Machine) error { return m.Place(k.ID, place) }); err != nil {
				return err
			}
		}
		if err = disk.Settle(k.Part, place); !errors.Is(err, fs.ErrExist) {
			return err
		}
		place = "" // somebody was faster
	}
}

// ask opens a stream for a request, and reads the status.
func ask(ctx context.Context, conn *bulk.Conn, r files.Request) (*quic.Stream, error) {
	stream, err := conn.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	stream.SetDeadline(time.Now().Add(answerIn))
	var status [1]byte
	_, err = stream.Write(r.Append(nil))
	if err == nil {
		_, err = io.ReadFull(stream, status[:])
	}
	if err != nil {
		return nil, err
	}
	if status[0] != files.Ready {
		return nil, files.Refusal(status[0])
	}
	stream.SetDeadline(time.Time{})
	return stream, nil
}

// fetchTree gets the hashes of the pieces.
func fetchTree(ctx context.Context, conn *bulk.Conn, k files.Kept) ([]byte, error) {
	stream, err := ask(ctx, conn, files.Request{Want: files.WantTree, File: k.ID})
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { stream.CancelRead(0) })()
	defer stream.Close()
	stream.SetReadDeadline(time.Now().Add(pieceIn))
	tree := make([]byte, files.Pieces(k.Size)*sha256.Size)
	if _, err := io.ReadFull(stream, tree); err != nil {
		return nil, fmt.Errorf("hashes of the pieces: %w", err)
	}
	if sha256.Sum256(tree) != k.Tree {
		return nil, files.ErrMismatch
	}
	return tree, nil
}

// fetchBytes gets what is missing, and tells how far it is.
func (s *station) fetchBytes(ctx context.Context, conn *bulk.Conn, k files.Kept, part *disk.Part) error {
	stream, err := ask(ctx, conn, files.Request{Want: files.WantBytes, File: k.ID, From: part.Done()})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer context.AfterFunc(ctx, func() { stream.CancelRead(0) })()
	told := make(chan struct{})
	go func() {
		defer close(told)
		s.tellCalls(ctx, stream)
	}()
	defer func() {
		stop()
		<-told
		stream.Close()
	}()
	meter := meter{at: time.Now(), done: part.Done()}
	keep := func(bps int64) error {
		err := disk.CheckRoom(ctx, filepath.Dir(k.Part), 0) // others fill the disk meanwhile
		if err == nil {
			err = part.Sync()
		}
		if err == nil {
			err = disk.Full(s.node.store.SetProgress(ctx, k.ID, part.Done()))
		}
		if err == nil {
			s.report(k.ID, part.Done(), bps)
		}
		return err
	}
	if err := keep(0); err != nil {
		return err
	}
	for part.Done() < k.Size {
		stream.SetReadDeadline(time.Now().Add(pieceIn))
		if err := part.ReadPiece(stream); err != nil {
			return errors.Join(err, ctx.Err())
		}
		if now := time.Now(); now.Sub(meter.at) >= reportEvery || part.Done() == k.Size {
			if err := keep(meter.bps(now, part.Done())); err != nil {
				return err
			}
		}
	}
	return nil
}

// report tells the loop how far a file is.
func (s *station) report(id linnet.FileID, done, bps int64) {
	s.node.must(func(now time.Time) {
		if s.node.station == s {
			s.fileFlows(now, id, done, bps)
		}
	})
}

// tellCalls tells the sender whether there is a call here, which the file would disturb.
func (s *station) tellCalls(ctx context.Context, stream io.Writer) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	told := false
	for {
		if talking := s.files.talking.Load(); talking != told {
			told = talking
			b := []byte{0}
			if talking {
				b[0] = 1
			}
			if _, err := stream.Write(b); err != nil {
				return
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// A meter measures how fast bytes flow.
type meter struct {
	at   time.Time
	done int64
	rate float64
}

// bps is the rate now that so many bytes are done, smoothed.
func (m *meter) bps(now time.Time, done int64) int64 {
	if took := now.Sub(m.at).Seconds(); took > 0 {
		r := float64(done-m.done) / took
		if m.rate == 0 {
			m.rate = r
		} else {
			m.rate += (r - m.rate) / 4
		}
	}
	m.at, m.done = now, done
	return int64(m.rate)
}
