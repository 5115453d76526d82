-- +goose Up
CREATE TABLE scripts (
    id          TEXT   NOT NULL PRIMARY KEY,
    name        TEXT   NOT NULL,
    name_key    TEXT   NOT NULL UNIQUE,       -- lower case
    description TEXT   NOT NULL,
    newest      BIGINT NOT NULL,              -- version
    created_us  BIGINT NOT NULL,
    changed_us  BIGINT NOT NULL,
    archived_us BIGINT NOT NULL               -- 0: can be run
);

CREATE TABLE script_versions (
    script_id       TEXT   NOT NULL REFERENCES scripts (id) ON DELETE CASCADE,
    number          BIGINT NOT NULL,          -- from 1; a version never changes
    interpreter     TEXT   NOT NULL,
    body            TEXT   NOT NULL,
    parameters      TEXT   NOT NULL,          -- JSON
    run_as          TEXT   NOT NULL,
    timeout_seconds BIGINT NOT NULL,
    output_bytes    BIGINT NOT NULL,
    note            TEXT   NOT NULL,
    created_by      TEXT   NOT NULL,          -- operator id
    created_name    TEXT   NOT NULL,
    created_us      BIGINT NOT NULL,
    PRIMARY KEY (script_id, number)
);

-- One order of an operator; what is the same for every device is here once.
CREATE TABLE command_bulks (
    id            TEXT   NOT NULL PRIMARY KEY,
    kind          TEXT   NOT NULL,
    params        TEXT   NOT NULL,            -- JSON for people, without secrets
    payload       TEXT   NOT NULL,            -- JSON for devices, sealed
    note          TEXT   NOT NULL,
    target        TEXT   NOT NULL,            -- in words
    supersede_key TEXT   NOT NULL,
    idempotency   TEXT   NOT NULL,            -- '' for none
    created_by    TEXT   NOT NULL,            -- operator id
    created_name  TEXT   NOT NULL,
    created_us    BIGINT NOT NULL,
    not_before_us BIGINT NOT NULL,            -- 0: at once
    expires_us    BIGINT NOT NULL,
    run_limit_us  BIGINT NOT NULL,            -- microseconds a device may be at it
    max_attempts  BIGINT NOT NULL,
    held          BIGINT NOT NULL,            -- 1: needed approval
    approved_by   TEXT   NOT NULL,
    approved_name TEXT   NOT NULL,
    approved_us   BIGINT NOT NULL,            -- 0: not yet
    devices       BIGINT NOT NULL,
    skipped       BIGINT NOT NULL
);
CREATE UNIQUE INDEX command_bulks_once ON command_bulks (idempotency) WHERE idempotency <> '';
CREATE INDEX command_bulks_newest ON command_bulks (created_us, id);

-- No foreign key to devices: what was ordered outlives the device, and expires by itself.
CREATE TABLE commands (
    id            TEXT   NOT NULL PRIMARY KEY,
    bulk_id      TEXT   NOT NULL REFERENCES command_bulks (id) ON DELETE CASCADE,
    device_id     TEXT   NOT NULL,
    device_name   TEXT   NOT NULL,
    group_id      TEXT   NOT NULL,            -- of the device when it was made
    kind          TEXT   NOT NULL,
    supersede_key TEXT   NOT NULL,
    state         TEXT   NOT NULL,
    is_open       BIGINT NOT NULL,            -- 1: held, queued, sent
    attempts      BIGINT NOT NULL,
    created_us    BIGINT NOT NULL,
    not_before_us BIGINT NOT NULL,
    expires_us    BIGINT NOT NULL,
    sent_us       BIGINT NOT NULL,
    finished_us   BIGINT NOT NULL,
    wake_us       BIGINT NOT NULL,            -- when somebody must look at it, while it is open
    cancel_by     TEXT   NOT NULL,
    reason        TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    exit_code     BIGINT,
    started_us    BIGINT NOT NULL,            -- device's clock
    ended_us      BIGINT NOT NULL,            -- device's clock
    output_bytes  BIGINT NOT NULL,
    has_output    BIGINT NOT NULL,
    file_bytes    BIGINT NOT NULL             -- of a whole bundle; 0: none
);
CREATE INDEX commands_by_device ON commands (device_id, created_us, id);
CREATE INDEX commands_open ON commands (device_id) WHERE is_open = 1;
CREATE INDEX commands_due ON commands (wake_us) WHERE is_open = 1;
CREATE INDEX commands_by_bulk ON commands (bulk_id, created_us, id);
CREATE INDEX commands_newest ON commands (created_us, id);
CREATE INDEX commands_over ON commands (finished_us) WHERE is_open = 0;

-- The board's numbers, kept with every change: sums over the shards, never a scan. A device
-- always counts in the same shard, so that many answers at once do not wait for one row.
CREATE TABLE command_counts (
    bulk_id TEXT   NOT NULL REFERENCES command_bulks (id) ON DELETE CASCADE,
    group_id TEXT   NOT NULL,
    shard    BIGINT NOT NULL,
    state    TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    PRIMARY KEY (bulk_id, group_id, shard, state)
);

CREATE TABLE command_outputs (
    command_id TEXT NOT NULL PRIMARY KEY REFERENCES commands (id) ON DELETE CASCADE,
    text       TEXT NOT NULL
);

CREATE TABLE command_pieces (
    command_id TEXT   NOT NULL REFERENCES commands (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,               -- from 0
    data       BYTEA  NOT NULL,
    PRIMARY KEY (command_id, seq)
);

-- +goose Down
DROP TABLE command_pieces;
DROP TABLE command_outputs;
DROP TABLE command_counts;
DROP TABLE commands;
DROP TABLE command_bulks;
DROP TABLE script_versions;
DROP TABLE scripts;
