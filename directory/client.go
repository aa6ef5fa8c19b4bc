package directory

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Attachment is what a device knows of the overlay; an overlay.Machine is one.
type Attachment interface {
	Attachments() []linnet.NodeID // supernodes that serve this node, best first
	Supernodes() int              // in the network, as far as it knows
	HeardOf(time.Time) int        // supernodes, lately
	Hosts() []linnet.NodeID       // supernodes that it heard of
}

// ClientOptions configures a Client. Self, Trust, Overlay and Rand are needed.
type ClientOptions struct {
	Self    overlay.Identity
	Trust   overlay.Trust
	Overlay Attachment
	SlotOf  overlay.SlotFunc // nil means overlay.SlotOf
	Rand    *rand.Rand       // not for secrets
	Open    opener           // nil means OpenRecord

	Sequence uint64 // of the last record that this device published; its clock may have gone back since
}

// A Client publishes where this device can be reached, and finds others.
type Client struct {
	machine
	o       ClientOptions
	publish publishing
	lookups map[Lookup]*search
	last    Lookup
}

// NewClient makes a Client; it does nothing until it is asked to.
func NewClient(o ClientOptions) *Client {
	if o.SlotOf == nil {
		o.SlotOf = overlay.SlotOf
	}
	if o.Open == nil {
		o.Open = openIn(o.Trust)
	}
	return &Client{o: o, publish: publishing{sequence: o.Sequence}, lookups: make(map[Lookup]*search)}
}

// A Status is what a device says of itself in its record.
type Status struct {
	NAT          uint32 // traverse.NAT
	Capabilities uint32
}

// Published says that a majority of the slot has this device's record.
type Published struct {
	Sequence uint64 // to be kept on disk for ClientOptions.Sequence
	Copies   int
}

// NotPublished says that an attempt failed; the next one comes after Retry.
type NotPublished struct {
	Err   error
	Retry time.Duration
}

// Withdrawn ends Withdraw; Err is nil if the network knows that the device is offline.
type Withdrawn struct{ Err error }

// Lookup tells the lookups of a Client apart.
type Lookup uint64

// Found ends a lookup. Without an error there are records, the reachable ones
// first; whether one is, Record.Reachable says.
type Found struct {
	Lookup  Lookup
	User    linnet.UserName
	Records []*Record
	Err     error
}

// Errors of Found, NotPublished and Withdrawn.
var (
	ErrNotFound    = errors.New("nobody of that name was online for as long as the network remembers")
	ErrUnconfirmed = errors.New("it could not be confirmed that there is nobody of that name")
	ErrNotAttached = errors.New("not connected to any supernode")
	ErrNoAnswer    = errors.New("no supernode answered")
	ErrBusy        = errors.New("too many lookups at once") // here, or as the supernodes see it
	ErrNotStored   = errors.New("the supernode could not store the record")
)

const (
	publishWait   = 3 * time.Second
	publishPause  = 200 * time.Millisecond // attachments come in pairs
	publishFirst  = time.Second
	publishMost   = time.Minute
	withdrawTries = 2

	trustAhead = 366 * 24 * time.Hour // of a sequence that a supernode claims to know: it may be a liar
)

type publishing struct {
	on       bool
	leaving  bool
	status   Status
	sequence uint64
	plan     int // its number: alarms of older ones are void
	failures int
}

// Publish begins to publish, or publishes a changed status.
func (c *Client) Publish(now time.Time, s Status) {
	c.publish.on, c.publish.leaving, c.publish.status, c.publish.failures = true, false, s, 0
	c.schedule(now, 0)
}

// AttachmentsChanged is told after overlay.Attached and Detached.
func (c *Client) AttachmentsChanged(now time.Time) {
	if c.publish.on {
		c.publish.failures = 0
		c.schedule(now, publishPause)
	}
}

// Withdraw says that the device goes offline; Withdrawn tells when that is known.
func (c *Client) Withdraw(now time.Time) {
	c.publish.on, c.publish.leaving, c.publish.failures = false, true, 0
	c.schedule(now, 0)
}

