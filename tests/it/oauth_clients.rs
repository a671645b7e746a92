//! Real clients that are let in by OAuth. Each has the URL of ocore and nothing else: it registers by itself and opens its browser, where
//! a person signs in and consents (Chromium); then it works on a real Odoo. Revoked on the page it is refused, and asks again.
use std::{
    path::PathBuf,
    process::Stdio,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};

use crate::{
    clients::{NODE, PATIENCE, Running, clients, logs},
    harness::{Mcp, Ocore, Odoo, root, run},
    impersonation::{Browser, PASSWORD},
};

const ANN: &str = "ann@example.com";

#[test]
fn python_sdk_2() {
    is_let_in("mcp2/bin/python", &["oauth_mcp.py"], "OAuth by mcp 2", "OAuth by mcp 2");
}
#[test]
fn python_sdk_1() {
    is_let_in("mcp1/bin/python", &["oauth_mcp.py"], "OAuth by mcp 1", "OAuth by mcp 1");
}
#[test]
fn fastmcp() {
    is_let_in("fastmcp/bin/python", &["oauth_fastmcp.py"], "OAuth by fastmcp", "OAuth by fastmcp");
}
#[test]
fn typescript_sdk_1() {
    is_let_in(NODE, &["oauth_typescript.mjs", "sdk"], "OAuth by TypeScript 1", "OAuth by TypeScript 1");
}
#[test]
fn typescript_sdk_2() {
    is_let_in(NODE, &["oauth_typescript.mjs", "client"], "OAuth by TypeScript 2", "OAuth by TypeScript 2");
}
// These two name themselves.
#[test]
fn mcp_remote() {
    is_let_in(NODE, &["oauth_remote.mjs"], "OAuth by mcp-remote", "MCP CLI Proxy");
}
#[test]
fn inspector() {
    is_let_in(NODE, &["oauth_inspector.mjs"], "OAuth by the Inspector", "MCP Inspector");
}

/// `script` is one of `tests/clients` with what it wants before the URL and the name of the contact that it is to make; `known_as` is the
/// name that the client registers.
fn is_let_in(program: &str, script: &[&str], contact: &str, known_as: &str) {
    let (Some(odoo), Some(clients)) = (Odoo::shared(19), clients()) else { return };
    let mut ocore = with_ann(Some(&odoo));
    run(async {
        let witness = Witness::before(&ocore).await;
        let url = format!("{}/mcp", witness.url);
        let person = Person::new(clients);
        let mut command = person.command(program);
        command.arg(root().join("tests/clients").join(script[0])).args(&script[1..]).args([&url, contact]);
        let mut client = Running::start(command, person.folder.path());
        let answer = client.told().await;
        assert_eq!(answer["count"], 1, "{answer}");
        let tools = answer["tools"].as_array().expect("tools");
        assert!(tools.iter().any(|tool| tool == "dev_create"), "{answer}");
        assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {}", answer["created"])), contact);

        // The person was asked once, by its name and for this resource; the answer came back whole.
        let decided = person.decided(1).await;
        assert!(decided[0]["title"].as_str().is_some_and(|title| title.contains(known_as)), "{decided:?}");
        assert_eq!(decided[0]["got"], "code", "{decided:?}");
        assert_eq!((&decided[0]["state"], &decided[0]["iss"]), (&json!(true), &json!(witness.url)), "{decided:?}");
        let asked = &decided[0]["asked"];
        assert_eq!((&asked["resource"], &asked["code_challenge_method"]), (&json!(url), &json!("S256")), "{asked}");

        // Nobody pasted a key: it came with nothing, was told where to go, and what it has is an access token.
        let calls = witness.at("/mcp");
        assert_eq!((calls[0].status, &calls[0].token), (401, &None), "{calls:?}");
        let tokens: Vec<&String> = calls.iter().filter_map(|call| call.token.as_ref()).collect();
        assert!(!tokens.is_empty() && tokens.iter().all(|token| token.starts_with("oca_")), "{calls:?}");
        let (registered, exchanged) = (witness.at("/register"), witness.at("/token"));
        assert_eq!((registered.len(), exchanged.len()), (1, 1), "{:?}", witness.all());
        assert!(registered[0].status == 201 && registered[0].body.contains(known_as), "{registered:?}");
        let resource = format!("resource={}", url.replace(':', "%3A").replace('/', "%2F"));
        assert!(exchanged[0].status == 200 && exchanged[0].body.contains(&resource), "{exchanged:?}");

        // It stands on the page. Revoked there, its token opens nothing within two seconds.
        let itself = Mcp::new(&witness.url, tokens[0]);
        assert!(itself.tools().await.contains("dev_create"));
        let mut ann = signed_in(&ocore).await;
        let page = ann.get(&ann.ocore("/authorizations")).await;
        let grants = page.text.matches("name=\"id\" value=\"").count();
        assert!(page.status == StatusCode::OK && page.text.contains(known_as) && grants == 1, "{grants}: {}", page.text);
        let (csrf, id) = (page.hidden("csrf"), page.hidden("id"));
        let done = ann.form(&ann.ocore("/authorizations/revoke"), &[("csrf", &csrf), ("id", &id)]).await;
        assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/authorizations?done=revoked"), "{}", done.text);
        let revoked = Instant::now();
        while itself.request("tools/list", json!({})).await.0 != 401 {
            assert!(revoked.elapsed() < Duration::from_secs(2), "it is still let in");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }

        // The client too is refused, by both of its tokens, and asks the person again, who now says no.
        person.says_no_from_now_on();
        let before = witness.all().len();
        let refused = client.ask().await;
        assert!(refused["denied"].as_str().is_some_and(|why| !why.is_empty()), "{refused}");
        let after = witness.all().split_off(before);
        let calls: Vec<&Exchange> = after.iter().filter(|exchange| exchange.path == "/mcp").collect();
        assert!(calls.first().is_some_and(|call| call.token.is_some()), "{after:?}");
        assert!(calls.iter().all(|call| call.status == 401), "{after:?}");
        assert!(after.iter().all(|exchange| exchange.path != "/token" || exchange.status == 400), "{after:?}");
        assert_eq!(person.decided(2).await[1]["got"], "access_denied");
        let page = ann.get(&ann.ocore("/authorizations")).await;
        assert!(page.status == StatusCode::OK && !page.text.contains("name=\"id\" value=\""), "{}", page.text);
        client.end().await;
        let log = ocore.log();
        assert!(tokens.iter().all(|token| !log.contains(token.as_str())), "a token stands in the log");
    });
    ocore.stop("TERM");
}

