//! An Odoo that answers at once (or after a fixed time): for load alone. It speaks just enough HTTP/1.1 and RPC.
use std::{sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use crate::harness::Odoo;

pub struct Stub {
    pub url: String,
    _runtime: tokio::runtime::Runtime,
}

impl Stub {
    pub fn start(delay: Duration) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let records: Vec<String> =
            (1..=10).map(|i| format!(r#"{{"id":{i},"name":"Partner number {i}","email":"p{i}@example.com"}}"#)).collect();
        let records = Arc::new(format!("[{}]", records.join(",")));
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let _ = socket.set_nodelay(true);
                tokio::spawn(serve(socket, delay, Arc::clone(&records)));
            }
        });
        Self { url, _runtime: runtime }
    }
    pub fn odoo(&self) -> Odoo {
        Odoo { version: 19, url: self.url.clone(), database: "stub".into(), container: String::new() }
    }
}

async fn serve(mut socket: TcpStream, delay: Duration, records: Arc<String>) {
    let mut buffer = Vec::new();
    loop {
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                break end + 4;
            }
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8_lossy(&buffer[..head]).to_ascii_lowercase();
        let length: usize =
            text.lines().find_map(|l| l.strip_prefix("content-length:")).and_then(|l| l.trim().parse().ok()).unwrap_or(0);
        while buffer.len() < head + length {
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = String::from_utf8_lossy(&buffer[head..head + length]).into_owned();
        let path = text.split_whitespace().nth(1).unwrap_or_default().to_owned();
        buffer.drain(..head + length);
        let (result, timed) = answer(&path, &body, &records);
        if timed && !delay.is_zero() {
            // tokio's timer is a millisecond coarse; both sides of a pair meet the same stub.
            tokio::time::sleep(delay).await;
        }
        let payload = format!(r#"{{"jsonrpc": "2.0", "id": 1, "result": {result}}}"#);
        let cookie = if path.contains("authenticate") { "Set-Cookie: session_id=stub; Path=/; HttpOnly\r\n" } else { "" };
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{cookie}Content-Length: {}\r\n\r\n", payload.len());
        if socket.write_all((head + &payload).as_bytes()).await.is_err() {
            return;
        }
    }
}

fn answer(path: &str, body: &str, records: &str) -> (String, bool) {
    if path.contains("version") {
        return (r#"{"server_version": "19.0", "server_version_info": [19, 0, 0, "final", 0, ""], "server_serie": "19.0", "protocol_version": 1}"#.into(), false);
    }
    if path.contains("authenticate") || path.contains("get_session_info") {
        return (r#"{"uid": 2, "username": "admin", "db": "stub", "server_version": "19.0", "user_context": {"lang": "en_US", "tz": "UTC", "uid": 2}}"#.into(), false);
    }
    if body.contains("fields_get") {
        let field = |name: &str, kind: &str| {
            format!(
                r#""{name}": {{"type": "{kind}", "string": "{name}", "store": true, "required": false, "readonly": false, "searchable": true, "sortable": true, "name": "{name}"}}"#
            )
        };
        return (format!("{{{}, {}, {}}}", field("id", "integer"), field("name", "char"), field("email", "char")), false);
    }
    if body.contains("\"login\"") || body.contains("\"authenticate\"") {
        return ("2".into(), false);
    }
    (records.to_owned(), true)
}
