package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
	"github.com/linnet-p2p/linnet/media/sample"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

var debug = flag.Bool("debug", false, "log all that nodes say")

// The hosts' ports, and how far apart they are.
const (
	port    = 33033
	hostRTT = 50 * time.Millisecond
	cable   = hostRTT / 4 // a packet passes two of them each way
)

const password = "two birds, one telephone"

// A world is a network of whole nodes on a simulated internet.
type world struct {
	t          testing.TB
	in         *netsim.Internet
	cable      time.Duration
	dir        string
	invite     *suite.Invite
	login      *computer
	supernodes []*computer
	computers  []*computer // all of them
}

// worldOptions describes a world. The zero value is one login server and three
// supernodes on good cables.
type worldOptions struct {
	seed       uint64
	supernodes int           // 0 means 3
	cable      time.Duration // one way; 0 means cable
	suite      string        // "" means the modern one
	promotion  suite.Promotion
	web        bool // servers listen on 80 and 443, too
	dual       bool // they have IPv6 addresses, too
}

// newWorld makes and starts a network. Everything in it ends with the test.
func newWorld(t testing.TB, o worldOptions) *world {
	t.Helper()
	if o.supernodes == 0 {
		o.supernodes = 3
	}
	if o.cable == 0 {
		o.cable = cable
	}
	w := &world{t: t, in: netsim.New(o.seed), dir: t.TempDir(), cable: o.cable}
	t.Cleanup(w.stop)
	public := func(i int) (h netsim.HostOptions) {
		if o.dual {
			h.Addrs = []netip.Addr{netip.AddrFrom4([4]byte{11, 1, byte(i), 1}), netip.MustParseAddr(fmt.Sprintf("2001:db8:%d::1", i))}
		}
		return h
	}
	w.login = w.computer("login-server", public(0))
	if o.web {
		w.login.opts.Web = webPorts
	}
	addrs := make([]netip.AddrPort, o.supernodes)
	for i := range addrs {
		m := w.computer(fmt.Sprintf("supernode-%d", i+1), public(i+1))
		addrs[i] = netip.AddrPortFrom(m.host.Addr(), port)
		m.opts.Home, m.opts.Role, m.opts.Advertise = SupernodePath(w.dir, i), linnet.Supernode|linnet.Relay, addrs[i]
		m.opts.Web = w.login.opts.Web
		w.supernodes = append(w.supernodes, m)
	}
	also := func(at netip.AddrPort) (more []netip.AddrPort) {
		for _, m := range w.computers {
			if a := must(m.host.Addrs()); a[0] == at.Addr() && len(a) > 1 {
				more = append(more, netip.AddrPortFrom(a[1], at.Port()))
			}
		}
		return more
	}
	server := filepath.Join(w.dir, LoginServerHome)
	w.furnish(server, accountsFile)
	w.furnish(filepath.Join(server, EchoHome), storeFile)
	for _, m := range w.supernodes {
		w.furnish(m.opts.Home, storeFile)
	}
	invite, err := CreateNetwork(t.Context(), w.dir, NetworkOptions{
		Name: "test", Suite: o.suite, Promotion: o.promotion, Password: suite.PasswordParams{Time: 1, Memory: 64, Threads: 1},
		LoginServer: netip.AddrPortFrom(w.login.host.Addr(), port), Supernodes: addrs, Also: also,
	})
	if err != nil {
		t.Fatal(err)
	}
	w.invite = invite
	w.login.opts.Home = filepath.Join(w.dir, LoginServerHome)
	w.login.start()
	for _, m := range w.supernodes {
		m.start()
	}
	return w
}

const storeFile = "linnet.db"

// empty are databases as they are when they are made, by name: under the race detector
// that takes a fifth of a second each, which hundreds of them in this package would pay.
var empty = sync.OnceValue(func() map[string][]byte {
	dir := must(os.MkdirTemp("", ""))
	defer os.RemoveAll(dir)
	must(store.Open(context.Background(), dir)).Close()
	must(login.OpenAccounts(context.Background(), filepath.Join(dir, accountsFile))).Close()
	return map[string][]byte{
		storeFile:    must(os.ReadFile(filepath.Join(dir, storeFile))),
		accountsFile: must(os.ReadFile(filepath.Join(dir, accountsFile))),
	}
})

// furnish puts an empty database where there is none.
func (w *world) furnish(home, name string) {
	w.t.Helper()
	path := filepath.Join(home, name)
	if _, err := os.Stat(path); err == nil {
		return
	}
	if err := os.MkdirAll(home, 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := os.WriteFile(path, empty()[name], 0o600); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) stop() {
	for _, m := range slices.Backward(w.computers) {
		m.stop()
	}
}

// A computer is a host with the one process that runs on it.
type computer struct {
	w     *world
	name  string
	host  *netsim.Host
	nat   *netsim.NAT // nil: none
	opts  Options
	node  *Node // nil on the login server
	heard *diary
	end   context.CancelFunc // nil: nothing runs
	done  chan error
}

func (w *world) computer(name string, h netsim.HostOptions) *computer {
	h.Name, h.Link.Delay = name, w.cable
	m := &computer{w: w, name: name, host: w.in.Host(h), nat: h.Behind}
	if *debug {
		m.opts.Log = slog.New(slog.NewTextHandler(w.t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})).With("on", name)
	}
	m.opts.Net = m.host
	m.opts.Home = filepath.Join(w.dir, name)
	w.computers = append(w.computers, m)
	return m
}