/// Both of its scenarios of an authorization server: the metadata, and the authorization code grant as a person goes through it.
#[test]
fn the_official_conformance_suite_passes_for_the_authorization_server() {
    let Some(clients) = clients() else { return };
    let mut ocore = with_ann(None);
    run(async {
        // A public client, to which any port of this computer belongs.
        let metadata = json!({
            "client_name": "Conformance", "redirect_uris": ["http://127.0.0.1/callback"], "token_endpoint_auth_method": "none",
        });
        let http = Mcp::new(&ocore.url, "").http;
        let register = http.post(format!("{}/register", ocore.url)).header("content-type", "application/json");
        let registered = register.body(metadata.to_string()).send().await.expect("an answer");
        assert_eq!(registered.status(), StatusCode::CREATED);
        let registered: Value = serde_json::from_str(&registered.text().await.expect("a body")).expect("JSON");
        let id = registered["client_id"].as_str().expect("an id");

        let suite = clients.join("conformance/node_modules/@modelcontextprotocol/conformance/dist/index.js");
        let person = Person::new(clients);
        let port = TcpListener::bind("127.0.0.1:0").await.and_then(|free| free.local_addr()).expect("a port").port().to_string();
        let out = tempfile::tempdir().expect("a folder");
        let mut child = person
            .command(NODE)
            .arg(suite)
            .args(["authorization", "--url", &ocore.url, "--resource", &format!("{}/mcp", ocore.url)])
            .args(["--client-id", id, "-p", &port, "-o"])
            .arg(out.path())
            .stdin(Stdio::null())
            .spawn()
            .expect("the suite starts");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let page = format!("{}/authorize?", ocore.url);
        let mut text = String::new();
        while let Some(line) = tokio::time::timeout(PATIENCE, lines.next_line()).await.expect("it goes on").expect("a line") {
            // It prints the URL that a person is to open.
            if line.starts_with(&page) {
                let browser = root().join("tests/clients/browser");
                assert!(person.command_at(browser).arg(&line).status().await.expect("a browser").success());
            }
            text.push_str(&line);
            text.push('\n');
        }
        let status = tokio::time::timeout(PATIENCE, child.wait()).await.expect("it ends").expect("a status");
        println!("conformance authorization: {}", text.trim_end().lines().next_back().unwrap_or_default());
        assert!(status.success() && text.contains("Total: 3 passed, 0 failed"), "{text}\n{}", logs(person.folder.path()));
    });
    ocore.stop("TERM");
}

/// A server with Ann, and with that Odoo as `dev`.
fn with_ann(odoo: Option<&Odoo>) -> Ocore {
    let mut ocore = Ocore::new();
    if let Some(odoo) = odoo {
        ocore.instance("dev", odoo, &[]).ok();
    }
    let args = ["user", "create", "--email", ANN, "--org", "acme", "--role", "admin", "--password-stdin"];
    ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    ocore.serve();
    ocore
}
async fn signed_in(ocore: &Ocore) -> Browser {
    let port = ocore.url.rsplit(':').next().expect("a port").parse().expect("a port");
    let mut ann = Browser::new(port);
    let sign_in = ann.ocore("/sign-in");
    let csrf = ann.get(&sign_in).await.hidden("csrf");
    let done = ann.form(&sign_in, &[("csrf", csrf.as_str()), ("email", ANN), ("password", PASSWORD)]).await;
    assert_eq!((done.status, done.location()), (StatusCode::SEE_OTHER, "/"), "{}", done.text);
    ann
}

