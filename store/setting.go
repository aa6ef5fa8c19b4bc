package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Setting returns the value of a setting, or fallback where it was never set.
func (s *Store) Setting(ctx context.Context, name, fallback string) (string, error) {
	v, err := sqlite.One(ctx, s.db, sqlite.Column[string], "SELECT value FROM settings WHERE name = $1", name)
	if errors.Is(err, sql.ErrNoRows) {
		return fallback, nil
	}
	if err != nil {
		return fallback, fmt.Errorf("store: setting %s: %w", name, err)
	}
	return v, nil
}

// SetSetting keeps a setting.
func (s *Store) SetSetting(ctx context.Context, name, value string) error {
	return s.write(ctx, "setting "+name, func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO settings (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, name, value)
		return err
	})
}
