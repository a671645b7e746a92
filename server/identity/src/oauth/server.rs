//! The authorization server at work: the rules of the modules beside it, run over the store. Each decision is made from rows and then
//! carried out by the compare-and-set that it names; whoever was slower reads again and decides again.
use std::{collections::HashMap, net::IpAddr, time::Duration};

use jsonwebtoken::jwk::JwkSet;
use kernel::{ExposeSecret as _, FamilyId, Fault, GrantId, Sources, TimeDelta, Timestamp, UserId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use store::{
    Db, StoreError, Tx,
    audit_log::{self, Target, Who},
    keys,
    oauth::{
        RevokedWhy,
        clients::{self, ClientKind, ClientRow, NewClient},
        codes::{self, CodeRow},
        devices::{self, DeviceRow, DeviceState, NewDevice},
        grants,
        tokens::{self as rows, AccessRow, FamilyRow, NewFamily, RefreshRow},
    },
};

use crate::oauth::{
    Code, OauthError, client_assertion,
    client_auth::{self, Known},
    client_metadata::{self, Age, Cached, ClientUrl},
    counts::{Counts, Newest, network},
    device::{self, DeviceAuthorization, DeviceCode, Poll, State, UserCode},
    opaque::{self, Hash, Kind},
    pkce::Challenge,
    redirect::{self, Schemes},
    registration::{self, Client, GrantType, Keys as ClientKeys},
    request::{self, Authorization, Params, TokenRequest},
    resource::{PublicUrl, Resource},
    scope::{self, Scopes},
    throttle,
    tokens::{
        self, ACCESS_LIFE, AccessToken, AuthorizationCode, CodeRequest, Exchange, Family, Introspection, Refresh, RefreshRequest,
        RefreshToken, Revocation, TRIES, TokenResponse,
    },
};
use crate::{
    fetch::{Fetch, Limits},
    invite,
};

/// A client's document.
const DOCUMENT: Limits = Limits {
    accept: "application/json",
    bytes: client_metadata::LARGEST,
    time: Duration::from_secs(client_metadata::TIMEOUT_SECONDS),
    acceptable: client_metadata::acceptable,
};
/// A client's key set. Hosts give it many types.
const KEY_SET: Limits = Limits {
    accept: "application/jwk-set+json, application/json",
    bytes: client_assertion::LARGEST_SET,
    time: Duration::from_secs(client_metadata::TIMEOUT_SECONDS),
    acceptable: |status, _| status == 200,
};
/// How long a page waits for a client's picture.
const LOGO_TIME: Duration = Duration::from_millis(1_500);
/// How long a picture, or that there is none, is kept; and how many.
const LOGO_LIFE: TimeDelta = TimeDelta::hours(6);
const LOGOS: usize = 100;
/// Device codes whose polls are remembered: they live 15 minutes, and an address gets few of them.
const POLLS: usize = 10_000;
/// How long it is remembered that a client has no key set that can be used, and that its host did not answer; and of how many clients.
const NO_KEYS: TimeDelta = TimeDelta::minutes(5);
const NO_ANSWER: TimeDelta = TimeDelta::minutes(1);
const WITHOUT_KEYS: usize = 10_000;
/// How old a consent is at least that is ended because nothing of it is left.
const SPENT: TimeDelta = TimeDelta::hours(1);

/// Why a request was not answered as it asked.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// By its own doing.
    #[error(transparent)]
    Refused(#[from] OauthError),
    /// Too often.
    #[error("{error}")]
    Later { error: OauthError, seconds: i64 },
    /// By ours.
    #[error(transparent)]
    Fault(#[from] Fault),
}
impl From<StoreError> for Failed {
    fn from(error: StoreError) -> Self {
        Self::Fault(error.into())
    }
}
type Result2<T> = std::result::Result<T, Failed>;

/// A client that was found.
#[derive(Debug, Clone)]
pub struct KnownClient {
    pub id: String,
    pub client: Client,
    secret: Option<Hash>,
    keys: Option<(String, Timestamp)>,
}
impl KnownClient {
    /// The host that vouches for its name; none for those that gave it themselves.
    pub fn host(&self) -> Option<String> {
        ClientUrl::looks_like(&self.id).then(|| ClientUrl::parse(&self.id).ok().map(|url| url.host().to_owned())).flatten()
    }
}

/// Who asks an endpoint.
#[derive(Debug)]
struct Caller {
    client: KnownClient,
    /// Whether it proved itself, by secret or assertion.
    confidential: bool,
    /// Its assertion, which passed. It counts as used together with what it brings about: a request that is refused writes nothing.
    assertion: Option<client_assertion::Used>,
}

/// A device code that waits for a person.
#[derive(Debug, Clone)]
pub struct Pending {
    pub client: KnownClient,
    pub scopes: Scopes,
    /// As text, for the grant.
    pub resource: String,
    /// Who asked.
    pub address: String,
    pub agent: String,
    pub since: Timestamp,
    pub until: Timestamp,
    /// By which it is answered.
    pub user_code: Hash,
}

/// Why a user code leads nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoDevice {
    /// Nothing waits for this code: mistyped, answered, or over.
    Unknown,
    /// Too many wrong codes.
    Later { seconds: i64 },
}

/// The authorization server.
#[derive(Debug)]
pub struct Server {
    db: Db,
    sources: Sources,
    schemes: Schemes,
    /// With places of their own: hosts of logos are in nobody's way who signs in.
    documents: Fetch,
    key_sets: Fetch,
    pictures: Fetch,
    counts: Counts,
    /// By the address of the picture.
    logos: Mutex<HashMap<String, (Timestamp, Option<String>)>>,
    /// The last poll of a device code, and the seconds to wait for the next: those that come too early are not written.
    polls: Mutex<Newest<Hash, (Timestamp, i64)>>,
    /// By client: why its key set cannot be had, and until when it is not asked for again.
    without_keys: Mutex<Newest<String, (Timestamp, OauthError)>>,
}

impl Server {
    /// `schemes` are the redirect schemes of apps that are taken, beside https and loopback.
    pub fn new(db: Db, sources: Sources, schemes: Schemes, fetch: Fetch) -> Self {
        Self {
            db,
            sources,
            schemes,
            key_sets: fetch.apart(),
            pictures: fetch.apart(),
            documents: fetch,
            counts: Counts::default(),
            logos: Mutex::default(),
            polls: Mutex::new(Newest::new(POLLS)),
            without_keys: Mutex::new(Newest::new(WITHOUT_KEYS)),
        }
    }
    pub fn sources(&self) -> &Sources {
        &self.sources
    }

    // ------------------------------------------------------------------------------------------------ clients

    /// Dynamic client registration (RFC 7591 section 3): the body of the 201.
    ///
    /// # Errors
    /// `invalid_redirect_uri`, `invalid_client_metadata`; too many from one address.
    pub async fn register(&self, body: &[u8], address: IpAddr) -> Result2<Value> {
        let now = self.sources.now();
        let client = Client::register(body, &self.schemes)?;
        let fingerprint = client.fingerprint();
        // A host that registers again costs nothing: only new ones count.
        if let Some(known) = &fingerprint
            && let Some(row) = clients::by_fingerprint(&self.db, known).await?
            && !registration::expired(row.created_at, row.last_used_at, now)
        {
            if !registration::worth_noting(row.created_at, now) {
                return Ok(client.response(&row.id, None, row.created_at));
            }
            let mut tx = self.db.begin().await?;
            let there = clients::registered_again(&mut tx, &row.id, now).await?;
            tx.commit().await?;
            if there {
                return Ok(client.response(&row.id, None, now));
            }
        }
        self.counts.take(throttle::REGISTRATION, "register", network(address), now).map_err(|seconds| Failed::Later {
            error: OauthError::new(
                Code::TemporarilyUnavailable,
                "Too many clients were registered from this address. Try again later.",
            ),
            seconds,
        })?;
        let id = opaque::make(Kind::ClientId, &*self.sources.random).text.expose_secret().to_owned();
        let secret = client.wants_secret().then(|| opaque::make(Kind::ClientSecret, &*self.sources.random));
        let mut metadata = client.response(&id, None, now);
        // What says who it is is not part of what it says of itself.
        if let Some(members) = metadata.as_object_mut() {
            for name in ["client_id", "client_id_issued_at"] {
                members.remove(name);
            }
        }
        let new = NewClient {
            id: id.clone(),
            metadata: metadata.to_string(),
            secret_hash: secret.as_ref().map(|s| s.hash),
            fingerprint,
            address: Some(address),
        };
        let mut tx = self.db.begin().await?;
        let id = clients::insert(&mut tx, &new, now).await?;
        tx.commit().await?;
        Ok(client.response(&id, secret.as_ref().map(|s| &s.text), now))
    }

    /// Finds a client by its id; fetches its document where the id is the address of one.
    ///
    /// # Errors
    /// `invalid_client`; too many documents from one address.
    pub async fn client(&self, id: &str, address: IpAddr) -> Result2<KnownClient> {
        self.client_for(id, address, false).await
    }
    /// `refreshes`: for a refresh of a family that lives, which a client whose host is away goes on to get.
    async fn client_for(&self, id: &str, address: IpAddr, refreshes: bool) -> Result2<KnownClient> {
        let now = self.sources.now();
        let found = if id.len() <= 500 { clients::find(&self.db, id).await? } else { None };
        if id == registration::OWN {
            if found.is_none() {
                let mut tx = self.db.begin().await?;
                clients::save_own(&mut tx, id, "{}", now).await?;
                tx.commit().await?;
            }
            return Ok(KnownClient { id: id.to_owned(), client: Client::own(), secret: None, keys: None });
        }
        if ClientUrl::looks_like(id) {
            return self.document(ClientUrl::parse(id)?, found, address, refreshes, now).await;
        }
        let row = found
            .filter(|row| row.kind == ClientKind::Registered && !registration::expired(row.created_at, row.last_used_at, now))
            .ok_or_else(|| {
                OauthError::new(
                    Code::InvalidClient,
                    "This client is not registered here, or was not used for long. Register again at the registration endpoint.",
                )
            })?;
        let client = Client::register(row.metadata.as_bytes(), &self.schemes)?;
        Ok(known(row, client))
    }

    /// What is known of a client without asking anybody, for lists: the name of one that is gone is its id.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn remembered(&self, id: &str) -> Result2<Option<KnownClient>> {
        if id == registration::OWN {
            return Ok(Some(KnownClient { id: id.to_owned(), client: Client::own(), secret: None, keys: None }));
        }
        let Some(row) = clients::find(&self.db, id).await? else { return Ok(None) };
        let client = match ClientUrl::parse(id) {
            Ok(url) if ClientUrl::looks_like(id) => client_metadata::read(&url, row.metadata.as_bytes(), &self.schemes),
            _ => Client::register(row.metadata.as_bytes(), &self.schemes),
        };
        Ok(client.ok().map(|client| known(row, client)))
    }

    /// A client's picture as a `data:` address; none where it has none that can be shown.
    pub async fn logo(&self, client: &KnownClient) -> Option<String> {
        let url = client.client.logo_uri.as_ref()?;
        let now = self.sources.now();
        if let Some((until, logo)) = self.logos.lock().get(url)
            && now < *until
        {
            return logo.clone();
        }
        let logo = tokio::time::timeout(LOGO_TIME, self.pictures.logo(url)).await.ok().and_then(Result::ok);
        let mut kept = self.logos.lock();
        if kept.len() >= LOGOS {
            kept.retain(|_, (until, _)| now < *until);
        }
        if kept.len() < LOGOS {
            kept.insert(url.clone(), (now + LOGO_LIFE, logo.clone()));
        }
        logo
    }

    /// A client whose id is the address of its document.
    async fn document(
        &self,
        url: ClientUrl,
        have: Option<ClientRow>,
        address: IpAddr,
        refreshes: bool,
        now: Timestamp,
    ) -> Result2<KnownClient> {
        let copy = have.as_ref().and_then(|row| {
            let cached = Cached { fetched_at: row.fetched_at?, fresh_until: row.fresh_until? };
            let client = client_metadata::read(&url, row.metadata.as_bytes(), &self.schemes).ok()?;
            Some((cached, known(row.clone(), client)))
        });
        let stale = match copy {
            Some((cached, client)) => match cached.age(now) {
                Age::Fresh => return Ok(client),
                Age::Stale => Some(client),
                Age::Gone => (refreshes && cached.serves_refreshes(now)).then_some(client),
            },
            None => None,
        };
        if let Err(seconds) = self.counts.take(throttle::DOCUMENT, "document", network(address), now) {
            return stale.ok_or_else(|| Failed::Later {
                error: OauthError::new(
                    Code::TemporarilyUnavailable,
                    "Too many clients were looked up from this address. Try again later.",
                ),
                seconds,
            });
        }
        let unusable =
            |why: &str| OauthError::new(Code::InvalidClient, format!("The document of the client cannot be fetched: {why}"));
        let fetched = match self.documents.get(url.as_str(), &DOCUMENT).await {
            Ok(fetched) => fetched,
            // A copy that was good serves on for a while, unless the host took the document back. Without one nobody can say whether
            // the client is known: were it told that it is not, it would forget what it has.
            Err(why) if why.passing() => {
                let error = || {
                    let what =
                        format!("The document of the client cannot be fetched at the moment: {why}. Try again in a minute.");
                    OauthError::new(Code::TemporarilyUnavailable, what)
                };
                return stale.ok_or_else(|| error().into());
            }
            Err(why) => return Err(unusable(&format!("{why}.")).into()),
        };
        let client = client_metadata::read(&url, &fetched.body, &self.schemes)?;
        let cached = Cached::new(fetched.cache_control.as_deref(), now);
        let text = String::from_utf8_lossy(&fetched.body).into_owned();
        let mut tx = self.db.begin().await?;
        clients::save_document(&mut tx, url.as_str(), &text, cached.fetched_at, cached.fresh_until).await?;
        tx.commit().await?;
        // Other words may name another key set.
        let keys = have.filter(|row| row.metadata == text).and_then(|row| row.keys.zip(row.keys_fetched_at));
        Ok(KnownClient { id: url.as_str().to_owned(), client, secret: None, keys })
    }

    /// Counts a request to an endpoint that anybody may ask again and again.
    fn admit(&self, address: IpAddr) -> Result2<()> {
        self.counts.take(throttle::ENDPOINT, "endpoint", network(address), self.sources.now()).map_err(|seconds| Failed::Later {
            error: OauthError::new(Code::TemporarilyUnavailable, "Too many requests came from this address. Try again later."),
            seconds,
        })
    }

    /// Who a request is of, and whether that was proved.
    async fn authenticate(
        &self,
        public: &PublicUrl,
        authorization: Option<&str>,
        params: &Params,
        address: IpAddr,
        refreshes: Option<&str>,
    ) -> Result2<Caller> {
        let claim = client_auth::read(authorization, &params.client())?;
        let client = self.client_for(&claim.client_id, address, refreshes == Some(&*claim.client_id)).await?;
        let (confidential, assertion) = match client_auth::check(&client.client.methods, client.secret.as_ref(), &claim.proof)? {
            Known::Public => (false, None),
            Known::Confidential => (true, None),
            Known::IfAssertionPasses => {
                if let client_auth::Proof::Assertion(assertion) = &claim.proof {
                    (true, Some(self.assertion(public, &client, assertion, address).await?))
                } else {
                    return Err(Fault::failed("client authentication").into());
                }
            }
        };
        Ok(Caller { client, confidential, assertion })
    }
    /// Uses the caller's assertion, in the transaction of what it brings about.
    async fn prove(&self, tx: &mut Tx, caller: &Caller, now: Timestamp) -> Result2<()> {
        let Some(used) = &caller.assertion else { return Ok(()) };
        let first = clients::use_assertion(tx, &used.replay, used.until, now).await?;
        if first { Ok(()) } else { Err(client_assertion::replayed().into()) }
    }

    async fn assertion(
        &self,
        public: &PublicUrl,
        client: &KnownClient,
        assertion: &str,
        address: IpAddr,
    ) -> Result2<client_assertion::Used> {
        let now = self.sources.now();
        let audiences: Vec<String> =
            std::iter::once(public.as_str().to_owned()).chain(["/token", "/oauth/token"].map(|path| public.join(path))).collect();
        let check = |keys: &JwkSet| client_assertion::check(assertion, &client.id, &audiences, keys, now);
        let uri = match &client.client.keys {
            Some(ClientKeys::Inline(text)) => {
                let keys = client_assertion::keys(text.as_bytes()).map_err(|flaw| no_keys(&flaw))?;
                return Ok(check(&keys).map_err(OauthError::from)?);
            }
            Some(ClientKeys::Uri(uri)) => uri,
            None => return Err(no_keys(&"it has none").into()),
        };
        // Before anybody's host is asked.
        client_assertion::plausible(assertion, &client.id, &audiences, now)?;
        if let Some((text, at)) = &client.keys
            && client_assertion::serves(*at, now)
            && let Ok(keys) = client_assertion::keys(text.as_bytes())
        {
            match check(&keys) {
                Ok(used) => return Ok(used),
                Err(client_assertion::Refused::Bad(error)) => return Err(error.into()),
                Err(refused) if !client_assertion::refetch(*at, now) => return Err(OauthError::from(refused).into()),
                Err(_) => {}
            }
        }
        let keys = self.key_set(&client.id, uri, address, now).await?;
        Ok(check(&keys).map_err(OauthError::from)?)
    }

    /// Fetches a client's key set, seldom: anybody can name a client, and a key that it does not have.
    async fn key_set(&self, client: &str, uri: &str, address: IpAddr, now: Timestamp) -> Result2<JwkSet> {
        if let Some((until, error)) = self.without_keys.lock().get(&client.to_owned())
            && now < *until
        {
            return Err(error.clone().into());
        }
        self.counts.take(throttle::KEY_SET, "key set", network(address), now).map_err(|seconds| Failed::Later {
            error: OauthError::new(
                Code::TemporarilyUnavailable,
                "Too many key sets were looked up from this address. Try again later.",
            ),
            seconds,
        })?;
        let fetched = match self.key_sets.get(uri, &KEY_SET).await {
            Ok(fetched) => {
                client_assertion::keys(&fetched.body).map(|keys| (keys, fetched)).map_err(|flaw| (no_keys(&flaw), NO_KEYS))
            }
            Err(why) if why.passing() => Err((
                OauthError::new(
                    Code::TemporarilyUnavailable,
                    format!("The client's key set cannot be fetched at the moment: {why}. Try again in a minute."),
                ),
                NO_ANSWER,
            )),
            Err(why) => Err((no_keys(&why), NO_KEYS)),
        };
        let (keys, fetched) = match fetched {
            Ok(found) => found,
            Err((error, time)) => {
                self.without_keys.lock().put(client.to_owned(), (now + time, error.clone()));
                return Err(error.into());
            }
        };
        let text = String::from_utf8_lossy(&fetched.body).into_owned();
        let mut tx = self.db.begin().await?;
        clients::save_keys(&mut tx, client, &text, now).await?;
        tx.commit().await?;
        Ok(keys)
    }

    // ------------------------------------------------------------------------------------------------ authorization

    /// The client of an authorization request, and what it asks for (OAuth 2.1 section 4.1.1).
    ///
    /// # Errors
    /// As [`request::authorization`].
    pub async fn asked(
        &self,
        public: &PublicUrl,
        query: &str,
        address: IpAddr,
    ) -> Result2<(KnownClient, std::result::Result<Authorization, request::Refused>)> {
        let params = Params::read(query)?;
        let client = self.client(request::client_id(&params)?, address).await?;
        let asked = request::authorization(&params, &client.client, &self.schemes, public);
        Ok((client, asked))
    }

    /// The code for a consent, in the transaction that makes the consent: where the browser goes with it.
    pub async fn code(
        &self,
        tx: &mut Tx,
        public: &PublicUrl,
        client: &KnownClient,
        asked: &Authorization,
        scopes: &Scopes,
        grant: GrantId,
    ) -> kernel::Result<String> {
        let code = opaque::make(Kind::AuthorizationCode, &*self.sources.random);
        let now = self.sources.now();
        let row = CodeRow {
            client: client.id.clone(),
            grant,
            redirect_uri: asked.redirect.as_str().to_owned(),
            challenge: *asked.challenge.as_bytes(),
            resource: asked.resource.uri(public),
            scopes: scopes.to_string(),
            created_at: now,
            expires_at: now + tokens::CODE_LIFE,
            spent_at: None,
            family: None,
        };
        codes::insert(tx, &code.hash, &row).await?;
        clients::touch(tx, &client.id, now).await?;
        let outcome = redirect::Outcome::Code(&code.text);
        Ok(redirect::respond(&asked.redirect, public.as_str(), asked.state.as_deref(), outcome))
    }
    /// Where the browser goes when the person refused.
    pub fn refused(&self, public: &PublicUrl, asked: &Authorization) -> String {
        let error = OauthError::new(Code::AccessDenied, "The person refused.");
        redirect::respond(&asked.redirect, public.as_str(), asked.state.as_deref(), redirect::Outcome::Error(&error))
    }

    // ------------------------------------------------------------------------------------------------ tokens

    /// The token endpoint (OAuth 2.1 section 3.2, RFC 8628 section 3.4).
    ///
    /// # Errors
    /// As the RFCs name them.
    pub async fn token(
        &self,
        public: &PublicUrl,
        authorization: Option<&str>,
        params: &Params,
        address: IpAddr,
    ) -> Result2<TokenResponse> {
        self.admit(address)?;
        let refreshes = self.refreshes(params).await?;
        let caller = self.authenticate(public, authorization, params, address, refreshes.as_deref()).await?;
        let client = &caller.client;
        match request::token(params, &client.client, public)? {
            TokenRequest::Code { code, redirect_uri, verifier, resource } => {
                let asks = CodeRequest { client: &client.id, redirect_uri, verifier, resource: resource.as_ref() };
                self.exchange(public, &caller, &code, &asks, address).await
            }
            TokenRequest::Refresh { token, scope, resource } => {
                let confidential = caller.confidential;
                let asks = RefreshRequest { client: &client.id, confidential, scope, resource: resource.as_ref() };
                self.refresh(public, &caller, &token, &asks, address).await
            }
            TokenRequest::Device { code } => self.poll(public, &caller, &code, address).await,
        }
    }

    /// The client of the family that a request would refresh, where it lives.
    async fn refreshes(&self, params: &Params) -> Result2<Option<String>> {
        if params.get("grant_type") != Some(GrantType::RefreshToken.as_str()) {
            return Ok(None);
        }
        let token = params.get("refresh_token").and_then(|text| opaque::read(Kind::RefreshToken, text));
        let Some(hash) = token else { return Ok(None) };
        let found = rows::refresh_token(&self.db, &hash).await?;
        Ok(found.filter(|(_, family)| family.revoked_at.is_none()).map(|(_, family)| family.client))
    }

    async fn exchange(
        &self,
        public: &PublicUrl,
        caller: &Caller,
        hash: &Hash,
        asks: &CodeRequest<'_>,
        address: IpAddr,
    ) -> Result2<TokenResponse> {
        for _ in 0..TRIES {
            let now = self.sources.now();
            let row = codes::find(&self.db, hash).await?.ok_or_else(request::unknown)?;
            let code = stored_code(public, &row).ok_or_else(request::unknown)?;
            match tokens::exchange(&code, asks, now) {
                Exchange::Spend => {
                    let mut tx = self.db.begin().await?;
                    self.prove(&mut tx, caller, now).await?;
                    let family = self.family(&mut tx, row.grant, caller, &row.resource, &code.scopes).await?;
                    if codes::spend(&mut tx, hash, family, now).await? {
                        let given = self.first(&mut tx, &caller.client, family, &code.scopes, now).await?;
                        tx.commit().await?;
                        return Ok(given);
                    }
                }
                Exchange::Burn(error) => {
                    let mut tx = self.db.begin().await?;
                    self.prove(&mut tx, caller, now).await?;
                    if codes::burn(&mut tx, hash, now).await? {
                        tx.commit().await?;
                        return Err(error.into());
                    }
                }
                Exchange::Replay { revoke, error } => {
                    if let Some(family) = revoke {
                        self.end_family(family, RevokedWhy::CodeReplay, &caller.client, address, now).await?;
                    }
                    return Err(error.into());
                }
                Exchange::Refuse(error) => return Err(error.into()),
            }
        }
        Err(tokens::busy().into())
    }

    async fn refresh(
        &self,
        public: &PublicUrl,
        caller: &Caller,
        hash: &Hash,
        asks: &RefreshRequest<'_>,
        address: IpAddr,
    ) -> Result2<TokenResponse> {
        let client = &caller.client;
        let mut counted = false;
        for _ in 0..TRIES {
            let now = self.sources.now();
            let (token, row) = rows::refresh_token(&self.db, hash).await?.ok_or_else(request::unknown)?;
            let family = stored_family(public, &row).ok_or_else(request::unknown)?;
            let token =
                RefreshToken { generation: token.generation, expires_at: token.expires_at, superseded_at: token.superseded_at };
            let decided = tokens::refresh(&family, &token, asks, now);
            // What gives tokens is written: once for each request, however often it is tried.
            if matches!(decided, Refresh::Rotate { .. } | Refresh::Join { .. }) && !std::mem::replace(&mut counted, true) {
                self.counts
                    .take(throttle::FAMILY, "family", family.id, now)
                    .map_err(|seconds| Failed::Later { error: tokens::busy(), seconds })?;
            }
            let (generation, scopes) = match decided {
                Refresh::Rotate { from, scopes } => {
                    let mut tx = self.db.begin().await?;
                    self.prove(&mut tx, caller, now).await?;
                    if !rows::rotate(&mut tx, family.grant, family.id, from, now).await? {
                        continue;
                    }
                    let given = self.next(&mut tx, client, &family, from + 1, scopes, now).await?;
                    tx.commit().await?;
                    return Ok(given);
                }
                Refresh::Join { generation, scopes } => (generation, scopes),
                Refresh::Revoke(error) => {
                    self.end_family(family.id, RevokedWhy::Reuse, client, address, now).await?;
                    return Err(error.into());
                }
                Refresh::Refuse(error) => return Err(error.into()),
            };
            let mut tx = self.db.begin().await?;
            self.prove(&mut tx, caller, now).await?;
            if rows::join(&mut tx, family.grant, family.id, generation, tokens::MOST_JOINED, now).await? {
                let given = self.next(&mut tx, client, &family, generation, scopes, now).await?;
                tx.commit().await?;
                return Ok(given);
            }
        }
        Err(tokens::busy().into())
    }

    async fn poll(&self, public: &PublicUrl, caller: &Caller, hash: &Hash, address: IpAddr) -> Result2<TokenResponse> {
        for _ in 0..TRIES {
            let now = self.sources.now();
            let row = devices::by_device(&self.db, hash).await?.ok_or_else(request::unknown)?;
            let mut code = stored_device(public, &row).ok_or_else(request::unknown)?;
            match self.decide(&mut code, &caller.client.id, hash, now) {
                Poll::Wait(error) => {
                    let mut tx = self.db.begin().await?;
                    self.prove(&mut tx, caller, now).await?;
                    devices::polled(&mut tx, hash, code.interval, now).await?;
                    tx.commit().await?;
                    return Err(error.into());
                }
                Poll::Redeem { grant } => {
                    let mut tx = self.db.begin().await?;
                    self.prove(&mut tx, caller, now).await?;
                    // What the person consented to, which may be less than what was asked for.
                    let consent = grants::find(&mut tx, grant).await?.ok_or_else(request::unknown)?;
                    let scopes = Scopes::stored(&consent.scopes);
                    let family = self.family(&mut tx, grant, caller, &row.resource, &scopes).await?;
                    if devices::redeem(&mut tx, hash, family, now).await? {
                        let given = self.first(&mut tx, &caller.client, family, &scopes, now).await?;
                        tx.commit().await?;
                        return Ok(given);
                    }
                }
                Poll::Replay { revoke, error } => {
                    self.end_family(revoke, RevokedWhy::DeviceReplay, &caller.client, address, now).await?;
                    return Err(error.into());
                }
                // Too early is not written.
                Poll::SlowDown { error, .. } | Poll::Refuse(error) => return Err(error.into()),
            }
        }
        Err(tokens::busy().into())
    }
    /// By what the store and this process know of the last poll; of many at once one is in time.
    fn decide(&self, code: &mut DeviceCode, client: &str, hash: &Hash, now: Timestamp) -> Poll {
        let mut polls = self.polls.lock();
        if let Some((at, interval)) = polls.get(hash) {
            code.polled_at = code.polled_at.max(Some(*at));
            code.interval = code.interval.max(*interval);
        }
        let decided = device::poll(code, client, now);
        match &decided {
            Poll::Wait(_) => polls.put(*hash, (now, code.interval)),
            Poll::SlowDown { interval, .. } => polls.put(*hash, (now, *interval)),
            _ => polls.remove(hash),
        }
        decided
    }

    async fn family(&self, tx: &mut Tx, grant: GrantId, caller: &Caller, resource: &str, scopes: &Scopes) -> Result2<FamilyId> {
        let new = NewFamily {
            grant,
            client: caller.client.id.clone(),
            resource: resource.to_owned(),
            scopes: scopes.to_string(),
            confidential: caller.confidential,
        };
        let revoked = || OauthError::new(Code::InvalidGrant, "The authorization was revoked. Authorize again.");
        let family = rows::create_family(tx, &new, &self.sources).await?.ok_or_else(revoked)?;
        self.stands(tx, grant, self.sources.now()).await?;
        Ok(family)
    }
    /// Refuses what the key or the person behind a consent may not have any more: its client asks for another, where it would otherwise
    /// refresh for ever and be turned away at each call.
    async fn stands(&self, tx: &mut Tx, grant: GrantId, now: Timestamp) -> Result2<()> {
        if grants::stands(tx, grant, invite::INVITES, now).await? {
            return Ok(());
        }
        let what = "The key or the person behind this authorization may not be used here any more. Authorize again.";
        Err(OauthError::new(Code::InvalidGrant, what).into())
    }
    /// The first tokens of a family.
    async fn first(
        &self,
        tx: &mut Tx,
        client: &KnownClient,
        family: FamilyId,
        scopes: &Scopes,
        now: Timestamp,
    ) -> Result2<TokenResponse> {
        let refreshes = scope::refreshes(&client.client.grant_types, scopes);
        self.give(tx, client, family, 1, scopes.clone(), refreshes.then(|| tokens::refresh_ends(now, now)), now).await
    }
    async fn next(
        &self,
        tx: &mut Tx,
        client: &KnownClient,
        family: &Family,
        generation: i64,
        scopes: Scopes,
        now: Timestamp,
    ) -> Result2<TokenResponse> {
        self.stands(tx, family.grant, now).await?;
        let ends = tokens::refresh_ends(family.created_at, now);
        self.give(tx, client, family.id, generation, scopes, Some(ends), now).await
    }
    #[expect(clippy::too_many_arguments, reason = "what a pair of tokens is made of")]
    async fn give(
        &self,
        tx: &mut Tx,
        client: &KnownClient,
        family: FamilyId,
        generation: i64,
        scopes: Scopes,
        refresh_ends: Option<Timestamp>,
        now: Timestamp,
    ) -> Result2<TokenResponse> {
        let access = opaque::make(Kind::AccessToken, &*self.sources.random);
        let row =
            AccessRow { family, scopes: scopes.to_string(), issued_at: now, expires_at: now + ACCESS_LIFE, revoked_at: None };
        rows::insert_access(tx, &access.hash, &row).await?;
        let refresh_token = match refresh_ends {
            Some(expires_at) => {
                let refresh = opaque::make(Kind::RefreshToken, &*self.sources.random);
                let row = RefreshRow { family, generation, issued_at: now, expires_at, superseded_at: None };
                rows::insert_refresh(tx, &refresh.hash, &row).await?;
                Some(refresh.text)
            }
            None => None,
        };
        clients::touch(tx, &client.id, now).await?;
        Ok(TokenResponse { access_token: access.text, refresh_token, scopes })
    }
    /// Ends what a thief may hold, and tells the organization of it.
    async fn end_family(
        &self,
        family: FamilyId,
        why: RevokedWhy,
        client: &KnownClient,
        address: IpAddr,
        now: Timestamp,
    ) -> Result2<()> {
        // Whoever tries again and again makes one write.
        let Some(row) = rows::family(&self.db, family).await?.filter(|row| row.revoked_at.is_none()) else { return Ok(()) };
        let mut tx = self.db.begin().await?;
        if rows::revoke_family(&mut tx, family, why, now).await? {
            tracing::warn!(%family, why = why.as_str(), "an authorization was ended: a code or token of it was used twice");
            let who = Who { kind: "system", id: None, name: "ocore".to_owned(), address: Some(address.to_string()) };
            let action = if why == RevokedWhy::Reuse { "oauth.reuse" } else { "oauth.replay" };
            let detail = json!({ "why": why.as_str(), "family": family.to_string() });
            self.log(&mut tx, &who, action, row.grant, &client.client.name, detail).await?;
        }
        Ok(tx.commit().await?)
    }
    /// A row in the main audit log of the consent's organization; `detail` is completed by whose consent it is.
    async fn log(&self, tx: &mut Tx, who: &Who, action: &str, grant: GrantId, name: &str, mut detail: Value) -> Result2<()> {
        let Some(row) = grants::find(&mut *tx, grant).await? else { return Ok(()) };
        if let Some(members) = detail.as_object_mut() {
            members.insert("client_id".to_owned(), row.client.clone().into());
            members.insert("user".to_owned(), row.user.to_string().into());
            members.insert("key_id".to_owned(), row.key.to_string().into());
        }
        let target = Target { kind: "oauth_grant", id: Some(grant.to_string()), name: name.to_owned() };
        Ok(audit_log::write(tx, who, Some(row.org), action, &target, &detail, &self.sources).await?)
    }

    /// Revocation (RFC 7009): done, or not ours, which is answered alike.
    ///
    /// # Errors
    /// `invalid_request`, `invalid_client`.
    pub async fn revoke(&self, public: &PublicUrl, authorization: Option<&str>, params: &Params, address: IpAddr) -> Result2<()> {
        self.admit(address)?;
        let caller = self.authenticate(public, authorization, params, address, None).await?;
        let Some((kind, hash)) = request::subject(params)? else { return Ok(()) };
        let now = self.sources.now();
        // One that has ended already is as good as unknown: that is not written again.
        let row = match kind {
            Kind::RefreshToken => rows::refresh_token(&self.db, &hash).await?.map(|(_, family)| family),
            _ => rows::access_token(&self.db, &hash)
                .await?
                .filter(|found| found.access.revoked_at.is_none())
                .map(|found| found.family),
        };
        let Some(family) = row.as_ref().and_then(|row| stored_family(public, row)).filter(|family| family.revoked_at.is_none())
        else {
            return Ok(());
        };
        let Some(revocation) = tokens::revocation(&family, &caller.client.id, kind == Kind::RefreshToken) else { return Ok(()) };
        let mut tx = self.db.begin().await?;
        self.prove(&mut tx, &caller, now).await?;
        let (ended, what) = match revocation {
            // A consent has one family. What is left of it, and a key that it made, is of no use to anybody.
            Revocation::Family => (grants::revoke(&mut tx, family.grant, RevokedWhy::Client, now).await?, "authorization"),
            Revocation::Access => (rows::revoke_access(&mut tx, &hash, now).await?, "access token"),
        };
        if ended {
            let name = &caller.client.client.name;
            let who = Who {
                kind: "client",
                id: Some(caller.client.id.clone()),
                name: name.clone(),
                address: Some(address.to_string()),
            };
            let detail = json!({ "what": what, "family": family.id.to_string() });
            self.log(&mut tx, &who, "oauth.client_revoke", family.grant, name, detail).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Introspection (RFC 7662), for clients that prove themselves: of their own tokens alone.
    ///
    /// # Errors
    /// `invalid_client` for public clients.
    pub async fn introspect(
        &self,
        public: &PublicUrl,
        authorization: Option<&str>,
        params: &Params,
        address: IpAddr,
    ) -> Result2<Introspection> {
        self.admit(address)?;
        let caller = self.authenticate(public, authorization, params, address, None).await?;
        if !caller.confidential {
            return Err(OauthError::new(
                Code::InvalidClient,
                "Introspection is for clients that authenticate, by secret or assertion. This one is public.",
            )
            .into());
        }
        let Some((kind, hash)) = request::subject(params)? else { return Ok(Introspection::INACTIVE) };
        let now = self.sources.now();
        let told = self.told(public, kind, &hash, &caller.client.id, now).await?;
        if told.active && caller.assertion.is_some() {
            let mut tx = self.db.begin().await?;
            self.prove(&mut tx, &caller, now).await?;
            tx.commit().await?;
        }
        Ok(told)
    }
    async fn told(&self, public: &PublicUrl, kind: Kind, hash: &Hash, client: &str, now: Timestamp) -> Result2<Introspection> {
        if kind == Kind::RefreshToken {
            let Some((row, family_row)) = rows::refresh_token(&self.db, hash).await? else { return Ok(Introspection::INACTIVE) };
            let Some(family) = stored_family(public, &family_row) else { return Ok(Introspection::INACTIVE) };
            if !grants::stands(&self.db, family.grant, invite::INVITES, now).await? {
                return Ok(Introspection::INACTIVE);
            }
            let token = RefreshToken { generation: row.generation, expires_at: row.expires_at, superseded_at: row.superseded_at };
            return Ok(Introspection::refresh(&token, &family, client, public, now));
        }
        let Some(found) = rows::access_token(&self.db, hash).await? else { return Ok(Introspection::INACTIVE) };
        let Some(family) = stored_family(public, &found.family) else { return Ok(Introspection::INACTIVE) };
        if !grants::stands(&self.db, family.grant, invite::INVITES, now).await? {
            return Ok(Introspection::INACTIVE);
        }
        let token = AccessToken {
            scopes: Scopes::stored(&found.access.scopes),
            expires_at: found.access.expires_at,
            revoked_at: found.access.revoked_at,
        };
        Ok(Introspection::access(&token, &family, client, public, now))
    }

    // ------------------------------------------------------------------------------------------------ devices

    /// Device authorization (RFC 8628 section 3.1).
    ///
    /// # Errors
    /// As [`request::device`].
    pub async fn device(
        &self,
        public: &PublicUrl,
        authorization: Option<&str>,
        params: &Params,
        address: IpAddr,
        agent: &str,
    ) -> Result2<DeviceAuthorization> {
        let caller = self.authenticate(public, authorization, params, address, None).await?;
        let client = &caller.client;
        let (scopes, resource) = request::device(params, &client.client, public)?;
        let now = self.sources.now();
        self.counts.take(throttle::REGISTRATION, "device", network(address), now).map_err(|seconds| Failed::Later {
            error: OauthError::new(Code::TemporarilyUnavailable, "Too many device codes were asked for from this address."),
            seconds,
        })?;
        let device_code = opaque::make(Kind::DeviceCode, &*self.sources.random);
        for _ in 0..TRIES {
            let user_code = UserCode::make(&*self.sources.random);
            let new = NewDevice {
                hash: device_code.hash,
                user_code_hash: user_code.hash(),
                client: client.id.clone(),
                resource: resource.uri(public),
                scopes: scopes.to_string(),
                address,
                agent: agent.chars().filter(|c| !c.is_control()).take(200).collect(),
                interval: device::INTERVAL,
                expires_at: now + device::LIFE,
            };
            let mut tx = self.db.begin().await?;
            self.prove(&mut tx, &caller, now).await?;
            match devices::insert(&mut tx, &new, now).await {
                Ok(()) => {
                    clients::touch(&mut tx, &client.id, now).await?;
                    tx.commit().await?;
                    return Ok(DeviceAuthorization { device_code: device_code.text, user_code, public: public.clone() });
                }
                // A code that is live already: another.
                Err(StoreError::Unique { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Fault::failed("making a user code").into())
    }

    /// What waits for the code that a signed-in person typed.
    pub async fn pending(
        &self,
        typed: &str,
        user: UserId,
        address: IpAddr,
    ) -> std::result::Result<std::result::Result<Pending, NoDevice>, Failed> {
        let now = self.sources.now();
        let later = |seconds| NoDevice::Later { seconds };
        // Counted before it is known whether it is right: of many at once no more are tried than may fail.
        if let Err(seconds) = self.counts.take(throttle::USER_CODE, "user code", user, now) {
            return Ok(Err(later(seconds)));
        }
        if let Err(seconds) = self.counts.take(throttle::USER_CODE_ADDRESS, "user code address", network(address), now) {
            return Ok(Err(later(seconds)));
        }
        let Some(user_code) = UserCode::parse(typed).map(|code| code.hash()) else { return Ok(Err(NoDevice::Unknown)) };
        let Some(found) = self.waiting(&user_code, address).await? else { return Ok(Err(NoDevice::Unknown)) };
        self.counts.give_back("user code", user);
        self.counts.give_back("user code address", network(address));
        Ok(Ok(found))
    }
    /// The same for a code that was found before.
    ///
    /// # Errors
    /// When the store does not answer, or the client is gone.
    pub async fn waiting(&self, user_code: &Hash, address: IpAddr) -> Result2<Option<Pending>> {
        let now = self.sources.now();
        let Some(row) = devices::by_user_code(&self.db, user_code).await? else { return Ok(None) };
        if row.state != DeviceState::Pending || row.expires_at <= now {
            return Ok(None);
        }
        let client = self.client(&row.client, address).await?;
        Ok(Some(Pending {
            client,
            scopes: Scopes::stored(&row.scopes),
            resource: row.resource,
            address: row.address,
            agent: row.agent,
            since: row.created_at,
            until: row.expires_at,
            user_code: *user_code,
        }))
    }

    /// What ends by itself: for the clean-up.
    ///
    /// # Errors
    /// When the store does not answer.
    pub async fn prune(&self) -> kernel::Result<u64> {
        let now = self.sources.now();
        let mut gone = store::oauth::prune(&self.db, now).await?;
        self.end_spent(now).await?;
        loop {
            let mut tx = self.db.begin().await?;
            let some = clients::prune(&mut tx, now - TimeDelta::days(7), now - TimeDelta::days(90)).await?;
            store::oidc::prune(&mut tx, now).await?;
            tx.commit().await?;
            gone += some;
            if some < u64::from(clients::PRUNED) {
                return Ok(gone);
            }
        }
    }
    /// Consents that can give nothing any more, with the keys that were made for them: else both would be in lists, and the keys in
    /// every snapshot, for ever.
    async fn end_spent(&self, now: Timestamp) -> kernel::Result<()> {
        let who = Who { kind: "system", id: None, name: "ocore".to_owned(), address: None };
        loop {
            let mut tx = self.db.begin().await?;
            let ended = grants::end_spent(&mut tx, now - SPENT, clients::PRUNED, now).await?;
            for grant in &ended {
                let why = "nothing of it was left";
                let detail = json!({ "client_id": grant.client, "user": grant.user.to_string(), "why": why });
                let target = Target { kind: "oauth_grant", id: Some(grant.id.to_string()), name: grant.client.clone() };
                audit_log::write(&mut tx, &who, Some(grant.org), "oauth.revoke", &target, &detail, &self.sources).await?;
                if grant.made_key {
                    let label = keys::find(&mut tx, grant.org, grant.key).await?.map(|key| key.label).unwrap_or_default();
                    let detail = json!({ "by": "consent", "grant": grant.id.to_string() });
                    let target = Target { kind: "api_key", id: Some(grant.key.to_string()), name: label };
                    audit_log::write(&mut tx, &who, Some(grant.org), "api_key.revoke", &target, &detail, &self.sources).await?;
                }
            }
            tx.commit().await?;
            if ended.is_empty() {
                return Ok(());
            }
        }
    }
}

fn no_keys(why: &dyn std::fmt::Display) -> OauthError {
    OauthError::new(Code::InvalidClient, format!("The client's key set cannot be used: {why}."))
}
fn known(row: ClientRow, client: Client) -> KnownClient {
    KnownClient { id: row.id, client, secret: row.secret_hash, keys: row.keys.zip(row.keys_fetched_at) }
}

fn stored_code(public: &PublicUrl, row: &CodeRow) -> Option<AuthorizationCode> {
    Some(AuthorizationCode {
        client: row.client.clone(),
        redirect_uri: row.redirect_uri.clone(),
        challenge: Challenge::from_bytes(row.challenge),
        resource: Resource::stored(public, &row.resource)?,
        scopes: Scopes::stored(&row.scopes),
        grant: row.grant,
        expires_at: row.expires_at,
        spent_at: row.spent_at,
        family: row.family,
    })
}
fn stored_family(public: &PublicUrl, row: &FamilyRow) -> Option<Family> {
    Some(Family {
        id: row.id,
        client: row.client.clone(),
        grant: row.grant,
        resource: Resource::stored(public, &row.resource)?,
        scopes: Scopes::stored(&row.scopes),
        confidential: row.confidential,
        generation: row.generation,
        joined: row.joined,
        created_at: row.created_at,
        revoked_at: row.revoked_at,
    })
}
fn stored_device(public: &PublicUrl, row: &DeviceRow) -> Option<DeviceCode> {
    let state = match row.state {
        DeviceState::Pending => State::Pending,
        DeviceState::Denied => State::Denied,
        DeviceState::Approved(grant) => State::Approved { grant },
        DeviceState::Redeemed { family, .. } => State::Redeemed { family },
    };
    Some(DeviceCode {
        client: row.client.clone(),
        scopes: Scopes::stored(&row.scopes),
        resource: Resource::stored(public, &row.resource)?,
        state,
        expires_at: row.expires_at,
        interval: row.interval,
        polled_at: row.polled_at,
    })
}

/// For the log: no error of a client says more than its code.
pub fn logged(failed: &Failed) -> Value {
    match failed {
        Failed::Refused(error) | Failed::Later { error, .. } => json!({ "error": error.code().as_str() }),
        Failed::Fault(_) => json!({ "error": "server_error" }),
    }
}

#[cfg(test)]
mod tests;
