package sample

import (
	"bytes"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
)

func TestSamples(t *testing.T) {
	for _, tt := range []struct {
		name     string
		min, max time.Duration
	}{
		{"speech.ogg", 10 * time.Second, 20 * time.Second},
		{"greeting.ogg", 3 * time.Second, 8 * time.Second},
		{"closing.ogg", 2 * time.Second, 10 * time.Second},
		{"tone.ogg", 200 * time.Millisecond, time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, err := files.ReadFile(tt.name)
			if err != nil {
				t.Fatal(err)
			}
			h, frames, err := ogg.ReadAll(bytes.NewReader(b))
			if err != nil {
				t.Fatal(err)
			}
			if d := h.Duration(frames); d < tt.min || d > tt.max || h.Channels != 1 {
				t.Errorf("%v in %d channels, want %v to %v, mono", d, h.Channels, tt.min, tt.max)
			}
			for i, f := range frames {
				if f.Samples != 960 || len(f.Data) > media.MaxFrame {
					t.Fatalf("packet %d: %d samples in %d bytes, want 20 ms that fit into a datagram", i, f.Samples, len(f.Data))
				}
			}
		})
	}
}

func TestEcho(t *testing.T) {
	o, err := Echo()
	if err != nil || len(o.Greeting) == 0 || len(o.Tone) == 0 || len(o.Closing) == 0 {
		t.Errorf("Echo = %d, %d, %d frames, %v", len(o.Greeting), len(o.Tone), len(o.Closing), err)
	}
	if len(Speech()) == 0 {
		t.Error("no speech")
	}
}
