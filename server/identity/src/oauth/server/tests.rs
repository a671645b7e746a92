//! The endpoints over a store: what they write, what they give, and what they ask of strangers' hosts.
use std::{
    net::Ipv4Addr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use kernel::{KeyId, Networks, OrgId, Permissions, Role};
use store::{
    keys::NewKey,
    oauth::grants::NewGrant,
    orgs,
    testing::{TestStore, sqlite},
    users,
};

use super::*;
use crate::{
    oauth::client_assertion::tests::{Signer, p256, sign},
    world::{Asked, Authority, HERE as LOOPBACK, Server as Host, answer},
};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const REDIRECT: &str = "https://host.example/cb";
/// RFC 7636 appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

struct World {
    t: TestStore,
    server: Server,
    public: PublicUrl,
    org: OrgId,
    user: UserId,
}
impl World {
    async fn new() -> Self {
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        Self::with(Fetch::new(Networks::default()).unwrap()).await
    }
    async fn with(fetch: Fetch) -> Self {
        let t = sqlite().await;
        let mut tx = t.begin().await.unwrap();
        let org = orgs::create(&mut tx, "acme", "Acme", &t.sources).await.unwrap();
        let user = users::create(&mut tx, "ann@example.com", None, false, &t.sources).await.unwrap();
        users::set_role(&mut tx, org, user, Role::Member, t.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        let server = Server::new(t.db.clone(), t.sources.clone(), Schemes::known(), fetch);
        Self { t, server, public: PublicUrl::parse("https://ocore.example").unwrap(), org, user }
    }
    fn now(&self) -> Timestamp {
        self.t.sources.now()
    }
    /// Registers a client; `more` is added to what it says of itself.
    async fn register(&self, name: &str, more: &Value) -> KnownClient {
        let mut body = json!({"client_name": name, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT]});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let answer = self.server.register(body.to_string().as_bytes(), HERE).await.unwrap();
        self.server.client(answer["client_id"].as_str().unwrap(), HERE).await.unwrap()
    }
    async fn key(&self, expires_at: Option<Timestamp>) -> KeyId {
        let mut hash = [0; 32];
        self.t.sources.random.fill(&mut hash);
        let new = NewKey {
            org: self.org,
            owner: Some(self.user),
            role: Role::Member,
            label: "of consent".into(),
            prefix: "oauth".into(),
            hash,
            permissions: Permissions::all(),
            expires_at,
            invite: None,
        };
        let mut tx = self.t.begin().await.unwrap();
        let id = keys::create(&mut tx, &new, &self.t.sources).await.unwrap();
        tx.commit().await.unwrap();
        id
    }
    /// A consent, and the code that the client gets for it.
    async fn consent(&self, client: &KnownClient, key: KeyId, made_key: bool) -> (GrantId, String) {
        let query = format!(
            "response_type=code&client_id={}&redirect_uri={REDIRECT}&state=x&code_challenge={CHALLENGE}&code_challenge_method=S256\
             &scope=read+offline_access",
            client.id
        );
        let (_, asked) = self.server.asked(&self.public, &query, HERE).await.unwrap();
        let asked = asked.unwrap();
        let mut tx = self.t.begin().await.unwrap();
        let new = NewGrant {
            org: self.org,
            user: self.user,
            client: client.id.clone(),
            key,
            made_key,
            scopes: asked.scopes.to_string(),
            resource: asked.resource.uri(&self.public),
            redirect_host: "host.example".into(),
        };
        let grant = grants::create(&mut tx, &new, &self.t.sources).await.unwrap();
        let location = self.server.code(&mut tx, &self.public, client, &asked, &asked.scopes, grant).await.unwrap();
        tx.commit().await.unwrap();
        let location = url::Url::parse(&location).unwrap();
        (grant, location.query_pairs().find(|(n, _)| n == "code").unwrap().1.into_owned())
    }
    async fn token(&self, pairs: &[(&str, &str)]) -> Result2<TokenResponse> {
        self.token_from(pairs, HERE).await
    }
    async fn token_from(&self, pairs: &[(&str, &str)], address: IpAddr) -> Result2<TokenResponse> {
        self.server.token(&self.public, None, &params(pairs), address).await
    }
    async fn exchange(&self, client: &KnownClient, code: &str) -> Result2<TokenResponse> {
        let grant = "authorization_code";
        self.token(&[("grant_type", grant), ("client_id", &client.id), ("code", code), ("code_verifier", VERIFIER)]).await
    }
    async fn refresh(&self, client: &KnownClient, token: &str) -> Result2<TokenResponse> {
        self.token(&[("grant_type", "refresh_token"), ("client_id", &client.id), ("refresh_token", token)]).await
    }
    /// Tokens of a consent through a key of its own.
    async fn tokens(&self, client: &KnownClient) -> (GrantId, KeyId, TokenResponse) {
        let key = self.key(None).await;
        let (grant, code) = self.consent(client, key, true).await;
        (grant, key, self.exchange(client, &code).await.unwrap())
    }
    async fn revoke(&self, client: &KnownClient, token: &str) {
        let pairs = params(&[("client_id", &client.id), ("token", token)]);
        self.server.revoke(&self.public, None, &pairs, HERE).await.unwrap();
    }
    async fn log(&self, action: &str) -> Vec<audit_log::LogRow> {
        let rows = audit_log::list(&self.t.db, Some(self.org), None, 100).await.unwrap();
        rows.into_iter().filter(|row| row.action == action).collect()
    }
    /// Does it while another writes: whoever would have to write waits too long.
    fn without_writing<'a, T>(&'a self, work: impl Future<Output = T> + 'a) -> impl Future<Output = T> + 'a {
        let work = Box::pin(work);
        async move {
            let held = self.t.begin().await.unwrap();
            let done = tokio::time::timeout(Duration::from_secs(3), work).await.expect("nothing is written");
            held.rollback().await.unwrap();
            done
        }
    }
}
fn params(pairs: &[(&str, &str)]) -> Params {
    Params::read(&url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()).unwrap()
}
fn refreshing(given: &TokenResponse) -> &str {
    given.refresh_token.as_ref().unwrap().expose_secret()
}
#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result2<T>) -> Code {
    match result.unwrap_err() {
        Failed::Refused(error) => error.code(),
        other => panic!("{other:?}"),
    }
}
fn throttled<T>(result: &Result2<T>) -> bool {
    matches!(result, Err(Failed::Later { seconds: 1.., .. }))
}
/// The form of a client that signs.
fn signed(signer: &Signer, client: &str, jti: &str, now: Timestamp) -> [(&'static str, String); 2] {
    let claims =
        json!({"iss": client, "sub": client, "aud": "https://ocore.example/token", "exp": now.timestamp() + 60, "jti": jti});
    let assertion = sign(signer, signer.jwk["kid"].as_str(), &claims);
    [("client_assertion_type", client_assertion::TYPE.to_owned()), ("client_assertion", assertion)]
}
fn with<'a>(pairs: &[(&'a str, &'a str)], signed: &'a [(&'static str, String); 2]) -> Vec<(&'a str, &'a str)> {
    pairs.iter().copied().chain(signed.iter().map(|(n, v)| (*n, v.as_str()))).collect()
}

// ---- what is written

#[tokio::test]
async fn polls_that_come_too_early_write_nothing_and_are_slowed() {
    let w = World::new().await;
    let asked = params(&[("client_id", registration::OWN), ("scope", "read")]);
    let device = w.server.device(&w.public, None, &asked, HERE, "a program").await.unwrap();
    let pairs =
        [("grant_type", DEVICE_GRANT), ("client_id", registration::OWN), ("device_code", device.device_code.expose_secret())];
    assert_eq!(refused(w.token(&pairs).await), Code::AuthorizationPending);
    w.without_writing(async {
        for _ in 0..20 {
            assert_eq!(refused(w.token(&pairs).await), Code::SlowDown);
        }
    })
    .await;
    // 5 s at first, 5 more for each that came too early, a minute at most.
    w.t.clock.advance(TimeDelta::seconds(58));
    assert_eq!(refused(w.token(&pairs).await), Code::SlowDown);
    w.t.clock.advance(TimeDelta::seconds(60));
    assert_eq!(refused(w.token(&pairs).await), Code::AuthorizationPending);
    // Another process knows the pace by what is written.
    let other = Server::new(w.t.db.clone(), w.t.sources.clone(), Schemes::known(), w.server.documents.clone());
    w.t.clock.advance(TimeDelta::seconds(30));
    assert_eq!(refused(other.token(&w.public, None, &params(&pairs), HERE).await), Code::SlowDown);

    // Of many at once one is in time.
    w.t.clock.advance(TimeDelta::seconds(90));
    let at_once = futures_util::future::join_all((0..10).map(|_| w.token(&pairs))).await;
    let in_time = at_once.into_iter().map(refused).filter(|code| *code == Code::AuthorizationPending).count();
    assert_eq!(in_time, 1);
}

#[tokio::test]
async fn an_assertion_is_used_with_what_it_brings_about_and_once() {
    let w = World::new().await;
    let signer = p256("a");
    let more = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [signer.jwk]}});
    let client = w.register("Signs", &more).await;
    let junk = opaque::make(Kind::AuthorizationCode, &*w.t.sources.random).text;
    let pairs = [("grant_type", "authorization_code"), ("code", junk.expose_secret()), ("code_verifier", VERIFIER)];
    w.without_writing(async {
        for n in 0..20 {
            let proof = signed(&signer, &client.id, &format!("junk {n}"), w.now());
            assert_eq!(refused(w.token(&with(&pairs, &proof)).await), Code::InvalidGrant);
        }
    })
    .await;
    let (_, code) = w.consent(&client, w.key(None).await, true).await;
    let pairs = [("grant_type", "authorization_code"), ("code", code.as_str()), ("code_verifier", VERIFIER)];
    let proof = signed(&signer, &client.id, "once", w.now());
    let given = w.token(&with(&pairs, &proof)).await.unwrap();
    let pairs = [("grant_type", "refresh_token"), ("refresh_token", refreshing(&given))];
    assert_eq!(refused(w.token(&with(&pairs, &proof)).await), Code::InvalidClient, "its jti was used");
    let access = [("token", given.access_token.expose_secret())];
    let asks = async |proof: &[(&'static str, String); 2]| {
        w.server.introspect(&w.public, None, &params(&with(&access, proof)), HERE).await
    };
    assert_eq!(refused(asks(&proof).await), Code::InvalidClient);
    assert!(asks(&signed(&signer, &client.id, "twice", w.now())).await.unwrap().active);
    let proof = signed(&signer, &client.id, "twice", w.now());
    assert_eq!(refused(asks(&proof).await), Code::InvalidClient);
    assert_eq!(refused(w.token(&with(&pairs, &proof)).await), Code::InvalidClient);
    w.token(&with(&pairs, &signed(&signer, &client.id, "third", w.now()))).await.unwrap();
}

