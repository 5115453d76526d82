-- +goose Up

-- A policy with its draft and its assignments; they change together.
CREATE TABLE policies (
    id             TEXT   NOT NULL PRIMARY KEY,
    name           TEXT   NOT NULL,
    name_key       TEXT   NOT NULL UNIQUE,   -- lower case
    description    TEXT   NOT NULL,
    revision       BIGINT NOT NULL,          -- grows with every change
    newest         BIGINT NOT NULL,          -- number of the newest version; 0: none
    live           BIGINT NOT NULL,          -- version in force; 0: none
    draft_base     BIGINT NOT NULL,          -- version the draft began from
    draft_settings TEXT   NOT NULL,          -- JSON list, secrets sealed; '' for no draft
    draft_by       TEXT   NOT NULL,          -- operator id
    draft_us       BIGINT NOT NULL,
    assignments    TEXT   NOT NULL,          -- JSON list
    created_by     TEXT   NOT NULL,
    created_us     BIGINT NOT NULL,
    updated_us     BIGINT NOT NULL
);
CREATE INDEX policies_by_name ON policies (name_key, id);

-- Never updated.
CREATE TABLE policy_versions (
    policy_id TEXT   NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    number    BIGINT NOT NULL,
    author    TEXT   NOT NULL,
    note      TEXT   NOT NULL,
    settings  TEXT   NOT NULL,               -- JSON list, secrets sealed
    at_us     BIGINT NOT NULL,
    PRIMARY KEY (policy_id, number)
);

-- One row. Its revision grows, in the same transaction, with every change of what a device's
-- settings follow from: policies in force, assignments, roll-outs, the group tree, where a
-- device is and what labels it has. Who resolves devices holds it meanwhile.
CREATE TABLE desire_inputs (
    id  BIGINT NOT NULL PRIMARY KEY,
    rev BIGINT NOT NULL
);
INSERT INTO desire_inputs (id, rev) VALUES (1, 1);

-- Devices that must be resolved again: everyone in a group and below, or with a label.
CREATE TABLE desire_work (
    kind       TEXT   NOT NULL,              -- group, label
    target     TEXT   NOT NULL,              -- its id
    rev        BIGINT NOT NULL,              -- grows when it is asked for again; the cursor then starts over
    cursor     TEXT   NOT NULL,              -- everything up to here is resolved and nudged
    owner      TEXT   NOT NULL,              -- node at work
    lease_us   BIGINT NOT NULL,              -- until then nobody else takes it
    created_us BIGINT NOT NULL,
    PRIMARY KEY (kind, target)
);
CREATE INDEX desire_work_oldest ON desire_work (created_us);

-- Single devices that must be resolved again.
CREATE TABLE desire_dirty (
    device_id TEXT   NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    rev       BIGINT NOT NULL
);

-- What devices must be, once for all devices of which it is the same.
CREATE TABLE manifests (
    outcome    TEXT   NOT NULL PRIMARY KEY,  -- keyed hash over settings and the policies they come from
    hash       TEXT   NOT NULL,              -- keyed hash of manifest.Sum
    body       TEXT   NOT NULL,              -- JSON {hash, settings}, sealed
    created_us BIGINT NOT NULL
);
CREATE INDEX manifests_by_hash ON manifests (hash);

CREATE TABLE desired (
    device_id           TEXT   NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    generation          BIGINT NOT NULL,
    outcome             TEXT   NOT NULL,
    hash                TEXT   NOT NULL,     -- as in manifests
    changed_us          BIGINT NOT NULL,     -- when hash changed
    reported            TEXT   NOT NULL,     -- hash of the manifest last reported on; '' for none
    reported_generation BIGINT NOT NULL,
    reported_us         BIGINT NOT NULL
);
CREATE INDEX desired_by_outcome ON desired (outcome, reported, device_id);
CREATE INDEX desired_unreported ON desired (device_id) WHERE hash <> reported;

-- Everything a device reported of its settings.
CREATE TABLE device_status (
    device_id TEXT NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    body      TEXT NOT NULL                  -- JSON object by setting
);

-- Of that, the settings that are not simply applied: what lists and counts ask for.
CREATE TABLE status_faults (
    device_id  TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    setting_id TEXT   NOT NULL,
    state      TEXT   NOT NULL,              -- failed, conflict, not_applicable, drifted
    policy_id  TEXT   NOT NULL,
    since_us   BIGINT NOT NULL,              -- gateway's clock
    PRIMARY KEY (device_id, setting_id)
);
CREATE INDEX status_faults_by_setting ON status_faults (setting_id, state, device_id);
CREATE INDEX status_faults_by_policy ON status_faults (policy_id, state, since_us);

CREATE TABLE rollouts (
    id           TEXT   NOT NULL PRIMARY KEY,
    policy_id    TEXT   NOT NULL REFERENCES policies (id) ON DELETE CASCADE,
    from_version BIGINT NOT NULL,
    to_version   BIGINT NOT NULL,
    state        TEXT   NOT NULL,            -- running, paused, done, returned
    body         TEXT   NOT NULL,            -- JSON: plan, stage, progress, reason
    created_us   BIGINT NOT NULL,
    updated_us   BIGINT NOT NULL
);
CREATE INDEX rollouts_newest ON rollouts (created_us, id);
CREATE INDEX rollouts_by_policy ON rollouts (policy_id, created_us);
CREATE UNIQUE INDEX rollouts_under_way ON rollouts (policy_id) WHERE state IN ('running', 'paused');

-- Devices of a group in the order of their ids.
CREATE INDEX devices_of_group ON devices (group_id, id);

-- +goose Down
DROP INDEX devices_of_group;
DROP TABLE rollouts;
DROP TABLE status_faults;
DROP TABLE device_status;
DROP TABLE desired;
DROP TABLE manifests;
DROP TABLE desire_dirty;
DROP TABLE desire_work;
DROP TABLE desire_inputs;
DROP TABLE policy_versions;
DROP TABLE policies;
