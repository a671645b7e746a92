use std::{collections::HashMap, net::IpAddr, sync::Arc};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use kernel::{ExposeSecret as _, ManualClock, Networks, Role, Sources, SystemRandom as Random, TimeDelta, UserId};
use parking_lot::Mutex;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::*;
use crate::{
    fetch::{Fetch, FetchError},
    world::{Asked, Authority, HERE, Piece, Server, answer},
};

mod real;

struct Signer {
    key: EncodingKey,
    algorithm: Algorithm,
    jwk: Value,
}
fn text(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
fn p256(kid: &str) -> Signer {
    let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref()).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let jwk = json!({"kty": "EC", "crv": "P-256", "x": text(&point[..32]), "y": text(&point[32..]), "kid": kid, "use": "sig"});
    Signer { key: EncodingKey::from_ec_der(der.as_ref()), algorithm: Algorithm::ES256, jwk }
}
fn ed25519(kid: &str) -> Signer {
    let der = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(der.as_ref()).unwrap();
    let jwk = json!({"kty": "OKP", "crv": "Ed25519", "x": text(pair.public_key().as_ref()), "kid": kid, "use": "sig"});
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
    let jwk = json!({"kty": "RSA", "n": text(&public[9..265]), "e": "AQAB", "kid": kid, "use": "sig"});
    // The crate wants PKCS#1: the octet string at the end of PKCS#8.
    Signer { key: EncodingKey::from_rsa_der(&der.as_ref()[26..]), algorithm, jwk }
}
impl Signer {
    fn sign(&self, claims: &Value) -> String {
        let kid = self.jwk["kid"].as_str().map(str::to_owned);
        encode(&Header { kid, ..Header::new(self.algorithm) }, claims, &self.key).unwrap()
    }
}

/// What a provider answers; tests change it.
struct Says {
    metadata: Value,
    keys: Value,
    token: (u16, Value),
    userinfo: (u16, Value),
    asked: Vec<Asked>,
}
struct Stub {
    issuer: String,
    says: Arc<Mutex<Says>>,
    signer: Signer,
}
impl Stub {
    async fn start(authority: &Authority, host: &str) -> Self {
        let signer = p256("one");
        let says = Arc::new(Mutex::new(Says {
            metadata: Value::Null,
            keys: json!({ "keys": [signer.jwk] }),
            token: (500, Value::Null),
            userinfo: (500, Value::Null),
            asked: Vec::new(),
        }));
        let state = Arc::clone(&says);
        let server = Server::start(authority, &[host], move |asked| reply(&state, asked)).await;
        let issuer = format!("https://{host}:{}", server.port());
        says.lock().metadata = json!({
            "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"), "token_endpoint": format!("{issuer}/token"),
            "userinfo_endpoint": format!("{issuer}/userinfo"), "jwks_uri": format!("{issuer}/keys"),
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "none", "HS256"],
            "authorization_response_iss_parameter_supported": true,
        });
        Self { issuer, says, signer }
    }
    fn asked(&self, path: &str) -> Vec<Asked> {
        self.says.lock().asked.iter().filter(|a| a.path() == path).cloned().collect()
    }
    fn gives(&self, token: &str) {
        self.says.lock().token = (200, json!({"access_token": "at", "token_type": "Bearer", "id_token": token}));
    }
}
fn reply(state: &Mutex<Says>, asked: &Asked) -> Vec<Piece> {
    let mut says = state.lock();
    says.asked.push(asked.clone());
    let (status, body) = match asked.path() {
        "/.well-known/openid-configuration" => (200, says.metadata.clone()),
        "/keys" => (200, says.keys.clone()),
        "/token" => says.token.clone(),
        "/userinfo" => says.userinfo.clone(),
        _ => (404, Value::Null),
    };
    answer(status, "application/json", "", body.to_string())
}

struct World {
    a: Stub,
    b: Stub,
    clock: Arc<ManualClock>,
    sources: Sources,
    providers: Providers,
    browser: Browser,
}
const BACK: &str = "https://ocore.example/openid/a/callback";

fn settings(slug: &str, issuer: &str) -> Settings {
    Settings {
        slug: slug.to_owned(),
        name: slug.to_uppercase(),
        issuer: issuer.to_owned(),
        client_id: "ocore".to_owned(),
        client_secret: Some("s3cret".to_owned().into()),
        scopes: usual_scopes(),
        email_domains: Vec::new(),
        groups_claim: None,
        groups: Vec::new(),
        create: false,
    }
}
async fn world() -> World {
    world_with(|_| {}).await
}
async fn world_with(change: impl Fn(&mut Settings)) -> World {
    let authority = Authority::new();
    let (a, b) = (Stub::start(&authority, "a.example").await, Stub::start(&authority, "b.example").await);
    let clock = Arc::new(ManualClock::at(kernel::parse_time("2026-03-01T12:00:00Z").unwrap()));
    let sources = Sources { clock: clock.clone(), random: Arc::new(Random) };
    let networks = Networks::new(vec!["127.0.0.1/32".parse().unwrap()]);
    let names = |name: &str| if name.ends_with(".example") { vec![HERE] } else { vec![IpAddr::from([10, 0, 0, 1])] };
    let fetch = Fetch::testing(networks, &[authority.der()], names).unwrap();
    let list = [("a", &a), ("b", &b)].map(|(slug, stub)| {
        let mut settings = settings(slug, &stub.issuer);
        change(&mut settings);
        settings
    });
    let providers = Providers::testing(Provider::all(list.into()).unwrap(), fetch, sources.clone());
    let browser = Browser::new(&sources);
    World { a, b, clock, sources, providers, browser }
}

