//! Programs that come in by OAuth, against the real program: discovery, registration, consent, tokens, device codes; and what attackers
//! would try at each of them.
use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::{StatusCode, header};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    harness::{Ocore, Odoo, run},
    impersonation::{Browser, PASSWORD, Page},
};

pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";
pub const EVE: &str = "eve@example.com";
pub const REDIRECT: &str = "http://127.0.0.1:7777/callback";
const DEVICE_GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

/// A server with an administrator and a viewer of `acme`, and the owner of `other`.
pub struct World {
    pub ocore: Ocore,
    pub http: reqwest::Client,
}
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: header::HeaderMap,
    pub body: Value,
}
impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
    }
    pub fn text(&self, name: &str) -> String {
        self.body[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }
    #[track_caller]
    pub fn is(&self, status: u16, error: &str) {
        assert_eq!((self.status, self.body["error"].as_str().unwrap_or_default()), (status, error), "{self:?}");
    }
}
/// What a client asks for, as a query.
#[derive(Clone)]
pub struct Request {
    pub fields: Vec<(String, String)>,
    pub verifier: String,
}
impl Request {
    pub fn of(client: &str) -> Self {
        // Of an address letters and digits alone: others are none of a verifier's (RFC 7636 section 4.1).
        let own = client.chars().filter(char::is_ascii_alphanumeric);
        let verifier = "v".repeat(43).chars().chain(own).take(100).collect::<String>();
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let fields = [
            ("response_type", "code"),
            ("client_id", client),
            ("redirect_uri", REDIRECT),
            ("state", "some state"),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("scope", "read write destructive offline_access"),
        ];
        Self { fields: fields.map(|(n, v)| (n.to_owned(), v.to_owned())).into(), verifier }
    }
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(known, _)| known != name);
        if !value.is_empty() {
            self.fields.push((name.to_owned(), value.to_owned()));
        }
        self
    }
    pub fn query(&self) -> String {
        url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.fields).finish()
    }
}

