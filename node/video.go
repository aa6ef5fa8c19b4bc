package node

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/media/ivf"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A viewer shows pictures at this end of a call, and looks at those of the other
// one. Its methods are called under the lock of the phone.
type viewer interface {
	// begin says that there is a path.
	begin(now time.Time)
	// see takes what came of the other end's video.
	see(now time.Time, pieces []media.Piece)
	// shoot gives what is to be shown now. Whatever the error, it shows no more; io.EOF is its regular end.
	shoot(now time.Time) ([]shot, error)
	// due is when shoot has something by itself; zero means not soon.
	due() time.Time
	// rate is how many bits a second it may make, and key asks for a key picture.
	rate(bits int)
	key(now time.Time)
	// wantsKey says, once, that what it sees needs one.
	wantsKey() bool
	close()
}

// A shot is a piece of a picture; lost: there were some before it that are gone.
type shot struct {
	media.Piece
	lost bool
}

// Video implements linnet.Client.
func (n *Node) Video(ctx context.Context, id linnet.CallID, v linnet.Video) error {
	return n.inStation(ctx, func(now time.Time, s *station) error {
		p := s.phones[id]
		switch {
		case p == nil:
			return linnet.Errorf(linnet.CodeUsage, "nobody can see anything before the call is answered")
		case !s.media[id].Page:
			return linnet.Errorf(linnet.CodeUsage, "the call is not at the page, which has the camera")
		case v != linnet.NoVideo && !p.able:
			return linnet.Errorf(linnet.CodeUsage, "the other side's program shows no video")
		}
		if err := p.show(now, v, s.node.protection()); err != nil {
			return err
		}
		s.sendKeys(now, p, p.keys())
		if c := s.info(id); c != nil {
			s.tellChanged(*c)
		}
		return nil
	})
}

// furnishVideo gives a phone what it shows and who looks at it.
func (s *station) furnishVideo(p *phone, m linnet.CallMedia) {
	what := m.Video
	if h, atPage := p.set.(*pageHandset); atPage {
		p.view = h
	} else if m.PlayVideo != "" {
		f, err := ivf.Open(m.PlayVideo)
		if err != nil {
			s.node.warnCall(p.call, linnet.CodeBadFile, err)
		} else {
			p.view = &filmPlayer{file: f}
			what = linnet.Camera
		}
	}
	if what != linnet.NoVideo && p.able {
		if err := p.show(p.started, what, s.node.protection()); err != nil {
			s.node.warnCall(p.call, linnet.CodeFailed, err)
		}
	}
	if m.RecordVideo != "" {
		var err error
		if p.film, err = ivf.Create(m.RecordVideo); err != nil {
			s.node.warnCall(p.call, linnet.CodeDisk, fileError(m.RecordVideo, err))
		}
	}
}

// checkVideo finds out before a call whether its files are any good.
func checkVideo(m linnet.CallMedia) error {
	if m.PlayVideo != "" {
		f, err := ivf.Open(m.PlayVideo)
		if err != nil {
			return &linnet.Error{Code: linnet.CodeBadFile, Text: err.Error(), Hint: "give an IVF file with VP8 video, as `ffmpeg -i FILE -c:v libvpx out.ivf` makes it"}
		}
		f.Close()
	}
	if m.RecordVideo != "" {
		f, err := ivf.Create(m.RecordVideo)
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			return fileError(m.RecordVideo, err)
		}
	}
	return nil
}

// keys is what the other end has to know of what is sent to it.
func (p *phone) keys() *message.MediaKeys {
	p.mu.Lock()
	defer p.mu.Unlock()
	keys := &message.MediaKeys{Call: p.call, Streams: []message.MediaStream{p.sender.Stream().Message()}}
	if s := p.line.Showing(); s != nil {
		keys.Streams = append(keys.Streams, s.Stream().Message())
	}
	return keys
}

