//! Odoo's errors, typed by the exception's name, and what a caller reads of them: never a traceback, a path, a host or SQL.
use kernel::{Code, Fault, Refusal, redact, refusal};
use serde::Deserialize;

/// The longest message that is passed on, in characters.
const LONGEST: usize = 600;

/// How a call to Odoo ends when it does not succeed.
#[derive(Debug)]
pub(super) enum Failure {
    /// Odoo answered with an error of its own.
    Odoo(OdooError),
    /// Everything else, ready for the caller.
    Fault(Fault),
    /// No answer to a read: may be asked once more.
    Again(Fault),
}
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}
impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        Self::Fault(refusal.into())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The cookie is not valid (any more).
    SessionExpired,
    /// Login, password or key refused; or a method refused for good.
    AccessDenied,
    /// Odoo's access rights or record rules.
    Access,
    /// A constraint (Python or PostgreSQL's) or a user-facing refusal.
    User,
    /// The records are gone.
    Missing,
    /// Somebody else holds or changes the records now: Odoo gave up after its own retries.
    Concurrency,
    /// No such route, model or method.
    NotFound,
    /// The arguments do not fit the method.
    Signature,
    /// An unknown field, a malformed domain, a wrong type.
    Value,
    /// Odoo's database.
    Database,
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct OdooError {
    pub kind: Kind,
    /// Odoo's words, not scrubbed.
    pub message: String,
    /// The error that this one was made of, in one line, not scrubbed: all that is ever read of a traceback.
    pub cause: Option<String>,
}

/// The `error` member of a JSON-RPC answer (14 to 19).
#[derive(Debug, Deserialize)]
pub(super) struct RpcError {
    #[serde(default)]
    code: i64,
    #[serde(default)]
    message: String,
    #[serde(default)]
    data: Option<ErrorData>,
}
/// JSON-2's error body (19), and the `data` of the above.
#[derive(Debug, Default, Deserialize)]
pub(super) struct ErrorData {
    #[serde(default)]
    name: String,
    #[serde(default)]
    message: Option<String>,
    /// A traceback.
    #[serde(default)]
    debug: serde_json::Value,
}

impl OdooError {
    pub(super) fn of_rpc(error: RpcError) -> Self {
        let data = error.data.unwrap_or_default();
        let message = data.message.filter(|m| !m.trim().is_empty()).unwrap_or(error.message);
        let kind = match error.code {
            100 => Kind::SessionExpired,
            404 => Kind::NotFound,
            _ => kind_of(&data.name, &message),
        };
        Self { kind, message, cause: cause_in(&data.debug) }
    }
    /// By the exception's name where it is told, else by the status (19: 401 key, 403 access, 404 missing, 409 lock, 422 arguments).
    pub(super) fn of_json2(status: u16, data: ErrorData) -> Self {
        let message = data.message.unwrap_or_default();
        let cause = cause_in(&data.debug);
        let kind = match (status, kind_of(&data.name, &message)) {
            (401, _) => Kind::AccessDenied,
            (_, Kind::Other) => match status {
                403 => Kind::Access,
                404 => Kind::NotFound,
                409 => Kind::Concurrency,
                422 => Kind::Signature,
                _ => Kind::Other,
            },
            (_, kind) => kind,
        };
        Self { kind, message, cause }
    }

    /// Where fields or records are hidden, Odoo's words could tell of them: the kind of the error is all that is told.
    pub(super) fn withheld(self) -> Self {
        Self {
            message: "Odoo refused it; its words are withheld because fields or records are hidden from this key.".to_owned(),
            cause: None,
            ..self
        }
    }

