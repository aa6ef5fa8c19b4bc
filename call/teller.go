package call

import (
	"errors"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/overlay/alarm"
	"github.com/linnet-p2p/linnet/post"
	"github.com/linnet-p2p/linnet/suite"
)

// TellerOptions configures a Teller. All of it is needed.
type TellerOptions struct {
	Self  overlay.Identity
	User  linnet.UserName
	Suite suite.SealSuite
	Rand  *rand.Rand                        // not for secrets
	Pass  func(user linnet.UserName) []byte // for their mailbox; nil: there is none
}

// A Teller tells the devices of others what happened to calls that nobody answered: that
// there was one, what was left as voice mail, and that it was heard. It is a state
// machine of its own, beside Machine, and keeps nothing: who runs it gives what is to be
// told again after a restart.
//
//	Tell ──▶ post.Courier ──▶ taken by a device, or stored in the mailbox ──▶ Told
//
// One person is told one thing after the other, in order.
type Teller struct {
	post.Desk
	o       TellerOptions
	agenda  alarm.Agenda // ready: there is a supernode
	courier *post.Courier
	queues  map[linnet.UserName][]*news
	version uint64
}

// Told is an effect: of what a Tell gave there is nothing more to tell. Err says why it
// could not be told; nil: their devices have it, or it is on disk at a majority of
// their mailbox. First is the first of its words.
type Told struct {
	To    linnet.UserName
	First Word
	Err   error
}

// news is what one Tell gave.
type news struct {
	words []Word
	next  int // of the words: those before are told
	until time.Time

	nobody int // tries that found no prekeys
}

// How long it is tried.
const (
	tellFor      = 7 * 24 * time.Hour // for as long as mail is kept
	voicemailFor = 5 * time.Minute    // somebody waits for it
	mostNews     = 1000               // for one user

	// A user who signed up a moment ago has no prekeys yet, and supernodes that are new to
	// their slot may not know any. The last of so many tries is ten minutes after the first.
	nobodyTries    = 8
	voicemailTries = 3 // of voice mail: 15 seconds
)

// Errors of Told, beside those of package directory and post.ErrNobody.
var (
	ErrTooLate = errors.New("it took too long")
	ErrTooMuch = errors.New("there is too much to tell")
)

// NewTeller makes a Teller that has nothing to tell.
func NewTeller(o TellerOptions) *Teller {
	t := &Teller{o: o, agenda: alarm.Agenda{Rand: o.Rand}, queues: make(map[linnet.UserName][]*news)}
	t.courier = post.NewCourier(post.Options{
		Self: o.Self.Node, User: o.User, Agenda: &t.agenda, Pass: o.Pass,
		Letter: t.letter, Done: t.told, Failed: t.failed,
		Room:     func() int { return directory.RequestRoom(t.o.Self.Certificate) },
		Remember: time.Minute,
	})
	t.Desk = post.NewDesk(&t.agenda, t.courier)
	return t
}

// Attached says whether there is a supernode.
func (t *Teller) Attached(now time.Time, on bool) {
	if t.agenda.SetReady(on) && on {
		t.courier.Begin(now)
	}
}

// Renew is told when the device has a new certificate.
func (t *Teller) Renew(self overlay.Identity) { t.o.Self = self }

// Tell tells somebody words about one thing that happened at a time. What waits to be
// told already is not told twice.
func (t *Teller) Tell(now time.Time, to linnet.UserName, at time.Time, words ...Word) {
	queue := t.queues[to]
	if slices.ContainsFunc(queue, func(n *news) bool { return n.words[0].same(words[0]) }) {
		return
	}
	if len(queue) >= mostNews {
		t.agenda.Do(Told{to, words[0], ErrTooMuch})
		return
	}
	until := at.Add(tellFor)
	if words[0].What == WordPiece {
		until = at.Add(voicemailFor)
	}
	n := &news{words: words, until: until}
	t.queues[to] = append(queue, n)
	t.agenda.After(now, max(0, until.Sub(now)), func(now time.Time) { t.over(now, to, n, ErrTooLate) })
	if len(queue) == 0 {
		t.bring(now, to)
	}
}

// Withdraw ends what was to be told of one thing, as far as it is not told. There is no Told.
func (t *Teller) Withdraw(now time.Time, to linnet.UserName, first Word) {
	if i := slices.IndexFunc(t.queues[to], func(n *news) bool { return n.words[0].same(first) }); i >= 0 {
		t.drop(now, to, i)
	}
}

// same says whether two words tell of one thing.
func (w Word) same(x Word) bool {
	return w.What == x.What && w.Call == x.Call && w.Voicemail == x.Voicemail
}

// bring begins with what is first in somebody's queue.
func (t *Teller) bring(now time.Time, to linnet.UserName) {
	t.version++
	t.courier.Bring(now, post.Key{To: to}, t.version)
}

// letter writes the word that is next.
func (t *Teller) letter(now time.Time, k post.Key, to ...*directory.Prekey) *post.Letter {
	queue := t.queues[k.To]
	if len(queue) == 0 {
		return nil
	}
	w := queue[0].words[queue[0].next]
	return post.Write(t.o.Suite, t.o.Self, now, directory.LetterCall, k.To, w.Marshal(), to...)
}

// told is when a word has come, or lies in the mailbox.
func (t *Teller) told(now time.Time, k post.Key, _ uint64, _ []linnet.NodeID) {
	queue := t.queues[k.To]
	if len(queue) == 0 {
		return
	}
	n := queue[0]
	if n.next++; n.next < len(n.words) {
		t.bring(now, k.To)
		return
	}
	t.over(now, k.To, n, nil)
}

// failed gives up what more tries do not help.
func (t *Teller) failed(now time.Time, k post.Key, err error) {
	queue := t.queues[k.To]
	if errors.Is(err, post.ErrNobody) && len(queue) > 0 {
		n := queue[0]
		tries := nobodyTries
		if n.words[0].What == WordPiece {
			tries = voicemailTries
		}
		if n.nobody++; n.nobody >= tries {
			t.over(now, k.To, n, err)
		}
		return
	}
	for _, e := range []error{directory.ErrMailFull, directory.ErrMailRefused, directory.ErrItemSize} {
		if errors.Is(err, e) && len(queue) > 0 {
			t.over(now, k.To, queue[0], err)
			return
		}
	}
}

// over ends what was to be told, and goes on with what is next.
func (t *Teller) over(now time.Time, to linnet.UserName, n *news, err error) {
	queue := t.queues[to]
	i := slices.Index(queue, n)
	if i < 0 {
		return // it is over
	}
	t.agenda.Do(Told{to, n.words[0], err})
	t.drop(now, to, i)
}

func (t *Teller) drop(now time.Time, to linnet.UserName, i int) {
	queue := t.queues[to]
	if queue = slices.Delete(queue, i, i+1); len(queue) == 0 {
		delete(t.queues, to)
		t.courier.Drop(post.Key{To: to})
		return
	}
	t.queues[to] = queue
	if i == 0 {
		t.bring(now, to)
	}
}
