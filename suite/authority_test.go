package suite

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet/wire/message"
	"pgregory.net/rapid"
)

func TestCreateAuthority(t *testing.T) {
	a, err := CreateAuthority("Family", noon, AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	b, err := CreateAuthority("Family", noon, AuthorityOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if a.Descriptor.Fingerprint() == b.Descriptor.Fingerprint() || a.Secret == b.Secret || a.Descriptor.Network == b.Descriptor.Network {
		t.Error("two networks of one name are one")
	}
	signed, err := a.SignDescriptor(noon)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDescriptor(signed, a.Invite(nil, nil).Fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if d.Serial != 1 || len(d.LoginKeys) != 1+publishedAhead || d.Policy != (Policy{}).orDefault() {
		t.Errorf("descriptor is %+v", d)
	}
	for _, o := range []AuthorityOptions{
		{Suite: "rot13"},
		{Policy: Policy{Registration: "bribe"}},
		{LoginServers: []netip.AddrPort{{}}},
	} {
		if _, err := CreateAuthority("Family", noon, o); err == nil {
			t.Errorf("created a network with %+v", o)
		}
	}
	if _, err := CreateAuthority("", noon, AuthorityOptions{}); err == nil {
		t.Error("created a network without a name")
	}
}

func TestAuthorityVector(t *testing.T) {
	a := testAuthority(t, "network")
	a.days = a.days[:1]
	b := a.Marshal()
	pin(t, "authority", b)
	again, err := ParseAuthority(b)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(again.Marshal(), b) || !reflect.DeepEqual(again.Descriptor, a.Descriptor) {
		t.Error("the file changed by being read and written")
	}
	if cert, _ := issue(t, again); !bytes.Equal(cert, vector(t, "certificate")) {
		t.Error("the authority signs other certificates after a restart")
	}
}

func TestParseAuthorityRefuses(t *testing.T) {
	a, other := testAuthority(t, "network"), testAuthority(t, "another network")
	tests := []struct {
		name   string
		change func(*authorityBody)
	}{
		{"newer version", func(b *authorityBody) { b.Version++ }},
		{"another's root key", func(b *authorityBody) { b.Root = other.Root.Marshal() }},
		{"another's login key", func(b *authorityBody) { b.Login = other.Login.Marshal() }},
		{"no root key", func(b *authorityBody) { b.Root = nil }},
		{"another's day", func(b *authorityBody) { b.Days[0].Key = other.days[0].key.Signed }},
		{"a day twice", func(b *authorityBody) { b.Days[0] = b.Days[1] }},
		{"unknown suite", func(b *authorityBody) { b.Descriptor.Suite = "rot13" }},
	}
	for _, tt := range tests {
		var body authorityBody
		if err := message.Unmarshal(a.Marshal(), &body); err != nil {
			t.Fatal(err)
		}
		tt.change(&body)
		if _, err := ParseAuthority(message.Marshal(&body)); err == nil {
			t.Errorf("%s: accepted", tt.name)
		}
	}
	for n, file := 0, a.Marshal(); n < len(file); n += 97 {
		if _, err := ParseAuthority(file[:n]); err == nil {
			t.Fatalf("took the first %d bytes", n)
		}
	}
}

// However days pass, the keys are those of yesterday (if it ever was) to ahead,
// and what was sealed yesterday can still be opened.
func TestRotate(t *testing.T) {
	a := testAuthority(t, "network")
	rapid.Check(t, func(t *rapid.T) {
		a := *a
		a.days = append([]loginDay(nil), a.days...)
		now, ahead := noon, DefaultAhead
		for range rapid.IntRange(1, 4).Draw(t, "steps") {
			yesterdays, had := a.day(Day(now))
			var was loginDay
			if had {
				was = a.days[yesterdays]
			}
			days := rapid.SampledFrom([]int{0, 1, 1, 2, 40}).Draw(t, "days")
			now = now.AddDate(0, 0, days)
			ahead = rapid.IntRange(0, 3).Draw(t, "ahead")
			if _, err := a.Rotate(now, ahead); err != nil {
				t.Fatal(err)
			}
			today := Day(now)
			for i, d := range a.days {
				if d.key.Day+1 < today {
					t.Fatalf("day %d is kept on day %d", d.key.Day, today)
				}
				if i > 0 && a.days[i-1].key.Day >= d.key.Day {
					t.Fatal("days do not rise")
				}
			}
			for day := today; day <= today+uint32(ahead); day++ {
				if _, found := a.day(day); !found {
					t.Fatalf("day %d is missing on day %d", day, today)
				}
			}
			if i, found := a.day(was.key.Day); had && days <= 1 && (!found || !bytes.Equal(a.days[i].private, was.private)) {
				t.Fatal("yesterday's key is lost")
			}
			if changed, err := a.Rotate(now, ahead); changed || err != nil {
				t.Fatalf("a second Rotate = %v, %v", changed, err)
			}
		}
	})
}

func TestAuthorityLogin(t *testing.T) {
	a := testAuthority(t, "network")
	signed, err := a.SignDescriptor(noon)
	if err != nil {
		t.Fatal(err)
	}
	d, err := OpenDescriptor(signed, a.Descriptor.Fingerprint())
	if err != nil {
		t.Fatal(err)
	}
	key, err := d.LoginKey(noon)
	if err != nil || key.Day != Day(noon) {
		t.Fatalf("LoginKey = day %d, %v", key.Day, err)
	}
	sealed, _, err := Modern().SealRequest(key.Public, []byte("let me in"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		days int
		want error
	}{{0, nil}, {1, nil}, {2, ErrExpired}} {
		if _, err := a.Rotate(noon.AddDate(0, 0, tt.days), 0); err != nil {
			t.Fatal(err)
		}
		if a, err = ParseAuthority(a.Marshal()); err != nil {
			t.Fatal(err)
		}
		request, _, err := a.OpenRequest(key.Day, sealed)
		if !errors.Is(err, tt.want) || err == nil && string(request) != "let me in" {
			t.Errorf("after %d days: %q, %v, want %v", tt.days, request, err, tt.want)
		}
	}
}

func TestSignDescriptorSerial(t *testing.T) {
	a := testAuthority(t, "network")
	for want := range uint64(3) {
		b, err := a.SignDescriptor(noon)
		if err != nil {
			t.Fatal(err)
		}
		d, err := OpenDescriptor(b, a.Descriptor.Fingerprint())
		if err != nil || d.Serial != want+1 {
			t.Fatalf("serial %d, %v, want %d", d.Serial, err, want+1)
		}
		if a, err = ParseAuthority(a.Marshal()); err != nil { // it survives a restart
			t.Fatal(err)
		}
	}
}
