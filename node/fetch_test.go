package node

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A sender who says that the file is ready and gives nothing does not keep others from
// being fetched for ever.
func TestSilentSender(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var ends [2]*bulk.Endpoint
		ids := [2]linnet.NodeID{{1}, {2}}
		for i := range ends {
			var err error
			ends[i], err = bulk.New(bulk.Options{Send: func(_ linnet.NodeID, b []byte) { ends[1-i].Packet(ids[i], b) }})
			if err != nil {
				t.Fatal(err)
			}
			defer ends[i].Close()
		}
		if err := ends[1].Expect(ids[0], ends[0].Hash()); err != nil {
			t.Fatal(err)
		}
		go func() {
			conn, err := ends[1].Accept(t.Context())
			if err != nil {
				return
			}
			stream, err := conn.AcceptStream(t.Context())
			if err == nil {
				stream.Write([]byte{files.Ready})
			}
		}()
		conn, err := ends[0].Dial(t.Context(), ids[1], ends[1].Hash())
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithTimeout(t.Context(), 2*pieceIn)
		defer stop()
		if _, err := fetchTree(ctx, conn, files.Kept{File: linnet.File{Size: 1}}); err == nil || ctx.Err() != nil {
			t.Errorf("given up: %v, %v", err, time.Now())
		}
	})
}

// Who asks for a file many times over gets it once: of the room for files the others
// have their share.
func TestOneStreamOfAFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		path, _ := w.content("large", 20<<20)
		id := alice.sendFile("bob", path)
		var s *station
		if err := bob.node.inStation(t.Context(), func(_ time.Time, x *station) error { s = x; return nil }); err != nil {
			t.Fatal(err)
		}
		conn, err := s.connectBulk(t.Context(), "alice", alice.status().Node, &message.FileAnswer{File: id, Verdict: message.FileSeen})
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		for range 4 {
			if _, err := ask(t.Context(), conn, files.Request{Want: files.WantBytes, File: id}); err != nil {
				t.Fatal(err)
			}
		}
		var senders *atomic.Int32
		if err := alice.node.inStation(t.Context(), func(_ time.Time, x *station) error { senders = &x.files.senders; return nil }); err != nil {
			t.Fatal(err)
		}
		alice.eventually("gives the file once", func() bool { return senders.Load() == 1 })
	})
}
