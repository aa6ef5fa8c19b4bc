package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Identity is who this device is.
type Identity struct {
	User        linnet.UserName // also a node's name
	Device      string
	Keys        []byte // secret: suite.Keys.Marshal
	Certificate []byte // none until the authority has signed it
}

// Identity returns the device's identity, or nil if nobody ever began to sign
// in here.
func (s *Store) Identity(ctx context.Context) (*Identity, error) {
	id, err := sqlite.One(ctx, s.db, func(row sqlite.Row) (*Identity, error) {
		id := new(Identity)
		err := row.Scan(&id.User, &id.Device, &id.Keys, &id.Certificate)
		return id, err
	}, "SELECT user_name, device, secret_keys, certificate FROM identity")
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: identity: %w", err)
	}
	return id, nil
}

// SetIdentity keeps the identity instead of any other. Keys belong here, without a certificate,
// before a login server hears of them: if its answer is lost, the same request
// can be made again.
func (s *Store) SetIdentity(ctx context.Context, id Identity) error {
	return s.write(ctx, "identity", func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO identity (only_row, user_name, device, secret_keys, certificate) VALUES (1, $1, $2, $3, $4)
			ON CONFLICT (only_row) DO UPDATE SET user_name = excluded.user_name, device = excluded.device,
				secret_keys = excluded.secret_keys, certificate = excluded.certificate`,
			string(id.User), id.Device, id.Keys, id.Certificate)
		return err
	})
}

// ForgetIdentity erases the identity and all keys of this device, and what its user
// wanted to say in the white pages or of calls in vain. His people stay.
func (s *Store) ForgetIdentity(ctx context.Context) error {
	return s.write(ctx, "identity", func(tx *sqlite.Tx) error {
		for _, table := range []string{"identity", "own_card", "presence", "prekeys"} {
			if _, err := tx.Exec("DELETE FROM " + table); err != nil {
				return err
			}
		}
		_, err := tx.Exec("UPDATE calls SET untold = 0 WHERE untold = 1") // the next user did not make them
		return err
	})
}

// write names what a failed write was about.
func (s *Store) write(ctx context.Context, what string, fn func(*sqlite.Tx) error) error {
	if err := s.db.Write(ctx, fn); err != nil {
		return fmt.Errorf("store: %s: %w", what, err)
	}
	return nil
}
