package node

import (
	"encoding/binary"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ivf"
	"github.com/linnet-p2p/linnet/netsim"
)

const pictureTime = 66 * time.Millisecond

// picture is the n-th one of a film, a key picture or one that follows it.
func picture(n uint32, key bool, size int) media.Picture {
	b := make([]byte, max(size, 14))
	b[0] = 1
	if key {
		copy(b, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01})
	}
	binary.BigEndian.PutUint32(b[10:], n)
	return media.Picture{Timestamp: n * uint32(pictureTime/time.Millisecond) * 90, Key: key, Data: b}
}

func numberOf(p media.Picture) uint32 { return binary.BigEndian.Uint32(p.Data[10:]) }

// film writes an IVF file of so many pictures, a key picture every two seconds.
func (w *world) film(pictures uint32, size int) string {
	w.t.Helper()
	path := filepath.Join(w.dir, "film.ivf")
	r := must(ivf.Create(path))
	for n := range pictures {
		if err := r.Write(picture(n, n%30 == 0, size)); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := r.Close(); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// seen are the pictures of a recording, each of which can be decoded.
func (w *world) seen(path string) []media.Picture {
	w.t.Helper()
	f := must(ivf.Open(path))
	defer f.Close()
	var pictures []media.Picture
	for {
		p, err := f.Next()
		if err == io.EOF {
			return pictures
		}
		if err != nil {
			w.t.Fatal(err)
		}
		if n := len(pictures); !p.Key && (n == 0 || numberOf(p) != numberOf(pictures[n-1])+1) {
			w.t.Errorf("picture %d follows none that it needs", numberOf(p))
		}
		pictures = append(pictures, p)
	}
}

// A filmer sits at a browser with a camera, whose encoder does as it is told, and
// a screen on which whole pictures are counted.
type filmer struct {
	*person
	mu    sync.Mutex
	rates []int
	key   bool
	seen  int // pieces
}

func (f *filmer) See(_ time.Time, p media.Piece) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.seen++
}

func (f *filmer) Rate(bits int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if n := len(f.rates); n == 0 || f.rates[n-1] != bits {
		f.rates = append(f.rates, bits)
	}
}

func (f *filmer) KeyPicture(time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.key = true
}

func (f *filmer) saw() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.seen
}

func (f *filmer) rate() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.rates) == 0 {
		return 0
	}
	return f.rates[len(f.rates)-1]
}

// film sits down, speaks, and films.
func (m *computer) film(ssrc uint32) *filmer {
	f := &filmer{person: m.sitDown(ssrc, 0), key: true}
	m.node.page.mu.Lock()
	m.node.page.set = f
	m.node.page.mu.Unlock()
	go func() {
		var index uint64
		for n := uint32(0); ; n++ {
			f.mu.Lock()
			rate, key := 300_000, f.key
			if len(f.rates) > 0 {
				rate = f.rates[len(f.rates)-1]
			}
			f.key = false
			f.mu.Unlock()
			size := int(float64(rate) / 8 * pictureTime.Seconds())
			if key {
				size *= 4
			}
			p := picture(n, key, size)
			for _, piece := range p.Cut() {
				index++
				piece.SSRC, piece.Index = ssrc, index
				m.node.page.shot(piece, false)
			}
			select {
			case <-f.closed:
				return
			case <-time.After(pictureTime):
			}
		}
	}()
	return f
}

// TestVideoOfFiles: what one shows is what the other sees, directly and over a
// relay, and while the path changes.
func TestVideoOfFiles(t *testing.T) {
	t.Parallel()
	for name, path := range map[string]func(w *world, a, b *computer){
		"direct": func(_ *world, a, b *computer) { befriend(a, b) },
		"relay":  func(*world, *computer, *computer) {},
		"moves": func(w *world, a, b *computer) {
			befriend(a, b)
			time.AfterFunc(8*time.Second, func() { w.in.Cut(a.host, b.host) })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, worldOptions{})
				alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
				path(w, alice, bob)
				const pictures = 240
				film, recording := w.film(pictures, 2500), filepath.Join(w.dir, "seen.ivf")
				id := alice.call("bob", linnet.CallMedia{PlayVideo: film})
				ring := bob.heard.await("a ring", isRinging)
				if !ring.Call.VideoAsked {
					t.Error("bob is not told that alice shows video")
				}
				bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true, RecordVideo: recording})
				bob.heard.await("video", func(e linnet.Event) bool {
					return e.Kind == linnet.EventCallChanged && e.Call.VideoThere == linnet.Camera
				})
				if r := alice.ended(id); r.Outcome != linnet.OutcomeCompleted {
					t.Errorf("the call ended as %v", r.Outcome)
				}
				bob.ended(id)
				bob.eventually("closes the recording", func() bool { return len(bob.status().Calls) == 0 })
				seen := w.seen(recording)
				t.Logf("%d of %d pictures", len(seen), pictures)
				if want := pictures * 97 / 100; len(seen) < want && name != "moves" || len(seen) < pictures*3/4 {
					t.Errorf("%d of %d pictures were seen", len(seen), pictures)
				}
			})
		})
	}
}

