package directory

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// Prekeys lie with the mail of their device's user: on disk at a majority of the
// slot, repaired, and for as long as mail is kept. Everybody may ask for them.

// The life of a prekey: a device makes one a week and forgets the private half
// when nothing that was sealed to it can wait any more.
const (
	PrekeyEvery = 7 * 24 * time.Hour
	PrekeyFor   = MailKeepFor

	maxPrekey = 4 << 10 // bytes of its wire form
)

// A Prekey is what letters to a device are sealed to while it is away, signed by
// that device.
//
//	4/0 certificate   4/1 public key   1/2 time, milliseconds since 1970
type Prekey struct {
	Certificate []byte
	Public      []byte
	Time        time.Time

	// User and Node are the certificate's, known once the prekey was opened.
	User linnet.UserName
	Node linnet.NodeID

	raw []byte
}

type prekeyBody struct {
	Certificate []byte `obj:"4/0"`
	Public      []byte `obj:"4/1"`
	Time        uint64 `obj:"1/2"`
}

var errPrekey = errors.New("no prekey has that length")

// Sign gives the prekey's wire form.
func (p *Prekey) Sign(k suite.Keys) ([]byte, error) {
	b, err := suite.SignBody(k, suite.ForPrekey, &prekeyBody{p.Certificate, p.Public, uint64(p.Time.UnixMilli())})
	if err != nil {
		return nil, fmt.Errorf("prekey: %w", err)
	}
	return b, nil
}

// OpenPrekey reads a prekey and checks its certificate, as it was at the
// prekey's time, its signature and its age.
func OpenPrekey(t overlay.Trust, b []byte, now time.Time) (*Prekey, error) {
	p, err := openPrekey(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("prekey: %w", err)
	}
	return p, nil
}

func openPrekey(t overlay.Trust, b []byte, now time.Time) (*Prekey, error) {
	if len(b) > maxPrekey {
		return nil, errPrekey
	}
	body, at, cert, err := openDated(t, b, suite.ForPrekey, func(body *prekeyBody) (time.Time, []byte, error) {
		at, err := mailTime(body.Time, now, PrekeyFor)
		return at, body.Certificate, err
	})
	if err != nil {
		return nil, err
	}
	return &Prekey{
		Certificate: body.Certificate, Public: body.Public, Time: at, User: cert.User, Node: cert.NodeID(), raw: bytes.Clone(b),
	}, nil
}

// newestPrekeys are the prekeys of a user among signed ones, of each device the
// newest; those of the devices that were there last come first.
func newestPrekeys(t overlay.Trust, now time.Time, user linnet.UserName, signed [][]byte) []*Prekey {
	best := make(map[linnet.NodeID]*Prekey)
	for _, b := range signed {
		p, err := OpenPrekey(t, b, now)
		if err != nil || p.User != user {
			continue
		}
		if old := best[p.Node]; old == nil || old.Time.Before(p.Time) {
			best[p.Node] = p
		}
	}
	list := make([]*Prekey, 0, len(best))
	for _, p := range best {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *Prekey) int {
		if c := b.Time.Compare(a.Time); c != 0 {
			return c
		}
		return slices.Compare(a.Node[:], b.Node[:])
	})
	return list[:min(len(list), maxDevices)]
}

// receivedAskPrekeys answers from the own disk, or with what so many members
// have that a majority's write cannot be missed.
func (m *Mailbox) receivedAskPrekeys(now time.Time, from linnet.NodeID, id uint16, msg *message.AskPrekeys) {
	user, err := linnet.ParseUserName(string(msg.User))
	if err != nil || user != msg.User {
		m.refuse(from, id, message.FailureInvalid, "no user name")
		return
	}
	answer := func(list [][]byte, ok bool) {
		if ok {
			m.emit(overlay.Respond{To: from, ID: id, Message: &message.Prekeys{Prekeys: list}})
		} else {
			m.refuse(from, id, message.FailureUnavailable, "too few members of the slot answer")
		}
	}
	if msg.Member {
		m.ownPrekeys(now, user, func(_ time.Time, list [][]byte, ok bool) { answer(list, ok) })
		return
	}
	if m.asks >= m.o.Busy {
		m.refuse(from, id, message.FailureTooMany, "busy")
		return
	}
	m.asks++
	members := m.o.Seats.Members(m.o.SlotOf(user))
	waiting, answers := len(members), 0
	certain := len(members) - len(members)/2
	var all [][]byte
	finish := func(now time.Time) {
		m.asks--
		var list [][]byte
		for _, p := range newestPrekeys(m.o.Trust, now, user, all) {
			list = append(list, p.raw)
		}
		answer(list, answers >= certain && answers > 0)
	}
	if waiting == 0 {
		finish(now)
	}
	for _, node := range members {
		heard := func(now time.Time, list [][]byte, ok bool) {
			if ok {
				answers++
				all = append(all, list[:min(len(list), maxDevices)]...)
			}
			if waiting--; waiting == 0 {
				finish(now)
			}
		}
		if node == m.o.Self.Node {
			m.ownPrekeys(now, user, heard)
			continue
		}
		m.request(now, node, &message.AskPrekeys{User: user, Member: true}, memberWait, func(now time.Time, reply message.Message) {
			prekeys, ok := reply.(*message.Prekeys)
			if !ok {
				prekeys = new(message.Prekeys)
			}
			heard(now, prekeys.Prekeys, ok)
		})
	}
}

func (m *Mailbox) ownPrekeys(now time.Time, user linnet.UserName, done func(now time.Time, list [][]byte, ok bool)) {
	var ids []message.MailID
	if b := m.shelf.boxes[user]; b != nil {
		for _, h := range b.prekeys {
			if h.kept {
				ids = append(ids, h.ID)
			}
		}
	}
	if len(ids) == 0 {
		done(now, nil, true)
	} else if !m.read(ids, func(now time.Time, items [][]byte) { done(now, items, true) }) {
		done(now, nil, false)
	}
}

// PublishPrekey puts a prekey of this device where others find it, instead of its last one.
func (c *MailClient) PublishPrekey(now time.Time, public []byte, made time.Time) MailTicket {
	p := Prekey{Certificate: c.o.Self.Certificate, Public: public, Time: made}
	b, err := p.Sign(c.o.Self.Keys)
	return c.put(now, message.PutMail{Mail: b, Prekey: true}, err)
}

// Prekeys asks for the prekeys of a user's devices: of each the newest, those
// of the devices that were there last first. None is no error, if all supernodes say so.
func (c *MailClient) Prekeys(now time.Time, user linnet.UserName) MailTicket {
	c.last++
	ticket := c.last
	if !c.begin(ticket, nil) {
		return ticket
	}
	supernodes := c.o.Overlay.Attachments()
	waiting, silent := len(supernodes), error(nil)
	var all [][]byte
	for _, node := range supernodes {
		c.request(now, node, &message.AskPrekeys{User: user}, mailWait, func(now time.Time, reply message.Message) {
			if prekeys, ok := reply.(*message.Prekeys); ok {
				all = append(all, prekeys.Prekeys[:min(len(prekeys.Prekeys), maxDevices)]...)
			} else {
				silent = ErrNoAnswer
			}
			if waiting--; waiting > 0 {
				return
			}
			list := newestPrekeys(c.o.Trust, now, user, all)
			if len(list) > 0 {
				silent = nil
			}
			c.end(MailDone{Ticket: ticket, Prekeys: list, Err: silent})
		})
	}
	return ticket
}
