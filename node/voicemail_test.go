package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/ogg"
)

// TestVoicemail leaves what takes several pieces. Its receiver is killed when some of
// them are on its disk, and has the whole when it comes again.
func TestVoicemail(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob, eve := w.user("alice", w.atHome()), w.user("bob", w.atHome()), w.user("eve", w.atHome())
		approved(alice, bob)
		file := w.longSpeech(40 * time.Second)
		if _, err := eve.node.LeaveVoicemail(t.Context(), "bob", linnet.CallID{}, file); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("of somebody who is no contact: %v", err)
		}
		bob.kill()
		left, err := alice.node.LeaveVoicemail(t.Context(), "bob", linnet.CallID{7}, file)
		if err != nil {
			t.Fatal(err)
		}
		bob.start()
		bob.online()
		bob.eventually("a piece is there", func() bool {
			return len(must(bob.node.store.VoicemailPieces(t.Context()))) > 0 || len(bob.voicemails()) > 0
		})
		bob.kill()
		bob.start()
		bob.online()
		bob.eventually("the voice mail comes", func() bool { return len(bob.voicemails()) > 0 })
		list := bob.voicemails()
		if len(list) != 1 || list[0].Call != (linnet.CallID{7}) || list[0].Peer != "alice" || list[0].Length != left.Length || !list[0].Heard.IsZero() {
			t.Fatalf("bob's voice mail: %+v", list)
		}
		_, want, _ := ogg.ReadAll(bytes.NewReader(must(os.ReadFile(file))))
		_, got, err := ogg.ReadAll(bytes.NewReader(must(bob.node.VoicemailSound(t.Context(), left.ID))))
		if err != nil || len(got) != len(want) || !bytes.Equal(got[len(got)-1].Data, want[len(want)-1].Data) {
			t.Errorf("%d packets of %d: %v", len(got), len(want), err)
		}
		bob.ok(bob.node.HeardVoicemail(t.Context(), left.ID))
		alice.heard.await("bob heard it", func(e linnet.Event) bool {
			return e.Kind == linnet.EventVoicemail && e.Voicemail.ID == left.ID && e.Voicemail.Own && !e.Voicemail.Heard.IsZero()
		})
		if list := alice.voicemails(); len(list) != 1 || list[0].Heard.IsZero() || !list[0].Own {
			t.Errorf("alice's: %+v", list)
		}
		bob.ok(bob.node.DeleteVoicemail(t.Context(), left.ID))
		time.Sleep(10 * time.Minute)
		if list := bob.voicemails(); len(list) != 0 {
			t.Errorf("deleted: %+v", list)
		}
		if list := must(bob.node.ListMail(t.Context())); len(list) != 0 {
			t.Errorf("left in the mailbox: %d", len(list))
		}

		// Somebody who is there gets it at once.
		second, err := alice.node.LeaveVoicemail(t.Context(), "bob", linnet.CallID{8}, w.longSpeech(time.Second))
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		bob.heard.await("it comes", func(e linnet.Event) bool { return e.Kind == linnet.EventVoicemail && e.Voicemail.ID == second.ID })
		if d := time.Since(begin); d > 10*time.Second {
			t.Errorf("it came after %v", d)
		}

		// What is cancelled while it is being left does not come.
		ctx, cancel := context.WithCancel(t.Context())
		cancelled := make(chan error, 1)
		go func() {
			_, err := alice.node.LeaveVoicemail(ctx, "bob", linnet.CallID{9}, file)
			cancelled <- err
		}()
		bob.eventually("a piece is there", func() bool { return len(must(bob.node.store.VoicemailPieces(t.Context()))) > 0 })
		cancel()
		if err := <-cancelled; !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
		time.Sleep(10 * time.Minute)
		if list := bob.voicemails(); len(list) != 1 || list[0].ID != second.ID {
			t.Errorf("bob's after that: %+v", list)
		}
		if list := alice.voicemails(); len(list) != 2 {
			t.Errorf("alice's after that: %+v", list)
		}
	})
}

func (m *computer) voicemails() []linnet.Voicemail {
	m.w.t.Helper()
	return must(m.node.Voicemails(m.w.t.Context(), 100))
}

// longSpeech is the sample over and over.
func (w *world) longSpeech(d time.Duration) string {
	w.t.Helper()
	path := filepath.Join(w.dir, d.String()+".ogg")
	frames, _ := w.frames(w.speech())
	tape := must(ogg.Create(path))
	var at uint32
	for n := 0; time.Duration(at)*time.Second/48000 < d; n++ {
		f := frames[n%len(frames)]
		f.Timestamp, f.Trim = at, 0
		at += f.Samples
		if err := tape.Write(f); err != nil {
			w.t.Fatal(err)
		}
	}
	if err := tape.Close(); err != nil {
		w.t.Fatal(err)
	}
	return path
}

// What anybody calls sound is read without harm, and comes out as sound or not at all.
func FuzzCleanSound(f *testing.F) {
	f.Add([]byte("OggS"))
	f.Fuzz(func(t *testing.T, b []byte) {
		sound, length, err := cleanSound(b)
		if err != nil {
			return
		}
		if again, l, err := cleanSound(sound); err != nil || l != length || len(again) != len(sound) {
			t.Errorf("what was cleaned is not clean: %v, %v and %v", err, l, length)
		}
	})
}
