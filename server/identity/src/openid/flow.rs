//! One sign-in: to the provider and back.
use std::{fmt, sync::Arc};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use futures_util::future::BoxFuture;
use kernel::{ExposeSecret as _, SecretString, Sources, TimeDelta, Timestamp};
use openidconnect::{
    AccessToken, AccessTokenHash, AdditionalClaims, AsyncHttpClient, AuthType, AuthenticationFlow, AuthorizationCode,
    ClaimsVerificationError, Client, ClientId, ClientSecret, CsrfToken, EmptyExtraTokenFields, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IdTokenClaims, IdTokenFields, IdTokenVerifier, Nonce, OAuth2TokenResponse as _,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RequestTokenError, Scope, SignatureVerificationError,
    StandardErrorResponse, StandardTokenResponse, TokenResponse as _, UserInfoClaims, UserInfoError,
    core::{
        CoreAuthDisplay, CoreAuthPrompt, CoreClientAuthMethod, CoreErrorResponseType, CoreGenderClaim, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm, CoreResponseType, CoreRevocableToken,
        CoreRevocationErrorResponse, CoreTokenIntrospectionResponse, CoreTokenType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    Provider, Providers,
    discovery::{BYTES, Metadata, TIME},
};
use crate::fetch::{Fetch, FetchError};

/// How long a person may take at the provider.
pub const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// How far the provider's clock may be off.
const SKEW: TimeDelta = TimeDelta::seconds(60);
/// Signatures by public key alone: neither `none` nor what the client secret could sign.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 4] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EdDsa,
];
/// The longest of what comes back, in bytes.
const LONGEST_CODE: usize = 4096;
const LONGEST_QUERY: usize = 8192;
/// OpenID Connect Core section 2.
const LONGEST_SUBJECT: usize = 255;
/// RFC 5321 section 4.5.3.1.3.
const LONGEST_EMAIL: usize = 254;
const LONGEST_NAME: usize = 200;
const MOST_GROUPS: usize = 1000;

/// Who came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// With the subject, who it is; to the letter.
    pub issuer: String,
    pub subject: String,
    /// For showing and for rules on domains; never to find an account by.
    pub email: Option<String>,
    /// False where the provider does not say so of this very address.
    pub email_verified: bool,
    pub name: Option<String>,
    pub groups: Vec<String>,
}

/// A browser that signs in, known again by a cookie: `Secure`, `HttpOnly`, `SameSite=Lax` (the way back comes from another site),
/// with the name prefix `__Host-`. One that has the cookie keeps it, so that two tabs do not disturb each other.
#[derive(Clone)]
pub struct Browser(SecretString);
impl Browser {
    /// A browser that has no cookie yet.
    pub fn new(sources: &Sources) -> Self {
        Self(random(sources).into())
    }
    /// From the cookie's value; none if it cannot be one of ours.
    pub fn read(cookie: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        (bytes.len() == 32).then(|| Self(cookie.to_owned().into()))
    }
    /// The cookie's value.
    pub fn cookie(&self) -> &SecretString {
        &self.0
    }
    /// What is stored of it.
    pub fn hash(&self) -> [u8; 32] {
        digest(self.0.expose_secret())
    }
}
impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Browser")
    }
}

/// A sign-in that has begun. To be kept until the browser comes back, with the provider's slug and [`Browser::hash`].
#[derive(Debug)]
pub struct Begun {
    /// Where to send the browser (303). It holds the state: not for logs.
    pub url: SecretString,
    /// SHA-256 of the state parameter: what it is found by.
    pub hash: [u8; 32],
    /// To be sealed at rest.
    pub secrets: SecretString,
    pub expires_at: Timestamp,
}

/// A sign-in under way, just taken out of the store, where it is no more: so that a state counts once. Hence it cannot be cloned.
#[derive(Debug)]
pub struct Pending {
    /// The provider's slug, as it was kept.
    pub provider: String,
    /// As [`Begun`] gave them.
    pub secrets: SecretString,
}

#[derive(Serialize, Deserialize)]
struct Secrets {
    /// Hashes of the state and of the browser's cookie: what finds the row is checked once more by what was sealed in it.
    state: [u8; 32],
    browser: [u8; 32],
    nonce: String,
    verifier: String,
    /// As they were when it began: the configuration may have changed since.
    issuer: String,
    redirect_uri: String,
    began: Timestamp,
}

/// What the browser brought back in the query.
#[derive(Clone)]
pub struct Callback {
    state: String,
    code: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}
