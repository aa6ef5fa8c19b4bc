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
	token = make([]byte, tokenSize)
	rand.Read(token)
	return token, a.keepToken(ctx, token, "", uses, expires)
}

// keepToken keeps the hash of a token for people, or for one machine.
func (a *Accounts) keepToken(ctx context.Context, token []byte, machine linnet.UserName, uses int, expires time.Time) error {
	now := time.Now()
	if uses < 1 || !expires.After(now) {
		return linnet.Errorf(linnet.CodeUsage, "an invite is for at least one person and some time to come")
	}
	hash := sha256.Sum256(token)
	err := a.db.Write(ctx, func(tx *sqlite.Tx) error {
		if _, err := tx.Exec("DELETE FROM invites WHERE expires <= $1 OR uses_left = 0", now.UnixMilli()); err != nil {
			return err
		}
		_, err := tx.Exec("INSERT INTO invites (token_hash, expires, uses_left, created, node_name) VALUES ($1, $2, $3, $4, $5)",
			hash[:], expires.UnixMilli(), uses, now.UnixMilli(), string(machine))
		return err
	})
	if err != nil {
		return fmt.Errorf("login: create invite: %w", err)
	}
	return nil
}

// useInvite takes one use of an invite for people.
func useInvite(tx *sqlite.Tx, token []byte, now time.Time) error {
	hash := sha256.Sum256(token)
	return found(tx.Exec("UPDATE invites SET uses_left = uses_left - 1 WHERE token_hash = $1 AND node_name = '' AND uses_left > 0 AND expires > $2",
		hash[:], now.UnixMilli()))
}

// useTicket takes the only use of a machine's ticket, or finds it used if
// again is allowed.
func useTicket(tx *sqlite.Tx, ticket []byte, machine linnet.UserName, again bool, now time.Time) error {
	least := 1
	if again {
		least = 0
	}
	hash := sha256.Sum256(ticket)
	return found(tx.Exec("UPDATE invites SET uses_left = 0 WHERE token_hash = $1 AND node_name = $2 AND uses_left >= $3 AND expires > $4",
		hash[:], string(machine), least, now.UnixMilli()))
}

func found(n int64, err error) error {
	if err == nil && n == 0 {
		return refuse(message.FailureInvite, "the invite is unknown, used up or expired")
	}
	return err
}
