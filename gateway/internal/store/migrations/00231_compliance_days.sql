-- +goose Up

-- How many devices of each group stood how at the end of each day: what trends are drawn from.
CREATE TABLE compliance_days (
    day_us   BIGINT NOT NULL,                 -- midnight at which the day began, UTC
    group_id TEXT   NOT NULL,
    overall  TEXT   NOT NULL,
    devices  BIGINT NOT NULL,
    PRIMARY KEY (day_us, group_id, overall)
);

-- +goose Down
DROP TABLE compliance_days;
