//! The ways to Docker: a socket, TLS (a second dockerd with --tlsverify, and a terminator before the first), ssh (a real sshd).
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use super::{LABEL, Own, docker, image, settings, socket};
use crate::docker::{
    Error,
    container::{Container, Options},
    endpoint::{Endpoint, Endpoints, Kind, Settings, Ssh, Tls},
    exec::{Exit, Limits, Program, Why},
    logs::{Level, Query, Source},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn folder(name: &str) -> PathBuf {
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/test-endpoint")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).unwrap();
    path
}
#[allow(clippy::disallowed_methods)]
fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).unwrap()
}
fn sh(folder: &PathBuf, script: &str) {
    let out = Command::new("sh").args(["-ec", script]).current_dir(folder).output().unwrap();
    assert!(out.status.success(), "{script}: {}", String::from_utf8_lossy(&out.stderr));
}
fn python(code: &str) -> Program {
    Program { argv: vec!["python3".into(), "-c".into(), code.into()], ..Program::default() }
}
/// A way in is good for everything: big inputs and outputs, kills by deadline and by dropping, logs.
async fn serves(endpoint: &Endpoint, own: &Own) {
    let health = endpoint.check().await.unwrap();
    assert!(health.problems.is_empty(), "{health:?}");
    let container = Container::new(endpoint.clone(), &own.name, Options::default()).unwrap();
    let program = Program { stdin: vec![b'x'; 3 << 20].into(), ..python("import sys; sys.stdout.write(sys.stdin.read())") };
    let ended = container.run(&program, &Limits { head: 4 << 20, ..Limits::default() }).await.unwrap();
    assert_eq!((ended.exit, ended.stdout.head.len()), (Exit::Code(0), 3 << 20));
    let limits = Limits { deadline: Duration::from_secs(1), ..Limits::default() };
    let ended = container.run(&python("import os\nos.fork()\nwhile True: pass"), &limits).await.unwrap();
    assert_eq!(ended.exit, Exit::Killed(Why::Deadline));
    let mut running = container
        .start(
            &python("import os, time\nos.fork()\nprint(1, flush=True)\ntime.sleep(100)"),
            &Limits { deadline: Duration::from_secs(100), ..Limits::default() },
        )
        .await
        .unwrap();
    running.next().await.unwrap();
    drop(running);
    own.settles_at(0);
    let began = Instant::now();
    for _ in 0..10 {
        endpoint.ping().await.unwrap();
    }
    println!("{}: a ping takes {:?}", endpoint.at(), began.elapsed() / 10);
}

#[tokio::test]
async fn a_socket_and_what_is_wrong_with_it() {
    let own = Own::idle("socket", 19);
    serves(&socket(), &own).await;
    let of = |path: PathBuf| Endpoint::new(Kind::Unix(path), settings()).unwrap();
    let place = folder("socket");
    let error = of(place.join("none.sock")).ping().await.unwrap_err();
    assert!(matches!(error, Error::SocketMissing { .. }), "{error}");
    // A socket that nobody listens at any more.
    drop(std::os::unix::net::UnixListener::bind(place.join("dead.sock")).unwrap());
    let error = of(place.join("dead.sock")).ping().await.unwrap_err();
    assert!(matches!(error, Error::SocketDead { .. }), "{error}");
    // Somebody else answers.
    let listener = tokio::net::UnixListener::bind(place.join("other.sock")).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.write_all(b"SSH-2.0-OpenSSH\r\n").await;
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    let error = of(place.join("other.sock")).ping().await.unwrap_err();
    assert!(matches!(error, Error::NotDocker { .. }), "{error:?}");
    // Nobody answers.
    let _silent = std::os::unix::net::UnixListener::bind(place.join("silent.sock")).unwrap();
    let quick = Settings { answer: Duration::from_millis(300), connect: Duration::from_millis(300), ..settings() };
    let began = Instant::now();
    let error = Endpoint::new(Kind::Unix(place.join("silent.sock")), quick).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Timeout { .. }) && began.elapsed() < Duration::from_secs(2), "{error}");
    // A proxy that forbids.
    let listener = tokio::net::UnixListener::bind(place.join("proxy.sock")).unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nForbidden").await;
        }
    });
    let error = of(place.join("proxy.sock")).version().await.unwrap_err();
    assert!(matches!(error, Error::Forbidden { .. }), "{error}");
    // Permission: root passes by it, so a user without rights asks.
    if Command::new("id").arg("-u").output().unwrap().stdout == b"0\n" {
        println!("not tried here: a socket without permission (the test runs as root, whom none is denied)");
    } else {
        let locked = place.join("locked.sock");
        let _keep = std::os::unix::net::UnixListener::bind(&locked).unwrap();
        sh(&place, "chmod 000 locked.sock");
        assert!(matches!(of(locked).ping().await.unwrap_err(), Error::SocketDenied { .. }));
    }
    // A cache gives one endpoint for a generation.
    let cache = Endpoints::default();
    let mut made = 0;
    for generation in [1, 1, 2] {
        cache
            .get("server", generation, || {
                made += 1;
                Ok(socket())
            })
            .unwrap();
    }
    assert_eq!(made, 2);
}