impl World {
    pub fn new() -> Self {
        Self::of(Ocore::new())
    }
    pub fn of(ocore: Ocore) -> Self {
        ocore.cli(&["org", "create", "other"], "").ok();
        for (email, org, role) in [(ANN, "acme", "admin"), (BOB, "acme", "viewer"), (EVE, "other", "owner")] {
            let args = ["user", "create", "--email", email, "--org", org, "--role", role, "--password-stdin"];
            ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
        }
        let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
        let http = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).no_proxy().build().unwrap();
        Self { ocore, http }
    }
    pub fn serving(mut self) -> Self {
        self.ocore.serve();
        self
    }
    pub fn port(&self) -> u16 {
        self.ocore.url.rsplit(':').next().unwrap().parse().unwrap()
    }
    /// As browsers and clients know it: one name for both, because tokens are for a name.
    pub fn url(&self, path: &str) -> String {
        format!("http://localhost:{}{path}", self.port())
    }
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let text = response.text().await.unwrap();
        Answer { status, headers, body: serde_json::from_str(&text).unwrap_or(Value::String(text)) }
    }
    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.http.get(self.url(path))).await
    }
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = self.http.post(self.url(path)).header("content-type", "application/x-www-form-urlencoded").body(body);
        self.send(request).await
    }
    pub async fn register(&self, body: Value) -> Answer {
        self.send(self.http.post(self.url("/register")).header("content-type", "application/json").body(body.to_string())).await
    }
    pub async fn client(&self, name: &str) -> String {
        let body = json!({"client_name": name, "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "none",
            "grant_types": ["authorization_code", "refresh_token"], "application_type": "native"});
        let answer = self.register(body).await;
        assert_eq!(answer.status, 201, "{answer:?}");
        answer.text("client_id")
    }
    pub async fn browser(&self, email: &str) -> Browser {
        let mut browser = Browser::new(self.port());
        let csrf = browser.get(&browser.ocore("/sign-in")).await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("email", email), ("password", PASSWORD)];
        assert_eq!(browser.form(&browser.ocore("/sign-in"), &fields).await.status, StatusCode::SEE_OTHER);
        browser
    }
    /// The consent page, and its decision: `more` are fields of the form.
    pub async fn decide(&self, browser: &mut Browser, query: &str, more: &[(&str, &str)]) -> Page {
        let path = if query.starts_with("device=") { "/consent" } else { "/authorize" };
        let page = browser.get(&browser.ocore(&format!("{path}?{query}"))).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        let csrf = page.hidden("csrf");
        let mut fields = vec![("csrf", csrf.as_str()), ("request", query)];
        fields.extend(more);
        browser.form(&browser.ocore("/consent"), &fields).await
    }
    /// The query of the consent page of a device whose code the person compared.
    pub async fn compared(&self, browser: &mut Browser, code: &str) -> String {
        let csrf = browser.get(&browser.ocore("/device")).await.hidden("csrf");
        let fields = [("csrf", csrf.as_str()), ("request", code), ("do", "mine")];
        let page = browser.form(&browser.ocore("/device/confirm"), &fields).await;
        page.location().split_once('?').unwrap_or_else(|| panic!("{}", page.text)).1.to_owned()
    }
    pub async fn allow(&self, browser: &mut Browser, request: &Request, preset: &str) -> String {
        let choice = [("preset", preset), ("key", "new"), ("label", "a client"), ("do", "allow")];
        let page = self.decide(browser, &request.query(), &choice).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        onward(&page, "code")
    }
    pub async fn token(&self, request: &Request, client: &str, code: &str) -> Answer {
        self.post("/token", &exchange(request, client, code)).await
    }
    /// Tokens for a client of Ann's, with everything.
    pub async fn tokens(&self, browser: &mut Browser, client: &str, preset: &str) -> Answer {
        let request = Request::of(client);
        let code = self.allow(browser, &request, preset).await;
        let answer = self.token(&request, client, &code).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer
    }
    pub async fn refresh(&self, client: &str, token: &str) -> Answer {
        self.post("/token", &[("grant_type", "refresh_token"), ("refresh_token", token), ("client_id", client)]).await
    }
    pub async fn rpc(&self, path: &str, token: &str, method: &str, params: Value) -> Answer {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).to_string();
        let request = self.http.post(self.url(path)).bearer_auth(token).header("content-type", "application/json");
        self.send(request.header("accept", "application/json, text/event-stream").body(body)).await
    }
    pub async fn call(&self, token: &str, tool: &str, arguments: Value) -> Answer {
        self.rpc("/mcp", token, "tools/call", json!({"name": tool, "arguments": arguments})).await
    }
    pub async fn lists(&self, token: &str) -> u16 {
        self.rpc("/mcp", token, "tools/list", json!({})).await.status
    }
    pub fn log(&self, action: &str) -> Vec<Value> {
        let rows = self.ocore.cli(&["--json", "audit", "log", "--limit", "200"], "").ok().json();
        let rows = rows.as_array().or_else(|| rows["rows"].as_array()).expect("rows").clone();
        rows.into_iter().filter(|row| row["action"] == action).collect()
    }
}
type Change = fn(&mut Vec<(&'static str, String)>, &str);
/// The form of a token request that is in order.
pub fn exchange<'a>(request: &'a Request, client: &'a str, code: &'a str) -> [(&'static str, &'a str); 5] {
    [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", REDIRECT),
        ("client_id", client),
        ("code_verifier", &request.verifier),
    ]
}
/// A parameter of the address that the page leads to.
pub fn onward(page: &Page, name: &str) -> String {
    onward_to(page, REDIRECT, name)
}
/// The same where the client has another.
pub fn onward_to(page: &Page, redirect: &str, name: &str) -> String {
    let at = page.text.find(&format!("href=\"{redirect}")).unwrap_or_else(|| panic!("no way on in {}", page.text)) + 6;
    let href = page.text[at..].split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
    let url = url::Url::parse(&href).unwrap();
    let found = url.query_pairs().find(|(known, _)| known == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in {href}"))
}

#[test]
fn a_client_comes_in_with_nothing_but_the_address_and_goes_when_it_is_told() {
    let Some(odoo) = Odoo::shared(19) else { return };
    run(async {
        let world = World::new();
        world.ocore.instance("dev", &odoo, &[]).ok();
        let world = world.serving();

        // From the 401 to the metadata, as the specification says.
        let answer = world.send(world.http.post(world.url("/mcp")).header("content-type", "application/json").body("{}")).await;
        assert_eq!(answer.status, 401);
        let challenge = answer.header("www-authenticate").to_owned();
        let named = challenge.split("resource_metadata=\"").nth(1).unwrap().split('"').next().unwrap();
        assert_eq!(named, world.url("/.well-known/oauth-protected-resource/mcp"));
        let resource = world.get("/.well-known/oauth-protected-resource/mcp").await;
        assert_eq!(resource.body["resource"], world.url("/mcp"));
        let issuer = resource.body["authorization_servers"][0].as_str().unwrap().to_owned();
        for path in ["/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"] {
            let server = world.get(path).await;
            assert_eq!((server.status, server.header("access-control-allow-origin")), (200, "*"));
            assert_eq!(server.body["issuer"], issuer);
            assert_eq!(server.body["code_challenge_methods_supported"], json!(["S256"]));
            assert_eq!(server.body["authorization_response_iss_parameter_supported"], true);
            assert_eq!(server.body["client_id_metadata_document_supported"], true);
        }
        assert_eq!(world.get("/.well-known/oauth-authorization-server/mcp").await.status, 404);
        let one = world.get("/.well-known/oauth-protected-resource/mcp/i/dev").await;
        assert_eq!(one.body["resource"], world.url("/mcp/i/dev"));

        let client = world.client("Claude on a laptop").await;
        let mut ann = world.browser(ANN).await;
        let request = Request::of(&client).with("resource", &world.url("/mcp"));
        let page = ann.get(&ann.ocore(&format!("/authorize?{}", request.query()))).await;
        for said in ["Claude on a laptop", "127.0.0.1:7777", "Read only", "Standard", "Full"] {
            assert!(page.text.contains(said), "{said}: {}", page.text);
        }
        let choice = [("preset", "standard"), ("key", "new"), ("label", "Claude"), ("auto_context", "yes"), ("do", "allow")];
        let page = world.decide(&mut ann, &request.query(), &choice).await;
        assert_eq!(page.headers[header::CACHE_CONTROL], "no-store");
        assert_eq!((onward(&page, "state").as_str(), onward(&page, "iss")), ("some state", issuer));
        let answer = world.token(&request, &client, &onward(&page, "code")).await;
        assert_eq!((answer.status, answer.header("cache-control")), (200, "no-store"), "{answer:?}");
        let (access, refresh) = (answer.text("access_token"), answer.text("refresh_token"));
        assert_eq!((&answer.body["token_type"], &answer.body["expires_in"]), (&json!("Bearer"), &json!(3600)));

        // What the client does is done in Odoo, and recorded under the consent.
        let made = world.call(&access, "dev_create", json!({"model": "res.partner", "values": {"name": "By OAuth"}})).await;
        assert_eq!(made.body["result"]["isError"], false, "{made:?}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'By OAuth'"), "1");
        let calls = world.ocore.cli(&["--json", "audit", "list", "--org", "acme", "--limit", "5"], "").ok().json().to_string();
        let consent = &world.log("oauth.consent")[0];
        assert!(calls.contains("create"), "{calls}");
        let told = consent.to_string();
        assert!(told.contains("Claude on a laptop") && told.contains(ANN) && told.contains("127.0.0.1:7777"), "{told}");
        // A preset keeps from what reaches past records.
        let sql = world.call(&access, "dev_execute_sql", json!({"query": "SELECT 1"})).await;
        assert!(sql.body.to_string().contains("does not have the category sql"), "{sql:?}");

        // The page shows it, and takes it back: at the next call it is gone, its key and its refresh token with it.
        let page = ann.get(&ann.ocore("/authorizations")).await;
        assert!(page.text.contains("Claude on a laptop"), "{}", page.text);
        let (csrf, id) = (page.hidden("csrf"), page.hidden("id"));
        let eve = &mut world.browser(EVE).await;
        let token = eve.get(&eve.ocore("/authorizations")).await.hidden("csrf");
        let page = eve.form(&eve.ocore("/authorizations/revoke"), &[("csrf", &token), ("id", &id)]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND, "another's consent is not there");
        assert_eq!(world.lists(&access).await, 200);
        let page = ann.form(&ann.ocore("/authorizations/revoke"), &[("csrf", &csrf), ("id", &id)]).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
        assert_eq!(world.lists(&access).await, 401);
        world.refresh(&client, &refresh).await.is(400, "invalid_grant");
        assert_eq!(world.log("oauth.revoke").len(), 1);
        let keys = world.ocore.cli(&["--json", "key", "list", "--org", "acme"], "").ok().json().to_string();
        assert!(keys.contains("revoked_at\":\"2"), "{keys}");
    });
}

#[test]
fn codes_are_for_one_client_one_verifier_and_one_use() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("One").await;
        let other = world.client("Two").await;
        let request = Request::of(&client);
        let changes: [(Change, &str); 6] = [
            (|f, _| f.retain(|(n, _)| *n != "code_verifier"), "invalid_request"),
            (|f, _| f.iter_mut().filter(|(n, _)| *n == "code_verifier").for_each(|(_, v)| *v = "x".repeat(50)), "invalid_grant"),
            (|f, o| f.iter_mut().filter(|(n, _)| *n == "client_id").for_each(|(_, v)| *v = o.to_owned()), "invalid_grant"),
            (
                |f, _| f.iter_mut().filter(|(n, _)| *n == "redirect_uri").for_each(|(_, v)| *v = "http://127.0.0.1:1/cb".into()),
                "invalid_grant",
            ),
            (|f, _| f.push(("resource", "https://elsewhere.example/mcp".into())), "invalid_target"),
            (|f, _| f.push(("client_id", "again".into())), "invalid_request"),
        ];
        for (n, (change, error)) in changes.into_iter().enumerate() {
            let code = world.allow(&mut ann, &request, "read").await;
            let exact = exchange(&request, &client, &code);
            let mut fields: Vec<_> = exact.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            change(&mut fields, &other);
            let fields: Vec<_> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
            world.post("/token", &fields).await.is(400, error);
            // Whoever tried it with something wrong has burnt it; what could not be read has not.
            let status = world.token(&request, &client, &code).await.status;
            assert_eq!(status, if n < 4 { 400 } else { 200 }, "{n}");
        }
        // A replay ends what the first use gave.
        let code = world.allow(&mut ann, &request, "read").await;
        let given = world.token(&request, &client, &code).await;
        assert_eq!(world.lists(&given.text("access_token")).await, 200);
        world.token(&request, &client, &code).await.is(400, "invalid_grant");
        assert_eq!(world.lists(&given.text("access_token")).await, 401);
        world.refresh(&client, &given.text("refresh_token")).await.is(400, "invalid_grant");
        // Texts that are none of ours, or of another kind.
        for text in ["", "x", "occ_0", &given.text("refresh_token"), &given.text("access_token")] {
            assert_eq!(world.token(&request, &client, text).await.status, 400, "{text}");
        }
    });
}

