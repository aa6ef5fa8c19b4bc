package chat

import (
	"strings"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// A content is what a letter of kind LetterChat holds. All of it may come twice, late
// and in any order: a message says all that there is to say of it.
//
//	5/0 message of the sender's user, up to 64 times:
//	    4/0 id (16, random)   1/1 position   1/2 sent   0/3 kind (0 text, 1 file, 3 voice mail)   3/4 text, as last edited, at most 16 KiB
//	    4/5 data of another kind, at most 16 KiB   4/6 id of the message that it replies to   1/7 edited, rising with each edit   1/8 deleted
//	5/1 reaction of the sender's user, up to 64 times: 4/0 id   3/1 emoji, at most 32 bytes; none takes it away   1/2 time, rising
//	5/2 receipt for messages of the receiver's: 0/0 state (1 delivered, 2 read)   4/1 id, up to 1024 times
//
// Times are milliseconds since 1970. What a user's devices tell each other has
//
//	3/3 whose conversation with the user it belongs to
//
// and there a receipt is one that the user gave.
type content struct {
	Messages  []messagePart  `obj:"5/0,opt"`
	Reactions []reactionPart `obj:"5/1,opt"`
	Receipts  []receiptPart  `obj:"5/2,opt"`
	Peer      string         `obj:"3/3,opt"`
}

type messagePart struct {
	ID       linnet.MessageID `obj:"4/0"`
	Position uint64           `obj:"1/1"`
	Sent     uint64           `obj:"1/2"`
	Kind     uint32           `obj:"0/3,opt"`
	Text     string           `obj:"3/4,opt"`
	Data     []byte           `obj:"4/5,opt"`
	ReplyTo  []byte           `obj:"4/6,opt"`
	Edited   uint64           `obj:"1/7,opt"`
	Deleted  uint64           `obj:"1/8,opt"`
}

type reactionPart struct {
	Message linnet.MessageID `obj:"4/0"`
	Emoji   string           `obj:"3/1,opt"`
	Time    uint64           `obj:"1/2"`
}

type receiptPart struct {
	State uint32             `obj:"0/0"`
	IDs   []linnet.MessageID `obj:"4/1"`
}

const (
	receiptDelivered = 1
	receiptRead      = 2

	maxParts    = 64
	maxReceipts = 1024 // ids
	maxData     = 16 << 10

	// maxPosition is far beyond what people write, and exact in JSON.
	maxPosition = 1 << 53
)

// openContent reads one. What is too large or makes no sense is none.
func openContent(b []byte) (c content, ok bool) {
	if message.Unmarshal(b, &c) != nil || len(c.Messages) > maxParts || len(c.Reactions) > maxParts || len(c.Receipts) > 2 {
		return c, false
	}
	if c.Peer != "" {
		if user, err := linnet.ParseUserName(c.Peer); err != nil || string(user) != c.Peer {
			return c, false
		}
	}
	for i := range c.Messages {
		m := &c.Messages[i]
		switch kind := linnet.MessageKind(min(m.Kind, 255)); {
		case kind != linnet.TextMessage && kind != linnet.FileMessage && kind != linnet.VoiceMessage,
			m.ID.IsZero(), m.Position == 0, m.Position > maxPosition, len(m.Text) > linnet.MaxMessage, len(m.Data) > maxData,
			len(m.ReplyTo) != 0 && len(m.ReplyTo) != len(m.ID):
			return c, false
		}
		m.Text = strings.ToValidUTF8(m.Text, "\ufffd")
	}
	for _, r := range c.Reactions {
		if linnet.CheckEmoji(r.Emoji) != nil || r.Time == 0 {
			return c, false
		}
	}
	ids := 0
	for _, r := range c.Receipts {
		if ids += len(r.IDs); r.State != receiptDelivered && r.State != receiptRead || ids > maxReceipts {
			return c, false
		}
	}
	return c, true
}

// partOf is a message as it travels.
func partOf(m *linnet.Message) messagePart {
	p := messagePart{
		ID: m.ID, Position: m.Position, Sent: ms(m.Sent), Kind: uint32(m.Kind), Text: m.Text, Data: m.Data, Edited: ms(m.Edited), Deleted: ms(m.Deleted),
	}
	if !m.ReplyTo.IsZero() {
		p.ReplyTo = m.ReplyTo[:]
	}
	return p
}

// message is it on this side.
func (p *messagePart) message(now time.Time) linnet.Message {
	m := linnet.Message{
		ID: p.ID, Position: p.Position, Sent: fromMS(p.Sent), Kind: linnet.MessageKind(p.Kind), Text: p.Text,
		Edited: fromMS(p.Edited), Deleted: fromMS(p.Deleted),
	}
	if m.Sent.After(now) { // their clock is wrong: it is shown, and no more
		m.Sent = now.Truncate(time.Millisecond)
	}
	copy(m.ReplyTo[:], p.ReplyTo)
	if len(p.Data) > 0 {
		m.Data = p.Data
	}
	if !m.Deleted.IsZero() {
		m.Text, m.Data, m.Edited = "", nil, time.Time{}
	}
	return m
}

// ms is a time as it travels.
func ms(t time.Time) uint64 { return uint64(max(t.UnixMilli(), 0)) }

func fromMS(v uint64) time.Time {
	if v == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(min(v, linnet.MaxMillis)))
}
