-- How people and clients come in. Of tokens, codes, client secrets and links only the SHA-256 is kept; what must be read again (the
-- secret of a second factor, the verifier of a sign-in that is under way) is sealed. Times are given by the caller, never by the
-- database. What must happen once is one UPDATE with its condition.

-- How somebody signed in (password, oidc, setup), and when the second factor was shown: null until then. A session of a user who has a
-- confirmed second factor is signed in only when it is not null.
ALTER TABLE web_sessions ADD COLUMN method TEXT COLLATE "C" NOT NULL DEFAULT 'password';
ALTER TABLE web_sessions ADD COLUMN second_factor_at TEXT COLLATE "C";

-- The second factor: secret is sealed; last_step is the last that was used, so that a code counts once. confirmed_at is null until the
-- first code was right: until then it is not asked for.
CREATE TABLE user_totp (
    user_id      TEXT COLLATE "C" PRIMARY KEY REFERENCES users (id) ON DELETE CASCADE,
    secret       BYTEA NOT NULL,
    last_step    BIGINT,
    confirmed_at TEXT COLLATE "C",
    created_at   TEXT COLLATE "C" NOT NULL
);
CREATE TABLE user_recovery_codes (
    user_id TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    hash    BYTEA NOT NULL,
    PRIMARY KEY (user_id, hash)
);

-- Who somebody is at a provider: by issuer and subject, never by e-mail. email is what the provider last said, for people to read.
CREATE TABLE oidc_identities (
    issuer       TEXT COLLATE "C" NOT NULL,
    subject      TEXT COLLATE "C" NOT NULL,
    user_id      TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    email        TEXT COLLATE "C",
    created_at   TEXT COLLATE "C" NOT NULL,
    last_used_at TEXT COLLATE "C",
    PRIMARY KEY (issuer, subject)
);
CREATE INDEX oidc_identities_user ON oidc_identities (user_id);

-- A sign-in that is under way at a provider. state is the SHA-256 of the state parameter in hexadecimal, session_hash that of what
-- binds it to the browser that began it; secrets is the nonce and the PKCE verifier, sealed. link_user is set where a signed-in user
-- adds an identity. Deleted when it comes back.
CREATE TABLE oidc_logins (
    state        TEXT COLLATE "C" PRIMARY KEY,
    provider     TEXT COLLATE "C" NOT NULL,
    session_hash BYTEA NOT NULL,
    secrets      BYTEA NOT NULL,
    link_user    TEXT COLLATE "C" REFERENCES users (id) ON DELETE CASCADE,
    return_to    TEXT COLLATE "C" NOT NULL,
    expires_at   TEXT COLLATE "C" NOT NULL
);
CREATE INDEX oidc_logins_expires ON oidc_logins (expires_at);
CREATE INDEX oidc_logins_user ON oidc_logins (link_user);

-- id is what clients call themselves: the id that registration gave, or the URL of a metadata document. metadata is JSON.
-- fingerprint_hash is of equal registrations that share an id (null with a secret). fetched_at and fresh_until are of documents; keys
-- and keys_fetched_at of a fetched key set.
CREATE TABLE oauth_clients (
    id               TEXT COLLATE "C" PRIMARY KEY,
    kind             TEXT COLLATE "C" NOT NULL CHECK (kind IN ('registered', 'document', 'own')),
    metadata         TEXT COLLATE "C" NOT NULL,
    secret_hash      BYTEA,
    fingerprint_hash BYTEA CONSTRAINT oauth_clients_fingerprint UNIQUE,
    fetched_at       TEXT COLLATE "C",
    fresh_until      TEXT COLLATE "C",
    keys             TEXT COLLATE "C",
    keys_fetched_at  TEXT COLLATE "C",
    address          TEXT COLLATE "C",
    created_at       TEXT COLLATE "C" NOT NULL,
    last_used_at     TEXT COLLATE "C",
    CHECK ((kind = 'document') = (fetched_at IS NOT NULL)),
    CHECK (secret_hash IS NULL OR kind = 'registered')
);
CREATE INDEX oauth_clients_used ON oauth_clients (last_used_at, created_at);