#[test]
fn requests_that_are_not_in_order_lead_nowhere() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("One").await;
        let good = Request::of(&client);
        // Near misses of the redirect: suffix, user, escapes, climbing, other host, other scheme, another port where it is no loopback.
        for redirect in [
            "http://127.0.0.1:7777/callback/more",
            "http://127.0.0.1:7777/callback?x=1",
            "http://127.0.0.1:7777/Callback",
            "http://127.0.0.1:7777/x/../callback",
            "http://127.0.0.1:7777/%63allback",
            "http://127.0.0.1:7777@evil.example/callback",
            "http://127.0.0.1.evil.example:7777/callback",
            "http://localhost:7777/callback",
            "https://127.0.0.1:7777/callback",
            "http://evil.example/callback",
            "javascript:alert(1)",
            "http://127.0.0.1:7777/callback#fragment",
            "//evil.example/callback",
        ] {
            let page = ann.get(&ann.ocore(&format!("/authorize?{}", good.clone().with("redirect_uri", redirect).query()))).await;
            assert_eq!(page.status, StatusCode::BAD_REQUEST, "{redirect}");
            assert_eq!(page.location(), "", "{redirect}");
            assert!(
                !page.text.contains("href=\"http://evil") && !page.text.contains("href=\"javascript"),
                "{redirect}: {}",
                page.text
            );
        }
        // The port of a loopback address is free (RFC 8252 section 7.3).
        let other_port = good.clone().with("redirect_uri", "http://127.0.0.1:9999/callback");
        assert_eq!(ann.get(&ann.ocore(&format!("/authorize?{}", other_port.query()))).await.status, StatusCode::OK);
        // Nobody whom the person does not know yet makes of this a link on our name that leads elsewhere.
        for (name, value) in [
            ("code_challenge", ""),
            ("code_challenge", "short"),
            ("code_challenge_method", "plain"),
            ("code_challenge_method", ""),
            ("response_type", "token"),
            ("scope", "everything"),
            ("scope", "admin"),
            ("resource", "https://elsewhere.example/mcp"),
            ("request_uri", "https://elsewhere.example/request"),
        ] {
            let page = ann.get(&ann.ocore(&format!("/authorize?{}", good.clone().with(name, value).query()))).await;
            assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{name}={value}: {}", page.text);
        }
        for unknown in ["", "oci_nobody", "https://127.0.0.1/client.json", "https://localhost/client.json", "https://10.0.0.1/c"]
        {
            let page = ann.get(&ann.ocore(&format!("/authorize?{}", good.clone().with("client_id", unknown).query()))).await;
            assert_eq!((page.status, page.location()), (StatusCode::BAD_REQUEST, ""), "{unknown}");
        }
        // Once known, a client is told.
        world.tokens(&mut ann, &client, "read").await;
        let page = ann.get(&ann.ocore(&format!("/authorize?{}", good.clone().with("response_type", "token").query()))).await;
        assert!(page.location().starts_with(&format!("{REDIRECT}?error=unsupported_response_type")), "{}", page.location());
        assert!(page.location().contains("iss=http%3A%2F%2Flocalhost"), "{}", page.location());
    });
}

