package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/spare"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A user's machine serves as a supernode while the network needs it, its owner
// agreed, and the machine has room for that; see package overlay, which decides.

const (
	settingVolunteer = "volunteer"      // "yes", or nothing
	settingHistory   = "uptime history" // overlay.Machine.History in hexadecimal
	agreed           = "yes"

	spareEvery    = time.Minute   // that the machine is looked at
	upstreamEvery = 6 * time.Hour // that its line is measured
	upstreamRetry = 5 * time.Minute
	upstreamWait  = time.Minute

	// volunteerClients is how many a user's machine serves at the most: with what
	// an idle one and some look-ups cost, about 100 kbit/s.
	volunteerClients = 200
)

// volunteering is what a station knows of its owner's consent and its machine.
type volunteering struct {
	overlay.Conditions
	watching bool
	trouble  string    // why the machine cannot be judged
	measured time.Time // when the line was
	measure  time.Time // when to do so next

	relay   linnet.RelayConsent
	relayed relayed // until its relay began, or was asked last
}

// mayVolunteer says whether a device may become a supernode at all.
func (s *station) mayVolunteer() bool {
	return s.node.network.get().Policy.Promotion == suite.PromotionOpen && !s.self.User.IsNode()
}

// loadVolunteer is what overlay is to know of the owner's consent at the start.
func (s *station) loadVolunteer(ctx context.Context) (v overlay.Volunteer, err error) {
	if !s.mayVolunteer() {
		return v, nil
	}
	said, err := s.node.store.Setting(ctx, settingVolunteer, "")
	if err != nil {
		return v, err
	}
	kept, err := s.node.store.Setting(ctx, settingHistory, "")
	if err != nil {
		return v, err
	}
	if v.History, err = hex.DecodeString(kept); err != nil {
		return v, fmt.Errorf("setting %q: %w", settingHistory, err)
	}
	s.volunteer.Agreed = said == agreed
	if err := s.loadRelaying(ctx); err != nil {
		return v, err
	}
	v.Conditions = s.volunteer.Conditions
	return v, nil
}

