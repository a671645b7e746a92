-- What makes a copy a database of its own. Runs in every fresh copy, on either version.

-- A server's process that still holds the registry of an earlier database of this name must reload it: it
-- compares these counters, and one that is set by the clock is equal to none that it saw. In hundredths of a
-- second, within Odoo 19's 32 bits.
DO $$
DECLARE
    counter TEXT;
    clock CONSTANT BIGINT := (extract(epoch FROM clock_timestamp()) * 100)::BIGINT % 2000000000 + 1000;
BEGIN
    -- Odoo 14: sequences.
    FOR counter IN SELECT sequencename FROM pg_sequences
        WHERE schemaname = 'public' AND sequencename IN ('base_registry_signaling', 'base_cache_signaling')
    LOOP
        PERFORM setval(counter::regclass, clock);
    END LOOP;
    -- Odoo 19: the highest id of a table.
    FOR counter IN SELECT table_name FROM information_schema.tables
        WHERE table_schema = 'public' AND table_name = 'orm_signaling_registry'
    LOOP
        PERFORM setval(pg_get_serial_sequence(counter, 'id'), clock);
        EXECUTE format('INSERT INTO %I DEFAULT VALUES', counter);
    END LOOP;
END $$;

-- Where wkhtmltopdf gets a report's style sheets from: inside the container, not the published port.
INSERT INTO ir_config_parameter (key, value) VALUES ('report.url', 'http://127.0.0.1:8069')
    ON CONFLICT (key) DO NOTHING;

-- Two tenants' databases have neither identity nor secrets in common.
UPDATE ir_config_parameter SET value = gen_random_uuid() WHERE key IN ('database.uuid', 'database.secret');
