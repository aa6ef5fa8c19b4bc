package login

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// headLife is how often the authority's head is signed anew.
const headLife = time.Hour

// ServerOptions configures a Server. The zero value works.
type ServerOptions struct {
	// Save keeps suite.Authority.Marshal whenever it has changed, which is once
	// a day; nil keeps nothing. Keys that a restart loses cost the clients that
	// used them one more round trip.
	Save    func(authority []byte) error
	Now     func() time.Time // nil means time.Now
	Workers int              // requests that are opened at the same time; default GOMAXPROCS
	Queue   int              // requests that are under way; more are told to come back. Default 1024
	Log     *slog.Logger     // for the operator; nil discards
}

// A Server answers the login requests of one network. Its methods may be
// called by any number of goroutines; it starts none.
type Server struct {
	accounts *Accounts
	suite    suite.Suite
	form     form
	policy   suite.Policy
	network  linnet.NetworkID
	options  ServerOptions

	workers  chan struct{} // a place for each
	locks    locksmith
	underway atomic.Int64
	nonces   nonces
	delays   delays

	mu          sync.RWMutex // guards all below
	authority   *suite.Authority
	descriptor  []byte
	fingerprint [32]byte
	day         uint32 // that descriptor was signed on
	head        []byte
	headTime    time.Time
}

