-- +goose Up

-- What device lists show and search beside the columns of the first migration; derived from
-- the inventory, 0 where it was never reported.
ALTER TABLE devices ADD COLUMN memory_bytes BIGINT NOT NULL DEFAULT 0;
ALTER TABLE devices ADD COLUMN disk_bytes BIGINT NOT NULL DEFAULT 0;   -- of fixed disks, in all
ALTER TABLE devices ADD COLUMN encrypted BIGINT NOT NULL DEFAULT 0;    -- 0 unknown, 1 no, 2 some volumes, 3 yes
ALTER TABLE devices ADD COLUMN updates BIGINT NOT NULL DEFAULT -1;     -- pending; -1 unknown
ALTER TABLE devices ADD COLUMN updates_security BIGINT NOT NULL DEFAULT -1;
ALTER TABLE devices ADD COLUMN cpu TEXT NOT NULL DEFAULT '';
ALTER TABLE devices ADD COLUMN macs TEXT NOT NULL DEFAULT '';          -- lower case, comma separated
ALTER TABLE devices ADD COLUMN asset TEXT NOT NULL DEFAULT '';         -- JSON object of the organisation's own fields
ALTER TABLE devices ADD COLUMN returned_us BIGINT NOT NULL DEFAULT 0;  -- last time the same hardware enrolled anew; 0: never
CREATE INDEX devices_by_serial ON devices (serial);

CREATE TABLE labels (
    id           TEXT    NOT NULL PRIMARY KEY,
    name         TEXT    NOT NULL,
    name_key     TEXT    NOT NULL UNIQUE,     -- lower case
    description  TEXT    NOT NULL,
    color        TEXT    NOT NULL,
    expression   TEXT    NOT NULL,            -- CEL; '' is a static label
    reads        TEXT    NOT NULL,            -- sections the expression reads, comma separated
    revision     BIGINT  NOT NULL,            -- grows by one with each change
    evaluated    TEXT    NOT NULL,            -- last device the expression was evaluated on since it changed; '~' all
    evaluated_us BIGINT  NOT NULL,            -- when all devices were last evaluated
    problem      TEXT    NOT NULL,            -- what went wrong on the last evaluation that failed
    created_by   TEXT    NOT NULL,
    created_us   BIGINT  NOT NULL,
    changed_us   BIGINT  NOT NULL
);

CREATE TABLE device_labels (
    label_id  TEXT   NOT NULL REFERENCES labels (id) ON DELETE CASCADE,
    device_id TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    since_us  BIGINT NOT NULL,
    given_by  TEXT   NOT NULL,                -- operator id; '' the expression
    why       TEXT   NOT NULL,                -- JSON list of {path, value}: what the expression read
    PRIMARY KEY (label_id, device_id)
);
CREATE INDEX device_labels_by_device ON device_labels (device_id, label_id);

-- Devices whose inventory changed and that smart labels and the software index have not
-- looked at yet. The row goes with the work, so that a node that dies leaves it to others.
CREATE TABLE fleet_pending (
    device_id TEXT   NOT NULL PRIMARY KEY,    -- may outlive its device: its software is then taken out of the index
    sections  TEXT   NOT NULL,                -- comma separated
    rev       BIGINT NOT NULL,                -- grows while the row waits: what is done is deleted only if nothing came meanwhile
    at_us     BIGINT NOT NULL
);
CREATE INDEX fleet_pending_oldest ON fleet_pending (at_us, device_id);

-- One row: the counters of the software index. Updating it first puts nodes in line.
CREATE TABLE fleet_counters (
    id          BIGINT NOT NULL PRIMARY KEY,
    next_title  BIGINT NOT NULL,
    next_name   BIGINT NOT NULL,
    next_bucket BIGINT NOT NULL,
    next_n      BIGINT NOT NULL
);
INSERT INTO fleet_counters (id, next_title, next_name, next_bucket, next_n) VALUES (1, 1, 1, 1, 0);

-- Software by name, and by name, version and architecture: stored once for the whole fleet.
CREATE TABLE software_names (
    id       BIGINT NOT NULL PRIMARY KEY,
    source   TEXT   NOT NULL,                 -- deb, rpm, flatpak, snap, …
    name     TEXT   NOT NULL,
    name_key TEXT   NOT NULL,                 -- lower case
    devices  BIGINT NOT NULL                  -- that have any version
);
CREATE UNIQUE INDEX software_names_by_name ON software_names (name, source);
CREATE INDEX software_names_by_key ON software_names (name_key, id);
CREATE INDEX software_names_by_devices ON software_names (devices, id);
CREATE TABLE software_titles (
    id        BIGINT NOT NULL PRIMARY KEY,
    name_id   BIGINT NOT NULL REFERENCES software_names (id),
    version   TEXT   NOT NULL,
    arch      TEXT   NOT NULL,
    package   TEXT   NOT NULL,
    publisher TEXT   NOT NULL,
    scope     TEXT   NOT NULL,
    devices   BIGINT NOT NULL
);
CREATE UNIQUE INDEX software_titles_by_name ON software_titles (name_id, version, arch, package, publisher, scope);

