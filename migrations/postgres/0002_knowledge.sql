-- What people and assistants write down about an instance. One row here per instance that has any: whoever changes its knowledge
-- holds the row until the commit, so that limits and "only one" hold however many write at once.
CREATE TABLE knowledge (
    instance_id TEXT COLLATE "C" PRIMARY KEY REFERENCES instances (id) ON DELETE CASCADE,
    org_id      TEXT COLLATE "C" NOT NULL,
    changes     BIGINT NOT NULL DEFAULT 0
);

-- author_*: who wrote the present text (key, user, cli). approved_*: who stands for the present text; a summary that nobody stands
-- for goes into no tool's description. What is deleted goes for good a month later.
CREATE TABLE notes (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL,
    instance_id   TEXT COLLATE "C" NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    target_type   TEXT COLLATE "C" NOT NULL,
    target        TEXT COLLATE "C" NOT NULL,
    title         TEXT COLLATE "C" NOT NULL,
    body          TEXT COLLATE "C" NOT NULL,
    tags          TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    is_summary    BOOLEAN NOT NULL,
    version       BIGINT NOT NULL DEFAULT 1,
    author_kind   TEXT COLLATE "C" NOT NULL,
    author_id     TEXT COLLATE "C",
    author_name   TEXT COLLATE "C" NOT NULL,
    approved_at   TEXT COLLATE "C",
    approved_by   TEXT COLLATE "C",
    created_at    TEXT COLLATE "C" NOT NULL,
    updated_at    TEXT COLLATE "C" NOT NULL,
    deleted_at    TEXT COLLATE "C",
    CHECK ((approved_at IS NULL) = (approved_by IS NULL))
);
CREATE INDEX notes_instance ON notes (instance_id, id);
CREATE INDEX notes_org ON notes (org_id, id);
CREATE UNIQUE INDEX notes_one_summary ON notes (instance_id, target_type, target) WHERE is_summary AND deleted_at IS NULL;
CREATE INDEX notes_approved ON notes (approved_at) WHERE is_summary AND approved_at IS NOT NULL AND deleted_at IS NULL;

-- name_key is the name in lower case.
CREATE TABLE saved_filters (
    id           TEXT COLLATE "C" PRIMARY KEY,
    org_id       TEXT COLLATE "C" NOT NULL,
    instance_id  TEXT COLLATE "C" NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    name         TEXT COLLATE "C" NOT NULL,
    name_key     TEXT COLLATE "C" NOT NULL,
    model        TEXT COLLATE "C" NOT NULL,
    domain       TEXT COLLATE "C" NOT NULL,
    fields       TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    sort_order   TEXT COLLATE "C",
    row_limit    BIGINT CHECK (row_limit > 0),
    description  TEXT COLLATE "C",
    is_default   BOOLEAN NOT NULL DEFAULT FALSE,
    use_count    BIGINT NOT NULL DEFAULT 0,
    author_kind  TEXT COLLATE "C" NOT NULL,
    author_id    TEXT COLLATE "C",
    author_name  TEXT COLLATE "C" NOT NULL,
    created_at   TEXT COLLATE "C" NOT NULL,
    updated_at   TEXT COLLATE "C" NOT NULL,
    deleted_at   TEXT COLLATE "C"
);
CREATE INDEX saved_filters_instance ON saved_filters (instance_id, id);
CREATE INDEX saved_filters_org ON saved_filters (org_id, id);
CREATE UNIQUE INDEX saved_filters_name ON saved_filters (instance_id, name_key) WHERE deleted_at IS NULL;
CREATE UNIQUE INDEX saved_filters_one_default ON saved_filters (instance_id, model) WHERE is_default AND deleted_at IS NULL;

-- A copy of a row of the call audit, which outlives it. arguments and summary are redacted already.
CREATE TABLE bookmarks (
    id           TEXT COLLATE "C" PRIMARY KEY,
    org_id       TEXT COLLATE "C" NOT NULL,
    instance_id  TEXT COLLATE "C" NOT NULL REFERENCES knowledge (instance_id) ON DELETE CASCADE,
    key_id       TEXT COLLATE "C" NOT NULL,
    key_label    TEXT COLLATE "C" NOT NULL,
    call_id      TEXT COLLATE "C" NOT NULL,
    tool         TEXT COLLATE "C" NOT NULL,
    arguments    TEXT COLLATE "C" NOT NULL,
    state        TEXT COLLATE "C" NOT NULL,
    code         TEXT COLLATE "C",
    summary      TEXT COLLATE "C" NOT NULL,
    called_at    TEXT COLLATE "C" NOT NULL,
    label        TEXT COLLATE "C" NOT NULL,
    note         TEXT COLLATE "C",
    tags         TEXT COLLATE "C" NOT NULL DEFAULT '[]',
    created_at   TEXT COLLATE "C" NOT NULL,
    deleted_at   TEXT COLLATE "C"
);
CREATE INDEX bookmarks_instance ON bookmarks (instance_id, id);
CREATE INDEX bookmarks_org ON bookmarks (org_id, id);
