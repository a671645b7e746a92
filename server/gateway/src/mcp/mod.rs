//! MCP over Streamable HTTP, both eras on one URL (2026-07-28, Versioning section "Backward Compatibility").
//!
//! A request with a protocol version in its `_meta` is *modern*: stateless, checked against its headers, cancelled by
//! closing its stream. Anything else is *legacy* (2025-11-25 and older): stateless too, unless sessions are switched on.
//! The hot methods (tools/list, tools/call, server/discover, initialize, ping) are answered here, from fragments that are
//! JSON already; rmcp serves the rest.
pub(crate) mod call;
mod listen;
mod offers;
mod rest;
pub(crate) mod wire;

use std::sync::Arc;

use axum::{
    body::Body,
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use dispatch::{Answer, Dispatch, View, ViewQuery};
use identity::oauth::{
    Code as OauthCode, OauthError, metadata,
    scope::{Scope, Scopes},
};
use kernel::{Access, Actor, Code, Facade, Refusal, refusal};
use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::{Config, Gateway, answer, bodies::Received, conformance, edge, edge::Visitor, metrics::Metrics, shares::Taken};
use call::{Ended, Held};
use rest::Caller;
use wire::{HEADER_MISMATCH, INVALID_PARAMS, METHOD_NOT_FOUND, Message, Params, UNSUPPORTED_VERSION};

/// The version of the stateless era.
const MODERN: &str = "2026-07-28";
/// Versions with an `initialize` handshake, newest first. 2024-11-05 belongs to the SSE URL, but clients that speak it try
/// this one first, and its messages are the same.
const LEGACY: [&str; 4] = ["2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"];
/// What `server/discover` and version errors list.
const SUPPORTED: &str = r#"["2026-07-28","2025-11-25","2025-06-18","2025-03-26"]"#;
/// What stands in every modern result: its type, and who answers (2026-07-28, Overview sections "ResultType", "_meta").
const MODERN_MARKS: &str = concat!(
    r#""resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":{"name":"ocore","title":"ocore","version":""#,
    env!("CARGO_PKG_VERSION"),
    r#""}},"#
);
const SERVER_INFO: &str = concat!(r#"{"name":"ocore","title":"ocore","version":""#, env!("CARGO_PKG_VERSION"), r#""}"#);
/// Under which name of `_meta` an answer tells who asks.
const WHOAMI: &str = "ocore/whoami";
/// Lists vary by key, so they are private; they hold as long as an actor does.
const CACHE: &str = r#""ttlMs":30000,"cacheScope":"private","#;

pub(crate) const PROTOCOL_VERSION: HeaderName = HeaderName::from_static("mcp-protocol-version");
pub(crate) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
pub(crate) const MCP_METHOD: HeaderName = HeaderName::from_static("mcp-method");
pub(crate) const MCP_NAME: HeaderName = HeaderName::from_static("mcp-name");
/// How `ocore stdio` says what it is.
const FACADE: HeaderName = HeaderName::from_static("ocore-facade");

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Era {
    Modern,
    Legacy,
}
impl Era {
    pub(crate) const fn marks(self) -> &'static str {
        match self {
            Self::Modern => MODERN_MARKS,
            Self::Legacy => "",
        }
    }
    const fn cache(self) -> &'static str {
        match self {
            Self::Modern => CACHE,
            Self::Legacy => "",
        }
    }
}

/// What MCP keeps between requests.
pub(crate) struct Mcp {
    rest: rest::Rest,
    /// What is announced to `subscriptions/listen`; none: nothing is, and it is not offered.
    changes: Option<watch::Receiver<u64>>,
    legacy_sessions: bool,
}
impl Mcp {
    pub(crate) fn new(
        config: &Config,
        dispatch: &Arc<Dispatch>,
        metrics: &Arc<Metrics>,
        changes: Option<watch::Receiver<u64>>,
        shutdown: &CancellationToken,
    ) -> Self {
        Self {
            legacy_sessions: config.legacy_sessions,
            rest: rest::Rest::new(config, dispatch, metrics, changes.is_some(), shutdown),
            changes,
        }
    }
    /// Whether `subscriptions/listen` is offered.
    fn list_changed(&self) -> bool {
        self.changes.is_some() || conformance::CAPABILITIES.is_some()
    }
}

