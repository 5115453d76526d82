-- +goose Up

-- The gateway's own settings; sealed values are encrypted with the key outside the database.
CREATE TABLE settings (
    name  TEXT NOT NULL PRIMARY KEY,
    value TEXT NOT NULL
);

-- The tree of device groups. grp_root always exists.
CREATE TABLE groups (
    id         TEXT   NOT NULL PRIMARY KEY,
    parent_id  TEXT   REFERENCES groups (id), -- NULL for the root only
    name       TEXT   NOT NULL,
    name_key   TEXT   NOT NULL,               -- lower case; unique among siblings
    unattended TEXT   NOT NULL,               -- JSON {enabled, capabilities}; '' inherits the parent's
    created_us BIGINT NOT NULL                -- Unix microseconds, UTC, gateway's clock, as every *_us here
);
CREATE UNIQUE INDEX groups_by_name ON groups (parent_id, name_key);
INSERT INTO groups (id, parent_id, name, name_key, unattended, created_us) VALUES ('grp_root', NULL, 'All devices', 'all devices', '', 0);

CREATE TABLE enrollment_tokens (
    id           TEXT   NOT NULL PRIMARY KEY,
    hash         TEXT   NOT NULL UNIQUE,      -- SHA-256 of the token, hex; the token itself is shown once
    group_id     TEXT   NOT NULL REFERENCES groups (id),
    note         TEXT   NOT NULL,
    uses_allowed BIGINT NOT NULL,
    uses_spent   BIGINT NOT NULL,
    created_by   TEXT   NOT NULL,             -- operator id
    created_us   BIGINT NOT NULL,
    expires_us   BIGINT NOT NULL,
    revoked_us   BIGINT NOT NULL              -- 0: not revoked
);
CREATE INDEX enrollment_tokens_newest ON enrollment_tokens (created_us, id);
CREATE INDEX enrollment_tokens_by_group ON enrollment_tokens (group_id);

CREATE TABLE devices (
    id            TEXT   NOT NULL PRIMARY KEY,
    group_id      TEXT   NOT NULL REFERENCES groups (id),
    token_id      TEXT   NOT NULL,            -- the enrollment token it came with
    fingerprint   TEXT   NOT NULL,            -- hash over the hardware
    public_key    TEXT   NOT NULL,            -- Ed25519, standard base64
    name          TEXT   NOT NULL,
    name_key      TEXT   NOT NULL,            -- lower case, for order and search
    hostname      TEXT   NOT NULL,
    os            TEXT   NOT NULL,            -- linux, windows, darwin
    os_version    TEXT   NOT NULL,
    arch          TEXT   NOT NULL,
    agent_version TEXT   NOT NULL,
    model         TEXT   NOT NULL,
    serial        TEXT   NOT NULL,
    signed_in     TEXT   NOT NULL,            -- users at the device, comma separated
    search        TEXT   NOT NULL,            -- lower case of everything a search looks at
    enrolled_us   BIGINT NOT NULL,
    last_seen_us  BIGINT NOT NULL,            -- 0: never connected
    revoked_us    BIGINT NOT NULL,            -- 0: welcome
    copied_us     BIGINT NOT NULL             -- last time its identity turned up on another machine; 0: never
);
CREATE INDEX devices_by_name ON devices (name_key, id);
CREATE INDEX devices_by_last_seen ON devices (last_seen_us, id);
CREATE INDEX devices_by_group ON devices (group_id, name_key, id);
CREATE UNIQUE INDEX devices_by_fingerprint ON devices (fingerprint) WHERE revoked_us = 0;

CREATE TABLE inventory_sections (
    device_id  TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    section    TEXT   NOT NULL,
    hash       TEXT   NOT NULL,               -- as the agent gave it
    data       TEXT   NOT NULL,               -- JSON, decoded and cleaned before it got here
    changed_us BIGINT NOT NULL,
    PRIMARY KEY (device_id, section)
);

