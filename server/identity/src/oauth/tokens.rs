//! Authorization codes, refresh tokens and access tokens: what each may still do, decided from rows and the time.
//!
//! All tokens that come of one code (or device code) are a *family*. Its refresh tokens have a generation; the newest generation is the
//! one in use. Using a token of it begins the next (rotation, OAuth 2.1 section 4.3.1). Hosts refresh in parallel and lose answers, so a
//! token that was replaced less than [`GRACE`] ago is not a sign of theft: whoever presents it joins the present generation and gets
//! tokens of its own. One that was replaced longer ago is, and ends the family: either its owner or a thief holds it, and both must not.
//!
//! # What the store does
//! A decision holds for the rows that it was made from. Each names a compare-and-set, to be run in one transaction with what stands
//! beside it; where it changes no row, somebody was faster: roll back, read the rows again and decide again, at most [`TRIES`] times.
//!
//! | decision | compare-and-set | in the same transaction |
//! |---|---|---|
//! | [`Exchange::Spend`] | `UPDATE oauth_codes SET spent_at = now, family_id = F WHERE hash = H AND spent_at IS NULL` | insert the family before it, its first tokens after it |
//! | [`Exchange::Burn`] | `UPDATE oauth_codes SET spent_at = now WHERE hash = H AND spent_at IS NULL` | |
//! | [`Exchange::Replay`] | `UPDATE oauth_families SET revoked_at = now, revoked_why = 'code_replay' WHERE id = F AND revoked_at IS NULL` | |
//! | [`Refresh::Rotate`] | `UPDATE oauth_families SET generation = G + 1, joined = 0 WHERE id = F AND generation = G AND revoked_at IS NULL` | then `UPDATE oauth_refresh_tokens SET superseded_at = now WHERE family_id = F AND generation = G`, and insert tokens of generation G + 1 |
//! | [`Refresh::Join`] | `UPDATE oauth_families SET joined = joined + 1 WHERE id = F AND generation = G AND joined < 100 AND revoked_at IS NULL` | then insert tokens of generation G |
//! | [`Refresh::Revoke`] | `UPDATE oauth_families SET revoked_at = now, revoked_why = 'reuse' WHERE id = F AND revoked_at IS NULL` | |
//!
//! Both updates of a family take its row's lock, so a token never enters a generation that was replaced meanwhile. Before it they take
//! the lock of the consent's row, in the order in which a revocation goes.
use serde::{Serialize, Serializer, ser::SerializeMap as _};

use crate::oauth::{
    error::{Code, OauthError, Result},
    pkce::Challenge,
    resource::{PublicUrl, Resource},
    scope::Scopes,
};
use kernel::{ExposeSecret as _, FamilyId, GrantId, SecretString, TimeDelta, Timestamp};

/// From consent to the token request. RFC 6749 section 4.1.2 allows ten minutes; hosts need seconds.
pub const CODE_LIFE: TimeDelta = TimeDelta::minutes(1);
/// Of an access token; a revocation acts sooner.
pub const ACCESS_LIFE: TimeDelta = TimeDelta::hours(1);
/// Of each refresh token: a client that comes once a month stays connected.
pub const REFRESH_LIFE: TimeDelta = TimeDelta::days(30);
/// Of a family, however often it is refreshed: then the person is asked again.
pub const FAMILY_LIFE: TimeDelta = TimeDelta::days(365);
/// How long a replaced refresh token still gives tokens.
pub const GRACE: TimeDelta = TimeDelta::seconds(90);
/// How many may join one generation: far more than any host has workers, and an end to minting in the grace window.
pub const MOST_JOINED: i64 = 100;
/// How often a lost compare-and-set is tried again before `temporarily_unavailable`.
pub const TRIES: usize = 5;

/// An authorization code, as it is stored. Its row is kept until its family has ended, so that a replay is known as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthorizationCode {
    /// Whom it was given to.
    pub client: String,
    /// As in the authorization request, with its port.
    pub redirect_uri: String,
    /// What its verifier must hash to.
    pub challenge: Challenge,
    pub resource: Resource,
    pub scopes: Scopes,
    /// The consent that it comes of.
    pub grant: GrantId,
    pub expires_at: Timestamp,
    /// When it was used or burnt.
    pub spent_at: Option<Timestamp>,
    /// What it gave.
    pub family: Option<FamilyId>,
}

