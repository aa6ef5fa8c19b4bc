package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Card is a card of the white pages that this node keeps for others as a supernode.
type Card struct {
	User  linnet.UserName
	Bytes []byte // as a device of the user signed it; nil: it is to be forgotten
}

// Cards returns all cards kept, as they were signed.
func (s *Store) Cards(ctx context.Context) ([][]byte, error) {
	cards, err := sqlite.All(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM cards ORDER BY user_name")
	if err != nil {
		return nil, fmt.Errorf("store: cards: %w", err)
	}
	return cards, nil
}

// CardsOf returns the cards kept of some users.
func (s *Store) CardsOf(ctx context.Context, users ...linnet.UserName) (cards [][]byte, err error) {
	for _, user := range users {
		b, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM cards WHERE user_name = $1", string(user))
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return cards, fmt.Errorf("store: card of %s: %w", user, err)
		}
		cards = append(cards, b)
	}
	return cards, nil
}

// ChangeCards keeps cards, each instead of the user's last one, or forgets them.
func (s *Store) ChangeCards(ctx context.Context, cards ...Card) error {
	return s.write(ctx, "cards", func(tx *sqlite.Tx) error {
		for _, c := range cards {
			var err error
			if c.Bytes == nil {
				_, err = tx.Exec("DELETE FROM cards WHERE user_name = $1", string(c.User))
			} else {
				_, err = tx.Exec(`INSERT INTO cards (user_name, bytes) VALUES ($1, $2)
					ON CONFLICT (user_name) DO UPDATE SET bytes = excluded.bytes`, string(c.User), c.Bytes)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// OwnCard returns what SetOwnCard was given last for a user of this device; nil
// if it never was.
func (s *Store) OwnCard(ctx context.Context, user linnet.UserName) ([]byte, error) {
	b, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM own_card WHERE user_name = $1", string(user))
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("store: own card: %w", err)
	}
	return b, nil
}

// SetOwnCard keeps what a user of this device wants to say in the white pages.
// ForgetIdentity erases it.
func (s *Store) SetOwnCard(ctx context.Context, user linnet.UserName, b []byte) error {
	return s.write(ctx, "own card", func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO own_card (user_name, bytes) VALUES ($1, $2)
			ON CONFLICT (user_name) DO UPDATE SET bytes = excluded.bytes`, string(user), b)
		return err
	})
}
