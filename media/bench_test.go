package media

import (
	"testing"
	"time"
)

// speech is a frame of 20 ms at 24 kbit/s.
func speech() Frame { return Frame{Samples: 960, Data: append([]byte{0x48}, make([]byte, 59)...)} }

func BenchmarkProtect(b *testing.B) {
	x := newSender(b, newStream(b, 1))
	f, size := speech(), 0
	b.ReportAllocs()
	for b.Loop() {
		p, err := x.Packet(epoch, f)
		if err != nil {
			b.Fatal(err)
		}
		f.Timestamp += 960
		size = len(p)
	}
	b.ReportMetric(float64(size), "bytes/packet")
}

func BenchmarkUnprotect(b *testing.B) {
	s := newStream(b, 1)
	x, r := newSender(b, s), newReceiver(b, s)
	f, now := speech(), epoch
	const batch = 1000
	sent := make([][]byte, 0, batch)
	b.ReportAllocs()
	for b.Loop() {
		if len(sent) == 0 {
			b.StopTimer()
			for range batch {
				p, err := x.Packet(now, f)
				if err != nil {
					b.Fatal(err)
				}
				f.Timestamp += 960
				sent = append(sent, p)
			}
			b.StartTimer()
		}
		if err := r.Packet(now, sent[0]); err != nil {
			b.Fatal(err)
		}
		r.Frames(now)
		sent = sent[1:]
		now = now.Add(20 * time.Millisecond)
	}
}

// BenchmarkWire tells what a voice packet of 60 bytes costs on the wire, in a D
// frame (id 2, type 1, tag 4).
func BenchmarkWire(b *testing.B) {
	const dFrame = 7
	for _, bm := range []struct {
		name   string
		copies int
	}{{"alone", 0}, {"one-repeated", 1}, {"two-repeated", 2}} {
		b.Run(bm.name, func(b *testing.B) {
			x := newSender(b, newStream(b, 1))
			x.depth.n = len(x.depth.reports)
			for i := range x.depth.reports {
				x.depth.reports[i].expected, x.depth.reports[i].lost = 50, []int64{0, 1, 10}[bm.copies]
			}
			f, size := speech(), 0
			for b.Loop() {
				p, err := x.Packet(epoch, f)
				if err != nil {
					b.Fatal(err)
				}
				f.Timestamp += 960
				size = dFrame + len(p)
			}
			b.ReportMetric(float64(size), "bytes/datagram")
		})
	}
}
