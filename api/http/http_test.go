package http

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// fake is a node that remembers what it was asked and answers what it was told to.
type fake struct {
	linnet.Client
	asked  []any
	err    error
	events chan linnet.Event
}

func (f *fake) note(what ...any) error {
	f.asked = append(f.asked, what...)
	return f.err
}

func (f *fake) Status(context.Context) (linnet.Status, error) {
	return linnet.Status{Network: "birds", Node: linnet.NodeID{7}}, f.note("status")
}
func (f *fake) Join(_ context.Context, invite string) error { return f.note("join", invite) }
func (f *fake) Page(_ context.Context, offer string) (string, error) {
	return "answer to " + offer, f.note("page", offer)
}
func (f *fake) Register(_ context.Context, c linnet.Credentials) error { return f.note("register", c) }
func (f *fake) Login(_ context.Context, c linnet.Credentials) error    { return f.note("login", c) }
func (f *fake) Logout(context.Context) error                           { return f.note("logout") }
func (f *fake) Lookup(_ context.Context, u linnet.UserName) (linnet.Listing, error) {
	return linnet.Listing{User: u, Online: true}, f.note("lookup", u)
}
func (f *fake) Card(context.Context) (linnet.CardStatus, error) {
	return linnet.CardStatus{Card: &linnet.Card{City: "Bern"}, Known: true}, f.note("card")
}
func (f *fake) PublishCard(_ context.Context, c linnet.Card) (linnet.CardStatus, error) {
	return linnet.CardStatus{Card: &c}, f.note("publish", c)
}
func (f *fake) WithdrawCard(context.Context) (linnet.CardStatus, error) {
	return linnet.CardStatus{Known: true}, f.note("withdraw")
}
func (f *fake) Search(_ context.Context, words string, page int) (linnet.SearchPage, error) {
	return linnet.SearchPage{Words: words, Page: page, Hits: []linnet.Hit{{User: "bob"}}}, f.note("search", words, page)
}
func (f *fake) Ping(_ context.Context, u linnet.UserName) (linnet.Pong, error) {
	return linnet.Pong{User: u, Path: linnet.DirectUDP}, f.note("ping", u)
}
func (f *fake) Contacts(context.Context) ([]linnet.Contact, error) {
	return []linnet.Contact{{User: "bob", Name: "Bobby", State: linnet.Approved, Presence: linnet.DoNotDisturb}}, f.note("contacts")
}
func (f *fake) AddContact(_ context.Context, c linnet.Contact) error { return f.note("add", c) }
func (f *fake) AnswerContact(_ context.Context, u linnet.UserName, yes bool) error {
	return f.note("answer", u, yes)
}
func (f *fake) BlockContact(_ context.Context, u linnet.UserName, on bool) error {
	return f.note("block", u, on)
}
func (f *fake) Presence(context.Context) (linnet.Mine, error) {
	return linnet.Mine{Presence: linnet.Away, Mood: "out"}, f.note("presence")
}
func (f *fake) SetPresence(_ context.Context, m linnet.Mine) error { return f.note("set presence", m) }
func (f *fake) RemoveContact(_ context.Context, u linnet.UserName) error {
	return f.note("remove", u)
}
func (f *fake) Call(_ context.Context, u linnet.UserName, m linnet.CallMedia) (linnet.CallID, error) {
	return linnet.CallID{9}, f.note("call", u, m)
}
func (f *fake) Answer(_ context.Context, id linnet.CallID, m linnet.CallMedia) error {
	return f.note("answer", id, m)
}
func (f *fake) HangUp(_ context.Context, id linnet.CallID) error { return f.note("hangup", id) }
func (f *fake) Examine(context.Context) ([]linnet.Finding, error) {
	return []linnet.Finding{{About: "clock", State: linnet.VerdictGood}}, f.note("examine")
}
func (f *fake) VolunteerRelay(_ context.Context, c linnet.RelayConsent) error {
	return f.note("volunteer-relay", c)
}
func (f *fake) Volunteer(_ context.Context, on bool) error { return f.note("volunteer", on) }
func (f *fake) Video(_ context.Context, id linnet.CallID, v linnet.Video) error {
	return f.note("video", id, v)
}

