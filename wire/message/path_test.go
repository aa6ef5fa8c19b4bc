package message

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
)

// Vectors of what finding paths added to Skype's commands.
func TestPathCommands(t *testing.T) {
	for _, tt := range []struct {
		wire string
		m    Message
	}{
		{"11 8aa208 0102 42 6acfcd9e9f31290b070200c00000", &RelayVouch{Relay: 0xa0b0c0d, Addr: netip.MustParseAddrPort("192.0.2.7:0")}},
		{"05 93a208 0102 42 3c25", &RelayVouched{Same: true}},
		{"0e 929108 0102 41 01 0102 0102030405060708", &NATTest{Nonce: 0x0102030405060708}},
		{"08 9b9108 0102 42 35cec0cf05", &NATTested{Port: 33033, Asked: true}},
	} {
		wire := unhex(t, tt.wire)
		if got := Append(nil, Command{ID: 0x102, Body: tt.m}); !bytes.Equal(got, wire) {
			t.Errorf("%T is %x, want %x", tt.m, got, wire)
		}
		if c, rest, err := Parse(wire, Session); err != nil || len(rest) > 0 || c.ID != 0x102 || !reflect.DeepEqual(c.Body, tt.m) {
			t.Errorf("%x gives %+v, %v", wire, c.Body, err)
		}
	}
}
