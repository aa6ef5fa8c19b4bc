package presence

import (
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Who is there gets letters straight, and is told of those that did not arrive so. A
// device looks for mail when it comes, once more soon after, for what was under way
// just then, and seldom from then on; one that is invisible gets nothing straight, and
// looks more often.
const (
	mailFirst     = 5 * time.Second  // at the most
	mailSoon      = 20 * time.Second // a letter straight to where the device was is mail after 5 s
	mailSecond    = 3 * time.Minute
	mailEvery     = 6 * time.Hour
	mailInvisible = time.Hour
	mailGap       = 15 * time.Second // anybody may say that there is mail
	maxLeft       = 4096
)

func (m *Machine) mailNow(now time.Time) {
	m.agenda.WhileReady(now, time.Second+time.Duration(m.o.Rand.Int64N(int64(mailFirst-time.Second))), m.checkMail)
	m.agenda.WhileReady(now, mailSoon, m.checkMail)
	m.agenda.WhileReady(now, m.agenda.Jitter(mailSecond), m.checkMail)
	m.mailLater(now)
}

func (m *Machine) mailLater(now time.Time) {
	m.mailPlan++
	plan, wait := m.mailPlan, mailEvery
	if m.mine().Presence == linnet.Invisible {
		wait = mailInvisible
	}
	m.agenda.WhileReady(now, m.agenda.Jitter(wait), func(now time.Time) {
		if m.mailPlan == plan {
			m.checkMail(now)
			m.mailLater(now)
		}
	})
}

// MailWaits is told that somebody says that there is mail.
func (m *Machine) MailWaits(now time.Time) {
	if !m.agenda.Ready() || m.mine().Presence == linnet.Invisible || m.mailNext.After(now) {
		return // it looks soon, or is not to be seen
	}
	wait := max(m.mailNext.Add(mailGap).Sub(now), 0)
	m.mailNext = now.Add(wait)
	m.agenda.WhileReady(now, wait, m.checkMail)
}

func (m *Machine) checkMail(time.Time) { m.agenda.Do(CheckMail{}) }

// Wants says whether an item of the own mailbox is to be fetched: it is not one
// that was left there.
func (m *Machine) Wants(id message.MailID) bool { return !m.left[id] }

// Left is told that an item that arrived was not taken: it is fetched again.
func (m *Machine) Left(id message.MailID) { delete(m.left, id) }

// Mail is told what was in the own mailbox. More says that there may be more.
func (m *Machine) Mail(now time.Time, items []*directory.Item, more bool) {
	var done []message.MailID
	for _, i := range items {
		if m.mail(now, i) {
			done = append(done, i.ID)
		} else if len(m.left) < maxLeft {
			m.left[i.ID] = true
		}
	}
	for len(done) > 0 {
		n := min(len(done), directory.MaxMailIDs)
		m.agenda.Do(post.RemoveMail{IDs: done[:n]})
		done = done[n:]
	}
	if more {
		m.agenda.WhileReady(now, time.Second, m.checkMail)
	}
}

// mail reads one item. It says whether that may be removed.
func (m *Machine) mail(now time.Time, i *directory.Item) bool {
	l, err := m.open(now, i.Box)
	switch {
	case errors.Is(err, suite.ErrExpired):
		return !i.Device.IsZero() // else another device may open it
	case err != nil, l.Sender != i.Sender:
		return true
	case m.State(l.From) == linnet.Blocked:
		return true
	case l.Kind != directory.LetterContact:
		m.agenda.Do(Arrived{post.Arrival{Letter: l, Mail: i.ID}})
		return false // who takes it says so later
	}
	return m.heardFrom(now, l, l.Signing)
}