-- A device's software comes in buckets by the hash of the name. Devices installed alike have
-- the same buckets, and each is stored once.
CREATE TABLE software_buckets (
    id     BIGINT NOT NULL PRIMARY KEY,
    hash   TEXT   NOT NULL UNIQUE,            -- as the agents give it, with the section's name
    titles BYTEA  NOT NULL                    -- ids of software_titles ascending, as varints of their differences
);

-- Which buckets a device has, and which of them the index holds. n numbers devices densely.
CREATE TABLE device_software (
    device_id  TEXT   NOT NULL PRIMARY KEY,   -- may outlive its device until the index forgot it
    n          BIGINT NOT NULL,               -- -1: not in the index yet
    buckets    BYTEA  NOT NULL,               -- one byte of bucket number and the varint of an id, each
    indexed    BYTEA  NOT NULL,               -- the same, as the index has it
    changed_us BIGINT NOT NULL
);
CREATE INDEX device_software_by_n ON device_software (n);

-- The index: for a title, the devices that have it, as a set of n in chunks of 16384.
CREATE TABLE title_devices (
    title_id BIGINT NOT NULL,
    chunk    BIGINT NOT NULL,
    bits     BYTEA  NOT NULL,
    PRIMARY KEY (title_id, chunk)
);

-- What changed of a device's inventory, one row a section and upload.
CREATE TABLE inventory_history (
    device_id TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    at_us     BIGINT NOT NULL,
    section   TEXT   NOT NULL,
    diff      TEXT   NOT NULL,                -- JSON, see mdm/inventory.Diff: leads from the newer state back to the older
    changes   BIGINT NOT NULL,                -- how many there are in it
    PRIMARY KEY (device_id, at_us, section)
);

-- Searches people keep.
CREATE TABLE saved_views (
    id         TEXT    NOT NULL PRIMARY KEY,
    owner_id   TEXT    NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    name       TEXT    NOT NULL,
    shared     BOOLEAN NOT NULL,              -- everybody sees it
    query      TEXT    NOT NULL,
    sort       TEXT    NOT NULL,
    columns    TEXT    NOT NULL,              -- JSON list
    created_us BIGINT  NOT NULL
);
CREATE INDEX saved_views_by_owner ON saved_views (owner_id);

-- The organisation's own fields of devices.
CREATE TABLE asset_fields (
    key      TEXT   NOT NULL PRIMARY KEY,     -- a-z, 0-9, _
    name     TEXT   NOT NULL,
    kind     TEXT   NOT NULL,                 -- text, number, date, choice
    choices  TEXT   NOT NULL,                 -- JSON list
    position BIGINT NOT NULL
);
INSERT INTO asset_fields (key, name, kind, choices, position) VALUES ('asset_tag', 'Asset tag', 'text', '[]', 1),
    ('owner', 'Owner', 'text', '[]', 2), ('cost_center', 'Cost center', 'text', '[]', 3), ('location', 'Location', 'text', '[]', 4),
    ('purchased', 'Purchased', 'date', '[]', 5), ('warranty_until', 'Warranty until', 'date', '[]', 6);

-- +goose Down
DROP TABLE asset_fields;
DROP TABLE saved_views;
DROP TABLE inventory_history;
DROP TABLE title_devices;
DROP TABLE device_software;
DROP TABLE software_buckets;
DROP TABLE software_titles;
DROP TABLE software_names;
DROP TABLE fleet_counters;
DROP TABLE fleet_pending;
DROP TABLE device_labels;
DROP TABLE labels;
DROP INDEX devices_by_serial;
ALTER TABLE devices DROP COLUMN returned_us;
ALTER TABLE devices DROP COLUMN asset;
ALTER TABLE devices DROP COLUMN macs;
ALTER TABLE devices DROP COLUMN cpu;
ALTER TABLE devices DROP COLUMN updates_security;
ALTER TABLE devices DROP COLUMN updates;
ALTER TABLE devices DROP COLUMN encrypted;
ALTER TABLE devices DROP COLUMN disk_bytes;
ALTER TABLE devices DROP COLUMN memory_bytes;
