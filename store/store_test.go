package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

func openTest(t *testing.T, home string) *Store {
	t.Helper()
	s, err := Open(t.Context(), home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// reopen proves that something is on disk, and not in memory only.
func reopen(t *testing.T, s *Store, home string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openTest(t, home)
	if err := s.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	return s
}

// must ends the test on an error of a call with a result.
func must[T any](v T, err error) func(t *testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func node(b byte) linnet.NodeID { return linnet.NodeID{0: b, 15: 1} }

// at is a time as precise as the database keeps it.
func at(seconds int) time.Time { return time.UnixMilli(1_800_000_000_000 + int64(seconds)*1000) }

func TestIdentity(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	if id := must(s.Identity(t.Context()))(t); id != nil {
		t.Errorf("a new store has the identity %+v", id)
	}
	want := Identity{User: "alice", Device: "laptop", Keys: []byte("keys")}
	ok(t, s.SetIdentity(t.Context(), want))
	s = reopen(t, s, home)
	if got := must(s.Identity(t.Context()))(t); !reflect.DeepEqual(*got, want) {
		t.Errorf("without a certificate: %+v", got)
	}
	want.Certificate = []byte("certificate")
	ok(t, s.SetIdentity(t.Context(), want))
	s = reopen(t, s, home)
	if got := must(s.Identity(t.Context()))(t); !reflect.DeepEqual(*got, want) {
		t.Errorf("with a certificate: %+v", got)
	}
	ok(t, s.ForgetIdentity(t.Context()))
	s = reopen(t, s, home)
	if id := must(s.Identity(t.Context()))(t); id != nil {
		t.Errorf("forgotten, and still %+v", id)
	}
	s.Close()
	b, err := os.ReadFile(filepath.Join(home, "linnet.db"))
	ok(t, err)
	if strings.Contains(string(b), "laptop") {
		t.Error("forgotten keys are still in the file")
	}
}

func TestNetworkNeverGoesBack(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	if n := must(s.Network(t.Context()))(t); n != nil {
		t.Errorf("a new store has the network %+v", n)
	}
	n := Network{ID: linnet.NetworkID{1}, Fingerprint: [32]byte{2}, Serial: 7, Descriptor: []byte("seven")}
	ok(t, s.SetNetwork(t.Context(), n))
	older := n
	older.Serial, older.Descriptor = 6, []byte("six")
	ok(t, s.SetNetwork(t.Context(), older))
	s = reopen(t, s, home)
	if got := must(s.Network(t.Context()))(t); !reflect.DeepEqual(*got, n) {
		t.Errorf("after an older one: %+v", got)
	}
	n.Serial, n.Descriptor = 1<<63-1, []byte("new")
	ok(t, s.SetNetwork(t.Context(), n))
	if got := must(s.Network(t.Context()))(t); !reflect.DeepEqual(*got, n) {
		t.Errorf("after a newer one: %+v", got)
	}
	other := n
	other.ID[0]++
	if err := s.SetNetwork(t.Context(), other); linnet.CodeOf(err) != linnet.CodeInUse {
		t.Errorf("another network: %v", err)
	}
	other = n
	other.Fingerprint[0]++
	if err := s.SetNetwork(t.Context(), other); linnet.CodeOf(err) != linnet.CodeInUse {
		t.Errorf("another root key: %v", err)
	}
}

func TestSettings(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	ok(t, s.SetSetting(t.Context(), "relay", "on"))
	ok(t, s.SetSetting(t.Context(), "relay", "off"))
	s = reopen(t, s, home)
	if v := must(s.Setting(t.Context(), "relay", "ask"))(t); v != "off" {
		t.Errorf("relay = %q", v)
	}
	if v := must(s.Setting(t.Context(), "supernode", "ask"))(t); v != "ask" {
		t.Errorf("supernode = %q", v)
	}
}

func TestPresence(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	if k := must(s.Presence(t.Context(), "alice"))(t); !reflect.DeepEqual(k, presence.Kept{}) {
		t.Errorf("a new store has %+v", k)
	}
	bob := presence.KeptPerson{User: "bob", Name: "Bob", Added: at(2), State: linnet.Asked, Relation: []byte("relation")}
	carol := presence.KeptPerson{User: "carol", Added: at(1), State: linnet.Blocked, Relation: []byte("blocked")}
	old, young := presence.Prekey{Public: []byte("old"), Private: []byte("secret of the old"), Made: at(1)}, presence.Prekey{Public: []byte("young"), Private: []byte("secret"), Made: at(2)}
	for _, save := range []presence.Save{
		{Self: []byte("first")},
		{Self: []byte("self"), People: []presence.KeptPerson{carol, bob, {User: "dave", Added: at(4)}}},
		{Prekey: &old}, {Prekey: &young},
	} {
		ok(t, s.SavePresence(t.Context(), "alice", save))
	}
	bob.State, bob.Name, young.Published = linnet.Approved, "Bobby", at(3)
	ok(t, s.SavePresence(t.Context(), "alice", presence.Save{People: []presence.KeptPerson{bob}, Forget: []linnet.UserName{"dave"}, Prekey: &young, Erase: [][]byte{old.Public}}))
	ok(t, s.SavePresence(t.Context(), "eve", presence.Save{Self: []byte("hers"), People: []presence.KeptPerson{{User: "bob", State: linnet.Blocked}}}))
	s = reopen(t, s, home)
	want := presence.Kept{Self: []byte("self"), People: []presence.KeptPerson{bob, carol}, Prekeys: []presence.Prekey{young}}
	if got := must(s.Presence(t.Context(), "alice"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	ok(t, s.SetIdentity(t.Context(), Identity{User: "alice", Device: "laptop", Keys: []byte("keys")}))
	ok(t, s.ForgetIdentity(t.Context()))
	want.Self, want.Prekeys = nil, nil
	if got := must(s.Presence(t.Context(), "alice"))(t); !reflect.DeepEqual(got, want) {
		t.Errorf("signed out, and there is %+v", got)
	}
	s.Close()
	b, err := os.ReadFile(filepath.Join(home, "linnet.db"))
	ok(t, err)
	if strings.Contains(string(b), "secret of the old") {
		t.Error("an erased prekey is still in the file")
	}
}

func TestHostCache(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	if got := must(s.HostCache(t.Context()))(t); got != nil {
		t.Errorf("a new store has the host cache %q", got)
	}
	ok(t, s.SetHostCache(t.Context(), []byte("old")))
	ok(t, s.SetHostCache(t.Context(), []byte("new")))
	s = reopen(t, s, home)
	if got := must(s.HostCache(t.Context()))(t); string(got) != "new" {
		t.Errorf("host cache %q", got)
	}
}

func TestRecords(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	ok(t, s.PutRecords(t.Context(), Record{node(1), at(1), []byte("old")}, Record{node(2), at(2), []byte("two")}, Record{node(3), at(3), []byte("three")}))
	ok(t, s.PutRecords(t.Context(), Record{node(1), at(4), []byte("new")}))
	ok(t, s.ForgetRecords(t.Context(), node(3), node(9)))
	s = reopen(t, s, home)
	got := make(map[linnet.NodeID]Record)
	for _, r := range must(s.Records(t.Context()))(t) {
		got[r.Node] = r
	}
	want := map[linnet.NodeID]Record{node(1): {node(1), at(4), []byte("new")}, node(2): {node(2), at(2), []byte("two")}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("records: %v, want %v", got, want)
	}
	some := must(s.RecordsOf(t.Context(), node(2), node(3), node(1)))(t)
	if !reflect.DeepEqual(some, [][]byte{[]byte("two"), []byte("new")}) {
		t.Errorf("records of three devices: %q", some)
	}
	ok(t, s.ForgetRecordsBefore(t.Context(), at(4)))
	if left := must(s.Records(t.Context()))(t); len(left) != 1 || left[0].Node != node(1) {
		t.Errorf("left: %v", left)
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	home := t.TempDir()
	s := openTest(t, home)
	_, err := Open(t.Context(), home)
	if linnet.CodeOf(err) != linnet.CodeInUse || !errors.Is(err, sqlite.ErrInUse) || !strings.Contains(err.Error(), "another linnet is using this directory") {
		t.Errorf("second Open: %v", err)
	}
	s.Close()
	openTest(t, home)
}

func TestHomeIsTheOwners(t *testing.T) {
	home := filepath.Join(t.TempDir(), "a", "b")
	openTest(t, home)
	for name, want := range map[string]os.FileMode{"": 0o700, "linnet.db": 0o600, "linnet.db-wal": 0o600, "linnet.db.lock": 0o600} {
		info, err := os.Stat(filepath.Join(home, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v %v, want %v", name, info.Mode(), err, want)
		}
	}
}

func TestHomeThatCannotBe(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	ok(t, os.WriteFile(file, nil, 0o600))
	if _, err := Open(t.Context(), filepath.Join(file, "home")); err == nil {
		t.Error("opened below a file")
	}
}

// Readers see all of a write or nothing, and never wait for the writer.
func TestReadersBesideTheWriter(t *testing.T) {
	s := openTest(t, t.TempDir())
	const size = 10
	generation := func(g int) (records []Record) {
		for i := range size {
			records = append(records, Record{node(byte(i)), at(g), fmt.Append(nil, g)})
		}
		return records
	}
	ok(t, s.PutRecords(t.Context(), generation(0)...))
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			last := time.Time{}
			for {
				select {
				case <-done:
					return
				default:
				}
				records, err := s.Records(t.Context())
				if err != nil || len(records) != size {
					t.Errorf("%d records, %v", len(records), err)
					return
				}
				for _, r := range records {
					if !r.Time.Equal(records[0].Time) || r.Time.Before(last) {
						t.Errorf("half of a write: %v beside %v after %v", r.Time, records[0].Time, last)
						return
					}
				}
				last = records[0].Time
			}
		})
	}
	for g := 1; g <= 100; g++ {
		if err := s.PutRecords(t.Context(), generation(g)...); err != nil {
			t.Error(err)
			break
		}
	}
	close(done)
	wg.Wait()
}
