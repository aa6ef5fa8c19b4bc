package load

import (
	"bytes"
	"os"
	"os/exec"
	"testing"
)

func TestCore(t *testing.T) {
	c, err := Apart()
	if err != nil {
		t.Fatal(err)
	}
	all := c.others
	for i := range all {
		all[i] |= c.own[i]
	}
	defer keep(os.Getpid(), &all)
	var out bytes.Buffer
	cmd := exec.Command("nproc") // of the cores that it may use
	cmd.Stdout = &out
	if err := c.Start(cmd); err != nil {
		t.Skip(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	if out.String() != "1\n" {
		t.Errorf("what was started has %q cores", out.String())
	}
}
