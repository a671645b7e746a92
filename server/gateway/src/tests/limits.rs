//! What one organization may take of a node, and what becomes of requests that take their time.
use std::{io, pin::Pin};

use futures_util::{Stream, stream};
use kernel::TimeDelta;
use tokio::sync::mpsc;

use super::*;

const MIB: usize = 1 << 20;

type Sending = Pin<Box<dyn Future<Output = Response> + Send>>;

impl World {
    fn sending(&self, request: Request<Body>) -> Sending {
        let router = self.router.clone();
        Box::pin(async move { router.oneshot(request).await.unwrap() })
    }
    fn body_bytes(&self) -> usize {
        usize::try_from(self.gateway.metrics.body_bytes.get()).unwrap()
    }
    fn figures(&self) -> String {
        String::from_utf8(self.gateway.metrics.text()).unwrap()
    }
    /// Uses of keys that were counted.
    fn uses(&self) -> u64 {
        self.gateway.keys.take_touched().iter().map(|used| used.calls).sum()
    }
}

fn body_of(parts: impl Stream<Item = Bytes> + Send + 'static) -> Body {
    use futures_util::StreamExt as _;
    Body::from_stream(parts.map(Ok::<_, io::Error>))
}
/// A body that comes when it is sent.
fn body_in_parts() -> (mpsc::UnboundedSender<String>, Body) {
    let (sender, mut parts) = mpsc::unbounded_channel::<String>();
    (sender, body_of(stream::poll_fn(move |cx| parts.poll_recv(cx).map(|part| part.map(Bytes::from)))))
}
/// JSON with so much white space behind it.
fn padded(message: &Value, padding: usize) -> String {
    message.to_string() + &" ".repeat(padding)
}
#[expect(clippy::needless_pass_by_value, reason = "JSON is written in place")]
fn slow_call(tool: &str, arguments: Value) -> Value {
    json!({"name": tool, "arguments": arguments, "_meta": {"progressToken": 1}})
}

/// Refused for want of room: 429, when to come back, and what to do.
async fn refused(response: Response) -> Value {
    assert_eq!(response.status(), StatusCode::TOO_MANY_REQUESTS);
    assert!(response.headers()[header::RETRY_AFTER].to_str().unwrap().parse::<u32>().unwrap() > 0);
    body(response).await
}

#[tokio::test]
async fn bodies_of_one_organization_leave_room_for_those_of_others() {
    let w = world(Config::default()).await;
    let stranger = w.stranger().await;
    let post = |key: &str| World::request_by(key, "POST", "/mcp");
    // Says how long it is, and then nothing of it comes.
    let upload =
        |key: &str| w.sending(post(key).header(header::CONTENT_LENGTH, 16 * MIB).body(body_of(stream::pending())).unwrap());
    let mut held = vec![upload(&w.key), upload(&w.key), upload(&w.other_key)];
    assert!(held.iter_mut().all(|one| one.now_or_never().is_none()));
    assert_eq!(w.body_bytes(), 48 * MIB, "counted before anything of them is read");

    let said = refused(upload(&w.other_key).await).await;
    assert_eq!((&said["jsonrpc"], &said["error"]["code"]), (&json!("2.0"), &json!(-32000)));
    assert_eq!(said["error"]["data"]["code"], "busy");
    assert!(said["error"]["data"]["next"].as_str().unwrap().contains("Wait"), "{said}");
    // One that does not say how long it is counts as it grows.
    let growing = body_of(stream::iter([vec![b' '; 1000], vec![b' '; MIB]].map(Bytes::from)));
    refused(w.send(post(&w.key).body(growing).unwrap()).await).await;
    let count = "ocore_share_refusals_total{what=\"bodies\",whose=\"organization\"} 2";
    assert!(w.figures().contains(count));

    assert_eq!(w.legacy("/mcp", &json!({"jsonrpc": "2.0", "id": 1, "method": "ping"})).await.status(), StatusCode::OK);
    let mut foreign = upload(&stranger);
    assert!((&mut foreign).now_or_never().is_none(), "another organization has its own share");
    held.pop();
    let mut again = upload(&w.key);
    assert!((&mut again).now_or_never().is_none(), "what is given back can be taken again");
    drop((held, foreign, again));
    assert_eq!(w.body_bytes(), 0);
}

#[tokio::test]
async fn even_the_smallest_bodies_are_bounded_in_number() {
    let w = world(Config::default()).await;
    let begin = || w.sending(w.request("POST", "/mcp").body(body_of(stream::pending())).unwrap());
    let mut held: Vec<Sending> = (0..4096).map(|_| begin()).collect();
    assert!(held.iter_mut().all(|one| one.now_or_never().is_none()));
    refused(begin().await).await;
}

