-- A link with which a person sets a new password, made by the operator: one of each person at a time, good once and until expires_at. Of
-- the link only the SHA-256 is kept.
CREATE TABLE password_resets (
    user_id    TEXT PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    hash       BLOB NOT NULL CONSTRAINT password_resets_hash UNIQUE,
    expires_at TEXT NOT NULL
);

-- Where a person has signed in from, by network (an IPv4 address, or the first half of an IPv6 one): who was there before is let in
-- from there, however many guess elsewhere. at is the last time.
CREATE TABLE sign_in_networks (
    user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    network TEXT NOT NULL,
    at      TEXT NOT NULL,
    PRIMARY KEY (user_id, network)
);
CREATE INDEX sign_in_networks_at ON sign_in_networks (at);
