package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/media/sample"
	"github.com/linnet-p2p/linnet/netx"
	"github.com/linnet-p2p/linnet/node"
	"github.com/linnet-p2p/linnet/suite"
)

type demoCmd struct {
	pageFlags
	Headless bool    `help:"Make the calls, print what was measured, and stop."`
	Play     string  `help:"Ogg/Opus file that alice plays to bob; default: a speech sample." placeholder:"FILE" type:"path"`
	Record   string  `help:"Keep what bob hears in this file." placeholder:"FILE" type:"path"`
	Seconds  float64 `help:"Hang up so long after the answer; 0 is at the end of the file." placeholder:"N"`
	Suite    string  `help:"The network's cryptography: modern, or classic, as Skype had it." enum:"modern,classic" default:"modern"`
	Pcap     string  `help:"Write every datagram and TCP segment of all nodes to this capture file." placeholder:"FILE" type:"path"`
}

// demoReport is what `linnet demo --headless --json` prints. Times are since
// the start of the step that they belong to, in milliseconds.
type demoReport struct {
	RegisteredMS float64  `json:"registered_ms"`  // both accounts made
	LoginMS      float64  `json:"login_ms"`       // alice signed in again, with her password
	LookupMS     float64  `json:"lookup_ms"`      // alice's node knows bob's device
	RingMS       float64  `json:"ring_ms"`        // from the call to bob's "it rings"
	AnswerMS     float64  `json:"answer_ms"`      // from there to the answer
	FirstMediaMS float64  `json:"first_media_ms"` // from the answer to the first sound at bob's
	Call         callView `json:"call"`
	Echo         callView `json:"echo"`
}

type callView struct {
	linnet.CallRecord
	DurationMS int64 `json:"duration_ms"`
}

func (c *demoCmd) Run(p *program) error {
	dir := p.flags.Home
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "linnet-demo-"); err != nil {
			return fmt.Errorf("a place for the demo: %w", err)
		}
		defer os.RemoveAll(dir)
	} else if err := os.MkdirAll(dir, 0o700); err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: "the directory of the demo cannot be made", Err: err}
	}
	network, closeCapture, err := socketFlags{Pcap: c.Pcap}.network()
	if err != nil {
		return err
	}
	defer closeCapture()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	d := &demo{program: p, dir: dir, net: network}
	d.group, d.ctx = errgroup.WithContext(ctx)
	err = d.run(c)
	cancel()
	if stopped := ignoreCancel(d.group.Wait()); err == nil {
		err = stopped
	}
	return err
}

// demo is a whole network on this machine.
type demo struct {
	*program
	dir        string
	net        netx.Network
	ctx        context.Context
	group      *errgroup.Group
	invite     *suite.Invite
	alice, bob *node.Node
	report     demoReport
}

func (d *demo) run(c *demoCmd) error {
	d.tell("A network of its own in %s", d.dir)
	play, record, err := d.files(c)
	if err != nil {
		return err
	}
	d.warnClassic(c.Suite)
	if err := d.startNetwork(c.Suite); err != nil {
		return err
	}
	answer := &linnet.CallMedia{Record: record}
	if !c.Headless {
		answer = nil
	}
	if d.alice, err = d.startNode("alice", nil); err != nil {
		return err
	}
	if d.bob, err = d.startNode("bob", answer); err != nil {
		return err
	}
	if err := d.signIn(); err != nil {
		return err
	}
	if !c.Headless {
		return d.keepRunning(c.pageFlags)
	}
	if err := d.callBob(play, record, c.Seconds); err != nil {
		return err
	}
	if err := d.callEcho(play); err != nil {
		return err
	}
	if d.flags.JSON {
		return d.printJSON(d.report)
	}
	return nil
}

// files are what alice plays and where bob's recording goes.
func (d *demo) files(c *demoCmd) (play, record string, err error) {
	play, record = c.Play, c.Record
	if play == "" {
		play = filepath.Join(d.dir, "speech.ogg")
		if err := os.WriteFile(play, sample.Speech(), 0o600); err != nil {
			return "", "", &linnet.Error{Code: linnet.CodeDisk, Text: "the speech sample cannot be written", Err: err}
		}
	}
	if record == "" {
		record = filepath.Join(d.dir, "heard-by-bob.ogg")
	}
	return play, record, nil
}

// demoPassword protects nothing but this demo.
const demoPassword = "two birds, one telephone"

