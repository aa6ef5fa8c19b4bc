package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
)

// PutCall keeps a call's record: when it begins, when it changes, and when it
// ends. The first outcome is final: whatever comes later may complete the
// receipt, and leaves Outcome, Answered and Ended as they are.
func (s *Store) PutCall(ctx context.Context, c linnet.CallRecord) error {
	receipt, err := json.Marshal(c.Receipt)
	if err != nil {
		return fmt.Errorf("store: call %s: %w", c.ID, err)
	}
	return s.write(ctx, "call "+c.ID.String(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`INSERT INTO calls (id, peer, incoming, started, answered, ended, outcome, seen, receipt, put_through, untold)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
			ON CONFLICT (id) DO UPDATE SET
				answered = CASE WHEN calls.outcome = 0 THEN excluded.answered ELSE calls.answered END,
				ended    = CASE WHEN calls.outcome = 0 THEN excluded.ended    ELSE calls.ended    END,
				outcome  = CASE WHEN calls.outcome = 0 THEN excluded.outcome  ELSE calls.outcome  END,
				receipt  = CASE WHEN calls.outcome = 0 OR excluded.outcome <> 0 THEN excluded.receipt ELSE calls.receipt END,
				untold   = CASE WHEN calls.outcome = 0 THEN excluded.untold   ELSE calls.untold   END,
				seen     = excluded.seen`,
			c.ID[:], string(c.Peer), bit(c.Incoming), millis(c.Started), millis(c.Answered), millis(c.Ended),
			int(c.Outcome), millis(time.Now()), string(receipt), string(c.By), bit(c.MissedThere()))
		return err
	})
}

// Calls returns the history, the newest first.
func (s *Store) Calls(ctx context.Context, limit int) ([]linnet.CallRecord, error) {
	calls, err := sqlite.All(ctx, s.db, scanCall, selectCall+" ORDER BY started DESC, id LIMIT $1", limit)
	if err != nil {
		return nil, fmt.Errorf("store: calls: %w", err)
	}
	return calls, nil
}

// Call returns one call, or nil if there was none.
func (s *Store) Call(ctx context.Context, id linnet.CallID) (*linnet.CallRecord, error) {
	c, err := sqlite.One(ctx, s.db, scanCall, selectCall+" WHERE id = $1", id[:])
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: call %s: %w", id, err)
	}
	return &c, nil
}

// missedADay is how many calls of one caller are heard to be missed.
const missedADay = 50

// PutMissed notes a call that did not ring here, unless it is in the history, or the
// caller left very many. It says whether it is new.
func (s *Store) PutMissed(ctx context.Context, c linnet.CallRecord) (fresh bool, err error) {
	err = s.write(ctx, "missed call", func(tx *sqlite.Tx) error {
		n, err := tx.Exec(`INSERT INTO calls (id, peer, incoming, started, answered, ended, outcome, seen, receipt)
			SELECT $1, $2, 1, $3, 0, $3, $4, $5, '{}' WHERE (SELECT COUNT(*) FROM calls WHERE peer = $2 AND incoming = 1 AND seen > $6) < $7
			ON CONFLICT (id) DO NOTHING`,
			c.ID[:], string(c.Peer), millis(c.Started), int(c.Outcome), millis(time.Now()), millis(time.Now().Add(-24*time.Hour)), missedADay)
		fresh = n > 0
		return err
	})
	return fresh, err
}

// Untold are the calls whose callees have to hear that they missed them, the oldest first.
func (s *Store) Untold(ctx context.Context) ([]linnet.CallRecord, error) {
	calls, err := sqlite.All(ctx, s.db, scanCall, selectCall+" WHERE untold = 1 ORDER BY started, id LIMIT 1000")
	if err != nil {
		return nil, fmt.Errorf("store: calls: %w", err)
	}
	return calls, nil
}

// Told says that a callee needs to hear no more of a call.
func (s *Store) Told(ctx context.Context, id linnet.CallID) error {
	return s.write(ctx, "call "+id.String(), func(tx *sqlite.Tx) error {
		_, err := tx.Exec("UPDATE calls SET untold = 0 WHERE id = $1", id[:])
		return err
	})
}

const selectCall = "SELECT id, peer, incoming, started, answered, ended, outcome, receipt, put_through FROM calls"

func scanCall(row sqlite.Row) (c linnet.CallRecord, err error) {
	var id, receipt []byte
	var incoming int
	var started, answered, ended int64
	if err := row.Scan(&id, &c.Peer, &incoming, &started, &answered, &ended, &c.Outcome, &receipt, &c.By); err != nil {
		return c, err
	}
	copy(c.ID[:], id)
	c.Incoming = incoming != 0
	c.Started, c.Answered, c.Ended = fromMillis(started), fromMillis(answered), fromMillis(ended)
	return c, json.Unmarshal(receipt, &c.Receipt)
}

// closeCalls ends the calls that were going on when the last process died: one
// that rang here was missed, any other one lost, and it ended when it was last
// seen alive.
func (s *Store) closeCalls(ctx context.Context) error {
	return s.write(ctx, "calls", func(tx *sqlite.Tx) error {
		_, err := tx.Exec(`UPDATE calls SET ended = seen, untold = CASE WHEN incoming = 0 AND answered = 0 THEN 1 ELSE 0 END, outcome = CASE WHEN incoming = 1 AND answered = 0 THEN CAST($1 AS BIGINT) ELSE CAST($2 AS BIGINT) END
			WHERE outcome = 0`, int(linnet.OutcomeMissed), int(linnet.OutcomeLost))
		return err
	})
}
