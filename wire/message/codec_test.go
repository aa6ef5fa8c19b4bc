package message

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/arith"
	"github.com/linnet-p2p/linnet/wire/objlist"
)

// Vectors with a source are of the old network: its bytes, or, "unpacked", the
// list that they stand for; docs/protocol.md names the sources. The others are
// ours, their plain lists worked out by hand, their packed ones checked against
// the reference coder in the tests of package arith.
var vectors = []struct {
	name string
	cmd  Command
	via  Carrier

	wire   string // with a plain list
	packed string // the same as it is sent, if that is shorter
}{
	{"SN: probe", Command{0x7f45, &Probe{}}, Raw, "04 da01 7f45 4100", ""},
	{"SN: probe accepted", Command{0x016d, &ProbeAccepted{}}, Raw, "04 e301 016d 4100", ""},
	{"FS: ask for 16 slots, 6 addresses each", Command{0x97be, &AskSupernodes{Slots: 16, Max: 6}}, Raw,
		"0a 32 97be 41 02 000410 000506",
		"06 32 97be 42 8514c9"},
	{"ask for one slot, as SC did packed", Command{0x6d35, &AskSupernodes{Slot: new(uint32(1315)), Max: 5}}, Raw,
		"0b 32 6d35 41 02 0000a30a 000505",
		"08 32 6d35 42 34aa09f8ee"},
	{"ask for slot 0", Command{2, &AskSupernodes{Slot: new(uint32(0)), Max: 5}}, Raw, "0a 32 0002 41 02 000000 000505",
		"07 32 0002 42 2ae9d14a"},
	{"slot info, SC unpacked", Command{0x6d35, &SlotInfo{Slots: []SlotMembers{{
		Slot: 1315, Total: 11, Addrs: addrs("68.231.242.131:11371", "12.216.29.223:9291"),
	}}}}, Raw, "1f 43 6d35 41 01 0506 41 04 0000a30a 0203 44e7f2832c6b 0203 0cd81ddf244b 00070b",
		"18 43 6d35 42 f8ebdb70bf6831c70783f2e7446b2cdf1dd80c4b24"},
	{"network stats, SC unpacked", Command{0, &NetworkStats{UsersOnline: 7917455}}, Session, "08 59 41 01 0009 8f9fe303",
		"07 59 42 b09f39bc4cdc"},
	{"search, SC unpacked", Command{0x6d4d, &Search{
		Terms:  []Term{{Text: "xot_iam", Operator: OpEqual, Field: FieldUser}},
		Wanted: []uint32{FieldUser, FieldRecord},
	}}, Session, "1d 72 6d4d 41 02 0500 41 03 0300 786f745f69616d00 000100 000210 0601 02 100b",
		"12 72 6d4d 42 f6231fa2a11b8dc2b269de555bc892"},
	{"watch", Command{0, &Watch{Nodes: []linnet.NodeID{{1}}, Asker: linnet.NodeID{2}}}, Session,
		"28 f19008 41 02 0400 10 01000000000000000000000000000000 0401 10 02000000000000000000000000000000", "25 f19008 42 b85454ee0100000000000000000000000000000002000000000000000000000000000000"},
	{"gone", Command{0, &Gone{Nodes: []linnet.NodeID{{1}}}}, Session, "15 f99008 41 01 0400 10 01000000000000000000000000000000", "14 f99008 42 b852f401000000000000000000000000000000"},
	{"ask prekeys", Command{1, &AskPrekeys{User: "bob"}}, Session, "0a b29208 0001 41 01 0300 626f6200", "07 b29208 0001 42 dbe95138"},
	{"SN: connect back", Command{0, &ConnectBack{Addr: netip.MustParseAddrPort("192.0.2.7:33033")}}, Old,
		"0a c902 41 01 0211 c00002078109", ""},
	{"OS: firewall test started, unpacked", Command{0, &FirewallTestStarted{Test: 227}}, Old, "06 d902 41 01 0019 e301",
		"05 d902 42 b517f484"},
	{"SC: ask probe nodes, unpacked", Command{1, &AskProbeNodes{10, 7, 1}}, Old, "0d e202 0001 41 03 00120a 001307 001401",
		"08 e202 0001 42 b3799396a0"},
	{"SO: ask broadcast, unpacked", Command{1, &AskBroadcast{2}}, Old, "07 8203 0001 41 01 000002",
		"05 8203 0001 42 2d03"},
	{"SC: attach, unpacked", Command{1, &Attach{Uptime: 2, Node: 0x6b74b3cf2b9e97cb, Port: 37058}}, Session,
		"16 f201 0001 41 03 000102 010d 6b74b3cf2b9e97cb 0010 c2a102",
		"13 f201 0001 42 42f27a3b4cd70fd56b74b3cf2b9e97cb"},
	{"SC: attached, unpacked", Command{1, &Attached{
		StackVersion: 44, StackTime: 802011429, Port: 57947, You: netip.MustParseAddrPort("78.36.112.176:1184"), Supernode: []uint32{0, 0},
	}}, Session, "20 fb01 0001 41 05 000b2c 000c a5f2b6fe02 0010 dbc403 0211 4e2470b004a0 0621 020000",
		"19 fb01 0001 42 b125f2828ab3acc0d002c0ec738f272cb070244ea004"},
	{"FS: routed ping", Command{1, &RoutedPing{Version: 2, Target: oldLocation, Inner: 81, Unknown: 0x1c, Status: 2,
		Ping: ContactPing{Target: "bob", Sender: "al", Source: oldLocation}}}, Old,
		"4f aa03 0001 41 06 000002 0401 15 " + oldLocationHex + " 000251" +
			"0503 41 03 0300 626f6200 0302 616c00 040c 15 " + oldLocationHex + " 00041c 001002",
		"3f aa03 0001 42 2d4081e89a79ecf2eb2cbef02995f22530b011b44ed518acb33901c0a80002a373c869d396fe3011b44ed518acb33901c0a80002a373c869d396fe30"},
	{"FS: contact status", Command{1, &ContactStatus{Status: 2, Unknown: 10}}, Old, "0a 9305 0001 41 02 000102 00080a",
		"07 9305 0001 42 4282e6cb"},
	{"IPv6 under the id of the address", Command{9, &ProbeRefused{Others: addrs("192.0.2.1:80", "[2001:db8::1]:258")}}, Raw,
		"21 eb01 0009 41 02 0203 c00002010050 0403 12 20010db8000000000000000000000001 0102",
		"1f eb01 0009 42 fc28e6ac010200c0500020010db80000000000000000000000010102"},
	{"relay joined, SC unpacked", Command{0, &RelayJoined{Session: 10741, Expires: 30}}, Session, "09 a105 41 02 0003f553 000f1e",
		"07 a105 42 6ac26a84c9c9"},
	{"call hold", Command{0, &CallHold{Call: linnet.CallID{1, 15: 2}, On: true}}, Session,
		"18 b1a008 41 02 0400 10 01000000000000000000000000000002 000101",
		"15 b1a008 42 b85714a101000000000000000000000000000002"},
	{"failure", Command{7, &Failure{Code: FailureTaken, Text: "taken"}}, Stream, "0f 838008 0007 41 02 000006 0301 74616b656e00",
		"09 838008 0007 42 2e0151d85f77"},
	{"hello", Command{0x7f4d, &Hello{Noise: []byte{1, 2, 3}}}, Raw, "0a 8a8008 7f4d 41 01 0400 03 010203",
		"08 8a8008 7f4d 42 b7d8010203"},
	{"hello reply", Command{0x7f4d, &HelloReply{Noise: []byte{1, 2, 3}}}, Raw, "0a 938008 7f4d 41 01 0400 03 010203",
		"08 938008 7f4d 42 b7d8010203"},
	{"search for bob", Command{1, &Search{
		Terms:  []Term{{Text: "bob", Operator: OpEqual, Field: FieldUser}},
		Wanted: []uint32{FieldUser, FieldRecord},
	}}, Session, "19 72 0001 41 02 0500 41 03 0300 626f6200 000100 000210 0601 02 100b",
		"0f 72 0001 42 f62300178e71f6d02e966de1"},
	{"forward a session packet", Command{0, &Forward{
		Version: 2, Target: Location{Node: linnet.NodeID{1}, Supernodes: []linnet.NodeID{{2}}}, Inner: InnerPacket,
		Packet: Packet{Body: []byte{1, 2, 3}}, Source: Location{Node: linnet.NodeID{3}, Supernodes: []linnet.NodeID{}}, Hops: MaxHops,
	}}, Session, "51 a903 41 06 000002 0401 22 01 01000000000000000000000000000000 01 02000000000000000000000000000000" +
		"0002 838001 0503 41 01 0400 03 010203 000403 040c 12 01 03000000000000000000000000000000 00",
		"46 a903 42 2d409d7d504b16ef53e6346d422901010000000000000000000000000000000102000000000000000000000000000000010203010300000000000000000000000000000000"},
	{"reserve a relay", Command{1, &RelayReserve{Session: 0x01020304, Tag: 0xdeadbeee}}, Session,
		"13 ca04 0001 41 02 0003 84868808 00808001 eefdb6f50d",
		"12 ca04 0001 42 6ace840f776edb56c4d76a6791da11"},
	{"file offer", Command{0, &FileOffer{File: linnet.FileID{1, 15: 2}, Time: 0x19ca9457f30, Name: "a.txt", Size: 5, Sum: [32]byte{3}, Tree: [32]byte{4}}}, Session,
		"77 819508 41 06 0400 10 01000000000000000000000000000002 0101 0000019ca9457f30 0302 612e74787400 0103 0000000000000005 0404 20 0300000000000000000000000000000000000000000000000000000000000000 0405 20 0400000000000000000000000000000000000000000000000000000000000000",
		"71 819508 42 b858d45e050d94f25ce236a0c662c697010000000000000000000000000000020000019ca9457f30000000000000000503000000000000000000000000000000000000000000000000000000000000000400000000000000000000000000000000000000000000000000000000000000"},
	{"file answer", Command{0, &FileAnswer{File: linnet.FileID{1, 15: 2}, Verdict: FileAccepted}}, Session,
		"18 899508 41 02 0400 10 01000000000000000000000000000002 000101",
		"15 899508 42 b85714a101000000000000000000000000000002"},
	{"file end", Command{0, &FileEnd{File: linnet.FileID{1, 15: 2}, Reason: FileComplete}}, Session,
		"18 919508 41 02 0400 10 01000000000000000000000000000002 000101",
		"15 919508 42 b85714a101000000000000000000000000000002"},
	{"file pause", Command{0, &FilePause{File: linnet.FileID{1, 15: 2}, On: true}}, Session,
		"18 999508 41 02 0400 10 01000000000000000000000000000002 000101",
		"15 999508 42 b85714a101000000000000000000000000000002"},
	{"bulk connect", Command{1, &BulkConnect{Certificate: [32]byte{5}}}, Session,
		"27 a29508 0001 41 01 0400 20 0500000000000000000000000000000000000000000000000000000000000000",
		"26 a29508 0001 42 b8b8f20500000000000000000000000000000000000000000000000000000000000000"},
	{"bulk connected", Command{1, &BulkConnected{Certificate: [32]byte{6}}}, Session,
		"27 ab9508 0001 41 01 0400 20 0600000000000000000000000000000000000000000000000000000000000000",
		"26 ab9508 0001 42 b8b8f20600000000000000000000000000000000000000000000000000000000000000"},
	{"call ringing", Command{0, &CallRinging{Call: linnet.CallID{1, 15: 2}}}, Session,
		"15 91a008 41 01 0400 10 01000000000000000000000000000002",
		"14 91a008 42 b852f401000000000000000000000000000002"},
	{"call ringing beside another one", Command{0, &CallRinging{Call: linnet.CallID{1, 15: 2}, Waiting: true}}, Session,
		"18 91a008 41 02 0400 10 01000000000000000000000000000002 0001 01",
		"15 91a008 42 b85714a101000000000000000000000000000002"},
	{"call transfer", Command{0, &CallTransfer{Call: linnet.CallID{1, 15: 2}, Offer: linnet.CallID{3}, To: "carol", Referral: []byte{9}}}, Session,
		"34 d9a008 41 04 0400 10 01000000000000000000000000000002 0401 10 03000000000000000000000000000000 0302 6361726f6c00 0403 01 09",
		"2b d9a008 42 b8545751f1c1d6be6a010000000000000000000000000000020300000000000000000000000000000009"},
	{"call transferred", Command{0, &CallTransferred{Call: linnet.CallID{1, 15: 2}, Offer: linnet.CallID{3}, State: 4, Outcome: 5}}, Session,
		"2e e1a008 41 04 0400 10 01000000000000000000000000000002 0401 10 03000000000000000000000000000000 0002 04 0003 05",
		"28 e1a008 42 b85456e66096910100000000000000000000000000000203000000000000000000000000000000"},
	{"call request", Command{0, &CallRequest{Call: linnet.CallID{1, 15: 2}, Time: 0x19ca9457f30, Codecs: []string{"opus"}}}, Session,
		"26 89a008 41 03 0400 10 01000000000000000000000000000002 0101 0000019ca9457f30 0302 6f70757300",
		"22 89a008 42 b858d45e050de4705e010000000000000000000000000000020000019ca9457f30"},
}

