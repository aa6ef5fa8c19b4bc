package linnet

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// The names are those that `linnet chat --json` promises.
func TestMessageJSON(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	m := Message{
		ID: MessageID{1}, User: "bob", Author: "alice", Device: NodeID{2}, Sent: at, Position: 7, Kind: VoiceMessage, Text: "hi", Data: []byte{1},
		ReplyTo: MessageID{2}, State: MessageDelivered, Edited: at, Reactions: []Reaction{{"bob", "👍", at}},
	}
	const want = `{"message":"aeaaaaaaaaaaaaaaaaaaaaaaaa","user":"bob","author":"alice","sent":"2026-03-01T12:00:00Z","position":7,` +
		`"kind":"voicemail","text":"hi","reply_to":"aiaaaaaaaaaaaaaaaaaaaaaaaa","state":"delivered","edited":"2026-03-01T12:00:00Z",` +
		`"reactions":[{"user":"bob","emoji":"👍","time":"2026-03-01T12:00:00Z"}]}`
	got, err := json.Marshal(m)
	if err != nil || string(got) != want {
		t.Errorf("Marshal: %v\n got %s\nwant %s", err, got, want)
	}
	var back Message
	if err := json.Unmarshal(got, &back); err != nil || back.ID != m.ID || back.ReplyTo != m.ReplyTo || back.Kind != m.Kind || back.State != m.State {
		t.Errorf("Unmarshal = %+v, %v", back, err)
	}
	if _, err := ParseMessageID("nonsense"); err == nil || !strings.HasPrefix(err.Error(), "message id") {
		t.Errorf("an id of nonsense: %v", err)
	}
}

func TestCheckMessage(t *testing.T) {
	for text, good := range map[string]bool{
		"hi": true, " a ": true, "": false, " \n\t": false, strings.Repeat("x", 10): true, strings.Repeat("x", 11): false, "a\xff": false,
	} {
		if err := CheckMessage(text, 10); (err == nil) != good {
			t.Errorf("CheckMessage(%q) = %v", text, err)
		}
	}
	for emoji, good := range map[string]bool{"": true, "👍": true, "👩‍👩‍👧": true, "a b": false, "\x1b[2J": false, strings.Repeat("x", MaxEmoji+1): false} {
		if err := CheckEmoji(emoji); (err == nil) != good {
			t.Errorf("CheckEmoji(%q) = %v", emoji, err)
		}
	}
	if got := Lines("a\x1b[2J\r\nb\u202e\n"); got != "a [2J\nb \n" {
		t.Errorf("Lines = %q", got)
	}
}
