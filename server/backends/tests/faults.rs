//! What real servers do not do on demand: hang, reset, garbage, oversized answers, refused logins, lost sessions. The stub
//! speaks just enough HTTP and answers by a function of the path and the number of requests so far.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::expect_used,
    clippy::match_same_arms,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking"
)]
mod common;

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use backends::odoo::{OdooContext, PoolSettings, Search};
use common::{Bench, open};
use kernel::{Code, Fault, RpcDialect};
use serde_json::{Map, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// What the stub does with one request.
enum Do {
    Json(serde_json::Value),
    Page(u16, &'static str),
    SignIn,
    Hang,
    Reset,
    Huge,
    Half,
}

struct Stub {
    url: String,
    logins: Arc<AtomicUsize>,
    calls: Arc<AtomicUsize>,
}

async fn stub(answer: impl Fn(&str, usize) -> Do + Send + Sync + 'static) -> Stub {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (logins, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (l, c) = (logins.clone(), calls.clone());
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (l, c, answer) = (l.clone(), c.clone(), answer.clone());
            tokio::spawn(async move {
                loop {
                    let mut buffer = Vec::new();
                    let mut chunk = [0; 4096];
                    let head = loop {
                        match stream.read(&mut chunk).await {
                            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
                            _ => return,
                        }
                        if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                            break end + 4;
                        }
                    };
                    let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
                    let length: usize =
                        text.lines().find_map(|l| l.strip_prefix("content-length: ")).map_or(0, |n| n.trim().parse().unwrap());
                    while buffer.len() < head + length {
                        match stream.read(&mut chunk).await {
                            Ok(n) if n > 0 => buffer.extend_from_slice(&chunk[..n]),
                            _ => return,
                        }
                    }
                    let path = text.split_whitespace().nth(1).unwrap().to_owned();
                    let count = if path.contains("authenticate") {
                        l.fetch_add(1, Ordering::SeqCst)
                    } else {
                        c.fetch_add(1, Ordering::SeqCst)
                    };
                    let (status, body, cookie) = match answer(&path, count) {
                        Do::Json(body) => (200, body.to_string(), ""),
                        Do::Page(status, body) => (status, body.to_owned(), ""),
                        Do::SignIn => (
                            200,
                            r#"{"jsonrpc":"2.0","id":1,"result":{"uid":2,"server_version":"19.0"}}"#.to_owned(),
                            "Set-Cookie: session_id=abc; Path=/\r\n",
                        ),
                        Do::Hang => {
                            tokio::time::sleep(Duration::from_mins(10)).await;
                            return;
                        }
                        Do::Reset => return,
                        Do::Huge => (200, format!(r#"{{"jsonrpc":"2.0","result":"{}"}}"#, "x".repeat(3 * 1024 * 1024)), ""),
                        Do::Half => {
                            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"jsonrpc\"").await;
                            return;
                        }
                    };
                    let reply = format!(
                        "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n{cookie}\r\n{body}",
                        body.len()
                    );
                    if stream.write_all(reply.as_bytes()).await.is_err() {
                        return;
                    }
                }
            });
        }
    });
    Stub { url, logins, calls }
}
fn result(value: serde_json::Value) -> Do {
    Do::Json(json!({"jsonrpc": "2.0", "id": 1, "result": value}))
}
fn error(name: &str, message: &str) -> Do {
    Do::Json(
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 200, "message": "Odoo Server Error", "data": {"name": name, "message": message, "debug": "Traceback SECRET"}}}),
    )
}
fn expired() -> Do {
    Do::Json(
        json!({"jsonrpc": "2.0", "id": 1, "error": {"code": 100, "message": "Odoo Session Expired", "data": {"name": "odoo.http.SessionExpiredException"}}}),
    )
}
fn fields(path: &str) -> bool {
    path.contains("authenticate")
}
fn settings() -> PoolSettings {
    PoolSettings {
        breaker_failures: 3,
        breaker_pause: Duration::from_millis(400),
        max_body: 2 * 1024 * 1024,
        connect: Duration::from_secs(1),
        ..PoolSettings::default()
    }
}
fn bench(stub: &Stub) -> Bench {
    Bench::with(&stub.url, "db", "admin", "password", RpcDialect::Auto, settings())
}
fn search() -> Search {
    Search { model: "res.partner".into(), fields: vec!["name".into()], order: Some("id".into()), limit: 1, ..Search::default() }
}
/// A write that needs no schema.
async fn unlink(bench: &Bench, seconds: u64) -> kernel::Result<()> {
    let writer =
        backends::odoo::Writer::new(bench.reader_as(open(), OdooContext::default(), seconds), &common::permit(&bench.instance));
    writer.call("res.partner", "x_do", &[1], vec![], Map::new()).await.map(|_| ())
}

