package main

import (
	"os"
	"path/filepath"
	"testing"
)

func settingsHome(t *testing.T, toml string) string {
	t.Helper()
	home := t.TempDir()
	if err := os.WriteFile(filepath.Join(home, "linnet.toml"), []byte(toml), 0o600); err != nil {
		t.Fatal(err)
	}
	return home
}

// A flag wins over the environment, that over the file.
func TestSettingsPrecedence(t *testing.T) {
	listens := func(home, addr string, flags ...string) {
		t.Helper()
		x := inProcess(t, append([]string{"up", "--home", home}, flags...)...)
		x.says("Listening on " + addr)
		x.end()
	}
	home := settingsHome(t, "verbose = false\n[up]\nlisten = \"127.0.0.2:0\"\n[network.create]\nsupernodes = 2\n")
	listens(home, "127.0.0.2:")
	t.Setenv("LINNET_LISTEN", "127.0.0.3:0")
	listens(home, "127.0.0.3:")
	listens(home, "127.0.0.4:", "--listen", "127.0.0.4:0")
}

func TestSettingsOfNestedCommandsAndTypes(t *testing.T) {
	home := settingsHome(t, "json = true\n[network.create]\nsupernodes = 2\nno-run = true\naddress = \"127.0.0.1\"\n")
	var made struct{ Invite string }
	unmarshal(t, do(t, "network", "create", "birds", "--home", home).succeeds(), &made)
	if _, err := os.Stat(filepath.Join(home, "supernode-2")); made.Invite == "" || err != nil {
		t.Errorf("invite %q, second supernode: %v", made.Invite, err)
	}
}

func TestSettingsRefused(t *testing.T) {
	for _, tt := range []struct{ toml, words string }{
		{"verbos = true", `nothing is called "verbos"`},
		{"listen = \"127.0.0.1:0\"", `nothing is called "listen"`},
		{"[up]\nlistn = 1", `nothing is called "up listn"`},
		{"[upp]\nlisten = 1", `nothing is called "upp listen"`},
		{"verbose = = true", "linnet.toml"},
		{"[up]\nlisten = 5", "listen"},
		{"verbose = \"perhaps\"", "verbose"},
	} {
		t.Run(tt.toml, func(t *testing.T) {
			do(t, "up", "--home", settingsHome(t, tt.toml)).fails(2, tt.words)
		})
	}
	t.Run("environment", func(t *testing.T) {
		t.Setenv("LINNET_LISTEN", "nowhere")
		do(t, "up", "--home", t.TempDir()).fails(2, "LINNET_LISTEN")
	})
}

// Without --home the XDG directories are used.
func TestXDG(t *testing.T) {
	data, config, run := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("XDG_DATA_HOME", data)
	t.Setenv("XDG_CONFIG_HOME", config)
	t.Setenv("XDG_RUNTIME_DIR", run)
	if err := os.Mkdir(filepath.Join(config, "linnet"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(config, "linnet", "linnet.toml"), []byte("[up]\nlisten = \"127.0.0.5:0\"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inProcess(t, "up").says("Listening on 127.0.0.5:")
	eventually(t, "the node answers", func() bool { return do(t, "status").code == 0 })
	for _, file := range []string{filepath.Join(data, "linnet", "linnet.db"), filepath.Join(run, "linnet.sock")} {
		if _, err := os.Stat(file); err != nil {
			t.Error(err)
		}
	}
}
