// Package bulk carries streams of bytes between two devices that have a session:
// QUIC, whose packets travel as media does, under the media tags of the session and
// by the path that it has.
//
// QUIC brings what a file needs: order, resending, congestion control, encryption of
// its own. Who is at the other end is the session's to say: each side makes a
// certificate when it starts and tells its hash in the session (message.BulkConnect).
// Packets of others than those who are expected so are dropped unread.
//
// The package decides nothing about files, and opens no socket: what it sends goes to
// Options.Send, and what comes to Endpoint.Packet.
//
// # Wire form
//
// A packet is one of QUIC version 1 (RFC 9000) of at most 1200 bytes, or up to 1280 where the
// session knows that they pass when the connection begins. Its first byte
// tells it from RTP and RTCP, as RFC 9443 has it: those have the two highest bits 10,
// and QUIC has not. TLS 1.3 with the ALPN "linnet-bulk/1", without server name.
package bulk

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/linnet-p2p/linnet"
)

const (
	alpn = "linnet-bulk/1"

	handshakeFor = 15 * time.Second // a path may have to be found first
	idleFor      = 15 * time.Second
	keepAlive    = 4 * time.Second

	streamWindow     = 4 << 20
	connectionWindow = 6 << 20

	maxPeers    = 64 // who are expected or dialled
	connsOfPeer = 4  // of one peer, accepted
	maxStreams  = 8
)

// Errors that callers branch on.
var (
	ErrClosed   = errors.New("the endpoint is closed")
	ErrIdentity = errors.New("the other side has another certificate than it said")
	ErrTooMany  = errors.New("too many peers at once")
)

// A Hash is the SHA-256 of a certificate.
type Hash = [sha256.Size]byte

// Is says whether a packet under a media tag is QUIC's.
func Is(packet []byte) bool { return len(packet) > 0 && packet[0]&0xc0 != 0x80 }

// Options configures an Endpoint.
type Options struct {
	// Send sends a packet to a peer by the path that there is, or drops it. It may be
	// called by any goroutine, and b is the endpoint's again when it returns.
	Send func(peer linnet.NodeID, b []byte)
}

// An Endpoint holds the QUIC connections of one device. Its methods may be called by
// any goroutine.
type Endpoint struct {
	port      *port
	transport *quic.Transport
	listener  *quic.Listener
	tls       *tls.Config
	hash      Hash

	mu    sync.Mutex
	peers map[linnet.NodeID]*peer
}

// peer is one of whom packets are taken.
type peer struct {
	expected Hash // of its certificate, where it dials; zero: it may not
	coming   int  // accepted, or about to be
	dialled  int  // by us, still open
	size     int  // of packets, as Resize said
	conns    map[*Conn]struct{}
	narrower chan struct{} // closed when size falls
}

// New makes an Endpoint with a new certificate.
func New(o Options) (*Endpoint, error) {
	certificate, hash, err := newCertificate()
	if err != nil {
		return nil, fmt.Errorf("bulk: certificate: %w", err)
	}
	e := &Endpoint{
		port: newPort(o.Send), hash: hash, peers: make(map[linnet.NodeID]*peer),
		tls: &tls.Config{
			Certificates: []tls.Certificate{certificate}, NextProtos: []string{alpn}, MinVersion: tls.VersionTLS13,
			ClientAuth: tls.RequireAnyClientCert, SessionTicketsDisabled: true,
		},
	}
	e.transport = &quic.Transport{Conn: e.port, ConnContext: e.admit}
	listening := config(leastSize)
	listening.GetConfigForClient = func(info *quic.ClientInfo) (*quic.Config, error) {
		from, _ := info.RemoteAddr.(addr)
		return config(e.sizeFor(linnet.NodeID(from))), nil
	}
	if e.listener, err = e.transport.Listen(e.tls, listening); err != nil {
		return nil, fmt.Errorf("bulk: %w", err)
	}
	return e, nil
}

func config(size int) *quic.Config {
	return &quic.Config{
		Versions: []quic.Version{quic.Version1}, InitialPacketSize: uint16(size), DisablePathMTUDiscovery: true,
		HandshakeIdleTimeout: handshakeFor, MaxIdleTimeout: idleFor, KeepAlivePeriod: keepAlive,
		MaxStreamReceiveWindow: streamWindow, MaxConnectionReceiveWindow: connectionWindow,
		MaxIncomingStreams: maxStreams, MaxIncomingUniStreams: -1,
	}
}

// newCertificate is one that says nothing: its hash is what counts.
func newCertificate() (c tls.Certificate, hash Hash, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return c, hash, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1<<34, 0)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, sha256.Sum256(der), err
}

// Hash is that of our certificate, to be told in the session.
func (e *Endpoint) Hash() Hash { return e.hash }

// Packet takes a packet that came from a peer. b is the caller's again when it returns.
func (e *Endpoint) Packet(from linnet.NodeID, b []byte) {
	e.mu.Lock()
	known := e.peers[from] != nil
	e.mu.Unlock()
	if known {
		e.port.put(from, b)
	}
}

