package traverse

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

func TestBelief(t *testing.T) {
	const usual = 30 * time.Second
	one, other := linnet.NodeID{1}, linnet.NodeID{2}
	short, long, longer := Kept{AtLeast: 20 * time.Second}, Kept{AtLeast: 60 * time.Second}, Kept{AtLeast: 160 * time.Second}
	for _, tt := range []struct {
		name          string
		first, second Kept
		pause         time.Duration // after the first
		borne         time.Duration // after the second
	}{
		{"what is no longer than usual is believed at once", short, Kept{}, 15 * time.Second, 0},
		{"the shorter counts", longer, long, 0, 45 * time.Second},
		{"whoever says so first", long, longer, 0, 45 * time.Second},
		{"a lie is found out", longer, short, 0, 15 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var b Belief
			if !b.Needs(one) || b.KeepAlive() != 0 {
				t.Fatalf("before: %+v", b)
			}
			another := b.Found(one, tt.first, usual)
			if want := tt.pause == 0; another != want || b.Needs(one) || b.Needs(other) != want || b.KeepAlive() != tt.pause {
				t.Fatalf("after the first: %v, %+v, pause %v", another, b, b.KeepAlive())
			}
			if !another {
				return
			}
			if b.Found(other, tt.second, usual) || b.Needs(one) || b.Needs(other) || b.KeepAlive() != tt.borne {
				t.Errorf("after the second: %+v, pause %v", b, b.KeepAlive())
			}
		})
	}
}