impl Callback {
    /// Reads the query of the way back. Other parameters are ignored (RFC 6749 section 4.1.2).
    ///
    /// # Errors
    /// [`CallbackFlaw`]: then no sign-in can be told, and nothing is to be looked up.
    pub fn read(query: &str) -> Result<Self, CallbackFlaw> {
        if query.len() > LONGEST_QUERY {
            return Err(CallbackFlaw::Long);
        }
        let [mut state, mut code, mut iss, mut error] = [const { None }; 4];
        for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
            let slot = match &*name {
                "state" => &mut state,
                "code" => &mut code,
                "iss" => &mut iss,
                "error" => &mut error,
                _ => continue,
            };
            // RFC 6749 section 3.1.
            if slot.replace(value.into_owned()).is_some() {
                return Err(CallbackFlaw::Twice);
            }
        }
        Ok(Self { state: state.ok_or(CallbackFlaw::NoState)?, code, iss, error })
    }
    /// What the sign-in is found by in the store.
    pub fn hash(&self) -> [u8; 32] {
        digest(&self.state)
    }
}
impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Callback").field("iss", &self.iss).field("error", &self.error).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CallbackFlaw {
    #[error("The address that the provider sent you to is too long.")]
    Long,
    #[error("The address that the provider sent you to has a parameter twice.")]
    Twice,
    #[error("The address has no state: begin at the sign-in page.")]
    NoState,
}

/// Why nobody came back.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SignInError {
    #[error("This sign-in is over, was used before, or began in another browser. Begin again at the sign-in page.")]
    NotYours,
    #[error("The sign-in took longer than ten minutes. Begin again at the sign-in page.")]
    Expired,
    #[error("This sign-in began at another provider, or the provider is not set up any more. Begin again at the sign-in page.")]
    OtherProvider,
    #[error("The answer does not say that it is from the provider where the sign-in began; it was not used.")]
    Issuer,
    #[error("The provider did not sign you in: {0}.")]
    Declined(String),
    #[error("The provider sent you back without a code. Begin again; if it stays so, tell the operator.")]
    NoCode,
    #[error("The provider's {what} could not be had: {error}. Try again soon; if it stays so, tell the operator.")]
    Unreached { what: &'static str, error: FetchError },
    #[error("The provider's discovery document cannot be used: {0}. Tell the operator.")]
    Discovery(String),
    #[error("The provider did not take the code: {0}. Begin again; if it stays so, tell the operator.")]
    Token(String),
    #[error("The provider's {0} cannot be read. Tell the operator.")]
    Unreadable(&'static str),
    #[error("The provider's ID token was refused: {0}. Begin again; if it stays so, tell the operator.")]
    IdToken(TokenFlaw),
    #[error("The provider tells about another person than the one that it signed in. Tell the operator.")]
    OtherSubject,
    #[error("Too many sign-ins began from your network. Wait {} minutes, then try again.", (.seconds + 59) / 60)]
    Later { seconds: i64 },
    #[error("The address of ocore's own callback is no URL: {0}. The operator corrects public_url.")]
    Callback(String),
}

/// What is wrong with an ID token (OpenID Connect Core section 3.1.3.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFlaw {
    #[error("there is none; the scope openid may not be permitted to this client")]
    Missing,
    #[error("it is not signed with RS256, PS256, ES256 or EdDSA")]
    Algorithm,
    #[error("no key of the provider's set fits it")]
    NoKey,
    #[error("its signature is wrong")]
    Signature,
    #[error("it is of another issuer")]
    Issuer,
    #[error("it is for another client")]
    Audience,
    #[error("it belongs to another sign-in")]
    Nonce,
    #[error("it is over, or from another time; check both clocks")]
    Time,
    #[error("its subject is empty, longer than 255 characters, or not ASCII")]
    Subject,
    #[error("it belongs to another access token")]
    AccessToken,
    #[error("it is encrypted, of another type, or asks for what is not known here")]
    Unsupported,
}

/// All claims; the configured one among them tells groups.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
struct Rest {
    #[serde(flatten)]
    all: Map<String, Value>,
}
impl AdditionalClaims for Rest {}

type Tokens = StandardTokenResponse<
    IdTokenFields<Rest, EmptyExtraTokenFields, CoreGenderClaim, CoreJweContentEncryptionAlgorithm, CoreJwsSigningAlgorithm>,
    CoreTokenType,
>;
type Oidc = Client<
    Rest,
    CoreAuthDisplay,
    CoreGenderClaim,
    CoreJweContentEncryptionAlgorithm,
    CoreJsonWebKey,
    CoreAuthPrompt,
    StandardErrorResponse<CoreErrorResponseType>,
    Tokens,
    CoreTokenIntrospectionResponse,
    CoreRevocableToken,
    CoreRevocationErrorResponse,
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;
type Person = IdTokenClaims<Rest, CoreGenderClaim>;
type More = UserInfoClaims<Rest, CoreGenderClaim>;