// Expect lets a peer connect with the certificate of this hash, until Forget.
func (e *Endpoint) Expect(from linnet.NodeID, hash Hash) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	p, err := e.peer(from)
	if err == nil {
		p.expected = hash
	}
	return err
}

// peer needs the lock.
func (e *Endpoint) peer(id linnet.NodeID) (*peer, error) {
	p := e.peers[id]
	if p == nil {
		if len(e.peers) >= maxPeers {
			e.makeRoom()
		}
		if len(e.peers) >= maxPeers {
			return nil, ErrTooMany
		}
		p = &peer{size: leastSize, conns: make(map[*Conn]struct{}), narrower: make(chan struct{})}
		e.peers[id] = p
	}
	return p, nil
}

// makeRoom forgets those who were expected and are not connected.
func (e *Endpoint) makeRoom() {
	for id, p := range e.peers {
		if len(p.conns) == 0 && p.coming == 0 && p.dialled == 0 {
			delete(e.peers, id)
		}
	}
}

// admit is asked before a connection costs anything, of which one whose handshake never
// ends costs as much as another.
func (e *Endpoint) admit(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	from, _ := info.RemoteAddr.(addr)
	p := e.peers[linnet.NodeID(from)]
	if p == nil || p.expected == (Hash{}) || p.coming >= connsOfPeer {
		return nil, errors.New("bulk: nobody expects this")
	}
	p.coming++
	ctx = context.WithValue(ctx, sizeKey{}, p.size)
	context.AfterFunc(ctx, func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		p.coming--
	})
	return ctx, nil
}

// Accept waits for a connection of somebody who is expected.
func (e *Endpoint) Accept(ctx context.Context) (*Conn, error) {
	for {
		q, err := e.listener.Accept(ctx)
		if err != nil {
			return nil, err
		}
		from, _ := q.RemoteAddr().(addr)
		c := &Conn{Conn: q, Peer: linnet.NodeID(from)}
		began, _ := q.Context().Value(sizeKey{}).(int)
		e.mu.Lock()
		p := e.peers[c.Peer]
		if p != nil {
			c.size = max(began, p.size) // it may have changed in between
		}
		ok := p != nil && p.expected == hashOf(q.ConnectionState().TLS)
		if ok {
			e.add(p, c)
		}
		e.mu.Unlock()
		if ok {
			return c, nil
		}
		q.CloseWithError(1, "not expected")
	}
}

func hashOf(s tls.ConnectionState) Hash {
	if len(s.PeerCertificates) == 0 {
		return Hash{}
	}
	return sha256.Sum256(s.PeerCertificates[0].Raw)
}

// add has Forget close a connection, until it is closed. It needs the lock.
func (e *Endpoint) add(p *peer, c *Conn) {
	p.conns[c] = struct{}{}
	context.AfterFunc(c.Context(), func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		delete(p.conns, c)
	})
}

// Dial connects to a peer that has said that it expects us, and the hash of its
// certificate.
func (e *Endpoint) Dial(ctx context.Context, to linnet.NodeID, hash Hash) (*Conn, error) {
	e.mu.Lock()
	p, err := e.peer(to)
	if err != nil {
		e.mu.Unlock()
		return nil, err
	}
	p.dialled++
	e.mu.Unlock()
	defer func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		p.dialled--
	}()
	t := e.tls.Clone()
	t.InsecureSkipVerify = true // no name, no authority: the session vouches for the hash
	t.VerifyConnection = func(s tls.ConnectionState) error {
		if hashOf(s) != hash {
			return ErrIdentity
		}
		return nil
	}
	c, err := e.dial(ctx, to, p, t)
	if err != nil {
		return nil, fmt.Errorf("bulk: connect: %w", err)
	}
	e.mu.Lock()
	e.add(p, c)
	tooLarge := c.size > p.size // since a moment ago
	e.mu.Unlock()
	if tooLarge {
		c.Close()
	}
	return c, nil
}

// Forget closes the connections with a peer, and takes none of its packets any more:
// its session is over.
func (e *Endpoint) Forget(id linnet.NodeID) {
	e.mu.Lock()
	p := e.peers[id]
	delete(e.peers, id)
	var conns []*Conn
	if p != nil {
		for c := range p.conns {
			conns = append(conns, c)
		}
	}
	e.mu.Unlock()
	for _, c := range conns {
		c.Close()
	}
}

// Close ends everything.
func (e *Endpoint) Close() error {
	e.mu.Lock()
	ids := make([]linnet.NodeID, 0, len(e.peers))
	for id := range e.peers {
		ids = append(ids, id)
	}
	e.mu.Unlock()
	for _, id := range ids {
		e.Forget(id)
	}
	e.listener.Close()
	err := e.transport.Close()
	e.port.Close()
	return err
}

// A Conn is a connection with a device.
type Conn struct {
	*quic.Conn
	Peer linnet.NodeID
	size int // of packets, at the most
}

// Close ends the connection.
func (c *Conn) Close() error { return c.CloseWithError(0, "") }
