//! What providers publish: their metadata (OpenID Connect Discovery 1.0 section 4) and keys, kept for an hour.
use std::{sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Networks, Sources, TimeDelta, Timestamp};
use openidconnect::{
    AdditionalProviderMetadata, JsonWebKeySet, ProviderMetadata, UserInfoUrl,
    core::{
        CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
        CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
        CoreSubjectIdentifierType,
    },
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Provider, SignInError};
use crate::fetch::{Fetch, FetchError, Limits};

/// Metadata and keys serve so long without a fetch.
const FRESH: TimeDelta = TimeDelta::hours(1);
/// After that they do not serve even when the provider cannot be reached: withdrawn keys must come to their end.
const GONE: TimeDelta = TimeDelta::hours(24);
/// A provider that failed is asked again so soon.
const AGAIN: TimeDelta = TimeDelta::seconds(10);
/// Keys are fetched again so soon because a token names one that is not among them.
const REFETCH: TimeDelta = TimeDelta::minutes(1);
/// RSA keys below 2048 bits check nothing (RFC 7518 section 3.3).
const LEAST_MODULUS: usize = 256;
const MOST_KEYS: usize = 50;

pub(super) const TIME: Duration = Duration::from_secs(5);
pub(super) const BYTES: usize = 128 * 1024;

const JSON: Limits = Limits {
    accept: "application/json",
    bytes: BYTES,
    time: TIME,
    acceptable: |status, content_type| {
        let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        status == 200 && (essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json")))
    },
};

#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub(super) struct More {
    /// RFC 9207 section 3.
    #[serde(default)]
    pub authorization_response_iss_parameter_supported: bool,
}
impl AdditionalProviderMetadata for More {}

pub(super) type Metadata = ProviderMetadata<
    More,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// What is known of the providers, and the way to them.
#[derive(Debug)]
pub struct Providers {
    pub(super) fetch: Fetch,
    pub(super) sources: Sources,
    list: Vec<(Provider, Mutex<Kept>)>,
}

/// What was fetched of a provider. Behind a lock that is held while it is fetched, so that it is fetched once at a time.
#[derive(Debug, Default)]
struct Kept {
    found: Option<Found>,
    failed: Option<(Timestamp, SignInError)>,
}
#[derive(Debug, Clone)]
struct Found {
    metadata: Arc<Metadata>,
    at: Timestamp,
    keys_at: Timestamp,
}

