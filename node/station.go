package node

import (
	"context"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/call"
	"github.com/linnet-p2p/linnet/directory"
	"github.com/linnet-p2p/linnet/overlay"
	"github.com/linnet-p2p/linnet/relay"
	"github.com/linnet-p2p/linnet/session"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/traverse"
)

// A station is everything that a signed-in device is on the network: its state
// machines, under one identity. All of it belongs to the loop of its node.
type station struct {
	node     *Node
	log      *slog.Logger
	self     *suite.Certificate
	keys     suite.Keys
	id       linnet.NodeID
	identity overlay.Identity
	trust    overlay.Trust

	// The machines.
	sessions  *session.Endpoint
	overlay   *overlay.Machine
	directory *directory.Client
	member    *directory.Supernode // nil: is none
	relays    *relay.Client
	calls     *call.Machine

	// How it stands on the network.
	addrs     []netip.AddrPort // on this host
	observed  netip.AddrPort   // as supernodes see this node
	test      natTest          // of the NAT
	side      uint32           // spare socket, by which a supernode tries its clients' filters
	nat       traverse.Detector
	lifetime  lifetime
	promises  traverse.Promises                // to clients, who measure theirs
	witnesses map[linnet.NodeID]netip.AddrPort // of nat: supernodes over UDP, and where they are
	carried   time.Time                        // when a supernode last told of another network
	doorway   doorway
	outlets   *outlets // nil: nobody wanted to know
	hops      int      // that it takes to open the NATs before this node; 0: not known
	measuring bool     // them
	online    bool
	trouble   string        // why it is not, for people
	proxy     *linnet.Error // what a proxy said lately instead of connecting
	withdrawn chan struct{} // closed when the network knows that this device leaves; nil: nobody waits

	// Sessions, and what goes through supernodes.
	asked    asked
	own      map[uint16]uint64     // in asked: what this node asks itself, by the id of the request
	dials    map[linnet.NodeID]int // ways that a Hello is under way by
	unrouted map[linnet.NodeID]int // Hellos that found no way, of those under way
	streams  streams
	places   places

	// Other people.
	people       people
	talks        talks
	tells        tells
	lookups      map[directory.Lookup]func(now time.Time, l linnet.Listing, err error)
	certificates map[linnet.NodeID]*suite.Certificate // of devices that look-ups have shown lately

	// For others.
	volunteer volunteering
	ledger    ledger
	mail      postbox
	cards     pages
	relaying  relaying
	searches  uint64 // of the directory that were asked here

	// The paths of calls.
	pairs   map[linnet.NodeID]*pair
	sweep   time.Time               // when to look for pairs without a call; zero: there are none
	relayed map[uint32]session.Path // by own tag: the relay that packets under it come by

	// Calls.
	ringing   bool          // a call is being stored that is to ring
	afterRing []call.Effect // what is to be done then
	board     *switchboard
	phones    map[linnet.CallID]*phone
	preludes  map[linnet.CallID]*prelude
	media     map[linnet.CallID]linnet.CallMedia // what to play and record
	receipts  map[linnet.CallID]linnet.Receipt   // of calls whose media is over, until they have ended

	files shelf
}