#[tokio::test]
async fn who_asks_without_end_is_told_to_wait() {
    let w = World::new().await;
    let client = w.register("Client", &json!({})).await;
    let junk = opaque::make(Kind::RefreshToken, &*w.t.sources.random).text;
    let pairs = [("grant_type", "refresh_token"), ("client_id", client.id.as_str()), ("refresh_token", junk.expose_secret())];
    let at = |host: u128| IpAddr::V6((0x2001_0db8_0000_0001_u128 << 64 | host).into());
    for n in 0..throttle::ENDPOINT.failures {
        assert_eq!(refused(w.token_from(&pairs, at(n.into())).await), Code::InvalidGrant);
    }
    assert!(throttled(&w.token_from(&pairs, at(1 << 40)).await), "the network counts");
    let asked = params(&[("client_id", &client.id), ("token", junk.expose_secret())]);
    assert!(throttled(&w.server.revoke(&w.public, None, &asked, at(7)).await));
    assert!(throttled(&w.server.introspect(&w.public, None, &asked, at(7)).await));
    assert_eq!(refused(w.token(&pairs).await), Code::InvalidGrant, "others come in");
    w.t.clock.advance(throttle::ENDPOINT.window);
    assert_eq!(refused(w.token_from(&pairs, at(1)).await), Code::InvalidGrant);
}