#[test]
fn consent_is_given_by_its_person_on_our_own_page() {
    run(async {
        let world = World::new().serving();
        let client = world.client("One").await;
        let request = Request::of(&client);
        let query = request.query();
        let address = format!("/authorize?{query}");
        // Whoever is not signed in signs in first, and comes back.
        let mut nobody = Browser::new(world.port());
        let page = nobody.get(&nobody.ocore(&address)).await;
        assert_eq!(page.status, StatusCode::SEE_OTHER);
        assert!(page.location().starts_with("/sign-in?next=%2Fauthorize%3F"), "{}", page.location());

        let mut ann = world.browser(ANN).await;
        let page = ann.get(&ann.ocore(&address)).await;
        for (name, value) in [("x-frame-options", "DENY"), ("referrer-policy", "same-origin"), ("cache-control", "no-store")] {
            assert_eq!(page.headers[name], value);
        }
        let policy = page.headers[header::CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.contains("frame-ancestors 'none'") && policy.contains("default-src 'none'"), "{policy}");
        let csrf = page.hidden("csrf");
        let choice = [("request", query.as_str()), ("preset", "full"), ("key", "new"), ("label", "x"), ("do", "allow")];
        let with = |csrf: &str| -> Vec<(String, String)> {
            std::iter::once(("csrf", csrf)).chain(choice).map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
        };
        for (origin, token) in
            [("https://evil.example", csrf.as_str()), ("null", &csrf), (&ann.ocore(""), ""), (&ann.ocore(""), "0")]
        {
            let fields = with(token);
            let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
            let page = ann.form_from(&ann.ocore("/consent"), origin, &fields).await;
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{origin} {token}");
        }
        // Another person's form token is not one's own.
        let mut bob = world.browser(BOB).await;
        let theirs = bob.get(&bob.ocore("/authorizations")).await.hidden("csrf");
        let fields = with(&theirs);
        let fields: Vec<_> = fields.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
        assert_eq!(ann.form(&ann.ocore("/consent"), &fields).await.status, StatusCode::FORBIDDEN);
        assert!(world.log("oauth.consent").is_empty());

        // A viewer gives no more than reading, whatever the form says; an organization that is not one's own is none.
        let tokens = world.tokens(&mut bob, &client, "full").await;
        assert_eq!(tokens.body["scope"], "read offline_access", "{tokens:?}");
        let foreign = format!("{query}&ocore_org=other");
        let page = bob.get(&bob.ocore(&format!("/authorize?{foreign}"))).await;
        assert!(
            page.status == StatusCode::OK && page.text.contains("acme") && !page.text.contains("<bdi>other</bdi>"),
            "{}",
            page.text
        );
        // Another's key is not to be had.
        let made =
            world.ocore.cli(&["--json", "key", "create", "--org", "acme", "--owner", ANN, "--label", "Ann's"], "").ok().json();
        let id = made["id"].as_str().expect("an id").to_owned();
        let page = world.decide(&mut bob, &query, &[("preset", "read"), ("key", &id), ("do", "allow")]).await;
        assert_eq!(page.status, StatusCode::NOT_FOUND);
        // One's own is, as it is, once that is said: what is chosen for a new key says nothing of it.
        let as_it_is = [("preset", "read"), ("key", id.as_str()), ("do", "allow")];
        let page = world.decide(&mut ann, &query, &as_it_is).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("name=\"use_key\""), "{}", page.text);
        assert!(!page.text.contains("value=\"raised\""), "it has everything: {}", page.text);
        let page = world.decide(&mut ann, &query, &[as_it_is.as_slice(), &[("use_key", "as_it_is")]].concat()).await;
        assert!(page.text.contains(REDIRECT), "{}", page.text);
        // It is raised only when that is said.
        let args = ["--json", "key", "create", "--org", "acme", "--owner", ANN, "--label", "small", "--read-only"];
        let small = world.ocore.cli(&args, "").ok().json()["id"].as_str().expect("an id").to_owned();
        let choice = [("preset", "full"), ("key", small.as_str()), ("do", "allow")];
        let page = world.decide(&mut ann, &query, &choice).await;
        assert!(page.text.contains("value=\"raised\"") && !page.text.contains(&format!("href=\"{REDIRECT}")), "{}", page.text);
        let choice = [("preset", "full"), ("key", small.as_str()), ("use_key", "raised"), ("do", "allow")];
        let page = world.decide(&mut ann, &query, &choice).await;
        assert!(page.text.contains(REDIRECT), "{}", page.text);
        assert_eq!(world.log("api_key.raise").len(), 1);
        // A key that somebody narrowed for a person is not that person's to widen.
        let member = ["--json", "key", "create", "--org", "acme", "--owner", BOB, "--label", "narrow", "--read-only"];
        let narrow = world.ocore.cli(&member, "").ok().json()["id"].as_str().expect("an id").to_owned();
        let mut bob_here = world.browser(BOB).await;
        let choice = [("preset", "full"), ("key", narrow.as_str()), ("do", "allow")];
        let page = world.decide(&mut bob_here, &query, &choice).await;
        assert!(page.text.contains("value=\"as_it_is\"") && !page.text.contains("value=\"raised\""), "{}", page.text);
        let page = world.decide(&mut bob_here, &query, &[choice.as_slice(), &[("use_key", "raised")]].concat()).await;
        assert!(!page.text.contains(&format!("href=\"{REDIRECT}")), "{}", page.text);
        // Nothing ticked is nothing given.
        let nothing = [("preset", "custom"), ("key", "new"), ("label", "empty"), ("do", "allow")];
        let page = world.decide(&mut ann, &query, &nothing).await;
        assert!(page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("Nothing is ticked"), "{}", page.text);
        // Denied is denied.
        let page = world.decide(&mut ann, &query, &[("do", "deny")]).await;
        assert_eq!(onward(&page, "error"), "access_denied");
    });
}

