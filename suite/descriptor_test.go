package suite

import (
	"bytes"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/wire/message"
)

// short is the authority with one day's key in the descriptor, for tests that
// open it very often.
func short(t testing.TB) (*Authority, []byte) {
	t.Helper()
	a := testAuthority(t, "network")
	a.days = a.days[:1]
	b, err := a.SignDescriptor(noon)
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestDescriptorVector(t *testing.T) {
	a, b := short(t)
	pin(t, "descriptor", b)
	fingerprint := a.Descriptor.Fingerprint()
	pin(t, "fingerprint", fingerprint[:])
	d, err := OpenDescriptor(b, fingerprint)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(d, &a.Descriptor) {
		t.Errorf("OpenDescriptor = %+v, want %+v", d, a.Descriptor)
	}
}

func TestDescriptorForged(t *testing.T) {
	a, b := short(t)
	fingerprint := a.Descriptor.Fingerprint()
	everyChange(b, func(changed []byte) {
		_, err := OpenDescriptor(changed, fingerprint)
		refused(t, "altered descriptor", err)
	})
	_, err := OpenDescriptor(b, testAuthority(t, "another network").Descriptor.Fingerprint())
	refused(t, "another network", err)

	// Mallory cannot put his own name on the network's keys, nor keep the
	// fingerprint under his own root key.
	mallory := testKeys(t, "mallory")
	forged, err := a.Descriptor.Sign(mallory)
	if err != nil {
		t.Fatal(err)
	}
	_, err = OpenDescriptor(forged, fingerprint)
	refused(t, "signed by a stranger", err)
	d := a.Descriptor
	d.Root = mallory.Public().Signing
	if forged, err = d.Sign(mallory); err != nil {
		t.Fatal(err)
	}
	_, err = OpenDescriptor(forged, fingerprint)
	refused(t, "with a stranger's root key", err)

	// The login key speaks for days, not for the network.
	if forged, err = a.Descriptor.Sign(a.Login); err != nil {
		t.Fatal(err)
	}
	_, err = OpenDescriptor(forged, fingerprint)
	refused(t, "signed by the login key", err)
}

// What the root key signed is still kept to what a node can bear.
func TestDescriptorBounds(t *testing.T) {
	server := netip.MustParseAddrPort("192.0.2.1:33033")
	node := Bootstrap{Addr: server, Agreement: make([]byte, 32)}
	tests := []struct {
		name   string
		change func(*Descriptor)
		ok     bool
	}{
		{"good", func(*Descriptor) {}, true},
		{"empty policy", func(d *Descriptor) { d.Policy = Policy{} }, true},
		{"nobody in it", func(d *Descriptor) { d.LoginServers, d.Supernodes = nil, nil }, true},
		{"no name", func(d *Descriptor) { d.Name = "" }, false},
		{"long name", func(d *Descriptor) { d.Name = strings.Repeat("a", maxNetworkName+1) }, false},
		{"name of two lines", func(d *Descriptor) { d.Name = "a\nb" }, false},
		{"unknown suite", func(d *Descriptor) { d.Suite = "rot13" }, false},
		{"no login key", func(d *Descriptor) { d.Login = nil }, false},
		{"root key as login key", func(d *Descriptor) { d.Login = d.Root }, false},
		{"too many login servers", func(d *Descriptor) { d.LoginServers = slices.Repeat([]netip.AddrPort{server}, maxLoginServers+1) }, false},
		{"login server without port", func(d *Descriptor) {
			d.LoginServers = []netip.AddrPort{netip.AddrPortFrom(server.Addr(), 0)}
		}, false},
		{"login server nowhere", func(d *Descriptor) { d.LoginServers = []netip.AddrPort{{}} }, false},
		{"login server everywhere", func(d *Descriptor) {
			d.LoginServers = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:33033")}
		}, false},
		{"too many supernodes", func(d *Descriptor) { d.Supernodes = slices.Repeat([]Bootstrap{node}, maxSupernodes+1) }, false},
		{"supernode without key", func(d *Descriptor) { d.Supernodes = []Bootstrap{{Addr: server}} }, false},
		{"unknown promotion", func(d *Descriptor) { d.Policy.Promotion = "sold" }, false},
		{"unknown registration", func(d *Descriptor) { d.Policy.Registration = "bribe" }, false},
		{"records for a century", func(d *Descriptor) { d.Policy.Records = 24 * 36525 }, false},
		{"certificates for ever", func(d *Descriptor) { d.Policy.Certificates = 1 << 31 }, false},
		{"password of 4 GiB", func(d *Descriptor) { d.Policy.Password.Memory = 4 << 20 }, false},
		{"password of a day", func(d *Descriptor) { d.Policy.Password.Time = 1 << 20 }, false},
		{"password of 256 threads", func(d *Descriptor) { d.Policy.Password.Threads = 256 }, false},
		{"password in no memory", func(d *Descriptor) { d.Policy.Password = PasswordParams{Time: 1, Memory: 8, Threads: 4} }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := testAuthority(t, "network")
			d := a.Descriptor
			tt.change(&d)
			if _, err := d.Sign(a.Root); (err == nil) != tt.ok {
				t.Errorf("Sign: %v", err)
			}
			b, err := SignBody(a.Root, ForDescriptor, &d)
			if err != nil {
				t.Fatal(err)
			}
			got, err := OpenDescriptor(b, d.Fingerprint())
			if (err == nil) != tt.ok {
				t.Fatalf("OpenDescriptor: %v", err)
			}
			if tt.ok && got.Policy != d.Policy.orDefault() {
				t.Errorf("policy is %+v", got.Policy)
			}
		})
	}
	if _, err := OpenDescriptor(make([]byte, MaxDescriptor+1), [32]byte{}); err == nil {
		t.Error("opened more than MaxDescriptor bytes")
	}
}