#[tokio::test]
async fn twenty_refresh_at_once_and_nobody_without_end() {
    let w = World::new().await;
    let client = w.register("Client", &json!({})).await;
    let (_, _, given) = w.tokens(&client).await;
    let first = refreshing(&given).to_owned();
    let at_once = futures_util::future::join_all((0..20).map(|_| w.refresh(&client, &first))).await;
    let mut newest = String::new();
    for given in at_once {
        let given = given.unwrap();
        let again = w.refresh(&client, refreshing(&given)).await.unwrap();
        refreshing(&again).clone_into(&mut newest);
    }
    let mut refreshes = 40;
    let refused = loop {
        match w.refresh(&client, &newest).await {
            Ok(given) => refreshing(&given).clone_into(&mut newest),
            refused => break refused,
        }
        refreshes += 1;
    };
    assert!(throttled(&refused) && refreshes == throttle::FAMILY.failures, "{refreshes}");
    // Another consent is not slowed, and this one goes on later.
    let (_, _, other) = w.tokens(&client).await;
    w.refresh(&client, refreshing(&other)).await.unwrap();
    w.t.clock.advance(throttle::FAMILY.window);
    w.refresh(&client, &newest).await.unwrap();
}

// ---- who is behind it

#[tokio::test]
async fn nothing_is_given_for_a_key_or_a_person_that_may_not_come_in() {
    let w = World::new().await;
    let body = json!({"client_name": "Asks", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post",
        "grant_types": ["authorization_code", "refresh_token"]});
    let known = w.server.register(body.to_string().as_bytes(), HERE).await.unwrap();
    let (id, secret) = (known["client_id"].as_str().unwrap(), known["client_secret"].as_str().unwrap());
    let client = w.server.client(id, HERE).await.unwrap();
    let proof = [("client_id", id), ("client_secret", secret)];
    let exchange = async |code: &str| {
        let pairs = [("grant_type", "authorization_code"), ("code", code), ("code_verifier", VERIFIER)];
        w.token(&[&pairs[..], &proof].concat()).await
    };
    let refresh =
        async |token: &str| w.token(&[&[("grant_type", "refresh_token"), ("refresh_token", token)][..], &proof].concat()).await;
    let active = async |token: &str| {
        let asked = params(&[&[("token", token)][..], &proof].concat());
        w.server.introspect(&w.public, None, &asked, HERE).await.unwrap().active
    };
    let change = async |on: bool| {
        let mut tx = w.t.begin().await.unwrap();
        let change = users::UserChange { active: Some(on), ..users::UserChange::default() };
        users::update(&mut tx, w.user, &change, w.now()).await.unwrap();
        tx.commit().await.unwrap();
    };
    let key = w.key(Some(w.now() + TimeDelta::minutes(30))).await;
    let (_, code) = w.consent(&client, key, false).await;
    let given = exchange(&code).await.unwrap();
    let (access, token) = (given.access_token.expose_secret(), refreshing(&given));
    assert!(active(access).await && active(token).await);

    let (_, code) = w.consent(&client, key, false).await;
    change(false).await;
    assert_eq!(refused(refresh(token).await), Code::InvalidGrant);
    assert_eq!(refused(exchange(&code).await), Code::InvalidGrant);
    assert!(!active(access).await && !active(token).await);
    change(true).await;
    // Nothing was used up by that.
    let given = refresh(token).await.unwrap();
    exchange(&code).await.unwrap();
    let token = refreshing(&given);
    w.t.clock.advance(TimeDelta::minutes(30));
    assert_eq!(refused(refresh(token).await), Code::InvalidGrant, "the key has expired");
    assert!(!active(given.access_token.expose_secret()).await && !active(token).await);

    // A device code that was approved.
    let device = w.server.device(&w.public, None, &params(&[("client_id", registration::OWN)]), HERE, "").await.unwrap();
    let own = w.server.client(registration::OWN, HERE).await.unwrap();
    let key = w.key(None).await;
    let mut tx = w.t.begin().await.unwrap();
    let new = NewGrant {
        org: w.org,
        user: w.user,
        client: own.id.clone(),
        key,
        made_key: false,
        scopes: "read".into(),
        resource: w.public.join("/mcp"),
        redirect_host: String::new(),
    };
    let grant = grants::create(&mut tx, &new, &w.t.sources).await.unwrap();
    assert!(devices::answer(&mut tx, &device.user_code.hash(), Some(grant), w.now()).await.unwrap());
    tx.commit().await.unwrap();
    let pairs =
        [("grant_type", DEVICE_GRANT), ("client_id", registration::OWN), ("device_code", device.device_code.expose_secret())];
    let mut tx = w.t.begin().await.unwrap();
    users::remove_member(&mut tx, w.org, w.user, w.now()).await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(refused(w.token(&pairs).await), Code::InvalidGrant);
    let mut tx = w.t.begin().await.unwrap();
    users::set_role(&mut tx, w.org, w.user, Role::Member, w.now()).await.unwrap();
    tx.commit().await.unwrap();
    w.token(&pairs).await.unwrap();
}

