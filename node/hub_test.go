package node

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
)

// Three letters of somebody who has read everything, one after the other, drive nobody
// away who listens and is about to read.
func TestHubTakesABurst(t *testing.T) {
	t.Parallel()
	var h hub
	events, err := h.listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	const receipts = 1024 // in a letter
	burst := chat.Saved{Messages: make([]chat.Changed, 3*receipts)}.Events(time.Now())
	for _, e := range burst {
		h.tell(e)
	}
	h.tell(linnet.Event{Kind: linnet.EventOnline})
	for range burst {
		<-events
	}
	if e, listening := <-events; !listening || e.Kind != linnet.EventOnline {
		t.Errorf("%+v, still listening: %v", e, listening)
	}
}