func TestPolicyDefaults(t *testing.T) {
	want := Policy{
		PromotionOpen, RegistrationInvite, 72, 30,
		PasswordParams{Time: 3, Memory: 64 << 10, Threads: 4},
		Limits{NewDevices: 5, Supernodes: 1, SeatsPerNetwork: 2},
	}
	if got := (Policy{}).orDefault(); got != want {
		t.Errorf("default policy is %+v, want %+v", got, want)
	}
	if err := want.check(); err != nil {
		t.Error(err)
	}
}

// The login servers put new days beside a descriptor without the root key;
// nobody else can.
func TestDescriptorLoginKeys(t *testing.T) {
	a, b := short(t)
	fingerprint := a.Descriptor.Fingerprint()
	var s signedDescriptor
	if err := message.Unmarshal(b, &s); err != nil {
		t.Fatal(err)
	}
	day := Day(noon)
	public, _ := loginKey(t)
	key := func(login Keys, day uint32) []byte {
		k, err := signLoginKey(login, day, public)
		if err != nil {
			t.Fatal(err)
		}
		return k.Signed
	}
	var many [][]byte
	for i := range uint32(maxLoginKeys + 1) {
		many = append(many, key(a.Login, day+i))
	}
	head, err := a.SignHead(&Head{Time: noon})
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		keys [][]byte
		ok   bool
	}{
		{"none", nil, true},
		{"new days", [][]byte{key(a.Login, day+8), key(a.Login, day+9)}, true},
		{"as many as may be", many[1:], true},
		{"too many", many, false},
		{"out of order", [][]byte{key(a.Login, day+9), key(a.Login, day+8)}, false},
		{"a stranger's", [][]byte{key(testKeys(t, "mallory"), day)}, false},
		{"the root key's", [][]byte{key(a.Root, day)}, false},
		{"no key", [][]byte{head}, false},
		{"huge", [][]byte{make([]byte, maxLoginKey+1)}, false},
	}
	for _, tt := range tests {
		s.LoginKeys = tt.keys
		d, err := OpenDescriptor(message.Marshal(&s), fingerprint)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil && len(d.LoginKeys) != len(tt.keys) {
			t.Errorf("%s: %d keys", tt.name, len(d.LoginKeys))
		}
	}
}

func TestLoginKeyNow(t *testing.T) {
	d := &Descriptor{Name: "Test network", Suite: ModernName}
	if _, err := d.LoginKey(noon); err == nil {
		t.Error("a key out of nothing")
	}
	day := Day(noon)
	for i := range uint32(3) {
		d.LoginKeys = append(d.LoginKeys, LoginKey{Day: day + 2*i})
	}
	for _, tt := range []struct {
		days int
		want uint32
	}{{0, 0}, {1, 0}, {2, 2}, {3, 2}, {4, 4}, {400, 4}, {-400, 0}} {
		k, err := d.LoginKey(noon.AddDate(0, 0, tt.days))
		if err != nil || k.Day != day+tt.want {
			t.Errorf("after %d days: day %d, %v, want %d", tt.days, k.Day-day, err, tt.want)
		}
	}
}

func TestDay(t *testing.T) {
	for _, tt := range []struct {
		time string
		want uint32
	}{
		{"1970-01-01T23:59:59Z", 0},
		{"1970-01-02T00:00:00Z", 1},
		{"2026-03-01T00:30:00+02:00", 20512},
		{"2026-03-01T00:00:00Z", 20513},
	} {
		at, err := time.Parse(time.RFC3339, tt.time)
		if err != nil {
			t.Fatal(err)
		}
		if got := Day(at); got != tt.want {
			t.Errorf("Day(%s) = %d, want %d", tt.time, got, tt.want)
		}
	}
}

func FuzzOpenDescriptor(f *testing.F) {
	a, b := short(f)
	fingerprint := a.Descriptor.Fingerprint()
	f.Add(b)
	f.Add(message.Marshal(&a.Descriptor))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, in []byte) {
		d, err := OpenDescriptor(in, fingerprint)
		if err == nil {
			// Keys of the day may be left out on the way, nothing else changed.
			d.LoginKeys = a.Descriptor.LoginKeys
			if !reflect.DeepEqual(d, &a.Descriptor) {
				t.Errorf("opened %x as %+v", in, d)
			}
		}
		// The same bytes as a body with a good signature: the code behind it.
		sig, err := a.Root.Sign(ForDescriptor, in)
		if err != nil {
			t.Fatal(err)
		}
		if d, err = OpenDescriptor(message.Marshal(&Signed{in, sig}), fingerprint); err != nil {
			return
		}
		if again, err := d.Sign(a.Root); err != nil || !bytes.Contains(again, message.Marshal(d)) {
			t.Errorf("cannot sign what was opened: %v", err)
		}
	})
}

func BenchmarkOpenDescriptor(b *testing.B) {
	a := testAuthority(b, "network")
	signed, err := a.SignDescriptor(noon)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(len(signed)), "bytes")
	fingerprint := a.Descriptor.Fingerprint()
	for b.Loop() {
		if _, err := OpenDescriptor(signed, fingerprint); err != nil {
			b.Fatal(err)
		}
	}
}
