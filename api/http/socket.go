package http

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/linnet-p2p/linnet"
)

// Serve answers on a Unix socket at path until ctx ends. Only the user who
// runs the node can open it, which is all the authentication it has and needs.
// It gives links to site, if there is one.
func Serve(ctx context.Context, path string, c linnet.Client, site *Site) error {
	l, err := listen(path)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	register(mux, c)
	mux.HandleFunc("POST /v1/link", func(w http.ResponseWriter, _ *http.Request) {
		if site == nil {
			writeFailure(w, &linnet.Error{Code: linnet.CodeNotFound, Text: "this node serves no page", Hint: "start it with `linnet up`"})
			return
		}
		writeJSON(w, http.StatusOK, linkReply{site.Link()})
	})
	srv := &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { srv.Close() })
	defer stop()
	if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("local socket %s: %w", path, err)
	}
	return nil
}

// listen makes the socket. The file of a node that was killed is in the way
// until somebody removes it; one that still answers belongs to a living node.
func listen(path string) (net.Listener, error) {
	if !SocketFits(path) {
		return nil, fmt.Errorf("local socket %s: its path has more than %d characters", path, maxSocketPath)
	}
	if conn, err := net.Dial("unix", path); err == nil {
		conn.Close()
		return nil, &linnet.Error{Code: linnet.CodeInUse, Text: "another linnet is running in this directory",
			Hint: "stop it, or give this one a --home of its own"}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("remove the old local socket: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("local socket: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		l.Close()
		return nil, fmt.Errorf("local socket: %w", err)
	}
	return l, nil
}

// maxSocketPath is what sockaddr_un holds on the systems we run on, less its NUL (unix(7): 108 on Linux, 104 on BSD).
const maxSocketPath = 103

// SocketFits says whether a local socket can have this path.
func SocketFits(path string) bool { return len(path) <= maxSocketPath }
