package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"golang.org/x/term"
)

// progressBar draws itself on a terminal while a large file is read.
type progressBar struct {
	io.Reader
	to         *os.File // nil: nobody looks
	name       string
	read, size int64
	drawn      time.Time
}

const (
	largeFile     = 20 << 20 // bytes
	progressEvery = 100 * time.Millisecond
	progressWidth = 40
)

func newProgressBar(stderr io.Writer, name string, in io.Reader, size int64) *progressBar {
	g := &progressBar{Reader: in, name: name, size: size}
	if tty, ok := stderr.(*os.File); ok && size >= largeFile && term.IsTerminal(int(tty.Fd())) {
		g.to = tty
	}
	return g
}

func (g *progressBar) Read(b []byte) (int, error) {
	n, err := g.Reader.Read(b)
	g.read += int64(n)
	if g.to != nil && time.Since(g.drawn) >= progressEvery {
		g.drawn = time.Now()
		share := min(float64(g.read)/float64(g.size), 1)
		done := int(share * progressWidth)
		fmt.Fprintf(g.to, "\r\x1b[K%s [%s%s] %.0f %%", g.name, strings.Repeat("#", done), strings.Repeat(" ", progressWidth-done), 100*share)
	}
	return n, err
}

// clear takes the bar away.
func (g *progressBar) clear() {
	if g.to != nil {
		fmt.Fprint(g.to, "\r\x1b[K")
	}
}
