package node

import (
	"context"
	"encoding/binary"
	"log/slog"
	"math"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/link"
	"github.com/linnet-p2p/linnet/media"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/wire/message"
)

// What the node adds to media, on real sockets: the time between a browser's
// writing a packet and its datagram at the other end's socket, and back.

// delayLimit is what a node may add, at p99.
const delayLimit = 2 * time.Millisecond

// A gauge collects how long packets took.
type gauge struct {
	on *atomic.Bool // warm enough
	mu sync.Mutex
	d  []time.Duration
}

func (g *gauge) add(d time.Duration) {
	if !g.on.Load() {
		return
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.d = append(g.d, d)
}

// at is a quantile.
func (g *gauge) at(q float64) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.d) == 0 {
		return math.MaxInt64
	}
	slices.Sort(g.d)
	return g.d[min(len(g.d)-1, int(q*float64(len(g.d))))]
}

// clock stamps what is sent.
type clock time.Time

func (c clock) now() uint64 { return uint64(time.Since(time.Time(c))) }
func (c clock) since(stamp uint64) time.Duration {
	return time.Since(time.Time(c)) - time.Duration(stamp)
}
func stampOf(b []byte) uint64 { return binary.BigEndian.Uint64(b[len(b)-8:]) }
func stamp(head byte, size int, at uint64) []byte {
	b := make([]byte, max(size, 16))
	b[0] = head
	binary.BigEndian.PutUint64(b[len(b)-8:], at)
	return b
}

const (
	speechTOC  = 0x48 // 20 ms of Opus
	voiceSize  = 60
	pieces     = 4 // of a picture
	frameTime  = time.Second / 30
	pieceTime  = frameTime / 10 // browsers send a picture at two and a half times the rate
	mostVideo  = 1_000_000
	pieceBytes = mostVideo / 8 / 30 / pieces
)

// piece is one of a picture that needs no other one; what it holds beside is a stamp.
func piece(k int, at uint64) []byte {
	b := stamp(0, pieceBytes, at)
	if k == 0 {
		b[0] = 0x10 // begins a partition
	}
	return b
}

// A delayBench is a node's end of a call with a page and, in place of the other
// end, a socket and its clock.
type delayBench struct {
	b     *testing.B
	clock clock
	warm  atomic.Bool

	voiceOut, voiceIn, videoOut, videoIn gauge

	// The browser.
	mic, camera *webrtc.TrackLocalStaticRTP
	rate        atomic.Int64 // that the camera may make

	// The other end.
	link  *link.Link
	to    link.Origin
	mu    sync.Mutex
	line  *media.Line
	voice *media.Sender
	went  map[uint64]uint64 // pieces, by timestamp<<8 and place
	place map[uint32]uint64 // by timestamp: pieces of it that went
}

const (
	nodeTag = 0x1001 // of packets for the node
	farTag  = 0x2001
)

