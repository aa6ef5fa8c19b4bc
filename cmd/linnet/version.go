package main

import (
	"fmt"
	"runtime"
	"text/tabwriter"
)

type versionCmd struct{}

func (*versionCmd) Run(p *program) error {
	v := struct {
		Version string `json:"version"`
		Go      string `json:"go"`
		System  string `json:"system"`
	}{version, runtime.Version(), runtime.GOOS + "/" + runtime.GOARCH}
	return p.print(v, func(w *tabwriter.Writer) {
		fmt.Fprintf(w, "linnet %s (%s, %s)\n", v.Version, v.Go, v.System)
	})
}
