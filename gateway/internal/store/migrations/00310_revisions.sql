-- +goose Up

-- Which state of a group or an operator somebody saw: a change made from an older one is refused.
ALTER TABLE groups ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;
ALTER TABLE operators ADD COLUMN revision BIGINT NOT NULL DEFAULT 1;

-- +goose Down
ALTER TABLE operators DROP COLUMN revision;
ALTER TABLE groups DROP COLUMN revision;
