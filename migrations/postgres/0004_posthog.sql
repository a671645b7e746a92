-- The way into an instance's PostHog. The key is sealed.
ALTER TABLE instances ADD COLUMN posthog_url TEXT COLLATE "C";
ALTER TABLE instances ADD COLUMN posthog_project TEXT COLLATE "C";
ALTER TABLE instances ADD COLUMN posthog_key BYTEA;
