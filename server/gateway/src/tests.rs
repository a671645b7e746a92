//! The façades over the real dispatcher, with a store of their own and tools made for the purpose.
use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, Bytes},
    http::{Request, StatusCode, header},
    response::Response,
};
use dispatch::Dispatch;
use futures_util::{FutureExt as _, future::BoxFuture};
use http_body_util::BodyExt as _;
use identity::{
    Keys,
    fetch::Fetch,
    oauth::{redirect::Schemes, server::Server as OauthServer},
};
use kernel::{Category, Changes, ExposeSecret as _, Instance, KeyId, OrgId, Permissions, Plan, Role, RpcConnection, Sources};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use store::{
    audit::{Audit, AuditSettings, AuditTask},
    idempotency::Idempotency,
    keys::NewKey,
    registry::Registry,
    testing::TestStore,
    vault::{KeySource, Vault},
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tools::contract::{self as tool, Answer, Content, ReadCx, ReadTool, Result as ToolResult, Tool, WriteCx, WriteTool};
use tower::ServiceExt as _;

use crate::{Config, Gateway, Gauge, State, edge::Peer};

mod limits;
mod scopes;

// ---- tools

/// Say it back.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Echo {
    /// What to say.
    text: String,
}
#[derive(Debug, Serialize, JsonSchema)]
struct Said {
    text: String,
}
impl Answer for Said {}
impl ReadTool for Echo {
    type Answer = Said;
    async fn call(self, _: &ReadCx) -> ToolResult<Said> {
        Ok(Said { text: self.text })
    }
}

/// Count up slowly.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Slow {
    steps: u64,
    milliseconds: u64,
    /// Where it is counted: tests may run in one process, so each takes slots of its own.
    slot: usize,
}
/// Runs that came to their end, by slot.
static FINISHED: [AtomicUsize; 12] = [const { AtomicUsize::new(0) }; 12];
/// Runs that were dropped before, by slot.
static STOPPED: [AtomicUsize; 12] = [const { AtomicUsize::new(0) }; 12];
struct Run {
    slot: usize,
    finished: bool,
}
impl Drop for Run {
    fn drop(&mut self) {
        let counts = if self.finished { &FINISHED } else { &STOPPED };
        counts[self.slot].fetch_add(1, Ordering::SeqCst);
    }
}
impl ReadTool for Slow {
    type Answer = Said;
    async fn call(self, cx: &ReadCx) -> ToolResult<Said> {
        let mut run = Run { slot: self.slot, finished: false };
        for step in 1..=self.steps {
            tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
            cx.progress(step, self.steps);
        }
        run.finished = true;
        Ok(Said { text: "done".into() })
    }
}

/// Write slowly: what has begun goes on when the client is gone.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct SlowWrite {
    milliseconds: u64,
    slot: usize,
}
impl WriteTool for SlowWrite {
    type Answer = Said;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, _: &ReadCx) -> ToolResult<Plan> {
        Ok(Plan::default())
    }
    async fn call(self, _: &WriteCx) -> ToolResult<Said> {
        let mut run = Run { slot: self.slot, finished: false };
        tokio::time::sleep(Duration::from_millis(self.milliseconds)).await;
        run.finished = true;
        Ok(Said { text: "written".into() })
    }
}

/// Show a picture.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Picture {}
#[derive(Debug, Serialize, JsonSchema)]
struct Shown {
    size: u64,
}
impl Answer for Shown {
    fn content(&mut self) -> Vec<Content> {
        vec![
            Content { mime: "image/png".into(), bytes: vec![1, 2, 3] },
            Content { mime: "application/pdf".into(), bytes: vec![4] },
        ]
    }
}
impl ReadTool for Picture {
    type Answer = Shown;
    async fn call(self, _: &ReadCx) -> ToolResult<Shown> {
        Ok(Shown { size: 3 })
    }
}

static TOOLS: [Tool; 7] = [
    tool::read::<Echo>("Echo").named("ocore_echo", Category::Platform),
    tool::read::<Picture>("Picture").named("ocore_picture", Category::Platform),
    tool::read::<scopes::Late>("Late").named("ocore_late", Category::Platform),
    tool::read::<Slow>("Slow").named("ocore_slow", Category::Platform),
    tool::write::<SlowWrite>("Slow write").named("ocore_slow_write", Category::Platform),
    tool::read::<Echo>("Echo here").named("echo", Category::Orm),
    tool::read::<Echo>("Echo there").named("find", Category::Search),
];

// ---- a world

