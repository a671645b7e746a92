-- The last touch to a template database, once Odoo has initialised it.

-- Scheduled actions are there and active, but none becomes due by itself in a copy: a test's rows change
-- only when the test changes them. A test that wants one to run sets its nextcall.
UPDATE ir_cron SET nextcall = '2099-01-01';
DO $$ BEGIN
    IF to_regclass('ir_cron_trigger') IS NOT NULL THEN -- 15 and later
        DELETE FROM ir_cron_trigger;
    END IF;
END $$;

-- A smaller database copies faster, and its copies have the planner's figures.
VACUUM (FULL, ANALYZE);
