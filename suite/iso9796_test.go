package suite

import (
	"bytes"
	"crypto/sha1"
	"errors"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/wire/objlist"
	"pgregory.net/rapid"
)

// The credentials shown on slide 17 of Desclaux and Kortchinsky, Vanilla Skype
// part 2 (Recon 2006), after the public operation. Name and modulus were altered
// for the slide, so the hash does not fit; the layout does.
const recca = "4bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbba41040300726563636137370000030004018001d3e860164f8a1b0a771e5bd74e1548b96fa8bb712167c90273003be201d464d92d2d13073a66225aae2c28f80640ff40b9327e98781fe59b6dadfab7fbcbf784a4bf66051682fc4dadae533317c5bf5be61f2f7458a133faa61731ed910a83abc70cd1cf7c2876e23f60bc667d05338ce755a8c66e463b6d60b13a2d0a107c2900048c849509265fb266264ea8968c6a7a6d2c97c78ae4ed967fbc"

func TestISOBlockOfVanillaSkype(t *testing.T) {
	block := unhex(t, recca)
	if _, err := openISO(block, nil); !errors.Is(err, ErrForged) {
		t.Errorf("the altered slide: %v, want ErrForged", err)
	}
	const begin = 1 + 16 + 1 // 4B, BB, BA
	message := block[begin : len(block)-1-sha1.Size]
	list, err := objlist.Parse(message)
	if err != nil {
		t.Fatal(err)
	}
	expiry := list[len(list)-1]
	if got := fromMinutes(uint32(expiry.Num)); !got.Equal(time.Date(2006, 7, 17, 11, 56, 0, 0, time.UTC)) || len(list) != 4 {
		t.Errorf("%v: expires %v", list, got)
	}
	// But for the hash, what isoBlock makes of the same message is the slide.
	ours, rest := isoBlock(len(block), message)
	copy(ours[len(ours)-1-sha1.Size:], block[len(block)-1-sha1.Size:len(block)-1])
	if !bytes.Equal(ours, block) || rest != nil {
		t.Errorf("isoBlock made %x and %x of it", ours, rest)
	}
	right, _ := isoBlock(len(block), message)
	if got, err := openISO(right, nil); err != nil || !bytes.Equal(got, message) {
		t.Errorf("openISO = %x, %v", got, err)
	}
}

func TestISOBlock(t *testing.T) {
	tests := []struct {
		message     string // hex
		block, rest string
	}{
		// By hand, the hashes by sha1sum. 30 bytes leave room for 7.
		{"", "4b bbbbbbbbbbbbbb ba da39a3ee5e6b4b0d3255bfef95601890afd80709 bc", ""},
		{"616263", "4b bbbbbbbb ba 616263 a9993e364706816aba3e25717850c26c9cd0d89d bc", ""},
		{"61626364656667", "4b ba 61626364656667 2fb5e13419fc89246865e7a324f476ec624e8740 bc", ""},
		{"6162636465666768", "6a 6162636465666768 425af12a0743502b322e93a015bcf868e324d56a bc", ""},
		{"616263646566676869", "6a 6162636465666768 c63b19f1e4c8b5f76b25c49b8b87f57d8e4872a1 bc", "69"},
	}
	for _, tt := range tests {
		block, rest := isoBlock(30, unhex(t, tt.message))
		if !bytes.Equal(block, unhex(t, tt.block)) || !bytes.Equal(rest, unhex(t, tt.rest)) {
			t.Errorf("isoBlock(%s) = %x, %x, want %s, %s", tt.message, block, rest, tt.block, tt.rest)
		}
		if got, err := openISO(unhex(t, tt.block), unhex(t, tt.rest)); err != nil || !bytes.Equal(got, unhex(t, tt.message)) {
			t.Errorf("openISO = %x, %v, want %s", got, err, tt.message)
		}
	}
}

// One message has one block, and nothing else opens.
func TestISOBlockRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		size := rapid.SampledFrom([]int{30, 128, 192, 256}).Draw(t, "size")
		message := rapid.SliceOfN(rapid.Byte(), 0, 2*size).Draw(t, "message")
		block, rest := isoBlock(size, message)
		if len(block) != size {
			t.Fatalf("a block of %d bytes", len(block))
		}
		got, err := openISO(block, rest)
		if err != nil || !bytes.Equal(got, message) {
			t.Fatalf("openISO = %x, %v, want %x", got, err, message)
		}
		both := append(bytes.Clone(block), rest...)
		both[rapid.IntRange(0, len(both)-1).Draw(t, "at")] ^= rapid.ByteMin(1).Draw(t, "mask")
		if got, err := openISO(both[:size], both[size:]); err == nil {
			t.Fatalf("altered, it opens as %x", got)
		}
	})
}

func FuzzOpenISO(f *testing.F) {
	f.Add(unhex(f, recca), []byte{})
	for _, n := range []int{0, 106, 200} {
		block, rest := isoBlock(128, make([]byte, n))
		f.Add(block, rest)
	}
	f.Add([]byte{isoPartial, isoTrailer}, []byte{})
	f.Fuzz(func(t *testing.T, block, rest []byte) {
		message, err := openISO(block, rest)
		if err != nil {
			return
		}
		again, left := isoBlock(len(block), message)
		if !bytes.Equal(again, block) || !bytes.Equal(left, rest) {
			t.Errorf("%x, %x opened; the message has the block %x, %x", block, rest, again, left)
		}
	})
}
