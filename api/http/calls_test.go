package http

import (
	"cmp"
	"context"
	"io"
	"maps"
	"reflect"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

func init() {
	maps.Copy(operations, map[string]operation{
		"POST /v1/calls/{call}/transfer":        {"Offer the other end of a call to call a user instead, or the other end of another call.", linnet.TransferTo{}, nil, "all"},
		"POST /v1/calls/{call}/transfer/answer": {"Say whether to be handed over as the other end of a call offers; the answer is the new call.", transferAnswer{}, dialReply{}, "all"},
		"GET /v1/voicemail":                     {"What contacts left here, and the user elsewhere, the newest first; limit says how many at most.", nil, []linnet.Voicemail{}, "all"},
		"POST /v1/users/{user}/voicemail":       {"Leave what is uploaded here with a contact, Ogg/Opus as it is; call says of which call that nobody answered.", rawBytes{}, linnet.Voicemail{}, "all"},
		"POST /v1/voicemail":                    {"Leave what an Ogg/Opus file says with a contact. Not for pages.", voicemailRequest{}, linnet.Voicemail{}, "all"},
		"GET /v1/voicemail/{id}/sound":          {"What somebody said, as an Ogg/Opus file instead of JSON.", nil, nil, "all"},
		"POST /v1/voicemail/{id}/heard":         {"Note that it was heard, and tell whoever left it.", nil, nil, "all"},
		"DELETE /v1/voicemail/{id}":             {"Delete it on this device.", nil, nil, "all"},
		"GET /v1/settings/calls":                {"How this device takes calls.", nil, linnet.CallSettings{}, "all"},
		"PUT /v1/settings/calls":                {"Take them in another way.", linnet.CallSettings{}, nil, "all"},
	})
}

// telephone is a fake for what one does with several calls.
type telephone struct{ fake }

func (f *telephone) Transfer(_ context.Context, id linnet.CallID, to linnet.TransferTo) error {
	return f.note("transfer", id, to)
}
func (f *telephone) AnswerTransfer(_ context.Context, id linnet.CallID, yes bool, m linnet.CallMedia) (linnet.CallID, error) {
	return linnet.CallID{8}, f.note("answer transfer", id, yes, m)
}
func (f *telephone) CallSettings(context.Context) (linnet.CallSettings, error) {
	return linnet.CallSettings{Waiting: true}, f.note("settings")
}
func (f *telephone) SetCallSettings(_ context.Context, s linnet.CallSettings) error {
	return f.note("set settings", s)
}

func (f *telephone) LeaveVoicemail(_ context.Context, to linnet.UserName, about linnet.CallID, file string) (linnet.Voicemail, error) {
	return linnet.Voicemail{ID: linnet.VoicemailID{5}}, f.note("leave", to, about, file)
}
func (f *telephone) UploadVoicemail(_ context.Context, to linnet.UserName, about linnet.CallID, sound io.Reader) (linnet.Voicemail, error) {
	b, err := io.ReadAll(sound)
	return linnet.Voicemail{ID: linnet.VoicemailID{5}}, cmp.Or(err, f.note("upload", to, about, string(b)))
}
func (f *telephone) Voicemails(_ context.Context, limit int) ([]linnet.Voicemail, error) {
	return []linnet.Voicemail{{ID: linnet.VoicemailID{5}}}, f.note("voicemails", limit)
}
func (f *telephone) VoicemailSound(_ context.Context, id linnet.VoicemailID) ([]byte, error) {
	return []byte("OggS"), f.note("sound", id)
}
func (f *telephone) HeardVoicemail(_ context.Context, id linnet.VoicemailID) error {
	return f.note("heard", id)
}
func (f *telephone) DeleteVoicemail(_ context.Context, id linnet.VoicemailID) error {
	return f.note("delete", id)
}

// Pages have no files of the machine, in whatever they ask.
func TestPagesHaveNoFiles(t *testing.T) {
	f := &telephone{}
	c := pageClient{f}
	for _, m := range []linnet.CallMedia{{Play: "/etc/passwd"}, {Record: "/tmp/x"}} {
		if _, err := c.AnswerTransfer(t.Context(), linnet.CallID{9}, true, m); linnet.CodeOf(err) != linnet.CodeUsage {
			t.Errorf("a transfer with %+v: %v", m, err)
		}
	}
	if _, err := c.LeaveVoicemail(t.Context(), "bob", linnet.CallID{}, "/etc/passwd"); linnet.CodeOf(err) != linnet.CodeUsage || len(f.asked) != 0 {
		t.Errorf("voice mail of a page: %v, asked %v", err, f.asked)
	}
}

func TestCallsArrive(t *testing.T) {
	f := &telephone{}
	c, _ := serve(t, f)
	ctx, id, with := t.Context(), linnet.CallID{9}, linnet.CallID{7}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}
	ok(c.Transfer(ctx, id, linnet.TransferTo{User: "carol"}))
	ok(c.Transfer(ctx, id, linnet.TransferTo{With: &with}))
	next, err := c.AnswerTransfer(ctx, id, true, linnet.CallMedia{Page: true})
	ok(err)
	if next != (linnet.CallID{8}) {
		t.Errorf("the new call is %v", next)
	}
	s, err := c.CallSettings(ctx)
	ok(err)
	ok(c.SetCallSettings(ctx, s))
	v, err := c.LeaveVoicemail(ctx, "bob", id, "/a.ogg")
	ok(err)
	_, err = c.UploadVoicemail(ctx, "bob", id, strings.NewReader("OggS"))
	ok(err)
	list, err := c.Voicemails(ctx, 3)
	ok(err)
	sound, err := c.VoicemailSound(ctx, v.ID)
	ok(err)
	if len(list) != 1 || list[0].ID != v.ID || string(sound) != "OggS" {
		t.Errorf("voice mail %+v, sound %q", list, sound)
	}
	ok(c.HeardVoicemail(ctx, v.ID))
	ok(c.DeleteVoicemail(ctx, v.ID))
	want := []any{"transfer", id, linnet.TransferTo{User: "carol"}, "transfer", id, linnet.TransferTo{With: &with},
		"answer transfer", id, true, linnet.CallMedia{Page: true}, "settings", "set settings", linnet.CallSettings{Waiting: true},
		"leave", linnet.UserName("bob"), id, "/a.ogg", "upload", linnet.UserName("bob"), id, "OggS", "voicemails", 3, "sound", v.ID, "heard", v.ID, "delete", v.ID}
	if !reflect.DeepEqual(f.asked, want) {
		t.Errorf("the node was asked\n%v, want\n%v", f.asked, want)
	}
}
