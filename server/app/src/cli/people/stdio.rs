//! `ocore stdio`: MCP by standard input and output, for programs that start a server rather than reach one.
//!
//! A bridge, no server: each line from the program is one POST to `/mcp`, each answer one line back, in whatever order they come. Both
//! eras pass as they are; only what the wire wants beside the message is added (headers, the legacy session). Nothing but protocol is
//! ever written to standard output.
//!
//! What is sent again after a failure of the network: everything that cannot have been received, and methods that only ask. A call of a
//! tool that may have been received is answered with an error that says so.
use std::{
    borrow::Cow,
    collections::HashMap,
    future::poll_fn,
    io::{BufRead as _, Read as _, Write as _},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::Poll,
    time::Duration,
};

use clap::Args;
use futures_util::StreamExt as _;
use reqwest::{RequestBuilder, Response, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use tokio::{
    sync::{OnceCell, OwnedRwLockWriteGuard, RwLock, Semaphore, mpsc, oneshot},
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    Target,
    access::{Access, lost},
    http::{self, ANSWER},
    mcp::header_value,
    plain,
    sse::Events,
};
use crate::{
    failure::{Exit, Failure, Result},
    terminal,
};

/// The largest message of a client; ocore takes no larger body.
const LARGEST: usize = 16 * 1024 * 1024;
/// Requests on their way at once; more wait.
const PARALLEL: usize = 64;
/// How long a server that cannot be reached is tried.
const PATIENCE: Duration = if cfg!(test) { Duration::from_secs(2) } else { Duration::from_secs(30) };
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After the program closed its side, answers that are still to come are waited for: no call takes longer.
const LAST_ANSWERS: Duration = Duration::from_mins(3);
/// JSON-RPC 2.0 section 5.1.
const PARSE_ERROR: i32 = -32700;
const INVALID_REQUEST: i32 = -32600;
const INTERNAL: i32 = -32603;

#[derive(Debug, Args)]
pub struct Stdio {
    /// Only the tools of this instance
    #[arg(long, value_name = "SLUG")]
    instance: Option<String>,
    #[command(flatten)]
    target: Target,
}

impl Stdio {
    pub async fn run(self) -> Result<()> {
        if let Some(slug) = &self.instance
            && (slug.is_empty()
                || slug.len() > 64
                || !slug.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'))
        {
            return Err(Failure::usage(format!("\"{}\" is no name of an instance.", plain::cut(slug, 60)))
                .next("ocore instances lists them."));
        }
        let (out, written, gone) = writer();
        let bridge = Arc::new(Bridge {
            server: self.target.server,
            instance: self.instance,
            access: OnceCell::new(),
            legacy: Arc::default(),
            running: Mutex::default(),
            permits: Semaphore::new(PARALLEL),
            out,
        });
        // Said at once to who reads the log; every request is told, too, and a login that comes later is found.
        if let Err(failure) = bridge.access().await {
            terminal::error(&failure, false);
        }
        let mut lines = reader();
        let tasks = tokio_util::task::TaskTracker::new();
        loop {
            let line = tokio::select! {
                line = lines.recv() => line,
                () = gone.cancelled() => return Ok(()),
            };
            let Some(line) = line else { break };
            bridge.take(line, &tasks).await;
        }
        bridge.close(&tasks, &gone).await;
        drop(bridge);
        // The last lines are on their way through the writer's thread.
        let _ = tokio::time::timeout(Duration::from_secs(10), written).await;
        Ok(())
    }
}

/// What the program sent.
enum Line {
    Text(Vec<u8>),
    /// With the id of the request that it is, if it is one.
    TooLong(Option<String>),
}

/// A thread that reads, because a read of a terminal or pipe cannot be given up.
fn reader() -> mpsc::Receiver<Line> {
    let (send, lines) = mpsc::channel(16);
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        loop {
            let mut line = Vec::new();
            match (&mut stdin).take(LARGEST as u64 + 1).read_until(b'\n', &mut line) {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            let line = if line.len() > LARGEST && line.last() != Some(&b'\n') {
                // The rest of it, without keeping it. Some programs write the id at its end.
                let mut head = Head::default();
                loop {
                    head.feed(&line);
                    line.clear();
                    match (&mut stdin).take(LARGEST as u64).read_until(b'\n', &mut line) {
                        Ok(0) | Err(_) => break,
                        Ok(_) if line.last() == Some(&b'\n') => {
                            head.feed(&line);
                            break;
                        }
                        Ok(_) => {}
                    }
                }
                Line::TooLong(head.id())
            } else {
                Line::Text(line)
            };
            if send.blocking_send(line).is_err() {
                return;
            }
        }
    });
    lines
}

/// Finds the id in a message that nobody keeps as a whole: the members of the outermost object, as they go by.
#[derive(Default)]
struct Head {
    /// How many objects and lists are open.
    depth: usize,
    in_string: bool,
    escaped: bool,
    /// The text since the last comma, colon or brace of the outermost object.
    piece: Vec<u8>,
    /// The name before the last colon there.
    name: Vec<u8>,
    id: Option<Vec<u8>>,
    is_request: bool,
}
impl Head {
    /// The longest id that is echoed; the server takes no longer one.
    const LONGEST_ID: usize = 258;

    fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            if self.in_string {
                self.keep(byte);
                self.in_string = self.escaped || byte != b'"';
                self.escaped = !self.escaped && byte == b'\\';
                continue;
            }
            match byte {
                b'"' => {
                    self.in_string = true;
                    self.keep(byte);
                }
                b'{' | b'[' => {
                    self.keep(byte);
                    self.depth += 1;
                    if self.depth == 1 {
                        self.piece.clear();
                    }
                }
                b'}' | b']' => {
                    if self.depth == 1 {
                        self.member();
                    }
                    self.depth = self.depth.saturating_sub(1);
                }
                b':' if self.depth == 1 => self.name = std::mem::take(&mut self.piece),
                b',' if self.depth == 1 => self.member(),
                _ => self.keep(byte),
            }
        }
    }
    fn keep(&mut self, byte: u8) {
        // One more than the longest, so that what is cut is known to be.
        if self.depth == 1 && self.piece.len() <= Self::LONGEST_ID {
            self.piece.push(byte);
        }
    }
    fn member(&mut self) {
        let (name, value) = (std::mem::take(&mut self.name), std::mem::take(&mut self.piece));
        match name.trim_ascii() {
            br#""id""# => self.id = Some(value),
            br#""method""# => self.is_request = true,
            _ => {}
        }
    }
    /// The id as raw JSON, if it is one that can be answered.
    fn id(self) -> Option<String> {
        let text = String::from_utf8(self.id.filter(|_| self.is_request)?).ok()?;
        let text = text.trim();
        let id = serde_json::from_str::<Value>(text).ok().filter(|_| text.len() <= Self::LONGEST_ID)?;
        (id.is_string() || id.is_i64() || id.is_u64()).then(|| text.to_owned())
    }
}

