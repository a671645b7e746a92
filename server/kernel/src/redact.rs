//! What never reaches an audit row, a log, an error or a bookmark: secrets by argument name, by sibling key, in nested
//! values, domains and text. Answers to the caller are not redacted.
//!
//! What is kept stays short: long texts and blobs become their head, size and SHA-256, long lists their head and length, and
//! the walk has a budget, so that no caller can make it expensive. When in doubt a value goes: an audit row that says too
//! little can be mended by asking, one that says too much cannot.
use std::fmt::Write as _;

use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};

/// What stands in a secret's place.
pub const REDACTED: &str = "[REDACTED]";

/// Parts of names that mark a value as secret.
const SECRET_PARTS: [&str; 14] = [
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
    "authorization",
    "cookie",
    "totp",
];
/// Ends of names that do (`smtp_pass`, `ssh_key`).
const SECRET_ENDS: [&str; 5] = ["_pass", "_pwd", "_auth", "_key", "_otp"];
/// Names that are secret as a whole; as parts they would hide `monkey` or `author`.
const SECRET_NAMES: [&str; 10] = ["key", "pwd", "pass", "pin", "auth", "new_passwd", "cvc", "otp", "otp_code", "sid"];
/// Names that look like secrets and are none.
const INNOCENT: [&str; 16] = [
    "idempotency_key",
    "primary_key",
    "foreign_key",
    "sort_key",
    "group_key",
    "public_key",
    "max_tokens",
    "tokens",
    "token_count",
    "input_tokens",
    "output_tokens",
    "secretary",
    "secretary_id",
    "secretary_name",
    "payment_token_id",
    "report_key",
];
/// Numbers under these names are secret too; under `session_token_id` they are an id.
const SECRET_NUMBERS: [&str; 8] = ["password", "passwd", "pin", "otp", "otp_code", "cvc", "pwd", "pass"];
/// Our own tokens, and well-known ones of others, are recognised wherever they stand.
const TOKENS: [&str; 21] = [
    "ock_",
    "ocw_",
    "oca_",
    "ocr_",
    "occ_",
    "ocd_",
    "ocs_",
    "ocn_",
    "ocp_",
    "ocv_",
    "ghp_",
    "gho_",
    "github_pat_",
    "glpat-",
    "sk_live_",
    "sk_test_",
    "sk-",
    "phx_",
    "xoxb-",
    "AKIA",
    "eyJ",
];

/// Names longer than this are secret, whatever they say.
const LONG_NAME: usize = 200;

/// What makes a text or a name worth a closer look: without any of these nothing of it can be secret. Of the lists themselves, so
/// that a name added to one of them is looked for.
const SIGNS: [&[&str]; 5] = [&SECRET_PARTS, &SECRET_ENDS, &SECRET_NAMES, &TOKENS, &["bearer", "basic", "-----BEGIN", "://"]];

/// The first two bytes of all signs by the five low bits of each, which are those of a letter whatever its case. `-` stands for
/// `_` too, as in names.
#[expect(clippy::indexing_slicing, reason = "the compiler evaluates it: out of bounds does not compile")]
const STARTS: [u32; 32] = {
    let mut starts = [0; 32];
    let mut list = 0;
    while list < SIGNS.len() {
        let mut sign = 0;
        while sign < SIGNS[list].len() {
            let bytes = SIGNS[list][sign].as_bytes();
            let (first, second) = (low(bytes[0]), low(bytes[1]));
            starts[first] |= 1 << second;
            sign += 1;
        }
        list += 1;
    }
    starts
};
const fn folded(byte: u8) -> u8 {
    if byte == b'-' { b'_' } else { byte.to_ascii_lowercase() }
}
const fn low(byte: u8) -> usize {
    (folded(byte) & 31) as usize
}
/// Whether a sign is anywhere in the text. Allocates nothing: most of what a call brings passes here and no further.
fn suspicious(text: &str) -> bool {
    let bytes = text.as_bytes();
    let starts = |pair: &[u8]| match pair {
        [a, b] => STARTS.get(low(*a)).is_some_and(|seconds| seconds & (1 << low(*b)) != 0),
        _ => false,
    };
    let begins = |at: usize, sign: &str| {
        let here = bytes.get(at..at + sign.len());
        here.is_some_and(|here| here.iter().zip(sign.as_bytes()).all(|(a, b)| folded(*a) == folded(*b)))
    };
    bytes
        .windows(2)
        .enumerate()
        .any(|(at, pair)| starts(pair) && SIGNS.iter().any(|list| list.iter().any(|sign| begins(at, sign))))
}

