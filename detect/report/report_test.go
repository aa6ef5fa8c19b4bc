package report_test

import (
	"bytes"
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/detect/report"
	"github.com/linnet-p2p/linnet/detect/synth"
)

func TestPage(t *testing.T) {
	var b bytes.Buffer
	if _, err := synth.Write(&b, synth.Options{Calls: 3, Messages: 120}); err != nil {
		t.Fatal(err)
	}
	p := report.Page{Version: "test", Belief: -5}
	const evil = `<script>alert("1")</script>.pcap`
	p.Files = append(p.Files, report.File{Name: evil, Trouble: "<b>cut</b>"})
	d := detect.New(detect.Options{Histograms: true}, func(r *detect.Result) { p.Add(evil, r) })
	packets, err := capture.NewReader(&b)
	for err == nil {
		var packet *capture.Packet
		if packet, err = packets.Next(); err == nil {
			d.Add(packet)
		}
	}
	if err != io.EOF {
		t.Fatal(err)
	}
	d.Close()

	var page bytes.Buffer
	if err := p.Write(&page); err != nil {
		t.Fatal(err)
	}
	text := page.String()
	for _, bad := range []string{"<script", "<b>", "http:", "https:", "src=", "NaN", "Inf"} {
		if strings.Contains(text, bad) {
			t.Errorf("the page has %q in it", bad)
		}
	}
	if n := strings.Count(text, "<svg"); n != 6*4 {
		t.Errorf("%d charts, want 4 for each of 6 flows", n)
	}
	for _, chart := range strings.SplitAfter(text, "</svg>")[:24] {
		chart = chart[strings.Index(chart, "<svg"):]
		if err := xml.Unmarshal([]byte(chart), new(struct{})); err != nil {
			t.Errorf("chart: %v", err)
		}
	}
}

func TestPageIsBounded(t *testing.T) {
	var p report.Page
	for range 3 * report.MaxResults {
		p.Add("f", &detect.Result{Verdict: detect.None})
		p.Add("f", &detect.Result{Verdict: detect.Voice})
	}
	if len(p.Found()) != report.MaxResults || len(p.Others()) != report.MaxResults || p.LeftOut != 4*report.MaxResults {
		t.Errorf("%d, %d, %d", len(p.Found()), len(p.Others()), p.LeftOut)
	}
}
