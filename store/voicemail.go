package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// What a user keeps of others' voice mail, pieces and whole ones, and how long what
// is deleted is remembered.
const (
	voicemailBytes     = 32 << 20
	voicemailPeerBytes = 8 << 20
	voicemailRow       = 512 // bytes that a row counts besides, also one without sound
	voicemailGrave     = 60 * 24 * time.Hour
)

// A VoicemailPiece is a part of somebody's voice mail.
type VoicemailPiece struct {
	linnet.Voicemail // without Length
	Piece, Pieces    int
	Bytes            []byte
}

// voicemailSize is what is kept of somebody's voice mail, or of everybody's; what was
// deleted or was no sound is remembered, and counts as well.
const voicemailSize = `SELECT (SELECT COALESCE(SUM(LENGTH(bytes) + $2), 0) FROM voicemail_pieces WHERE owner = $1 AND $3 IN ('', peer))
	+ (SELECT COALESCE(SUM(COALESCE(LENGTH(sound), 0) + $2), 0) FROM voicemails WHERE owner = $1 AND own = 0 AND $3 IN ('', peer))`

// PutVoicemailPiece keeps a piece; one of what is there, was deleted, or has no room, is
// dropped. It gives the whole sound when all pieces are there.
func (s *Store) PutVoicemailPiece(ctx context.Context, owner linnet.UserName, p VoicemailPiece) (whole []byte, err error) {
	err = s.write(ctx, "voice mail", func(tx *sqlite.Tx) error {
		whole = nil
		var known, all, ofPeer, pieces int64
		if err := tx.One("SELECT COUNT(*) FROM voicemails WHERE id = $1", p.ID[:]).Scan(&known); err != nil || known > 0 {
			return err
		}
		for _, q := range []struct {
			n     *int64
			query string
			args  []any
		}{
			{&all, voicemailSize, []any{string(owner), voicemailRow, ""}},
			{&ofPeer, voicemailSize, []any{string(owner), voicemailRow, string(p.Peer)}},
		} {
			if err := tx.One(q.query, q.args...).Scan(q.n); err != nil {
				return err
			}
		}
		size := int64(len(p.Bytes)) + voicemailRow
		if all+size > voicemailBytes || ofPeer+size > voicemailPeerBytes {
			return nil
		}
		if _, err := tx.Exec(`INSERT INTO voicemail_pieces (id, piece, pieces, owner, peer, call, sent, bytes) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (id, piece) DO NOTHING`,
			p.ID[:], p.Piece, p.Pieces, string(owner), string(p.Peer), p.Call[:], millis(p.Sent), p.Bytes); err != nil {
			return err
		}
		if err := tx.One("SELECT COUNT(*) FROM voicemail_pieces WHERE id = $1 AND pieces = $2 AND peer = $3", p.ID[:], p.Pieces, string(p.Peer)).Scan(&pieces); err != nil || pieces < int64(p.Pieces) {
			return err
		}
		for i := range p.Pieces {
			var b []byte
			if err := tx.One("SELECT bytes FROM voicemail_pieces WHERE id = $1 AND piece = $2", p.ID[:], i).Scan(&b); err != nil {
				return err
			}
			whole = append(whole, b...)
		}
		return nil
	})
	return whole, err
}

// PutVoicemail keeps voice mail whose sound is good, or nothing of it if there is no
// sound, in place of its pieces.
func (s *Store) PutVoicemail(ctx context.Context, owner linnet.UserName, v linnet.Voicemail, sound []byte) error {
	var deleted int64
	if !v.Own && sound == nil {
		deleted = millis(time.Now())
	}
	return s.write(ctx, "voice mail", func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("DELETE FROM voicemail_pieces WHERE id = $1 OR sent < $2", v.ID[:], millis(time.Now().Add(-voicemailGrave))); err != nil {
			return err
		}
		if _, err := tx.Exec("DELETE FROM voicemails WHERE deleted > 0 AND deleted < $1", millis(time.Now().Add(-voicemailGrave))); err != nil {
			return err
		}
		_, err := tx.Exec(`INSERT INTO voicemails (id, owner, call, peer, own, sent, length, heard, told, deleted, sound)
			VALUES ($1, $2, $3, $4, $5, $6, $7, 0, 0, $8, $9) ON CONFLICT (id) DO NOTHING`,
			v.ID[:], string(owner), v.Call[:], string(v.Peer), bit(v.Own), millis(v.Sent), int64(math.Round(v.Length*1000)), deleted, sound)
		return err
	})
}

