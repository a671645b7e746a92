//! Client authentication at the token, revocation and introspection endpoints (RFC 6749 section 2.3, RFC 7521 section 4.2).
use base64::{Engine as _, engine::general_purpose::STANDARD};
use percent_encoding::percent_decode_str;
use subtle::ConstantTimeEq as _;

use crate::oauth::{
    client_assertion,
    error::{Code, OauthError, Result},
    opaque::{self, Hash},
    registration::AuthMethod,
};
use kernel::{ExposeSecret as _, SecretString};

/// The longest `client_id`, in bytes.
const LONGEST: usize = 500;

/// The members of the form that say who asks. Empty ones count as left out: some hosts send `client_secret=`.
#[derive(Debug, Default)]
pub struct Form<'a> {
    pub client_id: Option<&'a str>,
    pub client_secret: Option<&'a str>,
    pub client_assertion_type: Option<&'a str>,
    pub client_assertion: Option<&'a str>,
}

/// What a request shows for proof.
#[derive(Debug)]
pub enum Proof {
    /// Neither secret nor assertion.
    Nothing,
    /// In the header or in the form: which of the two does not matter here.
    Secret(SecretString),
    /// To be checked by [`client_assertion::check`].
    Assertion(String),
}

/// Who a request says it is of.
#[derive(Debug)]
pub struct Claim {
    /// Not yet known to exist.
    pub client_id: String,
    /// To be checked by [`check`].
    pub proof: Proof,
}

/// How far a client is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// Nobody proved anything; PKCE and the token itself must do.
    Public,
    /// The secret was right.
    Confidential,
    /// Whoever checks the assertion decides.
    IfAssertionPasses,
}

/// Reads who a request is of.
///
/// # Errors
/// `invalid_request` where it proves itself in two ways (RFC 6749 section 2.3), or names two clients; `invalid_client` where it names
/// none or cannot be read.
pub fn read(authorization: Option<&str>, form: &Form<'_>) -> Result<Claim> {
    let given = |text: Option<&'_ str>| text.filter(|t| !t.is_empty()).map(str::to_owned);
    let basic = authorization.filter(|a| a.get(..6).is_some_and(|s| s.eq_ignore_ascii_case("basic "))).map(basic).transpose()?;
    let (secret, assertion) = (given(form.client_secret), given(form.client_assertion));
    let named = given(form.client_id);
    if [basic.is_some(), secret.is_some(), assertion.is_some()].into_iter().filter(|b| *b).count() > 1 {
        return Err(OauthError::new(
            Code::InvalidRequest,
            "The client authenticates in several ways at once. Send one: the Authorization header, client_secret, or client_assertion.",
        ));
    }
    let (client_id, proof) = match (basic, secret, assertion) {
        (Some((id, secret)), ..) => (Some(id), Proof::Secret(secret)),
        (_, Some(secret), _) => (None, Proof::Secret(secret.into())),
        (.., Some(assertion)) => {
            if form.client_assertion_type != Some(client_assertion::TYPE) {
                return Err(OauthError::new(
                    Code::InvalidClient,
                    "client_assertion_type must be urn:ietf:params:oauth:client-assertion-type:jwt-bearer.",
                ));
            }
            (client_assertion::unchecked_subject(&assertion), Proof::Assertion(assertion))
        }
        _ => (None, Proof::Nothing),
    };
    let client_id = match (client_id, named) {
        (Some(one), Some(other)) if one != other => {
            return Err(OauthError::new(
                Code::InvalidRequest,
                "client_id is not the one that the client authenticates as. Send one of them.",
            ));
        }
        (Some(id), _) | (None, Some(id)) => id,
        (None, None) => {
            return Err(OauthError::new(
                Code::InvalidClient,
                "client_id is missing. Send it in the form, or authenticate as the client.",
            ));
        }
    };
    if !is_id(&client_id) {
        return Err(OauthError::new(Code::InvalidClient, "client_id is no id of a client here. Register again."));
    }
    Ok(Claim { client_id, proof })
}