/// What the client takes.
#[derive(Debug, Clone, Copy)]
struct Accept {
    json: bool,
    stream: bool,
}
impl Accept {
    fn of(headers: &HeaderMap) -> Self {
        let mut found = Self { json: false, stream: false };
        let mut any = false;
        for range in headers.get_all(header::ACCEPT).iter().filter_map(|v| v.to_str().ok()).flat_map(|v| v.split(',')) {
            any = true;
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or("");
            // RFC 9110 section 12.4.2: a weight of zero excludes.
            if parts.any(|p| matches!(p, "q=0" | "q=0.0" | "q=0.00" | "q=0.000")) {
                continue;
            }
            found.json |= kind.eq_ignore_ascii_case("application/json") || matches!(kind, "application/*" | "*/*");
            found.stream |= kind.eq_ignore_ascii_case("text/event-stream") || kind == "text/*";
        }
        if any { found } else { Self { json: true, stream: false } }
    }
}

/// The view that a URL asks for, as text.
#[derive(Debug, Clone, Default)]
pub(crate) struct Asked {
    one: Option<String>,
    instances: Option<String>,
    categories: Option<String>,
}
impl Asked {
    pub(crate) fn of(parts: &Parts) -> Self {
        let one = parts.uri.path().strip_prefix("/mcp/i/").map(|s| s.trim_end_matches('/').to_owned());
        let mut asked = Self { one, ..Self::default() };
        if let Some(query) = parts.uri.query() {
            for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
                let slot = match &*name {
                    "instances" => &mut asked.instances,
                    "categories" => &mut asked.categories,
                    _ => continue,
                };
                // Said twice means both.
                match slot {
                    Some(list) => {
                        list.push(',');
                        list.push_str(&value);
                    }
                    None => *slot = Some(value.into_owned()),
                }
            }
        }
        asked
    }
    pub(crate) fn query(&self) -> ViewQuery<'_> {
        ViewQuery { one: self.one.as_deref(), instances: self.instances.as_deref(), categories: self.categories.as_deref() }
    }
}

/// One request as the era-independent part sees it.
pub(crate) struct Asking<'a> {
    pub era: Era,
    pub actor: &'a Arc<Actor>,
    pub view: &'a View,
    pub id: &'a str,
}

impl Gateway {
    /// `/mcp`, `/api/mcp/stream` and `/mcp/i/{slug}`.
    pub(crate) async fn mcp(&self, visitor: Visitor, parts: Parts, body: Body) -> Response {
        let facade = if parts.headers.get(FACADE).is_some_and(|said| said == "stdio") { Facade::Stdio } else { Facade::Mcp };
        let actor = match self.enter(&visitor, &parts, facade).await {
            Ok(actor) => actor,
            Err(response) => return response,
        };
        match parts.method {
            Method::POST => self.post(&visitor, actor, parts, body).await,
            Method::GET | Method::DELETE if self.mcp.legacy_sessions => {
                self.in_session(&visitor, actor, parts, Bytes::new(), None).await
            }
            // A stateless server says so at once instead of holding an idle stream.
            _ => edge::method_not_allowed(if self.mcp.legacy_sessions { "GET, POST, DELETE" } else { "POST" }),
        }
    }

