package node

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/suite"
)

// A user's machine that serves as a supernode relays calls, too, if its owner agreed to
// that besides, within what he gives for it. All calls get the same share, which is
// enough for voice, and there are no more than all can have it at once.

const (
	settingRelay   = "volunteer relay" // linnet.RelayConsent in JSON
	settingRelayed = "relayed"         // day and bytes

	sharePackets = 100      // a second from one side of a call
	shareBytes   = 16 << 10 // a second
	shareBits    = 2 * 8 * shareBytes
	perCaller    = 2 // calls of one device

	relayBitRate = 1_000_000     // unless the owner says otherwise
	relayDaily   = 1_000_000_000 // bytes
	lineShare    = 2             // of the line's upstream: the rest is its owner's
)

// relayed is how much a machine passed on in a day of UTC.
type relayed struct {
	day   int64
	bytes uint64
}

// fillRelay replaces zeros by what they stand for.
func fillRelay(c linnet.RelayConsent) linnet.RelayConsent {
	c.BitRate = cmp.Or(c.BitRate, relayBitRate)
	c.DailyBytes = cmp.Or(c.DailyBytes, relayDaily)
	return c
}

func (s *station) loadRelaying(ctx context.Context) error {
	v := &s.volunteer
	said, err := s.node.store.Setting(ctx, settingRelay, "{}")
	if err == nil {
		err = json.Unmarshal([]byte(said), &v.relay)
	}
	if err != nil {
		return fmt.Errorf("setting %q: %w", settingRelay, err)
	}
	kept, err := s.node.store.Setting(ctx, settingRelayed, "0 0")
	if err == nil {
		_, err = fmt.Sscan(kept, &v.relayed.day, &v.relayed.bytes)
	}
	if err != nil {
		return fmt.Errorf("setting %q: %w", settingRelayed, err)
	}
	return nil
}

// VolunteerRelay implements linnet.Client.
func (n *Node) VolunteerRelay(ctx context.Context, c linnet.RelayConsent) error {
	switch filled := fillRelay(c); {
	case filled.BitRate < shareBits || filled.BitRate > 1_000_000_000:
		return linnet.Errorf(linnet.CodeUsage, "%d bit/s: one call takes up to %d; give that or more, 0 for %d", c.BitRate, shareBits, relayBitRate)
	case filled.DailyBytes < 0:
		return linnet.Errorf(linnet.CodeUsage, "%d bytes a day: give some, or 0 for %d", c.DailyBytes, relayDaily)
	}
	said, err := json.Marshal(c)
	if err != nil {
		return err
	}
	if err := n.inStation(ctx, func(_ time.Time, s *station) error {
		switch {
		case s.self.User.IsNode():
			return linnet.Errorf(linnet.CodeUsage, "this is an operator's machine: it relays while it runs")
		case c.On && n.network.get().Policy.Promotion != suite.PromotionOpen:
			return linnet.Errorf(linnet.CodeUsage, "this network takes the operators' relays only")
		}
		return nil
	}); err != nil {
		return err
	}
	if err := n.store.SetSetting(ctx, settingRelay, string(said)); err != nil {
		return err
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		s.volunteer.relay = c
		s.relayForOthers(now)
		return nil
	})
}

// relayForOthers begins or ends to relay, as the owner and the machine's role have
// it now.
func (s *station) relayForOthers(now time.Time) {
	v := &s.volunteer
	if s.self.User.IsNode() {
		return
	}
	s.keepRelayed()
	s.stopRelaying(now)
	if !v.relay.On || !s.node.volunteers.Load() {
		return
	}
	entry, err := s.trust.OpenEntry(s.overlay.Entry(), now)
	if err != nil {
		s.log.Warn("relay for others", "err", err)
		return
	}
	c := fillRelay(v.relay)
	o := relay.ServerOptions{
		Reservations: max(min(c.BitRate, v.Upstream/lineShare)/shareBits, 1), PerClient: perCaller,
		Packets: sharePackets, Bytes: shareBytes, Daily: uint64(c.DailyBytes),
	}
	if v.relayed.day == now.Unix()/(24*3600) {
		o.Spent = v.relayed.bytes
	}
	s.startRelaying(now, entry.Addrs, o)
}

// keepRelayed puts on disk what was passed on today: an owner's limit holds over a
// restart, but for the last minute.
func (s *station) keepRelayed() {
	if s.relaying.server == nil {
		return
	}
	st := s.relaying.server.Stats()
	is := relayed{st.Day, st.Spent}
	if is == s.volunteer.relayed {
		return
	}
	s.volunteer.relayed = is
	s.node.note(func(ctx context.Context) error {
		return s.node.store.SetSetting(ctx, settingRelayed, fmt.Sprint(is.day, is.bytes))
	}, func(_ time.Time, err error) {
		if err != nil {
			s.node.warn("what this machine relayed today cannot be kept: %v", err)
		}
	})
}

// relayStatus is what the owner is told of relaying.
func (s *station) relayStatus() (out linnet.VolunteerRelaying) {
	out.RelayConsent = fillRelay(s.volunteer.relay)
	r := &s.relaying
	out.Serving = r.server != nil
	var st relay.Stats
	if r.server != nil {
		st = r.server.Stats()
		out.Calls, out.Reservations, out.BPS, out.Today = st.Calls, st.Reservations, r.rate, int64(st.Spent)
	}
	switch {
	case !s.volunteer.relay.On:
		out.Why = "you have not agreed"
	case r.server == nil:
		out.Why = "this machine does not serve as a supernode"
	case st.UsedUp:
		out.Why = "today's volume is used up"
	default:
		out.Why = "for contacts whose calls the operators' relays have no room for"
	}
	return out
}