func (f *fake) Hold(_ context.Context, id linnet.CallID, on bool) error {
	return f.note("hold", id, on)
}
func (f *fake) Tone(_ context.Context, id linnet.CallID, tone string) error {
	return f.note("tone", id, tone)
}
func (f *fake) History(_ context.Context, limit int) ([]linnet.CallRecord, error) {
	return []linnet.CallRecord{{Peer: "bob", Outcome: linnet.OutcomeMissed}}, f.note("history", limit)
}
func (f *fake) Conversations(context.Context) ([]linnet.Conversation, error) {
	return []linnet.Conversation{{User: "bob", Unread: 2, Last: &linnet.Message{Kind: linnet.CallMessage}}}, f.note("conversations")
}
func (f *fake) Messages(_ context.Context, u linnet.UserName, before linnet.MessageID, limit int) ([]linnet.Message, error) {
	return []linnet.Message{{ID: before, User: u, Text: "hi", State: linnet.MessageDelivered}}, f.note("messages", u, before, limit)
}
func (f *fake) SendMessage(_ context.Context, u linnet.UserName, text string, replyTo linnet.MessageID) (linnet.MessageID, error) {
	return linnet.MessageID{8}, f.note("send", u, text, replyTo)
}
func (f *fake) EditMessage(_ context.Context, id linnet.MessageID, text string) error {
	return f.note("edit", id, text)
}
func (f *fake) DeleteMessage(_ context.Context, id linnet.MessageID) error {
	return f.note("delete", id)
}
func (f *fake) React(_ context.Context, id linnet.MessageID, emoji string) error {
	return f.note("react", id, emoji)
}
func (f *fake) MarkRead(_ context.Context, u linnet.UserName, upTo linnet.MessageID) error {
	return f.note("read", u, upTo)
}
func (f *fake) Typing(_ context.Context, u linnet.UserName, on bool) error {
	return f.note("typing", u, on)
}
func (f *fake) SearchMessages(_ context.Context, words string, limit int) ([]linnet.Message, error) {
	return []linnet.Message{{Text: words}}, f.note("search messages", words, limit)
}
func (f *fake) Events(context.Context) (<-chan linnet.Event, error) { return f.events, f.err }

// serve runs the socket of f, and gives a client of it.
func serve(t *testing.T, f linnet.Client) (*Client, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "control.sock")
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, path, f, nil) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	for {
		if conn, err := net.Dial("unix", path); err == nil {
			conn.Close()
			return Dial(path), path
		}
		time.Sleep(time.Millisecond) // until the socket is there
	}
}

