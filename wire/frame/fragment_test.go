package frame

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"pgregory.net/rapid"
)

var (
	start = time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	alice = netip.MustParseAddrPort("192.0.2.1:33033")
	bob   = netip.MustParseAddrPort("192.0.2.2:33033")
)

func TestSplit(t *testing.T) {
	payload := []byte("abcdefgh")
	parts, err := Split(7, payload, 3)
	if err != nil || len(parts) != 3 {
		t.Fatalf("Split = %+v, %v", parts, err)
	}
	for i, want := range []string{"abc", "def", "gh"} {
		p := parts[i]
		if string(p.Body) != want || int(p.Part) != i || p.Last != (i == 2) || p.ID != 7 || p.Group != 7 || p.Type != Fragment {
			t.Errorf("part %d = %+v, want %q", i, p, want)
		}
	}
	for _, tt := range []struct{ length, size int }{{0, 100}, {MaxPayload + 1, 1200}, {MaxParts*10 + 1, 10}, {1, 0}, {1, -1}} {
		if _, err := Split(7, make([]byte, tt.length), tt.size); !errors.Is(err, ErrPayload) {
			t.Errorf("Split of %d bytes by %d: %v", tt.length, tt.size, err)
		}
	}
	// The smallest datagram that paths are asked for carries the largest payload.
	if _, err := Split(7, make([]byte, MaxPayload), 1232-FragmentSize); err != nil {
		t.Errorf("Split of %d bytes into datagrams of 1232: %v", MaxPayload, err)
	}
}

// In any order, each part twice, and with another payload in between.
func TestReassembly(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		payload := rapid.SliceOfN(rapid.Byte(), 1, 3000).Draw(t, "payload")
		parts := split(t, 7, payload, rapid.IntRange(40, 1300).Draw(t, "size"))
		others := split(t, 8, make([]byte, 5000), 1000)
		r := NewReassembly(Limits{})
		for i, part := range rapid.Permutation(parts).Draw(t, "order") {
			if got, err := r.Add(start, alice, others[i%4]); got != nil || err != nil {
				t.Fatalf("the other payload: %x, %v", got, err)
			}
			got, err := r.Add(start, alice, part)
			switch {
			case err != nil:
				t.Fatal(err)
			case i == len(parts)-1:
				if !bytes.Equal(got, payload) {
					t.Fatalf("got %x, want %x", got, payload)
				}
			case got != nil:
				t.Fatalf("complete after %d of %d parts: %x", i+1, len(parts), got)
			default:
				if again, err := r.Add(start, alice, part); again != nil || err != nil {
					t.Fatalf("the same part again: %x, %v", again, err)
				}
			}
		}
	})
}

func split(t rapid.TB, group uint16, payload []byte, size int) []Frame {
	t.Helper()
	parts, err := Split(group, payload, size)
	if err != nil {
		t.Fatal(err)
	}
	return parts
}

