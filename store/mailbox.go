package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Mail is an item that this node keeps for others as a supernode, or the removal
// of some.
type Mail struct {
	ID    [16]byte
	Head  []byte // small: all are in memory while the node runs
	Bytes []byte // up to 64 KiB
}

// MailChange is one step: Put if its Head is not nil, else Forget.
type MailChange struct {
	Put    Mail
	Forget [][16]byte
}

// MailHeads returns the heads of all mail.
func (s *Store) MailHeads(ctx context.Context) ([][]byte, error) {
	heads, err := sqlite.All(ctx, s.db, sqlite.Column[[]byte], "SELECT head FROM mailbox ORDER BY id")
	if err != nil {
		return nil, fmt.Errorf("store: heads of mail: %w", err)
	}
	return heads, nil
}

// Mail returns the bytes of mail; what is not there is left out.
func (s *Store) Mail(ctx context.Context, ids ...[16]byte) (mail [][]byte, err error) {
	for _, id := range ids {
		b, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM mailbox WHERE id = $1", id[:])
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("store: mail: %w", err)
		default:
			mail = append(mail, b)
		}
	}
	return mail, nil
}

// ChangeMail makes all changes, in order, or none of them.
func (s *Store) ChangeMail(ctx context.Context, changes ...MailChange) error {
	return s.write(ctx, "mail", func(tx *sqlite.Tx) error {
		for _, c := range changes {
			if c.Put.Head != nil {
				if _, err := tx.Exec("INSERT INTO mailbox (id, head, bytes) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING",
					c.Put.ID[:], c.Put.Head, c.Put.Bytes); err != nil {
					return err
				}
			}
			for _, id := range c.Forget {
				if _, err := tx.Exec("DELETE FROM mailbox WHERE id = $1", id[:]); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
