package detect_test

import (
	"bytes"
	"encoding/binary"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/capture"
	"github.com/linnet-p2p/linnet/detect/synth"
)

var rocFile = flag.String("roc", "", "write the curves of TestROC to this SVG file")

// pieces are flows of real traffic of other kinds, cut into pieces of 100
// messages, so that there are more of them to be wrong about.
func pieces(t *testing.T, o detect.Options) (results []*detect.Result) {
	for _, name := range captures(t) {
		if strings.HasPrefix(filepath.Base(name), "pos_") {
			continue
		}
		f, err := os.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		packets, err := capture.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		d := detect.New(o, func(r *detect.Result) {
			if !r.Endpoint {
				results = append(results, r)
			}
		})
		seen := make(map[string]int)
		for {
			p, err := packets.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if p.Length == 0 {
				continue
			}
			// Its own source address makes a piece a flow.
			key := fmt.Sprint(p.Protocol, p.Src, p.Dst)
			piece := p.Src.Addr().As16()
			binary.BigEndian.PutUint64(piece[:], 0x20010db8<<32|uint64(seen[key]/100))
			seen[key]++
			p.Src = netip.AddrPortFrom(netip.AddrFrom16(piece), p.Src.Port())
			d.Add(p)
		}
		d.Close()
		f.Close()
	}
	return results
}

// TestROC moves each threshold while the others stay, over made-up calls of
// 100 to 300 messages with jitter and loss, and pieces of real flows of other
// kinds. docs/detection.md shows the curves.
func TestROC(t *testing.T) {
	type rule struct {
		name       string
		published  bool
		thresholds []float64
		says       func(r *detect.Result, threshold float64) bool
	}
	class := func(r *detect.Result, rules detect.ChiSquared) bool {
		c, _ := rules.Classify(r.Chi2, r.Packets, r.Protocol == capture.TCP)
		return c != detect.NotSkype
	}
	chi2s := []float64{20, 25, 30, 35, 40, 45, 50, 60, 80, 100, 150, 200, 300}
	beliefs := []float64{-2, -3, -4, -5, -6, -7, -8, -9, -10, -20, -40, -60}
	rules := []rule{
		{"chi-squared as published", true, chi2s, func(r *detect.Result, x float64) bool { return class(r, detect.Published(x)) }},
		{"chi-squared corrected", false, chi2s, func(r *detect.Result, x float64) bool { return class(r, detect.Corrected(x)) }},
		{"naive Bayes as published", true, beliefs, func(r *detect.Result, x float64) bool { return r.Bayes.Belief() > x }},
		{"naive Bayes corrected", false, beliefs, func(r *detect.Result, x float64) bool { return r.Bayes.Belief() > x }},
		{"both as published, 150", true, beliefs, func(r *detect.Result, x float64) bool {
			return class(r, detect.Published(150)) && r.Bayes.Belief() > x
		}},
		{"both corrected, 45", false, beliefs, func(r *detect.Result, x float64) bool {
			return class(r, detect.Corrected(45)) && r.Bayes.Belief() > x
		}},
	}
	// Both sets, read once for each way of counting.
	calls, others := map[bool][]*detect.Result{}, map[bool][]*detect.Result{}
	for _, published := range []bool{false, true} {
		o := detect.Options{AsPublished: published, MinPackets: 80}
		for i, messages := range []int{100, 140, 200, 300} {
			b := generated(t, synth.Options{Seed: 10 + uint64(i), Calls: 90, Messages: messages, Jitter: 5, Loss: 0.02})
			for _, r := range judge(t, bytes.NewReader(b), o) {
				if !r.Endpoint {
					calls[published] = append(calls[published], r)
				}
			}
		}
		others[published] = pieces(t, o)
	}
	share := func(results []*detect.Result, says func(*detect.Result) bool) float64 {
		n := 0
		for _, r := range results {
			if says(r) {
				n++
			}
		}
		return float64(n) / float64(len(results))
	}
	t.Logf("%d calls, one way each; %d pieces of other flows", len(calls[false]), len(others[false]))
	var curves []curve
	for _, rule := range rules {
		c := curve{name: rule.name}
		for _, x := range rule.thresholds {
			says := func(r *detect.Result) bool { return rule.says(r, x) }
			right, wrong := share(calls[rule.published], says), share(others[rule.published], says)
			c.points = append(c.points, [2]float64{wrong, right})
			t.Logf("%-26s %5g: found %6.2f %%, false alarms %6.2f %%", rule.name, x, 100*right, 100*wrong)
			if !rule.published && strings.HasPrefix(rule.name, "both") && x == -5 && (right < 0.99 || wrong > 0) {
				t.Errorf("%s at the default: %.4f found, %.4f false alarms", rule.name, right, wrong)
			}
		}
		curves = append(curves, c)
	}
	if *rocFile != "" {
		if err := os.WriteFile(*rocFile, drawn(curves), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

type curve struct {
	name   string
	points [][2]float64 // false alarms, found
}

// drawn is the curves as SVG, the corner of few false alarms enlarged: up to
// 30 % across.
func drawn(curves []curve) []byte {
	const width, height, left, bottom, across = 640, 420, 50, 40, 0.30
	var b bytes.Buffer
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="12"><rect width="100%%" height="100%%" fill="#fff"/>`, width, height)
	x := func(share float64) float64 { return left + min(share, across)/across*(width-left-20) }
	y := func(share float64) float64 { return height - bottom - share*(height-bottom-20) }
	for i := range 7 {
		share := float64(i) * 0.05
		fmt.Fprintf(&b, `<text x="%.0f" y="%d" text-anchor="middle">%.0f %%</text>`, x(share), height-bottom+16, 100*share)
	}
	for i := range 6 {
		share := float64(i) * 0.2
		fmt.Fprintf(&b, `<text x="%d" y="%.0f" text-anchor="end">%.0f %%</text><path d="M%d %.1fH%d" stroke="#ddd"/>`, left-6, y(share)+4, 100*share, left, y(share), width-20)
	}
	fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="middle">false alarms</text><text x="%d" y="14">calls found</text>`, width/2, height-6, left)
	for i, c := range curves {
		colour := []string{"#c4820e", "#3b7ea1"}[i%2]
		dash := []string{"2 3", "7 3", "none"}[i/2]
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="2" stroke-dasharray="%s" points="`, colour, dash)
		for _, p := range c.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p[0]), y(p[1]))
		}
		b.WriteString(`"/>`)
		for _, p := range c.points {
			fmt.Fprintf(&b, `<circle cx="%.1f" cy="%.1f" r="2.5" fill="%s"/>`, x(p[0]), y(p[1]), colour)
		}
		at := height - bottom - 20 - 18*(len(curves)-1-i)
		fmt.Fprintf(&b, `<path d="M%d %dh30" stroke="%s" stroke-width="2" stroke-dasharray="%s"/><text x="%d" y="%d">%s</text>`, width-250, at-4, colour, dash, width-212, at, c.name)
	}
	b.WriteString("</svg>\n")
	return b.Bytes()
}
