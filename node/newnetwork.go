package node

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/store"
	"github.com/linnet-p2p/linnet/suite"
)

// Places below the home directory of a network that was made by CreateNetwork.
const (
	LoginServerHome = "login-server"
	EchoHome        = "echo123" // below LoginServerHome
	SupernodeHome   = "supernode"
)

// SupernodePath is the home of a network's i-th own supernode.
func SupernodePath(home string, i int) string {
	if i == 0 {
		return filepath.Join(home, SupernodeHome)
	}
	return filepath.Join(home, fmt.Sprintf("%s-%d", SupernodeHome, i+1))
}

// EchoUser is who greets, records ten seconds and plays them back.
const EchoUser linnet.UserName = "echo123"

// NetworkOptions configures a new network. Name, LoginServer and one Supernode are needed.
type NetworkOptions struct {
	Name         string
	Suite        string               // default suite.ModernName
	Promotion    suite.Promotion      // default hosted: operators' supernodes alone
	Registration suite.Registration   // default open: the invite link is all it takes
	Password     suite.PasswordParams // what trying a password costs; default as in package suite
	LoginServer  netip.AddrPort       // where others reach it
	Supernodes   []netip.AddrPort     // the same of the first supernodes

	// Also says where else others reach what they reach there, as by the other
	// family; nil means nowhere.
	Also func(netip.AddrPort) []netip.AddrPort
}

// places is where others reach what they reach at one address.
func (o *NetworkOptions) places(at netip.AddrPort) []netip.AddrPort {
	all := []netip.AddrPort{at}
	if o.Also != nil {
		all = append(all, o.Also(at)...)
	}
	return all
}

// CreateNetwork makes the keys, the descriptor and the first machines of a
// network below home, and gives the invite link. Nothing runs yet. Supernode i
// lives in SupernodePath(home, i).
func CreateNetwork(ctx context.Context, home string, o NetworkOptions) (*suite.Invite, error) {
	server := filepath.Join(home, LoginServerHome)
	if _, err := os.Stat(filepath.Join(server, authorityFile)); err == nil {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "there is a network in " + home + " already",
			Hint: "`linnet network run` starts it; give a new one another --home"}
	}
	if err := os.MkdirAll(server, 0o700); err != nil {
		return nil, &linnet.Error{Code: linnet.CodeDisk, Text: "the directory cannot be made", Err: err}
	}
	if o.Registration == "" {
		o.Registration = suite.RegistrationOpen
	}
	now := time.Now()
	authority, err := suite.CreateAuthority(o.Name, now, suite.AuthorityOptions{
		Suite: o.Suite, Policy: suite.Policy{Promotion: cmp.Or(o.Promotion, suite.PromotionHosted), Registration: o.Registration, Password: o.Password},
		LoginServers: o.places(o.LoginServer),
	})
	if err != nil {
		return nil, err
	}
	accounts, err := login.OpenAccounts(ctx, filepath.Join(server, accountsFile))
	if err != nil {
		return nil, err
	}
	defer accounts.Close()
	issuer, err := login.NewServer(ctx, accounts, authority, login.ServerOptions{})
	if err != nil {
		return nil, err
	}
	// The machines' identities first: the descriptor names the supernodes by
	// them. Their databases get the descriptor once it is signed.
	m := machines{authority: authority, issuer: issuer, identities: make(map[string]*store.Identity)}
	if _, err := m.certify(ctx, now, filepath.Join(server, EchoHome), EchoUser, "echo"); err != nil {
		return nil, err
	}
	for i, addr := range o.Supernodes {
		device := fmt.Sprintf("supernode-%d", i+1)
		cert, err := m.certify(ctx, now, SupernodePath(home, i), linnet.NodeName(device), device)
		if err != nil {
			return nil, err
		}
		for _, at := range o.places(addr) {
			authority.Descriptor.Supernodes = append(authority.Descriptor.Supernodes,
				suite.Bootstrap{Addr: at, Node: cert.NodeID(), Agreement: cert.Agreement})
		}
	}
	descriptor, err := authority.SignDescriptor(now)
	if err != nil {
		return nil, err
	}
	if err := m.equip(ctx, descriptor); err != nil {
		return nil, err
	}
	// The authority's file comes last: a network without it was never made.
	if err := saveAuthority(server, authority.Marshal()); err != nil {
		return nil, err
	}
	return inviteTo(authority, nil), nil
}

// machines are a new network's own: they get an identity without a password.
type machines struct {
	authority  *suite.Authority
	issuer     *login.Server
	identities map[string]*store.Identity // by the home of the machine
}

// certify makes the identity of the machine that will live in home.
func (m *machines) certify(ctx context.Context, now time.Time, home string, user linnet.UserName, device string) (*suite.Certificate, error) {
	crypto, err := suite.Named(m.authority.Descriptor.Suite)
	if err != nil {
		return nil, err
	}
	keys, err := crypto.NewKeys()
	if err != nil {
		return nil, err
	}
	signed, err := m.issuer.IssueService(ctx, user, device, keys.Public())
	if err != nil {
		return nil, err
	}
	m.identities[home] = &store.Identity{User: user, Device: device, Keys: keys.Marshal(), Certificate: signed}
	return m.authority.Descriptor.OpenCertificate(signed, now)
}

// equip gives every machine's database its network and its identity.
func (m *machines) equip(ctx context.Context, descriptor []byte) error {
	d := &m.authority.Descriptor
	network := store.Network{ID: d.Network, Fingerprint: d.Fingerprint(), Serial: d.Serial, Descriptor: descriptor}
	for home, id := range m.identities {
		db, err := store.Open(ctx, home)
		if err != nil {
			return err
		}
		if err = db.SetNetwork(ctx, network); err == nil {
			err = db.SetIdentity(ctx, *id)
		}
		if err := errors.Join(err, db.Close()); err != nil {
			return err
		}
	}
	return nil
}
