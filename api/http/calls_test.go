package http

import (
	"context"
	"maps"
	"reflect"
	"testing"

	"github.com/linnet-p2p/linnet"
)

func init() {
	maps.Copy(operations, map[string]operation{
		"POST /v1/calls/{call}/transfer":        {"Offer the other end of a call to call a user instead, or the other end of another call.", linnet.TransferTo{}, nil, "all"},
		"POST /v1/calls/{call}/transfer/answer": {"Say whether to be handed over as the other end of a call offers; the answer is the new call.", transferAnswer{}, dialReply{}, "all"},
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
	want := []any{"transfer", id, linnet.TransferTo{User: "carol"}, "transfer", id, linnet.TransferTo{With: &with},
		"answer transfer", id, true, linnet.CallMedia{Page: true}, "settings", "set settings", linnet.CallSettings{Waiting: true}}
	if !reflect.DeepEqual(f.asked, want) {
		t.Errorf("the node was asked\n%v, want\n%v", f.asked, want)
	}
}
