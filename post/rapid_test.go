package post_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/post/posttest"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A writer is a device that brings numbers to people, and keeps the last one that each
// device wrote to it.
type writer struct {
	*posttest.Device
	*post.Courier
	o       *options
	agenda  *alarm.Agenda
	public  []byte
	private []byte
	left    map[message.MailID]bool

	// On disk.
	pending map[post.Key]uint64
	last    map[linnet.NodeID]uint64
	told    map[post.Key]uint64 // the last that was done
}

type options struct{ strangers bool }

func (o *options) add(w *posttest.World, user linnet.UserName, name string) *writer {
	public, private, err := suite.Modern().NewPrekey()
	if err != nil {
		w.T.Fatal(err)
	}
	x := &writer{o: o, public: public, private: private, pending: make(map[post.Key]uint64), last: make(map[linnet.NodeID]uint64), told: make(map[post.Key]uint64)}
	x.Device = w.Add(user, name, x)
	return x
}

type (
	saveDone struct {
		key     post.Key
		version uint64
	}
	saveHeard struct {
		from    linnet.NodeID
		version uint64
	}
)

func (x *writer) Take() []any         { return x.agenda.Take() }
func (x *writer) Deadline() time.Time { return x.agenda.Deadline() }
func (x *writer) Tick(now time.Time)  { x.agenda.Tick(now) }

func (x *writer) start() {
	w := x.World
	x.left = make(map[message.MailID]bool)
	x.agenda = &alarm.Agenda{Rand: rand.New(rand.NewPCG(w.Rand.Uint64(), 1))}
	x.Courier = post.NewCourier(post.Options{
		Self: x.ID.Node, User: x.User, Agenda: x.agenda, Remember: 10 * time.Minute,
		Pass: x.pass,
		Letter: func(now time.Time, k post.Key, to ...*directory.Prekey) *post.Letter {
			version, _ := x.Version(k)
			return post.Write(suite.Modern(), x.ID, now, directory.LetterChat, k.To, []byte(strconv.FormatUint(version, 10)), to...)
		},
		Room: func() int { return directory.RequestRoom(x.ID.Certificate) },
		Done: func(now time.Time, k post.Key, version uint64, taken []linnet.NodeID) {
			if _, there := x.Version(k); there {
				w.T.Errorf("%v: an errand is done, and goes on", x)
			}
			x.agenda.Do(saveDone{k, version})
		},
	})
	for k, version := range x.pending {
		x.Bring(w.Now, k, version)
	}
	x.Start(x)
	x.Later(time.Second, func() { x.agenda.SetReady(true); x.Begin(w.Now) })
	x.looks()
}

func (x *writer) looks() {
	x.Later(3*time.Second, x.checkMail)
	x.Later(time.Hour, x.looks)
}

func (x *writer) pass(user linnet.UserName) []byte {
	for _, d := range x.World.Devices {
		if d.User == user && !x.o.strangers {
			pass, err := directory.MailPass(d.ID, x.User)
			if err != nil {
				x.World.T.Fatal(err)
			}
			return pass
		}
	}
	return nil
}

func (x *writer) checkMail() {
	x.LookForMail(func(id message.MailID) bool { return !x.left[id] }, func(items []*directory.Item) {
		for _, i := range items {
			x.left[i.ID] = true
			x.arrived(i.Box, i.ID)
		}
	})
}

func (x *writer) arrived(box []byte, mail message.MailID) {
	l, err := directory.OpenLetter(suite.Modern(), x.World.IDs.Trust, x.User, box, func(id suite.PrekeyID) []byte {
		if id == suite.PrekeyIDOf(x.public) {
			return x.private
		}
		return nil
	}, x.World.Now)
	if err != nil {
		x.World.T.Errorf("%v opens a letter: %v", x, err)
		return
	}
	version, err := strconv.ParseUint(string(l.Content), 10, 64)
	if err != nil {
		x.World.T.Error(err)
	}
	x.agenda.Do(saveHeard{l.Sender, version})
	x.agenda.Do(post.Arrival{Letter: l, Mail: mail}.Taken())
}

// bring is something that the user does: it is on disk.
func (x *writer) bring(k post.Key, version uint64) {
	x.pending[k] = version
	x.Act(fmt.Sprint("brings ", version, " to ", k.To), func(now time.Time) error { x.Bring(now, k, version); return nil })
}

