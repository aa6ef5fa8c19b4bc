package node

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
)

var _ linnet.Client = (*Node)(nil)

var errNotSignedIn = &linnet.Error{Code: linnet.CodeNotSignedIn, Text: "nobody is signed in on this node",
	Hint: "`linnet register NAME` makes an account, `linnet login NAME` uses one"}

// inStation runs f in the loop, with the station of whoever is signed in.
func (n *Node) inStation(ctx context.Context, f func(now time.Time, s *station) error) error {
	var err error
	if waited := n.do(ctx, func(now time.Time) {
		if n.station == nil {
			err = errNotSignedIn
			return
		}
		err = f(now, n.station)
	}); waited != nil {
		return waited
	}
	return err
}

// Status implements linnet.Client.
func (n *Node) Status(ctx context.Context) (linnet.Status, error) {
	s := linnet.Status{
		Version: n.opts.Version, Role: n.role().String(), Addr: n.link.Addr().String(), Home: n.opts.Home,
		Supernodes: []linnet.Attachment{}, Calls: []linnet.CallInfo{},
	}
	if d := n.network.get(); d != nil {
		s.Network, s.NetworkID, s.Suite = d.Name, d.Network, d.Suite
	}
	if public := n.link.Public(); public.IsValid() {
		s.Public = public.String()
	}
	err := n.inStation(ctx, func(now time.Time, st *station) error {
		st.status(now, &s)
		return nil
	})
	if errors.Is(err, errNotSignedIn) {
		err = nil
	}
	if err == nil && s.User != "" {
		s.Unread, err = n.store.Unread(ctx, s.User)
	}
	return s, err
}

// Lookup implements linnet.Client.
func (n *Node) Lookup(ctx context.Context, user linnet.UserName) (linnet.Listing, error) {
	type answer struct {
		listing linnet.Listing
		err     error
	}
	answers := make(chan answer, 1)
	err := n.inStation(ctx, func(now time.Time, s *station) error {
		s.lookUp(now, user, false, func(_ time.Time, l linnet.Listing, err error) { answers <- answer{l, err} })
		return nil
	})
	if err != nil {
		return linnet.Listing{}, err
	}
	a, err := await(ctx, n, answers)
	if err != nil {
		return linnet.Listing{}, err
	}
	if a.err == nil && len(a.listing.Devices) == 0 {
		a.err = &linnet.Error{Code: linnet.CodeNotFound, Text: fmt.Sprintf("nobody called %s was seen within %d hours", user, n.network.get().Policy.Records), Hint: "check the spelling"}
	}
	return a.listing, a.err
}

// Call implements linnet.Client.
func (n *Node) Call(ctx context.Context, user linnet.UserName, m linnet.CallMedia) (linnet.CallID, error) {
	id := linnet.NewCallID()
	if err := checkMedia(m); err != nil {
		return id, err
	}
	return id, n.inStation(ctx, func(now time.Time, s *station) error {
		if user == s.self.User {
			return linnet.Errorf(linnet.CodeUsage, "%s is you; call echo123 to hear your own voice", user)
		}
		if !s.online {
			return s.offlineError()
		}
		if err := s.calls.Dial(now, id, user); err != nil {
			return callError(err)
		}
		if m.Video != linnet.NoVideo || m.PlayVideo != "" {
			s.calls.AskVideo(id)
		}
		s.media[id] = m
		return nil
	})
}

// Answer implements linnet.Client.
func (n *Node) Answer(ctx context.Context, id linnet.CallID, m linnet.CallMedia) error {
	if err := checkMedia(m); err != nil {
		return err
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		s.media[id] = m
		err := callError(s.calls.Answer(now, id))
		if err != nil && s.phones[id] == nil {
			delete(s.media, id)
		}
		return err
	})
}

// HangUp implements linnet.Client.
func (n *Node) HangUp(ctx context.Context, id linnet.CallID) error {
	return n.inStation(ctx, func(now time.Time, s *station) error {
		if c := s.info(id); c != nil && c.Incoming && c.State == linnet.CallRinging {
			return callError(s.calls.Reject(now, id))
		}
		return callError(s.calls.HangUp(now, id))
	})
}

// Hold implements linnet.Client.
func (n *Node) Hold(ctx context.Context, id linnet.CallID, on bool) error {
	return n.inStation(ctx, func(now time.Time, s *station) error {
		if on {
			return callError(s.calls.Hold(now, id))
		}
		return callError(s.calls.Resume(now, id))
	})
}

// Tone implements linnet.Client.
func (n *Node) Tone(ctx context.Context, id linnet.CallID, tone string) error {
	return n.inStation(ctx, func(now time.Time, s *station) error { return callError(s.calls.Tone(now, id, tone)) })
}

// History implements linnet.Client.
func (n *Node) History(ctx context.Context, limit int) ([]linnet.CallRecord, error) {
	list, err := n.store.Calls(ctx, limit)
	if list == nil {
		list = []linnet.CallRecord{}
	}
	return list, err
}

// Events implements linnet.Client.
func (n *Node) Events(ctx context.Context) (<-chan linnet.Event, error) { return n.hub.listen(ctx) }

// callError puts the call machine's errors into words for people.
func callError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, call.ErrUnknown):
		return &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such call", Hint: "`linnet status` lists the calls in progress"}
	case errors.Is(err, call.ErrTooMany):
		return &linnet.Error{Code: linnet.CodeBusy, Text: "another call is in progress", Hint: "end or hold it first"}
	}
	return &linnet.Error{Code: linnet.CodeUsage, Text: err.Error()}
}
