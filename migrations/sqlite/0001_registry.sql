-- The registry, keys, audit and what several processes share.
-- Ids are ULIDs as text, times RFC 3339 UTC as text (both sort as text). Audit tables point to nothing by foreign key on purpose:
-- no deletion can take their rows along, and they keep the names that things had then.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
);

CREATE TABLE vault_keys (
    key_id      TEXT PRIMARY KEY,
    check_value BLOB NOT NULL,
    is_current  BOOLEAN NOT NULL,
    created_at  TEXT NOT NULL
);
CREATE UNIQUE INDEX vault_keys_one_current ON vault_keys (is_current) WHERE is_current;

-- ocore's own secrets by name, sealed.
CREATE TABLE secrets (
    name       TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    created_at TEXT NOT NULL
);

CREATE TABLE organizations (
    id                   TEXT PRIMARY KEY,
    slug                 TEXT NOT NULL CONSTRAINT organizations_slug UNIQUE,
    name                 TEXT NOT NULL,
    kill_switch          BOOLEAN NOT NULL DEFAULT FALSE,
    max_records          BIGINT NOT NULL DEFAULT 500 CHECK (max_records > 0),
    max_search_limit     BIGINT NOT NULL DEFAULT 1000 CHECK (max_search_limit > 0),
    audit_retention_days BIGINT NOT NULL DEFAULT 30 CHECK (audit_retention_days > 0),
    created_at           TEXT NOT NULL,
    updated_at           TEXT NOT NULL
);

-- email_key is the address in lower case: the same address in another case is the same person.
CREATE TABLE users (
    id            TEXT PRIMARY KEY,
    email         TEXT NOT NULL,
    email_key     TEXT NOT NULL CONSTRAINT users_email UNIQUE,
    password_hash TEXT,
    operator      BOOLEAN NOT NULL DEFAULT FALSE,
    active        BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL
);

