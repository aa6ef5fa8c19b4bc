package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// runDetect runs the program and returns its exit code and output.
func runDetect(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	t.Setenv("LINNET_HOME", t.TempDir())
	var out, errs bytes.Buffer
	code = run(context.Background(), args, strings.NewReader(""), &out, &errs)
	return code, out.String(), errs.String()
}

func TestDetect(t *testing.T) {
	file := filepath.Join(t.TempDir(), "calls.pcap")
	code, labels, errs := runDetect(t, "synthesise", file, "--calls", "6", "--messages", "130", "--seed", "5")
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	classes := make(map[string]string) // by both ends
	for line := range strings.Lines(labels) {
		var label struct{ Class, A, B string }
		if err := json.Unmarshal([]byte(line), &label); err != nil {
			t.Fatal(err)
		}
		classes[label.A+" "+label.B], classes[label.B+" "+label.A] = label.Class, label.Class
	}
	if len(classes) != 12 {
		t.Fatalf("labels: %s", labels)
	}

	page := filepath.Join(t.TempDir(), "r.html")
	code, lines, errs := runDetect(t, "detect", file, "--json", "--report", page)
	if code != 0 {
		t.Fatalf("exit code %d: %s", code, errs)
	}
	flows := 0
	for line := range strings.Lines(lines) {
		var r struct {
			File, Kind, Proto, Src, Dst, Verdict, Why string
			Packets                                   int
			CSC                                       struct {
				Class string
				Chi2  []float64
			}
			NBC struct {
				Voice      bool
				Belief     *float64
				SizeBelief *float64 `json:"size_belief"`
				GapBelief  *float64 `json:"gap_belief"`
				Codec      string
			}
		}
		dec := json.NewDecoder(strings.NewReader(line))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&r); err != nil {
			t.Fatal(err)
		}
		flows++
		if r.File != file || r.Kind != "flow" || r.CSC.Class != classes[r.Src+" "+r.Dst] || r.Verdict != "skype-voice" || r.Why == "" ||
			len(r.CSC.Chi2) != 16 || !r.NBC.Voice || *r.NBC.Belief != min(*r.NBC.SizeBelief, *r.NBC.GapBelief) || r.NBC.Codec == "" {
			t.Errorf("%s", line)
		}
	}
	if flows != 12 {
		t.Errorf("%d flows:\n%s", flows, lines)
	}
	if b, err := os.ReadFile(page); err != nil || bytes.Count(b, []byte("<svg")) != 4*12 {
		t.Errorf("report: %v", err)
	}

	code, text, _ := runDetect(t, "detect", file, "--as-published")
	if code != 0 || !strings.Contains(text, "12 flows and 0 endpoints judged") {
		t.Errorf("exit code %d:\n%s", code, text)
	}

	whole, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	cut := filepath.Join(t.TempDir(), "cut.pcap")
	if err := os.WriteFile(cut, whole[:len(whole)-3], 0o600); err != nil {
		t.Fatal(err)
	}
	code, text, errs = runDetect(t, "detect", cut)
	if code != 16 || !strings.Contains(errs, "byte ") || !strings.Contains(text, "12 skype-voice") {
		t.Errorf("cut file: exit code %d, %s", code, errs)
	}
	if code, _, errs = runDetect(t, "detect", cut+"x"); code != 16 || strings.Count(errs, "\n") != 1 {
		t.Errorf("no file: exit code %d, %s", code, errs)
	}
	if code, _, _ = runDetect(t, "detect", file, "--min-packets", "10"); code != 2 {
		t.Errorf("10 packets: exit code %d", code)
	}
}
