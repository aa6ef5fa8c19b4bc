package main

import (
	"encoding/json"
	"testing"

	"github.com/linnet-p2p/linnet/node/load"
)

// A supernode in a process of its own holds a crowd, each client for little
// memory. Resident memory tells nothing with so few: most of it is what does not
// grow. Live objects do, and with them the answers to raw commands of the last
// minute, up to 10 MB in all.
func TestBenchAttach(t *testing.T) {
	if testing.Short() {
		t.Skip("a quarter of a minute of waiting")
	}
	const clients, most = 2000, 4096
	x := inOwnProcess(t, "bench", "attach", "--clients", "2000", "--seconds", "3", "--json")
	<-x.done
	x.succeeds()
	var r load.Result
	if err := json.Unmarshal([]byte(x.stdout.String()), &r); err != nil {
		t.Fatal(err)
	}
	t.Logf("%+v", r)
	if r.Attached < clients*9/10 || r.Records != clients { // a client that got no processor for long may be on its way back
		t.Errorf("%d attached and %d records of %d", r.Attached, r.Records, clients)
	}
	if r.Memory.HeapClient > most {
		t.Errorf("%.0f bytes of live objects each, more than %d", r.Memory.HeapClient, most)
	}
	if r.Lookup.Asked == 0 || r.Lookup.Failed > r.Lookup.Asked/5 {
		t.Errorf("%d of %d look-ups failed", r.Lookup.Failed, r.Lookup.Asked)
	}
}
