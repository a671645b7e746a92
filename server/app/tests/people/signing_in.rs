//! The device flow, where tokens are kept, renewing, and servers that do what they must not.
use std::{os::unix::fs::PermissionsExt as _, time::Instant};

use serde_json::json;

use crate::{
    Person,
    authority::{Authority, EVIL},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_person_signs_in_looks_around_and_signs_out() {
    let server = Authority::start().await;
    server.facts().polls.extend(["authorization_pending"]);
    let person = Person::new();
    let ran = person.run(&["login", &format!("{}/mcp", server.url), "--label", "work"]).await.ok();
    assert!(ran.stderr.contains("BCKF-HMLT") && ran.stderr.contains(&format!("{}/device", server.url)), "{ran:#?}");
    assert!(ran.stdout.contains("read, change"), "{ran:#?}");
    assert!(!format!("{ran:?}").contains("oca_") && !format!("{ran:?}").contains("ocd_"), "{ran:#?}");
    let asked = server.facts().form.clone();
    assert_eq!(
        (asked["client_id"].as_str(), asked["scope"].as_str(), asked["label"].as_str(), asked["resource"].clone()),
        ("ocore-cli", "read write destructive offline_access admin", "work", format!("{}/mcp", server.url))
    );
    for entry in std::fs::read_dir(person.folder()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
    let who = person.run(&["--json", "whoami"]).await.ok().harmless().json();
    assert_eq!(
        (&who["server"], &who["way"], &who["store"], &who["organization"]),
        (&json!(server.url), &json!("login"), &json!("file"), &json!("acme"))
    );
    assert_eq!((&who["role"], &who["key"], &who["access"]), (&json!("admin"), &json!("my terminal"), &json!("write")));
    let told = person.run(&["whoami", "--server", "work"]).await.ok().harmless().stdout;
    for line in ["anna@example.com", "acme", "admin", "my terminal", "read, change\n", "(2126-11-21T17:54:13Z)"] {
        assert!(told.contains(line), "{line}: {told}");
    }
    let ran = person.run(&["instances"]).await.ok().harmless();
    assert!(ran.stdout.contains("PRODUCTION"), "{ran:#?}");
    let ran = person.run(&["logout"]).await.ok();
    assert!(ran.stdout.contains("Signed out"), "{ran:#?}");
    assert_eq!(server.facts().revoked, ["ocr_1"]);
    person.run(&["whoami"]).await.failed(3, "ocore login");
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_keeps_to_the_interval_and_slows_down_when_told() {
    let server = Authority::start().await;
    server.facts().polls.extend(["503", "slow_down"]);
    let start = Instant::now();
    Person::new().run(&["login", &server.url]).await.ok();
    // 1 s, then 2 s after the failure, then 2 + 5 s.
    assert!(start.elapsed().as_secs() >= 10, "{:?}", start.elapsed());
    assert_eq!(server.facts().polled, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_is_denied_or_expires_keeps_nothing() {
    for (answer, code, says) in
        [("access_denied", 3, "refused the login"), ("expired_token", 1, "expired"), ("invalid_scope", 3, "--scope")]
    {
        let server = Authority::start().await;
        server.facts().polls.push_back(answer);
        let person = Person::new();
        person.run(&["login", &server.url]).await.failed(code, says);
        assert!(!person.folder().join("logins.json").exists(), "{answer}");
    }
    let server = Authority::start().await;
    server.facts().device.insert("expires_in", json!(2));
    server.facts().polls.extend(["authorization_pending"; 9]);
    Person::new().run(&["login", &server.url]).await.failed(1, "expired");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_elsewhere_gets_nothing() {
    let other = Authority::start().await;
    let cases = [
        ("resource", "resource", json!(format!("{}/mcp", other.url)), 2, "calls itself"),
        ("resource", "authorization_servers", json!([other.url]), 3, "authorization server"),
        ("resource", "authorization_servers", json!([]), 3, "offers no login"),
        ("server", "issuer", json!(other.url), 3, "issuer"),
        ("server", "token_endpoint", json!(format!("{}/token", other.url)), 3, "token endpoint"),
        ("server", "device_authorization_endpoint", json!(format!("{}/device_authorization", other.url)), 3, "device endpoint"),
        ("server", "revocation_endpoint", json!(format!("{}/revoke", other.url)), 3, "revocation endpoint"),
        ("server", "device_authorization_endpoint", json!(null), 3, "command lines"),
        ("device", "verification_uri", json!(format!("{}/device", other.url)), 3, "page to approve"),
        ("device", "user_code", json!("call +1 555"), 1, "user_code"),
        ("device", "user_code", json!(EVIL), 1, "user_code"),
        ("device", "device_code", json!("a\r\nb"), 1, "device_code"),
        ("device", "error", json!(EVIL), 3, "refused"),
    ];
    for (document, member, value, code, says) in cases {
        let server = Authority::start().await;
        {
            let mut facts = server.facts();
            let facts = &mut *facts;
            let document = match document {
                "resource" => &mut facts.resource,
                "server" => &mut facts.server,
                _ => &mut facts.device,
            };
            document.insert(member, value);
        }
        let person = Person::new();
        person.run(&["login", &server.url]).await.failed(code, says).harmless();
        assert!(!person.folder().join("logins.json").exists(), "{member}");
        assert_eq!(server.facts().polled, 0, "{member}");
    }
    // An issuer that differs in a slash alone is another one, too (RFC 8414 section 3.3).
    let server = Authority::start().await;
    let slash = format!("{}/", server.url);
    server.facts().server.insert("issuer", json!(slash));
    Person::new().run(&["login", &server.url]).await.failed(3, "issuer");
    // A redirect is not followed.
    let server = Authority::start().await;
    server.facts().redirect = Some(format!("{}/token", other.url));
    Person::new().run(&["login", &server.url]).await.failed(1, "redirect");
    let facts = other.facts();
    assert_eq!(
        (facts.polled, facts.issued, facts.form.len(), facts.revoked.len()),
        (0, 0, 0, 0),
        "the other server was told something"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_are_not_safe_and_bodies_without_end_are_refused() {
    let person = Person::new();
    person.run(&["login", "http://ocore.example"]).await.failed(2, "in clear");
    let ran = person.run(&["login", "https://u:hunter2@ocore.example"]).await.failed(2, "password");
    assert!(!ran.stderr.contains("hunter2"));
    person.run(&["login", "http://127.0.0.1:1"]).await.failed(1, "cannot be reached");
    let server = Authority::start().await;
    server.facts().endless = true;
    person.run(&["login", &server.url]).await.failed(1, "larger than");
    person.run(&["login", &server.url, "--scope", "rea"]).await.failed(2, "Did you mean read");
    person.run(&["call", "dev_echo", "--server", "nowhere"]).await.failed(3, "not signed in");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_processes_renew_once() {
    let server = Authority::start().await;
    server.facts().lives = 1;
    let person = Person::at(&server).await;
    let runs = (0..10).map(|n| {
        let mut command = person.ocore();
        command.args(["--json", "call", "dev_echo", &format!("n={n}")]);
        async move { crate::Ran::from(command.output().await.unwrap()) }
    });
    let runs = futures_util::future::join_all(runs).await;
    for (n, ran) in runs.into_iter().enumerate() {
        assert_eq!(ran.ok().json()["arguments"]["n"], n);
    }
    assert_eq!(server.facts().refreshes, 1);
    let kept = person.logins();
    let tokens = &kept["logins"][&server.url]["tokens"];
    assert_eq!((&tokens["access"], &tokens["refresh"]), (&json!("oca_2"), &json!("ocr_2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_server_refuses_is_renewed_and_a_dead_login_says_so() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    // Revoked early, with time left on it.
    server.facts().access = "oca_other".into();
    person.run(&["instances"]).await.ok();
    assert_eq!(server.facts().refreshes, 1);
    server.facts().access = "oca_other".into();
    server.facts().refresh = "ocr_other".into();
    person.run(&["instances"]).await.failed(3, &format!("ocore login {}", server.url));
    let kept = person.logins();
    assert_eq!(kept["logins"][&server.url]["tokens"]["refresh"], "ocr_2", "the person decides when it is forgotten");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_no_login() {
    let server = Authority::start().await;
    server.facts().lives = 1;
    let person = Person::at(&server).await;
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    server.facts().token_status = Some(503);
    person.run(&["instances"]).await.failed(1, "503");
    assert_eq!(person.logins()["logins"][&server.url]["tokens"]["refresh"], "ocr_1");
    server.facts().token_status = None;
    person.run(&["instances"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renewal_whose_answer_is_lost_is_asked_for_again_at_once() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    {
        let mut facts = server.facts();
        facts.access = "oca_other".into();
        (facts.lost, facts.grace) = (2, true);
    }
    person.run(&["instances"]).await.ok();
    assert_eq!(server.facts().refreshes, 3);
    assert_eq!(person.logins()["logins"][&server.url]["tokens"]["refresh"], "ocr_4");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_that_is_stopped_keeps_what_it_renewed() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    server.facts().late = 1500;
    server.facts().access = "oca_other".into();
    let child = person.ocore().arg("instances").stderr(std::process::Stdio::piped()).spawn().unwrap();
    server.until(|facts| facts.refreshes == 1).await;
    let pid = child.id().unwrap().to_string();
    assert!(std::process::Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
    let ran: crate::Ran = child.wait_with_output().await.unwrap().into();
    ran.failed(1, "You stopped it");
    assert_eq!(person.logins()["logins"][&server.url]["tokens"]["refresh"], "ocr_2");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_logout_without_the_server_forgets_and_says_so() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    // The same login at a port where nobody listens.
    let path = person.folder().join("logins.json");
    let text = std::fs::read_to_string(&path).unwrap().replace(&server.url, "http://127.0.0.1:1");
    std::fs::write(&path, text).unwrap();
    let ran = person.run(&["logout"]).await.ok();
    assert!(ran.stdout.contains("could not be told"), "{ran:#?}");
    assert_eq!(person.logins()["logins"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn several_servers_stand_side_by_side() {
    let (one, two) = (Authority::start().await, Authority::start().await);
    let person = Person::at(&one).await;
    let ran = person.run(&["login", &two.url, "--label", "second"]).await.ok();
    assert!(ran.stdout.contains("--server"), "{ran:#?}");
    let server = |ran: crate::Ran| ran.ok().json()["server"].clone();
    assert_eq!(server(person.run(&["--json", "whoami"]).await), json!(one.url));
    assert_eq!(server(person.run(&["--json", "whoami", "--server", "second"]).await), json!(two.url));
    assert_eq!(
        server(person.ocore().args(["--json", "whoami"]).env("OCORE_SERVER", &two.url).output().await.unwrap().into()),
        json!(two.url)
    );
    person.run(&["login", &two.url, "--default"]).await.ok();
    assert_eq!(server(person.run(&["--json", "whoami"]).await), json!(two.url));
    assert_eq!(two.facts().revoked, ["ocr_1"], "the login that was replaced is ended");
    person.run(&["login", &one.url, "--label", "second"]).await.failed(2, "has that label");
    // A key is for its own server alone.
    let keyed = |url: &str| {
        let mut command = person.ocore();
        command.env("OCORE_API_KEY", "ock_x").env("OCORE_URL", url);
        command
    };
    let ran: crate::Ran = keyed(&one.url).args(["instances"]).output().await.unwrap().into();
    ran.failed(3, "API key");
    assert!(one.facts().headers.iter().any(|h| h["authorization"] == "Bearer ock_x"));
    let ran: crate::Ran = keyed(&one.url).args(["instances", "--server", "second"]).output().await.unwrap().into();
    ran.ok();
    assert!(two.facts().headers.iter().all(|h| h["authorization"] != "Bearer ock_x"));
    let ran: crate::Ran = person.ocore().env("OCORE_API_KEY", "ock_x").arg("instances").output().await.unwrap().into();
    ran.failed(2, "OCORE_URL");
    person.run(&["logout", "--all"]).await.ok();
    assert_eq!(person.logins()["logins"], json!({}));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_there_is_no_keyring_the_file_is_taken_unless_the_keyring_was_asked_for() {
    let server = Authority::start().await;
    let person = Person::new();
    let nowhere = "unix:path=/nonexistent/bus";
    let login = |args: &'static [&'static str]| {
        let mut command = person.ocore();
        command.env_remove("OCORE_LOGIN_STORE").env("DBUS_SESSION_BUS_ADDRESS", nowhere).args(["login", &server.url]).args(args);
        async move { crate::Ran::from(command.output().await.unwrap()) }
    };
    login(&["--store", "keyring"]).await.failed(1, "--store file");
    assert!(!person.folder().join("logins.json").exists());
    assert_eq!(server.facts().revoked, ["ocr_1"], "tokens that cannot be kept are ended");
    let ran = login(&[]).await.ok();
    assert!(ran.stdout.contains("logins.json"), "{ran:#?}");
    person.run(&["instances"]).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_others_can_read_is_refused() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    let path = person.folder().join("logins.json");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let ran = person.run(&["instances"]).await.failed(3, "chmod go=");
    assert!(!ran.stderr.contains("oca_"));
    person.run(&["login", &server.url]).await.failed(3, "chmod go=");
}

#[tokio::test(flavor = "multi_thread")]
async fn hostile_answers_reach_nobodys_terminal() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    for args in [
        &["call", "dev_evil"][..],
        &["--json", "call", "dev_evil"],
        &["instances"],
        &["--json", "instances"],
        &["tools"],
        &["call", "dev_ask", "--instance", "dev", "--yes"],
    ] {
        person.run(args).await.ok().harmless();
    }
    person.run(&["call", "dev_ask", "--instance", "dev"]).await.failed(3, "--yes").harmless();
    person.run(&["call", "dev_nope"]).await.failed(3, "no tool").harmless();
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_stream_break_and_want_to_be_confirmed() {
    let server = Authority::start().await;
    let person = Person::at(&server).await;
    assert_eq!(person.run(&["--json", "call", "dev_stream"]).await.ok().json(), json!({"steps": 2}));
    let ran = person.run(&["--json", "call", "dev_break"]).await;
    assert_eq!(ran.code, 4, "{ran:#?}");
    assert!(ran.stderr.contains("outcome_unknown"), "{ran:#?}");
    let ran = person.run(&["--json", "call", "dev_ask"]).await;
    assert_eq!(ran.code, 3, "{ran:#?}");
    assert!(ran.stderr.contains("confirm_required"), "{ran:#?}");
    assert_eq!(person.run(&["--json", "call", "ask", "--yes"]).await.ok().json(), json!({"deleted": 1}));
    assert_eq!(
        person.run(&["--json", "call", "echo", "a=1", "b.c=x"]).await.ok().json(),
        json!({"arguments": {"a": 1, "b": {"c": "x"}}})
    );
    // What takes long or breaks while it only reads is a failure, not an unknown outcome.
    server.facts().breaks = 9;
    person.run(&["instances"]).await.failed(1, "no answer");
}