func addrs(s ...string) (a []netip.AddrPort) {
	for _, s := range s {
		a = append(a, netip.MustParseAddrPort(s))
	}
	return a
}

func TestVectors(t *testing.T) {
	for _, tt := range vectors {
		t.Run(tt.name, func(t *testing.T) {
			sent := unhex(t, cmp.Or(tt.packed, tt.wire))
			if got := Append(nil, tt.cmd); !bytes.Equal(got, sent) {
				t.Errorf("Append = %x\nwant     %x", got, sent)
			}
			for _, wire := range [][]byte{unhex(t, tt.wire), sent} {
				got, rest, err := Parse(append(wire, 0xaa), tt.via)
				if err != nil || !reflect.DeepEqual(got, tt.cmd) || !bytes.Equal(rest, []byte{0xaa}) {
					t.Errorf("Parse(%x) = %+v, %x, %v, want %+v", wire, got, rest, err, tt.cmd)
				}
			}
		})
	}
}

func TestAppendPadded(t *testing.T) {
	for _, tt := range []struct {
		cmd  Command
		wire string
	}{
		{Command{0x0102, &Probe{}}, "0c da01 0102 41 01 04efdf03 03 000000"},
		{Command{0, &NetworkStats{UsersOnline: 1}}, "0b 59 42 b066ce7102dbe5 000000"},
	} {
		got := AppendPadded(nil, tt.cmd, 3)
		if !bytes.Equal(got, unhex(t, tt.wire)) {
			t.Errorf("AppendPadded = %x, want %s", got, tt.wire)
		}
		if short := len(Append(nil, tt.cmd)); len(got) < short+3 {
			t.Errorf("%d bytes became %d, want 3 more", short, len(got))
		}
		if c, _, err := Parse(got, Raw|Session); err != nil || !reflect.DeepEqual(c, tt.cmd) {
			t.Errorf("Parse = %+v, %v, want %+v", c, err, tt.cmd)
		}
	}
}

