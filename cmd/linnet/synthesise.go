package main

import (
	"bufio"
	"cmp"
	"fmt"
	"os"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/detect"
	"github.com/linnet-p2p/linnet/detect/synth"
)

type synthesiseCmd struct {
	File     string  `arg:"" help:"Where to write the capture."`
	Seed     uint64  `default:"1" help:"The same seed makes the same calls." placeholder:"N"`
	Calls    int     `default:"30" help:"How many." placeholder:"N"`
	Messages int     `default:"500" help:"Of each call, each way." placeholder:"N"`
	Class    string  `enum:",e2e,e2o,tcp" default:"" placeholder:"CLASS" help:"Only calls end to end (e2e), to gateways (e2o) or over TCP (tcp); default: each in turn."`
	Jitter   float64 `default:"3" help:"Standard deviation of the delay, in ms." placeholder:"MS"`
	Loss     float64 `default:"0.01" help:"Share of messages lost, 0 to 0.5." placeholder:"SHARE"`
}

func (c *synthesiseCmd) Run(p *program) error {
	if c.Calls < 1 || c.Messages < 1 || c.Jitter < 0 || c.Loss < 0 || c.Loss > 0.5 {
		return &linnet.Error{Code: linnet.CodeUsage, Text: "calls, messages, jitter or loss is out of range", Hint: "see `linnet synthesise --help`"}
	}
	f, err := os.Create(c.File)
	if err != nil {
		return &linnet.Error{Code: linnet.CodeBadFile, Text: fmt.Sprintf("%s cannot be written", c.File), Err: err}
	}
	out := bufio.NewWriterSize(f, 1<<20)
	calls, err := synth.Write(out, synth.Options{
		Seed: c.Seed, Calls: c.Calls, Messages: c.Messages, Class: detect.Class(c.Class), Jitter: c.Jitter, Loss: c.Loss,
	})
	if err = cmp.Or(err, out.Flush(), f.Close()); err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("%s cannot be written", c.File), Err: err}
	}
	for _, call := range calls {
		if err := p.printJSON(call); err != nil {
			return err
		}
	}
	return nil
}
