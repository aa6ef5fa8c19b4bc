package post

import (
	"cmp"
	"errors"
	"iter"
	"maps"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Options is what a Courier needs of the machine that it is a part of: all but
// Begin, Taken, Failed and Remember.
type Options struct {
	Self linnet.NodeID
	User linnet.UserName

	Agenda *alarm.Agenda                                                     // of the machine; ready: the network is there
	Pass   func(user linnet.UserName) []byte                                 // for their mailbox; nil: there is none
	Letter func(now time.Time, k Key, to ...*directory.Prekey) *Letter       // what an errand has to say; nil: nothing
	Done   func(now time.Time, k Key, version uint64, taken []linnet.NodeID) // by these devices; the others have mail

	// Begin is told that an errand really begins: what there is to say may have
	// become more since Bring. May be nil.
	Begin func(now time.Time, k Key)
	// Room is how large the box may be that a stranger leaves.
	Room func() int
	// Taken is told of each device that has it; may be nil.
	Taken func(now time.Time, k Key, node linnet.NodeID)
	// Failed is told that a try came to nothing, before the next one is planned: it may
	// Drop the errand, or Bring something else. May be nil.
	Failed func(now time.Time, k Key, err error)
	// Remember somebody's prekeys and devices for so long: what is said next goes there at
	// once, and is tried anew if it is not taken.
	Remember time.Duration
}

// A Key tells errands apart. One without About is about the receiver.
type Key struct{ To, About linnet.UserName }

// CompareKeys orders them.
func CompareKeys(a, b Key) int { return cmp.Or(cmp.Compare(a.To, b.To), cmp.Compare(a.About, b.About)) }

// A Courier has the errands of one machine, and belongs to its goroutine.
type Courier struct {
	o       Options
	errands map[Key]*errand
	tickets uint64 // of PutMail
	turns   alarm.Pace
	known   map[linnet.UserName]*addressee
	hints   map[linnet.NodeID]uint64 // the number of what is being told of
	hinted  uint64                   // the last number
}

// An addressee is somebody to whom something was brought lately.
type addressee struct {
	prekeys []*directory.Prekey
	devices []Device
	until   time.Time
	next    time.Time // not before
}

// An errand brings one thing to somebody's devices.
type errand struct {
	Key
	version uint64
	step    step
	tries   int

	prekeys    []*directory.Prekey
	letters    map[directory.LetterID]linnet.NodeID // on their way straight to devices
	taken      map[linnet.NodeID]bool
	waiting    map[uint64]bool // mail that is being put
	failed     error
	plain      bool // their pass was no good
	remembered bool // where their devices are was not asked
}

type step uint8

const (
	idle       step = iota // waits for its turn, or for its next try
	askPrekeys             // asked for
	lookUp                 // where the devices are
	straight
	mail
)

// ErrNobody is what a try comes to if there may be nobody of that name.
var ErrNobody = errors.New("nobody of that name has a device that letters can be sealed to")

// MaxDevices are written to, of one user.
const MaxDevices = 8

const (
	takeWait   = 5 * time.Second // for a device to take a letter
	sendAgain  = 1500 * time.Millisecond
	sendTimes  = 3
	answerWait = time.Minute     // for any answer
	firstTry   = 5 * time.Second // two who sign up together know each other before their prekeys are published
	lastTry    = 2 * time.Hour
	turnGap    = 1500 * time.Millisecond // a supernode takes 2 requests a second
	againGap   = 250 * time.Millisecond  // a device opens 5 letters a second
	maxKnown   = 256
)

// hintAfter is when a device that did not take a letter is told of its mail, from one
// time to the next: it was busy or badly connected, and will not look by itself for hours.
var hintAfter = [...]time.Duration{time.Second, 10 * time.Second, time.Minute, 10 * time.Minute}

// NewCourier makes a Courier; Begin makes it work.
func NewCourier(o Options) *Courier {
	return &Courier{
		o: o, errands: make(map[Key]*errand), known: make(map[linnet.UserName]*addressee), hints: make(map[linnet.NodeID]uint64),
		turns: alarm.Pace{Gap: turnGap, After: o.Agenda.After, Jitter: o.Agenda.Jitter},
	}
}

// Version is that of the errand with this key, if there is one.
func (c *Courier) Version(k Key) (version uint64, there bool) {
	if e := c.errands[k]; e != nil {
		return e.version, true
	}
	return 0, false
}

// Bring begins an errand, instead of an older one with this key.
func (c *Courier) Bring(now time.Time, k Key, version uint64) {
	e := &errand{Key: k, version: version}
	c.errands[k] = e
	c.enqueue(now, e)
}

// Urge makes sure that an errand begins soon; one that is under way stays.
func (c *Courier) Urge(now time.Time, k Key, version uint64) {
	if e := c.errands[k]; e == nil || e.step == idle && e.tries > 0 {
		c.Bring(now, k, version)
	}
}

// Drop ends an errand.
func (c *Courier) Drop(k Key) { delete(c.errands, k) }

// Begin begins all errands anew: the network is there, for the first time or again.
func (c *Courier) Begin(now time.Time) {
	c.turns.Clear()
	clear(c.known)
	clear(c.hints)
	for _, e := range c.sorted() {
		c.Bring(now, e.Key, e.version)
	}
}

// Hurry tries at once what waits for its next try: somebody can be reached now.
func (c *Courier) Hurry(now time.Time, user linnet.UserName) {
	delete(c.known, user)
	for _, e := range c.to(user, idle) {
		if e.tries > 0 {
			c.Bring(now, e.Key, e.version)
		}
	}
}

// enqueue begins an errand in its turn.
func (c *Courier) enqueue(now time.Time, e *errand) {
	if !c.o.Agenda.Ready() {
		return // Begin comes
	}
	begin := func(now time.Time) {
		if c.o.Agenda.Ready() && c.errands[e.Key] == e && e.step == idle {
			c.begin(now, e)
		}
	}
	if a := c.remembered(now, e.To); a != nil {
		wait := a.next.Sub(now)
		a.next = now.Add(max(wait, 0) + againGap)
		if wait > 0 {
			c.o.Agenda.WhileReady(now, wait, begin)
		} else {
			begin(now)
		}
		return
	}
	c.turns.Add(now, begin)
}

func (c *Courier) remembered(now time.Time, user linnet.UserName) *addressee {
	if a := c.known[user]; a != nil && now.Before(a.until) {
		return a
	}
	return nil
}

func (c *Courier) remember(now time.Time, user linnet.UserName, prekeys []*directory.Prekey, devices []Device) {
	if c.o.Remember == 0 {
		return
	}
	for k, a := range c.known {
		if !now.Before(a.until) {
			delete(c.known, k)
		}
	}
	if len(c.known) < maxKnown {
		c.known[user] = &addressee{prekeys, devices, now.Add(c.o.Remember), now.Add(againGap)}
	}
}

func (c *Courier) begin(now time.Time, e *errand) {
	e.prekeys, e.failed, e.remembered = nil, nil, false
	e.letters, e.taken, e.waiting = make(map[directory.LetterID]linnet.NodeID), make(map[linnet.NodeID]bool), make(map[uint64]bool)
	if c.o.Begin != nil {
		c.o.Begin(now, e.Key)
	}
	if a := c.remembered(now, e.To); a != nil {
		e.remembered, e.prekeys = true, a.prekeys
		if len(e.prekeys) == 0 {
			c.done(now, e)
			return
		}
		c.deliver(now, e, a.devices)
		return
	}
	e.step = askPrekeys
	c.o.Agenda.Do(AskPrekeys{e.To})
	c.alarm(now, e, answerWait, askPrekeys)
}

// alarm gives up a step that takes too long.
func (c *Courier) alarm(now time.Time, e *errand, d time.Duration, s step) {
	tries := e.tries
	c.o.Agenda.WhileReady(now, d, func(now time.Time) {
		switch {
		case c.errands[e.Key] != e || e.step != s || e.tries != tries:
		case s == straight:
			c.notTaken(now, e)
		default:
			c.fails(now, e, directory.ErrNoAnswer)
		}
	})
}

// fails tries again later.
func (c *Courier) fails(now time.Time, e *errand, err error) {
	e.step = idle
	if c.o.Failed != nil {
		if c.o.Failed(now, e.Key, err); c.errands[e.Key] != e {
			return
		}
	}
	wait := min(firstTry<<min(e.tries, 12), lastTry)
	e.tries++
	c.o.Agenda.WhileReady(now, c.o.Agenda.Jitter(wait), func(now time.Time) {
		if c.errands[e.Key] == e && e.step == idle {
			c.enqueue(now, e)
		}
	})
}

// to are the errands to somebody that are at a step.
func (c *Courier) to(user linnet.UserName, s step) (list []*errand) {
	for _, e := range c.sorted() {
		if e.To == user && e.step == s {
			list = append(list, e)
		}
	}
	return list
}

// Prekeys is told what came of an AskPrekeys.
func (c *Courier) Prekeys(now time.Time, user linnet.UserName, list []*directory.Prekey, err error) {
	for _, e := range c.to(user, askPrekeys) {
		e.prekeys = slices.DeleteFunc(slices.Clone(list), func(p *directory.Prekey) bool { return p.Node == c.o.Self })
		switch {
		case err != nil:
			c.fails(now, e, err)
		case len(e.prekeys) == 0 && e.To == c.o.User: // there is no other device
			c.remember(now, user, nil, nil)
			c.done(now, e)
		case len(e.prekeys) == 0:
			c.fails(now, e, ErrNobody)
		default:
			e.step = lookUp
			c.o.Agenda.Do(LookUp{user})
			c.alarm(now, e, answerWait, lookUp)
		}
	}
}

// Found is told what came of a LookUp, whoever wanted it. Who was not found has a
// mailbox.
func (c *Courier) Found(now time.Time, user linnet.UserName, devices []Device, err error) {
	for _, e := range c.to(user, lookUp) {
		if err == nil {
			c.remember(now, user, e.prekeys, devices)
		}
		c.deliver(now, e, devices)
	}
}

// deliver sends letters to devices that are there, and leaves the rest to the
// mailbox.
func (c *Courier) deliver(now time.Time, e *errand, devices []Device) {
	e.step = straight
	for _, d := range devices {
		i := slices.IndexFunc(e.prekeys, func(p *directory.Prekey) bool { return p.Node == d.Node })
		if i < 0 || !d.Reachable {
			continue
		}
		l := c.o.Letter(now, e.Key, e.prekeys[i])
		if l == nil {
			continue
		}
		e.letters[l.ID] = d.Node
		c.send(now, e, l, d.Node, 1)
	}
	if len(e.letters) == 0 {
		c.leaveMail(now, e)
		return
	}
	c.alarm(now, e, takeWait, straight)
}

// send sends a letter straight, and once more if that may have got lost: what then
// lies in the mailbox of a device that is there is not looked for soon.
func (c *Courier) send(now time.Time, e *errand, l *Letter, to linnet.NodeID, times int) {
	c.o.Agenda.Do(Forward{to, message.InnerLetter, l.Box})
	if times == sendTimes {
		return
	}
	c.o.Agenda.WhileReady(now, sendAgain, func(now time.Time) {
		if c.errands[e.Key] == e && e.step == straight && e.letters[l.ID] == to && !e.taken[to] {
			c.send(now, e, l, to, times+1)
		}
	})
}

// notTaken is when a device keeps silent. It may have gone elsewhere since it was
// found; else there is mail for it.
func (c *Courier) notTaken(now time.Time, e *errand) {
	delete(c.known, e.To)
	if e.remembered && len(e.taken) == 0 {
		e.step = idle
		c.enqueue(now, e)
		return
	}
	c.leaveMail(now, e)
}

// Taken is told that a device says to have a letter.
func (c *Courier) Taken(now time.Time, from linnet.NodeID, id directory.LetterID) {
	for _, e := range c.sorted() {
		if node, ok := e.letters[id]; ok && node == from {
			if c.o.Taken != nil && !e.taken[from] {
				c.o.Taken(now, e.Key, from)
			}
			e.taken[from] = true
			if e.step == straight && len(e.taken) == len(e.letters) {
				c.leaveMail(now, e)
			}
			return
		}
	}
}

// Unreachable is told that what was sent to a device found no way.
func (c *Courier) Unreachable(now time.Time, node linnet.NodeID) {
	delete(c.hints, node) // it looks for mail when it is back
	for _, e := range c.sorted() {
		if e.step != straight || !e.remembered || e.taken[node] {
			continue
		}
		if slices.Contains(slices.Collect(maps.Values(e.letters)), node) {
			c.notTaken(now, e)
		}
	}
}

// leaveMail leaves the letter for the devices that did not take it. A contact's
// mailbox takes one for each; a stranger may leave a single small one, which is
// sealed for as many devices as fit, and not at all if one has it already.
func (c *Courier) leaveMail(now time.Time, e *errand) {
	e.step = mail
	missing := slices.DeleteFunc(slices.Clone(e.prekeys), func(p *directory.Prekey) bool { return e.taken[p.Node] })
	var pass []byte
	if !e.plain {
		pass = c.o.Pass(e.To)
	}
	switch {
	case len(missing) == 0:
	case e.To == c.o.User || pass != nil:
		for _, p := range missing {
			if l := c.o.Letter(now, e.Key, p); l != nil {
				c.put(e, PutMail{To: e.To, Device: p.Node, Box: l.Box, Pass: pass})
			}
		}
	case len(e.taken) == 0:
		for n := min(len(missing), MaxDevices); n > 0; n-- {
			l := c.o.Letter(now, e.Key, missing[:n]...)
			if l == nil || n > 1 && len(l.Box) > c.o.Room() {
				continue
			}
			c.put(e, PutMail{To: e.To, Box: l.Box})
			break
		}
	}
	switch {
	case len(e.waiting) > 0:
		c.alarm(now, e, answerWait, mail)
	case len(missing) > 0 && len(e.taken) == 0: // nothing could be written
		c.fails(now, e, directory.ErrItemSize)
	default:
		c.done(now, e)
	}
}

func (c *Courier) put(e *errand, m PutMail) {
	c.tickets++
	m.Ticket = c.tickets
	e.waiting[m.Ticket] = true
	c.o.Agenda.Do(m)
}

// MailPut is told what came of a PutMail.
func (c *Courier) MailPut(now time.Time, ticket uint64, err error) {
	for _, e := range c.sorted() {
		if e.step != mail || !e.waiting[ticket] {
			continue
		}
		delete(e.waiting, ticket)
		if err != nil {
			e.failed = err
		}
		switch {
		case len(e.waiting) > 0:
		case e.failed == nil:
			c.done(now, e)
		default:
			if errors.Is(e.failed, directory.ErrMailRefused) {
				e.plain = true // the device that gave the pass may be gone
			}
			c.fails(now, e, e.failed)
		}
		return
	}
}

func (c *Courier) done(now time.Time, e *errand) {
	delete(c.errands, e.Key)
	for _, node := range inOrder(maps.Values(e.letters)) {
		if !e.taken[node] && len(c.hints) < maxKnown {
			c.hinted++
			c.hints[node] = c.hinted
			c.hint(now, node, c.hinted, 0)
		}
	}
	c.o.Done(now, e.Key, e.version, inOrder(maps.Keys(e.taken)))
}

func inOrder(nodes iter.Seq[linnet.NodeID]) []linnet.NodeID {
	return slices.SortedFunc(nodes, func(a, b linnet.NodeID) int { return slices.Compare(a[:], b[:]) })
}

// hint tells a device, and tells it again, that there is mail.
func (c *Courier) hint(now time.Time, node linnet.NodeID, number uint64, times int) {
	c.o.Agenda.WhileReady(now, hintAfter[times], func(now time.Time) {
		if c.hints[node] != number {
			return
		}
		c.o.Agenda.Do(Forward{To: node, Inner: message.InnerMail})
		if times+1 < len(hintAfter) {
			c.hint(now, node, number, times+1)
		} else {
			delete(c.hints, node)
		}
	})
}

func (c *Courier) sorted() []*errand {
	list := slices.Collect(maps.Values(c.errands))
	slices.SortFunc(list, func(a, b *errand) int { return CompareKeys(a.Key, b.Key) })
	return list
}