-- A user's consent for a client in an organization. made_key tells that consent made the key: revoking revokes the key too.
CREATE TABLE oauth_grants (
    id            TEXT COLLATE "C" PRIMARY KEY,
    org_id        TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    user_id       TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    client_id     TEXT COLLATE "C" NOT NULL REFERENCES oauth_clients (id) ON DELETE RESTRICT,
    key_id        TEXT COLLATE "C" NOT NULL REFERENCES api_keys (id) ON DELETE RESTRICT,
    made_key      BOOLEAN NOT NULL,
    scopes        TEXT COLLATE "C" NOT NULL,
    resource      TEXT COLLATE "C" NOT NULL,
    redirect_host TEXT COLLATE "C" NOT NULL,
    created_at    TEXT COLLATE "C" NOT NULL,
    last_used_at  TEXT COLLATE "C",
    revoked_at    TEXT COLLATE "C"
);
CREATE INDEX oauth_grants_user ON oauth_grants (user_id, client_id);
CREATE INDEX oauth_grants_org ON oauth_grants (org_id, id);
CREATE INDEX oauth_grants_key ON oauth_grants (key_id);
CREATE INDEX oauth_grants_client ON oauth_grants (client_id);

-- All tokens that came of one code or device code. resource is the audience. generation counts rotations; joined counts who got tokens of
-- the present one in the grace window. confidential: the client proved itself when it began, and must each time.
CREATE TABLE oauth_families (
    id           TEXT COLLATE "C" PRIMARY KEY,
    grant_id     TEXT COLLATE "C" NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    client_id    TEXT COLLATE "C" NOT NULL REFERENCES oauth_clients (id) ON DELETE RESTRICT,
    resource     TEXT COLLATE "C" NOT NULL,
    scopes       TEXT COLLATE "C" NOT NULL,
    confidential BOOLEAN NOT NULL,
    generation   BIGINT NOT NULL DEFAULT 1 CHECK (generation > 0),
    joined       BIGINT NOT NULL DEFAULT 0 CHECK (joined BETWEEN 0 AND 100),
    created_at   TEXT COLLATE "C" NOT NULL,
    revoked_at   TEXT COLLATE "C",
    revoked_why  TEXT COLLATE "C" CHECK (revoked_why IN ('reuse', 'code_replay', 'device_replay', 'client', 'user', 'admin', 'key')),
    CHECK ((revoked_at IS NULL) = (revoked_why IS NULL))
);
CREATE INDEX oauth_families_grant ON oauth_families (grant_id);
CREATE INDEX oauth_families_client ON oauth_families (client_id);

CREATE TABLE oauth_refresh_tokens (
    hash          BYTEA PRIMARY KEY,
    family_id     TEXT COLLATE "C" NOT NULL REFERENCES oauth_families (id) ON DELETE CASCADE,
    generation    BIGINT NOT NULL,
    issued_at     TEXT COLLATE "C" NOT NULL,
    expires_at    TEXT COLLATE "C" NOT NULL,
    superseded_at TEXT COLLATE "C"
);
CREATE INDEX oauth_refresh_tokens_family ON oauth_refresh_tokens (family_id, generation);
CREATE INDEX oauth_refresh_tokens_expires ON oauth_refresh_tokens (expires_at);

-- scopes may be fewer than the family's. Whoever looks one up reads its family too: that is where it ends.
CREATE TABLE oauth_access_tokens (
    hash       BYTEA PRIMARY KEY,
    family_id  TEXT COLLATE "C" NOT NULL REFERENCES oauth_families (id) ON DELETE CASCADE,
    scopes     TEXT COLLATE "C" NOT NULL,
    issued_at  TEXT COLLATE "C" NOT NULL,
    expires_at TEXT COLLATE "C" NOT NULL,
    revoked_at TEXT COLLATE "C"
);
CREATE INDEX oauth_access_tokens_family ON oauth_access_tokens (family_id);
CREATE INDEX oauth_access_tokens_expires ON oauth_access_tokens (expires_at);

-- family_id is what it gave. The row stays as long as its family, so that a replay is known as one; unspent ones go when they expire.
CREATE TABLE oauth_codes (
    hash           BYTEA PRIMARY KEY,
    client_id      TEXT COLLATE "C" NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    grant_id       TEXT COLLATE "C" NOT NULL REFERENCES oauth_grants (id) ON DELETE CASCADE,
    redirect_uri   TEXT COLLATE "C" NOT NULL,
    challenge_hash BYTEA NOT NULL,
    resource       TEXT COLLATE "C" NOT NULL,
    scopes         TEXT COLLATE "C" NOT NULL,
    created_at     TEXT COLLATE "C" NOT NULL,
    expires_at     TEXT COLLATE "C" NOT NULL,
    spent_at       TEXT COLLATE "C",
    family_id      TEXT COLLATE "C" REFERENCES oauth_families (id) ON DELETE CASCADE,
    CHECK (family_id IS NULL OR spent_at IS NOT NULL)
);
CREATE INDEX oauth_codes_expires ON oauth_codes (expires_at);
CREATE INDEX oauth_codes_family ON oauth_codes (family_id);
CREATE INDEX oauth_codes_grant ON oauth_codes (grant_id);
CREATE INDEX oauth_codes_client ON oauth_codes (client_id);

