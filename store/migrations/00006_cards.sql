-- +goose Up

-- What the user of this device wants to say in the white pages.
CREATE TABLE own_card (
    user_name TEXT  PRIMARY KEY,
    bytes     BYTEA NOT NULL -- package directory knows what is in it
);

-- Cards that this node keeps for others as a supernode.
CREATE TABLE cards (
    user_name TEXT  PRIMARY KEY,
    bytes     BYTEA NOT NULL -- as a device of the user signed it
);
