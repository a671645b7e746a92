//! Which tables and columns of an Odoo database hold secrets, and which tables a statement may not change.
//!
//! One answer for the guard and for the grants of the login roles. Names are what Odoo 14 to 19 and their usual modules
//! create; a name that only looks like a secret is withheld too, because a column that is missing from an answer can be
//! asked for by its tool, and a secret that was shown cannot be taken back.

/// Tables of which nothing is read or written. `*` at the end stands for any ending.
const SEALED: [&str; 36] = [
    "auth_api_key*",
    "auth_ldap*",
    "auth_oauth_provider*",
    "auth_passkey_*",
    "auth_saml_*",
    "auth_totp_*",
    "calendar_provider_config",
    "certificate_*",
    "change_password_*",
    "fetchmail_server*",
    "fs_storage",
    "google_credentials",
    "google_calendar_credentials",
    "google_gmail_*",
    "iap_account*",
    "ir_config_parameter*",
    "ir_logging",
    "ir_mail_server*",
    "ir_profile*",
    "keychain_account",
    "mail_ice_server",
    "mail_partner_device",
    "mail_push*",
    "mcp_api_key*",
    "microsoft_calendar_credentials",
    "microsoft_outlook_*",
    "payment_acquirer*",
    "payment_provider*",
    "payment_token*",
    "pg_*",
    "res_company_ldap",
    "res_config_settings",
    "res_users_apikeys*",
    "res_users_deletion",
    "res_users_identitycheck",
    "server_env_*",
];

/// Tables that are read but never changed by SQL: code, access rights, identity, modules, what is sent to the outside,
/// and what Odoo keeps for itself. The tools that are made for them are the way.
const PROTECTED: [&str; 47] = [
    "base_automation*",
    "base_cache_signaling*",
    "base_import_*",
    "base_language_*",
    "base_module_*",
    "base_partner_merge_*",
    "base_registry_signaling*",
    "bus_*",
    "data_recycle_*",
    "discuss_*",
    "ir_act_*",
    "ir_actions*",
    "ir_asset*",
    "ir_attachment*",
    "ir_autovacuum",
    "ir_cron*",
    "ir_default*",
    "ir_embedded_actions*",
    "ir_exports_blocked",
    "ir_filters*",
    "ir_http",
    "ir_model*",
    "ir_module_*",
    "ir_property",
    "ir_qweb*",
    "ir_rule*",
    "ir_ui_menu*",
    "ir_ui_view*",
    "mail_compose_message*",
    "mail_guest",
    "mail_mail*",
    "mail_scheduled_message*",
    "mail_template*",
    "mailing_*",
    "orm_signaling_*",
    "privacy_*",
    "report_layout",
    "res_company_users_rel",
    "res_device*",
    "res_groups*",
    "res_users*",
    "rule_group_rel",
    "sms_*",
    "snailmail_*",
    "theme_*",
    "website*",
    "wizard_ir_model_menu_create",
];

/// Credentials whose names do not give them away: table, columns.
const COLUMNS: [(&str, &[&str]); 13] = [
    ("base_automation", &["webhook_uuid"]),
    ("hr_employee*", &["pin"]),
    ("ir_act_server", &["webhook_url"]),
    ("ir_attachment", &["access_token", "db_datas"]),
    ("link_tracker_click", &["ip"]),
    ("mail_guest", &["access_token"]),
    ("pos_payment_method", &["stripe_serial_number"]),
    ("res_device*", &["session_identifier"]),
    ("res_partner", &["signup_token", "signup_url"]),
    ("res_partner_bank", &["aba_routing_token", "online_token"]),
    ("res_users", &["password", "password_crypt", "new_password", "totp_secret", "sid"]),
    ("res_users_log", &["ip"]),
    ("res_users_settings", &["google_calendar_rtoken", "microsoft_calendar_rtoken"]),
];

/// Parts, ends and wholes of column names that mark a text as a secret.
const PARTS: [&str; 16] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "secret",
    "token",
    "credential",
    "apikey",
    "api_key",
    "private_key",
    "privatekey",
    "privkey",
    "authorization",
    "cookie",
    "totp",
    "webhook",
];
const ENDS: [&str; 6] = ["_pass", "_pwd", "_auth", "_key", "_otp", "_pin"];
const NAMES: [&str; 8] = ["pwd", "pass", "pin", "auth", "cvc", "otp", "sid", "keys"];
/// Words that hold a secret's name within them and are none.
const INNOCENT: [&str; 7] =
    ["secretar", "tokeniz", "keyword", "grouping_key", "push_to_talk_key", "authorization_type", "public_key"];
/// Types that cannot hold a secret.
const PLAIN: [&str; 12] =
    ["bool", "int2", "int4", "int8", "float4", "float8", "numeric", "date", "timestamp", "timestamptz", "time", "interval"];

fn matches(entry: &str, name: &str) -> bool {
    match entry.strip_suffix('*') {
        Some(stem) => name.starts_with(stem),
        None => entry == name,
    }
}

/// Whether nothing of this table is shown or changed.
pub fn sealed(table: &str) -> bool {
    SEALED.iter().any(|entry| matches(entry, table))
}

/// Whether rows of this table are not inserted, changed or deleted by SQL. Sealed tables are protected too.
pub fn protected(table: &str) -> bool {
    sealed(table) || PROTECTED.iter().any(|entry| matches(entry, table))
}

/// Whether the column holds a credential. `type_name` is PostgreSQL's internal name (`varchar`, `int4`): a number, a flag
/// or a date beside a secret is none, unless the list names it.
pub fn withheld(table: &str, column: &str, type_name: &str) -> bool {
    if COLUMNS.iter().any(|(entry, columns)| matches(entry, table) && columns.contains(&column)) {
        return true;
    }
    let name = column.to_ascii_lowercase();
    !PLAIN.contains(&type_name)
        && !INNOCENT.iter().any(|word| name.contains(word))
        && (NAMES.contains(&name.as_str())
            || ENDS.iter().any(|end| name.ends_with(end))
            || PARTS.iter().any(|part| name.contains(part)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_tool_reads_no_sql_reads_either() {
        let open: Vec<&str> =
            crate::scope::SEALED.into_iter().filter(|model| !sealed(&model.replace('*', "x").replace('.', "_"))).collect();
        assert_eq!(open, Vec::<&str>::new());
    }

    #[test]
    fn what_no_tool_changes_no_sql_changes_either() {
        // Actions have tables of shorter names, and what answers requests has none at all.
        let table = |model: &str| model.replace('*', "x").replace("ir.actions.", "ir.act.").replace('.', "_");
        let guarded = crate::scope::GUARDED.into_iter().filter(|model| *model != "ir.http");
        let open: Vec<&str> = guarded.filter(|model| !protected(&table(model))).collect();
        assert_eq!(open, Vec::<&str>::new());
        // Who is in a group, and what a group gives, stands in tables between models.
        for link in ["res_groups_users_rel", "res_groups_implied_rel", "rule_group_rel"] {
            assert!(protected(link), "{link}");
        }
    }
}