/// Texts longer than this are kept by their head.
const LONG: usize = 600;
const HEAD: usize = 200;
/// Lists longer than this are kept by their head.
const LONG_LIST: usize = 60;
/// Values that one walk looks at.
const BUDGET: usize = 2000;
const DEPTH: usize = 32;

/// Whether a value under this name must not be shown.
pub fn is_secret_name(name: &str) -> bool {
    if name.len() > LONG_NAME {
        return true;
    }
    if !suspicious(name) {
        return false;
    }
    let lower = name.to_ascii_lowercase().replace('-', "_");
    let last = lower.rsplit(['.', '/']).next().unwrap_or(&lower);
    !INNOCENT.contains(&last)
        && (SECRET_NAMES.contains(&last)
            || SECRET_ENDS.iter().any(|e| last.ends_with(e))
            || SECRET_PARTS.iter().any(|p| lower.contains(p)))
}

/// A copy of a call's arguments that may be kept.
pub fn arguments(value: &Value) -> Value {
    walk(value, &mut Budget(BUDGET), 0)
}

struct Budget(usize);
impl Budget {
    fn spend(&mut self) -> bool {
        let left = self.0 > 0;
        self.0 = self.0.saturating_sub(1);
        left
    }
}

fn walk(value: &Value, budget: &mut Budget, depth: usize) -> Value {
    if depth > DEPTH || !budget.spend() {
        return Value::from("[left out]");
    }
    match value {
        Value::Object(map) => object(map, budget, depth),
        Value::Array(items) => list(items, budget, depth),
        Value::String(s) => Value::String(text(s)),
        other => other.clone(),
    }
}

/// In a list, a secret's name stands before its value: `["password", "=", "x"]`, `["api_key", "x"]`, `[[7], "password", "x"]`.
fn list(items: &[Value], budget: &mut Budget, depth: usize) -> Value {
    let mut behind = false;
    let mut kept: Vec<Value> = items
        .iter()
        .take(LONG_LIST)
        .map(|item| match item {
            Value::String(s) if behind && !is_operator(s) => Value::from(REDACTED),
            Value::String(s) => {
                behind |= is_secret_name(s);
                walk(item, budget, depth + 1)
            }
            Value::Array(_) | Value::Object(_) if behind => Value::from(REDACTED),
            item => walk(item, budget, depth + 1),
        })
        .collect();
    if items.len() > LONG_LIST {
        kept.push(Value::from(format!("[{} more]", items.len() - LONG_LIST)));
    }
    Value::Array(kept)
}

fn is_operator(s: &str) -> bool {
    s.len() <= 12
        && (s.bytes().all(|b| matches!(b, b'=' | b'<' | b'>' | b'!' | b'?' | b'|' | b'&'))
            || matches!(s, "in" | "not in" | "like" | "ilike" | "not like" | "not ilike" | "=like" | "=ilike"))
}

fn object(map: &Map<String, Value>, budget: &mut Budget, depth: usize) -> Value {
    let says = |name: &str| map.get(name).and_then(Value::as_str);
    // set_system_parameter(key = "smtp.password", value = …): the secret's name is a sibling's value.
    let sibling = ["key", "name", "field", "param", "header"].iter().any(|k| says(k).is_some_and(is_secret_name));
    // execute_method(method = "change_password", args = [old, new]): the method tells what its arguments are.
    let method = says("method").is_some_and(|m| is_secret_name(m) || m == "set_param" || m == "authenticate");
    let mut kept = Map::new();
    for (name, value) in map.iter().take(LONG_LIST) {
        let hide = match name.as_str() {
            // A key beside its value, or alone as the only argument of a look-up, is a name.
            "key" => says("key").is_none_or(|k| !crate::name::is_identifier(k) || token(k).is_some()),
            "value" | "new_value" | "default" => sibling,
            "args" | "kwargs" => method,
            other => is_secret_name(other) && hideable(other, value),
        };
        kept.insert(text(name), if hide { Value::from(REDACTED) } else { walk(value, budget, depth + 1) });
    }
    if map.len() > LONG_LIST {
        kept.insert("[more]".into(), (map.len() - LONG_LIST).into());
    }
    Value::Object(kept)
}

