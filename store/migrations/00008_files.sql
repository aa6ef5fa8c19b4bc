-- +goose Up

-- Files that were offered to others or by others. Large files have thousands of
-- pieces: whoever lists files does not read these.
CREATE TABLE files (
    id       BYTEA  PRIMARY KEY, -- linnet.FileID
    owner    TEXT   NOT NULL,    -- whose device this was then
    peer     TEXT   NOT NULL,
    incoming BIGINT NOT NULL,    -- 0 or 1
    device   BYTEA  NOT NULL,    -- linnet.NodeID of the other side; zero: none yet
    name     TEXT   NOT NULL,
    size     BIGINT NOT NULL,
    sum      BYTEA  NOT NULL,    -- SHA-256
    tree     BYTEA  NOT NULL,    -- SHA-256 of those of the pieces
    state    TEXT   NOT NULL,    -- linnet.FileState
    told     BIGINT NOT NULL,    -- 0 or 1
    done     BIGINT NOT NULL,    -- incoming: bytes that were verified and are on disk
    here     BIGINT NOT NULL,    -- paused here, 0 or 1
    there    BIGINT NOT NULL,
    why      TEXT   NOT NULL,
    code     TEXT   NOT NULL,    -- linnet.Code
    place    TEXT   NOT NULL,    -- outgoing: the file; incoming: where it is put, once it is complete
    part     TEXT   NOT NULL,    -- incoming: where its bytes are until then
    spooled  BIGINT NOT NULL,    -- outgoing: place is a copy of the node's own, 0 or 1
    modified BIGINT NOT NULL,    -- outgoing: of place
    offered  BIGINT NOT NULL,
    ended    BIGINT NOT NULL,
    pieces   BYTEA               -- outgoing: the SHA-256 of each
);
CREATE INDEX files_owner ON files (owner);
