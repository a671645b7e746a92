//! Stage 3: the common arguments are taken out here (no tool declares them), unknown ones refused with the nearest names.
use std::time::Duration;

use backends::odoo::OdooContext;
use kernel::{Code, Permissions, Refusal, Result, Selection, name, refusal};
use serde_json::{Map, Value};

use crate::catalogue::Entry;

const DEFAULT_SECONDS: u64 = 15;
const MOST_SECONDS: u64 = 120;
const DEFAULT_KILOBYTES: usize = 50;
/// How large an answer may be when nobody says.
pub const DEFAULT_BYTES: usize = DEFAULT_KILOBYTES * 1024;
const MOST_KILOBYTES: usize = 1024;

/// The arguments that every tool takes.
pub const COMMON: [&str; 7] =
    ["context", "confirm", "confirm_token", "dry_run", "idempotency_key", "max_response_size", "timeout_seconds"];

#[derive(Debug)]
pub struct Common {
    pub dry_run: bool,
    pub confirm: bool,
    pub confirm_token: Option<String>,
    pub idempotency_key: Option<String>,
    pub deadline: Duration,
    /// The most bytes of an answer.
    pub max_bytes: usize,
    pub context: OdooContext,
    /// All arguments as they came, for an operation that another process may have to go on with; empty for ordinary calls.
    pub whole: String,
}

fn wrong(message: impl Into<std::borrow::Cow<'static, str>>) -> Refusal {
    refusal(Code::InvalidArgument, message).next("The server's instructions explain the arguments that every tool takes.")
}

/// Splits the arguments into the common ones and the tool's own.
pub fn split(arguments: Value, entry: &Entry, permissions: &Permissions) -> Result<(Common, Value)> {
    let whole = if entry.tool.operation_seconds > 0 { arguments.to_string() } else { String::new() };
    let mut own = match arguments {
        Value::Null => Map::new(),
        Value::Object(map) => map,
        _ => return Err(wrong("Arguments are an object of names and values.").into()),
    };
    let mut taken = Map::new();
    for name in COMMON {
        if !entry.properties.iter().any(|p| p == name)
            && let Some(value) = own.shift_remove(name)
            && !value.is_null()
        {
            taken.insert(name.to_owned(), value);
        }
    }
    if let Some(unknown) = own.keys().find(|k| !entry.properties.contains(k)) {
        return Err(unknown_argument(unknown, entry).into());
    }
    let least = entry.tool.least_seconds;
    let seconds = match taken.get("timeout_seconds") {
        None => DEFAULT_SECONDS.max(least),
        Some(v) => v
            .as_u64()
            .filter(|s| (1..=MOST_SECONDS).contains(s))
            .ok_or_else(|| wrong(format!("timeout_seconds is a whole number from 1 to {MOST_SECONDS}.")))?
            .max(least),
    };
    let most = MOST_KILOBYTES.max(entry.tool.response_kb);
    let max_bytes = match taken.get("max_response_size") {
        None => DEFAULT_KILOBYTES.max(entry.tool.response_kb),
        Some(v) => v
            .as_u64()
            .and_then(|kb| usize::try_from(kb).ok())
            .filter(|kb| (1..=most).contains(kb))
            .ok_or_else(|| wrong(format!("max_response_size is a whole number of kilobytes from 1 to {most}.")))?,
    } * 1024;
    let flag = |name: &str| match taken.get(name) {
        None => Ok(false),
        Some(Value::Bool(b)) => Ok(*b),
        Some(_) => Err(wrong(format!("{name} is true or false."))),
    };
    let text = |name: &str, most: usize| match taken.get(name) {
        None => Ok(None),
        Some(Value::String(s)) if !s.is_empty() && s.len() <= most => Ok(Some(s.clone())),
        Some(_) => Err(wrong(format!("{name} is a text of at most {most} characters."))),
    };
    let common = Common {
        dry_run: flag("dry_run")?,
        confirm: flag("confirm")?,
        confirm_token: text("confirm_token", 500)?,
        idempotency_key: text("idempotency_key", 200)?,
        deadline: Duration::from_secs(seconds),
        max_bytes,
        context: context(taken.get("context"), permissions)?,
        whole,
    };
    // The kind refusal, before anything is decoded; the handles hold the same again, with certainty.
    for name in ["model", "method"] {
        if let Some(Value::String(text)) = own.get(name) {
            name::identifier(name, text)?;
        }
    }
    if let Some(Value::String(model)) = own.get("model")
        && !permissions.models.contains(model)
    {
        return Err(refusal(Code::ModelDenied, format!("This key may not use the model {model}."))
            .next(match &permissions.models {
                Selection::Only(models) if !models.is_empty() => {
                    format!("It may use {}.", models.iter().map(String::as_str).collect::<Vec<_>>().join(", "))
                }
                _ => "It may use no model at all; ask an administrator.".to_owned(),
            })
            .into());
    }
    Ok((common, Value::Object(own)))
}

