-- What is still on in a copy, on every version: counted only where the table is there.
CREATE FUNCTION pg_temp.counted(needed TEXT, counting TEXT) RETURNS BIGINT LANGUAGE plpgsql AS $$
DECLARE
    found BIGINT := 0;
BEGIN
    IF EXISTS (SELECT FROM information_schema.columns
               WHERE table_schema = 'public' AND table_name || '.' || column_name = needed) THEN
        EXECUTE counting INTO found;
    END IF;
    RETURN found;
END $$;
SELECT json_build_object(
    'marked', EXISTS (SELECT FROM ir_config_parameter WHERE key = 'database.is_neutralized' AND lower(value) IN ('true', '1')),
    'mail_servers', pg_temp.counted('ir_mail_server.active',
        'SELECT count(*) FROM ir_mail_server WHERE active AND smtp_host NOT IN (''invalid'')')
        + pg_temp.counted('ir_mail_server.active',
        'SELECT CASE WHEN count(*) = 0 THEN 1 ELSE 0 END FROM ir_mail_server WHERE active'),
    'fetchmail_servers', pg_temp.counted('fetchmail_server.active', 'SELECT count(*) FROM fetchmail_server WHERE active'),
    'scheduled_actions', pg_temp.counted('ir_cron.active',
        'SELECT count(*) FROM ir_cron WHERE active AND id NOT IN (
            SELECT res_id FROM ir_model_data WHERE model = ''ir.cron'' AND module = ''base'' AND name = ''autovacuum_job'')'),
    'payment_providers', pg_temp.counted('payment_acquirer.state', 'SELECT count(*) FROM payment_acquirer WHERE state = ''enabled''')
        + pg_temp.counted('payment_provider.state', 'SELECT count(*) FROM payment_provider WHERE state = ''enabled'''),
    'webhooks', pg_temp.counted('ir_act_server.webhook_url',
        'SELECT count(*) FROM ir_act_server WHERE state = ''webhook'' AND webhook_url ~* ''^\s*https?://'''),
    'iap_tokens', pg_temp.counted('iap_account.account_token',
        'SELECT count(*) FROM iap_account WHERE account_token IS NOT NULL AND account_token <> '''' AND account_token NOT LIKE ''%disabled'''));
