package directory

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

const (
	maxAbsence = 1024            // bytes
	absentFor  = 5 * time.Minute // on either side of its time: clocks differ
)

// An Absence is a member's signed statement that it has no record of a user. It
// carries the member's own entry, so that anybody can check whether the member
// may well hold the user's slot.
//
//	3/0 user   0/1 slot   1/2 time, milliseconds since 1970   4/3 overlay.Entry
type Absence struct {
	User  linnet.UserName
	Slot  overlay.Slot
	Time  time.Time
	Entry []byte

	Node linnet.NodeID // of the member, known once the absence was opened

	raw []byte
}

type absenceBody struct {
	User  linnet.UserName `obj:"3/0"`
	Slot  uint32          `obj:"0/1"`
	Time  uint64          `obj:"1/2"`
	Entry []byte          `obj:"4/3"`
}

var (
	errAbsenceSize = fmt.Errorf("an absence has at most %d bytes", maxAbsence)
	errAbsenceTime = errors.New("it is old")
	errNoSeat      = errors.New("its signer is no supernode")
)

// Sign gives the absence's wire form.
func (a *Absence) Sign(k suite.Keys) ([]byte, error) {
	b, err := suite.SignBody(k, suite.ForAbsence, &absenceBody{a.User, uint32(a.Slot), uint64(a.Time.UnixMilli()), a.Entry})
	if err != nil {
		return nil, fmt.Errorf("absence: %w", err)
	}
	return b, nil
}

// OpenAbsence reads an absence and checks its signer's entry, its signature and its age.
func OpenAbsence(t overlay.Trust, b []byte, now time.Time) (*Absence, error) {
	a, err := openAbsence(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("absence: %w", err)
	}
	return a, nil
}

func openAbsence(t overlay.Trust, b []byte, now time.Time) (*Absence, error) {
	if len(b) > maxAbsence {
		return nil, errAbsenceSize
	}
	s, body, err := parse[absenceBody](b)
	if err != nil {
		return nil, err
	}
	const ms = uint64(time.Millisecond)
	switch at := uint64(now.UnixMilli()); {
	case body.Slot >= overlay.SlotCount:
		return nil, fmt.Errorf("there is no slot %d", body.Slot)
	case body.Time > at+uint64(absentFor)/ms || body.Time < at-uint64(absentFor)/ms:
		return nil, errAbsenceTime
	}
	e, err := t.OpenEntry(body.Entry, now)
	if err != nil {
		return nil, err
	}
	if !e.Serves() {
		return nil, errNoSeat
	}
	if err := e.Verify(t, suite.ForAbsence, s.Body, s.Signature); err != nil {
		return nil, err
	}
	return &Absence{
		User: body.User, Slot: overlay.Slot(body.Slot), Time: time.UnixMilli(int64(body.Time)), Entry: body.Entry, Node: e.Node, raw: bytes.Clone(b),
	}, nil
}

// plausible says whether a supernode may well hold a slot, for somebody who
// knows some of the supernodes and heard how many there are: no more of those
// he knows score higher than is to be expected. Who knows more than there are
// knows dead ones, too, and has to expect more chance.
func plausible(slot overlay.Slot, node linnet.NodeID, known []linnet.NodeID, supernodes int) bool {
	score, higher := overlay.Score(slot, node), 0
	for _, k := range known {
		if overlay.Score(slot, k) > score {
			higher++
		}
	}
	expected := overlay.SlotSize * float64(len(known)) / float64(max(supernodes, 1))
	slack := 3.0
	if len(known) > supernodes {
		slack += 3 * math.Sqrt(expected)
	}
	return float64(higher) < expected+slack
}
