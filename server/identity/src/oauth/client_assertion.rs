//! Clients that sign: `private_key_jwt` (RFC 7523 section 3, OpenID Connect Core section 9).
//!
//! The signature is checked by `jsonwebtoken`; times are checked here, because that crate reads the machine's clock.
use std::fmt;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, Validation, decode, decode_header,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::oauth::{
    error::{Code, OauthError},
    opaque::Hash,
};
use kernel::{TimeDelta, Timestamp};

/// The one `client_assertion_type` (RFC 7523 section 2.2).
pub const TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";
/// The longest assertion, in bytes.
const LONGEST: usize = 8 * 1024;
/// The largest key set, in bytes, and the most keys in it.
pub const LARGEST_SET: usize = 64 * 1024;
const MOST_KEYS: usize = 50;
/// How far in the future an assertion may end.
const MOST_LIFE: TimeDelta = TimeDelta::minutes(5);
/// How far two clocks may differ.
const SKEW: TimeDelta = TimeDelta::seconds(30);
/// At most so often is a set fetched again because a key was not in it, or another one under its id.
const REFETCH: TimeDelta = TimeDelta::minutes(5);
/// A set that was fetched longer ago serves no more: a key that its client took back ends with it.
const MOST_AGE: TimeDelta = TimeDelta::hours(1);

/// Signatures by public key alone: with `none` or an HMAC anybody who can read the key set could sign.
const ALGORITHMS: [(Algorithm, &str); 4] =
    [(Algorithm::RS256, "RS256"), (Algorithm::PS256, "PS256"), (Algorithm::ES256, "ES256"), (Algorithm::EdDSA, "EdDSA")];

/// Their names, for the metadata.
pub fn algorithms() -> Vec<&'static str> {
    ALGORITHMS.iter().map(|(_, name)| *name).collect()
}

/// Why a key set cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeysFlaw {
    #[error("it is larger than 64 KB or has more than 50 keys; leave out old ones")]
    Large,
    #[error("it is no JSON object with a list of keys (RFC 7517 section 5)")]
    Form,
    #[error(
        "it holds a private or symmetric key, which is known to everybody now; replace that key and publish public keys alone"
    )]
    Private,
    #[error("it holds no key that can check RS256, PS256, ES256 or EdDSA")]
    Useless,
}

/// Reads a client's key set (RFC 7517). Keys of kinds that are not known here are skipped.
///
/// # Errors
/// A [`KeysFlaw`]; then no assertion of this client passes.
pub fn keys(body: &[u8]) -> std::result::Result<JwkSet, KeysFlaw> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    if body.len() > LARGEST_SET {
        return Err(KeysFlaw::Large);
    }
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(KeysFlaw::Form);
    }
    let set: Set = serde_json::from_slice(body).map_err(|_| KeysFlaw::Form)?;
    if set.keys.len() > MOST_KEYS {
        return Err(KeysFlaw::Large);
    }
    // RFC 7518 sections 6.2.2, 6.3.2 and 6.4.
    if set.keys.iter().any(|key| ["d", "p", "q", "k", "oth"].iter().any(|member| key.get(member).is_some())) {
        return Err(KeysFlaw::Private);
    }
    let keys: Vec<Jwk> = set.keys.into_iter().filter_map(|key| serde_json::from_value(key).ok()).collect();
    if !keys.iter().any(|key| ALGORITHMS.iter().any(|(algorithm, _)| fits(key, *algorithm))) {
        return Err(KeysFlaw::Useless);
    }
    Ok(JwkSet { keys })
}

/// Whether a set that was fetched may still be used.
pub fn serves(fetched_at: Timestamp, now: Timestamp) -> bool {
    now - fetched_at < MOST_AGE
}

/// Whether a set is to be fetched again because an assertion is of no key in it: so often and no more, lest invented key ids turn ocore
/// on the client's host.
pub fn refetch(fetched_at: Timestamp, now: Timestamp) -> bool {
    now - fetched_at >= REFETCH
}

/// Proof that an assertion was of a client, and what keeps it from being used again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Used {
    /// SHA-256 over the client and its `jti`. To be inserted where it is unique; when that finds it there, the assertion is refused with
    /// [`replayed`].
    pub replay: Hash,
    /// The row may be deleted after this.
    pub until: Timestamp,
}

