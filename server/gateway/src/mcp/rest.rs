//! What rmcp serves: everything of legacy sessions. One shared service; who calls, and what the URL shows, travels in the
//! request's extensions.
use std::{collections::HashMap, sync::Arc, time::Duration};

use axum::{
    body::Body,
    http::{HeaderValue, Method, Request, StatusCode, header, request::Parts},
    response::Response,
};
use bytes::Bytes;
use dispatch::{Answer, Dispatch, View};
use futures_util::StreamExt as _;
use http_body_util::Full;
use kernel::{Actor, Code, KeyId, OrgId, Refusal, refusal};
use parking_lot::Mutex;
use rmcp::{
    ErrorData, RoleServer, ServerHandler,
    model::{
        CallToolRequestParams, CallToolResponse, CallToolResult, Implementation, ListToolsResult, PaginatedRequestParams,
        ProgressNotificationParam, ServerCapabilities, ServerConfig, Tool,
    },
    service::RequestContext,
    transport::streamable_http_server::{
        StreamableHttpServerConfig, StreamableHttpService,
        session::local::{LocalSessionManager, SessionConfig},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    Era, SESSION_ID, WHOAMI,
    call::{Held, KEEP_ALIVE, Watch},
    offers::Offers,
    wire,
};
use crate::{
    Config, MAX_BODY, answer, conformance,
    metrics::Metrics,
    shares::{Shares, Taken, UsedUp},
    streams::{self, Streams},
};

/// A session ends after this time of silence (spec: the same as an audit session).
const SESSION_IDLE: Duration = Duration::from_mins(30);
/// A session has a task and queues of its own.
const MAX_SESSIONS: usize = if cfg!(test) { 20 } else { 5_000 };
/// A quarter, so that no organization takes the node from the others.
const MAX_SESSIONS_PER_ORGANIZATION: usize = MAX_SESSIONS / 4;
const MAX_SESSIONS_PER_KEY: usize = 100;

/// What this server says it can do, as JSON. Legacy clients are not told of list changes: without a session nothing
/// could tell them.
pub(super) fn capabilities(era: Era, list_changed: bool) -> &'static str {
    if let Some(of_fixture) = conformance::CAPABILITIES {
        return of_fixture;
    }
    if list_changed && era == Era::Modern {
        r#"{"tools":{"listChanged":true},"prompts":{},"resources":{},"completions":{}}"#
    } else {
        r#"{"tools":{},"prompts":{},"resources":{},"completions":{}}"#
    }
}

/// Who calls, in the extensions of the request that rmcp hands to its handler.
#[derive(Clone)]
pub(crate) struct Caller {
    pub actor: Arc<Actor>,
    pub view: View,
    /// The memory of the request's body. A call takes it over; it ends with the request otherwise.
    room: Arc<Mutex<Option<Taken>>>,
}
impl Caller {
    pub(crate) fn new(actor: Arc<Actor>, view: View, room: Option<Taken>) -> Self {
        Self { actor, view, room: Arc::new(Mutex::new(room)) }
    }
}

/// Whose session it is.
struct Owner {
    key: KeyId,
    _open: Taken,
}

pub(super) struct Rest {
    service: StreamableHttpService<Handler, LocalSessionManager>,
    manager: Arc<LocalSessionManager>,
    /// By the session's id, which alone must not open it. Those that ended by themselves are cleared away when there is no
    /// room for another.
    owners: Mutex<HashMap<String, Owner>>,
    shares: Arc<Shares>,
    fixture: Arc<conformance::Fixture>,
}
impl Rest {
    pub(super) fn new(
        config: &Config,
        dispatch: &Arc<Dispatch>,
        metrics: &Arc<Metrics>,
        list_changed: bool,
        shutdown: &CancellationToken,
    ) -> Self {
        let mut sessions = SessionConfig::default();
        sessions.keep_alive = Some(SESSION_IDLE);
        let mut manager = LocalSessionManager::default();
        manager.session_config = sessions;
        let manager = Arc::new(manager);
        let handler =
            Handler { dispatch: Arc::clone(dispatch), metrics: Arc::clone(metrics), list_changed, fixture: Arc::default() };
        let fixture = Arc::clone(&handler.fixture);
        // Host, Origin and size are checked at the edge.
        let settings = StreamableHttpServerConfig::default()
            .disable_allowed_hosts()
            .disable_allowed_origins()
            .with_legacy_session_mode(config.legacy_sessions)
            .with_json_response(true)
            .with_sse_keep_alive(Some(KEEP_ALIVE))
            .with_max_request_body_bytes(MAX_BODY)
            .with_cancellation_token(shutdown.child_token());
        let service = StreamableHttpService::new(move || Ok(handler.clone()), Arc::clone(&manager), settings);
        let shares = Shares::new("sessions", MAX_SESSIONS, MAX_SESSIONS_PER_ORGANIZATION, &metrics.sessions, metrics);
        Self { service, manager, owners: Mutex::default(), shares, fixture }
    }

    pub(super) fn fixture(&self) -> &conformance::Fixture {
        &self.fixture
    }

