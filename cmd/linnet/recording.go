package main

import (
	"bytes"
	"fmt"
	"os"
	"slices"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/ogg"
)

// samePackets compares the recording of a call with what was played: the same
// Opus packets in the same order, as far as the call went.
func samePackets(play, record string) (int, error) {
	played, err := opusPackets(play)
	if err != nil {
		return 0, err
	}
	heard, err := opusPackets(record)
	if err != nil {
		return 0, err
	}
	if len(heard) == 0 || len(heard) > len(played) {
		return 0, linnet.Errorf(linnet.CodeFailed, "bob recorded %d packets of %d", len(heard), len(played))
	}
	for i := range heard {
		if !bytes.Equal(heard[i], played[i]) {
			return 0, linnet.Errorf(linnet.CodeFailed, "packet %d of bob's recording is not what alice played", i)
		}
	}
	return len(heard), nil
}

// heardAgain looks for alice's voice in what echo123 said.
func heardAgain(play, record string) error {
	played, err := opusPackets(play)
	if err != nil {
		return err
	}
	heard, err := opusPackets(record)
	if err != nil {
		return err
	}
	again := 0
	for _, packet := range heard {
		if len(packet) > 1 && slices.ContainsFunc(played, func(b []byte) bool { return bytes.Equal(b, packet) }) {
			again++
		}
	}
	if again == 0 {
		return linnet.Errorf(linnet.CodeFailed, "echo123 did not play back what alice said")
	}
	return nil
}

// opusPackets are the packets of an Ogg/Opus file.
func opusPackets(path string) ([][]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, &linnet.Error{Code: linnet.CodeBadFile, Text: "the recording cannot be read", Err: err}
	}
	defer f.Close()
	_, frames, err := ogg.ReadAll(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	packets := make([][]byte, len(frames))
	for i, f := range frames {
		packets[i] = f.Data
	}
	return packets, nil
}
