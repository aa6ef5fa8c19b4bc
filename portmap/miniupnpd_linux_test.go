package portmap

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// beAHost has the test program keep a port mapped until its input ends: in a network
// namespace, where it is started.
const beAHost = "PORTMAP_TEST_HOST" // its value is the protocol

func TestMain(m *testing.M) {
	protocol := os.Getenv(beAHost)
	if protocol == "" {
		os.Exit(m.Run())
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() { io.Copy(io.Discard, os.Stdin); cancel() }()
	o := Options{Port: port}
	switch protocol {
	case "nat-pmp":
		o.pcpPort = 9 // nobody answers there
	case "upnp":
		o.patience = 30 * time.Second // it is much talk, on a machine that may be busy
	}
	Run(ctx, o, func(f Found) { json.NewEncoder(os.Stdout).Encode(f) })
}

// TestMiniupnpd asks the daemon that most routers run, in a network namespace. It needs root
// and the programs ip, nft and miniupnpd, or LINNET_MINIUPNPD, which says where that is.
func TestMiniupnpd(t *testing.T) {
	daemon := os.Getenv("LINNET_MINIUPNPD")
	missing := t.Fatalf
	if daemon == "" {
		missing, daemon = t.Skipf, "miniupnpd"
	}
	if os.Getuid() != 0 {
		missing("needs root: port mapping is not tried with a real router")
	}
	for _, tool := range []string{"ip", "nft", daemon} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("needs %s: port mapping is not tried with a real router", tool)
		}
	}
	router, host, internet := fmt.Sprintf("lpr%d", os.Getpid()), fmt.Sprintf("lph%d", os.Getpid()), fmt.Sprintf("lpi%d", os.Getpid())
	do := func(line string) string {
		t.Helper()
		out, err := exec.Command("sh", "-c", line).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", line, err, out)
		}
		return string(out)
	}
	for _, ns := range []string{router, host, internet} {
		do("ip netns add " + ns)
		t.Cleanup(func() { exec.Command("ip", "netns", "del", ns).Run() })
		do("ip -n " + ns + " link set lo up")
	}
	outside := netip.MustParseAddr("11.9.9.9") // the daemon refuses addresses that are nobody's
	do("ip -n " + router + " link add wan type veth peer name eth0 netns " + internet)
	do("ip -n " + router + " link add lan type veth peer name eth0 netns " + host)
	do("ip -n " + router + " addr add 11.9.9.9/24 dev wan && ip -n " + router + " addr add 10.7.0.1/24 dev lan")
	do("ip -n " + router + " link set wan up && ip -n " + router + " link set lan up && ip -n " + internet + " link set eth0 up")
	do("ip -n " + host + " addr add 10.7.0.2/24 dev eth0 && ip -n " + host + " link set eth0 up && ip -n " + host + " route add default via 10.7.0.1")
	do(`ip netns exec ` + router + ` nft 'table inet filter {
		chain forward { type filter hook forward priority 0; jump miniupnpd; }
		chain miniupnpd { }
		chain prerouting { type nat hook prerouting priority -100; jump prerouting_miniupnpd; }
		chain prerouting_miniupnpd { }
		chain postrouting { type nat hook postrouting priority 100; jump postrouting_miniupnpd; }
		chain postrouting_miniupnpd { }
	}'`)

	for _, tt := range []struct{ protocol, settings string }{
		{"pcp", "enable_natpmp=yes\nenable_upnp=no\n"},
		{"nat-pmp", "enable_natpmp=yes\nenable_upnp=no\n"},
		{"upnp", "enable_natpmp=no\nenable_upnp=yes\n"},
	} {
		t.Run(tt.protocol, func(t *testing.T) {
			dir := t.TempDir()
			settings := filepath.Join(dir, "conf")
			err := os.WriteFile(settings, []byte(tt.settings+"ext_ifname=wan\nlistening_ip=lan\nport=0\nsecure_mode=no\nuuid=00000000-0000-0000-0000-000000000001\n"+
				"upnp_forward_chain=miniupnpd\nupnp_nat_chain=prerouting_miniupnpd\nupnp_nat_postrouting_chain=postrouting_miniupnpd\n"+
				"allow 1024-65535 10.7.0.0/24 1024-65535\n"), 0o600)
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			d := exec.Command("ip", "netns", "exec", router, daemon, "-d", "-f", settings, "-P", filepath.Join(dir, "pid"))
			d.Stdout, d.Stderr = &said, &said
			if err := d.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() {
				d.Process.Kill()
				d.Wait()
				if t.Failed() {
					t.Log(said.String())
				}
			}()
			listens := 5351
			if tt.protocol == "upnp" {
				listens = 1900
			}
			eventually(t, "the router listens", func() bool {
				return strings.Contains(do("ip netns exec "+router+" cat /proc/net/udp /proc/net/udp6"), fmt.Sprintf(":%04X ", listens))
			})

			h := exec.Command("ip", "netns", "exec", host, os.Args[0])
			h.Env = append(os.Environ(), beAHost+"="+tt.protocol)
			stop, err := h.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			told, err := h.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := h.Start(); err != nil {
				t.Fatal(err)
			}
			var found Found
			if err := json.NewDecoder(told).Decode(&found); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(found.Protocols, []string{tt.protocol}) || found.Addr.Addr() != outside || found.TCP.Addr() != outside {
				t.Errorf("found %+v", found)
			}
			rules := do("ip netns exec " + router + " nft list ruleset")
			if n := strings.Count(rules, fmt.Sprintf("dnat ip to 10.7.0.2:%d", port)); n != 2 { // UDP and TCP
				t.Errorf("%d rules at the router:\n%s", n, rules)
			}
			stop.Close()
			h.Wait()
			if rules := do("ip netns exec " + router + " nft list ruleset"); strings.Contains(rules, "10.7.0.2") {
				t.Errorf("left at the router:\n%s", rules)
			}
		})
	}
}

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for until := time.Now().Add(30 * time.Second); !is(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("it did not happen: %s", what)
		}
	}
}