/// Whether a text can be the id of a client (RFC 6749 appendix A.1): others are not looked up. PostgreSQL refuses some.
pub fn is_id(text: &str) -> bool {
    text.len() <= LONGEST && text.bytes().all(|b| (0x20..0x7f).contains(&b))
}

/// Compares what a request shows with what its client may use. `secret` is the hash that is stored. Both ways to send a secret are taken
/// from whoever has one: hosts register one and use the other.
///
/// # Errors
/// `invalid_client`, the same for a wrong and a missing secret.
pub fn check(methods: &[AuthMethod], secret: Option<&Hash>, proof: &Proof) -> Result<Known> {
    let with_secret = methods.iter().any(|m| matches!(m, AuthMethod::ClientSecretBasic | AuthMethod::ClientSecretPost));
    let refuse = |what: &'static str| Err(OauthError::new(Code::InvalidClient, what));
    match proof {
        Proof::Secret(shown) if with_secret => {
            let hash = opaque::hash(shown.expose_secret());
            if secret.is_some_and(|stored| bool::from(stored.ct_eq(&hash))) {
                return Ok(Known::Confidential);
            }
            refuse("The client secret is wrong. Send the one that registration gave, or register again.")
        }
        Proof::Assertion(_) if methods.contains(&AuthMethod::PrivateKeyJwt) => Ok(Known::IfAssertionPasses),
        // A public client that sends some secret proves nothing with it, but that is no reason to fail.
        Proof::Nothing | Proof::Secret(_) if methods.contains(&AuthMethod::None) => Ok(Known::Public),
        Proof::Nothing if with_secret => {
            refuse("The client secret is missing. Send it, or register as a public client (token_endpoint_auth_method none).")
        }
        Proof::Nothing => refuse("client_assertion is missing. This client signs its requests (private_key_jwt)."),
        Proof::Secret(_) => refuse("This client has no secret. Send client_assertion."),
        Proof::Assertion(_) => refuse("This client has no keys. Leave client_assertion out."),
    }
}

