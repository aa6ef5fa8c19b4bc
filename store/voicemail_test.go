package store

import (
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

func TestVoicemail(t *testing.T) {
	s := openTest(t, t.TempDir())
	id := linnet.VoicemailID{1}
	v := linnet.Voicemail{ID: id, Call: linnet.CallID{2}, Peer: "bob", Sent: time.Now().Truncate(time.Millisecond)}
	piece := func(owner linnet.UserName, v linnet.Voicemail, i int, b string) []byte {
		t.Helper()
		return must(s.PutVoicemailPiece(t.Context(), owner, VoicemailPiece{Voicemail: v, Piece: i, Pieces: 2, Bytes: []byte(b)}))(t)
	}
	if whole := piece("alice", v, 1, "gg"); whole != nil {
		t.Errorf("half of it: %q", whole)
	}
	piece("alice", v, 1, "twice")
	if whole := piece("alice", v, 0, "O"); string(whole) != "Ogg" {
		t.Errorf("whole: %q", whole)
	}
	v.Length = 1.5
	ok(t, s.PutVoicemail(t.Context(), "alice", v, []byte("sound")))
	if list := must(s.Voicemails(t.Context(), "alice", 9))(t); len(list) != 1 || list[0] != v {
		t.Errorf("%+v", list)
	}
	for _, p := range []linnet.UserName{"alice", "eve"} {
		if whole := piece(p, v, 0, "O"); whole != nil {
			t.Error("it comes again")
		}
	}
	if sound := must(s.VoicemailSound(t.Context(), "eve", id))(t); sound != nil {
		t.Error("somebody else hears it")
	}
	if fresh := must(s.HeardVoicemail(t.Context(), "alice", "", id, false))(t); !fresh {
		t.Error("not heard")
	}
	if list := must(s.HeardUntold(t.Context(), "alice"))(t); len(list) != 1 {
		t.Errorf("to be told: %+v", list)
	}
	ok(t, s.HeardTold(t.Context(), id))
	if list := must(s.HeardUntold(t.Context(), "alice"))(t); len(list) != 0 {
		t.Errorf("told twice: %+v", list)
	}
	if was := must(s.DeleteVoicemail(t.Context(), "alice", id))(t); !was {
		t.Error("it was not there")
	}
	if whole := piece("alice", v, 0, "O"); whole != nil || len(must(s.VoicemailPieces(t.Context()))(t)) != 0 {
		t.Error("what was deleted comes back")
	}

	// Of what the user said himself there is no sound, and only who it was for hears it.
	own := linnet.Voicemail{ID: linnet.VoicemailID{3}, Peer: "bob", Own: true, Sent: v.Sent, Length: 1}
	ok(t, s.PutVoicemail(t.Context(), "alice", own, nil))
	if must(s.HeardVoicemail(t.Context(), "alice", "eve", own.ID, true))(t) || !must(s.HeardVoicemail(t.Context(), "alice", "bob", own.ID, true))(t) {
		t.Error("heard by whom?")
	}

	// There is an end to what one peer can leave.
	big := make([]byte, 1<<20-voicemailRow)
	for i := range 2 * voicemailPeerBytes >> 20 {
		must(s.PutVoicemailPiece(t.Context(), "alice", VoicemailPiece{Voicemail: linnet.Voicemail{ID: linnet.VoicemailID{9, byte(i)}, Peer: "eve", Sent: v.Sent}, Pieces: 2, Bytes: big}))(t)
	}
	if n := len(must(s.VoicemailPieces(t.Context()))(t)); n != voicemailPeerBytes>>20 {
		t.Errorf("%d pieces of a MiB", n)
	}
}

// Voice mail that is none is remembered, so that it is not read again, and not without an end.
func TestVoicemailOfNothing(t *testing.T) {
	s := openTest(t, t.TempDir())
	filler := linnet.Voicemail{ID: linnet.VoicemailID{8}, Peer: "eve", Sent: time.Now()}
	must(s.PutVoicemailPiece(t.Context(), "alice", VoicemailPiece{Voicemail: filler, Pieces: 2, Bytes: make([]byte, voicemailPeerBytes-10*voicemailRow)}))(t)
	read := 0
	for i := range byte(20) {
		v := linnet.Voicemail{ID: linnet.VoicemailID{9, i}, Peer: "eve", Sent: filler.Sent}
		if whole := must(s.PutVoicemailPiece(t.Context(), "alice", VoicemailPiece{Voicemail: v, Pieces: 1, Bytes: []byte("x")}))(t); whole != nil {
			read++
			ok(t, s.PutVoicemail(t.Context(), "alice", v, nil))
		}
	}
	if read == 0 || read > 10 {
		t.Errorf("%d of 20 were read", read)
	}
}
