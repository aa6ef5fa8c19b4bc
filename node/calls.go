package node

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/media"
)

// recentCalls is how much of the history the call machine is shown at start: it
// remembers the requests of the last minutes against replays.
const recentCalls = 2048

func (s *station) startCalls(ctx context.Context, now time.Time) error {
	history, err := s.node.store.Calls(ctx, recentCalls)
	if err != nil {
		return err
	}
	settings, err := s.node.callSettings(ctx)
	if err != nil {
		return err
	}
	opts := call.Options{
		Self: s.id, User: s.self.User, CallWaiting: settings.Waiting, Stays: s.node.opts.AutoAnswer != nil,
		Refer: func(r call.Referral) ([]byte, error) { return r.Sign(s.identity) }, Referred: s.referred,
	}
	if s.node.opts.Echo {
		opts.Lines, opts.CallWaiting, opts.Stays = 64, false, true
	}
	s.calls = call.New(opts)
	if m := s.people.machine; m != nil {
		s.calls.DoNotDisturb(m.Mine().Presence == linnet.DoNotDisturb)
	}
	s.calls.Recover(now, now, history)
	return nil
}

// callPeer is how the call machine sees the device at the other end of a session.
func (s *station) callPeer(node linnet.NodeID, user linnet.UserName) call.Peer {
	return call.Peer{Node: node, User: user, Contact: s.onList(user)}
}

// callEffects carries out what the call machine wants, in order. What follows a
// ring waits until the call is on disk: what could not be remembered would ring
// again after a crash.
func (s *station) callEffects(now time.Time, effects []call.Effect) {
	if s.ringing {
		s.afterRing = append(s.afterRing, effects...)
		return
	}
	for i, e := range effects {
		ring, ok := e.(call.Ring)
		if !ok {
			s.callEffect(now, e)
			continue
		}
		s.ringing, s.afterRing = true, slices.Clone(effects[i+1:])
		s.node.noteCall(ring.Call.CallRecord, func(now time.Time, err error) {
			rest := s.afterRing
			s.ringing, s.afterRing = false, nil
			if s.node.station != s {
				return
			}
			s.ring(now, ring.Call, err)
			s.callEffects(now, rest)
		})
		return
	}
}

func (s *station) callEffect(now time.Time, e call.Effect) {
	switch e := e.(type) {
	case call.LookUp:
		s.lookUpForCall(now, e)
	case call.Open:
		s.open(now, e.Node, e.First)
	case call.Send:
		if err := s.sessions.Send(now, e.Node, e.Message); err != nil {
			s.log.Debug("call message", "to", e.Node.Short(), "err", err)
		}
	case call.StopRing:
	case call.Changed:
		s.changed(now, e.Call)
	case call.StartMedia:
		s.startMedia(now, e)
	case call.PeerKeys:
		s.peerKeys(now, e)
	case call.HoldMedia:
		if p := s.phones[e.Call]; p != nil {
			p.hold(now, e.Here || e.There)
		}
	case call.StopMedia:
		s.stopMedia(now, e.Call)
	case call.Tone:
		s.node.hub.tell(linnet.Event{Kind: linnet.EventTone, Call: s.info(e.Call), Text: e.Tone})
	case call.PeerReceipt:
		s.peerReceipt(e)
	case call.Replaced:
		s.media[e.New] = instead(s.media[e.Old])
	case call.Merged:
		if m, chosen := s.media[e.Call]; chosen {
			delete(s.media, e.Call)
			s.media[e.Into] = m
		}
		s.node.hub.tell(linnet.Event{Kind: linnet.EventCallMerged, Was: &e.Call, Call: s.info(e.Into)})
	case call.Ended:
		s.ended(e.Record)
	}
}

// lookUpForCall finds the devices to ring.
func (s *station) lookUpForCall(now time.Time, e call.LookUp) {
	s.lookUp(now, e.User, true, func(now time.Time, l linnet.Listing, err error) {
		var devices []linnet.NodeID
		for _, d := range l.Devices {
			if d.Online {
				devices = append(devices, d.Node)
			}
		}
		switch {
		case err != nil:
			s.node.warn("%s: %v", e.User, err)
			s.calls.Missing(now, e.Call, linnet.OutcomeFailed)
		case len(l.Devices) == 0:
			s.calls.Missing(now, e.Call, linnet.OutcomeNotFound)
		case len(devices) == 0:
			s.calls.Missing(now, e.Call, linnet.OutcomeOffline)
		default:
			s.calls.Found(now, e.Call, devices)
		}
	})
}

