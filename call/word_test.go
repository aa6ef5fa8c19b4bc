package call

import (
	"bytes"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

// The vectors of docs/protocol.md.
func TestWordBytes(t *testing.T) {
	for _, tt := range []struct {
		name string
		word Word
		wire string
	}{
		{"missed", Word{What: WordMissed, Call: linnet.CallID{1, 15: 2}, Began: 1772000000000},
			"41 03 0000 01 0401 10 01000000000000000000000000000002 0102 0000019c936e3800"},
		{"a piece", Word{What: WordPiece, Call: linnet.CallID{1}, Began: 1772000000000, Voicemail: linnet.VoicemailID{7}, Piece: 1, Pieces: 2, Sound: []byte("Ogg")},
			"41 07 0000 02 0401 10 01000000000000000000000000000000 0102 0000019c936e3800 0403 10 07000000000000000000000000000000 0004 01 0005 02 0406 03 4f6767"},
		{"heard", Word{What: WordHeard, Voicemail: linnet.VoicemailID{7}}, "41 02 0000 03 0403 10 07000000000000000000000000000000"},
	} {
		want, err := hex.DecodeString(strings.ReplaceAll(tt.wire, " ", ""))
		if err != nil {
			t.Fatal(err)
		}
		if got := tt.word.Marshal(); !bytes.Equal(got, want) {
			t.Errorf("%s: %x\nwant %x", tt.name, got, want)
		}
		if got, err := ParseWord(want); err != nil || !reflect.DeepEqual(*got, tt.word) {
			t.Errorf("%s: %+v, %v", tt.name, got, err)
		}
	}
}

func TestWordBounds(t *testing.T) {
	for name, w := range map[string]Word{
		"of nothing":      {},
		"missed nothing":  {What: WordMissed},
		"no voice mail":   {What: WordPiece, Pieces: 1, Sound: []byte{1}},
		"beyond the last": {What: WordPiece, Voicemail: linnet.VoicemailID{7}, Piece: 1, Pieces: 1, Sound: []byte{1}},
		"too many":        {What: WordPiece, Voicemail: linnet.VoicemailID{7}, Pieces: maxPieces + 1, Sound: []byte{1}},
		"too large":       {What: WordPiece, Voicemail: linnet.VoicemailID{7}, Pieces: 1, Sound: make([]byte, PieceSize+1)},
		"empty":           {What: WordPiece, Voicemail: linnet.VoicemailID{7}, Pieces: 1},
		"of the future":   {What: 9},
	} {
		if _, err := ParseWord(w.Marshal()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	sound := bytes.Repeat([]byte("sound"), 30000)
	var all []byte
	for _, w := range CutSound(Word{Voicemail: linnet.VoicemailID{7}}, sound) {
		got, err := ParseWord(w.Marshal())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got.Sound...)
	}
	if !bytes.Equal(all, sound) {
		t.Error("the pieces are not the whole")
	}
}

func FuzzParseWord(f *testing.F) {
	w := Word{What: WordPiece, Voicemail: linnet.VoicemailID{7}, Pieces: 1, Sound: []byte{1}}
	f.Add(w.Marshal())
	f.Fuzz(func(_ *testing.T, b []byte) { ParseWord(b) })
}