// What a newer node adds and what is too much are the same in both forms.
func TestBothForms(t *testing.T) {
	deep := func(n int) (l objlist.List) {
		for range n {
			l = objlist.List{objlist.Nested(0xa, l)}
		}
		return append(objlist.List{objlist.Number(9, 42)}, l...)
	}
	tests := []struct {
		name string
		list objlist.List
		err  error
	}{
		{"unknown ids", objlist.List{objlist.Number(8, 1), objlist.Number(9, 42), objlist.String(9, "old"), objlist.Nested(0x4001, deep(2))}, nil},
		{"first of two", objlist.List{objlist.Number(9, 42), objlist.Number(9, 43)}, nil},
		{"field missing", objlist.List{objlist.Number(8, 42)}, ErrMissing},
		{"8 deep", deep(objlist.MaxDepth - 1), nil},
		{"4097 objects", append(objlist.List{objlist.Number(9, 42)}, slices.Repeat(objlist.List{objlist.Number(10, 1)}, objlist.MaxObjects)...), objlist.ErrTooMany},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			packed, err := arith.Append(nil, tt.list)
			if err != nil {
				t.Fatal(err)
			}
			for _, list := range [][]byte{tt.list.Append(nil), packed} {
				wire := append(binary.AppendUvarint(nil, uint64(len(list))), 11<<kindBits|byte(OneWay))
				c, _, err := Parse(append(wire, list...), Session)
				if !errors.Is(err, tt.err) {
					t.Errorf("Parse %02x..: %v, want %v", list[0], err, tt.err)
				}
				if want := (&NetworkStats{UsersOnline: 42}); tt.err == nil && !reflect.DeepEqual(c.Body, want) {
					t.Errorf("Parse %02x.. = %+v, want %+v", list[0], c.Body, want)
				}
			}
		})
	}
}

