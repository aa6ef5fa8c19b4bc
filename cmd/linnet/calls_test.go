package main

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
)

// The job of the program: what one says is what the other hears.
func TestCall(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice, bob := n.person(t, "alice", inProcess), n.person(t, "bob", inProcess)
	befriend(alice, bob)
	alice.finds("bob")
	play, record := speech(t), filepath.Join(t.TempDir(), "heard.ogg")
	call := alice.begin("call", "bob", "--play", play, "--seconds", "3", "--json")
	answer := bob.begin("answer", "--record", record) // before it rings, or after
	var mine linnet.CallRecord
	unmarshal(t, call.succeeds(), &mine)
	answer.succeeds()
	if mine.Outcome != linnet.OutcomeCompleted || mine.Path != linnet.DirectUDP || mine.PacketsSent < 140 || mine.Peer != "bob" || mine.Incoming {
		t.Errorf("alice's record: %+v", mine)
	}
	if same, _, err := samePackets(play, record); err != nil || same < 140 {
		t.Errorf("bob heard %d packets of what alice played: %v", same, err)
	}
	theirs := bob.history()[0]
	if theirs.ID != mine.ID || !theirs.Incoming || theirs.PacketsReceived < 140 || theirs.Loss > 0.01 {
		t.Errorf("bob's record: %+v", theirs)
	}
	for _, words := range []string{"It rings.", "Talking with bob (direct-udp)."} {
		if strings.Count(call.stderr.String(), words) != 1 {
			t.Errorf("stderr does not say %q once:\n%s", words, &call.stderr)
		}
	}
	if words := answer.stdout.String(); !strings.Contains(words, "completed with alice") || !strings.Contains(words, "of 4.5") {
		t.Errorf("bob's receipt:\n%s", words)
	}
}

// Ctrl-C ends a command that waits for a call.
func TestAnswerInterrupted(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	x := n.person(t, "alice", inProcess).begin("answer")
	x.says("Nobody calls yet")
	x.end()
	if x.code != exitInterrupted {
		t.Errorf("exit code %d", x.code)
	}
}

func TestContactsAndHistoryInJSON(t *testing.T) {
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	alice := n.person(t, "alice", inProcess)
	alice.do("contacts", "add", "Bob", "--name", "Bobby").succeeds()
	alice.do("contacts", "add", "carol").succeeds()
	alice.do("contacts", "remove", "carol").succeeds()
	var list []linnet.Contact
	unmarshal(t, alice.do("contacts", "--json").succeeds(), &list)
	if len(list) != 1 || list[0].User != "bob" || list[0].Name != "Bobby" || list[0].State != linnet.Asked {
		t.Errorf("contacts: %+v", list)
	}
	if got := alice.do("history", "--json").succeeds().stdout.String(); strings.TrimSpace(got) != "[]" {
		t.Errorf("an empty history is %q", got)
	}
}

// The captures of --pcap are read by tshark. What it takes random bytes for
// without being told what they are does not count.
func TestCapture(t *testing.T) {
	tshark, err := exec.LookPath("tshark")
	if err != nil {
		t.Skip("tshark is not installed:", err)
	}
	t.Parallel()
	n := newNetwork(t, 1, suite.RegistrationOpen).run()
	pcap := filepath.Join(t.TempDir(), "alice.pcap")
	alice := n.person(t, "alice", inProcess, "--pcap", pcap)
	bob := n.person(t, "bob", inProcess)
	alice.finds("bob")
	call := alice.begin("call", "bob")
	bob.rings()
	bob.do("hangup").succeeds()
	call.wait()
	_, port, _ := strings.Cut(alice.status().Addr, ":")
	alice.up.end() // the file is whole

	read := func(args ...string) string {
		t.Helper()
		var complaint bytes.Buffer
		cmd := exec.Command(tshark, append([]string{"-r", pcap}, args...)...)
		cmd.Stderr = &complaint
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("tshark: %v: %s", err, &complaint)
		}
		return string(out)
	}
	if tcp := read("-Y", "tcp.len > 0", "-T", "fields", "-e", "frame.number"); strings.Count(tcp, "\n") < 4 {
		t.Errorf("%d TCP segments with data", strings.Count(tcp, "\n"))
	}
	if bad := read("-o", "ip.check_checksum:TRUE", "-o", "udp.check_checksum:TRUE", "-Y", "ip.checksum.status == 0 || udp.checksum.status == 0"); bad != "" {
		t.Errorf("damaged:\n%s", bad)
	}
	types := make(map[string]int)
	for line := range strings.Lines(read("-d", "udp.port=="+port+",skype", "-Y", "udp", "-T", "fields", "-e", "skype.som.type")) {
		types[strings.TrimSpace(line)]++
	}
	for name, want := range map[string]string{"commands": "0x02", "packets of sessions": "0x0d"} {
		if types[want] == 0 {
			t.Errorf("frames by type: %v, want %s", types, name)
		}
	}
}

