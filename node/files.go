package node

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/chat"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/files/disk"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// shelf is a station's part in files; an operator's machine has none.
type shelf struct {
	machine *files.Machine // nil: none
	trunk   *trunk
	effects ordered[files.Effect]
	work    map[linnet.FileID]*errand // fetching
	serving map[linnet.FileID]map[*errand]struct{}
	ctx     context.Context // ends with the station
	end     context.CancelFunc
	talking atomic.Bool  // there is a call
	senders atomic.Int32 // of bytes, at this moment
}

// An errand is a goroutine that moves a file's bytes.
type errand struct {
	stop context.CancelFunc
	done chan struct{}
}

func (s *station) startFiles(ctx context.Context, now time.Time) error {
	if s.self.User.IsNode() {
		return nil
	}
	kept, err := s.node.store.Files(ctx, s.self.User)
	if err != nil {
		return err
	}
	f := &s.files
	if f.trunk, err = newTrunk(s.node.link, s.log); err != nil {
		return err
	}
	s.board.bulk = f.trunk.Packet
	f.work, f.serving = make(map[linnet.FileID]*errand), make(map[linnet.FileID]map[*errand]struct{})
	f.ctx, f.end = context.WithCancel(s.node.life)
	f.machine = files.New(now, files.Options{
		Contact: s.onList,
		Asked:   func(user linnet.UserName) bool { return s.contactState(user) == linnet.Asked },
	}, kept)
	s.node.beside(func(context.Context) { s.acceptBulk(f.ctx, f.trunk) })
	s.node.beside(func(context.Context) { s.node.sweepSpool(kept) })
	return nil
}

// stopFiles ends what runs beside the loop.
func (s *station) stopFiles() {
	if s.files.machine == nil {
		return
	}
	s.files.end()
	if err := s.files.trunk.Close(); err != nil {
		s.log.Debug("close bulk", "err", err)
	}
}

// fileReceived hands a message to the machine.
func (s *station) fileReceived(now time.Time, e session.Received, user linnet.UserName) bool {
	f := &s.files
	if f.machine == nil {
		return false
	}
	m, connects := e.Message.(*message.BulkConnect)
	if !connects {
		return f.machine.Received(now, files.Peer{Node: e.From, User: user}, e.Message)
	}
	if !s.onList(user) {
		s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureDenied, Text: "bulk is for contacts"})
		return true
	}
	if err := f.trunk.Expect(e.From, m.Certificate); err != nil {
		s.respond(now, e.From, e.ID, &message.Failure{Code: message.FailureTooMany, Text: "too many want bulk"})
		return true
	}
	f.trunk.move(e.From, s.sessions.Routes(e.From))
	s.widen(now, e.From)
	s.respond(now, e.From, e.ID, &message.BulkConnected{Certificate: f.trunk.Hash()})
	return true
}

// fileEffects carries out what the machine wants.
func (s *station) fileEffects(now time.Time, effects []files.Effect) {
	s.files.effects.run(s, now, effects, func(e files.Effect) func(context.Context) error {
		save, ok := e.(files.Save)
		if !ok {
			return nil
		}
		return func(ctx context.Context) error { return s.node.store.SaveFile(ctx, s.self.User, save) }
	}, s.fileEffect, func(now time.Time, dropped []files.Effect, err error) {
		s.node.warnDisk(now, "files cannot be kept", err)
		for _, e := range dropped {
			switch e := e.(type) {
			case saved:
				e.done <- err
			case files.Save, files.Send: // nobody hears of what is not kept
			default:
				s.fileEffect(now, e)
			}
		}
	})
}

func (s *station) fileEffect(now time.Time, e files.Effect) {
	m := s.files.machine
	switch e := e.(type) {
	case saved:
		e.done <- nil // has room for one
	case files.LookUp:
		s.lookUp(now, e.User, true, func(now time.Time, l linnet.Listing, _ error) {
			var devices []linnet.NodeID
			for _, d := range l.Devices {
				if d.Online {
					devices = append(devices, d.Node)
				}
			}
			m.Found(now, e.User, devices)
		})
	case files.Send:
		if e.Open {
			s.reach(now, e.User, e.Node, func(now time.Time, err error) {
				if err == nil {
					s.open(now, e.Node, e.Message)
				}
			})
		} else if err := s.sessions.Send(now, e.Node, e.Message); err != nil {
			s.log.Debug("file message", "to", e.Node.Short(), "err", err)
		}
	case files.Fetch:
		s.startFetch(e)
	case files.Stop:
		s.stopErrands(e.ID)
	case files.Discard:
		s.discard(e.Kept)
	case files.Forget:
		s.node.note(func(ctx context.Context) error { return s.node.store.ForgetFile(ctx, e.ID) }, func(_ time.Time, err error) {
			if err != nil {
				s.log.Warn("forget a file", "err", err)
			}
		})
	case files.Tell:
		s.node.hub.tell(e.Event)
		if s.node.opts.Echo && e.Event.Kind == linnet.EventFileOffered {
			if err := m.Answer(now, e.Event.File.ID, false, ""); err != nil {
				s.log.Debug("decline a file", "err", err)
			}
		}
	}
}

