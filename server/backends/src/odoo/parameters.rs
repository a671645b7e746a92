//! System parameters: what is shown of them, which may be set, and the setting itself. The model is sealed for all other tools;
//! values leave this file only after their secrets were taken out.
use kernel::{Code, Fault, Refusal, redact, refusal};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{
    Reader, Result, Writer,
    dialect::{Arg, Context, Request},
    schema::nearest,
    users::text,
};

const MODEL: &str = "ir.config_parameter";
const MOST: u64 = 20_000;
const LONGEST_KEY: usize = 200;
const LONGEST_VALUE: usize = 20_000;

/// Words of a key, between dots, dashes, slashes and underscores, beside which a value is a secret.
const SECRET_WORDS: [&str; 14] = [
    "key",
    "keys",
    "secret",
    "secrets",
    "token",
    "tokens",
    "password",
    "passwd",
    "passphrase",
    "pwd",
    "pass",
    "credential",
    "credentials",
    "apikey",
];
/// Secrets whose keys do not say so.
const SECRET_KEYS: [&str; 1] = ["database.enterprise_code"];
/// Ends of keys whose numbers tell how a secret is handled, and are none.
const SETTINGS_OF_SECRETS: [&str; 9] =
    ["minlength", "length", "limit", "duration", "delay", "timeout", "validity", "count", "size"];
/// What is never set here, by its beginning: Odoo's identity and where it and its links are, where its files lie, how people
/// sign in and what stops those who guess.
const NEVER_SET: [(&str, &str); 7] = [
    ("database.", "it is the identity of the database"),
    ("report.url", "reports and their style sheets are fetched from there, with a session"),
    ("web.base.url", "every link that Odoo sends points there, those to reset a password included"),
    ("ir_attachment.", "it decides where files are kept; those that are there would be lost to sight"),
    ("auth_", "it decides who may sign in, and how"),
    ("base.login_cooldown", "it stops those who guess passwords"),
    ("base.template_portal_user_id", "new portal users are copied from there"),
];

/// A parameter as it may be shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    pub id: i64,
    pub key: String,
    /// With secrets masked.
    pub value: String,
    /// Whether the value is hidden, wholly or in part.
    pub masked: bool,
}

fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty())
}
/// Whether the key says that its value is a secret.
fn secret_key(key: &str) -> bool {
    let lower = key.to_lowercase();
    redact::is_secret_name(&lower)
        || SECRET_KEYS.contains(&lower.as_str())
        || words(&lower).any(|word| SECRET_WORDS.contains(&word))
}
/// A switch, or a number that only says how secrets are handled.
fn no_secret(key: &str, value: &str) -> bool {
    let value = value.trim();
    let number = !value.is_empty() && value.len() <= 9 && value.bytes().all(|b| b.is_ascii_digit());
    value.is_empty()
        || ["true", "false"].contains(&value.to_lowercase().as_str())
        || (number && words(&key.to_lowercase()).last().is_some_and(|last| SETTINGS_OF_SECRETS.contains(&last)))
}
/// Long and without any order that a person would give a name or a setting: hexadecimal from 32 digits on, or at least 24
/// letters in both cases with digits among them. Identifiers under keys that call themselves so are none.
fn looks_random(key: &str, value: &str) -> bool {
    let value = value.trim();
    if value.len() < 24 || value.bytes().any(|b| !(b.is_ascii_alphanumeric() || b"+/=_-".contains(&b))) {
        return false;
    }
    let has = |of: fn(&u8) -> bool| value.bytes().filter(of).count();
    let digits = has(u8::is_ascii_digit);
    let hexadecimal = value.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') && has(u8::is_ascii_hexdigit) >= 32;
    if hexadecimal {
        return !words(&key.to_lowercase()).last().is_some_and(|last| ["uuid", "guid", "id"].contains(&last));
    }
    digits >= 2 && has(u8::is_ascii_uppercase) >= 2 && has(u8::is_ascii_lowercase) >= 2
}

