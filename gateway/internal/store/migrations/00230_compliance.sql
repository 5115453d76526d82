-- +goose Up

-- One row: the number of the rule set and what holds for all rules. Updating it first puts
-- writers of rules in line.
CREATE TABLE compliance_head (
    id           BIGINT NOT NULL PRIMARY KEY,
    seq          BIGINT NOT NULL,             -- grows by one with every change of a rule
    new_grace_us BIGINT NOT NULL              -- how long a new device may break rules, microseconds
);
INSERT INTO compliance_head (id, seq, new_grace_us) VALUES (1, 1, 604800000000);

-- Rules: an organisation's own, and what it changed of the shipped ones.
CREATE TABLE compliance_rules (
    id         TEXT    NOT NULL PRIMARY KEY,
    shipped    BOOLEAN NOT NULL,
    digest     TEXT    NOT NULL,              -- of a shipped rule as the program last had it, SHA-256 hex
    doc        TEXT    NOT NULL,              -- JSON: the whole rule, or the overrides of a shipped one
    seq        BIGINT  NOT NULL,              -- of the set in which it last changed
    revision   BIGINT  NOT NULL,
    changed_us BIGINT  NOT NULL,
    changed_by TEXT    NOT NULL
);

CREATE TABLE compliance_waivers (
    id         TEXT   NOT NULL PRIMARY KEY,
    rule_id    TEXT   NOT NULL,
    device_id  TEXT   REFERENCES devices (id) ON DELETE CASCADE, -- NULL: for a group
    group_id   TEXT   REFERENCES groups (id) ON DELETE CASCADE,  -- NULL: for a device
    owner      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    created_us BIGINT NOT NULL,
    created_by TEXT   NOT NULL,
    expires_us BIGINT NOT NULL,
    revoked_us BIGINT NOT NULL,               -- 0: not revoked
    revoked_by TEXT   NOT NULL
);
CREATE INDEX compliance_waivers_newest ON compliance_waivers (created_us, id);
CREATE INDEX compliance_waivers_by_device ON compliance_waivers (device_id);
CREATE INDEX compliance_waivers_by_group ON compliance_waivers (group_id);

-- Where each device stands. due_us is the work list: what is due is claimed by moving it into
-- the future, so that the work of a node that dies comes back.
CREATE TABLE compliance_devices (
    device_id  TEXT   NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    overall    TEXT   NOT NULL,               -- worst state over all rules
    seq        BIGINT NOT NULL,               -- of the rule set it was checked under; 0: never
    checked_us BIGINT NOT NULL,
    due_us     BIGINT NOT NULL                -- 0: only when something changes
);
CREATE INDEX compliance_devices_due ON compliance_devices (due_us);
CREATE INDEX compliance_devices_by_overall ON compliance_devices (overall, device_id);
CREATE INDEX compliance_devices_by_seq ON compliance_devices (seq);

-- The open intervals of a device, all rules in one document: most devices change rarely, and
-- a hundred thousand documents are quick to read where six million rows are not.
CREATE TABLE compliance_standings (
    device_id TEXT   NOT NULL PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
    revision  BIGINT NOT NULL,
    doc       TEXT   NOT NULL                 -- JSON list of entries
);

-- The same by rule, but for compliant ones: what lists and counts are made of.
CREATE TABLE compliance_findings (
    device_id TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rule_id   TEXT   NOT NULL,
    state     TEXT   NOT NULL,
    since_us  BIGINT NOT NULL,
    PRIMARY KEY (device_id, rule_id)
);
CREATE INDEX compliance_findings_by_rule ON compliance_findings (rule_id, state, device_id);

-- Intervals that ended.
CREATE TABLE compliance_history (
    device_id TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rule_id   TEXT   NOT NULL,
    since_us  BIGINT NOT NULL,
    until_us  BIGINT NOT NULL,
    state     TEXT   NOT NULL,
    waiver_id TEXT   NOT NULL,                -- '' unless waived
    reason    TEXT   NOT NULL,
    evidence  TEXT   NOT NULL,                -- JSON; '' nothing to show
    PRIMARY KEY (device_id, rule_id, since_us)
);
CREATE INDEX compliance_history_by_end ON compliance_history (device_id, until_us);

-- +goose Down
DROP TABLE compliance_history;
DROP TABLE compliance_findings;
DROP TABLE compliance_standings;
DROP TABLE compliance_devices;
DROP TABLE compliance_waivers;
DROP TABLE compliance_rules;
DROP TABLE compliance_head;