/// A sign-in that has begun, as the browser and the store have it.
struct Under {
    pending: Pending,
    hash: [u8; 32],
    expires_at: kernel::Timestamp,
    state: String,
    nonce: String,
    query: Vec<(String, String)>,
}
impl World {
    fn provider(&self, slug: &str) -> &Provider {
        self.providers.find(slug).unwrap()
    }
    async fn begin(&self, slug: &str) -> Result<Under, SignInError> {
        let begun = self.providers.begin(self.provider(slug), BACK, &self.browser).await?;
        let url = Url::parse(begun.url.expose_secret()).unwrap();
        let query: Vec<(String, String)> = url.query_pairs().into_owned().collect();
        let of = |name: &str| query.iter().find(|(n, _)| n == name).unwrap().1.clone();
        let pending = Pending { provider: slug.to_owned(), secrets: begun.secrets };
        Ok(Under { pending, hash: begun.hash, expires_at: begun.expires_at, state: of("state"), nonce: of("nonce"), query })
    }
    fn claims(&self, stub: &Stub, nonce: &str) -> Value {
        let now = self.sources.now().timestamp();
        json!({"iss": stub.issuer, "sub": "ada", "aud": "ocore", "exp": now + 300, "iat": now, "nonce": nonce,
            "email": "ada@example.com", "email_verified": true, "name": "Ada"})
    }
    async fn finish(&self, under: Under, more: &str) -> Result<Claims, SignInError> {
        let iss: String = url::form_urlencoded::byte_serialize(self.a.issuer.as_bytes()).collect();
        let callback = Callback::read(&format!("state={}&code=c0de&iss={iss}{more}", under.state)).unwrap();
        assert_eq!(callback.hash(), under.hash);
        self.providers.finish(self.provider("a"), callback, under.pending, Some(&self.browser)).await
    }
    /// The whole way at provider a, whose ID token is made of changed claims.
    async fn signed(&self, change: impl FnOnce(&mut Value)) -> Result<Claims, SignInError> {
        let under = self.begin("a").await?;
        let mut claims = self.claims(&self.a, &under.nonce);
        change(&mut claims);
        self.a.gives(&self.a.signer.sign(&claims));
        self.finish(under, "").await
    }
}
fn refused(flaw: TokenFlaw) -> Result<Claims, SignInError> {
    Err(SignInError::IdToken(flaw))
}

#[tokio::test]
async fn somebody_signs_in_and_the_requests_say_what_they_must() {
    let world = world().await;
    let under = world.begin("a").await.unwrap();
    let of = |name: &str| {
        let all: Vec<_> = under.query.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect();
        assert_eq!(all.len(), 1, "{name}");
        all[0].to_owned()
    };
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "ocore"),
        ("redirect_uri", BACK),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
    ] {
        assert_eq!(of(name), value);
    }
    let challenge = of("code_challenge");
    for value in [&under.state, &under.nonce, &challenge] {
        assert_eq!(value.len(), 43, "256 bits");
    }
    let kept = format!("{:?}", under.pending);
    assert!(!kept.contains(&under.state) && !kept.contains(&under.nonce), "{kept}");

    world.a.gives(&world.a.signer.sign(&world.claims(&world.a, &under.nonce)));
    let claims = world.finish(under, "&session_state=x").await.unwrap();
    assert_eq!(
        claims,
        Claims {
            issuer: world.a.issuer.clone(),
            subject: "ada".to_owned(),
            email: Some("ada@example.com".to_owned()),
            email_verified: true,
            name: Some("Ada".to_owned()),
            groups: Vec::new(),
        }
    );
    let [token] = &world.a.asked("/token")[..] else { panic!("one request") };
    let form: HashMap<_, _> = url::form_urlencoded::parse(token.body.as_bytes()).into_owned().collect();
    assert_eq!((form["grant_type"].as_str(), form["code"].as_str()), ("authorization_code", "c0de"));
    assert_eq!(form["redirect_uri"], BACK);
    assert_eq!(text(Sha256::digest(&form["code_verifier"])), challenge);
    assert!(!form.contains_key("client_secret"));
    assert!(token.head.contains("Basic b2NvcmU6czNjcmV0"), "{}", token.head);
    assert!(world.a.asked("/userinfo").is_empty(), "nothing was missing");
}

#[tokio::test]
async fn every_algorithm_of_the_list_passes_and_no_other() {
    let world = world().await;
    let signers = [p256("e"), ed25519("o"), rsa("r", Algorithm::RS256), rsa("p", Algorithm::PS256), rsa("x", Algorithm::RS512)];
    let keys: Vec<_> = signers.iter().map(|s| s.jwk.clone()).collect();
    world.a.says.lock().keys = json!({ "keys": keys });
    for signer in &signers {
        let under = world.begin("a").await.unwrap();
        world.a.gives(&signer.sign(&world.claims(&world.a, &under.nonce)));
        let result = world.finish(under, "").await;
        if signer.algorithm == Algorithm::RS512 {
            assert_eq!(result, refused(TokenFlaw::Algorithm));
        } else {
            assert!(result.is_ok(), "{:?} {result:?}", signer.algorithm);
        }
    }
}