fn hideable(name: &str, value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(_) => false,
        Value::Number(_) => SECRET_NUMBERS.contains(&name.to_ascii_lowercase().as_str()),
        _ => true,
    }
}

/// A text that may be kept. Long ones are cut first, so the cost is bounded whatever comes in.
pub fn text(s: &str) -> String {
    if s.len() <= LONG {
        return cut(s);
    }
    let hash = Sha256::digest(s.as_bytes());
    let mut out = if blob(s) { String::new() } else { cut(head(s)) };
    let _ = write!(out, "[{} characters, sha256 ", s.len());
    for byte in hash.iter().take(8) {
        let _ = write!(out, "{byte:02x}");
    }
    out.push_str("…]");
    out
}

fn head(s: &str) -> &str {
    let end = (0..=HEAD).rev().find(|i| s.is_char_boundary(*i)).unwrap_or(0);
    s.get(..end).unwrap_or("")
}

/// Base64 (also as a data URI): nothing of it is worth keeping.
fn blob(s: &str) -> bool {
    let body = s.split_once(";base64,").map_or(s, |(_, b)| b);
    body.bytes().take(2000).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'=' | b'-' | b'_' | b'\n' | b'\r'))
}

/// Cuts the secrets out of a short text: SQL, code, JSON, headers, URLs, CSV, keys.
fn cut(s: &str) -> String {
    // A word that is too long to be a name is secret without any sign.
    if suspicious(s) || has_long_word(s) { cut_with_care(s) } else { s.to_owned() }
}
fn has_long_word(s: &str) -> bool {
    // Headers of CSV write `/` for `.`.
    s.len() > LONG_NAME && s.split(|c: char| !is_word(c) && c != '/').any(|word| word.len() > LONG_NAME)
}
fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.')
}
fn cut_with_care(s: &str) -> String {
    if s.contains("-----BEGIN") {
        return format!("[PEM, {REDACTED}]");
    }
    if let Some(header) = csv_with_secrets(s) {
        return format!("{header}\n{REDACTED}");
    }
    let s = &urls(s);
    let mut out = String::with_capacity(s.len());
    let mut rest = s.as_str();
    let lower = s.to_ascii_lowercase();
    let secret = SECRET_PARTS.iter().any(|part| lower.contains(part));
    // Word by word: after a secret name and a separator, the next literal goes.
    while let Some(start) = rest.find(|c: char| c.is_ascii_alphabetic() || c == '_') {
        let (before, from) = rest.split_at(start);
        out.push_str(before);
        let end = from.find(|c: char| !is_word(c)).unwrap_or(from.len());
        let (word, after) = from.split_at(end);
        rest = after;
        if token(word).is_some() {
            out.push_str(REDACTED);
            continue;
        }
        out.push_str(word);
        let scheme = word.eq_ignore_ascii_case("bearer")
            || (word.eq_ignore_ascii_case("basic") && out.to_ascii_lowercase().contains("authorization"));
        if scheme || is_secret_name(word) {
            rest = literal(after, &mut out, scheme);
        }
    }
    out.push_str(rest);
    // Where a statement speaks of a secret, no literal of it is worth the risk: VALUES lists, concatenations, WHERE key = '…'.
    if secret { without_literals(&out) } else { out }
}

fn token(word: &str) -> Option<&'static str> {
    TOKENS.into_iter().find(|prefix| word.starts_with(prefix) && word.len() > 18)
}

