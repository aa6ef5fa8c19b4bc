package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/files"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// Files returns what is kept of the files of a user.
func (s *Store) Files(ctx context.Context, owner linnet.UserName) ([]files.Kept, error) {
	list, err := sqlite.All(ctx, s.db, scanFile, `SELECT id, peer, incoming, device, name, size, sum, tree, state, told, done, here, there, why, code,
		place, part, spooled, modified, offered, ended FROM files WHERE owner = $1 ORDER BY offered, id`, string(owner))
	if err != nil {
		return nil, fmt.Errorf("store: files: %w", err)
	}
	return list, nil
}

func scanFile(row sqlite.Row) (k files.Kept, err error) {
	var id, device, sum, tree, state []byte
	var incoming, told, here, there, spooled int
	var modified, offered, ended int64
	if err := row.Scan(&id, &k.Peer, &incoming, &device, &k.File.Name, &k.Size, &sum, &tree, &state, &told, &k.Done, &here, &there, &k.Why, &k.Code,
		&k.File.Place, &k.Part, &spooled, &modified, &offered, &ended); err != nil {
		return k, err
	}
	copy(k.ID[:], id)
	copy(k.Device[:], device)
	copy(k.Sum[:], sum)
	copy(k.Tree[:], tree)
	k.SHA256 = hex.EncodeToString(k.Sum[:])
	k.Incoming, k.Told, k.PausedHere, k.PausedThere, k.Spooled = incoming != 0, told != 0, here != 0, there != 0, spooled != 0
	k.Modified, k.Offered, k.Ended = fromMillis(modified), fromMillis(offered), fromMillis(ended)
	return k, k.State.UnmarshalText(state)
}

// SaveFile keeps a file as it is now, with the hashes of its pieces where Save has them.
func (s *Store) SaveFile(ctx context.Context, owner linnet.UserName, save files.Save) error {
	k := save.Kept
	return s.write(ctx, "file "+k.ID.String(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO files (id, owner, peer, incoming, device, name, size, sum, tree, state, told, done, here, there, why, code,
				place, part, spooled, modified, offered, ended)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
			ON CONFLICT (id) DO UPDATE SET device = excluded.device, state = excluded.state, told = excluded.told,
				done = CASE WHEN excluded.done > files.done THEN excluded.done ELSE files.done END,
				here = excluded.here, there = excluded.there, why = excluded.why, code = excluded.code, place = excluded.place, part = excluded.part,
				ended = excluded.ended`,
			k.ID[:], string(owner), string(k.Peer), bit(k.Incoming), k.Device[:], k.File.Name, k.Size, k.Sum[:], k.Tree[:], k.State.String(), bit(k.Told), k.Done,
			bit(k.PausedHere), bit(k.PausedThere), k.Why, string(k.Code), k.File.Place, k.Part, bit(k.Spooled), millis(k.Modified), millis(k.Offered), millis(k.Ended))
		if err == nil && save.Pieces != nil {
			_, err = tx.Exec("UPDATE files SET pieces = $2 WHERE id = $1", k.ID[:], save.Pieces)
		}
		return err
	})
}

// SetProgress keeps how many bytes of a file are verified and on disk. SaveFile never
// lowers that: it may be about an earlier moment.
func (s *Store) SetProgress(ctx context.Context, id linnet.FileID, done int64) error {
	return s.write(ctx, "progress of file "+id.String(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("UPDATE files SET done = $2 WHERE id = $1", id[:], done)
		return err
	})
}

// Pieces returns the hashes of the pieces of a file, which SaveFile kept.
func (s *Store) Pieces(ctx context.Context, id linnet.FileID) ([]byte, error) {
	pieces, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT pieces FROM files WHERE id = $1", id[:])
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: pieces of file %s: %w", id, err)
	}
	return pieces, nil
}

// ForgetFile deletes what is kept of a file.
func (s *Store) ForgetFile(ctx context.Context, id linnet.FileID) error {
	return s.write(ctx, "file "+id.String(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("DELETE FROM files WHERE id = $1", id[:])
		return err
	})
}
