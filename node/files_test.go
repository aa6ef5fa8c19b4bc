package node

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/netsim"
)

// content is a file of so many bytes, of no pattern.
func (w *world) content(name string, size int) (path string, content []byte) {
	w.t.Helper()
	random := rand.NewChaCha8([32]byte{byte(size)})
	content = make([]byte, size)
	random.Read(content)
	path = filepath.Join(w.dir, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path, content
}

func (m *computer) sendFile(user linnet.UserName, path string) linnet.FileID {
	m.w.t.Helper()
	id, err := m.node.SendFile(m.w.t.Context(), user, path)
	if err != nil {
		m.w.t.Fatalf("%s sends %s a file: %v", m.name, user, err)
	}
	return id
}

// file is how a file stands here; zero if there is none, or a node that starts does not know yet.
func (m *computer) file(id linnet.FileID) linnet.File {
	m.w.t.Helper()
	list, err := m.node.Files(m.w.t.Context())
	if err != nil && linnet.CodeOf(err) != linnet.CodeNotSignedIn {
		m.w.t.Fatal(err)
	}
	for _, f := range list {
		if f.ID == id {
			return f
		}
	}
	return linnet.File{}
}

func (m *computer) accepts(id linnet.FileID) {
	m.w.t.Helper()
	m.eventually("is offered the file", func() bool { return !m.file(id).Offered.IsZero() })
	if err := m.node.AnswerFile(m.w.t.Context(), id, true); err != nil {
		m.w.t.Fatalf("%s accepts: %v", m.name, err)
	}
}

func (m *computer) fileIs(id linnet.FileID, state linnet.FileState) linnet.File {
	m.w.t.Helper()
	m.eventually("the file is "+state.String(), func() bool { return m.file(id).State == state })
	return m.file(id)
}

// got compares what came with what was sent.
func (m *computer) got(id linnet.FileID, want []byte) {
	m.w.t.Helper()
	f := m.fileIs(id, linnet.FileDone)
	if b, err := os.ReadFile(f.Place); err != nil || !bytes.Equal(b, want) {
		m.w.t.Errorf("%s has %d bytes at %s, which are not the %d that were sent (%v)", m.name, len(b), f.Place, len(want), err)
	}
	left, _ := filepath.Glob(filepath.Join(filepath.Dir(f.Place), "*.part"))
	if len(left) > 0 {
		m.w.t.Errorf("%s: left over: %v", m.name, left)
	}
}

func TestFile(t *testing.T) {
	t.Parallel()
	inBothSuites(t, func(t *testing.T, suiteName string) {
		w := newWorld(t, worldOptions{suite: suiteName})
		alice, bob := w.friends()
		path, content := w.content("holiday.jpg", 3_000_000)
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		bob.got(id, content)
		if f := alice.fileIs(id, linnet.FileDone); f.Done != int64(len(content)) || f.Path != linnet.NoPath {
			t.Errorf("alice: %+v", f)
		}
		for _, x := range [][2]*computer{{alice, bob}, {bob, alice}} {
			x[0].eventually("the file has a line in the conversation", func() bool {
				lines := must(x[0].node.Messages(t.Context(), x[1].user(), linnet.MessageID{}, 10))
				return len(lines) == 1 && lines[0].ID == linnet.MessageID(id) && lines[0].Kind == linnet.FileMessage && lines[0].Text == "holiday.jpg"
			})
		}
	})
}

// A file that is accepted by a node without a supernode waits for one; nobody has to
// let it go on.
func TestFileWaitsForTheNetwork(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		path, content := w.content("holiday.jpg", 300_000)
		id := alice.sendFile("bob", path)
		bob.eventually("is offered the file", func() bool { return !bob.file(id).Offered.IsZero() })
		bob.kill()
		for _, s := range w.supernodes {
			s.kill()
		}
		bob.start()
		bob.accepts(id)
		time.Sleep(10 * time.Second)
		if f := bob.file(id); f.State != linnet.FileActive || f.PausedHere {
			t.Errorf("without a supernode: %+v", f)
		}
		for _, s := range w.supernodes {
			s.start()
		}
		bob.got(id, content)
	})
}

// Both are killed in the middle, one after the other, and it goes on where it was.
func TestFileGoesOnAfterKills(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		alice.restartWith(func(o *Options) { o.FileRate = 1 << 20 })
		path, content := w.content("film.mkv", 12<<20)
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		done := int64(0)
		for _, victim := range []*computer{bob, alice, bob} {
			done += 2 << 20
			bob.eventually("the file flows", func() bool { return bob.file(id).Done >= done })
			before := bob.file(id).Done
			victim.kill()
			victim.start()
			victim.eventually("is signed in", func() bool { return victim.status().User != "" })
			if is := bob.file(id).Done; is < before {
				t.Errorf("%s was killed: %d bytes are verified, %d were", victim.name, is, before)
			}
			bob.eventually("it goes on", func() bool { return bob.file(id).Flows })
		}
		// Bytes that rot while nobody looks are fetched again.
		bob.kill()
		part := must(filepath.Glob(filepath.Join(bob.opts.Home, "downloads", "*.part")))
		if len(part) != 1 {
			t.Fatalf("parts: %v", part)
		}
		b := must(os.ReadFile(part[0]))
		b[300_000] ^= 1
		if err := os.WriteFile(part[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		bob.start()
		bob.got(id, content)
		alice.fileIs(id, linnet.FileDone)
	})
}

