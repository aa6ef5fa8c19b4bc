package sim

import (
	"fmt"
	"html/template"
	"io"
	"math"
	"strings"
	"time"
)

// WritePage writes the report as one page of HTML with its charts, which needs
// nothing else.
func (r *Report) WritePage(w io.Writer) error {
	charts := []chart{
		{Title: "Clients attached, of those that run", unit: " %", Lines: []line{
			{"attached", r.curve(func(_, s sample) float64 { return 100 * s.attached })},
		}, most: 100},
		{Title: "Load of the supernodes, of their limit", unit: " %", Lines: []line{
			{"mean", r.curve(func(_, s sample) float64 { return 100 * s.load })},
			{"fullest", r.curve(func(_, s sample) float64 { return 100 * s.loadMax })},
		}, most: 100},
		{Title: "Lookups a minute", Lines: []line{
			{"all", r.curve(func(before, s sample) float64 { return perMinute(s.lookups, before, s) })},
			{"failed", r.curve(func(before, s sample) float64 { return perMinute(s.failed, before, s) })},
		}},
		{Title: "Clients that run", Lines: []line{
			{"clients", r.curve(func(_, s sample) float64 { return float64(s.up) })},
		}},
		{Title: "Supernodes that run, and promotions so far", Lines: []line{
			{"supernodes", r.curve(func(_, s sample) float64 { return float64(s.supernodes) })},
			{"promotions", r.curve(func(_, s sample) float64 { return float64(s.promotions) })},
		}},
	}
	return page.Execute(w, struct {
		*Report
		About  string
		Naive  bool
		Charts []chart
	}{r, strings.ToUpper(r.about[:1]) + r.about[1:], r.naive, charts})
}

func perMinute(n int, before, s sample) float64 { return float64(n) / (s.at - before.at).Minutes() }

// curve is one figure over time.
func (r *Report) curve(of func(before, s sample) float64) []point {
	points := make([]point, 0, len(r.series))
	before := sample{at: -1}
	for _, s := range r.series {
		if s.at-before.at < time.Second/2 && before.at >= 0 {
			continue // the end came right after a sample
		}
		points = append(points, point{s.at, of(before, s)})
		before = s
	}
	return points
}

type point struct {
	at    time.Duration
	value float64
}

type line struct {
	Name   string
	points []point
}

type chart struct {
	Title, unit string
	Lines       []line
	most        float64 // of the scale, at least
}

// step is a round number of which about n make up most.
func step(most float64, n int) float64 {
	raw := most / float64(n)
	power := math.Pow(10, math.Floor(math.Log10(raw)))
	for _, f := range [...]float64{1, 2, 2.5, 5} {
		if f*power >= raw && (f != 2.5 || power > 1) {
			return f * power
		}
	}
	return 10 * power
}

// timeStep is a round time of which about n make up a duration.
func timeStep(d time.Duration, n int) time.Duration {
	for _, s := range [...]time.Duration{time.Minute, 2 * time.Minute, 5 * time.Minute, 10 * time.Minute, 20 * time.Minute, 30 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 6 * time.Hour} {
		if d/s <= time.Duration(n) {
			return s
		}
	}
	return 24 * time.Hour
}

