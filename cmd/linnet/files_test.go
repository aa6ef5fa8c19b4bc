package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// someBytes is a file of so many bytes without a pattern.
func someBytes(t testing.TB, name string, size int, seed byte) (path string, content []byte) {
	t.Helper()
	content = make([]byte, size)
	rand.NewChaCha8([32]byte{seed}).Read(content)
	path = filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path, content
}

// files are those of somebody; none while his node is dead.
func (p *person) files() (list []linnet.File) {
	p.t.Helper()
	if x := p.do("files", "--json"); x.code == 0 {
		unmarshal(p.t, x, &list)
	}
	return list
}

func (p *person) file(id linnet.FileID) linnet.File {
	p.t.Helper()
	for _, f := range p.files() {
		if f.ID == id {
			return f
		}
	}
	return linnet.File{}
}

// sends offers somebody a file.
func (p *person) sends(to *person, path string) (id linnet.FileID) {
	p.t.Helper()
	var f linnet.File
	unmarshal(p.t, p.do("send", to.name, path, "--json").succeeds(), &f)
	eventually(p.t, to.name+" is offered the file", func() bool { return to.file(f.ID).ID == f.ID })
	return f.ID
}

// got waits until a file is there, and compares it with what was sent.
func (p *person) got(id linnet.FileID, want []byte) {
	p.t.Helper()
	eventually(p.t, p.name+" has the file", func() bool { return p.file(id).State == linnet.FileDone })
	f := p.file(id)
	b, err := os.ReadFile(f.Place)
	if sum := sha256.Sum256(want); err != nil || !bytes.Equal(b, want) || f.SHA256 != hex.EncodeToString(sum[:]) {
		p.t.Errorf("%s has %d bytes of other content than the %d that were sent: %+v, %v", p.name, len(b), len(want), f, err)
	}
}

func TestFiles(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 2, "open").run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	path, content := someBytes(t, "holiday.jpg", 3_000_000, 1)
	for list, says := range map[string]string{"files": "No files yet", "voicemail": "No voice mail"} {
		if said := alice.do(list).succeeds().stdout.String(); !strings.Contains(said, says) {
			t.Errorf("an empty %s: %q", list, said)
		}
		if said := alice.do(list, "--json").succeeds().stdout.String(); said != "[]\n" {
			t.Errorf("an empty %s, for programs: %q", list, said)
		}
	}
	if said := alice.do("netcheck").succeeds().stdout.String(); !strings.Contains(said, "all your supernodes are on this machine") || strings.Contains(said, "firewall") {
		t.Errorf("netcheck says:\n%s", said)
	}
	alice.do("send", "bob", path).fails(2, "files go to contacts only", "linnet contacts add")
	befriend(alice, bob)
	alice.do("send", "bob", path+"x").fails(16, "cannot be read")
	alice.do("send", "bob", filepath.Dir(path)).fails(16, "is not a file")

	id := alice.sends(bob, path)
	bob.do("files", "accept", "--wait").succeeds()
	bob.got(id, content)
	if x := bob.do("files", "accept"); x.code != 10 {
		t.Errorf("accept what was accepted: exit code %d", x.code)
	}
	again := alice.begin("send", "bob", path, "--wait")
	eventually(t, "bob is offered the file again", func() bool { return len(bob.files()) == 2 })
	bob.do("files", "accept").succeeds()
	again.succeeds()
	second := bob.files()[0]
	bob.got(second.ID, content)
	if want := filepath.Join(bob.home, "downloads", "holiday (2).jpg"); second.Place != want {
		t.Errorf("the second file of the name is at %s, want %s", second.Place, want)
	}

	declined := alice.begin("send", "bob", path, "--wait")
	eventually(t, "bob is offered a third one", func() bool { return len(bob.files()) == 3 })
	bob.do("files", "decline").succeeds()
	declined.fails(13, "bob does not want it")
	cancelled := alice.sends(bob, path)
	alice.do("files", "cancel", cancelled.String()).succeeds()
	eventually(t, "bob hears that", func() bool { return bob.file(cancelled).State == linnet.FileCancelled })
}

// Either side is killed at any moment, again and again: the file arrives as it is, once.
func TestKillWhileFilesFlow(t *testing.T) {
	t.Parallel()
	kills := 4
	if os.Getenv("LINNET_LONG") != "" {
		kills = 200
	}
	n := newNetwork(t, 2, "open").run()
	const rate = 4 << 20
	alice, bob := n.person(t, "alice", inOwnProcess, "--file-rate", strconv.Itoa(rate)), n.person(t, "bob", inOwnProcess)
	befriend(alice, bob)
	resumed := 0
	for round := 0; kills > 0; round++ {
		path, content := someBytes(t, fmt.Sprintf("file-%d", round), 4*rate+rand.IntN(rate), byte(round))
		id := alice.sends(bob, path)
		bob.do("files", "accept").succeeds()
		for ; kills > 0; kills-- {
			before := bob.file(id)
			if before.State == linnet.FileDone {
				break
			}
			time.Sleep(time.Duration(rand.IntN(1500)) * time.Millisecond)
			victim := []*person{alice, bob}[rand.IntN(2)]
			victim.up.kill()
			victim.start()
			least := before.Done
			eventually(t, "the file goes on", func() bool {
				f := bob.file(id)
				if f.State == linnet.FileActive {
					least = min(least, f.Done)
				}
				return f.State == linnet.FileDone || f.Flows && f.Done > before.Done
			})
			if least < before.Done {
				t.Errorf("bob had %d verified bytes, and had %d after a kill", before.Done, least)
			}
			resumed++
		}
		bob.got(id, content)
		eventually(t, "alice knows", func() bool { return alice.file(id).State == linnet.FileDone })
		if files, _ := filepath.Glob(filepath.Join(bob.home, "downloads", "*")); len(files) != round+1 {
			t.Errorf("after %d files there are %q", round+1, files)
		}
	}
	t.Logf("went on after %d kills", resumed)
}
