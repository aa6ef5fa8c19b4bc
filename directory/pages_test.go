package directory_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/wire/message"
)

// pager is a CardClient as part of a node.
type pager struct {
	*directory.CardClient
	n *overlaytest.Node
}

func (w *network) pager(n *overlaytest.Node) pager {
	c, err := directory.NewCardClient(directory.CardClientOptions{
		Self: n.Identity, User: linnet.UserName(n.Name), Trust: w.Trust, Overlay: n.Machine, Wish: n.Disk["wish"],
		Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 4)),
	})
	if err != nil {
		w.T.Fatal(err)
	}
	c.Start(w.Now)
	w.pagers[n] = pager{c, n}
	return w.pagers[n]
}

func (pager) Received(time.Time, linnet.NodeID, uint16, message.Message) bool { return false }

func (p pager) Effect(now time.Time, e overlay.Effect) {
	switch e := e.(type) {
	case directory.KeepWish:
		p.n.Disk["wish"] = e.Wish
	case directory.Unanswered:
		p.n.Machine.Doubt(now, e.Node)
	case overlay.Attached, overlay.Detached:
		p.AttachmentsChanged(now)
	}
}

// attached starts a user and waits for its supernodes.
func (w *network) attached(name linnet.UserName) *overlaytest.Node {
	w.T.Helper()
	n := w.user(name)
	w.Until(20*time.Second, string(name)+" is attached", func() bool {
		return len(n.Machine.Attachments()) == min(2, len(w.shelves))
	})
	return n
}

// set publishes a card, or withdraws it (nil), and waits until that is acknowledged.
func (w *network) set(n *overlaytest.Node, card *linnet.Card) {
	w.T.Helper()
	if err := w.pagers[n].Set(w.Now, card); err != nil {
		w.T.Fatal(err)
	}
	n.Pump()
	w.known(n)
}

func (w *network) known(n *overlaytest.Node) {
	w.T.Helper()
	w.Until(5*time.Minute, n.Name+"'s card is acknowledged", func() bool { s := w.pagers[n].State(); return s.Known && s.Err == nil })
}

// search gives all pages of a search.
func (w *network) search(n *overlaytest.Node, text string) (users []string, partial bool) {
	w.T.Helper()
	var after directory.Place
	for {
		f := w.page(n, text, after)
		if f.Err != nil {
			w.T.Fatalf("%s searches for %q: %v", n.Name, text, f.Err)
		}
		for _, c := range f.Cards {
			users = append(users, string(c.User))
		}
		partial = partial || f.Partial
		if after = f.Last; !f.More {
			return users, partial
		}
	}
}

func (w *network) page(n *overlaytest.Node, text string, after directory.Place) directory.CardsFound {
	w.T.Helper()
	ticket := w.pagers[n].Search(w.Now, text, after)
	n.Pump()
	var found *directory.CardsFound
	w.Until(time.Minute, "an answer to "+text, func() bool {
		for _, f := range effects[directory.CardsFound](n) {
			if f.Ticket == ticket {
				found = &f
			}
		}
		return found != nil
	})
	return *found
}

func TestSearch(t *testing.T) {
	for _, size := range []int{1, 2, 3, 25} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			w := newNetwork(t, uint64(size))
			w.supernodes(size)
			bob := w.attached("bob")
			for user, card := range map[linnet.UserName]linnet.Card{
				"maria.j": maria,
				"maria":   {Name: "M. Smith", City: "London"},
				"mark":    {Name: "Maria Antonia", City: "Wien"},
				"zoe":     {Name: "Zoë", About: "Maria's sister"},
				"anna":    {Name: "Anna Marianne", Country: "Switzerland"},
			} {
				w.set(w.attached(user), &card)
			}
			for text, want := range map[string]string{
				"maria": "maria, maria.j mark, anna zoe", "MARÍA": "maria, maria.j mark, anna zoe", "mar": "anna maria maria.j mark zoe",
				"switzerland": "anna maria.j", "maria switzerland": "anna maria.j", "jimenez zurich": "maria.j", "maria.j": "maria.j mark anna maria zoe",
				"mary": "", "maria paris": "", "smith": "maria", "sister": "zoe",
			} {
				got, partial := w.search(bob, text)
				if strings.Join(got, " ") != strings.ReplaceAll(want, ",", "") || partial {
					t.Errorf("%s: %v, want %s; partial: %v", text, got, want, partial)
				}
				w.Run(5 * time.Minute)
			}
		})
	}
}

