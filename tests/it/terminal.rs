//! The command line of people at a real ocore on a real Odoo: with a key, and signed in by a code that is approved in a browser.
use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::Path,
};

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::{
    clients::{Running, clients, in_chromium},
    harness::{Mcp, Ocore, Odoo, Output, cannot_run, root, run},
    impersonation::{Browser, PASSWORD},
    screen::{Terminal, qr_code},
};

const ANN: &str = "ann@example.com";

struct Person<'a> {
    ocore: &'a Ocore,
    home: tempfile::TempDir,
    env: Vec<(&'static str, String)>,
}
impl<'a> Person<'a> {
    fn new(ocore: &'a Ocore, env: Vec<(&'static str, String)>) -> Self {
        Self { ocore, home: tempfile::tempdir().expect("a folder"), env }
    }
    fn command(&self, args: &[&str]) -> std::process::Command {
        let env: Vec<_> = self.env.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.ocore.person(self.home.path(), &env, args)
    }
    fn with_input(&self, args: &[&str], input: &str) -> Output {
        let mut child = self.command(args).spawn().expect("the program starts");
        let _ = child.stdin.take().expect("stdin").write_all(input.as_bytes());
        let output = child.wait_with_output().expect("the program ends");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
    fn run(&self, args: &[&str]) -> Output {
        self.with_input(args, "")
    }
    /// The same at a terminal. None where there is none to be had.
    fn at_a_terminal(&self, args: &[&str]) -> Option<Terminal> {
        let script = Ocore::elsewhere(Path::new("script"), self.home.path());
        let terminal = Terminal::start(script.into(), 100, self.ocore.program(), args, &[]);
        if terminal.is_none() {
            cannot_run("there is no `script` (Debian: bsdutils)");
        }
        terminal
    }
    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, says: &str) {
        let output = self.run(args);
        assert_eq!(output.code, code, "{args:?}: {output:?}");
        assert!(output.stderr.contains(says), "{says:?} is not said: {output:?}");
    }
}

fn world(odoo: &Odoo) -> Ocore {
    world_of(&[("dev", odoo)])
}
fn world_of(odoos: &[(&str, &Odoo)]) -> Ocore {
    let mut ocore = Ocore::new();
    let args = ["user", "create", "--email", ANN, "--org", "acme", "--role", "admin", "--password-stdin"];
    ocore.cli(&args, &format!("{PASSWORD}\n")).ok();
    for (slug, odoo) in odoos {
        ocore.instance(slug, odoo, &[]).ok();
    }
    ocore.serve();
    ocore
}