-- address and agent are of the program that asks: the page shows them.
CREATE TABLE oauth_device_codes (
    hash             BYTEA PRIMARY KEY,
    user_code_hash   BYTEA NOT NULL CONSTRAINT oauth_device_codes_user_code UNIQUE,
    client_id        TEXT COLLATE "C" NOT NULL REFERENCES oauth_clients (id) ON DELETE CASCADE,
    resource         TEXT COLLATE "C" NOT NULL,
    scopes           TEXT COLLATE "C" NOT NULL,
    address          TEXT COLLATE "C" NOT NULL,
    agent            TEXT COLLATE "C" NOT NULL,
    state            TEXT COLLATE "C" NOT NULL CHECK (state IN ('pending', 'approved', 'denied', 'redeemed')),
    grant_id         TEXT COLLATE "C" REFERENCES oauth_grants (id) ON DELETE CASCADE,
    family_id        TEXT COLLATE "C" REFERENCES oauth_families (id) ON DELETE CASCADE,
    interval_seconds BIGINT NOT NULL CHECK (interval_seconds > 0),
    polled_at        TEXT COLLATE "C",
    created_at       TEXT COLLATE "C" NOT NULL,
    expires_at       TEXT COLLATE "C" NOT NULL,
    CHECK ((grant_id IS NOT NULL) = (state IN ('approved', 'redeemed'))),
    CHECK ((family_id IS NOT NULL) = (state = 'redeemed'))
);
CREATE INDEX oauth_device_codes_expires ON oauth_device_codes (expires_at);
CREATE INDEX oauth_device_codes_grant ON oauth_device_codes (grant_id);
CREATE INDEX oauth_device_codes_family ON oauth_device_codes (family_id);
CREATE INDEX oauth_device_codes_client ON oauth_device_codes (client_id);

-- Client assertions that were used: hash is over client and jti.
CREATE TABLE oauth_assertions (
    hash       BYTEA PRIMARY KEY,
    expires_at TEXT COLLATE "C" NOT NULL
);
CREATE INDEX oauth_assertions_expires ON oauth_assertions (expires_at);

-- vouched_by is whose power bounds the keys that it makes: who made it, until an administrator takes it over.
CREATE TABLE invites (
    id          TEXT COLLATE "C" PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    vouched_by  TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    role        TEXT COLLATE "C" NOT NULL CHECK (role IN ('viewer', 'member')),
    label       TEXT COLLATE "C" NOT NULL,
    permissions TEXT COLLATE "C" NOT NULL,
    shown       TEXT COLLATE "C" NOT NULL,
    hash        BYTEA NOT NULL CONSTRAINT invites_hash UNIQUE,
    max_uses    BIGINT NOT NULL CHECK (max_uses BETWEEN 1 AND 100),
    used        BIGINT NOT NULL DEFAULT 0 CHECK (used BETWEEN 0 AND max_uses),
    created_at  TEXT COLLATE "C" NOT NULL,
    expires_at  TEXT COLLATE "C" NOT NULL,
    revoked_at  TEXT COLLATE "C"
);
CREATE INDEX invites_org ON invites (org_id, id);
CREATE INDEX invites_vouched_by ON invites (vouched_by);

CREATE TABLE invite_uses (
    invite_id TEXT COLLATE "C" NOT NULL REFERENCES invites (id) ON DELETE CASCADE,
    user_id   TEXT COLLATE "C" NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    used_at   TEXT COLLATE "C" NOT NULL,
    PRIMARY KEY (invite_id, user_id)
);
CREATE INDEX invite_uses_user ON invite_uses (user_id);

-- The invite that made a key: the key may never do more than who vouches for it.
ALTER TABLE api_keys ADD COLUMN invite_id TEXT COLLATE "C" REFERENCES invites (id) ON DELETE RESTRICT;
CREATE INDEX api_keys_invite ON api_keys (invite_id);
