package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/netx/proxytest"
)

var labLogs = flag.String("logs", "", "where each host of a lab leaves what its node says")

// A lab is a network of hosts behind the kernel's own NATs, each in a network
// namespace, made by ../shared/natlab. s1 runs the login server and a supernode, s2
// another supernode.
type lab struct {
	t      testing.TB
	natlab string
	name   string
	dir    string
	web    []string // flags of the servers
	invite string
}

// listensOnWeb let in who has nothing but the web.
var listensOnWeb = []string{"--listen-80", ":80", "--listen-443", ":443"}

// newLab makes the hosts. It skips the test where natlab, or what it needs, is
// missing, unless LINNET_NATLAB says that it has to be there.
func newLab(t testing.TB, name string, hosts ...string) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("a lab takes its time")
	}
	missing := t.Skipf
	if os.Getenv("LINNET_NATLAB") != "" {
		missing = t.Fatalf
	}
	natlab, err := filepath.Abs("../../../shared/natlab/natlab")
	if err == nil {
		_, err = os.Stat(natlab)
	}
	if err != nil {
		t.Skip("natlab is not beside the repository: nothing measured on real NATs")
	}
	if os.Getuid() != 0 {
		missing("natlab needs root: nothing measured on real NATs")
	}
	for _, tool := range []string{"ip", "nft", "conntrack"} {
		if _, err := exec.LookPath(tool); err != nil {
			missing("natlab needs %s (packages iproute2, nftables, conntrack): nothing measured on real NATs", tool)
		}
	}
	l := &lab{t: t, natlab: natlab, name: name, dir: t.TempDir()}
	t.Setenv(beTheProgram, "yes")
	t.Cleanup(func() { exec.Command(natlab, "-n", name, "down").Run() })
	l.do(append([]string{"up", "s1=public", "s2=public"}, hosts...)...)
	return l
}

