package browser

import (
	"errors"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"github.com/linnet-p2p/linnet/media"
)

// A tab does what a page does, with pion in the browser's place.
type tab struct {
	t     *testing.T
	pc    *webrtc.PeerConnection
	mic   *webrtc.TrackLocalStaticRTP
	heard chan *rtp.Packet
	loss  atomic.Uint32 // of 256, as the last report says
}

func openTab(t *testing.T) *tab {
	t.Helper()
	var codecs webrtc.MediaEngine
	if err := codecs.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: opus, PayloadType: 96}, webrtc.RTPCodecTypeAudio); err != nil {
		t.Fatal(err)
	}
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(&codecs)).NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { pc.Close() })
	x := &tab{t: t, pc: pc, heard: make(chan *rtp.Packet, 100)}
	if x.mic, err = webrtc.NewTrackLocalStaticRTP(opus, "mic", "page"); err != nil {
		t.Fatal(err)
	}
	sender, err := pc.AddTrack(x.mic)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for {
			packets, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			for _, p := range packets {
				if rr, ok := p.(*rtcp.ReceiverReport); ok && len(rr.Reports) > 0 {
					x.loss.Store(uint32(rr.Reports[0].FractionLost))
				}
			}
		}
	}()
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		for {
			p, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			x.heard <- p
		}
	})
	return x
}

func (x *tab) offer() string {
	x.t.Helper()
	offer, err := x.pc.CreateOffer(nil)
	if err != nil {
		x.t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(x.pc)
	if err := x.pc.SetLocalDescription(offer); err != nil {
		x.t.Fatal(err)
	}
	<-gathered
	return x.pc.LocalDescription().SDP
}

const patience = 20 * time.Second

func TestBothWays(t *testing.T) {
	if _, err := ownAddresses(); errors.Is(err, ErrNoAddress) {
		t.Skip(err)
	}
	said := make(chan media.Frame, 100)
	up := make(chan struct{})
	x := openTab(t)
	s, answer, err := Answer(t.Context(), x.offer(), Options{Said: func(f media.Frame) { said <- f }, Up: func() { close(up) }})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, want := range []string{" 127.0.0.1 ", "useinbandfec=1", "usedtx=1"} {
		if !strings.Contains(answer, want) {
			t.Errorf("the answer lacks %q:\n%s", want, answer)
		}
	}
	for _, not := range []string{"a=extmap:", "transport-cc", ".local"} {
		if strings.Contains(answer, not) {
			t.Errorf("the answer has %q:\n%s", not, answer)
		}
	}
	if err := x.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	select {
	case <-up:
	case <-time.After(patience):
		t.Fatal("the page is not connected")
	}

	s.Loss(.25)
	speech := append([]byte{0x48}, make([]byte, 40)...)
	deadline := time.After(patience)
	for n := uint16(0); ; n++ {
		if err := x.mic.WriteRTP(&rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: n, Timestamp: uint32(n) * 960}, Payload: speech}); err != nil {
			t.Fatal(err)
		}
		s.Hear(time.Now(), media.Arrival{Frame: media.Frame{SSRC: 7, Timestamp: uint32(n) * 960, Samples: 960, Data: speech}, Index: uint64(n)})
		if len(said) > 3 && len(x.heard) > 3 && x.loss.Load() == 64 {
			break
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-deadline:
			t.Fatalf("after %v: %d frames said, %d heard, a loss of %d/256 reported", patience, len(said), len(x.heard), x.loss.Load())
		}
	}
	if f := <-said; f.Samples != 960 || len(f.Data) != len(speech) {
		t.Errorf("said %+v", f)
	}
	if p := <-x.heard; p.Extension || len(p.Payload) != len(speech) {
		t.Errorf("heard %v", p)
	}
}

func TestOffersThatAreRefused(t *testing.T) {
	if _, err := ownAddresses(); errors.Is(err, ErrNoAddress) {
		t.Skip(err)
	}
	good := openTab(t).offer()
	for name, offer := range map[string]string{
		"empty":       "",
		"no SDP":      "hello",
		"too large":   good + strings.Repeat("a=x:y\r\n", MaxOffer/7),
		"no secret":   strings.ReplaceAll(good, "a=ice-pwd:", "a=x:"),
		"no identity": strings.ReplaceAll(good, "a=fingerprint:", "a=x:"),
	} {
		if s, _, err := Answer(t.Context(), offer, Options{}); !errors.Is(err, ErrOffer) {
			t.Errorf("%s: %v, want ErrOffer", name, err)
			if s != nil {
				s.Close()
			}
		}
	}
}

func TestOnlyThisMachineIsHeard(t *testing.T) {
	c := &localConn{local: map[netip.Addr]bool{netip.MustParseAddr("192.0.2.2"): true}}
	for from, want := range map[string]bool{
		"127.0.0.1:5": true, "[::1]:5": true, "192.0.2.2:5": true, "[::ffff:192.0.2.2]:5": true,
		"192.0.2.3:5": false, "[2001:db8::1]:5": false, "[fe80::1%lo]:5": false,
	} {
		if got := c.isLocal(net.UDPAddrFromAddrPort(netip.MustParseAddrPort(from))); got != want {
			t.Errorf("%s: heard is %v, want %v", from, got, want)
		}
	}
}