func newDelayBench(b *testing.B) *delayBench {
	x := &delayBench{b: b, clock: clock(time.Now()), went: make(map[uint64]uint64), place: make(map[uint32]uint64)}
	for _, g := range []*gauge{&x.voiceOut, &x.voiceIn, &x.videoOut, &x.videoIn} {
		g.on = &x.warm
	}
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	b.Cleanup(func() { stop(); running.Wait() })
	open := func() *link.Link {
		l := must(link.Open(link.Options{Handler: deafHandler{}, Listen: netip.MustParseAddrPort("127.0.0.1:0")}))
		running.Go(func() { l.Run(ctx) })
		return l
	}
	near := open()
	x.link = open()
	x.to = link.Origin{Addr: near.Addr()}

	n := &Node{log: slog.New(slog.DiscardHandler)}
	b.Cleanup(n.page.close)
	x.openBrowser(n)

	// The node's end, as station.startMedia makes it.
	now := time.Now()
	p := must(newPhone(near, n.log, linnet.CallID{}, linnet.NodeID{}, media.GCM, media.ReceiverOptions{Arrivals: true}, now, phoneEvents{
		silent: func() {}, heard: func() {}, played: func() {}, trouble: func(linnet.Code, error) {},
	}))
	h := n.page.handset(p.nudge)
	p.set, p.view, p.able = h, h, true
	check(b, p.show(now, linnet.Camera, media.GCM))

	x.line = media.NewLine(media.ReceiverOptions{Arrivals: true})
	x.voice = must(x.line.AddSender(must(media.NewStream(media.Opus(), media.GCM, nil))))
	check(b, x.line.ShowVideo(must(media.NewStream(media.VP8(), media.GCM, nil))))
	check(b, p.expect(now, streamsOf(b, x.voice.Stream().Message(), x.line.Showing().Stream().Message())))
	check(b, x.line.Expect(now, streamsOf(b, p.keys().Streams...)...))

	near.Bind(nodeTag, func(_ link.Origin, body []byte) { p.packet(body) })
	x.link.Bind(farTag, func(_ link.Origin, body []byte) { x.take(body) })
	p.move(now, []session.Route{{Path: session.Path{Kind: linnet.DirectUDP, Addr: x.link.Addr()}, Tag: farTag}}, 0)
	running.Go(p.run)
	b.Cleanup(p.stop)
	return x
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func streamsOf(b *testing.B, messages ...message.MediaStream) (streams []media.Stream) {
	for _, m := range messages {
		s, err := media.ParseStream(m, media.GCM)
		check(b, err)
		streams = append(streams, s)
	}
	return streams
}

// deafHandler takes nothing: all packets are bound.
type deafHandler struct{}

func (deafHandler) HandleCommand(link.Origin, message.Command) {}
func (deafHandler) HandlePacket(link.Origin, uint32, []byte)   {}
func (deafHandler) StreamClosed(uint64)                        {}

// openBrowser connects pion, in a browser's place, as a page does.
func (x *delayBench) openBrowser(n *Node) {
	b := x.b
	var codecs webrtc.MediaEngine
	check(b, codecs.RegisterDefaultCodecs())
	pc := must(webrtc.NewAPI(webrtc.WithMediaEngine(&codecs)).NewPeerConnection(webrtc.Configuration{}))
	b.Cleanup(func() { pc.Close() })
	connected := make(chan struct{})
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		if s == webrtc.PeerConnectionStateConnected {
			close(connected)
		}
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := t.ReadRTP()
			if err != nil {
				return
			}
			if t.Kind() == webrtc.RTPCodecTypeAudio {
				x.voiceIn.add(x.clock.since(stampOf(p.Payload)))
				continue
			}
			x.mu.Lock()
			went, ok := x.went[stampOf(p.Payload)]
			delete(x.went, stampOf(p.Payload))
			x.mu.Unlock()
			if ok {
				x.videoIn.add(x.clock.since(went))
			}
		}
	})
	x.mic = must(webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus}, "mic", "page"))
	x.camera = must(webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeVP8}, "camera", "page"))
	must(pc.AddTrack(x.mic))
	sender := must(pc.AddTrack(x.camera))
	go func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if r, ok := p.(*rtcp.ReceiverEstimatedMaximumBitrate); ok {
					x.rate.Store(int64(r.Bitrate))
				}
			}
		}
	}()
	gathered := webrtc.GatheringCompletePromise(pc)
	check(b, pc.SetLocalDescription(must(pc.CreateOffer(nil))))
	<-gathered
	answer := must(n.Page(context.Background(), pc.LocalDescription().SDP))
	check(b, pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}))
	select {
	case <-connected:
	case <-time.After(20 * time.Second):
		b.Fatal("the page is not connected")
	}
}

// take is what the node sent.
func (x *delayBench) take(body []byte) {
	now := time.Now()
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.line.Packet(now, body) != nil {
		return
	}
	x.line.Frames(now)
	for _, a := range x.line.Arrivals() {
		if a.Data != nil {
			x.voiceOut.add(x.clock.since(stampOf(a.Data)))
		}
	}
	for _, p := range x.line.Pieces() {
		x.videoOut.add(x.clock.since(stampOf(p.Data)))
	}
}

// every calls f at a steady pace.
func every(ctx context.Context, d time.Duration, f func(n uint32)) {
	t := time.NewTicker(d)
	defer t.Stop()
	for n := uint32(0); ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			f(n)
		}
	}
}

// speaks sends voice both ways.
func (x *delayBench) speaks(n uint32) {
	h := rtp.Header{Version: 2, SequenceNumber: uint16(n), Timestamp: n * 960}
	x.mic.WriteRTP(&rtp.Packet{Header: h, Payload: stamp(speechTOC, voiceSize, x.clock.now())})

	x.mu.Lock()
	defer x.mu.Unlock()
	f := media.Frame{Timestamp: n * 960, Samples: 960, Data: stamp(speechTOC, voiceSize, x.clock.now())}
	if b, err := x.voice.Packet(time.Now(), f); err == nil {
		x.link.SendPacket(x.to, nodeTag, b)
	}
}

