//! A small ocore as the command line sees it: discovery, device flow, rotating refresh tokens, revocation (RFC 8414, 8628, 6749, 7009,
//! 9728), and an `/mcp` with tools that answer, wait, stream and break. What it does wrong is switched on test by test.
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::{
    Json, Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{get, post},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Value, json};

pub const EVIL: &str = "\u{1b}]0;owned\u{7}\u{1b}[31;5mred\u{9b}2J\u{202e}txt";

#[derive(Default)]
pub struct Facts {
    /// What a poll is answered, in order; afterwards it is approved.
    pub polls: VecDeque<&'static str>,
    pub polled: usize,
    /// Seconds that access tokens live.
    pub lives: i64,
    pub access: String,
    pub refresh: String,
    pub refreshes: usize,
    /// Milliseconds between a renewal and its answer.
    pub late: u64,
    /// So many answers to renewals are lost.
    pub lost: usize,
    /// Whether a refresh token that was replaced is taken again, as a server does for some time.
    pub grace: bool,
    pub revoked: Vec<String>,
    pub issued: usize,
    /// Members of documents that are different from what is right.
    pub resource: BTreeMap<&'static str, Value>,
    pub server: BTreeMap<&'static str, Value>,
    pub device: BTreeMap<&'static str, Value>,
    /// The token endpoint answers this status.
    pub token_status: Option<u16>,
    pub redirect: Option<String>,
    pub endless: bool,
    /// Requests to `/mcp` by method and tool.
    pub calls: Vec<String>,
    pub headers: Vec<HeaderMap>,
    /// The next so many answers of `/mcp` break off.
    pub breaks: usize,
    pub dropped: usize,
    /// So many subscriptions break off after their acknowledgement.
    pub deaf: usize,
    /// Handshakes are not answered.
    pub handshakes_hang: bool,
    pub form: BTreeMap<String, String>,
}

#[derive(Clone)]
pub struct Authority {
    pub url: String,
    facts: Arc<Mutex<Facts>>,
}

impl Authority {
    pub async fn start() -> Self {
        Self::start_at("127.0.0.1:0").await
    }
    pub async fn start_at(address: &str) -> Self {
        let listener = tokio::net::TcpListener::bind(address).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let this = Self { url, facts: Arc::new(Mutex::new(Facts { lives: 3600, ..Facts::default() })) };
        let router = Router::new()
            .route("/.well-known/oauth-protected-resource/mcp", get(resource))
            .route("/.well-known/oauth-authorization-server", get(server))
            .route("/device_authorization", post(device))
            .route("/token", post(token))
            .route("/revoke", post(revoke))
            .route("/mcp", post(mcp).get(|| async { StatusCode::METHOD_NOT_ALLOWED }))
            .with_state(this.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        this
    }
    pub fn facts(&self) -> MutexGuard<'_, Facts> {
        self.facts.lock().unwrap()
    }
    #[track_caller]
    pub fn until(&self, what: impl Fn(&Facts) -> bool) -> impl Future<Output = ()> {
        let (this, place) = (self.clone(), std::panic::Location::caller());
        async move {
            for _ in 0..400 {
                if what(&this.facts()) {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(25)).await;
            }
            panic!("it did not come to what {place} waits for");
        }
    }
    fn issue(&self) -> Value {
        let mut facts = self.facts();
        facts.issued += 1;
        let number = facts.issued;
        facts.access = format!("oca_{number}");
        facts.refresh = format!("ocr_{number}");
        json!({"access_token": facts.access, "token_type": "Bearer", "expires_in": facts.lives, "refresh_token": facts.refresh, "scope": "read write offline_access"})
    }
}

fn with(mut document: Value, other: &BTreeMap<&'static str, Value>) -> Response {
    for (name, value) in other {
        document[*name] = value.clone();
    }
    Json(document).into_response()
}

async fn resource(State(this): State<Authority>) -> Response {
    let facts = this.facts();
    if facts.endless {
        let body = stream::repeat_with(|| Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 8192])));
        return Response::new(Body::from_stream(body));
    }
    with(json!({"resource": format!("{}/mcp", this.url), "authorization_servers": [this.url]}), &facts.resource)
}

async fn server(State(this): State<Authority>) -> Response {
    let url = &this.url;
    let document = json!({
        "issuer": url, "token_endpoint": format!("{url}/token"), "revocation_endpoint": format!("{url}/revoke"),
        "device_authorization_endpoint": format!("{url}/device_authorization"),
    });
    with(document, &this.facts().server)
}

fn form(body: &str) -> BTreeMap<String, String> {
    url::form_urlencoded::parse(body.as_bytes()).into_owned().collect()
}

