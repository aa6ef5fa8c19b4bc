package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/api/http"
	"github.com/linnet-p2p/linnet/suite"
)

// TestKillWhileAllFlows kills the nodes of two people, again and again, at any moment while
// both write, edit and send files: nothing that was acknowledged is lost, nothing is there
// twice, and both hold the same in the end. LINNET_LONG=1 kills 200 times.
func TestKillWhileAllFlows(t *testing.T) {
	t.Parallel()
	rounds := 3
	if os.Getenv("LINNET_LONG") != "" {
		rounds = 200
	}
	n := newNetwork(t, 2, suite.RegistrationOpen).run()
	rate := strconv.Itoa(fileRate)
	people := []*person{n.person(t, "alice", inOwnProcess, "--file-rate", rate), n.person(t, "bob", inOwnProcess, "--file-rate", rate)}
	people[0].finds("bob")
	becomeContacts(people[0], people[1])

	writers, senders := make([]*writer, len(people)), make([]*sender, len(people))
	ctx, stop := context.WithCancel(t.Context())
	var busy sync.WaitGroup
	for i, p := range people {
		w := &writer{client: p.client(), name: p.name, to: linnet.UserName(people[1-i].name), said: make(map[linnet.MessageID][]string)}
		writers[i] = w
		busy.Go(func() { w.run(ctx) })
		s := &sender{client: p.client(), name: p.name, to: w.to, dir: t.TempDir(), sent: make(map[linnet.FileID]string)}
		senders[i] = s
		busy.Go(func() { s.run(ctx) })
	}
	flowed := 0
	for range rounds {
		// A node that starts fetches nothing for two seconds: some live longer than that.
		time.Sleep(time.Duration(rand.Int64N(int64([]time.Duration{time.Second, 5 * time.Second}[rand.IntN(2)]))))
		i := rand.IntN(len(people))
		p := people[i]
		if list, err := senders[i].client.Files(t.Context()); err == nil && slices.ContainsFunc(list, func(f linnet.File) bool { return f.Flows }) {
			flowed++
		}
		p.up.kill()
		p.start()
	}
	stop()
	busy.Wait()
	for _, p := range people {
		p.online()
	}

	said := make(map[linnet.MessageID][]string)
	for _, w := range writers {
		for id, texts := range w.said {
			said[id] = texts
		}
	}
	// What lies in the mailbox of somebody who came a moment ago is found after 20 s, or 3 min.
	var lists [2][]linnet.Message
	same := func() bool {
		for i, w := range writers {
			lists[i] = w.all(t)
		}
		return slices.EqualFunc(lists[0], lists[1], func(a, b linnet.Message) bool { return a.ID == b.ID && a.Text == b.Text }) &&
			!slices.ContainsFunc(slices.Concat(lists[0], lists[1]), func(m linnet.Message) bool { return m.Own() && m.State < linnet.MessageDelivered })
	}
	var files [2][]linnet.File
	arrived := func() bool {
		over := true
		for i, s := range senders {
			var err error
			files[i], err = s.accept(t.Context())
			over = over && err == nil && !slices.ContainsFunc(files[i], func(f linnet.File) bool { return !f.State.Final() })
		}
		return over
	}
	for begin := time.Now(); !arrived() || !same(); time.Sleep(time.Second) {
		if time.Since(begin) > 6*time.Minute {
			t.Fatalf("alice has %d messages and bob %d, which are not the same, or files are not there:\n%+v\n%+v", len(lists[0]), len(lists[1]), files[0], files[1])
		}
	}
	sent := 0
	for i, s := range senders {
		s.arrived(t, files[i], files[1-i], filepath.Join(people[1-i].home, "downloads"))
		sent += len(s.sent)
	}
	texts := make(map[string]bool)
	for _, m := range lists[0] {
		first, _, _ := strings.Cut(m.Text, ",")
		if texts[first] {
			t.Errorf("%q is there twice", first)
		}
		texts[first] = true
		if of := said[m.ID]; of != nil && !slices.Contains(of, m.Text) {
			t.Errorf("%q was acknowledged as %q", m.Text, of)
		}
		delete(said, m.ID)
	}
	for id, texts := range said {
		t.Errorf("%v %q was acknowledged, and is lost", id, texts)
	}
	t.Logf("%d kills, %d of them while a file flowed; %d messages, %d of them acknowledged; %d files, %d of them acknowledged",
		rounds, flowed, len(lists[0]), len(writers[0].said)+len(writers[1].said), len(files[0]), sent)
	if len(lists[0]) < rounds {
		t.Errorf("only %d messages", len(lists[0]))
	}
}

