package media

import (
	"errors"
	"syscall"
)

// ErrDiskFull says that a recording stopped for want of space.
var ErrDiskFull = errors.New("the disk is full")

// WriteError is the error of a write to a recording: ErrDiskFull, if that is what it says.
func WriteError(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return ErrDiskFull
	}
	return err
}
