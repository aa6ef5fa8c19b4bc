package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestMain lets the test binary be the program, for tests that need real
// processes: one that is killed cannot share ours.
func TestMain(m *testing.M) {
	if at := os.Getenv(beAProxy); at != "" {
		proxy(at)
	}
	if os.Getenv(beTheProgram) != "" {
		main()
	}
	os.Setenv("LINNET_NO_BROWSER", "true") // whoever runs the tests may have a display
	flag.Parse()
	given := false
	flag.Visit(func(f *flag.Flag) { given = given || f.Name == "test.parallel" })
	if !given { // they wait for most of their time
		flag.Set("test.parallel", strconv.Itoa(2*runtime.GOMAXPROCS(0)))
	}
	os.Exit(m.Run())
}

const beTheProgram = "BE_LINNET"

// testPatience is for what ought to happen at once, on a machine that does much else.
const testPatience = 30 * time.Second

// A terminal is one run of the program.
type terminal struct {
	t         testing.TB
	args      []string
	interrupt func() // Ctrl-C
	kill      func() // kill -9
	freeze    func() // it does nothing more until it is killed, or thawed
	thaw      func()
	done      chan struct{}
	code      int // of the exit; once done is closed
	stdout    screen
	stderr    screen
}

// launch starts the program in one way or the other.
type launch func(t testing.TB, args ...string) *terminal

// inProcess runs the program in this process.
func inProcess(t testing.TB, args ...string) *terminal {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	x := &terminal{t: t, args: args, interrupt: cancel, done: make(chan struct{})}
	go func() {
		defer close(x.done)
		x.code = run(ctx, args, strings.NewReader(""), &x.stdout, &x.stderr)
	}()
	t.Cleanup(x.end)
	return x
}

// inOwnProcess runs the program as a process, which can be killed.
func inOwnProcess(t testing.TB, args ...string) *terminal {
	t.Helper()
	x := &terminal{t: t, args: args, done: make(chan struct{})}
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), beTheProgram+"=yes")
	cmd.Stdout, cmd.Stderr = &x.stdout, &x.stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	x.interrupt = func() { cmd.Process.Signal(syscall.SIGINT) }
	x.freeze = func() {
		cmd.Process.Signal(syscall.SIGSTOP)
		var status syscall.WaitStatus // until the last thread stands still
		if _, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil); err != nil || !status.Stopped() {
			t.Errorf("linnet %s cannot be frozen: %v, status %#x", strings.Join(args, " "), err, status)
		}
	}
	x.thaw = func() { cmd.Process.Signal(syscall.SIGCONT) }
	x.kill = func() {
		cmd.Process.Kill()
		<-x.done
	}
	go func() {
		defer close(x.done)
		cmd.Wait() // the code tells
		x.code = cmd.ProcessState.ExitCode()
	}()
	t.Cleanup(x.end)
	return x
}

// do runs a command to its end, in this process.
func do(t testing.TB, args ...string) *terminal {
	t.Helper()
	x := inProcess(t, args...)
	x.wait()
	return x
}

// end presses Ctrl-C and waits.
func (x *terminal) end() {
	x.interrupt()
	x.wait()
}

func (x *terminal) wait() {
	x.t.Helper()
	select {
	case <-x.done:
	case <-time.After(2 * testPatience):
		x.t.Errorf("linnet %s does not end; it said:\n%s", strings.Join(x.args, " "), &x.stderr)
	}
}

// says waits for words on stderr.
func (x *terminal) says(words string) {
	x.t.Helper()
	over := false
	eventually(x.t, "linnet "+strings.Join(x.args, " ")+" says "+words, func() bool {
		if strings.Contains(x.stderr.String(), words) {
			return true
		}
		if over {
			x.t.Fatalf("linnet %s ended (%d) without saying %q, but:\n%s", strings.Join(x.args, " "), x.code, words, &x.stderr)
		}
		select {
		case <-x.done:
			over = true
		default:
		}
		return false
	})
}

// succeeds wants exit code 0.
func (x *terminal) succeeds() *terminal {
	x.t.Helper()
	x.wait()
	if x.code != 0 {
		x.t.Fatalf("linnet %s: exit code %d, stderr:\n%s", strings.Join(x.args, " "), x.code, &x.stderr)
	}
	return x
}

// fails wants an exit code and one line of explanation: what, and what to do.
func (x *terminal) fails(code int, words ...string) {
	x.t.Helper()
	x.wait()
	var complaint []string
	for line := range strings.Lines(x.stderr.String()) {
		if strings.HasPrefix(line, "linnet:") {
			complaint = append(complaint, line)
		}
	}
	if x.code != code || len(complaint) != 1 || !strings.HasSuffix(x.stderr.String(), complaint[0]) {
		x.t.Errorf("linnet %s: exit code %d, want %d and one last line of explanation; stderr:\n%s", strings.Join(x.args, " "), x.code, code, &x.stderr)
		return
	}
	for _, w := range words {
		if !strings.Contains(complaint[0], w) {
			x.t.Errorf("linnet %s says %q, which lacks %q", strings.Join(x.args, " "), complaint[0], w)
		}
	}
}

// A screen collects what a program writes.
type screen struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// eventually waits until something is true.
func eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(testPatience); !is(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain for %s: %s", testPatience, what)
		}
	}
}

// portsInARow is the first of so many free ports, as a flag takes it.
func portsInARow(t testing.TB, n int) string {
	t.Helper()
	port, err := freePorts(t.Context(), n)
	if err != nil {
		t.Fatal(err)
	}
	return strconv.Itoa(int(port))
}