// newcomer is a computer whose owner has an invite and no account.
func (w *world) newcomer(name string, h netsim.HostOptions) *computer {
	w.t.Helper()
	m := w.computer(name, h)
	m.opts.Invite = w.invite
	m.start()
	m.eventually("joins the network", func() bool { return m.node.network.get() != nil })
	return m
}

// user is the machine of somebody with an account, who is online when it returns.
func (w *world) user(name string, h netsim.HostOptions) *computer {
	w.t.Helper()
	m := w.newcomer(name, h)
	err := m.node.Register(w.t.Context(), linnet.Credentials{User: m.user(), Password: password, Device: "test"})
	if err != nil {
		w.t.Fatalf("%s registers: %v", name, err)
	}
	m.online()
	return m
}

// atHome are the options of a host behind the commonest NAT.
func (w *world) atHome() netsim.HostOptions {
	return netsim.HostOptions{Behind: w.in.NAT(netsim.PortRestrictedCone())}
}

// befriend makes two users contacts of each other.
func befriend(a, b *computer) {
	for _, x := range [][2]*computer{{a, b}, {b, a}} {
		if err := x[0].node.AddContact(a.w.t.Context(), linnet.Contact{User: x[1].user()}); err != nil {
			a.w.t.Fatal(err)
		}
	}
}

// approved makes two users contacts of each other, who know it.
func approved(a, b *computer) {
	a.w.t.Helper()
	befriend(a, b)
	a.stands(b, linnet.Approved)
	b.stands(a, linnet.Approved)
}

// friends are two users at home who are contacts.
func (w *world) friends() (alice, bob *computer) {
	w.t.Helper()
	alice, bob = w.user("alice", w.atHome()), w.user("bob", w.atHome())
	befriend(alice, bob)
	return alice, bob
}

func (m *computer) user() linnet.UserName { return linnet.UserName(m.name) }

func (m *computer) id() linnet.NodeID { return m.status().Node }

// addrs are where others could find the computer: its own address and its NAT's.
func (m *computer) addrs() []netip.Addr {
	addrs := []netip.Addr{m.host.Addr()}
	if m.nat != nil {
		addrs = append(addrs, m.nat.Addr())
	}
	return addrs
}

func (m *computer) start() {
	m.w.t.Helper()
	ctx, end := context.WithCancel(context.WithoutCancel(m.w.t.Context()))
	m.end, m.done = end, make(chan error, 1)
	if m == m.w.login {
		server, err := OpenLoginServer(ctx, LoginServerOptions{Home: m.opts.Home, Web: m.opts.Web, Net: m.opts.Net, Log: m.opts.Log})
		if err != nil {
			m.w.t.Fatalf("%s: %v", m.name, err)
		}
		go func() { m.done <- server.Run(ctx) }()
		return
	}
	m.w.furnish(m.opts.Home, storeFile)
	n, err := Open(ctx, m.opts)
	if err != nil {
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
	m.node = n
	m.heard = keepDiary(m.w.t, n)
	go func() { m.done <- n.Run(ctx) }()
}

// stop ends the process in good order.
func (m *computer) stop() {
	m.w.t.Helper()
	if m.end == nil {
		return
	}
	m.end()
	m.end = nil
	if err := <-m.done; err != nil {
		m.w.t.Errorf("%s stops: %v", m.name, err)
	}
}

// kill ends the process as kill -9 does. What it would have done to its
// files after that instant is undone: the machine's home is a copy made then.
func (m *computer) kill() {
	m.w.t.Helper()
	synctest.Wait() // nobody is writing
	home := m.opts.Home + "'"
	m.copyHome(home)
	m.host.Kill()
	m.end()
	m.end = nil
	<-m.done // it complains of its sockets
	m.host.Boot()
	m.opts.Home = home
}

func (m *computer) copyHome(to string) {
	m.w.t.Helper()
	err := filepath.WalkDir(m.opts.Home, func(path string, d fs.DirEntry, err error) error {
		if err != nil || strings.HasSuffix(path, "-shm") { // shared memory: SQLite makes it again from the log
			return err
		}
		rel, err := filepath.Rel(m.opts.Home, path)
		if err != nil {
			return err
		}
		if d.IsDir() {
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), b, 0o600)
	})
	if err != nil {
		m.w.t.Fatal(err)
	}
}

// patience is how long, in the world's time, anything may take that has no
// figure of its own.
const patience = time.Minute

// eventually waits until ok.
func (m *computer) eventually(what string, ok func() bool) {
	m.w.t.Helper()
	for begin := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > patience {
			m.w.t.Fatalf("%s: waited %v in vain for: %s", m.name, patience, what)
		}
	}
}