/// CA, server and client certificates; and a client's of another CA.
fn certificates() -> PathBuf {
    let place = folder("tls");
    sh(
        &place,
        r#"
        for ca in ca other; do
            openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $ca.key -out $ca.pem -days 2 -subj /CN=$ca -addext basicConstraints=critical,CA:TRUE 2>/dev/null
        done
        make() { # name, CA, extensions
            openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout $1.key -out $1.csr -subj /CN=$1 2>/dev/null
            printf '%s\n' "$3" > $1.ext
            openssl x509 -req -in $1.csr -CA $2.pem -CAkey $2.key -CAcreateserial -days 2 -extfile $1.ext -out $1.pem 2>/dev/null
        }
        make server ca "subjectAltName=DNS:localhost,IP:127.0.0.1"
        make client ca extendedKeyUsage=clientAuth
        make stranger other extendedKeyUsage=clientAuth
    "#,
    );
    place
}
fn tls(place: &std::path::Path, port: u16) -> Tls {
    let text = |name: &str| read(place.join(name));
    Tls { host: "127.0.0.1".into(), port, ca: text("ca.pem"), certificate: text("client.pem"), key: text("client.key").into() }
}
struct Daemon(Child);
impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.0.id().to_string()).status();
        let _ = self.0.wait();
    }
}

struct Mounted(PathBuf);
impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
    }
}

