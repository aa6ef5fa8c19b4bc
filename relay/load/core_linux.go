package load

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// A Core is for what relays, alone. Where measurer and measured share one, or move, the
// figures tell of that.
type Core struct{ own, others unix.CPUSet }

// Apart keeps this process off one core from now on. Where there is one only, that
// is shared.
func Apart() (*Core, error) {
	c := new(Core)
	if err := unix.SchedGetaffinity(0, &c.others); err != nil {
		return nil, fmt.Errorf("load: which cores are there: %w", err)
	}
	if c.others.Count() < 2 {
		c.own = c.others
		return c, nil
	}
	last := len(c.others)*strconv.IntSize - 1
	for !c.others.IsSet(last) {
		last--
	}
	c.own.Set(last)
	c.others.Clear(last)
	return c, keep(os.Getpid(), &c.others)
}

// Start starts a program on the core.
func (c *Core) Start(cmd *exec.Cmd) error {
	runtime.LockOSThread() // whose cores the program gets
	defer runtime.UnlockOSThread()
	if err := unix.SchedSetaffinity(0, &c.own); err != nil {
		return fmt.Errorf("load: keep to a core: %w", err)
	}
	return errors.Join(cmd.Start(), unix.SchedSetaffinity(0, &c.others))
}

// Take brings a process that runs already to the core.
func (c *Core) Take(pid int) error { return keep(pid, &c.own) }

func keep(pid int, cores *unix.CPUSet) error {
	threads, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		return fmt.Errorf("load: keep a process to a core: %w", err)
	}
	for _, t := range threads {
		id, _ := strconv.Atoi(t.Name())
		if err := unix.SchedSetaffinity(id, cores); err != nil && !errors.Is(err, unix.ESRCH) { // it ended
			return fmt.Errorf("load: keep a process to a core: %w", err)
		}
	}
	return nil
}
