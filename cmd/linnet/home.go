package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"

	"github.com/linnet-p2p/linnet/api/http"
)

// home is where this node keeps its things: --home, or the XDG data directory.
func (p *program) home() string {
	if p.flags.Home != "" {
		return p.flags.Home
	}
	return filepath.Join(xdg("XDG_DATA_HOME", ".local/share"), "linnet")
}

// socket is where a running node answers the other commands: in the home
// directory when one was named, else in the user's runtime directory.
func (p *program) socket() string {
	if run := os.Getenv("XDG_RUNTIME_DIR"); p.flags.Home == "" && run != "" {
		return filepath.Join(run, "linnet.sock")
	}
	path := filepath.Join(p.home(), "control.sock")
	if http.SocketFits(path) {
		return path
	}
	sum := sha256.Sum256([]byte(path))
	return filepath.Join(os.TempDir(), "linnet-"+hex.EncodeToString(sum[:8])+".sock")
}

// node is the client of the node that runs in this home.
func (p *program) node() *http.Client { return http.Dial(p.socket()) }

func xdg(variable, fallback string) string {
	if dir := os.Getenv(variable); filepath.IsAbs(dir) {
		return dir
	}
	user, err := os.UserHomeDir()
	if err != nil {
		return fallback
	}
	return filepath.Join(user, fallback)
}
