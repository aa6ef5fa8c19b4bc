package node

import (
	"bytes"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/suite"
)

// TestClassicCall is TestCall on a classic network: accounts, look-ups, a direct
// call between friends and a relayed one between strangers.
func TestClassicCall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{suite: suite.ClassicName})
		logins := new(logins)
		w.login.host.Tap(logins.packet)
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		befriend(alice, bob)
		if same := w.compare(talk(alice, bob)); same < 1 {
			t.Errorf("%.2f %% of the packets are those that were played", 100*same)
		}
		if r := alice.calls()[0]; r.Path != linnet.DirectUDP {
			t.Errorf("friends talked by %v", r.Path)
		}
		carol, dave := w.user("carol", w.atHome()), w.user("dave", w.atHome())
		if same := w.compare(talk(carol, dave)); same < 1 {
			t.Errorf("%.2f %% of a stranger's packets are those that were played", 100*same)
		}
		if r := carol.calls()[0]; r.Path != linnet.RelayUDP {
			t.Errorf("strangers talked by %v", r.Path)
		}
		alice.within(func(_ time.Time, s *station) {
			if slot := s.node.slotOf()("alice"); slot != 1942 { // W8
				t.Errorf("alice's slot is %d", slot)
			}
		})
		if n := logins.count(); n < 3 {
			t.Errorf("%d connections began as a login of the old network", n)
		}
	})
}

// logins are connections to the login server that begin with 16 03 01 00 00.
type logins struct {
	mu sync.Mutex
	n  int
}

func (l *logins) packet(p netsim.Packet) {
	if p.TCP && !p.Sent && bytes.Equal(p.Payload, []byte{0x16, 3, 1, 0, 0}) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.n++
	}
}

func (l *logins) count() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.n
}

// A node that knew nothing of the network gets along with the invite alone, signs
// in a second time, and is told of wrong passwords.
func TestClassicAccount(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{suite: suite.ClassicName})
		alice := w.user("alice", w.atHome())
		before := alice.id()
		if err := alice.node.Logout(t.Context()); err != nil {
			t.Fatal(err)
		}
		err := alice.node.Login(t.Context(), linnet.Credentials{User: "alice", Password: "guess", Device: "other"})
		if linnet.CodeOf(err) != linnet.CodePassword {
			t.Errorf("wrong password: %v", err)
		}
		if err := alice.node.Login(t.Context(), linnet.Credentials{User: "alice", Password: password, Device: "other"}); err != nil {
			t.Fatal(err)
		}
		if alice.id() == before {
			t.Error("another device is the same node")
		}
		status, err := alice.node.Status(t.Context())
		if err != nil || status.Suite != suite.ClassicName || !strings.EqualFold(string(status.User), "alice") {
			t.Errorf("status: %+v, %v", status, err)
		}
	})
}