// A lossy line, and another network in the middle of it.
func TestFileOnABadLine(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		bob.host.SetLink(netsim.Link{Delay: w.cable, Loss: .02, Jitter: 5 * time.Millisecond, Rate: 1 << 20})
		path, content := w.content("film.mkv", 3<<20)
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		bob.eventually("the file flows", func() bool { return bob.file(id).Done > 0 })
		alice.host.Move(w.in.NAT(netsim.PortRestrictedCone()))
		bob.got(id, content)
		alice.fileIs(id, linnet.FileDone)
	})
}

// Where there is no direct path a relay carries it, within what a relay carries.
func TestFileOverARelay(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		symmetric := func() netsim.HostOptions { return netsim.HostOptions{Behind: w.in.NAT(netsim.Symmetric())} }
		alice, bob := w.user("alice", symmetric()), w.user("bob", symmetric())
		befriend(alice, bob)
		path, content := w.content("a.pdf", 2<<20)
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		var f linnet.File
		begin := time.Now()
		bob.eventually("the file flows", func() bool { f = bob.file(id); return f.Flows && f.BPS > 0 })
		if !f.Path.Relayed() {
			t.Errorf("by %v", f.Path)
		}
		bob.got(id, content)
		took := time.Since(begin)
		t.Logf("%.0f KiB/s", float64(len(content))/1024/took.Seconds())
		if took < 6*time.Second || took > 30*time.Second {
			t.Errorf("it took %v", took)
		}
	})
}

// A transfer beside a call on a narrow line leaves the call as it was.
func TestFileGivesWayToACall(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		alice.host.SetLink(netsim.Link{Delay: w.cable, Rate: 60_000}) // 480 kbit/s up
		path, content := w.content("film.mkv", 1<<20)
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		bob.eventually("the file flows", func() bool { return bob.file(id).Done > 0 })
		heard := filepath.Join(w.dir, "heard.ogg")
		call := alice.call("bob", linnet.CallMedia{Play: w.speech()})
		bob.rings()
		bob.answer(call, linnet.CallMedia{Record: heard})
		before := bob.file(id).Done
		r := bob.ended(call)
		same := w.compare(heard)
		t.Logf("loss %.4f, jitter %.1f ms, concealed %d ms, MOS %.2f, %.1f %% of the packets; %d bytes of the file meanwhile",
			r.Loss, r.JitterMS, r.ConcealedMS, r.MOS, 100*same, bob.file(id).Done-before)
		if same < .97 || r.MOS < 4 {
			t.Errorf("the call suffers: %+v", r)
		}
		bob.got(id, content)
	})
}

// Nobody who is no contact is offered a file, or fetches one.
func TestFilesAreForContacts(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.user("alice", w.atHome()), w.user("bob", w.atHome())
		path, _ := w.content("a.txt", 1000)
		if _, err := alice.node.SendFile(t.Context(), "bob", path); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("a file for a stranger: %v", err)
		}
		if err := alice.node.AddContact(t.Context(), linnet.Contact{User: "bob"}); err != nil {
			t.Fatal(err)
		}
		id := alice.sendFile("bob", path) // bob has not answered yet
		alice.eventually("it waits for bob's yes", func() bool { return alice.file(id).Code == linnet.CodeRejected })
		if f := alice.file(id); f.State != linnet.FileOffered {
			t.Errorf("alice: %+v", f)
		}
		if list := must(bob.node.Files(t.Context())); len(list) > 0 {
			t.Errorf("bob is shown %+v", list)
		}
		approved(alice, bob)
		bob.fileIs(id, linnet.FileOffered)
		if err := bob.node.RemoveContact(t.Context(), "alice"); err != nil {
			t.Fatal(err)
		}
		id = alice.sendFile("bob", path) // who does not know of that
		if f := alice.fileIs(id, linnet.FileFailed); f.Code != linnet.CodeRejected {
			t.Errorf("alice: %+v", f)
		}
	})
}

// restartWith stops a computer in good order and starts it with other options.
func (m *computer) restartWith(change func(*Options)) {
	m.w.t.Helper()
	m.stop()
	change(&m.opts)
	m.start()
	m.online()
}
