package capture

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// file is a pcap file of one link type.
func file(t testing.TB, link linkType, frames ...[]byte) []byte {
	t.Helper()
	// By hand: gopacket's link type has eight bits.
	b := unhex(t, "d4c3b2a1 0200 0400 00000000 00000000 ffff0000")
	b = binary.LittleEndian.AppendUint32(b, uint32(link))
	for i, f := range frames {
		b = binary.LittleEndian.AppendUint32(b, 1_000_000_000+uint32(i))
		b = binary.LittleEndian.AppendUint32(b, 250_000)
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = binary.LittleEndian.AppendUint32(b, uint32(len(f)))
		b = append(b, f...)
	}
	return b
}

// all reads to the end, keeping copies.
func all(r *Reader) (packets []Packet, err error) {
	for {
		p, err := r.Next()
		if err == io.EOF {
			return packets, nil
		}
		if err != nil {
			return packets, err
		}
		kept := *p
		kept.Payload = bytes.Clone(p.Payload)
		packets = append(packets, kept)
	}
}

func readAll(t testing.TB, b []byte) ([]Packet, *Reader) {
	t.Helper()
	r, err := NewReader(bytes.NewReader(b))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := all(r)
	if err != nil {
		t.Fatal(err)
	}
	return packets, r
}

// One datagram, 192.0.2.1:1000 to 192.0.2.2:2000 or 2001:db8::1 to ::2, "hello".
const (
	udpHello = "03e8 07d0 000d 0000 68656c6c6f"
	ip4Hello = "45000021 12340000 40110000 c0000201 c0000202" + udpHello
	ip6Hello = "60000000 000d1140 20010db8000000000000000000000001 20010db8000000000000000000000002" + udpHello
)

func TestLinks(t *testing.T) {
	const mac = "020000000002 020000000001"
	tests := []struct {
		name  string
		link  linkType
		frame string
	}{
		{"ethernet", linkEthernet, mac + "0800" + ip4Hello},
		{"ethernet, padded", linkEthernet, mac + "0800" + ip4Hello + "0000000000"},
		{"ethernet, IPv6", linkEthernet, mac + "86dd" + ip6Hello},
		{"VLAN", linkEthernet, mac + "8100 0005 0800" + ip4Hello},
		{"two VLANs", linkEthernet, mac + "88a8 0005 8100 0006 86dd" + ip6Hello},
		{"MPLS", linkEthernet, mac + "8847 00010040 00020140" + ip4Hello},
		{"PPPoE", linkEthernet, mac + "8864 1100 0001 0023 0021" + ip4Hello},
		{"802.3 with SNAP", linkEthernet, mac + "0029 aaaa03 000000 0800" + ip4Hello},
		{"cooked", linkCooked, "0000 0001 0006 0200000000010000 0800" + ip4Hello},
		{"cooked 2", linkCooked2, "86dd 0000 00000001 0001 00 06 0200000000010000" + ip6Hello},
		{"raw", linkRaw, ip4Hello},
		{"raw, IPv6", linkRaw, ip6Hello},
		{"raw, BSD", linkRawBSD, ip4Hello},
		{"IPv6 only", linkIPv6, ip6Hello},
		{"loopback, little endian", linkNull, "02000000" + ip4Hello},
		{"loopback, macOS IPv6", linkNull, "1e000000" + ip6Hello},
		{"loopback, OpenBSD", linkLoop, "00000018" + ip6Hello},
		{"PPP", linkPPP, "ff03 0021" + ip4Hello},
		{"PPP, compressed", linkPPP, "57" + ip6Hello},
		{"HDLC", linkHDLC, "0f00 0800" + ip4Hello},
		{"802.11 with quality of service", linkWiFi, "8801 0000" + strings.Repeat("00", 22) + "aaaa03 000000 0800" + ip4Hello},
		{"radiotap", linkRadiotap, "00000800 00000000 0801 0000" + strings.Repeat("00", 20) + "aaaa03 000000 0800" + ip4Hello},
		{"IP options", linkRaw, "46000025 12340000 40110000 c0000201 c0000202 01010100" + udpHello},
		{"length left to the card", linkRaw, "45000000 12340000 40110000 c0000201 c0000202" + udpHello},
		{"extension headers", linkRaw, "60000000 00250040 20010db8000000000000000000000001 20010db8000000000000000000000002" +
			"2b00 000000000000 3c00 0000000000 00 1100 000000000000" + udpHello},
		{"IPv6 in one fragment", linkRaw, "60000000 00152c40 20010db8000000000000000000000001 20010db8000000000000000000000002" +
			"11000000 00000001" + udpHello},
		{"IPv6 in IPv4", linkRaw, "45000049 00000000 40290000 0a000001 0a000002" + ip6Hello},
		{"GRE with a key", linkRaw, "4500003d 00000000 402f0000 0a000001 0a000002 2000 0800 00000007" + ip4Hello},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packets, r := readAll(t, file(t, tt.link, unhex(t, tt.frame)))
			if len(packets) != 1 {
				t.Fatalf("%d packets, %+v", len(packets), r.Counts())
			}
			src, dst := "192.0.2.1:1000", "192.0.2.2:2000"
			if strings.HasSuffix(strings.TrimRight(tt.frame, "0"), ip6Hello) || strings.Contains(tt.frame, "20010db8") {
				src, dst = "[2001:db8::1]:1000", "[2001:db8::2]:2000"
			}
			p := packets[0]
			if p.Src.String() != src || p.Dst.String() != dst || p.Protocol != UDP || p.Number != 1 {
				t.Errorf("%v > %v %v, frame %d", p.Src, p.Dst, p.Protocol, p.Number)
			}
			if string(p.Payload) != "hello" || p.Length != 5 {
				t.Errorf("payload %q of %d", p.Payload, p.Length)
			}
			if want := time.Unix(1_000_000_000, 250_000_000); !p.Time.Equal(want) {
				t.Errorf("time %v", p.Time)
			}
		})
	}
}

