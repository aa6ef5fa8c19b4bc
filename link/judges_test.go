package link

import (
	"bytes"
	"context"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet/netsim"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/wire/frame"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Programs that know Skype's datagrams and nothing of this project read what a
// link sends. With LINNET_JUDGES set they have to be installed.

// judge runs such a program over a capture and returns the lines that it prints.
func judge(t *testing.T, capture string, name string, args ...string) []string {
	t.Helper()
	out, err := exec.Command(name, args...).Output()
	if err != nil {
		t.Fatalf("%s %s: %v", name, capture, err)
	}
	return strings.Split(strings.TrimRight(string(out), "\n"), "\n")
}

func needs(t *testing.T, name string) {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		if os.Getenv("LINNET_JUDGES") != "" {
			t.Fatal(err)
		}
		t.Skipf("%s is not installed (Debian: tshark, libndpi-bin)", name)
	}
}

// captured is the capture of what one host does.
func captured(t *testing.T, o Options, do func(t *testing.T, in *netsim.Internet, o Options)) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "link.pcap")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	simulate(t, func(t *testing.T, in *netsim.Internet) {
		c := netx.NewCapture(in.Host(netsim.HostOptions{}), f)
		o.Net, o.Listen = c, netip.AddrPortFrom(netip.Addr{}, port)
		do(t, in, o)
		if err := c.Err(); err != nil {
			t.Error(err)
		}
	})
	return path
}

// tshark has to find in each datagram what package frame means by it.
func TestTsharkReadsDatagrams(t *testing.T) {
	needs(t, "tshark")
	capture := captured(t, Options{}, func(t *testing.T, in *netsim.Internet, o Options) {
		b := in.Host(netsim.HostOptions{})
		server := new(tester)
		server.answer = func(from Origin, c message.Command) {
			switch m := c.Body.(type) {
			case *message.Probe:
				server.link.Reply(from, c.ID, &message.ProbeAccepted{})
			case *message.Hello:
				server.link.Reply(from, c.ID, &message.HelloReply{Noise: m.Noise})
			}
		}
		peer, _ := start(t, Options{Net: b, Listen: netip.AddrPortFrom(netip.Addr{}, port), Handler: server})
		l, _ := start(t, o)
		for _, m := range []message.Message{&message.Probe{}, &message.Hello{Noise: bytes.Repeat([]byte("noise "), 1000)}} {
			if _, err := l.Request(t.Context(), addr(b), m); err != nil {
				t.Fatal(err)
			}
		}
		l.SendPacket(Origin{Addr: addr(b)}, 0xdeadbeee, []byte("packet"))
		self, err := o.Net.Addrs()
		if err != nil {
			t.Fatal(err)
		}
		// No command of the table is both raw and one-way, so nothing asks for this.
		peer.write(netip.AddrPortFrom(self[0], port), frame.Frame{ID: 7, Type: frame.Confirm, Noise: 0x50, IP: self[0], Challenge: 9}, 0)
		time.Sleep(time.Second)
	})
	columns := []string{"udp.payload", "skype.som.id", "skype.som.unk", "skype.som.type",
		"skype.payload.iv", "skype.payload.crc", "skype.payload.encdata",
		"skype.ffr.num", "skype.ffr.unk1", "skype.ffr.iv", "skype.ffr.crc", "skype.ffr.encdata",
		"skype.natinfo.srcip", "skype.natinfo.dstip", "skype.natrequest.srcip", "skype.natrequest.dstip",
		"skype.audio.unk1", "skype.unknown_f.unk1", "skype.unknown_packet", "_ws.malformed"}
	args := []string{"-r", capture, "-d", fmt.Sprintf("udp.port==%d,skype", port), "-Y", "udp", "-T", "fields", "-E", "separator=,"}
	for _, c := range columns {
		args = append(args, "-e", c)
	}
	seen := make(map[frame.Type]int)
	for _, line := range judge(t, capture, "tshark", args...) {
		got := strings.Split(line, ",")
		f, err := frame.Parse(unhex(got[0]))
		if err != nil {
			t.Errorf("%s: %v", got[0], err)
			continue
		}
		seen[f.Type]++
		if want := meant(columns, got[0], f); !slices.Equal(got, want) {
			t.Errorf("%v: tshark says %v\nwant %v", f.Type, got, want)
		}
	}
	for _, typ := range []frame.Type{frame.Command, frame.Resend, frame.Confirm, frame.Nack, frame.Session, frame.Fragment} {
		if seen[typ] == 0 {
			t.Errorf("no %v was captured", typ)
		}
	}
}

