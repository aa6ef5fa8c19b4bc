package overlay_test

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

func heap() uint64 {
	var s runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&s)
	return s.HeapAlloc
}

// A supernode's table of 20,000 others is to fit into 8 MB, as BenchmarkTable
// says in full.
func TestTableSize(t *testing.T) {
	const supernodes = 2000
	start := knowing(t, supernodes)
	before := heap()
	m := start()
	if size := int(heap()-before) / supernodes; size > 400 {
		t.Errorf("%d bytes each", size)
	}
	runtime.KeepAlive(m)
}

// BenchmarkTable is the memory that 20,000 known supernodes take of each supernode.
func BenchmarkTable(b *testing.B) {
	start := knowing(b, 20_000)
	for b.Loop() {
		before := heap()
		m := start()
		b.ReportMetric(float64(heap()-before)/1e6, "MB/table")
		runtime.KeepAlive(m)
	}
}

// knowing makes a function that starts a supernode which remembers others, by entries
// as long as real ones whose signatures are not checked.
func knowing(tb testing.TB, supernodes int) func() *overlay.Machine {
	w := overlaytest.New(tb, 70)
	self := w.Identity("node:self", "device")
	trust := overlay.Trust{
		Verify: func([]byte, suite.Purpose, []byte, []byte) error { return nil },
		Certificate: func(b []byte, now time.Time) (*suite.Certificate, error) {
			s, err := suite.ParseSigned(b)
			if err != nil {
				return w.Trust.Certificate(b, now)
			}
			if len(s.Signature) != 64 || binary.BigEndian.Uint32(s.Signature) == 0 {
				return w.Trust.Certificate(b, now)
			}
			return &suite.Certificate{User: linnet.NodeName("x"), Device: "d", Signing: s.Signature[:32], Agreement: s.Signature[:32],
				Salt: s.Signature[:16], Expires: now.AddDate(0, 0, 20)}, nil
		},
	}
	entries := make([][]byte, supernodes)
	for i := range entries {
		signature := make([]byte, 64)
		binary.BigEndian.PutUint32(signature, uint32(i+1))
		cert := message.Marshal(&suite.Signed{Body: make([]byte, 128), Signature: signature})
		e := overlay.Entry{Certificate: cert, Roles: linnet.Supernode, Incarnation: uint64(w.Now.UnixMilli()),
			Addrs: []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1}), 33033)}}
		signed, err := e.Sign(self.Keys)
		if err != nil {
			tb.Fatal(err)
		}
		entries[i] = signed
	}
	return func() *overlay.Machine {
		members := make([]*overlay.Entry, len(entries)) // none is shared with another machine
		for i, b := range entries {
			e, err := trust.OpenEntry(b, w.Now)
			if err != nil {
				tb.Fatal(err)
			}
			members[i] = e
		}
		m := overlay.New(overlay.Options{Self: self, Trust: trust, Rand: rand.New(rand.NewPCG(1, 1)), Role: linnet.Supernode,
			Addrs: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.1:33033")}, Members: members})
		if err := m.Start(w.Now); err != nil {
			tb.Fatal(err)
		}
		if got := len(m.Serving()); got != supernodes+1 {
			tb.Fatalf("%d supernodes", got)
		}
		return m
	}
}

// BenchmarkClients is the memory that an attached idle client takes of a
// supernode's state machine, at a million of them.
func BenchmarkClients(b *testing.B) {
	const clients = 1_000_000
	w := overlaytest.New(b, 71)
	sn := w.Add("node:large", linnet.Supernode)
	sn.Options = func(o *overlay.Options) { o.Limits.Clients, o.Limits.Commands = clients, 1e9 }
	other := linnet.NodeID{0xff, 1}
	for b.Loop() {
		sn.Start()
		m := sn.Machine
		before := heap()
		for i := range clients {
			id := linnet.NodeID{byte(i >> 16), byte(i >> 8), byte(i), 7}
			m.Up(w.Now, id, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), 33033))
			m.Received(w.Now, id, 1, &message.Attach{Others: []linnet.NodeID{other}})
			m.Received(w.Now, id, 2, &message.KeepAlive{Others: []linnet.NodeID{other}})
			m.Take()
		}
		if m.Clients() != clients {
			b.Fatalf("%d clients", m.Clients())
		}
		b.ReportMetric(float64(heap()-before)/clients, "bytes/client")
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/clients, "ns/client")
}

// Of one account and of one network only so many sit in a slot, however many
// supernodes they run, as long as others fill the seats.
func TestSeatsOfOneAccount(t *testing.T) {
	w := overlaytest.New(t, 72)
	nodes := w.Supernodes(12)
	w.Run(10 * time.Second)
	own := make(map[linnet.NodeID]bool)
	for i := range 12 {
		id := w.Identity("mallory", fmt.Sprint("device", i))
		n := w.Add("mallory", linnet.Supernode)
		n.Identity = id
		w.Rename(n)
		own[id.Node] = true
		n.Start()
	}
	w.Run(time.Minute)
	if got := len(nodes[0].Machine.Serving()); got != 24 {
		t.Fatalf("%d supernodes known, want 24", got)
	}
	for slot := range overlay.Slot(200) {
		held := 0
		for _, m := range nodes[0].Machine.Members(slot) {
			if own[m] {
				held++
			}
		}
		if held > 1 || len(nodes[0].Machine.Members(slot)) != overlay.SlotSize {
			t.Fatalf("slot %d: one account holds %d of %d seats", slot, held, len(nodes[0].Machine.Members(slot)))
		}
	}
}