// What travels sealed in the handshake is a bare list.
func TestHelloPayload(t *testing.T) {
	p := HelloPayload{Certificate: []byte{0xaa}, Tag: 0xdeadbeee, Time: 0x19ca9457f30, Commands: []byte{0xbb}, Padding: make([]byte, 2)}
	want := unhex(t, "41 05 0401 01 aa 0002 eefdb6f50d 0103 0000019ca9457f30 0404 01 bb 04efdf03 02 0000")
	if got := Marshal(&p); !bytes.Equal(got, want) {
		t.Errorf("Marshal = %x\nwant     %x", got, want)
	}
	var got HelloPayload
	if err := Unmarshal(want, &got); err != nil || !reflect.DeepEqual(got, p) {
		t.Errorf("Unmarshal = %+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	tests := []struct {
		name string
		wire string
		via  Carrier
		err  error
		rest string // what is left to go on with
		id   uint16
	}{
		{"nothing", "", Raw, ErrTruncated, "", 0},
		{"length only", "04", Raw, ErrTruncated, "", 0},
		{"length beyond the bytes", "05 da01 7f45 4100", Raw, ErrTruncated, "", 0},
		{"length of more than 32 bits", "8080808010 da01", Raw, ErrTruncated, "", 0},
		{"no room for the id", "01 da01 7f aa", Raw, ErrTruncated, "aa", 0},
		{"no list", "02 da01 7f45 aa", Raw, objlist.ErrTruncated, "aa", 0x7f45},
		{"packed list cut", "05 32 6d35 42 34aa bb", Raw, objlist.ErrTruncated, "bb", 0x6d35},
		{"packed list inside a plain one", "08 72 0001 41 01 0500 4215 aa", Session, objlist.ErrPacked, "aa", 1},
		{"bytes after the packed list", "08 da01 7f45 42 1500000000 aa", Raw, objlist.ErrTrailing, "aa", 0x7f45},
		{"bytes after the list", "05 da01 7f45 410000 aa", Raw, objlist.ErrTrailing, "aa", 0x7f45},
		{"unknown number", "04 8a02 7f45 4100 aa", Raw, ErrUnknown, "aa", 0x7f45},
		{"number of more than 16 bits", "04 da818020 7f45 4100 aa", Raw, ErrUnknown, "aa", 0x7f45},
		{"probe as a reply", "04 db01 7f45 4100 aa", Raw, ErrKind, "aa", 0x7f45},
		{"probe one-way", "02 d901 4100 aa", Raw, ErrKind, "aa", 0},
		{"flag 4", "02 dc01 4100 aa", Raw, ErrKind, "aa", 0},
		{"of the old network", "0a c902 41 01 0211 c00002078109 aa", Raw | Stream | Session, ErrCarrier, "aa", 0},
		{"probe in a session", "04 da01 7f45 4100 aa", Session, ErrCarrier, "aa", 0x7f45},
		{"search outside a session", "1d 72 6d4d 41 02 0500 41 03 0300 786f745f69616d00 000100 000210 0601 02 100b aa", Raw, ErrCarrier, "aa", 0x6d4d},
		{"field missing", "05 59 41 01 000a01 aa", Session, ErrMissing, "aa", 0},
		{"field of another kind", "06 59 41 01 0309 3100 aa", Session, ErrMissing, "aa", 0},
		{"bool of 2", "18 b1a008 41 02 0400 10 01000000000000000000000000000002 000102 aa", Session, ErrTooLarge, "aa", 0},
		{"call id too short", "06 91a008 41 01 0400 01 00 aa", Session, ErrSize, "aa", 0},
		{"address of 17 bytes", "18 eb01 0009 41 01 0403 11 2001000000000000000000000000000102 aa", Raw, ErrSize, "aa", 9},
		{"text that is no UTF-8", "0b 838008 0007 41 02 000006 0301 ff00 aa", Stream, ErrUTF8, "aa", 7},
		{"repeated field that must be there", "08 72 0001 41 01 0601 01 10 aa", Session, ErrMissing, "aa", 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, rest, err := Parse(unhex(t, tt.wire), tt.via)
			if !errors.Is(err, tt.err) || hex.EncodeToString(rest) != tt.rest || c.ID != tt.id || c.Body != nil {
				t.Errorf("Parse = %+v, %x, %v, want id %x, rest %s, %v", c, rest, err, tt.id, tt.rest, tt.err)
			}
		})
	}
}

