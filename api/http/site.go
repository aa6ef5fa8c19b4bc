package http

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math"
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

// A Site is the page of a node, for browsers on this machine; on an address that
// others reach, for those who have its password, and over TLS. Besides what a
// Handler has, it serves the files of the page, and
//
//	POST   /v1/session   {"token"} or {"password"} -> {"key"}, and a cookie
//	GET    /v1/events    as a WebSocket, with ?page= and ?key=: see desk
//
// All of /v1 but /v1/session wants the cookie and the key: in the header
// Linnet-Key, or for the WebSocket and downloads in the address. It answers only under its own
// name (others reach this machine by DNS rebinding), and only its own page.
type Site struct {
	client   linnet.Client
	listener net.Listener
	hosts    []string         // under which browsers may call it; the first is shown
	anyIP    bool             // and under any address, which nobody can rebind
	tls      *tls.Certificate // nil: on this machine only
	door     doorman
	cookie   string // its name
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
	Listen netip.AddrPort // zero is 127.0.0.1:33080, or any port if that is taken. Another one than a loopback address wants a password (SetPassword)

	// For addresses that are not loopback alone.
	Certificate *tls.Certificate // nil: one that is made here, and kept in Home
	Names       []string         // by which browsers may call it, besides its addresses
}

// sitePort is where the page is unless told otherwise: a bookmark lasts.
const sitePort = 33080

// NewSite opens the port of the page of c. Run serves it.
func NewSite(c linnet.Client, o SiteOptions) (*Site, error) {
	k, err := openKeys(o.Home)
	if err != nil {
		return nil, err
	}
	// Cookies ignore ports, so two nodes on one machine need two names.
	sum := sha256.Sum256([]byte(o.Home))
	s := &Site{client: c, keys: k, files: o.Files, cookie: "linnet-" + hex.EncodeToString(sum[:4]), door: doorman{home: o.Home}}
	names := []string{"localhost"}
	if o.Listen.IsValid() && !o.Listen.Addr().IsLoopback() {
		names = slices.Concat(addressesAt(o.Listen.Addr()), o.Names, names)
		if err := s.forOthers(o, names); err != nil {
			return nil, err
		}
	}
	if s.listener, err = listenSite(o.Listen); err != nil {
		return nil, err
	}
	at := s.listener.Addr().(*net.TCPAddr).AddrPort()
	if s.tls == nil {
		names = slices.Concat([]string{at.Addr().Unmap().String()}, names)
	}
	for _, name := range names {
		s.hosts = append(s.hosts, net.JoinHostPort(name, strconv.Itoa(int(at.Port()))))
	}
	return s, nil
}

// forOthers prepares for strangers: a password, and TLS.
func (s *Site) forOthers(o SiteOptions, names []string) error {
	l, err := readLock(o.Home)
	if err != nil {
		return err
	}
	if l == nil {
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("without a password the page is not served on %s, which others reach", o.Listen.Addr()),
			Hint: "set one with `linnet page --set-password`, or use 127.0.0.1"}
	}
	s.anyIP = o.Listen.Addr().IsUnspecified()
	if s.tls = o.Certificate; s.tls == nil {
		s.tls, err = ownCertificate(o.Home, time.Now(), names, !s.anyIP)
	}
	return err
}

// addressesAt are those by which browsers reach a listener at a, the most likely first.
func addressesAt(a netip.Addr) []string {
	if !a.IsUnspecified() {
		return []string{a.Unmap().String()}
	}
	all, _ := net.InterfaceAddrs() // without them it is reached at 127.0.0.1
	var list []string
	for _, x := range all {
		if n, ok := x.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && (n.IP.To4() != nil || a.Is6()) {
			list = append(list, n.IP.String())
		}
	}
	return append(list, "127.0.0.1")
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
func (s *Site) URL() string { return s.scheme() + "://" + s.hosts[0] + "/" }

func (s *Site) scheme() string {
	if s.tls != nil {
		return "https"
	}
	return "http"
}

// Fingerprint is that of the certificate, which people compare; "" without TLS.
func (s *Site) Fingerprint() string {
	if s.tls == nil {
		return ""
	}
	return fingerprint(s.tls)
}

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
	l := netutil.LimitListener(s.listener, maxConns)
	serve := func() error { return srv.Serve(l) }
	if s.tls != nil {
		srv.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*s.tls}, MinVersion: tls.VersionTLS13}
		srv.Protocols = new(http.Protocols)
		srv.Protocols.SetHTTP1(true)              // the streams of one HTTP/2 connection would not be counted
		srv.ErrorLog = log.New(io.Discard, "", 0) // of strangers who speak no TLS
		serve = func() error { return srv.ServeTLS(l, "", "") }
	}
	if err := serve(); !errors.Is(err, http.ErrServerClosed) {
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
	if namesFiles(m) {
		return linnet.CallID{}, errFiles
	}
	return c.Client.Call(ctx, user, m)
}

func (c pageClient) Answer(ctx context.Context, id linnet.CallID, m linnet.CallMedia) error {
	if namesFiles(m) {
		return errFiles
	}
	return c.Client.Answer(ctx, id, m)
}

