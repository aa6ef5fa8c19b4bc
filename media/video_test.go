package media

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// camera is an encoder that makes as many bits as it may: a picture every 66 ms
// that carries its number, key pictures where they are asked for.
type camera struct {
	number uint32
	next   time.Time
	key    bool
	random *rand.Rand
}

func newCamera(seed uint64) *camera { return &camera{key: true, random: rand.New(chacha(seed))} }

const (
	pictureTime = 66 * time.Millisecond
	settled     = 3 * time.Second
)

// picture is the n-th one, of so many bytes.
func picture(n uint32, key bool, size int) Picture {
	b := make([]byte, max(size, 14))
	b[0] = 1
	if key {
		copy(b, []byte{0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0xe0, 0x01}) // 640 x 480
	}
	binary.BigEndian.PutUint32(b[10:], n)
	return Picture{Timestamp: n * 5940, Key: key, Data: b}
}

func numberOf(p Picture) uint32 { return binary.BigEndian.Uint32(p.Data[10:]) }

func (c *camera) shoot(now time.Time, rate int) []Piece {
	if now.Before(c.next) {
		return nil
	}
	c.next = now.Add(pictureTime)
	size := float64(rate) / 8 * pictureTime.Seconds() * (.7 + .6*c.random.Float64())
	if c.key {
		size *= 5
	}
	p := picture(c.number, c.key, int(size))
	c.number, c.key = c.number+1, false
	return p.Cut()
}

// narrow is a link with a rate and a queue, and loss.
type narrow struct {
	network
	rate  float64 // bits a second; 0 is without limit
	queue time.Duration
	both  bool // both ends show something
	busy  map[*end]time.Time
}

func (n *narrow) send(now time.Time, to *end, b []byte) {
	if n.rate > 0 {
		free := n.busy[to]
		if free.Before(now) {
			free = now
		}
		if free.Sub(now) > n.queue {
			return // it is full
		}
		free = free.Add(time.Duration(float64((len(b)+datagram)*8) / n.rate * float64(time.Second)))
		n.busy[to] = free
		if n.lose != nil && n.lose(now) {
			return
		}
		n.flying = append(n.flying, flight{free.Add(n.delay), to, b})
		return
	}
	n.network.send(now, to, b)
}

// A showing is what became of a call in which a shows video to b, and both talk.
type showing struct {
	pictures []Picture
	at       []time.Time
	heard    []time.Time   // frames that b heard, by when they were said
	voice    int           // ... of them after 3 s, by when the path is known
	said     int           // ... of those that a said
	waits    time.Duration // the longest time that voice took
	figures  VideoFigures  // of a
	watched  VideoFigures  // of b
}