#[tokio::test]
async fn thefts_and_what_clients_give_back_are_told_to_the_organization() {
    let w = World::new().await;
    let client = w.register("Client", &json!({})).await;
    let (grant, key, given) = w.tokens(&client).await;
    let first = refreshing(&given).to_owned();
    w.refresh(&client, &first).await.unwrap();
    w.t.clock.advance(tokens::GRACE + TimeDelta::seconds(1));
    for _ in 0..2 {
        assert_eq!(refused(w.refresh(&client, &first).await), Code::InvalidGrant);
    }
    let rows = w.log("oauth.reuse").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    let row = &rows[0];
    assert_eq!((row.org, row.actor_kind.as_str(), row.address.as_deref()), (Some(w.org), "system", Some("192.0.2.1")));
    assert_eq!(
        (row.target_kind.as_str(), row.target_id.as_deref(), row.target_name.as_str()),
        ("oauth_grant", Some(&*grant.to_string()), "Client")
    );
    assert_eq!((&row.detail["client_id"], &row.detail["user"]), (&json!(client.id), &json!(w.user.to_string())));
    assert_eq!((&row.detail["key_id"], &row.detail["why"]), (&json!(key.to_string()), &json!("reuse")));

    // A code that comes twice; what it gave has ended then, and no more is written for it.
    let (grant, code) = w.consent(&client, w.key(None).await, true).await;
    w.exchange(&client, &code).await.unwrap();
    assert_eq!(refused(w.exchange(&client, &code).await), Code::InvalidGrant);
    w.without_writing(async { assert_eq!(refused(w.exchange(&client, &code).await), Code::InvalidGrant) }).await;
    let rows = w.log("oauth.replay").await;
    assert_eq!(rows.iter().map(|row| row.target_id.clone()).collect::<Vec<_>>(), [Some(grant.to_string())]);

    // Given back: the access token alone, then all of it, with the key that the consent made.
    let (grant, key, given) = w.tokens(&client).await;
    w.revoke(&client, given.access_token.expose_secret()).await;
    assert!(grants::find(&w.t.db, grant).await.unwrap().unwrap().revoked_at.is_none());
    let again = w.refresh(&client, refreshing(&given)).await.unwrap();
    w.t.clock.advance(TimeDelta::seconds(1));
    w.revoke(&client, refreshing(&again)).await;
    w.without_writing(w.revoke(&client, refreshing(&again))).await;
    assert!(grants::find(&w.t.db, grant).await.unwrap().unwrap().revoked_at.is_some());
    assert!(keys::find(&w.t.db, w.org, key).await.unwrap().unwrap().revoked_at.is_some());
    let rows = w.log("oauth.client_revoke").await;
    assert_eq!(
        rows.iter().map(|row| row.detail["what"].clone()).collect::<Vec<_>>(),
        [json!("authorization"), json!("access token")]
    );
    assert!(rows.iter().all(|row| row.actor_kind == "client" && row.actor_id.as_deref() == Some(&*client.id)), "{rows:?}");

    // The person's own key stays when a client gives back what it got through it.
    let key = w.key(None).await;
    let (grant, code) = w.consent(&client, key, false).await;
    let given = w.exchange(&client, &code).await.unwrap();
    w.revoke(&client, refreshing(&given)).await;
    assert!(grants::find(&w.t.db, grant).await.unwrap().unwrap().revoked_at.is_some());
    assert!(keys::find(&w.t.db, w.org, key).await.unwrap().unwrap().revoked_at.is_none());
}