// online waits until the user can be found.
func (m *computer) online() {
	m.w.t.Helper()
	m.eventually("is attached as it should be", func() bool {
		return len(m.status().Supernodes) == min(2, len(m.w.supernodes))
	})
	m.eventually("is in the directory", func() bool {
		l, err := m.node.Lookup(m.w.t.Context(), m.user())
		return err == nil && l.Online
	})
}

func (m *computer) status() linnet.Status {
	m.w.t.Helper()
	s, err := m.node.Status(m.w.t.Context())
	if err != nil {
		m.w.t.Fatalf("%s: %v", m.name, err)
	}
	return s
}

// calls is the computer's own history.
func (m *computer) calls() []linnet.CallRecord {
	m.w.t.Helper()
	calls, err := m.node.History(m.w.t.Context(), 100)
	if err != nil {
		m.w.t.Fatal(err)
	}
	return calls
}

// history is a call's line in it: there has to be exactly one, and it has to be final.
func (m *computer) history(id linnet.CallID) linnet.CallRecord {
	m.w.t.Helper()
	calls := slices.DeleteFunc(m.calls(), func(r linnet.CallRecord) bool { return r.ID != id })
	if len(calls) != 1 || calls[0].Outcome == linnet.OutcomeNone {
		m.w.t.Fatalf("%s: history %+v, want one final outcome", m.name, calls)
	}
	return calls[0]
}

// call has m call somebody.
func (m *computer) call(user linnet.UserName, media linnet.CallMedia) linnet.CallID {
	m.w.t.Helper()
	id, err := m.node.Call(m.w.t.Context(), user, media)
	if err != nil {
		m.w.t.Fatalf("%s calls %s: %v", m.name, user, err)
	}
	return id
}

// rings waits until somebody's call rings here.
func (m *computer) rings() linnet.CallID {
	m.w.t.Helper()
	return m.heard.await("a call rings", isRinging).Call.ID
}

func isRinging(e linnet.Event) bool { return e.Kind == linnet.EventCallRings }

func (m *computer) answer(id linnet.CallID, media linnet.CallMedia) {
	m.w.t.Helper()
	if err := m.node.Answer(m.w.t.Context(), id, media); err != nil {
		m.w.t.Fatalf("%s answers: %v", m.name, err)
	}
}

// ended waits until a call is over here.
func (m *computer) ended(id linnet.CallID) linnet.CallRecord {
	m.w.t.Helper()
	return *m.heard.await("the call ends", func(e linnet.Event) bool { return e.Record != nil && e.Record.ID == id }).Record
}

// reaches waits until a call is in a state here.
func (m *computer) reaches(id linnet.CallID, state linnet.CallState) linnet.Event {
	m.w.t.Helper()
	return m.heard.await("the call is "+state.String(), func(e linnet.Event) bool {
		return e.Kind == linnet.EventCallChanged && e.Call.ID == id && e.Call.State == state
	})
}

// A diary is all that a node has told.
type diary struct {
	t      testing.TB
	mu     sync.Mutex
	events []linnet.Event
}

func keepDiary(t testing.TB, n *Node) *diary {
	events, err := n.Events(context.WithoutCancel(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	d := &diary{t: t}
	go func() { // until the node stops
		for e := range events {
			d.mu.Lock()
			d.events = append(d.events, e)
			d.mu.Unlock()
		}
	}()
	return d
}

func (d *diary) find(ok func(linnet.Event) bool) (linnet.Event, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := slices.IndexFunc(d.events, ok)
	if i < 0 {
		return linnet.Event{}, false
	}
	return d.events[i], true
}

// await gives the first event that is ok, and waits for it if it has to come yet.
func (d *diary) await(what string, ok func(linnet.Event) bool) linnet.Event {
	d.t.Helper()
	for begin := time.Now(); ; time.Sleep(time.Millisecond) {
		if e, found := d.find(ok); found {
			return e
		}
		if time.Since(begin) > 3*patience { // a call rings for two minutes
			d.t.Fatalf("waited in vain: %s", what)
		}
	}
}

// speech is a file to play: the sample that the program carries.
func (w *world) speech() string {
	w.t.Helper()
	path := filepath.Join(w.dir, "speech.ogg")
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		if err := os.WriteFile(path, sample.Speech(), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
	return path
}

// frames are the packets of an Ogg/Opus file, and how long it lasts.
func (w *world) frames(path string) ([]media.Frame, time.Duration) {
	w.t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		w.t.Fatal(err)
	}
	header, frames, err := ogg.ReadAll(bytes.NewReader(b))
	if err != nil {
		w.t.Fatalf("%s: %v", path, err)
	}
	return frames, header.Duration(frames)
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func sameJSON(a, b any) bool { return bytes.Equal(must(json.Marshal(a)), must(json.Marshal(b))) }

// inBothSuites runs a test on networks of either kind, in virtual time.
func inBothSuites(t *testing.T, test func(t *testing.T, suiteName string)) {
	for _, name := range []string{suite.ModernName, suite.ClassicName} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, name) })
		})
	}
}
