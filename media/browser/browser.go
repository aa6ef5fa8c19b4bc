// Package browser makes the page of a browser on this machine the microphone,
// the loudspeaker, the camera and the screen of calls: coded sound and pictures come
// from it, and go to it, over WebRTC on this machine alone. The browser captures,
// cancels echo, codes, conceals loss and plays; nothing is decoded here.
//
// It knows nothing of calls, and nothing of who may connect: the offer reaches
// Answer over a connection that has been checked already, and the fingerprint in
// it is that of the only browser that the set then speaks with.
//
// # The local hop
//
// A Set listens on one UDP port of every address of this machine and hears
// senders that are on this machine only. 127.0.0.1 is not enough: Firefox never
// tries it. The candidates of the browser are thrown away, because they are names
// that only the browser knows (".local"): its checks arrive and tell where it is.
//
// There is no congestion control on this hop, which would measure the inside of
// one machine. What the browser's encoders are told is how things are on the
// network: of voice what the far end of the call lost, so that it adds repair (Opus
// FEC) where that helps; of video how many bits the path carries (REMB), and when the
// far end needs a key picture. A share of lost video is not told: the browser would
// slow down once more for what the rate allows for already.
//
// Header extensions do not pass, and payload types are those of this hop: the
// network knows codecs by name.
package browser

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/linnet-p2p/linnet/media"
)

// What Answer says of offers that it cannot take.
var (
	ErrOffer     = errors.New("the page's offer cannot be used")
	ErrNoAddress = errors.New("this machine has no network address that a browser would use")
)

// MaxOffer is the largest offer that Answer reads.
const MaxOffer = 32 << 10

const (
	gone   = 6 * time.Second // without a sign of the page it may come back
	lost   = 4 * time.Second // later it is given up
	report = time.Second
)

// Options configures a Set. The callbacks run in goroutines of the Set and must
// not wait for it; each may be nil.
type Options struct {
	Said func(media.Frame) // by the microphone; its SSRC is one for the whole Set
	// Shot is a piece of a picture by the camera or of the screen; lost says that some
	// before it did not get here. WantKey: what is seen at the page needs a key picture.
	Shot    func(p media.Piece, lost bool)
	WantKey func()
	Up      func()       // connected: both ways work
	Down    func(*Set)   // the page is gone for good; not after Close
	Log     *slog.Logger // nil discards
}

// A Set is one page that is connected.
type Set struct {
	opts  Options
	log   *slog.Logger
	pc    *webrtc.PeerConnection
	ear   *webrtc.TrackLocalStaticRTP
	ports *ports
	wait  sync.WaitGroup
	quit  chan struct{}
	once  sync.Once

	mu     sync.Mutex // all below
	out    splice
	mic    source
	loss   float64
	video  video
	closed bool
}

// Answer takes the offer of a page and makes a Set of it. The Set lives until
// Close, which is to be called even after Down.
func Answer(ctx context.Context, offer string, o Options) (*Set, string, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if len(offer) > MaxOffer {
		return nil, "", fmt.Errorf("%w: more than %d bytes", ErrOffer, MaxOffer)
	}
	ports, err := listen()
	if err != nil {
		return nil, "", err
	}
	s := &Set{opts: o, log: o.Log, ports: ports, quit: make(chan struct{}), out: splice{clock: media.OpusClock}}
	answer, err := s.answer(ctx, offer)
	if err != nil {
		s.Close()
		return nil, "", err
	}
	s.start(s.reports)
	return s, answer, nil
}

// opus asks the browser for repair within the stream, and for silence that costs nothing.
var opus = webrtc.RTPCodecCapability{
	MimeType: webrtc.MimeTypeOpus, ClockRate: media.OpusClock, Channels: 2,
	SDPFmtpLine: "minptime=10;useinbandfec=1;usedtx=1",
}

func (s *Set) answer(ctx context.Context, offer string) (string, error) {
	var codecs webrtc.MediaEngine
	if err := codecs.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 111}, webrtc.RTPCodecTypeAudio); err != nil {
		return "", fmt.Errorf("browser: codecs: %w", err)
	}
	if err := codecs.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: vp8, PayloadType: 96}, webrtc.RTPCodecTypeVideo); err != nil {
		return "", fmt.Errorf("browser: codecs: %w", err)
	}
	var set webrtc.SettingEngine
	set.LoggerFactory = logs{s.log}
	set.SetICEUDPMux(s.ports)
	set.SetIncludeLoopbackCandidate(true)
	set.SetICEMulticastDNSMode(noMulticastDNS)
	set.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4, webrtc.NetworkTypeUDP6})
	set.SetICETimeouts(gone, lost, time.Second)
	// An empty registry: no reports, no congestion control but what is written below.
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&codecs), webrtc.WithSettingEngine(set), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	var err error
	if s.pc, err = api.NewPeerConnection(webrtc.Configuration{}); err != nil {
		return "", fmt.Errorf("browser: %w", err)
	}
	s.pc.OnTrack(func(t *webrtc.TrackRemote, r *webrtc.RTPReceiver) {
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			s.start(func() { s.look(t) })
			s.start(func() { s.reportsOf(r, &s.video.camera) })
			return
		}
		s.start(func() { s.listenTo(t) })
		s.start(func() { s.reportsOf(r, &s.mic) })
	})
	s.pc.OnConnectionStateChange(s.changed)
	if err := s.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: withoutCandidates(offer)}); err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	if s.ear, err = webrtc.NewTrackLocalStaticRTP(opus, "voice", "linnet"); err != nil {
		return "", fmt.Errorf("browser: %w", err)
	}
	sender, err := s.pc.AddTrack(s.ear)
	if err != nil {
		return "", fmt.Errorf("browser: %w", err)
	}
	if strings.Contains(offer, "\nm=video ") {
		if err := s.addVideo(); err != nil {
			return "", err
		}
	}
	gathered := webrtc.GatheringCompletePromise(s.pc)
	answer, err := s.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	if err := s.pc.SetLocalDescription(answer); err != nil {
		return "", fmt.Errorf("%w: %w", ErrOffer, err)
	}
	select {
	case <-gathered:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	s.start(func() { drain(sender) })
	return s.pc.LocalDescription().SDP, nil
}

