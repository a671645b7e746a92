-- What was triggered a moment ago on an instance, and from when on it may be triggered again.
CREATE TABLE cooldowns (
    instance_id TEXT NOT NULL REFERENCES instances (id) ON DELETE CASCADE,
    what        TEXT NOT NULL,
    call_id     TEXT NOT NULL,
    until       TEXT NOT NULL,
    PRIMARY KEY (instance_id, what)
);