#[tokio::test]
async fn the_clean_up_ends_what_can_give_nothing_and_says_so() {
    let w = World::new().await;
    let client = w.register("Client", &json!({})).await;
    let key = w.key(None).await;
    let (unused, _) = w.consent(&client, key, true).await;
    let (live, _, given) = w.tokens(&client).await;
    w.server.prune().await.unwrap();
    assert!(w.log("oauth.revoke").await.is_empty(), "a code lives");
    w.t.clock.advance(TimeDelta::minutes(61));
    w.server.prune().await.unwrap();
    w.server.prune().await.unwrap();
    let rows = w.log("oauth.revoke").await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!((rows[0].actor_kind.as_str(), rows[0].target_id.as_deref()), ("system", Some(&*unused.to_string())));
    let rows = w.log("api_key.revoke").await;
    assert_eq!(
        (rows.len(), rows[0].target_id.as_deref(), rows[0].target_name.as_str()),
        (1, Some(&*key.to_string()), "of consent")
    );
    assert!(keys::find(&w.t.db, w.org, key).await.unwrap().unwrap().revoked_at.is_some());
    assert!(grants::find(&w.t.db, live).await.unwrap().unwrap().revoked_at.is_none());
    w.refresh(&client, refreshing(&given)).await.unwrap();
}