/// Copies the separators, replaces the literal behind them, and gives what follows. Without a separator nothing is cut.
fn literal<'a>(after: &'a str, out: &mut String, scheme: bool) -> &'a str {
    let separators = after
        .find(|c: char| !matches!(c, ' ' | '\t' | '=' | ':' | '>' | '"' | '\'' | '(' | '[' | '~' | '!' | '<' | '\\'))
        .unwrap_or(after.len());
    let (between, from) = after.split_at(separators);
    let assigned = between.contains(['=', ':', '(', '<', '"', '\'']) || (scheme && !between.is_empty());
    if !assigned || from.is_empty() {
        return after;
    }
    out.push_str(between);
    // `Authorization: Bearer x`: the scheme is not the secret, what follows it is.
    let from = match from.split_once(' ') {
        Some((word, behind)) if word.eq_ignore_ascii_case("bearer") || word.eq_ignore_ascii_case("basic") => {
            out.push_str(word);
            out.push(' ');
            behind
        }
        _ => from,
    };
    let quote = between.chars().next_back().filter(|q| matches!(q, '"' | '\''));
    let end = match quote {
        Some(q) => from.find(q).unwrap_or(from.len()),
        None => from
            .find(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | ')' | ']' | '}' | '&' | '"' | '\''))
            .unwrap_or(from.len()),
    };
    out.push_str(REDACTED);
    from.get(end..).unwrap_or("")
}

/// Every quoted literal becomes `'[REDACTED]'`: single quotes with doubled ones and escapes, double quotes, dollar quotes.
fn without_literals(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut chars = s.chars().peekable();
    while let Some(c) = chars.next() {
        out.push(c);
        if c != '\'' && c != '"' {
            continue;
        }
        let mut inside = String::new();
        let mut closed = false;
        while let Some(d) = chars.next() {
            if d == '\\' {
                inside.push(d);
                inside.extend(chars.next());
            } else if d == c {
                if chars.peek() == Some(&c) {
                    chars.next();
                    inside.push(d);
                } else {
                    closed = true;
                    break;
                }
            } else {
                inside.push(d);
            }
        }
        // Names of columns and keys are what makes the rest readable.
        if closed && (is_secret_name(&inside) || inside == REDACTED) && inside.len() < 60 {
            out.push_str(&inside);
        } else {
            out.push_str(REDACTED);
        }
        if closed {
            out.push(c);
        }
    }
    out
}

/// The first line, when it is a CSV header that names a secret and lines follow.
fn csv_with_secrets(s: &str) -> Option<&str> {
    let (header, rest) = s.split_once('\n')?;
    let cells: Vec<&str> = header.split([',', ';', '\t']).map(|c| c.trim().trim_matches('"')).collect();
    let is_header = cells.len() > 1 && cells.iter().all(|c| !c.is_empty() && crate::name::is_identifier(&c.replace('/', ".")));
    (is_header && !rest.trim().is_empty() && cells.iter().any(|c| is_secret_name(c))).then_some(header)
}

