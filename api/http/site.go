package http

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/linnet-p2p/linnet"
)

// A Site is the page of a node, for browsers on this machine. Besides what a
// Handler has, it serves the files of the page, and
//
//	POST   /v1/session   {"token"} -> {"key"}, and a cookie
//	GET    /v1/events    as a WebSocket, with ?page= and ?key=: see desk
//
// All of /v1 but /v1/session wants the cookie and the key: in the header
// Linnet-Key, or for the WebSocket in its address. It answers only under its own
// name (others reach this machine by DNS rebinding), and only its own page.
type Site struct {
	client   linnet.Client
	listener net.Listener
	hosts    []string // under which browsers may call it
	cookie   string   // its name
	keys     *keys
	desk     desk
	files    fs.FS
	pages    sync.WaitGroup // WebSockets
	patience time.Duration  // with those who have no key, for what they send; 0 means 10 s
}

// maxConns are open at once: whoever is on this machine may connect, and the
// descriptors are those that calls need.
const maxConns = 128

// SiteOptions configures a Site. Home and Files are needed.
type SiteOptions struct {
	Home   string         // of the node: keeps the key of the page
	Files  fs.FS          // of the page
	Listen netip.AddrPort // a loopback address; zero is 127.0.0.1:33080, or any port if that is taken
}

// sitePort is where the page is unless told otherwise: a bookmark lasts.
const sitePort = 33080

// NewSite opens the port of the page of c. Run serves it.
func NewSite(c linnet.Client, o SiteOptions) (*Site, error) {
	if o.Listen.IsValid() && !o.Listen.Addr().IsLoopback() {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("the page cannot be served on %s: it is for browsers on this machine", o.Listen.Addr()),
			Hint: "use 127.0.0.1, and run a node on each machine that you sit at"}
	}
	k, err := openKeys(o.Home)
	if err != nil {
		return nil, err
	}
	l, err := listenSite(o.Listen)
	if err != nil {
		return nil, err
	}
	// Cookies ignore ports, so two nodes on one machine need two names.
	sum := sha256.Sum256([]byte(o.Home))
	s := &Site{client: c, listener: l, keys: k, files: o.Files, cookie: "linnet-" + hex.EncodeToString(sum[:4])}
	at := l.Addr().(*net.TCPAddr).AddrPort()
	port := strconv.Itoa(int(at.Port()))
	s.hosts = []string{net.JoinHostPort(at.Addr().Unmap().String(), port), net.JoinHostPort("localhost", port)}
	return s, nil
}

func listenSite(at netip.AddrPort) (net.Listener, error) {
	if at.IsValid() {
		l, err := net.Listen("tcp", at.String())
		if errors.Is(err, syscall.EADDRINUSE) {
			return nil, &linnet.Error{Code: linnet.CodeInUse, Text: fmt.Sprintf("port %d is used by another program", at.Port()),
				Hint: "choose another one with --web, or leave that out", Err: err}
		}
		return l, err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(sitePort)))
	if err != nil {
		l, err = net.Listen("tcp", "127.0.0.1:0")
	}
	return l, err
}

// URL is where the page is.
func (s *Site) URL() string { return "http://" + s.hosts[0] + "/" }

// Link opens the page, once. The token is in the fragment, which browsers send nowhere.
func (s *Site) Link() string { return s.URL() + "#token=" + s.keys.token() }

// Run serves the page until ctx ends.
func (s *Site) Run(ctx context.Context) error {
	srv := &http.Server{
		Handler:           s.Handler(),
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	defer s.pages.Wait()
	if err := srv.Serve(netutil.LimitListener(s.listener, maxConns)); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("page: %w", err)
	}
	return nil
}

// Handler is all that Run serves.
func (s *Site) Handler() http.Handler {
	api := Handler(pageClient{s.client})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/session", s.newSession)
	mux.Handle("/v1/", s.checked(api))
	mux.Handle("POST /v1/page", s.checked(s.onlyPhone(api)))
	mux.Handle("GET /v1/events", s.checked(http.HandlerFunc(s.events)))
	mux.HandleFunc("/", s.file)
	return s.guarded(mux)
}

// A pageClient keeps pages away from the files of the machine.
type pageClient struct{ linnet.Client }

var errFiles = linnet.Errorf(linnet.CodeUsage, "files are played and recorded by programs on the local socket, not by a page")

