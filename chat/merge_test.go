package chat

import (
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

func at(ms int64) time.Time { return time.UnixMilli(ms) }

// Whatever order copies come in, and however often, they say the same.
func TestMergeOrder(t *testing.T) {
	first := linnet.Message{ID: linnet.MessageID{1}, User: "bob", Author: "alice", Text: "first", Data: []byte{1}}
	edit := func(text string, ms int64) linnet.Message {
		m := first
		m.Text, m.Edited = text, at(ms)
		return m
	}
	read, deleted, later, forged := first, first, first, edit("forged", 99)
	read.State = linnet.MessageRead
	deleted.Deleted, deleted.Text = at(7), ""
	later.Deleted = at(8)
	forged.Author = "bob"
	edited := edit("b", 5)
	edited.State = linnet.MessageRead
	gone := linnet.Message{ID: first.ID, User: "bob", Author: "alice", State: linnet.MessageRead, Deleted: at(7)}
	tests := []struct {
		name   string
		copies []linnet.Message
		want   linnet.Message
	}{
		{"edits", []linnet.Message{first, edit("older", 3), edit("a", 5), edit("b", 5), read, forged}, edited},
		{"a deletion", []linnet.Message{first, edit("b", 9), deleted, later, read}, gone},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(1, 1))
			for range 100 {
				got := tt.copies[0]
				for range 3 {
					for _, i := range r.Perm(len(tt.copies)) {
						got, _ = Merge(got, tt.copies[i])
					}
				}
				if !reflect.DeepEqual(got, tt.want) {
					t.Fatalf("got %+v\nwant %+v", got, tt.want)
				}
				if _, changed := Merge(got, tt.copies[0]); changed {
					t.Fatal("an old copy changes something")
				}
			}
		})
	}
}
