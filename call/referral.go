package call

import (
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/suite"
)

// A Referral is a device's word that its user put two others through, so that the
// one who is called sees who did it. Whoever is handed over passes it on.
//
//	4/0 certificate   3/1 who is handed over   3/2 to whom   1/3 time, milliseconds since 1970
//	4/4 id of the call with the second one that the new one replaces, if there is one
type Referral struct {
	Transferee, Target linnet.UserName
	Time               time.Time
	Replaces           linnet.CallID // zero: none

	// By and Node are the certificate's, known once the referral was opened.
	By   linnet.UserName
	Node linnet.NodeID
}

type referralBody struct {
	Certificate []byte          `obj:"4/0"`
	Transferee  linnet.UserName `obj:"3/1"`
	Target      linnet.UserName `obj:"3/2"`
	Time        uint64          `obj:"1/3"`
	Replaces    linnet.CallID   `obj:"4/4,opt"`
}

const (
	maxReferral = 2 << 10
	referralFor = 5 * time.Minute // and clocks may differ by as much
)

var errReferral = errors.New("it is too old, too long, or no person's")

// Sign gives the referral's wire form.
func (r *Referral) Sign(self overlay.Identity) ([]byte, error) {
	b, err := suite.SignBody(self.Keys, suite.ForReferral, &referralBody{
		self.Certificate, r.Transferee, r.Target, uint64(r.Time.UnixMilli()), r.Replaces,
	})
	if err != nil {
		return nil, fmt.Errorf("referral: %w", err)
	}
	return b, nil
}

// OpenReferral reads a referral and checks its certificate, signature and time.
func OpenReferral(t overlay.Trust, b []byte, now time.Time) (*Referral, error) {
	if len(b) > maxReferral {
		return nil, fmt.Errorf("referral: %w", errReferral)
	}
	var body referralBody
	cert, err := t.Open(b, now, suite.ForReferral, &body, func() []byte { return body.Certificate })
	if err != nil {
		return nil, fmt.Errorf("referral: %w", err)
	}
	at := time.UnixMilli(int64(min(body.Time, 1<<52)))
	if cert.User.IsNode() || now.Sub(at).Abs() > referralFor {
		return nil, fmt.Errorf("referral: %w", errReferral)
	}
	return &Referral{
		Transferee: body.Transferee, Target: body.Target, Time: at, Replaces: body.Replaces,
		By: cert.User, Node: cert.NodeID(),
	}, nil
}
