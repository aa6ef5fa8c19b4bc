package session

import (
	"crypto/cipher"

	"github.com/linnet-p2p/linnet/suite"
)

const (
	overhead = suite.PacketOverhead // at the most

	// maxPackets is far beyond rekeyPackets: who gets there has a peer that
	// refuses to change the keys.
	maxPackets = 1 << 40
)

// An epoch is one pair of keys and the tags that go with it.
type epoch struct {
	suite.Traffic
	own, peer uint32 // even tags: what we receive and send under
	sent      uint64 // packets
	next      uint64 // one above the highest counter opened

	// The ciphers and the window take more than 2 KiB; a quiet session keeps the
	// raw keys only, and takes no packet any more that was overtaken before.
	sealer, opener cipher.AEAD
	seen           *suite.Replay
}

// cool lets go of ciphers and window.
func (k *epoch) cool() { k.sealer, k.opener, k.seen = nil, nil, nil }

func (k *epoch) warm() bool { return k.sealer != nil || k.opener != nil }

// seal makes the body of a D frame.
func (k *epoch) seal(s suite.SessionSuite, records []byte) ([]byte, bool) {
	if k.sealer == nil {
		var err error
		if k.sealer, err = s.AEAD(&k.Send, k.SendSalt); err != nil {
			return nil, false
		}
	}
	if k.sent >= maxPackets {
		return nil, false
	}
	body := suite.SealPacket(make([]byte, 0, len(records)+overhead+12), k.sealer, k.sent, records)
	k.sent++
	return body, true
}

// open reads the body of a D frame, once. The records are written to dst.
func (k *epoch) open(s suite.SessionSuite, dst, body []byte) ([]byte, bool) {
	counter, err := suite.PacketCounter(body)
	if err != nil || k.seen == nil && counter < k.next || k.seen != nil && !k.seen.Fresh(counter) {
		return nil, false
	}
	if k.opener == nil {
		if k.opener, err = s.AEAD(&k.Receive, k.ReceiveSalt); err != nil {
			return nil, false
		}
	}
	records, _, err := suite.OpenPacket(dst, k.opener, body)
	if err != nil {
		return nil, false
	}
	if k.seen == nil {
		k.seen = suite.ReplayFrom(k.next)
	}
	if !k.seen.Accept(counter) {
		return nil, false
	}
	k.next = max(k.next, counter+1)
	return records, true
}