// newStation makes the station of an identity that the authority has signed.
func (n *Node) newStation(ctx context.Context, now time.Time, id *store.Identity) (*station, error) {
	d := n.network.get()
	crypto, err := suite.Named(d.Suite)
	if err != nil {
		return nil, err
	}
	keys, err := crypto.ParseKeys(id.Keys)
	if err != nil {
		return nil, fmt.Errorf("keys of the database: %w", err)
	}
	trust, err := overlay.TrustIn(d)
	if err != nil {
		return nil, err
	}
	trust.Admit = overlay.AdmittedBy(d.Policy.Promotion)
	cert, err := trust.Certificate(id.Certificate, now)
	if err != nil {
		return nil, fmt.Errorf("own certificate: %w", err)
	}
	s := &station{
		node: n, log: n.log, self: cert, keys: keys, id: cert.NodeID(),
		trust:        trust,
		dials:        make(map[linnet.NodeID]int),
		witnesses:    make(map[linnet.NodeID]netip.AddrPort),
		unrouted:     make(map[linnet.NodeID]int),
		certificates: make(map[linnet.NodeID]*suite.Certificate),
		lookups:      make(map[directory.Lookup]func(time.Time, linnet.Listing, error)),
		pairs:        make(map[linnet.NodeID]*pair),
		relays:       relay.NewClient(relay.ClientOptions{}),
		relayed:      make(map[uint32]session.Path),
		phones:       make(map[linnet.CallID]*phone),
		preludes:     make(map[linnet.CallID]*prelude),
		media:        make(map[linnet.CallID]linnet.CallMedia),
		receipts:     make(map[linnet.CallID]linnet.Receipt),
	}
	s.addrs = n.ownAddrs()
	n.link.SetClassic(n.classic())
	s.board = newSwitchboard(n.link)
	s.sessions = session.New(session.Options{
		Suite: crypto, Network: d.Network, Node: s.id, Keys: keys, Certificate: id.Certificate,
		OpenCertificate: s.greets(d.OpenCertificate), ShortTags: n.classic(),
		ForgetCertificates: cert.User.IsNode(), // nobody calls an operator's machine, and it serves many
		Early:              func(c *suite.Certificate) bool { return s.onList(c.User) },
	})
	s.streams = newStreams(n.link, s.sessions)
	self := overlay.Identity{Node: s.id, Certificate: id.Certificate, Keys: keys}
	s.identity = self
	volunteer, err := s.loadVolunteer(ctx)
	if err != nil {
		return nil, err
	}
	hosts, err := n.store.HostCache(ctx)
	if err != nil {
		return nil, err
	}
	limits := overlay.Limits{Clients: n.opts.Clients}
	if !cert.User.IsNode() {
		limits.Clients = volunteerClients
	}
	random := mathrand.New(mathrand.NewPCG(mathrand.Uint64(), mathrand.Uint64()))
	s.overlay = overlay.New(overlay.Options{
		Self: self, Trust: s.trust, Rand: random, Role: n.opts.Role, Addrs: n.advertised(),
		Web: n.webRungs(), WebName: webName(n.opts.Web.Certificate), Ladder: n.opts.Ladder, Reach: n.reach,
		Bootstrap: overlay.BootstrapHosts(d), HostCache: hosts,
		Seats:     overlay.Seats{PerNetwork: int(d.Policy.Limits.SeatsPerNetwork), PerAccount: int(d.Policy.Limits.Supernodes)},
		Volunteer: volunteer, Limits: limits,
	})
	if err := s.overlay.Start(now); err != nil {
		s.log.Warn("overlay", "err", err)
	}
	if err := s.startPresence(ctx, now, crypto, random); err != nil {
		return nil, err
	}
	if err := s.startChat(ctx, now, crypto, random); err != nil {
		return nil, err
	}
	if err := s.startTelling(ctx, now, crypto, random); err != nil {
		return nil, err
	}
	if err := s.startDirectory(ctx, now, self, random); err != nil {
		return nil, err
	}
	s.startMailbox(self)
	if err := s.startPages(ctx, now, self, random); err != nil {
		return nil, err
	}
	if n.opts.Role&linnet.Supernode != 0 {
		if err := s.startSupernode(ctx, now); err != nil {
			return nil, err
		}
	}
	s.watchMachine()
	s.watchStrain()
	if n.opts.Role&linnet.Relay != 0 {
		s.startRelaying(now, n.advertised(), relay.ServerOptions{})
	}
	if err := s.startCalls(ctx, now); err != nil {
		return nil, err
	}
	if err := s.startFiles(ctx, now); err != nil {
		return nil, err
	}
	return s, nil
}

// advertised is where others reach this node if it is a supernode.
func (n *Node) advertised() []netip.AddrPort {
	if !n.opts.Advertise.IsValid() {
		return n.ownAddrs()
	}
	at := []netip.AddrPort{n.opts.Advertise}
	if listens := n.link.Addr().Addr(); listens != netip.IPv6Unspecified() {
		return at // on one family, or one address, only
	}
	for _, a := range n.ownAddrs() {
		// The machine's public address of the other family, so that it serves those
		// who have only that one.
		if ip := a.Addr(); ip.Is4() != at[0].Addr().Is4() && ip.IsGlobalUnicast() && !ip.IsPrivate() {
			return append(at, a)
		}
	}
	return at
}

// ownAddrs are the node's addresses on the host that it runs on.
func (n *Node) ownAddrs() []netip.AddrPort {
	at := n.link.Addr()
	if !at.Addr().IsUnspecified() {
		return []netip.AddrPort{at}
	}
	addrs, err := n.opts.Net.Addrs()
	if err != nil {
		n.log.Warn("the host's addresses", "err", err)
	}
	if len(addrs) == 0 {
		addrs = []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1})} // a machine without a network still has itself
	}
	own := make([]netip.AddrPort, 0, overlay.MaxAddrs)
	for _, a := range addrs {
		if len(own) < cap(own) {
			own = append(own, netip.AddrPortFrom(a, at.Port()))
		}
	}
	return own
}

// deadline is when the first of the machines wants its Tick.
func (s *station) deadline() time.Time {
	d := s.sweep
	for m := range s.machines {
		d = soonest(d, m.Deadline())
	}
	return d
}

func (s *station) tick(now time.Time) {
	for m := range s.machines {
		m.Tick(now)
	}
	if !s.sweep.IsZero() && !now.Before(s.sweep) {
		s.sweepPairs(now)
	}
}

// A machine is what all state machines have in common, but for their effects.
type machine interface {
	Tick(now time.Time)
	Deadline() time.Time
}

