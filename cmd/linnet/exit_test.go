package main

import (
	"go/ast"
	"go/constant"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
)

// codesOfTheVocabulary reads the codes out of the source of package linnet, so
// that a new one cannot be forgotten here.
func codesOfTheVocabulary(t *testing.T) (codes []linnet.Code) {
	t.Helper()
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, filepath.Join("..", "..", "errors.go"), nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	config := types.Config{Importer: importer.Default(), Error: func(error) {}} // its imports do not matter
	info := types.Info{Defs: make(map[*ast.Ident]types.Object)}
	config.Check("linnet", fset, []*ast.File{file}, &info)
	for name, def := range info.Defs {
		if c, ok := def.(*types.Const); ok && strings.HasPrefix(name.Name, "Code") {
			codes = append(codes, linnet.Code(constant.StringVal(c.Val())))
		}
	}
	if !slices.Contains(codes, linnet.CodeClock) {
		t.Fatalf("errors.go has the codes %v", codes)
	}
	return codes
}

// Every code has an exit code of its own, and docs/operating.md says which.
func TestExitCodes(t *testing.T) {
	doc, err := os.ReadFile(filepath.Join("..", "..", "docs", "operating.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| (\d+) \| ([a-z-]+) \|`).FindAllStringSubmatch(string(doc), -1) {
		documented[m[2]] = m[1]
	}
	seen := make(map[int]linnet.Code)
	for _, c := range codesOfTheVocabulary(t) {
		n, ok := exitCodes[c]
		if !ok || n == 0 || n == exitInterrupted || seen[n] != "" {
			t.Errorf("%s has exit code %d, that of %q", c, n, seen[n])
		}
		seen[n] = c
		if got := documented[string(c)]; got != strconv.Itoa(n) {
			t.Errorf("docs/operating.md gives %s exit code %q, want %d", c, got, n)
		}
	}
	if len(documented) != len(seen) {
		t.Errorf("docs/operating.md has %d codes, there are %d", len(documented), len(seen))
	}
	if n := exitCode("a code of a newer node"); n != exitCodes[linnet.CodeFailed] {
		t.Errorf("an unknown code gives %d", n)
	}
}

// How a call ends is what scripts see of it.
func TestExitCodesOfCalls(t *testing.T) {
	for outcome, want := range map[linnet.Outcome]int{
		linnet.OutcomeCompleted: 0, linnet.OutcomeMissed: 14, linnet.OutcomeNoAnswer: 14, linnet.OutcomeCancelled: 14,
		linnet.OutcomeBusy: 12, linnet.OutcomeRejected: 13, linnet.OutcomeOffline: 11, linnet.OutcomeNotFound: 10,
		linnet.OutcomeLost: 15, linnet.OutcomeFailed: 1,
	} {
		err := outcomeError(&linnet.CallRecord{Peer: "bob", Outcome: outcome})
		if code := 0; err != nil {
			if code = exitCode(linnet.CodeOf(err)); code != want {
				t.Errorf("%v gives exit code %d, want %d", outcome, code, want)
			}
			if text := err.Error(); !strings.Contains(text, "bob") || strings.Contains(text, "\n") {
				t.Errorf("%v is told as %q", outcome, text)
			}
		} else if want != 0 {
			t.Errorf("%v is no failure", outcome)
		}
	}
}

// A mistake on the command line leads to the help of that command.
func TestUsageErrorsNameTheHelp(t *testing.T) {
	for help, args := range map[string][]string{
		"`linnet --help`":                {"cal", "bob"},
		"`linnet call --help`":           {"call"},
		"`linnet network --help`":        {"network"},
		"`linnet network create --help`": {"network", "create", "birds", "--pcap", "x"},
	} {
		do(t, args...).fails(2, "see "+help)
	}
}