const selectVoicemail = "SELECT id, call, peer, own, sent, length, heard FROM voicemails"

func scanVoicemail(row sqlite.Row) (v linnet.Voicemail, err error) {
	var id, call []byte
	var own, sent, length, heard int64
	err = row.Scan(&id, &call, &v.Peer, &own, &sent, &length, &heard)
	copy(v.ID[:], id)
	copy(v.Call[:], call)
	v.Own, v.Sent, v.Length, v.Heard = own != 0, fromMillis(sent), float64(length)/1000, fromMillis(heard)
	return v, err
}

// Voicemails lists what others said to a user, and he to them, the newest first.
func (s *Store) Voicemails(ctx context.Context, owner linnet.UserName, limit int) ([]linnet.Voicemail, error) {
	list, err := sqlite.All(ctx, s.db, scanVoicemail, selectVoicemail+" WHERE owner = $1 AND deleted = 0 ORDER BY sent DESC, id LIMIT $2", string(owner), limit)
	if err != nil {
		return nil, fmt.Errorf("store: voice mail: %w", err)
	}
	return list, nil
}

// VoicemailSound is what somebody said; nil if there is no such voice mail.
func (s *Store) VoicemailSound(ctx context.Context, owner linnet.UserName, id linnet.VoicemailID) ([]byte, error) {
	sound, err := sqlite.One(ctx, s.db, sqlite.Column[[]byte], "SELECT sound FROM voicemails WHERE owner = $1 AND id = $2 AND deleted = 0 AND own = 0", string(owner), id[:])
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: voice mail: %w", err)
	}
	return sound, nil
}

// HeardVoicemail notes that somebody's voice mail was heard, or with own that the
// peer heard the user's. It says whether that is new.
func (s *Store) HeardVoicemail(ctx context.Context, owner, peer linnet.UserName, id linnet.VoicemailID, own bool) (fresh bool, err error) {
	err = s.write(ctx, "voice mail", func(tx *sqlite.Tx) error {
		changed, err := tx.Exec("UPDATE voicemails SET heard = $1 WHERE owner = $2 AND id = $3 AND own = $4 AND heard = 0 AND deleted = 0 AND (own = 0 OR peer = $5)",
			millis(time.Now()), string(owner), id[:], bit(own), string(peer))
		fresh = changed > 0
		return err
	})
	return fresh, err
}

// DeleteVoicemail forgets voice mail; whether there was some.
func (s *Store) DeleteVoicemail(ctx context.Context, owner linnet.UserName, id linnet.VoicemailID) (was bool, err error) {
	err = s.write(ctx, "voice mail", func(tx *sqlite.Tx) error {
		n, err := tx.Exec("UPDATE voicemails SET deleted = $1, sound = NULL WHERE owner = $2 AND id = $3 AND deleted = 0", millis(time.Now()), string(owner), id[:])
		was = n > 0
		return err
	})
	return was, err
}

// HeardUntold is the voice mail whose callers do not know yet that it was heard.
func (s *Store) HeardUntold(ctx context.Context, owner linnet.UserName) ([]linnet.Voicemail, error) {
	list, err := sqlite.All(ctx, s.db, scanVoicemail, selectVoicemail+" WHERE owner = $1 AND own = 0 AND heard > 0 AND told = 0 ORDER BY heard LIMIT 1000", string(owner))
	if err != nil {
		return nil, fmt.Errorf("store: voice mail: %w", err)
	}
	return list, nil
}

// HeardTold says that the caller needs to hear no more of it.
func (s *Store) HeardTold(ctx context.Context, id linnet.VoicemailID) error {
	return s.write(ctx, "voice mail", func(tx *sqlite.Tx) error {
		_, err := tx.Exec("UPDATE voicemails SET told = 1 WHERE id = $1", id[:])
		return err
	})
}

// VoicemailPieces are the pieces of voice mail of which others are missing.
func (s *Store) VoicemailPieces(ctx context.Context) ([]linnet.VoicemailID, error) {
	ids, err := sqlite.All(ctx, s.db, sqlite.Column[[]byte], "SELECT id FROM voicemail_pieces")
	list := make([]linnet.VoicemailID, len(ids))
	for i, id := range ids {
		copy(list[i][:], id)
	}
	return list, err
}
