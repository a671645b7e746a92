//! How a call fails: refused (the caller can mend it), failed (we must), or unknown (look before you retry).
use std::{borrow::Cow, fmt};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::Access;

pub type Result<T> = std::result::Result<T, Fault>;

/// The stable codes, the same through every façade.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    UnknownTool,
    Unauthorized,
    PermissionDenied,
    WriteBlocked,
    ConfirmRequired,
    InvalidArgument,
    ModelDenied,
    FieldDenied,
    RecordDenied,
    RateLimited,
    Busy,
    Timeout,
    OutcomeUnknown,
    NotConfigured,
    NotSupported,
    Unreachable,
    OdooError,
    SqlRefused,
    PathRefused,
    NotFound,
    Conflict,
    TooLarge,
    Cancelled,
    Internal,
}
impl Code {
    pub const ALL: [Self; 24] = [
        Self::UnknownTool,
        Self::Unauthorized,
        Self::PermissionDenied,
        Self::WriteBlocked,
        Self::ConfirmRequired,
        Self::InvalidArgument,
        Self::ModelDenied,
        Self::FieldDenied,
        Self::RecordDenied,
        Self::RateLimited,
        Self::Busy,
        Self::Timeout,
        Self::OutcomeUnknown,
        Self::NotConfigured,
        Self::NotSupported,
        Self::Unreachable,
        Self::OdooError,
        Self::SqlRefused,
        Self::PathRefused,
        Self::NotFound,
        Self::Conflict,
        Self::TooLarge,
        Self::Cancelled,
        Self::Internal,
    ];
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnknownTool => "unknown_tool",
            Self::Unauthorized => "unauthorized",
            Self::PermissionDenied => "permission_denied",
            Self::WriteBlocked => "write_blocked",
            Self::ConfirmRequired => "confirm_required",
            Self::InvalidArgument => "invalid_argument",
            Self::ModelDenied => "model_denied",
            Self::FieldDenied => "field_denied",
            Self::RecordDenied => "record_denied",
            Self::RateLimited => "rate_limited",
            Self::Busy => "busy",
            Self::Timeout => "timeout",
            Self::OutcomeUnknown => "outcome_unknown",
            Self::NotConfigured => "not_configured",
            Self::NotSupported => "not_supported",
            Self::Unreachable => "unreachable",
            Self::OdooError => "odoo_error",
            Self::SqlRefused => "sql_refused",
            Self::PathRefused => "path_refused",
            Self::NotFound => "not_found",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::Cancelled => "cancelled",
            Self::Internal => "internal",
        }
    }
}
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a caller reads: a stable code, what happened, and what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    pub code: Code,
    pub message: Cow<'static, str>,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub next: Cow<'static, str>,
    /// What the caller's access token would have to allow, where that alone is missing: façades of OAuth clients tell them, so that they
    /// ask the person for it.
    #[serde(skip)]
    pub lacks: Option<Access>,
}
impl Refusal {
    /// Says what to do next.
    #[must_use]
    pub fn next(mut self, next: impl Into<Cow<'static, str>>) -> Self {
        self.next = next.into();
        self
    }
}
/// A refusal without advice; add it with [`Refusal::next`].
pub fn refusal(code: Code, message: impl Into<Cow<'static, str>>) -> Refusal {
    Refusal { code, message: message.into(), next: Cow::Borrowed(""), lacks: None }
}

/// Three ways not to succeed, never two: a write that may have happened is neither refused nor failed.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Fault {
    /// The caller can mend it.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// We must mend it. `what` names the place for our log; it never reaches a caller.
    #[error("internal error in {what}")]
    Failed { what: Cow<'static, str> },
    /// It may have happened. `check` tells how to find out.
    #[error("the outcome is unknown: {message}")]
    Unknown { message: Cow<'static, str>, check: Cow<'static, str> },
}
impl Fault {
    pub fn failed(what: impl Into<Cow<'static, str>>) -> Self {
        Self::Failed { what: what.into() }
    }
    pub fn unknown(message: impl Into<Cow<'static, str>>, check: impl Into<Cow<'static, str>>) -> Self {
        Self::Unknown { message: message.into(), check: check.into() }
    }
    pub fn code(&self) -> Code {
        match self {
            Self::Refused(r) => r.code,
            Self::Failed { .. } => Code::Internal,
            Self::Unknown { .. } => Code::OutcomeUnknown,
        }
    }
    /// What a caller may read of it.
    pub fn public(&self) -> Refusal {
        match self {
            Self::Refused(r) => r.clone(),
            Self::Failed { .. } => refusal(Code::Internal, "ocore failed while it worked on this call.")
                .next("Nothing you can mend: tell the operator the time of the call; the log names the place."),
            Self::Unknown { message, check } => refusal(Code::OutcomeUnknown, message.clone()).next(check.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_code_is_its_serialized_form() {
        for code in Code::ALL {
            assert_eq!(serde_json::to_value(code).unwrap(), code.as_str());
        }
    }

    #[test]
    fn what_failed_is_not_told_to_the_caller() {
        let fault = Fault::failed("vault: /var/lib/ocore/key");
        assert!(!serde_json::to_string(&fault.public()).unwrap().contains("vault"));
    }
}
