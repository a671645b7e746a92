-- Whether Docker answers at the server's endpoint, as a job last found it: up, down or unknown.
ALTER TABLE servers ADD COLUMN docker_health TEXT NOT NULL DEFAULT 'unknown';