func (c pageClient) Call(ctx context.Context, user linnet.UserName, m linnet.CallMedia) (linnet.CallID, error) {
	if m.Play != "" || m.Record != "" {
		return linnet.CallID{}, errFiles
	}
	return c.Client.Call(ctx, user, m)
}

func (c pageClient) Answer(ctx context.Context, id linnet.CallID, m linnet.CallMedia) error {
	if m.Play != "" || m.Record != "" {
		return errFiles
	}
	return c.Client.Answer(ctx, id, m)
}

// guarded refuses what no page of ours sends, and tells the browser what ours may do.
func (s *Site) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; "+
			"media-src 'self' blob:; connect-src 'self' ws://"+r.Host+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Permissions-Policy", "microphone=(self), camera=(self), display-capture=(self), geolocation=(), payment=(), usb=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(cmp.Or(s.patience, 10*time.Second)))
		if !slices.Contains(s.hosts, r.Host) {
			refuse(w, http.StatusMisdirectedRequest, "this address is not the page's", "open "+s.URL())
			return
		}
		if !s.ownOrigin(r) {
			refuse(w, http.StatusForbidden, "another page may not use this node", "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ownOrigin says whether a request is of this page, or of a program that is no browser.
func (s *Site) ownOrigin(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" {
		return o == "http://"+r.Host
	}
	switch r.Header.Get("Sec-Fetch-Site") {
	case "", "same-origin", "none":
		return true
	}
	// A link on another page may lead here; it may not read or do anything.
	return !strings.HasPrefix(r.URL.Path, "/v1/") && r.Header.Get("Sec-Fetch-Mode") == "navigate"
}

const (
	keyHeader  = "Linnet-Key"
	pageHeader = "Linnet-Page"
)

// checked lets those through who have cookie and key.
func (s *Site) checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key := r.Header.Get(keyHeader)
		if key == "" && isWebSocket(r) {
			key = r.URL.Query().Get("key")
		}
		cookie, err := r.Cookie(s.cookie)
		if err != nil || !s.keys.good(time.Now(), cookie.Value, key) {
			refuse(w, http.StatusUnauthorized, "this browser has no key to the node", "run `linnet page` in a terminal and open the link that it prints")
			return
		}
		if r.ContentLength != 0 && !isJSON(r) {
			refuse(w, http.StatusUnsupportedMediaType, "requests are JSON here", "send Content-Type: application/json")
			return
		}
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		next.ServeHTTP(w, r)
	})
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

type sessionRequest struct {
	Token string `json:"token"`
}

type sessionReply struct {
	Key string `json:"key"`
}

func (s *Site) newSession(w http.ResponseWriter, r *http.Request) {
	if !isJSON(r) {
		refuse(w, http.StatusUnsupportedMediaType, "requests are JSON here", "send Content-Type: application/json")
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	q, err := read[sessionRequest](r)
	if err != nil {
		writeFailure(w, err)
		return
	}
	if !s.keys.use(q.Token) {
		refuse(w, http.StatusUnauthorized, "this link was used already, or is of an earlier start", "run `linnet page` in a terminal and open the link that it prints")
		return
	}
	cookie, key := s.keys.session(time.Now())
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: cookie, Path: "/v1/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, SameSite: http.SameSiteStrictMode})
	writeJSON(w, http.StatusOK, sessionReply{key})
}

// onlyPhone lets the page through that is the phone.
func (s *Site) onlyPhone(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.desk.isPhone(r.Header.Get(pageHeader)) {
			writeFailure(w, &linnet.Error{Code: linnet.CodeInUse, Text: "another page is the phone", Hint: "use that one, or take over here"})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// file serves the page.
func (s *Site) file(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		refuse(w, http.StatusMethodNotAllowed, "files are only read", "")
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "" {
		name = "index.html"
	}
	if info, err := fs.Stat(s.files, name); err != nil || info.IsDir() {
		refuse(w, http.StatusNotFound, "there is nothing here", "open "+s.URL())
		return
	}
	http.ServeFileFS(w, r, s.files, name)
}

func refuse(w http.ResponseWriter, status int, text, hint string) {
	writeJSON(w, status, failure{Code: linnet.CodeUsage, Text: text, Hint: hint})
}
