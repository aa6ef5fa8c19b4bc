package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/capture"
	charts "github.com/linnet-p2p/linnet/detect/report"
)

type detectCmd struct {
	Captures    []string `arg:"" help:"pcap and pcapng files; - is stdin."`
	AsPublished bool     `help:"The method as published in 2007, with its printed thresholds."`
	Chi2        float64  `name:"chi2" env:"LINNET_CHI2" help:"Most chi-squared of a random nibble; default 45, as published 150 for all thresholds." placeholder:"N"`
	Belief      float64  `default:"-5" help:"Least belief of voice, -8 to -3; default -5." placeholder:"B"`
	MinPackets  int      `default:"100" help:"Judge flows of this many packets and more, at least 80; default 100." placeholder:"N"`
	Report      string   `help:"Write a page with charts to this file." placeholder:"FILE.html"`
}

func (c *detectCmd) Run(p *program) error {
	if c.MinPackets < 80 {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "--min-packets is below 80, where chi-squared means nothing"}
	}
	page := &charts.Page{Made: time.Now(), Version: version, Published: c.AsPublished, Belief: c.Belief}
	var failed error
	for _, name := range c.Captures {
		if err := c.judge(p, name, page); err != nil {
			if p.ctx.Err() != nil {
				return p.ctx.Err()
			}
			if failed != nil {
				p.tell("linnet: %v", failed) // the last one is told on the way out
			}
			failed = err
		}
	}
	if c.Report == "" {
		return failed
	}
	if err := writePage(c.Report, page.Write); err != nil {
		return err
	}
	p.tell("The charts are in %s.", c.Report)
	return failed
}

// judge prints what is in one capture, as far as it can be read.
func (c *detectCmd) judge(p *program, name string, page *charts.Page) error {
	in, size := p.stdin, int64(0)
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return &linnet.Error{Code: linnet.CodeBadFile, Text: fmt.Sprintf("the capture cannot be opened: %v", err)}
		}
		defer f.Close()
		if s, err := f.Stat(); err == nil && s.Mode().IsRegular() {
			size = s.Size()
		}
		in = f
	}
	bar := newProgressBar(p.stderr, filepath.Base(name), in, size)
	out := bufio.NewWriter(p.stdout)
	flows, endpoints := 0, 0
	found := make(map[detect.Verdict]int)
	d := detect.New(detect.Options{
		AsPublished: c.AsPublished, Chi2: c.Chi2, Belief: c.Belief, MinPackets: c.MinPackets, Histograms: c.Report != "",
	}, func(r *detect.Result) {
		if r.Endpoint {
			endpoints++
		} else {
			flows++
		}
		found[r.Verdict]++
		page.Add(name, r)
		if p.flags.JSON {
			enc := json.NewEncoder(out)
			enc.SetEscapeHTML(false)
			enc.Encode(resultView(name, r)) // out keeps its first error
		} else {
			writeResult(out, r)
		}
	})
	packets, err := capture.NewReader(bar)
	for err == nil {
		var packet *capture.Packet
		if packet, err = packets.Next(); err != nil {
			break
		}
		d.Add(packet)
		if packet.Number%4096 == 0 && p.ctx.Err() != nil {
			err = p.ctx.Err()
		}
	}
	bar.clear()
	d.Close()
	file := charts.File{Name: name, Flows: flows, Endpoints: endpoints, Found: found[detect.Voice] + found[detect.Signalling]}
	if packets != nil {
		file.Packets = packets.Counts().Packets
	}
	switch {
	case err == io.EOF:
		err = nil
	case p.ctx.Err() == nil:
		file.Trouble = strings.TrimPrefix(err.Error(), "capture: ")
		text := fmt.Sprintf("%s: %s", name, file.Trouble)
		if _, ok := errors.AsType[*capture.Error](err); ok && file.Packets > 0 {
			text += fmt.Sprintf(" (%d packets before that were judged)", file.Packets)
		}
		err = &linnet.Error{Code: linnet.CodeBadFile, Text: text, Err: err}
	}
	page.Files = append(page.Files, file)
	if !p.flags.JSON {
		fmt.Fprintf(out, "%s: %d packets, %d flows and %d endpoints judged; %d %s, %d %s\n", name, file.Packets, flows, endpoints,
			found[detect.Voice], detect.Voice, found[detect.Signalling], detect.Signalling)
	}
	if full := out.Flush(); full != nil && err == nil {
		err = fmt.Errorf("detect: %w", full)
	}
	return err
}

// writeResult shows people one flow or endpoint in three lines.
func writeResult(w io.Writer, r *detect.Result) {
	to := " > " + r.Dst.String()
	if r.Endpoint {
		to = fmt.Sprintf(" and its peers (%d or more)", r.Peers)
	}
	fmt.Fprintf(w, "%-16s  %s  %-45s  %6d packets", r.Verdict, r.Protocol, r.Src.String()+to, r.Packets)
	if !r.Endpoint {
		fmt.Fprintf(w, "  chi-squared %-4s", r.Class)
		if r.Bayes.Windows > 0 {
			fmt.Fprintf(w, "  belief %.1f (sizes %.1f %s, gaps %.1f)", r.Bayes.Belief(), r.Bayes.Size, r.Bayes.Codec, r.Bayes.Gap)
		}
	}
	fmt.Fprint(w, "\n    nibbles 1-16:")
	for _, chi2 := range r.Chi2 {
		fmt.Fprintf(w, " %.0f", chi2)
	}
	fmt.Fprintf(w, "\n    %s\n", r.Why)
}

// detected is a line of --json. Beliefs are null where nothing was long
// enough to have one.
type detected struct {
	File    string         `json:"file"`
	Kind    string         `json:"kind"` // flow, endpoint
	Proto   string         `json:"proto"`
	Src     string         `json:"src"`
	Dst     string         `json:"dst"` // empty for endpoints
	Packets int64          `json:"packets"`
	CSC     detectedCSC    `json:"csc"`
	NBC     detectedNBC    `json:"nbc"`
	Verdict detect.Verdict `json:"verdict"`
	Why     string         `json:"why"`
}

type detectedCSC struct {
	Class detect.Class           `json:"class"`
	Chi2  [detect.Groups]float64 `json:"chi2"`
}

type detectedNBC struct {
	Voice      bool     `json:"voice"`
	Belief     *float64 `json:"belief"`
	SizeBelief *float64 `json:"size_belief"`
	GapBelief  *float64 `json:"gap_belief"`
	Codec      string   `json:"codec"`
}

func resultView(file string, r *detect.Result) detected {
	v := detected{
		File: file, Kind: "flow", Proto: r.Protocol.String(), Src: r.Src.String(), Packets: r.Packets,
		CSC: detectedCSC{r.Class, r.Chi2}, NBC: detectedNBC{Voice: r.Bayes.Voice, Codec: r.Bayes.Codec}, Verdict: r.Verdict, Why: r.Why,
	}
	for g, chi2 := range v.CSC.Chi2 {
		v.CSC.Chi2[g] = math.Round(100*chi2) / 100
	}
	if r.Endpoint {
		v.Kind = "endpoint"
	} else {
		v.Dst = r.Dst.String()
	}
	if r.Bayes.Windows > 0 {
		belief := r.Bayes.Belief()
		v.NBC.Belief, v.NBC.SizeBelief, v.NBC.GapBelief = &belief, &r.Bayes.Size, &r.Bayes.Gap
	}
	return v
}