// TestVideoOnAThinPath: 200 kbit/s and a loss of 10 % each way leave the voice
// whole and the picture moving.
func TestVideoOnAThinPath(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", netsim.HostOptions{}), w.user("bob", netsim.HostOptions{})
		befriend(alice, bob)
		lens := alice.film(1)
		id := alice.call("bob", linnet.CallMedia{Page: true, Video: linnet.Camera})
		bob.rings()
		heard, seen := filepath.Join(w.dir, "heard.ogg"), filepath.Join(w.dir, "seen.ivf")
		bob.answer(id, linnet.CallMedia{Play: w.speech(), Stay: true, Record: heard, RecordVideo: seen})
		alice.reaches(id, linnet.CallActive)
		time.Sleep(10 * time.Second)
		wide := lens.rate()
		for _, m := range []*computer{alice, bob} {
			m.host.SetLink(netsim.Link{Delay: w.cable, Loss: .05, Rate: 200_000 / 8})
		}
		var before, figures media.Figures
		time.Sleep(10 * time.Second) // until the path is known
		bob.within(func(_ time.Time, s *station) { before = s.phones[id].figures() })
		time.Sleep(30 * time.Second)
		thin := lens.rate()
		bob.within(func(_ time.Time, s *station) { figures = s.phones[id].figures() })
		lost := float64(figures.Missed-before.Missed) / float64(30*time.Second/(20*time.Millisecond))
		if err := alice.node.HangUp(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		alice.ended(id)
		bob.ended(id)
		pictures := w.seen(seen)
		var gap, late uint32
		for i, p := range pictures[1:] {
			gap = max(gap, p.Timestamp-pictures[i].Timestamp)
			if p.Timestamp > 90000*15 {
				late++
			}
		}
		t.Logf("%d then %d bit/s; %d pictures, %d of them on the thin path, still for %d ms; voice: %.4f lost, and %.4f in all, MOS %.2f; %+v",
			wide, thin, len(pictures), late, gap/90, lost, figures.Loss, figures.MOS, figures.Video)
		if wide < 500_000 || thin > 180_000 || thin < 20_000 {
			t.Errorf("the camera could make %d and %d bit/s", wide, thin)
		}
		if late < 250 || gap > 90*6000 {
			t.Errorf("%d pictures on the thin path, and none for %d ms", late, gap/90)
		}
		if lost > .02 {
			t.Errorf("%.3f of the voice was lost", lost)
		}
	})
}

// TestVideoComesAndGoes: it begins and ends during a call, on either side, under
// a new key each time, and stops while the call is held.
func TestVideoComesAndGoes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		a, b := alice.film(1), bob.film(2)
		id := alice.call("bob", linnet.CallMedia{Page: true})
		bob.rings()
		if err := alice.node.Video(t.Context(), id, linnet.Camera); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("video before the answer: %v", err)
		}
		bob.answer(id, linnet.CallMedia{Page: true})
		alice.reaches(id, linnet.CallActive)
		time.Sleep(3 * time.Second)
		if a.saw()+b.saw() != 0 {
			t.Fatal("video without anybody's wish")
		}
		there := func(m *computer, v linnet.Video) {
			t.Helper()
			m.eventually("the other side shows "+v.String(), func() bool {
				c := m.status().Calls
				return len(c) == 1 && c[0].VideoThere == v && c[0].VideoAble
			})
		}
		keys := make(map[[32]byte]bool)
		for _, v := range []linnet.Video{linnet.Camera, linnet.Screen, linnet.Camera} {
			if err := alice.node.Video(t.Context(), id, v); err != nil {
				t.Fatal(err)
			}
			there(bob, v)
			before := b.saw()
			time.Sleep(3 * time.Second)
			if n := b.saw() - before; n < 60 {
				t.Errorf("bob saw %d pieces of %v in 3 s", n, v)
			}
			alice.within(func(_ time.Time, s *station) {
				p := s.phones[id]
				p.mu.Lock()
				defer p.mu.Unlock()
				keys[p.line.Showing().Stream().Key] = true
			})
		}
		if len(keys) != 3 {
			t.Errorf("%d keys for three videos", len(keys))
		}
		if err := bob.node.Video(t.Context(), id, linnet.Camera); err != nil {
			t.Fatal(err)
		}
		there(alice, linnet.Camera)
		time.Sleep(3 * time.Second)
		if a.saw() < 60 {
			t.Errorf("alice saw %d pieces in 3 s", a.saw())
		}
		if err := bob.node.Hold(t.Context(), id, true); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		before := a.saw() + b.saw()
		time.Sleep(3 * time.Second)
		if n := a.saw() + b.saw() - before; n != 0 {
			t.Errorf("%d pieces while the call is held", n)
		}
		if err := bob.node.Hold(t.Context(), id, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if a.saw()+b.saw() == before {
			t.Error("no video after the call was held")
		}
		if err := alice.node.Video(t.Context(), id, linnet.NoVideo); err != nil {
			t.Fatal(err)
		}
		there(bob, linnet.NoVideo)
		time.Sleep(time.Second)
		before = b.saw()
		time.Sleep(2 * time.Second)
		if b.saw() != before {
			t.Error("alice's camera is off, and bob sees it")
		}
	})
}