/// Ann with a browser of her own: what a client opens there is decided by `tests/clients/consent.mjs`.
struct Person {
    folder: TempDir,
    clients: PathBuf,
}
impl Person {
    fn new(clients: PathBuf) -> Self {
        Self { folder: tempfile::tempdir().expect("a folder"), clients }
    }
    /// A program of the clients' folder, on this person's desk.
    fn command(&self, program: &str) -> tokio::process::Command {
        self.command_at(self.clients.join(program))
    }
    fn command_at(&self, program: PathBuf) -> tokio::process::Command {
        let log = std::fs::OpenOptions::new().create(true).append(true).open(self.folder.path().join("client.log"));
        let mut command = tokio::process::Command::new(program);
        command
            // Clients keep tokens there.
            .env("HOME", self.folder.path())
            .env("BROWSER", root().join("tests/clients/browser"))
            .env("CLIENTS", &self.clients)
            .env("NODE", self.clients.join(NODE))
            .env("CONSENT_FOLDER", self.folder.path())
            .env("CONSENT_EMAIL", ANN)
            .env("CONSENT_PASSWORD", PASSWORD)
            .stdout(Stdio::piped())
            .stderr(log.expect("a log"))
            .kill_on_drop(true);
        command
    }
    fn says_no_from_now_on(&self) {
        std::fs::write(self.folder.path().join("deny"), "").expect("a file");
    }
    /// What was decided, so many times: it is written down a moment after the client has its answer.
    async fn decided(&self, times: usize) -> Vec<Value> {
        let begun = Instant::now();
        loop {
            let text = std::fs::read_to_string(self.folder.path().join("seen.jsonl")).unwrap_or_default();
            let seen: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            if seen.len() == times {
                return seen;
            }
            assert!(seen.len() < times && begun.elapsed() < Duration::from_secs(30), "{times}: {}", logs(self.folder.path()));
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// A request that came by, and how it was answered.
#[derive(Debug, Clone)]
struct Exchange {
    path: String,
    /// What it brought as `Authorization: Bearer`.
    token: Option<String>,
    body: String,
    status: u16,
}

/// What stands between a client and ocore, and sees what passes.
struct Witness {
    url: String,
    seen: Arc<Mutex<Vec<Exchange>>>,
}
impl Witness {
    async fn before(ocore: &Ocore) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let upstream = ocore.url.strip_prefix("http://").expect("a URL").to_owned();
        let seen: Arc<Mutex<Vec<Exchange>>> = Arc::default();
        let witness = Self { url, seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (upstream, seen) = (upstream.clone(), Arc::clone(&seen));
                tokio::spawn(async move {
                    // Clients may hang up whenever they like.
                    let _ = pass(client, &upstream, &seen).await;
                });
            }
        });
        witness
    }
    fn all(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    fn at(&self, path: &str) -> Vec<Exchange> {
        self.all().into_iter().filter(|exchange| exchange.path == path).collect()
    }
}

/// One request per connection, so that each of them comes by; Host stays, by which ocore knows its own URL.
async fn pass(mut client: TcpStream, upstream: &str, seen: &Mutex<Vec<Exchange>>) -> std::io::Result<()> {
    let mut text: Vec<u8> = Vec::new();
    let end = loop {
        if let Some(at) = text.windows(4).position(|four| four == b"\r\n\r\n") {
            break at + 4;
        }
        if client.read_buf(&mut text).await? == 0 {
            return Ok(());
        }
    };
    let head = String::from_utf8_lossy(&text[..end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
        })
    };
    let length: usize = header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    while text.len() < end + length {
        if client.read_buf(&mut text).await? == 0 {
            return Ok(());
        }
    }
    let (first, rest) = head.split_once("\r\n").unwrap_or_default();
    let kept: String =
        rest.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("connection:")).collect();
    let mut server = TcpStream::connect(upstream).await?;
    server.write_all(format!("{first}\r\nConnection: close\r\n{kept}").as_bytes()).await?;
    server.write_all(&text[end..]).await?;
    let mut answer: Vec<u8> = Vec::new();
    while !answer.contains(&b'\n') && server.read_buf(&mut answer).await? > 0 {}
    let status = String::from_utf8_lossy(&answer).split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or(0);
    let target = first.split(' ').nth(1).unwrap_or_default();
    let exchange = Exchange {
        path: target.split('?').next().unwrap_or_default().to_owned(),
        token: header("authorization").and_then(|value| value.strip_prefix("Bearer ").map(str::to_owned)),
        body: String::from_utf8_lossy(&text[end..]).into_owned(),
        status,
    };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(exchange);
    client.write_all(&answer).await?;
    tokio::io::copy_bidirectional(&mut client, &mut server).await?;
    Ok(())
}