/// How `openidconnect` speaks with a provider.
struct Exchange<'a>(&'a Fetch);
impl<'c> AsyncHttpClient<'c> for Exchange<'_> {
    type Error = FetchError;
    type Future = BoxFuture<'c, Result<HttpResponse, FetchError>>;
    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.0.exchange(request, BYTES, TIME))
    }
}

impl Providers {
    /// Begins a sign-in. `redirect_uri` is the provider's own way back, with its slug in the path; it is registered there.
    ///
    /// # Errors
    /// The provider's metadata cannot be had or used.
    pub async fn begin(&self, provider: &Provider, redirect_uri: &str, browser: &Browser) -> Result<Begun, SignInError> {
        let metadata = self.discovered(provider).await?;
        begin(provider, &metadata, redirect_uri, browser, &self.sources)
    }

    /// Ends a sign-in: who came back. `provider` is the one whose way back was called; `pending` was just taken out of the store by
    /// [`Callback::hash`], and is over now, whatever comes of it.
    ///
    /// # Errors
    /// A [`SignInError`], whose text is for the person.
    pub async fn finish(
        &self,
        provider: &Provider,
        callback: Callback,
        pending: Pending,
        browser: Option<&Browser>,
    ) -> Result<Claims, SignInError> {
        let began = pending.belongs(provider, &callback, browser, self.sources.now())?;
        let metadata = self.discovered(provider).await?;
        let code = answered(provider, &metadata, callback)?;

        let http = Exchange(&self.fetch);
        let client = client(provider, &metadata, &began.redirect_uri)?;
        let request = client.exchange_code(code).map_err(|_| SignInError::Discovery("it names no token endpoint".to_owned()))?;
        let tokens: Tokens =
            request.set_pkce_verifier(PkceCodeVerifier::new(began.verifier.clone())).request_async(&http).await.map_err(
                |error| match error {
                    RequestTokenError::ServerResponse(refusal) => SignInError::Token(shown(refusal.error().as_ref())),
                    RequestTokenError::Request(error) => SignInError::Unreached { what: "token endpoint", error },
                    RequestTokenError::Parse(..) | RequestTokenError::Other(_) => SignInError::Unreadable("answer to the code"),
                },
            )?;

        let mut metadata = metadata;
        let person = match self.verified(provider, &metadata, &tokens, &began) {
            Err(SignInError::IdToken(TokenFlaw::NoKey)) => {
                let newer = self.newer_keys(provider, &metadata).await?.ok_or(SignInError::IdToken(TokenFlaw::NoKey))?;
                metadata = newer;
                self.verified(provider, &metadata, &tokens, &began)?
            }
            verified => verified?,
        };
        let wanted = provider.0.groups_claim.as_deref();
        let lacks = person.email().is_none()
            || person.email_verified().is_none()
            || wanted.is_some_and(|claim| !person.additional_claims().all.contains_key(claim));
        let more = match metadata.userinfo_endpoint() {
            Some(_) if lacks => Some(self.more(&client, &person, tokens.access_token()).await?),
            _ => None,
        };
        Ok(gather(provider, &person, more.as_ref()))
    }

    fn verified(
        &self,
        provider: &Provider,
        metadata: &Metadata,
        tokens: &Tokens,
        began: &Secrets,
    ) -> Result<Person, SignInError> {
        let now = self.sources.now();
        let token = tokens.id_token().ok_or(SignInError::IdToken(TokenFlaw::Missing))?;
        let own = ClientId::new(provider.0.client_id.clone());
        // A verifier without the client secret: it takes no HMAC, whatever the list says.
        let verifier: IdTokenVerifier<'_, CoreJsonWebKey> =
            IdTokenVerifier::new_public_client(own.clone(), metadata.issuer().clone(), metadata.jwks().clone())
                .set_allowed_algs(ALGORITHMS)
                .set_time_fn(move || now - SKEW)
                .set_issue_time_verifier_fn(|issued| {
                    let fits = issued >= began.began - SKEW && issued <= now + SKEW;
                    if fits { Ok(()) } else { Err(String::new()) }
                });
        let nonce = Nonce::new(began.nonce.clone());
        let person = token.claims(&verifier, &nonce).map_err(|error| SignInError::IdToken(flaw(&error)))?;
        // The crate leaves it to its callers (section 3.1.3.7 number 5).
        if person.authorized_party().is_some_and(|party| *party != own) {
            return Err(SignInError::IdToken(TokenFlaw::Audience));
        }
        let subject = person.subject().as_str();
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || !subject.is_ascii() {
            return Err(SignInError::IdToken(TokenFlaw::Subject));
        }
        if let Some(expected) = person.access_token_hash() {
            let hash = token.signing_key(&verifier).ok().and_then(|key| {
                let algorithm = token.signing_alg().ok()?;
                AccessTokenHash::from_token(tokens.access_token(), algorithm, key).ok()
            });
            if hash.as_ref() != Some(expected) {
                return Err(SignInError::IdToken(TokenFlaw::AccessToken));
            }
        }
        Ok(person.clone())
    }

