-- +goose Up
-- People of the user who is signed in: contacts, who asks to be one, who is blocked.
CREATE TABLE people (
    owner     TEXT   NOT NULL, -- whose they are; empty: whoever signs in first
    user_name TEXT   NOT NULL,
    name      TEXT   NOT NULL, -- how the owner calls them, or empty
    state     TEXT   NOT NULL, -- linnet.ContactState; none: kept for a while, against repetitions
    added     BIGINT NOT NULL,
    relation  BYTEA,           -- package presence knows what is in it; NULL: from before there were requests
    PRIMARY KEY (owner, user_name)
);

-- Contacts were on one side's list only. They are asked now.
INSERT INTO people (owner, user_name, name, state, added)
    SELECT COALESCE((SELECT user_name FROM identity), ''), user_name, name, 'asked', added FROM contacts WHERE state = 'approved';
DROP TABLE contacts;

-- What this device says of itself, and its contact key.
CREATE TABLE presence (
    owner TEXT  PRIMARY KEY,
    bytes BYTEA NOT NULL -- secret; package presence knows what is in it
);

-- This device's prekeys.
CREATE TABLE prekeys (
    public    BYTEA  PRIMARY KEY,
    private   BYTEA  NOT NULL, -- secret; erased after 30 days
    made      BIGINT NOT NULL,
    published BIGINT NOT NULL  -- 0: never
);