// NewServer makes the server of a network. The authority is the server's from
// now on, the accounts stay the caller's to close.
func NewServer(ctx context.Context, accounts *Accounts, authority *suite.Authority, opts ServerOptions) (*Server, error) {
	if opts.Save == nil {
		opts.Save = func([]byte) error { return nil }
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Workers == 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Queue == 0 {
		opts.Queue = 1024
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	cryptography, err := suite.Named(authority.Descriptor.Suite)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	s := &Server{
		accounts:    accounts,
		authority:   authority,
		suite:       cryptography,
		form:        formOf(cryptography),
		policy:      authority.Descriptor.Policy,
		network:     authority.Descriptor.Network,
		fingerprint: authority.Descriptor.Fingerprint(),
		options:     opts,

		workers: make(chan struct{}, opts.Workers),
	}
	s.locks = func(salt, verifier []byte) []byte {
		s.workers <- struct{}{} // on classic networks this is slow
		defer func() { <-s.workers }()
		return s.suite.Lock(salt, verifier, s.policy.Password)
	}
	if err := s.refresh(ctx, opts.Now()); err != nil {
		return nil, err
	}
	return s, nil
}

// Descriptor is the network's descriptor as of today, signed.
func (s *Server) Descriptor() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.descriptor
}

// refresh makes the keys of the day, the descriptor that shows them, and the
// head, whenever they are due.
func (s *Server) refresh(ctx context.Context, now time.Time) error {
	s.mu.RLock()
	newDay, newHead := s.due(now)
	s.mu.RUnlock()
	if !newDay && !newHead {
		return nil
	}
	revoked, err := s.accounts.revoked(ctx, now)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	newDay, newHead = s.due(now) // another request may have been faster
	if newDay {
		if _, err := s.authority.Rotate(now, suite.DefaultAhead); err != nil {
			return fmt.Errorf("login: keys of the day: %w", err)
		}
		descriptor, err := s.authority.SignDescriptor(now)
		if err != nil {
			return fmt.Errorf("login: %w", err)
		}
		if err := s.options.Save(s.authority.Marshal()); err != nil {
			s.options.Log.Error("the authority's keys of the day could not be saved", "error", err)
		}
		s.descriptor, s.day = descriptor, suite.Day(now)
	}
	if newHead {
		head, err := s.authority.SignHead(&suite.Head{
			Time:       now,
			Serial:     uint64(now.Unix()), // rises on every server of the network without a word between them
			Revoked:    suite.DigestRevoked(revoked),
			Descriptor: s.authority.Descriptor.Serial,
		})
		if err != nil {
			return fmt.Errorf("login: %w", err)
		}
		s.head, s.headTime = head, now
	}
	return nil
}

// due is called with mu held. A new day has a new descriptor, which the head
// names.
func (s *Server) due(now time.Time) (newDay, newHead bool) {
	newDay = s.descriptor == nil || s.day != suite.Day(now)
	return newDay, newDay || now.Sub(s.headTime).Abs() >= headLife
}

// Handle answers a message of a client at an address. It never sleeps; nil
// means that the message deserves no answer.
func (s *Server) Handle(ctx context.Context, from netip.Addr, m message.Message) message.Message {
	if s.underway.Add(1) > int64(s.options.Queue) {
		s.underway.Add(-1)
		return &message.Failure{Code: message.FailureTooMany, Text: "the login server is busy: try again in a moment"}
	}
	defer s.underway.Add(-1)
	now := s.options.Now()
	s.keepFresh(ctx, now)
	switch m := m.(type) {
	case *message.Login:
		reply, failure := s.answer(ctx, from, now, m.Key, m.Sealed)
		switch {
		case failure != nil:
			return failure
		case reply == nil:
			return nil
		}
		return &message.LoginReply{Sealed: reply}
	case *message.AskDescriptor:
		return s.describe(m)
	}
	return &message.Failure{Code: message.FailureInvalid, Text: "this is a login server: it takes login requests only"}
}

func (s *Server) keepFresh(ctx context.Context, now time.Time) {
	if err := s.refresh(ctx, now); err != nil {
		s.options.Log.Error("refresh", "error", err) // what there is still serves
	}
}

func (s *Server) describe(m *message.AskDescriptor) message.Message {
	if !bytes.Equal(m.Fingerprint, s.fingerprint[:]) {
		return &message.Failure{Code: message.FailureNotFound, Text: "this login server serves another network"}
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return &message.DescriptorIs{Descriptor: s.descriptor, Head: s.head}
}

// answer opens a request, has it decided and seals the reply; there is none to a
// request that is repeated.
func (s *Server) answer(ctx context.Context, from netip.Addr, now time.Time, key uint32, sealed []byte) (reply []byte, failure *message.Failure) {
	body, seal, failure := s.open(ctx, key, sealed)
	if failure != nil {
		return nil, failure
	}
	certificate, err := s.decide(ctx, from, now, body)
	if errors.Is(err, errRepeated) {
		return nil, nil
	}
	result := new(message.LoginResult)
	if err == nil {
		s.mu.RLock()
		result.Certificate, result.Head = certificate, s.head
		s.mu.RUnlock()
	} else if r, ok := errors.AsType[*refusal](err); ok {
		result = r.result()
	} else {
		s.options.Log.Error("login", "user", body.User, "error", err)
		result.Failure = &message.Failure{Code: message.FailureUnavailable, Text: "the login server has a problem of its own"}
	}
	reply, err = seal(s.form.result(result))
	if err != nil {
		s.options.Log.Error("seal", "error", err)
		return nil, &message.Failure{Code: message.FailureUnavailable, Text: "the login server has a problem of its own"}
	}
	return reply, nil
}

// open is the expensive part that strangers can cause, so only Workers of them
// run at a time.
func (s *Server) open(ctx context.Context, key uint32, sealed []byte) (*message.LoginBody, func([]byte) ([]byte, error), *message.Failure) {
	select {
	case s.workers <- struct{}{}:
		defer func() { <-s.workers }()
	case <-ctx.Done():
		return nil, nil, &message.Failure{Code: message.FailureUnavailable, Text: "the login server is closing"}
	}
	s.mu.RLock()
	request, seal, err := s.authority.OpenRequest(key, sealed)
	s.mu.RUnlock()
	switch {
	case errors.Is(err, suite.ErrExpired):
		return nil, nil, &message.Failure{Code: message.FailureKey, Text: "the request is sealed to the key of another day"}
	case err != nil:
		return nil, nil, &message.Failure{Code: message.FailureInvalid, Text: "the request cannot be opened"}
	}
	body, err := s.read(request)
	if err != nil {
		return nil, nil, &message.Failure{Code: message.FailureInvalid, Text: "the request makes no sense"}
	}
	return body, seal, nil
}

// read reads what was sealed and verifies that the device whose keys are in it
// made it for this network.
func (s *Server) read(request []byte) (*message.LoginBody, error) {
	body, signed, signature, err := s.form.readRequest(request)
	if err != nil {
		return nil, err
	}
	return body, s.suite.Verify(body.Signing, suite.ForLogin, toSign(s.network, signed), signature)
}

// errRepeated says that a request was answered before.
var errRepeated = errors.New("repeated request")

// decide answers an opened request with a certificate or a refusal. What it
// grants is on disk.
func (s *Server) decide(ctx context.Context, from netip.Addr, now time.Time, body *message.LoginBody) ([]byte, error) {
	if skew := time.UnixMilli(int64(body.Time)).Sub(now); skew.Abs() > maxSkew {
		way := "ahead"
		if skew < 0 {
			way = "behind"
		}
		return nil, refuse(message.FailureClock, "the clock of this machine is %v %s", skew.Abs().Round(time.Second), way)
	}
	if err := s.check(body); err != nil {
		return nil, err
	}
	nonce := [nonceSize]byte(body.Nonce)
	if fresh, room := s.nonces.use(nonce, now); !fresh {
		return nil, errRepeated
	} else if !room {
		return nil, &refusal{message.FailureTooMany, "the login server is busy", maxSkew}
	}
	certificate, err := s.act(ctx, from, now, body)
	if err != nil {
		s.nonces.forget(nonce)
	}
	return certificate, err
}

// maxVerifier bounds what a suite may make of a password.
const maxVerifier = 64

// check is about the form of a request alone.
func (s *Server) check(body *message.LoginBody) error {
	switch {
	case s.suite.CheckKeys(suite.PublicKeys{Signing: body.Signing, Agreement: body.Agreement}) != nil:
		return refuse(message.FailureInvalid, "keys of %d and %d bytes", len(body.Signing), len(body.Agreement))
	case len(body.Nonce) != nonceSize:
		return refuse(message.FailureInvalid, "nonce of %d bytes", len(body.Nonce))
	case suite.CheckDeviceName(body.Device) != nil:
		return refuse(message.FailureInvalid, "a device name has 1 to %d bytes of printable text", suite.MaxDeviceName)
	case body.Action == message.ActionRenew:
		return nil
	case len(body.Token) > suite.MaxInviteToken:
		return refuse(message.FailureInvalid, "token of %d bytes", len(body.Token))
	case body.Action == message.ActionRegister && body.User.IsNode():
		if err := checkMachine(body.Device); err != nil || body.User != linnet.NodeName(body.Device) {
			return refuse(message.FailureInvalid, "this is not the name of a machine")
		}
		return nil
	case len(body.Verifier) == 0 || len(body.Verifier) > maxVerifier:
		return refuse(message.FailureInvalid, "the request makes no sense")
	}
	if name, err := linnet.ParseUserName(string(body.User)); err != nil || name != body.User {
		return refuse(message.FailureInvalid, "%v", linnet.ErrUserName)
	}
	return nil
}

func (s *Server) act(ctx context.Context, from netip.Addr, now time.Time, body *message.LoginBody) ([]byte, error) {
	c := claim{body.User, body.Device, body.Signing, body.Agreement}
	switch body.Action {
	case message.ActionRegister, message.ActionLogin:
	case message.ActionRenew:
		return s.renew(ctx, now, c, body.Expiring)
	default:
		return nil, refuse(message.FailureInvalid, "this login server is too old for this request")
	}
	standing, err := s.accounts.standing(ctx, c)
	if err != nil {
		return nil, err
	}
	suspects := s.suspects(from, c, standing)
	if wait := s.delays.attempt(now, suspects...); wait > 0 {
		return nil, &refusal{message.FailureTooMany, "too many attempts", wait}
	}
	var certificate []byte
	switch {
	case c.user.IsNode():
		certificate, err = s.enlist(ctx, now, c, body.Token, standing.known)
	// Who registers again what he has registered, from the same device, never
	// got the answer: that is a login.
	case body.Action == message.ActionRegister && !(standing.known && s.locks.opens(standing.lock, body.Verifier)):
		certificate, err = s.register(ctx, from, now, c, body)
	case body.Action == message.ActionLogin && !s.locks.opens(standing.lock, body.Verifier):
		return nil, refuse(message.FailurePassword, "the name or the password is wrong")
	default:
		certificate, err = s.issue(ctx, now, c, func(p period) (uint64, error) { return s.accounts.admit(ctx, c, p) })
	}
	if _, refused := errors.AsType[*refusal](err); !refused {
		s.delays.forgive(suspects...)
	}
	return certificate, err
}

// suspects is whom a failed attempt counts against. A known device is apart
// from all others, so that their guesses do not lock its user out.
func (s *Server) suspects(from netip.Addr, c claim, standing standing) []suspect {
	if standing.known && !standing.revoked {
		return []suspect{{"device " + string(c.signing), freeForDevice}}
	}
	at := place(from)
	return []suspect{{"user " + string(c.user) + " at " + at, freeForUser}, {"address " + at, freeForAddress}}
}

func (s *Server) register(ctx context.Context, from netip.Addr, now time.Time, c claim, body *message.LoginBody) ([]byte, error) {
	var token []byte
	switch s.policy.Registration {
	case suite.RegistrationOpen:
	case suite.RegistrationInvite:
		if token = body.Token; token == nil {
			token = []byte{} // wanted all the same
		}
	default:
		return nil, refuse(message.FailureClosed, "this network takes no new accounts")
	}
	if wait := s.delays.attempt(now, suspect{"accounts from " + place(from), freeAccounts}); wait > 0 {
		return nil, &refusal{message.FailureTooMany, "too many new accounts", wait}
	}
	return s.issue(ctx, now, c, func(p period) (uint64, error) {
		return s.accounts.create(ctx, c, s.locks.lock(body.Verifier), token, p)
	})
}

// renew is for devices that are signed in, users' and operators' alike.
func (s *Server) renew(ctx context.Context, now time.Time, c claim, expiring []byte) ([]byte, error) {
	s.mu.RLock()
	old, err := s.authority.Descriptor.OpenCertificate(expiring, now)
	s.mu.RUnlock()
	switch {
	case errors.Is(err, suite.ErrExpired):
		return nil, refuse(message.FailureDenied, "the certificate has expired")
	case err != nil:
		return nil, refuse(message.FailureInvalid, "the certificate is not this network's")
	case old.User != c.user || old.Device != c.device || !bytes.Equal(old.Signing, c.signing) || !bytes.Equal(old.Agreement, c.agreement):
		return nil, refuse(message.FailureInvalid, "the certificate is another device's")
	}
	if wait := RenewAt(old).Sub(now); wait > 0 {
		return nil, &refusal{message.FailureTooMany, "the certificate is not at half of its life yet", wait}
	}
	return s.issue(ctx, now, c, func(p period) (uint64, error) {
		p.renew = true
		return s.accounts.admit(ctx, c, p)
	})
}

// issue has a claim stored and then certifies it.
func (s *Server) issue(ctx context.Context, now time.Time, c claim, store func(period) (serial uint64, err error)) ([]byte, error) {
	if wait := s.delays.attempt(now, suspect{"certificates of " + string(c.signing), freeCertificate}); wait > 0 {
		return nil, &refusal{message.FailureTooMany, "too many certificates for one device", wait}
	}
	serial, err := store(period{
		now:        now,
		expires:    now.AddDate(0, 0, int(s.policy.Certificates)),
		newDevices: int(s.policy.Limits.NewDevices),
	})
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b, _, err := s.authority.IssueCertificate(c.user, c.device, suite.PublicKeys{Signing: c.signing, Agreement: c.agreement}, serial, now)
	return b, err
}

// IssueNode certifies an operator's machine under the name "node:" + name. It
// is for the network's owner; over the network a machine needs a ticket, though
// it renews its certificate there.
func (s *Server) IssueNode(ctx context.Context, name string, keys suite.PublicKeys) (certificate []byte, err error) {
	return s.IssueService(ctx, linnet.NodeName(name), name, keys)
}

// IssueService certifies a device of a user without a password, such as
// echo123, who is run by the network's owner.
func (s *Server) IssueService(ctx context.Context, user linnet.UserName, device string, keys suite.PublicKeys) (certificate []byte, err error) {
	now := s.options.Now()
	c := claim{user, device, keys.Signing, keys.Agreement}
	serial, err := s.accounts.certify(ctx, c, period{now: now, expires: now.AddDate(0, 0, int(s.policy.Certificates))})
	if err == nil {
		s.mu.RLock()
		certificate, _, err = s.authority.IssueCertificate(user, device, keys, serial, now)
		s.mu.RUnlock()
	}
	if err != nil {
		return nil, fmt.Errorf("login: certify %s: %w", user, err)
	}
	return certificate, nil
}
