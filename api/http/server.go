// Package http offers a running node (linnet.Client) as a small JSON interface,
// and is the client of it too: `linnet up` serves it on a socket that only the
// user who started it can open, and the other commands of the program talk to
// that. A Site serves the same to the browser, with the page. It decides nothing.
//
//	GET    /v1/status                     linnet.Status
//	POST   /v1/network                    {"invite"}
//	POST   /v1/register, /v1/login        linnet.Credentials
//	POST   /v1/logout
//	GET    /v1/findings                   []linnet.Finding, some seconds later
//	PUT    /v1/volunteer                  {"on"}
//	PUT    /v1/volunteer/relay            {"on","bit_rate","daily_bytes"}
//	GET    /v1/users/{user}               linnet.Listing
//	GET    /v1/card                       linnet.CardStatus
//	PUT    /v1/card                       linnet.Card -> linnet.CardStatus
//	DELETE /v1/card                       linnet.CardStatus
//	GET    /v1/search?words=W&page=N      linnet.SearchPage
//	POST   /v1/users/{user}/ping          linnet.Pong
//	GET    /v1/contacts                   []linnet.Contact
//	PUT    /v1/contacts/{user}            linnet.Contact
//	POST   /v1/contacts/{user}/answer     {"yes"}
//	PUT    /v1/contacts/{user}/block      {"on"}
//	DELETE /v1/contacts/{user}
//	GET    /v1/presence                   linnet.Mine
//	PUT    /v1/presence                   linnet.Mine
//	GET    /v1/conversations              []linnet.Conversation
//	GET    /v1/conversations/{user}/messages?before=ID&limit=N  []linnet.Message
//	POST   /v1/conversations/{user}/messages                    {"text", "reply_to"} -> {"message"}
//	PUT    /v1/conversations/{user}/read                        {"message"}
//	PUT    /v1/conversations/{user}/typing                      {"on"}
//	GET    /v1/messages?words=W&limit=N   []linnet.Message
//	PUT    /v1/messages/{message}         {"text"}
//	DELETE /v1/messages/{message}
//	PUT    /v1/messages/{message}/reaction  {"emoji"}
//	GET    /v1/calls?limit=N              []linnet.CallRecord
//	POST   /v1/calls                      {"user", ...linnet.CallMedia} -> {"call"}
//	POST   /v1/calls/{call}/answer        linnet.CallMedia
//	POST   /v1/calls/{call}/hangup
//	POST   /v1/calls/{call}/hold          {"on"}
//	POST   /v1/calls/{call}/video         {"video"}: what is shown: "camera", "screen", "none"
//	POST   /v1/calls/{call}/tone          {"tone"}
//	POST   /v1/calls/{call}/transfer      linnet.TransferTo
//	POST   /v1/calls/{call}/transfer/answer  {"yes", ...linnet.CallMedia} -> {"call"}, if yes
//	GET    /v1/voicemail?limit=N          []linnet.Voicemail
//	POST   /v1/voicemail                  {"user", "call", "file"} -> linnet.Voicemail
//	POST   /v1/users/{user}/voicemail?call=ID  Ogg/Opus, application/octet-stream -> linnet.Voicemail
//	GET    /v1/voicemail/{id}/sound       audio/ogg
//	POST   /v1/voicemail/{id}/heard
//	DELETE /v1/voicemail/{id}
//	GET    /v1/settings/calls             linnet.CallSettings
//	PUT    /v1/settings/calls             linnet.CallSettings
//	POST   /v1/page                       {"offer"} -> {"answer"}: SDP, see linnet.Client.Page
//	GET    /v1/files                      []linnet.File
//	POST   /v1/files                      {"user", "path"} -> {"file"}: on the socket, a file of this machine
//	POST   /v1/users/{user}/files?name=N  the bytes of a file, as application/octet-stream -> {"file"}
//	POST   /v1/files/{file}/answer        {"yes"}
//	PUT    /v1/files/{file}/pause         {"on"}
//	POST   /v1/files/{file}/cancel
//	GET    /v1/files/{file}/content       the bytes of a file that came
//	GET    /v1/events                     linnet.Event, one a line, until the caller leaves
//
// The socket alone also has
//
//	POST   /v1/link                       -> {"link"}: opens the page, once
//
// and a Site what is told at Site. openapi.json describes all of it.
//
// An error is {"code", "text", "hint", "cause"} with a 4xx or 5xx status.
package http

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"

	"github.com/linnet-p2p/linnet"
)

