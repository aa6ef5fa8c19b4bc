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

// file is how a file stands here; zero if there is none.
func (m *computer) file(id linnet.FileID) linnet.File {
	m.w.t.Helper()
	list, err := m.node.Files(m.w.t.Context())
	if err != nil {
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

// friends are two users at home who are contacts.
func (w *world) friends() (alice, bob *computer) {
	w.t.Helper()
	alice, bob = w.user("alice", w.atHome()), w.user("bob", w.atHome())
	befriend(alice, bob)
	return alice, bob
}

func TestFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		path, content := w.content("holiday.jpg", 3_000_000)
		begin := time.Now()
		id := alice.sendFile("bob", path)
		bob.accepts(id)
		bob.got(id, content)
		f := alice.fileIs(id, linnet.FileDone)
		t.Logf("%v: %+v", time.Since(begin), f)
		if f.Done != int64(len(content)) {
			t.Errorf("alice: %+v", f)
		}
	})
}

var _ = netsim.HostOptions{}
