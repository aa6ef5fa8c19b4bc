package suite

import (
	"cmp"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Authority is the secrets of a network: whoever has them decides who is
// who. Its file belongs to the login servers, and a copy of it under lock and
// key.
//
// Methods that read (OpenRequest, IssueCertificate, SignHead, Marshal) may run
// at the same time; Rotate, SignDescriptor and changes of Descriptor may not run
// beside them.
type Authority struct {
	Descriptor Descriptor // what the next SignDescriptor signs, but for Serial and LoginKeys
	Root       Keys
	Login      Keys
	Secret     [32]byte // see Salt

	suite Suite
	days  []loginDay // rising
}

// loginDay is a LoginKey with its private half.
type loginDay struct {
	key     LoginKey
	private []byte
}

// AuthorityOptions configures a new network. The zero value is one with the
// modern suite, the default Policy, and nobody in it.
type AuthorityOptions struct {
	Suite        string // default ModernName
	Policy       Policy
	LoginServers []netip.AddrPort
	Supernodes   []Bootstrap
}

// DefaultAhead is how many days of login keys an authority makes in advance.
// Login servers that share its file can go on that long without a new one.
const DefaultAhead = 30

// publishedAhead is how many days of them a descriptor shows: each weighs 1.3
// kB, and who comes back after more than a week asks for a new descriptor anyway.
const publishedAhead = 7

// CreateAuthority makes the keys of a new network.
func CreateAuthority(name string, now time.Time, o AuthorityOptions) (*Authority, error) {
	s, err := Named(or(o.Suite, ModernName))
	if err != nil {
		return nil, err
	}
	return createAuthority(name, now, o, s, rand.Reader)
}

func createAuthority(name string, now time.Time, o AuthorityOptions, s Suite, random io.Reader) (*Authority, error) {
	a := &Authority{suite: s}
	var err error
	if a.Root, a.Login, err = s.NewAuthorityKeys(); err != nil {
		return nil, err
	}
	a.Descriptor = Descriptor{
		Name:         name,
		Suite:        s.Name(),
		Root:         a.Root.Public().Signing,
		Login:        a.Login.Public().Signing,
		LoginServers: o.LoginServers,
		Supernodes:   o.Supernodes,
		Policy:       o.Policy.orDefault(),
	}
	if _, err := io.ReadFull(random, a.Descriptor.Network[:]); err != nil {
		return nil, fmt.Errorf("suite: create authority: %w", err)
	}
	if _, err := io.ReadFull(random, a.Secret[:]); err != nil {
		return nil, fmt.Errorf("suite: create authority: %w", err)
	}
	if err := a.Descriptor.check(); err != nil {
		return nil, fmt.Errorf("suite: create authority: %w", err)
	}
	if _, err := a.Rotate(now, DefaultAhead); err != nil {
		return nil, err
	}
	return a, nil
}

// Rotate forgets the login keys of the days before yesterday and makes what is
// missing from today until ahead days later. If it changed anything, Marshal
// has to be stored before the keys are used. Suites without keys of the day have
// nothing to change.
func (a *Authority) Rotate(now time.Time, ahead int) (changed bool, err error) {
	if !a.suite.DailyKeys() {
		return false, nil
	}
	today := Day(now)
	count := len(a.days)
	a.days = slices.DeleteFunc(a.days, func(d loginDay) bool { return d.key.Day+1 < today })
	changed = len(a.days) != count
	for day := today; day <= today+uint32(ahead); day++ {
		i, found := a.day(day)
		if found {
			continue
		}
		public, private, err := a.suite.NewLoginKey()
		if err != nil {
			return changed, err
		}
		key, err := signLoginKey(a.Login, day, public)
		if err != nil {
			return changed, err
		}
		a.days = slices.Insert(a.days, i, loginDay{key, private})
		changed = true
	}
	return changed, nil
}

func (a *Authority) day(day uint32) (int, bool) {
	return slices.BinarySearchFunc(a.days, day, func(d loginDay, day uint32) int { return cmp.Compare(d.key.Day, day) })
}

// OpenRequest opens a login request that was sealed to the key of a day; seal
// seals the reply. Requests to a forgotten day fail with ErrExpired; suites
// without keys of the day have one for all.
func (a *Authority) OpenRequest(day uint32, sealed []byte) (request []byte, seal func([]byte) ([]byte, error), err error) {
	if !a.suite.DailyKeys() {
		return a.suite.OpenRequest(a.Login.Marshal(), sealed)
	}
	i, found := a.day(day)
	if !found {
		return nil, nil, fmt.Errorf("suite: login key of day %d: %w", day, ErrExpired)
	}
	return a.suite.OpenRequest(a.days[i].private, sealed)
}

// SignDescriptor signs the descriptor under the next serial, with the login
// keys from today on.
func (a *Authority) SignDescriptor(now time.Time) ([]byte, error) {
	a.Descriptor.Serial++
	today := Day(now)
	a.Descriptor.LoginKeys = nil
	for _, d := range a.days {
		if d.key.Day >= today && d.key.Day <= today+publishedAhead {
			a.Descriptor.LoginKeys = append(a.Descriptor.LoginKeys, d.key)
		}
	}
	return a.Descriptor.Sign(a.Root)
}

// SignHead signs the word of the day.
func (a *Authority) SignHead(h *Head) ([]byte, error) { return h.sign(a.Login) }

// Salt makes NodeIDs unpredictable: HMAC-SHA-256(secret, user, 00, device, 00,
// signing key), cut to SaltSize. The key is in it because else, with the salt of
// his first certificate in hand, a user could try keys until one gives him the
// NodeID, and the seats in the directory, that he wants.
func (a *Authority) Salt(user linnet.UserName, device string, signing []byte) []byte {
	h := hmac.New(sha256.New, a.Secret[:])
	fmt.Fprintf(h, "%s\x00%s\x00", user, device)
	h.Write(signing)
	return h.Sum(nil)[:SaltSize]
}

// IssueCertificate certifies that a device belongs to a user, from now for as
// long as the policy says. That it is so, the caller has made sure of.
func (a *Authority) IssueCertificate(user linnet.UserName, device string, keys PublicKeys, serial uint64, now time.Time) ([]byte, *Certificate, error) {
	now = fromMinutes(toMinutes(now))
	c := &Certificate{
		User:      user,
		Device:    device,
		Signing:   keys.Signing,
		Agreement: keys.Agreement,
		Issued:    now,
		Expires:   now.AddDate(0, 0, int(a.Descriptor.Policy.orDefault().Certificates)),
		Serial:    serial,
		Salt:      a.Salt(user, device, keys.Signing),
	}
	b, err := Issue(a.Login, c)
	if err != nil {
		return nil, nil, err
	}
	return b, c, nil
}

// Invite is a link into the network.
func (a *Authority) Invite(bootstrap []netip.AddrPort, token []byte) Invite {
	return Invite{Fingerprint: a.Descriptor.Fingerprint(), Bootstrap: bootstrap, Token: token}
}

type authorityBody struct {
	Version    uint32     `obj:"0/0"`
	Root       []byte     `obj:"4/1"`
	Login      []byte     `obj:"4/2"`
	Secret     [32]byte   `obj:"4/3"`
	Descriptor Descriptor `obj:"5/4"`
	Days       []dayBody  `obj:"5/5,opt"`
}

type dayBody struct {
	Private []byte `obj:"4/0"`
	Key     []byte `obj:"4/1"` // signed
}

const authorityVersion = 1

// Marshal is the authority's file. It is all secrets.
func (a *Authority) Marshal() []byte {
	body := authorityBody{
		Version:    authorityVersion,
		Root:       a.Root.Marshal(),
		Login:      a.Login.Marshal(),
		Secret:     a.Secret,
		Descriptor: a.Descriptor,
	}
	for _, d := range a.days {
		body.Days = append(body.Days, dayBody{d.private, d.key.Signed})
	}
	return message.Marshal(&body)
}

// ParseAuthority reads what Marshal wrote.
func ParseAuthority(b []byte) (*Authority, error) {
	a, err := parseAuthority(b)
	if err != nil {
		return nil, fmt.Errorf("suite: authority file: %w", err)
	}
	return a, nil
}

func parseAuthority(b []byte) (*Authority, error) {
	var body authorityBody
	if err := unmarshal(b, &body); err != nil {
		return nil, err
	}
	if body.Version != authorityVersion {
		return nil, fmt.Errorf("version %d: this Linnet reads version %d", body.Version, authorityVersion)
	}
	a := &Authority{Descriptor: body.Descriptor, Secret: body.Secret}
	a.Descriptor.Policy = a.Descriptor.Policy.orDefault()
	err := a.Descriptor.check()
	if err != nil {
		return nil, err
	}
	if a.suite, err = Named(a.Descriptor.Suite); err != nil {
		return nil, err
	}
	if a.Root, err = a.suite.ParseKeys(body.Root); err != nil {
		return nil, err
	}
	if a.Login, err = a.suite.ParseKeys(body.Login); err != nil {
		return nil, err
	}
	for _, k := range []struct{ public, described []byte }{
		{a.Root.Public().Signing, a.Descriptor.Root},
		{a.Login.Public().Signing, a.Descriptor.Login},
	} {
		if !slices.Equal(k.public, k.described) {
			return nil, fmt.Errorf("%w: its keys are not the descriptor's", ErrMalformed)
		}
	}
	for _, d := range body.Days {
		key, err := a.Descriptor.OpenLoginKey(d.Key)
		if err != nil {
			return nil, err
		}
		i, found := a.day(key.Day)
		if found {
			return nil, fmt.Errorf("%w: two keys of day %d", ErrMalformed, key.Day)
		}
		a.days = slices.Insert(a.days, i, loginDay{key, d.Private})
	}
	return a, nil
}