// SVG draws a chart of 720 x 200 points.
func (c chart) SVG() template.HTML {
	const left, top, width, height = 70.0, 12.0, 640.0, 156.0
	most, end := max(c.most, 1), time.Minute
	for _, l := range c.Lines {
		for _, p := range l.points {
			most, end = max(most, p.value), max(end, p.at)
		}
	}
	every := step(most, 4)
	most = every * math.Ceil(most/every)
	x := func(t time.Duration) float64 { return left + width*float64(t)/float64(end) }
	y := func(v float64) float64 { return top + height*(1-v/most) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 720 200" role="img" aria-label="%s">`, c.Title)
	for v := 0.0; v <= most; v += every {
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" class="grid"/><text x="%g" y="%.1f" class="y">%.0f%s</text>`,
			left, left+width, y(v), y(v), left-6, y(v)+4, v, c.unit)
	}
	tick, unit := timeStep(end, 6), "min"
	if tick >= time.Hour {
		unit = "h"
	}
	for t := time.Duration(0); t <= end; t += tick {
		amount := t.Minutes()
		if unit == "h" {
			amount = t.Hours()
		}
		anchor := "x"
		if x(t) > left+width-20 {
			anchor = "y"
		}
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" class="%s">%g %s</text>`, min(x(t), left+width), top+height+22, anchor, amount, unit)
	}
	fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%g" y2="%g" class="begin"/>`, x(warmUp), x(warmUp), top, top+height)
	for i, l := range c.Lines {
		fmt.Fprintf(&b, `<polyline class="l%d" points="`, i)
		for _, p := range l.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p.at), y(p.value))
		}
		b.WriteString(`"/>`)
	}
	b.WriteString("</svg>")
	return template.HTML(b.String()) // made of numbers and of our own words
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1"><title>linnet sim {{.Scenario}}</title><style>
:root{color-scheme:light dark;--ink:#222;--soft:#5a5a5a;--paper:#fff;--grid:#ddd;--l0:#1668b8;--l1:#c0392b;--good:#1e7a43}
@media(prefers-color-scheme:dark){:root{--ink:#e6e6e6;--soft:#a8a8a8;--paper:#161616;--grid:#383838;--l0:#6db3f2;--l1:#ff8a7a;--good:#6fd08c}}
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:var(--ink);background:var(--paper)}
h1{line-height:1.2}figure{margin:1.4em 0 0}figcaption span{float:right;margin-left:1em;font-size:13px}figcaption span::before{content:"\2014\a0"}
svg{display:block;width:100%}text{font-size:12px;fill:var(--soft)}.y{text-anchor:end}.x{text-anchor:middle}
polyline{fill:none;stroke-width:1.5;vector-effect:non-scaling-stroke}.grid{stroke:var(--grid)}.begin{stroke:var(--soft);stroke-dasharray:4 3}
polyline.l0{stroke:var(--l0)}polyline.l1{stroke:var(--l1)}span.l0{color:var(--l0)}span.l1{color:var(--l1)}
table{border-collapse:collapse}td{padding:.15em 1.2em .15em 0;vertical-align:top}td:first-child{white-space:nowrap;color:var(--soft)}
.bad{color:var(--l1)}.good{color:var(--good)}
@media(max-width:560px){text{font-size:20px}td{display:block;padding:0}td:first-child{padding-top:.5em}figcaption{font-size:14px}}
</style></head><body>
<h1>{{.Scenario}}</h1>
<p>{{.About}}. {{.Nodes}} nodes, {{.Supernodes}} supernodes, seed {{.Seed}}{{if .Naive}}, without shedding and back-off{{end}}. The scenario begins at the dashed line.</p>
{{range .Failed}}<p class="bad">{{.}}</p>{{else}}<p class="good">The network stood it.</p>{{end}}
<table>
<tr><td>Lookups</td><td>{{.Lookup.Count}}, of which {{printf "%.4f" .Lookup.Success}} succeeded; {{printf "%.0f" .Lookup.P50}} ms median, {{printf "%.0f" .Lookup.P99}} ms and {{.Lookup.Trips}} round trips at the 99th percentile, {{printf "%.1f" .Lookup.Messages}} messages</td></tr>
<tr><td>Attached</td><td>{{printf "%.4f" .Attached.Min}} at worst, {{printf "%.4f" .Attached.Final}} in the end{{if .Attached.Recovered}}; 99 % again after {{printf "%.0f" .Attached.Recovered}} s{{end}}</td></tr>
<tr><td>Clients of a supernode</td><td>{{printf "%.0f" .Load.Mean}} in the mean, {{printf "%.0f" .Load.Max}} at most, limit {{.Load.Limit}}; {{.Lost}} supernodes lost to their load, {{.Promotions}} promoted</td></tr>
<tr><td>Traffic of a client</td><td>{{printf "%.1f" .Bytes}} bytes/s</td></tr>
{{if .Detection}}<tr><td>Deaths of supernodes</td><td>noticed after {{printf "%.1f" .Detection}} s, known everywhere after {{printf "%.1f" .Dissemination}} s (99th percentile)</td></tr>{{end}}
</table>
{{range .Charts}}<figure><figcaption>{{range $i, $l := .Lines}}<span class="l{{$i}}">{{$l.Name}}</span>{{end}}{{.Title}}</figcaption>{{.SVG}}</figure>
{{end}}</body></html>
`))
