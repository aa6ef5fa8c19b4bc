package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/login"
	"github.com/linnet-p2p/linnet/suite"
)

// Files of a login server, in its home directory.
const (
	authorityFile = "authority.key" // the network's secrets; suite.Authority
	accountsFile  = "accounts.db"
)

// LoadAuthority reads the secrets of the network whose login server lives in home.
func LoadAuthority(home string) (*suite.Authority, error) {
	b, err := os.ReadFile(filepath.Join(home, authorityFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &linnet.Error{Code: linnet.CodeUsage, Text: "there is no login server in " + home,
			Hint: "`linnet network create NAME` makes a network; its login server lives in the directory " + LoginServerHome}
	}
	if err != nil {
		return nil, fmt.Errorf("authority: %w", err)
	}
	return suite.ParseAuthority(b)
}

// saveAuthority replaces the file, so that a crash leaves the old or the new one.
func saveAuthority(home string, secrets []byte) error {
	path := filepath.Join(home, authorityFile)
	if err := replaceFile(path, secrets); err != nil {
		return &linnet.Error{Code: linnet.CodeDisk, Text: path + " cannot be written", Err: err}
	}
	return nil
}

// replaceFile writes a file that only its owner can read.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(b)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// CreateInvite makes an invite for a network whose login server lives in home,
// with a token for so many accounts that is good until expires.
func CreateInvite(ctx context.Context, home string, uses int, expires time.Time) (*suite.Invite, error) {
	return createInvite(ctx, home, func(accounts *login.Accounts) ([]byte, error) {
		if uses <= 0 {
			return nil, nil
		}
		return accounts.CreateInvite(ctx, uses, expires)
	})
}

// CreateTicket makes an invite for one supernode, on whatever machine.
func CreateTicket(ctx context.Context, home, name string, expires time.Time) (*suite.Invite, error) {
	return createInvite(ctx, home, func(accounts *login.Accounts) ([]byte, error) {
		return accounts.CreateTicket(ctx, name, expires)
	})
}

func createInvite(ctx context.Context, home string, create func(*login.Accounts) (token []byte, err error)) (*suite.Invite, error) {
	authority, err := LoadAuthority(home)
	if err != nil {
		return nil, err
	}
	accounts, err := login.OpenAccounts(ctx, filepath.Join(home, accountsFile))
	if err != nil {
		return nil, err
	}
	defer accounts.Close()
	token, err := create(accounts)
	if err != nil {
		return nil, err
	}
	return inviteTo(authority, token), nil
}

// inviteHolders is how many machines an invite names: a second one in case the
// first is down, and no more, so that the link stays short.
const inviteHolders = 2

func inviteTo(a *suite.Authority, token []byte) *suite.Invite {
	holders := a.Descriptor.Holders()
	first := holders[:min(inviteHolders, len(holders))]
	otherFamily := func(h netip.AddrPort) bool { return h.Addr().Is4() != first[0].Addr().Is4() }
	if i := slices.IndexFunc(holders, otherFamily); i >= inviteHolders {
		first = append(slices.Clone(first), holders[i]) // else who has only that one could not join
	}
	invite := a.Invite(first, token)
	return &invite
}
