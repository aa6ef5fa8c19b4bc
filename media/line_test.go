package media

import (
	"bytes"
	"errors"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// end is one end of a simulated call: a line with one stream each way.
type end struct {
	line   *Line
	sender *Sender
	stream Stream
}

func newEnds(t testing.TB, seed uint64) (a, b *end) {
	t.Helper()
	var ends [2]*end
	for i := range ends {
		s := newStream(t, 2*seed+uint64(i))
		l := NewLine(ReceiverOptions{})
		x, err := l.AddSender(s)
		if err != nil {
			t.Fatal(err)
		}
		ends[i] = &end{l, x, s}
	}
	for i, e := range ends {
		if err := e.line.Expect(epoch, ends[1-i].stream); err != nil {
			t.Fatal(err)
		}
	}
	return ends[0], ends[1]
}

// network carries packets with loss, delay and jitter, in virtual time.
type network struct {
	random *rand.Rand
	lose   func(now time.Time) bool
	delay  time.Duration
	jitter time.Duration
	flying []flight
}

type flight struct {
	at   time.Time
	to   *end
	data []byte
}

func (n *network) send(now time.Time, to *end, b []byte) {
	if b == nil || n.lose != nil && n.lose(now) {
		return
	}
	d := n.delay
	if n.jitter > 0 {
		d += time.Duration(n.random.Int64N(int64(n.jitter)))
	}
	n.flying = append(n.flying, flight{now.Add(d), to, b})
}

// deliver hands over what has arrived, the earliest first.
func (n *network) deliver(now time.Time) {
	for {
		first := -1
		for i, f := range n.flying {
			if !f.at.After(now) && (first < 0 || f.at.Before(n.flying[first].at)) {
				first = i
			}
		}
		if first < 0 {
			return
		}
		f := n.flying[first]
		n.flying = append(n.flying[:first], n.flying[first+1:]...)
		f.to.line.Packet(f.at, f.data)
	}
}

// talk lets a say frames to b, and b nothing but reports, and gives what b heard.
func talk(t testing.TB, n *network, a, b *end, frames int) (heard []Frame, sent int) {
	t.Helper()
	const step = 5 * time.Millisecond
	now := epoch
	for i := 0; i < frames+100; { // and two seconds of silence
		if now.Sub(epoch)%frameTime == 0 {
			if i < frames {
				p, err := a.line.senders[0].Packet(now, voice(i))
				if err != nil {
					t.Fatal(err)
				}
				sent += len(p)
				n.send(now, b, p)
			}
			i++
		}
		n.deliver(now)
		for _, x := range []struct{ from, to *end }{{a, b}, {b, a}} {
			p, err := x.from.line.Report(now)
			if err != nil {
				t.Fatal(err)
			}
			n.send(now, x.to, p)
		}
		heard = append(heard, b.line.Frames(now)...)
		now = now.Add(step)
	}
	return heard, sent
}

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func bernoulli(r *rand.Rand, p float64) func(time.Time) bool {
	return func(time.Time) bool { return r.Float64() < p }
}

func TestTenPercentLoss(t *testing.T) {
	const frames = 1000 // 20 s
	worst, sum := 1., 0.
	const seeds = 50
	for seed := range uint64(seeds) {
		a, b := newEnds(t, seed)
		n := &network{random: random(seed), delay: 30 * time.Millisecond, jitter: 30 * time.Millisecond}
		n.lose = bernoulli(n.random, .10)
		heard, _ := talk(t, n, a, b, frames)
		arrived := 0
		for _, f := range heard {
			if f.Data != nil {
				arrived++
			}
		}
		share := float64(arrived) / frames
		worst, sum = min(worst, share), sum+share
		if share < .985 {
			t.Errorf("seed %d: %.2f %% of the frames arrived, want 98.5", seed, 100*share)
		}
		if f := b.line.Figures(); f.Received+f.Lost < frames-5 || f.Recovered == 0 ||
			math.Abs(float64(f.Lost)/frames-.10) > .05 || math.Abs(f.Loss-(1-share)) > .005 {
			t.Errorf("seed %d: figures %+v do not fit %d frames of which %d arrived", seed, f, frames, arrived)
		}
	}
	t.Logf("of %d frames at 10 %% loss, over %d seeds: mean %.2f %%, worst %.2f %%", frames, seeds, 100*sum/seeds, 100*worst)
}

func TestCleanNetwork(t *testing.T) {
	const frames = 1500
	a, b := newEnds(t, 100)
	n := &network{random: random(100), delay: 40 * time.Millisecond}
	heard, sent := talk(t, n, a, b, frames)
	if len(heard) != frames {
		t.Fatalf("%d frames heard, want %d and no gap", len(heard), frames)
	}
	for i, f := range heard {
		if w := voice(i); !bytes.Equal(f.Data, w.Data) || f.Timestamp != w.Timestamp || f.Samples != w.Samples {
			t.Fatalf("frame %d is not the one that was sent", i)
		}
	}
	f := b.line.Figures()
	if f.Received != frames || f.Lost != 0 || f.Recovered != 0 || f.Missed != 0 || f.Loss != 0 || f.Concealed != 0 || f.Jitter > time.Millisecond {
		t.Errorf("figures %+v of a clean network", f)
	}
	if got := a.line.Figures().RTT; got < 79*time.Millisecond || got > 91*time.Millisecond {
		t.Errorf("RTT = %v, want 80ms and what the simulation's steps add", got)
	}
	if f.MOS < 4.3 {
		t.Errorf("MOS = %.2f of a clean network", f.MOS)
	}
	// One copy for 20 s, none afterwards.
	with, without := 60+60+5+Overhead, 60+Overhead
	if want := 1000*with + 500*without; math.Abs(float64(sent-want)) > 60*65 {
		t.Errorf("%d bytes sent, want about %d", sent, want)
	}
}

func TestMOSFollowsTheNetwork(t *testing.T) {
	mos := func(seed uint64, loss float64, delay, jitter time.Duration) float64 {
		a, b := newEnds(t, seed)
		n := &network{random: random(seed), delay: delay, jitter: jitter}
		n.lose = bernoulli(n.random, loss)
		talk(t, n, a, b, 500)
		return b.line.Figures().MOS
	}
	clean := mos(201, 0, 20*time.Millisecond, 0)
	lossy := mos(202, .4, 20*time.Millisecond, 0)
	shaky := mos(203, 0, 20*time.Millisecond, 400*time.Millisecond)
	if !(clean > 4.2 && lossy < Poor && shaky < clean-.3) {
		t.Errorf("MOS: clean %.2f, 40 %% loss %.2f, 400 ms of jitter %.2f", clean, lossy, shaky)
	}
}

// Media overtakes its key, which travels in the session.
func TestPacketsBeforeTheKey(t *testing.T) {
	s := newStream(t, 300)
	sent := packets(t, newSender(t, s), 60)
	l := NewLine(ReceiverOptions{})
	for _, b := range sent[:50] {
		if err := l.Packet(epoch, b); !errors.Is(err, errUnknownStream) {
			t.Fatalf("before the key: %v", err)
		}
	}
	if err := l.Expect(epoch.Add(time.Second), s); err != nil {
		t.Fatal(err)
	}
	for _, b := range sent[50:] {
		if err := l.Packet(epoch.Add(time.Second), b); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Frames(epoch.Add(time.Second)); len(got) != 60 || got[0].Data == nil {
		t.Errorf("%d frames, want all 60", len(got))
	}
	for range 10 * maxEarly {
		b := bytes.Clone(sent[0])
		b[8] ^= 1
		l.Packet(epoch, b)
	}
	if len(l.early) > maxEarly {
		t.Errorf("%d packets of unknown streams are kept", len(l.early))
	}
}

func TestStreamsFollowOneAnother(t *testing.T) {
	first, second := newStream(t, 310), newStream(t, 311)
	a, b := newSender(t, first), newSender(t, second)
	l := NewLine(ReceiverOptions{})
	expect := func(s ...Stream) error { return l.Expect(epoch, s...) }
	if err := expect(first); err != nil {
		t.Fatal(err)
	}
	olds := packets(t, a, 3)
	l.Packet(epoch, olds[0])
	if err := expect(second); err != nil {
		t.Fatal(err)
	}
	l.Packet(epoch, olds[1]) // was on its way
	for _, p := range packets(t, b, 2) {
		if err := l.Packet(epoch, p); err != nil {
			t.Error(err)
		}
	}
	if got := heardNumbers(l.Frames(epoch)); !equal(got, []int{0, 1, 0, 1}) {
		t.Errorf("heard %v, want 0 1 of the new stream and of the old", got)
	}
	if err := l.Packet(epoch, olds[1]); !errors.Is(err, ErrReplay) {
		t.Errorf("replay to the ended stream: %v", err)
	}
	forged := second
	forged.Key[0]++
	if err := expect(forged); !errors.Is(err, ErrStream) {
		t.Errorf("an SSRC with another key: %v, want ErrStream", err)
	}
	if err := expect(second, second); !errors.Is(err, ErrStream) {
		t.Errorf("an SSRC twice: %v, want ErrStream", err)
	}
	if err := expect(second); err != nil || l.Figures().Received != 4 {
		t.Errorf("said again: %v, %d received, want 4", err, l.Figures().Received)
	}
	for i := range uint64(3 * maxStreams) {
		if err := expect(newStream(t, 320+i)); err != nil {
			t.Fatal(err)
		}
	}
	if len(l.receivers) > maxStreams {
		t.Errorf("%d receivers are kept", len(l.receivers))
	}
	if got := l.Figures().Received; got != 4 {
		t.Errorf("%d packets received after streams were forgotten, want 4", got)
	}
}

func TestReports(t *testing.T) {
	a, b := newEnds(t, 400)
	if d := b.line.Deadline(); !d.IsZero() {
		t.Errorf("a report is due at %v before anything went", d)
	}
	p, err := a.sender.Packet(epoch, voice(0))
	if err != nil {
		t.Fatal(err)
	}
	if err := b.line.Packet(epoch, p); err != nil {
		t.Fatal(err)
	}
	b.line.Frames(epoch)
	if d, want := b.line.Deadline(), epoch.Add(firstReport); !d.Equal(want) {
		t.Fatalf("report due at %v, want %v", d, want)
	}
	if r, err := b.line.Report(epoch); r != nil || err != nil {
		t.Errorf("a report before its time: %x, %v", r, err)
	}
	r, err := b.line.Report(epoch.Add(firstReport))
	if err != nil || len(r) != 8+24+srtpTag+4 || !isRTCP(r) {
		t.Fatalf("report of %d bytes: %v", len(r), err)
	}
	forged := bytes.Clone(r)
	forged[12]++
	if err := a.line.Packet(epoch, forged); !errors.Is(err, ErrForged) {
		t.Errorf("forged report: %v", err)
	}
	if err := a.line.Packet(epoch, r); err != nil {
		t.Errorf("report: %v", err)
	}
	if err := a.line.Packet(epoch, r); !errors.Is(err, ErrReplay) {
		t.Errorf("report again: %v", err)
	}
	if err := b.line.Packet(epoch, r); err == nil {
		t.Error("b believes its own report")
	}
}