type Forge = fn(&Signer, &Value, &[String]) -> String;
#[tokio::test]
async fn forged_tokens_are_refused() {
    let world = world().await;
    assert!(world.signed(|_| {}).await.is_ok());
    let parts = |token: &str| token.split('.').map(str::to_owned).collect::<Vec<_>>();
    let forges: [(&str, Forge, TokenFlaw); 9] = [
        ("signature", |_, _, p| format!("{}.{}.{}", p[0], p[1], text([7; 64])), TokenFlaw::Signature),
        (
            "claims",
            |_, c, p| {
                let mut other = c.clone();
                other["sub"] = json!("root");
                format!("{}.{}.{}", p[0], text(other.to_string()), p[2])
            },
            TokenFlaw::Signature,
        ),
        ("another key under the same id", |_, c, _| p256("one").sign(c), TokenFlaw::Signature),
        ("an unknown key", |_, c, _| p256("two").sign(c), TokenFlaw::NoKey),
        (
            "alg none",
            |_, c, _| format!("{}.{}.", text(json!({"alg": "none"}).to_string()), text(c.to_string())),
            TokenFlaw::Algorithm,
        ),
        (
            "alg none with a signature",
            |_, _, p| format!("{}.{}.{}", text(json!({"alg": "none", "kid": "one"}).to_string()), p[1], p[2]),
            TokenFlaw::Algorithm,
        ),
        (
            "HMAC with the client secret",
            |_, c, _| encode(&Header::new(Algorithm::HS256), c, &EncodingKey::from_secret(b"s3cret")).unwrap(),
            TokenFlaw::Algorithm,
        ),
        (
            "HMAC with the public key",
            |s, c, _| {
                let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::HS256) };
                encode(&header, c, &EncodingKey::from_secret(s.jwk.to_string().as_bytes())).unwrap()
            },
            TokenFlaw::Algorithm,
        ),
        (
            "a key that it brings along",
            |_, c, _| {
                let own = p256("one");
                let jwk = serde_json::from_value(own.jwk.clone()).unwrap();
                let header = Header { kid: Some("one".to_owned()), jwk: Some(jwk), ..Header::new(Algorithm::ES256) };
                encode(&header, c, &own.key).unwrap()
            },
            TokenFlaw::Signature,
        ),
    ];
    for (what, forge, flaw) in forges {
        let under = world.begin("a").await.unwrap();
        let claims = world.claims(&world.a, &under.nonce);
        let good = world.a.signer.sign(&claims);
        world.a.gives(&forge(&world.a.signer, &claims, &parts(&good)));
        assert_eq!(world.finish(under, "").await, refused(flaw), "{what}");
    }
    for garbage in ["", "x", "a.b", "a.b.c", "....", &"a".repeat(10_000)] {
        let under = world.begin("a").await.unwrap();
        world.a.gives(garbage);
        assert_eq!(world.finish(under, "").await, Err(SignInError::Unreadable("answer to the code")), "{garbage:.10}");
    }
    let under = world.begin("a").await.unwrap();
    world.a.says.lock().token = (200, json!({"access_token": "at", "token_type": "Bearer"}));
    assert_eq!(world.finish(under, "").await, refused(TokenFlaw::Missing));
}

#[tokio::test]
async fn claims_of_another_sign_in_client_issuer_or_time_are_refused() {
    let world = world().await;
    let now = world.sources.now().timestamp();
    let b = world.b.issuer.clone();
    for (member, value, expected) in [
        ("nonce", json!("another"), Some(TokenFlaw::Nonce)),
        ("nonce", Value::Null, Some(TokenFlaw::Nonce)),
        ("iss", json!(b), Some(TokenFlaw::Issuer)),
        ("iss", json!(format!("{}/", world.a.issuer)), Some(TokenFlaw::Issuer)),
        ("aud", json!("other"), Some(TokenFlaw::Audience)),
        ("aud", json!(["ocore", "other"]), Some(TokenFlaw::Audience)),
        ("aud", json!([]), Some(TokenFlaw::Audience)),
        ("aud", json!(["ocore"]), None),
        ("azp", json!("other"), Some(TokenFlaw::Audience)),
        ("azp", json!("ocore"), None),
        ("exp", json!(now - 59), None),
        ("exp", json!(now - 60), Some(TokenFlaw::Time)),
        ("exp", json!(now - 86400), Some(TokenFlaw::Time)),
        ("iat", json!(now - 60), None),
        ("iat", json!(now - 61), Some(TokenFlaw::Time)),
        ("iat", json!(now + 60), None),
        ("iat", json!(now + 61), Some(TokenFlaw::Time)),
        ("sub", json!(""), Some(TokenFlaw::Subject)),
        ("sub", json!("x".repeat(255)), None),
        ("sub", json!("x".repeat(256)), Some(TokenFlaw::Subject)),
        ("sub", json!("adä"), Some(TokenFlaw::Subject)),
        ("at_hash", json!(text(&Sha256::digest("at")[..16])), None),
        ("at_hash", json!(text(&Sha256::digest("another")[..16])), Some(TokenFlaw::AccessToken)),
    ] {
        let result = world.signed(|claims| claims[member] = value.clone()).await;
        assert_eq!(result.err(), expected.map(SignInError::IdToken), "{member} {value}");
    }
    for member in ["iss", "aud", "exp", "iat", "sub"] {
        let result = world.signed(|claims| drop(claims.as_object_mut().unwrap().remove(member))).await;
        assert!(result.is_err(), "without {member}");
    }
}

