//go:build !windows

package sqlite

import (
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// A process that is being started has all files until its program is loaded.
func TestUnlockedWhileAProcessStarts(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	first, err := lockFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	child, err := unix.Dup(int(first.(lock).Fd()))
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(child)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := lockFile(path, true)
	if err != nil {
		t.Fatal(err)
	}
	second.Close()
}
