package login

import (
	"context"
	"errors"
	"fmt"
	random "math/rand/v2"
	"net/netip"

	"github.com/linnet-p2p/linnet/suite"
	"github.com/linnet-p2p/linnet/wire/message"
)

// FetchDescriptor asks for the descriptor of the network with a fingerprint,
// one of the addresses at random and then the others: those of an invite, or
// the login servers of an older descriptor. signed is what to keep of it.
func FetchDescriptor(ctx context.Context, exchange Exchange, addrs []netip.AddrPort, fingerprint [32]byte, r *random.Rand) (d *suite.Descriptor, signed []byte, err error) {
	var failures []error
	for _, addr := range shuffled(addrs, r) {
		d, signed, err := askDescriptor(ctx, exchange, addr, fingerprint)
		if err == nil {
			return d, signed, nil
		}
		if ctx.Err() != nil {
			return nil, nil, err
		}
		failures = append(failures, fmt.Errorf("%v: %w", addr, err))
	}
	return nil, nil, noServer(failures)
}

func askDescriptor(ctx context.Context, exchange Exchange, addr netip.AddrPort, fingerprint [32]byte) (*suite.Descriptor, []byte, error) {
	m, err := exchange(ctx, addr, &message.AskDescriptor{Fingerprint: fingerprint[:]})
	if err != nil {
		return nil, nil, err
	}
	switch m := m.(type) {
	case *message.DescriptorIs:
		d, err := suite.OpenDescriptor(m.Descriptor, fingerprint)
		return d, m.Descriptor, err
	case *message.Failure:
		return nil, nil, errors.New(m.Text)
	}
	return nil, nil, fmt.Errorf("answered with %T", m)
}