func show(t *testing.T, seed uint64, n *narrow, length time.Duration, each func(now time.Time, a, b *end)) (s showing) {
	t.Helper()
	a, b := newEnds(t, seed)
	b.line.opts.Pictures = true
	n.busy = make(map[*end]time.Time)
	lenses := map[*end]*camera{a: newCamera(seed)}
	if n.both {
		lenses[b] = newCamera(seed + 1)
	}
	for _, x := range []struct{ from, to *end }{{a, b}, {b, a}} {
		if lenses[x.from] == nil {
			continue
		}
		video, err := NewStream(VP8(), GCM, chacha(seed+100+uint64(len(lenses))))
		if err != nil {
			t.Fatal(err)
		}
		if err := x.from.line.ShowVideo(video); err != nil {
			t.Fatal(err)
		}
		if err := x.to.line.Expect(epoch, x.from.stream, video); err != nil {
			t.Fatal(err)
		}
	}
	said := make(map[uint32]time.Time)
	for now := epoch; now.Before(epoch.Add(length)); now = now.Add(time.Millisecond) {
		n.deliver(now)
		if each != nil {
			each(now, a, b)
		}
		if ms := now.Sub(epoch) / time.Millisecond; ms%20 == 0 {
			for _, x := range []struct{ from, to *end }{{a, b}, {b, a}} {
				f := voice(int(ms / 20))
				said[f.Timestamp] = now
				p, err := x.from.sender.Packet(now, f)
				if err != nil {
					t.Fatal(err)
				}
				n.send(now, x.to, p)
			}
			if now.Sub(epoch) > settled {
				s.said++
			}
		}
		for x, lens := range lenses {
			show := x.line.Showing()
			lens.key = lens.key || show.KeyPicture(now)
			for _, p := range lens.shoot(now, show.Rate()) {
				if err := show.Show(p, false); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, x := range []struct{ from, to *end }{{a, b}, {b, a}} {
			packets, err := x.from.line.Video(now)
			if err != nil {
				t.Fatal(err)
			}
			if r, err := x.from.line.Report(now); err != nil {
				t.Fatal(err)
			} else if r != nil {
				packets = append(packets, r)
			}
			for _, p := range packets {
				n.send(now, x.to, p)
			}
		}
		for _, f := range b.line.Frames(now) {
			if f.Data != nil {
				at := said[f.Timestamp]
				s.heard = append(s.heard, at)
				if at.Sub(epoch) > settled {
					s.voice++
					s.waits = max(s.waits, now.Sub(at))
				}
			}
		}
		a.line.Frames(now)
		a.line.Pieces()
		b.line.Pieces()
		for _, p := range b.line.Pictures() {
			s.pictures, s.at = append(s.pictures, p), append(s.at, now)
		}
	}
	s.figures, s.watched = a.line.Figures().Video, b.line.Figures().Video
	return s
}

// decodable says that each picture is a key picture or follows the one before.
func decodable(t *testing.T, pictures []Picture) {
	t.Helper()
	for i, p := range pictures {
		if p.Key != KeyPicture(p.Data) || !p.Key && (i == 0 || numberOf(p) != numberOf(pictures[i-1])+1) {
			t.Fatalf("picture %d (number %d) cannot be decoded", i, numberOf(p))
		}
	}
}

// longestGap is how long the picture stood still.
func (s *showing) longestGap(from time.Duration) (gap time.Duration) {
	last := epoch.Add(from)
	for _, at := range s.at {
		if at.After(last) {
			gap, last = max(gap, at.Sub(last)), at
		}
	}
	return gap
}

func TestVideo(t *testing.T) {
	lossy := func(seed uint64, share float64) func(time.Time) bool {
		r := rand.New(chacha(seed))
		return func(time.Time) bool { return r.Float64() < share }
	}
	tests := []struct {
		name     string
		net      narrow
		pictures float64       // at least this share of those of 30 s
		gap      time.Duration // after 3 s
		voice    float64       // share heard
		waits    time.Duration
		rate     [2]int // bits a second at the end
	}{
		{"perfect", narrow{network: network{delay: 20 * time.Millisecond}}, .99, 200 * time.Millisecond, .99, 50 * time.Millisecond, [2]int{1_500_000, 3_000_000}},
		{"10 % loss", narrow{network: network{delay: 20 * time.Millisecond, lose: lossy(1, .1)}}, .9, 700 * time.Millisecond, .99, 300 * time.Millisecond, [2]int{600_000, 3_000_000}},
		{"1 Mbit/s", narrow{network: network{delay: 20 * time.Millisecond}, rate: 1e6, queue: 300 * time.Millisecond}, .95, 500 * time.Millisecond, .99, 300 * time.Millisecond, [2]int{400_000, 1_000_000}},
		{"200 kbit/s", narrow{network: network{delay: 20 * time.Millisecond}, rate: 2e5, queue: 200 * time.Millisecond}, .8, 700 * time.Millisecond, .99, 300 * time.Millisecond, [2]int{40_000, 180_000}},
		{"200 kbit/s and 10 % loss", narrow{network: network{delay: 20 * time.Millisecond, lose: lossy(2, .1)}, rate: 2e5, queue: 200 * time.Millisecond}, .7, 2 * time.Second, .985, 400 * time.Millisecond, [2]int{20_000, 180_000}},
		{"200 kbit/s without a queue", narrow{network: network{delay: 20 * time.Millisecond}, rate: 2e5, queue: 20 * time.Millisecond}, .6, 2 * time.Second, .95, 400 * time.Millisecond, [2]int{20_000, 180_000}},
		{"far away", narrow{network: network{delay: 150 * time.Millisecond, lose: lossy(3, .02)}}, .9, 1200 * time.Millisecond, .99, 600 * time.Millisecond, [2]int{600_000, 3_000_000}},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			const length = 30 * time.Second
			s := show(t, uint64(i)*10, &tt.net, length, nil)
			decodable(t, s.pictures)
			share := float64(len(s.pictures)) / (length.Seconds() / pictureTime.Seconds())
			heard := float64(s.voice) / float64(s.said)
			t.Logf("%.3f of the pictures, still for %v, %.4f of the voice, at most %v late; %+v; %+v", share, s.longestGap(settled), heard, s.waits, s.figures, s.watched)
			if share < tt.pictures {
				t.Errorf("%.3f of the pictures came, want %.3f", share, tt.pictures)
			}
			if gap := s.longestGap(5 * time.Second); gap > tt.gap {
				t.Errorf("the picture stood still for %v, want at most %v", gap, tt.gap)
			}
			if heard < tt.voice || s.waits > tt.waits {
				t.Errorf("%.4f of the voice was heard, up to %v late", heard, s.waits)
			}
			if r := s.figures.Rate; r < tt.rate[0] || r > tt.rate[1] {
				t.Errorf("the encoder may make %d bit/s at the end, want %v", r, tt.rate)
			}
		})
	}
}

