package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Network is the network that this directory belongs to.
type Network struct {
	ID          linnet.NetworkID
	Fingerprint [32]byte // of the root key, from the invite
	Serial      uint64   // of Descriptor: the highest ever seen
	Descriptor  []byte   // as the root key signed it
}

// Network returns the directory's network, or nil if it has joined none.
func (s *Store) Network(ctx context.Context) (*Network, error) {
	n, err := sqlite.One(ctx, s.db, scanNetwork, selectNetwork)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: network: %w", err)
	}
	return n, nil
}

const selectNetwork = "SELECT id, fingerprint, serial, descriptor FROM network"

func scanNetwork(row sqlite.Row) (*Network, error) {
	var id, fingerprint []byte
	var serial int64
	n := new(Network)
	if err := row.Scan(&id, &fingerprint, &serial, &n.Descriptor); err != nil {
		return nil, err
	}
	copy(n.ID[:], id)
	copy(n.Fingerprint[:], fingerprint)
	n.Serial = uint64(serial)
	return n, nil
}

// SetNetwork keeps a descriptor. One that is older than the one kept changes
// nothing, so that nobody can take the network back in time; one of another
// network is refused.
func (s *Store) SetNetwork(ctx context.Context, n Network) error {
	return s.write(ctx, "network", func(tx *sqlite.Tx) error {
		old, err := scanNetwork(tx.One(selectNetwork))
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return err
		case old.ID != n.ID || old.Fingerprint != n.Fingerprint:
			return &linnet.Error{Code: linnet.CodeInUse, Text: "this directory belongs to another network", Hint: "join with another --home"}
		case old.Serial > n.Serial:
			return nil
		}
		_, err = tx.Exec(`INSERT INTO network (only_row, id, fingerprint, serial, descriptor) VALUES (1, $1, $2, $3, $4)
			ON CONFLICT (only_row) DO UPDATE SET serial = excluded.serial, descriptor = excluded.descriptor`,
			n.ID[:], n.Fingerprint[:], int64(n.Serial), n.Descriptor)
		return err
	})
}