pub(crate) struct World {
    pub gateway: Arc<Gateway>,
    pub router: Router,
    pub key: String,
    key_id: KeyId,
    pub other_key: String,
    org: OrgId,
    registry: Arc<Registry>,
    store: TestStore,
    events: Arc<Mutex<Vec<(&'static str, String)>>>,
    changes: watch::Sender<u64>,
    pub shutdown: CancellationToken,
    _audit: AuditTask,
}

async fn new_key(store: &TestStore, org: OrgId, label: &str) -> (String, KeyId) {
    let made = identity::token::new(&store.sources);
    let mut tx = store.begin().await.unwrap();
    let new = NewKey {
        org,
        owner: None,
        role: Role::Member,
        label: label.into(),
        prefix: made.prefix,
        hash: made.hash,
        permissions: Permissions { rate_per_minute: Some(100_000), ..Permissions::all() },
        expires_at: None,
        invite: None,
    };
    let id = store::keys::create(&mut tx, &new, &store.sources).await.unwrap();
    tx.commit().await.unwrap();
    (made.text.expose_secret().to_owned(), id)
}

pub(crate) async fn world(config: Config) -> World {
    let mut store = store::testing::sqlite().await;
    // Calls wait for real time, so the clock is the machine's.
    store.sources = Sources::system();
    world_on(store, config).await
}

/// By the store's clock, which stands still until it is moved.
async fn world_on(store: TestStore, config: Config) -> World {
    let sources = store.sources.clone();
    let mut tx = store.begin().await.unwrap();
    let org = store::orgs::create(&mut tx, "acme", "Acme", &sources).await.unwrap();
    let server = store::servers::create(&mut tx, org, "one", None, &[], &sources).await.unwrap();
    for slug in ["prod", "test-eu"] {
        let new = store::instances::NewInstance {
            org,
            server,
            slug: slug.into(),
            name: slug.into(),
            url: "http://odoo.invalid/".parse().unwrap(),
            database: slug.into(),
            environment: kernel::Environment::Production,
            write_enabled: false,
            container: None,
            addons: Vec::new(),
            backups: None,
            concurrency: 4,
        };
        store::instances::create(&mut tx, &new, &sources).await.unwrap();
    }
    tx.commit().await.unwrap();
    let (key, key_id) = new_key(&store, org, "first").await;
    let (other_key, _) = new_key(&store, org, "second").await;
    let registry = Arc::new(Registry::load(store.db.clone(), sources.clone()).await.unwrap());
    let (audit, task) = Audit::start(store.db.clone(), sources.clone(), AuditSettings::new("test"));
    let vault = Vault::open(&store.db, KeySource::in_data_dir(store.dir.path()), &sources).await.unwrap();
    let dispatch = Dispatch::with_tools(
        dispatch::Parts {
            registry: Arc::clone(&registry),
            audit,
            idempotency: Idempotency::new(store.db.clone(), vault.clone(), sources.clone()),
            operations: store::operations::Operations::new(store.db.clone(), vault.clone(), sources.clone(), "test"),
            pool: pool(),
            posthog: backends::posthog::Pool::default(),
            postgres: backends::postgres::Pool::default(),
            docker: backends::docker::Pool::default(),
            files: backends::files::Pool::default(),
            backups: backends::backup::Pool::default(),
            links: None,
            vault: vault.clone(),
            sources: sources.clone(),
            signing_key: [7; 32],
            default_per_minute: None,
        },
        &TOOLS,
    );
    let keys = Arc::new(Keys::new(Arc::clone(&registry), store.db.clone(), sources.clone()));
    let fetch = Fetch::new(kernel::Networks::default()).unwrap();
    let oauth = Arc::new(OauthServer::new(store.db.clone(), sources.clone(), Schemes::known(), fetch));
    let events: Arc<Mutex<Vec<(&'static str, String)>>> = Arc::default();
    let seen = Arc::clone(&events);
    let (changes, changed) = watch::channel(0);
    let shutdown = CancellationToken::new();
    let gateway = Gateway::new(State {
        config,
        keys,
        oauth,
        dispatch,
        sources,
        events: Arc::new(move |kind, _: IpAddr, detail: &str| seen.lock().push((kind, detail.to_owned()))),
        ready: Arc::new(|| async { true }.boxed()),
        changes: Some(changed),
        gauges: vec![Gauge { name: "ocore_audit_rows_waiting", help: "Rows that wait.", read: Arc::new(|| 5) }],
        shutdown: shutdown.clone(),
    })
    .unwrap();
    World {
        router: crate::router(&gateway),
        gateway,
        key,
        key_id,
        other_key,
        org,
        registry,
        store,
        events,
        changes,
        shutdown,
        _audit: task,
    }
}

/// No test here calls an instance.
#[derive(Debug)]
struct NoCredentials;
impl backends::odoo::Credentials for NoCredentials {
    fn open<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, ToolResult<backends::odoo::Credential>> {
        async { Err(kernel::refusal(kernel::Code::NotConfigured, "No credentials here.").into()) }.boxed()
    }
    fn refused<'a>(&'a self, _: &'a Instance, _: &'a RpcConnection) -> BoxFuture<'a, ()> {
        async {}.boxed()
    }
}
fn pool() -> backends::odoo::Pool {
    // Once per process; that it is there already is no error.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    backends::odoo::Pool::new(Arc::new(NoCredentials), kernel::Networks::default(), backends::odoo::PoolSettings::default())
}

impl World {
    /// A key of another organization.
    async fn stranger(&self) -> String {
        let mut tx = self.store.begin().await.unwrap();
        let org = store::orgs::create(&mut tx, "globex", "Globex", &self.store.sources).await.unwrap();
        tx.commit().await.unwrap();
        let (key, _) = new_key(&self.store, org, "theirs").await;
        self.registry.reload().await;
        key
    }
    async fn revoke(&self) {
        let mut tx = self.store.begin().await.unwrap();
        store::keys::revoke(&mut tx, self.org, self.key_id, self.store.sources.now()).await.unwrap();
        tx.commit().await.unwrap();
        self.registry.reload().await;
    }
    fn kinds(&self) -> Vec<&'static str> {
        self.events.lock().iter().map(|e| e.0).collect()
    }
    pub(crate) async fn send(&self, request: Request<Body>) -> Response {
        self.router.clone().oneshot(request).await.unwrap()
    }
    fn request(&self, method: &str, path: &str) -> axum::http::request::Builder {
        Self::request_by(&self.key, method, path)
    }
    fn request_by(key: &str, method: &str, path: &str) -> axum::http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, "localhost:8080")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
    }
    pub(crate) async fn legacy(&self, path: &str, message: &Value) -> Response {
        self.send(self.request("POST", path).body(message.to_string().into()).unwrap()).await
    }
    /// A request of 2026-07-28 with everything that belongs to it; `change` may spoil it.
    async fn modern(&self, method: &str, params: Value, change: impl FnOnce(&mut Request<Body>)) -> Response {
        let mut params = params;
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        let name = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str).map(str::to_owned);
        let body = json!({"jsonrpc": "2.0", "id": "m1", "method": method, "params": params}).to_string();
        let mut builder = self.request("POST", "/mcp").header("MCP-Protocol-Version", "2026-07-28").header("Mcp-Method", method);
        if let Some(name) = name {
            builder = builder.header("Mcp-Name", name);
        }
        let mut request = builder.body(body.into()).unwrap();
        change(&mut request);
        self.send(request).await
    }
}

