package directory_test

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
)

var maria = linnet.Card{Name: "María Jiménez", City: "Zürich", Country: "Switzerland", Language: "Deutsch", About: "choir & chess"}

func signCard(t testing.TB, id overlay.Identity, c directory.Card) []byte {
	t.Helper()
	c.Certificate = id.Certificate
	b, err := c.Sign(id.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestCard(t *testing.T) {
	w := overlaytest.New(t, 1)
	id := w.Identity("maria.j", "laptop")
	edition := uint64(w.Now.UnixMilli())
	good := directory.Card{User: "maria.j", Edition: edition, Time: w.Now, Text: maria, Former: []overlay.Slot{7, 2047}}
	b := signCard(t, id, good)
	c, err := directory.OpenCard(w.Trust, b, w.Now.Add(72*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if c.Text != maria || c.User != "maria.j" || c.Node != id.Node || c.Edition != edition || !c.Time.Equal(w.Now) || len(c.Former) != 2 || c.Withdrawn {
		t.Errorf("opened %+v", c)
	}
	gone := directory.Card{User: "maria.j", Edition: edition + 1, Time: w.Now, Withdrawn: true}
	if c, err := directory.OpenCard(w.Trust, signCard(t, id, gone), w.Now.Add(73*time.Hour)); err != nil || !c.Withdrawn {
		t.Errorf("withdrawn: %+v, %v", c, err)
	}

	changed := func(change func(c *directory.Card)) []byte {
		c := good
		change(&c)
		return signCard(t, id, c)
	}
	operator := w.Identity("node:s1", "device")
	for name, bad := range map[string][]byte{
		"nothing":             nil,
		"cut off":             b[:len(b)-1],
		"altered":             bytes.Replace(bytes.Clone(b), []byte("choir"), []byte("Choir"), 1),
		"too old":             changed(func(c *directory.Card) { c.Time = w.Now.Add(-directory.CardKeepFor - time.Second) }),
		"from the future":     changed(func(c *directory.Card) { c.Time = w.Now.Add(11 * time.Minute) }),
		"edition of 3 years":  changed(func(c *directory.Card) { c.Edition += 3 * 366 * 24 * 3600 * 1000 }),
		"another user's":      changed(func(c *directory.Card) { c.User = "alice" }),
		"of an operator":      signCard(t, operator, directory.Card{User: "node:s1", Edition: 1, Time: w.Now}),
		"withdrawn with text": changed(func(c *directory.Card) { c.Withdrawn = true }),
		"two lines":           changed(func(c *directory.Card) { c.Text.About = "a\nb" }),
		"long name":           changed(func(c *directory.Card) { c.Text.Name = strings.Repeat("x", 65) }),
		"no such slot":        changed(func(c *directory.Card) { c.Former = []overlay.Slot{2048} }),
		"too many slots":      changed(func(c *directory.Card) { c.Former = make([]overlay.Slot, 65) }),
		"a record":            signRecord(t, w, id),
	} {
		if c, err := directory.OpenCard(w.Trust, bad, w.Now); err == nil {
			t.Errorf("%s: opened %+v", name, c)
		}
	}
	old := w.Now
	w.Now = w.Now.AddDate(0, 0, 31) // the certificate has expired
	if _, err := directory.OpenCard(w.Trust, changed(func(c *directory.Card) { c.Time = w.Now }), w.Now); err == nil {
		t.Error("opened a card with a certificate that has expired")
	}
	w.Now = old
	large := good
	large.Certificate = id.Certificate
	large.Text.About = strings.Repeat("x", 900)
	if _, err := large.Sign(id.Keys); err == nil {
		t.Error("signed more than a card holds")
	}
}

func signRecord(t testing.TB, w *overlaytest.World, id overlay.Identity) []byte {
	t.Helper()
	r := testRecord(w, id, 7)
	b, err := r.Sign(id.Keys)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The largest card there can be, on either kind of network.
func TestCardFits(t *testing.T) {
	w := overlaytest.New(t, 1)
	user := linnet.UserName(strings.Repeat("u", 32))
	classic, err := suite.CreateAuthority("Museum", w.Now, suite.AuthorityOptions{Suite: suite.ClassicName})
	if err != nil {
		t.Fatal(err)
	}
	keys, err := suite.Classic().NewKeys()
	if err != nil {
		t.Fatal(err)
	}
	device := strings.Repeat("d", suite.MaxDeviceName)
	cert, _, err := classic.IssueCertificate(user, device, keys.Public(), 1, w.Now)
	if err != nil {
		t.Fatal(err)
	}
	c := directory.Card{User: user, Edition: uint64(w.Now.UnixMilli()), Time: w.Now, Text: linnet.Card{
		Name: strings.Repeat("n", 64), City: strings.Repeat("c", 48), Country: strings.Repeat("c", 48),
		Language: strings.Repeat("l", 48), About: strings.Repeat("a", 200),
	}}
	for i := range overlay.Slot(64) {
		c.Former = append(c.Former, 2047-i)
	}
	for name, id := range map[string]overlay.Identity{"modern": w.Identity(user, device), "classic": {Certificate: cert, Keys: keys}} {
		t.Logf("%s: %d bytes of %d", name, len(signCard(t, id, c)), directory.MaxCard)
	}
}

// On a classic network a card is signed with that network's keys.
func TestClassicCard(t *testing.T) {
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	id, trust := classicDevice(t, now)
	b := signCard(t, id, directory.Card{User: "alice", Edition: 5, Time: now, Text: maria})
	if c, err := directory.OpenCard(trust, b, now); err != nil || c.Text != maria || c.Node != id.Node {
		t.Errorf("opened %+v, %v", c, err)
	}
	b[len(b)-1] ^= 1
	if _, err := directory.OpenCard(trust, b, now); err == nil {
		t.Error("opened an altered card")
	}
}

func FuzzOpenCard(f *testing.F) {
	w := overlaytest.New(f, 3)
	id := w.Identity("maria.j", "laptop")
	b := signCard(f, id, directory.Card{User: "maria.j", Edition: 7, Time: w.Now, Text: maria, Former: []overlay.Slot{3}})
	f.Add(b)
	signed, _ := suite.ParseSigned(b)
	f.Add(signed.Body)
	f.Fuzz(func(t *testing.T, b []byte) {
		if c, err := directory.OpenCard(w.Trust, b, w.Now); err == nil && (c.Node != id.Node || c.Edition != 7) {
			t.Errorf("forged: %+v", c)
		}
	})
}

// Vectors for other implementations, made of those of packages suite and overlay.
func TestCardVector(t *testing.T) {
	alice, trust := overlaytest.Alice(t)
	now := overlaytest.VectorTime
	card := directory.Card{
		User: "alice", Edition: 7, Time: now, Text: linnet.Card{Name: "Alice Müller", City: "Bern"}, Former: []overlay.Slot{695},
	}
	got := hex.EncodeToString(signCard(t, alice, card))
	want := "41020400890241070400cb01" + hex.EncodeToString(alice.Certificate) +
		"0301616c696365000102000000000000000701030000019ca9457f300304416c696365204dc3bc6c6c65720003054265726e00060901b705" +
		"0401407295171b47dedff7e579be7885d1b3bbef71285bbaaead059c4375d2c751a2e4f29af80e9bad4ab960852948a95df060e9b8ba69f200b7da9317c8daf95cd600"
	if got != want {
		t.Errorf("the card is %s\nwant %s", got, want)
	}
	gone := directory.Card{User: "alice", Edition: 8, Time: now, Withdrawn: true, Former: []overlay.Slot{695, 3}}
	got = hex.EncodeToString(signCard(t, alice, gone))
	want = "41020400f60141060400cb01" + hex.EncodeToString(alice.Certificate) +
		"0301616c696365000102000000000000000801030000019ca9457f30060902b70503000a01" +
		"0401407f72941a98140a7cfa6be85f93339bdcb3ca6638a4d6a35f84002c8a2d14f2ca3e8b1da9448a8a95bddfa6a0bf4ee5681d655e9b475251b6675817a2d3f24708"
	if got != want {
		t.Errorf("the withdrawn card is %s\nwant %s", got, want)
	}
	if b, err := hex.DecodeString(got); err != nil {
		t.Fatal(err)
	} else if c, err := directory.OpenCard(trust, b, now); err != nil || !c.Withdrawn {
		t.Errorf("OpenCard = %+v, %v", c, err)
	}
}
