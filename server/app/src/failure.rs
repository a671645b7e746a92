//! How a command ends when it does not end well: what happened, why, what to do, and the exit code.
use std::{borrow::Cow, error::Error, fmt::Write as _};

use kernel::{Code, Fault, Refusal};
use serde_json::{Value, json};

pub type Result<T, E = Failure> = std::result::Result<T, E>;

/// The documented exit codes, beside 0 for done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Something that the caller cannot mend by asking in another way.
    Failed = 1,
    /// The command line or the configuration is wrong.
    Usage = 2,
    /// ocore does not allow it, or what it is about does not exist.
    Refused = 3,
    /// It may have happened.
    Unknown = 4,
}

#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// Stable, for programs: a code of the calls, or `usage`, `config`, `failed`.
    pub code: Cow<'static, str>,
    pub message: String,
    pub next: String,
}
impl Failure {
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self { exit, code: code.into(), message: message.into(), next: String::new() }
    }
    /// The command line is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }
    /// The configuration is wrong.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "config", message)
    }
    /// It did not work.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(Exit::Failed, "failed", message)
    }
    /// An error of the system or a library, with its causes.
    pub fn because(what: &str, error: &dyn Error) -> Self {
        Self::failed(format!("{what}: {}", chain(error)))
    }
    /// Says what to do.
    #[must_use]
    pub fn next(mut self, next: impl Into<String>) -> Self {
        self.next = next.into();
        self
    }
    /// What a program reads.
    pub fn json(&self) -> Value {
        json!({"error": {"code": self.code, "message": self.message, "next": self.next}})
    }
}

/// An error and its causes, without saying twice what a cause says already.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let said = inner.to_string();
        if !text.contains(&said) {
            let _ = write!(text, ": {said}");
        }
        cause = inner.source();
    }
    text
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Self {
        let exit = match refusal.code {
            Code::InvalidArgument => Exit::Usage,
            Code::Unreachable | Code::Timeout | Code::OdooError | Code::Busy | Code::Cancelled | Code::Internal => Exit::Failed,
            Code::OutcomeUnknown => Exit::Unknown,
            _ => Exit::Refused,
        };
        Self { exit, code: refusal.code.as_str().into(), message: refusal.message.into_owned(), next: refusal.next.into_owned() }
    }
}
impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            // Whoever runs the command line is the operator, who reads the log: the place may be told.
            Fault::Failed { what } => Self {
                exit: Exit::Failed,
                code: Code::Internal.as_str().into(),
                message: format!("ocore failed ({what})."),
                next: String::new(),
            },
            other => other.public().into(),
        }
    }
}
impl From<store::StoreError> for Failure {
    fn from(error: store::StoreError) -> Self {
        let failure = Self::failed(chain(&error));
        match error {
            store::StoreError::Unavailable(_) => {
                failure.next("Check that the store runs and that its address (database_url) is right.")
            }
            store::StoreError::Url { .. } => {
                Self::config(failure.message).next("Write sqlite:///path/to/ocore.db or postgres://user@host/database.")
            }
            store::StoreError::Vault(_) => failure.next("See docs/operations.md about the installation's key."),
            _ => failure,
        }
    }
}

/// The nearest of some names, when one is near enough.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    known
        .into_iter()
        .map(|k| (strsim::jaro_winkler(name, k), k))
        .filter(|(score, _)| *score >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, k)| k)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_tell_wrong_use_from_refusals_and_failures() {
        let exit = |code| Failure::from(kernel::refusal(code, "x")).exit;
        assert_eq!(exit(Code::InvalidArgument), Exit::Usage);
        assert_eq!(exit(Code::NotFound), Exit::Refused);
        assert_eq!(exit(Code::Unreachable), Exit::Failed);
        assert_eq!(Failure::from(Fault::unknown("a", "b")).exit, Exit::Unknown);
    }

    #[test]
    fn a_cause_is_said_once() {
        let inner = std::io::Error::other("disk full");
        let outer = std::io::Error::other(inner);
        assert_eq!(chain(&outer), "disk full");
        assert_eq!(nearest("lisen", ["listen", "data"]), Some("listen"));
        assert_eq!(nearest("zzz", ["listen", "data"]), None);
    }
}
