package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
	"github.com/linnet-p2p/linnet/wire/message"
)

const tokenSize = 16

// CreateInvite makes a token with which so many people can register until it
// expires. Only who holds it knows it: the database keeps its hash.
func (a *Accounts) CreateInvite(ctx context.Context, uses int, expires time.Time) (token []byte, err error) {
	now := time.Now()
	if uses < 1 || !expires.After(now) {
		return nil, linnet.Errorf(linnet.CodeUsage, "an invite is for at least one person and some time to come")
	}
	token = make([]byte, tokenSize)
	rand.Read(token)
	hash := sha256.Sum256(token)
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("DELETE FROM invites WHERE expires <= $1 OR uses_left = 0", now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO invites (token_hash, expires, uses_left, created) VALUES ($1, $2, $3, $4)",
			hash[:], expires.UnixMilli(), uses, now.UnixMilli())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("login: create invite: %w", err)
	}
	return token, nil
}

// useInvite takes one use of an invite.
func useInvite(tx *sqlite.Tx, token []byte, now time.Time) error {
	hash := sha256.Sum256(token)
	n, err := tx.Exec("UPDATE invites SET uses_left = uses_left - 1 WHERE token_hash = $1 AND uses_left > 0 AND expires > $2",
		hash[:], now.UnixMilli())
	if err == nil && n == 0 {
		return refuse(message.FailureInvite, "the invite is unknown, used up or expired")
	}
	return err
}
