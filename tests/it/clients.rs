//! Real clients that other people wrote: both lines of the Python SDK, and the official conformance suite.
use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
    time::Duration,
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader, Lines},
    net::{TcpListener, TcpStream},
    process::{Child, ChildStdout},
};

use crate::harness::{Ocore, Odoo, cannot_run, root, run};

/// Where `tests/clients/setup` put the clients; installed when they are not there yet.
pub fn clients() -> Option<PathBuf> {
    static DIR: OnceLock<Option<PathBuf>> = OnceLock::new();
    DIR.get_or_init(|| {
        let output = Command::new(root().join("tests/clients/setup")).output().expect("a shell");
        if output.status.success() {
            return Some(String::from_utf8_lossy(&output.stdout).trim().into());
        }
        cannot_run(&format!("the clients cannot be installed: {}", String::from_utf8_lossy(&output.stderr)));
        None
    })
    .clone()
}

/// Node 22, which the suite and the Inspector want, below the clients' folder.
pub const NODE: &str = "conformance/node_modules/.bin/node";

/// What a person did and saw in Chromium: runs a script of `tests/clients` and gives the line of JSON that it prints.
pub async fn in_chromium(clients: &Path, script: &str, args: &[&str]) -> Value {
    let output = tokio::process::Command::new(clients.join(NODE))
        .arg(root().join("tests/clients").join(script))
        .args(args)
        .env("CLIENTS", clients)
        .kill_on_drop(true)
        .output()
        .await
        .expect("node");
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{script}: {said}");
    serde_json::from_str(said.lines().find(|line| line.starts_with('{')).expect("what was seen")).expect("JSON")
}

/// How long a client, with its person and Chromium, may take on a busy machine.
pub const PATIENCE: Duration = Duration::from_mins(5);

/// A script of `tests/clients` that runs: it prints a line of JSON, and one more for each that it reads.
pub struct Running {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
    folder: PathBuf,
}
impl Running {
    /// `folder` is where client and person leave what [`logs`] shows.
    pub fn start(mut command: tokio::process::Command, folder: &Path) -> Self {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().expect("the client starts");
        let lines = BufReader::new(child.stdout.take().expect("stdout")).lines();
        Self { child, lines, folder: folder.to_owned() }
    }
    pub async fn told(&mut self) -> Value {
        match tokio::time::timeout(PATIENCE, self.lines.next_line()).await {
            Ok(Ok(Some(line))) => serde_json::from_str(&line).unwrap_or_else(|e| panic!("{e}: {line}")),
            other => panic!("the client told nothing ({other:?}):\n{}", logs(&self.folder)),
        }
    }
    pub async fn ask(&mut self) -> Value {
        let stdin = self.child.stdin.as_mut().expect("stdin");
        stdin.write_all(b"again\n").await.expect("it reads");
        self.told().await
    }
    pub async fn end(mut self) {
        drop(self.child.stdin.take());
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("it ends").expect("a status");
        assert!(status.success(), "{status}:\n{}", logs(&self.folder));
    }
}
/// What client and Chromium left, for who looks after a failure.
pub fn logs(folder: &Path) -> String {
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap_or_default();
    ["seen.jsonl", "consent.log", "client.log"].map(|name| format!("{name}:\n{}", read(name))).join("\n")
}

