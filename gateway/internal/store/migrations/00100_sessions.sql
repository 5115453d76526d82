-- +goose Up

-- Support sessions. They outlive the device and the operator they name, so nothing here
-- refers to either; the names are those of the time.
CREATE TABLE support_sessions (
    id            TEXT   NOT NULL PRIMARY KEY,
    device_id     TEXT   NOT NULL,
    device_name   TEXT   NOT NULL,
    group_id      TEXT   NOT NULL,            -- of the device when asked
    operator_id   TEXT   NOT NULL,
    operator_name TEXT   NOT NULL,
    shown         TEXT   NOT NULL,            -- JSON: who the person at the device was told is asking
    reason        TEXT   NOT NULL,
    asked         BIGINT NOT NULL,            -- bits of signaling.CapabilitySet
    granted       BIGINT NOT NULL,
    consent       TEXT   NOT NULL,            -- ask, unattended
    state         TEXT   NOT NULL,
    is_open       BIGINT NOT NULL,            -- 1 until the state is final
    requested_us  BIGINT NOT NULL,            -- Unix microseconds, UTC, gateway's clock, as every *_us here; 0: never
    consented_us  BIGINT NOT NULL,
    live_us       BIGINT NOT NULL,
    ended_us      BIGINT NOT NULL,
    deadline_us   BIGINT NOT NULL,            -- while requested: when silence becomes a refusal
    window_us     BIGINT NOT NULL,            -- a duration: how long consent outlives the last connection
    lost_us       BIGINT NOT NULL,            -- since when the device is away; 0: it is connected
    ended_by      TEXT   NOT NULL,
    message       TEXT   NOT NULL,
    entries       BIGINT NOT NULL             -- Seq of the newest entry
);
CREATE INDEX support_sessions_newest ON support_sessions (requested_us, id);
CREATE INDEX support_sessions_by_device ON support_sessions (device_id, requested_us, id);
CREATE INDEX support_sessions_by_operator ON support_sessions (operator_id, requested_us, id);
CREATE INDEX support_sessions_open ON support_sessions (device_id, id) WHERE is_open = 1;

-- The timeline: append-only.
CREATE TABLE support_session_entries (
    session_id TEXT   NOT NULL REFERENCES support_sessions (id) ON DELETE CASCADE,
    seq        BIGINT NOT NULL,               -- from 1, in order of arrival
    agent_seq  BIGINT,                        -- the agent's number; NULL: not from the agent
    at_us      BIGINT NOT NULL,
    kind       TEXT   NOT NULL,
    actor      TEXT   NOT NULL,
    peer_id    TEXT   NOT NULL,
    detail     TEXT   NOT NULL,
    PRIMARY KEY (session_id, seq)
);
CREATE UNIQUE INDEX support_session_entries_once ON support_session_entries (session_id, agent_seq);

-- Viewers, so that one who comes back can be told from one who pretends to.
CREATE TABLE support_session_peers (
    id            TEXT   NOT NULL PRIMARY KEY,
    session_id    TEXT   NOT NULL REFERENCES support_sessions (id) ON DELETE CASCADE,
    operator_id   TEXT   NOT NULL,
    operator_name TEXT   NOT NULL,
    made_us       BIGINT NOT NULL
);
CREATE INDEX support_session_peers_by_session ON support_session_peers (session_id);

-- +goose Down
DROP TABLE support_session_peers;
DROP TABLE support_session_entries;
DROP TABLE support_sessions;
