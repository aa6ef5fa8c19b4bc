package suite

import (
	"fmt"
	"time"
)

// A LoginKey is the key that login requests of one day are sealed to. The login
// servers forget its private half soon after, so that what was recorded stays
// unread even if they are broken into.
type LoginKey struct {
	Day    uint32 // days since 1970, UTC
	Public []byte
	Signed []byte // by the login key: the form in which it travels
}

type loginKeyBody struct {
	Day    uint32 `obj:"0/0"`
	Public []byte `obj:"4/1"`
}

const maxLoginKey = 4 << 10

// Day is the day of a LoginKey.
func Day(t time.Time) uint32 { return uint32(t.Unix() / (24 * 60 * 60)) }

func signLoginKey(login Keys, day uint32, public []byte) (LoginKey, error) {
	b, err := SignBody(login, ForLoginKey, &loginKeyBody{day, public})
	if err != nil {
		return LoginKey{}, fmt.Errorf("suite: sign login key: %w", err)
	}
	return LoginKey{day, public, b}, nil
}

// OpenLoginKey reads a key that the network's login key signed.
func (d *Descriptor) OpenLoginKey(b []byte) (LoginKey, error) {
	if len(b) > maxLoginKey {
		return LoginKey{}, fmt.Errorf("suite: open login key: %d bytes: %w", len(b), ErrMalformed)
	}
	s, err := Named(d.Suite)
	if err != nil {
		return LoginKey{}, err
	}
	var w loginKeyBody
	if err := openBody(s, d.Login, ForLoginKey, b, &w); err != nil {
		return LoginKey{}, fmt.Errorf("suite: open login key: %w", err)
	}
	return LoginKey{w.Day, w.Public, b}, nil
}

// LoginKey is the key for a request made now: today's, or else the nearest. A
// machine with a wrong clock gets one as well, so that the login server can
// tell it.
//
// Suites without keys of the day have the login key itself for it.
func (d *Descriptor) LoginKey(now time.Time) (LoginKey, error) {
	s, err := Named(d.Suite)
	if err != nil {
		return LoginKey{}, err
	}
	if !s.DailyKeys() {
		return LoginKey{Public: d.Login}, nil
	}
	if len(d.LoginKeys) == 0 {
		return LoginKey{}, fmt.Errorf("suite: the descriptor of %s has no login key: ask a login server for a newer one", d.Name)
	}
	today := int64(Day(now))
	distance := func(k LoginKey) int64 { return max(int64(k.Day)-today, today-int64(k.Day)) }
	best := d.LoginKeys[0]
	for _, k := range d.LoginKeys[1:] {
		if distance(k) < distance(best) {
			best = k
		}
	}
	return best, nil
}