// Renew is told when the device has a new certificate.
func (c *Client) Renew(now time.Time, self overlay.Identity) {
	c.o.Self = self
	if c.publish.on {
		c.schedule(now, 0)
	}
}

func (c *Client) schedule(now time.Time, wait time.Duration) {
	c.publish.plan++
	plan := c.publish.plan
	c.after(now, wait, func(now time.Time) {
		if c.publish.plan == plan {
			c.store(now, plan)
		}
	})
}

func (c *Client) store(now time.Time, plan int) {
	p := &c.publish
	supernodes := c.o.Overlay.Attachments()
	if len(supernodes) == 0 {
		if p.leaving {
			p.leaving = false
			c.emit(Withdrawn{ErrNotAttached})
		}
		return // AttachmentsChanged comes
	}
	p.sequence = max(p.sequence+1, uint64(now.UnixMilli()))
	r := Record{
		Certificate:  c.o.Self.Certificate,
		Location:     message.Location{Node: c.o.Self.Node, Supernodes: supernodes},
		NAT:          p.status.NAT,
		Capabilities: p.status.Capabilities,
		Online:       p.on,
		Sequence:     p.sequence,
		Time:         now,
	}
	b, err := r.Sign(c.o.Self.Keys)
	if err != nil {
		c.storeFailed(now, err)
		return
	}
	to := supernodes[p.failures%len(supernodes)]
	c.request(now, to, &message.StoreRecord{Record: b, Unknown: 1}, publishWait, func(now time.Time, reply message.Message) {
		if p.plan != plan {
			return
		}
		switch reply := reply.(type) {
		case *message.Stored:
			c.stored(now, r.Sequence, reply)
		case nil:
			c.storeFailed(now, ErrNoAnswer)
		default:
			c.storeFailed(now, ErrNotStored)
		}
	})
}

func (c *Client) stored(now time.Time, sequence uint64, reply *message.Stored) {
	p := &c.publish
	if reply.Sequence > sequence && reply.Sequence < uint64(now.Add(trustAhead).UnixMilli()) && p.failures == 0 {
		// The network remembers more than this device does: its clock went back.
		p.failures++
		p.sequence = reply.Sequence
		c.schedule(now, 0)
		return
	}
	p.failures = 0
	c.emit(Published{sequence, int(reply.Copies)})
	if p.leaving {
		p.leaving = false
		c.emit(Withdrawn{})
		return
	}
	c.schedule(now, RefreshEvery-time.Duration(c.o.Rand.Int64N(int64(RefreshEvery/10))))
}

func (c *Client) storeFailed(now time.Time, err error) {
	p := &c.publish
	p.failures++
	if p.leaving && p.failures >= withdrawTries {
		p.leaving = false
		c.emit(Withdrawn{err})
		return
	}
	wait := min(publishFirst<<min(p.failures-1, 10), publishMost)
	if p.leaving || p.failures == 1 {
		wait = 1 // the other supernode may do it at once
	} else {
		wait = wait/2 + time.Duration(c.o.Rand.Int64N(int64(wait)))
		c.emit(NotPublished{err, wait})
	}
	c.schedule(now, wait)
}

const (
	askNext    = time.Second             // then the next supernode is asked, too
	maxAsked   = 5                       // the own ones, and others that this node heard of
	askWait    = 2500 * time.Millisecond // for one supernode
	maxLookups = 256
)

// A search asks one supernode, and the other one as well unless the first
// answer is good: a single supernode may lie by leaving out or by serving what
// is old, but it can make neither a record nor two other members' absences.
type search struct {
	user    linnet.UserName
	slot    overlay.Slot
	fresh   bool
	left    []linnet.NodeID // supernodes not asked yet
	waiting int
	answers int
	refused bool // by a supernode that was asked too much
	best    map[linnet.NodeID]*Record
	absent  map[linnet.NodeID]bool // members that signed that they have nothing
}