var errAway = errors.New("the device is not online")

// reach finds out what opening a session with a device takes, unless there is one.
func (s *station) reach(now time.Time, user linnet.UserName, node linnet.NodeID, then func(now time.Time, err error)) {
	if s.sessions.Up(node) {
		then(now, nil)
		return
	}
	s.lookUp(now, user, true, func(now time.Time, l linnet.Listing, err error) {
		if err == nil && !slices.ContainsFunc(l.Devices, func(d linnet.Device) bool { return d.Node == node && d.Online }) {
			err = errAway
		}
		then(now, err)
	})
}

// stopErrands ends what moves the bytes of a file.
func (s *station) stopErrands(id linnet.FileID) {
	if e := s.files.work[id]; e != nil {
		e.stop() // it takes itself out of the list
	}
	for e := range s.files.serving[id] {
		e.stop()
	}
}

// discard deletes what nobody needs any more, once nobody writes it.
func (s *station) discard(k files.Kept) {
	path := k.Part
	if k.Spooled {
		path = k.File.Place
	}
	if path == "" {
		return
	}
	e := s.files.work[k.ID]
	s.node.beside(func(context.Context) {
		if e != nil {
			<-e.done
		}
		if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
			s.log.Warn("delete", "err", err)
		}
	})
}

// filesOf takes the news of a contact: he came online, or is blocked.
func (s *station) filesOf(now time.Time, c linnet.Contact) {
	m := s.files.machine
	switch {
	case m == nil: // the station is being made
	case c.State == linnet.Blocked:
		m.Blocked(now, c.User)
	case c.Presence != linnet.Offline:
		m.Wake(now, c.User)
	}
}

// fileFlows keeps the paths of pairs between which files flow.
func (s *station) fileFlows(now time.Time, id linnet.FileID, done, bps int64) {
	k, ok := s.files.machine.Get(id)
	if !ok {
		return
	}
	if p := s.pairs[k.Device]; p != nil {
		p.seen = now
	}
	s.files.machine.Progress(now, id, done, bps, s.files.trunk.path(k.Device))
}

// filesGiveWay has files leave room for calls, from when they ring on.
func (s *station) filesGiveWay() {
	s.files.talking.Store(slices.ContainsFunc(s.calls.Calls(), func(c linnet.CallInfo) bool { return c.State != linnet.CallEnded }))
}

// inFiles runs f in the loop with the machine of whoever is signed in, and waits until
// all that follows from it is on disk.
func (n *Node) inFiles(ctx context.Context, f func(now time.Time, m *files.Machine) error) error {
	return n.untilSaved(ctx, func(now time.Time, s *station, done saved) error {
		if s.files.machine == nil {
			return linnet.Errorf(linnet.CodeUsage, "only people have files")
		}
		if err := f(now, s.files.machine); err != nil {
			return fileWords(err)
		}
		s.fileEffects(now, append(s.files.machine.Take(), done))
		return nil
	})
}

// fileWords puts the machine's errors into words for people.
func fileWords(err error) error {
	switch {
	case errors.Is(err, files.ErrUnknown):
		return &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such file", Hint: "`linnet files` lists them"}
	case errors.Is(err, files.ErrContact):
		return &linnet.Error{Code: linnet.CodeUsage, Text: "files go to contacts only", Hint: "`linnet contacts add NAME` asks somebody to be one"}
	case errors.Is(err, files.ErrTooMany):
		return &linnet.Error{Code: linnet.CodeBusy, Text: "too many files wait", Hint: "cancel some, or let them be done"}
	case errors.Is(err, files.ErrState), errors.Is(err, files.ErrAnswered):
		return &linnet.Error{Code: linnet.CodeUsage, Text: err.Error(), Hint: "`linnet files` tells how it stands"}
	}
	return err
}

