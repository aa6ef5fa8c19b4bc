package http

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

var update = flag.Bool("update", false, "write openapi.json")

// An operation is what openapi.json says of one path and method. What is asked
// and answered are Go values, whose types the file describes; nil is nothing.
type operation struct {
	does  string
	asks  any
	gives any
	where string // who has it: all, socket or site
}

var operations = map[string]operation{
	"GET /v1/status":                  {"How this node stands.", nil, linnet.Status{}, "all"},
	"POST /v1/network":                {"Join the network of an invite.", joinRequest{}, nil, "all"},
	"POST /v1/register":               {"Make an account and sign this device in.", linnet.Credentials{}, nil, "all"},
	"POST /v1/login":                  {"Sign this device in to an account that exists.", linnet.Credentials{}, nil, "all"},
	"POST /v1/logout":                 {"Sign this device out.", nil, nil, "all"},
	"GET /v1/findings":                {"What keeps this node from working, and what to do: some seconds later.", nil, []linnet.Finding{}, "all"},
	"PUT /v1/volunteer/relay":         {"Let it relay calls of others while it serves, within limits, or not.", linnet.RelayConsent{}, nil, "all"},
	"PUT /v1/volunteer":               {"Let this machine serve as a supernode while the network needs it, or not.", onRequest{}, nil, "all"},
	"GET /v1/users/{user}":            {"Ask the directory for a user.", nil, linnet.Listing{}, "all"},
	"POST /v1/users/{user}/ping":      {"Measure the way to a device of a user, without ringing.", nil, linnet.Pong{}, "all"},
	"GET /v1/card":                    {"The own card of the white pages, and whether the network has it.", nil, linnet.CardStatus{}, "all"},
	"PUT /v1/card":                    {"Publish a card, instead of the last one.", linnet.Card{}, linnet.CardStatus{}, "all"},
	"DELETE /v1/card":                 {"Withdraw the card.", nil, linnet.CardStatus{}, "all"},
	"GET /v1/search":                  {"Find people by words of their cards or user names; page is 1 for the first 50.", nil, linnet.SearchPage{}, "all"},
	"GET /v1/contacts":                {"Who is a contact, asks to be one, was asked or is blocked.", nil, []linnet.Contact{}, "all"},
	"PUT /v1/contacts/{user}":         {"Ask somebody to be a contact, with message; of one who is, change the name.", linnet.Contact{}, nil, "all"},
	"DELETE /v1/contacts/{user}":      {"Take somebody off the list; they are told.", nil, nil, "all"},
	"POST /v1/contacts/{user}/answer": {"Say yes or no to somebody who asks.", answerRequest{}, nil, "all"},
	"PUT /v1/contacts/{user}/block":   {"Notice nothing of somebody any more, or end that.", onRequest{}, nil, "all"},
	"GET /v1/presence":                {"What the user says of himself on this device.", nil, linnet.Mine{}, "all"},
	"PUT /v1/presence":                {"Say something else.", linnet.Mine{}, nil, "all"},

	"GET /v1/conversations":                  {"Whom the user writes with, the newest line first.", nil, []linnet.Conversation{}, "all"},
	"GET /v1/conversations/{user}/messages":  {"The last lines before one of them, or of all, the oldest first; limit says how many at most.", nil, []linnet.Message{}, "all"},
	"POST /v1/conversations/{user}/messages": {"Say something. It is on disk then; events tell how far it has come.", sendRequest{}, messageRef{}, "all"},
	"PUT /v1/conversations/{user}/read":      {"What they wrote up to a message is read; without one all.", messageRef{}, nil, "all"},
	"PUT /v1/conversations/{user}/typing":    {"The user writes to them just now: good for ten seconds.", onRequest{}, nil, "all"},
	"GET /v1/messages":                       {"Find messages by words, the newest first; limit says how many at most.", nil, []linnet.Message{}, "all"},
	"PUT /v1/messages/{message}":             {"Edit an own message.", editRequest{}, nil, "all"},
	"DELETE /v1/messages/{message}":          {"Delete an own message, for both sides.", nil, nil, "all"},
	"PUT /v1/messages/{message}/reaction":    {"React to a message with an emoji; an empty one takes it away.", reactionRequest{}, nil, "all"},

	"GET /v1/calls":                {"Past calls, the newest first; limit says how many at most.", nil, []linnet.CallRecord{}, "all"},
	"POST /v1/calls":               {"Call somebody. Events tell the rest.", dialRequest{}, dialReply{}, "all"},
	"POST /v1/calls/{call}/answer": {"Take a call that rings.", linnet.CallMedia{}, nil, "all"},
	"POST /v1/calls/{call}/hangup": {"End, cancel or reject a call.", nil, nil, "all"},
	"POST /v1/calls/{call}/video":  {"Show the camera or the screen of the page, or nothing any more.", videoRequest{}, nil, "all"},
	"POST /v1/calls/{call}/hold":   {"Hold a call, or take it back.", onRequest{}, nil, "all"},
	"POST /v1/calls/{call}/tone":   {"Press a key: one of 0-9, *, #, A-D.", toneRequest{}, nil, "all"},
	"POST /v1/page":                {"Connect a browser on this machine as microphone and loudspeaker: a WebRTC offer for its answer, both SDP.", pageRequest{}, pageReply{}, "all"},
	"GET /v1/files":                {"Files that were offered to others and by others, the newest first.", nil, []linnet.File{}, "all"},
	"POST /v1/files":               {"Offer a file of the node's machine to a contact. It has to stay as it is until it is done.", fileRequest{}, fileReply{}, "socket"},
	"POST /v1/users/{user}/files":  {"Offer a contact a file that is uploaded here, as it is; Content-Length has to be there.", rawBytes{}, fileReply{}, "all"},
	"POST /v1/files/{file}/answer": {"Say yes or no to a file that is offered.", answerRequest{}, nil, "all"},
	"PUT /v1/files/{file}/pause":   {"Stop a file for a while, or let it go on, also after trouble.", onRequest{}, nil, "all"},
	"POST /v1/files/{file}/cancel": {"End a file; what has come of it is deleted.", nil, nil, "all"},
	"GET /v1/files/{file}/content": {"The content of a file that came, to be saved. On the page, ?key= does instead of the header.", nil, rawBytes{}, "all"},
	"GET /v1/events":               {"What happens from now on: one event a line. On the page also as a WebSocket, one a message (?page= is the page's name, ?key= its key); there {\"kind\":\"phone\",\"phone\"} says whether this page is the phone, and the message {\"take\":true} makes it so.", nil, linnet.Event{}, "all"},
	"POST /v1/link":                {"A link that opens the page in a browser, once.", nil, linkReply{}, "socket"},
	"POST /v1/session":             {"The cookie and the key for the token of a link or, where other machines reach the page, for its password.", sessionRequest{}, sessionReply{}, "site"},
}

