package suite

import (
	"bytes"
	"errors"
	"net/netip"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

var invite = Invite{
	Fingerprint: [32]byte{0: 0xab, 31: 0xcd},
	Bootstrap:   []netip.AddrPort{netip.MustParseAddrPort("192.0.2.7:33033"), netip.MustParseAddrPort("[2001:db8::7]:443")},
	Token:       []byte("0123456789abcdef"),
}

func TestInviteVector(t *testing.T) {
	text := strings.TrimPrefix(invite.String(), inviteScheme)
	b, err := inviteText.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	const want = "agvqaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaam2aqeyaaaeb4bbedcaainxaaaaaaaaaaaaaaaaaaaoan3caydcmrtgq2tmnzyhfqwey3emvtn4gnm74"
	if text != want {
		t.Errorf("String = %s, want %s", text, want)
	}
	layout := "01 ab00000000000000000000000000000000000000000000000000000000 0000cd" +
		"02 04 c0000207 8109 06 20010db8000000000000000000000007 01bb" +
		"10 30313233343536373839616263646566"
	if want := unhex(t, layout); !bytes.Equal(b[:len(b)-checksumSize], want) {
		t.Errorf("bytes are %x, want %x", b, want)
	}
}

func TestParseInvite(t *testing.T) {
	text := invite.String()
	bare := Invite{Fingerprint: invite.Fingerprint}
	tests := []struct {
		name, text string
		want       Invite
	}{
		{"as written", text, invite},
		{"in capitals", strings.ToUpper(text), invite},
		{"wrapped by mail", " " + text[:40] + "\r\n\t" + text[40:] + "\n", invite},
		{"behind a page", "https://linnet.example/#" + text, invite},
		{"behind a path", "https://linnet.example/join?lang=en#" + text, invite},
		{"no address, no token", bare.String(), bare},
	}
	for _, tt := range tests {
		got, err := ParseInvite(tt.text)
		if err != nil || !reflect.DeepEqual(got, tt.want) {
			t.Errorf("%s: %+v, %v, want %+v", tt.name, got, err, tt.want)
		}
	}
}

func TestParseInviteRefuses(t *testing.T) {
	text := invite.String()
	// sealed makes the text of bytes that nobody but a program could get wrong.
	sealed := func(hex string) string { return sealInvite(unhex(t, hex)) }
	fingerprint := strings.Repeat("00", 32)
	tests := []struct {
		name, text string
		want       error
	}{
		{"empty", "", ErrNoInvite},
		{"a greeting", "hello", ErrNoInvite},
		{"another link", "skype:echo123", ErrNoInvite},
		{"a page without invite", "https://linnet.example/", ErrNoInvite},
		{"unencrypted page", "http://linnet.example/#" + text, ErrNoInvite},
		{"huge", inviteScheme + strings.Repeat("a", maxInviteText), ErrNoInvite},
		{"nothing behind the colon", inviteScheme, ErrInviteTypo},
		{"cut off", text[:len(text)-1], ErrInviteTypo},
		{"one too many", text + "a", ErrInviteTypo},
		{"eight too many", text + "aaaaaaaa", ErrInviteTypo},
		{"a digit that base32 has not", text[:20] + "1" + text[21:], ErrInviteTypo},
		{"swapped", text[:8] + text[9:10] + text[8:9] + text[10:], ErrInviteTypo},
		{"newer version", sealed("02" + fingerprint + "0000"), ErrInviteVersion},
		{"short", sealed("01" + fingerprint[2:]), ErrInviteTypo},
		{"no count", sealed("01" + fingerprint), ErrInviteTypo},
		{"no token length", sealed("01" + fingerprint + "00"), ErrInviteTypo},
		{"too many addresses", sealed("01" + fingerprint + "05" + strings.Repeat("0401020304ffff", 5) + "00"), ErrInviteTypo},
		{"fewer addresses than said", sealed("01" + fingerprint + "02" + "0401020304ffff" + "00"), ErrInviteTypo},
		{"address of no family", sealed("01" + fingerprint + "01" + "0501020304ffff" + "00"), ErrInviteTypo},
		{"address without port", sealed("01" + fingerprint + "01" + "04010203040000" + "00"), ErrInviteTypo},
		{"address that is none", sealed("01" + fingerprint + "01" + "0400000000ffff" + "00"), ErrInviteTypo},
		{"IPv4 dressed up", sealed("01" + fingerprint + "01" + "0600000000000000000000ffff01020304ffff" + "00"), ErrInviteTypo},
		{"long token", sealed("01" + fingerprint + "00" + "31" + strings.Repeat("11", 49)), ErrInviteTypo},
		{"token cut", sealed("01" + fingerprint + "00" + "02" + "11"), ErrInviteTypo},
		{"something behind", sealed("01" + fingerprint + "00" + "00" + "11"), ErrInviteTypo},
	}
	for _, tt := range tests {
		if got, err := ParseInvite(tt.text); !errors.Is(err, tt.want) {
			t.Errorf("%s: %+v, %v, want %v", tt.name, got, err, tt.want)
		}
	}
}

// Any one letter read wrongly is noticed.
func TestInviteTypos(t *testing.T) {
	text := invite.String()
	for i := len(inviteScheme); i < len(text); i++ {
		for _, c := range "abcdefghijklmnopqrstuvwxyz01234567" {
			if string(c) == text[i:i+1] {
				continue
			}
			wrong := text[:i] + string(c) + text[i+1:]
			if _, err := ParseInvite(wrong); !errors.Is(err, ErrInviteTypo) && !errors.Is(err, ErrInviteVersion) {
				t.Fatalf("%s: %v", wrong, err)
			}
		}
	}
}

func TestInviteRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var want Invite
		copy(want.Fingerprint[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "fingerprint"))
		for range rapid.IntRange(0, MaxInviteAddrs).Draw(t, "addresses") {
			size := rapid.SampledFrom([]int{4, 16}).Draw(t, "size")
			ip, _ := netip.AddrFromSlice(rapid.SliceOfN(rapid.Byte(), size, size).Draw(t, "ip"))
			a := netip.AddrPortFrom(ip.Unmap(), rapid.Uint16().Draw(t, "port"))
			if dialable(a) {
				want.Bootstrap = append(want.Bootstrap, a)
			}
		}
		if token := rapid.SliceOfN(rapid.Byte(), 0, MaxInviteToken).Draw(t, "token"); len(token) > 0 {
			want.Token = token
		}
		got, err := ParseInvite(want.String())
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("ParseInvite(%s) = %+v, %v, want %+v", want, got, err, want)
		}
	})
}

