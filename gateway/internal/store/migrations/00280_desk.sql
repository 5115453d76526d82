-- +goose Up

-- How an operator has the list of devices, on whatever machine they sign in.
CREATE TABLE device_lists (
    operator_id TEXT NOT NULL PRIMARY KEY REFERENCES operators (id) ON DELETE CASCADE,
    columns     TEXT NOT NULL,                -- JSON list; empty: the console's own choice
    view_id     TEXT NOT NULL                 -- the saved search it opens with; '': none
);

-- Devices that look like one machine, of which somebody said that they are not.
CREATE TABLE kept_apart (
    id    TEXT   NOT NULL PRIMARY KEY,        -- of the devices, see fleet.Duplicate
    by_id TEXT   NOT NULL,                    -- operator
    at_us BIGINT NOT NULL
);

-- +goose Down
DROP TABLE kept_apart;
DROP TABLE device_lists;