// signIn registers both, and shows a second sign-in with alice's password.
func (d *demo) signIn() error {
	who := func(name linnet.UserName) linnet.Credentials {
		return linnet.Credentials{User: name, Password: demoPassword, Device: "demo"}
	}
	begin := time.Now()
	if err := d.alice.Register(d.ctx, who("alice")); err != nil {
		return err
	}
	if err := d.bob.Register(d.ctx, who("bob")); err != nil {
		return err
	}
	d.report.RegisteredMS = linnet.Milliseconds(time.Since(begin))
	if err := d.alice.Logout(d.ctx); err != nil {
		return err
	}
	begin = time.Now()
	if err := d.alice.Login(d.ctx, who("alice")); err != nil {
		return err
	}
	d.report.LoginMS = linnet.Milliseconds(time.Since(begin))
	// Contacts tell each other their addresses, so that this call goes directly.
	if err := d.alice.AddContact(d.ctx, linnet.Contact{User: "bob"}); err != nil {
		return err
	}
	if err := d.bob.AddContact(d.ctx, linnet.Contact{User: "alice"}); err != nil {
		return err
	}
	d.tell("alice and bob have accounts (%.0f ms for both); alice signed in again (%.0f ms)", d.report.RegisteredMS, d.report.LoginMS)
	if err := d.reachable("bob", "echo123"); err != nil {
		return err
	}
	begin = time.Now()
	if _, err := d.alice.Lookup(d.ctx, "bob"); err != nil {
		return err
	}
	d.report.LookupMS = linnet.Milliseconds(time.Since(begin))
	d.tell("alice's node looked bob up (%.1f ms)", d.report.LookupMS)
	return nil
}

func (d *demo) callBob(play, record string, seconds float64) error {
	heard, err := follow(d.ctx, d.bob)
	if err != nil {
		return err
	}
	defer heard.stop()
	r, err := d.call("bob", linnet.CallMedia{Play: play, Seconds: seconds}, func(step string, ms float64) {
		switch step {
		case stepRing:
			d.report.RingMS = ms
			d.tell("bob's device rings (%.1f ms)", ms)
		case stepAnswer:
			d.report.AnswerMS = ms
			d.tell("bob answers (%.1f ms)", ms)
		}
	})
	if err != nil {
		return err
	}
	d.report.Call = view(r)
	theirs, answered, err := bobsView(heard)
	if err != nil {
		return err
	}
	d.report.FirstMediaMS = answered
	// What bob received is what alice's receipt cannot know.
	d.report.Call.PacketsReceived, d.report.Call.Loss, d.report.Call.MOS = theirs.PacketsReceived, theirs.Loss, theirs.MOS
	if err := d.show(&d.report.Call.CallRecord); err != nil {
		return err
	}
	same, pauses, err := samePackets(play, record)
	if err != nil {
		return err
	}
	if pauses > 0 {
		d.tell("this machine stood still for a while: bob's recording has a pause of %d packets", pauses)
	}
	d.tell("bob heard %d Opus packets, bit for bit what alice played", same)
	return nil
}

// bobsView waits for bob's record of the call, and tells how long after the answer he heard alice.
func bobsView(f *follower) (r *linnet.CallRecord, firstMedia float64, err error) {
	var answered time.Time
	for e := range f.events {
		switch {
		case e.Kind == linnet.EventCallChanged && e.Call.State == linnet.CallActive && answered.IsZero():
			answered = e.Time
		case e.Kind == linnet.EventCallHeard:
			firstMedia = linnet.Milliseconds(e.Time.Sub(answered))
		case e.Kind == linnet.EventCallEnded:
			if err := outcomeError(e.Record); err != nil {
				return nil, 0, err
			}
			return e.Record, firstMedia, nil
		}
	}
	return nil, 0, f.lost(context.Background(), endInHistory)
}

func (d *demo) callEcho(play string) error {
	d.tell("alice calls echo123: it greets, records ten seconds, plays them back")
	record := filepath.Join(d.dir, "heard-from-echo.ogg")
	r, err := d.call("echo123", linnet.CallMedia{Play: play, Record: record, Stay: true}, func(string, float64) {})
	if err != nil {
		return err
	}
	d.report.Echo = view(r)
	if err := d.show(r); err != nil {
		return err
	}
	return heardAgain(play, record)
}

const (
	stepRing   = "ring"
	stepAnswer = "answer"
)

// call has alice call somebody, and returns when it is over.
func (d *demo) call(user linnet.UserName, m linnet.CallMedia, step func(string, float64)) (*linnet.CallRecord, error) {
	f, err := follow(d.ctx, d.alice)
	if err != nil {
		return nil, err
	}
	defer f.stop()
	begin := time.Now()
	id, err := d.alice.Call(d.ctx, user, m)
	if err != nil {
		return nil, err
	}
	var state linnet.CallState
	for e := range f.events {
		switch {
		case e.Kind == linnet.EventWarning:
			return nil, linnet.Errorf(linnet.CodeFailed, "%s", e.Text)
		case e.Kind == linnet.EventCallChanged && e.Call.ID == id && e.Call.State != state:
			if state = e.Call.State; state == linnet.CallRinging {
				step(stepRing, linnet.Milliseconds(e.Time.Sub(begin)))
				begin = e.Time
			} else if state == linnet.CallActive {
				step(stepAnswer, linnet.Milliseconds(e.Time.Sub(begin)))
			}
		case e.Record != nil && e.Record.ID == id:
			return e.Record, outcomeError(e.Record)
		}
	}
	return nil, f.lost(d.ctx, endInHistory)
}

func (d *demo) show(r *linnet.CallRecord) error {
	if d.flags.JSON {
		return nil // all of it comes at the end
	}
	return d.print(r, func(w *tabwriter.Writer) { writeReceipt(w, r) })
}

func view(r *linnet.CallRecord) callView {
	return callView{*r, r.Talked().Milliseconds()}
}