type patterns []string

func (p *patterns) HandleFunc(pattern string, _ func(http.ResponseWriter, *http.Request)) {
	*p = append(*p, pattern)
}

func TestOpenAPI(t *testing.T) {
	served := patterns{"POST /v1/link", "POST /v1/session"} // by the socket and by a Site: see their tests
	register(&served, &fake{})
	for _, p := range served {
		if _, described := operations[p]; !described {
			t.Errorf("%s is not described: add it to operations, and run go test ./api/http -update", p)
		}
	}
	for p := range operations {
		if !slices.Contains(served, p) {
			t.Errorf("%s is described, and nothing serves it", p)
		}
	}

	var s schemas
	want, err := json.MarshalIndent(s.document(), "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("openapi.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile("openapi.json")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("openapi.json is not what the code does (%v): go test ./api/http -update", err)
	}
}

// schemas collects the types that operations name.
type schemas struct{ named map[string]any }

type object = map[string]any

func (s *schemas) document() object {
	s.named = object{}
	paths := object{}
	for pattern, o := range operations {
		method, path, _ := strings.Cut(pattern, " ")
		op := object{"summary": o.does, "responses": object{
			"200":     object{"description": "done", "content": s.content(o.gives)},
			"default": object{"description": "what went wrong, and what to do", "content": s.content(failure{})},
		}}
		if o.asks != nil {
			op["requestBody"] = object{"content": s.content(o.asks)}
		}
		switch o.where {
		case "socket":
			op["description"] = "On the local socket only."
		case "site":
			op["description"] = "On the page only; wants neither cookie nor key."
			op["security"] = []object{}
		}
		var parameters []object
		for _, part := range strings.Split(path, "/") {
			if name, ok := strings.CutPrefix(part, "{"); ok {
				parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}})
			}
		}
		query := func(name string, required bool, schema object) {
			parameters = append(parameters, object{"name": name, "in": "query", "required": required, "schema": schema})
		}
		text, count := object{"type": "string"}, object{"type": "integer", "minimum": 1}
		switch pattern {
		case "GET /v1/calls":
			query("limit", true, count)
		case "GET /v1/search":
			query("words", true, text)
			query("page", true, count)
		case "POST /v1/users/{user}/files":
			query("name", true, text)
		case "POST /v1/users/{user}/voicemail":
			query("call", false, text)
		case "GET /v1/messages":
			query("words", true, text)
			query("limit", true, count)
		case "GET /v1/conversations/{user}/messages":
			query("before", false, text)
			query("limit", true, count)
		}
		if parameters != nil {
			op["parameters"] = parameters
		}
		if paths[path] == nil {
			paths[path] = object{}
		}
		paths[path].(object)[strings.ToLower(method)] = op
	}
	return object{
		"openapi": "3.1.0",
		"info": object{"title": "A Linnet node", "version": "1",
			"description": "What a running node offers on its local socket, and to its page. Made by go test ./api/http -update."},
		"paths":    paths,
		"security": []object{{"cookie": []string{}, "key": []string{}}},
		"components": object{"schemas": s.named, "securitySchemes": object{
			"cookie": object{"type": "apiKey", "in": "cookie", "name": "linnet-…", "description": "On the page: set by POST /v1/session. Its name is that of the node's home."},
			"key":    object{"type": "apiKey", "in": "header", "name": keyHeader, "description": "On the page: from POST /v1/session."},
		}},
	}
}

