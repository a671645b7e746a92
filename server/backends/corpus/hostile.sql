--@ reads a file of the server
SELECT pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT pg_read_file('PG_VERSION', 0, 10)

--@ reads a file of the server
SELECT pg_read_binary_file('/etc/passwd')

--@ reads a file of the server
SELECT pg_catalog.pg_read_file('/etc/passwd', 0, 10, true)

--@ reads a file of the server
SELECT "pg_read_file"('/etc/passwd')

--@ reads a file of the server
SELECT PG_READ_FILE('/etc/passwd')

--@ reads a file of the server
SELECT * FROM pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT id FROM res_partner WHERE name = pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT id FROM res_partner ORDER BY pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT count(*) FROM res_partner GROUP BY pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT count(*) FROM res_partner HAVING pg_read_file('/etc/passwd') = ''

--@ reads a file of the server
SELECT id FROM res_partner LIMIT length(pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT id FROM res_partner LIMIT 1 OFFSET length(pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT CASE WHEN true THEN pg_read_file('/etc/passwd') END

--@ reads a file of the server
SELECT coalesce(pg_read_file('/etc/passwd'), '')

--@ reads a file of the server
SELECT ARRAY[pg_read_file('/etc/passwd')]

--@ reads a file of the server
SELECT (pg_read_file('/etc/passwd'))::text

--@ reads a file of the server
SELECT sum(1) FILTER (WHERE pg_read_file('/etc/passwd') <> '')

--@ reads a file of the server
SELECT rank() OVER (ORDER BY pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT string_agg(name, pg_read_file('/etc/passwd')) FROM res_partner

--@ reads a file of the server
SELECT 1 FROM res_partner p JOIN res_country c ON pg_read_file('/etc/passwd') = c.code

--@ reads a file of the server
SELECT 1 FROM res_partner, LATERAL (SELECT pg_read_file('/etc/passwd')) x

--@ reads a file of the server
VALUES (pg_read_file('/etc/passwd'))

--@ reads a file of the server
WITH x AS (SELECT pg_read_file('/etc/passwd')) SELECT 1

--@ reads a file of the server
SELECT 1 UNION SELECT length(pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT EXISTS (SELECT pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT 1 IN (SELECT length(pg_read_file('/etc/passwd')))

--@ reads a file of the server
SELECT DISTINCT ON (pg_read_file('/etc/passwd')) 1

--@ reads a file of the server
EXPLAIN SELECT pg_read_file('/etc/passwd')

--@ reads a file of the server
EXPLAIN ANALYZE SELECT pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT name FROM res_partner WINDOW w AS (PARTITION BY pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY length(pg_read_file('/etc/passwd')))

--@ reads a file of the server
SELECT (ARRAY[1,2])[length(pg_read_file('/etc/passwd'))]

--@ reads a file of the server
SELECT extract(epoch FROM pg_read_file('/etc/passwd')::timestamp)

--@ reads a file of the server
SELECT 'a' LIKE pg_read_file('/etc/passwd')

--@ reads a file of the server
SELECT 1 BETWEEN 0 AND length(pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT now() AT TIME ZONE pg_read_file('/etc/timezone')

--@ reads a file of the server
SELECT trim(pg_read_file('/etc/passwd') FROM 'x')

--@ reads a file of the server
SELECT substring(pg_read_file('/etc/passwd') FROM 1 FOR 10)

--@ reads a file of the server
SELECT position('root' IN pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT overlay('x' PLACING pg_read_file('/etc/passwd') FROM 1)

--@ reads a file of the server
SELECT ROW(pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT greatest('', pg_read_file('/etc/passwd'))

--@ reads a file of the server
SELECT id FROM res_partner GROUP BY GROUPING SETS ((id, pg_read_file('/etc/passwd')))

--@ reads a file of the server
SELECT pg_read_file('/etc/passwd') COLLATE "C"

--@ reads a file of the server
SELECT count(*) FROM generate_series(1, length(pg_read_file('/etc/passwd')))

--@ reads a file of the server
SELECT * FROM unnest(ARRAY[pg_read_file('/etc/passwd')])

--@ looks at files of the server
SELECT * FROM pg_ls_dir('.')

--@ looks at files of the server
SELECT * FROM pg_ls_dir('/')

--@ looks at files of the server
SELECT * FROM pg_ls_logdir()

--@ looks at files of the server
SELECT * FROM pg_ls_waldir()

--@ looks at files of the server
SELECT * FROM pg_ls_tmpdir()

--@ looks at files of the server
SELECT * FROM pg_ls_archive_statusdir()

--@ looks at files of the server
SELECT * FROM pg_stat_file('PG_VERSION')

--@ looks at files of the server
SELECT * FROM pg_current_logfile()

--@ looks at files of the server
SELECT * FROM pg_relation_filepath('res_users')

--@ looks at files of the server
SELECT * FROM pg_read_server_files()

--@ large objects read and write files
SELECT lo_import('/etc/passwd')

--@ large objects read and write files
SELECT lo_export(1, '/tmp/out')

--@ large objects read and write files
SELECT lo_creat(-1)

--@ large objects read and write files
SELECT lo_create(4242)

--@ large objects read and write files
SELECT lo_unlink(1)

--@ large objects read and write files
SELECT lo_from_bytea(0, 'x')

--@ large objects read and write files
SELECT lo_put(1, 0, 'x')

--@ large objects read and write files
SELECT lo_get(1)

--@ large objects read and write files
SELECT lo_open(1, 131072)

--@ large objects read and write files
SELECT lowrite(0, 'x')

--@ large objects read and write files
SELECT loread(0, 10)

--@ large objects read and write files
SELECT lo_truncate(0, 0)

--@ large objects read and write files
SELECT lo_lseek(0, 0, 0)

--@ asks another server
SELECT * FROM dblink('host=127.0.0.1', 'SELECT 1') AS t(a int)

--@ asks another server
SELECT dblink_connect('host=127.0.0.1 user=postgres')

--@ asks another server
SELECT dblink_exec('x', 'DROP TABLE res_partner')

--@ asks another server
SELECT postgres_fdw_get_connections()

--@ holds the connection
SELECT pg_sleep(100)

--@ holds the connection
SELECT pg_sleep_for('1 minute')

--@ holds the connection
SELECT pg_sleep_until(now() + interval '1 hour')

--@ holds the connection
SELECT 1 FROM res_partner WHERE pg_sleep(10) IS NULL

--@ holds the connection
SELECT (SELECT pg_sleep(10))

--@ runs SQL that is hidden in a string
SELECT query_to_xml('SELECT password FROM res_users', true, true, '')

--@ runs SQL that is hidden in a string
SELECT query_to_xmlschema('SELECT 1', true, true, '')

--@ runs SQL that is hidden in a string
SELECT query_to_xml_and_xmlschema('SELECT * FROM res_users', true, true, '')

--@ runs SQL that is hidden in a string
SELECT table_to_xml('res_users', true, false, '')

--@ runs SQL that is hidden in a string
SELECT schema_to_xml('public', true, false, '')

--@ runs SQL that is hidden in a string
SELECT database_to_xml(true, false, '')

--@ runs SQL that is hidden in a string
SELECT cursor_to_xml('c', 1, true, true, '')

--@ runs SQL that is hidden in a string
SELECT * FROM ts_stat('SELECT to_tsvector(password) FROM res_users')

--@ runs SQL that is hidden in a string
SELECT ts_rewrite('a'::tsquery, 'SELECT t, s FROM aliases')

--@ runs SQL that is hidden in a string
SELECT * FROM crosstab('SELECT 1, 2, 3') AS t(a int, b int)

--@ runs SQL that is hidden in a string
SELECT xmlparse(DOCUMENT '<a/>')

--@ runs SQL that is hidden in a string
SELECT * FROM connectby('res_partner', 'id', 'parent_id', '1', 0)

--@ runs SQL that is hidden in a string
SELECT txid_current_snapshot()

--@ changes or shows the session's settings
SELECT set_config('statement_timeout', '0', false)

--@ changes or shows the session's settings
SELECT set_config('role', 'postgres', false)

--@ changes or shows the session's settings
SELECT set_config('transaction_read_only', 'off', true)

--@ changes or shows the session's settings
SELECT set_config('search_path', 'evil', false)

--@ changes or shows the session's settings
SELECT current_setting('data_directory')

--@ changes or shows the session's settings
SELECT current_setting('is_superuser')

--@ changes or shows the session's settings
SELECT * FROM pg_show_all_settings()

--@ changes or shows the session's settings
SELECT show_limit()

--@ changes or shows the session's settings
SELECT set_limit(0.1)

--@ changes or shows the session's settings
SELECT setseed(0.5)

--@ tells who and where one is
SELECT current_user

--@ tells who and where one is
SELECT session_user

--@ tells who and where one is
SELECT user

--@ tells who and where one is
SELECT current_role

--@ tells who and where one is
SELECT current_catalog

--@ tells who and where one is
SELECT current_schema

--@ tells who and where one is
SELECT current_schema()

--@ tells who and where one is
SELECT current_schemas(true)

--@ tells who and where one is
SELECT current_database()

--@ tells who and where one is
SELECT version()

--@ tells who and where one is
SELECT inet_server_addr()

--@ tells who and where one is
SELECT inet_client_addr()

--@ tells who and where one is
SELECT inet_server_port()

--@ tells who and where one is
SELECT pg_backend_pid()

--@ tells who and where one is
SELECT pg_postmaster_start_time()

--@ tells who and where one is
SELECT pg_conf_load_time()

--@ tells who and where one is
SELECT current_query()

--@ tells who and where one is
SELECT system_user

--@ tells who and where one is
SELECT pg_my_temp_schema()

--@ tells who and where one is
SELECT pg_is_in_recovery()

--@ ends or disturbs other sessions
SELECT pg_terminate_backend(1)

--@ ends or disturbs other sessions
SELECT pg_cancel_backend(1)

--@ ends or disturbs other sessions
SELECT pg_terminate_backend(pid) FROM pg_stat_activity

--@ ends or disturbs other sessions
SELECT pg_reload_conf()

--@ ends or disturbs other sessions
SELECT pg_rotate_logfile()

--@ ends or disturbs other sessions
SELECT pg_switch_wal()

--@ ends or disturbs other sessions
SELECT pg_create_restore_point('x')

--@ ends or disturbs other sessions
SELECT pg_backup_start('x')

--@ ends or disturbs other sessions
SELECT pg_promote()

--@ ends or disturbs other sessions
SELECT pg_log_backend_memory_contexts(1)

--@ ends or disturbs other sessions
SELECT pg_stat_reset()

--@ ends or disturbs other sessions
SELECT pg_stat_reset_shared('bgwriter')

--@ ends or disturbs other sessions
SELECT pg_stat_statements_reset()

--@ ends or disturbs other sessions
SELECT pg_logical_emit_message(true, 'a', 'b')

--@ ends or disturbs other sessions
SELECT pg_notify('imbus', '{}')

--@ ends or disturbs other sessions
SELECT pg_export_snapshot()

--@ ends or disturbs other sessions
SELECT pg_replication_origin_create('x')

--@ ends or disturbs other sessions
SELECT pg_create_physical_replication_slot('x')

--@ ends or disturbs other sessions
SELECT pg_create_logical_replication_slot('x', 'test_decoding')

--@ ends or disturbs other sessions
SELECT pg_drop_replication_slot('x')

--@ ends or disturbs other sessions
SELECT pg_logical_slot_get_changes('x', NULL, NULL)

--@ ends or disturbs other sessions
SELECT pg_file_write('/tmp/x', 'x', false)

--@ ends or disturbs other sessions
SELECT pg_execute_server_program('id')

--@ ends or disturbs other sessions
SELECT pg_import_system_collations('public')

--@ ends or disturbs other sessions
SELECT pg_wal_replay_pause()

--@ takes locks
SELECT pg_advisory_lock(1)

--@ takes locks
SELECT pg_try_advisory_lock(1)

--@ takes locks
SELECT pg_advisory_xact_lock(1)

--@ takes locks
SELECT pg_advisory_lock_shared(1)

--@ takes locks
SELECT pg_advisory_unlock_all()

--@ takes locks
SELECT pg_try_advisory_xact_lock(1, 2)

--@ takes locks
SELECT id FROM res_partner FOR UPDATE

--@ takes locks
SELECT id FROM res_partner FOR SHARE

--@ takes locks
SELECT id FROM res_partner FOR NO KEY UPDATE

--@ takes locks
SELECT id FROM res_partner FOR KEY SHARE

--@ takes locks
SELECT id FROM res_partner FOR UPDATE NOWAIT

--@ takes locks
SELECT id FROM res_partner FOR UPDATE SKIP LOCKED

--@ takes locks
SELECT id FROM ir_cron FOR UPDATE OF ir_cron

--@ takes locks
SELECT * FROM (SELECT id FROM res_partner FOR UPDATE) x

--@ takes locks
WITH x AS (SELECT id FROM res_partner FOR UPDATE) SELECT * FROM x

--@ takes locks
(SELECT id FROM res_partner) FOR UPDATE

--@ moves a sequence
SELECT nextval('res_partner_id_seq')

--@ moves a sequence
SELECT setval('res_partner_id_seq', 1)

--@ moves a sequence
SELECT setval('res_partner_id_seq', 1, false)

--@ moves a sequence
SELECT currval('res_partner_id_seq')

--@ moves a sequence
SELECT lastval()

--@ moves a sequence
SELECT nextval('base_registry_signaling')

--@ moves a sequence
SELECT last_value FROM res_partner_id_seq

--@ moves a sequence
SELECT pg_sequence_last_value('res_partner_id_seq')

--@ moves a sequence
SELECT * FROM res_partner_id_seq

--@ asks the system about itself
SELECT txid_current()

--@ asks the system about itself
SELECT pg_current_xact_id()

--@ asks the system about itself
SELECT pg_current_wal_lsn()

--@ asks the system about itself
SELECT has_table_privilege('res_users', 'SELECT')

--@ asks the system about itself
SELECT has_database_privilege('postgres', 'CONNECT')

--@ asks the system about itself
SELECT pg_has_role('postgres', 'MEMBER')

--@ asks the system about itself
SELECT pg_get_viewdef('res_device')

--@ asks the system about itself
SELECT pg_get_functiondef(1)

--@ asks the system about itself
SELECT pg_get_userbyid(10)

--@ asks the system about itself
SELECT pg_database_size('postgres')

--@ asks the system about itself
SELECT pg_total_relation_size('res_users')

--@ asks the system about itself
SELECT pg_relation_size('res_users')

--@ asks the system about itself
SELECT to_regclass('res_users')

--@ asks the system about itself
SELECT to_regrole('postgres')

--@ asks the system about itself
SELECT obj_description(1, 'pg_class')

--@ asks the system about itself
SELECT col_description(1, 1)

--@ asks the system about itself
SELECT pg_stat_get_activity(NULL)

--@ asks the system about itself
SELECT * FROM pg_stat_get_activity(NULL)

--@ asks the system about itself
SELECT pg_lock_status()

--@ asks the system about itself
SELECT * FROM pg_prepared_statement()

--@ asks the system about itself
SELECT * FROM pg_cursor()

--@ asks the system about itself
SELECT pg_options_to_table(ARRAY['a=b'])

--@ asks the system about itself
SELECT pg_hba_file_rules()

--@ asks the system about itself
SELECT pg_control_system()

--@ asks the system about itself
SELECT pg_config()

--@ asks the system about itself
SELECT * FROM pg_get_keywords()

--@ asks the system about itself
SELECT pg_blocking_pids(1)

--@ asks the system about itself
SELECT pg_column_size(1)

--@ asks the system about itself
SELECT pg_tablespace_location(0)

--@ asks the system about itself
SELECT pg_xact_status('1')

--@ asks the system about itself
SELECT pg_describe_object(1259, 1, 0)

--@ asks the system about itself
SELECT pg_identify_object(1259, 1, 0)

--@ asks the system about itself
SELECT unknown_function(1)

--@ asks the system about itself
SELECT evil.f(1)

--@ asks the system about itself
SELECT public.lower('x')

--@ asks the system about itself
SELECT public.set_limit(1)

--@ asks the system about itself
SELECT information_schema._pg_expandarray(ARRAY[1])

--@ asks the system about itself
SELECT pg_catalog.set_config('a.b', 'c', false)

--@ asks the system about itself
SELECT ocore.public.f(1)

--@ asks the system about itself
SELECT f.f.f.f(1)

--@ asks the system about itself
SELECT gtrgm_in('x')

--@ asks the system about itself
SELECT binary_upgrade_set_next_pg_type_oid(1)

--@ asks the system about itself
SELECT record_out(u) FROM res_users u

--@ asks the system about itself
SELECT textin(record_out(ROW(1)))

--@ asks the system about itself
SELECT brin_summarize_new_values(1)

--@ asks the system about itself
SELECT gin_clean_pending_list(1)

--@ asks the system about itself
SELECT pg_extension_config_dump(1, '')

--@ asks the system about itself
SELECT amvalidate(1)

--@ asks the system about itself
SELECT satisfies_hash_partition(1, 1, 1, 1)

--@ asks the system about itself
SELECT json_populate_record(NULL::res_users, '{}')

--@ asks the system about itself
SELECT * FROM jsonb_populate_recordset(NULL::res_users, '[]')

--@ takes as much memory as one likes
SELECT repeat('x', 1000000000)

--@ takes as much memory as one likes
SELECT lpad('x', 100000000)

--@ takes as much memory as one likes
SELECT rpad('x', $1)

--@ takes as much memory as one likes
SELECT repeat('x', (SELECT 1000000000))

--@ takes as much memory as one likes
SELECT repeat(repeat('x', 1000000), 1000)

--@ takes as much memory as one likes
SELECT length(repeat('x', 900000000))

--@ takes as much memory as one likes
SELECT repeat('x', 10000 * 10000)

--@ takes as much memory as one likes
SELECT lpad('x', greatest(5, 100000000))

--@ takes as much memory as one likes
SELECT array_fill(0, ARRAY[100000000])

--@ changes the schema
CREATE TABLE x (id int)

--@ changes the schema
CREATE TEMP TABLE x (id int)

--@ changes the schema
CREATE TABLE x AS SELECT * FROM res_users

--@ changes the schema
CREATE VIEW v AS SELECT 1

--@ changes the schema
CREATE OR REPLACE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'

--@ changes the schema
CREATE EXTENSION dblink

--@ changes the schema
CREATE ROLE evil SUPERUSER

--@ changes the schema
CREATE USER evil

--@ changes the schema
CREATE DATABASE evil

--@ changes the schema
CREATE SCHEMA evil

--@ changes the schema
CREATE INDEX i ON res_partner (name)

--@ changes the schema
CREATE TRIGGER t AFTER INSERT ON res_partner EXECUTE FUNCTION f()

--@ changes the schema
CREATE RULE r AS ON SELECT TO res_partner DO INSTEAD SELECT 1

--@ changes the schema
CREATE SEQUENCE s

--@ changes the schema
CREATE TYPE t AS (a int)

--@ changes the schema
CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw

--@ changes the schema
CREATE EVENT TRIGGER e ON ddl_command_start EXECUTE FUNCTION f()

--@ changes the schema
CREATE LANGUAGE plpython3u

--@ changes the schema
CREATE CAST (text AS int) WITH INOUT

--@ changes the schema
CREATE OPERATOR + (LEFTARG = text, RIGHTARG = text, FUNCTION = textcat)

--@ changes the schema
CREATE MATERIALIZED VIEW mv AS SELECT 1

--@ changes the schema
CREATE PUBLICATION p FOR ALL TABLES

--@ changes the schema
CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p

--@ changes the schema
CREATE POLICY p ON res_partner

--@ changes the schema
ALTER TABLE res_users ADD COLUMN x int

--@ changes the schema
ALTER TABLE res_partner DISABLE TRIGGER ALL

--@ changes the schema
ALTER ROLE postgres PASSWORD 'x'

--@ changes the schema
ALTER USER CURRENT_USER SUPERUSER

--@ changes the schema
ALTER SYSTEM SET archive_command = 'id'

--@ changes the schema
ALTER DATABASE postgres SET default_transaction_read_only = off

--@ changes the schema
ALTER FUNCTION f() SECURITY DEFINER

--@ changes the schema
ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC

--@ changes the schema
DROP TABLE res_partner

--@ changes the schema
DROP TABLE IF EXISTS res_partner CASCADE

--@ changes the schema
DROP DATABASE postgres

--@ changes the schema
DROP SCHEMA public CASCADE

--@ changes the schema
DROP ROLE postgres

--@ changes the schema
DROP OWNED BY CURRENT_USER

--@ changes the schema
TRUNCATE res_partner

--@ changes the schema
TRUNCATE TABLE res_partner CASCADE

--@ changes the schema
COMMENT ON TABLE res_partner IS 'x'

--@ changes the schema
REINDEX TABLE res_partner

--@ changes the schema
CLUSTER res_partner

--@ changes the schema
REFRESH MATERIALIZED VIEW x

--@ changes the schema
IMPORT FOREIGN SCHEMA public FROM SERVER s INTO public

--@ changes the schema
SECURITY LABEL ON TABLE res_partner IS 'x'

--@ reads or writes files or programs
COPY res_users TO '/tmp/x'

--@ reads or writes files or programs
COPY res_users TO STDOUT

--@ reads or writes files or programs
COPY res_users FROM STDIN

--@ reads or writes files or programs
COPY (SELECT 1) TO PROGRAM 'id'

--@ reads or writes files or programs
COPY res_partner FROM PROGRAM 'id'

--@ reads or writes files or programs
COPY (DELETE FROM res_partner RETURNING *) TO STDOUT

--@ runs code
DO $$ BEGIN PERFORM 1; END $$

--@ runs code
DO LANGUAGE plpgsql 'BEGIN END'

--@ runs code
CALL f()

--@ runs code
PREPARE p AS SELECT 1

--@ runs code
EXECUTE p

--@ runs code
DEALLOCATE ALL

--@ runs code
LOAD 'auto_explain'

--@ changes the session
SET statement_timeout = 0

--@ changes the session
SET LOCAL transaction_read_only = off

--@ changes the session
SET SESSION CHARACTERISTICS AS TRANSACTION READ WRITE

--@ changes the session
SET TRANSACTION READ WRITE

--@ changes the session
SET ROLE postgres

--@ changes the session
SET SESSION AUTHORIZATION postgres

--@ changes the session
SET search_path = evil

--@ changes the session
SET NAMES 'SQL_ASCII'

--@ changes the session
SET TIME ZONE 'UTC'

--@ changes the session
SET CONSTRAINTS ALL DEFERRED

--@ changes the session
RESET ALL

--@ changes the session
RESET ROLE

--@ changes the session
SHOW ALL

--@ changes the session
SHOW data_directory

--@ changes the session
DISCARD ALL

--@ changes the session
DISCARD TEMP

--@ changes the session
set standard_conforming_strings = off

--@ controls the transaction
BEGIN

--@ controls the transaction
BEGIN READ WRITE

--@ controls the transaction
START TRANSACTION READ WRITE

--@ controls the transaction
COMMIT

--@ controls the transaction
ROLLBACK

--@ controls the transaction
END

--@ controls the transaction
ABORT

--@ controls the transaction
SAVEPOINT x

--@ controls the transaction
RELEASE SAVEPOINT x

--@ controls the transaction
ROLLBACK TO x

--@ controls the transaction
PREPARE TRANSACTION 'x'

--@ controls the transaction
COMMIT PREPARED 'x'

--@ controls the transaction
ROLLBACK PREPARED 'x'

--@ controls the transaction
COMMIT AND CHAIN

--@ controls the transaction
BEGIN ISOLATION LEVEL SERIALIZABLE

--@ controls the transaction
LOCK TABLE res_partner

--@ controls the transaction
LOCK res_partner IN ACCESS EXCLUSIVE MODE NOWAIT

--@ is maintenance or messages
LISTEN imbus

--@ is maintenance or messages
NOTIFY imbus, 'x'

--@ is maintenance or messages
UNLISTEN *

--@ is maintenance or messages
VACUUM

--@ is maintenance or messages
VACUUM FULL res_partner

--@ is maintenance or messages
ANALYZE

--@ is maintenance or messages
ANALYZE res_users

--@ is maintenance or messages
CHECKPOINT

--@ is maintenance or messages
DECLARE c CURSOR FOR SELECT 1

--@ is maintenance or messages
DECLARE c CURSOR WITH HOLD FOR SELECT * FROM res_users

--@ is maintenance or messages
FETCH ALL FROM c

--@ is maintenance or messages
MOVE c

--@ is maintenance or messages
CLOSE ALL

--@ is maintenance or messages
GRANT ALL ON res_users TO PUBLIC

--@ is maintenance or messages
GRANT postgres TO CURRENT_USER

--@ is maintenance or messages
REVOKE ALL ON res_partner FROM PUBLIC

--@ is maintenance or messages
REASSIGN OWNED BY postgres TO CURRENT_USER

--@ is maintenance or messages
MERGE INTO res_partner p USING res_country c ON p.id = c.id WHEN MATCHED THEN DELETE

--@ is maintenance or messages
KILL 1

--@ is maintenance or messages
USE postgres

--@ is maintenance or messages
DESCRIBE res_users

--@ is maintenance or messages
DESC res_users

--@ is maintenance or messages
PRAGMA table_info(res_users)

--@ is maintenance or messages
ATTACH DATABASE 'x' AS y

--@ is maintenance or messages
REPLACE INTO res_partner (id) VALUES (1)

--@ is maintenance or messages
EXPLAIN res_users

--@ is maintenance or messages
HANDLER res_users OPEN

--@ is maintenance or messages
FROM res_partner

--@ is maintenance or messages
FROM res_partner SELECT id

--@ is maintenance or messages
ASSERT 1 = 1

--@ is maintenance or messages
RAISE NOTICE 'x'

--@ is maintenance or messages
\copy res_users to /tmp/x

--@ is maintenance or messages
\! id

--@ more than one statement
SELECT 1; SELECT 2

--@ more than one statement
SELECT 1; DROP TABLE res_partner

--@ more than one statement
SELECT 1;;SELECT 2

--@ more than one statement
SELECT 1; COMMIT; DELETE FROM res_partner

--@ more than one statement
SELECT 1 /* ; */ ; DELETE FROM res_partner

--@ more than one statement
SELECT ';'; SELECT 1

--@ more than one statement
COMMIT; SELECT 1

--@ more than one statement
SELECT 1;
SET ROLE postgres

--@ more than one statement
SELECT $$;$$; VACUUM

--@ nothing in it
--

--@ nothing in it
/* */

--@ nothing in it
;

--@ nothing in it
;;

--@ changes data from within a SELECT
WITH x AS (DELETE FROM res_partner RETURNING id) SELECT * FROM x

--@ changes data from within a SELECT
WITH x AS (UPDATE res_partner SET name = 'x' RETURNING id) SELECT * FROM x

--@ changes data from within a SELECT
WITH x AS (INSERT INTO res_country (code) VALUES ('ZZ') RETURNING id) SELECT * FROM x

--@ changes data from within a SELECT
WITH a AS (SELECT 1), b AS (DELETE FROM crm_lead) SELECT * FROM a

--@ changes data from within a SELECT
SELECT * FROM (WITH x AS (DELETE FROM crm_lead RETURNING id) SELECT * FROM x) y

--@ changes data from within a SELECT
WITH x AS (WITH y AS (DELETE FROM crm_lead RETURNING 1) SELECT * FROM y) SELECT * FROM x

--@ changes data from within a SELECT
WITH x AS (DELETE FROM crm_lead RETURNING id) UPDATE res_partner SET name = 'x'

--@ changes data from within a SELECT
INSERT INTO crm_stage (name) WITH x AS (DELETE FROM crm_lead RETURNING 1) SELECT NULL FROM x

--@ changes data from within a SELECT
EXPLAIN WITH x AS (DELETE FROM crm_lead RETURNING id) SELECT * FROM x

--@ changes data from within a SELECT
SELECT * FROM (DELETE FROM crm_lead RETURNING id) x

--@ changes data from within a SELECT
EXPLAIN ANALYZE DELETE FROM crm_lead

--@ changes data from within a SELECT
EXPLAIN (ANALYZE) UPDATE res_partner SET name = 'x'

--@ changes data from within a SELECT
EXPLAIN (ANALYZE true, FORMAT JSON) INSERT INTO crm_stage (sequence) VALUES (1)

--@ changes data from within a SELECT
EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM crm_lead

--@ changes data from within a SELECT
EXPLAIN (ANALYZE 1) DELETE FROM crm_lead

--@ changes data from within a SELECT
EXPLAIN ANALYZE VERBOSE DELETE FROM crm_lead

--@ changes data from within a SELECT
EXPLAIN EXPLAIN SELECT 1

--@ changes data from within a SELECT
EXPLAIN (SETTINGS) SELECT 1

--@ changes data from within a SELECT
EXPLAIN (FORMAT YAML) SELECT 1

--@ changes data from within a SELECT
EXPLAIN CREATE TABLE x AS SELECT 1

--@ changes data from within a SELECT
EXPLAIN EXECUTE p

--@ changes data from within a SELECT
EXPLAIN DECLARE c CURSOR FOR SELECT 1

--@ changes data from within a SELECT
EXPLAIN (EVIL) SELECT 1

--@ changes data from within a SELECT
EXPLAIN SELECT 1; DROP TABLE crm_lead

--@ makes a table from a SELECT
SELECT * INTO evil FROM res_partner

--@ makes a table from a SELECT
SELECT id INTO TEMP evil FROM res_partner

--@ makes a table from a SELECT
SELECT 1 INTO UNLOGGED TABLE evil

--@ makes a table from a SELECT
SELECT id INTO TEMPORARY TABLE evil FROM crm_lead

--@ makes a table from a SELECT
SELECT 1 AS a INTO evil UNION SELECT 2

--@ reads the system's catalogue
SELECT * FROM pg_catalog.pg_class

--@ reads the system's catalogue
SELECT * FROM pg_class

--@ reads the system's catalogue
SELECT * FROM pg_authid

--@ reads the system's catalogue
SELECT * FROM pg_shadow

--@ reads the system's catalogue
SELECT * FROM pg_user

--@ reads the system's catalogue
SELECT * FROM pg_roles

--@ reads the system's catalogue
SELECT * FROM pg_database

--@ reads the system's catalogue
SELECT * FROM pg_settings

--@ reads the system's catalogue
SELECT * FROM pg_file_settings

--@ reads the system's catalogue
SELECT * FROM pg_hba_file_rules

--@ reads the system's catalogue
SELECT * FROM pg_stat_activity

--@ reads the system's catalogue
SELECT * FROM pg_stat_statements

--@ reads the system's catalogue
SELECT * FROM pg_stats

--@ reads the system's catalogue
SELECT * FROM pg_statistic

--@ reads the system's catalogue
SELECT * FROM pg_stats_ext

--@ reads the system's catalogue
SELECT * FROM pg_locks

--@ reads the system's catalogue
SELECT * FROM pg_proc

--@ reads the system's catalogue
SELECT * FROM pg_largeobject

--@ reads the system's catalogue
SELECT * FROM pg_largeobject_metadata

--@ reads the system's catalogue
SELECT * FROM pg_user_mappings

--@ reads the system's catalogue
SELECT * FROM pg_foreign_server

--@ reads the system's catalogue
SELECT * FROM pg_db_role_setting

--@ reads the system's catalogue
SELECT * FROM pg_tables

--@ reads the system's catalogue
SELECT * FROM pg_views

--@ reads the system's catalogue
SELECT * FROM pg_prepared_statements

--@ reads the system's catalogue
SELECT * FROM pg_cursors

--@ reads the system's catalogue
SELECT * FROM pg_config

--@ reads the system's catalogue
SELECT * FROM pg_ident_file_mappings

--@ reads the system's catalogue
SELECT * FROM pg_shmem_allocations

--@ reads the system's catalogue
SELECT * FROM pg_backend_memory_contexts

--@ reads the system's catalogue
SELECT * FROM pg_replication_slots

--@ reads the system's catalogue
SELECT * FROM pg_subscription

--@ reads the system's catalogue
SELECT * FROM information_schema.tables

--@ reads the system's catalogue
SELECT * FROM information_schema.columns

--@ reads the system's catalogue
SELECT * FROM information_schema.role_table_grants

--@ reads the system's catalogue
SELECT * FROM information_schema.user_mapping_options

--@ reads the system's catalogue
SELECT * FROM pg_toast.pg_toast_1262

--@ reads the system's catalogue
SELECT * FROM pg_temp.x

--@ reads the system's catalogue
SELECT * FROM PG_AUTHID

--@ reads the system's catalogue
SELECT * FROM "pg_authid"

--@ reads the system's catalogue
SELECT * FROM "pg_catalog"."pg_authid"

--@ reads the system's catalogue
SELECT * FROM pg_catalog . pg_authid

--@ reads the system's catalogue
SELECT p.id FROM res_partner p JOIN pg_authid a ON true

--@ reads the system's catalogue
SELECT (SELECT rolpassword FROM pg_authid LIMIT 1)

--@ reads the system's catalogue
SELECT 1 WHERE EXISTS (SELECT 1 FROM pg_shadow)

--@ reads the system's catalogue
TABLE pg_authid

--@ reads the system's catalogue
TABLE pg_catalog.pg_authid

--@ reads the system's catalogue
TABLE PG_AUTHID

--@ reads the system's catalogue
WITH x AS (TABLE pg_shadow) SELECT * FROM x

--@ reads the system's catalogue
SELECT 1 UNION SELECT oid::int FROM pg_class

--@ reads the system's catalogue
SELECT * FROM ONLY pg_authid

--@ reads the system's catalogue
SELECT * FROM other.res_users

--@ reads the system's catalogue
SELECT * FROM ocore_sql_19.public.res_users

--@ reads the system's catalogue
SELECT * FROM a.b.c.d

--@ reads the system's catalogue
SELECT * FROM nosuchtable

--@ reads the system's catalogue
SELECT * FROM "RES_PARTNER"

--@ reads the catalogue by a cast
SELECT 'res_users'::regclass

--@ reads the catalogue by a cast
SELECT 1259::regclass

--@ reads the catalogue by a cast
SELECT 'pg_read_file'::regproc

--@ reads the catalogue by a cast
SELECT 'postgres'::regrole

--@ reads the catalogue by a cast
SELECT 'public'::regnamespace

--@ reads the catalogue by a cast
SELECT 'int4'::regtype

--@ reads the catalogue by a cast
SELECT CAST('res_users' AS regclass)

--@ reads the catalogue by a cast
SELECT regclass 'res_users'

--@ reads the catalogue by a cast
SELECT '+'::regoper

--@ reads the catalogue by a cast
SELECT 'lower(text)'::regprocedure

--@ reads the catalogue by a cast
SELECT 'english'::regconfig

--@ reads the catalogue by a cast
SELECT 'simple'::regdictionary

--@ reads the catalogue by a cast
SELECT '"C"'::regcollation

--@ reads the catalogue by a cast
SELECT 'x'::pg_catalog.regclass

--@ reads the catalogue by a cast
SELECT ARRAY['res_users']::regclass[]

--@ reads the catalogue by a cast
SELECT '1'::oid

--@ reads the catalogue by a cast
SELECT 'x'::name

--@ reads the catalogue by a cast
SELECT 'x'::"char"

--@ reads the catalogue by a cast
SELECT '0/0'::pg_lsn

--@ reads the catalogue by a cast
SELECT '1'::xid

--@ reads the catalogue by a cast
SELECT '(0,1)'::tid

--@ reads the catalogue by a cast
SELECT NULL::res_users

--@ reads the catalogue by a cast
SELECT NULL::public.res_users

--@ reads the catalogue by a cast
SELECT ROW(1)::res_country

--@ reads the catalogue by a cast
SELECT '<a/>'::xml

--@ reads the catalogue by a cast
SELECT 'x'::evil.type

--@ reads the catalogue by a cast
SELECT '1:2:'::txid_snapshot

--@ reads the catalogue by a cast
SELECT 'a=r/b'::aclitem

--@ reads the catalogue by a cast
SELECT '1'::cid

--@ reads the catalogue by a cast
SELECT 'x'::unknown

--@ reads the catalogue by a cast
SELECT 'x'::cstring

--@ reads the catalogue by a cast
SELECT '(1)'::record

--@ reads the catalogue by a cast
SELECT 'x'::refcursor

--@ reads the catalogue by a cast
SELECT NULL::_res_users

--@ reads the catalogue by a cast
SELECT '{}'::res_users[]

--@ reads the catalogue by a cast
SELECT '{}'::json_evil

--@ reads the catalogue by a cast
SELECT '1'::int4(3)

--@ reads the catalogue by a cast
SELECT regrole 'postgres'

--@ reads the catalogue by a cast
SELECT CAST('postgres' AS pg_catalog.regrole)

--@ shows a secret of users
SELECT password FROM res_users

--@ shows a secret of users
SELECT login, password FROM res_users

--@ shows a secret of users
SELECT u.password FROM res_users u

--@ shows a secret of users
SELECT res_users.password FROM res_users

--@ shows a secret of users
SELECT public.res_users.password FROM public.res_users

--@ shows a secret of users
SELECT "password" FROM res_users

--@ shows a secret of users
SELECT PASSWORD FROM RES_USERS

--@ shows a secret of users
SELECT totp_secret FROM res_users

--@ shows a secret of users
SELECT u."totp_secret" FROM res_users AS u

--@ shows a secret of users
SELECT length(password) FROM res_users

--@ shows a secret of users
SELECT left(password, 1) FROM res_users

--@ shows a secret of users
SELECT id FROM res_users WHERE password LIKE '$pbkdf2%'

--@ shows a secret of users
SELECT id FROM res_users ORDER BY password

--@ shows a secret of users
SELECT count(*) FROM res_users GROUP BY password

--@ shows a secret of users
SELECT max(password) FROM res_users

--@ shows a secret of users
SELECT id FROM res_users WHERE password = $1

--@ shows a secret of users
SELECT 1 FROM res_users a JOIN res_users b ON a.password = b.password

--@ shows a secret of users
SELECT CASE WHEN password > 'm' THEN 1 END FROM res_users

--@ shows a secret of users
SELECT rank() OVER (ORDER BY password) FROM res_users

--@ shows a secret of users
SELECT count(*) FILTER (WHERE password IS NOT NULL) FROM res_users

--@ shows a secret of users
SELECT id FROM res_users GROUP BY id HAVING max(password) > 'a'

--@ shows a secret of users
SELECT string_agg(password, ',') FROM res_users

--@ shows a secret of users
SELECT DISTINCT password FROM res_users

--@ shows a secret of users
SELECT DISTINCT ON (password) id FROM res_users

--@ shows a secret of users
SELECT ARRAY(SELECT password FROM res_users)

--@ shows a secret of users
SELECT (SELECT password FROM res_users WHERE id = 2)

--@ shows a secret of users
SELECT id FROM res_partner WHERE name IN (SELECT password FROM res_users)

--@ shows a secret of users
SELECT id FROM res_partner p WHERE EXISTS (SELECT 1 FROM res_users u WHERE u.partner_id = p.id AND u.password LIKE 'a%')

--@ shows a secret of users
WITH u AS (SELECT password AS p FROM res_users) SELECT p FROM u

--@ shows a secret of users
SELECT x.p FROM (SELECT password p FROM res_users) x

--@ shows a secret of users
SELECT 1 UNION ALL SELECT length(password) FROM res_users

--@ shows a secret of users
SELECT a.id FROM res_users a JOIN res_users b USING (password)

--@ shows a secret of users
SELECT 1 AS password, password FROM res_users

--@ shows a secret of users
SELECT p.id, password FROM res_partner p, res_users

--@ shows a secret of users
SELECT json_build_object('p', password) FROM res_users

--@ shows a secret of users
SELECT u.id FROM res_partner p, LATERAL (SELECT password FROM res_users WHERE partner_id = p.id) u

--@ shows a secret of users
SELECT password IS NULL FROM res_users

--@ shows a secret of users
SELECT password::bytea FROM res_users

--@ shows a secret of users
SELECT res_users."password" || '' FROM res_users

--@ shows a secret of users
SELECT name FROM res_partner ORDER BY (SELECT password FROM res_users LIMIT 1)

--@ shows a secret of users
SELECT name FROM res_partner LIMIT (SELECT length(password) FROM res_users LIMIT 1)

--@ shows a secret of users
SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY password) FROM res_users

--@ shows a secret of users
SELECT id FROM res_users WINDOW w AS (PARTITION BY password)

--@ shows a secret of users
SELECT id FROM res_users GROUP BY ROLLUP (id, password)

--@ shows a secret of users
SELECT starts_with(password, '$') FROM res_users

--@ shows a secret of users
SELECT id FROM res_users WHERE (id, password) IN (SELECT 1, 'x')

--@ shows a secret of users
SELECT id FROM res_users WHERE password ~ '^.{5}'

--@ shows a secret of users
EXPLAIN SELECT id FROM res_users WHERE password > 'm'

--@ shows a secret of users
EXPLAIN ANALYZE SELECT id FROM res_users WHERE totp_secret IS NOT NULL

--@ shows a secret of users
SELECT U&"p\0061ssword" FROM res_users

--@ takes whole rows of users
SELECT u FROM res_users u

--@ takes whole rows of users
SELECT res_users FROM res_users

--@ takes whole rows of users
SELECT u::text FROM res_users u

--@ takes whole rows of users
SELECT CAST(u AS text) FROM res_users u

--@ takes whole rows of users
SELECT row_to_json(u) FROM res_users u

--@ takes whole rows of users
SELECT to_jsonb(u) FROM res_users u

--@ takes whole rows of users
SELECT to_json(res_users) FROM res_users

--@ takes whole rows of users
SELECT json_agg(u) FROM res_users u

--@ takes whole rows of users
SELECT array_agg(u) FROM res_users u

--@ takes whole rows of users
SELECT max(u) FROM res_users u

--@ takes whole rows of users
SELECT u || '' FROM res_users u

--@ takes whole rows of users
SELECT concat(u) FROM res_users u

--@ takes whole rows of users
SELECT format('%s', u) FROM res_users u

--@ takes whole rows of users
SELECT row_to_json(u.*) FROM res_users u

--@ takes whole rows of users
SELECT to_jsonb(u.*) FROM res_users u

--@ takes whole rows of users
SELECT count(u.*) FROM res_users u

--@ takes whole rows of users
SELECT ROW(u) FROM res_users u

--@ takes whole rows of users
SELECT ROW(u.*) FROM res_users u

--@ takes whole rows of users
SELECT (u).password FROM res_users u

--@ takes whole rows of users
SELECT (u).* FROM res_users u

--@ takes whole rows of users
SELECT (SELECT u) FROM res_users u

--@ takes whole rows of users
SELECT (SELECT u.* FROM (SELECT 1) x LIMIT 1) FROM res_users u

--@ takes whole rows of users
SELECT x.* FROM res_users u, LATERAL (SELECT u.*) x

--@ takes whole rows of users
SELECT x FROM res_users u, LATERAL (SELECT u) x

--@ takes whole rows of users
SELECT password(u) FROM res_users u

--@ takes whole rows of users
SELECT u.totp_secret(1) FROM res_users u

--@ takes whole rows of users
SELECT 1 AS u, u FROM res_users u

--@ takes whole rows of users
SELECT id FROM res_users u WHERE u IS NOT NULL

--@ takes whole rows of users
SELECT id FROM res_users u ORDER BY u

--@ takes whole rows of users
SELECT id FROM res_users u WHERE u::text LIKE '%pbkdf%'

--@ takes whole rows of users
SELECT hashtext(u::text) FROM res_users u

--@ takes whole rows of users
SELECT coalesce(u) FROM res_users u

--@ takes whole rows of users
SELECT CASE WHEN true THEN u END FROM res_users u

--@ takes whole rows of users
SELECT ARRAY[u] FROM res_users u

--@ takes whole rows of users
SELECT unnest(ARRAY[u]) FROM res_users u

--@ takes whole rows of users
SELECT u = ROW(1, 2) FROM res_users u

--@ takes whole rows of users
SELECT a FROM res_users AS a(a, b, c, d, e, f, g)

--@ takes whole rows of users
SELECT g FROM res_users AS x(a, b, c, d, e, f, g)

--@ takes whole rows of users
SELECT * FROM res_users AS x(a, b, c, d, e, f, g)

--@ takes whole rows of users
SELECT j.password FROM (res_users u JOIN res_partner p ON p.id = u.partner_id) AS j

--@ takes whole rows of users
SELECT j.* FROM (res_users u CROSS JOIN res_partner p) AS j

--@ takes whole rows of users
SELECT lag(u) OVER (ORDER BY u.id) FROM res_users u

--@ takes whole rows of users
SELECT jsonb_build_object('u', u) FROM res_users u

--@ takes whole rows of users
SELECT string_agg(u::text, ',') FROM res_users u

--@ takes whole rows of users
SELECT num_nulls(u) FROM res_users u

--@ takes whole rows of users
SELECT id FROM res_partner WHERE EXISTS (SELECT u FROM res_users u)

--@ takes whole rows of users
VALUES ((SELECT u FROM res_users u LIMIT 1))

--@ takes whole rows of users
SELECT u.ctid, u.xmin FROM res_users u

--@ takes whole rows of users
SELECT tableoid::int FROM res_users

--@ takes whole rows of users
SELECT u.nosuch FROM res_users u

--@ takes whole rows of users
SELECT nosuch FROM res_users

--@ takes whole rows of users
SELECT v.id FROM res_users u

--@ a table of secrets or settings
SELECT * FROM ir_config_parameter

--@ a table of secrets or settings
SELECT * FROM res_users_apikeys

--@ a table of secrets or settings
SELECT * FROM ir_mail_server

--@ a table of secrets or settings
SELECT * FROM fetchmail_server

--@ a table of secrets or settings
SELECT * FROM payment_provider

--@ a table of secrets or settings
SELECT * FROM iap_account

--@ a table of secrets or settings
SELECT * FROM auth_totp_device

--@ a table of secrets or settings
SELECT * FROM auth_passkey_key

--@ a table of secrets or settings
SELECT * FROM res_config_settings

--@ a table of secrets or settings
SELECT * FROM change_password_user

--@ a table of secrets or settings
SELECT * FROM ir_logging

--@ a table of secrets or settings
SELECT * FROM payment_token

--@ a table of secrets or settings
SELECT * FROM mail_push_device

--@ a table of secrets or settings
SELECT * FROM res_users_identitycheck

--@ a table of secrets or settings
SELECT * FROM "ir_config_parameter"

--@ a table of secrets or settings
SELECT * FROM public.ir_config_parameter

--@ a table of secrets or settings
SELECT * FROM "public"."ir_config_parameter"

--@ a table of secrets or settings
SELECT * FROM IR_CONFIG_PARAMETER

--@ a table of secrets or settings
SELECT * FROM ir_profile

--@ a table of secrets or settings
SELECT value FROM ir_config_parameter WHERE key = 'database.secret'

--@ a table of secrets or settings
SELECT count(*) FROM ir_config_parameter

--@ a table of secrets or settings
SELECT 1 FROM res_partner p, ir_config_parameter c

--@ a table of secrets or settings
SELECT p.id FROM res_partner p JOIN res_users_apikeys k ON k.user_id = p.user_id

--@ a table of secrets or settings
WITH res_users_apikeys AS (SELECT * FROM res_users_apikeys) SELECT * FROM res_users_apikeys

--@ a table of secrets or settings
WITH x AS (SELECT 1) SELECT * FROM x, ir_mail_server

--@ a table of secrets or settings
WITH RECURSIVE x AS (SELECT 1 UNION SELECT id FROM ir_config_parameter) SELECT * FROM x

--@ a table of secrets or settings
SELECT (SELECT value FROM ir_config_parameter LIMIT 1)

--@ a table of secrets or settings
TABLE ir_config_parameter

--@ a table of secrets or settings
SELECT 1 WHERE 'x' IN (SELECT value FROM ir_config_parameter)

--@ a table of secrets or settings
WITH ir_config_parameter AS (SELECT 1) SELECT * FROM public.ir_config_parameter

--@ a table of secrets or settings
SELECT * FROM (WITH ir_config_parameter AS (SELECT 1 AS a) SELECT a FROM ir_config_parameter) x, ir_config_parameter

--@ a table of secrets or settings
INSERT INTO crm_stage (requirements) SELECT value FROM ir_config_parameter

--@ a table of secrets or settings
UPDATE res_partner SET comment = c.value FROM ir_config_parameter c WHERE c.key = 'database.secret'

--@ a table of secrets or settings
DELETE FROM crm_lead USING ir_config_parameter c WHERE c.value LIKE 'a%'

--@ a table of secrets or settings
UPDATE res_partner SET comment = (SELECT value FROM ir_config_parameter LIMIT 1) RETURNING comment

--@ a table of secrets or settings
SELECT key FROM res_users_apikeys

--@ a table of secrets or settings
SELECT smtp_pass FROM ir_mail_server

--@ a table of secrets or settings
SELECT session_identifier FROM res_device

--@ a table of secrets or settings
SELECT session_identifier FROM res_device_log

--@ a table of secrets or settings
SELECT access_token FROM sale_order

--@ a table of secrets or settings
SELECT o.access_token FROM sale_order o

--@ a table of secrets or settings
SELECT access_token FROM account_move

--@ a table of secrets or settings
SELECT access_token FROM ir_attachment

--@ a table of secrets or settings
SELECT access_token FROM project_task

--@ a table of secrets or settings
SELECT access_token FROM project_project

--@ a table of secrets or settings
SELECT o FROM sale_order o

--@ a table of secrets or settings
SELECT row_to_json(m) FROM account_move m

--@ a table of secrets or settings
SELECT name FROM sale_order WHERE access_token LIKE 'a%'

--@ changes what is protected
UPDATE res_users SET active = true

--@ changes what is protected
UPDATE res_users SET password = 'x' WHERE id = 2

--@ changes what is protected
UPDATE res_users SET login = 'admin2' WHERE id = 2

--@ changes what is protected
DELETE FROM res_users

--@ changes what is protected
INSERT INTO res_users (login) VALUES ('evil')

--@ changes what is protected
INSERT INTO res_groups_users_rel (gid, uid) VALUES (1, 6)

--@ changes what is protected
DELETE FROM res_groups_users_rel

--@ changes what is protected
INSERT INTO res_company_users_rel (cid, user_id) VALUES (1, 6)

--@ changes what is protected
UPDATE ir_model_access SET perm_write = true

--@ changes what is protected
DELETE FROM ir_rule

--@ changes what is protected
UPDATE ir_rule SET active = false

--@ changes what is protected
INSERT INTO ir_config_parameter (key, value) VALUES ('a', 'b')

--@ changes what is protected
UPDATE ir_config_parameter SET value = 'x'

--@ changes what is protected
DELETE FROM ir_config_parameter

--@ changes what is protected
UPDATE ir_cron SET active = true

--@ changes what is protected
INSERT INTO ir_act_server (code) VALUES ('x')

--@ changes what is protected
UPDATE ir_act_server SET code = 'env.cr.commit()'

--@ changes what is protected
UPDATE ir_ui_view SET arch_db = '{}'

--@ changes what is protected
UPDATE ir_attachment SET public = true

--@ changes what is protected
DELETE FROM ir_attachment

--@ changes what is protected
UPDATE ir_module_module SET state = 'to remove'

--@ changes what is protected
UPDATE ir_model_fields SET compute = 'x'

--@ changes what is protected
INSERT INTO mail_mail (body_html) VALUES ('x')

--@ changes what is protected
UPDATE mail_template SET body_html = '{}'

--@ changes what is protected
DELETE FROM orm_signaling_registry

--@ changes what is protected
INSERT INTO orm_signaling_registry DEFAULT VALUES

--@ changes what is protected
INSERT INTO bus_bus (channel, message) VALUES ('a', 'b')

--@ changes what is protected
UPDATE res_groups SET share = true

--@ changes what is protected
INSERT INTO res_users_apikeys (name, user_id, index, key) VALUES ('x', 2, 'a', 'b')

--@ changes what is protected
DELETE FROM rule_group_rel

--@ changes what is protected
INSERT INTO ir_ui_menu_group_rel (menu_id, gid) VALUES (1, 1)

--@ changes what is protected
UPDATE crm_activity_report SET subject = 'x'

--@ changes what is protected
INSERT INTO pg_class (relname) VALUES ('x')

--@ changes what is protected
DELETE FROM pg_catalog.pg_authid

--@ changes what is protected
UPDATE pg_catalog.pg_authid SET rolsuper = true

--@ changes what is protected
DELETE FROM information_schema.sql_features

--@ changes what is protected
UPDATE base_automation SET active = true

--@ changes what is protected
UPDATE website SET name = 'x'

--@ changes what is protected
DELETE FROM auth_totp_device

--@ changes what is protected
INSERT INTO sms_sms (number) VALUES ('1')

--@ changes what is protected
UPDATE res_users_settings SET user_id = 2

--@ changes what is protected
DELETE FROM nosuchtable

--@ changes what is protected
UPDATE evil.res_partner SET name = 'x'

--@ changes what is protected
INSERT INTO res_partner_id_seq VALUES (1)

--@ writes or shows a withheld column
UPDATE sale_order SET access_token = 'x'

--@ writes or shows a withheld column
UPDATE sale_order SET (name, access_token) = ('a', 'b')

--@ writes or shows a withheld column
INSERT INTO sale_order (name, access_token) VALUES ('a', 'b')

--@ writes or shows a withheld column
UPDATE sale_order SET name = access_token

--@ writes or shows a withheld column
UPDATE sale_order SET note = access_token RETURNING note

--@ writes or shows a withheld column
UPDATE sale_order SET name = name RETURNING access_token

--@ writes or shows a withheld column
UPDATE sale_order o SET name = name RETURNING o

--@ writes or shows a withheld column
UPDATE sale_order o SET name = name RETURNING row_to_json(o)

--@ writes or shows a withheld column
DELETE FROM sale_order RETURNING access_token

--@ writes or shows a withheld column
DELETE FROM sale_order o WHERE o.access_token LIKE 'a%'

--@ writes or shows a withheld column
INSERT INTO sale_order VALUES (1)

--@ writes or shows a withheld column
INSERT INTO sale_order (name) VALUES ('x') RETURNING access_token

--@ writes or shows a withheld column
INSERT INTO sale_order (name) VALUES ('x') ON CONFLICT (id) DO UPDATE SET name = sale_order.access_token

--@ writes or shows a withheld column
INSERT INTO sale_order (name) VALUES ('x') ON CONFLICT (id) DO UPDATE SET access_token = excluded.name

--@ writes or shows a withheld column
INSERT INTO sale_order (name) VALUES ('x') ON CONFLICT (access_token) DO NOTHING

--@ writes or shows a withheld column
INSERT INTO sale_order (name) SELECT password FROM res_users

--@ writes or shows a withheld column
UPDATE res_partner SET comment = u.password FROM res_users u WHERE u.partner_id = res_partner.id

--@ writes or shows a withheld column
UPDATE res_partner SET comment = row_to_json(u)::text FROM res_users u

--@ writes or shows a withheld column
DELETE FROM crm_lead USING res_users u WHERE u.password LIKE 'a%'

--@ writes or shows a withheld column
UPDATE res_partner SET comment = (SELECT password FROM res_users LIMIT 1)

--@ writes or shows a withheld column
UPDATE sale_order SET name = 'x' FROM res_partner RETURNING *

--@ writes or shows a withheld column
UPDATE res_partner SET name = 'x' FROM res_users u RETURNING u.*

--@ writes or shows a withheld column
DELETE FROM crm_lead USING res_users RETURNING *

--@ writes or shows a withheld column
UPDATE sale_order SET name = (SELECT x::text FROM (SELECT sale_order.*) x)

--@ writes or shows a withheld column
UPDATE sale_order AS o SET name = o::text

--@ writes or shows a withheld column
UPDATE sale_order SET note = excluded.x

--@ writes or shows a withheld column
UPDATE sale_order SET nosuch = 1

--@ writes or shows a withheld column
INSERT INTO crm_lead (nosuch) VALUES (1)

--@ writes or shows a withheld column
UPDATE crm_stage SET name[1] = 'x'

--@ writes or shows a withheld column
UPDATE crm_lead SET crm_lead.name = 'x'

--@ a form of DML that is not known
INSERT INTO crm_lead SELECT * FROM crm_lead FOR UPDATE

--@ a form of DML that is not known
UPDATE ONLY crm_lead SET name = 'x'

--@ a form of DML that is not known
DELETE FROM ONLY crm_lead

--@ a form of DML that is not known
DELETE crm_lead WHERE id = 1

--@ a form of DML that is not known
UPDATE crm_lead SET name = 'x' ORDER BY id LIMIT 1

--@ a form of DML that is not known
DELETE FROM crm_lead LIMIT 1

--@ a form of DML that is not known
DELETE FROM crm_lead WHERE CURRENT OF c

--@ a form of DML that is not known
UPDATE crm_lead SET name = pg_read_file('/etc/passwd')

--@ a form of DML that is not known
INSERT INTO crm_lead (name) VALUES (pg_read_file('/etc/passwd'))

--@ a form of DML that is not known
INSERT INTO crm_lead (name) VALUES ('x') RETURNING pg_sleep(10)

--@ a form of DML that is not known
DELETE FROM crm_lead WHERE pg_sleep(10) IS NULL

--@ a form of DML that is not known
INSERT OR REPLACE INTO crm_lead (name) VALUES ('x')

--@ a form of DML that is not known
INSERT IGNORE INTO crm_lead (name) VALUES ('x')

--@ a form of DML that is not known
INSERT OVERWRITE crm_lead VALUES (1)

--@ a form of DML that is not known
INSERT INTO crm_lead SET name = 'x'

--@ a form of DML that is not known
UPDATE crm_lead, crm_stage SET crm_lead.name = 'x'

--@ a form of DML that is not known
DELETE a FROM crm_lead a

--@ a form of DML that is not known
INSERT INTO crm_lead (name) VALUES ('x') ON DUPLICATE KEY UPDATE name = 'y'

--@ a form of DML that is not known
INSERT INTO crm_lead (name) OVERRIDING SYSTEM VALUE VALUES ('x')

--@ a form of DML that is not known
INSERT INTO FUNCTION remote('a') VALUES (1)

--@ a form that is not known
SELECT * FROM res_partner TABLESAMPLE SYSTEM (10)

--@ a form that is not known
SELECT * FROM res_partner TABLESAMPLE BERNOULLI (100) REPEATABLE (1)

--@ a form that is not known
SELECT * FROM ROWS FROM (generate_series(1, 2), pg_ls_dir('.'))

--@ a form that is not known
SELECT * FROM xmltable('/a' PASSING '<a/>' COLUMNS b text)

--@ a form that is not known
SELECT * FROM json_table('[]', '$[*]' COLUMNS (a int PATH '$'))

--@ a form that is not known
SELECT xmlelement(name a, 'b')

--@ a form that is not known
SELECT 1 OPERATOR(pg_catalog.+) 1

--@ a form that is not known
SELECT 1 OPERATOR(evil.+) 1

--@ a form that is not known
SELECT a <=> b FROM res_partner

--@ a form that is not known
SELECT 1 !!! 2

--@ a form that is not known
SELECT @-@ '1'::text

--@ a form that is not known
SELECT TOP 5 id FROM res_partner

--@ a form that is not known
SELECT id FROM res_partner LIMIT 5, 10

--@ a form that is not known
SELECT id FROM res_partner FETCH FIRST 5 PERCENT ROWS ONLY

--@ a form that is not known
SELECT id FROM res_partner QUALIFY 1 = 1

--@ a form that is not known
SELECT * EXCEPT (id) FROM res_partner

--@ a form that is not known
SELECT * REPLACE (1 AS id) FROM res_partner

--@ a form that is not known
SELECT * EXCLUDE id FROM res_partner

--@ a form that is not known
SELECT id FROM res_partner SETTINGS x = 1

--@ a form that is not known
SELECT id FROM res_partner FORMAT JSON

--@ a form that is not known
SELECT `id` FROM res_partner

--@ a form that is not known
SELECT [id] FROM res_partner

--@ a form that is not known
SELECT 'a' AS 'b'

--@ a form that is not known
SELECT ?

--@ a form that is not known
SELECT :name

--@ a form that is not known
SELECT @@version

--@ a form that is not known
SELECT @x := 1

--@ a form that is not known
SELECT $0

--@ a form that is not known
SELECT $99999

--@ a form that is not known
SELECT %s

--@ a form that is not known
SELECT id FROM res_partner p PIVOT (sum(id) FOR name IN ('a'))

--@ a form that is not known
SELECT id FROM res_partner CROSS APPLY (SELECT 1) x

--@ a form that is not known
SELECT id FROM res_partner STRAIGHT_JOIN crm_lead

--@ a form that is not known
SELECT id FROM res_partner PREWHERE id = 1

--@ a form that is not known
SELECT id FROM res_partner START WITH id = 1 CONNECT BY PRIOR id = parent_id

--@ a form that is not known
SELECT TRY_CAST('1' AS int)

--@ a form that is not known
SELECT CONVERT(int, '1')

--@ a form that is not known
SELECT N'text'

--@ a form that is not known
SELECT X'1F'

--@ a form that is not known
SELECT B'101'

--@ a form that is not known
SELECT _utf8'x'

--@ a form that is not known
SELECT R'x'

--@ a form that is not known
SELECT MAP {'a': 1}

--@ a form that is not known
SELECT {'a': 1}

--@ a form that is not known
SELECT x -> x + 1

--@ a form that is not known
SELECT id FROM res_partner WHERE MATCH (name) AGAINST ('x')

--@ a form that is not known
SELECT id FROM res_partner LATERAL VIEW explode(x) t AS y

--@ a form that is not known
SELECT id FROM res_partner CLUSTER BY id

--@ a form that is not known
SELECT id FROM res_partner ORDER BY id USING >

--@ a form that is not known
SELECT id FROM res_partner ORDER BY ALL

--@ a form that is not known
SELECT id FROM res_partner GROUP BY ALL

--@ a form that is not known
SELECT id FROM res_partner USE INDEX (x)

--@ a form that is not known
SELECT id FROM res_partner WITH (NOLOCK)

--@ a form that is not known
SELECT id FROM res_partner FOR SYSTEM_TIME AS OF now()

--@ a form that is not known
SELECT id FROM res_partner@dblink

--@ a form that is not known
SELECT id FROM res_partner AS p AT x

--@ a form that is not known
SELECT id |> WHERE 1

--@ a form that is not known
FROM res_partner |> SELECT id

--@ a form that is not known
SELECT name COLLATE "evil" FROM res_partner

--@ a form that is not known
SELECT name COLLATE evil.x FROM res_partner

--@ a form that is not known
SELECT name COLLATE pg_catalog."evil collation" FROM res_partner

--@ a form that is not known
SELECT extract(evil FROM now())

--@ a form that is not known
SELECT (ARRAY[1,2,3])[1:2:1]

--@ a form that is not known
SELECT count(*) IGNORE NULLS FROM res_partner

--@ a form that is not known
SELECT lower(DISTINCT)

--@ a form that is not known
SELECT sum(*) FROM res_partner

--@ a form that is not known
SELECT count(id LIMIT 1) FROM res_partner

--@ a form that is not known
SELECT lower(name => 'x')

--@ a form that is not known
SELECT array_agg(id SEPARATOR ',') FROM res_partner

--@ a form that is not known
SELECT JSON_OBJECT('a': 1 RETURNING evil)

--@ a form that is not known
SELECT {fn lower('x')}

--@ a form that is not known
SELECT parse_ident('a.b')

--@ a form that is not known
SELECT (1, 2).f1

--@ a form that is not known
SELECT ((SELECT u FROM res_partner u LIMIT 1)).name

--@ a form that is not known
SELECT id FROM res_partner p JOIN LATERAL pg_ls_dir('.') d ON true

--@ a form that is not known
SELECT 1 FROM res_partner FULL JOIN pg_authid ON true

--@ a form that is not known
SELECT id FROM res_partner GLOBAL JOIN crm_lead USING (id)

--@ a form that is not known
SELECT id FROM res_partner ASOF JOIN crm_lead USING (id)

--@ a form that is not known
SELECT id FROM res_partner ANTI JOIN crm_lead USING (id)

--@ a form that is not known
(((((((((((((((((((((((((((((((SELECT 1)))))))))))))))))))))))))))))))

--@ a form that is not known
SELECT 1 AS ""

--@ a form that is not known
SELECT 1 AS "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

--@ a form that is not known
SELECT id FROM "res_partnerres_partnerres_partnerres_partnerres_partnerres_partner"

--@ a form that is not known
SELECT 0x1F

--@ a form that is not known
SELECT 1_000_

--@ a form that is not known
SELECT 1::numeric(1,2,3)

--@ a form that is not known
SELECT '1'::bit(3)

--@ a form that is not known
SELECT 'x'::tsvector

--@ a form that is not known
SELECT to_tsvector('english', 'x')

--@ a form that is not known
SELECT ts_headline('x', 'x')

--@ a form that is not known
SELECT 1 AS a, a.* FROM res_partner b

--@ a form that is not known
WITH x(a int) AS (SELECT 1) SELECT * FROM x

--@ a form that is not known
WITH x AS (SELECT 1) CYCLE a SET b USING c SELECT 1

--@ a form that is not known
SELECT

--@ a form that is not known
SELECT FROM

--@ a form that is not known
SELECT 1 +

--@ a form that is not known
SELECT (1

--@ a form that is not known
SELECT 1)

--@ a form that is not known
SELECT 'unfinished

--@ a form that is not known
SELECT "unfinished

--@ a form that is not known
SELECT $$unfinished

--@ a form that is not known
SELECT /* unfinished

--@ a form that is not known
SELECT E'\

--@ a form that is not known
SELECT U&'\00'

--@ a form that is not known
SELECT 1 1 1

--@ a form that is not known
SELECT * FROM

--@ a form that is not known
SELECT ,

--@ a form that is not known
x

--@ a form that is not known
'x'

--@ a form that is not known
1

--@ a form that is not known
()

--@ the two parsers could read this apart
--@escaped
SELECT '\u{0}' || 1

--@ the two parsers could read this apart
--@escaped
SELECT 1 \u{0}; DROP TABLE res_partner

--@ the two parsers could read this apart
--@escaped
SELECT\u{a0}pg_read_file('/etc/passwd')

--@ the two parsers could read this apart
--@escaped
SELECT 1\u{3000}FROM\u{3000}pg_authid

--@ the two parsers could read this apart
--@escaped
SELECT\u{2028}* FROM pg_authid

--@ the two parsers could read this apart
--@escaped
SELECT\u{b}* FROM pg_authid

--@ the two parsers could read this apart
--@escaped
SELECT p\u{200b}assword FROM res_users

--@ the two parsers could read this apart
--@escaped
SELECT "pass\u{200b}word" FROM res_users

--@ the two parsers could read this apart
--@escaped
SELECT 1 AS "a\u{202e}b"

--@ the two parsers could read this apart
--@escaped
SELECT 1 AS "a\u{7}"

--@ the two parsers could read this apart
--@escaped
SELECT \u{1b}[31m

--@ the two parsers could read this apart
--@escaped
SELECT \u{feff}password FROM res_users

--@ the two parsers could read this apart
--@escaped
SELECT p\u{61}ssword FROM res_users

--@ the two parsers could read this apart
--@escaped
SELECT \u{ff50}assword FROM res_users

--@ the two parsers could read this apart
--@escaped
SELECT 1 -- \u{85}; DROP TABLE res_partner \u{85} FROM pg_authid

--@ the two parsers could read this apart
SELECT 'a\' , pg_read_file('/etc/passwd') --'

--@ the two parsers could read this apart
SELECT 'a\'; DROP TABLE res_partner; --'; VACUUM

--@ the two parsers could read this apart
SELECT E'a\'' , password FROM res_users --'

--@ the two parsers could read this apart
SELECT $a$ $b$ $a$, password FROM res_users

--@ the two parsers could read this apart
SELECT $$a$$password FROM res_users; SELECT 1

--@ the two parsers could read this apart
SELECT /* /* */ password FROM res_users -- */ */

--@ the two parsers could read this apart
SELECT /* /* */ */ password FROM res_users

--@ the two parsers could read this apart
SELECT 1 /*! , password FROM res_users */ , password FROM res_users

--@ the two parsers could read this apart
SELECT 1--1 , password
, password FROM res_users

--@ the two parsers could read this apart
SELECT 1 # , 1
 FROM pg_authid

--@ the two parsers could read this apart
SELECT 'a' 'b' , pg_read_file('x')

--@ the two parsers could read this apart
SELECT 'a'
'b', pg_read_file('x')

--@ the two parsers could read this apart
SELECT "a""b" , pg_read_file('x')

--@ the two parsers could read this apart
SELECT 1 AS "x""; DROP TABLE res_partner; --", pg_sleep(1)

--@ the two parsers could read this apart
SELECT U&'\0027', pg_read_file('x')

--@ the two parsers could read this apart
SELECT U&'!0027' UESCAPE '!', pg_read_file('x')

--@ the two parsers could read this apart
SELECT	password
FROM
res_users

--@ the two parsers could read this apart
SELECT pg_read_file/**/('/etc/passwd')

--@ the two parsers could read this apart
SELECT pg_catalog . pg_read_file ('/etc/passwd')

--@ the two parsers could read this apart
SELECT pg_catalog."pg_read_file"('/etc/passwd')

--@ the two parsers could read this apart
SELECT "pg_catalog".pg_read_file('/etc/passwd')

--@ the two parsers could read this apart
SELECT PG_Catalog.Pg_Read_File('/etc/passwd')

--@ the two parsers could read this apart
SELECT res_users.*, password FROM res_users

--@ the two parsers could read this apart
SELECT * , password FROM res_users

--@ the two parsers could read this apart
SELECT u.* , u.totp_secret FROM res_users u

--@ the two parsers could read this apart
SELECT password FROM res_users password

--@ the two parsers could read this apart
SELECT x.password FROM res_users x, (SELECT 'a' AS password) y

--@ the two parsers could read this apart
SELECT password FROM (SELECT 'a' AS password) y, res_users

--@ the two parsers could read this apart
SELECT (SELECT password) FROM res_users, (SELECT 1 AS a) y

--@ the two parsers could read this apart
SELECT x.password FROM (SELECT 1 AS password) x WHERE x.password IN (SELECT x.password FROM res_users x)

--@ the two parsers could read this apart
SELECT count(*) FROM res_users NATURAL JOIN (SELECT 'x' AS password) p WHERE password = 'x'

--@ the two parsers could read this apart
SELECT x.y FROM (SELECT res_users AS y FROM res_users) x

--@ the two parsers could read this apart
WITH res_users AS (SELECT 1 AS password) SELECT u.password FROM public.res_users u

--@ the two parsers could read this apart
WITH a AS (SELECT * FROM b), b AS (SELECT 1 AS x) SELECT * FROM a

--@ the two parsers could read this apart
WITH b AS (SELECT 1 AS x) SELECT * FROM (WITH b AS (SELECT * FROM ir_config_parameter) SELECT * FROM b) y

--@ the two parsers could read this apart
SELECT * FROM (WITH c AS (SELECT 1) SELECT 1) q, c

--@ the two parsers could read this apart
select/**/password/**/from/**/res_users

--@ the two parsers could read this apart
SELECT 1 UNION (SELECT length(password) FROM res_users)

--@ the two parsers could read this apart
SELECT ALL password FROM res_users

--@ the two parsers could read this apart
SELECT DISTINCT (password) FROM res_users

--@ the two parsers could read this apart
SELECT +password::int FROM res_users

--@ the two parsers could read this apart
SELECT NOT password IS NULL FROM res_users

--@ the two parsers could read this apart
SELECT (password) FROM res_users

--@ the two parsers could read this apart
SELECT ((password)) FROM res_users

--@ the two parsers could read this apart
SELECT u.password::text COLLATE "C" FROM res_users u

--@ the two parsers could read this apart
SELECT u . password FROM res_users u

--@ the two parsers could read this apart
SELECT u."password"::varchar(3) FROM res_users u

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE 'x' = ANY (ARRAY[password])

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE password IN ('a', 'b')

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE password BETWEEN 'a' AND 'b'

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE 'a' BETWEEN 'a' AND password

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE password IS DISTINCT FROM 'x'

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE password SIMILAR TO '%a%'

--@ the two parsers could read this apart
SELECT id FROM res_users WHERE 'a' LIKE 'a' ESCAPE password

--@ the two parsers could read this apart
SELECT now() AT TIME ZONE password FROM res_users

--@ the two parsers could read this apart
SELECT trim(both 'x' from password) FROM res_users

--@ the two parsers could read this apart
SELECT substring(password from 1 for 1) FROM res_users

--@ the two parsers could read this apart
SELECT position('$' in password) FROM res_users

--@ the two parsers could read this apart
SELECT overlay(password placing 'x' from 1) FROM res_users

--@ the two parsers could read this apart
SELECT extract(day from password::timestamp) FROM res_users

--@ the two parsers could read this apart
SELECT ceil(length(password)) FROM res_users

--@ the two parsers could read this apart
SELECT floor(length(password)) FROM res_users

--@ the two parsers could read this apart
SELECT make_interval(days => length(password)) FROM res_users

--@ the two parsers could read this apart
SELECT (ARRAY[1])[length(password)] FROM res_users

--@ the two parsers could read this apart
SELECT sum(1) OVER (PARTITION BY password) FROM res_users

--@ the two parsers could read this apart
SELECT sum(1) OVER (ORDER BY id ROWS length(password) PRECEDING) FROM res_users

--@ the two parsers could read this apart
SELECT array_agg(id ORDER BY password) FROM res_users

--@ the two parsers could read this apart
SELECT i FROM generate_series(1, (SELECT length(password) FROM res_users LIMIT 1)) i

--@ the two parsers could read this apart
SELECT * FROM unnest((SELECT array_agg(password) FROM res_users))

--@ the two parsers could read this apart
SELECT row_number() OVER w FROM res_users WINDOW w AS (ORDER BY totp_secret)

--@ calls a function by the notation of columns
SELECT x.pg_read_file AS pg_read_file FROM unnest(ARRAY['PG_VERSION']) AS x

--@ calls a function by the notation of columns
SELECT x.current_setting, 1 AS current_setting FROM unnest(ARRAY['data_directory']) AS x

--@ runs a query that stands in a string
SELECT x.ts_stat AS ts_stat FROM unnest(ARRAY['SELECT array_to_tsvector(ARRAY[password]) FROM res_users']) AS x

--@ calls a function by the notation of columns
SELECT x.regclass AS regclass FROM unnest(ARRAY['res_users']) AS x(y)

--@ calls a function by the notation of columns
SELECT pg_read_file.pg_read_file FROM jsonb_array_elements_text('["PG_VERSION"]') AS pg_read_file

--@ calls a function by the notation of columns
SELECT x.pg_read_file FROM unnest(ARRAY['PG_VERSION']) AS x WHERE EXISTS (SELECT 1 FROM (SELECT 1 AS pg_read_file) AS x)

--@ calls a function by the notation of columns
SELECT x.current_setting FROM lower('data_directory') AS x, (SELECT 1 AS current_setting) y

--@ calls a function by the notation of columns
SELECT p.pg_column_size AS pg_column_size FROM res_country p

--@ takes the whole row, since PostgreSQL 18
UPDATE sale_order SET note = 'x' WHERE id = 0 RETURNING new, 1 AS new

--@ takes the whole row, since PostgreSQL 18
UPDATE sale_order SET note = 'x' WHERE id = 0 RETURNING to_jsonb(old), 1 AS old

--@ takes a withheld column, since PostgreSQL 18
UPDATE sale_order SET note = 'x' WHERE id = 0 RETURNING new.access_token

--@ hides what ran from whoever reads the audit
SELECT E'a\x1b[2Jb'

--@ hides what ran from whoever reads the audit
SELECT U&'a\0008b'
