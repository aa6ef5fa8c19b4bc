package main

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
)

// TestPathMTU sends files over a line that carries less than others, and less still later,
// without a word of its router: packets are as large as they may be.
func TestPathMTU(t *testing.T) {
	l := newLab(t, "mtu", "a=port-restricted", "b=full-cone")
	narrow := func(mtu int) { l.do("router", "a", "--", "ip", "link", "set", "wan", "mtu", strconv.Itoa(mtu)) }
	l.do("router", "a", "--", "nft", "add table inet hush; add chain inet hush out { type filter hook output priority filter; }; add rule inet hush out icmp type destination-unreachable drop")
	// Packets of these lengths, with headers, come to b.
	const head = 20 + 8 + 7 // IP, UDP and D frame
	lengths := []int{head + 1200, head + 1265, head + 1280}
	rules := []string{"add table inet lengths", "add chain inet lengths in { type filter hook input priority filter; }"}
	for _, n := range lengths {
		rules = append(rules, fmt.Sprintf("add rule inet lengths in meta l4proto udp meta length %d counter", n))
	}
	l.do("exec", "b", "--", "nft", strings.Join(rules, "; "))
	count := func(n int) (packets int) {
		for line := range strings.Lines(l.do("exec", "b", "--", "nft", "list", "table", "inet", "lengths")) {
			if _, rest, ok := strings.Cut(line, fmt.Sprintf("length %d counter packets ", n)); ok {
				fmt.Sscan(rest, &packets)
			}
		}
		return packets
	}
	l.network()
	a, b := l.resident("a"), l.resident("b")
	acquaint(t, a, b)
	narrow(1370) // not before: TCP has no way around a silent router
	send := func(name string, size int) {
		t.Helper()
		path, want := someBytes(t, name, size, 1)
		var id linnet.FileID
		eventually(t, "the file is offered", func() bool {
			var err error
			id, err = a.SendFile(t.Context(), b.user, path)
			return err == nil
		})
		eventually(t, "the offer is there", func() bool { return b.AnswerFile(t.Context(), id, true) == nil })
		began := time.Now()
		came := func() bool {
			list, _ := b.Files(t.Context())
			for _, f := range list {
				if f.ID == id {
					return f.State == linnet.FileDone
				}
			}
			return false
		}
		for !came() { // whoever finds out that wide packets are lost does so while nothing comes
			if time.Since(began) > 4*testPatience {
				t.Fatalf("%s: the file does not come", name)
			}
			time.Sleep(10 * time.Millisecond)
		}
		t.Logf("%s after %v", name, time.Since(began).Round(time.Millisecond))
		f, err := b.OpenFile(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Content.Close()
		if got, err := io.ReadAll(f.Content); err != nil || !bytes.Equal(got, want) {
			t.Errorf("%s: %d bytes of other content, %v", name, len(got), err)
		}
	}
	for try := 1; count(head+1280) < 500; try++ { // on a busy machine a file may be there before the width is known
		if try > 5 {
			t.Fatalf("on a line for 1370 bytes %d packets of %d", count(head+1280), head+1280)
		}
		send(fmt.Sprint("wide", try), 1_000_000)
	}
	narrow(1310)
	send("narrow", 1_000_000)
	if n, m := count(head+1265), count(head+1200); n+m < 500 {
		t.Errorf("on a line for 1310 bytes %d packets of %d, %d of %d", n, head+1265, m, head+1200)
	}
}
