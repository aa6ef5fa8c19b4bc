package netx

import (
	"context"
	"os"
	"os/exec"
	"testing"
	"time"
)

const watchInside = "NETX_TEST_WATCH"

// The kernel tells of an address that comes; the test makes it come in a network
// namespace of its own.
func TestWatch(t *testing.T) {
	if os.Getenv(watchInside) == "" {
		if os.Getuid() != 0 {
			t.Skip("a network namespace takes root")
		}
		cmd := exec.Command("unshare", "-n", os.Args[0], "-test.run=^TestWatch$")
		cmd.Env = append(os.Environ(), watchInside+"=yes")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	ctx, cancel := context.WithCancel(t.Context())
	news, done := make(chan struct{}, 100), make(chan error, 1)
	go func() { done <- System{}.Watch(ctx, func() { news <- struct{}{} }) }()
	for heard, up := false, "up"; !heard; { // Watch may not listen yet
		if err := exec.Command("ip", "link", "set", "lo", up).Run(); err != nil {
			t.Skip("ip is missing: ", err)
		}
		select {
		case <-news:
			heard = true
		case <-time.After(100 * time.Millisecond):
			up = map[string]string{"up": "down", "down": "up"}[up]
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