#[tokio::test]
async fn a_client_that_registers_again_after_long_works_with_its_id() {
    let w = World::new().await;
    let client = w.register("Client", &json!({})).await;
    let (_, _, given) = w.tokens(&client).await;
    w.t.clock.advance(TimeDelta::days(91));
    assert_eq!(refused(w.refresh(&client, refreshing(&given)).await), Code::InvalidClient, "its host registers again");
    let again = w.register("Client", &json!({})).await;
    assert_eq!(again.id, client.id);
    w.tokens(&again).await;
    // One that was never used: given out at the end of its week it lives another.
    let other = w.register("Other", &json!({})).await;
    w.without_writing(w.register("Other", &json!({}))).await;
    w.t.clock.advance(TimeDelta::days(7));
    assert_eq!(w.register("Other", &json!({})).await.id, other.id);
    w.t.clock.advance(TimeDelta::days(6));
    w.server.client(&other.id, HERE).await.unwrap();
}

// ---- strangers' hosts

/// A host that answers as it is told, as `client.example`.
struct Away {
    status: AtomicUsize,
    keys: Mutex<Vec<Value>>,
}
async fn hosted() -> (World, Arc<Away>, Host, String) {
    let authority = Authority::new();
    let away = Arc::new(Away { status: AtomicUsize::new(200), keys: Mutex::new(vec![p256("a").jwk]) });
    let says = Arc::clone(&away);
    let host = Host::start(&authority, &["client.example"], move |asked: &Asked| {
        let status = u16::try_from(says.status.load(Ordering::SeqCst)).unwrap();
        let host = asked.head.lines().find_map(|l| l.to_ascii_lowercase().strip_prefix("host: ").map(str::to_owned)).unwrap();
        let body = match asked.path() {
            "/keys" => json!({ "keys": *says.keys.lock() }),
            path => json!({"client_id": format!("https://{host}{path}"), "client_name": "Away", "redirect_uris": [REDIRECT],
                "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": if path == "/signs" { "private_key_jwt" } else { "none" },
                "jwks_uri": format!("https://{host}/keys")}),
        };
        answer(status, "application/json", "Cache-Control: max-age=300\r\n", body.to_string())
    })
    .await;
    let networks = Networks::new(vec!["127.0.0.0/8".parse().unwrap()]);
    let fetch = Fetch::testing(networks, &[authority.der()], |_| vec![LOOPBACK]).unwrap();
    let base = format!("https://client.example:{}", host.port());
    (World::with(fetch).await, away, host, base)
}