    /// What the caller gets. `model` and `method` are the call's.
    pub(super) fn refusal(&self, model: &str, method: &str) -> Refusal {
        let said = scrub(&self.message);
        let said = if said.is_empty() { "Odoo gave no reason.".to_owned() } else { said };
        match self.kind {
            Kind::SessionExpired => refusal(Code::OdooError, "Odoo ended the session, and a new login did not help.").next("Try again; if it stays so, an administrator checks the instance's credential."),
            Kind::AccessDenied => refusal(Code::OdooError, format!("Odoo denies {method} on {model}: {said}"))
                .next("The Odoo user of this credential may not do it; an administrator of Odoo grants the right."),
            Kind::Access => refusal(Code::OdooError, said)
                .next("The Odoo user of this credential lacks the right, or a record rule hides the records. Ask for less, or have an administrator of Odoo grant it."),
            Kind::User => refusal(Code::OdooError, said).next("Odoo refused the values or the state of the records; mend what it names and try again."),
            Kind::Missing => refusal(Code::NotFound, said).next("The records do not exist (any more); search for them again."),
            Kind::Concurrency => refusal(Code::Conflict, format!("Somebody else changes the same records of {model} right now; nothing was changed."))
                .next("Try again in a moment."),
            Kind::NotFound => refusal(Code::NotFound, format!("Odoo does not know {model}, or no method {method} of it."))
                .next("list_models names the models; get_model_methods the methods."),
            Kind::Signature => refusal(Code::InvalidArgument, format!("The arguments do not fit {model}.{method}: {said}"))
                .next("get_model_methods shows the method's arguments."),
            Kind::Value => refusal(Code::OdooError, said).next("Check names and types with get_field_metadata."),
            Kind::Database => refusal(Code::OdooError, "Odoo's database refused the operation or could not be reached.")
                .next("Check the types of the values; if those are right, look at odoo_logs."),
            Kind::Other => refusal(Code::OdooError, format!("Odoo failed in {model}.{method}: {said}")).next("odoo_logs has the details."),
        }
    }
}

/// The headline of a traceback's first error: `ValueError: Invalid field 'x' on model 'y'`. None when it is the only one, for then
/// the error told is that one.
fn cause_in(debug: &serde_json::Value) -> Option<String> {
    let text = debug.as_str()?;
    let several =
        ["direct cause of the following exception", "another exception occurred"].iter().any(|mark| text.contains(mark));
    let mut within = false;
    let headline = text.lines().find(|line| {
        let indented = line.starts_with(' ');
        let ended = within && !indented && !line.is_empty() && !line.starts_with("Traceback ");
        within |= indented;
        ended
    })?;
    several.then(|| headline.chars().take(300).collect())
}

fn kind_of(name: &str, message: &str) -> Kind {
    match name {
        // `execute_kw` of an unknown model (14 to 19).
        "odoo.exceptions.UserError" if message.starts_with("Object ") && message.ends_with("doesn't exist") => Kind::NotFound,
        "odoo.exceptions.AccessDenied" => Kind::AccessDenied,
        "odoo.exceptions.AccessError" => Kind::Access,
        "odoo.exceptions.MissingError" => Kind::Missing,
        "odoo.exceptions.LockError" | "odoo.exceptions.ConcurrencyError" => Kind::Concurrency,
        "odoo.exceptions.UserError"
        | "odoo.exceptions.ValidationError"
        | "odoo.exceptions.RedirectWarning"
        | "odoo.exceptions.Warning"
        | "odoo.exceptions.except_orm" => Kind::User,
        "odoo.http.SessionExpiredException" | "odoo.http.SessionExpired" => Kind::SessionExpired,
        "werkzeug.exceptions.NotFound" => Kind::NotFound,
        "werkzeug.exceptions.UnprocessableEntity" => Kind::Signature,
        "builtins.TypeError" if ["argument", "signature", "positional"].iter().any(|w| message.contains(w)) => Kind::Signature,
        "builtins.AttributeError" if message.contains("does not exist") || message.contains("has no attribute") => Kind::NotFound,
        "builtins.ValueError" | "builtins.KeyError" | "builtins.TypeError" | "builtins.AssertionError" => Kind::Value,
        other if other.starts_with("psycopg2") => {
            if ["Serialization", "Deadlock", "LockNotAvailable", "TransactionRollback"].iter().any(|w| other.contains(w)) {
                Kind::Concurrency
            } else {
                Kind::Database
            }
        }
        _ => Kind::Other,
    }
}

