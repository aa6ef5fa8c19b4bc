package directory

import (
	"bytes"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// MaxRecord bounds a record's wire form.
const MaxRecord = 4096

// A Record says where one device of a user can be reached: through which
// supernodes, and nothing of its addresses. It is signed by the device.
//
//	4/0 certificate   4/1 location   0/2 NAT   0/3 capabilities   0/4 online
//	1/5 sequence      1/6 time, milliseconds since 1970
//
// On classic networks it is a profile (suite.SignProfile), see profileBody.
type Record struct {
	Certificate  []byte
	Location     message.Location
	NAT          uint32 // traverse.NAT
	Capabilities uint32
	Online       bool
	Sequence     uint64 // rises with every record of the device
	Time         time.Time

	// User, Device, Agreement and Expires are the certificate's, known once the record was opened.
	User      linnet.UserName
	Device    string
	Agreement []byte
	Expires   time.Time

	raw []byte
	sum [8]byte // sumOf(raw)
}

type recordBody struct {
	Certificate  []byte           `obj:"4/0"`
	Location     message.Location `obj:"4/1"`
	NAT          uint32           `obj:"0/2"`
	Capabilities uint32           `obj:"0/3"`
	Online       bool             `obj:"0/4"`
	Sequence     uint64           `obj:"1/5"`
	Time         uint64           `obj:"1/6"`
}

// profileBody is what a profile's list says. The first two are the old network's,
// of which the location is another.
type profileBody struct {
	Location     message.Location `obj:"4/3"`
	Status       uint32           `obj:"0/89"` // profileOnline or profileOffline
	NAT          uint32           `obj:"0/4000"`
	Capabilities uint32           `obj:"0/4001"`
	Sequence     uint64           `obj:"1/4002"`
	Time         uint64           `obj:"1/4003"`
}

// Of the old network's states only 2, online, 3, away, and 5, do not disturb, are
// known; the last two are nobody's business here. 1 is ours.
const (
	profileOffline = 1
	profileOnline  = 2
)

// Errors of records and absences.
var (
	ErrRecordSize = fmt.Errorf("a record has at most %d bytes", MaxRecord)
	errOtherNode  = errors.New("it is another device's than the certificate")
	errNoUser     = errors.New("only people have records")
	errTime       = errors.New("it is long forgotten, or comes from the future")
)

// Sign gives the record's wire form.
func (r *Record) Sign(k suite.Keys) ([]byte, error) {
	b, err := r.sign(k)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	if len(b) > MaxRecord {
		return nil, ErrRecordSize
	}
	return b, nil
}

func (r *Record) sign(k suite.Keys) ([]byte, error) {
	at := uint64(r.Time.UnixMilli())
	if !suite.MakesProfiles(k) {
		return suite.SignBody(k, suite.ForRecord, &recordBody{r.Certificate, r.Location, r.NAT, r.Capabilities, r.Online, r.Sequence, at})
	}
	status := uint32(profileOffline)
	if r.Online {
		status = profileOnline
	}
	return suite.SignProfile(k, r.Certificate, &profileBody{r.Location, status, r.NAT, r.Capabilities, r.Sequence, at})
}

// An opener reads records and checks them as OpenRecord does. A simulation of
// thousands of nodes reads a record that many of them hold once.
type opener = func(b []byte, now time.Time) (*Record, error)

func openIn(t overlay.Trust) opener {
	return func(b []byte, now time.Time) (*Record, error) { return OpenRecord(t, b, now) }
}

// OpenRecord reads a record and checks its certificate, signature and bounds.
func OpenRecord(t overlay.Trust, b []byte, now time.Time) (*Record, error) {
	r, err := openRecord(t, b, now)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return r, nil
}

func openRecord(t overlay.Trust, b []byte, now time.Time) (*Record, error) {
	if len(b) > MaxRecord {
		return nil, ErrRecordSize
	}
	body, cert, err := openRecordBody(t, b, now)
	if err != nil {
		return nil, err
	}
	switch {
	case body.Location.Node != cert.NodeID():
		return nil, errOtherNode
	case cert.User.IsNode():
		return nil, errNoUser
	case body.Time > uint64(now.Add(maxSkew).UnixMilli()), body.Time < uint64(now.Add(-t.Keep()).UnixMilli()):
		return nil, errTime
	}
	return &Record{
		Certificate: body.Certificate, Location: body.Location, NAT: body.NAT, Capabilities: body.Capabilities,
		Online: body.Online, Sequence: body.Sequence, Time: time.UnixMilli(int64(body.Time)),
		User: cert.User, Device: cert.Device, Agreement: cert.Agreement, Expires: cert.Expires, raw: bytes.Clone(b), sum: sumOf(b),
	}, nil
}

func openRecordBody(t overlay.Trust, b []byte, now time.Time) (body recordBody, cert *suite.Certificate, err error) {
	if !t.Profiles {
		cert, err = t.Open(b, now, suite.ForRecord, &body, func() []byte { return body.Certificate })
		return body, cert, err
	}
	var p profileBody
	certificate, cert, err := suite.OpenProfile(b, func(b []byte) (*suite.Certificate, error) { return t.Certificate(b, now) }, &p)
	return recordBody{certificate, p.Location, p.NAT, p.Capabilities, p.Status == profileOnline, p.Sequence, p.Time}, cert, err
}

// peekRecord says whose record it is, or was: it may have expired, and nothing is
// checked unless the form needs it.
func peekRecord(t overlay.Trust, b []byte) (node linnet.NodeID, ok bool) {
	if t.Profiles {
		body, _, err := openRecordBody(t, b, time.Time{})
		return body.Location.Node, err == nil
	}
	_, body, err := parse[struct {
		Location message.Location `obj:"4/1"`
	}](b)
	return body.Location.Node, err == nil
}

// Raw is the wire form of a record that was opened. The caller must not change it.
func (r *Record) Raw() []byte { return r.raw }

// Node is the device.
func (r *Record) Node() linnet.NodeID { return r.Location.Node }

// Reachable says that the device is online as far as the record is to be believed.
func (r *Record) Reachable(now time.Time) bool {
	return r.Online && now.Sub(r.Time) <= FreshFor && len(r.Location.Supernodes) > 0
}
