package presence

import (
	"slices"
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A friend is an approved contact, and those of their devices that were heard of
// since this device is on the network.
type friend struct {
	user    linnet.UserName
	devices []*device
	looked  time.Time // the last look-up
	looking bool
	again   bool           // look once more: something came meanwhile
	tries   int            // to find a silent device again
	checked time.Time      // the last time that the user turned to him
	told    linnet.Mine    // to the front ends
	strays  overlay.Bucket // notices of devices that are not among these
}

// A device is a friend's.
type device struct {
	friend *friend
	node   linnet.NodeID
	last   uint64 // time of its newest notice
	mine   linnet.Mine
	heard  overlay.Bucket // notices of it
	asked  int            // how often, in vain
	plan   int            // alarms of older questions are void
}

const (
	noticeRate  = 1 // a second, of one device
	noticeBurst = 10

	watchEvery   = 11 * time.Minute // with the 150 s that its supernode waits, and keep-alives, a crash is noticed within 14.5
	greetTries   = 3
	greetWait    = 5 * time.Second
	looked       = 15 * time.Second // a look-up is good for so long
	refreshAfter = 5 * time.Minute
	checkEvery   = time.Minute
	againFirst   = 30 * time.Second
	againMost    = 9
)

// follow begins or ends to look after somebody.
func (m *Machine) follow(now time.Time, p *person) {
	f := m.friends[p.user]
	switch approved := p.state == linnet.Approved; {
	case approved && f == nil:
		f = &friend{user: p.user}
		m.friends[p.user] = f
		m.look(now, f)
	case approved: // there may be a device that could not be understood before
		m.look(now, f)
	case f != nil:
		m.forgetDevices(now, f)
		delete(m.friends, p.user)
	}
}

func (m *Machine) sortedFriends() []*friend {
	list := make([]*friend, 0, len(m.friends))
	for _, f := range m.friends {
		list = append(list, f)
	}
	slices.SortFunc(list, func(a, b *friend) int { return compareNames(a.user, b.user) })
	return list
}

func compareNames(a, b linnet.UserName) int { return strings.Compare(string(a), string(b)) }

// lookAtAll finds out who is there, in no order that others could foresee.
func (m *Machine) lookAtAll(now time.Time) {
	list := m.sortedFriends()
	m.o.Rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	for _, f := range list {
		f.looking = false
		m.look(now, f)
	}
}

// Refresh looks up contacts again for a user who is invisible and looks: nobody
// tells such a one anything.
func (m *Machine) Refresh(now time.Time) {
	if m.mine().Presence != linnet.Invisible {
		return
	}
	for _, f := range m.sortedFriends() {
		if now.Sub(f.looked) >= refreshAfter {
			m.look(now, f)
		}
	}
}

// Check asks the devices of a contact to whom the user turns whether they are still there:
// watching notices a crash much later.
func (m *Machine) Check(now time.Time, user linnet.UserName) {
	f := m.friends[user]
	if f == nil || !m.agenda.Ready() || now.Sub(f.checked) < checkEvery {
		return
	}
	f.checked = now
	for _, d := range f.devices {
		if d.mine.Presence != linnet.Offline {
			m.greet(now, d)
		}
	}
}

// look looks a friend up, in its turn.
func (m *Machine) look(now time.Time, f *friend) {
	if !m.agenda.Ready() {
		return
	}
	if f.looking {
		f.again = true
		return
	}
	f.looking, f.again = true, false
	m.looks.Add(now, func(now time.Time) {
		if m.friends[f.user] == f {
			f.looked = now
			m.agenda.Do(post.LookUp{User: f.user})
		}
	})
}

// Found is told what came of a LookUp.
func (m *Machine) Found(now time.Time, user linnet.UserName, devices []post.Device, err error) {
	m.courier.Found(now, user, devices, err)
	f := m.friends[user]
	if f == nil || !f.looking {
		return
	}
	f.looking = false
	switch {
	case err != nil:
		m.agenda.WhileReady(now, m.agenda.Jitter(time.Minute), func(now time.Time) {
			if m.friends[user] == f {
				m.look(now, f)
			}
		})
	case f.again:
		m.look(now, f)
	}
	if err != nil {
		return
	}
	there := make(map[linnet.NodeID]bool)
	for _, d := range devices[:min(len(devices), maxDevices)] {
		if there[d.Node] = d.Reachable; d.Reachable {
			m.greet(now, m.device(f, d.Node))
		}
	}
	for _, d := range slices.Clone(f.devices) {
		if !there[d.node] {
			m.forget(d)
		}
	}
	m.tellOfFriend(now, f)
}

// device finds a friend's device, or begins with it.
func (m *Machine) device(f *friend, node linnet.NodeID) *device {
	if d := m.devices[node]; d != nil && d.friend == f {
		return d
	}
	if len(f.devices) >= maxDevices {
		m.forget(f.devices[0])
	}
	d := &device{friend: f, node: node}
	m.devices[node] = d
	f.devices = append(f.devices, d)
	return d
}

func (m *Machine) forget(d *device) {
	d.plan++
	if m.devices[d.node] == d {
		delete(m.devices, d.node)
	}
	d.friend.devices = slices.DeleteFunc(d.friend.devices, func(x *device) bool { return x == d })
}

func (m *Machine) forgetDevices(now time.Time, f *friend) {
	for _, d := range slices.Clone(f.devices) {
		m.forget(d)
	}
	f.looking, f.again, f.tries = false, false, 0
	m.tellOfFriend(now, f)
}

// greet tells a device how this one is, and wants to know the same.
func (m *Machine) greet(now time.Time, d *device) {
	if m.mine().Presence == linnet.Invisible {
		// It is there, as everybody can see; more it will not say.
		if d.mine.Presence == linnet.Offline {
			d.mine = linnet.Mine{Presence: linnet.Online}
			m.tellOfFriend(now, d.friend)
		}
		return
	}
	d.asked = 0
	m.ask(now, d)
}

func (m *Machine) ask(now time.Time, d *device) {
	d.plan++
	plan := d.plan
	d.asked++
	m.notices.Add(now, func(now time.Time) {
		if d.plan != plan || m.devices[d.node] != d {
			return
		}
		m.agenda.Do(post.Forward{To: d.node, Inner: message.InnerNotice, Body: m.notice(now, true)})
		m.agenda.WhileReady(now, greetWait<<(d.asked-1), func(now time.Time) {
			switch {
			case d.plan != plan || m.devices[d.node] != d:
			case d.asked < greetTries:
				m.ask(now, d)
			default: // it does not know us any more, or is dead, or all its answers got lost
				m.silent(now, d)
				m.tryAgain(now, d.friend)
			}
		})
	})
}

// silent ends with a device that does not answer, or is not where it was.
func (m *Machine) silent(now time.Time, d *device) {
	m.forget(d)
	m.tellOfFriend(now, d.friend)
}

// tryAgain looks for a friend whose device ought to be there, and was silent: a
// few times, each after a longer while.
func (m *Machine) tryAgain(now time.Time, f *friend) {
	if f.tries++; f.tries > againMost {
		return
	}
	m.agenda.WhileReady(now, m.agenda.Jitter(againFirst<<(f.tries-1)), func(now time.Time) {
		if m.friends[f.user] == f && f.told.Presence == linnet.Offline {
			m.look(now, f)
		}
	})
}

// Unreachable is told that what was sent to a device found no way.
func (m *Machine) Unreachable(now time.Time, node linnet.NodeID) {
	m.courier.Unreachable(now, node)
	m.doubt(now, node)
}

// Gone is told that devices that are watched are not attached where they were.
func (m *Machine) Gone(now time.Time, nodes []linnet.NodeID) {
	for _, node := range nodes {
		m.doubt(now, node)
	}
}

// doubt looks for a device that is not where it was. One that was looked up a
// moment ago is nowhere for now: it may be changing supernodes.
func (m *Machine) doubt(now time.Time, node linnet.NodeID) {
	d := m.devices[node]
	switch {
	case d == nil:
	case d.friend.looking: // Found greets it again, and that fails again
	case now.Sub(d.friend.looked) < looked:
		m.silent(now, d)
		m.tryAgain(now, d.friend)
	default:
		d.plan++
		m.look(now, d.friend)
	}
}

// Noticed is told a notice that came from a device.
func (m *Machine) Noticed(now time.Time, from linnet.NodeID, b []byte) {
	if len(b) < noticeHead {
		return
	}
	user, known := m.keys[keyAt{from, suite.PrekeyID(b[:noticeHead])}]
	if !known || !m.agenda.Ready() {
		return // a stranger's, or under a key that is no more
	}
	p, f := m.people[user], m.friends[user]
	if p == nil || f == nil {
		return
	}
	t := p.heardFrom(from)
	d, heard := m.devices[from], &f.strays
	if d != nil {
		heard = &d.heard
	}
	if !heard.Take(now, noticeRate, noticeBurst) {
		return
	}
	body, err := m.openNotice(now, t, b)
	if err != nil || d != nil && body.Time <= d.last {
		return
	}
	if linnet.Presence(body.Presence) == linnet.Offline {
		if d != nil {
			d.last, d.mine = body.Time, linnet.Mine{} // kept, so that what it said before is old
			d.plan++
			m.tellOfFriend(now, f)
		}
		return
	}
	d = m.device(f, from)
	d.last, d.asked, f.tries = body.Time, 0, 0
	d.plan++
	d.mine = linnet.Mine{Presence: linnet.Presence(body.Presence), Mood: body.Mood, Since: fromMS(body.Since)}
	m.tellOfFriend(now, f)
	if body.Answer && m.mine().Presence != linnet.Invisible {
		m.notices.Add(now, func(now time.Time) {
			if m.devices[from] == d && m.mine().Presence != linnet.Invisible {
				m.agenda.Do(post.Forward{To: from, Inner: message.InnerNotice, Body: m.notice(now, false)})
			}
		})
	}
}

// announce tells all devices that are there how this one is now.
func (m *Machine) announce(now time.Time) {
	hidden := m.mine().Presence == linnet.Invisible
	for _, f := range m.sortedFriends() {
		for _, d := range f.devices {
			switch {
			case d.mine.Presence == linnet.Offline:
			case hidden:
				d.plan++
				m.notices.Add(now, func(now time.Time) {
					m.agenda.Do(post.Forward{To: d.node, Inner: message.InnerNotice, Body: m.notice(now, false)})
				})
			default:
				d.asked = 0
				m.ask(now, d)
			}
		}
	}
}

// maxFarewells are sent at the end, all at once; more contacts find out by watching.
const maxFarewells = 100

// Leave says good-bye to the contacts: the device stops, or is signed out.
func (m *Machine) Leave(now time.Time) {
	if !m.agenda.Ready() || m.leaving || m.mine().Presence == linnet.Invisible {
		return
	}
	m.leaving = true
	m.notices.Clear()
	n := 0
	for _, f := range m.sortedFriends() {
		for _, d := range f.devices {
			if d.mine.Presence != linnet.Offline && n < maxFarewells {
				n++
				m.agenda.Do(post.Forward{To: d.node, Inner: message.InnerNotice, Body: m.farewell(now)})
			}
		}
	}
}

// part says good-bye to one who is a contact no longer, under the key that he has.
func (m *Machine) part(now time.Time, f *friend) {
	if !m.agenda.Ready() || m.mine().Presence == linnet.Invisible {
		return
	}
	for _, d := range f.devices {
		m.agenda.Do(post.Forward{To: d.node, Inner: message.InnerNotice, Body: m.farewell(now)})
	}
}

// watchLater has devices that may crash watched.
func (m *Machine) watchLater(now time.Time) {
	m.agenda.WhileReady(now, m.agenda.Jitter(watchEvery), func(now time.Time) {
		var nodes []linnet.NodeID
		for _, f := range m.sortedFriends() {
			for _, d := range f.devices {
				if d.mine.Presence != linnet.Offline {
					nodes = append(nodes, d.node)
				}
			}
		}
		if len(nodes) > 0 {
			m.agenda.Do(Watch{nodes})
		}
		m.watchLater(now)
	})
}

// inviting is the order in which the states of several devices count.
var inviting = []linnet.Presence{linnet.Online, linnet.Away, linnet.DoNotDisturb}

// best is what the devices of a friend say together.
func (f *friend) best() (best linnet.Mine) {
	rank := len(inviting)
	for _, d := range f.devices {
		i := slices.Index(inviting, d.mine.Presence)
		if i >= 0 && (i < rank || i == rank && d.mine.Since.After(best.Since)) {
			rank, best = i, d.mine
		}
	}
	return best
}

func (m *Machine) tellOfFriend(_ time.Time, f *friend) {
	now := f.best()
	if now == f.told {
		return
	}
	f.told = now
	if p := m.people[f.user]; p != nil {
		c := m.contact(p)
		m.agenda.Do(Tell{linnet.Event{Kind: linnet.EventPresence, Contact: &c}})
	}
}