func TestEverythingArrives(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	ctx := t.Context()
	cred := linnet.Credentials{User: "alice", Password: "two birds", Device: "desk", Token: []byte{1, 2}}
	media := linnet.CallMedia{Page: true, Play: "/a.ogg", Record: "/b.ogg", Seconds: 1.5, Stay: true}
	id := linnet.CallID{9}
	ok := func(err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
	}

	s, err := c.Status(ctx)
	ok(err)
	if s.Network != "birds" || s.Node != (linnet.NodeID{7}) {
		t.Errorf("status %+v", s)
	}
	ok(c.Join(ctx, "linnet:birds"))
	answer, err := c.Page(ctx, "an offer")
	ok(err)
	if answer != "answer to an offer" {
		t.Errorf("answer %q", answer)
	}
	ok(c.Register(ctx, cred))
	ok(c.Login(ctx, cred))
	ok(c.Logout(ctx))
	l, err := c.Lookup(ctx, "bob")
	ok(err)
	if l.User != "bob" || !l.Online {
		t.Errorf("listing %+v", l)
	}
	card, err := c.Card(ctx)
	ok(err)
	if card.Card == nil || card.Card.City != "Bern" || !card.Known {
		t.Errorf("card %+v", card)
	}
	card, err = c.PublishCard(ctx, linnet.Card{Name: "Zoë & Co.", About: "50% off"})
	ok(err)
	if card.Card == nil || card.Card.Name != "Zoë & Co." {
		t.Errorf("card %+v", card)
	}
	card, err = c.WithdrawCard(ctx)
	ok(err)
	if card.Card != nil || !card.Known {
		t.Errorf("card %+v", card)
	}
	page, err := c.Search(ctx, "zoë & 50% a+b", 2)
	ok(err)
	if page.Words != "zoë & 50% a+b" || page.Page != 2 || page.Hits[0].User != "bob" || page.Hits[0].Card != nil {
		t.Errorf("page %+v", page)
	}
	findings, err := c.Examine(ctx)
	ok(err)
	if len(findings) != 1 || findings[0].State != linnet.VerdictGood {
		t.Errorf("findings %+v", findings)
	}
	pong, err := c.Ping(ctx, "bob")
	ok(err)
	if pong.Path != linnet.DirectUDP {
		t.Errorf("pong %+v", pong)
	}
	contacts, err := c.Contacts(ctx)
	ok(err)
	if len(contacts) != 1 || contacts[0].Name != "Bobby" || contacts[0].State != linnet.Approved || contacts[0].Presence != linnet.DoNotDisturb {
		t.Errorf("contacts %+v", contacts)
	}
	ok(c.AddContact(ctx, linnet.Contact{User: "bob", Name: "Bobby"}))
	ok(c.AnswerContact(ctx, "bob", true))
	ok(c.BlockContact(ctx, "bob", true))
	ok(c.RemoveContact(ctx, "bob"))
	mine, err := c.Presence(ctx)
	ok(err)
	ok(c.SetPresence(ctx, mine))
	message := linnet.MessageID{8}
	conversations, err := c.Conversations(ctx)
	ok(err)
	if len(conversations) != 1 || conversations[0].Unread != 2 || conversations[0].Last.Kind != linnet.CallMessage {
		t.Errorf("conversations %+v", conversations)
	}
	for _, before := range []linnet.MessageID{{}, message} {
		messages, err := c.Messages(ctx, "bob", before, 5)
		ok(err)
		if len(messages) != 1 || messages[0].ID != before || messages[0].State != linnet.MessageDelivered {
			t.Errorf("messages %+v", messages)
		}
	}
	long := strings.Repeat("<", linnet.MaxMessage) // six bytes each in JSON
	sent, err := c.SendMessage(ctx, "bob", long, message)
	ok(err)
	if sent != message {
		t.Errorf("sent %v", sent)
	}
	ok(c.EditMessage(ctx, message, "ho"))
	ok(c.DeleteMessage(ctx, message))
	ok(c.React(ctx, message, "👍"))
	ok(c.MarkRead(ctx, "bob", message))
	ok(c.Typing(ctx, "bob", true))
	hits, err := c.SearchMessages(ctx, "a & b", 7)
	ok(err)
	if len(hits) != 1 || hits[0].Text != "a & b" {
		t.Errorf("hits %+v", hits)
	}
	called, err := c.Call(ctx, "bob", media)
	ok(err)
	if called != id {
		t.Errorf("call %v", called)
	}
	ok(c.Answer(ctx, id, media))
	ok(c.HangUp(ctx, id))
	ok(c.Hold(ctx, id, true))
	ok(c.Video(ctx, id, linnet.Screen))
	ok(c.Tone(ctx, id, "#"))
	history, err := c.History(ctx, 3)
	ok(err)
	if len(history) != 1 || history[0].Outcome != linnet.OutcomeMissed {
		t.Errorf("history %+v", history)
	}

	want := []any{"status", "join", "linnet:birds", "page", "an offer", "register", cred, "login", cred, "logout",
		"lookup", linnet.UserName("bob"),
		"card", "publish", linnet.Card{Name: "Zoë & Co.", About: "50% off"}, "withdraw", "search", "zoë & 50% a+b", 2, "examine", "ping", linnet.UserName("bob"),
		"contacts", "add", linnet.Contact{User: "bob", Name: "Bobby"}, "answer", linnet.UserName("bob"), true, "block", linnet.UserName("bob"), true,
		"remove", linnet.UserName("bob"), "presence", "set presence", linnet.Mine{Presence: linnet.Away, Mood: "out"},
		"conversations", "messages", linnet.UserName("bob"), linnet.MessageID{}, 5, "messages", linnet.UserName("bob"), message, 5,
		"send", linnet.UserName("bob"), long, message, "edit", message, "ho", "delete", message, "react", message, "👍",
		"read", linnet.UserName("bob"), message, "typing", linnet.UserName("bob"), true, "search messages", "a & b", 7,
		"call", linnet.UserName("bob"), media, "answer", id, media, "hangup", id, "hold", id, true, "video", id, linnet.Screen, "tone", id, "#", "history", 3}
	if !reflect.DeepEqual(f.asked, want) {
		t.Errorf("the node was asked\n%v, want\n%v", f.asked, want)
	}
}

