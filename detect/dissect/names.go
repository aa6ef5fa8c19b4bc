package dissect

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// ErrDescriptor says that bytes are no descriptor of a network.
var ErrDescriptor = errors.New("dissect: this is no descriptor of a network")

// OpenDescriptor reads a descriptor of any network. Its signature has to be that
// of its own root key; whether this is the network that one means is for others
// to say.
func OpenDescriptor(signed []byte) (*suite.Descriptor, error) {
	var outer struct {
		Body []byte `obj:"4/0"`
	}
	var keys struct {
		Network linnet.NetworkID `obj:"4/1"`
		Root    []byte           `obj:"4/3"`
	}
	if message.Unmarshal(signed, &outer) != nil || message.Unmarshal(outer.Body, &keys) != nil {
		return nil, ErrDescriptor
	}
	return suite.OpenDescriptor(signed, suite.Fingerprint(keys.Root, keys.Network))
}

// Names are what the machines of a descriptor are called in explanations.
func Names(d *suite.Descriptor) map[netip.AddrPort]string {
	names := make(map[netip.AddrPort]string)
	for i, addr := range d.LoginServers {
		names[addr] = numbered("login-server", i, len(d.LoginServers))
	}
	for i, s := range d.Supernodes {
		names[s.Addr] = numbered("supernode", i, len(d.Supernodes))
	}
	return names
}

// BootstrapNames are the same of an invite, which says addresses only.
func BootstrapNames(i suite.Invite) map[netip.AddrPort]string {
	names := make(map[netip.AddrPort]string)
	for n, addr := range i.Bootstrap {
		names[addr] = numbered("bootstrap", n, len(i.Bootstrap))
	}
	return names
}

func numbered(name string, i, of int) string {
	if of == 1 {
		return name
	}
	return fmt.Sprintf("%s-%d", name, i+1)
}
