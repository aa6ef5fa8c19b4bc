package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestNetcheckBehindRealNATs asks nodes behind the kernel's own NATs, each in a
// network namespace, what stands before them. It needs root and ../shared/natlab.
func TestNetcheckBehindRealNATs(t *testing.T) {
	natlab, err := filepath.Abs("../../../shared/natlab/natlab")
	if err == nil {
		_, err = os.Stat(natlab)
	}
	if err != nil {
		t.Skip("natlab is not beside the repository: nothing measured on real NATs")
	}
	if os.Getuid() != 0 {
		t.Skip("natlab needs root: nothing measured on real NATs")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("natlab needs nft (package nftables): nothing measured on real NATs")
	}
	kinds := []struct{ kind, nat, mapping string }{
		{"public", "none", "endpoint-independent"},
		{"firewall", "none", "endpoint-independent"},
		{"full-cone", "cone", "endpoint-independent"},
		{"restricted-cone", "cone", "endpoint-independent"},
		{"port-restricted", "cone", "endpoint-independent"},
		{"cgnat", "cone", "endpoint-independent"},
		{"symmetric", "symmetric", ""},
	}
	lab := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(natlab, append([]string{"-n", "netcheck"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("natlab %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	hostOf := func(kind string) string { // as natlab wants them
		name := strings.ReplaceAll(kind, "-", "")
		return name[:min(len(name), 12)]
	}
	spec := []string{"up", "s1=public", "s2=public"}
	for _, k := range kinds {
		spec = append(spec, hostOf(k.kind)+"="+k.kind)
	}
	t.Cleanup(func() { exec.Command(natlab, "-n", "netcheck", "down").Run() })
	lab(spec...)

	dir := t.TempDir()
	t.Setenv(beTheProgram, "yes")
	start := func(host string, args ...string) (stdout *screen) {
		cmd := exec.Command(natlab, append([]string{"-n", "netcheck", "exec", host, "--", os.Args[0]}, args...)...)
		stdout = new(screen)
		cmd.Stdout = stdout
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait() })
		return stdout
	}
	birds, eagle := filepath.Join(dir, "birds"), filepath.Join(dir, "eagle")
	created := start("s1", "network", "create", "birds", "--json", "--home", birds, "--address", lab("addr", "s1"))
	var network struct{ Invite string }
	eventually(t, "the network is made", func() bool {
		return json.Unmarshal([]byte(created.String()), &network) == nil && network.Invite != ""
	})
	var ticket string
	for _, word := range strings.Fields(lab("exec", "s1", "--", os.Args[0], "network", "ticket", "eagle", "--home", birds)) {
		if strings.HasPrefix(word, "linnet:") {
			ticket = word
		}
	}
	start("s2", "supernode", "--home", eagle, "--join", ticket, "--address", lab("addr", "s2"))

	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte("two birds, one telephone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, k := range kinds {
		t.Run(k.kind, func(t *testing.T) {
			home := filepath.Join(dir, k.kind)
			start(hostOf(k.kind), "up", "--home", home, "--join", network.Invite)
			eventually(t, "it is signed in", func() bool {
				return exec.Command(natlab, "-n", "netcheck", "exec", hostOf(k.kind), "--", os.Args[0], "register", "at."+k.kind, "--home", home, "--password-file", secret).Run() == nil
			})
			var got netcheck
			eventually(t, "it has two supernodes", func() bool {
				got = netcheck{}
				return json.Unmarshal([]byte(lab("exec", hostOf(k.kind), "--", os.Args[0], "netcheck", "--json", "--home", home)), &got) == nil && len(got.Supernodes) == 2
			})
			if m := orUnknown(got.Mapping); got.Name != k.nat || k.mapping != "" && m != k.mapping || k.mapping == "" && m != notKnown {
				t.Errorf("NAT %s, mapping %s; want %s, %q; seen as %v", got.Name, m, k.nat, k.mapping, got.Public)
			}
		})
	}
}
