package report

import (
	"fmt"
	"html/template"
	"math"
	"strings"

	"github.com/linnet-p2p/linnet/detect"
)

// The frame of a chart, in the units of its own coordinates.
const (
	width, height = 380, 190
	left, bottom  = 40, 30
	right, top    = 8, 20
)

// svg is a chart under construction. Only numbers and words of this package
// go into it.
type svg struct{ strings.Builder }

func begin(title string) *svg {
	s := new(svg)
	fmt.Fprintf(s, `<svg viewBox="0 0 %d %d" role="img" aria-label="%s">`, width, height, title)
	s.text(left, 13, "start", title)
	return s
}

func (s *svg) text(x, y float64, anchor, words string) {
	fmt.Fprintf(s, `<text x="%.1f" y="%.1f" text-anchor="%s">%s</text>`, x, y, anchor, template.HTMLEscapeString(words))
}

func (s *svg) bar(class string, x, y, w, h float64) {
	fmt.Fprintf(s, `<rect class="%s" x="%.1f" y="%.1f" width="%.1f" height="%.1f"/>`, class, x, y, w, h)
}

func (s *svg) line(class string, x1, y1, x2, y2 float64) {
	fmt.Fprintf(s, `<line class="%s" x1="%.1f" y1="%.1f" x2="%.1f" y2="%.1f"/>`, class, x1, y1, x2, y2)
}

func (s *svg) done() template.HTML {
	s.line("axis", left, height-bottom, width-right, height-bottom)
	s.line("axis", left, top, left, height-bottom)
	s.WriteString("</svg>")
	return template.HTML(s.String())
}

// statistic shows chi-squared of each nibble on a logarithmic scale, from 1 to
// what n fixed messages give, with the 95 % that random ones stay below.
func (r result) statistic() template.HTML {
	s := begin("chi-squared of nibbles 1 to 16")
	most := math.Log10(math.Max(1000, 15*float64(r.Packets)))
	y := func(chi2 float64) float64 {
		share := math.Log10(math.Max(1, chi2)) / most
		return height - bottom - math.Min(1, share)*(height-bottom-top)
	}
	step := float64(width-left-right) / detect.Groups
	for g, chi2 := range r.Chi2 {
		class := "random"
		if chi2 >= 45 {
			class = "fixed"
		}
		x := left + float64(g)*step
		s.bar(class, x+2, y(chi2), step-4, height-bottom-y(chi2))
		s.text(x+step/2, height-bottom+13, "middle", fmt.Sprint(g+1))
	}
	for decade := 0.0; decade <= most; decade++ {
		s.text(left-4, y(math.Pow(10, decade))+4, "end", fmt.Sprintf("%.0f", math.Pow(10, decade)))
	}
	s.line("limit", left, y(25), width-right, y(25))
	s.text(width-right, y(25)-3, "end", "95 % of random ones are below 25")
	return s.done()
}

// values shows how often each nibble had each value, as darkness.
func (r result) values() template.HTML {
	s := begin("values 0 to f (upwards) of nibbles 1 to 16")
	w, h := float64(width-left-right)/detect.Groups, float64(height-bottom-top)/16
	for g, counts := range r.Shape.Nibbles {
		total := 0.0
		for _, n := range counts {
			total += float64(n)
		}
		x := left + float64(g)*w
		for v, n := range counts {
			if n > 0 { // twice what chance gives is as dark as it gets
				fmt.Fprintf(s, `<rect class="value" x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill-opacity="%.2f"/>`,
					x, height-bottom-float64(v+1)*h, w-1, h-1, math.Min(1, float64(n)/total*8))
			}
		}
		s.text(x+w/2, height-bottom+13, "middle", fmt.Sprint(g+1))
	}
	return s.done()
}

// density shows a histogram as far as there is something in it.
func density(what, unit string, bins []uint32, bin int) template.HTML {
	var total, most float64
	end := 1
	for i, n := range bins {
		total += float64(n)
		most = math.Max(most, float64(n))
		if n > 0 {
			end = i + 1
		}
	}
	s := begin(fmt.Sprintf("density of %s, in %s", what, unit))
	if total == 0 {
		return s.done()
	}
	w := float64(width-left-right) / float64(end)
	for i, n := range bins[:end] {
		if n > 0 {
			h := float64(n) / most * (height - bottom - top)
			s.bar("random", left+float64(i)*w, height-bottom-h, math.Max(w-0.5, 0.8), h)
		}
	}
	for i := range 5 {
		x := left + float64(i)/4*(width-left-right)
		label := fmt.Sprint(i * end * bin / 4)
		if i == 4 && end == len(bins) {
			label += " +"
		}
		s.text(math.Min(x, width-right-10), height-bottom+13, "middle", label)
	}
	s.text(left-4, top+8, "end", fmt.Sprintf("%.0f %%", 100*most/total))
	return s.done()
}