impl Providers {
    /// With a [`Fetch`] of its own, so that slow hosts of strangers keep nobody from signing in.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    pub fn new(list: Vec<Provider>, networks: Networks, sources: Sources) -> Result<Self, FetchError> {
        Ok(Self::with(list, Fetch::new(networks)?, sources))
    }
    /// Where nobody set one up.
    ///
    /// # Errors
    /// [`FetchError::Client`].
    pub fn none(sources: Sources) -> Result<Self, FetchError> {
        Self::new(Vec::new(), Networks::default(), sources)
    }
    /// With a fetch made for tests.
    #[cfg(any(test, feature = "testing"))]
    pub fn testing(list: Vec<Provider>, fetch: Fetch, sources: Sources) -> Self {
        Self::with(list, fetch, sources)
    }
    fn with(list: Vec<Provider>, fetch: Fetch, sources: Sources) -> Self {
        Self { fetch, sources, list: list.into_iter().map(|p| (p, Mutex::default())).collect() }
    }
    /// In the order in which the operator wrote them.
    pub fn list(&self) -> impl Iterator<Item = &Provider> {
        self.list.iter().map(|(provider, _)| provider)
    }
    /// The provider with a slug.
    pub fn find(&self, slug: &str) -> Option<&Provider> {
        self.list().find(|provider| provider.slug() == slug)
    }

    fn kept(&self, provider: &Provider) -> Result<&Mutex<Kept>, SignInError> {
        let found = self.list.iter().find(|(own, _)| own.slug() == provider.slug() && own.issuer() == provider.issuer());
        found.map(|(_, kept)| kept).ok_or(SignInError::OtherProvider)
    }

    /// Whether a provider can be signed in at, as far as its metadata and keys tell.
    ///
    /// # Errors
    /// Its metadata cannot be had or used.
    pub async fn check(&self, provider: &Provider) -> Result<(), SignInError> {
        self.discovered(provider).await.map(drop)
    }

    /// A provider's metadata, with its keys.
    pub(super) async fn discovered(&self, provider: &Provider) -> Result<Arc<Metadata>, SignInError> {
        let mut kept = self.kept(provider)?.lock().await;
        let now = self.sources.now();
        let young = |since: Timestamp, age: TimeDelta| now < since + age && now >= since - TimeDelta::minutes(1);
        if let Some(found) = kept.found.as_ref().filter(|f| young(f.at, FRESH)) {
            return Ok(Arc::clone(&found.metadata));
        }
        let usable = kept.found.as_ref().filter(|f| young(f.at, GONE)).map(|f| Arc::clone(&f.metadata));
        let fetched = match &kept.failed {
            Some((at, error)) if young(*at, AGAIN) => Err(error.clone()),
            _ => self.fetch_metadata(provider).await,
        };
        match fetched {
            Ok(metadata) => {
                let metadata = Arc::new(metadata);
                *kept = Kept { found: Some(Found { metadata: Arc::clone(&metadata), at: now, keys_at: now }), failed: None };
                Ok(metadata)
            }
            Err(error) => {
                if kept.failed.as_ref().is_none_or(|(at, _)| !young(*at, AGAIN)) {
                    kept.failed = Some((now, error.clone()));
                }
                let passing = matches!(&error, SignInError::Unreached { error, .. } if error.passing());
                usable.filter(|_| passing).ok_or(error)
            }
        }
    }

    /// The metadata with keys that are newer than those of `seen`, in which a key was missing; none when it is too early to ask again.
    pub(super) async fn newer_keys(
        &self,
        provider: &Provider,
        seen: &Arc<Metadata>,
    ) -> Result<Option<Arc<Metadata>>, SignInError> {
        let mut kept = self.kept(provider)?.lock().await;
        let now = self.sources.now();
        let Some(found) = kept.found.clone() else { return Ok(None) };
        if !Arc::ptr_eq(&found.metadata, seen) {
            return Ok(Some(found.metadata));
        }
        if now - found.keys_at < REFETCH {
            return Ok(None);
        }
        let keys = self.fetch_keys(&found.metadata).await?;
        let metadata = Arc::new((*found.metadata).clone().set_jwks(keys));
        kept.found = Some(Found { metadata: Arc::clone(&metadata), keys_at: now, ..found });
        Ok(Some(metadata))
    }

    async fn fetch_metadata(&self, provider: &Provider) -> Result<Metadata, SignInError> {
        let refuse = |what: &str| SignInError::Discovery(what.to_owned());
        let at = format!("{}/.well-known/openid-configuration", provider.issuer().trim_end_matches('/'));
        let answer = self.fetch.get(&at, &JSON).await.map_err(|error| unreached("discovery document", error))?;
        let metadata: Metadata = serde_json::from_slice(&answer.body)
            .map_err(|_| refuse("it lacks what section 3 of OpenID Connect Discovery requires"))?;
        // To the letter (section 4.3): it is what identities are known by.
        if metadata.issuer().as_str() != provider.issuer() {
            return Err(refuse("its issuer is not the one that is set up here; they must be equal to the letter"));
        }
        let token = metadata.token_endpoint().ok_or_else(|| refuse("it names no token endpoint"))?.url();
        let userinfo = metadata.userinfo_endpoint().map(UserInfoUrl::url);
        let urls = [Some(metadata.authorization_endpoint().url()), Some(token), Some(metadata.jwks_uri().url()), userinfo];
        if urls.into_iter().flatten().any(|url| url.scheme() != "https" || url.fragment().is_some()) {
            return Err(refuse("its endpoints must be https URLs without fragments"));
        }
        let keys = self.fetch_keys(&metadata).await?;
        Ok(metadata.set_jwks(keys))
    }

    async fn fetch_keys(&self, metadata: &Metadata) -> Result<JsonWebKeySet<CoreJsonWebKey>, SignInError> {
        let answer = self.fetch.get(metadata.jwks_uri().as_str(), &JSON).await.map_err(|error| unreached("key set", error))?;
        keys(&answer.body).ok_or_else(|| SignInError::Discovery("its key set holds no key that can check signatures".to_owned()))
    }
}

fn unreached(what: &'static str, error: FetchError) -> SignInError {
    SignInError::Unreached { what, error }
}

/// Reads a key set (RFC 7517 section 5): the public keys that are strong enough; others are left out.
fn keys(body: &[u8]) -> Option<JsonWebKeySet<CoreJsonWebKey>> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    let Set { keys } = serde_json::from_slice(body).ok()?;
    let is = |key: &Value, curve| key.get("crv").and_then(Value::as_str) == Some(curve);
    let strong = |key: &Value| match key.get("kty").and_then(Value::as_str) {
        Some("RSA") => {
            let modulus = key.get("n").and_then(Value::as_str).and_then(|n| URL_SAFE_NO_PAD.decode(n).ok()).unwrap_or_default();
            modulus.iter().skip_while(|b| **b == 0).count() >= LEAST_MODULUS
        }
        Some("EC") => is(key, "P-256"),
        Some("OKP") => is(key, "Ed25519"),
        _ => false,
    };
    let keys: Vec<_> = keys.into_iter().take(MOST_KEYS).filter(strong).filter_map(|k| serde_json::from_value(k).ok()).collect();
    (!keys.is_empty()).then(|| JsonWebKeySet::new(keys))
}