/// A thread that writes whole lines; says when it has written everything, or when nobody reads any more.
fn writer() -> (mpsc::Sender<String>, oneshot::Receiver<()>, CancellationToken) {
    let (out, mut lines) = mpsc::channel::<String>(64);
    let (done, written) = oneshot::channel();
    let gone = CancellationToken::new();
    let over = gone.clone();
    std::thread::spawn(move || {
        let mut stdout = std::io::stdout().lock();
        while let Some(mut line) = lines.blocking_recv() {
            line.push('\n');
            if stdout.write_all(line.as_bytes()).and_then(|()| stdout.flush()).is_err() {
                over.cancel();
                break;
            }
        }
        let _ = done.send(());
    });
    (out, written, gone)
}

/// What the handshake of a legacy client left.
#[derive(Debug, Clone, Default)]
struct Legacy {
    version: Option<String>,
    session: Option<String>,
}

struct Running {
    cancel: CancellationToken,
    modern: bool,
    /// A subscription does not end by itself.
    waits: bool,
}

/// The right to a handshake, alone.
enum Handshake {
    None,
    Held(OwnedRwLockWriteGuard<Legacy>),
    Waits(Pin<Box<dyn Future<Output = OwnedRwLockWriteGuard<Legacy>> + Send>>),
}

struct Bridge {
    server: Option<String>,
    instance: Option<String>,
    access: OnceCell<Access>,
    legacy: Arc<RwLock<Legacy>>,
    /// By the id's raw JSON.
    running: Mutex<HashMap<String, Running>>,
    permits: Semaphore,
    out: mpsc::Sender<String>,
}

#[derive(Deserialize)]
struct Envelope<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

