package netx

import (
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The kernel steps through an array of struct mmsghdr: a msghdr and an unsigned
// int, padded to a whole number of words. GOARCH=386 shows it for 32 bits.
func TestMessageIsAsLongAsTheKernels(t *testing.T) {
	if got, want := unsafe.Sizeof(message{}), unsafe.Sizeof(unix.Msghdr{})+unsafe.Sizeof(uintptr(0)); got != want {
		t.Errorf("%d bytes, want %d", got, want)
	}
}
