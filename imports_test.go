package linnet_test

import (
	"encoding/json"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/linnet-p2p/linnet"

// layers is docs/architecture.md's picture as a list: a package imports only
// what stands above it. Packages of one line do not know one another.
var layers = [][]string{
	{"."},
	{"wire/objlist", "wire/obfuscate"},
	{"wire/arith", "wire/frame"},
	{"wire/message"},
	{"suite"},
	{"netx", "spare", "store/sqlite", "portmap"},
	{"netsim", "netx/proxytest"},
	{"link"},
	{"session"},
	{"overlay/alarm"},
	{"overlay"},
	{"overlay/overlaytest"},
	{"directory"},
	{"traverse", "relay", "login", "media", "bulk"},
	{"media/ogg", "media/ivf", "media/browser", "relay/load"},
	{"media/sample"},
	{"post"},
	{"post/posttest"},
	{"presence", "call", "chat", "files"},
	{"files/disk"},
	{"sim"},
	{"store"},
	{"node"},
	{"node/load"},
	{"web", "api/http"},
	{"detect/capture"},
	{"detect"},
	{"detect/synth", "detect/report"},
	{"detect/dissect"},
	{"cmd/linnet"},
}

// machines hold no socket, no goroutine and no clock.
var machines = []string{"session", "overlay", "directory", "traverse", "post", "presence", "call", "chat", "files"}

type goPackage struct {
	Dir, ImportPath string
	GoFiles         []string
	Imports         []string
}

func packages(t *testing.T) []goPackage {
	t.Helper()
	out, err := exec.Command("go", "list", "-json=Dir,ImportPath,GoFiles,Imports", "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	dec := json.NewDecoder(strings.NewReader(string(out)))
	for {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
}

func TestImportsPointOneWay(t *testing.T) {
	rank := make(map[string]int)
	for i, layer := range layers {
		for _, p := range layer {
			rank[strings.TrimSuffix(module+"/"+p, "/.")] = i
		}
	}
	for _, p := range packages(t) {
		own, known := rank[p.ImportPath]
		if !known {
			t.Errorf("%s has no place in the layers: add it to this test and to docs/architecture.md", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if r, ours := rank[imp]; ours && r >= own {
				t.Errorf("%s imports %s, which is not below it", p.ImportPath, imp)
			}
			if p.ImportPath == module && strings.Contains(imp, ".") {
				t.Errorf("the vocabulary imports %s; it may import the standard library only", imp)
			}
		}
	}
}

func TestMachinesDoNoIO(t *testing.T) {
	forbidden := []string{"net", "os", "log", "crypto/tls", module + "/link", module + "/netx", module + "/netsim"}
	clock := []string{"Now", "Since", "Until", "After", "AfterFunc", "NewTimer", "NewTicker", "Tick", "Sleep"}
	for _, p := range packages(t) {
		if !slices.Contains(machines, strings.TrimPrefix(p.ImportPath, module+"/")) {
			continue
		}
		for _, imp := range p.Imports {
			if slices.Contains(forbidden, imp) {
				t.Errorf("%s is a state machine and imports %s", p.ImportPath, imp)
			}
		}
		for _, name := range p.GoFiles {
			fset := token.NewFileSet()
			f, err := parser.ParseFile(fset, filepath.Join(p.Dir, name), nil, 0)
			if err != nil {
				t.Fatal(err)
			}
			ast.Inspect(f, func(n ast.Node) bool {
				switch n := n.(type) {
				case *ast.GoStmt:
					t.Errorf("%s: a state machine starts a goroutine", fset.Position(n.Pos()))
				case *ast.SelectorExpr:
					if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clock, n.Sel.Name) {
						t.Errorf("%s: a state machine reads the clock: time.%s", fset.Position(n.Pos()), n.Sel.Name)
					}
				}
				return true
			})
		}
	}
}
