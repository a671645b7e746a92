-- The registry, keys, audit and what several processes share.
-- Ids are ULIDs as text, times RFC 3339 UTC as text (both sort as text,
-- by their bytes: COLLATE "C"). Audit tables point to nothing by foreign key on purpose:
-- no deletion can take their rows along, and they keep the names that things had then.

CREATE TABLE meta (
    name  TEXT COLLATE "C" PRIMARY KEY,
    value TEXT COLLATE "C" NOT NULL
);

CREATE TABLE vault_keys (
    key_id      TEXT COLLATE "C" PRIMARY KEY,
    check_value BYTEA NOT NULL,
    is_current  BOOLEAN NOT NULL,
    created_at  TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX vault_keys_one_current ON vault_keys (is_current) WHERE is_current;

-- ocore's own secrets by name, sealed.
CREATE TABLE secrets (
    name       TEXT COLLATE "C" PRIMARY KEY,
    sealed     BYTEA NOT NULL,
    created_at TEXT COLLATE "C" NOT NULL
);

CREATE TABLE organizations (
    id                   TEXT COLLATE "C" PRIMARY KEY,
    slug                 TEXT COLLATE "C" NOT NULL CONSTRAINT organizations_slug UNIQUE,
    name                 TEXT COLLATE "C" NOT NULL,
    kill_switch          BOOLEAN NOT NULL DEFAULT FALSE,
    max_records          BIGINT NOT NULL DEFAULT 500 CHECK (max_records > 0),
    max_search_limit     BIGINT NOT NULL DEFAULT 1000 CHECK (max_search_limit > 0),
    audit_retention_days BIGINT NOT NULL DEFAULT 30 CHECK (audit_retention_days > 0),
    created_at           TEXT COLLATE "C" NOT NULL,
    updated_at           TEXT COLLATE "C" NOT NULL
);

-- email_key is the address in lower case: the same address in another case is the same person.
CREATE TABLE users (
    id            TEXT COLLATE "C" PRIMARY KEY,
    email         TEXT COLLATE "C" NOT NULL,
    email_key     TEXT COLLATE "C" NOT NULL CONSTRAINT users_email UNIQUE,
    password_hash TEXT COLLATE "C",
    operator      BOOLEAN NOT NULL DEFAULT FALSE,
    active        BOOLEAN NOT NULL DEFAULT TRUE,
    created_at    TEXT COLLATE "C" NOT NULL,
    updated_at    TEXT COLLATE "C" NOT NULL
);

CREATE TABLE memberships (
    org_id     TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id    TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    role       TEXT COLLATE "C" NOT NULL,
    created_at TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (org_id, user_id)
);
CREATE INDEX memberships_user ON memberships (user_id);

CREATE TABLE servers (
    id         TEXT COLLATE "C" PRIMARY KEY,
    org_id     TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    name       TEXT COLLATE "C" NOT NULL,
    docker     TEXT COLLATE "C",
    path_roots TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    created_at TEXT COLLATE "C" NOT NULL,
    updated_at TEXT COLLATE "C" NOT NULL,
    CONSTRAINT servers_name UNIQUE (org_id, name),
    CONSTRAINT servers_of_org UNIQUE (id, org_id)
);

-- Which organization a container belongs to. An instance with a container points here with its own organization, so two
-- organizations can never have the same one, whatever they call the server.
CREATE TABLE container_claims (
    endpoint  TEXT COLLATE "C" NOT NULL,
    container TEXT COLLATE "C" NOT NULL,
    org_id    TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    PRIMARY KEY (endpoint, container),
    CONSTRAINT container_claims_of_org UNIQUE (endpoint, container, org_id)
);

CREATE TABLE instances (
    id                  TEXT COLLATE "C" PRIMARY KEY,
    org_id              TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    server_id           TEXT COLLATE "C" NOT NULL,
    slug                TEXT COLLATE "C" NOT NULL CONSTRAINT instances_slug UNIQUE,
    name                TEXT COLLATE "C" NOT NULL,
    url                 TEXT COLLATE "C" NOT NULL,
    database            TEXT COLLATE "C" NOT NULL,
    environment         TEXT COLLATE "C" NOT NULL,
    state               TEXT COLLATE "C" NOT NULL,
    health              TEXT COLLATE "C" NOT NULL,
    version             TEXT COLLATE "C",
    edition             TEXT COLLATE "C",
    write_enabled       BOOLEAN NOT NULL,
    write_enabled_until TEXT COLLATE "C",
    checked_at          TEXT COLLATE "C",
    container_endpoint  TEXT COLLATE "C",
    container           TEXT COLLATE "C",
    addons              TEXT COLLATE "C",
    backups             TEXT COLLATE "C",
    postgres_url        BYTEA,
    concurrency         BIGINT NOT NULL DEFAULT 4 CHECK (concurrency > 0),
    generation          BIGINT NOT NULL DEFAULT 1,
    created_at          TEXT COLLATE "C" NOT NULL,
    updated_at          TEXT COLLATE "C" NOT NULL,
    CONSTRAINT instances_database UNIQUE (server_id, database),
    CONSTRAINT instances_server FOREIGN KEY (server_id, org_id) REFERENCES servers (id, org_id) ON DELETE RESTRICT,
    CONSTRAINT instances_container FOREIGN KEY (container_endpoint, container, org_id)
        REFERENCES container_claims (endpoint, container, org_id) ON DELETE RESTRICT,
    CHECK ((container IS NULL) = (container_endpoint IS NULL))
);
CREATE INDEX instances_org ON instances (org_id);

CREATE TABLE credentials (
    id          TEXT COLLATE "C" PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    instance_id TEXT COLLATE "C" NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    is_default  BOOLEAN NOT NULL,
    login       TEXT COLLATE "C" NOT NULL,
    secret      BYTEA NOT NULL,
    dialect     TEXT COLLATE "C" NOT NULL,
    refused_at  TEXT COLLATE "C",
    generation  BIGINT NOT NULL DEFAULT 1,
    created_at  TEXT COLLATE "C" NOT NULL,
    updated_at  TEXT COLLATE "C" NOT NULL
);
CREATE INDEX credentials_instance ON credentials (instance_id);
CREATE UNIQUE INDEX credentials_one_default ON credentials (instance_id) WHERE is_default;

-- created_by is the user who made the key; null on the command line. Whoever made a key may know its text.
CREATE TABLE api_keys (
    id                TEXT COLLATE "C" PRIMARY KEY,
    org_id            TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id           TEXT COLLATE "C" REFERENCES users (id) ON DELETE RESTRICT,
    created_by        TEXT COLLATE "C" REFERENCES users (id) ON DELETE SET NULL,
    role              TEXT COLLATE "C" NOT NULL,
    label             TEXT COLLATE "C" NOT NULL,
    prefix            TEXT COLLATE "C" NOT NULL,
    hash              BYTEA NOT NULL CONSTRAINT api_keys_hash UNIQUE,
    permissions       TEXT COLLATE "C" NOT NULL,
    expires_at        TEXT COLLATE "C",
    revoked_at        TEXT COLLATE "C",
    created_at        TEXT COLLATE "C" NOT NULL,
    last_used_at      TEXT COLLATE "C",
    last_used_address TEXT COLLATE "C",
    use_count         BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX api_keys_org ON api_keys (org_id, id);
CREATE INDEX api_keys_user ON api_keys (user_id);

-- Every call of every tenant. state: begun, ok, planned, refused, failed, unknown. times counts refusals folded into one row.
CREATE TABLE call_audit (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    instance_id   TEXT COLLATE "C",
    instance_slug TEXT COLLATE "C",
    tool          TEXT COLLATE "C" NOT NULL,
    category      TEXT COLLATE "C",
    access        TEXT COLLATE "C" NOT NULL,
    facade        TEXT COLLATE "C" NOT NULL,
    key_id        TEXT COLLATE "C",
    key_label     TEXT COLLATE "C" NOT NULL,
    grant_id      TEXT COLLATE "C",
    user_id       TEXT COLLATE "C",
    session_id    TEXT COLLATE "C",
    address       TEXT COLLATE "C" NOT NULL,
    arguments     TEXT COLLATE "C" NOT NULL,
    state         TEXT COLLATE "C" NOT NULL,
    code          TEXT COLLATE "C",
    summary       TEXT COLLATE "C",
    latency_us    BIGINT,
    affected      BIGINT,
    times         BIGINT NOT NULL DEFAULT 1,
    node          TEXT COLLATE "C" NOT NULL,
    lease_until   TEXT COLLATE "C",
    started_at    TEXT COLLATE "C" NOT NULL,
    ended_at      TEXT COLLATE "C"
);
CREATE INDEX call_audit_org ON call_audit (org_id, id);
CREATE INDEX call_audit_tool ON call_audit (org_id, tool, id);
CREATE INDEX call_audit_instance ON call_audit (org_id, instance_slug, id);
CREATE INDEX call_audit_lease ON call_audit (lease_until) WHERE state = 'begun';

-- The main audit log: sign-ins, roles, keys, credentials, policy, guard, kill switch, command-line use.
CREATE TABLE audit_log (
    id          TEXT COLLATE "C" PRIMARY KEY,
    org_id      TEXT COLLATE "C",
    at          TEXT COLLATE "C" NOT NULL,
    actor_kind  TEXT COLLATE "C" NOT NULL,
    actor_id    TEXT COLLATE "C",
    actor_name  TEXT COLLATE "C" NOT NULL,
    action      TEXT COLLATE "C" NOT NULL,
    target_kind TEXT COLLATE "C" NOT NULL,
    target_id   TEXT COLLATE "C",
    target_name TEXT COLLATE "C" NOT NULL,
    detail      TEXT COLLATE "C" NOT NULL,
    address     TEXT COLLATE "C"
);
CREATE INDEX audit_log_org ON audit_log (org_id, id);

-- What was refused before anybody was known.
CREATE TABLE security_events (
    id      TEXT COLLATE "C" PRIMARY KEY,
    at      TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    address TEXT COLLATE "C",
    detail  TEXT COLLATE "C" NOT NULL,
    count   BIGINT NOT NULL DEFAULT 1
);

CREATE INDEX security_events_at ON security_events (at);

-- Changes of the registry, for the other processes.
CREATE TABLE events (
    seq     BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at      TEXT COLLATE "C" NOT NULL,
    kind    TEXT COLLATE "C" NOT NULL,
    org_id  TEXT COLLATE "C",
    subject TEXT COLLATE "C" NOT NULL
);

CREATE TABLE idempotency (
    key_id         TEXT COLLATE "C" NOT NULL,
    idem_key       TEXT COLLATE "C" NOT NULL,
    arguments_hash BYTEA NOT NULL,
    call_id        TEXT COLLATE "C" NOT NULL,
    outcome        BYTEA,
    state          TEXT COLLATE "C" NOT NULL,
    created_at     TEXT COLLATE "C" NOT NULL,
    expires_at     TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (key_id, idem_key)
);
CREATE INDEX idempotency_expires ON idempotency (expires_at);
CREATE INDEX idempotency_call ON idempotency (call_id);