/// A token request with `grant_type=authorization_code`, after the client was authenticated.
#[derive(Debug, Clone, Copy)]
pub struct CodeRequest<'a> {
    /// Who asks.
    pub client: &'a str,
    /// Left out by clients of OAuth 2.1; where it is sent it must be the same (its section 10.2).
    pub redirect_uri: Option<&'a str>,
    /// `code_verifier`.
    pub verifier: Option<&'a str>,
    /// None where no `resource` was sent.
    pub resource: Option<&'a Resource>,
}

/// What becomes of a code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exchange {
    /// Give tokens.
    Spend,
    /// The request is wrong: the code must not be tried again, and gives nothing.
    Burn(OauthError),
    /// It was used before: end what it gave (OAuth 2.1 section 4.1.3).
    Replay { revoke: Option<FamilyId>, error: OauthError },
    /// Nothing is to be done.
    Refuse(OauthError),
}

/// Decides on a code that was found by its hash.
pub fn exchange(code: &AuthorizationCode, request: &CodeRequest<'_>, now: Timestamp) -> Exchange {
    let grant = |what: &'static str| OauthError::new(Code::InvalidGrant, what);
    if code.spent_at.is_some() {
        return Exchange::Replay {
            revoke: code.family,
            error: grant(
                "The code was used before; what it gave is revoked. Start the authorization again, and send each code once.",
            ),
        };
    }
    if code.expires_at <= now {
        return Exchange::Refuse(grant("The code has expired: it lives one minute. Start the authorization again."));
    }
    if request.client != code.client {
        return Exchange::Burn(grant("The code was given to another client. Start the authorization again."));
    }
    if request.redirect_uri.is_some_and(|uri| uri != code.redirect_uri) {
        return Exchange::Burn(grant(
            "redirect_uri is not the one of the authorization request. Send the same text, or leave it out.",
        ));
    }
    if let Err(error) = code.challenge.verify(request.verifier) {
        return Exchange::Burn(error);
    }
    if let Err(error) = same_resource(&code.resource, request.resource) {
        return Exchange::Burn(error);
    }
    Exchange::Spend
}

/// A family, as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    pub id: FamilyId,
    /// Whom its tokens are for.
    pub client: String,
    pub grant: GrantId,
    pub resource: Resource,
    pub scopes: Scopes,
    /// Whether the client proved itself (secret or assertion) when the family began: then it must at each refresh, though its metadata
    /// would let it do without.
    pub confidential: bool,
    /// Of the refresh tokens in use; 1 at first.
    pub generation: i64,
    /// How many joined the present generation in the grace window.
    pub joined: i64,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// A refresh token, as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefreshToken {
    /// Which rotation it came of.
    pub generation: i64,
    pub expires_at: Timestamp,
    /// When its generation was replaced.
    pub superseded_at: Option<Timestamp>,
}

/// A token request with `grant_type=refresh_token`, after the client was authenticated.
#[derive(Debug, Clone, Copy)]
pub struct RefreshRequest<'a> {
    /// Who asks.
    pub client: &'a str,
    /// Whether it proved itself by secret or assertion.
    pub confidential: bool,
    /// None where it was not sent: the same as before.
    pub scope: Option<&'a str>,
    pub resource: Option<&'a Resource>,
}

/// What becomes of a refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refresh {
    /// Begin the generation after `from`, and give tokens of it. The access token has `scopes`, the refresh token the family's.
    Rotate { from: i64, scopes: Scopes },
    /// Give tokens of the present generation.
    Join { generation: i64, scopes: Scopes },
    /// A token was used again after the grace window: end the family.
    Revoke(OauthError),
    /// Nothing is to be done.
    Refuse(OauthError),
}

