//! What never reaches an audit row, a log, an error or a bookmark: secrets by argument name, by sibling key, in nested
//! values, domains and text; binaries become their size and hash's first digits. Answers to the caller are not redacted.
use std::sync::LazyLock;

use serde_json::{Map, Value};

/// What stands in a secret's place.
pub const REDACTED: &str = "[REDACTED]";

/// Parts of names that mark a value as secret.
const SECRET_PARTS: [&str; 15] = [
    "password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "api_key", "private_key", "privatekey", "authorization",
    "cookie", "session_id", "totp", "otp_code",
];
/// Names that are secret as a whole (as parts they would hide `primary_key` or `monkey`).
const SECRET_NAMES: [&str; 7] = ["key", "pwd", "pass", "pin", "auth", "new_passwd", "cvc"];

/// Text longer than this that looks like base64 is a binary.
const BLOB: usize = 1024;

/// Whether a value under this name must not be shown.
pub fn is_secret_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase().replace('-', "_");
    let last = lower.rsplit(['.', '/']).next().unwrap_or(&lower);
    // The technical names of the things that a caller confirms or continues with are not secrets of anybody.
    if matches!(last, "confirm_token" | "idempotency_key" | "primary_key" | "foreign_key") {
        return last == "confirm_token";
    }
    SECRET_NAMES.contains(&last) || SECRET_PARTS.iter().any(|p| lower.contains(p))
}

/// A copy of a call's arguments that may be kept.
pub fn arguments(value: &Value) -> Value {
    walk(value, 0)
}

fn walk(value: &Value, depth: usize) -> Value {
    if depth > 32 {
        return Value::from("[too deep]");
    }
    match value {
        Value::Object(map) => object(map, depth),
        // A domain's leaf: ["password", "=", "x"]; a pair: ["api_key", "x"]
        Value::Array(items) => match items.as_slice() {
            [Value::String(name), operator, _] if operator.is_string() && is_secret_name(name) => {
                Value::Array(vec![Value::from(name.as_str()), operator.clone(), REDACTED.into()])
            }
            [Value::String(name), _] if is_secret_name(name) => Value::Array(vec![Value::from(name.as_str()), REDACTED.into()]),
            _ => Value::Array(items.iter().map(|v| walk(v, depth + 1)).collect()),
        },
        Value::String(s) => Value::String(text(s)),
        other => other.clone(),
    }
}

fn object(map: &Map<String, Value>, depth: usize) -> Value {
    // set_system_parameter(key = "smtp.password", value = …): the name of the secret is a sibling's value.
    let sibling = ["key", "name", "field", "param", "header"]
        .iter()
        .any(|k| map.get(*k).and_then(Value::as_str).is_some_and(is_secret_name));
    map.iter()
        .map(|(name, v)| {
            let hide = match name.as_str() {
                "key" => map.get("value").is_none() && !v.is_object() && !v.is_array(),
                "value" | "new_value" | "default" => sibling,
                other => is_secret_name(other) && !v.is_boolean() && !v.is_null(),
            };
            (name.clone(), if hide { Value::from(REDACTED) } else { walk(v, depth + 1) })
        })
        .collect()
}

/// A text that may be kept: literals beside secret names in SQL, code, JSON, URLs and headers are cut out, binaries summed up.
pub fn text(s: &str) -> String {
    if s.len() > BLOB && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'\n' | b'\r')) {
        return format!("[{} characters of base64]", s.len());
    }
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    // Word by word: after a secret name and one of = : => ( , the next literal goes.
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        if KEYS.iter().any(|prefix| word.starts_with(prefix)) && word.len() > 20 {
            out.push_str(REDACTED);
            rest = after;
            continue;
        }
        out.push_str(word);
        rest = after;
        if is_secret_name(word) || word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") {
            rest = literal(after, &mut out, word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic"));
        }
    }
    out.push_str(rest);
    credentials_in_urls(&out)
}

