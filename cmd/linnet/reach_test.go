package main

import (
	"encoding/json"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/netx/proxytest"
)

const serveProxyAt = "LINNET_TEST_PROXY"

// TestServeProxy is no test but, in a process of its own, the proxy of TestReach.
func TestServeProxy(t *testing.T) {
	at := os.Getenv(serveProxyAt)
	if at == "" {
		t.Skip("it is the proxy of another test")
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		t.Fatal(err)
	}
	web := func(to netip.AddrPort) bool { return to.Port() == 443 }
	(&proxytest.Proxy{Net: netx.System{}, User: "ann", Password: "secret", Digest: true, Allow: web}).Serve(l)
}

// TestReach has people behind real firewalls, each in a network namespace, get
// on the network and be called. It needs root and ../shared/natlab.
func TestReach(t *testing.T) {
	if testing.Short() {
		t.Skip("a lab takes its time")
	}
	natlab, err := filepath.Abs("../../../shared/natlab/natlab")
	if err == nil {
		_, err = os.Stat(natlab)
	}
	if err != nil || os.Getuid() != 0 {
		t.Skip("natlab is not beside the repository, or this is not root: nothing tried behind real firewalls")
	}
	if _, err := exec.LookPath("nft"); err != nil {
		t.Skip("natlab needs nft (package nftables): nothing tried behind real firewalls")
	}
	kinds := []struct {
		host, kind string
		by         linnet.Rung
		path       linnet.PathKind // of whom is called
	}{
		{"udpblocked", "udp-blocked", linnet.RungTCP, linnet.RelayTCP},
		{"webonly", "web-only", linnet.RungPort80, linnet.RelayTCP},
		{"tlsonly", "tls-only", linnet.RungPort443, linnet.RelayTCP},
		{"ipv6only", "ipv6-only", linnet.RungUDP, linnet.RelayUDP},
		{"dualstack", "dual-stack", linnet.RungUDP, linnet.DirectUDP},
		{"proxyonly", "udp-blocked", linnet.RungPort443, linnet.RelayTCP},
	}
	lab := func(args ...string) string {
		t.Helper()
		out, err := exec.Command(natlab, append([]string{"-n", "reach"}, args...)...).CombinedOutput()
		if err != nil {
			t.Fatalf("natlab %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	spec := []string{"up", "s1=public", "s2=public", "proxy=public", "caller=port-restricted"}
	for _, k := range kinds {
		spec = append(spec, k.host+"="+k.kind)
	}
	t.Cleanup(func() { exec.Command(natlab, "-n", "reach", "down").Run() })
	lab(spec...)
	proxy := lab("addr", "proxy") + ":3128"
	lab("router", "proxyonly", "--", "nft", "add table inet only; add chain inet only f { type filter hook forward priority -10; };"+
		"add rule inet only f ip saddr 10.0.0.0/8 ip daddr != "+lab("addr", "proxy")+" drop; add rule inet only f ip6 daddr ::/0 drop")

	dir := t.TempDir()
	t.Setenv(beTheProgram, "yes")
	start := func(host string, args ...string) (stdout, stderr *screen) {
		t.Helper()
		cmd := exec.Command(natlab, append([]string{"-n", "reach", "exec", host, "--", os.Args[0]}, args...)...)
		stdout, stderr = new(screen), new(screen)
		cmd.Stdout, cmd.Stderr = stdout, stderr
		if args[0] == "-test.run=TestServeProxy" {
			cmd.Env = append(os.Environ(), serveProxyAt+"="+proxy, beTheProgram+"=")
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
			if t.Failed() {
				t.Logf("%s %q:\n%s", host, args, stderr)
			}
		})
		return stdout, stderr
	}
	start("proxy", "-test.run=TestServeProxy")
	web := []string{"--listen-80", ":80", "--listen-443", ":443"}
	birds, eagle := filepath.Join(dir, "birds"), filepath.Join(dir, "eagle")
	created, _ := start("s1", append([]string{"network", "create", "birds", "--json", "--home", birds,
		"--address", lab("addr", "s1") + "," + lab("addr", "s1", "6")}, web...)...)
	var network struct{ Invite string }
	eventually(t, "the network is made", func() bool {
		return json.Unmarshal([]byte(created.String()), &network) == nil && network.Invite != ""
	})
	var ticket string
	for word := range strings.FieldsSeq(lab("exec", "s1", "--", os.Args[0], "network", "ticket", "eagle", "--home", birds)) {
		if strings.HasPrefix(word, "linnet:") {
			ticket = word
		}
	}
	start("s2", append([]string{"supernode", "--home", eagle, "--join", ticket, "--address", lab("addr", "s2")}, web...)...)

	secret := filepath.Join(dir, "password")
	if err := os.WriteFile(secret, []byte("two birds, one telephone\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	run := func(host, home string, args ...string) ([]byte, error) {
		return exec.Command(natlab, append(append([]string{"-n", "reach", "exec", host, "--", os.Args[0]}, args...), "--home", home)...).Output()
	}
	join := func(t *testing.T, host string, more ...string) (home string, status linnet.Status) {
		t.Helper()
		home = filepath.Join(dir, host)
		start(host, append([]string{"up", "--home", home, "--join", network.Invite}, more...)...)
		eventually(t, host+" is signed in", func() bool {
			_, err := run(host, home, "register", host, "--password-file", secret)
			return err == nil
		})
		eventually(t, host+" has two supernodes", func() bool {
			out, err := run(host, home, "status", "--json")
			status = linnet.Status{}
			return err == nil && json.Unmarshal(out, &status) == nil && len(status.Supernodes) == 2
		})
		return home, status
	}
	calling, _ := join(t, "caller")
	play := speech(t)
	for _, k := range kinds {
		t.Run(k.host, func(t *testing.T) {
			record := filepath.Join(t.TempDir(), "heard.ogg")
			more := []string{"--auto-answer", "--record", record}
			if k.host == "proxyonly" {
				more = append(more, "--proxy", "http://ann:secret@"+proxy)
			}
			home, status := join(t, k.host, more...)
			for _, a := range status.Supernodes {
				if a.By != k.by {
					t.Errorf("attached by %v at %v, want %v", a.By, a.Addr, k.by)
				}
			}
			for caller, of := range map[string][2]string{"caller": {calling, k.host}, k.host: {home, "caller"}} {
				if out, err := run(caller, of[0], "contacts", "add", of[1]); err != nil {
					t.Fatalf("contacts: %v\n%s", err, out)
				}
			}
			var at linnet.CallRecord                                    // at the callee
			eventually(t, "a call connects and is heard", func() bool { // the directory may not know yet who came just now
				var mine linnet.CallRecord
				out, err := run("caller", calling, "call", k.host, "--play", play, "--seconds", "3", "--json")
				if err != nil || json.Unmarshal(out, &mine) != nil || mine.Outcome != linnet.OutcomeCompleted {
					return false
				}
				eventually(t, "the callee has it in his history", func() bool {
					out, err := run(k.host, home, "history", "--json")
					var history []linnet.CallRecord
					if err != nil || json.Unmarshal(out, &history) != nil || len(history) == 0 {
						return false
					}
					at = history[0]
					return at.ID == mine.ID && at.Outcome == linnet.OutcomeCompleted
				})
				same, _, err := samePackets(play, record)
				if err != nil || same < 130 { // on a machine that is busy with other tests streams may come too late
					t.Logf("%d packets of what was played were heard: %v", same, err)
				}
				return err == nil && same >= 130
			})
			if at.Path != k.path {
				t.Errorf("the call came by %v, want %v", at.Path, k.path)
			}
			t.Logf("attached by %v; call by %v, MOS %.1f, loss %.3f", status.Supernodes[0].By, at.Path, at.MOS, at.Loss)
		})
	}
}
