package presence

import (
	"errors"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A notice is what a device tells a contact of its user's presence:
//
//	key         [8]byte   // first bytes of the SHA-256 of the sender's contact key
//	nonce       [12]byte
//	ciphertext  [...]byte // AES-256-GCM under that key, "linnet/1 presence" as associated data
//
// Inside is {4/0 body, 4/1 signature of the device with the same purpose}: others
// have the key, too. The body is
//
//	1/0 time, milliseconds since 1970, rising   0/1 presence (0 offline, 1 online, 2 away, 3 do not disturb)
//	1/2 since   3/3 mood   0/4 1: wants a notice back
type noticeBody struct {
	Time     uint64 `obj:"1/0"`
	Presence uint32 `obj:"0/1"`
	Since    uint64 `obj:"1/2,opt"`
	Mood     string `obj:"3/3,opt"`
	Answer   bool   `obj:"0/4,opt"`
}

const (
	noticeHead = len(suite.PrekeyID{})
	maxNotice  = 1024

	// noticeSkew is how far a notice's time may be from now: an older one may be a
	// replay, to a device that forgot over a restart what it had seen.
	noticeSkew = 10 * time.Minute
)

var errNotice = errors.New("presence: no notice that makes sense")

// notice says how this device is.
func (m *Machine) notice(now time.Time, answer bool) []byte {
	mine := m.mine()
	if mine.Presence == linnet.Invisible || m.leaving {
		return m.farewell(now)
	}
	m.spoke = max(m.spoke+1, ms(now))
	return m.sealNotice(&noticeBody{Time: m.spoke, Presence: uint32(mine.Presence), Since: ms(mine.Since), Mood: mine.Mood, Answer: answer})
}

// farewell is the notice that this device is offline.
func (m *Machine) farewell(now time.Time) []byte {
	m.spoke = max(m.spoke+1, ms(now))
	return m.sealNotice(&noticeBody{Time: m.spoke})
}

func (m *Machine) sealNotice(body *noticeBody) []byte {
	signed, err := suite.SignBody(m.o.Self.Keys, suite.ForNotice, body)
	if err != nil {
		return nil
	}
	id := suite.PrekeyIDOf(m.self.Key)
	return append(id[:], suite.SealUnder((*[32]byte)(m.self.Key), suite.ForNotice, signed)...)
}

// openNotice reads a notice of a contact's device.
func (m *Machine) openNotice(now time.Time, t *theirs, b []byte) (body noticeBody, err error) {
	if len(b) > maxNotice || len(b) < noticeHead {
		return body, errNotice
	}
	plain, err := suite.OpenUnder((*[32]byte)(t.Key), suite.ForNotice, b[noticeHead:])
	if err != nil {
		return body, err
	}
	s, err := suite.ParseSigned(plain)
	if err != nil {
		return body, err
	}
	if err := m.o.Trust.Verify(t.Signing, suite.ForNotice, s.Body, s.Signature); err != nil {
		return body, err
	}
	if err := message.Unmarshal(s.Body, &body); err != nil {
		return body, err
	}
	if body.Presence > uint32(linnet.DoNotDisturb) || len(body.Mood) > linnet.MaxMood ||
		body.Time > ms(now.Add(noticeSkew)) || body.Time < ms(now.Add(-noticeSkew)) {
		return body, errNotice
	}
	body.Mood = linnet.Line(body.Mood)
	return body, nil
}