func TestNotYielded(t *testing.T) {
	tests := []struct {
		name, frame string
		want        Counts
	}{
		{"empty", "", Counts{Malformed: 1}},
		{"ICMP", "4500001c 12340000 40010000 c0000201 c0000202 0800 0000 00000000", Counts{Other: 1}},
		{"UDP header cut", ip4Hello[:2*24+6], Counts{Malformed: 1}},
		{"UDP length below its header", "45000021 12340000 40110000 c0000201 c0000202 03e8 07d0 0007 0000 68656c6c6f", Counts{Malformed: 1}},
		{"IP header too short", "44000021 12340000 40110000 c0000201 c0000202" + udpHello, Counts{Malformed: 1}},
		{"TCP header beyond the packet", "45000028 12340000 40060000 c0000201 c0000202 03e8 07d0 00000001 00000002 f0180000 00000000", Counts{Malformed: 1}},
		{"extension header beyond the packet", "60000000 00080040 20010db8000000000000000000000001 20010db8000000000000000000000002 11ff 000000000000", Counts{Malformed: 1}},
		{"tunnels without end", strings.Repeat("4500ffff 00000000 40040000 0a000001 0a000002", 20), Counts{Malformed: 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packets, r := readAll(t, file(t, linkRaw, unhex(t, tt.frame)))
			tt.want.Frames = 1
			if len(packets) != 0 || r.Counts() != tt.want {
				t.Errorf("%d packets, %+v, want %+v", len(packets), r.Counts(), tt.want)
			}
		})
	}
}

func TestSegment(t *testing.T) {
	const segment = "4500002d 12340000 40060000 c0000201 c0000202 03e8 07d0 01020304 05060708 5018ffff 00000000 68656c6c6f"
	packets, _ := readAll(t, file(t, linkRaw, unhex(t, segment), unhex(t, segment)[:42]))
	if len(packets) != 2 {
		t.Fatalf("%d packets", len(packets))
	}
	p := packets[0]
	if p.Protocol != TCP || p.Seq != 0x01020304 || p.Ack != 0x05060708 || p.Flags != PSH|ACK || string(p.Payload) != "hello" {
		t.Errorf("%+v", p)
	}
	if p := packets[1]; string(p.Payload) != "he" || p.Length != 5 || p.Number != 2 {
		t.Errorf("cut by the snap length: %q of %d", p.Payload, p.Length)
	}
}