// Pages of one word that everybody has: each user once, in order.
func TestPages(t *testing.T) {
	w := newNetwork(t, 31)
	w.supernodes(12)
	bob := w.attached("bob")
	var want []string
	for i := range 120 {
		user := linnet.UserName(fmt.Sprintf("user%03d", i))
		want = append(want, string(user))
		w.put(user, linnet.Card{Name: fmt.Sprintf("Maria %d", i)})
	}
	got, partial := w.search(bob, "maria")
	if !slices.Equal(got, want) || partial {
		t.Errorf("%d hits: %v, partial: %v", len(got), got, partial)
	}
	first := w.page(bob, "maria", directory.Place{})
	if len(first.Cards) != directory.CardPage || !first.More {
		t.Errorf("the first page has %d hits", len(first.Cards))
	}
}

// put puts a card on the shelves of its members, without a device of its user.
func (w *network) put(user linnet.UserName, card linnet.Card) {
	id := w.Identity(user, "device")
	b := signCard(w.T, id, directory.Card{User: user, Edition: uint64(w.Now.UnixMilli()), Time: w.Now, Text: card})
	for n, s := range w.shelves {
		s.Received(w.Now, n.ID(), 1, &message.StoreCard{Card: b, Member: true})
		n.Pump()
	}
}

func TestWithdrawAndChange(t *testing.T) {
	w := newNetwork(t, 32)
	w.supernodes(1) // days of more would take long
	alice, bob := w.attached("alice"), w.attached("bob")
	w.set(alice, &maria)
	found := func(text string, want bool) {
		t.Helper()
		if got, _ := w.search(bob, text); slices.Contains(got, "alice") != want {
			t.Errorf("%s: %v", text, got)
		}
		w.Run(3 * time.Minute)
	}
	found("maria", true)
	w.set(alice, &linnet.Card{Name: "Alice", City: "Bern"})
	for _, text := range []string{"maria", "jimenez", "zurich", "chess"} {
		found(text, false)
	}
	found("bern", true)
	w.set(alice, nil)
	found("bern", false)
	found("alice", false)
	w.set(alice, &maria)
	found("choir", true)

	// It is refreshed while she keeps it, after a restart, too.
	alice.Kill()
	w.Run(time.Hour)
	alice.Start()
	w.Run(73 * time.Hour)
	found("choir", true)
	alice.Kill()
	w.Run(73*time.Hour + time.Minute)
	found("choir", false)
	w.Run(time.Hour)
	for n, s := range w.shelves {
		if s.Cards() != 0 {
			t.Errorf("%s still has %d cards", n.Name, s.Cards())
		}
		for key := range n.Disk {
			if strings.HasPrefix(key, "card ") {
				t.Errorf("%s still has %s on disk", n.Name, key)
			}
		}
	}
}

