package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/detect/dissect"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

// withInput runs the program with something on its standard input.
func withInput(t *testing.T, stdin string, args ...string) *terminal {
	x := &terminal{t: t, args: args, done: make(chan struct{})}
	x.code = run(t.Context(), args, strings.NewReader(stdin), &x.stdout, &x.stderr)
	close(x.done)
	return x
}

func TestDissectLists(t *testing.T) {
	x := do(t, "dissect", "--list", "4102000410000506", "4215", "41 01 00 01 01").succeeds()
	if got, want := x.stdout.String(), "{0/4=16, 0/5=6}\n{}\n{0/1=1}\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	x = withInput(t, "# SC cmd 6\n4234AA09F8EE\n\n41020000a30a0005 05\n", "dissect", "--list", "--pack", "42")
	if got, want := x.stdout.String(), "4234aa09f8ee\n4234aa09f8ee\n"; x.code != 0 || got != want {
		t.Errorf("exit %d, stdout %q, want %q", x.code, got, want)
	}
	x = withInput(t, "4234aa09f8ee\n", "dissect", "--list", "--pack", "41")
	if got, want := x.stdout.String(), "41020000a30a000505\n"; x.code != 0 || got != want {
		t.Errorf("exit %d, stdout %q, want %q", x.code, got, want)
	}
	x = withInput(t, "4100\n41020004\nzz\n4215\n", "dissect", "--list")
	x.fails(1, "2 of 4 lists")
	if got := x.stdout.String(); got != "{}\n{}\n" {
		t.Errorf("stdout %q", got)
	}
	for _, want := range []string{"list 2: byte 1: ", "list 3: byte 0: "} {
		if !strings.Contains(x.stderr.String(), want) {
			t.Errorf("stderr does not say %q: %s", want, &x.stderr)
		}
	}
	do(t, "dissect", "--list", "4134").fails(1, "linnet: byte 1: ")
	do(t, "dissect", "--list", "43").fails(1, "linnet: byte 0: ")
	x = withInput(t, "410100010a\n", "dissect", "--list", "--json")
	if got, want := x.stdout.String(), `{"list":"{0/1=10}","fields":[{"object":"0/1","value":10}]}`+"\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	// A list that has no packed form stays plain, and that is said.
	x = do(t, "dissect", "--list", "--pack", "42", "4102000501000401").succeeds()
	if got := x.stdout.String(); got != "4102000501000401\n" || !strings.Contains(x.stderr.String(), "no packed form") {
		t.Errorf("stdout %q, stderr %q", got, &x.stderr)
	}
}

func TestDissectSlotAndCRC(t *testing.T) {
	if got, want := do(t, "dissect", "--slot", "Alice").succeeds().stdout.String(), "classic  1942\nmodern   175\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	if got, want := do(t, "dissect", "--crc", "04da017f454215").succeeds().stdout.String(), "f28624e6\n"; got != want {
		t.Errorf("stdout %q, want %q", got, want)
	}
	do(t, "dissect", "--crc", "04d").fails(1, "byte 1: ")
}

func TestDissectHex(t *testing.T) {
	x := withInput(t, "82.124.72.51:40000 > 24.98.66.80:33033 7f4e 02 118ac037 fc95755e 5eb9817a8efa81\n"+
		"24.98.66.80:33033 > 82.124.72.51:40000 7f4e 77 527c4833 83b08656\nnot hex\n", "dissect", "--hex")
	x.fails(1, "1 of 3 datagrams")
	if !strings.Contains(x.stderr.String(), "datagram 3: byte 0: ") {
		t.Errorf("stderr: %s", &x.stderr)
	}
	for _, want := range []string{"command", "hidden: no addresses that are known", "nack", "could not open 1", "I see you as 82.124.72.51"} {
		if !strings.Contains(x.stdout.String(), want) {
			t.Errorf("stdout does not say %q:\n%s", want, &x.stdout)
		}
	}
}

// Machines are named by the network of a home, by an invite, and else by what the capture shows.
func TestDissectNames(t *testing.T) {
	n := newNetwork(t, 1, suite.RegistrationOpen)
	line := "10.0.0.5:40000 > " + n.opts.Supernodes[0].String() + " 0001 1d\n"
	for _, tt := range []struct {
		want string
		args []string
	}{
		{" > supernode ", []string{"--home", n.home}},
		{" > supernode ", []string{"--home", node.SupernodePath(n.home, 0)}},
		{" > bootstrap-", []string{"--network", n.invite.String()}},
		{" > 127.0.0.1:", nil},
	} {
		x := withInput(t, line, append([]string{"dissect", "--hex"}, tt.args...)...)
		if x.code != 0 || !strings.Contains(x.stdout.String(), tt.want) {
			t.Errorf("%q: exit %d, stdout %s, stderr %s", tt.args, x.code, &x.stdout, &x.stderr)
		}
	}
}