// maxBody bounds a request, and an event: nothing that is asked here is larger. A
// message may take six times its bytes in JSON.
const maxBody = 128 << 10

type failure struct {
	Code  linnet.Code `json:"code"`
	Text  string      `json:"text"`
	Hint  string      `json:"hint,omitempty"`
	Cause string      `json:"cause,omitempty"`
}

type dialRequest struct {
	User linnet.UserName `json:"user"`
	linnet.CallMedia
}

type dialReply struct {
	Call linnet.CallID `json:"call"`
}

type onRequest struct {
	On bool `json:"on"`
}

type joinRequest struct {
	Invite string `json:"invite"`
}

type pageRequest struct {
	Offer string `json:"offer"`
}

type pageReply struct {
	Answer string `json:"answer"`
}

type linkReply struct {
	Link string `json:"link"`
}

type answerRequest struct {
	Yes bool `json:"yes"`
}

type sendRequest struct {
	Text    string           `json:"text"`
	ReplyTo linnet.MessageID `json:"reply_to,omitzero"`
}

// A messageRef names a message, or none.
type messageRef struct {
	Message linnet.MessageID `json:"message,omitzero"`
}

type editRequest struct {
	Text string `json:"text"`
}

type reactionRequest struct {
	Emoji string `json:"emoji"`
}

type transferAnswer struct {
	Yes bool `json:"yes"`
	linnet.CallMedia
}

type voicemailRequest struct {
	User linnet.UserName `json:"user"`
	Call linnet.CallID   `json:"call,omitzero"`
	File string          `json:"file"`
}

type videoRequest struct {
	Video linnet.Video `json:"video"`
}

type toneRequest struct {
	Tone string `json:"tone"`
}

// Handler serves c.
func Handler(c linnet.Client) http.Handler {
	mux := http.NewServeMux()
	register(mux, c)
	return mux
}

// routes is what register fills: a mux, or the list of a test.
type routes interface {
	HandleFunc(pattern string, serve func(http.ResponseWriter, *http.Request))
}

