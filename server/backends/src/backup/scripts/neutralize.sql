-- Makes a copy of Odoo 14 or 15 harmless; from 16 Odoo has a command for it. Only what exists is touched.
DO $$
DECLARE
    statement TEXT;
    has CONSTANT JSONB := (
        SELECT coalesce(jsonb_object_agg(table_name || '.' || column_name, true), '{}')
        FROM information_schema.columns WHERE table_schema = 'public');
BEGIN
    FOREACH statement IN ARRAY ARRAY[
        'ir_mail_server.active: UPDATE ir_mail_server SET active = false',
        'mail_template.mail_server_id: UPDATE mail_template SET mail_server_id = NULL',
        'fetchmail_server.active: UPDATE fetchmail_server SET active = false, state = ''draft'', password = NULL',
        'ir_cron.active: UPDATE ir_cron SET active = false WHERE id NOT IN (
            SELECT res_id FROM ir_model_data WHERE model = ''ir.cron'' AND module = ''base'' AND name = ''autovacuum_job'')',
        'ir_cron_trigger.id: DELETE FROM ir_cron_trigger',
        'payment_acquirer.state: UPDATE payment_acquirer SET state = ''disabled''',
        'iap_account.account_token: UPDATE iap_account
            SET account_token = regexp_replace(coalesce(account_token, ''''), ''(\+.*)?$'', ''+disabled'')',
        'delivery_carrier.prod_environment: UPDATE delivery_carrier SET prod_environment = false',
        'res_users.google_calendar_token: UPDATE res_users SET google_calendar_token = NULL, google_calendar_rtoken = NULL',
        'res_users.microsoft_calendar_token: UPDATE res_users SET microsoft_calendar_token = NULL, microsoft_calendar_rtoken = NULL',
        'google_calendar_credentials.calendar_token: UPDATE google_calendar_credentials
            SET calendar_token = NULL, calendar_rtoken = NULL',
        'website.domain: UPDATE website SET domain = NULL',
        'website.cdn_activated: UPDATE website SET cdn_activated = false',
        'mail_mail.state: UPDATE mail_mail SET state = ''cancel'' WHERE state IN (''outgoing'', ''exception'')',
        'sms_sms.state: UPDATE sms_sms SET state = ''canceled'' WHERE state = ''outgoing'''
    ] LOOP
        IF has ? split_part(statement, ':', 1) THEN
            EXECUTE substr(statement, strpos(statement, ':') + 1);
        END IF;
    END LOOP;
    -- Without an active server Odoo takes the one of its configuration file: here is one that nothing can be sent through.
    IF has ? 'ir_mail_server.smtp_host' THEN
        statement := 'INSERT INTO ir_mail_server (name, smtp_host, smtp_port, smtp_encryption, active, sequence%s)
            VALUES (''neutralized: nothing is sent'', ''invalid'', 25, ''none'', true, 0%s)';
        IF has ? 'ir_mail_server.smtp_authentication' THEN -- 15, where it must not be null
            EXECUTE format(statement, ', smtp_authentication', ', ''login''');
        ELSE
            EXECUTE format(statement, '', '');
        END IF;
    END IF;
    UPDATE ir_config_parameter SET value = 'true' WHERE key = 'database.is_neutralized';
    IF NOT FOUND THEN
        INSERT INTO ir_config_parameter (key, value, create_uid, create_date, write_uid, write_date)
        VALUES ('database.is_neutralized', 'true', 1, now() AT TIME ZONE 'UTC', 1, now() AT TIME ZONE 'UTC');
    END IF;
END $$;