CREATE TABLE operators (
    id            TEXT    NOT NULL PRIMARY KEY,
    name          TEXT    NOT NULL,
    email         TEXT    NOT NULL,
    email_key     TEXT    NOT NULL UNIQUE,    -- lower case
    password_hash TEXT    NOT NULL,           -- argon2id, PHC string
    disabled      BOOLEAN NOT NULL,
    created_us    BIGINT  NOT NULL,
    signed_in_us  BIGINT  NOT NULL            -- last sign-in; 0: never
);

CREATE TABLE grants (
    operator_id TEXT NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    role        TEXT NOT NULL,
    group_id    TEXT NOT NULL REFERENCES groups (id),
    PRIMARY KEY (operator_id, role, group_id)
);
CREATE INDEX grants_by_group ON grants (group_id);

CREATE TABLE sign_ins (
    hash        TEXT   NOT NULL PRIMARY KEY,  -- SHA-256 of the cookie, hex
    operator_id TEXT   NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    address     TEXT   NOT NULL,
    browser     TEXT   NOT NULL,
    created_us  BIGINT NOT NULL,
    seen_us     BIGINT NOT NULL,
    expires_us  BIGINT NOT NULL
);
CREATE INDEX sign_ins_by_operator ON sign_ins (operator_id);
CREATE INDEX sign_ins_by_expiry ON sign_ins (expires_us);

CREATE TABLE socket_tickets (
    hash         TEXT   NOT NULL PRIMARY KEY, -- SHA-256 of the ticket, hex
    sign_in_hash TEXT   NOT NULL REFERENCES sign_ins (hash) ON DELETE CASCADE,
    expires_us   BIGINT NOT NULL
);
CREATE INDEX socket_tickets_by_expiry ON socket_tickets (expires_us);
CREATE INDEX socket_tickets_by_sign_in ON socket_tickets (sign_in_hash);

-- Append-only. No statement of the gateway updates or deletes an entry.
CREATE TABLE audit_entries (
    seq         BIGINT NOT NULL PRIMARY KEY,  -- from 1, without gaps
    at_us       BIGINT NOT NULL,
    actor_kind  TEXT   NOT NULL,              -- operator, device, setup, system
    actor_id    TEXT   NOT NULL,
    actor_name  TEXT   NOT NULL,
    action      TEXT   NOT NULL,
    target_kind TEXT   NOT NULL,
    target_id   TEXT   NOT NULL,
    target_name TEXT   NOT NULL,
    group_id    TEXT   NOT NULL,              -- whose auditors may read it; '' concerns the whole organisation
    address     TEXT   NOT NULL,
    detail      TEXT   NOT NULL,              -- JSON object of strings
    search      TEXT   NOT NULL,              -- lower case of what a search looks at; not hashed, derived
    prev_hash   TEXT   NOT NULL,              -- hash of seq - 1; '' for the first
    hash        TEXT   NOT NULL               -- SHA-256 over prev_hash and every field above but search, hex
);
CREATE INDEX audit_entries_by_actor ON audit_entries (actor_id, seq);
CREATE INDEX audit_entries_by_action ON audit_entries (action, seq);
CREATE INDEX audit_entries_by_group ON audit_entries (group_id, seq);

-- One row: the end of the chain. Updating it first puts writers in line.
CREATE TABLE audit_head (
    id   BIGINT NOT NULL PRIMARY KEY,
    seq  BIGINT NOT NULL,
    hash TEXT   NOT NULL
);
INSERT INTO audit_head (id, seq, hash) VALUES (1, 0, '');

-- +goose Down
DROP TABLE audit_head;
DROP TABLE audit_entries;
DROP TABLE socket_tickets;
DROP TABLE sign_ins;
DROP TABLE grants;
DROP TABLE operators;
DROP TABLE inventory_sections;
DROP TABLE devices;
DROP TABLE enrollment_tokens;
DROP TABLE groups;
DROP TABLE settings;
