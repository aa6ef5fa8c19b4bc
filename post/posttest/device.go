package posttest

import (
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A Machine is a state machine that has a post.Courier.
type Machine interface {
	Take() []any
	Deadline() time.Time
	Tick(now time.Time)
	Found(now time.Time, user linnet.UserName, devices []post.Device, err error)
	Prekeys(now time.Time, user linnet.UserName, list []*directory.Prekey, err error)
	MailPut(now time.Time, ticket uint64, err error)
	Unreachable(now time.Time, node linnet.NodeID)
}

// A Host is what runs a machine besides: its disk, and what is not of package post.
type Host interface {
	// Save takes an effect that is to be on disk before what follows it, and gives
	// what is to be done when it is.
	Save(e any) (saved func(), is bool)
	Effect(e any)
	Arrives(from linnet.NodeID, inner uint32, body []byte)
	// Listed says whether the directory knows the device, and whether it is there.
	Listed() (known, reachable bool)
	Prekey() *directory.Prekey // nil: none was published
}

// A Device is one machine of a user, with its disk.
type Device struct {
	World *World
	User  linnet.UserName
	ID    overlay.Identity
	Life  int // how often it was started

	host    Host
	machine Machine // nil: it does not run
	queue   []any
	saving  bool
	wake    time.Time
}

// Add makes a device that does not run yet.
func (w *World) Add(user linnet.UserName, name string, host Host) *Device {
	d := &Device{World: w, User: user, ID: w.IDs.Identity(user, name), host: host}
	w.Devices = append(w.Devices, d)
	return d
}

func (d *Device) String() string { return fmt.Sprintf("%s/%s", d.User, d.ID.Node.Short()) }

// Start has it run a machine.
func (d *Device) Start(m Machine) {
	d.World.Note("%v starts", d)
	d.Life++
	d.machine, d.queue, d.saving, d.wake = m, nil, false, time.Time{}
	d.Pump()
}

// End is kill -9: what was not on disk is lost.
func (d *Device) End() {
	d.World.Note("%v ends", d)
	d.machine, d.queue = nil, nil
}

// Runs says whether it does.
func (d *Device) Runs() bool { return d.machine != nil }

// Later does something if the device still runs then.
func (d *Device) Later(wait time.Duration, do func()) {
	life := d.Life
	d.World.After(wait, func() {
		if d.machine != nil && d.Life == life {
			do()
			d.Pump()
		}
	})
}

// Act is something that the user does.
func (d *Device) Act(what string, do func(now time.Time) error) error {
	d.World.Note("%v: %s", d, what)
	err := do(d.World.Now)
	d.Pump()
	return err
}

// Drop forgets what waits for the disk, and gives it.
func (d *Device) Drop() []any {
	dropped := d.queue
	d.queue = nil
	return dropped
}

// diskTime is how long a disk takes.
const diskTime = 5 * time.Millisecond

// Pump does what the machine wants, in order; what follows a Save waits for the disk.
func (d *Device) Pump() {
	if d.machine == nil {
		return
	}
	d.queue = append(d.queue, d.machine.Take()...)
	for len(d.queue) > 0 && !d.saving {
		e := d.queue[0]
		d.queue = d.queue[1:]
		if saved, is := d.host.Save(e); is {
			d.saving = true
			d.Later(diskTime, func() {
				d.saving = false
				saved()
			})
			continue
		}
		d.effect(e)
		d.queue = append(d.queue, d.machine.Take()...)
	}
	if at := d.machine.Deadline(); !at.IsZero() && (d.wake.IsZero() || at.Before(d.wake)) {
		d.wake = at
		d.Later(max(at.Sub(d.World.Now), 0), func() {
			if d.wake.Equal(at) {
				d.wake = time.Time{}
				d.machine.Tick(d.World.Now)
			}
		})
	}
}

func (d *Device) effect(e any) {
	w := d.World
	switch e := e.(type) {
	case post.Forward:
		d.Send(e)
	case post.LookUp:
		d.ask(func(err error) {
			var list []post.Device
			for _, x := range w.Devices {
				if known, reachable := x.host.Listed(); err == nil && known && x.User == e.User {
					list = append(list, post.Device{Node: x.ID.Node, Reachable: reachable})
				}
			}
			d.machine.Found(w.Now, e.User, list, err)
		})
	case post.AskPrekeys:
		d.ask(func(err error) {
			var list []*directory.Prekey
			for _, x := range w.Devices {
				if p := x.host.Prekey(); err == nil && p != nil && x.User == e.User {
					list = append(list, p)
				}
			}
			d.machine.Prekeys(w.Now, e.User, list, err)
		})
	case post.PutMail:
		w.put(d, e)
	case post.RemoveMail:
		w.Mail = slices.DeleteFunc(slices.Clone(w.Mail), func(x directory.Item) bool { return slices.Contains(e.IDs, x.ID) })
	default:
		d.host.Effect(e)
	}
}

// Send carries something through supernodes, which vouch for its sender.
func (d *Device) Send(f post.Forward) {
	w := d.World
	to := w.ByNode(f.To)
	w.Carried = append(w.Carried, Carried{d, to, f})
	if to == nil || to.machine == nil {
		d.Later(w.Delay(), func() { d.machine.Unreachable(w.Now, f.To) })
		return
	}
	w.Note("%v sends %v %x", d, to, f.Inner)
	times := 1
	if w.Rand.Float64() < w.Twice {
		times = 2
	}
	for range times {
		if w.Rand.Float64() >= w.Loss {
			to.Later(w.Delay(), func() { to.host.Arrives(d.ID.Node, f.Inner, f.Body) })
		}
	}
}

// ask waits for an answer, or for the news that there is none.
func (d *Device) ask(answer func(err error)) {
	d.World.Asked++
	d.Later(d.World.Delay(), func() {
		if d.World.Deaf {
			answer(directory.ErrNoAnswer)
		} else {
			answer(nil)
		}
	})
}

// LookForMail fetches what is wanted of the own mailbox.
func (d *Device) LookForMail(wants func(message.MailID) bool, got func([]*directory.Item)) {
	w := d.World
	d.Later(w.Delay(), func() {
		if w.Deaf {
			return
		}
		var items []*directory.Item
		for _, x := range w.Mail {
			if x.Owner == d.User && (x.Device.IsZero() || x.Device == d.ID.Node) && wants(x.ID) {
				items = append(items, &x)
			}
		}
		got(items)
	})
}
