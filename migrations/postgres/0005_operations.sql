-- Long work that outlives the call that began it. The id is the call's, so the audit row and the operation find each other.
-- state: running, ok, failed, unknown, cancelled.
CREATE TABLE operations (
    id             TEXT PRIMARY KEY,
    org_id         TEXT NOT NULL,
    instance_id    TEXT,
    instance_slug  TEXT,
    tool           TEXT NOT NULL,
    key_id         TEXT NOT NULL,
    key_label      TEXT NOT NULL,
    session_id     TEXT NOT NULL,
    address        TEXT NOT NULL,
    arguments_hash BYTEA NOT NULL,
    arguments      BYTEA NOT NULL,
    journal        BYTEA,
    outcome        BYTEA,
    state          TEXT NOT NULL,
    code           TEXT,
    done           BIGINT NOT NULL DEFAULT 0,
    total          BIGINT,
    progress       TEXT NOT NULL DEFAULT '',
    cancel_asked   BOOLEAN NOT NULL DEFAULT FALSE,
    delivered      BOOLEAN NOT NULL DEFAULT FALSE,
    node           TEXT NOT NULL,
    lease_until    TEXT NOT NULL,
    started_at     TEXT NOT NULL,
    ended_at       TEXT
);
-- The same call twice at once is one operation.
CREATE UNIQUE INDEX operations_running ON operations (key_id, arguments_hash) WHERE state = 'running';
CREATE INDEX operations_lease ON operations (lease_until) WHERE state = 'running';
CREATE INDEX operations_org ON operations (org_id, id);
CREATE INDEX operations_ended ON operations (key_id, arguments_hash, ended_at);
