-- A store as version 4 of the schema left it, rows included. It never changes.
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-23 19:56:38');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-23 19:56:38');
CREATE TABLE host_cache (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    bytes    BYTEA  NOT NULL -- package overlay knows what is in it
);
INSERT INTO "host_cache" VALUES(1,X'686F737473');
CREATE TABLE identity (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    user_name   TEXT   NOT NULL,
    device      TEXT   NOT NULL,
    secret_keys BYTEA  NOT NULL, -- suite.Keys.Marshal
    certificate BYTEA            -- as the authority signed it; NULL until signed in
);
INSERT INTO "identity" VALUES(1,'alice','laptop',X'6B657973',X'6365727469666963617465');
CREATE TABLE network (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    id          BYTEA  NOT NULL, -- linnet.NetworkID
    fingerprint BYTEA  NOT NULL, -- of the invite: every descriptor is checked against it
    serial      BIGINT NOT NULL, -- the highest ever seen
    descriptor  BYTEA  NOT NULL  -- as the root key signed it
);
INSERT INTO "network" VALUES(1,X'01000000000000000000000000000000',X'0200000000000000000000000000000000000000000000000000000000000000',7,X'64657363726970746F72');
CREATE TABLE records (
    node  BYTEA  PRIMARY KEY, -- linnet.NodeID of the device
    time  BIGINT NOT NULL,
    bytes BYTEA  NOT NULL     -- as the device signed it
);
INSERT INTO "records" VALUES(X'04000000000000000000000000000001',1800000001000,X'7265636F7264');
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "settings" VALUES('relay','off');
CREATE INDEX records_time ON records (time);

-- Contacts may receive our addresses and ring early.
CREATE TABLE contacts (
    user_name TEXT   PRIMARY KEY,
    name      TEXT   NOT NULL, -- how the user calls them, or empty
    state     TEXT   NOT NULL, -- approved; later also asked, asking, blocked
    added     BIGINT NOT NULL
);

-- One row a call. An outcome other than 0 is final.
CREATE TABLE calls (
    id       BYTEA  PRIMARY KEY, -- linnet.CallID
    peer     TEXT   NOT NULL,
    incoming BIGINT NOT NULL,    -- 0 or 1
    started  BIGINT NOT NULL,
    answered BIGINT NOT NULL,    -- 0: never
    ended    BIGINT NOT NULL,    -- 0: not yet
    outcome  BIGINT NOT NULL,    -- linnet.Outcome; 0: not yet
    seen     BIGINT NOT NULL,    -- time of the last change: when a call that a crash cut off was last alive
    receipt  TEXT   NOT NULL     -- linnet.Receipt as JSON
);
CREATE INDEX calls_started ON calls (started);
CREATE INDEX calls_outcome ON calls (outcome);
INSERT INTO "goose_db_version" VALUES(3,2,1,'2026-11-24 09:00:00');

-- A conversation of two people has an id made of both names, so that every
-- device of both makes the same one; a group's is drawn at random.
CREATE TABLE conversations (
    id      BYTEA  PRIMARY KEY,
    kind    TEXT   NOT NULL,  -- pair, group
    title   TEXT   NOT NULL,
    created BIGINT NOT NULL,
    read_to BIGINT NOT NULL   -- position up to which the user has read, on any device
);

CREATE TABLE members (
    conversation BYTEA  NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    user_name    TEXT   NOT NULL,
    joined       BIGINT NOT NULL, -- position
    left_at      BIGINT,          -- position; NULL while a member
    PRIMARY KEY (conversation, user_name)
);

-- The order of a conversation is (position, id) on all devices: position is a
-- logical clock, one more than the highest that the author's device had seen.
CREATE TABLE messages (
    id           BYTEA  PRIMARY KEY, -- 16 bytes, drawn by the author's device
    conversation BYTEA  NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    author       TEXT   NOT NULL,
    device       BYTEA  NOT NULL,    -- linnet.NodeID of the author's device
    sent         BIGINT NOT NULL,    -- by the author's clock: shown, never sorted by
    position     BIGINT NOT NULL,
    kind         TEXT   NOT NULL,    -- text, file, call, notice
    body         TEXT   NOT NULL,    -- as last edited; empty once deleted
    reply_to     BYTEA,              -- a message that may not have arrived yet, so no reference
    state        TEXT   NOT NULL,    -- sending, stored, delivered, read; received
    edited       BIGINT,             -- time of the last edit
    deleted      BIGINT              -- time; the row stays, so that a late copy does not bring it back
);
CREATE INDEX messages_order ON messages (conversation, position, id);

-- What a message said before; the newest by (time, id) is its body.
CREATE TABLE edits (
    id      BYTEA  PRIMARY KEY,
    message BYTEA  NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    time    BIGINT NOT NULL,
    body    TEXT   NOT NULL
);
CREATE INDEX edits_message ON edits (message, time);

CREATE TABLE reactions (
    message   BYTEA  NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    user_name TEXT   NOT NULL,
    emoji     TEXT   NOT NULL,
    time      BIGINT NOT NULL,
    PRIMARY KEY (message, user_name, emoji)
);

-- How far a message has come, by the device it is sealed for.
CREATE TABLE deliveries (
    message BYTEA  NOT NULL REFERENCES messages (id) ON DELETE CASCADE,
    device  BYTEA  NOT NULL,
    state   TEXT   NOT NULL, -- sending, stored, delivered, read
    time    BIGINT NOT NULL,
    PRIMARY KEY (message, device)
);
CREATE INDEX deliveries_state ON deliveries (state);
INSERT INTO "goose_db_version" VALUES(4,3,1,'2026-11-24 09:00:00');

-- Mail that this node keeps for others as a supernode. The bytes come last: who
-- reads only heads does not read their pages.
CREATE TABLE mailbox (
    id    BYTEA PRIMARY KEY, -- message.MailID
    head  BYTEA NOT NULL,    -- small; package directory knows what is in it, as of the bytes
    bytes BYTEA NOT NULL     -- as its sender or owner signed it
);
INSERT INTO "goose_db_version" VALUES(5,4,1,'2026-11-24 09:00:00');
INSERT INTO contacts VALUES('bob','Bobby','approved',1800000001000);
INSERT INTO contacts VALUES('carol','','approved',1800000002000);
INSERT INTO contacts VALUES('dave','','blocked',1800000002000);
COMMIT;
