//! What is behind an instance breaks, one thing after the other: each is told by its own name within the deadline, and the others go on.
use std::{
    path::PathBuf,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite, copy_bidirectional},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
};

use crate::harness::{Mcp, Ocore, Odoo, Own, Reply, docker, run};

/// Stands between ocore and a real service, so that the service can stop for this test alone.
#[derive(Clone)]
struct Between {
    open: Arc<AtomicBool>,
    /// Takes connections and says nothing.
    silent: Arc<AtomicBool>,
}
impl Between {
    fn new() -> Self {
        Self { open: Arc::new(AtomicBool::new(true)), silent: Arc::new(AtomicBool::new(false)) }
    }
    fn docker(&self, at: PathBuf) {
        let this = self.clone();
        tokio::spawn(async move {
            loop {
                let listener = UnixListener::bind(&at).expect("a socket");
                while let Some(here) = this.next(async { listener.accept().await.map(|(stream, _)| stream) }).await {
                    this.join(here, UnixStream::connect("/var/run/docker.sock").await.expect("Docker"));
                }
                drop(listener);
                std::fs::remove_file(&at).expect("the socket");
                this.until(true).await;
            }
        });
    }
    async fn postgres(&self) -> u16 {
        let first = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = first.local_addr().expect("an address").port();
        let this = self.clone();
        tokio::spawn(async move {
            let mut listener = Some(first);
            loop {
                let own = match listener.take() {
                    Some(own) => own,
                    None => TcpListener::bind(("127.0.0.1", port)).await.expect("the port"),
                };
                while let Some(here) = this.next(async { own.accept().await.map(|(stream, _)| stream) }).await {
                    this.join(here, TcpStream::connect("127.0.0.1:15432").await.expect("PostgreSQL"));
                }
                drop(own);
                this.until(true).await;
            }
        });
        port
    }
    /// The next connection; none when it has stopped.
    async fn next<T>(&self, accept: impl Future<Output = std::io::Result<T>>) -> Option<T> {
        tokio::select! {
            accepted = accept => accepted.ok(),
            () = self.until(false) => None,
        }
    }
    fn join<A, B>(&self, mut here: A, mut there: B)
    where
        A: AsyncRead + AsyncWrite + Send + Unpin + 'static,
        B: AsyncRead + AsyncWrite + Send + Unpin + 'static,
    {
        let this = self.clone();
        tokio::spawn(async move {
            if this.silent.load(Ordering::SeqCst) {
                return tokio::time::sleep(Duration::from_mins(5)).await;
            }
            tokio::select! {
                _ = copy_bidirectional(&mut here, &mut there) => {}
                () = this.until(false) => {}
                () = async { while !this.silent.load(Ordering::SeqCst) { tokio::time::sleep(Duration::from_millis(20)).await; } } => {
                    tokio::time::sleep(Duration::from_mins(5)).await;
                }
            }
        });
    }
    async fn until(&self, open: bool) {
        while self.open.load(Ordering::SeqCst) != open {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    fn stop(&self) {
        self.open.store(false, Ordering::SeqCst);
    }
    /// What is open stays open and says nothing more, and so does what comes.
    fn hang(&self) {
        self.silent.store(true, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
    }
    fn start(&self) {
        self.silent.store(false, Ordering::SeqCst);
        self.open.store(true, Ordering::SeqCst);
    }
}
/// A call that is refused with that code, by the deadline that it was given, and told so that one can act on it.
async fn refused(mcp: &Mcp, tool: &str, mut arguments: Value, codes: &[&str]) -> Reply {
    arguments["timeout_seconds"] = json!(14);
    let began = Instant::now();
    let reply = mcp.call(tool, arguments).await;
    let took = began.elapsed();
    assert!(reply.is_error && codes.iter().any(|code| reply.body["code"] == *code), "{tool}: {reply:?}");
    assert!(!reply.body["next"].as_str().unwrap_or_default().is_empty(), "{tool}: {reply:?}");
    assert!(took < Duration::from_secs(16), "{tool} took {took:?}: {reply:?}");
    let text = reply.body.to_string();
    for secret in ["docker.sock", "15432", "ocore@", "panicked"] {
        assert!(!text.contains(secret), "{tool}: {text}");
    }
    reply
}
/// The other instance, read again and again: the slowest of 20.
async fn others(mcp: &Mcp) -> Duration {
    let mut slowest = Duration::ZERO;
    for _ in 0..20 {
        let began = Instant::now();
        mcp.call("other_search_read", json!({"model": "res.partner", "limit": 1})).await.ok();
        slowest = slowest.max(began.elapsed());
    }
    slowest
}

#[test]
fn what_is_behind_an_instance_stops_and_the_others_go_on() {
    let (Some(own), Some(shared)) = (Own::new(19, "faults"), Odoo::shared(14)) else { return };
    run(async {
        let folder = tempfile::tempdir().expect("a folder");
        let (dockerd, postgres) = (Between::new(), Between::new());
        let socket = folder.path().join("docker.sock");
        dockerd.docker(socket.clone());
        let port = postgres.postgres().await;
        let odoo = &own.odoo;

        let mut ocore = Ocore::new();
        ocore.cli(&["server", "update", "host", "--org", "acme", "--docker", &format!("unix://{}", socket.display())], "").ok();
        ocore.instance("dev", odoo, &["--container", &odoo.container]).ok();
        ocore.instance("other", &shared, &[]).ok();
        let url = format!("postgres://odoo_19:ocore@127.0.0.1:{port}/{}\n", odoo.database);
        ocore.cli(&["instance", "update", "dev", "--postgres-url-stdin"], &url).ok();
        ocore.cli(&["server", "create", "dead", "--org", "acme", "--docker", "unix:///nowhere/docker.sock"], "").ok();
        let mcp = ocore.serve().key(&[]).on(19);
        let sql = json!({"query": "SELECT count(*) FROM res_partner"});
        let shell = json!({"code": "print(1 + 1)", "confirm": true});
        let works = || async {
            let counted = mcp.call("dev_execute_sql", sql.clone()).await;
            let printed = mcp.call("dev_execute_shell", shell.clone()).await;
            (!counted.is_error, !printed.is_error)
        };
        assert_eq!(works().await, (true, true));
        // A job knows which Docker servers answer.
        let began = Instant::now();
        loop {
            let listed = ocore.cli(&["--json", "server", "list", "--org", "acme"], "").ok().json();
            let state = |name: &str| {
                let servers = listed.as_array().expect("servers");
                servers.iter().find(|s| s["name"] == name).map(|s| s["docker_health"].clone())
            };
            if (state("host"), state("dead")) == (Some(json!("up")), Some(json!("down"))) {
                break;
            }
            assert!(began.elapsed() < Duration::from_secs(30), "{listed}");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        let before = others(&mcp).await;
        let others_go_on = async |what: &str| {
            let slowest = others(&mcp).await;
            assert!(slowest < before * 5 + Duration::from_millis(300), "{what}: {slowest:?}, before {before:?}");
        };

        // Docker: stopped, then silent. What does not need it works.
        dockerd.stop();
        tokio::time::sleep(Duration::from_millis(200)).await;
        refused(&mcp, "dev_execute_shell", shell.clone(), &["unreachable"]).await;
        refused(&mcp, "dev_odoo_logs", json!({}), &["unreachable"]).await;
        mcp.call("dev_execute_sql", sql.clone()).await.ok();
        mcp.call("dev_search_read", json!({"model": "res.partner", "limit": 1})).await.ok();
        others_go_on("Docker stopped").await;
        dockerd.hang();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stuck: Vec<_> = (0..4)
            .map(|_| {
                let (mcp, shell) = (mcp.at("/mcp"), shell.clone());
                tokio::spawn(async move {
                    // Whether the code has begun cannot be known when Docker falls silent in the middle.
                    refused(&mcp, "dev_execute_shell", shell, &["unreachable", "timeout", "outcome_unknown"]).await
                })
            })
            .collect();
        others_go_on("Docker silent").await;
        for one in stuck {
            one.await.expect("a refusal in time");
        }
        dockerd.start();
        tokio::time::sleep(Duration::from_millis(200)).await;
        assert_eq!(works().await, (true, true), "Docker is back");

        // The database: down, then silent. Odoo itself still reaches it here, so RPC goes on.
        postgres.stop();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let down = refused(&mcp, "dev_execute_sql", sql.clone(), &["unreachable"]).await;
        assert!(down.body["message"].as_str().unwrap_or_default().contains("PostgreSQL server of dev"), "{down:?}");
        others_go_on("the database down").await;
        postgres.hang();
        tokio::time::sleep(Duration::from_millis(200)).await;
        let stuck: Vec<_> = (0..4)
            .map(|_| {
                let (mcp, sql) = (mcp.at("/mcp"), sql.clone());
                tokio::spawn(async move { refused(&mcp, "dev_execute_sql", sql, &["unreachable", "timeout"]).await })
            })
            .collect();
        others_go_on("the database silent").await;
        for one in stuck {
            one.await.expect("a refusal in time");
        }
        postgres.start();
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(works().await, (true, true), "the database is back");

        // The container: paused, stopped, gone.
        docker(&["pause", &odoo.container]);
        refused(&mcp, "dev_execute_shell", shell.clone(), &["unreachable"]).await;
        refused(&mcp, "dev_search_read", json!({"model": "res.partner", "limit": 1}), &["timeout", "unreachable"]).await;
        others_go_on("the container paused").await;
        docker(&["unpause", &odoo.container]);
        docker(&["stop", "-t", "2", &odoo.container]);
        refused(&mcp, "dev_execute_shell", shell.clone(), &["unreachable"]).await;
        refused(&mcp, "dev_search_read", json!({"model": "res.partner", "limit": 1}), &["unreachable"]).await;
        mcp.call("dev_execute_sql", sql.clone()).await.ok();
        others_go_on("the container stopped").await;
        let _ = Command::new("docker").args(["rm", "-f", "-v", &odoo.container]).output();
        let gone = refused(&mcp, "dev_execute_shell", shell.clone(), &["not_configured", "unreachable"]).await;
        assert!(gone.body["message"].as_str().unwrap_or_default().contains(&odoo.container), "{gone:?}");
        others_go_on("the container gone").await;

        // Each has its row, with what became of it.
        let rows =
            ocore.cli(&["--json", "audit", "list", "--org", "acme", "--instance", "dev", "--limit", "100"], "").ok().json();
        let rows = rows.as_array().expect("rows");
        let shells: Vec<_> = rows.iter().filter(|row| row["tool"] == "execute_shell").collect();
        assert!(shells.len() >= 10 && shells.iter().all(|row| row["outcome"] != "begun"), "{}", shells.len());
    });
}

struct Unmount(PathBuf);
impl Drop for Unmount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing_behind() {
    let Some(odoo) = Odoo::fresh(19, "full-disk") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let small = folder.path().join("small");
    std::fs::create_dir_all(&small).expect("a folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(&small).output();
    if !mounted.as_ref().is_ok_and(|o| o.status.success()) {
        return crate::harness::cannot_run("a small file system cannot be mounted (root is wanted)");
    }
    let _unmount = Unmount(small.clone());
    run(async {
        let mut ocore = Ocore::new();
        let root = folder.path().to_str().expect("a path");
        let addons = small.join("addons");
        std::fs::create_dir_all(addons.join("shop")).expect("a folder");
        std::fs::write(addons.join("shop/__manifest__.py"), "{'name': 'Shop'}\n").expect("a file");
        let server =
            ["server", "update", "host", "--org", "acme", "--docker", "unix:///var/run/docker.sock", "--path-root", root];
        ocore.cli(&server, "").ok();
        ocore.instance("dev", &odoo, &["--container", &odoo.container, "--addons", addons.to_str().expect("a path")]).ok();
        let backups = small.join("backups");
        let change = [
            "instance",
            "update",
            "dev",
            "--postgres-container",
            "ocore-test-pg",
            "--backups",
            backups.to_str().expect("a path"),
        ];
        ocore.cli(&change, "").ok();
        let url = format!("postgres://odoo_19:ocore@127.0.0.1:15432/{}\n", odoo.database);
        ocore.cli(&["instance", "update", "dev", "--postgres-url-stdin"], &url).ok();
        let mcp = ocore.serve().key(&[]).on(19);

        let listed = mcp.call("dev_file_browse", json!({})).await.ok();
        let path = format!("{}/__manifest__.py", listed["addons"][0].as_str().expect("an addon"));
        let big = json!({"path": path, "mode": "full_content", "content": "x".repeat(200_000)});
        let full = mcp.call("dev_file_write", big).await;
        assert!(full.is_error && full.body["message"].as_str().unwrap_or_default().contains("full"), "{full:?}");
        assert_eq!(std::fs::read_to_string(addons.join("shop/__manifest__.py")).unwrap(), "{'name': 'Shop'}\n");
        let left = std::fs::read_dir(addons.join("shop")).unwrap().count();
        assert_eq!(left, 1, "nothing half-written stays");

        let mut reply = mcp.call("dev_backup_database", json!({})).await;
        let began = Instant::now();
        while !reply.is_error && reply.body["operation"]["state"] == "running" {
            assert!(began.elapsed() < Duration::from_mins(2), "{reply:?}");
            reply = mcp.call("dev_backup_database", json!({})).await;
        }
        let said = reply.body["message"].as_str().unwrap_or_default().to_owned();
        assert!(reply.is_error && (said.contains("free") && !said.contains(root)), "{reply:?}");
        let listed = mcp.call("dev_list_backups", json!({})).await.ok();
        assert!(!listed.to_string().contains("\"good\""), "{listed}");
    });
}