#[test]
fn tokens_open_their_own_resource_within_their_scopes() {
    let Some(odoo) = Odoo::shared(19) else { return };
    run(async {
        let world = World::new();
        world.ocore.instance("dev", &odoo, &[]).ok();
        let world = world.serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("One").await;
        let whole = world.tokens(&mut ann, &client, "full").await.text("access_token");
        let request = Request::of(&client).with("resource", &world.url("/mcp/i/dev"));
        let code = world.allow(&mut ann, &request, "full").await;
        let one = world.token(&request, &client, &code).await.text("access_token");
        let lists = async |path: &str, token: &str| world.rpc(path, token, "tools/list", json!({})).await;
        for path in ["/mcp", "/mcp/", "/api/mcp/stream", "/mcp?instances=dev"] {
            assert_eq!(lists(path, &whole).await.status, 200, "{path}");
            let refused = lists(path, &one).await;
            assert_eq!(refused.status, 401, "{path}");
            assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""), "{refused:?}");
        }
        assert_eq!(lists("/mcp/i/dev", &one).await.status, 200);
        assert_eq!(lists("/mcp/i/dev", &whole).await.status, 401);
        let in_url = world.get(&format!("/mcp?access_token={whole}")).await;
        assert_eq!(in_url.status, 401);
        assert!(in_url.body.to_string().contains("URLs end up in logs"), "{in_url:?}");

        // Fewer scopes: what is missing is named where clients look for it, and nothing was done.
        let request = Request::of(&client).with("scope", "read");
        let code = world.allow(&mut ann, &request, "full").await;
        let reads = world.token(&request, &client, &code).await;
        assert_eq!(reads.body["scope"], "read", "{reads:?}");
        let reads = reads.text("access_token");
        let counted = world.call(&reads, "dev_count", json!({"model": "res.partner"})).await;
        assert_eq!(counted.status, 200, "{counted:?}");
        let name = "Never made";
        let refused = world.call(&reads, "dev_create", json!({"model": "res.partner", "values": {"name": name}})).await;
        assert_eq!(refused.status, 403, "{refused:?}");
        let challenge = refused.header("www-authenticate");
        assert!(challenge.contains("error=\"insufficient_scope\"") && challenge.contains("scope=\"read write\""), "{challenge}");
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'Never made'"), "0");
        let listed = lists("/mcp", &reads).await.body;
        let names: BTreeSet<_> =
            listed["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
        assert!(names.contains("dev_search_read") && !names.contains("dev_create") && !names.contains("dev_unlink"), "{names:?}");
    });
}

