-- +goose Up
-- What 00003 drew up nothing was ever kept in. Several users may have used this
-- device, one after the other, and may know one another; a message carries its
-- whole state, and is merged.
DROP TABLE deliveries;
DROP TABLE reactions;
DROP TABLE edits;
DROP TABLE messages;
DROP TABLE members;
DROP TABLE conversations;

CREATE TABLE conversations (
    id      INTEGER PRIMARY KEY,
    owner   TEXT    NOT NULL, -- who was signed in
    kind    TEXT    NOT NULL, -- pair; later also group
    peer    TEXT    NOT NULL, -- of a pair: the other one
    UNIQUE (owner, kind, peer)
);

-- The order of a conversation is (position, id) on all devices: position is a
-- logical clock, one more than the highest that the author's device had seen.
CREATE TABLE messages (
    row          INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    id           BYTEA   NOT NULL, -- linnet.MessageID
    author       TEXT    NOT NULL,
    device       BYTEA   NOT NULL, -- linnet.NodeID of the author's device
    sent         BIGINT  NOT NULL, -- by the author's clock: shown, never sorted by
    position     BIGINT  NOT NULL,
    kind         TEXT    NOT NULL, -- linnet.MessageKind
    body         TEXT    NOT NULL, -- as last edited; empty once deleted
    data         BYTEA,            -- of kinds other than text; the package of the kind knows what is in it
    reply_to     BYTEA,            -- a message that may not have arrived yet, so no reference
    state        TEXT    NOT NULL, -- linnet.MessageState
    edited       BIGINT  NOT NULL, -- time of the last edit; 0: never
    deleted      BIGINT  NOT NULL, -- time; the row stays, so that a late copy does not bring it back
    UNIQUE (conversation, id)
);
CREATE INDEX messages_order ON messages (conversation, position, id);
CREATE INDEX messages_id ON messages (id);
CREATE INDEX messages_unread ON messages (conversation) WHERE state = 'received';

-- One of each person to a message, which may not have arrived yet.
CREATE TABLE reactions (
    conversation INTEGER NOT NULL REFERENCES conversations (id) ON DELETE CASCADE,
    message      BYTEA   NOT NULL,
    user_name    TEXT    NOT NULL,
    emoji        TEXT    NOT NULL, -- empty: taken away
    time         BIGINT  NOT NULL,
    PRIMARY KEY (conversation, message, user_name)
);

-- What somebody else's devices, or the owner's other ones, are to be told yet.
CREATE TABLE outbox (
    owner     TEXT  NOT NULL,
    recipient TEXT  NOT NULL,
    peer      TEXT  NOT NULL, -- whose conversation with the owner it belongs to
    what      TEXT  NOT NULL, -- message, reaction, delivered, read
    message   BYTEA NOT NULL,
    PRIMARY KEY (owner, recipient, peer, what, message)
);

-- The words of the messages, by messages.row.
CREATE VIRTUAL TABLE message_words USING fts5 (body, content='', contentless_delete=1, tokenize='unicode61 remove_diacritics 2');