// A writer says one thing after the other, and edits some of it.
type writer struct {
	client *http.Client
	name   string
	to     linnet.UserName
	said   map[linnet.MessageID][]string // acknowledged, by what it may be now
}

func (w *writer) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; n++ {
		text := fmt.Sprintf("%s %d", w.name, n)
		id, err := w.client.SendMessage(ctx, w.to, text, linnet.MessageID{})
		if err != nil { // it is being killed
			time.Sleep(20 * time.Millisecond)
			continue
		}
		w.said[id] = []string{text}
		if n%5 == 0 {
			edited := text + ", edited"
			w.said[id] = append(w.said[id], edited)
			if w.client.EditMessage(ctx, id, edited) == nil {
				w.said[id] = w.said[id][1:]
			}
		}
		time.Sleep(time.Duration(rand.Int64N(int64(50 * time.Millisecond))))
	}
}

// all are the messages of a conversation, in their order.
func (w *writer) all(t *testing.T) (list []linnet.Message) {
	t.Helper()
	var before linnet.MessageID
	for {
		page, err := w.client.Messages(t.Context(), w.to, before, 1000)
		if err != nil {
			t.Fatalf("%s: %v", w.name, err)
		}
		if len(page) == 0 {
			return list
		}
		list = append(page, list...)
		before = page[0].ID
	}
}

// fileRate is how fast files flow here: the largest takes three seconds.
const fileRate = 512 << 10

// A sender has two files on their way all the time, and takes what he is offered.
type sender struct {
	client *http.Client
	name   string
	to     linnet.UserName
	dir    string                   // of what he sends
	sent   map[linnet.FileID]string // acknowledged, by name
}

func (s *sender) run(ctx context.Context) {
	for n := 0; ctx.Err() == nil; time.Sleep(50 * time.Millisecond) {
		list, err := s.accept(ctx)
		open := 0
		for _, f := range list {
			if !f.Incoming && !f.State.Final() {
				open++
			}
		}
		if err != nil || open == 2 {
			continue
		}
		n++
		name := fmt.Sprintf("%s's file %d", s.name, n)
		path := filepath.Join(s.dir, name)
		if err := os.WriteFile(path, contentOf(name), 0o600); err != nil {
			panic(err)
		}
		if id, err := s.client.SendFile(ctx, s.to, path); err == nil {
			s.sent[id] = name
		}
	}
}

// accept takes what is offered, and lists all.
func (s *sender) accept(ctx context.Context) ([]linnet.File, error) {
	list, err := s.client.Files(ctx)
	for _, f := range list {
		if f.Incoming && f.State == linnet.FileOffered {
			s.client.AnswerFile(ctx, f.ID, true) // again, if that is lost
		}
	}
	return list, err
}

// contentOf is what a file of that name holds.
func contentOf(name string) []byte {
	random := rand.NewChaCha8(sha256.Sum256([]byte(name)))
	b := make([]byte, random.Uint64()%(3*fileRate))
	random.Read(b)
	return b
}

// arrived wants what was sent to be at the other side, as it was, once, and nothing else.
func (s *sender) arrived(t *testing.T, own, theirs []linnet.File, downloads string) {
	t.Helper()
	got := make(map[linnet.FileID]string)
	names := make(map[string]bool)
	for _, f := range theirs {
		if !f.Incoming {
			continue
		}
		got[f.ID] = f.Name
		want := contentOf(f.Name)
		sum := sha256.Sum256(want)
		if b, err := os.ReadFile(f.Place); err != nil || f.State != linnet.FileDone || f.SHA256 != hex.EncodeToString(sum[:]) || sha256.Sum256(b) != sum {
			t.Errorf("%q came as %d bytes, want %d: %+v, %v", f.Name, len(b), len(want), f, err)
		}
		if names[f.Name] {
			t.Errorf("%q came twice", f.Name)
		}
		names[f.Name] = true
	}
	for id, name := range s.sent {
		if got[id] != name {
			t.Errorf("%q was acknowledged, and is lost", name)
		}
	}
	for _, f := range own {
		if !f.Incoming && (f.State != linnet.FileDone || got[f.ID] != f.Name) {
			t.Errorf("%s sent %+v, which is not there", s.name, f)
		}
	}
	if entries, err := os.ReadDir(downloads); err != nil || len(entries) != len(got) {
		t.Errorf("%d files came, and %s has %v, %v", len(got), downloads, entries, err)
	}
}
