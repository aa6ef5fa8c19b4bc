package node

import (
	"context"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
)

// referred opens a referral. Whoever is blocked puts nobody through.
func (s *station) referred(now time.Time, b []byte) (*call.Referral, error) {
	r, err := call.OpenReferral(s.trust, b, now)
	if err == nil && s.contactState(r.By) == linnet.Blocked {
		err = errBlocked
	}
	return r, err
}

// instead is what a user chose for a call, for the one that took its place: a file holds
// one call, and camera and screen were for somebody else.
func instead(m linnet.CallMedia) linnet.CallMedia {
	m.Record, m.RecordVideo, m.Video = "", "", linnet.NoVideo
	return m
}

// Transfer implements linnet.Client.
func (n *Node) Transfer(ctx context.Context, id linnet.CallID, to linnet.TransferTo) error {
	if (to.User == "") == (to.With == nil) {
		return linnet.Errorf(linnet.CodeUsage, "a call is handed over to a user or to the other end of another call")
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		if to.With != nil {
			return callError(s.calls.Connect(now, id, linnet.NewCallID(), *to.With))
		}
		return callError(s.calls.Transfer(now, id, linnet.NewCallID(), to.User))
	})
}

// AnswerTransfer implements linnet.Client.
func (n *Node) AnswerTransfer(ctx context.Context, id linnet.CallID, yes bool, m linnet.CallMedia) (next linnet.CallID, err error) {
	if err := checkMedia(m); err != nil {
		return next, err
	}
	return next, n.inStation(ctx, func(now time.Time, s *station) error {
		if !yes {
			return callError(s.calls.DeclineTransfer(now, id))
		}
		fresh := linnet.NewCallID()
		if err := s.calls.AcceptTransfer(now, id, fresh); err != nil {
			return callError(err)
		}
		next, s.media[fresh] = fresh, m
		return nil
	})
}

// settingWaiting is whether it rings while this device is in a call.
const settingWaiting = "call waiting"

func (n *Node) callSettings(ctx context.Context) (c linnet.CallSettings, err error) {
	kept, err := n.store.Setting(ctx, settingWaiting, "on")
	return linnet.CallSettings{Waiting: kept == "on"}, err
}

// CallSettings implements linnet.Client.
func (n *Node) CallSettings(ctx context.Context) (linnet.CallSettings, error) {
	return n.callSettings(ctx)
}

// SetCallSettings implements linnet.Client.
func (n *Node) SetCallSettings(ctx context.Context, c linnet.CallSettings) error {
	waiting := "off"
	if c.Waiting {
		waiting = "on"
	}
	if err := n.store.SetSetting(ctx, settingWaiting, waiting); err != nil {
		return err
	}
	return n.do(ctx, func(time.Time) {
		if s := n.station; s != nil && !n.opts.Echo {
			s.calls.Wait(c.Waiting)
		}
	})
}
