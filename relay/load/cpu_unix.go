//go:build unix

package load

import (
	"time"

	"golang.org/x/sys/unix"
)

// cpu is the processor time that this process took.
func cpu() time.Duration {
	var r unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &r) != nil {
		return 0
	}
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
