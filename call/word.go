package call

import (
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Word is what a user's device tells another user's devices of a call that nobody
// answered: the content of a letter of kind directory.LetterCall.
//
//	0/0 what (1 missed, 2 a piece of voice mail, 3 voice mail was heard)
//	4/1 call   1/2 when it began, milliseconds since 1970
//	4/3 voice mail   0/4 piece, from 0   0/5 pieces   4/6 sound: Ogg/Opus, cut anywhere
type Word struct {
	What      WordKind
	Call      linnet.CallID
	Began     uint64
	Voicemail linnet.VoicemailID
	Piece     uint32
	Pieces    uint32
	Sound     []byte
}

// WordKind is what a Word is about.
type WordKind uint32

// The kinds.
const (
	WordMissed WordKind = 1 + iota
	WordPiece
	WordHeard
)

type wordBody struct {
	What      uint32             `obj:"0/0"`
	Call      linnet.CallID      `obj:"4/1,opt"`
	Began     uint64             `obj:"1/2,opt"`
	Voicemail linnet.VoicemailID `obj:"4/3,opt"`
	Piece     uint32             `obj:"0/4,opt"`
	Pieces    uint32             `obj:"0/5,opt"`
	Sound     []byte             `obj:"4/6,opt"`
}

// PieceSize is what a piece of voice mail holds at most: with letter and item
// around it, it fits into a mailbox.
const (
	PieceSize = 56 << 10
	maxPieces = (linnet.MaxVoicemailBytes + PieceSize - 1) / PieceSize
)

var errWord = errors.New("word of a call: it makes no sense")

// Marshal gives the word's wire form.
func (w *Word) Marshal() []byte {
	return message.Marshal(&wordBody{uint32(w.What), w.Call, w.Began, w.Voicemail, w.Piece, w.Pieces, w.Sound})
}

// ParseWord reads a word and checks its bounds.
func ParseWord(b []byte) (*Word, error) {
	var body wordBody
	if err := message.Unmarshal(b, &body); err != nil {
		return nil, fmt.Errorf("word of a call: %w", err)
	}
	w := &Word{WordKind(body.What), body.Call, body.Began, body.Voicemail, body.Piece, body.Pieces, body.Sound}
	ok := false
	switch w.What {
	case WordMissed:
		ok = w.Call != linnet.CallID{}
	case WordPiece:
		ok = w.Voicemail != linnet.VoicemailID{} && w.Piece < w.Pieces && w.Pieces <= maxPieces && len(w.Sound) > 0 && len(w.Sound) <= PieceSize
	case WordHeard:
		ok = w.Voicemail != linnet.VoicemailID{}
	}
	if !ok {
		return nil, errWord
	}
	return w, nil
}

// CutSound makes the words that carry voice mail.
func CutSound(first Word, sound []byte) (words []Word) {
	first.What, first.Pieces = WordPiece, uint32((len(sound)+PieceSize-1)/PieceSize)
	for i := range first.Pieces {
		w := first
		w.Piece, w.Sound = i, sound[i*PieceSize:min(len(sound), int(i+1)*PieceSize)]
		words = append(words, w)
	}
	return words
}