/// Why an assertion did not pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No key of the set has the assertion's `kid`, or fits it: fetch the set again if [`refetch`] says so, and try once more.
    NoKey(OauthError),
    /// The key of that `kid` did not sign it. Its client may have replaced the key: fetch the set again, likewise.
    Signature(OauthError),
    Bad(OauthError),
}
impl From<Refused> for OauthError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoKey(error) | Refused::Signature(error) | Refused::Bad(error) => error,
        }
    }
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    sub: String,
    aud: Audience,
    exp: Seconds,
    #[serde(default)]
    iat: Option<Seconds>,
    #[serde(default)]
    nbf: Option<Seconds>,
    jti: String,
}

/// RFC 7519 section 2: a number that may have a fraction.
#[derive(Deserialize, Clone, Copy)]
#[serde(transparent)]
struct Seconds(f64);
impl Seconds {
    fn time(self) -> Option<Timestamp> {
        // Beyond the year 9999, or no number: no time.
        #[expect(clippy::cast_possible_truncation, reason = "within the range that is checked just before")]
        (0.0..=253_402_300_799.0).contains(&self.0).then(|| Timestamp::from_timestamp(self.0 as i64, 0)).flatten()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    List(Vec<String>),
}

/// Checks `client_assertion` of the client `client_id` with its `keys`.
///
/// `audiences` are the names of this server: the issuer, which is what the current drafts want, and the token endpoint's URLs, which is
/// what clients send. An assertion names exactly one of them, else another server that it was sent to could use it here.
///
/// # Errors
/// `invalid_client` with the reason.
pub fn check(
    assertion: &str,
    client_id: &str,
    audiences: &[String],
    keys: &JwkSet,
    now: Timestamp,
) -> std::result::Result<Used, Refused> {
    let bad = |what: &'static str| Refused::Bad(refuse(what));
    if assertion.len() > LONGEST {
        return Err(bad("it is longer than 8 KB."));
    }
    let header = decode_header(assertion).map_err(|_| bad("it is no signed JWT, or of an algorithm that is not known."))?;
    if !ALGORITHMS.iter().any(|(algorithm, _)| *algorithm == header.alg) {
        return Err(bad("its algorithm must be RS256, PS256, ES256 or EdDSA."));
    }
    if header.crit.is_some() || header.enc.is_some() || header.zip.is_some() {
        return Err(bad("its header asks for extensions (crit, enc, zip) that are not known here."));
    }
    // `jku`, `jwk`, `x5u` and `x5c` of the header are never looked at: they would let the sender choose the key.
    let mut fitting =
        keys.keys.iter().filter(|key| fits(key, header.alg) && (header.kid.is_none() || key.common.key_id == header.kid));
    let key = fitting.next().ok_or_else(|| {
        Refused::NoKey(refuse(
            "no key of the client's key set has its kid and fits its algorithm. Publish the key before signing with it.",
        ))
    })?;
    if header.kid.is_none() && fitting.next().is_some() {
        return Err(bad("it names no kid, and the client has several keys. Name the one that signed."));
    }
    let decoding = DecodingKey::from_jwk(key).map_err(|_| bad("the key that it names cannot be used."))?;
    let mut validation = Validation::new(header.alg);
    // All claims are checked below, with our clock.
    (validation.validate_exp, validation.validate_nbf, validation.validate_aud) = (false, false, false);
    validation.required_spec_claims.clear();
    let claims: Claims = match decode::<Value>(assertion, &decoding, &validation) {
        Ok(data) => {
            serde_json::from_value(data.claims).map_err(|_| bad("it must have iss, sub, aud, exp and jti, each of its type."))?
        }
        Err(_) => return Err(Refused::Signature(refuse("its signature is not of the key that it names."))),
    };
    claims.check(client_id, audiences, now).map_err(Refused::Bad)
}

/// Whether an assertion could pass with some key, as far as it says so itself: what cannot is refused before anybody's host is asked for
/// keys. It says nothing about who sent it.
///
/// # Errors
/// As [`check`].
pub fn plausible(assertion: &str, client_id: &str, audiences: &[String], now: Timestamp) -> std::result::Result<(), OauthError> {
    let unreadable = || refuse("it is no signed JWT with iss, sub, aud, exp and jti, each of its type.");
    if assertion.len() > LONGEST {
        return Err(refuse("it is longer than 8 KB."));
    }
    let payload = assertion.split('.').nth(1).and_then(|part| URL_SAFE_NO_PAD.decode(part).ok()).ok_or_else(unreadable)?;
    let claims: Claims = serde_json::from_slice(&payload).map_err(|_| unreadable())?;
    claims.check(client_id, audiences, now).map(drop)
}

impl Claims {
    fn check(&self, client_id: &str, audiences: &[String], now: Timestamp) -> std::result::Result<Used, OauthError> {
        if self.iss != client_id || self.sub != client_id {
            return Err(refuse("iss and sub must both be the client_id."));
        }
        let audience = match &self.aud {
            Audience::One(one) => Some(one),
            Audience::List(list) if list.len() == 1 => list.first(),
            Audience::List(_) => None,
        };
        if !audience.is_some_and(|a| audiences.contains(a)) {
            return Err(refuse(
                "aud must be exactly one: the issuer or the token endpoint, as the metadata of this server spells them.",
            ));
        }
        let exp = self.exp.time().ok_or_else(|| refuse("exp is no time."))?;
        if exp <= now - SKEW {
            return Err(refuse("it has expired. Sign a new one for each request."));
        }
        if exp > now + MOST_LIFE + SKEW {
            return Err(refuse("exp is more than 5 minutes away. Sign a new one for each request."));
        }
        for begin in [self.iat, self.nbf].into_iter().flatten() {
            if begin.time().is_none_or(|t| t > now + SKEW) {
                return Err(refuse("iat or nbf is in the future. Set the clock."));
            }
        }
        if self.jti.is_empty() || self.jti.len() > 256 {
            return Err(refuse("jti must have 1 to 256 bytes."));
        }
        let replay =
            Sha256::new_with_prefix(client_id.as_bytes()).chain_update([0]).chain_update(self.jti.as_bytes()).finalize().into();
        Ok(Used { replay, until: exp + SKEW })
    }
}

/// The `sub` of an assertion that was not checked: to find the client whose keys check it. A request with an assertion may leave
/// `client_id` out (RFC 7521 section 4.2). It says nothing about who sent it.
pub fn unchecked_subject(assertion: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Subject {
        sub: String,
    }
    if assertion.len() > LONGEST {
        return None;
    }
    let payload = URL_SAFE_NO_PAD.decode(assertion.split('.').nth(1)?).ok()?;
    serde_json::from_slice(&payload).ok().map(|Subject { sub }| sub)
}

/// What a replayed assertion is refused with.
pub fn replayed() -> OauthError {
    refuse("its jti was used before. Sign a new one for each request.")
}

fn refuse(what: impl fmt::Display) -> OauthError {
    OauthError::new(Code::InvalidClient, format!("client_assertion was refused: {what}"))
}

/// Whether a key may check signatures of an algorithm: by its type, and by what it says of itself (RFC 7517 sections 4.2 and 4.4).
fn fits(key: &Jwk, algorithm: Algorithm) -> bool {
    let kind = match &key.algorithm {
        AlgorithmParameters::RSA(_) => matches!(algorithm, Algorithm::RS256 | Algorithm::PS256),
        AlgorithmParameters::EllipticCurve(ec) => algorithm == Algorithm::ES256 && ec.curve == EllipticCurve::P256,
        AlgorithmParameters::OctetKeyPair(okp) => algorithm == Algorithm::EdDSA && okp.curve == EllipticCurve::Ed25519,
        _ => false,
    };
    let named = match key.common.key_algorithm {
        None => true,
        Some(KeyAlgorithm::RS256) => algorithm == Algorithm::RS256,
        Some(KeyAlgorithm::PS256) => algorithm == Algorithm::PS256,
        Some(KeyAlgorithm::ES256) => algorithm == Algorithm::ES256,
        Some(KeyAlgorithm::EdDSA) => algorithm == Algorithm::EdDSA,
        Some(_) => false,
    };
    let signs = matches!(key.common.public_key_use, None | Some(PublicKeyUse::Signature));
    kind && named && signs
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_lc_rs::{
        rand::SystemRandom,
        signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
    };
    use jsonwebtoken::{EncodingKey, Header, encode};
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const CLIENT: &str = "https://chatgpt.com/oauth/client.json";

    pub(crate) struct Signer {
        key: EncodingKey,
        algorithm: Algorithm,
        pub jwk: Value,
    }
    pub(crate) fn p256(kid: &str) -> Signer {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
        let point = pair.public_key().as_ref()[1..].to_vec();
        let text = |b: &[u8]| URL_SAFE_NO_PAD.encode(b);
        let jwk = json!({"kty": "EC", "crv": "P-256", "x": text(&point[..32]), "y": text(&point[32..]), "kid": kid, "alg": "ES256", "use": "sig"});
        Signer { key: EncodingKey::from_ec_der(der.as_ref()), algorithm: Algorithm::ES256, jwk }
    }
    fn ed25519(kid: &str) -> Signer {
        let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
        let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode(pair.public_key().as_ref()), "kid": kid});
        Signer { key: EncodingKey::from_ed_der(der.as_ref()), algorithm: Algorithm::EdDSA, jwk }
    }
    fn rsa(kid: &str, algorithm: Algorithm) -> Signer {
        use aws_lc_rs::{
            encoding::AsDer as _,
            rsa::{KeyPair, KeySize},
        };
        let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
        // PKCS#1: a sequence of the modulus and the exponent 65537.
        let public = pair.public_key().as_ref().to_vec();
        let der: aws_lc_rs::encoding::Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let text = |b: &[u8]| URL_SAFE_NO_PAD.encode(b);
        let jwk = json!({"kty": "RSA", "n": text(&public[9..265]), "e": "AQAB", "kid": kid, "use": "sig"});
        // The crate wants PKCS#1: the octet string at the end of PKCS#8.
        Signer { key: EncodingKey::from_rsa_der(&der.as_ref()[26..]), algorithm, jwk }
    }
    fn set(signers: &[&Signer]) -> JwkSet {
        let keys: Vec<_> = signers.iter().map(|s| s.jwk.clone()).collect();
        keys_of(&json!({ "keys": keys })).unwrap()
    }
    fn keys_of(set: &Value) -> std::result::Result<JwkSet, KeysFlaw> {
        super::keys(set.to_string().as_bytes())
    }
    fn now() -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000, 0).unwrap()
    }
    fn claims() -> Value {
        json!({"iss": CLIENT, "sub": CLIENT, "aud": "https://ocore.example/token", "exp": now().timestamp() + 60, "iat": now().timestamp(), "jti": "a"})
    }
    pub(crate) fn sign(signer: &Signer, kid: Option<&str>, claims: &Value) -> String {
        encode(&Header { kid: kid.map(str::to_owned), ..Header::new(signer.algorithm) }, claims, &signer.key).unwrap()
    }
    fn check(assertion: &str, keys: &JwkSet) -> std::result::Result<Used, Refused> {
        let names = ["https://ocore.example".to_owned(), "https://ocore.example/token".to_owned()];
        super::check(assertion, CLIENT, &names, keys, now())
    }
    fn is_bad(result: std::result::Result<Used, Refused>) -> bool {
        matches!(result, Err(Refused::Bad(error) | Refused::Signature(error)) if error.code() == Code::InvalidClient)
    }

    #[test]
    fn assertions_of_every_algorithm_pass_with_their_key_alone() {
        let signers = [p256("ec"), ed25519("ed"), rsa("r", Algorithm::RS256), rsa("p", Algorithm::PS256)];
        let all = set(&signers.iter().collect::<Vec<_>>());
        for signer in &signers {
            let kid = signer.jwk["kid"].as_str().unwrap();
            let assertion = sign(signer, Some(kid), &claims());
            let used = check(&assertion, &all).unwrap_or_else(|e| panic!("{kid}: {e:?}"));
            assert_eq!(used.until, now() + TimeDelta::seconds(90));
            assert_eq!(check(&assertion, &set(&[signer])).unwrap(), used);
            assert!(check(&sign(signer, None, &claims()), &set(&[signer])).is_ok(), "one key needs no kid");
            assert_eq!(unchecked_subject(&assertion).as_deref(), Some(CLIENT));
            // Another key of the same kind under the same id.
            let other = match signer.algorithm {
                Algorithm::ES256 => p256(kid),
                Algorithm::EdDSA => ed25519(kid),
                algorithm => rsa(kid, algorithm),
            };
            assert!(is_bad(check(&sign(&other, Some(kid), &claims()), &all)), "{kid}");
        }
    }

    #[test]
    fn the_public_key_as_hmac_secret_and_no_signature_are_refused() {
        let signer = p256("a");
        let keys = set(&[&signer]);
        let header = Header { kid: Some("a".into()), ..Header::new(Algorithm::HS256) };
        for secret in [signer.jwk.to_string(), signer.jwk["x"].as_str().unwrap().to_owned(), String::new()] {
            let forged = encode(&header, &claims(), &EncodingKey::from_secret(secret.as_bytes())).unwrap();
            assert!(is_bad(check(&forged, &keys)));
        }
        let text = |v: &Value| URL_SAFE_NO_PAD.encode(v.to_string());
        for alg in ["none", "None", "HS256", "RS1", ""] {
            let body = format!("{}.{}", text(&json!({"alg": alg, "kid": "a"})), text(&claims()));
            for forged in [format!("{body}."), body.clone(), format!("{body}.AAAA")] {
                assert!(is_bad(check(&forged, &keys)), "{alg}");
            }
        }
        let good = sign(&signer, Some("a"), &claims());
        let mut parts: Vec<_> = good.split('.').map(str::to_owned).collect();
        let mut other = claims();
        other["exp"] = json!(now().timestamp() + 61);
        parts[1] = text(&other);
        assert!(is_bad(check(&parts.join("."), &keys)), "the claims were changed");
        assert!(
            is_bad(check(&format!("{good}.x"), &keys)) && is_bad(check("", &keys)) && is_bad(check(&"a".repeat(9000), &keys))
        );
    }

    #[test]
    fn a_key_that_the_assertion_brings_along_is_not_used() {
        let (own, attacker) = (p256("a"), p256("a"));
        let jwk: Jwk = serde_json::from_value(attacker.jwk.clone()).unwrap();
        let mut header = Header { kid: Some("a".into()), jwk: Some(jwk), ..Header::new(Algorithm::ES256) };
        header.jku = Some("https://evil.example/keys".into());
        let forged = encode(&header, &claims(), &attacker.key).unwrap();
        assert!(is_bad(check(&forged, &set(&[&own]))));
        let mut header = Header { kid: Some("a".into()), ..Header::new(Algorithm::ES256) };
        header.crit = Some(vec!["b64".into()]);
        assert!(is_bad(check(&encode(&header, &claims(), &own.key).unwrap(), &set(&[&own]))));
    }

    #[test]
    fn claims_of_another_client_server_or_time_are_refused() {
        let signer = p256("a");
        let keys = set(&[&signer]);
        let at = |seconds: i64| json!(now().timestamp() + seconds);
        for (member, value, fine) in [
            ("iss", json!("https://evil.example/c"), false),
            ("sub", json!("https://evil.example/c"), false),
            ("iss", json!(null), false),
            ("aud", json!("https://ocore.example"), true),
            ("aud", json!(["https://ocore.example/token"]), true),
            ("aud", json!(["https://ocore.example/token", "https://evil.example/token"]), false),
            ("aud", json!([]), false),
            ("aud", json!("https://evil.example/token"), false),
            ("aud", json!("https://ocore.example/token/"), false),
            ("aud", json!("https://ocore.example//token"), false),
            ("aud", json!(null), false),
            ("exp", at(-29), true),
            ("exp", at(-30), false),
            ("exp", at(330), true),
            ("exp", at(331), false),
            ("exp", json!(null), false),
            ("exp", json!("soon"), false),
            ("exp", json!(-1), false),
            ("exp", json!(1e300), false),
            ("exp", json!(1_790_000_060.5), true),
            ("iat", at(30), true),
            ("iat", at(31), false),
            ("iat", json!(null), true),
            ("nbf", at(31), false),
            ("nbf", at(-1000), true),
            ("jti", json!(""), false),
            ("jti", json!(null), false),
            ("jti", json!("x".repeat(257)), false),
        ] {
            let mut claims = claims();
            claims[member] = value.clone();
            let result = check(&sign(&signer, Some("a"), &claims), &keys);
            assert!(if fine { result.is_ok() } else { is_bad(result) }, "{member} {value}");
        }
    }

    #[test]
    fn a_jti_counts_once_for_its_client_alone() {
        let signer = p256("a");
        let keys = set(&[&signer]);
        let mut seen = std::collections::HashSet::new();
        let mut other = claims();
        other["jti"] = json!("b");
        for (claims, first) in [(claims(), true), (claims(), false), (other, true)] {
            let used = check(&sign(&signer, Some("a"), &claims), &keys).unwrap();
            assert_eq!(seen.insert(used.replay), first);
        }
        let names = ["https://ocore.example/token".to_owned()];
        let mut foreign = claims();
        (foreign["iss"], foreign["sub"]) = (json!("other"), json!("other"));
        let used = super::check(&sign(&signer, Some("a"), &foreign), "other", &names, &keys, now()).unwrap();
        assert!(seen.insert(used.replay));
        // Where the client ends and its jti begins matters.
        let one = |client: &str, jti: &str| {
            let mut claims = foreign.clone();
            (claims["iss"], claims["sub"], claims["jti"]) = (json!(client), json!(client), json!(jti));
            super::check(&sign(&signer, Some("a"), &claims), client, &names, &keys, now()).unwrap().replay
        };
        assert_ne!(one("ab", "c"), one("a", "bc"));
        assert_eq!(replayed().code(), Code::InvalidClient);
    }

    #[test]
    fn an_unknown_kid_asks_for_the_set_again_at_most_every_five_minutes() {
        let (old, new) = (p256("old"), p256("new"));
        assert!(matches!(check(&sign(&new, Some("new"), &claims()), &set(&[&old])), Err(Refused::NoKey(_))));
        assert!(check(&sign(&new, Some("new"), &claims()), &set(&[&old, &new])).is_ok());
        for signer in [&old, &new] {
            assert!(is_bad(check(&sign(signer, None, &claims()), &set(&[&old, &new]))), "two keys and no kid");
        }
        assert!(!refetch(now(), now() + TimeDelta::seconds(299)) && refetch(now(), now() + TimeDelta::minutes(5)));
    }

    #[test]
    fn key_sets_with_secrets_or_nothing_useful_are_refused() {
        let good = p256("a").jwk;
        assert!(
            keys_of(&json!({"keys": [good, {"kty": "future", "x": 1}, {"kty": "AKP", "alg": "ML-DSA-44", "pub": "AA"}]})).is_ok()
        );
        let with = |member: &str, value: Value| {
            let mut key = good.clone();
            key[member] = value;
            keys_of(&json!({"keys": [key]}))
        };
        assert_eq!(with("d", json!("AA")), Err(KeysFlaw::Private));
        assert_eq!(with("use", json!("enc")), Err(KeysFlaw::Useless));
        assert_eq!(with("alg", json!("RS256")), Err(KeysFlaw::Useless));
        assert_eq!(with("crv", json!("P-384")), Err(KeysFlaw::Useless));
        assert_eq!(keys_of(&json!({"keys": [{"kty": "oct", "k": "AAAA"}]})), Err(KeysFlaw::Private));
        assert_eq!(keys_of(&json!({"keys": []})), Err(KeysFlaw::Useless));
        assert_eq!(keys_of(&json!({"keys": vec![good.clone(); 51]})), Err(KeysFlaw::Large));
        for form in [json!([]), json!({}), json!({"keys": {}}), json!("x")] {
            assert_eq!(keys_of(&form), Err(KeysFlaw::Form));
        }
        assert_eq!(super::keys(&vec![b' '; LARGEST_SET + 1]), Err(KeysFlaw::Large));
    }

    #[test]
    fn small_rsa_keys_check_nothing() {
        // 1024 bits, and a signature by the very key: its private half was thrown away.
        let modulus = "5iUaM0qZMhXPY7MoSY2bPGZ-e74qq1h8dCq8KDdHW6T7PKWBHDUAl68zT0bXo6lFRfgyiH3n3JUqs6hfvJBhcSQZgTL6XtbNpMxzF_iJ0jtLxiOjLWgZ12JtkMerBto2-_lGDAHfnUGL3KYuR-H-WY-ziAr7CjizvhmaQ-BaqwE";
        let assertion = "eyJhbGciOiJSUzI1NiIsImtpZCI6ImEifQ.eyJpc3MiOiJodHRwczovL2NoYXRncHQuY29tL29hdXRoL2NsaWVudC5qc29uIiwic3ViIjoiaHR0cHM6Ly9jaGF0Z3B0LmNvbS9vYXV0aC9jbGllbnQuanNvbiIsImF1ZCI6Imh0dHBzOi8vb2NvcmUuZXhhbXBsZS90b2tlbiIsImV4cCI6MTc5MDAwMDA2MCwianRpIjoiYSJ9.5hEFbT1x_5EhZ4cNs9ph42CXsu8WOMlw10w27OfdrXXIPKhL5LRFs4ExVpIklFK8hzDFTDJmO_bTmE_u_MYGyLjZBgLOcVxErcmZet5soeJ3DjEY5D4CzD2VzC8P9LwlGlx1PE5h0NrckSeM57WIKE9DBIzs0wJ0f2xa3wtE4I4";
        let keys = keys_of(&json!({"keys": [{"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "a"}]})).unwrap();
        assert!(is_bad(check(assertion, &keys)));
    }

    proptest! {
        #[test]
        fn strangers_bytes_never_panic(text in "[A-Za-z0-9_.-]{0,200}", body in proptest::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(check(&text, &JwkSet::default()).is_err());
            let _ = unchecked_subject(&text);
            let _ = super::keys(&body);
        }
    }
}
