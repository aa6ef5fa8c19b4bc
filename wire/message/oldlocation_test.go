package message

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

// SC prints bytes and text of this one.
const oldLocationHex = "11b44ed518acb339 01 c0a80002a373 c869d396fe30"

var oldLocation = OldLocation{Node: 0x11b44ed518acb339, Flag: 1, Addrs: addrs("192.168.0.2:41843", "200.105.211.150:65072")}

func TestOldLocation(t *testing.T) {
	for _, tt := range []struct {
		name     string
		location OldLocation
		wire     string
		text     string
	}{
		{"SC", oldLocation, oldLocationHex, "0x11b44ed518acb339-1-l192.168.0.2:41843-s200.105.211.150:65072"},
		{"SO: in a login", OldLocation{0x65f124417c036c95, 1, addrs("192.168.1.75:57608", "64.4.23.176:40006", "178.65.50.174:57608")},
			"65f124417c036c95 01 c0a8014be108 400417b09c46 b24132aee108",
			"0x65f124417c036c95-1-l192.168.1.75:57608-s64.4.23.176:40006-r178.65.50.174:57608"},
		{"behind a relay", OldLocation{1, 0, addrs("192.0.2.1:1", "192.0.2.2:2", "10.0.0.3:3")},
			"0000000000000001 00 c00002010001 c00002020002 0a0000030003", "0x0000000000000001-0-s192.0.2.1:1-r192.0.2.2:2-l10.0.0.3:3"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if got, err := tt.location.AppendBinary(nil); err != nil || !bytes.Equal(got, wire) {
				t.Errorf("AppendBinary = %x, %v, want %x", got, err, wire)
			}
			var got OldLocation
			if err := got.UnmarshalBinary(wire); err != nil || !reflect.DeepEqual(got, tt.location) {
				t.Errorf("UnmarshalBinary = %+v, %v, want %+v", got, err, tt.location)
			}
			if got := tt.location.String(); got != tt.text {
				t.Errorf("String = %s, want %s", got, tt.text)
			}
		})
	}
	for name, wire := range map[string]string{
		"no address":       "11b44ed518acb339 01",
		"half an address":  "11b44ed518acb339 01 c0a800",
		"four addresses":   "11b44ed518acb339 01 c0a80002a373 c0a80002a373 c0a80002a373 c0a80002a373",
		"flag 2":           "11b44ed518acb339 02 c0a80002a373",
		"one of our own":   "01" + nodeHex + "00",
		"nothing":          "",
		"a byte too much":  oldLocationHex + "00",
		"only a node's id": "11b44ed518acb339",
	} {
		if err := new(OldLocation).UnmarshalBinary(unhex(t, wire)); !errors.Is(err, ErrOldLocation) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, l := range []OldLocation{{}, {Addrs: addrs("[2001:db8::1]:1")}, {Flag: 2, Addrs: addrs("192.0.2.1:1")}} {
		if _, err := l.AppendBinary(nil); !errors.Is(err, ErrOldLocation) {
			t.Errorf("AppendBinary of %v: %v", l, err)
		}
	}
}

func FuzzOldLocation(f *testing.F) {
	f.Add(unhex(f, oldLocationHex))
	f.Fuzz(func(t *testing.T, b []byte) {
		var l OldLocation
		if l.UnmarshalBinary(b) != nil {
			return
		}
		if again, err := l.AppendBinary(nil); err != nil || !bytes.Equal(again, b) {
			t.Fatalf("%x became %x, %v", b, again, err)
		}
	})
}