#[test]
fn with_a_key_records_are_made_changed_found_and_deleted() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let ocore = world(&odoo);
    let key = ocore.key(&[]).key;
    let person = Person::new(&ocore, vec![("OCORE_URL", ocore.url.clone()), ("OCORE_API_KEY", key)]);
    assert!(person.run(&["instances"]).ok().stdout.contains("dev"));
    let whoami = person.run(&["whoami"]).ok().stdout;
    assert!(whoami.contains("acme") && whoami.contains("the organization's own"), "{whoami}");
    let tools = person.run(&["--json", "tools", "--instance", "dev", "--search", "search_read"]).ok().json();
    assert_eq!((&tools[0]["name"], &tools[0]["access"]), (&json!("search_read"), &json!("read")));
    // The schema of values says nothing of Odoo's fields: the person says that these are texts.
    let words = ["--json", "call", "create", "--instance", "dev", "model=res.partner", "values.name==42", "values.ref==007"];
    let id = person.run(&words).ok().json()["id"].clone();
    assert_eq!(odoo.sql(&format!("SELECT name || ' ' || ref FROM res_partner WHERE id = {id}")), "42 007");
    let ids = format!("ids={id}");
    person.run(&["call", "dev_write", "model=res.partner", &ids, "values.comment=changed"]).ok();
    let table = person.run(&["call", "dev_read", "model=res.partner", &ids, "fields=name,ref"]).ok().stdout;
    assert!(table.starts_with("ID") && table.contains("007"), "{table}");
    person.fails(&["call", "dev_unlink", "model=res.partner", &ids], 3, "--yes");
    let plan = person.run(&["call", "dev_unlink", "model=res.partner", &ids, "--dry-run"]).ok().stdout;
    assert!(plan.contains("Would delete 1 record"), "{plan}");
    assert_eq!(person.run(&["--json", "call", "dev_unlink", "model=res.partner", &ids, "--yes"]).ok().json()["deleted"], 1);
    let arguments = json!({"model": "res.partner", "domain": [["id", "=", id]]}).to_string();
    assert_eq!(person.with_input(&["--json", "call", "dev_count", "--args-file", "-"], &arguments).ok().json()["count"], 0);

    for (args, code, says) in [
        (&["call", "dev_count", "model=res.partnr"][..], 3, "Did you mean res.partner"),
        (&["call", "dev_count", "modl=res.partner"], 2, "Did you mean model"),
        (&["call", "dev_coun", "model=res.partner"], 3, "Did you mean dev_count"),
        (&["call", "dev_search_read", "model=res.partner", "limit=many"], 2, "limit=5"),
        (&["tools", "--instance", "nope"], 2, "It may use"),
        (&["call", "count", "--instance", "nope", "model=res.partner"], 2, "It may use"),
    ] {
        person.fails(args, code, says);
    }
    let stranger = Person::new(&ocore, vec![("OCORE_URL", ocore.url.clone()), ("OCORE_API_KEY", "ock_wrong".into())]);
    stranger.fails(&["instances"], 3, "does not take this API key");
}