// meant is a line of tshark for a frame, column by column.
func meant(columns []string, payload string, f frame.Frame) []string {
	is := map[string]string{
		"udp.payload":    payload,
		"skype.som.id":   fmt.Sprintf("0x%04x", f.ID),
		"skype.som.unk":  fmt.Sprintf("0x%02x", f.Noise>>4),
		"skype.som.type": fmt.Sprintf("0x%02x", uint8(f.Type)),
	}
	word := func(v uint32) string { return fmt.Sprintf("0x%08x", v) }
	switch f.Type {
	case frame.Command:
		is["skype.payload.iv"], is["skype.payload.crc"], is["skype.payload.encdata"] = word(f.IV), word(f.CRC), fmt.Sprintf("%x", f.Body)
	case frame.Resend: // what tshark calls an iv there is the address
		is["skype.ffr.num"], is["skype.ffr.unk1"], is["skype.ffr.iv"] = "0x01", word(f.Challenge), fmt.Sprintf("0x%x", f.IP.AsSlice())
		is["skype.ffr.crc"], is["skype.ffr.encdata"] = word(f.CRC), fmt.Sprintf("%x", f.Body)
	case frame.Confirm:
		is["skype.natinfo.srcip"], is["skype.natinfo.dstip"] = f.IP.String(), word(f.Challenge)
	case frame.Nack:
		is["skype.natrequest.srcip"], is["skype.natrequest.dstip"] = f.IP.String(), word(f.Challenge)
	case frame.Session:
		is["skype.audio.unk1"] = payload[6:]
	case frame.Fragment:
		is["skype.unknown_f.unk1"] = payload[6:]
	}
	line := make([]string, len(columns))
	for i, c := range columns {
		line[i] = is[c]
	}
	return line
}

// nDPI looks at the first byte of the first datagram of a flow, which is half
// of the id: from 7a00 on it knows every probe.
func TestNDPIKnowsProbes(t *testing.T) {
	needs(t, "ndpiReader")
	const flows = 200
	capture := captured(t, Options{FirstID: 0x7a00}, func(t *testing.T, in *netsim.Internet, o Options) {
		l, _ := start(t, o)
		for range flows {
			b := in.Host(netsim.HostOptions{})
			start(t, on(b))
			if _, err := l.Request(t.Context(), addr(b), &message.Probe{}); err != nil {
				t.Fatal(err)
			}
		}
	})
	known := verdicts(t, capture, "Skype_Teams.SkypeCall")
	t.Logf("nDPI calls %d of %d probe flows SkypeCall", known, flows)
	if known*100 < flows*95 {
		t.Errorf("nDPI calls %d of %d probe flows SkypeCall", known, flows)
	}
}

// A probe that is sent again has the same CRC and another IV. nDPI knows it by
// that, whatever the id.
func TestNDPIKnowsRetransmissions(t *testing.T) {
	needs(t, "ndpiReader")
	capture := captured(t, Options{FirstID: 0x4591}, func(t *testing.T, in *netsim.Internet, o Options) {
		l, _ := start(t, o)
		b := in.Host(netsim.HostOptions{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := l.Request(ctx, addr(b), &message.Probe{}); err == nil {
			t.Fatal("nobody is there, and yet there is an answer")
		}
	})
	if known := verdicts(t, capture, "Skype_Teams"); known != 1 {
		t.Errorf("nDPI calls %d flows Skype_Teams, want the one", known)
	}
}

// verdicts counts the flows that nDPI calls so.
func verdicts(t *testing.T, capture, name string) (n int) {
	t.Helper()
	for _, line := range judge(t, capture, "ndpiReader", "-i", capture, "-v", "2") {
		_, verdict, ok := strings.Cut(line, "[proto: ")
		verdict, _, _ = strings.Cut(verdict, "]")
		if _, verdict, _ = strings.Cut(verdict, "/"); ok && verdict == name {
			n++
		}
	}
	return n
}
