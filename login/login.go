// Package login turns a password into a certificate: the client's half, and the
// server's with its accounts.
//
// It opens no socket: Server.Handle answers a message, and the Client is given
// an Exchange. It sees no call, no lookup and no message of anybody; a network
// whose login servers are down goes on with the certificates that it has.
//
// # A request
//
//	message.LoginBody                     who, what for, verifier of the password, keys, time, nonce
//	  └ signed by the device key          over the network's id and the bytes of the body
//	     └ sealed to the key of the day   suite.SealRequest; the reply comes under a key of the same exchange
//
// What the password becomes (suite.Verifier, Argon2id) is computed by the
// client, so that a storm of logins costs the server one opening, one
// comparison, one signature and a share of one write to disk for each. The
// server keeps SHA-256(salt, verifier): a fast hash is enough for what came out
// of a slow one, and who steals the database can neither log in with what he
// finds nor guess a password for less than the full Argon2id. On classic
// networks the client's part is fast, and so the server's is slow.
//
// # What is promised
//
//   - An account or device that was answered for is on disk.
//   - The same request made again, because its answer was lost, succeeds again.
//   - A wrong password and an unknown user look alike: same answer, same work.
//     That a name is taken, registration has to tell.
//   - Guessing is slowed down per user and address, and per address; a device
//     that the account knows is not slowed down by the guesses of others.
package login

import (
	"context"
	"net"
	"net/netip"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// An Exchange sends a message to a login server and returns its answer.
type Exchange func(ctx context.Context, to netip.AddrPort, m message.Message) (message.Message, error)

// Dial opens a TCP connection to a login server.
type Dial func(ctx context.Context, to netip.AddrPort) (net.Conn, error)

// maxSkew is how far a client's clock may be off. It bounds how long a nonce
// has to be remembered.
const maxSkew = 5 * time.Minute

const nonceSize = 16

// toSign is what a request's signature covers. The network's id keeps the
// server of one network from using at another what it was told.
func toSign(network linnet.NetworkID, body []byte) []byte {
	return append(network[:len(network):len(network)], body...)
}

// RenewAt is when a certificate should be renewed: at half of its life.
func RenewAt(c *suite.Certificate) time.Time {
	return c.Issued.Add(c.Expires.Sub(c.Issued) / 2)
}
