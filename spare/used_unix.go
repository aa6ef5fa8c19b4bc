//go:build unix

package spare

import (
	"time"

	"golang.org/x/sys/unix"
)

// Used is the processor time that this process took.
func Used() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