fn unknown_argument(unknown: &str, entry: &Entry) -> Refusal {
    let shown: String = unknown.chars().take(60).collect();
    let names: Vec<&str> = entry.properties.iter().map(String::as_str).chain(COMMON).collect();
    let near = names
        .iter()
        .map(|n| (strsim::jaro_winkler(&shown, n), n))
        .filter(|(score, _)| *score > 0.75)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, n)| format!(" Did you mean {n}?"))
        .unwrap_or_default();
    wrong(format!("{} has no argument \"{shown}\".{near}", entry.tool.facts.name))
        .next(format!("Its arguments are {}.", entry.properties.join(", ")))
}

/// The Odoo context by allow-list: lang, tz, companies of the key, active_test, bin_size.
fn context(value: Option<&Value>, permissions: &Permissions) -> Result<OdooContext> {
    let mut context = OdooContext::default();
    let empty = Map::new();
    let map = match value {
        None => &empty,
        Some(Value::Object(map)) => map,
        Some(_) => return Err(wrong("context is an object, like {\"lang\": \"fr_FR\"}.").into()),
    };
    let mut company = None;
    for (key, value) in map {
        match (key.as_str(), value) {
            ("lang", Value::String(s)) if is_lang(s) => context.lang = Some(s.clone()),
            ("lang", _) => return Err(wrong("context.lang is a language code, like fr_FR.").into()),
            ("tz", Value::String(s)) if is_tz(s) => context.tz = Some(s.clone()),
            ("tz", _) => return Err(wrong("context.tz is a time zone, like Europe/Paris.").into()),
            ("company_id", v) => {
                company =
                    Some(v.as_i64().filter(|id| *id > 0).ok_or_else(|| wrong("context.company_id is the id of a company."))?);
            }
            ("allowed_company_ids", Value::Array(ids)) => {
                let ids: Option<Vec<i64>> = ids.iter().map(|v| v.as_i64().filter(|id| *id > 0)).collect();
                context.allowed_company_ids = Some(
                    ids.filter(|l| !l.is_empty())
                        .ok_or_else(|| wrong("context.allowed_company_ids is a list of ids of companies."))?,
                );
            }
            ("active_test", Value::Bool(b)) => context.active_test = Some(*b),
            ("bin_size", Value::Bool(b)) => context.bin_size = Some(*b),
            (key, _) => {
                let shown: String = key.chars().take(60).collect();
                return Err(wrong(format!("context.{shown} is not passed on to Odoo."))
                    .next("Use lang, tz, company_id, allowed_company_ids, active_test (true or false) and bin_size (true or false).")
                    .into());
            }
        }
    }
    if let Some(company) = company {
        let rest = context.allowed_company_ids.take().unwrap_or_default();
        context.allowed_company_ids = Some(std::iter::once(company).chain(rest.into_iter().filter(|c| *c != company)).collect());
    }
    match (&mut context.allowed_company_ids, &permissions.companies) {
        (Some(asked), companies) => {
            if let Some(outside) = asked.iter().find(|c| !companies.contains(c)) {
                return Err(refusal(Code::PermissionDenied, format!("This key may not use the company {outside}."))
                    .next("Leave the company out to use the key's own.")
                    .into());
            }
        }
        (none, Selection::Only(companies)) => {
            if companies.is_empty() {
                return Err(refusal(Code::PermissionDenied, "This key may use no company.").next("Ask an administrator.").into());
            }
            *none = Some(companies.iter().copied().collect());
        }
        (None, Selection::All) => {}
    }
    Ok(context)
}

fn is_lang(s: &str) -> bool {
    s.len() <= 20 && !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'@'))
}
fn is_tz(s: &str) -> bool {
    s.len() <= 40 && !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'/' | b'+' | b'-'))
}