#[tokio::test]
async fn a_body_counts_until_its_call_is_over() {
    let w = world(Config { legacy_sessions: true, ..Config::default() }).await;
    let long = |mut params: Value| {
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = "2026-07-28".into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        padded(&json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}), MIB)
    };
    let modern = |tool: &str, body: String| {
        let request = w.request("POST", "/mcp").header("MCP-Protocol-Version", "2026-07-28");
        w.send(request.header("Mcp-Method", "tools/call").header("Mcp-Name", tool).body(body.into()).unwrap())
    };
    // While it runs, and not longer.
    let body = long(slow_call("ocore_slow", json!({"steps": 2, "milliseconds": 50, "slot": 6})));
    let mut stream = modern("ocore_slow", body).await.into_body();
    chunk(&mut stream).await.unwrap();
    assert!(w.body_bytes() > MIB);
    while chunk(&mut stream).await.is_some() {}
    assert_eq!(w.body_bytes(), 0);

    // A write goes on without its client, and a legacy call does.
    let body = long(slow_call("ocore_slow_write", json!({"milliseconds": 700, "slot": 7})));
    let stream = modern("ocore_slow_write", body).await;
    tokio::time::sleep(Duration::from_millis(200)).await;
    drop(stream);
    let legacy = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": slow_call("ocore_slow", json!({"steps": 2, "milliseconds": 300, "slot": 8}))});
    let mut stream = w.send(w.request("POST", "/mcp").body(padded(&legacy, MIB).into()).unwrap()).await.into_body();
    chunk(&mut stream).await.unwrap();
    drop(stream);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!([7, 8].map(|slot| FINISHED[slot].load(Ordering::SeqCst)), [0, 0]);
    assert!(w.body_bytes() > 2 * MIB, "{}", w.body_bytes());
    until(|| w.body_bytes() == 0).await;
    assert_eq!([7, 8].map(|slot| FINISHED[slot].load(Ordering::SeqCst)), [1, 1]);

    // On the old transport the request is answered before the call is.
    let mut stream = w.send(w.request("GET", "/mcp/sse").body(Body::empty()).unwrap()).await.into_body();
    let endpoint = chunk(&mut stream).await.unwrap().lines().nth(1).unwrap().strip_prefix("data: ").unwrap().to_owned();
    let legacy = call("ocore_slow", json!({"steps": 1, "milliseconds": 200, "slot": 6}));
    let accepted = w.send(w.request("POST", &endpoint).body(padded(&legacy, MIB).into()).unwrap()).await;
    assert_eq!(accepted.status(), StatusCode::ACCEPTED);
    assert!(w.body_bytes() > MIB);
    assert_eq!(data(&chunk(&mut stream).await.unwrap())["result"]["structuredContent"]["text"], "done");
    assert_eq!(w.body_bytes(), 0);

    // And in a session.
    let id = open_session(&w, &w.key).await.unwrap();
    let in_session = |message: &Value, padding: usize| {
        let request = w.request("POST", "/mcp").header("mcp-session-id", &id).header("mcp-protocol-version", "2025-11-25");
        w.send(request.body(padded(message, padding).into()).unwrap())
    };
    in_session(&json!({"jsonrpc": "2.0", "method": "notifications/initialized"}), MIB).await;
    until(|| w.body_bytes() == 0).await;
    let mut stream = in_session(&legacy, MIB).await.into_body();
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(w.body_bytes() > MIB);
    while chunk(&mut stream).await.is_some() {}
    until(|| w.body_bytes() == 0).await;
}

#[tokio::test]
async fn streams_of_one_organization_leave_room_for_those_of_others() {
    let w = world(Config { legacy_sessions: true, ..Config::default() }).await;
    let stranger = w.stranger().await;
    let sse = |key: &str| w.sending(World::request_by(key, "GET", "/mcp/sse").body(Body::empty()).unwrap());
    let listen = || w.modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}), |_| ());
    let id = open_session(&w, &w.key).await.unwrap();
    let waiting = || w.sending(w.request("GET", "/mcp").header("mcp-session-id", &id).body(Body::empty()).unwrap());
    let mut held = vec![sse(&w.key).await, sse(&w.key).await, sse(&w.other_key).await, listen().await, waiting().await];
    assert!(held.iter().all(|stream| stream.status() == StatusCode::OK));
    assert_eq!(w.gateway.metrics.streams.get(), 5);
    for response in [sse(&w.key).await, sse(&w.other_key).await, listen().await, waiting().await] {
        let said = refused(response).await;
        assert_eq!(said["code"], "rate_limited");
        assert!(said["next"].as_str().unwrap().contains("Close streams"), "{said}");
    }
    assert_eq!(sse(&stranger).await.status(), StatusCode::OK, "another organization has its own share");
    held.remove(0);
    assert_eq!(sse(&w.other_key).await.status(), StatusCode::OK);
    drop(held);
    until(|| w.gateway.metrics.streams.get() == 0).await;
}

