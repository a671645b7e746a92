-- The way into an instance's PostHog. The key is sealed.
ALTER TABLE instances ADD COLUMN posthog_url TEXT;
ALTER TABLE instances ADD COLUMN posthog_project TEXT;
ALTER TABLE instances ADD COLUMN posthog_key BLOB;