/// RFC 6749 section 2.3.1: both halves are form-encoded before they are joined.
fn basic(header: &str) -> Result<(String, SecretString)> {
    let bad = || {
        OauthError::new(
            Code::InvalidClient,
            "The Authorization header cannot be read. Send Basic and base64 of client_id:client_secret.",
        )
    };
    let encoded = header.get(6..).unwrap_or_default().trim();
    let text = STANDARD.decode(encoded).ok().and_then(|b| String::from_utf8(b).ok()).ok_or_else(bad)?;
    let (id, secret) = text.split_once(':').ok_or_else(bad)?;
    let decode = |half: &str| {
        percent_decode_str(&half.replace('+', " ")).decode_utf8().map(std::borrow::Cow::into_owned).map_err(|_| bad())
    };
    Ok((decode(id)?, decode(secret)?.into()))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn header(id: &str, secret: &str) -> String {
        format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
    }

    #[test]
    fn each_way_to_say_who_one_is_is_read() {
        let form = Form { client_id: Some("oci_a"), client_secret: Some(""), ..Form::default() };
        let claim = read(Some("Bearer x"), &form).unwrap();
        assert!(claim.client_id == "oci_a" && matches!(claim.proof, Proof::Nothing));
        let form = Form { client_id: Some("oci_a"), client_secret: Some("s"), ..Form::default() };
        assert!(matches!(read(None, &form).unwrap().proof, Proof::Secret(s) if s.expose_secret() == "s"));
        let claim = read(Some(&header("https%3A%2F%2Fa.example%2Fc", "p+q%2B")), &Form::default()).unwrap();
        assert_eq!(claim.client_id, "https://a.example/c");
        assert!(matches!(claim.proof, Proof::Secret(s) if s.expose_secret() == "p q+"));
        let same = Form { client_id: Some("oci_a"), ..Form::default() };
        assert!(read(Some(&header("oci_a", "s").replace("Basic", "bAsIc")), &same).is_ok(), "the id may be repeated in the form");
    }

    #[test]
    fn two_proofs_two_names_and_none_are_refused() {
        let both = Form { client_id: Some("a"), client_secret: Some("s"), ..Form::default() };
        assert_eq!(read(Some(&header("a", "s")), &both).unwrap_err().code(), Code::InvalidRequest);
        let assertion = Form {
            client_secret: Some("s"),
            client_assertion: Some("a.b.c"),
            client_assertion_type: Some(client_assertion::TYPE),
            ..Form::default()
        };
        assert_eq!(read(None, &assertion).unwrap_err().code(), Code::InvalidRequest);
        let other = Form { client_id: Some("b"), ..Form::default() };
        assert_eq!(read(Some(&header("a", "s")), &other).unwrap_err().code(), Code::InvalidRequest);
        let wrong_type =
            Form { client_id: Some("a"), client_assertion: Some("a.b.c"), client_assertion_type: Some("x"), ..Form::default() };
        for form in [
            Form::default(),
            wrong_type,
            Form { client_id: Some("a\nb"), ..Form::default() },
            Form { client_id: Some(&"a".repeat(501)), ..Form::default() },
        ] {
            assert_eq!(read(None, &form).unwrap_err().code(), Code::InvalidClient, "{form:?}");
        }
        for bad in ["Basic", "Basic ", "Basic !", "Basic YQ==", "Basic /w=="] {
            assert!(read(Some(bad), &Form::default()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_client_is_known_by_what_it_registered_alone() {
        use AuthMethod::{ClientSecretBasic, ClientSecretPost, None as Public, PrivateKeyJwt};
        let hash = opaque::hash("right");
        let secret = |s: &str| Proof::Secret(s.to_owned().into());
        let assertion = || Proof::Assertion(String::new());
        for (methods, stored, proof, meant) in [
            (&[ClientSecretBasic][..], Some(&hash), secret("right"), Some(Known::Confidential)),
            (&[ClientSecretPost], Some(&hash), secret("right"), Some(Known::Confidential)),
            (&[ClientSecretPost], Some(&hash), secret("wrong"), None),
            (&[ClientSecretPost], Some(&hash), Proof::Nothing, None),
            (&[ClientSecretPost], None, secret("right"), None),
            (&[ClientSecretPost], Some(&hash), assertion(), None),
            (&[Public], None, Proof::Nothing, Some(Known::Public)),
            (&[Public], None, secret("any"), Some(Known::Public)),
            (&[Public], None, assertion(), None),
            (&[PrivateKeyJwt], None, assertion(), Some(Known::IfAssertionPasses)),
            (&[PrivateKeyJwt], None, Proof::Nothing, None),
            (&[PrivateKeyJwt], None, secret("any"), None),
            (&[PrivateKeyJwt, Public], None, Proof::Nothing, Some(Known::Public)),
            (&[PrivateKeyJwt, Public], None, assertion(), Some(Known::IfAssertionPasses)),
            (&[], None, Proof::Nothing, None),
        ] {
            let result = check(methods, stored, &proof);
            assert_eq!(result.as_ref().ok().copied(), meant, "{methods:?} {proof:?}");
            assert!(result.err().is_none_or(|e| e.code() == Code::InvalidClient && e.code().status() == 401));
        }
    }

    proptest! {
        #[test]
        fn no_header_makes_reading_panic(header in ".{0,60}", id in ".{0,20}") {
            let _ = read(Some(&header), &Form { client_id: Some(&id), ..Form::default() });
            let _ = read(Some(&format!("Basic {header}")), &Form::default());
        }

        #[test]
        fn secrets_come_through_the_header_as_they_are(id in "[!-9;-~]{1,20}", secret in "[ -~]{1,20}") {
            let encode = |t: &str| percent_encoding::utf8_percent_encode(t, percent_encoding::NON_ALPHANUMERIC).to_string();
            let claim = read(Some(&header(&encode(&id), &encode(&secret))), &Form::default()).unwrap();
            prop_assert_eq!(claim.client_id, id);
            prop_assert!(matches!(claim.proof, Proof::Secret(s) if s.expose_secret() == secret));
        }
    }
}
