package link

import (
	"bytes"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/wire/frame"
)

// Of packets the latest count, of commands all do, and they go first.
func TestOutbox(t *testing.T) {
	var o outbox
	now := time.Now()
	packet := func(tag uint32, n byte) frame.Record {
		return frame.Record{Kind: frame.InSession, Tag: tag, Body: bytes.Repeat([]byte{n}, 1000)}
	}
	lost := 0
	for i := range 200 {
		n, ok := o.put(now, packet(2, byte(i)))
		if lost += n; !ok {
			t.Fatal("a packet ended the stream")
		}
	}
	if _, ok := o.put(now, frame.Record{Kind: frame.Ack, Packet: 7}); !ok {
		t.Fatal("no room for a command")
	}
	var got []byte
	var records int
	for first := true; first || o.waiting(); first = false {
		b, n, late := o.take(now.Add(time.Hour), nil)
		if late != 0 {
			t.Error("a session packet came too late")
		}
		if len(b) > writeChunk+1200 {
			t.Errorf("%d bytes at once", len(b))
		}
		got, records = append(got, b...), records+n
	}
	if ack := (frame.Record{Kind: frame.Ack, Packet: 7}).Append(nil); !bytes.HasPrefix(got, ack) {
		t.Errorf("first comes %x", got[:8])
	}
	if records-1+lost != 200 || lost < 100 || got[len(got)-1] != 199 {
		t.Errorf("%d written, %d lost, the last is %d", records, lost, got[len(got)-1])
	}
	if int(got[len(got)-1])-lost != records-2 {
		t.Error("others than the oldest were lost")
	}

	o.put(now, packet(3, 1)) // media
	o.put(now.Add(maxMediaAge), packet(3, 2))
	if b, n, late := o.take(now.Add(maxMediaAge+1), nil); n != 1 || late != 1 || b[len(b)-1] != 2 {
		t.Errorf("%d written, %d late", n, late)
	}
	for i := 0; ; i++ {
		if _, ok := o.put(now, frame.Record{Kind: frame.Commands, Body: make([]byte, 10_000)}); !ok {
			if i != maxReliable/10_000 {
				t.Errorf("room for %d commands", i)
			}
			break
		}
	}
}

func BenchmarkOutbox(b *testing.B) {
	var o outbox
	r := frame.Record{Kind: frame.InSession, Tag: 3, Body: make([]byte, 160)}
	now := time.Now()
	var out []byte
	for b.Loop() {
		for range 20 {
			o.put(now, r)
		}
		for o.waiting() {
			out, _, _ = o.take(now, out[:0])
		}
	}
	b.ReportAllocs()
}
