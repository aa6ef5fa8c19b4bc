package media

import (
	"bytes"
	"errors"
	"reflect"
	"testing"
)

func TestBlocks(t *testing.T) {
	tests := []struct {
		name   string
		blocks []block
		wire   string // by the layout of RFC 2198, section 3
	}{
		{"new frame alone", []block{{111, 0, []byte{8, 1}}}, "6f 0801"},
		{"one earlier", []block{{111, 960, []byte{8, 1}}, {111, 0, []byte{8, 2, 3}}}, "ef0f0002 6f 0801 080203"},
		{"two earlier", []block{{111, 1920, []byte{8}}, {111, 960, []byte{9}}, {111, 0, []byte{10}}}, "ef1e0001 ef0f0001 6f 08 09 0a"},
		{"largest age and length", []block{{5, maxBlockAge, make([]byte, maxBlockSize)}, {111, 0, []byte{8}}},
			"85ffffff 6f " + string(bytes.Repeat([]byte("00"), maxBlockSize)) + "08"},
		{"empty places", []block{{111, 1, []byte{}}, {111, 0, []byte{}}}, "ef000400 6f"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wire := unhex(t, tt.wire)
			if got := appendBlocks(nil, tt.blocks); !bytes.Equal(got, wire) {
				t.Errorf("appendBlocks = %x, want %x", got, wire)
			}
			if got, err := parseBlocks(nil, wire); err != nil || !reflect.DeepEqual(got, tt.blocks) {
				t.Errorf("parseBlocks = %v, %v, want %v", got, err, tt.blocks)
			}
		})
	}
}

func TestBadBlocks(t *testing.T) {
	many := bytes.Repeat([]byte{0xef, 0, 4, 0}, maxBlocks+1)
	for _, tt := range []struct{ name, wire string }{
		{"empty", ""},
		{"header cut off", "ef0f00"},
		{"no new frame", "ef0f0001"},
		{"new frame's header cut off", "ef0f0001 ef"},
		{"earlier frame cut off", "ef0f0003 6f 0801"},
	} {
		if got, err := parseBlocks(nil, unhex(t, tt.wire)); !errors.Is(err, ErrRedundancy) || len(got) != 0 {
			t.Errorf("%s: %v, %v, want ErrRedundancy", tt.name, got, err)
		}
	}
	if _, err := parseBlocks(nil, append(many, 111)); !errors.Is(err, ErrRedundancy) {
		t.Errorf("%d blocks: %v, want ErrRedundancy", maxBlocks+2, err)
	}
}

func FuzzBlocks(f *testing.F) {
	f.Add([]byte{0xef, 0x0f, 0, 1, 0x6f, 8, 9})
	f.Add([]byte{0x6f})
	f.Fuzz(func(t *testing.T, b []byte) {
		blocks, err := parseBlocks(nil, b)
		if err != nil {
			return
		}
		if again := appendBlocks(nil, blocks); !bytes.Equal(again, b) {
			t.Errorf("%x became %x", b, again)
		}
	})
}