async fn device(State(this): State<Authority>, body: String) -> Response {
    let url = &this.url;
    this.facts().form = form(&body);
    let document = json!({
        "device_code": "ocd_secret", "user_code": "BCKF-HMLT", "verification_uri": format!("{url}/device"),
        "verification_uri_complete": format!("{url}/device?user_code=BCKF-HMLT"), "expires_in": 900, "interval": 1,
    });
    with(document, &this.facts().device)
}

fn refused(code: &str) -> Response {
    (StatusCode::BAD_REQUEST, Json(json!({"error": code, "error_description": format!("because of {code}")}))).into_response()
}

async fn token(State(this): State<Authority>, body: String) -> Response {
    let form = form(&body);
    let (status, redirect) = {
        let facts = this.facts();
        (facts.token_status, facts.redirect.clone())
    };
    if let Some(to) = redirect {
        return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, to)]).into_response();
    }
    if let Some(status) = status {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if form["client_id"] != "ocore-cli" || form["resource"] != format!("{}/mcp", this.url) {
        return refused("invalid_client");
    }
    if form["grant_type"] == "refresh_token" {
        // Long enough for every process to be there.
        tokio::time::sleep(Duration::from_millis(300)).await;
        let (late, lost) = {
            let mut facts = this.facts();
            if form["refresh_token"] != facts.refresh && !facts.grace {
                facts.refreshes += 1;
                return refused("invalid_grant");
            }
            facts.lives = 3600;
            let lost = facts.lost > 0;
            facts.lost = facts.lost.saturating_sub(1);
            (facts.late, lost)
        };
        // From here on the old token is used up, whether anybody hears it or not.
        let answer = this.issue();
        this.facts().refreshes += 1;
        if lost {
            return Body::from_stream(stream::iter([Err::<Bytes, _>(std::io::Error::other("broken"))])).into_response();
        }
        tokio::time::sleep(Duration::from_millis(late)).await;
        return Json(answer).into_response();
    }
    assert_eq!(
        (form["grant_type"].as_str(), form["device_code"].as_str()),
        ("urn:ietf:params:oauth:grant-type:device_code", "ocd_secret")
    );
    let next = {
        let mut facts = this.facts();
        facts.polled += 1;
        facts.polls.pop_front()
    };
    match next {
        None => Json(this.issue()).into_response(),
        Some("503") => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(code) => refused(code),
    }
}

async fn revoke(State(this): State<Authority>, body: String) -> StatusCode {
    let token = form(&body)["token"].clone();
    this.facts().revoked.push(token);
    StatusCode::OK
}

fn event(value: &Value) -> Bytes {
    format!(": alive\n\nevent: message\ndata: {value}\n\n").into()
}

/// Tells when the client hangs up.
struct Dropped(Authority);
impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.facts().dropped += 1;
    }
}

