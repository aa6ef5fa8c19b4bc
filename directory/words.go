package directory

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
)

// The index of the white pages: a card is listed under the first letters of
// each of its words, and what begins alike is split by user, so that no slot
// has to keep all cards of a common name.
const (
	IndexParts  = 8
	indexPrefix = 3   // letters
	maxWords    = 20  // of a card, the user name included
	maxWord     = 32  // letters that count
	maxQuery    = 128 // bytes of a search
	maxSought   = 8   // words of it
)

// words are the words of a text as they are compared: without case and accents,
// in the order in which they stand. What is no letter, digit or vowel sign
// divides them. One letter alone is no word, unless it is an ideograph.
func words(text string) (list []string) {
	var word []rune
	flush := func() {
		if len(word) > 1 || len(word) == 1 && unicode.Is(unicode.Han, word[0]) {
			list = append(list, string(word[:min(len(word), maxWord)]))
		}
		word = word[:0]
	}
	for _, r := range norm.NFKD.String(text) {
		switch {
		case unicode.Is(unicode.Mn, r): // an accent
		case unicode.IsLetter(r), unicode.IsDigit(r), unicode.Is(unicode.Mc, r):
			r = unicode.ToLower(r)
			if plain, ok := plainLetters[r]; ok {
				word = append(word, []rune(plain)...)
			} else {
				word = append(word, r)
			}
		default:
			flush()
		}
	}
	flush()
	return list
}

// plainLetters are those that people type for letters that no decomposition changes.
var plainLetters = map[rune]string{
	'ß': "ss", 'æ': "ae", 'œ': "oe", 'ø': "o", 'đ': "d", 'ð': "d", 'ħ': "h", 'ı': "i", 'ł': "l", 'þ': "th", 'ς': "σ",
}

// wordsOfUser are the words that a user name is found by: itself first.
func wordsOfUser(user linnet.UserName) []string {
	return append([]string{string(user)}, words(string(user))...)
}

// partOf is the part of every index that a user is in.
func partOf(user linnet.UserName) uint32 {
	h := sha256.Sum256([]byte(user))
	return uint32(h[8]) % IndexParts // SlotOf takes the bytes before
}

// indexSlot is the slot of a part of a word's index: the first eight bytes of
// SHA-256("linnet/1 white pages ", the word's first three letters, the part as
// a byte), big-endian, mod overlay.SlotCount.
func indexSlot(word string, part uint32) overlay.Slot {
	letters := []rune(word)
	prefix := string(letters[:min(len(letters), indexPrefix)])
	h := sha256.Sum256([]byte("linnet/1 white pages " + prefix + string([]byte{byte(part)})))
	return overlay.Slot(binary.BigEndian.Uint64(h[:8]) % overlay.SlotCount)
}

// homeSlot is where everything that a user says of himself is known: in the
// index of the user name.
func homeSlot(user linnet.UserName) overlay.Slot { return indexSlot(string(user), partOf(user)) }

// A query is what a search asks for.
type query struct {
	text  string          // as it was typed, in lower case
	user  linnet.UserName // if it may be one
	words []string
}

// parseQuery reads what somebody typed. It has to have a word.
func parseQuery(text string) (q query, ok bool) {
	if len(text) > maxQuery {
		return query{}, false
	}
	q.text = strings.ToLower(strings.TrimSpace(text))
	for _, w := range words(text) {
		if !slices.Contains(q.words, w) {
			q.words = append(q.words, w)
		}
	}
	user, err := linnet.ParseUserName(q.text)
	switch {
	case err == nil:
		q.user = user
		if len(q.words) == 0 { // such as a.b
			q.words = []string{q.text}
		}
	case len(q.words) == 1:
		q.user = linnet.UserName(q.words[0])
	}
	return q, len(q.words) > 0 && len(q.words) <= maxSought
}

// index is the word whose index is asked: the longest, which is the rarest as
// a rule. All others are looked for in the cards of that index.
func (q query) index() string {
	return slices.MaxFunc(q.words, func(a, b string) int { return len(a) - len(b) })
}

// The ranks of a hit.
const (
	rankUser   = iota // the text is the user name
	rankName          // all words are words of the display name
	rankPrefix        // all begin words of the display or user name
	rankCard          // all begin words of the card
	noHit
)

func (q query) rank(c *Card) uint32 {
	every := func(of []string, fits func(w, x string) bool) bool {
		for _, w := range q.words {
			if !slices.ContainsFunc(of, func(x string) bool { return fits(w, x) }) {
				return false
			}
		}
		return true
	}
	equal := func(w, x string) bool { return w == x }
	begins := func(w, x string) bool { return strings.HasPrefix(x, w) }
	switch {
	case q.user == c.User:
		return rankUser
	case every(c.named, equal):
		return rankName
	case every(c.words[:c.names], begins):
		return rankPrefix
	case every(c.words, begins):
		return rankCard
	}
	return noHit
}

// A Place is where a hit stands in the order of a search: by rank, then by name.
// The zero Place is before all of them.
type Place struct {
	Rank uint32
	User linnet.UserName
}

func (p Place) compare(o Place) int {
	if p.Rank != o.Rank {
		return int(p.Rank) - int(o.Rank)
	}
	return strings.Compare(string(p.User), string(o.User))
}

func (q query) place(c *Card) Place { return Place{q.rank(c), c.User} }
