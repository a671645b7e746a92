//! The command line as scripts use it: exit codes, JSON shapes, and secrets that go in by standard input and never come out.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]
#![allow(clippy::disallowed_methods, reason = "tests look at files as they are")]
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpStream,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

struct Ocore {
    data: tempfile::TempDir,
}
struct Output {
    code: i32,
    stdout: String,
    stderr: String,
}
impl std::fmt::Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "exit {}\n{}\n{}", self.code, self.stdout, self.stderr)
    }
}
impl Output {
    #[track_caller]
    fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }
    /// Fails with this exit code, says something, and says what to try.
    #[track_caller]
    fn fails(self, code: i32) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.stderr.starts_with("error: ") && self.stdout.is_empty(), "{self:?}");
        self
    }
    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON ({e}): {self:?}"))
    }
}

impl Ocore {
    fn new() -> Self {
        Self { data: tempfile::tempdir().unwrap() }
    }
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ocore"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("OCORE_")) {
            command.env_remove(name);
        }
        command.env_remove("RUST_LOG").arg("--data").arg(self.data.path()).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    fn run(&self, args: &[&str]) -> Output {
        self.run_with(args, "", &[])
    }
    fn run_with(&self, args: &[&str], stdin: &str, env: &[(&str, &str)]) -> Output {
        let mut child = self.command(args).envs(env.iter().copied()).spawn().unwrap();
        let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let output = child.wait_with_output().unwrap();
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
    fn with_acme() -> Self {
        let ocore = Self::new();
        ocore.run(&["org", "create", "acme", "--name", "Acme Inc."]).ok();
        ocore.run(&["server", "create", "host", "--org", "acme"]).ok();
        ocore
    }
    /// An instance that nothing is asked of.
    fn instance(&self, slug: &str, extra: &[&str]) -> Output {
        let database = format!("db-{slug}");
        let mut args = vec!["instance", "create", slug, "--org", "acme", "--server", "host", "--url", "https://odoo.example.com"];
        args.extend(["--database", &database, "--login", "admin", "--secret-stdin", "--no-check"]);
        if !extra.contains(&"--environment") {
            args.extend(["--environment", "staging"]);
        }
        args.extend(extra);
        self.run_with(&args, "hunter2hunter2\n", &[])
    }
    /// Everything in the data folder, as bytes.
    fn stored(&self) -> Vec<u8> {
        let mut all = Vec::new();
        for entry in std::fs::read_dir(self.data.path()).unwrap() {
            all.extend(std::fs::read(entry.unwrap().path()).unwrap());
        }
        all
    }
}