    async fn post(&self, visitor: &Visitor, actor: Arc<Actor>, parts: Parts, body: Body) -> Response {
        if !is_json(&parts.headers) {
            return answer::refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &refusal(Code::InvalidArgument, "The Content-Type must be application/json.")
                    .next("Send JSON-RPC as application/json."),
            );
        }
        let accept = Accept::of(&parts.headers);
        if !accept.json && !accept.stream {
            return answer::refused(
                StatusCode::NOT_ACCEPTABLE,
                &refusal(Code::InvalidArgument, "Answers are application/json or text/event-stream.")
                    .next("Send \"Accept: application/json, text/event-stream\"."),
            );
        }
        let Received { bytes: body, actor, room } = match self.body(visitor, &parts, actor, body).await {
            Ok(received) => received,
            Err(response) => return response,
        };
        let (id, method, raw) = match wire::parse(&body) {
            Ok(Message::Request { id, method, params }) => (id, method, params),
            Ok(message) => return self.one_way(visitor, actor, parts, body.clone(), room, &message).await,
            Err(wrong) => return rpc_error(StatusCode::BAD_REQUEST, wrong.id, wrong.code, wrong.message),
        };
        let Ok(params) = wire::params(raw) else {
            return rpc_error(
                StatusCode::BAD_REQUEST,
                Some(id),
                INVALID_PARAMS,
                "The parameters do not have the form that MCP gives them.",
            );
        };
        let era = match era(&parts.headers, &method, &params) {
            Ok(era) => era,
            Err(wrong) => return wrong.response(id),
        };
        let asked = Asked::of(&parts);
        let view = match self.dispatch.view(&actor, &asked.query()) {
            Ok(view) => view,
            Err(why) => return refused_view(id, &why),
        };
        if era == Era::Legacy && self.mcp.legacy_sessions && (&*method == "initialize" || parts.headers.contains_key(SESSION_ID))
        {
            return self.in_session(visitor, actor, parts, body.clone(), Some(room)).await;
        }
        let asking = Asking { era, actor: &actor, view: &view, id };
        if let Some(body) = self.simple(&asking, &method, &params) {
            return answer::json(StatusCode::OK, body);
        }
        let calls = &*method == "tools/call";
        if calls && !params.name.as_deref().is_some_and(conformance::owns_tool) {
            let token = params.meta.as_ref().and_then(wire::Meta::token);
            return match self.start(&asking, &params, era == Era::Legacy, room) {
                Ok(held) => self.finish(held, &asking, token, accept, &parts, || self.watch(visitor, &parts, Facade::Mcp)).await,
                Err(body) => answer::json(StatusCode::OK, body),
            };
        }
        if &*method == "subscriptions/listen" && era == Era::Modern && self.mcp.list_changed() {
            return self.listen(&asking, params.notifications, accept.stream, self.watch(visitor, &parts, Facade::Mcp));
        }
        if calls || offers::METHODS.contains(&&*method) || conformance::owns(&method) {
            let watch = self.watch(visitor, &parts, Facade::Mcp);
            return self.mcp.rest.stateless(parts, body.clone(), Caller::new(actor, view, Some(room)), watch).await;
        }
        // 2026-07-28, Streamable HTTP section "Protocol Version Header": the status tells this from a URL that is not there.
        let status = if era == Era::Modern { StatusCode::NOT_FOUND } else { StatusCode::OK };
        let body = wire::error(Some(id), METHOD_NOT_FOUND, &format!("There is no method {:?} here.", shown(&method)), None);
        answer::json(status, body)
    }

    /// Notifications, and answers to requests that a session sent.
    async fn one_way(
        &self,
        visitor: &Visitor,
        actor: Arc<Actor>,
        parts: Parts,
        body: Bytes,
        room: Taken,
        message: &Message<'_>,
    ) -> Response {
        if let Some(version) = parts.headers.get(PROTOCOL_VERSION)
            && !version.to_str().is_ok_and(known_version)
        {
            return Wrong::version(&String::from_utf8_lossy(version.as_bytes())).response_without_id();
        }
        if self.mcp.legacy_sessions && parts.headers.contains_key(SESSION_ID) {
            return self.in_session(visitor, actor, parts, body, Some(room)).await;
        }
        // The method alone: a call that was sent without an id has its arguments in the parameters, unredacted.
        if let Message::Notification { method, .. } = message {
            tracing::trace!(method = %shown(method), "nothing waits for this notification");
        }
        answer::empty(StatusCode::ACCEPTED)
    }

    /// The methods that need neither an instance nor time. None: not one of them.
    pub(crate) fn simple(&self, asking: &Asking<'_>, method: &str, params: &Params<'_>) -> Option<Vec<u8>> {
        let &Asking { era, actor, view, id } = asking;
        match (method, era) {
            ("tools/list", _) => {
                if params.cursor.is_some() {
                    // Every list is one page, so no cursor is ours.
                    return Some(wire::error(Some(id), INVALID_PARAMS, "This cursor is not known: the list has one page.", None));
                }
                let mut out = Vec::with_capacity(8 * 1024);
                wire::begin_result(&mut out, id);
                out.push(b'{');
                out.extend_from_slice(era.marks().as_bytes());
                out.extend_from_slice(era.cache().as_bytes());
                out.extend_from_slice(br#""tools":"#);
                self.dispatch.write_list(actor, view, &mut out);
                conformance::add_tools(&mut out);
                out.extend_from_slice(b"}}");
                Some(out)
            }
            ("server/discover", Era::Modern) => {
                let mut out = Vec::with_capacity(2048);
                wire::begin_result(&mut out, id);
                // The marks of the era, and among them who asks.
                out.extend_from_slice(br#"{"resultType":"complete","_meta":{"io.modelcontextprotocol/serverInfo":"#);
                out.extend_from_slice(SERVER_INFO.as_bytes());
                out.push(b',');
                self.whoami(&mut out, actor);
                out.extend_from_slice(b"},");
                out.extend_from_slice(era.cache().as_bytes());
                out.extend_from_slice(br#""supportedVersions":"#);
                out.extend_from_slice(SUPPORTED.as_bytes());
                self.about(&mut out, asking);
                Some(out)
            }
            ("initialize", Era::Legacy) => {
                let asked = params.protocol_version.as_deref().unwrap_or("");
                // The version asked for, or the newest of the era: the client decides whether it can go on.
                let version = LEGACY.into_iter().find(|v| *v == asked).unwrap_or(LEGACY[0]);
                let mut out = Vec::with_capacity(2048);
                wire::begin_result(&mut out, id);
                out.extend_from_slice(br#"{"protocolVersion":""#);
                out.extend_from_slice(version.as_bytes());
                out.extend_from_slice(br#"","serverInfo":"#);
                out.extend_from_slice(SERVER_INFO.as_bytes());
                out.extend_from_slice(br#","_meta":{"#);
                self.whoami(&mut out, actor);
                out.push(b'}');
                self.about(&mut out, asking);
                Some(out)
            }
            ("ping", Era::Legacy) => {
                let mut out = Vec::with_capacity(64);
                wire::begin_result(&mut out, id);
                out.extend_from_slice(b"{}}");
                Some(out)
            }
            _ => None,
        }
    }

    /// `"ocore/whoami":{…}`, for `_meta` (2025-11-25 and 2026-07-28, Overview section "_meta": the prefix is ours).
    fn whoami(&self, out: &mut Vec<u8>, actor: &Actor) {
        out.extend_from_slice(format!(r#""{WHOAMI}":"#).as_bytes());
        out.extend_from_slice(&serde_json::to_vec(&self.dispatch.whoami(actor)).unwrap_or_else(|_| b"null".to_vec()));
    }

    /// `,"capabilities":…,"instructions":…}}`
    fn about(&self, out: &mut Vec<u8>, asking: &Asking<'_>) {
        out.extend_from_slice(br#","capabilities":"#);
        out.extend_from_slice(rest::capabilities(asking.era, self.mcp.list_changed()).as_bytes());
        out.extend_from_slice(br#","instructions":"#);
        wire::string(out, &self.dispatch.instructions(asking.actor, asking.view));
        out.extend_from_slice(b"}}");
    }

    /// Starts a tools/call; the error is a JSON-RPC one, for requests that are no call at all.
    pub(crate) fn start(&self, asking: &Asking<'_>, params: &Params<'_>, outlives: bool, room: Taken) -> Result<Held, Vec<u8>> {
        let wrong = |message: &str| wire::error(Some(asking.id), INVALID_PARAMS, message, None);
        let name = params.name.as_deref().ok_or_else(|| wrong("tools/call needs the tool's name."))?;
        let arguments = match params.arguments.map(RawValue::get) {
            None => serde_json::Value::Null,
            Some(raw) if raw.starts_with('{') => serde_json::from_str(raw).map_err(|_| {
                wrong("The arguments cannot be read: they nest deeper than 128 levels, or a number is too large.")
            })?,
            Some(_) => return Err(wrong("The arguments of a tool are an object.")),
        };
        let call =
            dispatch::Call { actor: Arc::clone(asking.actor), view: asking.view.clone(), name: name.to_owned(), arguments };
        Ok(Held::new(self.dispatch.call(call), self.metrics.call(asking.actor.facade()), outlives, Some(room)))
    }

    /// The answer of a call as plain JSON, or as a stream where the client wants progress or has to wait.
    async fn finish(
        &self,
        mut held: Held,
        asking: &Asking<'_>,
        token: Option<&str>,
        accept: Accept,
        parts: &Parts,
        watch: impl FnOnce() -> call::Watch,
    ) -> Response {
        let marks = asking.era.marks();
        // While no head was sent, a client reads there what it lacks, however late that turns out.
        let whole = |answer: &Answer| {
            let body = wire::answer(asking.id, answer, marks);
            match answer.lacks {
                Some(access) => self.step_up(parts, access, body),
                None if accept.json => answer::json(StatusCode::OK, body),
                None => answer::stream(Body::from(wire::event(&body))),
            }
        };
        // A client that may not do everything must read it in the head of the answer, so that is waited for.
        let limited = asking.actor.ceiling() != Some(Access::Destructive);
        if limited && let Ok(Ended { answer }) = tokio::time::timeout(call::VERDICT, held.answer()).await {
            return whole(&answer);
        }
        if !(accept.stream && (token.is_some() || !accept.json)) {
            match tokio::time::timeout(call::PATIENCE, held.answer()).await {
                Ok(Ended { answer }) => return whole(&answer),
                // Idle connections are cut by proxies: a stream can say that it lives.
                Err(_) if accept.stream => {}
                Err(_) => return whole(&held.answer().await.answer),
            }
        }
        answer::stream(call::stream(held, asking.id.to_owned(), token.map(str::to_owned), marks, watch()))
    }

    /// 403 with the scopes that would do (RFC 6750 section 3.1, MCP authorization section "Scope Challenge Handling").
    fn step_up(&self, parts: &Parts, access: Access, body: Vec<u8>) -> Response {
        let mut response = answer::json(StatusCode::FORBIDDEN, body);
        let needed = Scope::for_access(access);
        let scopes = Scopes::new([needed]);
        let error = OauthError::new(OauthCode::InsufficientScope, format!("This call needs the scope {needed}."));
        let challenge = self
            .public(parts)
            .map(|public| metadata::challenge(&public, edge::resource(parts.uri.path()), Some(&scopes), Some(&error)));
        if let Some(value) = challenge.and_then(|text| HeaderValue::from_str(&text).ok()) {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, value);
        }
        response
    }

    /// The key of this request, for a stream that it opens.
    pub(crate) fn watch(&self, visitor: &Visitor, parts: &Parts, facade: Facade) -> call::Watch {
        call::Watch {
            keys: Arc::clone(&self.keys),
            key: edge::presented(&parts.headers).to_owned().into(),
            address: visitor.address,
            facade,
            client: edge::client(&parts.headers).to_owned(),
            audience: self.audience_of(parts),
            shutdown: self.shutdown.clone(),
        }
    }

    /// A request of a legacy session, served by rmcp. A session of another key is not there.
    async fn in_session(&self, visitor: &Visitor, actor: Arc<Actor>, parts: Parts, body: Bytes, room: Option<Taken>) -> Response {
        let view = match self.dispatch.view(&actor, &Asked::of(&parts).query()) {
            Ok(view) => view,
            Err(why) => return answer::refused(StatusCode::BAD_REQUEST, &why),
        };
        let watch = self.watch(visitor, &parts, Facade::Mcp);
        self.mcp.rest.session(parts, body, Caller::new(actor, view, room), &self.streams, watch).await
    }
}

/// Which era a request belongs to, with what its headers must say checked.
fn era(headers: &HeaderMap, method: &str, params: &Params<'_>) -> Result<Era, Wrong> {
    let header = single(headers, &PROTOCOL_VERSION)?;
    let meta = params.meta.as_ref();
    let version = meta.and_then(|m| m.version.as_deref());
    if method == "initialize" && version != Some(MODERN) {
        // The handshake selects the legacy era, whatever version it names.
        return match (header, params.protocol_version.as_deref()) {
            (Some(h), Some(body)) if h != body => Err(Wrong::mismatch("MCP-Protocol-Version", h, body)),
            _ => Ok(Era::Legacy),
        };
    }
    let Some(version) = version else {
        return match header {
            // Without the header 2025-03-26 is meant, which did not have it.
            None if method != "server/discover" => Ok(Era::Legacy),
            Some(v) if LEGACY.contains(&v) => Ok(Era::Legacy),
            Some(v) if v != MODERN => Err(Wrong::version(v)),
            _ => Err(Wrong::meta("io.modelcontextprotocol/protocolVersion")),
        };
    };
    match header {
        None => {
            return Err(Wrong {
                code: HEADER_MISMATCH,
                message: "The header MCP-Protocol-Version is missing.".into(),
                data: None,
            });
        }
        Some(h) if h != version => return Err(Wrong::mismatch("MCP-Protocol-Version", h, version)),
        Some(_) => {}
    }
    if LEGACY.contains(&version) {
        return Ok(Era::Legacy);
    }
    if version != MODERN {
        return Err(Wrong::version(version));
    }
    standard_headers(headers, method, params)?;
    if !meta.and_then(|m| m.capabilities).is_some_and(|c| c.get().starts_with('{')) {
        return Err(Wrong::meta("io.modelcontextprotocol/clientCapabilities"));
    }
    Ok(Era::Modern)
}

/// `Mcp-Method` and `Mcp-Name` must say what the body says (2026-07-28, Streamable HTTP section "Server Validation"):
/// otherwise something in front of us may have let pass what it would have stopped.
fn standard_headers(headers: &HeaderMap, method: &str, params: &Params<'_>) -> Result<(), Wrong> {
    let missing = |name: &str| Wrong { code: HEADER_MISMATCH, message: format!("The header {name} is missing."), data: None };
    match single(headers, &MCP_METHOD)? {
        None => return Err(missing("Mcp-Method")),
        Some(value) if value != method => return Err(Wrong::mismatch("Mcp-Method", value, method)),
        Some(_) => {}
    }
    let name = match method {
        "tools/call" | "prompts/get" => params.name.as_deref(),
        "resources/read" => params.uri.as_deref(),
        _ => return Ok(()),
    };
    let Some(name) = name else { return Ok(()) };
    let value = single(headers, &MCP_NAME)?.ok_or_else(|| missing("Mcp-Name"))?;
    let decoded = wire::header_text(value).ok_or_else(|| Wrong {
        code: HEADER_MISMATCH,
        message: "The header Mcp-Name is not valid Base64 of UTF-8.".into(),
        data: None,
    })?;
    if decoded == name { Ok(()) } else { Err(Wrong::mismatch("Mcp-Name", &decoded, name)) }
}

/// The only value of a header.
fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a str>, Wrong> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    let wrong = |what: &str| Wrong { code: HEADER_MISMATCH, message: format!("The header {name} {what}."), data: None };
    if values.next().is_some() {
        return Err(wrong("was sent more than once"));
    }
    value.to_str().map(Some).map_err(|_| wrong("has characters that headers may not have"))
}

fn known_version(version: &str) -> bool {
    version == MODERN || LEGACY.contains(&version)
}

/// A request whose metadata is wrong: HTTP 400 with a JSON-RPC error.
#[derive(Debug)]
struct Wrong {
    code: i32,
    message: String,
    data: Option<String>,
}
impl Wrong {
    fn mismatch(header: &str, says: &str, body: &str) -> Self {
        let message = format!("Header mismatch: {header} says {:?}, the body says {:?}.", shown(says), shown(body));
        Self { code: HEADER_MISMATCH, message, data: None }
    }
    fn version(requested: &str) -> Self {
        let mut data = format!(r#"{{"supported":{SUPPORTED},"requested":"#).into_bytes();
        wire::string(&mut data, &shown(requested));
        data.push(b'}');
        let data = String::from_utf8(data).ok();
        Self { code: UNSUPPORTED_VERSION, message: "This protocol version is not supported.".into(), data }
    }
    fn meta(key: &str) -> Self {
        Self { code: INVALID_PARAMS, message: format!("The request's _meta has no valid {key}."), data: None }
    }
    fn response(&self, id: &str) -> Response {
        answer::json(StatusCode::BAD_REQUEST, wire::error(Some(id), self.code, &self.message, self.data.as_deref()))
    }
    fn response_without_id(&self) -> Response {
        answer::json(StatusCode::BAD_REQUEST, wire::error(None, self.code, &self.message, self.data.as_deref()))
    }
}

fn rpc_error(status: StatusCode, id: Option<&str>, code: i32, message: &str) -> Response {
    answer::json(status, wire::error(id, code, message, None))
}

/// An unknown instance or category in the URL.
fn refused_view(id: &str, why: &Refusal) -> Response {
    let data = serde_json::to_string(why).ok();
    answer::json(
        StatusCode::BAD_REQUEST,
        wire::error(Some(id), INVALID_PARAMS, &format!("{} {}", why.message, why.next), data.as_deref()),
    )
}

pub(crate) fn is_json(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| {
        let essence = v.split_once(';').map_or(v, |(essence, _)| essence);
        essence.trim().eq_ignore_ascii_case("application/json")
    })
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}
