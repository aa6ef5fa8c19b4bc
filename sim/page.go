package sim

import (
	"fmt"
	"html/template"
	"io"
	"strings"
)

// WritePage writes the report as one page of HTML with its charts, which needs
// nothing else.
func (r *Report) WritePage(w io.Writer) error {
	charts := []chart{
		{title: "Clients attached, of those that run", unit: "%", lines: []line{
			{"attached", "#1668b8", r.curve(func(_, s sample) float64 { return 100 * s.attached })},
		}, most: 100},
		{title: "Load of the supernodes, of their limit", unit: "%", lines: []line{
			{"mean", "#1668b8", r.curve(func(_, s sample) float64 { return 100 * s.load })},
			{"fullest", "#c0392b", r.curve(func(_, s sample) float64 { return 100 * s.loadMax })},
		}, most: 100},
		{title: "Lookups a minute", lines: []line{
			{"all", "#1668b8", r.curve(func(before, s sample) float64 { return perMinute(s.lookups, before, s) })},
			{"failed", "#c0392b", r.curve(func(before, s sample) float64 { return perMinute(s.failed, before, s) })},
		}},
		{title: "Nodes that run", lines: []line{
			{"clients", "#1668b8", r.curve(func(_, s sample) float64 { return float64(s.up) })},
			{"supernodes", "#c0392b", r.curve(func(_, s sample) float64 { return float64(s.supernodes) })},
		}},
	}
	data := struct {
		*Report
		About  string
		Naive  bool
		Charts []template.HTML
	}{r, r.about, r.naive, nil}
	for _, c := range charts {
		data.Charts = append(data.Charts, template.HTML(c.svg())) // made of numbers and of our own words
	}
	return page.Execute(w, data)
}

func perMinute(n int, before, s sample) float64 {
	if s.at <= before.at {
		return 0
	}
	return float64(n) / (s.at - before.at).Minutes()
}

// curve is one figure over time.
func (r *Report) curve(of func(before, s sample) float64) []point {
	points := make([]point, 0, len(r.series))
	var before sample
	for _, s := range r.series {
		points = append(points, point{s.at.Minutes(), of(before, s)})
		before = s
	}
	return points
}

type point struct{ minute, value float64 }

type line struct {
	name, colour string
	points       []point
}

type chart struct {
	title, unit string
	lines       []line
	most        float64 // of the scale, at least
}

// svg draws a chart of 720 x 220 points.
func (c *chart) svg() string {
	const left, top, width, height = 60.0, 28.0, 640.0, 160.0
	most, end := c.most, 1.0
	for _, l := range c.lines {
		for _, p := range l.points {
			most, end = max(most, p.value), max(end, p.minute)
		}
	}
	most = max(most, 1)
	x := func(m float64) float64 { return left + width*m/end }
	y := func(v float64) float64 { return top + height*(1-v/most) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg viewBox="0 0 720 220" role="img" aria-label="%s"><text x="%g" y="16" class="title">%s</text>`, c.title, left, c.title)
	for i := range 5 {
		v := most * float64(i) / 4
		fmt.Fprintf(&b, `<line x1="%g" x2="%g" y1="%.1f" y2="%.1f" class="grid"/><text x="%g" y="%.1f" class="y">%.4g%s</text>`,
			left, left+width, y(v), y(v), left-6, y(v)+4, v, c.unit)
		m := end * float64(i) / 4
		fmt.Fprintf(&b, `<text x="%.1f" y="%g" class="x">%.4g min</text>`, x(m), top+height+18, m)
	}
	warm := warmUp.Minutes()
	fmt.Fprintf(&b, `<line x1="%.1f" x2="%.1f" y1="%g" y2="%g" class="begin"/>`, x(warm), x(warm), top, top+height)
	for i, l := range c.lines {
		fmt.Fprintf(&b, `<polyline fill="none" stroke="%s" stroke-width="1.5" points="`, l.colour)
		for _, p := range l.points {
			fmt.Fprintf(&b, "%.1f,%.1f ", x(p.minute), y(p.value))
		}
		fmt.Fprintf(&b, `"/><text x="%g" y="16" class="key" fill="%s">%s</text>`, left+width-90*float64(len(c.lines)-1-i), l.colour, l.name)
	}
	b.WriteString("</svg>")
	return b.String()
}

var page = template.Must(template.New("page").Parse(`<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>linnet sim {{.Scenario}}</title><style>
body{font:15px/1.5 system-ui,sans-serif;max-width:760px;margin:2em auto;padding:0 1em;color:#222;background:#fff}
svg{width:100%;margin:.6em 0}text{font-size:11px;fill:#555}.title{font-size:14px;fill:#222}.y,.key{text-anchor:end}.x{text-anchor:middle}
.key{font-size:12px}.grid{stroke:#ddd}.begin{stroke:#999;stroke-dasharray:4 3}table{border-collapse:collapse}td{padding:.1em 1.2em .1em 0}
.bad{color:#c0392b}.good{color:#1e8449}</style></head><body>
<h1>{{.Scenario}}</h1>
<p>{{.About}}. {{.Nodes}} nodes, {{.Supernodes}} supernodes, seed {{.Seed}}{{if .Naive}}, without shedding and back-off{{end}}. The scenario begins at the dashed line.</p>
{{range .Failed}}<p class="bad">{{.}}</p>{{else}}<p class="good">The network stood it.</p>{{end}}
<table>
<tr><td>Lookups</td><td>{{.Lookup.Count}}, of which {{printf "%.4f" .Lookup.Success}} succeeded; {{printf "%.0f" .Lookup.P50}} ms median, {{printf "%.0f" .Lookup.P99}} ms and {{.Lookup.Trips}} round trips at the 99th percentile, {{printf "%.1f" .Lookup.Messages}} messages</td></tr>
<tr><td>Attached</td><td>{{printf "%.4f" .Attached.Min}} at worst, {{printf "%.4f" .Attached.Final}} in the end; 99 % again after {{printf "%.0f" .Attached.Recovered}} s</td></tr>
<tr><td>Clients of a supernode</td><td>{{printf "%.0f" .Load.Mean}} in the mean, {{printf "%.0f" .Load.Max}} at most, limit {{.Load.Limit}}; {{.Lost}} supernodes lost to their load</td></tr>
<tr><td>Traffic of a client</td><td>{{printf "%.1f" .Bytes}} bytes/s</td></tr>
<tr><td>Deaths of supernodes</td><td>noticed after {{printf "%.1f" .Detection}} s, known everywhere after {{printf "%.1f" .Dissemination}} s (99th percentile)</td></tr>
</table>
{{range .Charts}}{{.}}{{end}}
</body></html>
`))