// Lookup finds the devices of a user. Fresh wants no cached answer: what the
// last one said led nowhere. Found tells the outcome, within 3 s as a rule.
func (c *Client) Lookup(now time.Time, user linnet.UserName, fresh bool) Lookup {
	c.last++
	id := c.last
	s := &search{
		user: user, slot: c.o.SlotOf(user), fresh: fresh, left: slices.Clone(c.o.Overlay.Attachments()),
		best: make(map[linnet.NodeID]*Record), absent: make(map[linnet.NodeID]bool),
	}
	s.left = s.left[:min(len(s.left), 2)]
	if len(s.left) > 0 {
		for range maxAsked - len(s.left) { // both of its own may lie
			if hosts := c.o.Overlay.Hosts(); len(hosts) > 0 {
				if node := hosts[c.o.Rand.IntN(len(hosts))]; node != c.o.Self.Node && !slices.Contains(s.left, node) {
					s.left = append(s.left, node)
				}
			}
		}
	}
	switch {
	case len(c.lookups) >= maxLookups:
		c.emit(Found{Lookup: id, User: user, Err: ErrBusy})
	case len(s.left) == 0:
		c.emit(Found{Lookup: id, User: user, Err: ErrNotAttached})
	default:
		c.lookups[id] = s
		c.ask(now, id, s)
		c.goOn(now, id, s)
	}
	return id
}

// goOn asks one more as long as there is no good answer.
func (c *Client) goOn(now time.Time, id Lookup, s *search) {
	c.after(now, askNext, func(now time.Time) {
		if c.lookups[id] == s && len(s.left) > 0 {
			c.ask(now, id, s)
			c.goOn(now, id, s)
		}
	})
}

// ask asks the next supernode, if there is one left.
func (c *Client) ask(now time.Time, id Lookup, s *search) {
	if len(s.left) == 0 {
		return
	}
	node := s.left[0]
	s.left = s.left[1:]
	s.waiting++
	msg := searchFor(s.user)
	msg.Fresh = s.fresh
	c.request(now, node, msg, askWait, func(now time.Time, reply message.Message) {
		s.waiting--
		if c.lookups[id] == s {
			c.hear(now, id, s, reply)
		}
	})
}

func (c *Client) hear(now time.Time, id Lookup, s *search, reply message.Message) {
	if failure, ok := reply.(*message.Failure); ok && failure.Code == message.FailureTooMany {
		s.refused = true
	}
	if result, ok := reply.(*message.SearchResult); ok {
		s.answers++
		for _, r := range openHits(c.o.Open, now, s.user, result) {
			newest(s.best, r)
		}
		known, supernodes := c.o.Overlay.Hosts(), c.o.Overlay.Supernodes()
		for _, b := range result.Absent[:min(len(result.Absent), 2*tellAbsent)] {
			a, err := OpenAbsence(c.o.Trust, b, now)
			if err == nil && a.User == s.user && a.Slot == s.slot && plausible(s.slot, a.Node, known, supernodes) {
				s.absent[a.Node] = true
			}
		}
	}
	records := sorted(s.best)
	slices.SortStableFunc(records, func(a, b *Record) int {
		switch x, y := a.Reachable(now), b.Reachable(now); {
		case x == y:
			return 0
		case x:
			return -1
		}
		return 1
	})
	found := Found{Lookup: id, User: s.user, Records: records}
	// Its own supernode may have begun just now, or lie, and say that it is the only one.
	confirmed := len(s.absent) >= min(tellAbsent, max(c.o.Overlay.Supernodes(), c.o.Overlay.HeardOf(now), 1))
	switch {
	case len(records) > 0 && records[0].Reachable(now):
	case len(records) == 0 && confirmed:
		found.Err = ErrNotFound
	case len(s.left) > 0:
		c.ask(now, id, s)
		return
	case s.waiting > 0:
		return
	case len(records) > 0:
	case s.answers == 0 && s.refused:
		found.Err = ErrBusy
	case s.answers == 0:
		found.Err = ErrNoAnswer
	default:
		found.Err = ErrUnconfirmed
	}
	delete(c.lookups, id)
	c.emit(found)
}