// What an invite has no room for, or what leads nowhere, is left out: the rest
// still works.
func TestInviteLeavesOut(t *testing.T) {
	good := netip.MustParseAddrPort("192.0.2.7:33033")
	i := Invite{
		Bootstrap: []netip.AddrPort{{}, netip.MustParseAddrPort("0.0.0.0:1"), netip.AddrPortFrom(good.Addr(), 0), netip.MustParseAddrPort("[::ffff:192.0.2.7]:33033"), good, good, good, good},
		Token:     make([]byte, MaxInviteToken+1),
	}
	got, err := ParseInvite(i.String())
	want := Invite{Bootstrap: []netip.AddrPort{good, good, good, good}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v, want %+v", got, err, want)
	}
}

func FuzzParseInvite(f *testing.F) {
	f.Add(invite.String())
	f.Add("https://linnet.example/#" + invite.String())
	f.Add(sealInvite([]byte{inviteVersion}))
	f.Fuzz(func(t *testing.T, text string) {
		for _, text := range []string{text, sealInvite([]byte(text))} {
			i, err := ParseInvite(text)
			if err != nil {
				continue
			}
			again, err := ParseInvite(i.String())
			if err != nil || !reflect.DeepEqual(i, again) {
				t.Errorf("%+v, %v, want %+v", again, err, i)
			}
		}
	})
}