// show begins to show something else, under a key of its own.
func (p *phone) show(now time.Time, v linnet.Video, protection media.Protection) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.shown == v {
		return nil
	}
	p.shown = v
	if v == linnet.NoVideo {
		p.line.EndVideo()
		return nil
	}
	stream, err := media.NewStream(media.VP8(), protection, nil)
	if err != nil {
		return err
	}
	stream.Screen = v == linnet.Screen
	if p.view != nil {
		p.view.key(now)
	}
	return p.line.ShowVideo(stream)
}

func (p *phone) showing() linnet.Video {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown
}

// watching is what the other end shows.
func (p *phone) watching() linnet.Video {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, shows := p.line.Watching()
	switch {
	case !shows:
		return linnet.NoVideo
	case s.Screen:
		return linnet.Screen
	}
	return linnet.Camera
}

// look is turn for the video of a call: the whole pictures that came, the packets
// to send now, and when to come back.
func (p *phone) look(now time.Time) (pictures []media.Picture, packets [][]byte, next time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pictures, pieces := p.line.Pictures(), p.line.Pieces()
	live := p.view != nil && p.begun && !p.held
	if live {
		p.view.see(now, pieces)
		if p.view.wantsKey() {
			p.line.WantKeyPicture()
		}
		p.shoot(now)
	}
	packets, err := p.line.Video(now)
	if err != nil {
		p.log.Debug("video packet", "err", err)
	}
	if live && p.view != nil {
		next = p.view.due()
	}
	return pictures, packets, soonest(next, p.line.Deadline())
}

// shoot hands over what is to be shown. It needs the lock.
func (p *phone) shoot(now time.Time) {
	shots, err := p.view.shoot(now)
	s := p.line.Showing()
	if s != nil {
		for _, x := range shots {
			if err := s.Show(x.Piece, x.lost); err != nil {
				p.log.Debug("video frame", "err", err)
			}
		}
		p.view.rate(s.Rate())
		if s.KeyPicture(now) {
			p.view.key(now)
		}
	}
	if err == nil {
		return
	}
	p.view.close()
	p.view = nil
	if !errors.Is(err, io.EOF) {
		p.events.trouble(linnet.CodeBadFile, err)
	}
	if p.set == nil { // nor is anything said any more
		p.events.played()
	}
}

// sendVideo takes the best path alone: what it loses is asked for again, and a
// second copy of everything would take the room of the voice.
func (p *phone) sendVideo(b []byte) {
	if routes := p.routes.Load(); routes != nil && len(*routes) > 0 {
		p.sendBy((*routes)[0], b)
	}
}

func (p *phone) sendBy(r session.Route, b []byte) {
	if err := p.link.SendPacket(origin(r.Path), r.Tag, b); err != nil {
		p.log.Debug("send media", "via", r.Path, "err", err)
	}
}

func (p *phone) recordVideo(pictures []media.Picture) {
	if p.film == nil {
		return
	}
	for _, x := range pictures {
		if err := p.film.Write(x); err != nil {
			p.events.trouble(linnet.CodeDisk, err)
		}
	}
}

// A filmPlayer shows what is in a file, at the rate at which it was coded.
type filmPlayer struct {
	file  *ivf.File
	start time.Time
	next  media.Picture
	err   error // of reading next
}

func (f *filmPlayer) begin(now time.Time) {
	f.start = now
	f.next, f.err = f.file.Next()
}

func (f *filmPlayer) at() time.Time {
	return f.start.Add(time.Duration(f.next.Timestamp) * time.Second / media.VideoClock)
}

func (f *filmPlayer) shoot(now time.Time) ([]shot, error) {
	var shots []shot
	for f.err == nil && !f.at().After(now) {
		for _, p := range f.next.Cut() {
			shots = append(shots, shot{Piece: p})
		}
		f.next, f.err = f.file.Next()
	}
	return shots, f.err
}

func (f *filmPlayer) due() time.Time { return f.at() }
func (f *filmPlayer) close()         { f.file.Close() }

func (*filmPlayer) see(time.Time, []media.Piece) {}
func (*filmPlayer) rate(int)                     {}
func (*filmPlayer) key(time.Time)                {} // the next one in the file comes when it comes
func (*filmPlayer) wantsKey() bool               { return false }
