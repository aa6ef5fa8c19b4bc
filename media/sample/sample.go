// Package sample carries the sound that the program brings along: something to
// say in a demonstration, and what echo123 says. README.md tells how the files
// were made.
package sample

import (
	"bytes"
	"embed"
	"fmt"

	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
)

//go:embed *.ogg
var files embed.FS

// Speech is twenty seconds of English about two birds and a telephone, as an
// Ogg/Opus file.
func Speech() []byte {
	b, err := files.ReadFile("speech.ogg")
	if err != nil {
		panic(err) // it is in the program
	}
	return b
}

// Echo is what echo123 says.
func Echo() (media.EchoOptions, error) {
	var o media.EchoOptions
	for _, x := range []struct {
		name   string
		frames *[]media.Frame
	}{{"greeting.ogg", &o.Greeting}, {"tone.ogg", &o.Tone}, {"closing.ogg", &o.Closing}} {
		b, err := files.ReadFile(x.name)
		if err == nil {
			_, *x.frames, err = ogg.ReadAll(bytes.NewReader(b))
		}
		if err != nil {
			return o, fmt.Errorf("sample %s: %w", x.name, err)
		}
	}
	return o, nil
}
