package sim

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"
	"time"
)

// The charts are well-formed, and the page fetches nothing.
func TestPage(t *testing.T) {
	r := run(t, Options{Scenario: "steady", Nodes: 50, Supernodes: 3, Duration: time.Minute, Seed: 1})
	var b bytes.Buffer
	if err := r.WritePage(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	for _, far := range []string{"http:", "https:", "<script", "<link"} {
		if strings.Contains(page, far) {
			t.Errorf("the page contains %s", far)
		}
	}
	charts := strings.Split(page, "<svg")[1:]
	if len(charts) != 5 {
		t.Fatalf("%d charts", len(charts))
	}
	for _, c := range charts {
		c, _, _ = strings.Cut(c, "</svg>")
		d := xml.NewDecoder(strings.NewReader("<svg" + c + "</svg>"))
		for {
			if _, err := d.Token(); err == io.EOF {
				break
			} else if err != nil {
				t.Fatalf("%v in %s", err, c)
			}
		}
		if strings.Count(c, ",") < 50 {
			t.Error("a chart of almost no points")
		}
	}
}

func TestUnknownScenario(t *testing.T) {
	if _, err := Run(Options{Scenario: "doom"}); err == nil {
		t.Error("it ran")
	}
	if _, err := Run(Options{Scenario: "steady", Nodes: 1}); err == nil {
		t.Error("a network of one node ran")
	}
}
