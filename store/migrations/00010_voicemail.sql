-- +goose Up
-- What was said to somebody who did not answer. A row without sound was sent by
-- this user, or deleted: it stays for as long as a copy may be in a mailbox.
CREATE TABLE voicemails (
    id       BYTEA  PRIMARY KEY, -- 16 bytes, drawn by the caller's device
    owner    TEXT   NOT NULL,    -- who was signed in
    call     BYTEA  NOT NULL,    -- linnet.CallID
    peer     TEXT   NOT NULL,
    own      BIGINT NOT NULL,    -- 1: owner said it
    sent     BIGINT NOT NULL,    -- by the caller's clock
    length   BIGINT NOT NULL,    -- milliseconds
    heard    BIGINT NOT NULL,    -- time; 0: not yet
    told     BIGINT NOT NULL,    -- 1: the caller knows that it was heard
    deleted  BIGINT NOT NULL,    -- time; 0: it is there
    sound    BYTEA               -- Ogg/Opus
);
CREATE INDEX voicemails_owner ON voicemails (owner, sent);

-- Pieces of voice mail of which others are missing.
CREATE TABLE voicemail_pieces (
    id     BYTEA  NOT NULL,
    piece  BIGINT NOT NULL, -- from 0
    pieces BIGINT NOT NULL,
    owner  TEXT   NOT NULL,
    peer   TEXT   NOT NULL,
    call   BYTEA  NOT NULL,
    sent   BIGINT NOT NULL,
    bytes  BYTEA  NOT NULL,
    PRIMARY KEY (id, piece)
);
