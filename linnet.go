// Package linnet is the vocabulary of the network: the names that every layer
// uses for people, machines, calls and paths, and the Client interface that a
// running node offers to its front ends.
//
// It imports the standard library only and decides nothing.
package linnet

import (
	"crypto/rand"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
)

// A UserName is a person: 3 to 32 characters, a letter first, then letters,
// digits, '.', '_' and '-', always in lower case.
type UserName string

// ErrUserName says what a user name has to look like.
var ErrUserName = errors.New("a user name has 3 to 32 characters: a letter first, then letters, digits, '.', '_' or '-'")

// ParseUserName checks s and returns it in lower case. Names of operators'
// machines ("node:...") are not user names; see NodeName.
func ParseUserName(s string) (UserName, error) {
	s = strings.ToLower(s)
	if len(s) < 3 || len(s) > 32 || s[0] < 'a' || s[0] > 'z' {
		return "", fmt.Errorf("user name %q: %w", s, ErrUserName)
	}
	for _, c := range []byte(s) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '.' && c != '_' && c != '-' {
			return "", fmt.Errorf("user name %q: %w", s, ErrUserName)
		}
	}
	return UserName(s), nil
}

const nodePrefix = "node:"

// NodeName is the name under which an operator's machine is certified.
func NodeName(s string) UserName { return UserName(nodePrefix + s) }

// IsNode says whether the name is an operator's machine instead of a person.
func (n UserName) IsNode() bool { return strings.HasPrefix(string(n), nodePrefix) }

// A NodeID is a machine: one device of a person, or an operator's node. It is
// the first half of a hash of its signing key and a salt of the authority's,
// so nobody can choose it (see package suite, Certificate.NodeID).
type NodeID [16]byte

// String is the whole id in hexadecimal.
func (id NodeID) String() string { return hex.EncodeToString(id[:]) }

// Short is enough of the id to tell nodes apart in a log.
func (id NodeID) Short() string { return hex.EncodeToString(id[:4]) }

// IsZero says that the id names no machine.
func (id NodeID) IsZero() bool { return id == NodeID{} }

// A NetworkID is one circle of trust, drawn at random when it is created.
type NetworkID [16]byte

// String is the whole id in hexadecimal.
func (id NetworkID) String() string { return hex.EncodeToString(id[:]) }

// A CallID is one call, from the first ring on every device to its receipt.
type CallID [16]byte

// NewCallID draws a CallID.
func NewCallID() (id CallID) {
	rand.Read(id[:])
	return id
}

var idText = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// String is the form in which people and programs pass a call around.
func (id CallID) String() string { return idText.EncodeToString(id[:]) }

// ParseCallID is the inverse of CallID.String.
func ParseCallID(s string) (id CallID, err error) {
	b, err := parseID(s, "call", "linnet status")
	return CallID(b), err
}

func parseID(s, what, printed string) (id [16]byte, err error) {
	b, err := idText.DecodeString(strings.ToLower(s))
	if err != nil || len(b) != len(id) {
		return id, fmt.Errorf("%s id %q: want the 26 letters and digits that `%s` prints", what, s, printed)
	}
	return [16]byte(b), nil
}

// MarshalText is the text of String: ids travel as text in JSON.
func (id NodeID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *NodeID) UnmarshalText(b []byte) error { return unhex(id[:], b, "node id") }

// MarshalText is the text of String.
func (id NetworkID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *NetworkID) UnmarshalText(b []byte) error { return unhex(id[:], b, "network id") }

// MarshalText is the text of String.
func (id CallID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (id *CallID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseCallID(string(b))
	return err
}

func unhex(dst, src []byte, what string) error {
	if hex.DecodedLen(len(src)) != len(dst) {
		return fmt.Errorf("%s %q: want %d hexadecimal digits", what, src, 2*len(dst))
	}
	if _, err := hex.Decode(dst, src); err != nil {
		return fmt.Errorf("%s %q: %w", what, src, err)
	}
	return nil
}

// A Role is what a node does for others.
type Role uint8

// Roles add up: an operator's machine may be supernode and relay at once, a
// user's at most one of them.
const (
	Ordinary    Role = 0
	Supernode   Role = 1 << 0
	Relay       Role = 1 << 1
	LoginServer Role = 1 << 2
)

// String lists the roles.
func (r Role) String() string {
	var names []string
	for _, x := range []struct {
		role Role
		name string
	}{{LoginServer, "login server"}, {Supernode, "supernode"}, {Relay, "relay"}} {
		if r&x.role != 0 {
			names = append(names, x.name)
		}
	}
	if names == nil {
		return "ordinary node"
	}
	return strings.Join(names, ", ")
}

// A PathKind is how packets get from one end of a session to the other.
type PathKind uint8

// The kinds, the best first.
const (
	NoPath PathKind = iota
	DirectUDP
	DirectTCP
	RelayUDP
	RelayTCP
	Forwarded // through the supernodes of both ends: always there, slow, no media
)

var pathNames = [...]string{"none", "direct-udp", "direct-tcp", "relay-udp", "relay-tcp", "forwarded"}

// String is the name that `linnet call --json` prints.
func (k PathKind) String() string { return nameOf(pathNames[:], k, "path") }

// MarshalText is the text of String.
func (k PathKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText is the inverse of MarshalText.
func (k *PathKind) UnmarshalText(b []byte) error { return parseName(k, pathNames[:], b, "path kind") }

// Direct says that no third machine carries the packets.
func (k PathKind) Direct() bool { return k == DirectUDP || k == DirectTCP }

// Relayed says that a relay carries the packets.
func (k PathKind) Relayed() bool { return k == RelayUDP || k == RelayTCP }
