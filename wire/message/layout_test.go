package message

import (
	"net/netip"
	"testing"

	"github.com/linnet-p2p/linnet/wire/objlist"
)

func TestFields(t *testing.T) {
	fields := SpecOf((*SessionRequest)(nil)).Fields()
	relays := FieldOf(fields, &objlist.Object{Kind: objlist.KindList, ID: 7})
	if relays == nil || relays.Name != "Relays" {
		t.Fatalf("5/7 is %+v, want Relays", relays)
	}
	v6 := objlist.Addr(8, netip.MustParseAddrPort("[2001:db8::1]:33033"))
	for _, o := range []objlist.Object{v6, {Kind: objlist.KindAddr, ID: 8}} {
		if f := FieldOf(relays.Fields, &o); f == nil || f.Name != "Addr" {
			t.Errorf("%d/8 of a relay is %+v, want Addr", o.Kind, f)
		}
	}
	if f := FieldOf(fields, &objlist.Object{Kind: objlist.KindNumber, ID: 7}); f != nil {
		t.Errorf("0/7 is %+v, want nothing", f)
	}
}
