-- +goose Up

-- How often software that no device has any more was deleted. Who remembers rows looks whether it is
-- still the same, under the lock of this row.
ALTER TABLE fleet_counters ADD COLUMN swept BIGINT NOT NULL DEFAULT 0;

-- +goose Down
ALTER TABLE fleet_counters DROP COLUMN swept;
