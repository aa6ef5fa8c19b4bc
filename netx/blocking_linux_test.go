package netx

import (
	"errors"
	"net"
	"testing"
)

// TestBlocking: one datagram after the other, none of which costs memory; and who waits
// for one is woken by Close. Batches have tests of their own.
func TestBlocking(t *testing.T) {
	plain, err := System{}.ListenUDP(t.Context(), loopback)
	if err != nil {
		t.Fatal(err)
	}
	at := plain.LocalAddr()
	c, err := Blocking(plain)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if c.LocalAddr() != at {
		t.Errorf("it was %v, and is %v", at, c.LocalAddr())
	}
	if _, err := plain.WriteTo([]byte("x"), at); !errors.Is(err, net.ErrClosed) {
		t.Errorf("the socket that it was: %v", err)
	}
	x, b := []byte("x"), make([]byte, 10)
	if got := testing.AllocsPerRun(10, func() {
		if _, err := c.WriteTo(x, at); err != nil {
			t.Error(err)
		}
		if n, from, err := c.ReadFrom(b); n != 1 || b[0] != 'x' || from != at || err != nil {
			t.Errorf("%q from %v, %v", b[:n], from, err)
		}
	}); got > 4 { // the race detector empties pools now and then
		t.Errorf("%v allocations", got)
	}

	begun, done := make(chan bool), make(chan error)
	go func() {
		close(begun)
		for {
			if _, _, err := c.ReadFrom(b); err != nil {
				done <- err
				return
			}
		}
	}()
	<-begun
	c.Close()
	if err := <-done; !errors.Is(err, net.ErrClosed) {
		t.Errorf("woken with %v", err)
	}
	if _, err := Blocking(single{c}); !errors.Is(err, errors.ErrUnsupported) {
		t.Errorf("of another kind: %v", err)
	}
}
