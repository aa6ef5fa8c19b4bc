package presence

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A stance is what a user decided about another one. The first three travel.
type stance uint32

const (
	stanceNone   stance = 0 // nothing, or not any more
	stanceWant   stance = 1 // asks, or said yes
	stanceRefuse stance = 2 // said no to a request
	stanceBlock  stance = 3 // nobody but the own devices is told
)

// A relation is what this device knows of its user and another one:
//
//	own       theirs    linnet.ContactState
//	want      want      Approved
//	want      refuse    Declined, if that answers the last time that this user asked; else Asked
//	want      none      Asked
//	none, refuse  want  Asking, if they asked after this user's last decision
//	block     any       Blocked
//
// Theirs is that of their device whose user decided last.
type relation struct {
	Stance   uint32   `obj:"0/0"`
	Since    uint64   `obj:"1/1"`     // when this user decided
	Version  uint64   `obj:"1/2"`     // of the statement that they are to have
	Told     uint64   `obj:"1/3"`     // the version that is on their disks, or in their mailbox
	Answered uint64   `obj:"1/5,opt"` // their Since when this user decided
	Synced   uint64   `obj:"1/6,opt"` // the Since that this user's other devices have
	Message  string   `obj:"3/7,opt"` // goes with the request
	Theirs   []theirs `obj:"5/8,opt"`
}

// theirs is the newest statement of one of their devices.
type theirs struct {
	Node    linnet.NodeID `obj:"4/0"`
	Version uint64        `obj:"1/1"`
	Stance  uint32        `obj:"0/2"`
	Since   uint64        `obj:"1/3"`
	Answers uint64        `obj:"1/4"`     // the Since of this user's that it answers
	Heard   uint64        `obj:"1/9,opt"` // the version of this device's that it has
	Signing []byte        `obj:"4/5"`     // the device's, of its certificate
	Key     []byte        `obj:"4/6,opt"` // contact key
	Pass    []byte        `obj:"4/7,opt"` // for its user's mailbox
	Message string        `obj:"3/8,opt"`
}

// A person is one that the user has to do with.
type person struct {
	user  linnet.UserName
	name  string
	added time.Time
	state linnet.ContactState // as last told
	r     relation
}

// forgetAfter is when nothing can come any more of what was said before.
const forgetAfter = directory.MailKeepFor + 24*time.Hour

func loadPerson(k KeptPerson) (*person, error) {
	p := &person{user: k.User, name: k.Name, added: k.Added, state: k.State}
	if k.Relation == nil {
		p.r.Stance, p.r.Since = uint32(stanceWant), ms(k.Added)
		return p, nil
	}
	if err := message.Unmarshal(k.Relation, &p.r); err != nil {
		return nil, fmt.Errorf("presence: contact %s: %w", k.User, err)
	}
	return p, nil
}

func (p *person) kept() KeptPerson {
	return KeptPerson{User: p.user, Name: p.name, Added: p.added, State: p.state, Relation: message.Marshal(&p.r)}
}

func (p *person) stance() stance { return stance(p.r.Stance) }

// their is their stance: that of the device whose user decided last.
func (p *person) their() (t theirs) {
	for _, x := range p.r.Theirs {
		if x.Since > t.Since || x.Since == t.Since && (x.Stance > t.Stance || t.Version == 0) {
			t = x
		}
	}
	return t
}

// stateWith is how the two stand.
func (r *relation) stateWith(t theirs) linnet.ContactState {
	wants := stance(t.Stance) == stanceWant
	switch own := stance(r.Stance); {
	case own == stanceBlock:
		return linnet.Blocked
	case own == stanceWant && wants:
		return linnet.Approved
	case own == stanceWant && stance(t.Stance) == stanceRefuse && t.Answers >= r.Since:
		return linnet.Declined
	case own == stanceWant:
		return linnet.Asked
	case wants && t.Since > r.Answered:
		return linnet.Asking
	}
	return linnet.NoContact
}

// untold says that they have to hear something yet.
func (p *person) untold() bool {
	return p.stance() != stanceBlock && p.r.Told < p.r.Version
}

func (p *person) unsynced() bool { return p.r.Synced < p.r.Since }

// forgettable says that nothing about them matters any more.
func (p *person) forgettable(now time.Time) bool {
	last := p.r.Since
	for _, t := range p.r.Theirs {
		last = max(last, t.Version)
	}
	return p.r.stateWith(p.their()) == linnet.NoContact && now.Sub(fromMS(last)) > forgetAfter
}

// pass is one that they gave for their mailbox.
func (p *person) pass() []byte {
	var newest theirs
	for _, t := range p.r.Theirs {
		if len(t.Pass) > 0 && t.Version >= newest.Version {
			newest = t
		}
	}
	return newest.Pass
}

// hear takes a statement of one of their devices; of more devices than are
// kept the longest silent one goes.
func (p *person) hear(t theirs) {
	i := slices.IndexFunc(p.r.Theirs, func(x theirs) bool { return x.Node == t.Node })
	switch {
	case i >= 0:
		p.r.Theirs[i] = t
		return
	case len(p.r.Theirs) >= maxDevices:
		i = 0
		for j, x := range p.r.Theirs {
			if x.Version < p.r.Theirs[i].Version {
				i = j
			}
		}
		p.r.Theirs = slices.Delete(p.r.Theirs, i, i+1)
	}
	p.r.Theirs = append(p.r.Theirs, t)
}

func (p *person) heardFrom(node linnet.NodeID) *theirs {
	for i := range p.r.Theirs {
		if p.r.Theirs[i].Node == node {
			return &p.r.Theirs[i]
		}
	}
	return nil
}

// allHeard says that all of their devices that ever said something have what they
// are to have, however it got there.
func (p *person) allHeard() bool {
	return !slices.ContainsFunc(p.r.Theirs, func(t theirs) bool { return t.Heard < p.r.Version })
}

// keyAt is a contact key of a device. All contacts of a user know the key, and may
// say that it is their own device's, too.
type keyAt struct {
	node linnet.NodeID
	id   suite.PrekeyID
}

// indexKeys knows the keys of who is a contact, and of nobody else.
func (m *Machine) indexKeys(p *person) {
	for k, user := range m.keys {
		if user == p.user {
			delete(m.keys, k)
		}
	}
	if p.state != linnet.Approved {
		return
	}
	for _, t := range p.r.Theirs {
		if len(t.Key) == contactKeySize {
			m.keys[keyAt{t.Node, suite.PrekeyIDOf(t.Key)}] = p.user
		}
	}
}

// nextVersion is higher than any before.
func (m *Machine) nextVersion(now time.Time) uint64 {
	m.version = max(m.version+1, ms(now))
	return m.version
}

// sorted are all people by name: a map has no order, and a run is to be repeatable.
func (m *Machine) sorted() []*person {
	list := make([]*person, 0, len(m.people))
	for _, p := range m.people {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *person) int { return strings.Compare(string(a.user), string(b.user)) })
	return list
}