func TestErrorsNameTheField(t *testing.T) {
	_, _, err := Parse(unhex(t, "0f 43 6d35 41 01 0506 41 02 0000a30a 000301"), Raw)
	if want := "message: slot info: SlotMembers.Total: missing"; err == nil || err.Error() != want {
		t.Errorf("Parse: %v, want %s", err, want)
	}
	var f *FieldError
	err = Unmarshal(unhex(t, "41 01 0400 0100"), new(CallRinging))
	if !errors.As(err, &f) || f.Field != "CallRinging.Call" || err.Error() != "message: CallRinging: CallRinging.Call: wrong number of bytes: 1, want 16" {
		t.Errorf("Unmarshal: %v", err)
	}
}

func TestParsedCommandSharesNoMemory(t *testing.T) {
	wire := Append(nil, Command{Body: &Goodbye{Reason: "enough"}})
	wire = Append(wire, Command{1, &Hello{Noise: []byte("noise")}})
	bye, rest, err := Parse(wire, Session)
	if err != nil {
		t.Fatal(err)
	}
	hello, _, err := Parse(rest, Raw)
	if err != nil {
		t.Fatal(err)
	}
	clear(wire)
	if bye.Body.(*Goodbye).Reason != "enough" || string(hello.Body.(*Hello).Noise) != "noise" {
		t.Errorf("after the buffer was cleared: %+v, %+v", bye.Body, hello.Body)
	}
}

