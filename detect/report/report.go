// Package report draws what package detect found as one HTML page that needs
// nothing else: tables, and for each flow the statistic of its nibbles, how
// often each value came, and the densities of sizes and gaps, as SVG.
//
// Names of files come from whoever made them: html/template escapes all text,
// and the charts are made of numbers and of words of this package.
package report

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"time"

	"github.com/linnet-p2p/linnet/detect"
)

// MaxResults bounds a page. What is taken for Skype comes before the rest.
const MaxResults = 200

// Page collects results.
type Page struct {
	Made      time.Time
	Version   string
	Published bool
	Belief    float64 // the threshold
	Files     []File
	found     []result
	others    []result
	LeftOut   int
}

// File is one capture and how far it could be read.
type File struct {
	Name             string
	Packets          int64
	Flows, Endpoints int    // that were judged
	Found            int    // of those, taken for Skype
	Trouble          string // what ended the reading early
}

type result struct {
	File string
	*detect.Result
}

// Add takes a result of a file.
func (p *Page) Add(file string, r *detect.Result) {
	switch {
	case r.Verdict != detect.None && len(p.found) < MaxResults:
		p.found = append(p.found, result{file, r})
	case r.Verdict == detect.None && len(p.others) < MaxResults:
		p.others = append(p.others, result{file, r})
	default:
		p.LeftOut++
	}
}

// Found are the results that are taken for Skype.
func (p *Page) Found() []result { return p.found }

// Others are the rest.
func (p *Page) Others() []result { return p.others }

//go:embed page.html
var source string

var page = template.Must(template.New("page").Funcs(template.FuncMap{"round": func(x float64) string { return fmt.Sprintf("%.1f", x) }}).Parse(source))

// Write writes the page.
func (p *Page) Write(w io.Writer) error {
	if err := page.Execute(w, p); err != nil {
		return fmt.Errorf("report: %w", err)
	}
	return nil
}

// Charts are drawn for what there is something to draw of.
func (r result) Charts() []template.HTML {
	if r.Shape == nil {
		return []template.HTML{r.statistic()}
	}
	return []template.HTML{
		r.statistic(),
		r.values(),
		density("sizes", "bytes", r.Shape.Sizes[:], detect.SizeBin),
		density("gaps", "ms", r.Shape.Gaps[:], detect.GapBin),
	}
}

// Belief is empty where there were no windows to judge.
func (r result) Belief() string {
	if r.Bayes.Windows == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f (sizes %.1f, %s; gaps %.1f)", r.Bayes.Belief(), r.Bayes.Size, r.Bayes.Codec, r.Bayes.Gap)
}
