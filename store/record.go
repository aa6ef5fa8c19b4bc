package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Record is a device record that this node keeps for others as a supernode.
type Record struct {
	Node  linnet.NodeID // of the device
	Time  time.Time     // of the record, by the device
	Bytes []byte        // as the device signed it; package directory knows what is in it
}

// Records returns all records kept.
func (s *Store) Records(ctx context.Context) ([]Record, error) {
	records, err := sqlite.All(ctx, s.db, func(row sqlite.Row) (r Record, err error) {
		var node []byte
		var ms int64
		err = row.Scan(&node, &ms, &r.Bytes)
		copy(r.Node[:], node)
		r.Time = fromMillis(ms)
		return r, err
	}, "SELECT node, time, bytes FROM records")
	if err != nil {
		return nil, fmt.Errorf("store: records: %w", err)
	}
	return records, nil
}

// RecordsOf returns the records of these devices, without those that are not kept.
func (s *Store) RecordsOf(ctx context.Context, nodes ...linnet.NodeID) (records [][]byte, err error) {
	for _, n := range nodes {
		b, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT bytes FROM records WHERE node = $1", n[:])
		switch {
		case errors.Is(err, sql.ErrNoRows):
		case err != nil:
			return nil, fmt.Errorf("store: records: %w", err)
		default:
			records = append(records, b)
		}
	}
	return records, nil
}

// PutRecords keeps records, each instead of the device's last one. Records of
// many calls share one commit, and so do those of one call.
func (s *Store) PutRecords(ctx context.Context, records ...Record) error {
	return s.write(ctx, "records", func(tx *sqlite.Tx) error {
		for _, r := range records {
			if _, err := tx.Exec(`INSERT INTO records (node, time, bytes) VALUES ($1, $2, $3)
				ON CONFLICT (node) DO UPDATE SET time = excluded.time, bytes = excluded.bytes`,
				r.Node[:], millis(r.Time), r.Bytes); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetRecords erases the records of these devices.
func (s *Store) ForgetRecords(ctx context.Context, nodes ...linnet.NodeID) error {
	return s.write(ctx, "records", func(tx *sqlite.Tx) error {
		for _, n := range nodes {
			if _, err := tx.Exec("DELETE FROM records WHERE node = $1", n[:]); err != nil {
				return err
			}
		}
		return nil
	})
}

// ForgetRecordsBefore erases the records that are older.
func (s *Store) ForgetRecordsBefore(ctx context.Context, t time.Time) error {
	return s.write(ctx, "records", func(tx *sqlite.Tx) error {
		_, err := tx.Exec("DELETE FROM records WHERE time < $1", millis(t))
		return err
	})
}
