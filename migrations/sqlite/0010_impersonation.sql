-- People who are signed in on the web: the SHA-256 of the cookie, never the cookie.
CREATE TABLE web_sessions (
    id           TEXT PRIMARY KEY,
    user_id      TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash         BLOB NOT NULL UNIQUE,
    created_at   TEXT NOT NULL,
    last_used_at TEXT NOT NULL,
    ends_at      TEXT NOT NULL,
    address      TEXT NOT NULL,
    agent        TEXT NOT NULL
);
CREATE INDEX web_sessions_user ON web_sessions (user_id);

-- A link that opens an instance as one of its Odoo users, and the visit that it becomes when its person opens it. Hashes are SHA-256;
-- session is the cookie of the Odoo session, sealed, and gone when it has ended.
CREATE TABLE impersonations (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    instance_id   TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    user_id       TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    key_id        TEXT NOT NULL,
    key_label     TEXT NOT NULL,
    call_id       TEXT NOT NULL,
    odoo_user     BIGINT NOT NULL,
    odoo_login    TEXT NOT NULL,
    landing       TEXT NOT NULL,
    reason        TEXT NOT NULL,
    session       BLOB,
    created_at    TEXT NOT NULL,
    link_hash     BLOB NOT NULL UNIQUE,
    link_until    TEXT NOT NULL,
    opened_at     TEXT,
    handoff_hash  BLOB UNIQUE,
    handoff_until TEXT,
    visit_hash    BLOB UNIQUE,
    ends_at       TEXT,
    ended_at      TEXT,
    ended_why     TEXT
);
CREATE INDEX impersonations_org ON impersonations (org_id, id);
CREATE INDEX impersonations_open ON impersonations (ended_at, link_until);
