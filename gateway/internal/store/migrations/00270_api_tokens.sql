-- +goose Up

-- Tokens with which programs use the API for an operator.
CREATE TABLE api_tokens (
    id          TEXT   NOT NULL PRIMARY KEY,
    operator_id TEXT   NOT NULL REFERENCES operators (id) ON DELETE CASCADE,
    name        TEXT   NOT NULL,
    hash        TEXT   NOT NULL UNIQUE,       -- SHA-256 of the token, hex
    role        TEXT   NOT NULL,
    group_id    TEXT   NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    created_us  BIGINT NOT NULL,
    expires_us  BIGINT NOT NULL,
    used_us     BIGINT NOT NULL               -- to the minute; 0: never
);
CREATE INDEX api_tokens_by_operator ON api_tokens (operator_id, created_us);
CREATE INDEX api_tokens_by_group ON api_tokens (group_id);
CREATE INDEX api_tokens_by_expiry ON api_tokens (expires_us);

-- +goose Down
DROP TABLE api_tokens;