func TestErrorsKeepTheirCode(t *testing.T) {
	f := &fake{err: &linnet.Error{Code: linnet.CodeTaken, Text: "this name is taken", Hint: "choose another one", Err: errors.New("because")}}
	c, _ := serve(t, f)
	err := c.Register(t.Context(), linnet.Credentials{User: "alice"})
	if linnet.CodeOf(err) != linnet.CodeTaken || err.Error() != f.err.Error() {
		t.Errorf("%v (%v), want %v", err, linnet.CodeOf(err), f.err)
	}
	f.err = errors.New("plain")
	if _, err := c.Status(t.Context()); linnet.CodeOf(err) != linnet.CodeFailed || err.Error() != "plain" {
		t.Errorf("%v (%v)", err, linnet.CodeOf(err))
	}
}

func TestEvents(t *testing.T) {
	f := &fake{events: make(chan linnet.Event, 1)}
	c, _ := serve(t, f)
	events, err := c.Events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sent := linnet.Event{Kind: linnet.EventCallRings, Call: &linnet.CallInfo{State: linnet.CallRinging}}
	f.events <- sent
	if got := <-events; !reflect.DeepEqual(got, sent) {
		t.Errorf("%+v, want %+v", got, sent)
	}
	close(f.events)
	if e, more := <-events; more {
		t.Errorf("after the end: %+v", e)
	}
}

func TestBadRequests(t *testing.T) {
	f := &fake{}
	c, _ := serve(t, f)
	tests := []struct {
		name, method, path, body string
		status                   int
	}{
		{"no JSON", "POST", "/v1/login", "password", http.StatusBadRequest},
		{"unknown field", "POST", "/v1/login", `{"user":"alice","passwort":"x"}`, http.StatusBadRequest},
		{"too large", "POST", "/v1/login", `{"user":"` + strings.Repeat("a", maxBody) + `"}`, http.StatusBadRequest},
		{"bad user name", "GET", "/v1/users/al", "", http.StatusBadRequest},
		{"bad call id", "POST", "/v1/calls/xyz/hangup", "", http.StatusBadRequest},
		{"no limit", "GET", "/v1/calls", "", http.StatusBadRequest},
		{"limit 0", "GET", "/v1/calls?limit=0", "", http.StatusBadRequest},
		{"unknown path", "GET", "/v1/nothing", "", http.StatusNotFound},
		{"wrong method", "GET", "/v1/login", "", http.StatusMethodNotAllowed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req, err := http.NewRequestWithContext(t.Context(), tt.method, "http://linnet"+tt.path, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := c.http.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != tt.status {
				t.Errorf("status %d, want %d", resp.StatusCode, tt.status)
			}
		})
	}
	if len(f.asked) > 0 {
		t.Errorf("the node was asked %v", f.asked)
	}
}

func TestSocket(t *testing.T) {
	_, path := serve(t, &fake{})
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("socket: %v, %v; only its owner may open it", info.Mode(), err)
	}
	if err := Serve(t.Context(), path, &fake{}, nil); linnet.CodeOf(err) != linnet.CodeInUse {
		t.Errorf("a second node on the same socket: %v", err)
	}
	_, err = Dial(filepath.Join(t.TempDir(), "none.sock")).Status(t.Context())
	if linnet.CodeOf(err) != linnet.CodeNotRunning {
		t.Errorf("no node: %v", err)
	}
}

// The socket file of a node that was killed does not keep the next one from starting.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "control.sock")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- Serve(ctx, path, &fake{}, nil) }()
	for {
		if _, err := Dial(path).Status(ctx); err == nil {
			break
		}
		select {
		case err := <-done:
			t.Fatalf("Serve: %v", err)
		case <-time.After(time.Millisecond):
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