/// Opens a session of 2025-11-25: its id, or the refusal.
async fn open_session(w: &World, key: &str) -> Result<String, Response> {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let message = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params});
    let response = w.send(World::request_by(key, "POST", "/mcp").body(message.to_string().into()).unwrap()).await;
    let Some(id) = response.headers().get("mcp-session-id") else { return Err(response) };
    let id = id.to_str().unwrap().to_owned();
    bytes(response).await;
    Ok(id)
}

#[tokio::test]
async fn sessions_of_one_organization_leave_room_for_those_of_others() {
    let w = world(Config { legacy_sessions: true, ..Config::default() }).await;
    let stranger = w.stranger().await;
    let mut ids = Vec::new();
    for key in [&w.key, &w.key, &w.key, &w.other_key, &w.other_key] {
        ids.push(open_session(&w, key).await.unwrap());
    }
    let said = refused(open_session(&w, &w.other_key).await.unwrap_err()).await;
    assert!(said["next"].as_str().unwrap().contains("DELETE"), "{said}");
    assert!(open_session(&w, &stranger).await.is_ok());
    let end = w.request("DELETE", "/mcp").header("mcp-session-id", &ids[0]).header("mcp-protocol-version", "2025-11-25");
    assert_eq!(w.send(end.body(Body::empty()).unwrap()).await.status(), StatusCode::NO_CONTENT);
    assert!(open_session(&w, &w.other_key).await.is_ok());
}

#[tokio::test]
async fn a_slow_upload_goes_on_unless_its_key_ended_meanwhile() {
    let w = world_on(store::testing::sqlite().await, Config::default()).await;
    let pass = async |seconds: i64| {
        w.store.clock.advance(TimeDelta::seconds(seconds));
        w.registry.reload().await;
    };
    let begin = |message: &Value| {
        let (sender, body) = body_in_parts();
        let answer = tokio::spawn(w.sending(w.request("POST", "/mcp").body(body).unwrap()));
        let text = message.to_string();
        let (first, rest) = text.split_at(text.len() / 2);
        sender.send(first.to_owned()).unwrap();
        (sender, rest.to_owned(), answer)
    };
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let (sender, rest, answer) = begin(&call("prod_echo", json!({"text": "at last"})));
    until(|| w.body_bytes() > 0).await;
    pass(45).await;
    sender.send(rest).unwrap();
    drop(sender);
    let said = body(answer.await.unwrap()).await;
    assert_eq!(said["result"]["structuredContent"]["text"], "at last", "{said}");
    assert_eq!(w.uses(), 1, "looking again is no second use");

    let (sender, rest, answer) = begin(&list);
    until(|| w.body_bytes() > 0).await;
    pass(25).await;
    w.revoke().await;
    sender.send(rest).unwrap();
    drop(sender);
    assert_eq!(answer.await.unwrap().status(), StatusCode::UNAUTHORIZED, "what is listed is not listed to a revoked key");
}

#[tokio::test]
async fn a_stream_that_waits_is_no_use_of_its_key() {
    let w = world(Config::default()).await;
    let sse = w.send(w.request("GET", "/mcp/sse").body(Body::empty()).unwrap()).await;
    let listening = w.modern("subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}), |_| ()).await;
    assert_eq!(w.uses(), 2);
    for stream in [sse, listening] {
        let mut stream = stream.into_body();
        let mut signs_of_life = 0;
        while signs_of_life < 2 {
            let frame = tokio::time::timeout(Duration::from_secs(10), stream.frame()).await.unwrap().unwrap().unwrap();
            signs_of_life += usize::from(frame.into_data().unwrap().starts_with(b": keep-alive"));
        }
    }
    assert_eq!(w.uses(), 0);
}

#[tokio::test]
async fn arguments_of_a_call_without_an_id_do_not_reach_the_log() {
    let w = world(Config::default()).await;
    let log: Arc<Mutex<Vec<u8>>> = Arc::default();
    let seen = Arc::clone(&log);
    let subscriber =
        tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE).with_writer(move || Log(Arc::clone(&seen))).finish();
    let guard = tracing::subscriber::set_default(subscriber);
    let message =
        json!({"jsonrpc": "2.0", "method": "tools/call", "params": {"name": "x", "arguments": {"password": "hunter2"}}});
    assert_eq!(w.legacy("/mcp", &message).await.status(), StatusCode::ACCEPTED);
    drop(guard);
    let text = String::from_utf8(log.lock().clone()).unwrap();
    assert!(text.contains("tools/call") && !text.contains("hunter2"), "{text}");
}
struct Log(Arc<Mutex<Vec<u8>>>);
impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
