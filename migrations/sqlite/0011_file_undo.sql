-- How to take changes of addons' files back: sealed, because files hold whatever people write into them.
CREATE TABLE file_undo (
    id          TEXT PRIMARY KEY,
    org_id      TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    call_id     TEXT NOT NULL,
    key_label   TEXT NOT NULL,
    path        TEXT NOT NULL,
    new_path    TEXT,
    content     BLOB NOT NULL,
    created_at  TEXT NOT NULL
);
CREATE INDEX file_undo_instance ON file_undo (instance_id, id);