// Save implements posttest.Host.
func (x *writer) Save(e any) (func(), bool) {
	switch e := e.(type) {
	case saveDone:
		return func() {
			x.told[e.key] = max(x.told[e.key], e.version)
			if x.pending[e.key] == e.version {
				delete(x.pending, e.key)
			}
		}, true
	case saveHeard:
		return func() { x.last[e.from] = max(x.last[e.from], e.version) }, true
	}
	return nil, false
}

// Effect implements posttest.Host.
func (x *writer) Effect(e any) { x.World.T.Fatalf("%T", e) }

// Arrives implements posttest.Host.
func (x *writer) Arrives(from linnet.NodeID, inner uint32, body []byte) {
	switch inner {
	case message.InnerLetter:
		x.arrived(body, message.MailID{})
	case message.InnerTaken:
		x.Taken(x.World.Now, from, directory.LetterID(body))
	}
}

// Listed implements posttest.Host.
func (x *writer) Listed() (known, reachable bool) { return x.Life > 0, x.Runs() }

// Prekey implements posttest.Host.
func (x *writer) Prekey() *directory.Prekey {
	if x.Life == 0 {
		return nil
	}
	return &directory.Prekey{Public: x.public, Time: x.World.IDs.Now, User: x.User, Node: x.ID.Node}
}

// TestEveryoneHears lets people bring each other the newest number at any time, on a
// network that loses and doubles, with devices that are killed. In the end every device
// that there is has heard the last number of each writer, or has mail that says it; who
// brought it knows, nobody brings any more, and nothing is left anywhere.
func TestEveryoneHears(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := posttest.New(t, rapid.Uint64().Draw(rt, "seed"))
		w.Loss = rapid.Float64Range(0, 0.5).Draw(rt, "loss")
		w.Twice = rapid.Float64Range(0, 0.3).Draw(rt, "twice")
		o := &options{strangers: rapid.Bool().Draw(rt, "strangers")}
		writers := []*writer{o.add(w, "alice", "device"), o.add(w, "bob", "device"), o.add(w, "bob", "phone"), o.add(w, "carol", "device")}
		for _, x := range writers {
			x.start()
		}
		brought := make(map[*writer]map[post.Key]uint64)
		users := []linnet.UserName{"alice", "bob", "carol"}
		for n := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			x := writers[rapid.IntRange(0, len(writers)-1).Draw(rt, "who")]
			switch what := rapid.SampledFrom([]string{"bring", "bring", "bring", "kill", "start", "deaf", "wait"}).Draw(rt, "what"); {
			case what == "deaf":
				w.Deaf = !w.Deaf
			case what == "wait":
				w.Run(time.Duration(rapid.IntRange(0, 600).Draw(rt, "seconds")) * time.Second)
			case what == "start" && !x.Runs():
				x.start()
			case what == "kill" && x.Runs():
				x.End()
			case what == "bring" && x.Runs():
				k := post.Key{To: rapid.SampledFrom(users).Draw(rt, "whom")}
				if brought[x] == nil {
					brought[x] = make(map[post.Key]uint64)
				}
				brought[x][k] = uint64(n + 1)
				x.bring(k, uint64(n+1))
			}
			w.Run(time.Duration(rapid.IntRange(0, 3000).Draw(rt, "ms")) * time.Millisecond)
		}
		w.Deaf, w.Loss = false, 0
		for _, x := range writers {
			if !x.Runs() {
				x.start()
			}
		}
		w.Run(24 * time.Hour)
		fail := func(format string, args ...any) {
			rt.Fatalf("%s\n%s", fmt.Sprintf(format, args...), w.Story())
		}
		for _, x := range writers {
			for k, version := range brought[x] {
				if x.told[k] != version {
					fail("%v brought %d to %s, and knows of %d", x, version, k.To, x.told[k])
				}
				for _, y := range writers {
					// One whom nobody knows yet leaves a single letter, for whoever is not there.
					if y.User == k.To && y != x && y.last[x.ID.Node] != version && !(o.strangers && k.To == "bob") {
						fail("%v heard %d of %v, want %d", y, y.last[x.ID.Node], x, version)
					}
				}
			}
			if len(x.pending) > 0 {
				fail("%v has yet to bring %v", x, x.pending)
			}
		}
		if len(w.Mail) > 0 && !o.strangers {
			fail("%d letters are left in mailboxes", len(w.Mail))
		}
		carried, asked := len(w.Carried), w.Asked
		w.Run(24 * time.Hour)
		if len(w.Carried) != carried || w.Asked != asked {
			fail("with nothing to bring, %d things are sent and %d asked for", len(w.Carried)-carried, w.Asked-asked)
		}
	})
}
