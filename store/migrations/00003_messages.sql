-- +goose Up

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