// machines are all of them (an iter.Seq).
func (s *station) machines(yield func(machine) bool) {
	for _, m := range []machine{s.sessions, s.overlay, s.directory, s.mail.client, s.cards.client, s.calls, s.relays, &s.relaying, &s.streams, &s.promises} {
		if !yield(m) {
			return
		}
	}
	if s.member != nil && !yield(s.member) {
		return
	}
	if s.mail.member != nil && !yield(s.mail.member) {
		return
	}
	if s.people.machine != nil && !(yield(s.people.machine) && yield(s.talks.machine) && yield(s.tells.machine)) {
		return
	}
	if s.files.machine != nil && !yield(s.files.machine) {
		return
	}
	if s.lifetime.measure != nil && !yield(s.lifetime.measure) {
		return
	}
	for _, p := range s.pairs {
		if !yield(p.way) {
			return
		}
	}
}

func soonest(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// settle does what the machines want until none wants anything. What one wants
// may be an event of another one.
func (s *station) settle(now time.Time) {
	for s.settleOnce(now) {
	}
}

func (s *station) settleOnce(now time.Time) (busy bool) {
	busy = each(now, slices.Clone(s.sessions.Take()), s.sessionEffect) // its own memory lasts until the next Take
	busy = each(now, s.overlay.Take(), s.overlayEffect) || busy
	busy = each(now, s.directory.Take(), s.directoryEffect) || busy
	if s.member != nil {
		busy = all(now, s.member.Take(), s.memberEffects) || busy
	}
	busy = each(now, s.mail.client.Take(), s.mailEffect) || busy
	if s.mail.member != nil {
		busy = each(now, s.mail.member.Take(), s.mailMemberEffect) || busy
	}
	if s.people.machine != nil {
		busy = all(now, s.people.machine.Take(), s.presenceEffects) || busy
		busy = all(now, s.talks.machine.Take(), s.chatEffects) || busy
		busy = each(now, s.tells.machine.Take(), s.tellEffect) || busy
	}
	busy = each(now, s.cards.client.Take(), s.cardEffect) || busy
	busy = each(now, s.relays.Take(), s.relayEffect) || busy
	busy = each(now, s.relaying.Take(), s.tellSide) || busy
	if all(now, s.calls.Take(), s.callEffects) {
		busy = true
		s.filesGiveWay()
	}
	if s.files.machine != nil {
		busy = all(now, s.files.machine.Take(), s.fileEffects) || busy
	}
	busy = s.settleLifetime(now) || busy
	for _, p := range s.pairs {
		busy = s.settlePair(now, p) || busy
	}
	return busy
}

// each does the effects one by one, and all those of a machine that are only
// done together; both say whether there were any.
func each[E any](now time.Time, effects []E, do func(time.Time, E)) bool {
	for _, e := range effects {
		do(now, e)
	}
	return len(effects) > 0
}

func all[E any](now time.Time, effects []E, do func(time.Time, []E)) bool {
	if len(effects) > 0 {
		do(now, effects)
	}
	return len(effects) > 0
}

// renew takes a new certificate.
func (s *station) renew(now time.Time, signed []byte) error {
	cert, err := s.trust.Certificate(signed, now)
	if err != nil {
		return fmt.Errorf("new certificate: %w", err)
	}
	s.self = cert
	self := overlay.Identity{Node: s.id, Certificate: signed, Keys: s.keys}
	s.identity = self
	s.sessions.SetCertificate(signed)
	s.directory.Renew(now, self)
	s.mail.client.Renew(self)
	if s.people.machine != nil {
		s.people.machine.Renew(now, self)
		s.talks.machine.Renew(self)
		s.tells.machine.Renew(self)
	}
	s.cards.client.Renew(self)
	return s.overlay.Renew(now, self)
}

// withdraw begins to leave: calls end, and the directory hears that the device
// is offline, which closes the channel.
func (s *station) withdraw(now time.Time) <-chan struct{} {
	if s.people.machine != nil {
		s.people.machine.Leave(now)
	}
	for _, c := range s.calls.Calls() {
		if c.State != linnet.CallEnded {
			s.hangUp(now, c.ID)
		}
	}
	s.withdrawn = make(chan struct{})
	gone := s.withdrawn
	if s.self.User.IsNode() {
		close(s.withdrawn) // it is in no directory
		s.withdrawn = nil
	} else {
		s.directory.Withdraw(now)
	}
	s.settle(now)
	return gone
}

// drain begins to stop a supernode: others take its clients and its slots, and
// the relays that it is.
func (s *station) drain(now time.Time) {
	s.withdraw(now)
	s.overlay.Leave(now)
	if s.relaying.server != nil {
		for _, t := range s.relaying.server.HandBack() {
			s.tellSide(now, t)
		}
	}
	s.settle(now)
}

// leave says good-bye to the supernodes and ends what runs beside the loop.
func (s *station) leave(now time.Time) {
	s.overlay.Leave(now)
	s.settle(now)
	for _, p := range s.phones {
		p.stop()
	}
	for _, done := range s.tells.left {
		done <- errNotSignedIn
	}
	s.node.link.CloseSpares()
	s.stopFiles()
	s.node.volunteers.Store(false)
	s.node.relaying.Store(nil)
}