// do runs a command of natlab.
func (l *lab) do(args ...string) string {
	l.t.Helper()
	out, err := exec.Command(l.natlab, append([]string{"-n", l.name}, args...)...).CombinedOutput()
	if err != nil {
		l.t.Fatalf("natlab %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// run runs a command of Linnet on a host to its end.
func (l *lab) run(host string, args ...string) string {
	l.t.Helper()
	return l.do(append([]string{"exec", host, "--", os.Args[0]}, args...)...)
}

// A process is a part of Linnet that runs on a host.
type process struct {
	*exec.Cmd
	stdout, stderr screen
	done           chan struct{}
}

// start starts the program on a host.
func (l *lab) start(host string, args ...string) *process {
	l.t.Helper()
	return l.startWith(host, nil, args...)
}

func (l *lab) startWith(host string, env []string, args ...string) *process {
	l.t.Helper()
	p := &process{Cmd: exec.Command(l.natlab, append([]string{"-n", l.name, "exec", host, "--", os.Args[0]}, args...)...), done: make(chan struct{})}
	p.Env = append(os.Environ(), env...)
	p.Stdout, p.Stderr = &p.stdout, &p.stderr
	if *labLogs != "" {
		file, err := os.OpenFile(filepath.Join(*labLogs, host+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			l.t.Fatal(err)
		}
		defer file.Close() // the process has its own
		p.Args = append(p.Args, "--verbose")
		p.Stderr = file
	}
	if err := p.Cmd.Start(); err != nil {
		l.t.Fatal(err)
	}
	go func() { p.Cmd.Wait(); close(p.done) }()
	l.t.Cleanup(p.kill)
	return p
}

func (p *process) kill() { p.end(syscall.SIGKILL) }

// end sends a signal and waits. natlab became the program by exec, so that its process is it.
func (p *process) end(s syscall.Signal) {
	p.Process.Signal(s)
	<-p.done
}

// network starts the login server and two supernodes, and gives their processes.
// There may be more supernodes, on hosts of their own.
func (l *lab) network(more ...string) (first, second *process) {
	l.t.Helper()
	birds := filepath.Join(l.dir, "birds")
	first = l.start("s1", append([]string{"network", "create", "birds", "--json", "--home", birds,
		"--address", l.do("addr", "s1") + "," + l.do("addr", "s1", "6")}, l.web...)...)
	var made struct{ Invite string }
	eventually(l.t, "the network is made", func() bool {
		return json.Unmarshal([]byte(first.stdout.String()), &made) == nil && made.Invite != ""
	})
	l.invite = made.Invite
	for _, host := range append([]string{"s2"}, more...) {
		var ticket string
		for _, word := range strings.Fields(l.run("s1", "network", "ticket", "machine-"+host, "--home", birds)) {
			if strings.HasPrefix(word, "linnet:") {
				ticket = word
			}
		}
		p := l.start(host, append([]string{"supernode", "--home", filepath.Join(l.dir, host), "--join", ticket, "--address", l.do("addr", host)}, l.web...)...)
		if second == nil {
			second = p
		}
	}
	return first, second
}

const beAProxy = "BE_A_PROXY" // its value is the proxy's URL

const proxyPort = "3128"

// proxy serves until it is killed. One that wants a password lets people into the web
// alone.
func proxy(at string) {
	u, err := url.Parse(at)
	if err != nil {
		panic(err)
	}
	l, err := net.Listen("tcp", u.Host)
	if err != nil {
		panic(err)
	}
	p := proxytest.Proxy{Net: netx.System{}}
	if u.User != nil {
		p.User, p.Digest = u.User.Username(), true
		p.Password, _ = u.User.Password()
		p.Allow = func(to netip.AddrPort) bool { return to.Port() == 443 }
	}
	p.Serve(l)
	os.Exit(1)
}

// startProxy starts one on a host, for user:password or, "", everybody.
func (l *lab) startProxy(host, user string) (at string) {
	l.t.Helper()
	if user != "" {
		user += "@"
	}
	at = "http://" + user + net.JoinHostPort(l.do("addr", host), proxyPort)
	l.startWith(host, []string{beAProxy + "=" + at})
	return at
}

// proxyOnly lets a host whose NAT passes TCP reach nothing but a proxy on another one.
func (l *lab) proxyOnly(host, proxy string) {
	l.t.Helper()
	l.do("router", host, "--", "nft", "insert", "rule", "inet", "filter", "forward", "iifname", "lan", "ip", "daddr", "!=", l.do("addr", proxy), "drop")
}

// A resident is somebody with a node on a host.
type resident struct {
	*process
	*http.Client // of the node: its socket is a file, and no namespace hides it
	lab          *lab
	host, home   string
	env, flags   []string // of the node
	user         linnet.UserName
}

func (l *lab) newResident(host string) *resident {
	r := &resident{lab: l, host: host, home: filepath.Join(l.dir, host), user: linnet.UserName("user." + host)}
	r.Client = http.Dial((&program{flags: &commands{Home: r.home}}).socket())
	return r
}

// resident gives a host a node, whose owner has an account and two supernodes.
func (l *lab) resident(host string) *resident {
	l.t.Helper()
	r := l.newResident(host)
	if err := r.moveIn(); err != nil {
		l.t.Fatal(err)
	}
	return r
}

func (r *resident) start() {
	r.process = r.lab.startWith(r.host, r.env, append([]string{"up", "--home", r.home, "--join", r.lab.invite}, r.flags...)...)
}

// moveIn does what resident does, where several do so at once.
func (r *resident) moveIn() error {
	r.start()
	ctx, cancel := context.WithTimeout(r.lab.t.Context(), testPatience)
	defer cancel()
	for {
		err := r.Register(ctx, linnet.Credentials{User: r.user, Password: testPassword, Device: "test"})
		if err == nil {
			return r.waitOnline(ctx)
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s cannot register: %w", r.host, err)
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (r *resident) status() (s linnet.Status) {
	s, _ = r.Status(r.lab.t.Context()) // while it starts, there is none
	return s
}

// waitOnline waits until it has two supernodes and can be called.
func (r *resident) waitOnline(ctx context.Context) error {
	for {
		supernodes := len(r.status().Supernodes)
		if l, err := r.Lookup(ctx, r.user); supernodes >= 2 && err == nil && l.Online {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("%s is attached to %d supernodes, and not online", r.host, supernodes)
		}
		time.Sleep(200 * time.Millisecond) // look-ups are rationed, and the call needs one
	}
}

// hostOf is a name that natlab takes for a host of this kind.
func hostOf(prefix, kind string) string {
	name := prefix + strings.ReplaceAll(kind, "-", "")
	return name[:min(len(name), 12)]
}

// TestNetcheckBehindRealNATs asks nodes behind the kernel's own NATs what stands
// before them.
func TestNetcheckBehindRealNATs(t *testing.T) {
	const independent, byAddress, byBoth = "endpoint-independent", "address-dependent", "address-and-port-dependent"
	kinds := []struct {
		kind, nat, mapping, filtering string
		hairpin, block                bool
	}{
		{"public", "none", independent, independent, true, false},
		{"firewall", "firewall", independent, byBoth, true, false},
		{"full-cone", "full cone", independent, independent, false, false},
		{"restricted-cone,hairpin", "restricted cone", independent, byAddress, true, false},
		{"port-restricted", "port-restricted cone", independent, byBoth, false, false},
		{"cgnat", "port-restricted cone", independent, byBoth, false, false},
		{"symmetric,ports=20000-22047", "symmetric", byBoth, byBoth, false, true},
		{"cgnat-symmetric", "symmetric", byBoth, byBoth, false, false},
	}
	name := func(kind string) string { kind, _, _ = strings.Cut(kind, ","); return hostOf("", kind) }
	more := []string{"s3", "s4", "s5", "s6"} // a filter is tried by one that the node does not know
	var hosts []string
	for _, s := range more {
		hosts = append(hosts, s+"=public")
	}
	for _, k := range kinds {
		hosts = append(hosts, name(k.kind)+"="+k.kind)
	}
	l := newLab(t, "netcheck", hosts...)
	l.network(more...)
	for _, k := range kinds {
		t.Run(k.kind, func(t *testing.T) {
			r := l.resident(name(k.kind))
			attached := time.Now()
			var got netcheck
			right := func() bool {
				return got.Name == k.nat && *got.Mapping == k.mapping && *got.Filtering == k.filtering && *got.Hairpin == k.hairpin
			}
			last := time.Now().Add(testPatience / 2) // on a busy machine the first finding may be wrong
			eventually(t, "the NAT is known", func() bool {
				got = netcheck{}
				if err := json.Unmarshal([]byte(l.run(r.host, "netcheck", "--json", "--home", r.home)), &got); err != nil {
					t.Fatal(err)
				}
				known := got.Hairpin != nil && got.Filtering != nil && got.Mapping != nil && (len(got.Ports) > 0 || !k.block)
				return known && (right() || time.Now().After(last))
			})
			t.Logf("known %v after it was online: %+v", time.Since(attached).Round(10*time.Millisecond), got.NAT)
			if !right() {
				t.Errorf("NAT %s, mapping %s, filtering %s, hairpin %v; want %+v", got.Name, *got.Mapping, *got.Filtering, *got.Hairpin, k)
			}
			if k.block && (len(got.Ports) != 2 || got.Ports[0] > 20500 || got.Ports[1] < 21500 || got.Ports[1]-got.Ports[0] > 4096) {
				t.Errorf("ports %v", got.Ports)
			}
		})
	}
}