#[tokio::test]
async fn a_state_counts_for_its_browser_provider_and_time_alone() {
    let world = world().await;
    let good = |under: &Under| {
        world.a.gives(&world.a.signer.sign(&world.claims(&world.a, &under.nonce)));
        let iss: String = url::form_urlencoded::byte_serialize(world.a.issuer.as_bytes()).collect();
        Callback::read(&format!("state={}&code=c&iss={iss}", under.state)).unwrap()
    };
    let a = world.provider("a");
    let tokens = || world.a.asked("/token").len();

    let under = world.begin("a").await.unwrap();
    let callback = good(&under);
    assert!(world.providers.finish(a, callback, under.pending, Some(&world.browser)).await.is_ok(), "as it should be");
    let before = tokens();

    for browser in [None, Some(Browser::new(&world.sources))] {
        let under = world.begin("a").await.unwrap();
        let callback = good(&under);
        let result = world.providers.finish(a, callback, under.pending, browser.as_ref()).await;
        assert_eq!(result, Err(SignInError::NotYours), "another browser");
    }
    let (one, two) = (world.begin("a").await.unwrap(), world.begin("a").await.unwrap());
    let callback = good(&one);
    let result = world.providers.finish(a, callback, two.pending, Some(&world.browser)).await;
    assert_eq!(result, Err(SignInError::NotYours), "the state of another sign-in");

    let mut under = world.begin("a").await.unwrap();
    under.pending.secrets = "{}".to_owned().into();
    let callback = good(&under);
    let result = world.providers.finish(a, callback, under.pending, Some(&world.browser)).await;
    assert_eq!(result, Err(SignInError::NotYours), "secrets that cannot be read");

    for (minutes, late) in [(9, false), (10, true)] {
        let under = world.begin("a").await.unwrap();
        assert_eq!(under.expires_at, world.sources.now() + LIFETIME);
        world.clock.advance(TimeDelta::minutes(minutes));
        let callback = good(&under);
        let result = world.providers.finish(a, callback, under.pending, Some(&world.browser)).await;
        assert_eq!(result.err(), late.then_some(SignInError::Expired));
    }
    assert_eq!(tokens(), before + 1, "no code went out where the state was not right");

    // The store gives a sign-in once: what comes with its state again finds nothing.
    let mut store: HashMap<[u8; 32], Pending> = HashMap::new();
    let under = world.begin("a").await.unwrap();
    let (callback, again) = (good(&under), good(&under));
    store.insert(under.hash, under.pending);
    let pending = store.remove(&callback.hash()).unwrap();
    assert!(world.providers.finish(a, callback, pending, Some(&world.browser)).await.is_ok());
    assert!(store.remove(&again.hash()).is_none());
}

#[tokio::test]
async fn answers_of_one_provider_are_not_taken_to_another() {
    let world = world().await;
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    let (a, b) = (encoded(&world.a.issuer), encoded(&world.b.issuer));
    let tokens = || (world.a.asked("/token").len(), world.b.asked("/token").len());

    // Begun at b, which is the attacker's, and sent on to a: the honest code comes back with a's issuer, or to a's path.
    for (iss, path, expected) in [
        (format!("&iss={a}"), "b", SignInError::Issuer),
        (String::new(), "b", SignInError::Issuer),
        (format!("&iss={a}"), "a", SignInError::OtherProvider),
        (format!("&iss={b}"), "a", SignInError::OtherProvider),
        (format!("&iss={b}/"), "b", SignInError::Issuer),
    ] {
        let under = world.begin("b").await.unwrap();
        let callback = Callback::read(&format!("state={}&code=honest{iss}", under.state)).unwrap();
        let result = world.providers.finish(world.provider(path), callback, under.pending, Some(&world.browser)).await;
        assert_eq!(result, Err(expected), "{iss} {path}");
    }
    assert_eq!(tokens(), (0, 0), "the code went nowhere");

    // A provider that names no issuer in its answers may leave it out, but not name another.
    world.b.says.lock().metadata["authorization_response_iss_parameter_supported"] = json!(false);
    world.clock.advance(TimeDelta::hours(2));
    for (iss, goes) in [(String::new(), true), (format!("&iss={b}"), true), (format!("&iss={a}"), false)] {
        let under = world.begin("b").await.unwrap();
        world.b.gives(&world.b.signer.sign(&world.claims(&world.b, &under.nonce)));
        let callback = Callback::read(&format!("state={}&code=c{iss}", under.state)).unwrap();
        let result = world.providers.finish(world.provider("b"), callback, under.pending, Some(&world.browser)).await;
        assert_eq!(result.err(), (!goes).then_some(SignInError::Issuer), "{iss}");
    }
    // A token of a, given by b with b's answer.
    let under = world.begin("b").await.unwrap();
    world.b.gives(&world.a.signer.sign(&world.claims(&world.a, &under.nonce)));
    let callback = Callback::read(&format!("state={}&code=c", under.state)).unwrap();
    let result = world.providers.finish(world.provider("b"), callback, under.pending, Some(&world.browser)).await;
    assert_eq!(result, refused(TokenFlaw::Issuer));
    // Set up anew meanwhile: the same name for another issuer, or two clients at one issuer.
    for (slug, issuer) in [("a", &world.b.issuer), ("c", &world.a.issuer)] {
        let under = world.begin("a").await.unwrap();
        let changed = vec![settings(slug, issuer)];
        let changed = Providers::testing(Provider::all(changed).unwrap(), world.providers.fetch.clone(), world.sources.clone());
        let callback = Callback::read(&format!("state={}&code=c&iss={}", under.state, encoded(issuer))).unwrap();
        let result = changed.finish(changed.find(slug).unwrap(), callback, under.pending, Some(&world.browser)).await;
        assert_eq!(result, Err(SignInError::OtherProvider), "{slug}");
    }
    // One that is not set up here.
    let stranger = Provider::try_from(settings("z", &world.a.issuer)).unwrap();
    let begun = world.providers.begin(&stranger, BACK, &world.browser).await;
    assert_eq!(begun.err(), Some(SignInError::OtherProvider));
}

