package ogg_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
	"github.com/linnet-p2p/linnet/media/sample"
)

var epoch = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// end is a line that sends one stream.
func end(t *testing.T) (*media.Line, *media.Sender) {
	t.Helper()
	s, err := media.NewStream(media.Opus(), media.GCM, nil)
	if err != nil {
		t.Fatal(err)
	}
	l := media.NewLine(media.ReceiverOptions{})
	x, err := l.AddSender(s)
	if err != nil {
		t.Fatal(err)
	}
	return l, x
}

// playAndRecord plays the sample from alice to bob, losing packets both ways,
// and gives what was recorded and bob's figures.
func playAndRecord(t *testing.T, loss float64, path string) ([]byte, media.Figures) {
	t.Helper()
	random := rand.New(rand.NewPCG(1, 2))
	alice, voice := end(t)
	bob, bobs := end(t)
	for _, x := range []struct {
		l *media.Line
		s media.Stream
	}{{alice, bobs.Stream()}, {bob, voice.Stream()}} {
		if err := x.l.Expect(epoch, x.s); err != nil {
			t.Fatal(err)
		}
	}
	source, err := ogg.NewReader(bytes.NewReader(sample.Speech()))
	if err != nil {
		t.Fatal(err)
	}
	player := media.NewPlayer(source, media.Opus(), epoch)
	recorder, err := ogg.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	arrives := func() bool { return random.Float64() >= loss }
	for now, over := epoch, 0; over < 50; now = now.Add(20 * time.Millisecond) {
		frames, err := player.Frames(now)
		if err == io.EOF {
			over++
		} else if err != nil {
			t.Fatal(err)
		}
		for _, f := range frames {
			b, err := voice.Packet(now, f)
			if err != nil {
				t.Fatal(err)
			}
			if arrives() {
				bob.Packet(now, b)
			}
		}
		for _, x := range []struct{ from, to *media.Line }{{alice, bob}, {bob, alice}} {
			b, err := x.from.Report(now)
			if err != nil {
				t.Fatal(err)
			}
			if b != nil && arrives() {
				x.to.Packet(now, b)
			}
		}
		if err := recorder.Write(bob.Frames(now)...); err != nil {
			t.Fatal(err)
		}
	}
	if err := recorder.Close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b, bob.Figures()
}

func TestRecordedIsPlayed(t *testing.T) {
	const near = 100 * time.Millisecond
	wantHeader, want, err := ogg.ReadAll(bytes.NewReader(sample.Speech()))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		loss float64
	}{{"on loopback", 0}, {"with 10 % loss", .10}, {"with 30 % loss", .30}} {
		t.Run(tt.name, func(t *testing.T) {
			file, figures := playAndRecord(t, tt.loss, filepath.Join(t.TempDir(), "b.ogg"))
			header, got, err := ogg.ReadAll(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if d := header.Duration(got) - wantHeader.Duration(want); d < -near || d > near {
				t.Errorf("recorded %v longer than played", d)
			}
			if header.Channels != wantHeader.Channels {
				t.Errorf("%d channels recorded, %d played", header.Channels, wantHeader.Channels)
			}
			// One packet stands where one was played, or a mere first byte.
			same := 0
			for i := range min(len(got), len(want)) {
				switch {
				case bytes.Equal(got[i].Data, want[i].Data):
					same++
				case len(got[i].Data) != 1:
					t.Fatalf("packet %d is neither the one that was played nor empty", i)
				}
			}
			if tt.loss == 0 && (same != len(want) || len(got) != len(want)) {
				t.Errorf("%d of %d packets are the played ones, of %d recorded", same, len(want), len(got))
			}
			if share := float64(same) / float64(len(want)); tt.loss == .10 && share < .985 {
				t.Errorf("%.2f %% of the packets are there, want 98.5", 100*share)
			}
			t.Logf("%d of %d packets; figures %+v", same, len(want), figures)
		})
	}
}
