package http

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"github.com/coder/websocket"

	"github.com/linnet-p2p/linnet"
)

// What pages send over their WebSocket is one of these, and small.
type pageMessage struct {
	Take bool `json:"take"` // become the phone
}

// What they get is a linnet.Event, or this.
type phoneEvent struct {
	Kind  string `json:"kind"` // "phone"
	Phone bool   `json:"phone"`
}

const (
	maxPageMessage = 1 << 10
	maxPageName    = 64
	writeTimeout   = 10 * time.Second // of a page that stands still
)

func isWebSocket(r *http.Request) bool {
	return strings.EqualFold(r.Header.Get("Upgrade"), "websocket")
}

// events serves a page as long as it is open.
func (s *Site) events(w http.ResponseWriter, r *http.Request) {
	if !isWebSocket(r) {
		serveEvents(w, r, s.client)
		return
	}
	name := r.URL.Query().Get("page")
	if name == "" || len(name) > maxPageName {
		writeFailure(w, linnet.Errorf(linnet.CodeUsage, "a page needs a name of 1 to %d characters", maxPageName))
		return
	}
	events, err := s.client.Events(r.Context())
	if err != nil {
		writeFailure(w, err)
		return
	}
	s.pages.Add(1)
	defer s.pages.Done()
	conn, err := websocket.Accept(w, r, nil) // guarded has checked the origin
	if err != nil {
		return // it has answered
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxPageMessage)
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	seat := s.desk.sit(name)
	defer s.desk.rise(seat)
	go func() {
		defer cancel()
		for {
			var m pageMessage
			if _, b, err := conn.Read(ctx); err != nil || json.Unmarshal(b, &m) != nil {
				return
			}
			if m.Take {
				s.desk.take(seat)
			}
		}
	}()
	for {
		var v any
		select {
		case <-ctx.Done():
			return
		case phone := <-seat.phone:
			v = phoneEvent{"phone", phone}
		case e, more := <-events:
			if !more {
				conn.Close(websocket.StatusTryAgainLater, "") // fell behind, or the node stops
				return
			}
			v = e
		}
		if writeEvent(ctx, conn, v) != nil {
			return
		}
	}
}

func writeEvent(ctx context.Context, conn *websocket.Conn, v any) error {
	ctx, cancel := context.WithTimeout(ctx, writeTimeout)
	defer cancel()
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return conn.Write(ctx, websocket.MessageText, b)
}

// serveEvents tells everything, a JSON object a line, as long as somebody reads.
func serveEvents(w http.ResponseWriter, r *http.Request, c linnet.Client) {
	events, err := c.Events(r.Context())
	if err != nil {
		writeFailure(w, err)
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w)
	flush.Flush() // the caller knows now that it misses nothing from here on
	enc := json.NewEncoder(w)
	for e := range events {
		if enc.Encode(e) != nil || flush.Flush() != nil {
			return
		}
	}
}