#[tokio::test]
async fn a_client_whose_host_is_away_is_not_told_that_it_is_unknown() {
    let (w, away, _host, base) = hosted().await;
    let id = format!("{base}/open");
    let client = w.server.client(&id, HERE).await.unwrap();
    let (_, _, given) = w.tokens(&client).await;
    away.status.store(503, Ordering::SeqCst);
    assert_eq!(refused(w.server.client(&format!("{base}/other"), HERE).await), Code::TemporarilyUnavailable);
    // Long after the copy would serve anybody, it serves who refreshes.
    w.t.clock.advance(TimeDelta::days(3));
    assert_eq!(refused(w.server.client(&id, HERE).await), Code::TemporarilyUnavailable);
    let given = w.refresh(&client, refreshing(&given)).await.unwrap();
    let junk = opaque::make(Kind::RefreshToken, &*w.t.sources.random).text;
    assert_eq!(refused(w.refresh(&client, junk.expose_secret()).await), Code::TemporarilyUnavailable);
    w.t.clock.advance(TimeDelta::days(27));
    assert_eq!(refused(w.refresh(&client, refreshing(&given)).await), Code::TemporarilyUnavailable, "not for ever");
    // Back again, and taken back.
    away.status.store(200, Ordering::SeqCst);
    let given = w.refresh(&client, refreshing(&given)).await.unwrap();
    away.status.store(404, Ordering::SeqCst);
    w.t.clock.advance(TimeDelta::hours(1));
    assert_eq!(refused(w.refresh(&client, refreshing(&given)).await), Code::InvalidClient);
}

