package main

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

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

// desktopDownloads is the folder that the desktop has for this: as xdg-user-dirs set it,
// else Downloads. A node with a --home of its own keeps to that.
func desktopDownloads() string {
	user, err := os.UserHomeDir()
	if err != nil {
		return ""
	}
	b, err := os.ReadFile(filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), "user-dirs.dirs"))
	if err == nil {
		for _, line := range strings.Split(string(b), "\n") {
			value, ok := strings.CutPrefix(strings.TrimSpace(line), "XDG_DOWNLOAD_DIR=")
			dir := strings.Replace(strings.Trim(value, `"`), "$HOME", user, 1)
			if ok && filepath.IsAbs(dir) && dir != user && dir != user+"/" { // the home itself means that there is none
				return dir
			}
		}
	}
	return filepath.Join(user, "Downloads")
}

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
