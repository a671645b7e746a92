//! HTTP+SSE, the transport of 2024-11-05: a stream by GET, messages by POST to the URL that its first event names.
//!
//! Deprecated, and kept for clients that know nothing else. A session belongs to the key that opened it; the key is looked
//! at again with every message and every sign of life.
use std::{
    collections::HashMap,
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use axum::{
    body::Body,
    http::{Method, StatusCode, request::Parts},
    response::Response,
};
use bytes::Bytes;
use futures_util::stream;
use kernel::{Actor, Code, Facade, KeyId, refusal};
use parking_lot::Mutex;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::{Instant, sleep_until},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Gateway, answer,
    bodies::Received,
    edge,
    edge::Visitor,
    mcp::{
        Asked, Asking, Era,
        call::{self, COMMENT, Held, KEEP_ALIVE, Watch},
        wire::{self, METHOD_NOT_FOUND, Message},
    },
    shares::Taken,
    streams,
};

/// Calls of one session at a time.
const MAX_CALLS: usize = 16;
/// Events that wait for a client that does not read.
const QUEUE: usize = 32;
/// How long a message waits for room in that queue.
const QUEUE_TIME: Duration = Duration::from_secs(10);

/// By their secret ids.
#[derive(Default)]
pub(crate) struct Sessions(Arc<Mutex<Table>>);
type Table = HashMap<String, Arc<Session>>;

/// Boxed: the queue has room for its events from the start, and there are thousands of queues that wait.
type Event = Box<Bytes>;
#[expect(clippy::unnecessary_box_returns, reason = "what the queue holds")]
fn event(json: &[u8]) -> Event {
    Box::new(Bytes::from(wire::event(json)))
}

struct Session {
    key: KeyId,
    /// What the URL of the stream shows; messages show the same.
    asked: Asked,
    out: mpsc::Sender<Event>,
    permits: Arc<Semaphore>,
    /// Calls that may be cancelled, by their id as raw JSON.
    calls: Mutex<HashMap<String, CancellationToken>>,
}

/// Takes the session out of the table when its stream ends, however it ends.
struct Registered {
    table: Weak<Mutex<Table>>,
    id: String,
    _open: Taken,
}
impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(table) = self.table.upgrade() {
            table.lock().remove(&self.id);
        }
    }
}

struct Streaming {
    /// The event that names the URL for messages; sent once.
    first: Option<Bytes>,
    events: mpsc::Receiver<Event>,
    watch: Watch,
    next_look: Instant,
    _registered: Registered,
}
impl Streaming {
    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        tokio::select! {
            biased;
            () = self.watch.shutdown.cancelled() => None,
            event = self.events.recv() => event.map(|event| *event),
            () = sleep_until(self.next_look) => {
                self.next_look = Instant::now() + KEEP_ALIVE;
                self.watch.look().await.map(|_| Bytes::from_static(COMMENT))
            }
        }
    }
}

impl Gateway {
    /// GET `/api/mcp/sse`: opens a session.
    pub(crate) async fn sse_open(&self, visitor: Visitor, parts: Parts) -> Response {
        let actor = match self.enter(&visitor, &parts, Facade::McpSse).await {
            Ok(actor) => actor,
            Err(response) => return response,
        };
        if parts.method != Method::GET {
            // Clients that know both transports POST first, and take this for "the old one".
            return edge::method_not_allowed("GET");
        }
        let asked = Asked::of(&parts);
        if let Err(why) = self.dispatch.view(&actor, &asked.query()) {
            return answer::refused(StatusCode::BAD_REQUEST, &why);
        }
        let open = match self.streams.open(actor.org()) {
            Ok(open) => open,
            Err(used_up) => return streams::refused(used_up),
        };
        let (out, events) = mpsc::channel(QUEUE);
        let session =
            Session { key: actor.key(), asked, out, permits: Arc::new(Semaphore::new(MAX_CALLS)), calls: Mutex::default() };
        let id = self.secret_id();
        self.sse.0.lock().insert(id.clone(), Arc::new(session));
        let messages = if parts.uri.path().starts_with("/mcp/") { "/mcp/messages" } else { "/api/mcp/messages" };
        let first = format!("event: endpoint\ndata: {}{messages}?session_id={id}\n\n", self.edge.prefix());
        let state = Streaming {
            first: Some(Bytes::from(first)),
            events,
            watch: self.watch(&visitor, &parts, Facade::McpSse),
            next_look: Instant::now() + KEEP_ALIVE,
            _registered: Registered { table: Arc::downgrade(&self.sse.0), id, _open: open },
        };
        answer::stream(Body::from_stream(stream::unfold(state, |mut state| async move {
            let chunk = state.next().await?;
            Some((Ok::<Bytes, Infallible>(chunk), state))
        })))
    }

