package link

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
)

// Spare sockets carry packets both ways, and no commands; they end with the link.
func TestSpares(t *testing.T) {
	a, _ := start(t, Options{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	b, heard := start(t, Options{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	ids, err := a.OpenSpares(3)
	if err != nil || len(ids) != 3 {
		t.Fatalf("%v, %v", ids, err)
	}
	from := make(chan Origin, 1)
	b.Bind(1, func(o Origin, _ []byte) { from <- o })
	back := make(chan string, 1)
	a.Bind(2, func(o Origin, body []byte) { back <- fmt.Sprint(o.Socket, o.Addr, string(body)) })
	for _, id := range ids {
		if err := a.SendPacket(Origin{Addr: b.Addr(), Socket: id}, 1, []byte("hello")); err != nil {
			t.Fatal(err)
		}
		o := <-from
		if o.Addr == a.Addr() {
			t.Errorf("spare socket %d has the address of the link's own", id)
		}
		if err := b.SendPacket(o, 2, []byte("you")); err != nil {
			t.Fatal(err)
		}
		if got, want := <-back, fmt.Sprint(id, b.Addr(), "you"); got != want {
			t.Errorf("came %s, want %s", got, want)
		}
	}
	if got := heard.told().bodies; len(got) != 0 {
		t.Errorf("commands: %v", got)
	}
	a.CloseSpare(ids[0])
	if err := a.SendPacket(Origin{Addr: b.Addr(), Socket: ids[0]}, 1, nil); !errors.Is(err, ErrSpare) {
		t.Errorf("on a closed one: %v", err)
	}
	a.CloseSpares()
	for _, id := range ids {
		if at := a.SpareAddr(id); at.IsValid() {
			t.Errorf("%v is open", at)
		}
	}
	if ids, err = a.OpenSpares(1); err != nil || len(ids) != 1 {
		t.Errorf("afterwards: %v, %v", ids, err)
	}
}

func TestSparesAreBounded(t *testing.T) {
	a, _ := start(t, Options{Listen: netip.MustParseAddrPort("127.0.0.1:0")})
	ids, err := a.OpenSpares(maxSpares + 10)
	if err != nil || len(ids) != maxSpares {
		t.Errorf("%d spare sockets, %v", len(ids), err)
	}
}