// An encoder makes pictures of one size, and as many as its rate allows.
type encoder struct{ credit int64 }

func (e *encoder) shoots(rate int64) bool {
	e.credit = min(e.credit+min(rate, mostVideo), 2*mostVideo)
	if e.credit < mostVideo {
		return false
	}
	e.credit -= mostVideo
	return true
}

// films sends a picture both ways, if it is to be made.
func (x *delayBench) films(n uint32, out, in *encoder, sequence *uint16) {
	at := n * media.VideoClock / 30
	shot, shown := out.shoots(x.rate.Load()), in.shoots(int64(x.farRate()))
	for k := range pieces {
		if shot {
			*sequence++
			h := rtp.Header{Version: 2, SequenceNumber: *sequence, Timestamp: at, Marker: k == pieces-1}
			x.camera.WriteRTP(&rtp.Packet{Header: h, Payload: piece(k, x.clock.now())})
		}
		if shown {
			x.mu.Lock()
			x.line.Showing().Show(media.Piece{Timestamp: at, Last: k == pieces-1, Data: piece(k, uint64(at)<<8|uint64(k))}, false)
			x.mu.Unlock()
			x.sends()
		}
		time.Sleep(pieceTime)
	}
}

// sends gives the node what the other end has to send now.
func (x *delayBench) sends() {
	x.mu.Lock()
	defer x.mu.Unlock()
	now := time.Now()
	packets, _ := x.line.Video(now)
	if r, _ := x.line.Report(now); r != nil {
		packets = append(packets, r)
	}
	for _, b := range packets {
		if b[1] < 192 || b[1] > 223 { // no report: a piece, whose header can be read
			at := binary.BigEndian.Uint32(b[4:])
			x.went[uint64(at)<<8|x.place[at]] = x.clock.now()
			x.place[at]++
		}
		x.link.SendPacket(x.to, nodeTag, b)
	}
}

// BenchmarkPage tells what the node adds to the media of a call at a page: 50
// packets of voice a second and video of 1 Mbit/s, both ways. The times include two hops over
// loopback and what the browser's end itself takes. `-benchtime 3000x` is a minute.
func BenchmarkPage(b *testing.B) {
	x := newDelayBench(b)
	ctx, stop := context.WithCancel(b.Context())
	var playing sync.WaitGroup
	defer func() { stop(); playing.Wait() }()
	var out, in encoder
	var sequence uint16
	x.rate.Store(mostVideo / 4) // the camera makes some before it is told
	playing.Go(func() { every(ctx, frameTime, func(n uint32) { x.films(n, &out, &in, &sequence) }) })
	playing.Go(func() { every(ctx, 3*time.Millisecond, func(uint32) { x.sends() }) })
	playing.Go(func() { every(ctx, 20*time.Millisecond, x.speaks) })
	for begin := time.Now(); x.rate.Load() < mostVideo || x.farRate() < mostVideo; time.Sleep(10 * time.Millisecond) {
		if time.Since(begin) > 30*time.Second {
			b.Fatalf("after 30 s the camera may make %d bit/s, and the other end %d", x.rate.Load(), x.farRate())
		}
	}
	x.warm.Store(true)
	for b.Loop() {
		time.Sleep(20 * time.Millisecond)
	}
	var worst time.Duration
	for _, g := range []struct {
		name string
		*gauge
	}{{"voice out", &x.voiceOut}, {"voice in", &x.voiceIn}, {"video out", &x.videoOut}, {"video in", &x.videoIn}} {
		p99 := g.at(.99)
		worst = max(worst, p99)
		b.Logf("%s: %5d packets, p50 %v, p99 %v (%.2f of the limit), p99.9 %v", g.name, len(g.d),
			g.at(.5).Round(time.Microsecond), p99.Round(time.Microsecond), float64(p99)/float64(delayLimit), g.at(.999).Round(time.Microsecond))
	}
	b.ReportMetric(float64(worst)/float64(time.Microsecond), "p99-µs")
	b.ReportMetric(float64(worst)/float64(delayLimit), "of-limit")
}

func (x *delayBench) farRate() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.line.Showing().Rate()
}
