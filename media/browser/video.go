package browser

import (
	"bytes"
	"fmt"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/linnet-p2p/linnet/media"
)

// video is the pictures of a Set, both ways. The page offers them from the
// beginning and sends some when it likes to, so that nothing has to be agreed upon
// while people wait for them.
type video struct {
	canvas *webrtc.TrackLocalStaticRTP // nil: the page takes none
	out    splice
	camera source
	next   uint16 // sequence number
	index  uint64
	rate   int // bits a second that the camera's encoder may make; 0: not known
	told   int
	wanted time.Time // a key picture was, last
}

// vp8 lets the browser ask for what is missing, although nothing is lost on this
// hop: one that could not would not wait for what the network sends again.
var vp8 = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeVP8, ClockRate: media.VideoClock,
	RTCPFeedback: []webrtc.RTCPFeedback{
		{Type: webrtc.TypeRTCPFBGoogREMB},
		{Type: webrtc.TypeRTCPFBNACK}, {Type: webrtc.TypeRTCPFBNACK, Parameter: "pli"},
	},
}

func (s *Set) addVideo() error {
	var err error
	s.video.out.clock = media.VideoClock
	// Of one stream with the voice: the browser keeps lips and words together.
	if s.video.canvas, err = webrtc.NewTrackLocalStaticRTP(vp8, "video", "linnet"); err != nil {
		return fmt.Errorf("browser: %w", err)
	}
	sender, err := s.pc.AddTrack(s.video.canvas)
	if err != nil {
		return fmt.Errorf("browser: %w", err)
	}
	s.start(func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if _, ok := p.(*rtcp.PictureLossIndication); ok && s.opts.WantKey != nil {
					s.opts.WantKey()
				}
			}
		}
	})
	return nil
}

// look takes what the camera sees.
func (s *Set) look(t *webrtc.TrackRemote) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		s.mu.Lock()
		piece, lost, ok := s.video.take(p)
		s.mu.Unlock()
		if ok && s.opts.Shot != nil {
			s.opts.Shot(piece, lost)
		}
	}
}

// take is the piece that a packet of the browser brings. Packets that fill up the
// rate have none, but a number.
func (v *video) take(p *rtp.Packet) (piece media.Piece, lost, ok bool) {
	again := v.camera.ssrc == p.SSRC && v.camera.packets > 0
	v.camera.count(p)
	if again && int16(p.SequenceNumber-v.next) < 0 {
		return media.Piece{}, false, false // overtaken: what is gone is told already
	}
	lost = again && p.SequenceNumber != v.next
	v.next = p.SequenceNumber + 1
	if len(p.Payload) == 0 && !lost {
		return media.Piece{}, false, false
	}
	v.index++
	return media.Piece{SSRC: p.SSRC, Index: v.index, Timestamp: p.Timestamp, Last: p.Marker, Data: bytes.Clone(p.Payload)}, lost, true
}

// See shows at the page what came from the network, as it came.
func (s *Set) See(now time.Time, x media.Piece) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.video.canvas == nil {
		return
	}
	p := rtp.Packet{Header: rtp.Header{Version: 2, Marker: x.Last}, Payload: x.Data}
	p.SequenceNumber, p.Timestamp, _ = s.video.out.next(now, x.SSRC, x.Index, x.Timestamp)
	if err := s.video.canvas.WriteRTP(&p); err != nil {
		s.log.Debug("to the page", "err", err)
	}
}

const (
	leastRate = 30_000 // bits a second: no encoder of a browser makes less
	keyEvery  = 300 * time.Millisecond
)

// Rate says how many bits a second the camera's encoder may make.
func (s *Set) Rate(bits int) {
	s.mu.Lock()
	s.video.rate = max(bits, leastRate)
	var say []rtcp.Packet
	if d := s.video.rate - s.video.told; d > s.video.told/20 || -d > s.video.told/20 {
		say = s.video.limit()
	}
	s.mu.Unlock()
	s.tell(say)
}

// KeyPicture asks the camera's encoder for a picture that needs none before it.
func (s *Set) KeyPicture(now time.Time) {
	s.mu.Lock()
	var say []rtcp.Packet
	if v := &s.video; v.camera.packets > 0 && now.Sub(v.wanted) >= keyEvery {
		v.wanted = now
		say = []rtcp.Packet{&rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: v.camera.ssrc}}
	}
	s.mu.Unlock()
	s.tell(say)
}

func (v *video) limit() []rtcp.Packet {
	if v.rate == 0 || v.camera.packets == 0 {
		return nil
	}
	v.told = v.rate
	return []rtcp.Packet{&rtcp.ReceiverEstimatedMaximumBitrate{SenderSSRC: 1, Bitrate: float32(v.rate), SSRCs: []uint32{v.camera.ssrc}}}
}

// report tells the browser's encoder of its pictures.
func (v *video) report(now time.Time) (packets []rtcp.Packet) {
	if r := v.camera.report(now, 0); r != nil {
		packets = append(packets, r)
	}
	return append(packets, v.limit()...)
}
