-- +goose Up
-- Calls that were handed over, and those that the other side has to hear of still.
ALTER TABLE calls ADD COLUMN put_through TEXT NOT NULL DEFAULT ''; -- who put the two through to each other, or empty
ALTER TABLE calls ADD COLUMN untold BIGINT NOT NULL DEFAULT 0;     -- 1: the callee is to be told that it was missed
CREATE INDEX calls_untold ON calls (untold);