// drain reads what the browser reports of this hop, which is nobody's business.
func drain(from interface {
	ReadRTCP() ([]rtcp.Packet, interceptor.Attributes, error)
}) {
	for {
		if _, _, err := from.ReadRTCP(); err != nil {
			return
		}
	}
}

// withoutCandidates takes out where the browser says that it is.
func withoutCandidates(offer string) string {
	var b strings.Builder
	for line := range strings.Lines(offer) {
		if !strings.HasPrefix(line, "a=candidate:") && !strings.HasPrefix(line, "a=end-of-candidates") {
			b.WriteString(line)
		}
	}
	return b.String()
}

func (s *Set) changed(state webrtc.PeerConnectionState) {
	s.log.Debug("page", "state", state)
	select {
	case <-s.quit:
		return
	default:
	}
	switch state {
	case webrtc.PeerConnectionStateConnected:
		if s.opts.Up != nil {
			s.opts.Up()
		}
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed:
		if s.opts.Down != nil {
			s.opts.Down(s)
		}
	}
}

// start runs f beside, unless the Set is closed; Close waits for it.
func (s *Set) start(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.wait.Go(f)
	}
}

// reportsOf takes what the browser reports of its microphone.
func (s *Set) reportsOf(r *webrtc.RTPReceiver, of *source) {
	for {
		packets, _, err := r.ReadRTCP()
		if err != nil {
			return
		}
		s.mu.Lock()
		of.heard(time.Now(), packets)
		s.mu.Unlock()
	}
}

// listenTo takes what the microphone says.
func (s *Set) listenTo(t *webrtc.TrackRemote) {
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		f, ok := said(p)
		s.mu.Lock()
		s.mic.count(p)
		s.mu.Unlock()
		if ok && s.opts.Said != nil {
			s.opts.Said(f)
		}
	}
}

// said is the frame that a packet of the browser brings.
func said(p *rtp.Packet) (media.Frame, bool) {
	samples, err := media.OpusSamples(p.Payload)
	if err != nil || len(p.Payload) > media.MaxFrame {
		return media.Frame{}, false // padding, or nothing that anybody could play
	}
	return media.Frame{SSRC: p.SSRC, Timestamp: p.Timestamp, Samples: samples, Data: bytes.Clone(p.Payload)}, true
}

// Hear plays what came from the network, as it came: the browser puts it into order.
func (s *Set) Hear(now time.Time, a media.Arrival) {
	if a.Data == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	p := rtp.Packet{Header: rtp.Header{Version: 2}, Payload: a.Data}
	p.SequenceNumber, p.Timestamp, p.Marker = s.out.next(now, a.SSRC, a.Index, a.Timestamp)
	if err := s.ear.WriteRTP(&p); err != nil {
		s.log.Debug("to the page", "err", err)
	}
}

// Loss says what share of the microphone's packets the far end missed lately.
func (s *Set) Loss(share float64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loss = share
}

// reports tells the browser's encoder how its packets fare on the network.
func (s *Set) reports() {
	tick := time.NewTicker(report)
	defer tick.Stop()
	for {
		select {
		case <-s.quit:
			return
		case now := <-tick.C:
			s.mu.Lock()
			var packets []rtcp.Packet
			if r := s.mic.report(now, s.loss); r != nil {
				packets = append(packets, r)
			}
			packets = append(packets, s.video.report(now)...)
			s.mu.Unlock()
			s.tell(packets)
		}
	}
}

func (s *Set) tell(packets []rtcp.Packet) {
	if len(packets) == 0 {
		return
	}
	if err := s.pc.WriteRTCP(packets); err != nil {
		s.log.Debug("report to the page", "err", err)
	}
}

// Close hangs up on the page and waits for what the Set started.
func (s *Set) Close() {
	s.once.Do(func() {
		close(s.quit)
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		if s.pc != nil {
			if err := s.pc.Close(); err != nil {
				s.log.Debug("close the page's connection", "err", err)
			}
		}
		if err := s.ports.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			s.log.Debug("close the page's ports", "err", err)
		}
	})
	s.wait.Wait()
}
