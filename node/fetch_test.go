package node

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/bulk"
	"github.com/linnet-p2p/linnet/files"
)

// A sender who says that the file is ready and gives nothing does not keep others from
// being fetched for ever.
func TestSilentSender(t *testing.T) {
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
