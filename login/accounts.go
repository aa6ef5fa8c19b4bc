package login

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"database/sql"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/linnet-p2p/linnet"
	"github.com/linnet-p2p/linnet/store/sqlite"
	"github.com/linnet-p2p/linnet/wire/message"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Accounts is the database of a network's accounts, their devices and its
// invites. Several processes may have it open: `linnet network invite` works
// beside a running login server.
type Accounts struct {
	db *sqlite.DB
}

// OpenAccounts opens the database at path and makes it if it is missing.
func OpenAccounts(ctx context.Context, path string) (*Accounts, error) {
	schema, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	db, err := sqlite.Open(ctx, path, schema, sqlite.Options{})
	if err != nil {
		return nil, fmt.Errorf("login: accounts: %w", err)
	}
	return &Accounts{db}, nil
}

// Close closes the database.
func (a *Accounts) Close() error { return a.db.Close() }

// Writable says what the disk has against writing, if it had something against it last.
func (a *Accounts) Writable(ctx context.Context) error { return a.db.Writable(ctx) }

const saltSize = 16

// lock is what an account keeps of its password.
type lock struct {
	salt, hash []byte
}

// A locksmith is suite.LoginSuite.Lock at the cost that the network's policy sets.
type locksmith func(salt, verifier []byte) []byte

func (hash locksmith) lock(verifier []byte) lock {
	salt := make([]byte, saltSize)
	rand.Read(salt)
	return lock{salt, hash(salt, verifier)}
}

// opens says whether the verifier is the account's. It works as long for a user
// who does not exist, whose lock is empty.
func (hash locksmith) opens(l lock, verifier []byte) bool {
	salt := l.salt
	if len(salt) != saltSize {
		salt = make([]byte, saltSize)
	}
	equal := subtle.ConstantTimeCompare(hash(salt, verifier), l.hash) == 1
	return equal && len(l.salt) == saltSize
}

// A claim is a device that asks for a certificate.
type claim struct {
	user               linnet.UserName
	device             string
	signing, agreement []byte
}

// standing is what the database knows of a claim's user and device.
type standing struct {
	exists  bool // the account
	lock    lock
	known   bool // the device, as the user's
	revoked bool
}

// standing reads with one query, so that it takes as long whether or not there
// is anything to find.
func (a *Accounts) standing(ctx context.Context, c claim) (standing, error) {
	s, err := sqlite.One(ctx, a.db, func(row sqlite.Row) (s standing, err error) {
		var user, holder sql.NullString
		var revoked sql.NullInt64
		err = row.Scan(&user, &s.lock.salt, &s.lock.hash, &holder, &revoked)
		s.exists = user.Valid
		s.known = user.Valid && holder.Valid && holder.String == user.String
		s.revoked = revoked.Valid
		return s, err
	}, `SELECT a.user_name, a.salt, a.verifier, d.user_name, d.revoked FROM (SELECT 1 AS one) AS o
		LEFT JOIN accounts a ON a.user_name = $1
		LEFT JOIN devices d ON d.signing = $2`, string(c.user), c.signing)
	if err != nil {
		return s, fmt.Errorf("login: %s: %w", c.user, err)
	}
	return s, nil
}

// create makes an account and its first device. token is what the invite has
// to carry, or nil if none is wanted. Whoever has no invite does not learn
// which names are taken.
func (a *Accounts) create(ctx context.Context, c claim, l lock, token []byte, p period) (serial uint64, err error) {
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		if token != nil {
			if err := useInvite(tx, token, p.now); err != nil {
				return err
			}
		}
		n, err := tx.Exec("INSERT INTO accounts (user_name, salt, verifier, created) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
			string(c.user), l.salt, l.hash, p.now.UnixMilli())
		if err != nil {
			return err
		}
		if n == 0 {
			return refuse(message.FailureTaken, "the name %s is taken", c.user)
		}
		serial, err = admit(tx, c, p)
		return err
	})
	return serial, err
}

// admit lets a device of an account have a certificate.
func (a *Accounts) admit(ctx context.Context, c claim, p period) (serial uint64, err error) {
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		serial, err = admit(tx, c, p)
		return err
	})
	return serial, err
}

// certify is admit for those whom the network's owner vouches for: the account
// is made if it is missing, has no password and gets none, and may have any
// number of devices.
func (a *Accounts) certify(ctx context.Context, c claim, p period) (serial uint64, err error) {
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		serial, err = certify(tx, c, p)
		return err
	})
	return serial, err
}

// enlist is certify for the machine that a ticket is for. A device that is known
// may show a ticket again that it used, as the answer may have got lost.
func (a *Accounts) enlist(ctx context.Context, c claim, ticket []byte, known bool, p period) (serial uint64, err error) {
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		if err := useTicket(tx, ticket, c.user, known, p.now); err != nil {
			return err
		}
		serial, err = certify(tx, c, p)
		return err
	})
	return serial, err
}