    /// POST `/api/mcp/messages?session_id=…`: takes one message; what it leads to comes on the stream.
    pub(crate) async fn sse_message(&self, visitor: Visitor, parts: Parts, body: Body) -> Response {
        let actor = match self.enter(&visitor, &parts, Facade::McpSse).await {
            Ok(actor) => actor,
            Err(response) => return response,
        };
        if parts.method != Method::POST {
            return edge::method_not_allowed("POST");
        }
        let Some(session) = self.sse.find(&parts, actor.key()) else {
            return answer::refused(
                StatusCode::NOT_FOUND,
                &refusal(Code::NotFound, "There is no such session.")
                    .next("Open a stream with GET, and post to the URL that its first event names."),
            );
        };
        if !crate::mcp::is_json(&parts.headers) {
            return answer::refused(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                &refusal(Code::InvalidArgument, "The Content-Type must be application/json.")
                    .next("Send JSON-RPC as application/json."),
            );
        }
        let Received { bytes, actor, room } = match self.body(&visitor, &parts, actor, body).await {
            Ok(received) => received,
            Err(response) => return response,
        };
        match wire::parse(&bytes) {
            Ok(Message::Request { id, method, params }) => self.sse_request(&session, &actor, id, &method, params, room).await,
            Ok(Message::Notification { method, params }) => {
                if &*method == "notifications/cancelled"
                    && let Some(id) = wire::params(params).ok().and_then(|p| p.request_id)
                    && let Some(call) = session.calls.lock().get(id.get())
                {
                    call.cancel();
                }
                answer::empty(StatusCode::ACCEPTED)
            }
            Ok(Message::Response) => answer::empty(StatusCode::ACCEPTED),
            Err(wrong) => answer::json(StatusCode::BAD_REQUEST, wire::error(wrong.id, wrong.code, wrong.message, None)),
        }
    }

    async fn sse_request(
        &self,
        session: &Arc<Session>,
        actor: &Arc<Actor>,
        id: &str,
        method: &str,
        raw: Option<&serde_json::value::RawValue>,
        room: Taken,
    ) -> Response {
        let wrong = |code, message: &str| answer::json(StatusCode::BAD_REQUEST, wire::error(Some(id), code, message, None));
        let Ok(params) = wire::params(raw) else {
            return wrong(wire::INVALID_PARAMS, "The parameters do not have the form that MCP gives them.");
        };
        let view = match self.dispatch.view(actor, &session.asked.query()) {
            Ok(view) => view,
            Err(why) => return wrong(wire::INVALID_PARAMS, &why.message),
        };
        let asking = Asking { era: Era::Legacy, actor, view: &view, id };
        let body = if method == "tools/call" {
            let Ok(permit) = Arc::clone(&session.permits).try_acquire_owned() else {
                return answer::refused(
                    StatusCode::TOO_MANY_REQUESTS,
                    &refusal(Code::Busy, format!("{MAX_CALLS} calls of this session are under way."))
                        .next("Wait for their answers."),
                );
            };
            // Nobody can hear the answer once the stream is gone, so the call does not outlive it.
            match self.start(&asking, &params, false, room) {
                Ok(held) => {
                    let token = params.meta.as_ref().and_then(wire::Meta::token).map(str::to_owned);
                    tokio::spawn(run(Arc::clone(session), held, id.to_owned(), token, permit));
                    return answer::empty(StatusCode::ACCEPTED);
                }
                Err(body) => body,
            }
        } else {
            self.simple(&asking, method, &params)
                .unwrap_or_else(|| wire::error(Some(id), METHOD_NOT_FOUND, "There is no such method here.", None))
        };
        match session.out.send_timeout(event(&body), QUEUE_TIME).await {
            Ok(()) => answer::empty(StatusCode::ACCEPTED),
            Err(_) => answer::refused(
                StatusCode::TOO_MANY_REQUESTS,
                &refusal(Code::Busy, "The stream of this session is not read.").next("Read its events, or open a new stream."),
            ),
        }
    }

    /// 128 random bits as text.
    fn secret_id(&self) -> String {
        use std::fmt::Write as _;
        let mut bytes = [0_u8; 16];
        self.sources.random.fill(&mut bytes);
        bytes.iter().fold(String::with_capacity(32), |mut text, b| {
            let _ = write!(text, "{b:02x}");
            text
        })
    }
}

impl Sessions {
    /// The session that the URL names, if it is this key's.
    fn find(&self, parts: &Parts, key: KeyId) -> Option<Arc<Session>> {
        let query = parts.uri.query()?;
        let (_, id) =
            url::form_urlencoded::parse(query.as_bytes()).find(|(name, _)| matches!(&**name, "session_id" | "sessionId"))?;
        self.0.lock().get(&*id).filter(|s| s.key == key).map(Arc::clone)
    }
}

/// Runs one call: progress and the answer go to the stream; a cancelled call is not answered (2024-11-05, Cancellation).
async fn run(session: Arc<Session>, mut held: Held, id: String, token: Option<String>, _permit: OwnedSemaphorePermit) {
    let cancelled = CancellationToken::new();
    session.calls.lock().insert(id.clone(), cancelled.clone());
    let mut progress = if token.is_some() { held.progress() } else { None };
    let mut sent = None;
    let answer = loop {
        let changed = async {
            match &mut progress {
                Some(progress) => progress.changed().await.is_ok(),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            ended = held.answer() => break Some(ended.answer),
            () = session.out.closed() => break None,
            () = cancelled.cancelled() => {
                held.cancel();
                held.answer().await;
                break None;
            }
            more = changed => {
                let state = progress.as_mut().filter(|_| more).map(|p| p.borrow_and_update().clone());
                let Some(state) = state else { progress = None; continue };
                if let Some(token) = &token
                    && sent.is_none_or(|sent| state.done > sent)
                {
                    sent = Some(state.done);
                    // A client that does not read loses progress, never the answer.
                    let _ = session.out.try_send(event(&call::notification(token, &state)));
                    tokio::time::sleep(call::THROTTLE).await;
                }
            }
        }
    };
    session.calls.lock().remove(&id);
    if let Some(answer) = answer {
        let _ = session.out.send(event(&wire::answer(&id, &answer, Era::Legacy.marks()))).await;
    }
}
