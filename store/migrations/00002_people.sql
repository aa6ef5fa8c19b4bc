-- +goose Up

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