func register(mux routes, c linnet.Client) {
	handle := func(pattern string, serve func(*http.Request) (any, error)) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			answer, err := serve(r)
			if err != nil {
				writeFailure(w, err)
				return
			}
			writeJSON(w, http.StatusOK, answer)
		})
	}

	handle("GET /v1/status", func(r *http.Request) (any, error) { return c.Status(r.Context()) })
	handle("POST /v1/register", func(r *http.Request) (any, error) {
		cred, err := read[linnet.Credentials](r)
		return nil, first(err, func() error { return c.Register(r.Context(), cred) })
	})
	handle("POST /v1/login", func(r *http.Request) (any, error) {
		cred, err := read[linnet.Credentials](r)
		return nil, first(err, func() error { return c.Login(r.Context(), cred) })
	})
	handle("POST /v1/logout", func(r *http.Request) (any, error) { return nil, c.Logout(r.Context()) })
	handle("GET /v1/findings", func(r *http.Request) (any, error) { return c.Examine(r.Context()) })
	handle("PUT /v1/volunteer", func(r *http.Request) (any, error) {
		q, err := read[onRequest](r)
		return nil, first(err, func() error { return c.Volunteer(r.Context(), q.On) })
	})
	handle("PUT /v1/volunteer/relay", func(r *http.Request) (any, error) {
		q, err := read[linnet.RelayConsent](r)
		return nil, first(err, func() error { return c.VolunteerRelay(r.Context(), q) })
	})
	handle("GET /v1/users/{user}", func(r *http.Request) (any, error) {
		user, err := userIn(r)
		if err != nil {
			return nil, err
		}
		return c.Lookup(r.Context(), user)
	})
	handle("POST /v1/users/{user}/ping", func(r *http.Request) (any, error) {
		user, err := userIn(r)
		if err != nil {
			return nil, err
		}
		return c.Ping(r.Context(), user)
	})

	handle("GET /v1/card", func(r *http.Request) (any, error) { return c.Card(r.Context()) })
	handle("PUT /v1/card", func(r *http.Request) (any, error) {
		card, err := read[linnet.Card](r)
		if err != nil {
			return nil, err
		}
		return c.PublishCard(r.Context(), card)
	})
	handle("DELETE /v1/card", func(r *http.Request) (any, error) { return c.WithdrawCard(r.Context()) })
	handle("GET /v1/search", func(r *http.Request) (any, error) {
		page, err := number(r, "page")
		if err != nil {
			return nil, err
		}
		return c.Search(r.Context(), r.FormValue("words"), page)
	})

	handle("GET /v1/contacts", func(r *http.Request) (any, error) { return c.Contacts(r.Context()) })
	handle("PUT /v1/contacts/{user}", func(r *http.Request) (any, error) {
		return onUser(r, func(user linnet.UserName, contact linnet.Contact) error {
			contact.User = user
			return c.AddContact(r.Context(), contact)
		})
	})
	handle("POST /v1/contacts/{user}/answer", func(r *http.Request) (any, error) {
		return onUser(r, func(user linnet.UserName, q answerRequest) error { return c.AnswerContact(r.Context(), user, q.Yes) })
	})
	handle("PUT /v1/contacts/{user}/block", func(r *http.Request) (any, error) {
		return onUser(r, func(user linnet.UserName, q onRequest) error { return c.BlockContact(r.Context(), user, q.On) })
	})
	handle("GET /v1/presence", func(r *http.Request) (any, error) { return c.Presence(r.Context()) })
	handle("PUT /v1/presence", func(r *http.Request) (any, error) {
		mine, err := read[linnet.Mine](r)
		return nil, first(err, func() error { return c.SetPresence(r.Context(), mine) })
	})
	handle("DELETE /v1/contacts/{user}", func(r *http.Request) (any, error) {
		user, err := userIn(r)
		return nil, first(err, func() error { return c.RemoveContact(r.Context(), user) })
	})

	handle("GET /v1/conversations", func(r *http.Request) (any, error) { return c.Conversations(r.Context()) })
	handle("GET /v1/conversations/{user}/messages", func(r *http.Request) (any, error) {
		user, err := userIn(r)
		if err != nil {
			return nil, err
		}
		var before linnet.MessageID
		if s := r.FormValue("before"); s != "" {
			if before, err = named(linnet.ParseMessageID(s)); err != nil {
				return nil, err
			}
		}
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return c.Messages(r.Context(), user, before, limit)
	})
	handle("POST /v1/conversations/{user}/messages", func(r *http.Request) (any, error) {
		var ref messageRef
		_, err := onUser(r, func(user linnet.UserName, q sendRequest) (err error) {
			ref.Message, err = c.SendMessage(r.Context(), user, q.Text, q.ReplyTo)
			return err
		})
		return ref, err
	})
	handle("PUT /v1/conversations/{user}/read", func(r *http.Request) (any, error) {
		return onUser(r, func(user linnet.UserName, q messageRef) error { return c.MarkRead(r.Context(), user, q.Message) })
	})
	handle("PUT /v1/conversations/{user}/typing", func(r *http.Request) (any, error) {
		return onUser(r, func(user linnet.UserName, q onRequest) error { return c.Typing(r.Context(), user, q.On) })
	})
	handle("GET /v1/messages", func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return c.SearchMessages(r.Context(), r.FormValue("words"), limit)
	})
	handle("PUT /v1/messages/{message}", func(r *http.Request) (any, error) {
		return onMessage(r, func(id linnet.MessageID, q editRequest) error { return c.EditMessage(r.Context(), id, q.Text) })
	})
	handle("DELETE /v1/messages/{message}", func(r *http.Request) (any, error) {
		return onMessage(r, func(id linnet.MessageID, _ struct{}) error { return c.DeleteMessage(r.Context(), id) })
	})
	handle("PUT /v1/messages/{message}/reaction", func(r *http.Request) (any, error) {
		return onMessage(r, func(id linnet.MessageID, q reactionRequest) error { return c.React(r.Context(), id, q.Emoji) })
	})

	handle("GET /v1/calls", func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return c.History(r.Context(), limit)
	})
	handle("POST /v1/calls", func(r *http.Request) (any, error) {
		req, err := read[dialRequest](r)
		if err != nil {
			return nil, err
		}
		id, err := c.Call(r.Context(), req.User, req.CallMedia)
		return dialReply{id}, err
	})
	handle("POST /v1/calls/{call}/answer", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, m linnet.CallMedia) error { return c.Answer(r.Context(), id, m) })
	})
	handle("POST /v1/calls/{call}/hangup", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, _ struct{}) error { return c.HangUp(r.Context(), id) })
	})
	handle("POST /v1/calls/{call}/hold", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, q onRequest) error { return c.Hold(r.Context(), id, q.On) })
	})
	handle("POST /v1/calls/{call}/video", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, q videoRequest) error { return c.Video(r.Context(), id, q.Video) })
	})
	handle("POST /v1/calls/{call}/tone", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, q toneRequest) error { return c.Tone(r.Context(), id, q.Tone) })
	})

	handle("POST /v1/calls/{call}/transfer", func(r *http.Request) (any, error) {
		return onCall(r, func(id linnet.CallID, to linnet.TransferTo) error { return c.Transfer(r.Context(), id, to) })
	})
	handle("POST /v1/calls/{call}/transfer/answer", func(r *http.Request) (any, error) {
		var next linnet.CallID
		_, err := onCall(r, func(id linnet.CallID, a transferAnswer) (err error) {
			next, err = c.AnswerTransfer(r.Context(), id, a.Yes, a.CallMedia)
			return err
		})
		return dialReply{next}, err
	})
	handle("GET /v1/voicemail", func(r *http.Request) (any, error) {
		limit, err := number(r, "limit")
		if err != nil {
			return nil, err
		}
		return c.Voicemails(r.Context(), limit)
	})
	handle("POST /v1/voicemail", func(r *http.Request) (any, error) {
		q, err := read[voicemailRequest](r)
		if err != nil {
			return nil, err
		}
		return c.LeaveVoicemail(r.Context(), q.User, q.Call, q.File)
	})
	mux.HandleFunc("POST /v1/users/{user}/voicemail", func(w http.ResponseWriter, r *http.Request) { uploadVoicemail(w, r, c) })
	mux.HandleFunc("GET /v1/voicemail/{id}/sound", func(w http.ResponseWriter, r *http.Request) { serveVoicemail(w, r, c) })
	handle("POST /v1/voicemail/{id}/heard", func(r *http.Request) (any, error) {
		id, err := voicemailIn(r)
		return nil, first(err, func() error { return c.HeardVoicemail(r.Context(), id) })
	})
	handle("DELETE /v1/voicemail/{id}", func(r *http.Request) (any, error) {
		id, err := voicemailIn(r)
		return nil, first(err, func() error { return c.DeleteVoicemail(r.Context(), id) })
	})
	handle("GET /v1/settings/calls", func(r *http.Request) (any, error) { return c.CallSettings(r.Context()) })
	handle("PUT /v1/settings/calls", func(r *http.Request) (any, error) {
		s, err := read[linnet.CallSettings](r)
		return nil, first(err, func() error { return c.SetCallSettings(r.Context(), s) })
	})

	handle("POST /v1/network", func(r *http.Request) (any, error) {
		q, err := read[joinRequest](r)
		return nil, first(err, func() error { return c.Join(r.Context(), q.Invite) })
	})
	handle("POST /v1/page", func(r *http.Request) (any, error) {
		q, err := read[pageRequest](r)
		if err != nil {
			return nil, err
		}
		answer, err := c.Page(r.Context(), q.Offer)
		return pageReply{answer}, err
	})

	registerFiles(mux, handle, c)
	mux.HandleFunc("GET /v1/events", func(w http.ResponseWriter, r *http.Request) { serveEvents(w, r, c) })
}