#[tokio::test]
async fn key_sets_are_fetched_seldom_and_believed_for_an_hour() {
    let (w, away, host, base) = hosted().await;
    let id = format!("{base}/signs");
    let (old, new, foreign) = (p256("a"), p256("a"), p256("b"));
    *away.keys.lock() = vec![old.jwk.clone()];
    let junk = opaque::make(Kind::RefreshToken, &*w.t.sources.random).text;
    let jti = AtomicUsize::new(0);
    // The code of the refusal: that of the token means that the client was believed.
    let asks = async |signer: &Signer, aud: &str| {
        let now = w.now().timestamp();
        let claims =
            json!({"iss": id, "sub": id, "aud": aud, "exp": now + 60, "jti": jti.fetch_add(1, Ordering::SeqCst).to_string()});
        let assertion = sign(signer, signer.jwk["kid"].as_str(), &claims);
        let pairs = [
            ("grant_type", "refresh_token"),
            ("refresh_token", junk.expose_secret()),
            ("client_assertion_type", client_assertion::TYPE),
            ("client_assertion", &assertion),
        ];
        refused(w.token(&pairs).await)
    };
    let right = "https://ocore.example/token";
    w.server.client(&id, HERE).await.unwrap();
    let fetched = || host.requests();
    let before = fetched();
    assert_eq!(asks(&old, "https://evil.example/token").await, Code::InvalidClient);
    assert_eq!(fetched(), before, "what cannot pass is refused before the host is asked");
    assert_eq!(asks(&old, right).await, Code::InvalidGrant);
    assert_eq!(fetched(), before + 1);
    for _ in 0..3 {
        assert_eq!(asks(&foreign, right).await, Code::InvalidClient);
        assert_eq!(asks(&new, right).await, Code::InvalidClient, "the key is not of this signature yet");
    }
    assert_eq!(fetched(), before + 1, "not again at once");

    // Replaced under its id: known after five minutes; the document is fetched anew with it.
    *away.keys.lock() = vec![new.jwk.clone()];
    assert_eq!(asks(&old, right).await, Code::InvalidGrant, "the set that is kept still serves");
    w.t.clock.advance(TimeDelta::minutes(5));
    assert_eq!(asks(&new, right).await, Code::InvalidGrant);
    assert_eq!(asks(&old, right).await, Code::InvalidClient);
    // Taken back: after an hour at the latest nobody believes it.
    *away.keys.lock() = vec![foreign.jwk.clone()];
    w.t.clock.advance(TimeDelta::minutes(59));
    assert_eq!(asks(&new, right).await, Code::InvalidGrant);
    w.t.clock.advance(TimeDelta::minutes(1));
    assert_eq!(asks(&new, right).await, Code::InvalidClient);
    assert_eq!(asks(&foreign, right).await, Code::InvalidGrant);
}

#[tokio::test]
async fn a_host_without_keys_is_not_asked_again_and_again() {
    let (w, away, host, base) = hosted().await;
    let id = &format!("{base}/signs");
    w.server.client(id, HERE).await.unwrap();
    let signer = p256("a");
    let junk = opaque::make(Kind::RefreshToken, &*w.t.sources.random).text;
    let asks = async |signer: &Signer| {
        let proof = signed(signer, id, "x", w.now());
        w.token(&with(&[("grant_type", "refresh_token"), ("refresh_token", junk.expose_secret())], &proof)).await
    };
    let fetched = |before| host.requests() - before;
    away.keys.lock().clear();
    let before = host.requests();
    for _ in 0..5 {
        assert_eq!(refused(asks(&signer).await), Code::InvalidClient);
    }
    assert_eq!(fetched(before), 1, "a set without keys");
    w.t.clock.advance(TimeDelta::minutes(2));
    assert_eq!(refused(asks(&signer).await), Code::InvalidClient);
    assert_eq!(fetched(before), 1);
    *away.keys.lock() = vec![signer.jwk.clone()];
    w.t.clock.advance(TimeDelta::minutes(3));
    // Its document has aged too.
    assert_eq!(refused(asks(&signer).await), Code::InvalidGrant);
    assert_eq!(fetched(before), 3);

    // One address makes ocore fetch so many and no more.
    for _ in 0..throttle::KEY_SET.failures - 2 {
        w.server.counts.take(throttle::KEY_SET, "key set", HERE, w.now()).unwrap();
    }
    w.t.clock.advance(TimeDelta::minutes(4));
    let before = host.requests();
    let other = p256("b");
    assert_eq!(refused(asks(&other).await), Code::InvalidClient, "the set was fetched a moment ago");
    w.t.clock.advance(TimeDelta::minutes(1));
    assert!(throttled(&asks(&other).await));
    assert_eq!(fetched(before), 1, "the document alone");
}