func (c pageClient) AnswerTransfer(ctx context.Context, id linnet.CallID, yes bool, m linnet.CallMedia) (linnet.CallID, error) {
	if namesFiles(m) {
		return linnet.CallID{}, errFiles
	}
	return c.Client.AnswerTransfer(ctx, id, yes, m)
}

func (pageClient) LeaveVoicemail(context.Context, linnet.UserName, linnet.CallID, string) (linnet.Voicemail, error) {
	return linnet.Voicemail{}, errFiles
}

func (pageClient) SendFile(context.Context, linnet.UserName, string) (linnet.FileID, error) {
	return linnet.FileID{}, linnet.Errorf(linnet.CodeUsage, "a page uploads files; those of the node's machine are sent by programs on the local socket")
}

func namesFiles(m linnet.CallMedia) bool {
	return m.Play != "" || m.Record != "" || m.PlayVideo != "" || m.RecordVideo != ""
}

// guarded refuses what no page of ours sends, and tells the browser what ours may do.
func (s *Site) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; manifest-src 'self'; "+
			"media-src 'self' blob:; connect-src 'self' "+strings.Replace(s.scheme(), "http", "ws", 1)+"://"+r.Host+"; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
		h.Set("Permissions-Policy", "microphone=(self), camera=(self), display-capture=(self), geolocation=(), payment=(), usb=()")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(cmp.Or(s.patience, 10*time.Second)))
		if !s.ownHost(r.Host) {
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

// ownHost says whether a browser that calls this host means this page.
func (s *Site) ownHost(host string) bool {
	if slices.Contains(s.hosts, strings.ToLower(host)) {
		return true
	}
	at, err := netip.ParseAddrPort(host)
	return s.anyIP && err == nil && at.Port() == s.listener.Addr().(*net.TCPAddr).AddrPort().Port()
}

// ownOrigin says whether a request is of this page, or of a program that is no browser.
func (s *Site) ownOrigin(r *http.Request) bool {
	if o := r.Header.Get("Origin"); o != "" {
		return o == s.scheme()+"://"+r.Host
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
		if key == "" && (isWebSocket(r) || isDownload(r)) {
			key = r.URL.Query().Get("key")
		}
		cookie, err := r.Cookie(s.cookie)
		if err != nil || !s.keys.good(time.Now(), cookie.Value, key) {
			refuse(w, http.StatusUnauthorized, "this browser has no key to the node", "run `linnet page` in a terminal and open the link that it prints")
			return
		}
		if r.ContentLength != 0 && !isJSON(r) && !isUpload(r) {
			refuse(w, http.StatusUnsupportedMediaType, "requests are JSON here", "send Content-Type: application/json")
			return
		}
		http.NewResponseController(w).SetReadDeadline(time.Time{})
		next.ServeHTTP(w, r)
	})
}

// isDownload says that a link of the page is followed, which can send no header.
func isDownload(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.HasPrefix(r.URL.Path, "/v1/files/") && strings.HasSuffix(r.URL.Path, "/content")
}

// isUpload says that a request may be something else than JSON.
func isUpload(r *http.Request) bool {
	return r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/v1/users/") && (strings.HasSuffix(r.URL.Path, "/files") || strings.HasSuffix(r.URL.Path, "/voicemail")) && isRaw(r)
}

func isJSON(r *http.Request) bool {
	t, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && t == "application/json"
}

type sessionRequest struct {
	Token    string `json:"token,omitempty"`
	Password string `json:"password,omitempty"`
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
	if q.Password != "" {
		if !s.knows(w, r, q.Password) {
			return
		}
	} else if !s.keys.use(q.Token) {
		refuse(w, http.StatusUnauthorized, "this link was used already, or is of an earlier start", "run `linnet page` in a terminal and open the link that it prints")
		return
	}
	cookie, key := s.keys.session(time.Now())
	http.SetCookie(w, &http.Cookie{Name: s.cookie, Value: cookie, Path: "/v1/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, Secure: s.tls != nil, SameSite: http.SameSiteStrictMode})
	writeJSON(w, http.StatusOK, sessionReply{key})
}

// knows says whether a stranger knows the password, and tells one who does not.
func (s *Site) knows(w http.ResponseWriter, r *http.Request, password string) bool {
	if s.tls == nil {
		refuse(w, http.StatusUnauthorized, "on this machine a link opens the page", "run `linnet page` in a terminal and open the link that it prints")
		return false
	}
	http.NewResponseController(w).SetReadDeadline(time.Time{}) // trying it may take a while
	from, _ := netip.ParseAddrPort(r.RemoteAddr)
	right, wait, err := s.door.admit(r.Context(), time.Now(), from.Addr(), password)
	switch {
	case err != nil:
		writeFailure(w, err)
	case wait > 0:
		w.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(wait.Seconds()))))
		writeJSON(w, http.StatusTooManyRequests, failure{Code: linnet.CodeTooSoon, Text: "too many attempts",
			Hint: fmt.Sprintf("try again in %v", (wait + time.Second - 1).Truncate(time.Second))})
	case !right:
		writeJSON(w, http.StatusUnauthorized, failure{Code: linnet.CodePassword, Text: "this is not the password of the page"})
	}
	return right
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
