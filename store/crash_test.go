package store

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/presence"
)

const crashHome = "LINNET_TEST_CRASH_HOME"

func TestMain(m *testing.M) {
	if home := os.Getenv(crashHome); home != "" {
		if err := writeForever(home); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// writeForever is the process that gets killed. Each line that it prints is an
// acknowledgement.
func writeForever(home string) error {
	ctx := context.Background()
	s, err := Open(ctx, home)
	if err != nil {
		return err
	}
	calls, err := s.Calls(ctx, 1)
	if err != nil {
		return err
	}
	n := 0
	if len(calls) > 0 {
		n = int(calls[0].Started.Sub(at(0)).Seconds())
	}
	errs := make(chan error)
	go func() { // records come in at the same time, and share commits
		for i := uint32(0); ; i++ {
			if err := s.PutRecords(ctx, Record{node(byte(i)), at(0), []byte("record")}); err != nil {
				errs <- err
			}
		}
	}()
	for {
		select {
		case err := <-errs:
			return err
		default:
		}
		n++
		c := linnet.CallRecord{ID: callOf(n), Peer: "bob", Started: at(n)}
		if err := s.PutCall(ctx, c); err != nil {
			return err
		}
		c.Ended, c.Outcome = at(n), linnet.OutcomeCompleted
		if err := s.PutCall(ctx, c); err != nil {
			return err
		}
		person := presence.KeptPerson{User: linnet.UserName(fmt.Sprintf("user%d", n)), Added: at(n), State: linnet.Asked}
		if err := s.SavePresence(ctx, "alice", presence.Save{Self: fmt.Append(nil, n), People: []presence.KeptPerson{person}}); err != nil {
			return err
		}
		put := MailChange{Put: mailOf(n)}
		if n > 1 {
			put.Forget = [][16]byte{mailOf(n - 1).ID}
		}
		if err := s.ChangeMail(ctx, put); err != nil {
			return err
		}
		fmt.Println(n)
	}
}

func mailOf(n int) Mail {
	id := callOf(n)
	return Mail{ID: [16]byte(id), Head: []byte("head"), Bytes: []byte(fmt.Sprint("mail", n))}
}

func callOf(n int) linnet.CallID { return linnet.CallID{byte(n >> 16), byte(n >> 8), byte(n)} }

// Killed at any instant, again and again: what was acknowledged is there, and
// nobody has to repair anything.
func TestKill(t *testing.T) {
	rounds := 4
	if os.Getenv("LINNET_LONG") != "" {
		rounds = 60
	}
	home := t.TempDir()
	var acked []int
	for range rounds {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashHome+"="+home)
		var stderr strings.Builder
		child.Stderr = &stderr
		out, err := child.StdoutPipe()
		ok(t, err)
		ok(t, child.Start())
		lines := bufio.NewScanner(out)
		for left := 1 + rand.IntN(60); lines.Scan(); left-- {
			n, err := strconv.Atoi(lines.Text())
			ok(t, err)
			acked = append(acked, n)
			if left == 0 {
				ok(t, child.Process.Kill()) // and read on: more may have been acknowledged
			}
		}
		child.Wait()
		if stderr.Len() > 0 {
			t.Fatalf("the child failed by itself: %s", stderr.String())
		}

		s := openTest(t, home)
		ok(t, s.Check(t.Context()))
		kept, people := must(s.Presence(t.Context(), "alice"))(t), make(map[linnet.UserName]bool)
		for _, p := range kept.People {
			people[p.User] = true
		}
		if len(acked) > 0 && !people[linnet.UserName("user"+string(kept.Self))] {
			t.Fatalf("half of a Save: person %s is not there", kept.Self)
		}
		for _, n := range acked {
			c := must(s.Call(t.Context(), callOf(n)))(t)
			if c == nil || c.Outcome != linnet.OutcomeCompleted {
				t.Fatalf("call %d was acknowledged and is %+v", n, c)
			}
			if !people[linnet.UserName(fmt.Sprintf("user%d", n))] {
				t.Fatalf("person %d was acknowledged and is gone", n)
			}
		}
		for i, n := range acked {
			if before := must(s.Mail(t.Context(), mailOf(n-1).ID))(t); len(before) != 0 {
				t.Fatalf("mail %d was forgotten and is there", n-1)
			}
			if i < len(acked)-1 {
				continue
			}
			// The next one, which takes the place of the last, may just not have been acknowledged.
			if got := must(s.Mail(t.Context(), mailOf(n).ID, mailOf(n+1).ID))(t); len(got) != 1 {
				t.Fatalf("mail %d was acknowledged and there is %q", n, got)
			}
		}
		ok(t, s.Close())
	}
	if len(acked) < rounds {
		t.Errorf("only %d writes acknowledged in %d rounds: nothing was tested", len(acked), rounds)
	}
}