/// A value as it may be shown, and whether something of it is hidden.
fn shown(key: &str, value: &str) -> (String, bool) {
    if no_secret(key, value) {
        return (value.to_owned(), false);
    }
    if secret_key(key) || looks_random(key, value) || value.contains("-----BEGIN") {
        return (redact::REDACTED.to_owned(), true);
    }
    let cut = redact::text(value);
    let masked = cut != value;
    (cut, masked)
}
fn parameter(id: i64, key: String, value: &str) -> Parameter {
    let (value, masked) = shown(&key, value);
    Parameter { id, key, value, masked }
}

/// Refuses what is no key at all.
fn is_key(key: &str) -> Result<(), Refusal> {
    if key.trim().is_empty() || key.trim() != key || key.chars().count() > LONGEST_KEY || key.chars().any(char::is_control) {
        return Err(refusal(
            Code::InvalidArgument,
            format!("key: a name of at most {LONGEST_KEY} characters, without spaces around it and without control characters."),
        )
        .next("Like mail.catchall.alias; get_system_parameter without a key tells all of them."));
    }
    Ok(())
}
/// Refuses keys that are never set through ocore, whoever asks, and values that are none.
fn settable(key: &str, value: &str) -> Result<(), Refusal> {
    is_key(key)?;
    let lower = key.to_lowercase();
    let why = NEVER_SET.iter().find(|(start, _)| lower.starts_with(start)).map(|(_, why)| *why);
    if let Some(why) = why.or_else(|| secret_key(key).then_some("its name says that the value is a secret")) {
        return Err(refusal(Code::RecordDenied, format!("The system parameter {key} is never set through ocore: {why}."))
            .next("An administrator of Odoo sets it in Odoo itself (Settings, Technical, System Parameters)."));
    }
    if value.len() > LONGEST_VALUE || value.contains('\0') {
        return Err(refusal(
            Code::InvalidArgument,
            format!("value: a text of at most {LONGEST_VALUE} bytes, without the character NUL."),
        )
        .next("Shorten it."));
    }
    Ok(())
}

#[derive(Deserialize)]
struct Row {
    id: i64,
    key: Value,
    value: Value,
}

