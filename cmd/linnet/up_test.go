package main

import (
	"testing"

	"github.com/linnet-p2p/linnet"
)

func TestNewsOf(t *testing.T) {
	file := linnet.File{Peer: "bob", Name: "a.zip", Size: 5, State: linnet.FileActive}
	tests := []struct {
		event linnet.Event
		want  string
	}{
		{linnet.Event{Kind: linnet.EventOnline}, "Online."},
		{linnet.Event{Kind: linnet.EventWarning, Text: "the login server says \x1b[2Jno"}, "the login server says  [2Jno"},
		{linnet.Event{Kind: linnet.EventFileChanged, File: &file}, ""},
		{linnet.Event{Kind: linnet.EventTyping}, ""},
		{linnet.Event{Kind: linnet.EventCallEnded, Record: &linnet.CallRecord{Peer: "bob", Outcome: linnet.OutcomeBusy}}, "Call with bob: busy."},
		{linnet.Event{Kind: linnet.EventCallRings, Call: &linnet.CallInfo{CallRecord: linnet.CallRecord{Peer: "bob", By: "carol"}}},
			"bob, put through by carol, calls: answer on the page, or with `linnet answer`; `linnet hangup` declines."},
	}
	for _, tt := range tests {
		if got := newsOf(tt.event); got != tt.want {
			t.Errorf("%v: %q, want %q", tt.event.Kind, got, tt.want)
		}
	}
}