/// Our own tokens are recognised wherever they stand.
static KEYS: LazyLock<[&str; 4]> = LazyLock::new(|| ["ock_", "oca_", "ocr_", "ocd_"]);

/// Copies the separators, replaces the literal behind them, and gives what follows. Without a separator nothing is cut.
fn literal<'a>(after: &'a str, out: &mut String, scheme: bool) -> &'a str {
    let separators = after.find(|c: char| !matches!(c, ' ' | '\t' | '=' | ':' | '>' | '"' | '\'' | '(' | ',' | '[' | '~')).unwrap_or(after.len());
    let (between, from) = after.split_at(separators);
    let assigned = between.contains(['=', ':', ',', '(']) || (scheme && !between.is_empty());
    if !assigned || from.is_empty() {
        return after;
    }
    out.push_str(between);
    // `Authorization: Bearer x`: the scheme is not the secret, what follows it is.
    for scheme in ["Bearer ", "bearer ", "Basic ", "basic "] {
        if let Some(behind) = from.strip_prefix(scheme) {
            out.push_str(scheme);
            out.push_str(REDACTED);
            let end = behind.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | ',')).unwrap_or(behind.len());
            return behind.get(end..).unwrap_or("");
        }
    }
    let quote = between.chars().rev().find(|c| matches!(c, '"' | '\'')).filter(|q| between.ends_with(*q));
    let end = match quote {
        Some(q) => from.find(q).unwrap_or(from.len()),
        None => from.find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | '&' | '"' | '\'')).unwrap_or(from.len()),
    };
    out.push_str(REDACTED);
    from.get(end..).unwrap_or("")
}

/// `scheme://user:password@host` loses the password.
fn credentials_in_urls(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let end = tail.find(|c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'')).unwrap_or(tail.len());
        let (authority, after) = tail.split_at(end);
        match authority.rsplit_once('@') {
            Some((user, host)) => {
                out.push_str(user.split(':').next().unwrap_or(""));
                if user.contains(':') {
                    out.push(':');
                    out.push_str(REDACTED);
                }
                out.push('@');
                out.push_str(host);
            }
            None => out.push_str(authority),
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn secrets_go_wherever_they_stand() {
        let cases = [
            json!({"values": {"name": "A", "password": "hunter2"}}),
            json!({"key": "smtp.password", "value": "hunter2"}),
            json!({"domain": [["login", "=", "a"], "|", ["password", "=", "hunter2"]]}),
            json!({"query": "UPDATE res_users SET password = 'hunter2' WHERE id = 2"}),
            json!({"code": "env['res.users'].browse(2).write({'password': 'hunter2'})"}),
            json!({"code": "api_key=hunter2, x=1"}),
            json!({"note": "curl -H 'Authorization: Bearer hunter2' https://u:hunter2@host/x?token=hunter2&b=1"}),
            json!({"nested": [[{"deep": {"client_secret": {"a": "hunter2"}}}]]}),
            json!({"args": [["api_key", "hunter2"]]}),
            json!({"text": "ock_hunter2hunter2hunter2hunter2"}),
        ];
        for case in cases {
            let kept = arguments(&case).to_string();
            assert!(!kept.contains("hunter2"), "{kept}");
            assert!(kept.contains(REDACTED), "{kept}");
        }
    }

    #[test]
    fn what_is_no_secret_stays() {
        let plain = json!({
            "model": "res.partner", "values": {"name": "Key West", "email": "a@b.c", "active": true},
            "domain": [["name", "ilike", "token ring"]], "idempotency_key": "order-7", "note": "see https://host/path, please: yes"
        });
        assert_eq!(arguments(&plain), plain);
    }

    #[test]
    fn binaries_are_summed_up() {
        let kept = arguments(&json!({"content": "QUJD".repeat(1000)})).to_string();
        assert!(kept.len() < 100, "{kept}");
    }
}
