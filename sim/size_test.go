package sim

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
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

// BenchmarkAttached is what a supernode that is alone in its network keeps of each
// of 1,000,000 attached idle clients, in overlay and directory together: the
// attachment, and a record of the length of a real one with all that finds it.
func BenchmarkAttached(b *testing.B) {
	const clients = 1_000_000
	expires := epoch.AddDate(0, 0, 30)
	certificate := func(i uint32) []byte {
		return append(binary.BigEndian.AppendUint32(nil, i), make([]byte, 226)...)
	}
	trust := overlay.Trust{Verify: verify, Certificate: func(b []byte, _ time.Time) (*suite.Certificate, error) {
		i := binary.BigEndian.Uint32(b)
		public := keys(i).Public()
		user := linnet.UserName(fmt.Sprintf("user%d", i))
		if i == clients {
			user = linnet.NodeName("large")
		}
		return &suite.Certificate{User: user, Device: "laptop", Signing: public.Signing, Agreement: public.Agreement, Expires: expires, Salt: make([]byte, suite.SaltSize)}, nil
	}}
	identity := func(i uint32) overlay.Identity {
		c, _ := trust.Certificate(certificate(i), epoch)
		return overlay.Identity{Node: c.NodeID(), Certificate: certificate(i), Keys: keys(i)}
	}
	for b.Loop() {
		self := identity(clients)
		m := overlay.New(overlay.Options{
			Self: self, Trust: trust, Rand: rand.New(rand.NewPCG(1, 1)), Role: linnet.Supernode, Addrs: []netip.AddrPort{addrOf(0)},
			Limits: overlay.Limits{Clients: clients, Commands: 1e9},
		})
		if err := m.Start(epoch); err != nil {
			b.Fatal(err)
		}
		d := directory.NewSupernode(directory.SupernodeOptions{Self: self, Trust: trust, Seats: m, Records: clients})
		d.Start(epoch, nil, nil)
		before, size, began := heap(), 0, time.Now()
		for i := range uint32(clients) {
			now := epoch.Add(time.Duration(i) * time.Millisecond)
			c := identity(i)
			m.Up(now, c.Node, addrOf(i+1))
			m.Received(now, c.Node, 1, &message.Attach{Others: []linnet.NodeID{{1}}})
			m.Received(now, c.Node, 2, &message.KeepAlive{Others: []linnet.NodeID{{1}}})
			r := directory.Record{
				Certificate: c.Certificate, Location: message.Location{Node: c.Node, Supernodes: []linnet.NodeID{self.Node, {1}}},
				Online: true, Sequence: 1, Time: now,
			}
			signed, err := r.Sign(keys(i))
			if err != nil {
				b.Fatal(err)
			}
			size = len(signed)
			d.Received(now, c.Node, 3, &message.StoreRecord{Record: signed, Unknown: 1})
			d.Tick(now) // idle clients have asked for nothing lately
			m.Take()
			d.Take()
		}
		if m.Clients() != clients || d.Records() != clients {
			b.Fatalf("%d clients, %d records", m.Clients(), d.Records())
		}
		took := time.Since(began)
		b.ReportMetric(float64(heap()-before)/clients, "bytes/client")
		b.ReportMetric(float64(took.Nanoseconds())/clients, "ns/client")
		b.ReportMetric(float64(size), "bytes/record")
		runtime.KeepAlive(m)
		runtime.KeepAlive(d)
	}
}