// fragments cuts a datagram of IPv4 into pieces of size bytes.
func fragments(t testing.TB, payload []byte, size int, id uint16) (frames [][]byte) {
	udp := unhex(t, "03e8 07d0 0000 0000")
	binary.BigEndian.PutUint16(udp[4:], uint16(8+len(payload)))
	all := append(udp, payload...)
	for at := 0; at < len(all); at += size {
		part := all[at:min(at+size, len(all))]
		h := unhex(t, "45000000 00000000 40110000 c0000201 c0000202")
		binary.BigEndian.PutUint16(h[2:], uint16(20+len(part)))
		binary.BigEndian.PutUint16(h[4:], id)
		offset := uint16(at / 8)
		if at+size < len(all) {
			offset |= 0x2000
		}
		binary.BigEndian.PutUint16(h[6:], offset)
		frames = append(frames, append(h, part...))
	}
	return frames
}

func TestFragments(t *testing.T) {
	payload := bytes.Repeat([]byte("0123456789"), 300)
	f := fragments(t, payload, 800, 7)
	if len(f) != 4 {
		t.Fatalf("%d fragments", len(f))
	}
	overlap := bytes.Clone(f[1])
	binary.BigEndian.PutUint16(overlap[6:], 0x2000|99) // one unit early
	cut := f[2][:20+100]
	tests := []struct {
		name   string
		frames [][]byte
		want   int // bytes of payload captured; -1 for none
	}{
		{"in order", [][]byte{f[0], f[1], f[2], f[3]}, 3000},
		{"backwards", [][]byte{f[3], f[2], f[1], f[0]}, 3000},
		{"one twice", [][]byte{f[0], f[2], f[2], f[1], f[0], f[3]}, 3000},
		{"one missing", [][]byte{f[0], f[2], f[3]}, -1},
		{"overlapping", [][]byte{f[0], overlap, f[1], f[2], f[3]}, -1},
		{"one cut by the snap length", [][]byte{f[0], f[1], cut, f[3]}, 1600 + 100 - 8},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packets, r := readAll(t, file(t, linkRaw, tt.frames...))
			if tt.want < 0 {
				if len(packets) != 0 {
					t.Errorf("%d packets, %+v", len(packets), r.Counts())
				}
				return
			}
			if len(packets) != 1 {
				t.Fatalf("%d packets, %+v", len(packets), r.Counts())
			}
			if p := packets[0]; p.Length != 3000 || len(p.Payload) != tt.want || !bytes.HasPrefix(payload, p.Payload) {
				t.Errorf("%d bytes of %d", len(p.Payload), p.Length)
			}
		})
	}
}

// A flood of first fragments must not grow without limit, and must leave
// room for honest ones that come after it.
func TestFragmentFlood(t *testing.T) {
	payload := make([]byte, 1400)
	var frames [][]byte
	for id := range 20_000 {
		frames = append(frames, fragments(t, payload, 1024, uint16(id))[0])
	}
	frames = append(frames, fragments(t, []byte("after the flood"), 16, 0xffff)...)
	r, err := NewReader(bytes.NewReader(file(t, linkRaw, frames...)))
	if err != nil {
		t.Fatal(err)
	}
	packets, err := all(r)
	if err != nil || len(packets) != 1 {
		t.Fatalf("%d packets, %v", len(packets), err)
	}
	if r.whole.bytes > MaxFragmentBytes || r.whole.oldest.Len() > maxFragmented || len(r.whole.waiting) != r.whole.oldest.Len() {
		t.Errorf("%d bytes, %d datagrams wait", r.whole.bytes, r.whole.oldest.Len())
	}
}

