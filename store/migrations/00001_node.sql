-- The device and its network. Times are milliseconds since 1970, ids are made
-- by whoever makes the row, and every statement is valid for PostgreSQL too.

-- +goose Up

-- Who this device is: at most one row. The keys are written before anything is
-- asked of a login server, so that a lost answer can be asked for again.
CREATE TABLE identity (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    user_name   TEXT   NOT NULL,
    device      TEXT   NOT NULL,
    secret_keys BYTEA  NOT NULL, -- suite.Keys.Marshal
    certificate BYTEA            -- as the authority signed it; NULL until signed in
);

-- The network of this directory: at most one row.
CREATE TABLE network (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    id          BYTEA  NOT NULL, -- linnet.NetworkID
    fingerprint BYTEA  NOT NULL, -- of the invite: every descriptor is checked against it
    serial      BIGINT NOT NULL, -- the highest ever seen
    descriptor  BYTEA  NOT NULL  -- as the root key signed it
);

CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

-- The host cache: supernodes to begin with. At most one row.
CREATE TABLE host_cache (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    bytes    BYTEA  NOT NULL -- package overlay knows what is in it
);

-- Device records that this node keeps for others as a supernode.
CREATE TABLE records (
    node  BYTEA  PRIMARY KEY, -- linnet.NodeID of the device
    time  BIGINT NOT NULL,
    bytes BYTEA  NOT NULL     -- as the device signed it
);
CREATE INDEX records_time ON records (time);
