package presence

import (
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// own is what this device has on disk of itself.
type own struct {
	Node       linnet.NodeID `obj:"4/0"`
	Presence   uint32        `obj:"0/1"`
	Mood       string        `obj:"3/2,opt"`
	Since      uint64        `obj:"1/3,opt"`
	Key        []byte        `obj:"4/4"`     // contact key, 32 bytes
	Introduced bool          `obj:"0/6,opt"` // to the user's other devices
	Passes     []byte        `obj:"4/5,opt"` // first bytes of the SHA-256 of the certificate that the contacts' passes have
}

const contactKeySize = 32

func newContactKey() []byte {
	key := make([]byte, contactKeySize)
	rand.Read(key)
	return key
}

// load begins with what was on disk. A device that was signed in anew is another
// one, and has everything yet to tell.
func (m *Machine) load(now time.Time, k Kept) error {
	fresh := k.Self == nil
	if !fresh {
		if err := message.Unmarshal(k.Self, &m.self); err != nil || len(m.self.Key) != contactKeySize {
			return fmt.Errorf("presence: own state: %w", err)
		}
		fresh = m.self.Node != m.o.Self.Node
	}
	if p := linnet.Presence(m.self.Presence); p < linnet.Online || p > linnet.Invisible {
		m.self.Presence = uint32(linnet.Online)
	}
	if fresh {
		m.self.Node, m.self.Key, m.self.Introduced = m.o.Self.Node, newContactKey(), false
		m.save(Save{Self: message.Marshal(&m.self)})
	}
	m.prekeys = slices.Clone(k.Prekeys)
	if fresh && len(m.prekeys) > 0 { // of a device that is no more
		var erase [][]byte
		for _, p := range m.prekeys {
			erase = append(erase, p.Public)
		}
		m.prekeys = nil
		m.save(Save{Erase: erase})
	}
	slices.SortStableFunc(m.prekeys, func(a, b Prekey) int { return a.Made.Compare(b.Made) })
	for _, kept := range k.People {
		p, err := loadPerson(kept)
		if err != nil {
			return err
		}
		if p.forgettable(now) {
			m.save(Save{Forget: []linnet.UserName{p.user}})
			continue
		}
		if fresh {
			p.r.Told, p.r.Synced = 0, p.r.Since
		}
		m.people[p.user] = p
		m.version = max(m.version, p.r.Version)
		if p.r.Version == 0 && p.stance() != stanceNone {
			m.state(now, p) // it was added before there were requests
			m.save(Save{People: []KeptPerson{p.kept()}})
		}
		m.indexKeys(p)
		m.follow(now, p)
	}
	m.renewPasses(now)
	for _, p := range m.sorted() {
		m.tellThem(now, p)
	}
	return nil
}

// Renew is told when the device has a new certificate.
func (m *Machine) Renew(now time.Time, self overlay.Identity) {
	m.o.Self = self
	m.renewPasses(now)
}

// renewPasses gives contacts passes for the mailbox that are good as long as the
// certificate is.
func (m *Machine) renewPasses(now time.Time) {
	h := sha256.Sum256(m.o.Self.Certificate)
	if slices.Equal(m.self.Passes, h[:8]) {
		return
	}
	first := m.self.Passes == nil
	m.self.Passes = h[:8]
	s := Save{Self: message.Marshal(&m.self)}
	if !first {
		for _, p := range m.restate(now) {
			s.People = append(s.People, p.kept())
		}
	}
	m.save(s)
	for _, p := range m.sorted() {
		m.tellThem(now, p)
	}
}

func (m *Machine) save(s Save) {
	if m.unsaved {
		m.unsaved = false
		if s.Self == nil {
			s.Self = message.Marshal(&m.self)
		}
		s.People = s.People[:0:0]
		for _, p := range m.sorted() {
			s.People = append(s.People, p.kept())
		}
		for i := range m.prekeys {
			p := m.prekeys[i]
			m.agenda.Do(Save{Prekey: &p})
		}
	}
	m.agenda.Do(s)
}

// NotSaved is told that a Save, and what followed it, came to nothing. Whatever the
// machine knows goes to disk with the next one.
func (m *Machine) NotSaved() { m.unsaved = true }

// saveAgain comes before a promise that rests on what was to be saved before.
func (m *Machine) saveAgain() {
	if m.unsaved {
		m.save(Save{})
	}
}

// Mine is what the user says of himself.
func (m *Machine) Mine() linnet.Mine { return m.mine() }

func (m *Machine) mine() linnet.Mine {
	return linnet.Mine{Presence: linnet.Presence(m.self.Presence), Mood: m.self.Mood, Since: fromMS(m.self.Since)}
}

// Say changes what the user says of himself, and tells the contacts that are there.
func (m *Machine) Say(now time.Time, p linnet.Presence, mood string) error {
	if err := (linnet.Mine{Presence: p, Mood: mood}).Check(); err != nil {
		return err
	}
	was := m.mine()
	if was.Presence == p && was.Mood == mood {
		return nil
	}
	m.self.Presence, m.self.Mood = uint32(p), mood
	if was.Presence != p || m.self.Since == 0 {
		m.self.Since = ms(now)
	}
	m.save(Save{Self: message.Marshal(&m.self)})
	m.agenda.Do(Changed{m.mine()})
	hidden, hides := was.Presence == linnet.Invisible, p == linnet.Invisible
	switch {
	case hidden && hides: // only the mood is another
	case hidden:
		// They hear of it when this device can be found.
		m.published = false
		m.agenda.SetReady(false)
	default:
		m.announce(now)
		if hides {
			m.published = false
			m.mailLater(now)
			m.settle(now) // it needs not be found for that
		}
	}
	return nil
}

// keepPrekeys makes a new prekey every week, publishes it, and erases the private
// halves of those to which nothing can have been sealed any more.
func (m *Machine) keepPrekeys(now time.Time) {
	var erase [][]byte
	m.prekeys = slices.DeleteFunc(m.prekeys, func(p Prekey) bool {
		old := now.Sub(p.Made) > directory.PrekeyFor
		if old {
			erase = append(erase, p.Public)
		}
		return old
	})
	if len(erase) > 0 {
		m.save(Save{Erase: erase})
	}
	if n := len(m.prekeys); n == 0 || now.Sub(m.prekeys[n-1].Made) >= directory.PrekeyEvery {
		public, private, err := m.o.Suite.NewPrekey()
		if err != nil {
			m.warn(fmt.Sprintf("No prekey can be made: %v", err))
			return
		}
		p := Prekey{Public: public, Private: private, Made: now}
		m.prekeys = append(m.prekeys, p)
		m.save(Save{Prekey: &p})
	}
	if newest := m.prekeys[len(m.prekeys)-1]; m.attached && now.Sub(newest.Published) >= prekeyAgain {
		m.saveAgain()
		m.agenda.Do(PublishPrekey{newest.Public, newest.Made})
	} else {
		m.introduce(now) // it may have crashed when the prekey was just published
	}
	if !m.keeping {
		m.keeping = true
		m.agenda.After(now, m.agenda.Jitter(prekeyLook), func(now time.Time) {
			m.keeping = false
			m.keepPrekeys(now)
		})
	}
}

const (
	prekeyAgain = 3 * 24 * time.Hour // a prekey is published again, in case that too many members lost it
	prekeyLook  = 12 * time.Hour
	prekeyRetry = time.Minute
)

// PrekeyPublished is told what came of a PublishPrekey.
func (m *Machine) PrekeyPublished(now time.Time, public []byte, err error) {
	if err != nil {
		m.agenda.WhileReady(now, m.agenda.Jitter(prekeyRetry), m.keepPrekeys)
		return
	}
	for i := range m.prekeys {
		if slices.Equal(m.prekeys[i].Public, public) {
			m.prekeys[i].Published = now
			p := m.prekeys[i]
			m.save(Save{Prekey: &p})
		}
	}
	m.introduce(now)
}

// introduce asks the user's other devices, once, to tell what was decided before
// this one came: when they can seal their letters to it.
func (m *Machine) introduce(now time.Time) {
	n := len(m.prekeys)
	if m.self.Introduced || n == 0 || m.prekeys[n-1].Published.IsZero() {
		return
	}
	if _, there := m.courier.Version(m.introduction()); !there {
		m.courier.Bring(now, m.introduction(), introductionVersion)
	}
}

// introduced is told by another device of the user that it is new.
func (m *Machine) introduced(now time.Time) {
	for _, p := range m.sorted() {
		if s := p.stance(); s == stanceWant || s == stanceBlock {
			p.r.Synced = 0
			m.courier.Drop(post.Key{To: m.o.User, About: p.user}) // that knows the new one not yet
			m.save(Save{People: []KeptPerson{p.kept()}})
			m.tellThem(now, p)
		}
	}
}

// private finds the private half of an own prekey.
func (m *Machine) private(id suite.PrekeyID) []byte {
	for i := range m.prekeys {
		if suite.PrekeyIDOf(m.prekeys[i].Public) == id {
			return m.prekeys[i].Private
		}
	}
	return nil
}

func (m *Machine) warn(text string) {
	m.agenda.Do(Tell{linnet.Event{Kind: linnet.EventWarning, Text: text}})
}
