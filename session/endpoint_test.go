package session

import "testing"

func TestShortTags(t *testing.T) {
	e := New(Options{ShortTags: true})
	for i := range maxShortTags {
		if tag := e.newTag(nil); tag>>15 != 0 || !isTag(tag) {
			t.Fatalf("tag %x of %d", tag, i)
		}
	}
	for range 8 {
		if tag := e.newTag(nil); tag>>15 != 0 {
			return
		}
	}
	t.Error("tags stay short until there are none left to draw")
}
