package message

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

const nodeHex = "000102030405060708090a0b0c0d0e0f"

func TestLocation(t *testing.T) {
	node := linnet.NodeID(unhex(t, nodeHex))
	for _, tt := range []struct {
		location Location
		wire     string
	}{
		{Location{Node: node, Supernodes: []linnet.NodeID{}}, "01" + nodeHex + "00"},
		{Location{Node: node, Supernodes: []linnet.NodeID{node, {}}}, "01" + nodeHex + "02" + nodeHex + strings.Repeat("00", 16)},
	} {
		wire := unhex(t, tt.wire)
		if got, err := tt.location.AppendBinary(nil); err != nil || !bytes.Equal(got, wire) {
			t.Errorf("AppendBinary = %x, %v, want %x", got, err, wire)
		}
		var got Location
		if err := got.UnmarshalBinary(wire); err != nil || !reflect.DeepEqual(got, tt.location) {
			t.Errorf("UnmarshalBinary = %+v, %v, want %+v", got, err, tt.location)
		}
		for end := range wire {
			if err := new(Location).UnmarshalBinary(wire[:end]); !errors.Is(err, ErrLocation) {
				t.Errorf("the first %d bytes of %x: %v", end, wire, err)
			}
		}
	}
	for name, wire := range map[string]string{
		"another version":     "02" + nodeHex + "00",
		"five supernodes":     "01" + nodeHex + "05" + strings.Repeat(nodeHex, 5),
		"bytes after the end": "01" + nodeHex + "0000",
	} {
		if err := new(Location).UnmarshalBinary(unhex(t, wire)); !errors.Is(err, ErrLocation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := (Location{Supernodes: make([]linnet.NodeID, MaxAttachments+1)}).AppendBinary(nil); !errors.Is(err, ErrLocation) {
		t.Errorf("AppendBinary of %d supernodes: %v", MaxAttachments+1, err)
	}
}

func FuzzLocation(f *testing.F) {
	f.Add(unhex(f, "01"+nodeHex+"01"+nodeHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l Location
		if l.UnmarshalBinary(b) != nil {
			return
		}
		if again, err := l.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
