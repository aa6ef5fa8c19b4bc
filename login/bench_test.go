package login

import (
	"context"
	"database/sql"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// BenchmarkLogin gives how many logins the server answers on one core, beside the bare cost of what no server can do
// without: one HPKE opening, one signature, one durable write. Clients=1 has
// one request at a time; clients=64 is the storm, where writes share commits.
func BenchmarkLogin(b *testing.B) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var bare float64
	b.Run("bare", func(b *testing.B) {
		bare = benchmarkBare(b)
	})
	for _, clients := range []int{1, 64} {
		b.Run(fmt.Sprintf("clients=%d", clients), func(b *testing.B) { benchmarkHandle(b, clients, bare) })
	}
}

func perSecond(b *testing.B) float64 {
	rate := float64(b.N) / b.Elapsed().Seconds()
	b.ReportMetric(rate, "logins/s")
	return rate
}

func benchmarkBare(b *testing.B) float64 {
	s, keys := suite.Modern(), newKeys(b)
	public, private, err := s.NewLoginKey()
	if err != nil {
		b.Fatal(err)
	}
	sealed, _, err := s.SealRequest(public, make([]byte, 300))
	if err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "bare.db")+"?_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	if _, err := db.Exec("CREATE TABLE t (k BIGINT PRIMARY KEY, v BIGINT); INSERT INTO t VALUES (1, 0)"); err != nil {
		b.Fatal(err)
	}
	write, err := db.Prepare("UPDATE t SET v = v + 1 WHERE k = 1")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.OpenRequest(private, sealed); err != nil {
			b.Fatal(err)
		}
		if _, err := keys.Sign(suite.ForCertificate, make([]byte, 200)); err != nil {
			b.Fatal(err)
		}
		if _, err := write.Exec(); err != nil {
			b.Fatal(err)
		}
	}
	return perSecond(b)
}

func benchmarkHandle(b *testing.B, clients int, bare float64) {
	n := newNetwork(b, suite.RegistrationOpen, ServerOptions{})
	// Users with a device each, as after a restart of everything, and so many
	// that no device comes more often, or twice at once, than its limits allow.
	users := max(b.N/freeCertificate+1, clients)
	var devices []suite.Keys
	var claims []claim
	verifier := make([]byte, 32)
	for i := range users {
		keys := newKeys(b)
		public := keys.Public()
		c := claim{linnet.UserName(fmt.Sprintf("user%d", i)), "laptop", public.Signing, public.Agreement}
		now := time.Now()
		if _, err := n.accounts.create(context.Background(), c, n.server.locks.lock(verifier), nil, period{now: now, expires: now.Add(time.Hour)}); err != nil {
			b.Fatal(err)
		}
		devices, claims = append(devices, keys), append(claims, c)
	}
	requests := make(chan *message.Login, b.N)
	for i := range b.N {
		m, _ := n.seal(devices[i%users], func(body *message.LoginBody) {
			body.User, body.Verifier = claims[i%users].user, verifier
			copy(body.Nonce, fmt.Sprintf("%016d", i))
		})
		requests <- m
	}
	close(requests)
	b.ResetTimer()
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for m := range requests {
				if r, ok := n.server.Handle(context.Background(), n.from, m).(*message.LoginReply); !ok || len(r.Sealed) < 300 {
					b.Error("a login was refused")
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	rate := perSecond(b)
	if bare > 0 {
		b.ReportMetric(rate/bare, "x-bare")
	}
}
