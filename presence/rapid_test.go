package presence_test

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
)

// TestBothSidesAgree lets people do anything at any time, on a network that loses,
// doubles and reorders, with devices that are killed, and then looks whether both
// sides of each pair hold the same.
//
// Every change tries the same histories, so that it is judged by what it changed;
// LINNET_LONG=1 tries other ones each time. A few in ten thousand still end with a
// device that missed the last word of another one.
func TestBothSidesAgree(t *testing.T) {
	if os.Getenv("LINNET_LONG") == "" {
		seed := flag.Lookup("rapid.seed")
		was := seed.Value.String()
		flag.Set("rapid.seed", "1")
		defer flag.Set("rapid.seed", was)
	}
	t.Run("nobody is blocked", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { anything(t, rt, false) })
	})
	t.Run("some are", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) { anything(t, rt, true) })
	})
}

type pair struct{ a, b linnet.UserName }

func anything(t *testing.T, rt *rapid.T, blocks bool) {
	w := newWorld(t, rapid.Uint64().Draw(rt, "seed"))
	w.Loss = rapid.Float64Range(0, 0.5).Draw(rt, "loss")
	w.Twice = rapid.Float64Range(0, 0.3).Draw(rt, "twice")
	users := []linnet.UserName{"alice", "bob", "carol"}
	for _, user := range users {
		w.device(user, "device")
	}
	if rapid.Bool().Draw(rt, "four devices") {
		w.device("bob", "phone")
	}
	for _, d := range w.devices {
		if rapid.Bool().Draw(rt, "there") {
			d.start()
		}
	}
	w.Run(time.Minute)
	removed, blocked := make(map[pair]bool), make(map[pair]bool)
	kinds := []string{"ask", "ask", "yes", "yes", "no", "remove", "say", "kill", "stop", "start", "deaf"}
	if blocks {
		kinds = append(kinds, "block", "unblock")
	}
	for range rapid.IntRange(1, 20).Draw(rt, "steps") {
		d := w.devices[rapid.IntRange(0, len(w.devices)-1).Draw(rt, "who")]
		user := users[rapid.IntRange(0, len(users)-1).Draw(rt, "whom")]
		what := rapid.SampledFrom(kinds).Draw(rt, "what")
		w.Note("%v does %s %s", d, what, user)
		switch {
		case what == "deaf":
			w.Deaf = !w.Deaf
		case what == "start" && d.m == nil:
			d.start()
		case d.m == nil:
		case what == "kill":
			d.kill()
		case what == "stop":
			d.stop()
		case what == "say":
			p := linnet.Presence(rapid.IntRange(int(linnet.Online), int(linnet.Invisible)).Draw(rt, "presence"))
			d.m.Say(w.Now, p, fmt.Sprint("mood ", w.Now.Unix()))
		case user == d.User:
		default: // what makes no sense is refused, which is fine
			switch what {
			case "ask":
				d.m.Ask(w.Now, user, "", "please")
			case "yes":
				d.m.Answer(w.Now, user, true)
			case "no":
				d.m.Answer(w.Now, user, false)
			case "remove":
				d.m.Remove(w.Now, user)
				removed[pair{d.User, user}] = true
			case "block", "unblock":
				d.m.Block(w.Now, user, what == "block")
				blocked[pair{d.User, user}] = true
			}
		}
		if d.m != nil {
			d.Pump()
		}
		w.Run(time.Duration(rapid.IntRange(0, 20_000).Draw(rt, "pause")) * time.Millisecond)
	}
	// Whatever was lost is made up for when the network is well again, and all are there.
	w.Loss, w.Deaf = 0, false
	for _, d := range w.devices {
		if d.m == nil {
			d.start()
		}
	}
	w.Run(24 * time.Hour)

	fail := func(format string, args ...any) {
		rt.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w.Story())
	}
	of := func(user linnet.UserName) []*device {
		return slices.DeleteFunc(slices.Clone(w.devices), func(d *device) bool { return d.User != user })
	}
	for _, i := range w.Mail {
		if !blocks {
			fail("a letter of %s is left in the mailbox of %s", i.From, i.Owner)
		}
	}
	for _, a := range w.devices {
		for _, b := range w.devices {
			if a.User == b.User {
				continue
			}
			x, y := a.state(b.User), b.state(a.User)
			ok := true
			switch x {
			case linnet.Approved:
				// Not all of a user's devices hear that the other side said yes, where both ask
				// while a device is new: a known limit (docs/security.md).
				ok = y == linnet.Approved || y == linnet.Blocked || y == linnet.Asking && blocked[pair{b.User, a.User}] ||
					y == linnet.Asked && len(of(b.User)) > 1
			case linnet.Asked:
				ok = y == linnet.Asking || y == linnet.Blocked || y == linnet.Approved && len(of(a.User)) > 1 ||
					y == linnet.NoContact && (removed[pair{b.User, a.User}] || blocked[pair{b.User, a.User}] || len(of(b.User)) > 1)
			case linnet.Asking:
				ok = y == linnet.Asked || (y == linnet.Declined || y == linnet.NoContact) && len(of(a.User)) > 1 || y == linnet.Blocked || y == linnet.Approved && blocked[pair{a.User, b.User}] ||
					blocked[pair{b.User, a.User}]
			case linnet.Declined:
				ok = y == linnet.NoContact || y == linnet.Blocked || blocked[pair{b.User, a.User}]
			}
			if !ok {
				fail("%v has %s as %v, and %v has %s as %v", a, b.User, x, b, a.User, y)
			}
			if x != linnet.Approved || y != linnet.Approved {
				continue
			}
			want := linnet.Offline
			for _, p := range []linnet.Presence{linnet.DoNotDisturb, linnet.Away, linnet.Online} {
				for _, d := range of(b.User) {
					if d.m.Mine().Presence == p {
						want = p
					}
				}
			}
			if a.m.Mine().Presence == linnet.Invisible {
				continue // nobody tells such a one anything
			}
			if got := a.sees(b.User); got != want {
				fail("%v sees %s %v, want %v", a, b.User, got, want)
			}
		}
	}
	for _, user := range users {
		for _, other := range users {
			decided := make(map[string]bool)
			for _, d := range of(user) {
				switch s := d.state(other); s {
				case linnet.Asked, linnet.Approved, linnet.Declined:
					decided["wants"] = true
				case linnet.Blocked:
					decided["blocks"] = true
				default: // a request may have reached one of them only
					decided["does not want"] = true
				}
			}
			if user != other && len(decided) != 1 {
				fail("%s's devices disagree about %s: %v", user, other, decided)
			}
		}
	}
}