func certify(tx *sqlite.Tx, c claim, p period) (serial uint64, err error) {
	if _, err := tx.Exec("INSERT INTO accounts (user_name, created) VALUES ($1, $2) ON CONFLICT DO NOTHING", string(c.user), p.now.UnixMilli()); err != nil {
		return 0, err
	}
	var protected int
	if err := tx.One("SELECT COUNT(*) FROM accounts WHERE user_name = $1 AND verifier IS NOT NULL", string(c.user)).Scan(&protected); err != nil {
		return 0, err
	}
	if protected > 0 {
		return 0, refuse(message.FailureTaken, "%s is the account of somebody with a password", c.user)
	}
	return admit(tx, c, p)
}

// period is the life of a certificate, and how many devices the account may
// add in a day of it.
type period struct {
	now, expires time.Time
	newDevices   int  // 0: any number
	renew        bool // only a device that is known
}

func admit(tx *sqlite.Tx, c claim, p period) (serial uint64, err error) {
	var user, device string
	var agreement []byte
	var number int64
	var revoked sql.NullInt64
	err = tx.One("SELECT user_name, device, agreement, serial, revoked FROM devices WHERE signing = $1", c.signing).
		Scan(&user, &device, &agreement, &number, &revoked)
	switch {
	case errors.Is(err, sql.ErrNoRows) && p.renew:
		return 0, refuse(message.FailureRevoked, "no such device")
	case errors.Is(err, sql.ErrNoRows):
		return addDevice(tx, c, p)
	case err != nil:
		return 0, err
	case user != string(c.user) || string(agreement) != string(c.agreement) || device != c.device:
		return 0, refuse(message.FailureInvalid, "these device keys are certified for another user, device or agreement key: make new ones")
	case revoked.Valid:
		return 0, refuse(message.FailureRevoked, "the device was revoked")
	}
	_, err = tx.Exec("UPDATE devices SET issued = $1, expires = $2 WHERE signing = $3", p.now.UnixMilli(), p.expires.UnixMilli(), c.signing)
	return uint64(number), err
}

func addDevice(tx *sqlite.Tx, c claim, p period) (serial uint64, err error) {
	const day = 24 * time.Hour
	if p.newDevices > 0 {
		// The one that makes room is the newDevices-th newest.
		var oldest int64
		err := tx.One("SELECT created FROM devices WHERE user_name = $1 AND created > $2 ORDER BY created DESC LIMIT 1 OFFSET $3",
			string(c.user), p.now.Add(-day).UnixMilli(), p.newDevices-1).Scan(&oldest)
		switch {
		case err == nil:
			r := refuse(message.FailureTooMany, "%d new devices in a day are enough", p.newDevices)
			r.after = time.UnixMilli(oldest).Add(day).Sub(p.now)
			return 0, r
		case !errors.Is(err, sql.ErrNoRows):
			return 0, err
		}
	}
	serial = newSerial()
	_, err = tx.Exec(`INSERT INTO devices (signing, user_name, device, agreement, serial, created, issued, expires)
		VALUES ($1, $2, $3, $4, $5, $6, $6, $7)`,
		c.signing, string(c.user), c.device, c.agreement, int64(serial), p.now.UnixMilli(), p.expires.UnixMilli())
	return serial, err
}

// newSerial draws a serial: several servers that share a database need no
// counter. 63 bits fit both databases.
func newSerial() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.BigEndian.Uint64(b[:]) >> 1
}

// Revoke signs out all devices of a user that have this name, and says how many
// there were. The next head of the authority tells the network.
func (a *Accounts) Revoke(ctx context.Context, user linnet.UserName, device string, now time.Time) (n int64, err error) {
	err = a.db.Write(ctx, func(tx *sqlite.Tx) error {
		n, err = tx.Exec("UPDATE devices SET revoked = $1 WHERE user_name = $2 AND device = $3 AND revoked IS NULL",
			now.UnixMilli(), string(user), device)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("login: revoke %s of %s: %w", device, user, err)
	}
	return n, nil
}

// revoked returns the serials of revoked devices whose certificates have not
// expired by themselves.
func (a *Accounts) revoked(ctx context.Context, now time.Time) ([]uint64, error) {
	serials, err := sqlite.All(ctx, a.db, func(row sqlite.Row) (uint64, error) {
		var n int64
		err := row.Scan(&n)
		return uint64(n), err
	}, "SELECT serial FROM devices WHERE revoked IS NOT NULL AND expires > $1", now.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("login: revoked devices: %w", err)
	}
	return serials, nil
}