    /// What the userinfo endpoint says (section 5.3), which must be about the same subject.
    async fn more(&self, client: &Oidc, person: &Person, token: &AccessToken) -> Result<More, SignInError> {
        const UNREADABLE: SignInError = SignInError::Unreadable("answer about you");
        // What cannot stand in a header would stop the crate.
        if !token.secret().bytes().all(|b| b.is_ascii_graphic()) {
            return Err(UNREADABLE);
        }
        let http = Exchange(&self.fetch);
        let request = client.user_info(token.clone(), Some(person.subject().clone())).map_err(|_| UNREADABLE)?;
        request.request_async(&http).await.map_err(|error| match error {
            UserInfoError::Request(error) => SignInError::Unreached { what: "userinfo endpoint", error },
            UserInfoError::ClaimsVerification(ClaimsVerificationError::InvalidSubject(_)) => SignInError::OtherSubject,
            _ => UNREADABLE,
        })
    }
}

fn begin(
    provider: &Provider,
    metadata: &Arc<Metadata>,
    redirect_uri: &str,
    browser: &Browser,
    sources: &Sources,
) -> Result<Begun, SignInError> {
    let [state, nonce, verifier] = [random(sources), random(sources), random(sources)];
    let began = sources.now();
    let hash = digest(&state);
    let challenge = PkceCodeChallenge::from_code_verifier_sha256(&PkceCodeVerifier::new(verifier.clone()));
    let client = client(provider, metadata, redirect_uri)?;
    let sent_nonce = Nonce::new(nonce.clone());
    let (url, _, _) = client
        .authorize_url(
            AuthenticationFlow::<CoreResponseType>::AuthorizationCode,
            move || CsrfToken::new(state),
            move || sent_nonce,
        )
        .add_scopes(provider.0.scopes.iter().filter(|s| *s != "openid").cloned().map(Scope::new))
        .set_pkce_challenge(challenge)
        .url();
    let secrets = Secrets {
        state: hash,
        browser: browser.hash(),
        nonce,
        verifier,
        issuer: provider.issuer().to_owned(),
        redirect_uri: redirect_uri.to_owned(),
        began,
    };
    // Strings, numbers and a time: it cannot fail.
    let secrets = serde_json::to_string(&secrets).unwrap_or_default().into();
    Ok(Begun { url: String::from(url).into(), hash, secrets, expires_at: began + LIFETIME })
}

impl Pending {
    /// Whether somebody came back from this very sign-in, with the browser that began it.
    fn belongs(
        &self,
        provider: &Provider,
        callback: &Callback,
        browser: Option<&Browser>,
        now: Timestamp,
    ) -> Result<Secrets, SignInError> {
        let same = |a: &[u8; 32], b: &[u8; 32]| bool::from(a.ct_eq(b));
        let began: Secrets = serde_json::from_str(self.secrets.expose_secret()).map_err(|_| SignInError::NotYours)?;
        if !same(&began.state, &callback.hash()) || !browser.is_some_and(|b| same(&began.browser, &b.hash())) {
            return Err(SignInError::NotYours);
        }
        if self.provider != provider.slug() || began.issuer != provider.issuer() {
            return Err(SignInError::OtherProvider);
        }
        if now >= began.began + LIFETIME || now < began.began - SKEW {
            return Err(SignInError::Expired);
        }
        Ok(began)
    }
}

/// The code, if the answer is the provider's (RFC 9207 section 2.4) and it signed somebody in.
fn answered(provider: &Provider, metadata: &Metadata, callback: Callback) -> Result<AuthorizationCode, SignInError> {
    match &callback.iss {
        Some(iss) if iss != provider.issuer() => return Err(SignInError::Issuer),
        None if metadata.additional_metadata().authorization_response_iss_parameter_supported => return Err(SignInError::Issuer),
        _ => {}
    }
    if let Some(error) = callback.error {
        return Err(SignInError::Declined(shown(&error)));
    }
    let code = callback.code.filter(|code| !code.is_empty() && code.len() <= LONGEST_CODE).ok_or(SignInError::NoCode)?;
    Ok(AuthorizationCode::new(code))
}

