-- Accounts of one network. Times are milliseconds since 1970, ids are made by
-- whoever makes the row, and every statement is valid for PostgreSQL too.

-- +goose Up

CREATE TABLE accounts (
    user_name TEXT   PRIMARY KEY,
    salt      BYTEA,            -- 16 bytes; NULL: no password, certified by the owner alone
    verifier  BYTEA,            -- suite.Lock of salt and suite.Verifier
    created   BIGINT NOT NULL
);

-- A device keeps its name, keys and serial for life, and so its NodeID: who
-- could change one of them could draw NodeIDs at will.
CREATE TABLE devices (
    signing   BYTEA  PRIMARY KEY,
    user_name TEXT   NOT NULL REFERENCES accounts (user_name) ON DELETE CASCADE,
    device    TEXT   NOT NULL,
    agreement BYTEA  NOT NULL,
    serial    BIGINT NOT NULL UNIQUE, -- of all its certificates: revoking it revokes them all
    created   BIGINT NOT NULL,
    issued    BIGINT NOT NULL,        -- the last certificate
    expires   BIGINT NOT NULL,
    revoked   BIGINT                  -- NULL: good
);
CREATE INDEX devices_user ON devices (user_name, created);
CREATE INDEX devices_revoked ON devices (revoked);

CREATE TABLE invites (
    token_hash BYTEA  PRIMARY KEY, -- SHA-256: who reads the database invites nobody
    expires    BIGINT NOT NULL,
    uses_left  BIGINT NOT NULL,
    created    BIGINT NOT NULL
);
