package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet/store/sqlite"
)

// HostCache returns the host cache, as SetHostCache was given it; nil if it
// never was.
func (s *Store) HostCache(ctx context.Context) ([]byte, error) {
	b, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM host_cache")
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("store: host cache: %w", err)
	}
	return b, nil
}

// SetHostCache keeps the host cache. Package overlay bounds it.
func (s *Store) SetHostCache(ctx context.Context, b []byte) error {
	return s.write(ctx, "host cache", func(tx *sqlite.Tx) error {
		_, err := tx.Exec("INSERT INTO host_cache (only_row, bytes) VALUES (1, $1) ON CONFLICT (only_row) DO UPDATE SET bytes = excluded.bytes", b)
		return err
	})
}
