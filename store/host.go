package store

import (
	"context"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// MaxHosts is how many supernodes the host cache keeps.
const MaxHosts = 200

// Host is a supernode of the host cache.
type Host struct {
	Node  linnet.NodeID
	Score float64
	Entry []byte // package overlay knows what is in it
}

// Hosts returns the host cache, the best score first.
func (s *Store) Hosts(ctx context.Context) ([]Host, error) {
	hosts, err := sqlite.All(ctx, s.db, func(row sqlite.Row) (h Host, err error) {
		var node []byte
		err = row.Scan(&node, &h.Score, &h.Entry)
		copy(h.Node[:], node)
		return h, err
	}, "SELECT node, score, entry FROM hosts ORDER BY score DESC, node LIMIT $1", MaxHosts)
	if err != nil {
		return nil, fmt.Errorf("store: hosts: %w", err)
	}
	return hosts, nil
}

// PutHosts adds hosts or replaces what was known of them, and then forgets the
// worst beyond MaxHosts.
func (s *Store) PutHosts(ctx context.Context, hosts []Host) error {
	return s.write(ctx, "hosts", func(tx *sqlite.Tx) error {
		for _, h := range hosts {
			if _, err := tx.Exec(`INSERT INTO hosts (node, score, entry) VALUES ($1, $2, $3)
				ON CONFLICT (node) DO UPDATE SET score = excluded.score, entry = excluded.entry`,
				h.Node[:], h.Score, h.Entry); err != nil {
				return err
			}
		}
		_, err := tx.Exec("DELETE FROM hosts WHERE node NOT IN (SELECT node FROM hosts ORDER BY score DESC, node LIMIT $1)", MaxHosts)
		return err
	})
}