#[tokio::test]
async fn what_is_no_answer_signs_nobody_in() {
    let world = world().await;
    for (query, flaw) in [
        ("code=c", CallbackFlaw::NoState),
        ("", CallbackFlaw::NoState),
        ("state=a&state=a&code=c", CallbackFlaw::Twice),
        ("state=a&code=c&code=d", CallbackFlaw::Twice),
        ("state=a&code=c&iss=x&iss=y", CallbackFlaw::Twice),
        (&format!("state=a&x={}", "x".repeat(8192)), CallbackFlaw::Long),
    ] {
        assert_eq!(Callback::read(query).err(), Some(flaw), "{query:.40}");
    }
    let iss: String = url::form_urlencoded::byte_serialize(world.a.issuer.as_bytes()).collect();
    for (more, expected) in [
        ("error=access_denied&error_description=no", SignInError::Declined("access_denied".into())),
        ("error=access_denied&code=c", SignInError::Declined("access_denied".into())),
        ("error=%3Cscript%3E%0A", SignInError::Declined("script".into())),
        ("x=y", SignInError::NoCode),
        ("code=", SignInError::NoCode),
    ] {
        let under = world.begin("a").await.unwrap();
        let callback = Callback::read(&format!("state={}&iss={iss}&{more}", under.state)).unwrap();
        let result = world.providers.finish(world.provider("a"), callback, under.pending, Some(&world.browser)).await;
        assert_eq!(result, Err(expected), "{more}");
    }
    // An error from elsewhere is not even shown.
    let under = world.begin("a").await.unwrap();
    let callback = Callback::read(&format!("state={}&iss=https://evil.example&error=call+0900", under.state)).unwrap();
    let result = world.providers.finish(world.provider("a"), callback, under.pending, Some(&world.browser)).await;
    assert_eq!(result, Err(SignInError::Issuer));

    let under = world.begin("a").await.unwrap();
    world.a.says.lock().token = (400, json!({"error": "invalid_grant", "error_description": "s3cret"}));
    assert_eq!(world.finish(under, "").await, Err(SignInError::Token("invalid_grant".into())));
    let under = world.begin("a").await.unwrap();
    world.a.says.lock().token = (500, json!("oops"));
    assert_eq!(world.finish(under, "").await, Err(SignInError::Unreadable("answer to the code")));
}

#[tokio::test]
async fn userinfo_is_asked_only_for_what_is_missing_and_must_be_about_the_same_person() {
    let world = world_with(|s| s.groups_claim = Some("https://a.example/groups".into())).await;
    let asked = || world.a.asked("/userinfo").len();
    let groups = |claims: &mut Value| claims["https://a.example/groups"] = json!(["staff", 7, "admins"]);
    let claims = world.signed(groups).await.unwrap();
    assert_eq!((claims.groups, asked()), (vec!["staff".to_owned(), "admins".to_owned()], 0));

    let userinfo = json!({"sub": "ada", "email": "other@example.com", "email_verified": true, "name": "Countess",
        "https://a.example/groups": "staff"});
    world.a.says.lock().userinfo = (200, userinfo.clone());
    let claims = world.signed(|_| {}).await.unwrap();
    assert_eq!(claims.groups, ["staff"]);
    assert_eq!(
        (claims.email.as_deref(), claims.name.as_deref()),
        (Some("ada@example.com"), Some("Ada")),
        "the token comes first"
    );
    assert_eq!(asked(), 1);
    assert!(world.a.asked("/userinfo")[0].head.to_ascii_lowercase().contains("authorization: bearer at"));

    // Whether an address is verified is said of that address alone.
    let without = |members: &'static [&str]| {
        move |claims: &mut Value| {
            groups(claims);
            claims.as_object_mut().unwrap().retain(|name, _| !members.contains(&name.as_str()));
        }
    };
    let claims = world.signed(without(&["email_verified"])).await.unwrap();
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("ada@example.com"), false));
    let claims = world.signed(without(&["email", "email_verified", "name"])).await.unwrap();
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("other@example.com"), true));
    assert_eq!(claims.name.as_deref(), Some("Countess"));
    let claims = world.signed(without(&["email"])).await.unwrap();
    assert!(claims.email_verified && claims.email.as_deref() == Some("other@example.com"));
    world.a.says.lock().userinfo.1["email"] = json!("ada@example.com");
    let claims = world.signed(without(&["email_verified"])).await.unwrap();
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("ada@example.com"), true));
    world.a.says.lock().userinfo.1.as_object_mut().unwrap().remove("email_verified");
    let claims = world.signed(without(&["email"])).await.unwrap();
    assert_eq!((claims.email.as_deref(), claims.email_verified), (Some("ada@example.com"), false));

    world.a.says.lock().userinfo.1["sub"] = json!("eve");
    assert_eq!(world.signed(without(&["email"])).await, Err(SignInError::OtherSubject));
    for (status, body) in [(401, json!({})), (200, json!({})), (200, json!("x")), (302, userinfo)] {
        world.a.says.lock().userinfo = (status, body);
        assert_eq!(world.signed(without(&["email"])).await, Err(SignInError::Unreadable("answer about you")));
    }
    let under = world.begin("a").await.unwrap();
    let mut claims = world.claims(&world.a, &under.nonce);
    claims.as_object_mut().unwrap().remove("email");
    let token = world.a.signer.sign(&claims);
    let bad = json!({"access_token": "a\r\nHost: evil", "token_type": "Bearer", "id_token": token});
    world.a.says.lock().token = (200, bad);
    assert_eq!(world.finish(under, "").await, Err(SignInError::Unreadable("answer about you")));
}

#[tokio::test]
async fn odd_claims_are_cut_or_left_out() {
    let world = world_with(|s| s.groups_claim = Some("groups".into())).await;
    for (email, kept) in [
        ("a@b.example", true),
        ("a b@c.example", false),
        ("a@b@c.example", false),
        ("\"a@good.example\"@evil.example", false),
        ("a@good.example,b@evil.example", false),
        ("@b.example", false),
        ("a@", false),
        ("a", false),
        ("a\n@b.example", false),
        (&format!("{}@b.example", "x".repeat(300)), false),
    ] {
        let claims = world.signed(|c| (c["email"], c["groups"]) = (json!(email), json!([]))).await.unwrap();
        assert_eq!((claims.email.as_deref() == Some(email), claims.email_verified), (kept, kept), "{email}");
    }
    let name = format!("A\u{7}d\na {}", "x".repeat(300));
    let claims = world
        .signed(|c| {
            (c["name"], c["groups"]) = (json!(name), json!({"staff": true}));
            // Some providers write it so.
            c["email_verified"] = json!("true");
        })
        .await
        .unwrap();
    assert_eq!(claims.name.unwrap().chars().count(), 200);
    assert!(claims.groups.is_empty() && claims.email_verified);
}

