// Package posttest is what machines on top of package post have around them in tests:
// devices on virtual time, supernodes that forward, lose and double, and a directory,
// prekeys and mailboxes that answer or do not.
package posttest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/overlay/overlaytest"
	"github.com/linnet-p2p/linnet/post"
)

// A World is devices of some users, and what stands between them. The same seed gives
// the same run.
type World struct {
	T       testing.TB
	IDs     *overlaytest.World // certifies devices
	Now     time.Time
	Rand    *rand.Rand
	Devices []*Device
	Mail    []directory.Item // in all mailboxes
	Carried []Carried        // all that was forwarded
	Asked   int              // of the directory and of mailboxes

	Loss, Twice float64 // of what is forwarded
	Deaf        bool    // mailboxes and the directory do not answer

	events alarm.Queue[func()]
	log    []string
}

// Carried is something that was forwarded, to nobody if nobody is known there.
type Carried struct {
	From, To *Device
	post.Forward
}

// New makes an empty World.
func New(t testing.TB, seed uint64) *World {
	ids := overlaytest.New(t, 1)
	return &World{T: t, IDs: ids, Now: ids.Now, Rand: rand.New(rand.NewPCG(seed, 2))}
}

// After does something later.
func (w *World) After(d time.Duration, do func()) { w.events.Set(w.Now.Add(d), do) }

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	end := w.Now.Add(d)
	for {
		next := w.events.Next()
		if next.IsZero() || next.After(end) {
			break
		}
		w.Now = next
		do, _ := w.events.Pop(w.Now)
		do()
	}
	w.Now = end
}

// Until runs until something is so, and says how long that took.
func (w *World) Until(what string, so func() bool) time.Duration {
	w.T.Helper()
	begin := w.Now
	for !so() {
		if w.Now.Sub(begin) > 30*time.Minute {
			w.T.Fatalf("in vain for half an hour: %s\n%s", what, w.Story())
		}
		w.Run(10 * time.Millisecond)
	}
	return w.Now.Sub(begin)
}

// Note writes down what happens, for the Story.
func (w *World) Note(format string, args ...any) {
	w.log = append(w.log, w.Now.Format("15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// Story is what happened last.
func (w *World) Story() string { return strings.Join(w.log[max(0, len(w.log)-60):], "\n") }

// Delay is how long something is under way.
func (w *World) Delay() time.Duration {
	return 20*time.Millisecond + time.Duration(w.Rand.Int64N(int64(200*time.Millisecond)))
}

// ByNode finds a device; nil: there is none.
func (w *World) ByNode(node linnet.NodeID) *Device {
	for _, d := range w.Devices {
		if d.ID.Node == node {
			return d
		}
	}
	return nil
}

// put is what a mailbox does: many items of contacts, one small one of strangers.
func (w *World) put(d *Device, m post.PutMail) {
	item := directory.Item{Certificate: d.ID.Certificate, Owner: m.To, Device: m.Device, Time: w.Now, Box: m.Box, Pass: m.Pass}
	b, err := item.Sign(d.ID.Keys)
	if err != nil {
		w.T.Errorf("%v leaves what no mailbox takes: %v", d, err)
	} else if opened, openErr := directory.OpenItem(w.IDs.Trust, b, w.Now); openErr != nil {
		err = directory.ErrMailRefused
	} else {
		item = *opened
	}
	w.Note("%v leaves mail for %s (%s), %v", d, m.To, m.Device.Short(), err)
	w.Asked++
	stored := w.Delay()
	w.After(stored, func() {
		switch {
		case err != nil:
		case w.Deaf:
			err = directory.ErrNoAnswer
		case !item.Contact && slices.ContainsFunc(w.Mail, func(x directory.Item) bool {
			return x.Owner == item.Owner && x.From == item.From && !x.Contact
		}):
			err = directory.ErrMailFull
		case slices.ContainsFunc(w.Mail, func(x directory.Item) bool { return x.ID == item.ID }):
		default:
			w.Mail = append(w.Mail, item)
		}
	})
	d.Later(stored+w.Delay(), func() { d.machine.MailPut(w.Now, m.Ticket, err) })
}