func TestDissectFilters(t *testing.T) {
	lines := "10.0.0.5:1 > 10.0.0.6:2 0001 1d\n10.0.0.7:1 > 10.0.0.6:3 0002 1d\n10.0.0.6:2 > 10.0.0.5:1 0003 1d\n"
	for _, tt := range []struct {
		args []string
		want int
	}{
		{nil, 3},
		{[]string{"--port", "2"}, 2},
		{[]string{"--port", "2", "--port", "3"}, 3},
		{[]string{"--host", "10.0.0.7"}, 1},
		{[]string{"--host", "10.0.0.7", "--port", "2"}, 0},
		{[]string{"--limit", "2"}, 2},
	} {
		x := withInput(t, lines, append([]string{"dissect", "--hex"}, tt.args...)...)
		if got := strings.Count(x.stdout.String(), "keep-alive"); got != tt.want || x.code != 0 {
			t.Errorf("%q: %d packets, want %d; exit %d", tt.args, got, tt.want, x.code)
		}
	}
}

func TestDissectWhatIsNoCapture(t *testing.T) {
	none := filepath.Join(t.TempDir(), "none.pcap")
	missing := do(t, "dissect", none)
	missing.fails(16, "capture cannot be opened", none)
	if strings.Contains(missing.stderr.String(), "0 packets") {
		t.Errorf("packets of a file that is not there were counted: %s", missing.stderr.String())
	}
	if err := os.WriteFile(none, []byte("this is no capture at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	do(t, "dissect", none).fails(16, "byte 0: ")
	do(t, "dissect").fails(2, "name one capture")
	do(t, "dissect", "--network", "linnet:abc", none).fails(9, "invite")
	do(t, "dissect", "--network", none, none).fails(16, "no descriptor")
}

// explained wants everything in a capture of a demo to be explained: every
// command by name and with its fields, every stream to its last record.
func explained(t *testing.T, pcap, suiteName string) {
	t.Helper()
	dissected := func(args ...string) string {
		return do(t, append([]string{"dissect", pcap}, args...)...).succeeds().stdout.String()
	}
	lines := strings.Split(strings.TrimSpace(dissected("--json")), "\n")
	var end struct{ Summary dissect.Summary }
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &end); err != nil {
		t.Fatal(err)
	}
	logins, media, named := 0, 0, 0
	for _, line := range lines[:len(lines)-1] {
		var x dissect.Explanation
		if err := json.Unmarshal([]byte(line), &x); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		commands := x.Commands
		switch x.Kind {
		case dissect.KindOtherUDP, dissect.KindOtherTCP:
			t.Errorf("not explained: %s", line)
		case dissect.KindCommand, dissect.KindResend:
			if len(commands) == 0 {
				t.Errorf("not opened: %s", line)
			}
		case dissect.KindMedia:
			media++
			if x.Media == nil {
				t.Errorf("media without a header: %s", line)
			}
		}
		if !x.Proven && x.Kind != dissect.KindConnection {
			t.Errorf("not proven: %s", line)
		}
		if x.DstName != "" || x.SrcName != "" {
			named++
		}
		if x.Stream != nil {
			for _, r := range x.Stream.Records {
				commands = append(commands, r.Commands...)
				if r.Kind == "unknown" {
					t.Errorf("unknown record: %s", line)
				}
				if r.Kind == "visible" {
					logins++
				}
			}
		}
		for _, c := range commands {
			if c.Name == "unknown" || c.Error != "" {
				t.Errorf("command not explained: %s", line)
			}
			for _, f := range c.Fields {
				if f.Name == "" {
					t.Errorf("%s: field %s has no name", c.Name, f.Object)
				}
			}
			if c.Name == "login" {
				logins++
			}
		}
	}
	if n := end.Summary.Packets - end.Summary.Copies; n < 1000 || media < 500 || named < 100 {
		t.Errorf("%d packets, %d of media, %d with a named machine", n, media, named)
	}
	if logins < 3 { // alice twice, bob once
		t.Errorf("%d logins on a %s network", logins, suiteName)
	}
	if n := strings.Count(dissected("--json", "--limit", "200"), "\n"); n != 201 { // and the summary
		t.Errorf("--limit 200 printed %d lines", n)
	}
	if suiteName == suite.ClassicName && !strings.Contains(strings.Join(strings.Fields(dissected()), " "), "raw RSA with the login server's key") {
		t.Error("nothing is said of the classic login")
	}
}
