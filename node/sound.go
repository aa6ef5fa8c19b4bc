package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ogg"
	"github.com/linnet-p2p/linnet/media/sample"
	"github.com/linnet-p2p/linnet/wire/message"
)

// startMedia makes the phone of an answered call and hands its key over.
func (s *station) startMedia(now time.Time, e call.StartMedia) {
	id, peer := e.Call, e.Node
	m := s.media[id]
	p, err := newPhone(s.node.link, s.log, id, peer, s.node.protection(), media.ReceiverOptions{Arrivals: m.Page, Pictures: m.RecordVideo != ""}, now, phoneEvents{
		silent: func() { s.node.post(func(now time.Time) { s.miss(now, id) }) },
		heard:  func() { s.node.post(func(now time.Time) { s.heard(now, id) }) },
		played: func() {
			s.node.beside(func(context.Context) { s.node.must(func(now time.Time) { s.played(now, id) }) })
		},
		trouble: func(code linnet.Code, err error) { s.node.warnCall(id, code, err) },
	})
	if err != nil {
		s.node.warn("the call has no sound: %v", err)
		return
	}
	p.able = slices.Contains(e.Codecs, media.VP8().Name)
	s.furnish(p, m)
	s.furnishVideo(p, m)
	// Made before the phone runs: the listener has to know of the first packet.
	keys := p.keys()
	p.move(now, s.sessions.Routes(peer), s.rtt(peer))
	s.phones[id] = p
	s.board.plug(peer, p)
	s.node.beside(func(context.Context) { p.run() }) // until stop, which waits for it
	s.sendKeys(now, p, keys)
	if c := s.info(id); c != nil && c.Path != linnet.NoPath {
		s.tellChanged(*c) // a path that was found while it rang is news now
	}
}

// sendKeys tells the other end what is sent to it.
func (s *station) sendKeys(now time.Time, p *phone, keys *message.MediaKeys) {
	if err := s.sessions.Send(now, p.peer, keys); err != nil {
		s.log.Warn("media keys", "to", p.peer.Short(), "err", err)
	}
}

// sendKeysAgain is for a session that took the place of another one, in which the
// last of them may have been lost.
func (s *station) sendKeysAgain(now time.Time, peer linnet.NodeID) {
	for _, p := range s.phones {
		if p.peer == peer {
			s.sendKeys(now, p, p.keys())
		}
	}
}

// heard keeps a call alive, and tells of its first sound.
func (s *station) heard(now time.Time, id linnet.CallID) {
	s.calls.MediaSeen(now, id)
	if p := s.phones[id]; p != nil && !p.audible {
		p.audible = true
		s.node.hub.tell(linnet.Event{Kind: linnet.EventCallHeard, Call: s.info(id)})
	}
}

// furnish gives a phone what it plays and records.
func (s *station) furnish(p *phone, m linnet.CallMedia) {
	if s.node.opts.Echo {
		said, err := sample.Echo()
		if err != nil {
			s.node.warn("echo123 has lost its voice: %v", err)
		}
		p.set = &echoService{said: said}
		return
	}
	switch {
	case m.Page:
		p.set = s.node.page.handset(p.nudge)
	case m.Play != "":
		f, err := ogg.Open(m.Play)
		if err != nil {
			s.node.warnCall(p.call, linnet.CodeBadFile, err)
		} else {
			p.set = &filePlayer{file: f}
		}
	}
	if m.Record != "" {
		var err error
		if p.tape, err = ogg.Create(m.Record); err != nil {
			s.node.warnCall(p.call, linnet.CodeDisk, fileError(m.Record, err))
		}
	}
	if m.Seconds > 0 {
		after := time.Duration(m.Seconds * float64(time.Second))
		time.AfterFunc(after, func() { s.node.post(func(now time.Time) { s.hangUp(now, p.call) }) })
	}
}

// played is the end of what a phone says by itself.
func (s *station) played(now time.Time, id linnet.CallID) {
	m := s.media[id]
	if s.node.opts.Echo || m.Page || (m.Play != "" || m.PlayVideo != "") && !m.Stay && m.Seconds == 0 {
		s.hangUp(now, id)
	}
}

func (s *station) peerKeys(now time.Time, e call.PeerKeys) {
	p := s.phones[e.Call]
	if p == nil {
		return
	}
	streams := make([]media.Stream, 0, len(e.Streams))
	for _, m := range e.Streams {
		stream, err := media.ParseStream(m, s.node.protection())
		if errors.Is(err, media.ErrCodec) {
			continue // of a later version
		}
		if err != nil {
			s.log.Warn("media keys", "from", e.Node.Short(), "err", err)
			return
		}
		streams = append(streams, stream)
	}
	before := p.watching()
	if err := p.expect(now, streams); err != nil {
		s.log.Warn("media keys", "from", e.Node.Short(), "err", err)
	}
	if p.watching() != before {
		if c := s.info(e.Call); c != nil {
			s.tellChanged(*c)
		}
	}
}

func (s *station) stopMedia(now time.Time, id linnet.CallID) {
	p := s.phones[id]
	if p == nil {
		return
	}
	delete(s.phones, id)
	s.board.unplug(p.peer)
	p.stop()
	r := p.receipt()
	s.prelude(p.peer, id, &r)
	s.receipts[id] = r
	figures := p.figures().Message(id)
	if err := s.sessions.Send(now, p.peer, &figures); err != nil {
		s.log.Debug("receipt", "to", p.peer.Short(), "err", err)
	}
}

// checkMedia finds out before a call whether its files are any good.
func checkMedia(m linnet.CallMedia) error {
	if m.Page && m.Play != "" {
		return linnet.Errorf(linnet.CodeUsage, "a call is spoken at the page or plays a file, not both")
	}
	if m.Page && m.PlayVideo != "" || !m.Page && m.Video != linnet.NoVideo {
		return linnet.Errorf(linnet.CodeUsage, "camera and screen are those of the page; a call without it shows a file")
	}
	if m.Seconds < 0 {
		return linnet.Errorf(linnet.CodeUsage, "a call cannot last %v seconds", m.Seconds)
	}
	if m.Play != "" {
		f, err := ogg.Open(m.Play)
		if err != nil {
			return &linnet.Error{Code: linnet.CodeBadFile, Text: err.Error(), Hint: "give an Ogg file with Opus sound, as `opusenc` makes it"}
		}
		defer f.Close()
	}
	if m.Record != "" {
		f, err := ogg.Create(m.Record)
		if err != nil {
			return fileError(m.Record, err)
		}
		if err := f.Close(); err != nil {
			return fileError(m.Record, err)
		}
	}
	return checkVideo(m)
}

func fileError(path string, err error) error {
	if errors.Is(err, media.ErrDiskFull) {
		return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("%s cannot be written: the disk is full", path)}
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("%s cannot be written: %v", path, err)}
}