func TestReassemblyCopies(t *testing.T) {
	r := NewReassembly(Limits{})
	body := []byte("ab")
	r.Add(start, alice, Frame{Type: Fragment, Part: 0, Body: body})
	copy(body, "xx")
	if got, err := r.Add(start, alice, Frame{Type: Fragment, Part: 1, Last: true, Body: body}); string(got) != "abxx" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestPeersAndGroupsAreApart(t *testing.T) {
	r := NewReassembly(Limits{})
	for _, tt := range []struct {
		peer netip.AddrPort
		f    Frame
		want string
	}{
		{alice, Frame{Group: 1, Part: 0, Body: []byte("a")}, ""},
		{bob, Frame{Group: 1, Part: 1, Last: true, Body: []byte("z")}, ""},
		{alice, Frame{Group: 2, Part: 1, Last: true, Body: []byte("y")}, ""},
		{bob, Frame{Group: 1, Part: 0, Body: []byte("b")}, "bz"},
		{alice, Frame{Group: 1, Part: 1, Last: true, Body: []byte("x")}, "ax"},
	} {
		if got, err := r.Add(start, tt.peer, tt.f); string(got) != tt.want || err != nil {
			t.Errorf("%v, group %d, part %d: %q, %v, want %q", tt.peer, tt.f.Group, tt.f.Part, got, err, tt.want)
		}
	}
}

func TestContradictions(t *testing.T) {
	last := func(part uint8) Frame { return Frame{Part: part, Last: true, Body: []byte("x")} }
	part := func(part uint8) Frame { return Frame{Part: part, Body: []byte("x")} }
	for name, frames := range map[string][2]Frame{
		"a part after the last":    {last(1), part(2)},
		"two last parts":           {last(2), last(1)},
		"the last before another":  {part(3), last(2)},
		"more bytes than allowed":  {{Part: 0, Body: make([]byte, MaxPayload)}, part(1)},
		"a number out of range":    {part(0), part(MaxParts)},
		"larger by itself already": {{Part: 1, Body: make([]byte, 1)}, {Part: 0, Body: make([]byte, MaxPayload)}},
	} {
		r := NewReassembly(Limits{})
		if got, err := r.Add(start, alice, frames[0]); got != nil || err != nil {
			t.Errorf("%s: first: %x, %v", name, got, err)
		}
		if got, err := r.Add(start, alice, frames[1]); got != nil || !errors.Is(err, ErrFragment) {
			t.Errorf("%s: second: %x, %v", name, got, err)
		}
		if r.Size() != 0 {
			t.Errorf("%s: %d bytes are kept", name, r.Size())
		}
	}
}

func TestExpire(t *testing.T) {
	r := NewReassembly(Limits{Age: time.Second})
	parts := split(t, 7, []byte("ab"), 1)
	r.Add(start, alice, parts[0])
	r.Expire(start.Add(time.Second - 1))
	if r.Size() == 0 {
		t.Error("gone too early")
	}
	// The age is that of the first part: more parts do not make it younger.
	if got, err := r.Add(start.Add(time.Second), alice, parts[1]); got != nil || err != nil {
		t.Errorf("a part of an expired payload: %q, %v", got, err)
	}
	r.Expire(start.Add(3 * time.Second))
	if r.Size() != 0 || len(r.peers) != 0 {
		t.Errorf("%d bytes, %d peers are left", r.Size(), len(r.peers))
	}
}

func TestPeerLosesItsOldestPayload(t *testing.T) {
	r := NewReassembly(Limits{PerPeer: 2})
	r.Add(start, bob, Frame{Group: 1, Body: []byte("b")})
	for group := range uint16(3) {
		r.Add(start, alice, Frame{Group: group, Body: []byte("a")})
	}
	end := func(peer netip.AddrPort, group uint16) string {
		got, err := r.Add(start, peer, Frame{Group: group, Part: 1, Last: true, Body: []byte("!")})
		if err != nil {
			t.Error(err)
		}
		return string(got)
	}
	if got := end(alice, 1) + end(alice, 2) + end(alice, 0) + end(bob, 1); got != "a!a!b!" {
		t.Errorf("complete are %q, want all but the first of alice", got)
	}
}

func TestTotalIsBounded(t *testing.T) {
	const total = 100_000
	r := NewReassembly(Limits{Total: total})
	rng := rand.New(rand.NewPCG(1, 2))
	refused := 0
	for i := range 20_000 {
		peer := netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, byte(rng.Uint32())}), 1)
		f := Frame{Group: uint16(rng.Uint32N(8)), Part: uint8(rng.Uint32N(MaxParts)), Last: rng.IntN(50) == 0, Body: make([]byte, rng.IntN(1200))}
		_, err := r.Add(start.Add(time.Duration(i)*time.Millisecond), peer, f)
		if errors.Is(err, ErrFull) {
			refused++
		}
		sets, size := 0, 0
		for e := r.byAge.Front(); e != nil; e = e.Next() {
			s := e.Value.(*set)
			sets, size = sets+1, size+s.size
			if s.size < s.payload+setCost+partCost*len(s.parts) {
				t.Fatalf("a payload of %d bytes in %d parts counts as %d", s.payload, len(s.parts), s.size)
			}
		}
		listed := 0
		for _, p := range r.peers {
			listed += len(p)
		}
		if r.size > total || size != r.size || listed != sets {
			t.Fatalf("%d bytes, counted %d, limit %d; %d payloads, %d with peers", r.size, size, total, sets, listed)
		}
	}
	if refused == 0 {
		t.Error("the limit was never reached: this test shows nothing")
	}
	r.Expire(start.Add(time.Hour))
	if r.size != 0 || len(r.peers) != 0 {
		t.Errorf("%d bytes, %d peers are left in the end", r.size, len(r.peers))
	}
}

// Each 4 bytes of the input are a fragment.
func FuzzReassembly(f *testing.F) {
	f.Add([]byte{0, 0, 0, 10, 0, 1, 1, 10})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReassembly(Limits{Total: 4096, PerPeer: 2})
		now := start
		for ; len(b) >= 4; b = b[4:] {
			now = now.Add(time.Duration(b[0]) * 10 * time.Millisecond)
			peer := alice
			if b[1]&0x80 != 0 {
				peer = bob
			}
			got, err := r.Add(now, peer, Frame{Group: uint16(b[1] & 7), Part: b[2] & partMask, Last: b[2]&lastPart != 0, Body: make([]byte, int(b[3])*4)})
			if err != nil && got != nil || len(got) > MaxPayload || r.Size() > 4096 || r.Size() < 0 {
				t.Fatalf("%d bytes, %v; %d are kept", len(got), err, r.Size())
			}
		}
		if r.Expire(now.Add(time.Hour)); r.Size() != 0 || len(r.peers) != 0 {
			t.Fatalf("%d bytes, %d peers are left", r.Size(), len(r.peers))
		}
	})
}