// Files implements linnet.Client.
func (n *Node) Files(ctx context.Context) (list []linnet.File, err error) {
	return list, n.inStation(ctx, func(_ time.Time, s *station) error {
		list = []linnet.File{}
		if m := s.files.machine; m != nil {
			list = m.Files()
		}
		return nil
	})
}

// SendFile implements linnet.Client.
func (n *Node) SendFile(ctx context.Context, user linnet.UserName, path string) (linnet.FileID, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return linnet.FileID{}, err
	}
	if err := n.mayOffer(ctx, user); err != nil {
		return linnet.FileID{}, err
	}
	source, err := disk.Read(ctx, path)
	if err != nil {
		return linnet.FileID{}, err
	}
	return n.offerFile(ctx, user, linnet.NewFileID(), source, false)
}

// mayOffer is asked before a large file is read for nothing.
func (n *Node) mayOffer(ctx context.Context, user linnet.UserName) error {
	return n.inStation(ctx, func(_ time.Time, s *station) error {
		switch {
		case user == s.self.User:
			return linnet.Errorf(linnet.CodeUsage, "%s is you", user)
		case !s.onList(user):
			return fileWords(files.ErrContact)
		}
		return nil
	})
}

func (n *Node) offerFile(ctx context.Context, user linnet.UserName, id linnet.FileID, source disk.Source, spooled bool) (linnet.FileID, error) {
	k := files.Kept{
		File: linnet.File{ID: id, Peer: user, Name: source.Name, Size: source.Size, Place: source.Path},
		Sum:  source.Whole, Tree: source.Tree, Spooled: spooled, Modified: source.Modified,
	}
	err := n.inFiles(ctx, func(now time.Time, m *files.Machine) error { return m.Offer(now, k, source.Pieces) })
	if err != nil {
		return id, err
	}
	// The line in the conversation comes by mail, too: who is away learns that a file waits.
	line := chat.Draft{ID: linnet.MessageID(id), Kind: linnet.FileMessage, Text: files.SafeName(source.Name)}
	if err := n.inChat(ctx, func(now time.Time, m *chat.Machine) error { return m.Send(now, user, line) }); err != nil {
		n.log.Warn("line about a file", "err", err)
	}
	return id, nil
}

// downloads is where files of others are put.
func (n *Node) downloads() string {
	if n.opts.Downloads != "" {
		return n.opts.Downloads
	}
	return filepath.Join(n.opts.Home, "downloads")
}

// AnswerFile implements linnet.Client.
func (n *Node) AnswerFile(ctx context.Context, id linnet.FileID, yes bool) error {
	part := ""
	if yes {
		var k files.Kept
		err := n.inStation(ctx, func(_ time.Time, s *station) error {
			if s.files.machine != nil {
				k, _ = s.files.machine.Get(id)
			}
			return nil
		})
		if err != nil {
			return err
		}
		dir, err := filepath.Abs(n.downloads())
		if err != nil {
			return err
		}
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return &linnet.Error{Code: linnet.CodeDisk, Text: "the folder " + dir + " cannot be made", Err: err}
		}
		if err := disk.CheckRoom(ctx, dir, k.Size); err != nil {
			return err
		}
		part = disk.PartPath(dir, k.File.Name, id)
	}
	return n.inFiles(ctx, func(now time.Time, m *files.Machine) error { return m.Answer(now, id, yes, part) })
}

// PauseFile implements linnet.Client.
func (n *Node) PauseFile(ctx context.Context, id linnet.FileID, on bool) error {
	return n.inFiles(ctx, func(now time.Time, m *files.Machine) error { return m.Pause(now, id, on) })
}

// CancelFile implements linnet.Client.
func (n *Node) CancelFile(ctx context.Context, id linnet.FileID) error {
	return n.inFiles(ctx, func(now time.Time, m *files.Machine) error { return m.Cancel(now, id) })
}

// OpenFile implements linnet.Client.
func (n *Node) OpenFile(ctx context.Context, id linnet.FileID) (*linnet.OpenFile, error) {
	var k files.Kept
	err := n.inStation(ctx, func(_ time.Time, s *station) error {
		var ok bool
		if s.files.machine != nil {
			k, ok = s.files.machine.Get(id)
		}
		switch {
		case !ok:
			return fileWords(files.ErrUnknown)
		case !k.Incoming || k.State != linnet.FileDone:
			return linnet.Errorf(linnet.CodeUsage, "only a file that came, and is done, can be opened")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	content, err := disk.Open(k.File.Place)
	if err != nil {
		return nil, err
	}
	return &linnet.OpenFile{Name: filepath.Base(k.File.Place), Size: k.Size, Content: content}, nil
}
