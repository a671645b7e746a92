//! How an OAuth request fails: a code that clients act on, and a description that tells their developers what to mend.
use std::borrow::Cow;

use serde::{Serialize, Serializer, ser::SerializeStruct as _};

/// What every rule here gives.
pub type Result<T> = std::result::Result<T, OauthError>;

/// The longest description, in bytes: it also travels in a URL and in a header.
const LONGEST: usize = 400;

/// The registered error codes that ocore answers with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Code {
    /// RFC 6749 sections 4.1.2.1 and 5.2.
    InvalidRequest,
    InvalidClient,
    InvalidGrant,
    UnauthorizedClient,
    UnsupportedGrantType,
    UnsupportedResponseType,
    InvalidScope,
    AccessDenied,
    ServerError,
    TemporarilyUnavailable,
    /// RFC 6750 section 3.1.
    InvalidToken,
    InsufficientScope,
    /// RFC 7591 section 3.2.2.
    InvalidRedirectUri,
    InvalidClientMetadata,
    /// RFC 8628 section 3.5.
    AuthorizationPending,
    SlowDown,
    ExpiredToken,
    /// RFC 8707 section 2.
    InvalidTarget,
}
impl Code {
    /// All of them.
    pub const ALL: [Self; 18] = [
        Self::InvalidRequest,
        Self::InvalidClient,
        Self::InvalidGrant,
        Self::UnauthorizedClient,
        Self::UnsupportedGrantType,
        Self::UnsupportedResponseType,
        Self::InvalidScope,
        Self::AccessDenied,
        Self::ServerError,
        Self::TemporarilyUnavailable,
        Self::InvalidToken,
        Self::InsufficientScope,
        Self::InvalidRedirectUri,
        Self::InvalidClientMetadata,
        Self::AuthorizationPending,
        Self::SlowDown,
        Self::ExpiredToken,
        Self::InvalidTarget,
    ];
    /// As on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid_request",
            Self::InvalidClient => "invalid_client",
            Self::InvalidGrant => "invalid_grant",
            Self::UnauthorizedClient => "unauthorized_client",
            Self::UnsupportedGrantType => "unsupported_grant_type",
            Self::UnsupportedResponseType => "unsupported_response_type",
            Self::InvalidScope => "invalid_scope",
            Self::AccessDenied => "access_denied",
            Self::ServerError => "server_error",
            Self::TemporarilyUnavailable => "temporarily_unavailable",
            Self::InvalidToken => "invalid_token",
            Self::InsufficientScope => "insufficient_scope",
            Self::InvalidRedirectUri => "invalid_redirect_uri",
            Self::InvalidClientMetadata => "invalid_client_metadata",
            Self::AuthorizationPending => "authorization_pending",
            Self::SlowDown => "slow_down",
            Self::ExpiredToken => "expired_token",
            Self::InvalidTarget => "invalid_target",
        }
    }
    /// The HTTP status where the error is a response of its own (not a redirect).
    pub const fn status(self) -> u16 {
        match self {
            // RFC 6749 section 5.2, RFC 6750 section 3.1. A 401 for an unknown client makes hosts register again.
            Self::InvalidClient | Self::InvalidToken => 401,
            Self::InsufficientScope => 403,
            Self::ServerError => 500,
            Self::TemporarilyUnavailable => 503,
            _ => 400,
        }
    }
}
impl std::fmt::Display for Code {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What a client reads: `{"error", "error_description"}`, or the same two as query parameters.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {description}")]
pub struct OauthError {
    code: Code,
    description: Cow<'static, str>,
}
impl OauthError {
    /// `description` says what was wrong and what to do; characters that RFC 6749 bars from it are replaced, and it is cut at 400 bytes.
    pub fn new(code: Code, description: impl Into<Cow<'static, str>>) -> Self {
        let description = description.into();
        let fine = |c: char| matches!(c, ' '..='~' if c != '"' && c != '\\');
        if description.len() <= LONGEST && description.chars().all(fine) {
            return Self { code, description };
        }
        let mended = description.chars().take(LONGEST).map(|c| match c {
            '"' => '\'',
            '\\' => '/',
            c if fine(c) => c,
            _ => '?',
        });
        Self { code, description: mended.collect::<String>().into() }
    }
    /// What a client acts on.
    pub fn code(&self) -> Code {
        self.code
    }
    /// What a developer reads; printable ASCII without `"` and `\`.
    pub fn description(&self) -> &str {
        &self.description
    }
}
impl Serialize for OauthError {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_struct("OauthError", 2)?;
        body.serialize_field("error", self.code.as_str())?;
        body.serialize_field("error_description", &*self.description)?;
        body.end()
    }
}

/// What a stranger sent, short enough to be repeated in a description.
pub(crate) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(80).collect();
    if short.len() < text.len() {
        short.push_str("...");
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn codes_are_distinct_and_bodies_have_the_two_members() {
        let texts: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(texts.len(), Code::ALL.len());
        let body = serde_json::to_value(OauthError::new(Code::InvalidGrant, "The code is spent.")).unwrap();
        assert_eq!(body, serde_json::json!({"error": "invalid_grant", "error_description": "The code is spent."}));
    }

    #[test]
    fn barred_characters_are_replaced_one_by_one() {
        for (text, meant) in [("a\\b", "a/b"), ("a\"b", "a'b"), ("a\r\nb", "a??b"), ("é", "?"), ("a b~!", "a b~!")] {
            assert_eq!(OauthError::new(Code::InvalidRequest, text).description(), meant);
        }
        assert_eq!(OauthError::new(Code::InvalidRequest, "x".repeat(401)).description().len(), 400);
    }

    proptest! {
        #[test]
        fn a_description_never_leaves_the_characters_of_rfc_6749(text in "[ -~é\u{0}-\u{1f}]{0,600}") {
            let error = OauthError::new(Code::InvalidRequest, text);
            prop_assert!(error.description().len() <= LONGEST);
            prop_assert!(error.description().bytes().all(|b| matches!(b, 0x20 | 0x21 | 0x23..=0x5B | 0x5D..=0x7E)));
        }
    }
}