/// `scheme://user:password@host` loses the password, `scheme://token@host` the token.
fn urls(s: &str) -> String {
    let mut out = String::with_capacity(s.len());
    let mut rest = s;
    while let Some(at) = rest.find("://") {
        let (head, tail) = rest.split_at(at + 3);
        out.push_str(head);
        let url_end = tail.find(|c: char| c.is_whitespace() || matches!(c, '"' | '\'')).unwrap_or(tail.len());
        let (url, after) = tail.split_at(url_end);
        let authority_end = url.find(['/', '?', '#']).unwrap_or(url.len());
        let (authority, path) = url.split_at(authority_end);
        let host_and_port = authority.rsplit_once(':').is_none_or(|(_, port)| port.bytes().all(|b| b.is_ascii_digit()));
        let credentials = if authority.contains('@') {
            authority.rsplit_once('@').map(|(c, host)| (c, host, path))
        } else if !host_and_port {
            // A password with a slash in it.
            url.rsplit_once('@').map(|(c, host)| (c, host, ""))
        } else {
            None
        };
        match credentials {
            Some((credentials, host, path)) => {
                match credentials.split_once(':') {
                    Some((user, _)) => {
                        out.push_str(user);
                        out.push(':');
                        out.push_str(REDACTED);
                    }
                    None if credentials.len() > 16 || token(credentials).is_some() => out.push_str(REDACTED),
                    None => out.push_str(credentials),
                }
                out.push('@');
                out.push_str(host);
                out.push_str(path);
            }
            None => out.push_str(url),
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
            json!({"domain": "[[\"password\",\"ilike\",\"hunter2\"]]"}),
            json!({"query": "UPDATE res_users SET password = 'hunter2' WHERE id = 2"}),
            json!({"query": "INSERT INTO res_users (login, password) VALUES ('bob','hunter2')"}),
            json!({"query": "ALTER USER odoo WITH PASSWORD 'hunter2'"}),
            json!({"query": "SELECT 1 FROM res_users WHERE password LIKE 'hunter2'"}),
            json!({"query": "SELECT 1 FROM res_users WHERE password <> 'hunter2'"}),
            json!({"query": "UPDATE res_users SET password = E'hunter2'"}),
            json!({"query": "UPDATE res_users SET password = 'hun''hunter2'"}),
            json!({"query": "UPDATE ir_config_parameter SET value='hunter2' WHERE key='database.secret'"}),
            json!({"code": "env['res.users'].browse(2).write({'password': 'hunter2'})"}),
            json!({"code": "password = b'hunter2'"}),
            json!({"code": "password: str = \"hunter2\""}),
            json!({"code": "password = f('X') or 'hunter2'"}),
            json!({"code": "json.loads(\"{\\\"password\\\": \\\"hunter2\\\"}\")"}),
            json!({"code": "set_param(key='smtp.secret', value='hunter2')"}),
            json!({"code": "api_key=hunter2, x=1"}),
            json!({"note": "curl -H 'Authorization: Bearer hunter2' https://u:hunter2@host/x?token=hunter2&b=1"}),
            json!({"note": "Authorization: BEARER hunter2"}),
            json!({"note": "postgres://u:hunt/hunter2@h/db"}),
            json!({"note": "https://ghp_hunter2hunter2hunter2@github.com/x"}),
            json!({"nested": [[{"deep": {"client_secret": {"a": "hunter2"}}}]]}),
            json!({"args": [["api_key", "hunter2"]]}),
            json!({"args": [[7], "password", "hunter2"]}),
            json!({"args": ["database.secret", "hunter2", "hunter2"]}),
            json!({"model": "res.users", "method": "change_password", "args": ["hunter2", "hunter2x"]}),
            json!({"smtp_pass": "hunter2", "user_pwd": "hunter2", "basic_auth": "hunter2", "ssh_key": "hunter2", "encryption_key": "hunter2"}),
            json!({"text": "ock_hunter2hunter2hunter2hunter2"}),
            json!({"ock_hunter2hunter2hunter2hunter2": 1}),
            json!({"content": "login,password\nbob,hunter2"}),
            json!({"cert": "-----BEGIN PRIVATE KEY-----\nhunter2"}),
            json!({"pin": "hunter2", "otp": "hunter2"}),
        ];
        for case in cases {
            let kept = arguments(&case).to_string();
            assert!(!kept.contains("hunter2"), "{kept}");
            assert!(kept.contains(REDACTED), "{kept}");
        }
    }

    #[test]
    fn each_kind_of_our_own_tokens_goes_and_the_ids_of_clients_stay() {
        let random = "hunter2".repeat(7);
        for kind in ["ock_", "ocw_", "ocv_", "oca_", "ocr_", "occ_", "ocd_", "ocs_", "ocn_", "ocp_"] {
            for said in [
                format!("{kind}{random}"),
                format!("https://host/oauth/invite/{kind}{random}?x=1"),
                format!("\"{kind}{random}\""),
            ] {
                let kept = text(&format!("it says {said}, and no more"));
                assert!(!kept.contains("hunter2") && kept.contains(REDACTED) && kept.ends_with("and no more"), "{kept}");
            }
            // Too short to open anything: the first characters, as lists show them.
            let shown = format!("{kind}hunter");
            assert_eq!(text(&shown), shown);
        }
        let client = format!("client oci_{random} registered");
        assert_eq!(text(&client), client);
    }

    #[test]
    fn what_is_no_secret_stays() {
        let plain = json!({
            "model": "res.partner", "values": {"name": "Key West", "email": "a@b.c", "active": true, "product": "Basic Chair"},
            "domain": [["name", "ilike", "token ring"]], "idempotency_key": "order-7", "note": "see https://host/path, please: yes",
            "max_tokens": 5, "secretary_name": "Ann", "payment_token_id": 7, "session_token_id": 8,
            "query": "SELECT id, name FROM t WHERE state = 'sale' GROUP BY session_id, state",
        });
        assert_eq!(arguments(&plain), plain);
        let parameter = json!({"key": "web.base.url"});
        assert_eq!(arguments(&parameter), parameter);
    }

    #[test]
    fn what_is_long_is_summed_up_and_the_rest_of_the_row_stays() {
        let kept = arguments(&json!({
            "model": "res.partner", "ids": (0..1000).collect::<Vec<_>>(), "values": {"comment": "x y ".repeat(9000), "image": "QUJD".repeat(1000)},
        }));
        let text = kept.to_string();
        assert!(text.len() < 2000, "{text}");
        assert!(text.contains("res.partner") && text.contains("[940 more]") && text.contains("sha256"), "{text}");
        assert!(!text.contains("QUJDQUJD"), "{text}");
    }

    #[test]
    fn a_quick_look_misses_nothing() {
        // Each sign, in any spelling and company, is seen.
        for sign in SIGNS.iter().copied().flatten() {
            for text in [(*sign).to_owned(), sign.to_ascii_uppercase(), sign.replace('_', "-"), format!("ä x{sign}\u{1F980}")] {
                assert!(suspicious(&text), "{text}");
            }
        }
        assert!(!suspicious("{\"model\":\"res.partner\",\"fields\":[\"name\",\"email\"],\"limit\":10}"));
        assert!(!suspicious("") && !suspicious("k") && !suspicious("ä"));
        // What passes it is what the careful way leaves as it is.
        let pieces = [
            "password",
            "PassWd",
            "api-key",
            "smtp_pass",
            "Bearer x",
            "Basic y",
            "://u:p@h",
            "http://",
            "a,key\nb,c",
            "a,b\nc,d",
            "=",
            "'x'",
            "\"",
            " ",
            "\n",
            "\t",
            ";",
            ":",
            "ock_0123456789abcdef0123",
            "eyJhbGciOiJIUzI1NiJ9.x.y",
            "AKIA0123456789ABCDEF",
            "sk-",
            "pin",
            "PIN",
            "sid=7",
            "-----BEGIN X",
            "-----begin",
            "monkey",
            "ä",
            "🦀",
            "res.partner",
            "[",
            "]",
            "tok",
            "en",
            "se",
            "cret",
            "_",
            "-",
            ".",
            "9",
        ];
        let (mut state, mut passed) = (7_u64, 0);
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(state >> 33).unwrap() % below
        };
        for round in 0..40_000 {
            let mut text: String = (0..random(7)).map(|_| pieces[random(pieces.len())]).collect();
            if round % 50 == 0 {
                text.push_str(&"w".repeat(190 + random(20)));
            }
            assert_eq!(cut(&text), cut_with_care(&text), "{text:?}");
            passed += usize::from(!suspicious(&text));
        }
        assert!(passed > 5_000, "{passed}");
        let long = format!("{}=x, y", "w".repeat(201));
        assert!(!suspicious(&long) && cut(&long).contains(REDACTED) && is_secret_name(&"w".repeat(201)));
    }

    #[test]
    fn no_input_is_expensive() {
        let start = std::time::Instant::now();
        arguments(&json!({"a": "a ".repeat(8_000_000)}));
        arguments(&json!((0..1_000_000).map(|_| "x").collect::<Vec<_>>()));
        // What grows with the square of its length takes hours; a machine with other work, some seconds.
        assert!(start.elapsed().as_secs() < 60, "{:?}", start.elapsed());
    }
}