#[test]
fn the_bridge_speaks_both_eras() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let ocore = world(&odoo);
    let key = ocore.key(&[]).key;
    let person = Person::new(&ocore, vec![("OCORE_URL", ocore.url.clone()), ("OCORE_API_KEY", key)]);
    bridged(&person, &["stdio", "--instance", "dev"], "count");
}
fn bridged(person: &Person<'_>, args: &[&str], count: &str) {
    let meta = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {},
        "progressToken": 1});
    let arguments = json!({"model": "res.partner"});
    let messages = [
        json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": "t", "version": "1"}}}),
        json!({"jsonrpc": "2.0", "method": "notifications/initialized"}),
        json!({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": count, "arguments": arguments}}),
        json!({"jsonrpc": "2.0", "id": 3, "method": "server/discover", "params": {"_meta": meta}}),
        json!({"jsonrpc": "2.0", "id": 4, "method": "tools/call", "params": {"name": count, "arguments": arguments, "_meta": meta}}),
    ];
    let output = person.with_input(args, &(messages.map(|m| m.to_string()).join("\n") + "\n")).ok();
    let mut answers: Vec<Value> =
        output.stdout.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"))).collect();
    answers.retain(|answer| answer.get("id").is_some());
    answers.sort_by_key(|answer| answer["id"].as_u64());
    assert_eq!(answers.len(), 4, "{answers:?}");
    assert_eq!(answers[0]["result"]["protocolVersion"], "2025-06-18");
    assert!(answers[1]["result"]["structuredContent"]["count"].as_u64().unwrap() > 0, "{answers:?}");
    assert!(answers[2]["result"]["supportedVersions"].is_array());
    assert_eq!(answers[1]["result"]["structuredContent"], answers[3]["result"]["structuredContent"]);
}

/// Signs a person in: the code that the terminal shows is typed into the page.
async fn log_in(person: &Person<'_>, url: &str, port: u16) -> String {
    let mut child = person.command(&["login", url]).spawn().expect("the program starts");
    drop(child.stdin.take());
    let (send, shown) = std::sync::mpsc::channel();
    let mut readers = Vec::new();
    for stream in [
        Box::new(child.stdout.take().expect("stdout")) as Box<dyn std::io::Read + Send>,
        Box::new(child.stderr.take().expect("stderr")),
    ] {
        let send = send.clone();
        readers.push(std::thread::spawn(move || {
            for line in BufReader::new(stream).lines().map_while(Result::ok) {
                let _ = send.send(line);
            }
        }));
    }
    drop(send);
    let mut said = Vec::new();
    let code = loop {
        let line = shown.recv_timeout(std::time::Duration::from_secs(10)).unwrap_or_else(|_| panic!("no code: {said:?}"));
        let code = line.split(|c: char| !(c.is_ascii_uppercase() || c == '-')).find(|w| w.len() == 9 && w.as_bytes()[4] == b'-');
        said.push(line.clone());
        if let Some(code) = code {
            break code.to_owned();
        }
    };
    let mut browser = Browser::new(port);
    let csrf = browser.get(&browser.ocore("/sign-in")).await.hidden("csrf");
    let fields = [("csrf", csrf.as_str()), ("email", ANN), ("password", PASSWORD)];
    assert_eq!(browser.form(&browser.ocore("/sign-in"), &fields).await.status, StatusCode::SEE_OTHER);
    let csrf = browser.get(&browser.ocore("/device")).await.hidden("csrf");
    let page = browser.form(&browser.ocore("/device"), &[("csrf", &csrf), ("user_code", &code)]).await;
    assert!(page.text.contains("ocore command line"), "{}", page.text);
    let page = browser.form(&browser.ocore("/device/confirm"), &[("csrf", &csrf), ("request", &code), ("do", "mine")]).await;
    let request = page.location().split_once('?').unwrap().1.to_owned();
    let choice = [
        ("csrf", csrf.as_str()),
        ("request", &request),
        ("preset", "full"),
        ("key", "new"),
        ("label", "my terminal"),
        ("do", "allow"),
    ];
    let page = browser.form(&browser.ocore("/consent"), &choice).await;
    assert!(page.text.contains("connected"), "{}", page.text);
    let ended = tokio::task::spawn_blocking(move || child.wait()).await.unwrap().expect("the program ends");
    for reader in readers {
        let _ = reader.join();
    }
    said.extend(shown.try_iter());
    assert!(ended.success(), "{said:?}");
    said.join("\n")
}

#[test]
fn a_person_signs_in_with_a_code_and_works() {
    let Some(odoo) = Odoo::shared(19) else { return };
    run(async {
        let ocore = world(&odoo);
        let port = ocore.url.rsplit(':').next().unwrap().parse().unwrap();
        let url = format!("http://localhost:{port}");
        let person = Person::new(&ocore, Vec::new());
        person.fails(&["instances"], 3, "ocore login");
        let said = log_in(&person, &url, port).await;
        assert!(!said.contains("oca_") && !said.contains("ocr_"), "{said}");
        let kept = tokens(person.home.path());
        assert!(kept.contains("ocr_"), "{kept}");

        let whoami = person.run(&["--json", "whoami"]).ok().json();
        let said = |name: &str| whoami[name].as_str().unwrap_or_default().to_owned();
        assert_eq!(
            ["server", "person", "organization", "role", "key", "access"].map(said),
            [&url, ANN, "acme", "admin", "my terminal", "destructive"].map(str::to_owned),
            "{whoami}"
        );
        assert!(person.run(&["instances"]).ok().stdout.contains("dev"));
        let words = ["--json", "call", "dev_create", "model=res.partner", "values.name=From a terminal"];
        person.run(&words).ok();
        assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'From a terminal'"), "1");
        bridged(&person, &["stdio"], "dev_count");

        person.run(&["logout"]).ok();
        assert!(!tokens(person.home.path()).contains("ocr_"));
        person.fails(&["instances"], 3, "ocore login");
    });
}

/// The telephone that reads the QR code is Chromium: what the code says is all that it is given.
#[test]
fn who_scans_the_code_of_a_terminal_works_in_every_odoo_until_the_logout() {
    let (Some(odoo), Some(old), Some(clients)) = (Odoo::shared(19), Odoo::shared(14), clients()) else { return };
    run(async {
        let ocore = world_of(&[("dev", &odoo), ("old", &old)]);
        let url = ocore.at_localhost();
        let person = Person::new(&ocore, Vec::new());
        let Some(mut terminal) = person.at_a_terminal(&["login", &url]) else { return };
        terminal.until("Waiting for your approval").await;
        let address = qr_code(&terminal.seen);
        let code = address.strip_prefix(&format!("{url}/device?user_code=")).unwrap_or_else(|| panic!("{address}")).to_owned();
        assert!(terminal.seen.contains(&format!("{code}\u{1b}")), "the terminal shows another code: {}", terminal.seen);
        let seen = in_chromium(&clients, "device.mjs", &[&address, ANN, PASSWORD, &code]).await;
        assert_eq!(seen["typed"], code.as_str(), "{seen}");
        assert!(seen["asks"].as_str().unwrap().contains("ocore command line"), "{seen}");
        assert!(seen["end"].as_str().unwrap().contains("is connected"), "{seen}");
        let (ended, said) = terminal.end().await;
        assert!(ended == 0 && said.contains(&format!("Signed in at {url}.")), "{ended}: {said}");
        assert!(!said.contains("oca_") && !said.contains("ocr_"), "{said}");

        let (ended, said) = person.at_a_terminal(&["whoami"]).unwrap().end().await;
        assert!(ended == 0 && [url.as_str(), ANN, "admin", "acme"].iter().all(|who| said.contains(*who)), "{ended}: {said}");
        for (slug, odoo) in [("dev", &odoo), ("old", &old)] {
            person.run(&["call", &format!("{slug}_create"), "model=res.partner", "values.name=By a scanned code"]).ok();
            assert_eq!(odoo.sql("SELECT count(*) FROM res_partner WHERE name = 'By a scanned code'"), "1");
        }
        let mut programs = Vec::new();
        for line in ["mcp1", "mcp2"] {
            let name = format!("By stdio of {line}");
            let mut python = Ocore::elsewhere(&clients.join(line).join("bin/python"), person.home.path());
            let log = std::fs::File::create(person.home.path().join("client.log")).expect("a log");
            python.arg(root().join("tests/clients/stdio.py")).arg(&name).arg(ocore.program()).arg("stdio").stderr(log);
            let mut program = Running::start(python.into(), person.home.path());
            let answer = program.told().await;
            assert_eq!(answer["count"], json!({"dev": 1, "old": 1}), "{answer}");
            for (slug, odoo) in [("dev", &odoo), ("old", &old)] {
                let made = odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {}", answer["created"][slug]));
                assert_eq!(made, name, "{slug}");
            }
            assert_eq!(program.ask().await, json!({"count": 1}));
            programs.push(program);
        }

        // It ends for what runs already, at ocore too, and whoever asks next is told.
        let kept = tokens(person.home.path());
        let access = kept.split('"').find(|text| text.starts_with("oca_")).expect("an access token");
        let itself = Mcp::new(&url, access);
        assert_eq!(itself.request("tools/list", json!({})).await.0, 200);
        assert!(person.run(&["logout"]).ok().stdout.contains(&format!("Signed out of {url}")));
        assert_eq!(itself.request("tools/list", json!({})).await.0, 401);
        for program in &mut programs {
            let answer = program.ask().await;
            assert!(answer["refused"].as_str().is_some_and(|why| why.contains("ocore login")), "{answer}");
        }
        for program in programs {
            program.end().await;
        }
        person.fails(&["call", "dev_count", "model=res.partner"], 3, "You are not signed in.");
    });
}
fn tokens(home: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = std::fs::File::open(home.join(".config/ocore/logins.json")) {
        file.read_to_string(&mut text).expect("UTF-8");
    }
    text
}