pub(crate) async fn bytes(response: Response) -> Bytes {
    response.into_body().collect().await.unwrap().to_bytes()
}
async fn body(response: Response) -> Value {
    let bytes = bytes(response).await;
    serde_json::from_slice(&bytes).unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&bytes)))
}
#[expect(clippy::needless_pass_by_value, reason = "JSON is written in place")]
fn call(name: &str, arguments: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {"name": name, "arguments": arguments}})
}
/// The next chunk of a stream as text; none when it ended.
async fn chunk(body: &mut Body) -> Option<String> {
    loop {
        let frame = tokio::time::timeout(Duration::from_secs(10), body.frame()).await.expect("in time")?;
        let text = String::from_utf8(frame.unwrap().into_data().unwrap().to_vec()).unwrap();
        if text != ": keep-alive\n\n" {
            return Some(text);
        }
    }
}
fn data(chunk: &str) -> Value {
    let line = chunk
        .lines()
        .find_map(|l| l.strip_prefix("data: ").filter(|data| !data.is_empty()))
        .unwrap_or_else(|| panic!("{chunk:?}"));
    serde_json::from_str(line).unwrap()
}
async fn until(what: impl Fn() -> bool) {
    for _ in 0..300 {
        if what() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("it did not come to pass");
}

// ---- the edge

#[tokio::test]
async fn without_a_key_nobody_comes_in_and_the_challenge_says_where_to_get_one() {
    let w = world(Config::default()).await;
    let request = |path: &str, key: Option<&str>| {
        let mut builder = Request::builder().method("POST").uri(path).header(header::HOST, "127.0.0.1:8080");
        if let Some(key) = key {
            builder = builder.header(header::AUTHORIZATION, key);
        }
        builder.body(Body::empty()).unwrap()
    };
    let response = w.send(request("/mcp", None)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(
        response.headers()[header::WWW_AUTHENTICATE],
        "Bearer resource_metadata=\"http://127.0.0.1:8080/.well-known/oauth-protected-resource/mcp\", scope=\"read write destructive\""
    );
    let said = body(response).await;
    assert_eq!(said["code"], "unauthorized");
    assert!(said["next"].as_str().unwrap().contains("Authorization"));
    assert!(w.kinds().is_empty(), "asking without a key is how clients begin");

    let response = w.send(request("/mcp/i/prod", Some("Bearer ock_nonsense"))).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
    assert!(
        challenge.contains("error=\"invalid_token\"") && challenge.contains("oauth-protected-resource/mcp/i/prod\""),
        "{challenge}"
    );
    let unknown = identity::token::new(&w.store.sources).text.expose_secret().to_owned();
    assert_eq!(w.send(request("/mcp", Some(&format!("bearer {unknown}")))).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(w.send(request("/mcp", Some("Basic YTpi"))).await.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(w.kinds(), ["malformed_key", "unknown_key", "malformed_key"]);

    let response = w.send(request(&format!("/mcp?token={}", w.key), None)).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(body(response).await["message"].as_str().unwrap().contains("URL"));
    assert_eq!(w.kinds().last(), Some(&"key_in_url"));

    let hostile = w.send(request("/mcp/i/a%22%0d,x", None)).await;
    assert!(hostile.headers()[header::WWW_AUTHENTICATE].to_str().unwrap().contains("protected-resource\""));
}

#[tokio::test]
async fn a_revoked_key_is_refused_and_its_organization_sees_it() {
    let w = world(Config::default()).await;
    w.revoke().await;
    let response = w.legacy("/mcp/i/prod", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await;
    assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
    assert!(body(response).await["message"].as_str().unwrap().contains("revoked"));
    assert_eq!(w.kinds(), ["revoked_key"]);
    let filter = store::calls::CallFilter { org: Some(w.org), limit: 10, ..Default::default() };
    for _ in 0..100 {
        let page = store::calls::list(&w.store.db, &filter).await.unwrap();
        if let Some(row) = page.iter().find(|row| row.code.as_deref() == Some("unauthorized")) {
            assert_eq!(row.tool, "POST /mcp/i/prod", "what was asked for");
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("no row");
}

#[tokio::test]
async fn hosts_origins_and_methods() {
    let w = world(Config { origins: vec!["https://app.example.com".into()], ..Config::default() }).await;
    let request = |method: &str, host: &str, origin: Option<&str>| {
        let mut builder = Request::builder()
            .method(method)
            .uri("/mcp")
            .header(header::HOST, host)
            .header("x-api-key", &w.key)
            .header(header::CONTENT_TYPE, "application/json");
        if let Some(origin) = origin {
            builder = builder.header(header::ORIGIN, origin);
        }
        if method == "OPTIONS" {
            builder = builder
                .header("access-control-request-method", "POST")
                .header("access-control-request-headers", "authorization,mcp-name");
        }
        builder.body(Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#)).unwrap()
    };
    assert_eq!(w.send(request("POST", "localhost", None)).await.status(), StatusCode::OK);
    assert_eq!(w.send(request("POST", "evil.example", None)).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(w.send(request("POST", "localhost", Some("https://evil.example"))).await.status(), StatusCode::FORBIDDEN);
    assert_eq!(w.kinds(), ["bad_host", "bad_origin"]);
    let allowed = w.send(request("POST", "localhost", Some("https://app.example.com"))).await;
    assert_eq!(allowed.status(), StatusCode::OK);
    assert_eq!(allowed.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "https://app.example.com");
    assert!(allowed.headers()[header::ACCESS_CONTROL_EXPOSE_HEADERS].to_str().unwrap().contains("Mcp-Session-Id"));
    let preflight = w.send(request("OPTIONS", "localhost", Some("http://localhost:6274"))).await;
    assert_eq!(preflight.status(), StatusCode::NO_CONTENT);
    assert_eq!(preflight.headers()[header::ACCESS_CONTROL_ALLOW_HEADERS], "authorization,mcp-name");
    for method in ["GET", "DELETE", "PUT"] {
        let refused = w.send(request(method, "localhost", None)).await;
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "POST");
    }
}

#[tokio::test]
async fn bodies_have_a_type_and_a_size() {
    let w = world(Config::default()).await;
    let send = async |change: &dyn Fn(axum::http::request::Builder) -> axum::http::request::Builder, body: Body| {
        let builder = Request::builder().method("POST").uri("/mcp").header(header::HOST, "localhost").header("x-api-key", &w.key);
        w.send(change(builder).body(body).unwrap()).await
    };
    let ping = || Body::from(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#);
    let json = |b: axum::http::request::Builder| b.header(header::CONTENT_TYPE, "application/json; charset=utf-8");
    assert_eq!(send(&json, ping()).await.status(), StatusCode::OK);
    assert_eq!(send(&|b| b, ping()).await.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    assert_eq!(
        send(&|b| b.header(header::CONTENT_TYPE, "text/plain"), ping()).await.status(),
        StatusCode::UNSUPPORTED_MEDIA_TYPE
    );
    assert_eq!(send(&|b| json(b).header(header::ACCEPT, "text/html"), ping()).await.status(), StatusCode::NOT_ACCEPTABLE);
    assert_eq!(
        send(&|b| json(b).header(header::ACCEPT, "application/json;q=0"), ping()).await.status(),
        StatusCode::NOT_ACCEPTABLE
    );
    assert_eq!(send(&|b| json(b).header(header::ACCEPT, "*/*"), ping()).await.status(), StatusCode::OK);
    let announced = send(&|b| json(b).header(header::CONTENT_LENGTH, "99999999"), Body::empty()).await;
    assert_eq!(announced.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let chunks = futures_util::stream::iter((0..20).map(|_| Ok::<_, std::io::Error>(Bytes::from(vec![b' '; 1 << 20]))));
    assert_eq!(send(&json, Body::from_stream(chunks)).await.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(w.kinds(), ["body_too_large", "body_too_large"]);
    let parts = futures_util::stream::iter(
        [r#"{"jsonrpc":"2.0","#, r#""id":1,"method":"ping"}"#].map(|p| Ok::<_, std::io::Error>(Bytes::from(p))),
    );
    assert_eq!(body(send(&json, Body::from_stream(parts)).await).await["result"], json!({}));
}

// ---- legacy

#[tokio::test]
async fn the_handshake_names_versions_capabilities_and_instructions() {
    let w = world(Config::default()).await;
    let initialize = async |version: &str| {
        let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
        body(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await).await
    };
    let said = initialize("2025-06-18").await;
    assert_eq!(said["id"], 0);
    assert_eq!(said["result"]["protocolVersion"], "2025-06-18");
    assert_eq!(said["result"]["capabilities"], json!({"tools": {}, "prompts": {}, "resources": {}, "completions": {}}));
    assert_eq!(said["result"]["serverInfo"]["name"], "ocore");
    assert!(said["result"]["instructions"].as_str().unwrap().contains("prod"));
    assert!(said["result"].get("resultType").is_none());
    assert_eq!(initialize("2024-11-05").await["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(initialize("2099-01-01").await["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(initialize("2026-07-28").await["result"]["protocolVersion"], "2025-11-25");

    let accepted = w.legacy("/mcp", &json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert!(bytes(accepted).await.is_empty());
    assert_eq!(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 4, "result": {}})).await.status(), StatusCode::ACCEPTED);
    let unknown = w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 5, "method": "prompts/nonsense"})).await;
    assert_eq!(unknown.status(), StatusCode::OK);
    assert_eq!(body(unknown).await["error"]["code"], -32601);
}

#[tokio::test]
async fn tools_are_listed_and_called_on_every_url() {
    let w = world(Config::default()).await;
    let names = async |path: &str| -> Vec<String> {
        let listed = body(w.legacy(path, &json!({"jsonrpc": "2.0", "id": "a", "method": "tools/list"})).await).await;
        listed["result"]["tools"]
            .as_array()
            .unwrap_or_else(|| panic!("{listed}"))
            .iter()
            .map(|t| t["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let platform = ["ocore_echo", "ocore_picture", "ocore_late", "ocore_slow", "ocore_slow_write"];
    assert_eq!(names("/mcp").await, [&platform[..], &["prod_echo", "prod_find", "test_eu_echo", "test_eu_find"]].concat());
    assert_eq!(names("/api/mcp/stream").await.len(), 9);
    assert_eq!(names("/mcp/").await.len(), 9);
    assert_eq!(names("/mcp/i/test-eu").await, ["echo", "find"]);
    assert_eq!(names("/mcp/i/test-eu/").await, ["echo", "find"]);
    assert_eq!(names("/mcp?instances=prod&categories=orm").await, ["prod_echo"]);
    assert_eq!(names("/mcp?categories=search&categories=platform&instances=prod%2Ctest-eu").await.len(), 7);

    let said = body(w.legacy("/mcp/i/prod", &call("echo", json!({"text": "a\n\"b\""}))).await).await;
    assert_eq!(said["result"]["structuredContent"], json!({"text": "a\n\"b\""}));
    assert_eq!(said["result"]["content"][0]["text"], r#"{"text":"a\n\"b\""}"#);
    assert_eq!(said["result"]["isError"], false);
    let unfit = body(w.legacy("/mcp", &call("prod_echo", json!({"txt": "a"}))).await).await;
    assert_eq!(unfit["result"]["isError"], true);
    assert_eq!(unfit["result"]["structuredContent"]["code"], "invalid_argument");
    assert!(unfit["result"]["structuredContent"]["message"].as_str().unwrap().contains("txt"));
    let unknown = body(w.legacy("/mcp", &call("nope", json!({}))).await).await;
    assert_eq!(unknown["error"]["code"], -32602);
    assert_eq!(unknown["error"]["data"]["code"], "unknown_tool");
    let filtered = body(w.legacy("/mcp?categories=search", &call("prod_echo", json!({"text": "a"}))).await).await;
    assert_eq!(filtered["error"]["code"], -32602);
    let shown = body(w.legacy("/mcp", &call("ocore_picture", json!({}))).await).await;
    assert_eq!(shown["result"]["content"][1], json!({"type": "image", "mimeType": "image/png", "data": "AQID"}));
    assert_eq!(shown["result"]["content"][2]["resource"]["blob"], "BA==");

    for (path, named) in [("/mcp?instances=prod,nope", "nope"), ("/mcp?categories=magic", "magic"), ("/mcp/i/other", "other")] {
        let refused = w.legacy(path, &json!({"jsonrpc": "2.0", "id": 9, "method": "tools/list"})).await;
        assert_eq!(refused.status(), StatusCode::BAD_REQUEST, "{path}");
        let said = body(refused).await;
        assert_eq!((&said["id"], &said["error"]["code"]), (&json!(9), &json!(-32602)));
        assert!(said["error"]["message"].as_str().unwrap().contains(named), "{said}");
    }
}

#[tokio::test]
async fn what_is_malformed_is_said_and_harmless() {
    let w = world(Config::default()).await;
    let send = async |text: String| {
        let response = w.send(w.request("POST", "/mcp").body(text.into()).unwrap()).await;
        (response.status().as_u16(), body(response).await["error"]["code"].as_i64().unwrap())
    };
    assert_eq!(send("{".into()).await, (400, -32700));
    assert_eq!(send(r#"[{"jsonrpc":"2.0","id":1,"method":"ping"}]"#.into()).await, (400, -32600));
    assert_eq!(send(r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#.into()).await, (400, -32600));
    assert_eq!(send(format!(r#"{{"jsonrpc":"2.0","id":"{}","method":"ping"}}"#, "x".repeat(5000))).await, (400, -32600));
    assert_eq!(send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":5}}"#.into()).await, (400, -32602));
    assert_eq!(send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{}}"#.into()).await, (200, -32602));
    assert_eq!(
        send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"x","arguments":[1]}}"#.into()).await,
        (200, -32602)
    );
    assert_eq!(send(r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"cursor":"x"}}"#.into()).await, (200, -32602));
    let deep = format!("{}{}", "{\"a\":".repeat(10_000), "1") + &"}".repeat(10_000);
    assert_eq!(
        send(format!(r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"ocore_echo","arguments":{deep}}}}}"#))
            .await,
        (200, -32602)
    );
    let response = w
        .send(
            w.request("POST", "/mcp")
                .header("MCP-Protocol-Version", "1999-01-01")
                .body(r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.into())
                .unwrap(),
        )
        .await;
    assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    assert_eq!(body(response).await["error"]["data"]["requested"], "1999-01-01");
}

#[tokio::test]
async fn a_legacy_client_that_goes_away_does_not_cancel() {
    let w = world(Config::default()).await;
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "ocore_slow", "arguments": {"steps": 3, "milliseconds": 100, "slot": 0}, "_meta": {"progressToken": 7}}});
    let mut stream = w.legacy("/mcp", &message).await.into_body();
    let first = data(&chunk(&mut stream).await.unwrap());
    assert_eq!(first["params"]["progressToken"], 7);
    drop(stream);
    until(|| FINISHED[0].load(Ordering::SeqCst) == 1).await;
    assert_eq!(STOPPED[0].load(Ordering::SeqCst), 0);
    let plain = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "ocore_slow", "arguments": {"steps": 1, "milliseconds": 300, "slot": 0}}});
    assert!(tokio::time::timeout(Duration::from_millis(100), w.legacy("/mcp", &plain)).await.is_err());
    until(|| FINISHED[0].load(Ordering::SeqCst) == 2).await;
}

// ---- modern

#[tokio::test]
async fn modern_answers_carry_what_the_era_requires() {
    let w = world(Config::default()).await;
    let discovered = body(w.modern("server/discover", json!({}), |_| ()).await).await["result"].clone();
    assert_eq!(discovered["resultType"], "complete");
    assert_eq!(discovered["supportedVersions"][0], "2026-07-28");
    assert_eq!(
        discovered["capabilities"],
        json!({"tools": {"listChanged": true}, "prompts": {}, "resources": {}, "completions": {}})
    );
    assert_eq!(discovered["cacheScope"], "private");
    assert!(discovered["ttlMs"].is_u64() && discovered["instructions"].is_string());
    assert_eq!(discovered["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "ocore");
    let listed = body(w.modern("tools/list", json!({}), |_| ()).await).await["result"].clone();
    assert_eq!(listed["cacheScope"], "private");
    assert_eq!(listed["tools"].as_array().unwrap().len(), 9);
    let said = body(w.modern("tools/call", json!({"name": "prod_echo", "arguments": {"text": "x"}}), |_| ()).await).await;
    assert_eq!(said["id"], "m1");
    assert_eq!(said["result"]["resultType"], "complete");
    assert_eq!(said["result"]["structuredContent"]["text"], "x");
    for method in ["initialize", "ping", "logging/setLevel", "no/such"] {
        let unknown = w.modern(method, json!({}), |_| ()).await;
        assert_eq!(unknown.status(), StatusCode::NOT_FOUND, "{method}");
        assert_eq!(body(unknown).await["error"]["code"], -32601);
    }
}

#[tokio::test]
async fn a_caller_is_told_who_it_is_and_nothing_of_others() {
    let w = world(Config { legacy_sessions: true, ..Config::default() }).await;
    let made = identity::token::new(&w.store.sources);
    let ends = w.store.sources.now() + kernel::TimeDelta::days(3);
    let mut tx = w.store.begin().await.unwrap();
    let ann = store::users::create(&mut tx, "ann@example.com", None, false, &w.store.sources).await.unwrap();
    store::users::set_role(&mut tx, w.org, ann, Role::Member, w.store.sources.now()).await.unwrap();
    let new = NewKey {
        org: w.org,
        owner: Some(ann),
        role: Role::Admin,
        label: "ann's \"key\"".into(),
        prefix: made.prefix,
        hash: made.hash,
        permissions: Permissions { read_only: true, ..Permissions::all() },
        expires_at: Some(ends),
        invite: None,
    };
    store::keys::create(&mut tx, &new, &w.store.sources).await.unwrap();
    tx.commit().await.unwrap();
    w.registry.reload().await;
    let anns = json!({"person": "ann@example.com", "organization": "acme", "role": "member", "key": "ann's \"key\"", "access": "read", "expires_at": ends});
    let of_organization = json!({"person": null, "organization": "acme", "role": "member", "key": "first", "access": "destructive", "expires_at": null});
    for (key, who) in [(made.text.expose_secret(), anns), (w.key.as_str(), of_organization)] {
        let discover = json!({"jsonrpc": "2.0", "id": 1, "method": "server/discover", "params": {"_meta": {
            "io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}}});
        let initialize = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        for message in [discover, initialize] {
            let mut request = World::request_by(key, "POST", "/mcp");
            if message["method"] == "server/discover" {
                request = request.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "server/discover");
            }
            let text = bytes(w.send(request.body(Body::from(message.to_string())).unwrap()).await).await;
            let text = String::from_utf8(text.to_vec()).unwrap();
            let said: Value = serde_json::from_str(&text).unwrap_or_else(|_| data(&text));
            assert_eq!(said["result"]["_meta"]["ocore/whoami"], who, "{said}");
            assert!(!text.contains("ock_"), "{text}");
        }
    }
    // The same without sessions, which ocore writes itself.
    let w = world(Config::default()).await;
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let said = body(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params})).await).await;
    assert_eq!(said["result"]["_meta"]["ocore/whoami"]["key"], "first");
}

#[tokio::test]
async fn headers_must_say_what_the_body_says() {
    let w = world(Config::default()).await;
    let call = || json!({"name": "prod_echo", "arguments": {"text": "x"}});
    let code = async |response: Response| {
        let status = response.status().as_u16();
        let said = body(response).await;
        (status, said["error"]["code"].as_i64().unwrap_or(0), said["id"].clone())
    };
    let spoil = |name: &'static str, value: &'static str| {
        move |request: &mut Request<Body>| {
            request.headers_mut().remove(name);
            if !value.is_empty() {
                request.headers_mut().insert(name, value.parse().unwrap());
            }
        }
    };
    for (name, value) in [
        ("mcp-protocol-version", ""),
        ("mcp-protocol-version", "2025-11-25"),
        ("mcp-method", ""),
        ("mcp-method", "tools/list"),
        ("mcp-method", "Tools/Call"),
        ("mcp-name", ""),
        ("mcp-name", "prod_find"),
        ("mcp-name", "=?base64?cHJvZF9maW5k?="),
        ("mcp-name", "=?base64?%?="),
    ] {
        let response = w.modern("tools/call", call(), spoil(name, value)).await;
        assert_eq!(code(response).await, (400, -32020, json!("m1")), "{name}: {value}");
    }
    let encoded = w.modern("tools/call", call(), spoil("mcp-name", "=?base64?cHJvZF9lY2hv?=")).await;
    assert_eq!(encoded.status(), StatusCode::OK);
    let doubled = w
        .modern("tools/call", call(), |r| {
            r.headers_mut().append("mcp-method", "tools/call".parse().unwrap());
        })
        .await;
    assert_eq!(code(doubled).await.1, -32020);
    let raw = w
        .modern("tools/call", call(), |r| {
            r.headers_mut().insert("mcp-name", axum::http::HeaderValue::from_bytes(b"\xff").unwrap());
        })
        .await;
    assert_eq!(code(raw).await.1, -32020);

    let meta = |meta: Value, version: &str| {
        let body = json!({"jsonrpc": "2.0", "id": "m1", "method": "tools/list", "params": {"_meta": meta}}).to_string();
        w.request("POST", "/mcp")
            .header("MCP-Protocol-Version", version)
            .header("Mcp-Method", "tools/list")
            .body(body.into())
            .unwrap()
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    let capabilities = "io.modelcontextprotocol/clientCapabilities";
    assert_eq!(code(w.send(meta(json!({}), "2026-07-28")).await).await.1, -32602);
    assert_eq!(code(w.send(meta(json!({version: "2026-07-28"}), "2026-07-28")).await).await.1, -32602);
    assert_eq!(code(w.send(meta(json!({version: "2026-07-28", capabilities: []}), "2026-07-28")).await).await.1, -32602);
    let unsupported = w.send(meta(json!({version: "2031-01-01", capabilities: {}}), "2031-01-01")).await;
    assert_eq!(unsupported.status(), StatusCode::BAD_REQUEST);
    let said = body(unsupported).await;
    assert_eq!(said["error"]["code"], -32022);
    assert_eq!(said["error"]["data"]["requested"], "2031-01-01");
    assert!(said["error"]["data"]["supported"].as_array().unwrap().contains(&json!("2026-07-28")));
}

#[tokio::test]
async fn progress_grows_and_closing_the_stream_cancels() {
    let w = world(Config::default()).await;
    let slow = |steps: u64, slot: usize| json!({"name": "ocore_slow", "arguments": {"steps": steps, "milliseconds": 30, "slot": slot}, "_meta": {"progressToken": "p\"1"}});
    let response = w.modern("tools/call", slow(12, 1), |_| ()).await;
    assert_eq!(response.headers()[header::CONTENT_TYPE], "text/event-stream");
    assert_eq!(response.headers()["x-accel-buffering"], "no");
    let mut stream = response.into_body();
    let mut progress = Vec::new();
    let last = loop {
        let message = data(&chunk(&mut stream).await.expect("an answer"));
        if message.get("result").is_some() {
            break message;
        }
        assert_eq!(message["method"], "notifications/progress");
        assert_eq!(message["params"]["progressToken"], "p\"1");
        assert_eq!(message["params"]["total"], 12);
        progress.push(message["params"]["progress"].as_u64().unwrap());
    };
    assert!(chunk(&mut stream).await.is_none());
    assert_eq!(last["result"]["structuredContent"]["text"], "done");
    assert!(!progress.is_empty() && progress.len() <= 6 && progress.is_sorted_by(|a, b| a < b), "{progress:?}");

    let mut stream = w.modern("tools/call", slow(1000, 2), |_| ()).await.into_body();
    chunk(&mut stream).await.unwrap();
    drop(stream);
    until(|| STOPPED[2].load(Ordering::SeqCst) == 1).await;
    assert_eq!(FINISHED[2].load(Ordering::SeqCst), 0);

    let mut stream = w.modern("tools/call", slow(1000, 5), |_| ()).await.into_body();
    chunk(&mut stream).await.unwrap();
    w.revoke().await;
    let mut last = String::new();
    while let Some(text) = chunk(&mut stream).await {
        last = text;
    }
    assert_eq!(data(&last)["error"]["code"], -32600, "a revoked key ends open streams");
    until(|| STOPPED[5].load(Ordering::SeqCst) == 1).await;
}

#[tokio::test]
async fn a_client_that_takes_no_streams_gets_none() {
    let w = world(Config::default()).await;
    let slow = |steps: u64, slot: usize| json!({"name": "ocore_slow", "arguments": {"steps": steps, "milliseconds": 30, "slot": slot}, "_meta": {"progressToken": 1}});
    let plain = w
        .modern("tools/call", slow(2, 1), |r| {
            r.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
        })
        .await;
    assert_eq!(plain.headers()[header::CONTENT_TYPE], "application/json");
    assert_eq!(body(plain).await["result"]["structuredContent"]["text"], "done");
}

#[tokio::test]
async fn list_changes_reach_a_subscription_until_the_key_is_revoked() {
    let w = world(Config::default()).await;
    let response = w
        .modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true}}), |_| ())
        .await;
    assert_eq!(response.status(), StatusCode::OK);
    let mut stream = response.into_body();
    let first = data(&chunk(&mut stream).await.unwrap());
    assert_eq!(first["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(first["params"]["notifications"], json!({"toolsListChanged": true}));
    // A change that leaves this key's list as it is says nothing.
    w.changes.send_modify(|n| *n += 1);
    let mut tx = w.store.begin().await.unwrap();
    let prod = store::instances::by_slug(&mut tx, w.org, "prod").await.unwrap().unwrap();
    store::instances::delete(&mut tx, w.org, prod.instance.id, w.store.sources.now()).await.unwrap();
    tx.commit().await.unwrap();
    w.registry.reload().await;
    w.changes.send_modify(|n| *n += 1);
    let changed = data(&chunk(&mut stream).await.unwrap());
    assert_eq!(changed["method"], "notifications/tools/list_changed");
    assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "m1");
    w.revoke().await;
    assert_eq!(data(&chunk(&mut stream).await.unwrap())["error"]["code"], -32600);
    assert!(chunk(&mut stream).await.is_none());
}

#[tokio::test]
async fn a_subscription_says_when_the_server_ends_it() {
    let w = world(Config::default()).await;
    let plain = |r: &mut Request<Body>| {
        r.headers_mut().insert(header::ACCEPT, "application/json".parse().unwrap());
    };
    assert_eq!(w.modern("subscriptions/listen", json!({"notifications": {}}), plain).await.status(), StatusCode::NOT_ACCEPTABLE);
    let wrong = w.modern("subscriptions/listen", json!({"notifications": [1]}), |_| ()).await;
    assert_eq!(wrong.status(), StatusCode::BAD_REQUEST);
    let mut stream =
        w.modern("subscriptions/listen", json!({"notifications": {"resourcesListChanged": true}}), |_| ()).await.into_body();
    assert_eq!(data(&chunk(&mut stream).await.unwrap())["params"]["notifications"], json!({}));
    // Nothing was asked for, so nothing is told.
    w.changes.send_modify(|n| *n += 1);
    w.shutdown.cancel();
    let last = data(&chunk(&mut stream).await.unwrap());
    assert_eq!(last["id"], "m1");
    assert_eq!(last["result"]["_meta"]["io.modelcontextprotocol/subscriptionId"], "m1");
    assert!(chunk(&mut stream).await.is_none());
    // Legacy clients do not have the method.
    let legacy = body(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "subscriptions/listen"})).await).await;
    assert_eq!(legacy["error"]["code"], -32601);
}

// ---- legacy sessions

#[tokio::test]
async fn a_legacy_session_is_its_keys_alone() {
    let w = world(Config { legacy_sessions: true, ..Config::default() }).await;
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let response = w.legacy("/mcp/i/prod", &json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params})).await;
    assert_eq!(response.status(), StatusCode::OK);
    let id = response.headers()["mcp-session-id"].to_str().unwrap().to_owned();
    let text = String::from_utf8(bytes(response).await.to_vec()).unwrap();
    assert!(text.contains("\"protocolVersion\":\"2025-11-25\"") && text.contains("instructions"), "{text}");
    let send = async |method: &str, key: &str, message: Value| {
        let request = Request::builder()
            .method(method)
            .uri("/mcp/i/prod")
            .header(header::HOST, "localhost")
            .header(header::AUTHORIZATION, format!("Bearer {key}"))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .header("mcp-session-id", &id)
            .header("mcp-protocol-version", "2025-11-25");
        w.send(request.body(message.to_string().into()).unwrap()).await
    };
    let initialized = send("POST", &w.key, json!({"jsonrpc": "2.0", "method": "notifications/initialized"})).await;
    assert_eq!(initialized.status(), StatusCode::ACCEPTED);
    let answer = async |message: Value| {
        let mut stream = send("POST", &w.key, message).await.into_body();
        while let Some(text) = chunk(&mut stream).await {
            if text.contains("\"jsonrpc\"") {
                return data(&text);
            }
        }
        panic!("no answer");
    };
    let listed = answer(json!({"jsonrpc": "2.0", "id": 2, "method": "tools/list"})).await;
    assert_eq!(listed["result"]["tools"][0]["name"], "echo");
    assert!(listed["result"]["tools"][0]["outputSchema"].is_object());
    let said = answer(call("echo", json!({"text": "in a session"}))).await;
    assert_eq!(said["result"]["structuredContent"]["text"], "in a session");
    let unknown = answer(call("nope", json!({}))).await;
    assert_eq!(unknown["error"]["code"], -32602);
    for method in ["POST", "GET", "DELETE"] {
        let foreign = send(method, &w.other_key, json!({"jsonrpc": "2.0", "id": 3, "method": "ping"})).await;
        assert_eq!(foreign.status(), StatusCode::NOT_FOUND, "{method}");
    }
    let waiting = send("GET", &w.key, json!(null)).await;
    assert_eq!(waiting.status(), StatusCode::OK);
    let ended = send("DELETE", &w.key, json!(null)).await;
    assert!(ended.status().is_success());
    assert_eq!(send("POST", &w.key, json!({"jsonrpc": "2.0", "id": 3, "method": "ping"})).await.status(), StatusCode::NOT_FOUND);
    // Without a session the same URL goes on answering.
    assert_eq!(body(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await).await["result"], json!({}));
}

// ---- HTTP+SSE

#[tokio::test]
async fn the_old_transport_answers_on_its_stream() {
    let w = world(Config { public_url: Some("https://mcp.example.com/base".parse().unwrap()), ..Config::default() }).await;
    let open = async |path: &str| {
        let response = w.send(w.request("GET", path).body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK);
        let mut stream = response.into_body();
        let first = chunk(&mut stream).await.unwrap();
        assert!(first.starts_with("event: endpoint\ndata: "), "{first}");
        (stream, first.lines().nth(1).unwrap().strip_prefix("data: ").unwrap().to_owned())
    };
    let (mut stream, endpoint) = open("/api/mcp/sse?instances=prod&categories=orm").await;
    let url = endpoint.strip_prefix("/base").unwrap().to_owned();
    assert!(url.starts_with("/api/mcp/messages?session_id="));
    assert_eq!(w.legacy(&url, &json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"})).await.status(), StatusCode::ACCEPTED);
    let listed = data(&chunk(&mut stream).await.unwrap());
    let names: Vec<&str> = listed["result"]["tools"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["prod_echo"], "the filters of the stream's URL hold");
    assert_eq!(w.legacy(&url, &call("prod_echo", json!({"text": "hello"}))).await.status(), StatusCode::ACCEPTED);
    assert_eq!(data(&chunk(&mut stream).await.unwrap())["result"]["structuredContent"]["text"], "hello");
    assert_eq!(w.legacy(&url, &json!({"jsonrpc": "2.0", "id": 2, "method": "no/such"})).await.status(), StatusCode::ACCEPTED);
    assert_eq!(data(&chunk(&mut stream).await.unwrap())["error"]["code"], -32601);

    let foreign = Request::builder().method("POST").uri(&url).header(header::HOST, "localhost").header("x-api-key", &w.other_key);
    let foreign = w.send(foreign.header(header::CONTENT_TYPE, "application/json").body("{}".into()).unwrap()).await;
    assert_eq!(foreign.status(), StatusCode::NOT_FOUND);
    assert_eq!(w.legacy("/mcp/messages?session_id=00", &json!({})).await.status(), StatusCode::NOT_FOUND);
    assert_eq!(w.legacy(&url, &json!([])).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(w.legacy("/api/mcp/sse", &json!({})).await.status(), StatusCode::METHOD_NOT_ALLOWED);

    let (mut other, endpoint) = open("/mcp/sse").await;
    let url = endpoint.strip_prefix("/base").unwrap().to_owned();
    assert!(url.starts_with("/mcp/messages"));
    let slow = json!({"jsonrpc": "2.0", "id": "s", "method": "tools/call", "params": {"name": "ocore_slow",
        "arguments": {"steps": 500, "milliseconds": 20, "slot": 3}, "_meta": {"progressToken": 1}}});
    w.legacy(&url, &slow).await;
    assert_eq!(data(&chunk(&mut other).await.unwrap())["method"], "notifications/progress");
    w.legacy(&url, &json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": "s"}})).await;
    until(|| STOPPED[3].load(Ordering::SeqCst) == 1).await;

    w.revoke().await;
    while chunk(&mut other).await.is_some() {}
    while chunk(&mut stream).await.is_some() {}
    assert_eq!(w.gateway.metrics.streams.get(), 0, "what ended is not held");
}

// ---- health, metrics, connections

#[tokio::test]
async fn probes_and_figures() {
    let w = world(Config { metrics_token: Some("figures".to_owned().into()), ..Config::default() }).await;
    for path in ["/health", "/mcp/health", "/ready"] {
        let response =
            w.send(Request::builder().uri(path).header(header::HOST, "10.0.0.7:8080").body(Body::empty()).unwrap()).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
    w.legacy("/mcp", &call("ocore_echo", json!({"text": "x"}))).await;
    w.legacy("/mcp", &call("ocore_echo", json!({}))).await;
    w.legacy("/mcp", &call("prod_find", json!({"text": "x"}))).await;
    w.legacy("/mcp", &call("no_such_tool", json!({}))).await;
    let metrics = |token: &str| {
        Request::builder().uri("/metrics").header(header::AUTHORIZATION, format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    assert_eq!(w.send(metrics("guess")).await.status(), StatusCode::UNAUTHORIZED);
    let text = String::from_utf8(bytes(w.send(metrics("figures")).await).await.to_vec()).unwrap();
    for line in [
        "ocore_calls_total{category=\"platform\",facade=\"mcp\",outcome=\"ok\"} 1",
        "ocore_calls_total{category=\"platform\",facade=\"mcp\",outcome=\"invalid_argument\"} 1",
        "ocore_calls_total{category=\"search\",facade=\"mcp\",outcome=\"ok\"} 1",
        "ocore_calls_total{category=\"none\",facade=\"mcp\",outcome=\"unknown_tool\"} 1",
        "ocore_calls_in_flight{facade=\"mcp\"} 0",
        "ocore_audit_rows_waiting 5",
        "ocore_http_requests_total{status=\"2xx\",surface=\"mcp\"} 4",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
    w.shutdown.cancel();
    let response = w.send(Request::builder().uri("/ready").body(Body::empty()).unwrap()).await;
    assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn connections_are_pipelined_and_end_after_their_calls() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let w = world(Config::default()).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(crate::serve(listener, w.router.clone(), w.shutdown.clone(), Duration::from_secs(5)));
    let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = |message: &Value| {
        let body = message.to_string();
        format!(
            "POST /mcp HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
            w.key,
            body.len()
        )
    };
    let two = request(&call("ocore_echo", json!({"text": "one"}))) + &request(&call("ocore_echo", json!({"text": "two"})));
    socket.write_all(two.as_bytes()).await.unwrap();
    let mut seen = String::new();
    while !(seen.contains("one") && seen.contains("two")) {
        let mut buffer = [0; 4096];
        let n = socket.read(&mut buffer).await.unwrap();
        assert!(n > 0, "{seen}");
        seen.push_str(std::str::from_utf8(&buffer[..n]).unwrap());
    }
    assert!(seen.find("one") < seen.find("two"));
    let mut waiting = tokio::net::TcpStream::connect(address).await.unwrap();
    waiting
        .write_all(format!("GET /mcp/sse HTTP/1.1\r\nhost: localhost\r\nx-api-key: {}\r\n\r\n", w.key).as_bytes())
        .await
        .unwrap();
    let mut buffer = [0; 4096];
    assert!(waiting.read(&mut buffer).await.unwrap() > 0);
    let slow = request(&call("ocore_slow", json!({"steps": 1, "milliseconds": 500, "slot": 4})));
    socket.write_all(slow.as_bytes()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(100)).await;
    w.shutdown.cancel();
    let mut rest = String::new();
    socket.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("done"), "the call under way is answered: {rest}");
    let mut end = Vec::new();
    waiting.read_to_end(&mut end).await.unwrap();
    tokio::time::timeout(Duration::from_secs(3), server).await.unwrap().unwrap().unwrap();
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn the_peer_is_the_address_that_keys_are_checked_against() {
    let w = world(Config { trusted_proxies: vec!["10.0.0.0/8".parse().unwrap()], ..Config::default() }).await;
    let mut request = w
        .request("POST", "/mcp")
        .header("x-forwarded-for", "203.0.113.9")
        .header("forwarded", "for=198.51.100.1")
        .body(Body::empty())
        .unwrap();
    request.extensions_mut().insert(Peer("10.1.1.1".parse().unwrap()));
    assert_eq!(w.send(request).await.status(), StatusCode::BAD_REQUEST);
    assert_eq!(w.kinds(), ["bad_forwarding"]);
}
