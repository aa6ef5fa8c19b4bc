package node

import (
	"context"
	"fmt"
	"path/filepath"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/spare"
)

// LeastRoom is how much room a disk must have for a server to be well: less will
// not last, as its database is copied now and then.
const LeastRoom = 32 << 20

// CheckDisk says why nothing more can be kept in the node's home, or not for long.
func (n *Node) CheckDisk(ctx context.Context) error {
	return checkDisk(ctx, n.opts.Home, n.store.Writable)
}

// CheckDisk says why no account can be made, or not many more.
func (s *LoginServer) CheckDisk(ctx context.Context) error {
	return checkDisk(ctx, s.opts.Home, s.accounts.Writable)
}

func checkDisk(ctx context.Context, home string, check func(context.Context) error) error {
	room, err := spare.Room(ctx, home)
	switch {
	case err != nil:
		return err
	case room < LeastRoom:
		home, _ = filepath.Abs(home)
		return &linnet.Error{Code: linnet.CodeDisk, Text: fmt.Sprintf("the disk of %s is full: %d MiB are left", home, room>>20),
			Hint: fmt.Sprintf("free some space, %d MiB at least; nothing that was said to be saved is lost", LeastRoom>>20)}
	}
	return check(ctx)
}