func TestReading(t *testing.T) {
	t.Run("unknown ids are skipped", func(t *testing.T) {
		var m NetworkStats
		if err := Unmarshal(unhex(t, "41 04 0308 6100 00092a 050a 41 00 0009 07"), &m); err != nil || m.UsersOnline != 42 {
			t.Errorf("%+v, %v", m, err)
		}
	})
	t.Run("a bare list is never packed", func(t *testing.T) {
		if err := Unmarshal(unhex(t, "42 b09f39bc4cdc"), new(NetworkStats)); !errors.Is(err, objlist.ErrPacked) {
			t.Errorf("Unmarshal: %v", err)
		}
	})
	t.Run("old content goes", func(t *testing.T) {
		m := SlotInfo{Entries: [][]byte{{1}}}
		if err := Unmarshal(unhex(t, "4100"), &m); err != nil || m.Entries != nil {
			t.Errorf("%+v, %v", m, err)
		}
	})
	t.Run("0.0.0.0:0 is no address", func(t *testing.T) {
		wire := Marshal(&RelayEstablished{})
		var m RelayEstablished
		if err := Unmarshal(wire, &m); err != nil || m.Addr.IsValid() {
			t.Errorf("%+v, %v", m, err)
		}
	})
	t.Run("values marshal like pointers", func(t *testing.T) {
		m := CallEnd{Call: linnet.NewCallID(), Reason: 3}
		if a, b := Marshal(m), Marshal(&m); !bytes.Equal(a, b) {
			t.Errorf("%x, %x", a, b)
		}
	})
	t.Run("text is sent as UTF-8 without NUL", func(t *testing.T) {
		var m Goodbye
		if err := Unmarshal(Marshal(&Goodbye{Reason: "a\xffb\x00c"}), &m); err != nil || m.Reason != "a\uFFFDb" {
			t.Errorf("%+q, %v", m, err)
		}
	})
}

