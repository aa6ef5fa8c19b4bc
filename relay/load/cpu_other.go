//go:build !unix

package load

import "time"

func cpu() time.Duration { return 0 }
