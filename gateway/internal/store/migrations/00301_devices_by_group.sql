-- +goose Up

-- The list of groups counts the devices of each: from the index alone.
CREATE INDEX devices_counted ON devices (group_id) WHERE revoked_us = 0;

-- +goose Down
DROP INDEX devices_counted;
