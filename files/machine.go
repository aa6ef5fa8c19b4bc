// Package files decides about files on their way between two users: offers and their
// answers, when a file is fetched, paused, taken up again and over. It holds no file,
// socket, goroutine or clock: what happens goes in with its time, what is to be done
// comes out of Take. Package files/disk has the bytes, package node joins both.
//
//	sender                                     receiver
//	  ── file offer ──────────────────────────▶  its user is asked
//	  ◀───────── file answer: seen, accepted ──
//	  ◀═════════ QUIC: tree, bytes from ... ═══  fetches, verifies, keeps how far it is
//	  ◀──────────────── file end: complete ────
//
// The receiver fetches, and comes back by itself until it has all: it alone knows what
// it has verified. The sender makes its offer again when it or the other side comes
// online; to a receiver who has accepted, that says that the file can be had now. So
// everything that got lost with a session, or in a crash, is said again by one of the two.
//
// What is told to the other side or to the user is on disk before.
package files

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Limits of a Machine.
const (
	maxOpen     = 256 // not final, of either direction
	maxAsked    = 64  // incoming offers that wait for the user
	maxAskedOf  = 8   // of one sender
	maxFinal    = 500 // that are remembered
	maxFetches  = 3   // at once
	maxDevices  = 8   // of a user, told of an offer
	tellEvery   = 500 * time.Millisecond
	saveEvery   = time.Second
	firstRetry  = time.Second
	lastRetry   = time.Minute
	firstOffer  = 2 * time.Second
	lastOffer   = 30 * time.Minute
	startsAfter = 2 * time.Second // the node has to come online first

	saidRate  = 5 // messages a second of one user: most of them are written to disk
	saidBurst = 2 * maxOpen
)

// Kept is what is on disk of a file.
type Kept struct {
	linnet.File
	Device   linnet.NodeID // of the other side: which offered, or accepted; zero: none yet
	Sum      [32]byte      // as in message.FileOffer
	Tree     [32]byte
	Part     string    // incoming: where its bytes are until it is done
	Spooled  bool      // outgoing: Place is a copy of the node's own
	Modified time.Time // outgoing: of Place, when it was hashed
}

// Options configures a Machine.
type Options struct {
	// Contact says whether files of a user are taken, and offered to him.
	Contact func(linnet.UserName) bool
	// Asked says whether a user of these has yet to say yes: what he does not take waits
	// until he did. Nil: that is so of nobody.
	Asked func(linnet.UserName) bool
}

// A Machine has the files of one device. It is not safe for concurrent use.
type Machine struct {
	o       Options
	files   map[linnet.FileID]*file
	open    map[linnet.FileID]*file // of them, those that are not over: mostly few
	users   map[linnet.UserName]*offering
	said    map[linnet.UserName]*overlay.Bucket // by contacts
	fetches int
	effects []Effect
}

type file struct {
	Kept
	fetching bool
	retries  int
	retryAt  time.Time       // incoming, active: when to fetch; zero: now, or while fetching
	inquired time.Time       // incoming, paused there: whether it still is
	told     time.Time       // progress, to the user
	saved    time.Time       // progress, to disk
	asking   []linnet.NodeID // outgoing: devices whose user is asked, as far as this process knows
}

// offering is what is to be offered to a user.
type offering struct {
	at      time.Time // zero: not before he shows up
	tries   int
	looking bool
}

// New makes a Machine of what was kept.
func New(now time.Time, o Options, kept []Kept) *Machine {
	m := &Machine{
		o: o, files: make(map[linnet.FileID]*file), open: make(map[linnet.FileID]*file),
		users: make(map[linnet.UserName]*offering), said: make(map[linnet.UserName]*overlay.Bucket),
	}
	for _, k := range kept {
		k.Flows, k.Path, k.BPS = false, linnet.NoPath, 0
		f := &file{Kept: k}
		m.add(f)
		switch {
		case k.State.Final():
		case k.Incoming:
			f.retryAt = now.Add(startsAfter)
		default:
			m.offer(now.Add(startsAfter), k.Peer)
		}
	}
	return m
}

func (m *Machine) add(f *file) {
	m.files[f.ID] = f
	if !f.State.Final() {
		m.open[f.ID] = f
	}
}

// sorted are the files that are not over, in an order that is always the same.
func (m *Machine) sorted() []*file {
	return slices.SortedFunc(maps.Values(m.open), func(a, b *file) int { return slices.Compare(a.ID[:], b.ID[:]) })
}

// Errors that front ends put into words.
var (
	ErrUnknown  = errors.New("there is no such file")
	ErrState    = errors.New("the file is over")
	ErrAnswered = errors.New("the offer was answered already")
	ErrTooMany  = errors.New("too many files wait")
	ErrContact  = errors.New("files go to contacts only")
)

// An Effect is what the owner of a Machine has to do: one of the structs below. They are
// carried out in order, and what follows a Save only when that is on disk.
type Effect any

// Save asks to keep a file as it is now; Pieces, where they are set, are the SHA-256s of
// its pieces, which do not change.
type Save struct {
	Kept   Kept
	Pieces []byte
}

// Forget asks to delete what is kept of a file.
type Forget struct{ ID linnet.FileID }

