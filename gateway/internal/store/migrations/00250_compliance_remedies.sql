-- +goose Up

-- What was last done about a rule on a device by one click. How it went is with the command or
-- the setting's state.
CREATE TABLE compliance_remedies (
    device_id TEXT   NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
    rule_id   TEXT   NOT NULL,
    at_us     BIGINT NOT NULL,
    by_name   TEXT   NOT NULL,                -- of the operator
    bulk_id   TEXT   NOT NULL,                -- '' unless a script runs
    policy_id TEXT   NOT NULL,                -- '' unless a setting is given by a policy
    setting   TEXT   NOT NULL,
    PRIMARY KEY (device_id, rule_id)
);

-- +goose Down
DROP TABLE compliance_remedies;