#[test]
fn twenty_refreshes_at_once_all_come_through() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let client = world.client("Many workers").await;
        let first = world.tokens(&mut ann, &client, "read").await.text("refresh_token");
        let all = futures_util::future::join_all((0..20).map(|_| world.refresh(&client, &first))).await;
        let mut given = BTreeSet::new();
        for answer in &all {
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(world.lists(&answer.text("access_token")).await, 200);
            given.insert(answer.text("refresh_token"));
        }
        assert_eq!(given.len(), 20, "each its own");
        // And each goes on.
        for token in given.iter().take(3) {
            assert_eq!(world.refresh(&client, token).await.status, 200);
        }
        // Another client's is nothing; nor is it ended by that.
        let other = world.client("Another").await;
        world.refresh(&other, given.first().unwrap()).await.is(400, "invalid_grant");
        assert_eq!(world.refresh(&client, given.last().unwrap()).await.status, 200);
    });
}

#[test]
fn what_ends_a_person_or_key_ends_its_clients() {
    run(async {
        let world = World::new().serving();
        let client = world.client("One").await;
        let gone_within = async |world: &World, token: &str| {
            let begun = Instant::now();
            while world.lists(token).await == 200 {
                assert!(begun.elapsed() < Duration::from_secs(30), "still in");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            begun.elapsed()
        };
        let mut ann = world.browser(ANN).await;
        let token = world.tokens(&mut ann, &client, "read").await.text("access_token");
        world.ocore.cli(&["org", "update", "acme", "--kill-switch", "on"], "").ok();
        gone_within(&world, &token).await;
        world.ocore.cli(&["org", "update", "acme", "--kill-switch", "off"], "").ok();
        let begun = Instant::now();
        while world.lists(&token).await != 200 {
            assert!(begun.elapsed() < Duration::from_secs(30), "not back");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        // The key that the consent made.
        let keys = world.ocore.cli(&["--json", "key", "list", "--org", "acme"], "").ok().json();
        let keys = keys.as_array().or_else(|| keys["keys"].as_array()).unwrap().clone();
        let id = keys.iter().find(|k| k["label"] == "a client").unwrap()["id"].as_str().unwrap().to_owned();
        world.ocore.cli(&["key", "revoke", &id], "").ok();
        gone_within(&world, &token).await;
        // The person.
        let again = world.tokens(&mut ann, &client, "read").await;
        world.ocore.cli(&["user", "update", ANN, "--disable"], "").ok();
        gone_within(&world, &again.text("access_token")).await;
        // A refresh still gives tokens of a consent that nobody took back, and they open nothing.
        if let Some(access) = world.refresh(&client, &again.text("refresh_token")).await.body["access_token"].as_str() {
            assert_eq!(world.lists(access).await, 401);
        }
    });
}

#[test]
fn a_device_is_connected_by_the_person_who_compares_its_code() {
    run(async {
        let world = World::new().serving();
        let asks = async || {
            let fields = [("client_id", "ocore-cli"), ("scope", "read write offline_access")];
            world.post("/device_authorization", &fields).await
        };
        let poll = async |code: &str| {
            world.post("/token", &[("grant_type", DEVICE_GRANT), ("device_code", code), ("client_id", "ocore-cli")]).await
        };
        let device = asks().await;
        assert_eq!(device.status, 200, "{device:?}");
        let (code, shown) = (device.text("device_code"), device.text("user_code"));
        assert_eq!((shown.len(), device.body["interval"].as_i64(), device.body["expires_in"].as_i64()), (9, Some(5), Some(900)));
        poll(&code).await.is(400, "authorization_pending");
        poll(&code).await.is(400, "slow_down");

        let mut ann = world.browser(ANN).await;
        // What came with the address is only filled in.
        let page = ann.get(&ann.ocore(&format!("/device?user_code={shown}"))).await;
        assert!(page.text.contains(&shown), "{}", page.text);
        let csrf = page.hidden("csrf");
        let typed = shown.to_lowercase().replace('-', " ");
        let page = ann.form(&ann.ocore("/device"), &[("csrf", &csrf), ("user_code", &typed)]).await;
        assert!(page.text.contains(&shown) && page.text.contains("127.0.0.1"), "{}", page.text);
        let page = ann.form(&ann.ocore("/device/confirm"), &[("csrf", &csrf), ("request", &shown), ("do", "mine")]).await;
        let query = page.location().split_once('?').unwrap().1.to_owned();
        let choice = [("preset", "read"), ("key", "new"), ("label", "terminal"), ("do", "allow")];
        let page = world.decide(&mut ann, &query, &choice).await;
        assert!(page.status == StatusCode::OK && page.text.contains("connected"), "{}", page.text);
        let tokens = poll(&code).await;
        assert_eq!((tokens.status, tokens.body["scope"].as_str()), (200, Some("read offline_access")), "{tokens:?}");
        assert_eq!(world.lists(&tokens.text("access_token")).await, 200);
        // A second use of the code ends what it gave.
        poll(&code).await.is(400, "invalid_grant");
        assert_eq!(world.lists(&tokens.text("access_token")).await, 401);

        // Not mine.
        let device = asks().await;
        let fields = [("csrf", csrf.as_str()), ("request", &device.text("user_code")), ("do", "not-mine")];
        let page = ann.form(&ann.ocore("/device/confirm"), &fields).await;
        assert!(page.status == StatusCode::OK && page.text.contains("not connected"), "{}", page.text);
        poll(&device.text("device_code")).await.is(400, "access_denied");

        // Guessing is slowed for whoever guesses, at each page that takes a code; another person still comes in.
        let device = asks().await;
        let right = device.text("user_code");
        for n in 0..5 {
            let guess = format!("BBBB-BBB{}", char::from(b'C' + n));
            let page = ann.form(&ann.ocore("/device"), &[("csrf", &csrf), ("user_code", &guess)]).await;
            assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{n}");
        }
        for (path, fields) in [
            ("/device", vec![("user_code", right.as_str())]),
            ("/device/confirm", vec![("request", right.as_str()), ("do", "not-mine")]),
        ] {
            let mut all = vec![("csrf", csrf.as_str())];
            all.extend(fields);
            let page = ann.form(&ann.ocore(path), &all).await;
            assert!(
                page.status == StatusCode::UNPROCESSABLE_ENTITY && page.text.contains("too many wrong codes"),
                "{path}: {}",
                page.text
            );
        }
        // No link leads past the comparison, whoever's it is.
        for query in [format!("device={right}"), format!("device={right}&compared={}", "0".repeat(64))] {
            let page = ann.get(&ann.ocore(&format!("/consent?{query}"))).await;
            assert!(page.location().ends_with(&format!("/device?user_code={right}")), "{}", page.text);
            let fields = [("csrf", csrf.as_str()), ("request", query.as_str()), ("preset", "full"), ("do", "allow")];
            let page = ann.form(&ann.ocore("/consent"), &fields).await;
            assert!(page.location().ends_with(&format!("/device?user_code={right}")), "{}", page.text);
        }
        let mut bob = world.browser(BOB).await;
        let csrf = bob.get(&bob.ocore("/device")).await.hidden("csrf");
        let page = bob.form(&bob.ocore("/device"), &[("csrf", &csrf), ("user_code", &right)]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    });
}

/// What hosts send when they register, by what is known of them.
#[test]
fn hosts_register_as_they_do_and_floods_are_slowed() {
    run(async {
        let world = World::new().serving();
        let hosts = [
            json!({"client_name": "Claude", "redirect_uris": ["https://claude.ai/api/mcp/auth_callback"], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none", "scope": "read write destructive"}),
            json!({"client_name": "ChatGPT", "redirect_uris": ["https://chatgpt.com/connector_platform_oauth_redirect"], "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "client_secret_post"}),
            json!({"client_name": "Cursor", "application_type": "web", "redirect_uris": ["cursor://anysphere.cursor-mcp/oauth/callback", "https://www.cursor.com/agents/mcp/oauth/callback", "http://localhost:8787/callback"], "token_endpoint_auth_method": "none"}),
            json!({"client_name": "Visual Studio Code", "redirect_uris": ["https://vscode.dev/redirect", "http://127.0.0.1/", "http://127.0.0.1:33418/"], "grant_types": ["authorization_code", "refresh_token", DEVICE_GRANT], "token_endpoint_auth_method": "none", "application_type": "native"}),
            json!({"client_name": "Codex", "redirect_uris": ["http://127.0.0.1:45123/callback/abc"], "token_endpoint_auth_method": "none"}),
            json!({"client_name": "Gemini CLI MCP Client", "redirect_uris": ["http://localhost:7777/oauth/callback"], "grant_types": ["authorization_code", "refresh_token"], "response_types": ["code"], "token_endpoint_auth_method": "none", "code_challenge_method": ["S256"], "scope": ""}),
        ];
        for body in hosts {
            let first = world.register(body.clone()).await;
            assert_eq!(first.status, 201, "{first:?}");
            let confidential = body["token_endpoint_auth_method"] == "client_secret_post";
            assert_eq!(first.body["client_secret"].is_string(), confidential);
            assert_eq!(first.body["client_secret_expires_at"].is_i64(), confidential);
            // A host that registers again is the same client, but for those with a secret.
            let again = world.register(body).await;
            assert_eq!(again.text("client_id") == first.text("client_id"), !confidential, "{again:?}");
        }
        for (bad, error) in [
            (json!({"redirect_uris": ["http://evil.example/cb"]}), "invalid_redirect_uri"),
            (json!({"redirect_uris": ["javascript:alert(1)"]}), "invalid_redirect_uri"),
            (json!({"redirect_uris": []}), "invalid_redirect_uri"),
            (json!({"redirect_uris": [REDIRECT], "grant_types": ["password"]}), "invalid_client_metadata"),
            (json!([]), "invalid_client_metadata"),
        ] {
            world.register(bad).await.is(400, error);
        }
        let mut slowed = None;
        for n in 0..40 {
            let answer = world.register(json!({"client_name": format!("Flood {n}"), "redirect_uris": [REDIRECT]})).await;
            if answer.status == 429 {
                slowed = Some(answer);
                break;
            }
        }
        let slowed = slowed.expect("a flood is slowed");
        assert!(slowed.header("retry-after").parse::<u32>().unwrap() > 0, "{slowed:?}");
        // Whoever is known already still comes through.
        let body = json!({"client_name": "Codex", "redirect_uris": ["http://127.0.0.1:50000/callback/abc"], "token_endpoint_auth_method": "none"});
        assert_eq!(world.register(body).await.status, 201);
    });
}

#[test]
fn introspection_and_revocation_know_only_the_clients_own() {
    run(async {
        let world = World::new().serving();
        let mut ann = world.browser(ANN).await;
        let body = json!({"client_name": "With a secret", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"});
        let known = world.register(body).await;
        let (client, secret) = (known.text("client_id"), known.text("client_secret"));
        let request = Request::of(&client);
        let code = world.allow(&mut ann, &request, "read").await;
        world.token(&request, &client, &code).await.is(401, "invalid_client");
        let mut fields = exchange(&request, &client, &code).to_vec();
        fields.push(("client_secret", &secret));
        let tokens = world.post("/token", &fields).await;
        assert_eq!(tokens.status, 200, "{tokens:?}");
        let access = tokens.text("access_token");
        let asks = async |token: &str, client: &str, secret: &str| {
            world.post("/introspect", &[("token", token), ("client_id", client), ("client_secret", secret)]).await
        };
        let own = asks(&access, &client, &secret).await;
        assert_eq!((own.body["active"].as_bool(), &own.body["aud"]), (Some(true), &json!(world.url("/mcp"))), "{own:?}");
        asks(&access, &client, "ocs_wrong").await.is(401, "invalid_client");
        let public = world.client("Public").await;
        world.post("/introspect", &[("token", &access), ("client_id", &public)]).await.is(401, "invalid_client");
        // Another's token is neither told nor ended.
        let other = world
            .register(
                json!({"client_name": "Other", "redirect_uris": [REDIRECT], "token_endpoint_auth_method": "client_secret_post"}),
            )
            .await;
        let told = asks(&access, &other.text("client_id"), &other.text("client_secret")).await;
        assert_eq!(told.body, json!({"active": false}));
        let theirs = [("token", access.as_str()), ("client_id", &public)];
        assert_eq!(world.post("/revoke", &theirs).await.status, 200);
        assert_eq!(world.lists(&access).await, 200);
        let fields = [("token", access.as_str()), ("client_id", &client), ("client_secret", &secret)];
        assert_eq!(world.post("/revoke", &fields).await.status, 200);
        assert_eq!(world.lists(&access).await, 401);
        assert_eq!(world.post("/revoke", &[("token", "nothing"), ("client_id", &public)]).await.status, 200);
    });
}
