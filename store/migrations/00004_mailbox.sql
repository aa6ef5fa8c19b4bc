-- +goose Up

-- Mail that this node keeps for others as a supernode. The bytes come last: who
-- reads only heads does not read their pages.
CREATE TABLE mailbox (
    id    BYTEA PRIMARY KEY, -- message.MailID
    head  BYTEA NOT NULL,    -- small; package directory knows what is in it, as of the bytes
    bytes BYTEA NOT NULL     -- as its sender or owner signed it
);