// The terminator goes on while the test waits.
#[tokio::test(flavor = "multi_thread")]
async fn tls_with_certificates_on_both_sides() {
    let place = certificates();
    let wrong = |f: &dyn Fn(&mut Tls)| {
        let mut tls = tls(&place, 2);
        f(&mut tls);
        Endpoint::new(Kind::Tls(tls), settings()).unwrap_err().to_string()
    };
    assert!(wrong(&|t| t.ca = "nothing".into()).starts_with("The CA for Docker cannot be used: there is no CERTIFICATE block"));
    assert!(wrong(&|t| t.key = "nothing".to_owned().into()).contains("client key"));
    assert!(wrong(&|t| t.key = read(place.join("stranger.key")).into()).contains("certificate and key"));

    // A dockerd of its own, as it is set up for remote use.
    let port = 23761;
    let dockerd = Command::new("dockerd")
        .args(["--data-root", place.join("data").to_str().unwrap(), "--exec-root", place.join("exec").to_str().unwrap()])
        .args(["--pidfile", place.join("pid").to_str().unwrap(), "--bridge=none", "--iptables=false", "--ip6tables=false"])
        .args(["--containerd", "/run/docker/containerd/containerd.sock", "--containerd-namespace", "ocore-docker-test"])
        .args(["--containerd-plugins-namespace", "ocore-docker-test-plugins"])
        .args(["--tlsverify", "--tlscacert", place.join("ca.pem").to_str().unwrap()])
        .args(["--tlscert", place.join("server.pem").to_str().unwrap(), "--tlskey", place.join("server.key").to_str().unwrap()])
        .args(["-H", &format!("tcp://127.0.0.1:{port}")])
        .stdout(Stdio::null())
        .stderr(std::fs::OpenOptions::new().create(true).append(true).open(place.join("log")).unwrap())
        .spawn();
    match dockerd {
        Err(error) => println!("not tried here: a second dockerd ({error})"),
        Ok(child) => {
            // A dockerd mounts its data folder over itself and leaves it so: the folder could not be removed.
            let _mounted = Mounted(place.join("data"));
            let _daemon = Daemon(child);
            let endpoint = Endpoint::new(Kind::Tls(tls(&place, port)), settings()).unwrap();
            let mut answered = endpoint.ping().await;
            for _ in 0..100 {
                if answered.is_ok() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
                answered = endpoint.ping().await;
            }
            answered.unwrap_or_else(|error| panic!("{error}: {}", read(place.join("log"))));
            println!("dockerd with --tlsverify: {:?}", endpoint.check().await.unwrap());
            let with = |f: &dyn Fn(&mut Tls), settings: Settings| {
                let mut tls = tls(&place, port);
                f(&mut tls);
                Endpoint::new(Kind::Tls(tls), settings).unwrap()
            };
            let error = with(&|t| t.ca = read(place.join("other.pem")), settings()).ping().await.unwrap_err();
            println!("{error}");
            assert!(matches!(error, Error::TlsServer { .. }), "{error:?}");
            let stranger = |t: &mut Tls| {
                t.certificate = read(place.join("stranger.pem"));
                t.key = read(place.join("stranger.key")).into();
            };
            // The refusal races with the first request, and is told either way.
            for _ in 0..50 {
                let error = with(&stranger, settings()).ping().await.unwrap_err();
                assert!(matches!(error, Error::TlsClient { .. }), "{error:?}");
            }
            let strict = Settings { allowed: Arc::new(|_| false), ..settings() };
            let error = with(&|_| (), strict).ping().await.unwrap_err();
            assert!(matches!(error, Error::AddressRefused { .. }), "{error:?}");
            let error = with(&|t| t.host = "no-such-host.invalid".into(), settings()).ping().await.unwrap_err();
            assert!(matches!(error, Error::Unresolved { .. }), "{error:?}");
        }
    }
    let error = Endpoint::new(Kind::Tls(tls(&place, 1)), settings()).unwrap().ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { port: 1, .. }), "{error:?}");
    // A port without TLS.
    let plain = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let plain_port = plain.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = plain.accept().await {
            let _ = stream.read(&mut [0; 2048]).await;
            let _ = stream.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n").await;
        }
    });
    let error = Endpoint::new(Kind::Tls(tls(&place, plain_port)), settings()).unwrap().ping().await.unwrap_err();
    assert!(matches!(&error, Error::TlsServer { why, .. } if why.contains("does not speak TLS")), "{error:?}");

    // A terminator before the daemon that has containers: everything works through TLS.
    let own = Own::idle("tls", 19);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = acceptor(&place);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let mut daemon = tokio::net::UnixStream::connect("/var/run/docker.sock").await.unwrap();
                let _ = tokio::io::copy_bidirectional(&mut inside, &mut daemon).await;
            });
        }
    });
    let mut by_name = tls(&place, port);
    by_name.host = "localhost".into();
    serves(&Endpoint::new(Kind::Tls(by_name), settings()).unwrap(), &own).await;
}
fn acceptor(place: &std::path::Path) -> tokio_rustls::TlsAcceptor {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let text = |name: &str| read(place.join(name));
    let certs = |name: &str| CertificateDer::pem_slice_iter(text(name).as_bytes()).collect::<Result<Vec<_>, _>>().unwrap();
    let mut roots = rustls::RootCertStore::empty();
    roots.add(certs("ca.pem").remove(0)).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier =
        rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone()).build().unwrap();
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(certs("server.pem"), PrivateKeyDer::from_pem_slice(text("server.key").as_bytes()).unwrap())
        .unwrap();
    Arc::new(config).into()
}

