package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/presence"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Presence returns what package presence keeps for a user. People without an
// owner become this one's.
func (s *Store) Presence(ctx context.Context, owner linnet.UserName) (k presence.Kept, err error) {
	err = s.write(ctx, "people", func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE people SET owner = $1 WHERE owner = ''
			AND NOT EXISTS (SELECT 1 FROM people AS own WHERE own.owner = $1 AND own.user_name = people.user_name)`, string(owner))
		return err
	})
	if err != nil {
		return k, err
	}
	k.Self, err = sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM presence WHERE owner = $1", string(owner))
	if errors.Is(err, sql.ErrNoRows) {
		err = nil
	}
	if err == nil {
		k.People, err = sqlite.All(ctx, s.db, scanPerson, "SELECT user_name, name, state, added, relation FROM people WHERE owner = $1 ORDER BY user_name", string(owner))
	}
	if err == nil {
		k.Prekeys, err = sqlite.All(ctx, s.db, scanPrekey, "SELECT public, private, made, published FROM prekeys ORDER BY made")
	}
	if err != nil {
		return k, fmt.Errorf("store: presence: %w", err)
	}
	return k, nil
}

func scanPerson(row sqlite.Row) (p presence.KeptPerson, err error) {
	var state []byte
	var added int64
	if err := row.Scan(&p.User, &p.Name, &state, &added, &p.Relation); err != nil {
		return p, err
	}
	p.Added = fromMillis(added)
	return p, p.State.UnmarshalText(state)
}

func scanPrekey(row sqlite.Row) (p presence.Prekey, err error) {
	var made, published int64
	err = row.Scan(&p.Public, &p.Private, &made, &published)
	p.Made, p.Published = fromMillis(made), fromMillis(published)
	return p, err
}

// SavePresence makes all changes of a Save, or none of them.
func (s *Store) SavePresence(ctx context.Context, owner linnet.UserName, save presence.Save) error {
	return s.write(ctx, "presence", func(tx *sqlite.Tx) error {
		if save.Self != nil {
			if _, err := tx.Exec(`INSERT INTO presence (owner, bytes) VALUES ($1, $2)
				ON CONFLICT (owner) DO UPDATE SET bytes = excluded.bytes`, string(owner), save.Self); err != nil {
				return err
			}
		}
		for _, p := range save.People {
			if _, err := tx.Exec(`INSERT INTO people (owner, user_name, name, state, added, relation) VALUES ($1, $2, $3, $4, $5, $6)
				ON CONFLICT (owner, user_name) DO UPDATE SET name = excluded.name, state = excluded.state, added = excluded.added, relation = excluded.relation`,
				string(owner), string(p.User), p.Name, p.State.String(), millis(p.Added), p.Relation); err != nil {
				return err
			}
		}
		for _, user := range save.Forget {
			if _, err := tx.Exec("DELETE FROM people WHERE owner = $1 AND user_name = $2", string(owner), string(user)); err != nil {
				return err
			}
		}
		if p := save.Prekey; p != nil {
			if _, err := tx.Exec(`INSERT INTO prekeys (public, private, made, published) VALUES ($1, $2, $3, $4)
				ON CONFLICT (public) DO UPDATE SET published = excluded.published`,
				p.Public, p.Private, millis(p.Made), millis(p.Published)); err != nil {
				return err
			}
		}
		for _, public := range save.Erase {
			if _, err := tx.Exec("DELETE FROM prekeys WHERE public = $1", public); err != nil {
				return err
			}
		}
		return nil
	})
}