// number is a parameter that has to be above 0.
func number(r *http.Request, name string) (int, error) {
	n, err := strconv.Atoi(r.FormValue(name))
	if err != nil || n < 1 {
		return 0, linnet.Errorf(linnet.CodeUsage, "%s %q is not a number above 0", name, r.FormValue(name))
	}
	return n, nil
}

// read takes the request's JSON body; an empty one is the zero value.
func read[T any](r *http.Request) (v T, err error) {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	if err := dec.Decode(&v); err != nil && !errors.Is(err, io.EOF) {
		return v, &linnet.Error{Code: linnet.CodeUsage, Text: "the request is not the JSON that is expected here", Err: err}
	}
	return v, nil
}

func first(err error, then func() error) error {
	if err != nil {
		return err
	}
	return then()
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if v == nil {
		v = struct{}{}
	}
	json.NewEncoder(w).Encode(v) // a caller that left is no error of ours
}

func writeFailure(w http.ResponseWriter, err error) {
	f := failure{Code: linnet.CodeFailed, Text: err.Error()}
	if e, ok := errors.AsType[*linnet.Error](err); ok {
		f = failure{Code: e.Code, Text: e.Text, Hint: e.Hint}
		if e.Err != nil {
			f.Cause = e.Err.Error()
		}
	}
	status := http.StatusConflict
	switch f.Code {
	case linnet.CodeUsage:
		status = http.StatusBadRequest
	case linnet.CodeNotFound:
		status = http.StatusNotFound
	case linnet.CodeFailed:
		status = http.StatusInternalServerError
	}
	writeJSON(w, status, f)
}