// The fields of the demo's report are an interface; see demoReport.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	t.Parallel()
	for _, name := range []string{suite.ModernName, suite.ClassicName} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDemo(t, name)
		})
	}
}

func testDemo(t *testing.T, suiteName string) {
	record, pcap := filepath.Join(t.TempDir(), "heard.ogg"), filepath.Join(t.TempDir(), "demo.pcap")
	x := do(t, "demo", "--headless", "--json", "--seconds", "2", "--suite", suiteName, "--record", record, "--pcap", pcap).succeeds()
	dec := json.NewDecoder(bytes.NewReader([]byte(x.stdout.String())))
	var report map[string]any
	if err := dec.Decode(&report); err != nil || dec.More() {
		t.Fatalf("stdout is not one JSON value: %v\n%s", err, &x.stdout)
	}
	for _, name := range []string{"registered_ms", "login_ms", "lookup_ms", "ring_ms", "answer_ms", "first_media_ms"} {
		if ms, ok := report[name].(float64); !ok || ms <= 0 {
			t.Errorf("%s is %v", name, report[name])
		}
	}
	for _, name := range []string{"call", "echo"} {
		call, _ := report[name].(map[string]any)
		if call["outcome"] != "completed" {
			t.Errorf("%s: outcome %v", name, call["outcome"])
		}
		if path, _ := call["path"].(string); !strings.HasSuffix(path, "-udp") {
			t.Errorf("%s: path %v", name, call["path"])
		}
		for _, field := range []string{"packets_sent", "packets_received", "loss", "mos"} {
			if _, ok := call[field].(float64); !ok {
				t.Errorf("%s: %s is %v", name, field, call[field])
			}
		}
	}
	if packets, err := opusPackets(record); err != nil || len(packets) < 90 {
		t.Errorf("the recording has %d packets: %v", len(packets), err)
	}
	explained(t, pcap, suiteName)
}

// Without --headless the demo runs on, and what it prints can be typed.
func TestDemoKeepsRunning(t *testing.T) {
	t.Parallel()
	x := inProcess(t, "demo")
	x.says("up --join linnet:")
	lines := make(map[string][]string)
	for line := range strings.Lines(x.stderr.String()) {
		if strings.HasPrefix(line, "  ") {
			words := strings.Fields(line)[1:] // without the name of the program
			key := words[2]
			if key == "call" {
				key += " " + words[3]
			}
			lines[key] = words
		}
	}
	for _, command := range []string{"status", "page", "lookup", "call bob", "call echo123", "answer", "up"} {
		if lines[command] == nil {
			t.Fatalf("%s is not among the commands printed: %v", command, lines)
		}
	}
	in := func(words []string, more ...string) []string { // not into the working directory
		for i, w := range words {
			if w == "heard.ogg" {
				words[i] = filepath.Join(t.TempDir(), w)
			}
		}
		return append(words, more...)
	}
	do(t, lines["status"]...).succeeds()
	do(t, lines["lookup"]...).succeeds()
	opensPage(t, strings.TrimSpace(do(t, lines["page"]...).succeeds().stdout.String()))
	answer := inProcess(t, in(lines["answer"])...)
	do(t, in(lines["call bob"], "--seconds", "1")...).succeeds()
	answer.succeeds()
	do(t, in(lines["call echo123"], "--seconds", "1")...).succeeds()
	words := lines["up"]
	words[1] = t.TempDir() // instead of ~/me
	up := inProcess(t, words...)
	up.says("Network demo")
	x.end()
	if x.code != 0 {
		t.Errorf("exit code %d after Ctrl-C", x.code)
	}
}