// What one device of a user says, the others say from then on.
func TestDevicesAgree(t *testing.T) {
	w := newNetwork(t, 33)
	w.supernodes(2)
	bob, laptop := w.attached("bob"), w.attached("alice")
	phone := w.Add("alice", linnet.Ordinary)
	phone.Identity = w.Identity("alice", "phone")
	w.Rename(phone)
	w.Rename(laptop)
	phone.Parts = func(n *overlaytest.Node) []overlaytest.Part { return []overlaytest.Part{w.pager(n)} }
	phone.Start()
	w.Run(30 * time.Second)

	w.set(laptop, &maria)
	w.pagers[phone].Learn(w.Now)
	phone.Pump()
	w.known(phone)
	if s := w.pagers[phone].State(); s.Card == nil || *s.Card != maria {
		t.Errorf("the phone learned %+v", s.Card)
	}
	w.set(phone, nil)
	if got, _ := w.search(bob, "maria"); len(got) != 0 {
		t.Errorf("found %v", got)
	}
	w.Run(2 * directory.CardRefresh) // the laptop would write its card again
	if got, _ := w.search(bob, "maria"); len(got) != 0 {
		t.Errorf("the laptop brought back %v", got)
	}
	if s := w.pagers[laptop].State(); s.Card != nil || !s.Wanted {
		t.Errorf("the laptop still wants %+v", s.Card)
	}
	// The laptop was offline while she set it there, and the phone had other ideas.
	w.set(phone, &linnet.Card{Name: "Phone", City: "Genf"})
	laptop.Kill()
	w.Run(time.Minute)
	laptop.Start()
	if err := w.pagers[laptop].Set(w.Now.Add(-time.Hour), &linnet.Card{Name: "Laptop"}); err != nil {
		t.Fatal(err)
	}
	laptop.Pump()
	w.known(laptop)
	for text, want := range map[string]int{"laptop": 1, "genf": 0} {
		if got, _ := w.search(bob, text); len(got) != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

// A published card is found by each of its words, and a withdrawn one is not,
// whatever minority of each slot dies, is away meanwhile, comes back or is new.
func TestPagesOutliveAMinority(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue && os.Getenv("LINNET_LONG") == "" {
		f.Value.Set("20") // each is a network and minutes of its life
		defer f.Value.Set(f.DefValue)
	}
	rapid.Check(t, func(rt *rapid.T) {
		w := newNetwork(t, rapid.Uint64().Draw(rt, "seed"))
		nodes := w.supernodes(rapid.IntRange(3, 13).Draw(rt, "supernodes"))
		alice := w.attached("alice")
		w.set(alice, &maria)
		carol := linnet.Card{Name: "Carol Maria"}
		w.set(w.attached("carol"), &carol)

		// With up to ten supernodes all hold everything; with more, each slot has a few strangers.
		minority := func() []*overlaytest.Node {
			members := min(len(nodes), overlay.SlotSize)
			chosen := rapid.Permutation(nodes).Draw(rt, "order")[:rapid.IntRange(0, (members-1)/2).Draw(rt, "minority")]
			first := func(n *overlaytest.Node) bool { return slices.Index(nodes, n) < len(w.Bootstrap) }
			if i := slices.IndexFunc(chosen, first); len(slices.DeleteFunc(slices.Clone(chosen), first)) == len(chosen)-len(w.Bootstrap) {
				chosen = slices.Delete(chosen, i, i+1) // a newcomer knows no other
			}
			return chosen
		}
		check := func(when string, withdrawn bool) {
			bob := w.attached(linnet.UserName(fmt.Sprint("bob", len(w.Nodes)))) // who has not searched yet
			for _, text := range []string{"alice", "maria", "zurich", "chess"} {
				f := w.page(bob, text, directory.Place{})
				if f.Err != nil {
					if withdrawn {
						continue // nothing wrong is said
					}
					rt.Fatalf("%s: %s: %v", when, text, f.Err)
				}
				has := slices.ContainsFunc(f.Cards, func(c *directory.Card) bool { return c.User == "alice" })
				if has && withdrawn || !has && !withdrawn {
					rt.Fatalf("%s: %s: found %v, partial %v", when, text, has, f.Partial)
				}
			}
		}
		dead := minority()
		for _, n := range dead {
			n.Kill()
		}
		w.Run(40 * time.Second)
		check("after deaths", false)
		w.supernodes(rapid.IntRange(0, 3).Draw(rt, "joined"))
		for _, n := range dead {
			w.start(n)
		}
		w.Run(time.Minute)
		check("after joins", false)

		away := minority()
		for _, n := range away {
			n.Kill()
		}
		w.Run(time.Duration(rapid.IntRange(0, 40).Draw(rt, "noticed")) * time.Second)
		w.set(alice, nil)
		check("withdrawn", true)
		for _, n := range away { // with their old disks
			w.start(n)
		}
		w.Run(time.Duration(rapid.IntRange(0, 60).Draw(rt, "back")) * time.Second)
		check("withdrawn, and they are back", true)
		w.Run(3 * time.Minute)
		check("later", true)
	})
}

// A tenth of the supernodes lie, among them one of those that the searcher is
// attached to: they say nothing, forge, or tell what was withdrawn. Nobody is
// found who ought not to be, and everybody who ought to be is.
func TestLyingPages(t *testing.T) {
	lies := map[string]func(w *network, old []byte, msg message.Message) message.Message{
		"no answer": func(_ *network, _ []byte, msg message.Message) message.Message {
			switch msg.(type) {
			case *message.Cards, *message.CardStored:
				return nil
			}
			return msg
		},
		"nothing found": func(_ *network, _ []byte, msg message.Message) message.Message {
			if _, ok := msg.(*message.Cards); ok {
				return &message.Cards{}
			}
			return msg
		},
		"withdrawn": func(_ *network, old []byte, msg message.Message) message.Message {
			if m, ok := msg.(*message.Cards); ok {
				return &message.Cards{Cards: append([][]byte{old}, m.Cards...)}
			}
			return msg
		},
		"forged": func(w *network, _ []byte, msg message.Message) message.Message {
			if _, ok := msg.(*message.Cards); !ok {
				return msg
			}
			mallory := w.Identity("mallory", "device") // who may say of herself what she likes
			forged := directory.Card{Certificate: mallory.Certificate, User: "alice", Edition: 1 << 40, Time: w.Now, Text: maria}
			b, err := forged.Sign(mallory.Keys)
			if err != nil {
				w.T.Fatal(err)
			}
			return &message.Cards{Cards: [][]byte{b, []byte("no card"), nil}, More: true, Rank: 99, Last: "zzz"}
		},
		"endless": func(_ *network, _ []byte, msg message.Message) message.Message {
			if m, ok := msg.(*message.Cards); ok && len(m.Cards) > 0 {
				many := make([][]byte, 1000)
				for i := range many {
					many[i] = m.Cards[0]
				}
				return &message.Cards{Cards: many, More: true, Partial: true}
			}
			return msg
		},
	}
	for name, lie := range lies {
		t.Run(name, func(t *testing.T) {
			w := newNetwork(t, 34)
			nodes := w.supernodes(20)
			alice, bob, carol := w.attached("alice"), w.attached("bob"), w.attached("carol")
			w.set(alice, &maria)
			var old []byte
			for _, n := range nodes {
				if b := n.Disk["card alice"]; b != nil {
					old = b
				}
			}
			w.set(alice, nil)
			card := linnet.Card{Name: "Carol", About: "maria choir zurich"}
			w.set(carol, &card)
			liars := map[*overlaytest.Node]bool{w.ByID(bob.Machine.Attachments()[w.Rand.IntN(2)]): true}
			for _, n := range nodes {
				if len(liars) < len(nodes)/10 && !slices.Contains(bob.Machine.Attachments(), n.ID()) {
					liars[n] = true
				}
			}
			w.Intercept = func(from, _ *overlaytest.Node, msg message.Message) message.Message {
				if liars[from] {
					return lie(w, old, msg)
				}
				return msg
			}
			for _, text := range []string{"maria", "zurich", "choir", "alice", "jimenez", "maria zurich"} {
				f := w.page(bob, text, directory.Place{})
				found := make(map[linnet.UserName]bool)
				for _, c := range f.Cards {
					found[c.User] = true
				}
				want := strings.Contains("maria zurich choir", text)
				if f.Err != nil || found["alice"] || found["mallory"] || found["carol"] != want || len(f.Cards) > 1 {
					t.Errorf("%s: found %v, %v", text, found, f.Err)
				}
				w.Run(3 * time.Minute)
			}
		})
	}
}

func TestOnlyOwnCardsOfClients(t *testing.T) {
	w := newNetwork(t, 35)
	sn := w.supernodes(1)[0]
	alice, bob := w.attached("alice"), w.attached("bob")
	b := signCard(t, bob.Identity, directory.Card{User: "bob", Edition: 1, Time: w.Now, Text: maria})
	old := signCard(t, bob.Identity, directory.Card{User: "bob", Edition: 1, Time: w.Now.Add(-73 * time.Hour), Text: maria})
	many := make([]message.KnownCard, 51)
	for i := range many {
		many[i].User = "bob"
	}
	stranger := linnet.NodeID{9}
	for _, tt := range []struct {
		name string
		from linnet.NodeID
		msg  message.Message
		code uint32
	}{
		{"another's card", alice.ID(), &message.StoreCard{Card: b}, message.FailureInvalid},
		{"a stranger's card", stranger, &message.StoreCard{Card: b}, message.FailureDenied},
		{"a client as member", bob.ID(), &message.StoreCard{Card: b, Member: true}, message.FailureDenied},
		{"an old card", bob.ID(), &message.StoreCard{Card: old}, message.FailureInvalid},
		{"no card", bob.ID(), &message.StoreCard{Card: []byte("A")}, message.FailureInvalid},
		{"a stranger's search", stranger, &message.SearchCards{Text: "maria"}, message.FailureDenied},
		{"a client's search as member", bob.ID(), &message.SearchCards{Text: "maria", Member: true}, message.FailureDenied},
		{"a search for nothing", bob.ID(), &message.SearchCards{Text: "- x"}, message.FailureInvalid},
		{"a search for much", bob.ID(), &message.SearchCards{Text: strings.Repeat("ab ", 60)}, message.FailureInvalid},
		{"a part that is none", sn.ID(), &message.SearchCards{Text: "maria", Part: 8, Member: true}, message.FailureInvalid},
		{"cards of nobody", bob.ID(), &message.AskCards{}, message.FailureInvalid},
		{"cards of no name", bob.ID(), &message.AskCards{Users: []message.KnownCard{{User: "X Y"}}}, message.FailureInvalid},
		{"cards of some, without what they were found by", bob.ID(), &message.AskCards{Users: many[:9]}, message.FailureInvalid},
		{"cards of many", bob.ID(), &message.AskCards{Users: many, Text: "maria"}, message.FailureInvalid},
	} {
		t.Run(tt.name, func(t *testing.T) { w.refuses(t, sn, tt.from, tt.msg, tt.code) })
	}
}

// Where too many words begin alike, who comes later is not listed under them,
// and is told; he is found by his other words. A withdrawal always has room.
func TestCrowdedIndex(t *testing.T) {
	w := newNetwork(t, 36)
	w.perSlot = 5
	w.supernodes(3)
	bob := w.attached("bob")
	for i := range 80 {
		w.put(linnet.UserName(fmt.Sprintf("user%02d", i)), linnet.Card{Name: "Marvin"})
	}
	for n, s := range w.shelves {
		for slot, size := range s.Lots() {
			if size > 5 {
				t.Errorf("%s: %d cards in slot %d", n.Name, size, slot)
			}
		}
	}
	if got, _ := w.search(bob, "marvin"); len(got) < 20 || len(got) > 40 {
		t.Errorf("%d of the early ones are found", len(got))
	}
	alice := w.attached("alice")
	w.set(alice, &maria)
	s := w.pagers[alice].State()
	if !slices.Equal(s.Crowded, []string{"maria"}) {
		t.Errorf("crowded: %v", s.Crowded)
	}
	for text, want := range map[string]bool{"maria": false, "jimenez": true, "maria jimenez": true, "maria choir": false} {
		if got, _ := w.search(bob, text); slices.Contains(got, "alice") != want {
			t.Errorf("%s: found %v", text, got)
		}
	}
	w.set(alice, nil)
	if got, _ := w.search(bob, "jimenez"); len(got) != 0 {
		t.Errorf("found %v", got)
	}
}

// What the disk did not take of a card is not claimed to be stored when it comes
// again, and what was there before is not lost by it.
func TestUnkeptCards(t *testing.T) {
	w := newNetwork(t, 25)
	sn := w.supernodes(1)[0]
	bob := w.attached("bob")
	w.set(bob, &linnet.Card{Name: "Bob"})
	w.known(bob)
	before := sn.Disk["card bob"]
	s := w.shelves[sn]
	card := signCard(t, bob.Identity, directory.Card{User: "bob", Edition: uint64(w.Now.UnixMilli()) + 1, Time: w.Now, Text: linnet.Card{Name: "Robert"}})
	for range 2 { // tries, of which the disk takes none
		s.Received(w.Now, bob.ID(), 1, &message.StoreCard{Card: card})
		if effects := s.Take(); !slices.ContainsFunc(effects, func(e directory.Effect) bool {
			p, ok := e.(directory.PersistCard)
			return ok && bytes.Equal(p.Card, card)
		}) {
			t.Fatalf("not to be stored: %+v", effects)
		}
		s.UnkeptCards(w.Now, []linnet.UserName{"bob"}, [][]byte{before})
		if effects := s.Take(); len(effects) != 0 || s.Cards() != 1 {
			t.Fatalf("%d cards, and wants %+v", s.Cards(), effects)
		}
	}
	s.UnkeptCards(w.Now, []linnet.UserName{"bob"}, nil)
	if s.Cards() != 0 {
		t.Error("claims what is not on disk")
	}
}
