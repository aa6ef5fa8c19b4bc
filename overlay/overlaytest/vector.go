package overlaytest

import (
	"encoding/hex"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// VectorTime is when the test vectors were made.
var VectorTime = time.Date(2026, 3, 1, 12, 0, 30, 0, time.UTC)

// Alice is the device of suite/testdata/vectors.txt, and the Trust that opens
// her certificate: what docs/protocol.md takes its examples from.
func Alice(t testing.TB) (overlay.Identity, overlay.Trust) {
	t.Helper()
	file, err := os.ReadFile("../suite/testdata/vectors.txt")
	if err != nil {
		t.Fatal(err)
	}
	vectors := make(map[string][]byte)
	for line := range strings.Lines(string(file)) {
		name, digits, _ := strings.Cut(strings.TrimSpace(line), " ")
		if b, err := hex.DecodeString(digits); err == nil {
			vectors[name] = b
		}
	}
	d, err := suite.OpenDescriptor(vectors["descriptor"], [32]byte(vectors["fingerprint"]))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := suite.Modern().ParseKeys(vectors["keys"])
	if err != nil {
		t.Fatal(err)
	}
	trust, err := overlay.TrustIn(d)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := d.OpenCertificate(vectors["certificate"], VectorTime)
	if err != nil {
		t.Fatal(err)
	}
	return overlay.Identity{Node: cert.NodeID(), Certificate: vectors["certificate"], Keys: keys}, trust
}
