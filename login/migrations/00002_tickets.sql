-- Tickets: invites for one machine of the operator's own.

-- +goose Up

ALTER TABLE invites ADD COLUMN node_name TEXT NOT NULL DEFAULT ''; -- '': for people