/// Odoo's words without what leaks: tracebacks, SQL, paths, hosts, secrets; at most [`LONGEST`] characters.
pub(crate) fn scrub(message: &str) -> String {
    let mut text = message;
    for mark in [
        "Traceback (most recent call last)",
        "\nLINE ",
        "\nThe above server error",
        "  File \"",
        "SELECT ",
        "INSERT INTO ",
        "UPDATE \"",
        "DELETE FROM ",
    ] {
        if let Some(at) = text.find(mark) {
            text = text.get(..at).unwrap_or("");
        }
    }
    let mut out = String::with_capacity(text.len().min(LONGEST));
    for (i, word) in text.split_inclusive(char::is_whitespace).enumerate() {
        let bare = word.trim_matches(|c: char| !(c.is_alphanumeric() || c == '/'));
        let leaks = ["/usr/", "/opt/", "/home/", "/var/", "/mnt/", "/etc/", "/tmp/", "/root/", "/srv/", "/lib/", "/odoo/"]
            .iter()
            .any(|p| bare.starts_with(p))
            || bare.parse::<std::net::IpAddr>().is_ok()
            || (bare.contains("://") && i > 0);
        if leaks {
            out.push_str("[…]");
            out.push_str(word.get(word.trim_end().len()..).unwrap_or(""));
        } else {
            out.push_str(word);
        }
        if out.len() > 4 * LONGEST {
            break;
        }
    }
    let text = redact::text(out.trim());
    if text.chars().count() <= LONGEST {
        return text;
    }
    let mut cut: String = text.chars().take(LONGEST).collect();
    cut.push('…');
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rpc(text: &str) -> OdooError {
        OdooError::of_rpc(serde_json::from_str(text).unwrap())
    }

    #[test]
    fn errors_are_typed_by_the_exceptions_name() {
        for (name, message, kind, code) in [
            ("odoo.exceptions.AccessError", "No.", Kind::Access, Code::OdooError),
            ("odoo.exceptions.ValidationError", "No.", Kind::User, Code::OdooError),
            ("odoo.exceptions.MissingError", "Gone", Kind::Missing, Code::NotFound),
            ("odoo.exceptions.LockError", "Locked", Kind::Concurrency, Code::Conflict),
            ("psycopg2.errors.SerializationFailure", "could not serialize", Kind::Concurrency, Code::Conflict),
            ("psycopg2.OperationalError", "host", Kind::Database, Code::OdooError),
            ("builtins.ValueError", "Invalid field", Kind::Value, Code::OdooError),
            ("builtins.TypeError", "f() got an unexpected keyword argument 'x'", Kind::Signature, Code::InvalidArgument),
            ("builtins.AttributeError", "The method 'a.b' does not exist", Kind::NotFound, Code::NotFound),
            ("builtins.ZeroDivisionError", "division by zero", Kind::Other, Code::OdooError),
        ] {
            let error = rpc(&serde_json::json!({"code": 200, "message": "Odoo Server Error", "data": {"name": name, "message": message, "debug": "Traceback"}}).to_string());
            assert_eq!(error.kind, kind, "{name}");
            assert_eq!(error.refusal("m", "f").code, code, "{name}");
        }
        assert_eq!(rpc(r#"{"code": 100, "message": "Odoo Session Expired"}"#).kind, Kind::SessionExpired);
        assert_eq!(rpc(r#"{"code": 404, "message": "404: Not Found"}"#).kind, Kind::NotFound);
        assert_eq!(OdooError::of_json2(401, ErrorData::default()).kind, Kind::AccessDenied);
        assert_eq!(OdooError::of_json2(409, ErrorData::default()).kind, Kind::Concurrency);
    }

    #[test]
    fn of_a_traceback_the_first_errors_headline_alone_is_read() {
        let chained = "Traceback (most recent call last):\n  File \"/usr/x.py\", line 1, in f\n    secret()\nValueError: Invalid field 'x'\n\n\
                       During handling of the above exception, another exception occurred:\n\nTraceback (most recent call last):\n  File \"y\"\n\
                       odoo.tools.convert.ParseError: while parsing";
        let of = |debug: &str| cause_in(&serde_json::json!(debug));
        assert_eq!(of(chained).as_deref(), Some("ValueError: Invalid field 'x'"));
        assert_eq!(of("Traceback (most recent call last):\n  File \"y\"\nValueError: x"), None, "it is the error itself");
        assert_eq!(cause_in(&serde_json::Value::Bool(false)), None);
    }

    #[test]
    fn what_leaks_is_cut() {
        let shown = scrub("bad value\nLINE 1: SELECT secret FROM x");
        assert_eq!(shown, "bad value");
        let shown = scrub("cannot open /usr/lib/python3/dist-packages/odoo/x.py on 172.19.0.2 now");
        assert!(!shown.contains("/usr") && !shown.contains("172.19"), "{shown}");
        assert!(scrub(&"x".repeat(5000)).chars().count() <= LONGEST + 1);
        assert_eq!(scrub("Traceback (most recent call last):\n  File \"a\""), "");
        assert_eq!(
            scrub("You are not allowed to access 'Lead' (crm.lead) records."),
            "You are not allowed to access 'Lead' (crm.lead) records."
        );
    }
}
