-- The ways to an instance's host. addons is a JSON list of folders (one text before) on ocore's own machine or, after `container:`, in
-- the instance's container. postgres_login is `user@host:port` of the sealed address: instances with the same one reach each other's
-- databases.
UPDATE instances SET addons = json_array(addons) WHERE addons IS NOT NULL;
ALTER TABLE instances ADD COLUMN postgres_login TEXT;
ALTER TABLE instances ADD COLUMN postgres_ca TEXT;
-- Logins of ocore's own in the instance's database: {"user", "password"}, sealed.
ALTER TABLE instances ADD COLUMN postgres_reader BLOB;
ALTER TABLE instances ADD COLUMN postgres_writer BLOB;
-- What TLS or ssh to the Docker endpoint needs, sealed; the generation is part of every cache key.
ALTER TABLE servers ADD COLUMN docker_secret BLOB;
ALTER TABLE servers ADD COLUMN generation BIGINT NOT NULL DEFAULT 1;