#[tokio::test]
async fn the_secret_goes_where_the_provider_takes_it() {
    for (methods, secret, in_head, in_body) in [
        (json!(["client_secret_basic", "client_secret_post"]), true, true, false),
        (json!(["client_secret_post"]), true, false, true),
        (json!(["none"]), false, false, false),
        (Value::Null, false, false, false),
    ] {
        let world = world_with(|s| s.client_secret = secret.then(|| "s3cret".to_owned().into())).await;
        world.a.says.lock().metadata["token_endpoint_auth_methods_supported"] = methods.clone();
        world.signed(|_| {}).await.unwrap();
        let token = &world.a.asked("/token")[0];
        assert_eq!(token.head.to_ascii_lowercase().contains("authorization: basic"), in_head, "{methods}");
        assert_eq!(token.body.contains("client_secret=s3cret"), in_body, "{methods}");
        assert_eq!(token.body.contains("client_id=ocore"), !in_head, "{methods}");
    }
}

#[tokio::test]
async fn discovery_is_kept_an_hour_and_serves_longer_only_while_the_network_fails() {
    let world = world().await;
    let asked = || (world.a.asked("/.well-known/openid-configuration").len(), world.a.asked("/keys").len());
    let (one, two, three) = tokio::join!(world.begin("a"), world.begin("a"), world.begin("a"));
    assert!(one.is_ok() && two.is_ok() && three.is_ok());
    assert_eq!(asked(), (1, 1), "once for all");
    world.clock.advance(TimeDelta::minutes(59));
    world.begin("a").await.unwrap();
    assert_eq!(asked(), (1, 1));
    world.clock.advance(TimeDelta::minutes(2));
    world.begin("a").await.unwrap();
    assert_eq!(asked(), (2, 2));

    // What it says is wrong now: that is no failure of the network.
    let issuer = world.a.says.lock().metadata["issuer"].take();
    world.clock.advance(TimeDelta::hours(2));
    for _ in 0..3 {
        assert!(matches!(world.begin("a").await, Err(SignInError::Discovery(_))));
    }
    assert_eq!(asked(), (3, 2), "asked again after ten seconds, not at each request");
    world.a.says.lock().metadata["issuer"] = issuer;
    world.clock.advance(TimeDelta::seconds(11));
    world.begin("a").await.unwrap();

    // The keys' host is gone.
    let keys = world.a.says.lock().metadata["jwks_uri"].take();
    world.a.says.lock().metadata["jwks_uri"] = json!("https://a.example:1/keys");
    world.clock.advance(TimeDelta::hours(23));
    assert!(world.begin("a").await.is_ok(), "the copy serves");
    world.clock.advance(TimeDelta::hours(2));
    let error = world.begin("a").await.err();
    assert_eq!(error, Some(SignInError::Unreached { what: "key set", error: FetchError::Unreachable }));
    world.a.says.lock().metadata["jwks_uri"] = keys;
}

#[tokio::test]
async fn discovery_documents_that_lead_astray_are_refused() {
    for (member, value) in [
        ("issuer", json!("https://b.example")),
        ("issuer", Value::Null),
        ("authorization_endpoint", json!("http://a.example/authorize")),
        ("authorization_endpoint", json!("javascript:alert(1)")),
        ("token_endpoint", json!("http://a.example/token")),
        ("token_endpoint", Value::Null),
        ("userinfo_endpoint", json!("http://169.254.169.254/")),
        ("jwks_uri", json!("http://a.example/keys")),
        ("jwks_uri", Value::Null),
    ] {
        let world = world().await;
        world.a.says.lock().metadata[member] = value.clone();
        assert!(matches!(world.begin("a").await, Err(SignInError::Discovery(_))), "{member} {value}");
    }
    let world = world().await;
    let slash = json!(format!("{}/", world.a.issuer));
    world.a.says.lock().metadata["issuer"] = slash;
    assert!(matches!(world.begin("a").await, Err(SignInError::Discovery(_))), "to the letter");

    // Endpoints inside are not connected to.
    for member in ["jwks_uri", "token_endpoint", "userinfo_endpoint"] {
        let world = self::world().await;
        world.a.says.lock().metadata[member] = json!("https://inside.corp/x");
        let error = world.signed(|c| drop(c.as_object_mut().unwrap().remove("email"))).await.unwrap_err();
        assert!(matches!(error, SignInError::Unreached { error: FetchError::Address, .. }), "{member} {error}");
    }
}

#[tokio::test]
async fn keys_are_fetched_again_for_an_unknown_one_at_most_each_minute() {
    let world = world().await;
    let fetched = || world.a.asked("/keys").len();
    world.signed(|_| {}).await.unwrap();
    let new = p256("two");
    world.a.says.lock().keys = json!({ "keys": [new.jwk] });
    let sign_in = async || {
        let under = world.begin("a").await.unwrap();
        world.a.gives(&new.sign(&world.claims(&world.a, &under.nonce)));
        world.finish(under, "").await
    };
    for _ in 0..3 {
        assert_eq!(sign_in().await, refused(TokenFlaw::NoKey));
    }
    assert_eq!(fetched(), 1, "too soon");
    world.clock.advance(TimeDelta::seconds(60));
    assert!(sign_in().await.is_ok());
    assert_eq!(fetched(), 2);
    assert_eq!(world.signed(|_| {}).await, refused(TokenFlaw::NoKey), "the old key is gone");
    assert_eq!(fetched(), 2);

    // Two that miss a key at once: the second gets what the first fetched.
    let a = world.provider("a");
    let old = world.providers.discovered(a).await.unwrap();
    world.clock.advance(TimeDelta::seconds(60));
    let (one, two) = tokio::join!(world.providers.newer_keys(a, &old), world.providers.newer_keys(a, &old));
    let (one, two) = (one.unwrap().unwrap(), two.unwrap().unwrap());
    assert!(Arc::ptr_eq(&one, &two) && !Arc::ptr_eq(&one, &old));
    assert!(matches!(world.providers.newer_keys(a, &one).await, Ok(None)) && fetched() == 3);
}