/// What of the parameters belongs into headers.
#[derive(Default, Deserialize)]
struct Params {
    name: Option<String>,
    uri: Option<String>,
    #[serde(rename = "_meta")]
    meta: Option<Meta>,
    #[serde(rename = "requestId")]
    request_id: Option<Box<RawValue>>,
}
#[derive(Deserialize)]
struct Meta {
    #[serde(rename = "io.modelcontextprotocol/protocolVersion")]
    version: Option<String>,
}

/// One message on its way to the server.
struct Message {
    body: String,
    /// Raw JSON; none for notifications and answers.
    id: Option<String>,
    method: String,
    /// What headers say of a modern request: version, method, name.
    modern: Option<(String, Option<String>)>,
}
impl Message {
    /// Whether it asks and changes nothing, so that asking twice does no harm.
    fn only_asks(&self) -> bool {
        matches!(
            self.method.as_str(),
            "initialize"
                | "ping"
                | "server/discover"
                | "tools/list"
                | "prompts/list"
                | "prompts/get"
                | "resources/list"
                | "resources/templates/list"
                | "resources/read"
                | "completion/complete"
        ) || self.waits()
    }
    fn waits(&self) -> bool {
        self.method == "subscriptions/listen"
    }
}

/// How one attempt ended.
enum End {
    /// The answer is written.
    Answered,
    /// The line broke; whether the server may have got the message.
    Broken { sent: bool, why: Failure },
    /// The token was refused.
    Unauthorized,
    /// There will be no answer but this.
    Failed(Failure),
}

impl Bridge {
    /// The server, as soon as there is a login.
    async fn access(&self) -> Result<&Access> {
        self.access.get_or_try_init(|| Access::open(self.server.as_deref())).await
    }

    fn url(&self, access: &Access) -> String {
        match &self.instance {
            None => access.address.resource(),
            // The token of a login is for /mcp, which is another resource than the instance's own URL (RFC 8707).
            Some(slug) if access.is_login() => format!("{}?instances={slug}", access.address.resource()),
            Some(slug) => access.address.instance(slug),
        }
    }