func TestTagsThatMakeNoSense(t *testing.T) {
	tests := map[string]any{
		"no id": struct {
			A uint32 `obj:"0"`
		}{},
		"id not hexadecimal": struct {
			A uint32 `obj:"0/xyz"`
		}{},
		"unknown kind": struct {
			A uint32 `obj:"7/0"`
		}{},
		"unknown option": struct {
			A uint32 `obj:"0/0,optional"`
		}{},
		"type of another kind": struct {
			A string `obj:"0/0"`
		}{},
		"signed number": struct {
			A int32 `obj:"0/0"`
		}{},
		"same id twice": struct {
			A, B uint32 `obj:"0/0"`
		}{},
		"blob hides an address": struct {
			A netip.AddrPort `obj:"2/0"`
			B []byte         `obj:"4/0"`
		}{},
		"pointer that must be": struct {
			A *uint32 `obj:"0/0"`
		}{},
		"not exported": struct {
			a uint32 `obj:"0/0"`
		}{},
		"wrong inside": struct {
			A []struct {
				B int `obj:"0/0"`
			} `obj:"5/0"`
		}{},
		"not a struct": uint32(1),
	}
	for name, m := range tests {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Errorf("Marshal took %T", m)
				}
			}()
			Marshal(m)
		})
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		spec := &Table[rapid.IntRange(0, len(Table)-1).Draw(t, "command")]
		c := Command{Body: drawMessage(t, spec)}
		if spec.Kind != OneWay {
			c.ID = rapid.Uint16().Draw(t, "id")
		}
		for via := Raw; via <= Old; via <<= 1 {
			got, rest, err := Parse(Append(nil, c), via)
			if spec.Carriers&via == 0 {
				if !errors.Is(err, ErrCarrier) {
					t.Fatalf("%s by carrier %v: %v", spec.Name, via, err)
				}
				continue
			}
			if err != nil || len(rest) > 0 || !reflect.DeepEqual(got, c) {
				t.Fatalf("%s: got %+v, %x, %v\nwant %+v", spec.Name, got.Body, rest, err, c.Body)
			}
		}
	})
}

// drawMessage fills a struct of Table at random, as far as the wire form can
// tell its values apart: empty and nil are the same, and so are an absent and a
// zero value behind opt, unless the field is a pointer.
func drawMessage(t *rapid.T, spec *Spec) Message {
	m := reflect.New(reflect.TypeOf(spec.Body).Elem())
	drawStruct(t, m.Elem())
	return m.Interface()
}