/// Decides on a refresh token that was found by its hash, with its family.
pub fn refresh(family: &Family, token: &RefreshToken, request: &RefreshRequest<'_>, now: Timestamp) -> Refresh {
    let grant = |what: &'static str| OauthError::new(Code::InvalidGrant, what);
    if request.client != family.client {
        return Refresh::Refuse(grant("The refresh token was given to another client. Authorize again."));
    }
    if family.confidential && !request.confidential {
        return Refresh::Refuse(OauthError::new(
            Code::InvalidClient,
            "The client authenticated when it got this token, and must do so when it refreshes. Send the secret or the assertion.",
        ));
    }
    if family.revoked_at.is_some() {
        return Refresh::Refuse(grant("The authorization was revoked. Authorize again."));
    }
    let present = token.generation == family.generation && token.superseded_at.is_none();
    let in_grace = token.generation < family.generation && token.superseded_at.is_some_and(|at| now - at <= GRACE);
    if !present && !in_grace {
        return Refresh::Revoke(grant(
            "The refresh token was replaced more than 90 seconds ago, so somebody holds a copy; the authorization is revoked. Authorize again, and keep only the newest token.",
        ));
    }
    if token.expires_at <= now || family.created_at + FAMILY_LIFE <= now {
        return Refresh::Refuse(grant("The refresh token has expired. Authorize again."));
    }
    if let Err(error) = same_resource(&family.resource, request.resource) {
        return Refresh::Refuse(error);
    }
    let scopes = match family.scopes.narrowed(request.scope) {
        Ok(scopes) => scopes,
        Err(error) => return Refresh::Refuse(error),
    };
    if present {
        Refresh::Rotate { from: token.generation, scopes }
    } else if family.joined < MOST_JOINED {
        Refresh::Join { generation: family.generation, scopes }
    } else {
        Refresh::Refuse(busy())
    }
}

/// What is answered after [`TRIES`] lost compare-and-sets.
pub fn busy() -> OauthError {
    OauthError::new(
        Code::TemporarilyUnavailable,
        "This authorization is refreshed too often at once. Try again in a few seconds.",
    )
}

/// When the refresh token that is given now ends: never after its family.
pub fn refresh_ends(family_created_at: Timestamp, now: Timestamp) -> Timestamp {
    (now + REFRESH_LIFE).min(family_created_at + FAMILY_LIFE)
}

/// An access token, as it is stored. It ends with its family.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessToken {
    /// The family's, or fewer.
    pub scopes: Scopes,
    pub expires_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

/// Whether an access token opens `resource` now. What its grant, key, user and organization allow comes after.
///
/// # Errors
/// `invalid_token` (RFC 6750 section 3.1).
pub fn admit(token: &AccessToken, family: &Family, resource: &Resource, now: Timestamp) -> Result<()> {
    let refuse = |what: &'static str| Err(OauthError::new(Code::InvalidToken, what));
    if token.revoked_at.is_some() || family.revoked_at.is_some() {
        return refuse("The access token was revoked. Authorize again.");
    }
    if token.expires_at <= now {
        return refuse("The access token has expired. Refresh it.");
    }
    // RFC 8707 section 2, MCP authorization: a token for another audience must not pass.
    if family.resource != *resource {
        return refuse("The access token is for another resource of this server. Authorize for this URL.");
    }
    Ok(())
}

/// What a revocation request (RFC 7009) ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// By its refresh token: the family, and so its access tokens (section 2.1).
    Family,
    /// By an access token: it alone; the client may refresh.
    Access,
}

/// Decides on a token that was found. None for one of another client: it is left alone, and the answer is 200 as for an unknown one
/// (section 2.2), so that nobody learns whose it is.
pub fn revocation(family: &Family, client: &str, by_refresh_token: bool) -> Option<Revocation> {
    (family.client == client).then_some(if by_refresh_token { Revocation::Family } else { Revocation::Access })
}

/// The answer of introspection (RFC 7662 section 2.2), for clients that proved themselves: a public one is refused before. A client is told of its own tokens alone; of all others that they are not active.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Introspection {
    pub active: bool,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub facts: Option<Facts>,
}
/// What an active token is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Facts {
    pub iss: String,
    pub aud: String,
    /// The grant: people are not named to clients.
    pub sub: String,
    pub client_id: String,
    pub scope: String,
    pub exp: i64,
    /// `Bearer` for access tokens; left out for refresh tokens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_type: Option<&'static str>,
}
impl Introspection {
    /// The answer for what is not found, not the asking client's, or ended.
    pub const INACTIVE: Self = Self { active: false, facts: None };