#[tokio::test]
async fn weak_and_symmetric_keys_check_nothing() {
    // 1024 bits.
    let modulus = "5iUaM0qZMhXPY7MoSY2bPGZ-e74qq1h8dCq8KDdHW6T7PKWBHDUAl68zT0bXo6lFRfgyiH3n3JUqs6hfvJBhcSQZgTL6XtbNpMxzF_iJ0jtLxiOjLWgZ12JtkMerBto2-_lGDAHfnUGL3KYuR-H-WY-ziAr7CjizvhmaQ-BaqwE";
    let weak = json!({"kty": "RSA", "n": modulus, "e": "AQAB", "kid": "one"});
    let shared = json!({"kty": "oct", "k": "AAAA", "kid": "one"});
    let curves = [
        json!({"kty": "EC", "crv": "P-384", "x": text([1; 48]), "y": text([1; 48])}),
        json!({"kty": "OKP", "crv": "X25519", "x": text([1; 32])}),
    ];
    let sets = [
        json!({"keys": [weak, shared]}),
        json!({"keys": curves}),
        json!({"keys": []}),
        json!({}),
        json!([]),
        json!({"keys": {}}),
    ];
    for keys in sets {
        let world = world().await;
        world.a.says.lock().keys = keys.clone();
        assert!(matches!(world.begin("a").await, Err(SignInError::Discovery(_))), "{keys}");
    }
    let world = world().await;
    let good = world.a.signer.jwk.clone();
    world.a.says.lock().keys = json!({"keys": [weak, shared, {"kty": "future"}, 7, good]});
    assert!(world.signed(|_| {}).await.is_ok());
}

#[tokio::test]
async fn keys_that_are_none_check_nothing_and_stop_nothing() {
    let world = world().await;
    let big = |bytes: usize| text(vec![0xff; bytes]);
    let odd = [
        json!({"kty": "RSA", "n": big(256), "e": text([1])}),
        json!({"kty": "RSA", "n": big(256), "e": ""}),
        json!({"kty": "RSA", "n": big(256), "e": big(256)}),
        json!({"kty": "RSA", "n": text(vec![0xfe; 256]), "e": "AQAB"}),
        json!({"kty": "RSA", "n": big(2048), "e": "AQAB"}),
        json!({"kty": "RSA", "n": big(256)}),
        json!({"kty": "EC", "crv": "P-256", "x": "", "y": ""}),
        json!({"kty": "EC", "crv": "P-256", "x": big(32), "y": big(32)}),
        json!({"kty": "EC", "crv": "P-256", "x": text([0; 32])}),
        json!({"kty": "EC", "crv": "P-256", "x": big(4000), "y": big(4000)}),
        json!({"kty": "EC", "crv": "P-384", "x": big(48), "y": big(48)}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": ""}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": big(31)}),
        json!({"kty": "OKP", "crv": "Ed25519", "x": big(32)}),
        json!({"kty": "OKP", "crv": "X25519", "x": big(32)}),
    ];
    let signers = [rsa("one", Algorithm::RS256), rsa("one", Algorithm::PS256), p256("one"), ed25519("one")];
    for mut key in odd {
        key["kid"] = json!("one");
        world.a.says.lock().keys = json!({"keys": [key, p256("other").jwk]});
        world.clock.advance(TimeDelta::hours(2));
        for signer in &signers {
            let under = world.begin("a").await.unwrap();
            world.a.gives(&signer.sign(&world.claims(&world.a, &under.nonce)));
            let refused = world.finish(under, "").await;
            let right = [TokenFlaw::NoKey, TokenFlaw::Signature].map(|f| Err(SignInError::IdToken(f)));
            assert!(right.contains(&refused), "{key} {refused:?}");
        }
    }
}

fn claims(email: Option<&str>, verified: bool, groups: &[&str]) -> Claims {
    Claims {
        issuer: "https://a.example".into(),
        subject: "ada".into(),
        email: email.map(str::to_owned),
        email_verified: verified,
        name: Some("Ada".into()),
        groups: groups.iter().map(|g| (*g).to_owned()).collect(),
    }
}

#[tokio::test]
async fn providers_inside_are_not_connected_to_unless_the_operator_lists_their_network() {
    let _ = Authority::new();
    for (networks, expected) in [(vec![], FetchError::Address), (vec!["127.0.0.0/8", "::1/128"], FetchError::Unreachable)] {
        let networks = Networks::new(networks.into_iter().map(|n| n.parse().unwrap()).collect());
        let list = Provider::all(vec![settings("a", "https://localhost:1")]).unwrap();
        let providers = Providers::new(list, networks, Sources::system()).unwrap();
        let browser = Browser::new(&Sources::system());
        let error = providers.begin(providers.find("a").unwrap(), BACK, &browser).await.err();
        assert_eq!(error, Some(SignInError::Unreached { what: "discovery document", error: expected }));
    }
}