async fn mcp(State(this): State<Authority>, headers: HeaderMap, body: String) -> Response {
    let message: Value = serde_json::from_str(&body).unwrap();
    let (method, id) = (message["method"].as_str().unwrap_or(""), message["id"].clone());
    let name = message["params"]["name"].as_str().unwrap_or("");
    let (good, breaks) = {
        let mut facts = this.facts();
        let bearer = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).unwrap_or("").to_owned();
        facts.headers.push(headers);
        facts.calls.push(format!("{method} {name}").trim().to_owned());
        let breaks = facts.breaks > 0;
        facts.breaks = facts.breaks.saturating_sub(1);
        (bearer == format!("Bearer {}", facts.access), breaks)
    };
    if !good {
        let body = json!({"code": "unauthorized", "message": "The token is not good.", "next": "Log in."});
        return (StatusCode::UNAUTHORIZED, Json(body)).into_response();
    }
    if breaks {
        let chunks = [Ok(Bytes::from_static(b": hello\n\n")), Err(std::io::Error::other("broken"))];
        return ([(header::CONTENT_TYPE, "text/event-stream")], Body::from_stream(stream::iter(chunks))).into_response();
    }
    if id.is_null() {
        return StatusCode::ACCEPTED.into_response();
    }
    let done = |result: Value| json!({"jsonrpc": "2.0", "id": id, "result": result});
    let tool = |name: &str, reads: bool| json!({"name": name, "description": "A tool.", "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": reads}});
    let streamed = |body: Body| ([(header::CONTENT_TYPE, "text/event-stream")], body).into_response();
    match (method, name) {
        ("server/discover", _) => Json(done(json!({"_meta": {
            "io.modelcontextprotocol/serverInfo": {"name": "ocore", "version": "9"},
            "ocore/whoami": {"person": format!("anna@example.com{EVIL}"), "organization": "acme", "role": "admin", "key": "my terminal",
                "access": "write", "expires_at": "2126-11-21T17:54:13.123456Z"},
        }})))
        .into_response(),
        ("tools/list", _) => Json(done(json!({"tools": [
            {"name": "dev_set_password", "inputSchema": {"type": "object", "required": ["user", "password"]}},
            tool("ocore_list_instances", true), tool("dev_echo", true), tool("dev_stream", true), tool("dev_break", false), tool("dev_ask", false), tool("dev_evil", true),
        ]})))
        .into_response(),
        ("subscriptions/listen", _) => {
            let first = json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged", "params": {
                "_meta": {"io.modelcontextprotocol/subscriptionId": id}, "notifications": {"toolsListChanged": true}}});
            let deaf = {
                let mut facts = this.facts();
                let deaf = facts.deaf > 0;
                facts.deaf = facts.deaf.saturating_sub(1);
                deaf
            };
            if deaf {
                // What is written and not flushed yet would be lost with the connection.
                let broken = stream::once(async {
                    tokio::time::sleep(Duration::from_millis(300)).await;
                    Err(std::io::Error::other("broken"))
                });
                return streamed(Body::from_stream(stream::iter([Ok(event(&first))]).chain(broken)));
            }
            let held = Dropped(this.clone());
            let rest = stream::pending::<Result<Bytes, std::io::Error>>().map(move |chunk| {
                let _ = &held;
                chunk
            });
            streamed(Body::from_stream(stream::iter([Ok(event(&first))]).chain(rest)))
        }
        ("tools/call", "ocore_list_instances") => {
            Json(done(json!({"content": [], "structuredContent": {"instances": [{"slug": "dev", "tool_prefix": "dev_", "name": EVIL, "environment": "production"}]}})))
                .into_response()
        }
        ("tools/call", "dev_stream") => {
            let step = |n: u32| json!({"jsonrpc": "2.0", "method": "notifications/progress", "params": {
                "progressToken": message["params"]["_meta"]["progressToken"], "progress": n, "total": 2, "message": "half way"}});
            let end = done(json!({"content": [{"type": "text", "text": "streamed"}], "structuredContent": {"steps": 2}}));
            let chunks: Vec<Result<Bytes, std::io::Error>> = vec![Ok(event(&step(1))), Ok(event(&step(2))), Ok(event(&end))];
            streamed(Body::from_stream(stream::iter(chunks)))
        }
        ("tools/call", "dev_slow") => {
            let held = Dropped(this.clone());
            let rest = stream::pending::<Result<Bytes, std::io::Error>>().map(move |chunk| {
                let _ = &held;
                chunk
            });
            streamed(Body::from_stream(stream::iter([Ok(Bytes::from_static(b": wait\n\n"))]).chain(rest)))
        }
        ("tools/call", "dev_break") => streamed(Body::from_stream(stream::iter([
            Ok(Bytes::from_static(b": begun\n\n")),
            Err(std::io::Error::other("broken")),
        ]))),
        ("tools/call", "dev_ask") if message["params"]["arguments"]["confirm_token"] == "t0k3n" => {
            Json(done(json!({"content": [], "structuredContent": {"deleted": 1}}))).into_response()
        }
        ("tools/call", "dev_ask") => Json(done(json!({"isError": true, "content": [], "structuredContent": {
            "code": "confirm_required", "message": format!("Would delete 1 record of res.partner.{EVIL}"), "next": "Confirm.",
            "plan": {"summary": "Would delete 1 record", "examples": [format!("Acme{EVIL} (id 9)")]}, "confirm_token": "t0k3n"}})))
        .into_response(),
        ("tools/call", "dev_evil") => Json(done(json!({"content": [{"type": "text", "text": EVIL}], "structuredContent": {
            "records": [{"id": 1, EVIL: EVIL}], EVIL: EVIL}})))
        .into_response(),
        ("tools/call", "dev_echo") => {
            Json(done(json!({"content": [], "structuredContent": {"arguments": message["params"]["arguments"]}}))).into_response()
        }
        ("tools/call", "dev_late") => {
            tokio::time::sleep(Duration::from_millis(200)).await;
            Json(done(json!({"content": []}))).into_response()
        }
        ("initialize", _) => {
            while this.facts().handshakes_hang {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            let answer = done(json!({"protocolVersion": "2025-11-25", "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}));
            ([("mcp-session-id", "session-1")], Json(answer)).into_response()
        }
        _ => Json(json!({"jsonrpc": "2.0", "id": id, "error": {"code": -32601, "message": format!("no {method} {EVIL}")}})).into_response(),
    }
}