func (s *schemas) content(v any) object {
	schema := object{"type": "object"}
	if v != nil {
		schema = s.of(reflect.TypeOf(v))
	}
	return object{"application/json": object{"schema": schema}}
}

// of is the schema of a type, as encoding/json writes it.
func (s *schemas) of(t reflect.Type) object {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case reflect.PointerTo(t).Implements(reflect.TypeFor[interface{ UnmarshalText([]byte) error }]()):
		return object{"type": "string"}
	}
	switch t.Kind() {
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Int, reflect.Int64, reflect.Uint64, reflect.Uint16, reflect.Uint32:
		return object{"type": "integer"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Uint8 {
			return object{"type": "string", "contentEncoding": "base64"}
		}
		return object{"type": "array", "items": s.of(t.Elem())}
	case reflect.Struct:
		name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
		if s.named[name] == nil {
			properties := object{}
			s.named[name] = object{"type": "object", "properties": properties}
			s.fields(t, properties)
		}
		return object{"$ref": "#/components/schemas/" + name}
	}
	return object{"type": "string"}
}

func (s *schemas) fields(t reflect.Type, properties object) {
	for f := range t.NumField() {
		field := t.Field(f)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case field.Anonymous && name == "":
			s.fields(field.Type, properties)
		case name != "-":
			properties[name] = s.of(field.Type)
		}
	}
}
