package suite

import "fmt"

// Policy is how the authority runs its network.
type Policy struct {
	Promotion    Promotion      `obj:"3/0,opt"` // default PromotionOpen
	Registration Registration   `obj:"3/1,opt"` // default RegistrationInvite
	Records      uint32         `obj:"0/2,opt"` // hours that a device record is kept unrefreshed; default 72
	Certificates uint32         `obj:"0/3,opt"` // days that a certificate is good for; default 30
	Password     PasswordParams `obj:"5/4,opt"`
	Limits       Limits         `obj:"5/5,opt"`
}

// Limits keep anybody from drawing seats in the network at will.
type Limits struct {
	NewDevices      uint32 `obj:"0/0,opt"` // per account and day; default 5
	Supernodes      uint32 `obj:"0/1,opt"` // per account; default 1
	SeatsPerNetwork uint32 `obj:"0/2,opt"` // members of a slot in one IPv4 /24 or IPv6 /48; default 2
}

// Promotion says whose machines become supernodes.
type Promotion string

// The kinds of promotion.
const (
	PromotionOpen   Promotion = "open"   // anybody's who agreed
	PromotionHosted Promotion = "hosted" // operators' only
)

// Registration says who may make an account.
type Registration string

// The kinds of registration.
const (
	RegistrationOpen   Registration = "open"
	RegistrationInvite Registration = "invite" // with the token of an invite
	RegistrationClosed Registration = "closed" // nobody
)

// orDefault fills in the second recommendation of RFC 9106.
func (p PasswordParams) orDefault() PasswordParams {
	return PasswordParams{
		Time:    or(p.Time, 3),
		Memory:  or(p.Memory, 64<<10),
		Threads: or(p.Threads, 4),
	}
}

func (p Policy) orDefault() Policy {
	return Policy{
		Promotion:    or(p.Promotion, PromotionOpen),
		Registration: or(p.Registration, RegistrationInvite),
		Records:      or(p.Records, 72),
		Certificates: or(p.Certificates, 30),
		Password:     p.Password.orDefault(),
		Limits: Limits{
			NewDevices:      or(p.Limits.NewDevices, 5),
			Supernodes:      or(p.Limits.Supernodes, 1),
			SeatsPerNetwork: or(p.Limits.SeatsPerNetwork, 2),
		},
	}
}

func or[T comparable](v, otherwise T) T {
	var zero T
	if v == zero {
		return otherwise
	}
	return v
}

// check keeps a policy to what a client can follow, whoever signed it: a
// password must not eat the machine.
func (p Policy) check() error {
	switch p.Promotion {
	case PromotionOpen, PromotionHosted:
	default:
		return fmt.Errorf("%w: promotion %q", ErrMalformed, p.Promotion)
	}
	switch p.Registration {
	case RegistrationOpen, RegistrationInvite, RegistrationClosed:
	default:
		return fmt.Errorf("%w: registration %q", ErrMalformed, p.Registration)
	}
	if p.Records > 24*365 || p.Certificates > 3650 {
		return fmt.Errorf("%w: times of the policy", ErrMalformed)
	}
	if w := p.Password; w.Time > 32 || w.Threads > 32 || w.Memory > 1<<20 || w.Memory < 8*w.Threads {
		return fmt.Errorf("%w: cost of a password %+v", ErrMalformed, w)
	}
	return nil
}