func TestErrors(t *testing.T) {
	whole := file(t, linkRaw, unhex(t, ip4Hello), unhex(t, ip4Hello))
	huge := bytes.Clone(whole)
	binary.LittleEndian.PutUint32(huge[24+8:], math.MaxUint32)
	section := unhex(t, "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000")
	iface := unhex(t, "01000000 14000000 6500 0000 00000000 14000000")
	block := func(parts ...string) []byte {
		return append(append(bytes.Clone(section), iface...), unhex(t, strings.Join(parts, ""))...)
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(whole)
	w.Close()

	tests := []struct {
		name    string
		file    []byte
		packets int
		offset  int64
		err     error
	}{
		{"empty", nil, 0, 0, ErrNotCapture},
		{"text", []byte("not a capture"), 0, 0, ErrNotCapture},
		{"pcap header cut", whole[:20], 0, 0, ErrTruncated},
		{"version", unhex(t, "d4c3b2a1 0300 0400 00000000 00000000 ffff0000 65000000"), 0, 4, ErrUnsupported},
		{"link type", file(t, 220), 0, 20, ErrUnsupported},
		{"record header cut", whole[:24+49+8], 1, 24 + 49, ErrTruncated},
		{"record cut", whole[:len(whole)-1], 1, 24 + 49, ErrTruncated},
		{"record too long", huge, 0, 24, ErrCorrupt},
		{"gzip cut", packed.Bytes()[:packed.Len()-10], 2, int64(len(whole)), ErrTruncated},
		{"section cut", section[:10], 0, 0, ErrTruncated},
		{"section's byte order", unhex(t, "0a0d0d0a 1c000000 4d3c2b1b 0100 0000 ffffffffffffffff 1c000000"), 0, 0, ErrCorrupt},
		{"block too short", block("06000000 08000000"), 0, 48, ErrCorrupt},
		{"block cut", block("06000000 20000000 00000000"), 0, 48, ErrTruncated},
		{"block's second length", block("06000000 20000000 00000000 00000000 00000000 00000000 00000000 24000000"), 0, 48, ErrCorrupt},
		{"block too long", block("06000000 f0ffff7f"), 0, 48, ErrCorrupt},
		{"unknown block cut", block("99000000 f0ffff7f 00000000"), 0, 48, ErrTruncated},
		{"interface that is not there", block("06000000 20000000 01000000 00000000 00000000 00000000 00000000 20000000"), 0, 48, ErrCorrupt},
		{"more data than block", block("06000000 20000000 00000000 00000000 00000000 04000000 04000000 20000000"), 0, 48, ErrCorrupt},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r, err := NewReader(bytes.NewReader(tt.file))
			var packets []Packet
			if err == nil {
				packets, err = all(r)
			}
			e, ok := errors.AsType[*Error](err)
			if !ok || !errors.Is(err, tt.err) || e.Offset != tt.offset {
				t.Errorf("%v, want %v at byte %d", err, tt.err, tt.offset)
			}
			if len(packets) != tt.packets {
				t.Errorf("%d packets before it, want %d", len(packets), tt.packets)
			}
		})
	}
}

type failing struct{ io.Reader }

var errDisk = errors.New("disk on fire")

func (f failing) Read(b []byte) (int, error) {
	n, err := f.Reader.Read(b)
	if err == io.EOF {
		err = errDisk
	}
	return n, err
}

func TestErrorOfTheFile(t *testing.T) {
	r, err := NewReader(failing{bytes.NewReader(file(t, linkRaw, unhex(t, ip4Hello)))})
	if err != nil {
		t.Fatal(err)
	}
	if packets, err := all(r); !errors.Is(err, errDisk) || len(packets) != 1 {
		t.Errorf("%d packets, %v", len(packets), err)
	}
}

func TestPcapng(t *testing.T) {
	hello4, hello6 := unhex(t, ip4Hello), unhex(t, ip6Hello)
	var b bytes.Buffer
	w, err := pcapgo.NewNgWriterInterface(&b, pcapgo.NgInterface{Name: "a", LinkType: layers.LinkTypeRaw, TimestampResolution: 9}, pcapgo.DefaultNgWriterOptions)
	if err != nil {
		t.Fatal(err)
	}
	second, err := w.AddInterface(pcapgo.NgInterface{Name: "loop", LinkType: layers.LinkTypeNull, TimestampResolution: 9})
	if err != nil {
		t.Fatal(err)
	}
	at := time.Unix(1_700_000_000, 123_456_789)
	for _, p := range []struct {
		iface int
		data  []byte
	}{{0, hello4}, {second, append([]byte{30, 0, 0, 0}, hello6...)}} {
		if err := w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(p.data), Length: len(p.data), InterfaceIndex: p.iface}, p.data); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Flush(); err != nil {
		t.Fatal(err)
	}
	// A second section, big endian: milliseconds from 100 s on, an unknown
	// block, and one packet in each of the other two forms.
	b.Write(unhex(t, "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"))
	b.Write(unhex(t, "00000001 0000002c 0065 0000 00000030 0009 0001 03000000 000e 0008 0000000000000064 0000 0000 0000002c"))
	b.Write(unhex(t, "0000000a 00000010 12345678 00000010"))
	b.Write(unhex(t, "00000002 00000044 0000 0000 00000000 000005dd 00000021 00000021"+ip4Hello+"000000 00000044"))
	b.Write(unhex(t, "00000003 00000034 00000021"+ip4Hello+"000000 00000034"))

	packets, r := readAll(t, b.Bytes())
	if len(packets) != 4 {
		t.Fatalf("%d packets, %+v", len(packets), r.Counts())
	}
	for i, p := range packets {
		want := []time.Time{at, at, time.Unix(101, 501_000_000), time.Unix(101, 501_000_000)}[i]
		if string(p.Payload) != "hello" || !p.Time.Equal(want) {
			t.Errorf("packet %d: %q at %v, want %v", i, p.Payload, p.Time, want)
		}
	}
	if r.Offset() != int64(b.Len()) {
		t.Errorf("read %d bytes of %d", r.Offset(), b.Len())
	}
}

