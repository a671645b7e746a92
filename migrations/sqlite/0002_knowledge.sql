-- What people and assistants write down about an instance. One row here per instance that has any: whoever changes its knowledge
-- holds the row until the commit, so that limits and "only one" hold however many write at once.
CREATE TABLE knowledge (
    instance_id TEXT PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    org_id      TEXT NOT NULL,
    changes     BIGINT NOT NULL DEFAULT 0
);

-- author_*: who wrote the present text (key, user, cli). approved_*: who stands for the present text; a summary that nobody stands
-- for goes into no tool's description. What is deleted goes for good a month later.
CREATE TABLE notes (
    id            TEXT PRIMARY KEY,
    org_id        TEXT NOT NULL,
    instance_id   TEXT NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    target_type   TEXT NOT NULL,
    target        TEXT NOT NULL,
    title         TEXT NOT NULL,
    body          TEXT NOT NULL,
    tags          TEXT NOT NULL DEFAULT '[]',
    is_summary    BOOLEAN NOT NULL,
    version       BIGINT NOT NULL DEFAULT 1,
    author_kind   TEXT NOT NULL,
    author_id     TEXT,
    author_name   TEXT NOT NULL,
    approved_at   TEXT,
    approved_by   TEXT,
    created_at    TEXT NOT NULL,
    updated_at    TEXT NOT NULL,
    deleted_at    TEXT,
    CHECK ((approved_at IS NULL) = (approved_by IS NULL))
);
CREATE INDEX notes_instance ON notes (instance_id, id);
CREATE INDEX notes_org ON notes (org_id, id);
CREATE UNIQUE INDEX notes_one_summary ON notes (instance_id, target_type, target) WHERE is_summary AND deleted_at IS NULL;
CREATE INDEX notes_approved ON notes (approved_at) WHERE is_summary AND approved_at IS NOT NULL AND deleted_at IS NULL;

-- name_key is the name in lower case.
CREATE TABLE saved_filters (
    id           TEXT PRIMARY KEY,
    org_id       TEXT NOT NULL,
    instance_id  TEXT NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    name         TEXT NOT NULL,
    name_key     TEXT NOT NULL,
    model        TEXT NOT NULL,
    domain       TEXT NOT NULL,
    fields       TEXT NOT NULL DEFAULT '[]',
    sort_order   TEXT,
    row_limit    BIGINT CHECK (row_limit > 0),
    description  TEXT,
    is_default   BOOLEAN NOT NULL DEFAULT FALSE,
    use_count    BIGINT NOT NULL DEFAULT 0,
    author_kind  TEXT NOT NULL,
    author_id    TEXT,
    author_name  TEXT NOT NULL,
    created_at   TEXT NOT NULL,
    updated_at   TEXT NOT NULL,
    deleted_at   TEXT
);
CREATE INDEX saved_filters_instance ON saved_filters (instance_id, id);
CREATE INDEX saved_filters_org ON saved_filters (org_id, id);
CREATE UNIQUE INDEX saved_filters_name ON saved_filters (instance_id, name_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX saved_filters_one_default ON saved_filters (instance_id, model) WHERE is_default AND deleted_at IS NULL;

-- A copy of a row of the call audit, which outlives it. arguments and summary are redacted already.
CREATE TABLE bookmarks (
    id           TEXT PRIMARY KEY,
    org_id       TEXT NOT NULL,
    instance_id  TEXT NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    key_id       TEXT NOT NULL,
    key_label    TEXT NOT NULL,
    call_id      TEXT NOT NULL,
    tool         TEXT NOT NULL,
    arguments    TEXT NOT NULL,
    state        TEXT NOT NULL,
    code         TEXT,
    summary      TEXT NOT NULL,
    called_at    TEXT NOT NULL,
    label        TEXT NOT NULL,
    note         TEXT,
    tags         TEXT NOT NULL DEFAULT '[]',
    created_at   TEXT NOT NULL,
    deleted_at   TEXT
);
CREATE INDEX bookmarks_instance ON bookmarks (instance_id, id);
CREATE INDEX bookmarks_org ON bookmarks (org_id, id);