// LookUp asks which devices of a user can be reached; Found answers.
type LookUp struct{ User linnet.UserName }

// Send asks to send a message to a device of a user; Open says that a session is worth
// opening for it.
type Send struct {
	User    linnet.UserName
	Node    linnet.NodeID
	Message message.Message
	Open    bool
}

// Fetch asks to get a file from its device, which is told First: Fetched ends it.
type Fetch struct {
	Kept  Kept
	First message.Message
}

// Stop asks to end fetching or serving a file; Fetched need not follow.
type Stop struct{ ID linnet.FileID }

// Discard asks to delete the bytes of a file that nobody needs any more.
type Discard struct{ Kept Kept }

// Tell asks to tell the user.
type Tell struct{ Event linnet.Event }

func (m *Machine) do(e Effect) { m.effects = append(m.effects, e) }

// Take hands over what is to be done, in order.
func (m *Machine) Take() []Effect {
	out := m.effects
	m.effects = nil
	return out
}

// Files lists all of them, the newest first.
func (m *Machine) Files() []linnet.File {
	list := make([]linnet.File, 0, len(m.files))
	for _, f := range m.files {
		list = append(list, f.shown())
	}
	slices.SortFunc(list, func(a, b linnet.File) int {
		return cmp.Or(b.Offered.Compare(a.Offered), slices.Compare(a.ID[:], b.ID[:]))
	})
	return list
}

// Get is one of them.
func (m *Machine) Get(id linnet.FileID) (Kept, bool) {
	f := m.files[id]
	if f == nil {
		return Kept{}, false
	}
	return f.Kept, true
}

// shown is a file as front ends see it: a part is no place to look.
func (f *file) shown() linnet.File {
	s := f.File
	if s.State == linnet.FileActive && (s.PausedHere || s.PausedThere) {
		s.State = linnet.FilePaused
	}
	return s
}

// changed keeps a file and tells of it.
func (m *Machine) changed(f *file) {
	m.do(Save{Kept: f.Kept})
	m.tell(f, linnet.EventFileChanged)
}

func (m *Machine) tell(f *file, kind linnet.EventKind) {
	shown := f.shown()
	m.do(Tell{linnet.Event{Kind: kind, File: &shown}})
}

// end is the last change of a file.
func (m *Machine) end(now time.Time, f *file, state linnet.FileState, code linnet.Code, why string) {
	f.State, f.Ended, f.Code, f.Why = state, now, code, why
	delete(m.open, f.ID)
	f.Flows, f.BPS, f.Path = false, 0, linnet.NoPath
	if state == linnet.FileDone {
		f.Done = f.Size
	}
	m.stop(f)
	m.changed(f)
	if state != linnet.FileDone || f.Spooled {
		m.do(Discard{f.Kept})
	}
	m.prune()
}

func (m *Machine) stop(f *file) {
	if f.fetching {
		f.fetching = false
		m.fetches--
	}
	f.Flows, f.BPS, f.Path = false, 0, linnet.NoPath
	m.do(Stop{f.ID})
}

// prune forgets the oldest of those that are over.
func (m *Machine) prune() {
	var over []*file
	for _, f := range m.files {
		if f.State.Final() {
			over = append(over, f)
		}
	}
	if len(over) <= maxFinal {
		return
	}
	slices.SortFunc(over, func(a, b *file) int { return cmp.Or(a.Ended.Compare(b.Ended), slices.Compare(a.ID[:], b.ID[:])) })
	for _, f := range over[:len(over)-maxFinal] {
		delete(m.files, f.ID)
		m.do(Forget{f.ID})
	}
}

// count says how many of the files that are not over are of a kind.
func (m *Machine) count(ok func(f *file) bool) (n int) {
	for _, f := range m.open {
		if ok(f) {
			n++
		}
	}
	return n
}

// Deadline is when Tick wants to be called; zero means never.
func (m *Machine) Deadline() (at time.Time) {
	sooner := func(t time.Time) {
		if !t.IsZero() && (at.IsZero() || t.Before(at)) {
			at = t
		}
	}
	for _, u := range m.users {
		if !u.looking { // else what comes of it counts
			sooner(u.at)
		}
	}
	if m.fetches < maxFetches {
		for _, f := range m.open {
			if f.wanted() {
				sooner(f.retryAt)
			}
		}
	}
	return at
}

// wanted says that a file is to be fetched, as soon as it is time.
func (f *file) wanted() bool {
	return f.Incoming && f.State == linnet.FileActive && !f.PausedHere && !f.PausedThere && !f.fetching
}

// Tick does what is due.
func (m *Machine) Tick(now time.Time) {
	for _, user := range slices.Sorted(maps.Keys(m.users)) {
		if u := m.users[user]; !u.at.IsZero() && !now.Before(u.at) && !u.looking {
			u.at, u.looking = time.Time{}, true
			m.do(LookUp{user})
		}
	}
	if m.fetches >= maxFetches || len(m.open) == 0 {
		return
	}
	for _, f := range m.sorted() {
		if m.fetches >= maxFetches {
			break
		}
		if f.wanted() && !now.Before(f.retryAt) {
			f.fetching = true
			m.fetches++
			m.do(Fetch{f.Kept, &message.FileAnswer{File: f.ID, Verdict: message.FileAccepted}})
		}
	}
}