    /// Takes one line of the program. Returns as soon as its work has begun.
    async fn take(self: &Arc<Self>, line: Line, tasks: &tokio_util::task::TaskTracker) {
        let text = match line {
            Line::TooLong(id) => {
                let text = format!("A message is at most {LARGEST} bytes long.");
                return self.error(id.as_deref(), INVALID_REQUEST, &text, None).await;
            }
            Line::Text(bytes) => match String::from_utf8(bytes) {
                Ok(text) => text,
                Err(_) => return self.error(None, PARSE_ERROR, "The line is not UTF-8.", None).await,
            },
        };
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if text.starts_with('[') {
            return self
                .error(None, INVALID_REQUEST, "JSON-RPC batches are not supported: send one message per line.", None)
                .await;
        }
        let Ok(envelope) = serde_json::from_str::<Envelope>(text) else {
            return self.error(None, PARSE_ERROR, "The line is not a JSON-RPC message.", None).await;
        };
        let method = envelope.method.as_deref().unwrap_or("").to_owned();
        let id = envelope.id.filter(|_| envelope.method.is_some()).map(|id| id.get().to_owned());
        let params: Params = envelope.params.and_then(|p| serde_json::from_str(p.get()).ok()).unwrap_or_default();
        if !method.bytes().all(|b| b.is_ascii_graphic()) {
            return self.error(id.as_deref(), INVALID_REQUEST, "The method has characters that no method has.", None).await;
        }
        let version = params.meta.and_then(|m| m.version).filter(|v| v.bytes().all(|b| b.is_ascii_graphic()));
        let name = params.name.or(params.uri).map(|name| header_value(&name));
        let message = Message { body: text.to_owned(), id, modern: version.map(|version| (version, name)), method };
        if message.method == "notifications/cancelled" && message.id.is_none() {
            let cancelled = params.request_id.and_then(|id| self.running().remove(id.get()));
            match cancelled {
                // The end of its stream is what cancels a modern request (2026-07-28, Streamable HTTP section "Cancellation").
                Some(running) if running.modern => return running.cancel.cancel(),
                // A legacy one is cancelled by the message, and not listened to any more.
                Some(running) => {
                    let (bridge, cancel) = (Arc::clone(self), running.cancel);
                    tasks.spawn(async move {
                        bridge.notify(message).await;
                        cancel.cancel();
                    });
                    return;
                }
                // It has been answered, or never was.
                None => return,
            }
        }
        let bridge = Arc::clone(self);
        let Some(id) = message.id.clone() else {
            tasks.spawn(async move { bridge.notify(message).await });
            return;
        };
        let cancel = CancellationToken::new();
        let running = Running { cancel: cancel.clone(), modern: message.modern.is_some(), waits: message.waits() };
        if self.running().contains_key(&id) {
            return self.error(Some(&id), INVALID_REQUEST, "A request with this id is not answered yet.", None).await;
        }
        self.running().insert(id.clone(), running);
        // What comes after a handshake carries what that left, so it stands behind it in the lock's queue. The place is taken here, where
        // messages are still in order; it is waited for elsewhere, because a program that handshakes again must be read on.
        let mut handshake = Handshake::None;
        if message.method == "initialize" && message.modern.is_none() {
            let mut place = Box::pin(Arc::clone(&self.legacy).write_owned());
            handshake = match poll_fn(|context| Poll::Ready(place.as_mut().poll(context))).await {
                Poll::Ready(held) => Handshake::Held(held),
                Poll::Pending => Handshake::Waits(place),
            };
        }
        tasks.spawn(async move {
            let work = async {
                let held = match handshake {
                    Handshake::None => None,
                    Handshake::Held(held) => Some(held),
                    Handshake::Waits(place) => Some(place.await),
                };
                bridge.request(message, held).await;
            };
            tokio::select! {
                biased;
                () = cancel.cancelled() => {}
                () = work => {}
            }
            bridge.running().remove(&id);
        });
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<String, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a request until it is answered, one way or another.
    async fn request(self: &Arc<Self>, message: Message, mut handshake: Option<OwnedRwLockWriteGuard<Legacy>>) {
        // A handshake goes first, and who waits for it takes nobody's place.
        if handshake.is_none() && message.modern.is_none() {
            drop(self.legacy.read().await);
        }
        // Subscriptions wait for hours, and would take the places of those who work. A handshake holds what those wait for.
        let _permit = if message.waits() || handshake.is_some() { None } else { self.permits.acquire().await.ok() };
        let id = message.id.as_deref();
        let (mut pause, mut renewed, mut acknowledged) = (FIRST_PAUSE, false, false);
        let mut until = Instant::now() + PATIENCE;
        let failure = loop {
            match self.attempt(&message, handshake.as_deref_mut(), &mut acknowledged).await {
                End::Answered => return,
                End::Failed(failure) => break failure,
                End::Unauthorized if !renewed => renewed = true,
                End::Unauthorized => {
                    break match self.access().await {
                        Ok(access) => lost(&access.address, "The server does not take your login any more."),
                        Err(failure) => failure,
                    };
                }
                End::Broken { sent: true, why } if !message.only_asks() => {
                    let text = format!("{} The call may have been carried out.", why.message);
                    break Failure::new(Exit::Unknown, "outcome_unknown", text).next("Look before you repeat it.");
                }
                End::Broken { sent, why } => {
                    if sent && message.waits() {
                        // It was heard, so the time to try begins anew, and so may the token have ended meanwhile.
                        until = Instant::now() + PATIENCE;
                        renewed = false;
                    }
                    if Instant::now() + pause >= until {
                        break why;
                    }
                    sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
            }
        };
        let data = json!({"code": failure.code, "message": failure.message, "next": failure.next});
        let text =
            if failure.next.is_empty() { failure.message.clone() } else { format!("{} Next: {}", failure.message, failure.next) };
        self.error(id, INTERNAL, &text, Some(&data)).await;
    }

    /// Sends a message that has no answer. It is tried once more when it cannot have been received.
    async fn notify(self: &Arc<Self>, message: Message) {
        for pause in [FIRST_PAUSE, FIRST_PAUSE * 4] {
            match self.attempt(&message, None, &mut false).await {
                End::Unauthorized => {}
                End::Broken { sent: false, .. } => sleep(pause).await,
                _ => return,
            }
        }
    }

    /// One POST, and what comes back.
    async fn attempt(self: &Arc<Self>, message: &Message, mut handshake: Option<&mut Legacy>, acknowledged: &mut bool) -> End {
        let access = match self.access().await {
            Ok(access) => access,
            Err(failure) => return End::Failed(failure),
        };
        let url = self.url(access);
        let token = match access.bearer().await {
            Ok(token) => token,
            Err(failure) if failure.code == "unreachable" => return End::Broken { sent: false, why: failure },
            Err(failure) => return End::Failed(failure),
        };
        let mut request = common(access.http.post(&url))
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::ACCEPT, "application/json, text/event-stream")
            .bearer_auth(token.expose_secret());
        if let Some((version, name)) = &message.modern {
            request = request.header("mcp-protocol-version", version).header("mcp-method", &message.method);
            if let Some(name) = name {
                request = request.header("mcp-name", name);
            }
        } else if handshake.is_none() {
            request = self.legacy.read().await.headers(request);
        }
        let response = match http::send(request.body(message.body.clone()), &url).await {
            Ok(response) => response,
            Err(error) if error.is_network() => return End::Broken { sent: !error.not_sent(), why: error.into() },
            Err(error) => return End::Failed(error.into()),
        };
        let status = response.status();
        if status == StatusCode::UNAUTHORIZED {
            return match access.renew(&token).await {
                Ok(_) => End::Unauthorized,
                Err(failure) if failure.code == "unreachable" => End::Broken { sent: false, why: failure },
                Err(failure) => End::Failed(failure),
            };
        }
        let Some(id) = &message.id else { return End::Answered };
        if let Some(legacy) = handshake.as_deref_mut() {
            let session = response.headers().get("mcp-session-id").and_then(|v| v.to_str().ok());
            legacy.session = session.map(str::to_owned);
        }
        let event_stream = is_stream(&response);
        let result = if event_stream {
            self.unfold(response, &url, id, acknowledged, handshake.as_deref_mut()).await
        } else {
            self.whole(response, &url, status, handshake.as_deref_mut()).await
        };
        if let (Some(legacy), End::Answered) = (handshake, &result)
            && legacy.session.is_some()
        {
            // What the server says outside of requests.
            tokio::spawn(Arc::clone(self).hear(legacy.clone()));
        }
        result
    }

    /// An answer that is one JSON document.
    async fn whole(&self, response: Response, url: &str, status: StatusCode, handshake: Option<&mut Legacy>) -> End {
        let wait = response.headers().get(header::RETRY_AFTER).and_then(|v| v.to_str().ok()).and_then(|v| v.parse::<u32>().ok());
        let body = match http::body(response, url, ANSWER).await {
            Ok(body) => body,
            Err(error) if error.is_network() => return End::Broken { sent: true, why: error.into() },
            Err(error) => return End::Failed(error.into()),
        };
        if let Some(line) = line(&body).filter(|line| is_rpc(line)) {
            remember(handshake, &line);
            self.say(line).await;
            return End::Answered;
        }
        End::Failed(turned_away(url, status, &body, wait))
    }

    /// An answer that is a stream of messages: each becomes a line, until the one with our id.
    async fn unfold(
        &self,
        response: Response,
        url: &str,
        id: &str,
        acknowledged: &mut bool,
        mut handshake: Option<&mut Legacy>,
    ) -> End {
        let mut chunks = response.bytes_stream();
        let mut events = Events::default();
        while let Some(chunk) = chunks.next().await {
            let chunk = match chunk {
                Ok(chunk) => chunk,
                Err(e) => {
                    return End::Broken {
                        sent: true,
                        why: http::Error::Lost { url: url.to_owned(), cause: e.without_url() }.into(),
                    };
                }
            };
            let mut found = Vec::new();
            if events.feed(&chunk, ANSWER, |data| found.extend(line(data).filter(|line| is_rpc(line)))).is_err() {
                return End::Failed(http::Error::TooLarge { url: url.to_owned(), limit: ANSWER }.into());
            }
            for line in found {
                let answers = serde_json::from_str::<Envelope>(&line)
                    .is_ok_and(|e| e.method.is_none() && e.id.is_some_and(|i| i.get() == id));
                if answers {
                    remember(handshake.as_deref_mut(), &line);
                }
                if let Some(line) = told(line, acknowledged) {
                    self.say(line).await;
                }
                if answers {
                    return End::Answered;
                }
            }
        }
        let why = http::Error::Strange { url: url.to_owned(), what: "the stream ended without an answer".to_owned() };
        End::Broken { sent: true, why: why.into() }
    }

    /// The stream of a legacy session that belongs to no request (2025-11-25, "Listening for Messages from the Server").
    async fn hear(self: Arc<Self>, legacy: Legacy) {
        let mut pause = FIRST_PAUSE;
        loop {
            let Ok(access) = self.access().await else { return };
            let Ok(token) = access.bearer().await else { return };
            let url = self.url(access);
            let request = legacy.headers(
                common(access.http.get(&url)).header(header::ACCEPT, "text/event-stream").bearer_auth(token.expose_secret()),
            );
            match http::send(request, &url).await {
                Ok(response) if response.status().is_success() && is_stream(&response) => {
                    pause = FIRST_PAUSE;
                    // No request has this id: the stream goes on until it ends.
                    self.unfold(response, &url, "", &mut false, None).await;
                }
                Ok(response) if response.status() == StatusCode::UNAUTHORIZED && access.renew(&token).await.is_ok() => {}
                Err(error) if error.is_network() => {}
                // There is no such stream, or no such session any more.
                _ => return,
            }
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The program has closed its side: what works is waited for, what only waits is ended, and so is a session.
    async fn close(&self, tasks: &tokio_util::task::TaskTracker, gone: &CancellationToken) {
        self.running().values().filter(|running| running.waits).for_each(|running| running.cancel.cancel());
        tasks.close();
        tokio::select! {
            () = tasks.wait() => {}
            () = gone.cancelled() => return,
            () = sleep(LAST_ANSWERS) => {}
        }
        let legacy = self.legacy.read().await.clone();
        if legacy.session.is_none() {
            return;
        }
        if let Some(access) = self.access.get()
            && let Ok(token) = access.bearer().await
        {
            let request = legacy.headers(common(access.http.delete(self.url(access))).bearer_auth(token.expose_secret()));
            let _ = request.timeout(Duration::from_secs(5)).send().await;
        }
    }

    async fn say(&self, line: String) {
        // A program that reads no more has ended the bridge already.
        let _ = self.out.send(line).await;
    }

    async fn error(&self, id: Option<&str>, code: i32, message: &str, data: Option<&Value>) {
        let message = Value::from(message);
        let data = data.map(|data| format!(",\"data\":{data}")).unwrap_or_default();
        // Without a readable id there is none (2026-07-28, section "Error Responses").
        let id = id.map(|id| format!("\"id\":{id},")).unwrap_or_default();
        self.say(format!(r#"{{"jsonrpc":"2.0",{id}"error":{{"code":{code},"message":{message}{data}}}}}"#)).await;
    }
}

impl Legacy {
    fn headers(&self, mut request: RequestBuilder) -> RequestBuilder {
        if let Some(version) = &self.version {
            request = request.header("mcp-protocol-version", version);
        }
        if let Some(session) = &self.session {
            request = request.header("mcp-session-id", session);
        }
        request
    }
}

/// The server counts calls of this façade under its own limit.
fn common(request: RequestBuilder) -> RequestBuilder {
    request.header("ocore-facade", "stdio")
}

fn is_stream(response: &Response) -> bool {
    response.headers().get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).is_some_and(|v| v.starts_with("text/event-stream"))
}

/// A JSON document on one line. Line breaks in JSON stand between its tokens alone.
fn line(json: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(json).ok()?;
    serde_json::from_str::<&RawValue>(text).ok()?;
    Some(text.trim().replace(['\n', '\r'], " "))
}

fn is_rpc(line: &str) -> bool {
    #[derive(Deserialize)]
    struct Marked<'a> {
        #[serde(borrow)]
        jsonrpc: Option<Cow<'a, str>>,
    }
    serde_json::from_str::<Marked>(line).is_ok_and(|m| m.jsonrpc.as_deref() == Some("2.0"))
}

/// What the handshake agreed on.
fn remember(handshake: Option<&mut Legacy>, line: &str) {
    let Some(legacy) = handshake else { return };
    let version = serde_json::from_str::<Value>(line)
        .ok()
        .and_then(|v| v.get("result")?.get("protocolVersion")?.as_str().map(str::to_owned));
    legacy.version = version.filter(|v| v.len() <= 40 && v.bytes().all(|b| b.is_ascii_graphic()));
}

/// What a client is told in place of a message. A subscription that was taken up again is acknowledged again, which the client must not
/// hear twice; that tools may have changed in between, it must. `acknowledged`: it has heard that before.
fn told(line: String, acknowledged: &mut bool) -> Option<String> {
    let message: Value = serde_json::from_str(&line).ok()?;
    if message.get("method").and_then(Value::as_str) != Some("notifications/subscriptions/acknowledged")
        || !std::mem::replace(acknowledged, true)
    {
        return Some(line);
    }
    let params = message.get("params")?;
    let meta = params.get("_meta").cloned().unwrap_or_else(|| json!({}));
    let tools = params.get("notifications").and_then(|n| n.get("toolsListChanged")).and_then(Value::as_bool) == Some(true);
    tools.then(|| json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed", "params": {"_meta": meta}}).to_string())
}

/// An answer that is no JSON-RPC: the door's.
fn turned_away(url: &str, status: StatusCode, body: &[u8], wait: Option<u32>) -> Failure {
    #[derive(Deserialize)]
    struct Said {
        code: String,
        message: String,
        #[serde(default)]
        next: String,
    }
    if let Ok(said) = serde_json::from_slice::<Said>(body) {
        return super::mcp::failure(&said.code, &said.message, &said.next);
    }
    let failure = Failure::failed(format!("{url} answered {}.", status.as_u16()));
    match wait {
        Some(seconds) => failure.next(format!("Try again in {seconds} seconds.")),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_become_lines() {
        assert_eq!(line(b" {\"a\":\r\n \"x\\ny\"}\n").unwrap(), "{\"a\":   \"x\\ny\"}");
        assert!(line(b"{\"a\":1} x").is_none() && line(b"\xff").is_none() && line(b"").is_none());
        assert!(is_rpc(r#"{"jsonrpc":"2.0","id":1}"#) && !is_rpc(r#"{"code":"unauthorized"}"#) && !is_rpc("[]"));
    }

    #[test]
    fn the_id_of_what_is_too_long_is_found_wherever_it_stands() {
        let id = |text: &str| {
            // In pieces of every length: they end where the reader's buffer does.
            let found: Vec<_> = [1, 2, 3, 7, text.len()]
                .into_iter()
                .map(|size| {
                    let mut head = Head::default();
                    text.as_bytes().chunks(size).for_each(|piece| head.feed(piece));
                    head.id()
                })
                .collect();
            assert!(found.windows(2).all(|two| two[0] == two[1]), "{found:?}");
            found[0].clone()
        };
        let long = "x".repeat(500);
        let params = format!(r#""params": {{"id": 5, "a": "}},\"id\":6\\", "b": [1, {{"id": 7}}], "{long}": "{long}"}}"#);
        for (text, found) in [
            (format!(r#"{{"jsonrpc":"2.0","id":1,"method":"m",{params}}}"#), Some("1")),
            (format!(r#" {{"method":"m",{params}, "jsonrpc":"2.0", "id" : "a\"b" }} "#), Some(r#""a\"b""#)),
            (format!(r#"{{"method":"m","id":-3,{params}"#), Some("-3")),
            // A notification, an answer, and ids that are none.
            (format!(r#"{{"method":"m",{params}}}"#), None),
            (format!(r#"{{"id":1,"result":{{"method":"m"}},{params}}}"#), None),
            (format!(r#"{{"method":"m","id":1.5,{params}}}"#), None),
            (format!(r#"{{"method":"m","id":null,{params}}}"#), None),
            (format!(r#"{{"method":"m","id":"{long}",{params}}}"#), None),
            (format!(r#"[{{"method":"m","id":1}},{params}]"#), None),
            (long.clone(), None),
            ("}}]],:{".into(), None),
        ] {
            assert_eq!(id(&text).as_deref(), found, "{text}");
        }
    }

    #[test]
    fn a_subscription_taken_up_again_tells_of_what_was_missed() {
        let acknowledged = |filter: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"_meta":{{"io.modelcontextprotocol/subscriptionId":7}},"notifications":{filter}}}}}"#
            )
        };
        let list = acknowledged(r#"{"toolsListChanged":true}"#);
        let mut before = false;
        assert_eq!(told(list.clone(), &mut before).as_ref(), Some(&list));
        let changed: Value = serde_json::from_str(&told(list, &mut before).unwrap()).unwrap();
        assert_eq!(changed["method"], "notifications/tools/list_changed");
        assert_eq!(changed["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
        assert_eq!(told(acknowledged("{}"), &mut before), None);
        let other = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#;
        assert_eq!(told(other.to_owned(), &mut before).as_deref(), Some(other));
    }
}