// A file may claim any 64 bits as a time, in any unit and from any second on.
func TestTimesBeyondAllCalendars(t *testing.T) {
	const head = "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"
	for _, tt := range []struct {
		offset, stamp string // seconds
		want          time.Time
	}{
		{"0000000000000000", "0000000065535ff0", time.Unix(0x65535ff0, 0)},
		{"0000000000000000", "0000010000000000", time.Time{}},
		{"0000000000000000", "ffffffff00000000", time.Time{}},
		{"8000000000000000", "0000000000000001", time.Time{}},
		{"7fffffffffffffff", "7fffffffffffffff", time.Time{}},
	} {
		packets, _ := readAll(t, unhex(t, head+
			"00000001 0000002c 0065 0000 00000030 0009 0001 00000000 000e 0008 "+tt.offset+" 0000 0000 0000002c"+
			"00000006 00000044 00000000"+tt.stamp+"00000021 00000021"+ip4Hello+"000000 00000044"))
		if len(packets) != 1 || !packets[0].Time.Equal(tt.want) {
			t.Errorf("%s and %s: %v, want %v", tt.offset, tt.stamp, packets, tt.want)
			continue
		}
		if _, err := packets[0].Time.MarshalJSON(); err != nil {
			t.Error(err)
		}
	}
}

func TestGzip(t *testing.T) {
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	w.Write(file(t, linkRaw, unhex(t, ip4Hello)))
	w.Close()
	if packets, _ := readAll(t, packed.Bytes()); len(packets) != 1 {
		t.Errorf("%d packets", len(packets))
	}
}

// captures are real ones, kept outside of the repository.
func captures(t testing.TB) []string {
	t.Helper()
	files, _ := filepath.Glob("../../../shared/captures/*.pcap*")
	if len(files) == 0 {
		t.Skip("the labelled captures are not beside this repository (../shared/captures)")
	}
	return files
}

// TestAgreesWithGopacket holds what is read of real captures against
// gopacket's own reader and layers.
func TestAgreesWithGopacket(t *testing.T) {
	for _, name := range captures(t) {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := byGopacket(t, b)
		got, r := readAll(t, b)
		fragmented := int(r.Counts().Fragments)
		if len(got) < len(want) || len(got) > len(want)+fragmented {
			t.Errorf("%s: %d packets, gopacket reads %d; %+v", filepath.Base(name), len(got), len(want), r.Counts())
			continue
		}
		at := 0
		for _, w := range want {
			for at < len(got) && got[at].Number != w.Number {
				at++ // a datagram of fragments, which gopacket leaves alone
			}
			if at == len(got) || got[at].Src != w.Src || got[at].Dst != w.Dst || got[at].Seq != w.Seq ||
				!got[at].Time.Equal(w.Time) || !bytes.Equal(got[at].Payload, w.Payload) {
				t.Errorf("%s: frame %d differs from what gopacket reads", filepath.Base(name), w.Number)
				break
			}
		}
	}
}

