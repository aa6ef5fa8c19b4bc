package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSim(t *testing.T) {
	page := filepath.Join(t.TempDir(), "report.html")
	var out, err strings.Builder
	code := run(t.Context(), []string{"--json", "sim", "steady", "--nodes", "300", "--supernodes", "5", "--duration", "5m", "--seed", "3", "--report", page}, nil, &out, &err)
	if code != 0 {
		t.Fatalf("exit %d: %s", code, err.String())
	}
	var report struct {
		Scenario string  `json:"scenario"`
		Seed     uint64  `json:"seed"`
		Virtual  float64 `json:"virtual_seconds"`
		Lookup   struct {
			Success float64 `json:"success"`
		} `json:"lookup"`
	}
	if e := json.Unmarshal([]byte(out.String()), &report); e != nil || report.Scenario != "steady" || report.Seed != 3 || report.Virtual < 300 {
		t.Errorf("%v: %s", e, out.String())
	}
	if !strings.Contains(err.String(), "attached") {
		t.Errorf("no progress on stderr: %q", err.String())
	}
	if b, e := os.ReadFile(page); e != nil || !strings.Contains(string(b), "<svg") {
		t.Errorf("report: %v, %d bytes", e, len(b))
	}
}

// A network that falls over is an error, and the message replays it.
func TestSimSaysWhatFailed(t *testing.T) {
	var out, err strings.Builder
	code := run(t.Context(), strings.Fields("sim outage-2010 --nodes 300 --supernodes 12 --duration 6m --naive"), nil, &out, &err)
	if code == 0 || !strings.Contains(err.String(), "--seed 1 --nodes 300 --supernodes 12") {
		t.Errorf("exit %d: %s", code, err.String())
	}
	if code := run(t.Context(), []string{"sim", "doom"}, nil, &out, &err); code != 2 || !strings.Contains(err.String(), "outage-2007") {
		t.Errorf("exit %d: %s", code, err.String())
	}
}