// TestVideoMoves: a path that gets narrow, and wide again.
func TestVideoMoves(t *testing.T) {
	n := narrow{network: network{delay: 20 * time.Millisecond}, queue: 300 * time.Millisecond}
	var wide, thin int
	s := show(t, 77, &n, 50*time.Second, func(now time.Time, a, _ *end) {
		switch now.Sub(epoch) {
		case 10 * time.Second:
			wide = a.line.Showing().Rate()
			n.rate = 300e3
		case 25 * time.Second:
			thin = a.line.Showing().Rate()
			n.rate = 0
			a.line.Showing().Moved()
		}
	})
	decodable(t, s.pictures)
	t.Logf("%d, %d, %d bit/s; still for %v", wide, thin, s.figures.Rate, s.longestGap(0))
	if wide < 800e3 || thin > 280e3 || thin < 60e3 || s.figures.Rate < 800e3 {
		t.Errorf("the encoder could make %d, %d and %d bit/s on a wide, a thin and a wide path", wide, thin, s.figures.Rate)
	}
	if gap := s.longestGap(0); gap > 4*time.Second {
		t.Errorf("the picture stood still for %v", gap)
	}
}

// TestVideoDrops: a path that carries all there is falls to 200 kbit/s at once, and loses a
// tenth. The voice is back soon, and then the picture.
func TestVideoDrops(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			const drop = 10 * time.Second
			random := rand.New(chacha(seed))
			n := narrow{network: network{delay: 15 * time.Millisecond}, queue: 200 * time.Millisecond, both: true}
			s := show(t, 200+10*seed, &n, 30*time.Second, func(now time.Time, a, _ *end) {
				if now.Sub(epoch) == drop {
					n.rate, n.lose = 200e3, func(time.Time) bool { return random.Float64() < .1 }
				}
			})
			decodable(t, s.pictures)
			missing := func(from, to time.Duration) int {
				n := int((to - from) / (20 * time.Millisecond))
				for _, at := range s.heard {
					if d := at.Sub(epoch); d >= from && d < to {
						n--
					}
				}
				return n
			}
			first, later := missing(drop, drop+4*time.Second), missing(drop+4*time.Second, drop+19*time.Second)
			gap := s.longestGap(drop)
			t.Logf("of the voice %d of 200 packets are missing, later %d of 750; still for %v; %+v", first, later, gap, s.figures)
			if first > 40 || later > 15 {
				t.Errorf("of the voice %d of 200 packets are missing, and later %d of 750", first, later)
			}
			if gap > 2500*time.Millisecond {
				t.Errorf("the picture stood still for %v", gap)
			}
		})
	}
}

// TestVideoComesAndGoes: it begins and ends during a call, each time under a key of its own.
func TestVideoComesAndGoes(t *testing.T) {
	a, b := newEnds(t, 5)
	b.line.opts.Pictures = true
	now := epoch
	var old [][]byte
	for round := range uint64(3) {
		video, err := NewStream(VP8(), GCM, chacha(40+round))
		if err != nil {
			t.Fatal(err)
		}
		if err := a.line.ShowVideo(video); err != nil {
			t.Fatal(err)
		}
		if err := b.line.Expect(now, a.stream, video); err != nil {
			t.Fatal(err)
		}
		for _, p := range old {
			if err := b.line.Packet(now, p); err == nil {
				t.Error("a packet of a video that ended is taken")
			}
		}
		p := picture(uint32(round), true, 5000)
		for _, piece := range p.Cut() {
			if err := a.line.Showing().Show(piece, false); err != nil {
				t.Fatal(err)
			}
		}
		var sent [][]byte
		for len(sent) < 5 {
			packets, err := a.line.Video(now)
			if err != nil {
				t.Fatal(err)
			}
			sent = append(sent, packets...)
			now = now.Add(time.Millisecond)
		}
		for _, x := range sent {
			if len(x)+7 > 1232 {
				t.Errorf("a packet of %d bytes", len(x))
			}
			if err := b.line.Packet(now, x); err != nil {
				t.Fatal(err)
			}
			if err := b.line.Packet(now, x); !errors.Is(err, ErrReplay) {
				t.Errorf("a packet that came twice: %v", err)
			}
			x[len(x)-1] ^= 1
			if err := b.line.Packet(now, x); err == nil {
				t.Error("a damaged packet is taken")
			}
			x[len(x)-1] ^= 1
		}
		old = append(old, sent...)
		if got := b.line.Pictures(); len(got) != 1 || numberOf(got[0]) != uint32(round) || len(got[0].Data) != 5000 {
			t.Fatalf("round %d: %d pictures", round, len(got))
		}
		a.line.EndVideo()
		if err := b.line.Expect(now, a.stream); err != nil {
			t.Fatal(err)
		}
	}
	if f := b.line.Figures().Video; f.Received != 15 || f.Keys != 3 {
		t.Errorf("%+v", f)
	}
}

func FuzzPieces(f *testing.F) {
	f.Add([]byte{0x10, 0x10, 0, 0, 0x9d, 1, 0x2a, 1, 0, 1, 0}, true, uint8(0))
	f.Add([]byte{0x90, 0xe0, 0x81, 0x22, 3, 0xe0, 1}, false, uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, last bool, skip uint8) {
		x := newPictures(0)
		for i := range uint64(4) {
			x.add(Piece{Index: i * uint64(skip), Timestamp: uint32(i), Last: last, Data: data})
			x.lost(i * uint64(skip) / 2)
		}
		for _, p := range x.ready {
			p.Size()
			if len(p.Cut()) == 0 {
				t.Error("a picture without pieces")
			}
		}
	})
}