#[tokio::test]
async fn ssh_with_a_key() {
    let place = folder("ssh");
    sh(&place, "ssh-keygen -q -t ed25519 -N '' -f key; ssh-keygen -q -t ed25519 -N '' -f other");
    let base = docker(&["images", "--format", "{{.Repository}}:{{.Tag}}"]);
    let base = base.lines().find(|line| line.starts_with("ocore-test-base-bookworm:")).unwrap();
    let built = Command::new("docker")
        .env("DOCKER_BUILDKIT", "0")
        .args(["build", "-q", "--network", "host", "-t", "ocore-docker-test-sshd:1", "--label", LABEL])
        .args(["--build-arg", &format!("BASE={base}"), concat!(env!("CARGO_MANIFEST_DIR"), "/tests/docker/sshd")])
        .output()
        .unwrap();
    if !built.status.success() {
        println!("not tried here: ssh (no sshd to be had: {})", String::from_utf8_lossy(&built.stderr));
        return;
    }
    let client = String::from_utf8(Command::new("sh").args(["-c", "command -v docker"]).output().unwrap().stdout).unwrap();
    let host = Own::run(
        "sshd",
        &[
            "-p",
            "127.0.0.1::22",
            "-v",
            "/var/run/docker.sock:/var/run/docker.sock",
            "-v",
            &format!("{}:/usr/bin/docker:ro", client.trim()),
            "ocore-docker-test-sshd:1",
        ],
    );
    let public = read(place.join("key.pub"));
    docker(&[
        "exec",
        &host.name,
        "sh",
        "-ec",
        &format!(
            "for u in deploy outsider; do mkdir -p /home/$u/.ssh; echo '{}' > /home/$u/.ssh/authorized_keys; chown -R $u /home/$u/.ssh; done; groupadd -o -g $(stat -c %g /var/run/docker.sock) sock; usermod -aG sock deploy",
            public.trim()
        ),
    ]);
    let port: u16 = docker(&["port", &host.name, "22/tcp"]).rsplit(':').next().unwrap().parse().unwrap();
    let host_key = docker(&["exec", &host.name, "cat", "/etc/ssh/ssh_host_ed25519_key.pub"]);
    let ssh = Ssh {
        host: "127.0.0.1".into(),
        port,
        user: "deploy".into(),
        key: read(place.join("key")).into(),
        known_hosts: format!("[127.0.0.1]:{port} {host_key}"),
    };
    let of = |ssh: Ssh| Endpoint::new(Kind::Ssh(ssh), settings()).unwrap();
    let own = Own::idle("by-ssh", 19);
    // A name may stand for ::1 too, where nothing is published.
    of(Ssh { host: "localhost".into(), known_hosts: format!("[localhost]:{port} {host_key}"), ..ssh.clone() })
        .ping()
        .await
        .unwrap();
    serves(&of(ssh.clone()), &own).await;

    for (what, ssh, said) in [
        ("a key that is not allowed", Ssh { key: read(place.join("other")).into(), ..ssh.clone() }, "Permission denied"),
        ("another host's key", Ssh { known_hosts: format!("[127.0.0.1]:{port} {public}"), ..ssh.clone() }, "verification failed"),
        ("an unknown host", Ssh { known_hosts: format!("elsewhere {host_key}"), ..ssh.clone() }, "verification failed"),
        ("a user without Docker", Ssh { user: "outsider".into(), ..ssh.clone() }, "permission denied"),
    ] {
        let error = of(ssh).ping().await.unwrap_err();
        println!("{what}: {error}");
        assert!(
            matches!(&error, Error::Ssh { why, .. } if why.to_lowercase().contains(&said.to_lowercase())),
            "{what}: {error:?}"
        );
    }
    let error = of(Ssh { port: 1, known_hosts: format!("[127.0.0.1]:1 {host_key}"), ..ssh.clone() }).ping().await.unwrap_err();
    assert!(matches!(error, Error::Unreachable { port: 1, .. }), "{error:?}");
    for bad in [
        Ssh { host: "-oProxyCommand=x".into(), ..ssh.clone() },
        Ssh { user: "a b".into(), ..ssh.clone() },
        Ssh { known_hosts: " ".into(), ..ssh.clone() },
    ] {
        assert!(matches!(Endpoint::new(Kind::Ssh(bad), settings()), Err(Error::SshSettings { .. })));
    }
}

#[tokio::test]
async fn a_container_is_described_without_its_secrets() {
    let own = Own::run(
        "described",
        &[
            "-e",
            "PASSWORD=s3cret",
            "-v",
            "/tmp:/mnt/extra-addons:ro",
            "-p",
            "127.0.0.1::8069",
            "--entrypoint",
            "sleep",
            &image(19),
            "infinity",
        ],
    );
    let found = own.container().describe().await.unwrap();
    println!("{found:?}");
    assert!(found.state == "running" && found.user == "odoo" && found.environment.contains("PASSWORD"));
    assert!(!format!("{found:?}").contains("s3cret"));
    let addons = found.mounts.iter().find(|mount| mount.destination == "/mnt/extra-addons").unwrap();
    assert!(addons.source == "/tmp" && !addons.writable && addons.kind == "bind");
    assert!(found.published["8069/tcp"][0].starts_with("127.0.0.1:") && found.addresses.contains_key("ocore-test"));
    let flagged = Own::run("flagged", &["--entrypoint", "sleep", &image(19), "infinity", "--db_password=s3cret", "-w", "s3cret"]);
    assert!(!format!("{:?}", flagged.container().describe().await.unwrap()).contains("s3cret"));
    let error = Container::new(socket(), "../images/json", Options::default()).unwrap_err();
    assert!(matches!(error, Error::Argument { .. }));
    let error = own.container().serves(8069, Duration::from_secs(2)).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::NotServing { .. }), "{error:?}");
    // A container that dies at its start.
    let dying = Own::run("restarting", &["--restart", "always", "--entrypoint", "sh", &image(19), "-c", "exit 3"]);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let error = dying.container().run(&python("pass"), &Limits::default()).await.unwrap_err();
    println!("{error}");
    assert!(matches!(error, Error::Restarting { .. } | Error::NotRunning { .. }), "{error:?}");
}

