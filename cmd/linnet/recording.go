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
// Opus packets in the same order, as far as the call went. Packets without
// content, which fill the gap that a machine leaves that stood still, are pauses.
func samePackets(play, record string) (same, pauses int, err error) {
	played, err := opusPackets(play)
	if err != nil {
		return 0, 0, err
	}
	heard, err := opusPackets(record)
	if err != nil {
		return 0, 0, err
	}
	for i, packet := range heard {
		switch {
		case same < len(played) && bytes.Equal(packet, played[same]):
			same++
		case len(packet) == 1:
			pauses++
		default:
			return same, pauses, linnet.Errorf(linnet.CodeFailed, "packet %d of bob's recording is not what alice played", i)
		}
	}
	if same == 0 {
		return 0, pauses, linnet.Errorf(linnet.CodeFailed, "bob recorded nothing of what alice played")
	}
	return same, pauses, nil
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