/// A running server that dies with the test.
struct Serving {
    child: Child,
    url: String,
}
impl Serving {
    fn start(ocore: &Ocore, env: &[(&str, &str)]) -> Self {
        let mut child = ocore.command(&["serve", "--listen", "127.0.0.1:0"]).envs(env.iter().copied()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("ocore is ready at ").unwrap_or_else(|| panic!("{line:?}")).to_owned();
        assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/mcp") && !url.contains(":0/"), "{url}");
        Self { child, url }
    }
    /// Status and body of a GET.
    fn get(&self, path: &str, headers: &str) -> (u16, String) {
        let host = self.url.trim_start_matches("http://").trim_end_matches("/mcp");
        let mut stream = TcpStream::connect(host).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{headers}\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let status = text.split(' ').nth(1).unwrap().parse().unwrap();
        (status, text.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default())
    }
    fn signal(mut self, signal: &str) -> i32 {
        let status = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn exit_codes_tell_done_from_wrong_use_from_refused() {
    let ocore = Ocore::with_acme();
    ocore.run(&["org", "list"]).ok();
    for wrong in [
        &["org", "create"][..],
        &["orgs"],
        &["org", "create", "Not A Slug"],
        &["serve", "--lisen", "x"],
        &["org", "update", "acme"],
        &[],
    ] {
        ocore.run(wrong).fails(2);
    }
    let refused = ocore.run(&["org", "create", "acme"]).fails(3);
    assert!(refused.stderr.contains("\n  try: "), "{refused:?}");
    let unknown = ocore.run(&["org", "update", "amce", "--kill-switch", "on"]).fails(3);
    assert!(unknown.stderr.contains("Did you mean acme?"), "{unknown:?}");
    // Port 1 of loopback: nobody answers.
    ocore.run(&["healthcheck", "--url", "http://127.0.0.1:1"]).fails(1);
    let help = ocore.run(&["key", "create", "--help"]).ok();
    assert!(help.stdout.contains("--tools-allow"), "{help:?}");
    assert!(ocore.run(&["--version"]).ok().stdout.starts_with("ocore "));
}

#[test]
fn errors_are_json_where_answers_are() {
    let ocore = Ocore::with_acme();
    for (args, code, name) in [
        (&["org", "update", "amce", "--kill-switch", "on", "--json"][..], 3, "not_found"),
        (&["--json", "org", "create"], 2, "usage"),
        (&["org", "create", "A", "--json"], 2, "invalid_argument"),
        (&["--json", "org", "create", "acme"], 3, "conflict"),
    ] {
        let output = ocore.run(args);
        assert_eq!(output.code, code, "{output:?}");
        let error: Value = serde_json::from_str(&output.stderr).unwrap_or_else(|e| panic!("{e}: {output:?}"));
        assert_eq!(error["error"]["code"], name, "{output:?}");
        assert!(error["error"]["message"].is_string() && error["error"]["next"].is_string(), "{output:?}");
    }
}

#[test]
fn organizations_servers_and_users() {
    let ocore = Ocore::with_acme();
    let made = ocore.run(&["org", "update", "acme", "--kill-switch", "on", "--json"]).ok().json();
    assert_eq!((made["slug"].as_str(), made["kill_switch"].as_bool()), (Some("acme"), Some(true)));
    let listed = ocore.run(&["org", "list", "--json"]).ok().json();
    assert_eq!(listed[0]["name"], "Acme Inc.");
    assert_eq!(ocore.run(&["server", "list", "--json"]).ok().json()[0]["name"], "host");
    ocore.run(&["server", "create", "host", "--org", "acme"]).fails(3);

    let password = "correct horse battery";
    let create = ["user", "create", "--email", "ann@example.com", "--org", "acme", "--role", "owner", "--password-stdin"];
    ocore.run(&create[..8]).fails(2);
    ocore.run_with(&create, "short\n", &[]).fails(2);
    ocore.run_with(&create, "", &[]).fails(2);
    let two = ocore.run_with(&create, "one secret line\nand another\n", &[]).fails(2);
    assert!(!two.stderr.contains("secret line"), "{two:?}");
    let made = ocore.run_with(&create, &format!("{password}\n"), &[]).ok();
    assert!(!made.stdout.contains(password));
    ocore.run_with(&create, &format!("{password}\n"), &[]).fails(3);
    ocore.run_with(&["user", "create", "--email", "op@example.com", "--operator", "--password-stdin"], password, &[]).ok();
    let users = ocore.run(&["user", "list", "--json"]).ok().json();
    assert_eq!(users.as_array().unwrap().len(), 2);
    let members = ocore.run(&["user", "list", "--org", "acme", "--json"]).ok().json();
    assert_eq!((members[0]["email"].as_str(), members[0]["role"].as_str()), (Some("ann@example.com"), Some("owner")));
    assert_eq!(ocore.run(&["user", "update", "ann@example.com", "--disable", "--json"]).ok().json()["active"], false);
    assert_eq!(ocore.run(&["user", "update", "ann@example.com", "--enable", "--json"]).ok().json()["active"], true);
    ocore.run(&["user", "update", "ann@example.com"]).fails(2);
    ocore.run(&["user", "update", "ann@example.com", "--enable", "--disable"]).fails(2);
    assert!(!String::from_utf8_lossy(&ocore.stored()).contains(password));
}

#[test]
fn instances_and_their_secrets() {
    let ocore = Ocore::with_acme();
    let made = ocore.instance("prod", &["--environment", "production", "--json"]).ok();
    let json = made.json();
    assert_eq!(
        (json["slug"].as_str(), json["write_enabled"].as_bool(), json["checked_at"].is_null()),
        (Some("prod"), Some(false), true)
    );
    assert!(!made.stdout.contains("hunter2"));
    assert_eq!(ocore.instance("stage", &["--json"]).ok().json()["write_enabled"], true);
    // Tool names of the two could be confused.
    ocore.instance("prod-search", &[]).fails(3);
    ocore.run(&["instance", "create", "x", "--org", "acme"]).fails(2);

    let open = ocore.run(&["instance", "update", "prod", "--write-enabled", "true", "--for", "30", "--json"]).ok().json();
    assert!(open["write_enabled"] == true && open["write_enabled_until"].is_string(), "{open}");
    ocore.run(&["instance", "update", "prod", "--write-enabled", "false", "--for", "30"]).fails(2);
    assert_eq!(
        ocore.run(&["instance", "update", "prod", "--write-enabled", "false", "--json"]).ok().json()["write_enabled"],
        false
    );
    assert_eq!(
        ocore.run(&["instance", "update", "prod", "--state", "maintenance", "--json"]).ok().json()["state"],
        "maintenance"
    );
    ocore.run(&["instance", "update", "prod"]).fails(2);
    let near = ocore.run(&["instance", "show", "prodd"]).fails(3);
    assert!(near.stderr.contains("Did you mean prod?"), "{near:?}");
    assert_eq!(ocore.run(&["instance", "list", "--org", "acme", "--json"]).ok().json().as_array().unwrap().len(), 2);

    // Two secrets on standard input are two lines, in the order of the options.
    let two = |first: &str, second: &str, slug: &str| {
        let args = [
            "instance",
            "create",
            slug,
            "--org",
            "acme",
            "--server",
            "host",
            "--url",
            "https://odoo.example.com",
            "--database",
            slug,
        ];
        let more = ["--environment", "staging", "--no-check", "--login", "admin", first, second, "--json"];
        let (url, secret) = ("postgres://u:hunter2pg@db/x", "hunter2hunter2");
        let stdin = if first == "--secret-stdin" { format!("{secret}\n{url}\n") } else { format!("{url}\n{secret}\n") };
        ocore.run_with(&[&args[..], &more[..]].concat(), &stdin, &[])
    };
    for (first, second, slug) in
        [("--secret-stdin", "--postgres-url-stdin", "one"), ("--postgres-url-stdin", "--secret-stdin", "two")]
    {
        let made = two(first, second, slug).ok();
        assert_eq!(made.json()["postgres"]["login"], "u@db:5432", "{made:?}");
        assert!(!made.stdout.contains("hunter2"), "{made:?}");
    }

    // A login in the URL is refused, and nothing repeats it.
    let args = ["instance", "create", "y", "--org", "acme", "--server", "host", "--url", "https://u:hunter2@odoo.example.com"];
    let refused = ocore.run(&[&args[..], &["--database", "y", "--environment", "staging"]].concat()).fails(2);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");

    ocore.run(&["instance", "delete", "stage"]).fails(2);
    ocore.run(&["instance", "delete", "stage", "--yes"]).ok();
    ocore.run(&["instance", "show", "stage"]).fails(3);

    for place in [ocore.stored(), ocore.run(&["audit", "log", "--json"]).ok().stdout.into_bytes()] {
        assert!(!String::from_utf8_lossy(&place).contains("hunter2"), "a secret is readable");
    }
}

#[test]
fn an_instance_that_does_not_answer_is_not_created() {
    let ocore = Ocore::with_acme();
    let args =
        ["instance", "create", "gone", "--org", "acme", "--server", "host", "--url", "http://127.0.0.1:1", "--database", "x"];
    let args = [&args[..], &["--login", "admin", "--secret-stdin", "--environment", "staging"]].concat();
    // Loopback is no network for instances unless the operator lists it.
    let refused = ocore.run_with(&args, "hunter2hunter2\n", &[]);
    assert!(refused.code == 1 && refused.stderr.contains("instance_networks"), "{refused:?}");
    let failed = ocore.run_with(&args, "hunter2hunter2\n", &[("OCORE_INSTANCE_NETWORKS", "127.0.0.0/8")]);
    assert!(failed.code == 1 && !failed.stderr.contains("hunter2"), "{failed:?}");
    assert_eq!(ocore.run(&["instance", "list", "--json"]).ok().json(), serde_json::json!([]));
    // Without a check it is created, and its host connections stay off.
    ocore.run_with(&[&args[..], &["--no-check"]].concat(), "x\n", &[("OCORE_INSTANCE_NETWORKS", "127.0.0.0/8")]).ok();
    assert!(ocore.run(&["instance", "show", "gone", "--json"]).ok().json()["checked_at"].is_null());
}

#[test]
fn an_invites_link_is_shown_once_on_the_last_line() {
    let ocore = Ocore::with_acme();
    for (email, role) in [("boss@example.com", "admin"), ("ann@example.com", "member")] {
        ocore
            .run_with(
                &["user", "create", "--email", email, "--org", "acme", "--role", role, "--password-stdin"],
                "correct horse battery\n",
                &[],
            )
            .ok();
    }
    let create = ["invite", "create", "acme", "--label", "Ben", "--by", "boss@example.com"];
    let made = ocore.run_with(&create, "", &[("OCORE_PUBLIC_URL", "https://ocore.example.com")]).ok();
    let link = made.stdout.lines().last().unwrap().to_owned();
    let text = link.strip_prefix("https://ocore.example.com/oauth/invite/ocn_").unwrap_or_else(|| panic!("{made:?}"));
    let json =
        ocore.run(&[&create[..], &["--role", "member", "--uses", "3", "--categories", "orm", "--json"]].concat()).ok().json();
    assert_eq!((json["role"].as_str(), json["uses"].as_i64(), json["used"].as_i64()), (Some("member"), Some(3), Some(0)));
    assert_eq!(json["permissions"]["categories"], serde_json::json!({"only": ["orm"]}));
    assert!(json["link"].as_str().unwrap().starts_with("http://127.0.0.1:"), "{json}");
    for (by, code) in [("ann@example.com", 3), ("nobody@example.com", 3)] {
        ocore.run(&["invite", "create", "acme", "--label", "x", "--by", by]).fails(code);
    }
    ocore.run(&[&create[..], &["--role", "admin"]].concat()).fails(2);
    ocore.run(&[&create[..], &["--role", "member", "--categories", "shell"]].concat()).fails(3);

    let listed = ocore.run(&["invite", "list", "acme", "--json"]).ok();
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    let id = listed.json()[1]["id"].as_str().unwrap().to_owned();
    ocore.run(&["invite", "revoke", &id, "--org", "acme"]).ok();
    ocore.run(&["invite", "revoke", &id, "--org", "acme"]).fails(3);
    let pasted = ocore.run(&["invite", "revoke", &link, "--org", "acme"]).fails(2);
    ocore.run(&["invite", "vouch", &id, "--org", "acme", "--by", "ann@example.com"]).fails(3);
    let shown = ocore.run(&["invite", "list", "acme"]).ok();
    assert!(shown.stdout.contains("revoked") && shown.stdout.contains("boss@example.com"), "{shown:?}");
    for place in [
        listed.stdout,
        shown.stdout,
        pasted.stderr,
        ocore.run(&["audit", "log", "--json"]).ok().stdout,
        String::from_utf8_lossy(&ocore.stored()).into_owned(),
    ] {
        assert!(!place.contains(&text[6..]), "a link is shown again, or stored");
    }
}

#[test]
fn a_key_is_shown_once_on_the_last_line() {
    let ocore = Ocore::with_acme();
    ocore.instance("dev", &[]).ok();
    let made = ocore.run(&["key", "create", "--org", "acme", "--label", "assistant"]).ok();
    let key = made.stdout.lines().last().unwrap().to_owned();
    assert!(identity_like(&key), "{made:?}");
    let json = ocore
        .run(&["key", "create", "--org", "acme", "--label", "none", "--categories", "", "--instances", "dev", "--json"])
        .ok()
        .json();
    assert!(identity_like(json["key"].as_str().unwrap()), "{json}");
    assert_eq!(json["permissions"]["categories"], serde_json::json!({"only": []}));
    assert_eq!(json["permissions"]["models"], "all");
    assert_eq!(json["role"], "member");
    let id = json["id"].as_str().unwrap();

    for wrong in [
        &["--categories", "ormm"][..],
        &["--instances", "devv"],
        &["--tools-allow", "serch_read"],
        &["--tools-allow", "read", "--tools-deny", "write"],
        &["--models", "res partner"],
        &["--methods", "action_confirm"],
        &["--companies", "one"],
        &["--ip", "300.1.1.1"],
        &["--expires", "tomorrow"],
        &["--expires", "2020-01-01"],
        &["--rate", "0"],
        &["--role", "king"],
    ] {
        let output = ocore.run(&[&["key", "create", "--org", "acme", "--label", "x"], wrong].concat());
        assert_eq!(output.code, 2, "{wrong:?}: {output:?}");
    }
    let near = ocore.run(&["key", "create", "--org", "acme", "--label", "x", "--tools-allow", "serch_read"]);
    assert!(near.stderr.contains("Did you mean search_read?"), "{near:?}");

    let listed = ocore.run(&["key", "list", "--org", "acme", "--json"]).ok();
    assert!(!listed.stdout.contains(&key), "a key is shown again");
    assert_eq!(listed.json().as_array().unwrap().len(), 2);
    assert!(!String::from_utf8_lossy(&ocore.stored()).contains(&key), "a key is stored");
    ocore.run(&["key", "revoke", id, "--org", "acme"]).ok();
    ocore.run(&["key", "revoke", id]).fails(3);
    let pasted = ocore.run(&["key", "revoke", &key]).fails(3);
    assert!(!pasted.stderr.contains(&key), "{pasted:?}");
    let states = ocore.run(&["key", "list", "--json"]).ok().json();
    assert_eq!((states[0]["state"].as_str(), states[1]["state"].as_str()), (Some("active"), Some("revoked")));
}

fn identity_like(key: &str) -> bool {
    key.starts_with("ock_") && key.len() == 42 && key.bytes().skip(4).all(|b| b.is_ascii_alphanumeric())
}

#[test]
fn a_password_in_an_argument_is_refused_and_not_repeated() {
    let ocore = Ocore::new();
    let refused = ocore.run(&["--database-url", "postgres://ocore:hunter2@127.0.0.1:1/x", "org", "list"]).fails(2);
    assert!(!refused.stderr.contains("hunter2"), "{refused:?}");
    // From the environment it is taken; that nobody answers is another matter, and does not show it either.
    let failed =
        ocore.run_with(&["org", "list"], "", &[("OCORE_DATABASE_URL", "postgres://ocore:hunter2@127.0.0.1:1/x")]).fails(1);
    assert!(!failed.stderr.contains("hunter2"), "{failed:?}");
    let shown = ocore.run_with(&["config", "show"], "", &[("OCORE_DATABASE_URL", "postgres://ocore:hunter2@127.0.0.1:1/x")]).ok();
    assert!(!shown.stdout.contains("hunter2") && shown.stdout.contains("postgres://ocore@127.0.0.1:1/x"), "{shown:?}");
}

#[test]
fn the_configuration_file_is_checked() {
    let ocore = Ocore::new();
    std::fs::write(ocore.data.path().join("ocore.toml"), "lisen = \"127.0.0.1:1\"\n").unwrap();
    let unknown = ocore.run(&["config", "check"]).fails(2);
    assert!(unknown.stderr.contains("Did you mean listen?"), "{unknown:?}");
    std::fs::write(ocore.data.path().join("ocore.toml"), "listen = \"127.0.0.1:1\"\n").unwrap();
    let shown = ocore.run(&["config", "show", "--json"]).ok().json();
    assert_eq!(shown["settings"]["listen"]["value"], "127.0.0.1:1");
    ocore.run(&["config", "check"]).ok();
    assert!(!ocore.data.path().join("ocore.db").exists(), "looking made a store");
    assert!(ocore.run(&["config", "docs"]).ok().stdout.starts_with("# Configuration"));
}

#[test]
fn the_data_folder_is_for_its_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("new/data");
    let status = Command::new(env!("CARGO_BIN_EXE_ocore")).arg("--data").arg(&data).args(["org", "list"]).output().unwrap();
    assert!(status.status.success(), "{status:?}");
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data), 0o700);
    assert_eq!(mode(&data.join("ocore.key")), 0o600);
}

