package presence

import (
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Contacts is everybody that the user decided about or has to, by name.
func (m *Machine) Contacts() []linnet.Contact {
	list := []linnet.Contact{}
	for _, p := range m.sorted() {
		if p.state != linnet.NoContact {
			list = append(list, m.contact(p))
		}
	}
	return list
}

func (m *Machine) contact(p *person) linnet.Contact {
	c := linnet.Contact{User: p.user, Name: p.name, Added: p.added.Truncate(time.Millisecond), State: p.state} // as disks keep it
	if p.state == linnet.Asking {
		c.Message = p.their().Message
	}
	if f := m.friends[p.user]; f != nil {
		c.Presence, c.Mood, c.Since = f.told.Presence, f.told.Mood, f.told.Since
	}
	return c
}

// State is how the user and another one stand.
func (m *Machine) State(user linnet.UserName) linnet.ContactState {
	if p := m.people[user]; p != nil {
		return p.state
	}
	return linnet.NoContact
}

// Ask puts somebody on the list, and asks them for the same; who asked already is
// accepted by it. Asking again asks again; of one who is asked or a contact it may
// change the name.
func (m *Machine) Ask(now time.Time, user linnet.UserName, name, text string) error {
	if user == m.o.User {
		return linnet.Errorf(linnet.CodeUsage, "%s is you", user)
	}
	if err := linnet.CheckText("message", text, linnet.MaxRequest); err != nil {
		return err
	}
	if err := linnet.CheckText("name", name, maxName); err != nil {
		return err
	}
	p := m.people[user]
	switch {
	case p == nil && m.decidedAbout() >= MaxContacts:
		return errFull
	case p == nil:
		p = &person{user: user, added: now}
		m.people[user] = p
	case p.stance() == stanceBlock:
		return &linnet.Error{Code: linnet.CodeUsage, Text: fmt.Sprintf("%s is blocked", user), Hint: "`linnet contacts unblock` first"}
	}
	renamed := name != "" && name != p.name
	if name != "" || p.state == linnet.Approved {
		p.name = name
	}
	if p.state == linnet.Approved || p.state == linnet.Asked && renamed && text == "" {
		m.save(Save{People: []KeptPerson{p.kept()}}) // only the name is another
		return nil
	}
	if p.stance() == stanceNone {
		p.added = now
	}
	p.r.Message = text
	m.decide(now, p, stanceWant, m.decisionTime(now, p), p.their().Since)
	return nil
}

// Answer says yes or no to a request.
func (m *Machine) Answer(now time.Time, user linnet.UserName, yes bool) error {
	p := m.people[user]
	switch {
	case p == nil, p.state != linnet.Asking:
		return &linnet.Error{Code: linnet.CodeNotFound, Text: fmt.Sprintf("%s does not ask to be a contact", user), Hint: "`linnet contacts` lists who does"}
	case yes && m.decidedAbout() >= MaxContacts:
		return errFull
	}
	stance := stanceRefuse
	if yes {
		stance, p.r.Message, p.added = stanceWant, "", now
	}
	m.decide(now, p, stance, m.decisionTime(now, p), p.their().Since)
	return nil
}

// Block has nothing of somebody noticed any more, and ends it.
func (m *Machine) Block(now time.Time, user linnet.UserName, on bool) error {
	if user == m.o.User {
		return linnet.Errorf(linnet.CodeUsage, "%s is you", user)
	}
	p := m.people[user]
	blocked := p != nil && p.stance() == stanceBlock
	switch {
	case on == blocked:
		return nil
	case !on:
		m.decide(now, p, stanceNone, m.decisionTime(now, p), 0) // what they ask is heard again
		return nil
	case p == nil && m.decidedAbout() >= MaxContacts:
		return errFull
	case p == nil:
		p = &person{user: user, added: now}
		m.people[user] = p
	}
	m.decide(now, p, stanceBlock, m.decisionTime(now, p), 0)
	return nil
}

// Remove takes somebody off the list. What they asked before counts no more.
func (m *Machine) Remove(now time.Time, user linnet.UserName) error {
	p := m.people[user]
	if p == nil || p.state == linnet.NoContact {
		return nil
	}
	if p.stance() == stanceBlock {
		return m.Block(now, user, false)
	}
	stance := stanceNone
	if p.state == linnet.Asking {
		stance = stanceRefuse
	}
	m.decide(now, p, stance, m.decisionTime(now, p), p.their().Since)
	return nil
}

var errFull = linnet.Errorf(linnet.CodeBusy, "there are %d people on the list, and no more fit on it", MaxContacts)

// decidedAbout is how many people take a place of MaxContacts.
func (m *Machine) decidedAbout() (n int) {
	for _, p := range m.people {
		if p.stance() == stanceWant || p.stance() == stanceBlock {
			n++
		}
	}
	return n
}

// decisionTime is after the last decision, whatever the clock did.
func (m *Machine) decisionTime(now time.Time, p *person) uint64 { return max(ms(now), p.r.Since+1) }

// decide makes a decision of the user, on this device or another one, count. Who
// had the contact key and is to have it no more is told that this device goes
// offline, and everybody else gets a new key.
func (m *Machine) decide(now time.Time, p *person, s stance, since, answered uint64) {
	was := p.stance()
	if f := m.friends[p.user]; f != nil && s != stanceWant {
		m.part(now, f)
	}
	p.r.Stance, p.r.Since, p.r.Answered = uint32(s), since, answered
	changed := []*person{p}
	save := Save{}
	p.r.Version = m.nextVersion(now)
	if s == stanceBlock || was == stanceBlock && s == stanceNone {
		p.r.Told = p.r.Version // they are not to notice
	}
	if was == stanceWant && s != stanceWant {
		m.self.Key = newContactKey()
		changed = append(changed, m.restate(now)...)
		save.Self = message.Marshal(&m.self)
	}
	state := m.state(now, p)
	for _, x := range changed {
		save.People = append(save.People, x.kept())
	}
	m.save(save)
	m.tellOf(p, state)
	for _, x := range changed {
		m.tellThem(now, x)
	}
	m.follow(now, p)
}

// restate has all that this user wants told again: there is a new key, or a new pass.
func (m *Machine) restate(now time.Time) (changed []*person) {
	for _, p := range m.sorted() {
		if p.stance() == stanceWant {
			p.r.Version = m.nextVersion(now)
			changed = append(changed, p)
		}
	}
	return changed
}

// state finds out how the two stand now, and which keys follow from it.
func (m *Machine) state(_ time.Time, p *person) (was linnet.ContactState) {
	was, p.state = p.state, p.r.stateWith(p.their())
	m.indexKeys(p)
	if p.r.Version == 0 && p.stance() == stanceWant {
		p.r.Version = m.nextVersion(fromMS(p.r.Since)) // from before there were requests: they are asked now
	}
	return was
}

// heardFrom takes a statement of another user's device. It says whether that is
// to be acknowledged: now, or once what was saved is on disk.
func (m *Machine) heardFrom(now time.Time, l *directory.Letter, signing []byte) (taken bool) {
	s, ok := openStatement(l.Content)
	if !ok {
		return true // it will never make sense
	}
	if l.From == m.o.User {
		switch {
		case l.Sender == m.o.Self.Node, s.About == "":
		case s.About == m.o.User:
			m.introduced(now)
		default:
			m.heardOwn(now, s)
		}
		return true
	}
	p := m.people[l.From]
	switch {
	case s.About != "":
		return true
	case p != nil && p.stance() == stanceBlock:
		return false
	case p == nil && !m.makeRoom(stance(s.Stance) == stanceWant):
		return stance(s.Stance) != stanceWant // a request stays in the mailbox
	case p == nil: // also one who wants nothing any more: the request may come yet
		p = &person{user: l.From, added: now}
		m.people[l.From] = p
	}
	mine := s.heardOf(m.o.Self.Node)
	if old := p.heardFrom(l.Sender); old != nil && old.Version >= s.Version {
		m.saveAgain() // it may be this one that is not on disk
		return true
	}
	p.hear(theirs{
		Node: l.Sender, Version: s.Version, Stance: s.Stance, Since: s.Since, Answers: s.Answers, Heard: mine, Signing: signing,
		Key: s.Key, Pass: s.Pass, Message: s.Message,
	})
	was := m.state(now, p)
	switch {
	case p.allHeard():
		p.r.Told = p.r.Version
	case mine < p.r.Version && p.state != linnet.Asking:
		p.r.Told = 0 // a new device of theirs, or one that lost what it had
	}
	m.save(Save{People: []KeptPerson{p.kept()}})
	m.tellOf(p, was)
	if p.state == linnet.Asking && m.o.Accept && m.decidedAbout() < MaxContacts {
		m.decide(now, p, stanceWant, m.decisionTime(now, p), p.their().Since)
		return true
	}
	m.tellThem(now, p)
	m.follow(now, p)
	return true
}

// heardOwn takes what this user decided on another device.
func (m *Machine) heardOwn(now time.Time, s statement) {
	p := m.people[s.About]
	if p == nil {
		if stance(s.Stance) != stanceNone && m.decidedAbout() >= MaxContacts {
			return
		}
		p = &person{user: s.About, added: fromMS(s.Since)}
		m.people[s.About] = p
	}
	if s.Since <= p.r.Since {
		return
	}
	if s.Name != "" {
		p.name = s.Name
	}
	p.r.Synced, p.r.Message = s.Since, s.Message
	m.decide(now, p, stance(s.Stance), s.Since, s.Answers)
}

// makeRoom says whether one more may be kept about whom the user decided nothing.
// For a request, one of those goes who took theirs back.
func (m *Machine) makeRoom(request bool) bool {
	undecided := 0
	var oldest *person
	for _, p := range m.sorted() {
		if p.r.Since > 0 {
			continue
		}
		undecided++
		if p.state == linnet.NoContact && (oldest == nil || p.their().Version < oldest.their().Version) {
			oldest = p
		}
	}
	switch {
	case undecided < maxAsking:
		return true
	case !request || oldest == nil:
		return false
	}
	delete(m.people, oldest.user)
	m.save(Save{Forget: []linnet.UserName{oldest.user}})
	return true
}

// tellOf tells the front ends what became of two people.
func (m *Machine) tellOf(p *person, was linnet.ContactState) {
	kind := linnet.EventContactChanged
	switch {
	case was == p.state:
		return
	case p.state == linnet.Asking:
		kind = linnet.EventContactAsks
	case p.state == linnet.Approved:
		kind = linnet.EventContactAccepted
	case p.state == linnet.Declined:
		kind = linnet.EventContactDeclined
	}
	c := m.contact(p)
	m.agenda.Do(Tell{linnet.Event{Kind: kind, Contact: &c}})
}
