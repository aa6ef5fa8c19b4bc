package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/node"
)

// examined runs linnet doctor, and gives its findings by what they are about.
func examined(t *testing.T, home string, code int) map[string]linnet.Finding {
	t.Helper()
	x := do(t, "doctor", "--home", home, "--json")
	if x.code != code {
		t.Errorf("exit code %d, want %d: %s%s", x.code, code, &x.stdout, &x.stderr)
	}
	var list []linnet.Finding
	unmarshal(t, x, &list)
	found := make(map[string]linnet.Finding)
	for _, f := range list {
		found[f.About] = f
		if (f.State == linnet.VerdictGood) != (f.Do == "") || f.Text == "" {
			t.Errorf("what is to be done about %+v?", f)
		}
	}
	return found
}

func wants(t *testing.T, f linnet.Finding, v linnet.Verdict, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(f.Text+" "+f.Do, w) {
			t.Errorf("%+v lacks %q", f, w)
		}
	}
	if f.State != v {
		t.Errorf("%+v, want it to be %s", f, v)
	}
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	nowhere := t.TempDir()
	wants(t, examined(t, nowhere, 1)["node"], linnet.VerdictBad, "there is none in "+nowhere, "--join INVITE")

	n := newProcessNetwork(t, 1)
	alice := n.person(t, "alice", inOwnProcess)
	for about, f := range examined(t, alice.home, 0) {
		wants(t, f, linnet.VerdictGood)
		if about == "clock" {
			wants(t, f, linnet.VerdictGood, "agrees")
		}
	}
	people := do(t, "doctor", "--home", alice.home).succeeds()
	for _, words := range []string{"certificate", "good until", "1 of 1 answer by UDP", "has room"} {
		if !strings.Contains(people.stdout.String(), words) {
			t.Errorf("no %q in:\n%s", words, &people.stdout)
		}
	}

	bob := n.computer(t, "bob", inOwnProcess) // with nobody signed in
	found := examined(t, bob.home, 1)
	wants(t, found["certificate"], linnet.VerdictBad, "nobody is signed in", "linnet register")

	n.server.kill()
	found = examined(t, alice.home, 0)
	wants(t, found["login server"], linnet.VerdictWarning, "no login server can be reached")
	wants(t, found["clock"], linnet.VerdictUnknown)

	alice.up.end()
	found = examined(t, alice.home, 1)
	wants(t, found["node"], linnet.VerdictBad, "does not run", "linnet up")
	wants(t, found["supernodes"], linnet.VerdictGood)
	wants(t, found["certificate"], linnet.VerdictGood)

	super := filepath.Join(n.home, node.SupernodeHome)
	wants(t, examined(t, super, 0)["node"], linnet.VerdictUnknown, "uses "+super, "/readyz")
	n.supernodes[0].kill()
	wants(t, examined(t, alice.home, 1)["supernodes"], linnet.VerdictBad, "none of 1 answers", "firewall")
}

func TestDoctorOfADisk(t *testing.T) {
	t.Parallel()
	n := newProcessNetwork(t, 1)
	alice := n.person(t, "alice", inOwnProcess)
	alice.up.end()

	home, disk := moveHome(t, alice.home)
	wants(t, examined(t, home, 1)["disk"], linnet.VerdictGood)
	free := fill(t, disk)
	wants(t, examined(t, home, 1)["disk"], linnet.VerdictBad, "full", "space")
	free()

	if err := os.WriteFile(filepath.Join(home, "linnet.db"), []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	wants(t, examined(t, home, 1)["disk"], linnet.VerdictBad, "damaged", "backup")
}

func TestFirewall(t *testing.T) {
	ufw := fstest.MapFS{"etc/ufw/ufw.conf": {Data: []byte("# /etc/ufw/ufw.conf\nENABLED=yes\nLOGLEVEL=low\n")}}
	off := fstest.MapFS{"etc/ufw/ufw.conf": {Data: []byte("ENABLED=no\n")}}
	daemon := fstest.MapFS{"run/firewalld/x": {}}
	const drops = "table inet filter {\n\tchain input {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n"
	const nat = "table ip nat {\n\tchain postrouting {\n\t\toifname \"eth0\" masquerade\n\t}\n}\n"
	blocked := []linnet.Finding{{About: "supernodes", State: linnet.VerdictBad}}
	for _, tt := range []struct {
		name   string
		root   fstest.MapFS
		rules  string
		others []linnet.Finding
		want   linnet.Verdict
		words  string
	}{
		{"none", fstest.MapFS{}, nat, blocked, linnet.VerdictGood, "none is on"},
		{"off", off, "", blocked, linnet.VerdictGood, "none is on"},
		{"harmless", ufw, drops, nil, linnet.VerdictGood, "ufw is on"},
		{"ufw", ufw, drops, blocked, linnet.VerdictWarning, "sudo ufw allow"},
		{"firewalld", daemon, "", blocked, linnet.VerdictWarning, "firewall-cmd"},
		{"nft", off, drops, blocked, linnet.VerdictWarning, "nft list ruleset"},
	} {
		t.Run(tt.name, func(t *testing.T) { wants(t, firewall(tt.root, tt.rules, tt.others), tt.want, tt.words) })
	}
}
