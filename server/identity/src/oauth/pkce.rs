//! Proof Key for Code Exchange (RFC 7636), with S256 alone: OAuth 2.1 section 4.1.1 and MCP bar `plain`.
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::oauth::error::{Code, OauthError, Result};

/// The one method; a missing `code_challenge_method` means `plain` (RFC 7636 section 4.3) and is refused.
pub const METHOD: &str = "S256";

/// The SHA-256 of a verifier that only the client knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge([u8; 32]);
impl Challenge {
    /// Reads `code_challenge` and `code_challenge_method` of an authorization request.
    ///
    /// # Errors
    /// `invalid_request` where one is missing, the method is another, or the challenge is not 32 bytes in base64url without padding.
    pub fn parse(challenge: Option<&str>, method: Option<&str>) -> Result<Self> {
        let refuse = |what: &'static str| OauthError::new(Code::InvalidRequest, what);
        let challenge = challenge.ok_or_else(|| {
            refuse("code_challenge is missing. This server wants PKCE: send code_challenge and code_challenge_method=S256 (RFC 7636).")
        })?;
        if method != Some(METHOD) {
            return Err(refuse(
                "code_challenge_method must be S256. Left out it means plain, which this server does not take; hash the verifier with SHA-256.",
            ));
        }
        // Strict: no padding, no bits that are left over, so that one verifier has one challenge.
        let bytes = URL_SAFE_NO_PAD.decode(challenge).ok().and_then(|b| <[u8; 32]>::try_from(b).ok());
        bytes.map(Self).ok_or_else(|| {
            refuse("code_challenge is not a SHA-256 in base64url: it must be 43 characters of A-Z, a-z, 0-9, - and _ without padding.")
        })
    }

    /// Compares with `code_verifier` of the token request, in the same time whatever it is.
    ///
    /// # Errors
    /// `invalid_request` where it is missing, `invalid_grant` where it does not fit (RFC 7636 section 4.6).
    pub fn verify(&self, verifier: Option<&str>) -> Result<()> {
        let verifier = verifier.ok_or_else(|| {
            OauthError::new(
                Code::InvalidRequest,
                "code_verifier is missing. Send the text whose SHA-256 was the code_challenge of the authorization request.",
            )
        })?;
        let formed = (43..=128).contains(&verifier.len())
            && verifier.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~'));
        let digest: [u8; 32] = Sha256::digest(verifier.as_bytes()).into();
        if bool::from(digest.ct_eq(&self.0)) && formed {
            return Ok(());
        }
        Err(OauthError::new(
            Code::InvalidGrant,
            "code_verifier does not fit the code_challenge of the authorization request. Start the authorization again and keep its verifier (43 to 128 characters).",
        ))
    }

    /// For the store.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
    /// From the store.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // RFC 7636 appendix B.
    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
    const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

    #[test]
    fn the_example_of_the_rfc_passes() {
        Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap().verify(Some(VERIFIER)).unwrap();
    }

    #[test]
    fn missing_plain_and_malformed_challenges_are_refused() {
        for (challenge, method) in [
            (None, Some("S256")),
            (None, None),
            (Some(CHALLENGE), None),
            (Some(CHALLENGE), Some("plain")),
            (Some(CHALLENGE), Some("s256")),
            (Some(CHALLENGE), Some("")),
            (Some(""), Some("S256")),
            (Some(VERIFIER), Some("plain")),
            (Some(&CHALLENGE[..42]), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM="), Some("S256")),
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw+cM"), Some("S256")),
            // The same 32 bytes with other bits left over.
            (Some("E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cN"), Some("S256")),
        ] {
            let error = Challenge::parse(challenge, method).unwrap_err();
            assert_eq!(error.code(), Code::InvalidRequest, "{challenge:?} {method:?}");
        }
    }

    #[test]
    fn the_challenge_itself_is_no_verifier() {
        let challenge = Challenge::parse(Some(CHALLENGE), Some("S256")).unwrap();
        assert_eq!(challenge.verify(Some(CHALLENGE)).unwrap_err().code(), Code::InvalidGrant);
        assert_eq!(challenge.verify(None).unwrap_err().code(), Code::InvalidRequest);
    }

    #[test]
    fn verifiers_outside_the_lengths_and_characters_fail_though_their_hash_fits() {
        for verifier in
            ["x".repeat(42), "x".repeat(129), format!("{} ", "x".repeat(50)), format!("{}ä", "x".repeat(50)), String::new()]
        {
            let challenge = Challenge(Sha256::digest(verifier.as_bytes()).into());
            assert!(challenge.verify(Some(&verifier)).is_err(), "{verifier}");
        }
        for verifier in ["x".repeat(43), "~".repeat(128)] {
            Challenge(Sha256::digest(verifier.as_bytes()).into()).verify(Some(&verifier)).unwrap();
        }
    }

    proptest! {
        #[test]
        fn only_the_same_verifier_fits(a in "[A-Za-z0-9._~-]{43,128}", b in "[A-Za-z0-9._~-]{43,128}") {
            let text = URL_SAFE_NO_PAD.encode(Sha256::digest(a.as_bytes()));
            let challenge = Challenge::parse(Some(&text), Some(METHOD)).unwrap();
            prop_assert!(challenge.verify(Some(&a)).is_ok());
            prop_assert_eq!(challenge.verify(Some(&b)).is_ok(), a == b);
        }
    }
}
