// Package web carries the page that people see of their node, as files that a
// browser takes: api/http serves them. Its source is in src; `make web` makes dist
// of it, which needs Node. Linnet itself is built without.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files are those of the page, index.html among them.
func Files() fs.FS {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err) // the name above is not one
	}
	return files
}