#[tokio::test]
async fn logs_by_docker_with_and_without_a_terminal() {
    let script = r#"
import sys, time
def line(level, text, stream=sys.stderr.buffer, db="shop", logger="odoo.x"):
    now = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime())
    stream.write(("%s,001 7 %s %s %s: " % (now, level, db, logger)).encode() + text + b"\n"); stream.flush()
line("INFO", "caf\u00e9 \u65e5\u672c".encode())
line("INFO", b"on stdout", sys.stdout.buffer)
line("WARNING", b"password=s3cret")
line("ERROR", b"boom\nTraceback (most recent call last):\n  File \"a\", line 1\nValueError: x", db="?")
line("INFO", b"y" * 1048576)
line("INFO", b"\xff\xfe\x00\x01 garbage", db="other")
sys.stdout.buffer.write(b"no odoo line\n"); sys.stdout.flush()
time.sleep(1.5)
for i in range(3000): line("DEBUG", b"n%d" % i)
line("INFO", b"last")
time.sleep(1000)
"#;
    for tty in [false, true] {
        let mut args = vec!["--entrypoint", "python3"];
        if tty {
            args.push("-t");
        }
        let tag = image(19);
        args.extend([tag.as_str(), "-c", script]);
        let own = Own::run(if tty { "log-tty" } else { "log" }, &args);
        let container = own.container();
        let redact = |text: &str| text.replace("s3cret", "[…]");
        tokio::time::sleep(Duration::from_millis(700)).await;
        let ask = async |query: Query| container.logs(&Source::Docker, &query, &redact, Duration::from_secs(20)).await.unwrap();
        let found = ask(Query::default()).await;
        let of =
            |text: &str| found.records.iter().find(|r| r.message.contains(text)).unwrap_or_else(|| panic!("{text}: {found:?}"));
        assert_eq!((of("café 日本").level, of("on stdout").database.as_deref()), (Some(Level::Info), Some("shop")));
        assert_eq!(of("password").message, "password=[…]");
        // Whatever order Docker gives the two streams, the traceback is its record's.
        assert!(of("boom").database.is_none() && of("boom").detail.contains(&"ValueError: x".to_owned()));
        assert!(of("yyy").left_out > 1_000_000 && of("garbage").database.as_deref() == Some("other"));
        assert!(found.records.iter().any(|r| r.message == "no odoo line" || r.detail.contains(&"no odoo line".to_owned())));

        let mut following = container.follow(Query { lines: 0, ..Query::default() }).await.unwrap();
        let began = Instant::now();
        let first = following.next(&redact).await.unwrap().unwrap();
        assert_eq!(first.message, "n0");
        let mut count = 1;
        while following.next(&redact).await.unwrap().unwrap().message != "last" {
            count += 1;
        }
        assert_eq!(count, 3000);
        println!("followed 3000 records in {:?}", began.elapsed());
        drop(following);

        assert_eq!(ask(Query { level: Some(Level::Warning), ..Query::default() }).await.records.len(), 2);
        let debug = ask(Query { text: Some("N29".into()), lines: 1000, ..Query::default() }).await;
        assert_eq!(debug.matching, 111, "n29, n290 to n299, n2900 to n2999");
        let thousand = ask(Query { lines: 5000, ..Query::default() }).await;
        assert_eq!(thousand.records.len(), 1000);
        assert_eq!(thousand.records.last().unwrap().message, "last");
        assert_eq!(ask(Query { since: Some(4_000_000_000), ..Query::default() }).await.records.len(), 0);
        assert_eq!(ask(Query { until: Some(1_000_000_000), ..Query::default() }).await.records.len(), 0);
        // A file of the same: the end of it.
        docker(&[
            "exec",
            &own.name,
            "python3",
            "-c",
            "open('/var/lib/odoo/x.log', 'w').write('2025-01-01 00:00:00,000 1 INFO ? a: b\\n' * 300000)",
        ]);
        let found = container
            .logs(&Source::File("/var/lib/odoo/x.log".into()), &Query::default(), &redact, Duration::from_secs(20))
            .await
            .unwrap();
        assert!(found.records.len() == 100 && found.cut, "{}", found.records.len());
    }
}