func drawStruct(t *rapid.T, v reflect.Value) {
	p := planOf(v.Type())
	for _, f := range p.fields {
		fv := v.Field(f.index)
		if f.opt && rapid.Bool().Draw(t, f.name+" missing") {
			continue
		}
		switch {
		case f.repeated:
			n := rapid.IntRange(1, 3).Draw(t, f.name+" count")
			fv.Set(reflect.MakeSlice(fv.Type(), n, n))
			for i := range n {
				drawValue(t, f.name, fv.Index(i))
			}
		case f.pointer:
			fv.Set(reflect.New(fv.Type().Elem()))
			drawValue(t, f.name, fv.Elem())
		default:
			drawValue(t, f.name, fv)
		}
	}
}

func drawValue(t *rapid.T, name string, v reflect.Value) {
	switch x := v.Addr().Interface().(type) {
	case *netip.AddrPort:
		ip := netip.AddrFrom4([4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(t, name)))
		if rapid.Bool().Draw(t, name+" IPv6") {
			ip = netip.AddrFrom16([16]byte(rapid.SliceOfN(rapid.ByteRange(1, 255), 16, 16).Draw(t, name)))
		}
		*x = netip.AddrPortFrom(ip, rapid.Uint16Min(1).Draw(t, name))
		return
	case *OldLocation:
		*x = OldLocation{Node: rapid.Uint64().Draw(t, name), Flag: rapid.Uint8Max(1).Draw(t, name), Addrs: addrs("192.0.2.1:80")}
		return
	case *Location:
		x.Supernodes = make([]linnet.NodeID, rapid.IntRange(0, MaxAttachments).Draw(t, name))
		return
	}
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(rapid.Bool().Draw(t, name))
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(rapid.Uint64Max(1<<v.Type().Bits()-1).Draw(t, name))
	case reflect.String:
		v.SetString(strings.ReplaceAll(rapid.String().Draw(t, name), "\x00", ""))
	case reflect.Array:
		for i := range v.Len() {
			v.Index(i).SetUint(uint64(rapid.Byte().Draw(t, name)))
		}
	case reflect.Slice:
		if n := rapid.IntRange(0, 40).Draw(t, name); n > 0 {
			v.Set(reflect.MakeSlice(v.Type(), n, n))
			for i := range n {
				v.Index(i).SetUint(rapid.Uint64Max(1<<v.Type().Elem().Bits()-1).Draw(t, name))
			}
		}
	case reflect.Struct:
		drawStruct(t, v)
	default:
		t.Fatalf("no way to draw a %v", v.Type())
	}
}

// Whatever parses is written and read again as the same, and what does not
// leaves less behind than there was.
func FuzzParse(f *testing.F) {
	for _, tt := range vectors {
		f.Add(unhex(f, tt.wire), byte(tt.via))
		f.Add(unhex(f, tt.packed), byte(tt.via))
	}
	f.Fuzz(func(t *testing.T, b []byte, via byte) {
		for len(b) > 0 {
			c, rest, err := Parse(b, Carrier(via))
			if len(rest) >= len(b) {
				t.Fatalf("%d bytes leave %d", len(b), len(rest))
			}
			if err == nil {
				again, _, err := Parse(Append(nil, c), Carrier(via))
				if err != nil || !reflect.DeepEqual(again, c) {
					t.Fatalf("%+v became %+v, %v", c.Body, again.Body, err)
				}
			}
			b = rest
		}
	})
}

func BenchmarkAppend(b *testing.B) {
	for _, tt := range vectors[5:9] {
		b.Run(strings.ReplaceAll(tt.name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = Append(buf[:0], tt.cmd)
			}
		})
	}
}

func BenchmarkParse(b *testing.B) {
	for _, tt := range vectors[5:9] {
		b.Run(strings.ReplaceAll(tt.name, " ", "-"), func(b *testing.B) {
			b.ReportAllocs()
			wire := unhex(b, tt.wire)
			for b.Loop() {
				if _, _, err := Parse(wire, tt.via); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// unhex reads hexadecimal digits with a space between fields.
func unhex(t testing.TB, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}
