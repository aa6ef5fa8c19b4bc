package store

import (
	"context"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// approved is the state of a contact that both sides want.
const approved = "approved"

// Contacts returns the user's contacts by name.
func (s *Store) Contacts(ctx context.Context) ([]linnet.Contact, error) {
	contacts, err := sqlite.All(ctx, s.db, func(row sqlite.Row) (c linnet.Contact, err error) {
		var added int64
		err = row.Scan(&c.User, &c.Name, &added)
		c.Added = fromMillis(added)
		return c, err
	}, "SELECT user_name, name, added FROM contacts WHERE state = $1 ORDER BY user_name", approved)
	if err != nil {
		return nil, fmt.Errorf("store: contacts: %w", err)
	}
	return contacts, nil
}

// IsContact says whether a user is a contact: one who may receive our addresses
// and ring early.
func (s *Store) IsContact(ctx context.Context, user linnet.UserName) (bool, error) {
	n, err := sqlite.One(ctx, s.db, sqlite.Column[int], "SELECT COUNT(*) FROM contacts WHERE user_name = $1 AND state = $2", string(user), approved)
	if err != nil {
		return false, fmt.Errorf("store: contact %s: %w", user, err)
	}
	return n > 0, nil
}

// PutContact adds a contact, or changes how the user calls them.
func (s *Store) PutContact(ctx context.Context, c linnet.Contact) error {
	return s.write(ctx, "contact "+string(c.User), func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO contacts (user_name, name, state, added) VALUES ($1, $2, $3, $4)
			ON CONFLICT (user_name) DO UPDATE SET name = excluded.name, state = excluded.state`,
			string(c.User), c.Name, approved, millis(c.Added))
		return err
	})
}

// RemoveContact forgets a contact; their calls and messages stay.
func (s *Store) RemoveContact(ctx context.Context, user linnet.UserName) error {
	return s.write(ctx, "contact "+string(user), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("DELETE FROM contacts WHERE user_name = $1", string(user))
		return err
	})
}