    /// Of an access token that was found.
    pub fn access(token: &AccessToken, family: &Family, client: &str, public: &PublicUrl, now: Timestamp) -> Self {
        if family.client != client || admit(token, family, &family.resource, now).is_err() {
            return Self::INACTIVE;
        }
        Self::active(family, &token.scopes, token.expires_at, public, Some("Bearer"))
    }
    /// Of a refresh token that was found.
    pub fn refresh(token: &RefreshToken, family: &Family, client: &str, public: &PublicUrl, now: Timestamp) -> Self {
        let live = family.revoked_at.is_none() && token.superseded_at.is_none() && token.expires_at > now;
        if family.client != client || !live || token.generation != family.generation {
            return Self::INACTIVE;
        }
        Self::active(family, &family.scopes, token.expires_at, public, None)
    }
    fn active(family: &Family, scopes: &Scopes, exp: Timestamp, public: &PublicUrl, token_type: Option<&'static str>) -> Self {
        Self {
            active: true,
            facts: Some(Facts {
                iss: public.as_str().to_owned(),
                aud: family.resource.uri(public),
                sub: family.grant.to_string(),
                client_id: family.client.clone(),
                scope: scopes.to_string(),
                exp: exp.timestamp(),
                token_type,
            }),
        }
    }
}

/// The body of a token response (RFC 6749 section 5.1). To be sent with `Cache-Control: no-store`.
#[derive(Debug)]
pub struct TokenResponse {
    pub access_token: SecretString,
    pub refresh_token: Option<SecretString>,
    /// Of the access token.
    pub scopes: Scopes,
}
impl Serialize for TokenResponse {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry("access_token", self.access_token.expose_secret())?;
        body.serialize_entry("token_type", "Bearer")?;
        body.serialize_entry("expires_in", &ACCESS_LIFE.num_seconds())?;
        if let Some(token) = &self.refresh_token {
            body.serialize_entry("refresh_token", token.expose_secret())?;
        }
        body.serialize_entry("scope", &self.scopes.to_string())?;
        body.end()
    }
}

/// The resource of a token request must be the one of the authorization, or be left out (RFC 8707 section 2.2).
fn same_resource(granted: &Resource, asked: Option<&Resource>) -> Result<()> {
    if asked.is_none_or(|asked| asked == granted) {
        return Ok(());
    }
    Err(OauthError::new(
        Code::InvalidTarget,
        "resource is not the one that was authorized. Send the same, leave it out, or authorize for this one.",
    ))
}

#[cfg(test)]
mod tests {
    use std::{
        collections::HashMap,
        sync::{Arc, Barrier, Mutex},
    };

    use proptest::prelude::*;
    use serde_json::json;
    use sha2::{Digest as _, Sha256};

    use super::*;
    use crate::oauth::testing::*;
    use crate::oauth::{
        opaque::{self, Hash, Kind},
        scope::Scope,
    };
    use kernel::SeededRandom;

