package synth_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/detect/synth"
)

func TestSameSeedSameFile(t *testing.T) {
	write := func(seed uint64) []byte {
		var b bytes.Buffer
		if _, err := synth.Write(&b, synth.Options{Seed: seed, Calls: 10, Messages: 50, Jitter: 2, Loss: 0.05}); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	if !bytes.Equal(write(1), write(1)) {
		t.Error("two files of one seed differ")
	}
	if bytes.Equal(write(1), write(2)) {
		t.Error("two seeds give one file")
	}
}

// TestLabels: what the labels say is what the packets are.
func TestLabels(t *testing.T) {
	var b bytes.Buffer
	calls, err := synth.Write(&b, synth.Options{Seed: 3, Calls: 60, Messages: 40})
	if err != nil {
		t.Fatal(err)
	}
	if len(calls) != 60 {
		t.Fatalf("%d labels", len(calls))
	}
	packets, err := capture.NewReader(bytes.NewReader(b.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	labels := make(map[string]*synth.Call)
	arrived := make(map[string]int)
	heads := map[detect.Class]int{detect.EndToEnd: 0, detect.EndToOther: 4, detect.OverTCP: 1}
	for i := range calls {
		c := &calls[i]
		labels[c.A.String()+c.B.String()] = c
		labels[c.B.String()+c.A.String()] = c
	}
	var last capture.Packet
	for {
		p, err := packets.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if p.Time.Before(last.Time) {
			t.Fatalf("packet %d is older than the one before", p.Number)
		}
		last = *p
		key := p.Src.String() + p.Dst.String()
		c := labels[key]
		if c == nil {
			t.Fatalf("packet %d of no call", p.Number)
		}
		arrived[key]++
		if tcp := p.Protocol == capture.TCP; tcp != (c.Class == detect.OverTCP) {
			t.Fatalf("%v in a call of class %s", p.Protocol, c.Class)
		}
		if c.Class == detect.EndToEnd && p.Payload[2]&0x8f != 0x0d {
			t.Fatalf("function byte %#x", p.Payload[2])
		}
		if p.Length > 1472 {
			t.Fatalf("message of %d bytes", p.Length)
		}
	}
	for key, c := range labels {
		if n := arrived[key]; n != 40+heads[c.Class] {
			t.Errorf("%d packets of a call of class %s", n, c.Class)
		}
	}
}