func byGopacket(t *testing.T, b []byte) (packets []Packet) {
	var source gopacket.PacketDataSource
	var link func(gopacket.CaptureInfo) layers.LinkType
	if r, err := pcapgo.NewReader(bytes.NewReader(b)); err == nil {
		source, link = r, func(gopacket.CaptureInfo) layers.LinkType { return r.LinkType() }
	} else {
		r, err := pcapgo.NewNgReader(bytes.NewReader(b), pcapgo.NgReaderOptions{WantMixedLinkType: true})
		if err != nil {
			t.Fatal(err)
		}
		source, link = r, func(ci gopacket.CaptureInfo) layers.LinkType { return ci.AncillaryData[0].(layers.LinkType) }
	}
	for number := int64(1); ; number++ {
		data, ci, err := source.ReadPacketData()
		if err != nil {
			return packets
		}
		decoded := gopacket.NewPacket(data, link(ci), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
		p := Packet{Number: number, Time: ci.Timestamp}
		var src, dst gopacket.Endpoint
		if network := decoded.NetworkLayer(); network != nil {
			src, dst = network.NetworkFlow().Endpoints()
		}
		from, _ := netip.AddrFromSlice(src.Raw())
		to, _ := netip.AddrFromSlice(dst.Raw())
		switch l := decoded.TransportLayer().(type) {
		case *layers.UDP:
			p.Src, p.Dst = netip.AddrPortFrom(from, uint16(l.SrcPort)), netip.AddrPortFrom(to, uint16(l.DstPort))
			p.Payload = l.Payload
		case *layers.TCP:
			p.Src, p.Dst = netip.AddrPortFrom(from, uint16(l.SrcPort)), netip.AddrPortFrom(to, uint16(l.DstPort))
			p.Payload, p.Seq = l.Payload, l.Seq
		default:
			continue
		}
		packets = append(packets, p)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(f, linkRaw, unhex(f, ip4Hello)))
	f.Add(file(f, linkEthernet, unhex(f, "020000000002 020000000001 8100 0005 86dd"+ip6Hello)))
	f.Add(file(f, linkRadiotap, unhex(f, "00000800 00000000 0801 0000"+strings.Repeat("00", 20)+"aaaa03 000000 0800"+ip4Hello)))
	f.Add(file(f, linkPPPoE, unhex(f, "1100 0001 0023 0021"+ip4Hello)))
	f.Add(file(f, linkRaw, fragments(f, make([]byte, 100), 40, 1)...))
	f.Add(unhex(f, "0a0d0d0a 0000001c 1a2b3c4d 0001 0000 ffffffffffffffff 0000001c"+
		"00000001 0000002c 0065 0000 00000030 0009 0001 83000000 000e 0008 0000000000000064 0000 0000 0000002c"+
		"00000002 00000044 0000 0000 00000000 000005dd 00000021 00000021"+ip4Hello+"000000 00000044"))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := NewReader(bytes.NewReader(b))
		for err == nil {
			var p *Packet
			if p, err = r.Next(); err != nil {
				break
			}
			if len(p.Payload) > p.Length || len(p.Payload) > math.MaxUint16 && p.Length > maxFrame {
				t.Fatalf("%d bytes of %d", len(p.Payload), p.Length)
			}
			if !p.Src.IsValid() || !p.Dst.IsValid() || p.Protocol != UDP && p.Protocol != TCP {
				t.Fatalf("%+v", p)
			}
		}
		if e, ok := errors.AsType[*Error](err); err != io.EOF && (!ok || e.Offset < 0) {
			t.Fatalf("%v", err)
		}
		if r == nil {
			return
		}
		if c := r.Counts(); c.Frames != c.Packets+c.Fragments+c.Malformed+c.Other {
			t.Fatalf("%+v", c)
		}
	})
}

func BenchmarkNext(b *testing.B) {
	one := file(b, linkEthernet, append(unhex(b, "020000000002 020000000001 0800"), unhex(b, ip4Hello)...))
	record := one[24:]
	b.SetBytes(int64(len(record)))
	b.ReportAllocs()
	r, err := NewReader(io.MultiReader(bytes.NewReader(one[:24]), &repeat{record, 0}))
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := r.Next(); err != nil {
			b.Fatal(err)
		}
	}
}

// repeat is a file without end.
type repeat struct {
	b  []byte
	at int
}

func (r *repeat) Read(b []byte) (n int, err error) {
	for n < len(b) {
		k := copy(b[n:], r.b[r.at:])
		n += k
		r.at = (r.at + k) % len(r.b)
	}
	return n, nil
}
