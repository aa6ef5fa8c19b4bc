package suite

import "github.com/linnet-p2p/linnet"

// A modern certificate is a signed body, as everything else that is signed.
type certificateBody struct {
	User      linnet.UserName `obj:"3/0"`
	Device    string          `obj:"3/1"`
	Signing   []byte          `obj:"4/2"`
	Agreement []byte          `obj:"4/3"`
	Issued    uint32          `obj:"0/4"` // minutes since 1970
	Expires   uint32          `obj:"0/5"`
	Serial    uint64          `obj:"1/6"`
	Salt      []byte          `obj:"4/7"`
}

func (k *modernKeys) certify(c *Certificate) ([]byte, error) {
	return SignBody(k, ForCertificate, &certificateBody{
		c.User, c.Device, c.Signing, c.Agreement, toMinutes(c.Issued), toMinutes(c.Expires), c.Serial, c.Salt,
	})
}

func (m modern) openCertificate(login, b []byte) (*Certificate, error) {
	var w certificateBody
	if err := openBody(m, login, ForCertificate, b, &w); err != nil {
		return nil, err
	}
	return &Certificate{w.User, w.Device, w.Signing, w.Agreement, fromMinutes(w.Issued), fromMinutes(w.Expires), w.Serial, w.Salt}, nil
}
