package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
	"github.com/pelletier/go-toml/v2"
)

// settingsFile reads linnet.toml: from --home when given, else from the XDG
// configuration directory. It holds flags by name, those of one command under
// its name; a name that no command has is an error.
//
//	verbose = true
//	[up]
//	listen = "0.0.0.0:33040"
func settingsFile(args []string) (kong.Resolver, error) {
	path := filepath.Join(xdg("XDG_CONFIG_HOME", ".config"), "linnet", "linnet.toml")
	if home := homeFlag(args); home != "" {
		path = filepath.Join(home, "linnet.toml")
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return settings{}, nil
	} else if err != nil {
		return nil, fmt.Errorf("settings: %w", err)
	}
	s := settings{path: path}
	if err := toml.NewDecoder(bytes.NewReader(b)).Decode(&s.values); err != nil {
		return nil, fmt.Errorf("settings: %s: %w", path, err)
	}
	return s, nil
}

type settings struct {
	path   string
	values map[string]any
}

// Validate implements kong.Resolver: every name in the file has to be a flag.
func (s settings) Validate(app *kong.Application) error {
	known := make(map[string]bool)
	for _, f := range app.Flags {
		known[f.Name] = true
	}
	kong.Visit(app, func(n kong.Visitable, next kong.Next) error {
		if node, ok := n.(*kong.Node); ok && node.Type == kong.CommandNode {
			for _, f := range node.Flags {
				known[node.Path()+" "+f.Name] = true
			}
		}
		return next(nil)
	})
	return s.check(known, "", s.values)
}

func (s settings) check(known map[string]bool, prefix string, values map[string]any) error {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		full := prefix + name
		if table, ok := values[name].(map[string]any); ok {
			if err := s.check(known, full+" ", table); err != nil {
				return err
			}
		} else if !known[full] {
			return fmt.Errorf("%s: nothing is called %q here", s.path, full)
		}
	}
	return nil
}

// Resolve implements kong.Resolver. The environment wins over the file, which
// kong sees the other way round.
func (s settings) Resolve(_ *kong.Context, parent *kong.Path, flag *kong.Flag) (any, error) {
	for _, name := range flag.Envs {
		if _, ok := os.LookupEnv(name); ok {
			return nil, nil
		}
	}
	values := s.values
	if node := parent.Node(); node != nil {
		for _, part := range strings.Fields(node.Path()) {
			table, ok := values[part].(map[string]any)
			if !ok {
				return nil, nil
			}
			values = table
		}
	}
	if v, ok := values[flag.Name]; ok {
		return fmt.Sprint(v), nil
	}
	return nil, nil
}

// homeFlag finds --home before the command line is parsed, as the file that it names takes part in parsing.
func homeFlag(args []string) string {
	for i, a := range args {
		if v, ok := strings.CutPrefix(a, "--home="); ok {
			return v
		}
		if a == "--home" && i+1 < len(args) {
			return args[i+1]
		}
	}
	return os.Getenv("LINNET_HOME")
}