#[tokio::test]
async fn a_read_is_asked_once_more_after_a_reset_and_a_write_never() {
    let stub = stub(|path, n| match (fields(path), n) {
        (true, _) => Do::SignIn,
        (_, 0) => Do::Reset,
        (_, 1) => result(json!([{"id": 1, "name": "A"}])),
        _ => Do::Reset,
    })
    .await;
    let bench = bench(&stub);
    assert_eq!(bench.reader().search_read(&search()).await.unwrap().records.len(), 1);
    assert_eq!(stub.calls.load(Ordering::SeqCst), 2);
    let fault = unlink(&bench, 5).await.unwrap_err();
    assert!(matches!(&fault, Fault::Unknown { check, .. } if check.contains("res.partner 1")), "{fault:?}");
    assert_eq!(stub.calls.load(Ordering::SeqCst), 3, "sent once");
    assert_eq!(bench.reader().search_read(&search()).await.unwrap_err().code(), Code::Unreachable);
    assert_eq!(stub.calls.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn a_hanging_read_times_out_and_a_hanging_write_is_unknown() {
    let stub = stub(|path, _| if fields(path) { Do::SignIn } else { Do::Hang }).await;
    let bench = bench(&stub);
    let began = Instant::now();
    let fault = bench.reader_as(open(), OdooContext::default(), 1).search_read(&search()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Timeout);
    assert!(began.elapsed() < Duration::from_secs(3));
    assert!(matches!(unlink(&bench, 1).await.unwrap_err(), Fault::Unknown { .. }));
    let _ = bench.reader_as(open(), OdooContext::default(), 1).search_read(&search()).await;
    // Three in a row: now it is left alone, and says so at once.
    let began = Instant::now();
    let fault = bench.reader_as(open(), OdooContext::default(), 30).search_read(&search()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Unreachable);
    assert!(began.elapsed() < Duration::from_millis(300));
}

#[tokio::test]
async fn a_dead_instance_is_unreachable_for_reads_and_writes_and_comes_back() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let bench = Bench::with(&url, "db", "admin", "password", RpcDialect::Auto, settings());
    assert_eq!(bench.reader().search_read(&search()).await.unwrap_err().code(), Code::Unreachable);
    let fault = unlink(&bench, 5).await.unwrap_err();
    assert!(
        matches!(&fault, Fault::Refused(r) if r.code == Code::Unreachable && !r.next.is_empty()),
        "nothing was sent: {fault:?}"
    );
    for _ in 0..3 {
        let _ = bench.reader().search_read(&search()).await;
    }
    let text = bench.reader().search_read(&search()).await.unwrap_err().public().message.into_owned();
    assert!(text.contains("in a row"), "{text}");
}

#[tokio::test]
async fn after_its_pause_the_breaker_lets_a_probe_through() {
    let stub = stub(|path, n| match (fields(path), n) {
        (true, _) => Do::SignIn,
        (_, 0..3) => Do::Page(502, "<html>Bad Gateway</html>"),
        _ => result(json!([])),
    })
    .await;
    let bench = bench(&stub);
    for _ in 0..3 {
        assert_eq!(bench.reader().search_read(&search()).await.unwrap_err().code(), Code::Unreachable);
    }
    assert_eq!(bench.reader().search_read(&search()).await.unwrap_err().code(), Code::Unreachable);
    assert_eq!(stub.calls.load(Ordering::SeqCst), 3, "the fourth did not go out");
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert!(bench.reader().search_read(&search()).await.is_ok());
    assert!(bench.reader().search_read(&search()).await.is_ok());
}

#[tokio::test]
async fn a_refused_login_is_tried_once_by_all_callers_together() {
    let stub = stub(|_, _| error("odoo.exceptions.AccessDenied", "Access Denied")).await;
    let bench = Arc::new(bench(&stub));
    let mut tasks = Vec::new();
    for _ in 0..20 {
        let bench = bench.clone();
        tasks.push(tokio::spawn(async move { bench.reader().search_read(&search()).await.unwrap_err() }));
    }
    for task in tasks {
        let fault = task.await.unwrap();
        assert_eq!(fault.code(), Code::NotConfigured);
        assert!(fault.public().next.contains("new secret"), "{fault:?}");
    }
    assert_eq!((stub.logins.load(Ordering::SeqCst), stub.calls.load(Ordering::SeqCst)), (1, 0));
    assert_eq!((bench.memory.refused.load(Ordering::SeqCst), bench.memory.opened.load(Ordering::SeqCst)), (1, 1));
}

#[tokio::test]
async fn a_second_factor_asks_for_an_api_key_and_marks_nothing() {
    let stub = stub(|_, _| result(json!({"uid": null}))).await;
    let bench = bench(&stub);
    for _ in 0..3 {
        let fault = bench.reader().search_read(&search()).await.unwrap_err();
        assert!(fault.public().next.contains("API key"), "{fault:?}");
    }
    assert_eq!((stub.logins.load(Ordering::SeqCst), bench.memory.refused.load(Ordering::SeqCst)), (1, 0));
}

#[tokio::test]
async fn an_expired_session_is_renewed_once_even_for_a_write() {
    let stub = stub(|path, n| match (fields(path), n) {
        (true, _) => Do::SignIn,
        (_, 0 | 2) => expired(),
        _ => result(json!([])),
    })
    .await;
    let bench = bench(&stub);
    // The first cookie is fresh: an expiry right after a login is not argued with.
    assert_eq!(bench.reader().search_read(&search()).await.unwrap_err().code(), Code::OdooError);
    assert!(bench.reader().search_read(&search()).await.is_ok());
    assert!(unlink(&bench, 5).await.is_ok());
    assert_eq!((stub.logins.load(Ordering::SeqCst), stub.calls.load(Ordering::SeqCst)), (2, 4));
}

#[tokio::test]
async fn without_the_session_routes_jsonrpc_serves() {
    let stub = stub(|path, _| match path {
        "/jsonrpc" => result(json!(7)),
        "/web/webclient/version_info" => result(json!({"server_version": "17.0"})),
        _ => Do::Page(404, "<html>"),
    })
    .await;
    let bench = bench(&stub);
    assert_eq!(bench.reader().search_count("res.partner", &json!([]), None).await.unwrap(), 7);
}

#[tokio::test]
async fn garbage_and_oversized_answers_are_told() {
    let stub = stub(|path, n| match (fields(path), n) {
        (true, _) => Do::SignIn,
        (_, 0) => Do::Page(200, "<html>hello</html>"),
        (_, 1) => Do::Huge,
        (_, 2) => Do::Page(301, ""),
        (_, 3 | 4) => Do::Half,
        (_, 5) => Do::Page(200, "garbage"),
        (_, 6) => error("builtins.ZeroDivisionError", "at /usr/lib/python3/x.py division by zero"),
        _ => Do::Json(json!({"jsonrpc": "2.0", "id": 1})),
    })
    .await;
    let bench = bench(&stub);
    let read = || async { bench.reader().search_read(&search()).await.unwrap_err() };
    assert_eq!(read().await.code(), Code::OdooError);
    assert_eq!(read().await.code(), Code::TooLarge);
    assert_eq!(read().await.code(), Code::Unreachable);
    assert_eq!(read().await.code(), Code::Unreachable, "a body cut off, twice");
    assert!(matches!(unlink(&bench, 5).await.unwrap_err(), Fault::Unknown { .. }), "an unreadable answer to a write");
    let told = bench.reader().search_count("res.partner", &json!([]), None).await.unwrap_err().public();
    assert!(
        told.message.contains("division by zero") && !told.message.contains("/usr") && !told.message.contains("SECRET"),
        "{told:?}"
    );
    let null = bench.writer().call("res.partner", "x_do", &[1], vec![], Map::new()).await.unwrap();
    assert_eq!(null.get(), "null");
}

#[tokio::test]
async fn serialization_failures_are_asked_again_for_reads_only() {
    let stub = stub(|path, n| match (fields(path), n) {
        (true, _) => Do::SignIn,
        (_, 1) => result(json!(3)),
        _ => error("psycopg2.errors.SerializationFailure", "could not serialize access due to concurrent update"),
    })
    .await;
    let bench = bench(&stub);
    assert_eq!(bench.reader().search_count("res.partner", &json!([]), None).await.unwrap(), 3);
    assert_eq!(unlink(&bench, 5).await.unwrap_err().code(), Code::Conflict);
    assert_eq!(stub.calls.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn addresses_outside_the_permitted_networks_are_refused() {
    for url in [
        "http://10.1.2.3:8069",
        "http://169.254.169.254",
        "http://[::1]:8069",
        "http://0x7f.1.2.3.4:80",
        "ftp://127.0.0.1",
        "http://192.168.1.1",
    ] {
        let Ok(_) = url.parse::<url::Url>() else { continue };
        let bench = Bench::with(url, "db", "admin", "password", RpcDialect::Auto, settings());
        assert_eq!(
            bench.reader_as(open(), OdooContext::default(), 3).search_read(&search()).await.unwrap_err().code(),
            Code::Unreachable,
            "{url}"
        );
    }
    // A name is judged by the addresses that it resolves to, at connect.
    let bench = Bench::with("http://localhost:1", "db", "admin", "password", RpcDialect::Auto, settings());
    assert_eq!(
        bench.reader_as(open(), OdooContext::default(), 3).search_read(&search()).await.unwrap_err().code(),
        Code::Unreachable
    );
}

#[tokio::test]
async fn the_cap_holds_and_queued_calls_end_busy() {
    let stub = stub(|path, _| if fields(path) { Do::SignIn } else { Do::Hang }).await;
    let bench = Arc::new(bench(&stub));
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let bench = bench.clone();
        tasks.push(tokio::spawn(async move {
            bench.reader_as(open(), OdooContext::default(), 3).search_read(&search()).await.unwrap_err()
        }));
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let fault = bench.reader_as(open(), OdooContext::default(), 1).search_read(&search()).await.unwrap_err();
    assert_eq!(fault.code(), Code::Busy);
    assert_eq!(stub.calls.load(Ordering::SeqCst), 4);
    for task in tasks {
        assert_eq!(task.await.unwrap().code(), Code::Timeout);
    }
}

#[tokio::test]
async fn unset_and_refused_connections_are_told_without_io() {
    let stub = stub(|_, _| Do::Hang).await;
    let made = bench(&stub);
    let none = Arc::new(kernel::Instance { rpc: None, ..(*made.instance).clone() });
    let mut marked = (*made.instance).clone();
    marked.rpc = marked.rpc.map(|r| kernel::RpcConnection { refused: true, ..r });
    for instance in [none, Arc::new(marked)] {
        let fault = made
            .pool
            .reader(instance, Arc::new(open()), OdooContext::default(), tokio::time::Instant::now() + Duration::from_secs(1))
            .unwrap_err();
        assert_eq!(fault.code(), Code::NotConfigured);
    }
}
