-- A store as version 1 of the schema left it, rows included. It never changes.
BEGIN TRANSACTION;
CREATE TABLE goose_db_version (
		id INTEGER PRIMARY KEY AUTOINCREMENT,
		version_id INTEGER NOT NULL,
		is_applied INTEGER NOT NULL,
		tstamp TIMESTAMP DEFAULT (datetime('now'))
	);
INSERT INTO "goose_db_version" VALUES(1,0,1,'2026-11-23 19:56:38');
INSERT INTO "goose_db_version" VALUES(2,1,1,'2026-11-23 19:56:38');
CREATE TABLE host_cache (
    only_row BIGINT PRIMARY KEY CHECK (only_row = 1),
    bytes    BYTEA  NOT NULL -- package overlay knows what is in it
);
INSERT INTO "host_cache" VALUES(1,X'686F737473');
CREATE TABLE identity (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    user_name   TEXT   NOT NULL,
    device      TEXT   NOT NULL,
    secret_keys BYTEA  NOT NULL, -- suite.Keys.Marshal
    certificate BYTEA            -- as the authority signed it; NULL until signed in
);
INSERT INTO "identity" VALUES(1,'alice','laptop',X'6B657973',X'6365727469666963617465');
CREATE TABLE network (
    only_row    BIGINT PRIMARY KEY CHECK (only_row = 1),
    id          BYTEA  NOT NULL, -- linnet.NetworkID
    fingerprint BYTEA  NOT NULL, -- of the invite: every descriptor is checked against it
    serial      BIGINT NOT NULL, -- the highest ever seen
    descriptor  BYTEA  NOT NULL  -- as the root key signed it
);
INSERT INTO "network" VALUES(1,X'01000000000000000000000000000000',X'0200000000000000000000000000000000000000000000000000000000000000',7,X'64657363726970746F72');
CREATE TABLE records (
    node  BYTEA  PRIMARY KEY, -- linnet.NodeID of the device
    time  BIGINT NOT NULL,
    bytes BYTEA  NOT NULL     -- as the device signed it
);
INSERT INTO "records" VALUES(X'04000000000000000000000000000001',1800000001000,X'7265636F7264');
CREATE TABLE settings (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);
INSERT INTO "settings" VALUES('relay','off');
CREATE INDEX records_time ON records (time);
COMMIT;