    const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_timestamp(1_790_000_000 + seconds, 0).unwrap()
    }
    fn code() -> AuthorizationCode {
        AuthorizationCode {
            client: "oci_a".into(),
            redirect_uri: "http://127.0.0.1:5000/cb".into(),
            challenge: Challenge::from_bytes(Sha256::digest(VERIFIER).into()),
            resource: Resource::Everything,
            scopes: Scopes::new([Scope::Write]),
            grant: a_grant(),
            expires_at: at(60),
            spent_at: None,
            family: None,
        }
    }
    fn asks() -> CodeRequest<'static> {
        CodeRequest { client: "oci_a", redirect_uri: Some("http://127.0.0.1:5000/cb"), verifier: Some(VERIFIER), resource: None }
    }
    fn family() -> Family {
        Family {
            id: a_family(),
            client: "oci_a".into(),
            grant: a_grant(),
            resource: Resource::Everything,
            scopes: Scopes::new([Scope::Write, Scope::OfflineAccess]),
            confidential: false,
            generation: 1,
            joined: 0,
            created_at: at(0),
            revoked_at: None,
        }
    }
    fn asks_again() -> RefreshRequest<'static> {
        RefreshRequest { client: "oci_a", confidential: false, scope: None, resource: None }
    }

    #[test]
    fn a_code_is_spent_by_its_client_with_its_verifier() {
        assert_eq!(exchange(&code(), &asks(), at(0)), Exchange::Spend);
        assert_eq!(exchange(&code(), &CodeRequest { redirect_uri: None, ..asks() }, at(59)), Exchange::Spend);
        assert_eq!(exchange(&code(), &CodeRequest { resource: Some(&Resource::Everything), ..asks() }, at(0)), Exchange::Spend);
        assert!(matches!(exchange(&code(), &asks(), at(60)), Exchange::Refuse(e) if e.code() == Code::InvalidGrant));
    }

    #[test]
    fn one_wrong_attempt_burns_a_code() {
        let instance = Resource::Instance("prod".into());
        for (request, code_) in [
            (CodeRequest { client: "oci_b", ..asks() }, Code::InvalidGrant),
            (CodeRequest { redirect_uri: Some("http://127.0.0.1:5001/cb"), ..asks() }, Code::InvalidGrant),
            (CodeRequest { redirect_uri: Some("https://evil.example/cb"), ..asks() }, Code::InvalidGrant),
            (CodeRequest { redirect_uri: Some(""), ..asks() }, Code::InvalidGrant),
            (CodeRequest { verifier: None, ..asks() }, Code::InvalidRequest),
            (CodeRequest { verifier: Some("wrong-wrong-wrong-wrong-wrong-wrong-wrong-wrong"), ..asks() }, Code::InvalidGrant),
            (CodeRequest { resource: Some(&instance), ..asks() }, Code::InvalidTarget),
        ] {
            let decided = exchange(&code(), &request, at(1));
            assert!(matches!(&decided, Exchange::Burn(e) if e.code() == code_), "{request:?} {decided:?}");
        }
    }

    #[test]
    fn a_replayed_code_revokes_what_it_gave_whoever_replays_it_and_whenever() {
        let spent = AuthorizationCode { spent_at: Some(at(2)), family: Some(a_family()), ..code() };
        for (request, now) in
            [(asks(), at(3)), (CodeRequest { client: "oci_b", verifier: None, ..asks() }, at(3)), (asks(), at(9999))]
        {
            let decided = exchange(&spent, &request, now);
            assert!(matches!(&decided, Exchange::Replay { revoke: Some(f), .. } if *f == a_family()), "{decided:?}");
        }
        let burnt = AuthorizationCode { spent_at: Some(at(2)), ..code() };
        assert!(matches!(exchange(&burnt, &asks(), at(3)), Exchange::Replay { revoke: None, .. }));
    }

    #[test]
    fn refresh_rotates_joins_and_revokes_by_the_time() {
        let (now, ends) = (at(1000), at(1_000_000));
        let fresh = RefreshToken { generation: 1, expires_at: ends, superseded_at: None };
        let second = Family { generation: 2, ..family() };
        let replaced = |seconds| RefreshToken { superseded_at: Some(now - TimeDelta::seconds(seconds)), ..fresh };
        let is = |f: &Family, t: &RefreshToken| match refresh(f, t, &asks_again(), now) {
            Refresh::Rotate { from, .. } => format!("rotate {from}"),
            Refresh::Join { generation, .. } => format!("join {generation}"),
            Refresh::Revoke(e) => format!("revoke {}", e.code()),
            Refresh::Refuse(e) => format!("refuse {}", e.code()),
        };
        for (family, token, meant) in [
            (family(), fresh, "rotate 1"),
            (second.clone(), replaced(0), "join 2"),
            (second.clone(), replaced(90), "join 2"),
            (second.clone(), replaced(91), "revoke invalid_grant"),
            // A node whose clock is ahead.
            (second.clone(), replaced(-3), "join 2"),
            // Two generations on, but all within the window.
            (Family { generation: 3, ..second.clone() }, replaced(80), "join 3"),
            (Family { joined: MOST_JOINED, ..second.clone() }, replaced(1), "refuse temporarily_unavailable"),
            // Rows that contradict each other.
            (second.clone(), fresh, "revoke invalid_grant"),
            (family(), replaced(1), "revoke invalid_grant"),
            (family(), RefreshToken { generation: 7, ..fresh }, "revoke invalid_grant"),
            (Family { revoked_at: Some(at(1)), ..family() }, fresh, "refuse invalid_grant"),
            (Family { revoked_at: Some(at(1)), ..second.clone() }, replaced(500), "refuse invalid_grant"),
            (Family { client: "oci_b".into(), ..family() }, fresh, "refuse invalid_grant"),
            (Family { client: "oci_b".into(), ..second }, replaced(500), "refuse invalid_grant"),
            (Family { confidential: true, ..family() }, fresh, "refuse invalid_client"),
            (family(), RefreshToken { expires_at: now, ..fresh }, "refuse invalid_grant"),
            (Family { created_at: now - FAMILY_LIFE, ..family() }, fresh, "refuse invalid_grant"),
        ] {
            assert_eq!(is(&family, &token), meant, "{family:?} {token:?}");
        }
    }

    #[test]
    fn a_refresh_narrows_scopes_and_never_widens_them_or_changes_the_audience() {
        let token = RefreshToken { generation: 1, expires_at: at(100), superseded_at: None };
        let ask = |scope, resource| refresh(&family(), &token, &RefreshRequest { scope, resource, ..asks_again() }, at(1));
        assert_eq!(ask(Some("read"), None), Refresh::Rotate { from: 1, scopes: Scopes::new([Scope::Read]) });
        assert_eq!(ask(Some("read destructive"), None), Refresh::Rotate { from: 1, scopes: Scopes::new([Scope::Write]) });
        assert!(matches!(ask(Some("admin"), None), Refresh::Refuse(e) if e.code() == Code::InvalidScope));
        let instance = Resource::Instance("prod".into());
        assert!(matches!(ask(None, Some(&instance)), Refresh::Refuse(e) if e.code() == Code::InvalidTarget));
        assert!(matches!(ask(None, Some(&Resource::Everything)), Refresh::Rotate { .. }));
        assert_eq!(refresh_ends(at(0), at(0)), at(0) + REFRESH_LIFE);
        assert_eq!(refresh_ends(at(0), at(0) + TimeDelta::days(350)), at(0) + FAMILY_LIFE);
    }

    #[test]
    fn a_token_of_one_resource_is_refused_by_another() {
        let token = AccessToken { scopes: Scopes::new([Scope::Read]), expires_at: at(10), revoked_at: None };
        let instance = |s: &str| Resource::Instance(s.into());
        let all = [Resource::Everything, instance("prod"), instance("test")];
        for granted in &all {
            let family = Family { resource: granted.clone(), ..family() };
            for asked in &all {
                let admitted = admit(&token, &family, asked, at(1));
                assert_eq!(admitted.is_ok(), granted == asked, "{granted:?} {asked:?}");
                assert!(admitted.err().is_none_or(|e| e.code() == Code::InvalidToken));
            }
        }
        assert!(admit(&token, &family(), &Resource::Everything, at(10)).is_err());
        assert!(
            admit(&AccessToken { revoked_at: Some(at(1)), ..token.clone() }, &family(), &Resource::Everything, at(2)).is_err()
        );
        assert!(admit(&token, &Family { revoked_at: Some(at(1)), ..family() }, &Resource::Everything, at(2)).is_err());
    }

    #[test]
    fn revocation_and_introspection_know_only_the_clients_own_tokens() {
        let public = PublicUrl::parse("https://ocore.example").unwrap();
        assert_eq!(revocation(&family(), "oci_a", true), Some(Revocation::Family));
        assert_eq!(revocation(&family(), "oci_a", false), Some(Revocation::Access));
        assert_eq!(revocation(&family(), "oci_b", true), None);
        let token = AccessToken { scopes: Scopes::new([Scope::Read]), expires_at: at(10), revoked_at: None };
        let told = |client, now| serde_json::to_value(Introspection::access(&token, &family(), client, &public, now)).unwrap();
        assert_eq!(
            told("oci_a", at(1)),
            json!({"active": true, "iss": "https://ocore.example", "aud": "https://ocore.example/mcp", "sub": a_grant().to_string(), "client_id": "oci_a",
                "scope": "read", "exp": at(10).timestamp(), "token_type": "Bearer"})
        );
        for inactive in [told("oci_b", at(1)), told("oci_a", at(10))] {
            assert_eq!(inactive, json!({"active": false}));
        }
        let refresh = RefreshToken { generation: 1, expires_at: at(10), superseded_at: None };
        assert!(Introspection::refresh(&refresh, &family(), "oci_a", &public, at(1)).active);
        assert!(!Introspection::refresh(&refresh, &family(), "oci_b", &public, at(1)).active);
        assert!(!Introspection::refresh(&refresh, &Family { generation: 2, ..family() }, "oci_a", &public, at(1)).active);
    }

    #[test]
    fn a_token_response_has_the_members_of_the_rfc_and_hides_from_debug() {
        let response = TokenResponse {
            access_token: "oca_x".into(),
            refresh_token: Some("ocr_y".into()),
            scopes: Scopes::new([Scope::Read]),
        };
        assert_eq!(
            serde_json::to_value(&response).unwrap(),
            json!({"access_token": "oca_x", "token_type": "Bearer", "expires_in": 3600, "refresh_token": "ocr_y", "scope": "read"})
        );
        let shown = format!("{response:?}");
        assert!(!shown.contains("oca_x") && !shown.contains("ocr_y"));
    }

    /// A store that does what the table in the module's comment says, each compare-and-set under one lock, as SQL would.
    #[derive(Debug)]
    struct Store {
        family: Family,
        tokens: HashMap<Hash, RefreshToken>,
        access: usize,
        random: SeededRandom,
    }
    impl Store {
        fn new() -> (Self, Hash) {
            let random = SeededRandom::new(7);
            let first = opaque::make(Kind::RefreshToken, &random).hash;
            let token = RefreshToken { generation: 1, expires_at: at(0) + REFRESH_LIFE, superseded_at: None };
            (Self { family: family(), tokens: HashMap::from([(first, token)]), access: 1, random }, first)
        }
        fn give(&mut self, now: Timestamp) -> Hash {
            let hash = opaque::make(Kind::RefreshToken, &self.random).hash;
            let expires_at = refresh_ends(self.family.created_at, now);
            self.tokens.insert(hash, RefreshToken { generation: self.family.generation, expires_at, superseded_at: None });
            self.access += 1;
            hash
        }
        /// False where the rows changed since.
        fn rotate(&mut self, from: i64, now: Timestamp) -> Option<Hash> {
            if self.family.generation != from || self.family.revoked_at.is_some() {
                return None;
            }
            (self.family.generation, self.family.joined) = (from + 1, 0);
            self.tokens.values_mut().filter(|t| t.generation == from).for_each(|t| t.superseded_at = Some(now));
            Some(self.give(now))
        }
        fn join(&mut self, generation: i64, now: Timestamp) -> Option<Hash> {
            if self.family.generation != generation || self.family.joined >= MOST_JOINED || self.family.revoked_at.is_some() {
                return None;
            }
            self.family.joined += 1;
            Some(self.give(now))
        }
    }
    /// What the token endpoint does: read, decide without a lock, compare and set, again if that was lost.
    fn endpoint(store: &Mutex<Store>, hash: Hash, now: Timestamp, between: impl Fn()) -> std::result::Result<Hash, Code> {
        for _ in 0..TRIES {
            let (family, token) = {
                let store = store.lock().unwrap();
                (store.family.clone(), store.tokens[&hash])
            };
            between();
            let given = match refresh(&family, &token, &asks_again(), now) {
                Refresh::Rotate { from, .. } => store.lock().unwrap().rotate(from, now),
                Refresh::Join { generation, .. } => store.lock().unwrap().join(generation, now),
                Refresh::Revoke(error) => {
                    store.lock().unwrap().family.revoked_at.get_or_insert(now);
                    return Err(error.code());
                }
                Refresh::Refuse(error) => return Err(error.code()),
            };
            if let Some(given) = given {
                return Ok(given);
            }
        }
        Err(busy().code())
    }

    #[test]
    fn twenty_parallel_refreshes_all_get_usable_tokens_and_the_family_lives() {
        for round in 0..50 {
            let (store, first) = Store::new();
            let store = Arc::new(Mutex::new(store));
            let barrier = Arc::new(Barrier::new(20));
            let threads: Vec<_> = (0..20)
                .map(|_| {
                    let (store, barrier) = (Arc::clone(&store), Arc::clone(&barrier));
                    std::thread::spawn(move || {
                        // All have read before any writes.
                        let once = std::sync::Once::new();
                        endpoint(&store, first, at(10), || {
                            once.call_once(|| {
                                barrier.wait();
                            });
                        })
                    })
                })
                .collect();
            let given: Vec<_> = threads.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
            {
                let store = store.lock().unwrap();
                assert_eq!((store.family.generation, store.family.joined, store.access), (2, 19, 21), "round {round}");
                assert!(store.family.revoked_at.is_none() && given.iter().all(|h| store.tokens[h].generation == 2));
            }
            // Each of the twenty can be used next; all within the window of the first that is.
            for (n, hash) in given.iter().enumerate() {
                let seconds = 3600 + i64::try_from(n).unwrap();
                assert!(endpoint(&store, *hash, at(seconds), || ()).is_ok(), "round {round}, token {n}");
            }
            assert!(store.lock().unwrap().family.revoked_at.is_none());
        }
    }

    #[test]
    fn a_stolen_token_used_after_the_window_ends_the_family_for_both() {
        let (store, first) = Store::new();
        let store = Mutex::new(store);
        let owner = endpoint(&store, first, at(3600), || ()).unwrap();
        assert_eq!(endpoint(&store, first, at(3691), || ()), Err(Code::InvalidGrant));
        assert_eq!(
            endpoint(&store, owner, at(3692), || ()),
            Err(Code::InvalidGrant),
            "the owner signs in again, the thief cannot"
        );
        assert_eq!(store.lock().unwrap().family.revoked_at, Some(at(3691)));
    }

    #[test]
    fn a_thief_inside_the_window_is_found_when_both_go_on() {
        let (store, first) = Store::new();
        let store = Mutex::new(store);
        let owner = endpoint(&store, first, at(3600), || ()).unwrap();
        let thief = endpoint(&store, first, at(3660), || ()).unwrap();
        assert!(endpoint(&store, owner, at(7200), || ()).is_ok());
        assert_eq!(endpoint(&store, thief, at(7300), || ()), Err(Code::InvalidGrant));
        assert!(store.lock().unwrap().family.revoked_at.is_some());
    }

    #[test]
    fn minting_in_the_window_ends_at_a_hundred() {
        let (store, first) = Store::new();
        let store = Mutex::new(store);
        let given = (0..500).filter(|_| endpoint(&store, first, at(10), || ()).is_ok()).count();
        assert_eq!(i64::try_from(given).unwrap(), MOST_JOINED + 1);
        assert!(store.lock().unwrap().family.revoked_at.is_none());
    }

    proptest! {
        /// Several holders refresh at any times with any token that was ever given. A model that knows when each generation was replaced
        /// tells what must happen.
        #[test]
        fn no_history_gives_tokens_to_a_used_one_after_the_window(steps in proptest::collection::vec((0_usize..1000, 0_i64..200), 1..60)) {
            let (store, first) = Store::new();
            let store = Mutex::new(store);
            let mut all = vec![(first, 1_i64)];
            let mut replaced: HashMap<i64, i64> = HashMap::new();
            let (mut generation, mut dead, mut seconds) = (1_i64, false, 0_i64);
            for (pick, wait) in steps {
                seconds += wait;
                let (hash, of) = all[pick % all.len()];
                let result = endpoint(&store, hash, at(seconds), || ());
                let used_long_ago = replaced.get(&of).is_some_and(|when| seconds - when > 90);
                prop_assert_eq!(result.is_ok(), !dead && !used_long_ago, "generation {} of {}", of, generation);
                dead |= used_long_ago;
                if let Ok(new) = result {
                    if of == generation {
                        replaced.insert(generation, seconds);
                        generation += 1;
                    }
                    all.push((new, generation));
                }
                prop_assert_eq!(store.lock().unwrap().family.revoked_at.is_some(), dead);
            }
        }

        /// Whatever interleaves between reading and writing, a token is given only where the family was alive when it was written.
        #[test]
        fn a_revoked_family_gives_nothing_whenever_it_was_revoked(revoke_at in 0_usize..3) {
            let (store, first) = Store::new();
            let store = Mutex::new(store);
            let reads = std::cell::Cell::new(0);
            let result = endpoint(&store, first, at(1), || {
                if reads.replace(reads.get() + 1) == revoke_at {
                    store.lock().unwrap().family.revoked_at = Some(at(1));
                }
            });
            prop_assert_eq!(result.is_ok(), revoke_at > 0);
        }

        #[test]
        fn a_code_gives_tokens_at_most_once_in_any_history(requests in proptest::collection::vec((any::<bool>(), 0_i64..30), 1..12)) {
            let mut row = code();
            let (mut given, mut revoked, mut seconds) = (0, false, 0);
            for (good, wait) in requests {
                seconds += wait;
                let request = if good { asks() } else { CodeRequest { verifier: Some(&VERIFIER[1..]), ..asks() } };
                match exchange(&row, &request, at(seconds)) {
                    Exchange::Spend => {
                        (row.spent_at, row.family) = (Some(at(seconds)), Some(a_family()));
                        given += 1;
                    }
                    Exchange::Burn(_) => row.spent_at = Some(at(seconds)),
                    Exchange::Replay { revoke, .. } => {
                        prop_assert_eq!(revoke.is_some(), given == 1);
                        revoked |= revoke.is_some();
                    }
                    Exchange::Refuse(_) => prop_assert!(seconds >= 60),
                }
            }
            prop_assert!(given <= 1 && (!revoked || given == 1));
        }
    }
}