// ring tells of a call that was stored, or refuses one that was not.
func (s *station) ring(now time.Time, c linnet.CallInfo, stored error) {
	if err := stored; err != nil {
		s.node.warn("a call of %s cannot be stored and is refused: %v", c.Peer, err)
		s.refuse(now, c.ID)
		return
	}
	s.rang(now, c)
	s.node.hub.tell(linnet.Event{Kind: linnet.EventCallRings, Call: &c})
	if auto := s.node.opts.AutoAnswer; auto != nil || s.node.opts.Echo {
		if auto != nil {
			s.media[c.ID] = *auto
		}
		if err := s.calls.Answer(now, c.ID); err != nil {
			s.log.Warn("answer", "call", c.ID, "err", err)
		}
	}
}

func (s *station) refuse(now time.Time, id linnet.CallID) {
	if err := s.calls.Reject(now, id); err != nil {
		s.log.Debug("reject", "call", id, "err", err)
	}
}

func (s *station) changed(now time.Time, c linnet.CallInfo) {
	if c.State == linnet.CallRinging && !c.Incoming {
		s.rang(now, c)
	}
	if c.State != linnet.CallEnded && !c.Incoming || !c.Answered.IsZero() && c.State == linnet.CallActive {
		s.node.noteCall(c.CallRecord, s.node.logHistory)
	}
	s.tellChanged(c)
}

// tellChanged tells front ends how a call stands.
func (s *station) tellChanged(c linnet.CallInfo) {
	s.complete(&c)
	s.node.hub.tell(linnet.Event{Kind: linnet.EventCallChanged, Call: &c})
}

// complete adds what the call machine does not know of a call: what was measured in it, or
// while it rings the path that it would take.
func (s *station) complete(c *linnet.CallInfo) {
	c.Page = s.media[c.ID].Page
	if p := s.phones[c.ID]; p != nil {
		c.Receipt = p.receipt()
		s.prelude(p.peer, c.ID, &c.Receipt)
		c.VideoAble, c.VideoHere, c.VideoThere = p.able, p.showing(), p.watching()
		return
	}
	for _, p := range s.pairs {
		if at := p.way.Path().Kind; p.user == c.Peer && at != linnet.NoPath && (c.Path == linnet.NoPath || at < c.Path) {
			c.Path = at
		}
	}
}

func (s *station) hangUp(now time.Time, id linnet.CallID) {
	if err := s.calls.HangUp(now, id); err != nil && !errors.Is(err, call.ErrUnknown) && !errors.Is(err, call.ErrState) {
		s.log.Debug("hang up", "call", id, "err", err)
	}
}

// ended writes the last line of a call and tells it.
func (s *station) ended(r linnet.CallRecord) {
	if receipt, measured := s.receipts[r.ID]; measured {
		r.Receipt = receipt
	}
	delete(s.preludes, r.ID)
	delete(s.receipts, r.ID)
	delete(s.media, r.ID)
	s.node.noteCall(r, func(now time.Time, err error) {
		if err != nil {
			s.node.warnCall(r.ID, linnet.CodeDisk, fmt.Errorf("the history cannot be written: %w", err))
		}
		s.node.hub.tell(linnet.Event{Kind: linnet.EventCallEnded, Record: &r})
		if r.MissedThere() && s.node.station == s {
			s.tellMissed(now, r)
		}
	})
}

// peerReceipt adds the other side's view: whose side suffered.
func (s *station) peerReceipt(e call.PeerReceipt) {
	s.node.note(func(ctx context.Context) error {
		r, err := s.node.store.Call(ctx, e.Call)
		if err != nil || r == nil {
			return err
		}
		r.Suffered = media.Suffered(r.MOS, float64(e.Receipt.MOS100)/100)
		return s.node.store.PutCall(ctx, *r)
	}, s.node.logHistory)
}

// info is a call as it stands, or nil.
func (s *station) info(id linnet.CallID) *linnet.CallInfo {
	for _, c := range s.calls.Calls() {
		if c.ID == id {
			s.complete(&c)
			return &c
		}
	}
	return nil
}
