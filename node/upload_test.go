package node

import (
	"bytes"
	"io"
	"os"
	"testing"
	"testing/synctest"

	"github.com/linnet-p2p/linnet"
)

// What a page uploads is kept until it is sent, and no longer.
func TestUploadedFile(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, worldOptions{})
		alice, bob := w.friends()
		content := []byte("hello, bob")
		for _, size := range []int64{-1, 5, 50} {
			if _, err := alice.node.UploadFile(t.Context(), "bob", "a.txt", size, bytes.NewReader(content)); linnet.CodeOf(err) != linnet.CodeUsage {
				t.Errorf("%d bytes were said and %d came: %v", size, len(content), err)
			}
		}
		id, err := alice.node.UploadFile(t.Context(), "bob", "../../a\u202e.txt", int64(len(content)), bytes.NewReader(content))
		if err != nil {
			t.Fatal(err)
		}
		bob.accepts(id)
		bob.got(id, content)
		f, err := bob.node.OpenFile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Content.Close()
		if b, err := io.ReadAll(f.Content); err != nil || !bytes.Equal(b, content) || f.Name != "a.txt" {
			t.Errorf("%q, %v, %+v", b, err, f)
		}
		alice.fileIs(id, linnet.FileDone)
		alice.eventually("the copy is deleted", func() bool { return len(must(os.ReadDir(alice.node.spool()))) == 0 })

		empty, err := alice.node.UploadFile(t.Context(), "bob", "empty", 0, bytes.NewReader(nil))
		if err != nil {
			t.Fatal(err)
		}
		bob.accepts(empty)
		bob.got(empty, nil)
	})
}