fn python(dir: &Path, line: &str, script: &str, args: &[&str]) -> Value {
    let output = Command::new(dir.join(line).join("bin/python"))
        .arg(root().join("tests/clients").join(script))
        .args(args)
        .output()
        .expect("python");
    assert!(output.status.success(), "{script} {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("JSON")
}

fn created(odoo: &Odoo, answer: &Value, name: &str) {
    let id = &answer["created"][0];
    assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {id}")), name);
}

#[test]
fn python_sdk_2_speaks_the_stateless_era() {
    let (Some(odoo), Some(dir)) = (Odoo::shared(19), clients()) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    let mcp = ocore.serve().key(&[]);
    let answer = python(&dir, "mcp2", "mcp2_modern.py", &[&format!("{}/mcp", ocore.url), &mcp.key, "dev_"]);
    created(&odoo, &answer, "Python mcp 2");
    // The same at the other URL, and at the URL of the one instance, where tools have no prefix.
    python(&dir, "mcp2", "mcp2_modern.py", &[&format!("{}/api/mcp/stream", ocore.url), &mcp.key, "dev_"]);
    python(&dir, "mcp2", "mcp2_modern.py", &[&format!("{}/mcp/i/dev", ocore.url), &mcp.key, ""]);
}

#[test]
fn python_sdk_1_speaks_the_older_eras() {
    let (Some(odoo), Some(dir)) = (Odoo::shared(14), clients()) else { return };
    for sessions in ["false", "true"] {
        let mut ocore = Ocore::new();
        ocore.env("OCORE_LEGACY_SESSIONS", sessions);
        ocore.instance("dev", &odoo, &[]).ok();
        let mcp = ocore.serve().key(&[]);
        let answer = python(&dir, "mcp1", "mcp1_legacy.py", &["http", &format!("{}/mcp", ocore.url), &mcp.key, "dev_"]);
        assert_eq!(answer["protocol"], "2025-11-25");
        created(&odoo, &answer, "Python mcp 1 http");
        let answer = python(&dir, "mcp1", "mcp1_legacy.py", &["sse", &format!("{}/api/mcp/sse", ocore.url), &mcp.key, "dev_"]);
        created(&odoo, &answer, "Python mcp 1 sse");
    }
}

/// The suite's fixture stands behind the build feature `conformance`, so it runs against a program of its own.
#[test]
fn the_official_conformance_suite_passes_for_both_requirement_sets() {
    let Some(dir) = clients() else { return };
    let Some(program) = std::env::var_os("OCORE_CONFORMANCE_PROGRAM") else {
        return cannot_run("OCORE_CONFORMANCE_PROGRAM does not name an ocore built with --features conformance (make test does)");
    };
    let mut ocore = Ocore::with_program(program.into());
    ocore.env("OCORE_LEGACY_SESSIONS", "true");
    let mcp = ocore.serve().key(&[]);
    run(async {
        // The suite cannot send a key, so a proxy adds it.
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = listener.local_addr().unwrap();
        let upstream = ocore.url.strip_prefix("http://").unwrap().to_owned();
        tokio::spawn(bearer_proxy(listener, upstream, mcp.key.clone()));
        for requirements in ["2025-11-25", "2026-07-28"] {
            let modules = dir.join("conformance/node_modules");
            let out = tempfile::tempdir().unwrap();
            let output = tokio::process::Command::new(modules.join(".bin/node"))
                .arg(modules.join("@modelcontextprotocol/conformance/dist/index.js"))
                .args(["server", "--url", &format!("http://{proxy}/mcp"), "--requirements", requirements, "-o"])
                .arg(out.path())
                .output()
                .await
                .unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let tail: Vec<&str> = text.lines().rev().take(40).collect();
            println!("conformance {requirements}: {}", tail.first().unwrap_or(&""));
            assert!(
                output.status.success(),
                "{requirements}:\n{}\n{}",
                tail.into_iter().rev().collect::<Vec<_>>().join("\n"),
                String::from_utf8_lossy(&output.stderr)
            );
        }
    });
}

/// One request per connection: the head gets the key and `Connection: close`, everything else passes as it is.
async fn bearer_proxy(listener: TcpListener, upstream: String, key: String) {
    while let Ok((mut client, _)) = listener.accept().await {
        let (upstream, key) = (upstream.clone(), key.clone());
        tokio::spawn(async move {
            let mut head = Vec::new();
            while !head.windows(4).any(|w| w == b"\r\n\r\n") {
                if client.read_buf(&mut head).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            let text = String::from_utf8_lossy(&head).into_owned();
            let (first, rest) = text.split_once("\r\n").unwrap();
            let kept: String = rest
                .split_inclusive("\r\n")
                .scan(false, |body, line| {
                    // Behind the empty line is the body's beginning.
                    let keep = *body || !line.to_ascii_lowercase().starts_with("connection:");
                    *body |= line == "\r\n";
                    Some(if keep { line } else { "" })
                })
                .collect();
            let Ok(mut server) = TcpStream::connect(&upstream).await else { return };
            let head = format!("{first}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n{kept}");
            if server.write_all(head.as_bytes()).await.is_ok() {
                let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            }
        });
    }
}
