-- What organizations allow on a model: on all instances or on one, in all of Odoo's companies or in one. rule is JSON.
CREATE TABLE resources (
    id          TEXT COLLATE "C" PRIMARY KEY,
    org_id      TEXT COLLATE "C" NOT NULL REFERENCES organizations (id) ON DELETE RESTRICT,
    instance_id TEXT COLLATE "C" REFERENCES instances (id) ON DELETE CASCADE,
    company     BIGINT,
    model       TEXT COLLATE "C" NOT NULL,
    rule        TEXT COLLATE "C" NOT NULL,
    created_at  TEXT COLLATE "C" NOT NULL,
    updated_at  TEXT COLLATE "C" NOT NULL
);
CREATE UNIQUE INDEX resources_once ON resources (org_id, COALESCE(instance_id, ''), COALESCE(company, 0), model);
CREATE INDEX resources_instance ON resources (instance_id);

-- follow: models without a resource are as Odoo says; refuse: they are refused.
ALTER TABLE organizations ADD COLUMN without_resource TEXT COLLATE "C" NOT NULL DEFAULT 'follow';
ALTER TABLE organizations ADD COLUMN default_read_only BOOLEAN NOT NULL DEFAULT FALSE;

-- A key's own login to an instance; the key acts by it and by no other.
ALTER TABLE credentials ADD COLUMN key_id TEXT COLLATE "C" REFERENCES api_keys (id) ON DELETE CASCADE;
CREATE UNIQUE INDEX credentials_one_per_key ON credentials (instance_id, key_id) WHERE key_id IS NOT NULL;
CREATE INDEX credentials_key ON credentials (key_id);