// Volunteer implements linnet.Client.
func (n *Node) Volunteer(ctx context.Context, on bool) error {
	said := ""
	if on {
		said = agreed
	}
	if err := n.inStation(ctx, func(now time.Time, s *station) error {
		switch {
		case s.self.User.IsNode():
			return linnet.Errorf(linnet.CodeUsage, "this is an operator's machine: it serves while it runs")
		case on && !s.mayVolunteer():
			return linnet.Errorf(linnet.CodeUsage, "this network takes the operators' supernodes only")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := n.store.SetSetting(ctx, settingVolunteer, said); err != nil {
		return err
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		s.volunteer.Agreed = on
		s.overlay.SetConditions(now, s.volunteer.Conditions)
		s.watchMachine()
		return nil
	})
}

// watchMachine looks at the machine from time to time while the owner agrees.
func (s *station) watchMachine() {
	if !s.volunteer.Agreed || s.volunteer.watching {
		return
	}
	s.volunteer.watching = true
	s.node.beside(func(ctx context.Context) {
		for again := true; again; {
			state, err := s.node.opts.Spare(ctx)
			upstream := s.measureUpstream(ctx)
			if s.node.do(ctx, func(now time.Time) { again = s.machineIs(now, state, upstream, err) }) != nil || !again {
				return
			}
			select {
			case <-time.After(spareEvery):
			case <-ctx.Done():
				return
			}
		}
	})
}

// machineIs takes what was found out, and says whether to look again. A machine
// that cannot be judged serves nobody.
func (s *station) machineIs(now time.Time, state spare.State, upstream int, err error) (again bool) {
	v := &s.volunteer
	if s.node.station != s || !v.Agreed {
		v.watching = false
		return false
	}
	v.CPU, v.Battery, v.Metered, v.trouble = state.CPU, state.Battery, state.Metered, ""
	if err != nil {
		v.CPU, v.trouble = 100, err.Error()
	}
	if upstream > 0 {
		v.Upstream, v.measured, v.measure = upstream, now, now.Add(upstreamEvery)
	}
	s.overlay.SetConditions(now, v.Conditions)
	s.keepRelayed()
	return true
}

// measureUpstream tells how fast this machine's line is, if it is time to
// measure that; 0 means not now. The padding goes to a supernode that serves it.
func (s *station) measureUpstream(ctx context.Context) (upstream int) {
	var to netip.AddrPort
	if s.node.do(ctx, func(now time.Time) {
		nodes := s.overlay.Attachments()
		if len(nodes) == 0 || nodes[0] == s.id || now.Before(s.volunteer.measure) {
			return
		}
		s.volunteer.measure = now.Add(upstreamRetry)
		if host, ok := s.overlay.Host(nodes[0]); ok {
			to = s.overlay.AddrOf(host)
		}
	}) != nil || !to.IsValid() {
		return 0
	}
	fp := s.node.network.get().Fingerprint()
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	upstream, err := s.node.link.Upstream(ctx, to, &message.AskDescriptor{Fingerprint: fp[:]})
	if err != nil {
		s.log.Debug("upstream not measured", "err", err)
	}
	return upstream
}

// keepHistory puts on disk how long this node was up lately.
func (s *station) keepHistory() {
	history := hex.EncodeToString(s.overlay.History())
	s.node.note(func(ctx context.Context) error {
		return s.node.store.SetSetting(ctx, settingHistory, history)
	}, func(_ time.Time, err error) {
		if err != nil {
			s.node.warn("the history of this node's uptime cannot be kept: %v", err)
		}
	})
}

// roleChanged begins to serve others, or ends it.
func (s *station) roleChanged(now time.Time, role linnet.Role) {
	serves := role&linnet.Supernode != 0
	s.node.volunteers.Store(serves)
	if serves {
		if err := s.startSupernode(context.Background(), now); err != nil {
			s.node.warn("what was kept as a supernode cannot be read: %v", err)
		}
		s.node.hub.tell(linnet.Event{Kind: linnet.EventRole, Text: "This machine serves as a supernode now, as you agreed."})
	} else {
		s.stopSupernode(now)
		s.node.hub.tell(linnet.Event{Kind: linnet.EventRole, Text: "This machine serves as a supernode no longer."})
	}
	s.relayForOthers(now)
	s.attached(now)
}

// volunteerStatus is what the owner is told; nil where nobody can volunteer.
func (s *station) volunteerStatus(now time.Time) *linnet.Volunteering {
	if !s.mayVolunteer() {
		return nil
	}
	v := &s.volunteer
	out := &linnet.Volunteering{
		Agreed: v.Agreed, Serving: s.node.volunteers.Load(), Reachable: s.overlay.Reachable(now),
		UpstreamBPS: v.Upstream, CPU: v.CPU, Battery: v.Battery, Metered: v.Metered,
		Relay: s.relayStatus(),
	}
	switch {
	case out.Serving:
		out.Why = "the network asked for it"
	case !v.Agreed:
		out.Why = "you have not agreed"
	case v.trouble != "":
		out.Why = "the machine cannot be judged: " + v.trouble
	case v.Battery:
		out.Why = "it runs on battery"
	case v.Metered:
		out.Why = "its line is metered"
	case v.measured.IsZero():
		out.Why = "its line was not measured yet"
	case !v.Fast():
		out.Why = "its line is too slow: 1 Mbit/s upstream is needed"
	case !v.Idle():
		out.Why = "its processor is busy"
	case !out.Reachable:
		out.Why = "it cannot be reached from outside, as far as two supernodes could tell"
	default:
		out.Why = "the network has not asked for it: it needs none, or wants machines that were up for longer"
	}
	return out
}
