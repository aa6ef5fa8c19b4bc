package presence

import (
	"errors"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An errand brings what the user decided about somebody to that user's devices, or
// to the user's own other ones. It ends when all of them have it on disk, or it is
// in their mailbox, and is begun again until then, over restarts, too.
type errand struct {
	errandKey
	version uint64 // of the statement; of own devices: Since
	step    errandStep
	tries   int

	prekeys []*directory.Prekey
	letters map[LetterID]linnet.NodeID // on their way straight to devices
	taken   map[linnet.NodeID]bool
	waiting map[uint64]bool // mail that is being put
	failed  error
	plain   bool // their pass was no good
}

type errandKey struct {
	to    linnet.UserName
	about linnet.UserName // empty: what is said is about the receiver
}

type errandStep uint8

const (
	errandIdle    errandStep = iota // waits for its turn, or for its next try
	errandPrekeys                   // asked for
	errandLookUp                    // where the devices are
	errandStraight
	errandMail
)

const (
	takeWait    = 5 * time.Second // for a device to take a letter
	errandWait  = time.Minute     // for any answer
	errandFirst = 20 * time.Second
	errandMost  = 2 * time.Hour
)

// tellThem makes sure that there is an errand for whatever is not told yet.
func (m *Machine) tellThem(now time.Time, p *person) {
	for _, k := range []struct {
		key  errandKey
		due  bool
		what uint64
	}{
		{errandKey{to: p.user}, p.untold(), p.r.Version},
		{errandKey{to: m.o.User, about: p.user}, p.unsynced(), p.r.Since},
	} {
		e := m.errands[k.key]
		switch {
		case !k.due:
			delete(m.errands, k.key)
		case e == nil || e.version != k.what:
			e = &errand{errandKey: k.key, version: k.what}
			m.errands[k.key] = e
			m.queueErrand(now, e)
		}
	}
}

func (m *Machine) runErrands(now time.Time) {
	m.posts.clear()
	for _, e := range m.sortedErrands() {
		again := &errand{errandKey: e.errandKey, version: e.version}
		m.errands[e.errandKey] = again
		m.queueErrand(now, again)
	}
}

func (m *Machine) queueErrand(now time.Time, e *errand) {
	if !m.ready {
		return // runErrands comes
	}
	m.enqueue(now, &m.posts, func(now time.Time) {
		if m.ready && m.errands[e.errandKey] == e && e.step == errandIdle {
			m.beginErrand(now, e)
		}
	})
}

func (m *Machine) beginErrand(now time.Time, e *errand) {
	e.step = errandPrekeys
	e.prekeys, e.failed = nil, nil
	e.letters, e.taken, e.waiting = make(map[LetterID]linnet.NodeID), make(map[linnet.NodeID]bool), make(map[uint64]bool)
	m.do(AskPrekeys{e.to})
	m.errandAlarm(now, e, errandWait, errandPrekeys)
}

// errandAlarm gives up a step that takes too long.
func (m *Machine) errandAlarm(now time.Time, e *errand, d time.Duration, step errandStep) {
	tries := e.tries
	m.whileReady(now, d, func(now time.Time) {
		if m.errands[e.errandKey] != e || e.step != step || e.tries != tries {
			return
		}
		if step == errandStraight {
			m.leaveMail(now, e)
		} else {
			m.errandFails(now, e)
		}
	})
}

// errandFails tries again later.
func (m *Machine) errandFails(now time.Time, e *errand) {
	e.step = errandIdle
	wait := min(errandFirst<<min(e.tries, 12), errandMost)
	e.tries++
	m.whileReady(now, m.jitter(wait), func(now time.Time) {
		if m.errands[e.errandKey] == e && e.step == errandIdle {
			m.queueErrand(now, e)
		}
	})
}

func (m *Machine) errandsTo(user linnet.UserName, step errandStep) (list []*errand) {
	for _, e := range m.errands {
		if e.to == user && e.step == step {
			list = append(list, e)
		}
	}
	slices.SortFunc(list, func(a, b *errand) int { return compareNames(a.about, b.about) })
	return list
}

// Prekeys is told what came of an AskPrekeys.
func (m *Machine) Prekeys(now time.Time, user linnet.UserName, list []*directory.Prekey, err error) {
	for _, e := range m.errandsTo(user, errandPrekeys) {
		e.prekeys = slices.DeleteFunc(slices.Clone(list), func(p *directory.Prekey) bool { return p.Node == m.o.Self.Node })
		switch {
		case err != nil:
			m.errandFails(now, e)
		case len(e.prekeys) == 0 && e.to == m.o.User:
			m.errandDone(now, e) // there is no other device
		case len(e.prekeys) == 0:
			e.tries = max(e.tries, 7) // there may be nobody of that name: no hurry
			m.errandFails(now, e)
		default:
			e.step = errandLookUp
			m.do(LookUp{user})
			m.errandAlarm(now, e, errandWait, errandLookUp)
		}
	}
}

// deliver sends the letters of errands to devices that are there, and leaves the
// rest to the mailbox.
func (m *Machine) deliver(now time.Time, user linnet.UserName, devices []Device) {
	for _, e := range m.errandsTo(user, errandLookUp) {
		e.step = errandStraight
		for _, d := range devices {
			i := slices.IndexFunc(e.prekeys, func(p *directory.Prekey) bool { return p.Node == d.Node })
			if i < 0 || !d.Reachable {
				continue
			}
			l, box := m.letter(now, e, e.prekeys[i])
			if box == nil {
				continue
			}
			e.letters[l.ID] = d.Node
			m.do(Forward{d.Node, message.InnerLetter, box})
		}
		if len(e.letters) == 0 {
			m.leaveMail(now, e)
			continue
		}
		m.errandAlarm(now, e, takeWait, errandStraight)
	}
}

// Taken is told that a device says to have a letter.
func (m *Machine) Taken(now time.Time, from linnet.NodeID, id LetterID) {
	for _, e := range m.sortedErrands() {
		if node, ok := e.letters[id]; ok && node == from {
			e.taken[from] = true
			if e.step == errandStraight && len(e.taken) == len(e.letters) {
				m.leaveMail(now, e)
			}
			return
		}
	}
}

// letter writes what an errand has to say to some devices.
func (m *Machine) letter(now time.Time, e *errand, to ...*directory.Prekey) (*directory.Letter, []byte) {
	s, ok := m.statementFor(e)
	if !ok {
		return nil, nil
	}
	l := &directory.Letter{To: e.to, ID: directory.NewLetterID(), Kind: directory.LetterContact, Time: now, Content: message.Marshal(&s)}
	var publics [][]byte
	for _, p := range to {
		publics = append(publics, p.Public)
	}
	box, err := l.Seal(m.o.Suite, m.o.Self, publics...)
	if err != nil {
		return nil, nil
	}
	return l, box
}

func (m *Machine) statementFor(e *errand) (s statement, ok bool) {
	if e.about == m.o.User {
		return statement{Version: e.version, About: e.about}, true
	}
	if e.about != "" {
		p := m.people[e.about]
		if p == nil {
			return s, false
		}
		return statement{
			Stance: p.r.Stance, Since: p.r.Since, Version: p.r.Since, Message: p.r.Message,
			About: p.user, Name: p.name, Answers: p.r.Answered,
		}, true
	}
	p := m.people[e.to]
	if p == nil {
		return s, false
	}
	s = statement{Stance: p.r.Stance, Since: p.r.Since, Version: p.r.Version, Answers: p.r.Answered}
	for _, t := range p.r.Theirs {
		s.Heard = append(s.Heard, heard{t.Node, t.Version})
	}
	if p.stance() == stanceWant {
		pass, err := directory.MailPass(m.o.Self, p.user)
		if err != nil {
			return s, false
		}
		s.Key, s.Pass, s.Message = m.self.Key, pass, p.r.Message
	}
	return s, true
}

// leaveMail leaves the letter for the devices that did not take it. A contact's
// mailbox takes one for each; a stranger may leave a single small one, which is
// sealed for as many devices as fit, and not at all if one has it already.
func (m *Machine) leaveMail(now time.Time, e *errand) {
	e.step = errandMail
	missing := slices.DeleteFunc(slices.Clone(e.prekeys), func(p *directory.Prekey) bool { return e.taken[p.Node] })
	var pass []byte
	if p := m.people[e.to]; p != nil && !e.plain {
		pass = p.pass()
	}
	switch {
	case len(missing) == 0:
	case e.to == m.o.User || pass != nil:
		for _, p := range missing {
			if _, box := m.letter(now, e, p); box != nil {
				m.put(e, PutMail{To: e.to, Device: p.Node, Box: box, Pass: pass})
			}
		}
	case len(e.taken) == 0:
		for n := min(len(missing), maxDevices); n > 0; n-- {
			_, box := m.letter(now, e, missing[:n]...)
			if room := directory.RequestRoom(m.o.Self.Certificate); box == nil || n > 1 && len(box) > room {
				continue
			}
			m.put(e, PutMail{To: e.to, Box: box})
			break
		}
	}
	if len(e.waiting) == 0 {
		m.errandDone(now, e)
		return
	}
	m.errandAlarm(now, e, errandWait, errandMail)
}

func (m *Machine) put(e *errand, mail PutMail) {
	m.tickets++
	mail.Ticket = m.tickets
	e.waiting[mail.Ticket] = true
	m.do(mail)
}

// MailPut is told what came of a PutMail.
func (m *Machine) MailPut(now time.Time, ticket uint64, err error) {
	for _, e := range m.sortedErrands() {
		if e.step != errandMail || !e.waiting[ticket] {
			continue
		}
		delete(e.waiting, ticket)
		if err != nil {
			e.failed = err
		}
		switch {
		case len(e.waiting) > 0:
		case e.failed == nil:
			m.errandDone(now, e)
		default:
			if errors.Is(e.failed, directory.ErrMailRefused) {
				e.plain = true // the device that gave the pass may be gone
			}
			m.errandFails(now, e)
		}
		return
	}
}

func (m *Machine) errandDone(now time.Time, e *errand) {
	delete(m.errands, e.errandKey)
	if e.about == m.o.User {
		m.self.Introduced = true
		m.save(Save{Self: message.Marshal(&m.self)})
		return
	}
	name := e.to
	if e.about != "" {
		name = e.about
	}
	p := m.people[name]
	if p == nil {
		return
	}
	if e.about != "" {
		p.r.Synced = max(p.r.Synced, e.version)
	} else {
		p.r.Told = max(p.r.Told, e.version)
	}
	m.save(Save{People: []KeptPerson{p.kept()}})
	for node := range e.taken { // who has the key can read a notice
		if d := m.devices[node]; d != nil && e.about == "" {
			m.greet(now, d)
		}
	}
}

func (m *Machine) sortedErrands() []*errand {
	list := make([]*errand, 0, len(m.errands))
	for _, e := range m.errands {
		list = append(list, e)
	}
	slices.SortFunc(list, func(a, b *errand) int {
		if c := compareNames(a.to, b.to); c != 0 {
			return c
		}
		return compareNames(a.about, b.about)
	})
	return list
}

// Straight is told a letter that came straight from a device.
func (m *Machine) Straight(now time.Time, from linnet.NodeID, box []byte) {
	if !m.letters.Take(now, letterRate, letterBurst) {
		return // it comes by the mailbox, then
	}
	l, signing, err := m.open(now, box)
	if err != nil || l.Sender != from || l.Kind != directory.LetterContact {
		return
	}
	if m.heardFrom(now, l, signing) {
		m.do(Forward{from, message.InnerTaken, l.ID[:]})
	}
}

// Letters that are opened at most: each costs a key agreement and two signatures.
const (
	letterRate  = 5
	letterBurst = 30
)

func (m *Machine) open(now time.Time, box []byte) (*directory.Letter, []byte, error) {
	l, err := directory.OpenLetter(m.o.Suite, m.o.Trust, m.o.User, box, m.private, now)
	if err != nil {
		return nil, nil, err
	}
	return l, l.Signing, nil
}
