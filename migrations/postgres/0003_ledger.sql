-- What ocore did to the modules of instances: a row per operation and module, with those that came along.
-- asked: named by the caller. outcome: running, ok, failed, unknown.
CREATE TABLE module_ledger (
    call_id        TEXT NOT NULL,
    module         TEXT NOT NULL,
    org_id         TEXT NOT NULL,
    instance_id    TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    operation      TEXT NOT NULL,
    asked          BOOLEAN NOT NULL,
    state_before   TEXT,
    state_after    TEXT,
    version_before TEXT,
    version_after  TEXT,
    outcome        TEXT NOT NULL,
    reason         TEXT NOT NULL DEFAULT '',
    key_id         TEXT NOT NULL,
    key_label      TEXT NOT NULL,
    user_id        TEXT,
    started_at     TEXT NOT NULL,
    ended_at       TEXT,
    PRIMARY KEY (call_id, module)
);
CREATE INDEX module_ledger_instance ON module_ledger (instance_id, call_id);

-- One module operation per instance at a time, whichever process works on it.
CREATE TABLE module_leases (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    org_id      TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    operation   TEXT NOT NULL,
    modules     TEXT NOT NULL,
    key_label   TEXT NOT NULL,
    started_at  TEXT NOT NULL,
    lease_until TEXT NOT NULL
);
