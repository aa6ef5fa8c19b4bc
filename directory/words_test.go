package directory

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
)

func TestWords(t *testing.T) {
	for text, want := range map[string][]string{
		"María Jiménez":                 {"maria", "jimenez"},
		"MARI\u0301A":                   {"maria"},
		"Jürgen  Groß-Weiß":             {"jurgen", "gross", "weiss"},
		"Søren Ærø, Łódź":               {"soren", "aero", "lodz"},
		"ΟΔΥΣΣΕΥΣ Οδυσσεύς":             {"οδυσσευσ", "οδυσσευσ"},
		"Ёлкин":                         {"елкин"},
		"İstanbul ırmak":                {"istanbul", "irmak"},
		"张伟 李":                          {"张伟", "李"},
		"ﬁne ２４":                        {"fine", "24"},
		"a I x. o'neil":                 {"neil"},
		"":                              nil,
		"!!! - ":                        nil,
		"\xff\xfemaria\x00":             {"maria"},
		"हिन्दी":                        {"हिनदी"},
		strings.Repeat("ab", 40) + " c": {strings.Repeat("ab", 16)},
	} {
		if got := words(text); !slices.Equal(got, want) {
			t.Errorf("words(%q) = %q, want %q", text, got, want)
		}
	}
}

// Vectors for other implementations.
func TestIndexSlot(t *testing.T) {
	for _, tt := range []struct {
		word string
		user linnet.UserName
		part uint32
		slot overlay.Slot
	}{
		{"maria", "alice", 2, 908}, {"marta", "alice", 2, 908}, {"mar", "bob", 3, 824}, {"张伟", "bob", 3, 1164},
	} {
		if part := partOf(tt.user); part != tt.part || indexSlot(tt.word, part) != tt.slot {
			t.Errorf("{%q, %q, %d, %d}", tt.word, tt.user, part, indexSlot(tt.word, part))
		}
	}
}

// The users of one index fall into all of its parts alike, and the parts into
// different slots.
func TestIndexSpreads(t *testing.T) {
	var users [IndexParts]int
	for i := range 8000 {
		users[partOf(linnet.UserName(fmt.Sprint("maria", i)))]++
	}
	slots := make(map[overlay.Slot]bool)
	for part, n := range users {
		slots[indexSlot("maria", uint32(part))] = true
		if n < 850 || n > 1150 {
			t.Errorf("part %d has %d of 8000 users", part, n)
		}
	}
	if len(slots) != IndexParts {
		t.Errorf("%d slots", len(slots))
	}
}

func TestRank(t *testing.T) {
	card := func(user linnet.UserName, text linnet.Card) *Card {
		c := &Card{User: user, Text: text}
		c.index()
		return c
	}
	x := card("maria.k", linnet.Card{Name: "Maria Kovács", City: "Marburg", About: "jazz"})
	for text, want := range map[string]uint32{
		"maria.k": rankUser, " MARIA.K ": rankUser, "Mária": rankName, "kovacs maria": rankName, "mari": rankPrefix, "maria kov": rankPrefix,
		"marburg": rankCard, "maria jazz": rankCard, "mar jaz": rankCard, "aria": noHit, "maria berlin": noHit, "marias": noHit,
	} {
		q, ok := parseQuery(text)
		if !ok || q.rank(x) != want {
			t.Errorf("%q: rank %d, want %d", text, q.rank(x), want)
		}
	}
	for _, text := range []string{"", "x", "- -", strings.Repeat("x", 129), "aa bb cc dd ee ff gg hh ii"} {
		if q, ok := parseQuery(text); ok {
			t.Errorf("%q is a query: %q", text, q.words)
		}
	}
	if q, ok := parseQuery("a.b"); !ok || q.rank(card("a.b", linnet.Card{})) != rankUser {
		t.Error("a user name of single letters is not found")
	}
	// So many words count; those of the names come first.
	many := card("dave", linnet.Card{Name: "Dave", About: strings.Repeat("aa ab ac ad ae af ag ah ai aj ak al am an ao ap aq ar as at au av ", 2)})
	if len(many.words) != maxWords || len(many.live) > maxWords {
		t.Errorf("%d words, %d slots", len(many.words), len(many.live))
	}
}

func FuzzWords(f *testing.F) {
	f.Add("María Jiménez, Zürich")
	f.Add("Q._")
	f.Add("张伟 \xff ﬁ İ")
	f.Fuzz(func(t *testing.T, text string) {
		for _, w := range words(text) {
			if n := utf8.RuneCountInString(w); n == 0 || n > maxWord {
				t.Errorf("%q has %d letters", w, n)
			}
			if again := words(w); len(again) != 1 || again[0] != w {
				t.Errorf("words(%q) = %q", w, again)
			}
		}
		if q, ok := parseQuery(text); ok {
			c := &Card{User: "somebody", Text: linnet.Card{About: text}}
			if len(words(text)) == 0 { // a user name of single letters, which finds its user alone
				c.User = q.user
			}
			c.index()
			if q.rank(c) == noHit {
				t.Errorf("%q does not find itself", text)
			}
		}
	})
}