#[test]
fn the_server_says_one_line_serves_and_ends_cleanly() {
    let ocore = Ocore::with_acme();
    for signal in ["-TERM", "-INT"] {
        let serving = Serving::start(&ocore, &[("OCORE_METRICS_TOKEN", "hunter2")]);
        assert_eq!(serving.get("/health", "").0, 200);
        assert_eq!(serving.get("/ready", "").0, 200);
        assert_eq!(serving.get("/metrics", "").0, 401);
        let (status, metrics) = serving.get("/metrics", "Authorization: Bearer hunter2\r\n");
        assert!(status == 200 && metrics.contains("ocore_audit_rows_written"), "{metrics}");
        let checked = ocore.run(&["healthcheck", "--url", &serving.url, "--json"]).ok().json();
        assert_eq!(checked["ready"], true);
        // Commands work beside a running server.
        ocore.run(&["key", "create", "--org", "acme", "--label", "beside"]).ok();
        assert_eq!(serving.signal(signal), 0);
    }
}

#[test]
fn rotation_keeps_every_secret_and_leaves_one_key() {
    let ocore = Ocore::with_acme();
    ocore.instance("dev", &[]).ok();
    let key = || std::fs::read(ocore.data.path().join("ocore.key")).unwrap();
    let before = key();
    let rotated = ocore.run(&["secrets", "rotate", "--json"]).ok().json();
    assert_eq!(rotated["rewrapped"], 1);
    assert_ne!(key(), before);
    assert!(!ocore.data.path().join("ocore.key.previous").exists());
    ocore.run(&["org", "list"]).ok();
}

#[test]
fn the_audit_is_listed_and_filtered() {
    let ocore = Ocore::with_acme();
    assert_eq!(ocore.run(&["audit", "list", "--json"]).ok().json(), serde_json::json!([]));
    ocore.run(&["audit", "list", "--since", "yesterday"]).fails(2);
    ocore.run(&["audit", "list", "--outcome", "fine"]).fails(3);
    ocore.run(&["audit", "list", "--org", "nobody"]).fails(3);
    let log = ocore.run(&["audit", "log", "--org", "acme", "--json"]).ok().json();
    let actions: Vec<&str> = log.as_array().unwrap().iter().filter_map(|r| r["action"].as_str()).collect();
    assert_eq!(actions, ["server.create", "organization.create"]);
}