#[test]
fn people_are_known_by_their_identity_and_never_by_their_address() {
    let sources = Sources::system();
    let (ada, eve) = (UserId::new(&sources), UserId::new(&sources));
    let seen = |known, linking, email_taken| Seen { known, linking, email_taken };
    let provider = |domains: &[&str], create| {
        let email_domains = domains.iter().map(|d| (*d).to_owned()).collect();
        Provider::try_from(Settings { email_domains, create, ..settings("a", "https://a.example") }).unwrap()
    };
    let created = |email: &str| Admit::Create { email: email.into(), name: Some("Ada".into()), memberships: Vec::new() };
    let (closed, open, company) = (provider(&[], false), provider(&[], true), provider(&["example.com"], true));
    let good = claims(Some("Ada@Example.com"), true, &[]);
    let unverified = claims(Some("ada@example.com"), false, &[]);
    let none = claims(None, true, &[]);
    let elsewhere = |email: &str| claims(Some(email), true, &[]);
    for (n, (provider, claims, seen, expected)) in [
        (&closed, &good, seen(Some(ada), None, true), Admit::SignIn(ada)),
        (&closed, &unverified, seen(Some(ada), None, true), Admit::SignIn(ada)),
        (&closed, &none, seen(Some(ada), None, false), Admit::SignIn(ada)),
        (&closed, &good, seen(None, None, false), Admit::Refused(Why::Unknown)),
        (&closed, &good, seen(None, None, true), Admit::Refused(Why::Taken)),
        (&open, &good, seen(None, None, true), Admit::Refused(Why::Taken)),
        (&open, &good, seen(None, None, false), created("Ada@Example.com")),
        (&open, &unverified, seen(None, None, false), Admit::Refused(Why::Unverified)),
        (&open, &none, seen(None, None, false), Admit::Refused(Why::Unverified)),
        // Adding an identity.
        (&closed, &unverified, seen(None, Some(ada), true), Admit::Link(ada)),
        (&closed, &good, seen(Some(ada), Some(ada), true), Admit::SignIn(ada)),
        (&closed, &good, seen(Some(eve), Some(ada), true), Admit::Refused(Why::OtherPerson)),
        // Domains, whoever it is.
        (&company, &good, seen(Some(ada), None, true), Admit::SignIn(ada)),
        (&company, &good, seen(None, None, false), created("Ada@Example.com")),
        (&company, &unverified, seen(Some(ada), None, true), Admit::Refused(Why::Unverified)),
        (&company, &none, seen(Some(ada), None, true), Admit::Refused(Why::Unverified)),
        (&company, &elsewhere("a@evil.com"), seen(Some(ada), None, true), Admit::Refused(Why::Domain)),
        (&company, &elsewhere("a@sub.example.com"), seen(None, None, false), Admit::Refused(Why::Domain)),
        (&company, &elsewhere("a@example.com.evil.com"), seen(None, None, false), Admit::Refused(Why::Domain)),
        (&company, &elsewhere("a@exаmple.com"), seen(None, None, false), Admit::Refused(Why::Domain)),
        (&company, &elsewhere("a@evil.com"), seen(None, Some(ada), false), Admit::Refused(Why::Domain)),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(admit(provider, claims, seen), expected, "{n}");
    }
}

#[test]
fn groups_give_the_highest_of_their_roles_in_each_organization() {
    let mapped = |group: &str, organization: &str, role| Mapped { group: group.into(), organization: organization.into(), role };
    let provider = Provider::try_from(Settings {
        groups_claim: Some("groups".into()),
        groups: vec![
            mapped("staff", "acme", Role::Viewer),
            mapped("admins", "acme", Role::Admin),
            mapped("devs", "acme", Role::Member),
            mapped("devs", "lab", Role::Member),
        ],
        create: true,
        ..settings("a", "https://a.example")
    })
    .unwrap();
    let of = |groups: &[&str]| memberships(&provider, &claims(Some("a@b.example"), true, groups));
    let member = |organization: &str, role| Membership { organization: organization.into(), role };
    assert_eq!(of(&["admins", "staff"]), [member("acme", Role::Admin)]);
    assert_eq!(of(&["devs", "staff"]), [member("acme", Role::Member), member("lab", Role::Member)]);
    assert_eq!(of(&["Staff", "other", ""]), []);
    let Admit::Create { memberships, .. } = admit(&provider, &claims(Some("a@b.example"), true, &["devs"]), Seen::default())
    else {
        panic!("a new person")
    };
    assert_eq!(memberships.len(), 2);
}

#[test]
fn providers_are_set_up_soundly() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings("a", "https://a.example");
        change(&mut settings);
        Provider::try_from(settings).err()
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|s| s.issuer = "https://login.example/tenant/v2.0/".into()), None);
    assert_eq!(with(|s| s.email_domains = vec!["example.com".into(), "a-b.co.uk".into()]), None);
    for (n, (change, flaw)) in [
        ((|s| s.slug = "A b".into()) as fn(&mut Settings), Flaw::Slug("A b".into())),
        (|s| s.name = " ".into(), Flaw::Text("name")),
        (|s| s.client_id = "a\nb".into(), Flaw::Text("client_id")),
        (|s| s.groups_claim = Some(String::new()), Flaw::Text("groups_claim")),
        (|s| s.issuer = "http://a.example".into(), Flaw::Issuer("http://a.example".into())),
        (|s| s.issuer = "https://u@a.example".into(), Flaw::Issuer("https://u@a.example".into())),
        (|s| s.issuer = "https://a.example?x".into(), Flaw::Issuer("https://a.example?x".into())),
        (|s| s.issuer = " https://a.example".into(), Flaw::Issuer(" https://a.example".into())),
        (|s| s.scopes = vec!["a b".into()], Flaw::Scope("a b".into())),
        (|s| s.email_domains = vec!["Example.com".into()], Flaw::Domain("Example.com".into())),
        (|s| s.email_domains = vec!["@example.com".into()], Flaw::Domain("@example.com".into())),
        (|s| s.email_domains = vec!["com".into()], Flaw::Domain("com".into())),
        (|s| s.groups = vec![Mapped { group: "g".into(), organization: "o".into(), role: Role::Member }], Flaw::NoClaim),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(with(change), Some(flaw), "{n}");
    }
    let twice = vec![settings("a", "https://a.example"), settings("a", "https://b.example")];
    assert_eq!(Provider::all(twice).err(), Some(Flaw::Twice("a".into())));
    let shown = format!("{:?}", settings("a", "https://a.example"));
    assert!(!shown.contains("s3cret"), "{shown}");
}