CREATE TABLE memberships (
    org_id     TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id    TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT NOT NULL,
    created_at TEXT NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE servers (
    id         TEXT PRIMARY KEY,
    org_id     TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    name       TEXT NOT NULL,
    docker     TEXT,
    path_roots TEXT NOT NULL DEFAULT '[]',
    created_at TEXT NOT NULL,
    updated_at TEXT NOT NULL,
    CONSTRAINT servers_name UNIQUE (org_id, name),
    CONSTRAINT servers_of_org UNIQUE (id, org_id)
);

-- Which organization a container belongs to. An instance with a container points here with its own organization, so two
-- organizations can never have the same one, whatever they call the server.
CREATE TABLE container_claims (
    endpoint  TEXT NOT NULL,
    container TEXT NOT NULL,
    org_id    TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    PRIMARY KEY (endpoint, container),
    CONSTRAINT container_claims_of_org UNIQUE (endpoint, container, org_id)
);

CREATE TABLE instances (
    id                  TEXT PRIMARY KEY,
    org_id              TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    server_id           TEXT NOT NULL,
    slug                TEXT NOT NULL CONSTRAINT instances_slug UNIQUE,
    name                TEXT NOT NULL,
    url                 TEXT NOT NULL,
    database            TEXT NOT NULL,
    environment         TEXT NOT NULL,
    state               TEXT NOT NULL,
    health              TEXT NOT NULL,
    version             TEXT,
    edition             TEXT,
    write_enabled       BOOLEAN NOT NULL,
    write_enabled_until TEXT,
    checked_at          TEXT,
    container_endpoint  TEXT,
    container           TEXT,
    addons              TEXT,
    backups             TEXT,
    postgres_url        BLOB,
    concurrency         BIGINT NOT NULL DEFAULT 4 CHECK (concurrency > 0),
    generation          BIGINT NOT NULL DEFAULT 1,
    created_at          TEXT NOT NULL,
    updated_at          TEXT NOT NULL,
    CONSTRAINT instances_database UNIQUE (server_id, database),
    CONSTRAINT instances_server FOREIGN KEY (server_id, org_id) REFERENCES servers (id, org_id) ON DELETE RESTRICT,
    CONSTRAINT instances_container FOREIGN KEY (container_endpoint, container, org_id)
        REFERENCES container_claims (endpoint, container, org_id) ON DELETE RESTRICT,
    CHECK ((container IS NULL) = (container_endpoint IS NULL))
);
CREATE INDEX instances_org ON instances (org_id);

CREATE TABLE credentials (
    id          TEXT PRIMARY KEY,
    org_id      TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    is_default  BOOLEAN NOT NULL,
    login       TEXT NOT NULL,
    secret      BLOB NOT NULL,
    dialect     TEXT NOT NULL,
    refused_at  TEXT,
    generation  BIGINT NOT NULL DEFAULT 1,
    created_at  TEXT NOT NULL,
    updated_at  TEXT NOT NULL
);
CREATE INDEX credentials_instance ON credentials (instance_id);
CREATE UNIQUE INDEX credentials_one_default ON credentials (instance_id) WHERE is_default;

-- created_by is the user who made the key; null on the command line. Whoever made a key may know its text.
CREATE TABLE api_keys (
    id                TEXT PRIMARY KEY,
    org_id            TEXT NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id           TEXT REFERENCES users (id) ON DELETE RESTRICT,
    created_by        TEXT REFERENCES users (id) ON DELETE SET NULL,
    role              TEXT NOT NULL,
    label             TEXT NOT NULL,
    prefix            TEXT NOT NULL,
    hash              BLOB NOT NULL CONSTRAINT api_keys_hash UNIQUE,
    permissions       TEXT NOT NULL,
    expires_at        TEXT,
    revoked_at        TEXT,
    created_at        TEXT NOT NULL,
    last_used_at      TEXT,
    last_used_address TEXT,
    use_count         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX api_keys_org ON api_keys (org_id, id);
CREATE INDEX api_keys_user ON api_keys (user_id);

-- Every call of every tenant. state: begun, ok, planned, refused, failed, unknown. times counts refusals folded into one row.
CREATE TABLE call_audit (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    instance_id   TEXT,
    instance_slug TEXT,
    tool          TEXT NOT NULL,
    category      TEXT,
    access        TEXT NOT NULL,
    facade        TEXT NOT NULL,
    key_id        TEXT,
    key_label     TEXT NOT NULL,
    grant_id      TEXT,
    user_id       TEXT,
    session_id    TEXT,
    address       TEXT NOT NULL,
    arguments     TEXT NOT NULL,
    state         TEXT NOT NULL,
    code          TEXT,
    summary       TEXT,
    latency_us    BIGINT,
    affected      BIGINT,
    times         BIGINT NOT NULL DEFAULT 1,
    node          TEXT NOT NULL,
    lease_until   TEXT,
    started_at    TEXT NOT NULL,
    ended_at      TEXT
);
CREATE INDEX call_audit_org ON call_audit (org_id, id);
CREATE INDEX call_audit_tool ON call_audit (org_id, tool, id);
CREATE INDEX call_audit_instance ON call_audit (org_id, instance_slug, id);
CREATE INDEX call_audit_lease ON call_audit (lease_until) WHERE state = 'begun';

-- The main audit log: sign-ins, roles, keys, credentials, policy, guard, kill switch, command-line use.
CREATE TABLE audit_log (
    id          TEXT PRIMARY KEY,
    org_id      TEXT,
    at          TEXT NOT NULL,
    actor_kind  TEXT NOT NULL,
    actor_id    TEXT,
    actor_name  TEXT NOT NULL,
    action      TEXT NOT NULL,
    target_kind TEXT NOT NULL,
    target_id   TEXT,
    target_name TEXT NOT NULL,
    detail      TEXT NOT NULL,
    address     TEXT
);
CREATE INDEX audit_log_org ON audit_log (org_id, id);

-- What was refused before anybody was known.
CREATE TABLE security_events (
    id      TEXT PRIMARY KEY,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    address TEXT,
    detail  TEXT NOT NULL,
    count   BIGINT NOT NULL DEFAULT 1
);

CREATE INDEX security_events_at ON security_events (at);

-- Changes of the registry, for the other processes.
CREATE TABLE events (
    seq     INTEGER PRIMARY KEY AUTOINCREMENT,
    at      TEXT NOT NULL,
    kind    TEXT NOT NULL,
    org_id  TEXT,
    subject TEXT NOT NULL
);

CREATE TABLE idempotency (
    key_id         TEXT NOT NULL,
    idem_key       TEXT NOT NULL,
    arguments_hash BLOB NOT NULL,
    call_id        TEXT NOT NULL,
    outcome        BLOB,
    state          TEXT NOT NULL,
    created_at     TEXT NOT NULL,
    expires_at     TEXT NOT NULL,
    PRIMARY KEY (key_id, idem_key)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
CREATE INDEX idempotency_call ON idempotency (call_id);