    /// A request outside sessions.
    pub(super) async fn stateless(&self, parts: Parts, body: Bytes, caller: Caller, watch: Watch) -> Response {
        self.handle(parts, body, caller, None, watch).await
    }

    /// A request that opens a session or belongs to one.
    pub(super) async fn session(&self, parts: Parts, body: Bytes, caller: Caller, streams: &Streams, watch: Watch) -> Response {
        let (key, org) = (caller.actor.key(), caller.actor.org());
        let id = parts.headers.get(SESSION_ID).map(|v| String::from_utf8_lossy(v.as_bytes()).into_owned());
        // Kept if a session comes of it.
        let mut new = None;
        match &id {
            Some(id) if self.owners.lock().get(id).map(|owner| owner.key) != Some(key) => return no_session(),
            Some(_) => {}
            None => match self.another(org, key).await {
                Ok(open) => new = Some(Owner { key, _open: open }),
                Err(why) => {
                    return answer::retry_after(answer::refused(StatusCode::TOO_MANY_REQUESTS, &why), streams::RETRY_SECONDS);
                }
            },
        }
        // Answers to POST come on streams as well, but end with the call.
        let waits = if parts.method == Method::GET {
            match streams.open(org) {
                Ok(open) => Some(open),
                Err(used_up) => return streams::refused(used_up),
            }
        } else {
            None
        };
        let ending = parts.method == Method::DELETE;
        let mut response = self.handle(parts, body, caller, waits, watch).await;
        let ended = ending && response.status() == StatusCode::ACCEPTED;
        if ended {
            // Some clients take 200, 204 and 405 alone for "ended".
            *response.status_mut() = StatusCode::NO_CONTENT;
        }
        match id {
            None => {
                let id = response.headers().get(SESSION_ID).and_then(|v| v.to_str().ok());
                if let (Some(id), Some(owner)) = (id, new) {
                    self.owners.lock().insert(id.to_owned(), owner);
                }
            }
            // Or it had ended by itself.
            Some(id) if ended || response.status() == StatusCode::NOT_FOUND => {
                self.owners.lock().remove(&id);
            }
            Some(_) => {}
        }
        response
    }

    /// The right to one more session.
    async fn another(&self, org: OrgId, key: KeyId) -> Result<Taken, Refusal> {
        if let Ok(open) = self.take(org, key) {
            return Ok(open);
        }
        {
            let live = self.manager.sessions.read().await;
            self.owners.lock().retain(|id, _| live.contains_key(id.as_str()));
        }
        self.take(org, key)
    }

    fn take(&self, org: OrgId, key: KeyId) -> Result<Taken, Refusal> {
        let end = "End sessions that are not used (DELETE with their Mcp-Session-Id). They end by themselves after 30 minutes of silence.";
        let of_key = self.owners.lock().values().filter(|owner| owner.key == key).count();
        if of_key >= MAX_SESSIONS_PER_KEY {
            return Err(refusal(Code::RateLimited, format!("This key has {MAX_SESSIONS_PER_KEY} sessions open.")).next(end));
        }
        self.shares.take(org, 1).map_err(|used_up| match used_up {
            UsedUp::Organization => {
                let message = format!("Your organization has {MAX_SESSIONS_PER_ORGANIZATION} sessions open.");
                refusal(Code::RateLimited, message).next(end)
            }
            UsedUp::Node => refusal(Code::RateLimited, "All sessions of this server are taken.")
                .next("Try again later, and tell the operator if it lasts: clients work without sessions too."),
        })
    }

