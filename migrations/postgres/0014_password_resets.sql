-- A link with which a person sets a new password, made by the operator: one of each person at a time, good once and until expires_at. Of
-- the link only the SHA-256 is kept.
CREATE TABLE password_resets (
    user_id    TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash       BYTEA NOT NULL CONSTRAINT password_resets_hash UNIQUE,
    expires_at TEXT COLLATE "C" NOT NULL
);