impl Reader {
    /// Every parameter by key, secrets masked.
    pub async fn parameters(&self) -> Result<Vec<Parameter>> {
        let rows = self.raw_parameters(&json!([])).await?;
        Ok(rows.into_iter().map(|row| parameter(row.id, text(&row.key), &text(&row.value))).collect())
    }
    /// One parameter, secrets masked; none when there is none of that key.
    pub async fn parameter(&self, key: &str) -> Result<Option<Parameter>> {
        is_key(key)?;
        let rows = self.raw_parameters(&json!([["key", "=", key]])).await?;
        Ok(rows.into_iter().next().map(|row| parameter(row.id, text(&row.key), &text(&row.value))))
    }
    /// Keys that are close to one that does not exist.
    pub async fn parameters_like(&self, key: &str) -> Result<Vec<String>> {
        let keys: Vec<String> = self.raw_parameters(&json!([])).await?.iter().map(|row| text(&row.key)).collect();
        Ok(nearest(key, keys.iter().map(String::as_str)).into_iter().map(str::to_owned).collect())
    }
    async fn raw_parameters(&self, domain: &Value) -> Result<Vec<Row>> {
        self.scope().readable(MODEL)?;
        self.find_or_tell(MODEL, domain, &["key", "value"], "key, id", MOST).await
    }
    /// What setting a parameter would replace, and the new value as it may be shown; refuses what is never set.
    pub async fn would_set(&self, key: &str, value: &str) -> Result<(Option<Parameter>, Parameter, bool)> {
        settable(key, value)?;
        let old = self.raw_parameters(&json!([["key", "=", key]])).await?.into_iter().next();
        let same = old.as_ref().is_some_and(|row| text(&row.value) == value);
        let id = old.as_ref().map_or(0, |row| row.id);
        let old = old.map(|row| parameter(row.id, text(&row.key), &text(&row.value)));
        Ok((old, parameter(id, key.to_owned(), value), same))
    }
}
impl Writer {
    /// Sets a parameter, or creates it, and reads it back: what stands there now, and whether it is what was set. None when it
    /// is not there (an empty value may mean that to a module).
    pub async fn set_parameter(&self, key: &str, value: &str) -> Result<(Option<Parameter>, bool)> {
        self.scope().writable(MODEL)?;
        if !self.scope().lifted(MODEL) {
            return Err(Fault::failed("a tool that does not lift ir.config_parameter sets parameters"));
        }
        settable(key, value)?;
        let args = [Arg::Text(key), Arg::Text(value)];
        let context = Context::default();
        let request =
            Request { model: MODEL, method: "set_param", ids: None, args: &args, kwargs: &[], context: &context, write: true };
        // It answers with the old value, which nobody needs to see.
        self.send_or_tell::<serde::de::IgnoredAny>(&request).await?;
        let row = self.raw_parameters(&json!([["key", "=", key]])).await?.into_iter().next();
        let same = row.as_ref().is_some_and(|row| text(&row.value) == value);
        Ok((row.map(|row| parameter(row.id, text(&row.key), &text(&row.value))), same))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_masked_by_key_and_by_value() {
        for (key, value) in [
            ("database.secret", "ff9707ab-6874-4840-8da2-0cab1a5c32c9"),
            ("database.enterprise_code", "M12345678901234"),
            ("google_maps_api_key", "AIza"),
            ("x.token", "1234"),
            ("smtp.password", "12345678"),
            ("my-service/pwd", "x"),
            ("some.key", "abc"),
            ("iap.Secret.Value", "abc"),
            ("harmless", "f3a9c05d9b1e4a77b2c1d4e5f60718293a4b5c6d"),
            ("harmless", "9c05d9b1-e4a7-47b2-81d4-e5f607182930"),
            ("harmless", "Zx81kPq0Lm3nVb7TyUi92wEr"),
            ("harmless", "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----"),
        ] {
            assert_eq!(shown(key, value), (redact::REDACTED.to_owned(), true), "{key} {value}");
        }
        let (url, masked) = shown("my.queue", "amqp://user:hunter22@queue.example.com/vhost");
        assert!(masked && !url.contains("hunter22") && url.contains("queue.example.com"), "{url}");
        let (json, masked) = shown("my.settings", r#"{"token": "hunter22", "lang": "fr"}"#);
        assert!(masked && !json.contains("hunter22"), "{json}");
    }

    #[test]
    fn what_is_no_secret_is_shown() {
        for (key, value) in [
            ("auth_signup.reset_password", "True"),
            ("auth_password_policy.minlength", "8"),
            ("base.programmatic_api_keys_limit", "10"),
            ("database.uuid", "195a072c-dfd6-4c8e-930f-6c3e4be0c56f"),
            ("database.create_date", "2026-11-21 03:31:57"),
            ("crm.pls_fields", "state_id,country_id,phone_state,email_state,source_id"),
            ("web.base.url", "http://localhost:8069"),
            ("mail.catchall.domain", "mail.example-company-of-some-length.com"),
            ("stock.barcode_separator", ","),
            ("some.tz", "America/Argentina/ComodRivadavia"),
            ("x.y", "account_invoice_report_template_2024"),
            ("x.y", ""),
        ] {
            assert_eq!(shown(key, value), (value.to_owned(), false), "{key} {value}");
        }
    }

    #[test]
    fn keys_of_the_system_and_of_secrets_are_never_set() {
        for key in [
            "database.secret",
            "database.uuid",
            "Database.Secret",
            "report.url",
            "web.base.url",
            "web.base.url.freeze",
            "ir_attachment.location",
            "ir_attachment.storage",
            "auth_signup.invitation_scope",
            "auth_oauth.provider",
            "base.login_cooldown_after",
            "my.api_key",
            "my.token",
            "smtp_pass",
            "google.key.id",
            "x.Password",
        ] {
            assert_eq!(settable(key, "x").unwrap_err().code, Code::RecordDenied, "{key}");
        }
        for key in ["", " ", " mail.x", "mail.x\n", "a\u{0}b", &"x".repeat(201)] {
            assert_eq!(settable(key, "x").unwrap_err().code, Code::InvalidArgument, "{key:?}");
        }
        for key in
            ["mail.catchall.alias", "sale.default_confirmation_template", "monkey.business", "author.name", "x'; DROP TABLE"]
        {
            assert!(settable(key, "x").is_ok(), "{key}");
        }
        assert!(settable("mail.x", &"x".repeat(LONGEST_VALUE + 1)).is_err() && settable("mail.x", "a\0b").is_err());
    }
}