fn client(provider: &Provider, metadata: &Metadata, redirect_uri: &str) -> Result<Oidc, SignInError> {
    let settings = &provider.0;
    let redirect = RedirectUrl::new(redirect_uri.to_owned()).map_err(|e| SignInError::Callback(e.to_string()))?;
    let secret = settings.client_secret.as_ref().map(|s| ClientSecret::new(s.expose_secret().to_owned()));
    // Basic is what is meant where nothing is said (Discovery section 3).
    let says = metadata.token_endpoint_auth_methods_supported();
    let takes = |method| says.is_some_and(|all| all.contains(&method));
    let auth = if takes(CoreClientAuthMethod::ClientSecretPost) && !takes(CoreClientAuthMethod::ClientSecretBasic) {
        AuthType::RequestBody
    } else {
        AuthType::BasicAuth
    };
    let id = ClientId::new(settings.client_id.clone());
    Ok(Oidc::from_provider_metadata(metadata.clone(), id, secret).set_redirect_uri(redirect).set_auth_type(auth))
}

/// The claims, the address and whether it is verified from one and the same source.
fn gather(provider: &Provider, person: &Person, more: Option<&More>) -> Claims {
    let first = person.email().map(|email| (email.as_str(), person.email_verified()));
    let second = more.and_then(|m| m.email().map(|email| (email.as_str(), m.email_verified())));
    let address = match (first, second) {
        (Some((email, None)), Some((other, verified))) if other == email => Some((email, verified)),
        (Some(first), _) => Some(first),
        (None, second) => second,
    };
    let address = address.filter(|(email, _)| is_address(email));
    let name = person.name().and_then(|name| name.get(None));
    let name = name.or_else(|| more.and_then(|m| m.name()).and_then(|name| name.get(None)));
    let name = name.map(|name| name.chars().filter(|c| !c.is_control()).take(LONGEST_NAME).collect::<String>());
    let groups = provider.0.groups_claim.as_deref().and_then(|claim| {
        person.additional_claims().all.get(claim).or_else(|| more.and_then(|m| m.additional_claims().all.get(claim)))
    });
    let groups = match groups {
        Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(MOST_GROUPS).map(str::to_owned).collect(),
        Some(Value::String(one)) => vec![one.clone()],
        _ => Vec::new(),
    };
    Claims {
        issuer: person.issuer().as_str().to_owned(),
        subject: person.subject().as_str().to_owned(),
        email: address.map(|(email, _)| email.to_owned()),
        email_verified: address.is_some_and(|(_, verified)| verified == Some(true)),
        name: name.filter(|name| !name.trim().is_empty()),
        groups,
    }
}

/// One `@`, something on both sides, and nothing that could be read as two addresses.
fn is_address(text: &str) -> bool {
    let plain = |part: &str| {
        !part.is_empty() && !part.chars().any(|c| c.is_control() || c.is_whitespace() || "\"(),:;<>@[\\]".contains(c))
    };
    text.len() <= LONGEST_EMAIL && text.split_once('@').is_some_and(|(local, domain)| plain(local) && plain(domain))
}

fn flaw(error: &ClaimsVerificationError) -> TokenFlaw {
    match error {
        ClaimsVerificationError::Expired(_) => TokenFlaw::Time,
        ClaimsVerificationError::InvalidAudience(_) => TokenFlaw::Audience,
        ClaimsVerificationError::InvalidIssuer(_) => TokenFlaw::Issuer,
        ClaimsVerificationError::InvalidNonce(_) => TokenFlaw::Nonce,
        ClaimsVerificationError::SignatureVerification(error) => match error {
            SignatureVerificationError::NoSignature
            | SignatureVerificationError::DisallowedAlg(_)
            | SignatureVerificationError::UnsupportedAlg(_) => TokenFlaw::Algorithm,
            SignatureVerificationError::NoMatchingKey | SignatureVerificationError::AmbiguousKeyId(_) => TokenFlaw::NoKey,
            _ => TokenFlaw::Signature,
        },
        _ => TokenFlaw::Unsupported,
    }
}

/// A provider's error code, printable and short.
fn shown(text: &str) -> String {
    text.chars().filter(|c| c.is_ascii_graphic() && !"<>\"'&".contains(*c)).take(60).collect()
}

/// 256 bits, as text of the alphabet that PKCE verifiers take.
fn random(sources: &Sources) -> String {
    let mut bytes = [0; 32];
    sources.random.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

fn digest(text: &str) -> [u8; 32] {
    Sha256::digest(text).into()
}