    async fn handle(&self, mut parts: Parts, body: Bytes, caller: Caller, waits: Option<Taken>, watch: Watch) -> Response {
        // The key goes no further than the edge.
        parts.headers.remove(header::AUTHORIZATION);
        parts.headers.remove("x-api-key");
        // What the client takes has been looked at, less strictly than rmcp does.
        parts.headers.insert(header::ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        parts.extensions.insert(caller);
        // Boxed, so that requests that rmcp never sees do not carry the room for it.
        let response = Box::pin(self.service.handle(Request::from_parts(parts, Full::new(body)))).await;
        let (mut head, body) = response.into_parts();
        if head.headers.get(header::CONTENT_TYPE) != Some(&answer::EVENT_STREAM) {
            return Response::from_parts(head, Body::new(body));
        }
        head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
        let over = Box::pin(async move {
            let _waits = waits;
            watch.until_over().await;
        });
        Response::from_parts(head, Body::from_stream(Body::new(body).into_data_stream().take_until(over)))
    }
}

/// A session of another key answers like one that does not exist (2025-11-25, Transports section "Session Management").
fn no_session() -> Response {
    answer::refused(
        StatusCode::NOT_FOUND,
        &refusal(Code::NotFound, "There is no such session.").next("Start a new one with initialize, without Mcp-Session-Id."),
    )
}

#[derive(Clone)]
pub(crate) struct Handler {
    dispatch: Arc<Dispatch>,
    metrics: Arc<Metrics>,
    list_changed: bool,
    pub fixture: Arc<conformance::Fixture>,
}

fn caller(context: &RequestContext<RoleServer>) -> Result<Caller, ErrorData> {
    let found = context.extensions.get::<Parts>().and_then(|parts| parts.extensions.get::<Caller>()).cloned();
    found.ok_or_else(|| ErrorData::internal_error("the request lost its caller", None))
}

impl Handler {
    #[cfg_attr(feature = "conformance", expect(dead_code, reason = "the fixture offers its own"))]
    fn offers(&self, context: &RequestContext<RoleServer>) -> Result<Offers, ErrorData> {
        let Caller { actor, view, .. } = caller(context)?;
        Ok(Offers { dispatch: Arc::clone(&self.dispatch), actor, view })
    }
    async fn call(
        &self,
        request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let Caller { actor, view, room } = caller(context)?;
        let meter = self.metrics.call(actor.facade());
        let arguments = request.arguments.map_or(serde_json::Value::Null, serde_json::Value::Object);
        let call = dispatch::Call { actor, view, name: request.name.into_owned(), arguments };
        let room = room.lock().take();
        let mut held = Held::new(self.dispatch.call(call), meter, true, room);
        let mut progress = held.progress();
        let token = context.meta.get_progress_token();
        let mut sent = None;
        let mut cancelled = false;
        let ended = loop {
            let changed = async {
                match (&token, &mut progress) {
                    (Some(_), Some(progress)) => progress.changed().await.is_ok(),
                    _ => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                ended = held.answer() => break ended,
                () = context.ct.cancelled(), if !cancelled => {
                    cancelled = true;
                    held.cancel();
                }
                more = changed => {
                    let state = progress.as_mut().filter(|_| more).map(|p| p.borrow_and_update().clone());
                    let Some(state) = state else { progress = None; continue };
                    if let Some(token) = &token
                        && sent.is_none_or(|sent| state.done > sent)
                    {
                        sent = Some(state.done);
                        #[expect(clippy::cast_precision_loss, reason = "progress is shown, not counted with")]
                        let mut param = ProgressNotificationParam::new(token.clone(), state.done as f64).with_message(state.text);
                        #[expect(clippy::cast_precision_loss, reason = "progress is shown, not counted with")]
                        { param.total = state.total.map(|t| t as f64); }
                        let _ = context.peer.notify_progress(param).await;
                    }
                }
            }
        };
        result(&ended.answer)
    }
}

/// An answer as rmcp's result, or the error that an unknown tool is.
fn result(answer: &Answer) -> Result<CallToolResponse, ErrorData> {
    let unreadable = |_| ErrorData::internal_error("the answer is not JSON", None);
    if answer.code == Some(Code::UnknownTool) {
        let body: serde_json::Value = serde_json::from_str(answer.body.get()).map_err(unreadable)?;
        let message = body.get("message").and_then(|m| m.as_str()).unwrap_or("Unknown tool.").to_owned();
        return Err(ErrorData::invalid_params(message, Some(body)));
    }
    let mut json = Vec::new();
    wire::result(&mut json, answer, "");
    serde_json::from_slice::<CallToolResult>(&json).map(Into::into).map_err(unreadable)
}

impl ServerHandler for Handler {
    fn get_info(&self) -> ServerConfig {
        let mut capabilities: ServerCapabilities =
            serde_json::from_str(capabilities(Era::Modern, self.list_changed)).unwrap_or_default();
        if capabilities.tools.is_none() {
            capabilities.tools = Some(rmcp::model::ToolsCapability::default());
        }
        ServerConfig::new(capabilities)
            .with_server_info(Implementation::new("ocore", env!("CARGO_PKG_VERSION")).with_title("ocore"))
    }

    async fn initialize(
        &self,
        request: rmcp::model::InitializeRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<rmcp::model::InitializeResult, ErrorData> {
        context.peer.set_peer_info(request.clone());
        let Caller { actor, view, .. } = caller(&context)?;
        let mut info = self.negotiate_initialize(&request)?;
        info.instructions = Some(self.dispatch.instructions(&actor, &view));
        let who = serde_json::to_value(self.dispatch.whoami(&actor)).unwrap_or_default();
        info.meta.get_or_insert_default().0.insert(WHOAMI.to_owned(), who);
        Ok(info)
    }

    async fn list_tools(
        &self,
        request: Option<PaginatedRequestParams>,
        context: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        if request.is_some_and(|r| r.cursor.is_some()) {
            return Err(ErrorData::invalid_params("This cursor is not known: the list has one page.", None));
        }
        let Caller { actor, view, .. } = caller(&context)?;
        let mut list = Vec::new();
        self.dispatch.write_list(&actor, &view, &mut list);
        conformance::add_tools(&mut list);
        let tools: Vec<Tool> =
            serde_json::from_slice(&list).map_err(|_| ErrorData::internal_error("the tools could not be listed", None))?;
        Ok(ListToolsResult::with_all_items(tools))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        if conformance::owns_tool(&request.name) {
            return self.fixture.call(request, context).await;
        }
        self.call(request, &context).await
    }

    conformance::handlers!();
}
