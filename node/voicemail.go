package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/media/ogg"
	"github.com/linnet-p2p/linnet/post"
)

// LeaveVoicemail implements linnet.Client.
func (n *Node) LeaveVoicemail(ctx context.Context, to linnet.UserName, about linnet.CallID, file string) (v linnet.Voicemail, err error) {
	f, err := os.Open(file)
	if err != nil {
		return v, &linnet.Error{Code: linnet.CodeBadFile, Text: err.Error()}
	}
	defer f.Close()
	return n.UploadVoicemail(ctx, to, about, f)
}

// UploadVoicemail implements linnet.Client.
func (n *Node) UploadVoicemail(ctx context.Context, to linnet.UserName, about linnet.CallID, from io.Reader) (v linnet.Voicemail, err error) {
	file, err := io.ReadAll(io.LimitReader(from, linnet.MaxVoicemailBytes+1))
	var sound []byte
	var length time.Duration
	if err == nil {
		sound, length, err = cleanSound(file)
	}
	if err != nil {
		return v, &linnet.Error{Code: linnet.CodeBadFile, Text: err.Error(), Hint: "give an Ogg file with Opus sound of two minutes at the most"}
	}
	v = linnet.Voicemail{ID: linnet.NewVoicemailID(), Call: about, Peer: to, Own: true, Sent: time.Now(), Length: length.Truncate(time.Millisecond).Seconds()}
	words := call.CutSound(call.Word{Call: about, Began: uint64(v.Sent.UnixMilli()), Voicemail: v.ID}, sound)
	var owner linnet.UserName
	done := make(chan error, 1)
	if err := n.inStation(ctx, func(now time.Time, s *station) error {
		owner = s.self.User
		if owner.IsNode() || s.contactState(to) != linnet.Approved {
			return &linnet.Error{Code: linnet.CodeUsage, Text: string(to) + " is not your contact, and only contacts can leave voice mail", Hint: "ask them with `linnet contacts add`"}
		}
		s.tells.left[v.ID] = done
		s.tells.machine.Tell(now, to, now, words...)
		return nil
	}); err != nil {
		return v, err
	}
	told, err := await(ctx, n, done)
	switch {
	case err != nil:
		n.must(func(now time.Time) {
			if s := n.station; s != nil && s.tells.machine != nil {
				s.tells.machine.Withdraw(now, to, words[0])
				delete(s.tells.left, v.ID)
			}
		})
		return v, err
	case errors.Is(told, post.ErrNobody):
		return v, &linnet.Error{Code: linnet.CodeOffline, Text: string(to) + " has no device that could hear it", Hint: "try again when they have signed in somewhere"}
	case errors.Is(told, call.ErrTooLate):
		return v, &linnet.Error{Code: linnet.CodeNoNetwork, Text: "your message could not be left with " + string(to) + " in five minutes", Hint: "try again when the connection is better; `linnet doctor` says what is wrong with it"}
	case errors.Is(told, call.ErrTooMuch):
		return v, &linnet.Error{Code: linnet.CodeBusy, Text: "too much waits to be told to " + string(to), Hint: "try again later"}
	case told != nil:
		return v, mailError(told)
	}
	if err := n.store.PutVoicemail(ctx, owner, v, nil); err != nil {
		return v, err
	}
	n.hub.tell(linnet.Event{Kind: linnet.EventVoicemail, Voicemail: &v})
	return v, nil
}

// cleanSound reads an Ogg/Opus file of anybody's, and writes what is heard of it anew:
// nothing else of the file gets any further.
func cleanSound(file []byte) (sound []byte, length time.Duration, err error) {
	most := linnet.Errorf(linnet.CodeUsage, "voice mail has at most %v and %d KiB", linnet.MaxVoicemail, linnet.MaxVoicemailBytes>>10)
	if len(file) > linnet.MaxVoicemailBytes {
		return nil, 0, most
	}
	header, frames, err := ogg.ReadAll(bytes.NewReader(file))
	if err != nil {
		return nil, 0, err
	}
	length = header.Duration(frames)
	if length <= 0 || length > linnet.MaxVoicemail+time.Second {
		return nil, length, most
	}
	var out bytes.Buffer
	w := ogg.NewWriter(&out, ogg.WriterOptions{Channels: header.Channels, PreSkip: header.PreSkip})
	for _, f := range frames {
		if err := w.Write(f); err != nil {
			return nil, length, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, length, err
	}
	return out.Bytes(), length, nil
}

// owner is who is signed in.
func (n *Node) owner(ctx context.Context) (user linnet.UserName, err error) {
	return user, n.inStation(ctx, func(_ time.Time, s *station) error {
		user = s.self.User
		return nil
	})
}

var errNoVoicemail = &linnet.Error{Code: linnet.CodeNotFound, Text: "there is no such voice mail", Hint: "`linnet voicemail` lists what there is"}

// Voicemails implements linnet.Client.
func (n *Node) Voicemails(ctx context.Context, limit int) ([]linnet.Voicemail, error) {
	owner, err := n.owner(ctx)
	if err != nil {
		return nil, err
	}
	return some(n.store.Voicemails(ctx, owner, limit))
}

// VoicemailSound implements linnet.Client.
func (n *Node) VoicemailSound(ctx context.Context, id linnet.VoicemailID) ([]byte, error) {
	owner, err := n.owner(ctx)
	if err != nil {
		return nil, err
	}
	sound, err := n.store.VoicemailSound(ctx, owner, id)
	if err == nil && sound == nil {
		err = errNoVoicemail
	}
	return sound, err
}

// HeardVoicemail implements linnet.Client.
func (n *Node) HeardVoicemail(ctx context.Context, id linnet.VoicemailID) error {
	owner, err := n.owner(ctx)
	if err != nil {
		return err
	}
	fresh, err := n.store.HeardVoicemail(ctx, owner, "", id, false)
	if err != nil || !fresh {
		return err
	}
	untold, err := n.store.HeardUntold(ctx, owner)
	if err != nil {
		return err
	}
	return n.inStation(ctx, func(now time.Time, s *station) error {
		if s.self.User != owner {
			return nil // who signed out meanwhile tells when they are back
		}
		for _, v := range untold {
			s.tellHeard(now, v)
		}
		return nil
	})
}

// DeleteVoicemail implements linnet.Client.
func (n *Node) DeleteVoicemail(ctx context.Context, id linnet.VoicemailID) error {
	owner, err := n.owner(ctx)
	if err != nil {
		return err
	}
	was, err := n.store.DeleteVoicemail(ctx, owner, id)
	if err == nil && !was {
		err = errNoVoicemail
	}
	return err
}
