-- The container that runs the instance's PostgreSQL server: its programs fit its server.
ALTER TABLE instances ADD COLUMN postgres_container TEXT COLLATE "C";
