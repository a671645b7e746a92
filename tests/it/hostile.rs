//! Hostile input: everything is refused with its code, and the audit log has the row. What the dispatcher refuses runs on one
//! Odoo, what the handles refuse on both.
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{Mcp, Ocore, Odoo, run};

/// The rows of the call audit, newest first.
fn audit(ocore: &Ocore, org: &str) -> Vec<Value> {
    let listed = ocore.cli(&["audit", "list", "--org", org, "--limit", "500", "--json"], "").ok().json();
    let rows = listed.as_array().cloned().or_else(|| listed.get("calls").and_then(Value::as_array).cloned());
    rows.unwrap_or_else(|| panic!("no list of calls in {listed}"))
}

/// Waits for a row with this code (rows of refusals are written in batches, at most a second later).
#[track_caller]
fn row(ocore: &Ocore, org: &str, code: &str, of: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        if let Some(row) = audit(ocore, org).into_iter().find(|r| r["code"] == code && of(r)) {
            return row;
        }
        assert!(start.elapsed() < Duration::from_secs(5), "no audit row with code {code}: {:#?}", audit(ocore, org));
        std::thread::sleep(Duration::from_millis(200));
    }
}

async fn status(mcp: &Mcp) -> (u16, String, String) {
    let response =
        mcp.post(&[("mcp-protocol-version", "2025-06-18")], br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_vec()).await;
    let challenge = response.headers().get("www-authenticate").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
    (response.status().as_u16(), challenge, response.text().await.unwrap_or_default())
}

#[test]
fn the_dispatcher_refuses_with_a_code_and_a_row() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.cli(&["org", "create", "rival"], "").ok();
    ocore.cli(&["server", "create", "elsewhere", "--org", "rival"], "").ok();
    ocore.serve();
    let read = json!({"model": "res.partner", "limit": 1});
    let write = json!({"model": "res.partner", "ids": [1], "values": {"comment": "x"}});
    let refused = |mcp: Mcp, tool: &'static str, arguments: Value, code: &'static str| {
        let body = run(async { mcp.call(tool, arguments).await.refused(code) });
        if code != "unknown_tool" {
            assert!(
                body["message"].as_str().is_some_and(|m| !m.is_empty()) && body["next"].as_str().is_some_and(|n| !n.is_empty()),
                "{body}"
            );
        }
        row(&ocore, "acme", code, |r| tool.ends_with(r["tool"].as_str().unwrap_or("?")) || r["tool"] == tool);
        body
    };

    // A foreign tenant's slug answers exactly like one that does not exist.
    let rival = ocore.cli(&["key", "create", "--org", "rival", "--label", "r", "--role", "owner"], "").ok();
    let rival = Mcp::new(&ocore.url, rival.stdout.lines().last().unwrap().trim());
    let (foreign, missing) = run(async {
        let foreign = rival.request("tools/call", json!({"name": "dev_search_read", "arguments": read})).await;
        let missing = rival.request("tools/call", json!({"name": "nix_search_read", "arguments": read})).await;
        (foreign, missing)
    });
    assert_eq!(foreign.1["error"]["code"], -32602, "{foreign:?}");
    assert_eq!(foreign.1.to_string().replace("dev_", "nix_"), missing.1.to_string());
    row(&ocore, "rival", "unknown_tool", |_| true);
    assert!(run(rival.tools()).iter().all(|t| t.starts_with("ocore_")));

    refused(ocore.key(&["--categories", "search"]), "dev_search_read", read.clone(), "permission_denied");
    // An empty set grants nothing.
    let nothing = ocore.key(&["--categories", ""]);
    refused(nothing.clone(), "dev_search_read", read.clone(), "permission_denied");
    assert_eq!(run(nothing.tools()).into_iter().collect::<Vec<_>>(), ["ocore_list_instances"]);
    refused(ocore.key(&["--instances", ""]), "dev_search_read", read.clone(), "unknown_tool");
    refused(ocore.key(&["--read-only"]), "dev_write", write.clone(), "permission_denied");
    refused(ocore.key(&["--role", "viewer"]), "dev_write", write.clone(), "permission_denied");
    refused(ocore.key(&["--tools-deny", "write"]), "dev_write", write.clone(), "permission_denied");
    refused(ocore.key(&["--tools-allow", "count"]), "dev_search_read", read.clone(), "permission_denied");
    refused(ocore.key(&["--models", "res.country"]), "dev_search_read", read.clone(), "model_denied");
    refused(ocore.key(&["--models", ""]), "dev_search_read", read.clone(), "model_denied");
    let full = ocore.key(&[]);
    refused(full.clone(), "dev_search_read", json!({"model": "res.partner", "limitt": 1}), "invalid_argument");
    for name in ["res partner", "res.partner; DROP TABLE res_partner", "res.partner'--", "../res.partner", "rés.partner", ""] {
        refused(full.clone(), "dev_search_read", json!({"model": name}), "invalid_argument");
    }
    refused(
        full.clone(),
        "dev_search_read",
        json!({"model": "res.partner", "context": {"tracking_disable": true}}),
        "invalid_argument",
    );
    refused(full.clone(), "dev_search_read", json!({"model": "res.partner", "timeout_seconds": 121}), "invalid_argument");
    refused(full.clone(), "dev_unlink", json!({"model": "res.partner", "ids": [3]}), "confirm_required");

    // The guard: closed in production, plans are answered, and the refusal names the way.
    ocore.cli(&["instance", "update", "dev", "--write-enabled", "false"], "").ok();
    std::thread::sleep(Duration::from_millis(1500));
    refused(full.clone(), "dev_write", write.clone(), "write_blocked");
    let plan =
        run(full.call("dev_write", json!({"model": "res.partner", "ids": [1], "values": {"comment": "x"}, "dry_run": true})))
            .ok();
    assert!(plan["notes"].to_string().contains("refused"), "{plan}");
    assert!(run(full.tools()).contains("dev_write"), "a closed guard hides nothing");
    ocore.cli(&["instance", "update", "dev", "--write-enabled", "true"], "").ok();

    // The rate, with the seconds to wait, folded into one row per key and minute.
    let slow = ocore.key(&["--rate", "2"]);
    run(async {
        for _ in 0..2 {
            slow.call("ocore_list_instances", json!({})).await.ok();
        }
        for _ in 0..5 {
            let body = slow.call("ocore_list_instances", json!({})).await.refused("rate_limited");
            assert!(body["next"].to_string().contains("Wait"), "{body}");
        }
    });
    row(&ocore, "acme", "rate_limited", |_| true);

    // A slug that would make an ambiguous name.
    let ambiguous = ocore.instance("dev-search", &odoo, &["--no-check"]);
    assert_eq!(ambiguous.code, 3, "{ambiguous:?}");
    assert!(ambiguous.stderr.contains("dev_search_read"), "{ambiguous:?}");

    // Secrets in arguments never reach the log.
    let secret = json!({"model": "res.partner", "values": {"name": "S", "password": "hunter2-hunter2"}});
    let _ = run(full.call("dev_create", secret));
    std::thread::sleep(Duration::from_millis(600));
    assert!(!serde_json::to_string(&audit(&ocore, "acme")).unwrap().contains("hunter2"));
    assert!(!ocore.log().contains("hunter2"));
    assert!(!ocore.log().contains(&full.key));
}

#[test]
fn keys_stop_working_and_the_door_says_why() {
    let mut ocore = Ocore::new();
    ocore.serve();
    let (ok, _, _) = run(status(&ocore.key(&[])));
    assert_eq!(ok, 200);

    // Unknown and malformed keys: 401 with a challenge, and no tenant's row.
    for bad in ["", "nonsense", "ock_0000000000000000000000000000000000000000"] {
        let (code, challenge, body) = run(status(&Mcp::new(&ocore.url, bad)));
        assert_eq!(code, 401, "{body}");
        assert!(
            challenge.starts_with("Bearer ") && challenge.contains("/.well-known/oauth-protected-resource/mcp"),
            "{challenge}"
        );
    }
    assert!(audit(&ocore, "acme").iter().all(|r| r["code"] != "unauthorized"));

    // Expired: a key that has a moment to live.
    let soon = kernel::time_text(kernel::Sources::system().now() + kernel::TimeDelta::seconds(3));
    let short_lived = ocore.key(&["--expires", &soon]);
    std::thread::sleep(Duration::from_secs(4));
    let (code, _, body) = run(status(&short_lived));
    assert_eq!(code, 401, "{body}");
    assert!(body.contains("expired"), "{body}");
    row(&ocore, "acme", "unauthorized", |_| true);

    // An address outside the list.
    let (code, _, body) = run(status(&ocore.key(&["--ip", "192.0.2.0/24"])));
    assert_eq!(code, 403, "{body}");
    row(&ocore, "acme", "permission_denied", |_| true);

    // Revoked from another process, while the server runs.
    let mcp = ocore.key(&["--label", "to-revoke"]);
    assert_eq!(run(status(&mcp)).0, 200);
    let listed = ocore.cli(&["key", "list", "--org", "acme", "--json"], "").ok().json();
    let keys = listed.as_array().cloned().or_else(|| listed["keys"].as_array().cloned()).unwrap();
    let id = keys.iter().find(|k| k["label"] == "to-revoke").unwrap()["id"].as_str().unwrap().to_owned();
    ocore.cli(&["key", "revoke", &id, "--org", "acme"], "").ok();
    let start = Instant::now();
    while run(status(&mcp)).0 != 401 {
        assert!(start.elapsed() < Duration::from_secs(30), "a revoked key still works");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("a revoked key stopped working after {} ms", start.elapsed().as_millis());

    // The kill switch: everything of the organization, and back again.
    let mcp = ocore.key(&[]);
    ocore.cli(&["org", "update", "acme", "--kill-switch", "on"], "").ok();
    let start = Instant::now();
    while run(status(&mcp)).0 != 403 {
        assert!(start.elapsed() < Duration::from_secs(30), "the kill switch does nothing");
        std::thread::sleep(Duration::from_millis(100));
    }
    ocore.cli(&["org", "update", "acme", "--kill-switch", "off"], "").ok();
    while run(status(&mcp)).0 != 200 {
        assert!(start.elapsed() < Duration::from_secs(30), "the kill switch does not go off again");
        std::thread::sleep(Duration::from_millis(100));
    }
}

#[test]
fn the_edge_refuses_before_anything_is_parsed() {
    let mut ocore = Ocore::new();
    ocore.serve();
    let mcp = ocore.key(&[]);
    run(async {
        let big = mcp.post(&[], vec![b' '; 20 * 1024 * 1024]).await;
        assert_eq!(big.status(), 413);
        let origin = mcp.post(&[("origin", "https://evil.example")], b"{}".to_vec()).await;
        assert_eq!(origin.status(), 403);
        let host = mcp.post(&[("host", "evil.example")], b"{}".to_vec()).await;
        assert!(host.status().is_client_error(), "{}", host.status());
        for garbage in [&b"{"[..], b"[]", b"null", b"\xff\xfe", b"{\"jsonrpc\":\"2.0\"}", b""] {
            let answer = mcp.post(&[], garbage.to_vec()).await;
            assert!(answer.status().is_client_error(), "{} for {garbage:?}", answer.status());
        }
        let deep = "[".repeat(200_000);
        let answer = mcp.post(&[], deep.into_bytes()).await;
        assert!(answer.status().is_client_error(), "{}", answer.status());
        assert_eq!(status(&mcp).await.0, 200, "the server lives");
    });
}

/// What needs Odoo's schema is walked in the handles: run on both Odoos.
#[test]
fn a_restricted_key_reaches_no_other_model_in_odoo_19() {
    restricted(19);
}
#[test]
fn a_restricted_key_reaches_no_other_model_in_odoo_14() {
    restricted(14);
}
fn restricted(version: u16) {
    let Some(odoo) = Odoo::shared(version) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.serve();
    let partner_only = ocore.key(&["--models", "res.partner,res.country"]);
    let full = ocore.key(&[]);
    run(async {
        // Its own models work, with paths between them.
        partner_only
            .call("dev_search_read", json!({"model": "res.partner", "domain": [["country_id.code", "=", "US"]], "limit": 2}))
            .await
            .ok();
        let m = "res.partner";
        for (tool, arguments) in [
            ("dev_search_read", json!({"model": "res.users"})),
            ("dev_search_read", json!({"model": m, "domain": [["user_id.login", "=", "admin"]]})),
            ("dev_search_read", json!({"model": m, "domain": ["|", ["name", "=", "x"], ["user_ids.login", "ilike", "a"]]})),
            ("dev_search_read", json!({"model": m, "domain": [["create_uid", "ilike", "admin"]]})),
            ("dev_search_read", json!({"model": m, "domain": [["user_ids", "any", [["login", "=", "admin"]]]]})),
            ("dev_search_read", json!({"model": m, "domain": [["child_ids", "any", [["user_id.login", "=", "admin"]]]]})),
            ("dev_search_read", json!({"model": m, "order": "user_id"})),
            ("dev_count", json!({"model": m, "domain": [["user_id.password", "!=", false]]})),
            ("dev_aggregation", json!({"model": m, "operation": "group_by", "groupby": ["user_id"]})),
            ("dev_distinct_field_values", json!({"model": m, "fields": ["user_id"]})),
            ("dev_write", json!({"model": m, "ids": [3], "values": {"user_ids": [[0, 0, {"login": "evil", "name": "evil"}]]}})),
            (
                "dev_create",
                json!({"model": m, "values": {"name": "x", "child_ids": [[0, 0, {"name": "y", "user_ids": [[0, 0, {"login": "e"}]]}]]}}),
            ),
        ] {
            let body = partner_only.call(tool, arguments.clone()).await;
            assert!(body.is_error, "{tool} {arguments} was answered: {:#}", body.body);
            let code = body.body["code"].as_str().unwrap_or_default().to_owned();
            assert!(["model_denied", "field_denied"].contains(&code.as_str()), "{tool} {arguments}: {:#}", body.body);
        }
        for method in ["web_search_read", "web_read", "read_progress_bar", "search_panel_select_range", "action_archive"] {
            partner_only
                .call("dev_execute_method", json!({"model": m, "method": method, "confirm": true}))
                .await
                .refused("permission_denied");
        }
        // Names of records of other models shrink to ids.
        let row = partner_only
            .call("dev_search_read", json!({"model": m, "fields": ["name", "create_uid", "country_id"], "limit": 1}))
            .await
            .ok();
        assert!(row["records"][0]["create_uid"].is_number(), "{row}");

        // A full key: secrets, blocked models and methods.
        for (tool, arguments, code) in [
            ("dev_search_read", json!({"model": "ir.config_parameter"}), "model_denied"),
            ("dev_search_read", json!({"model": "res.users.apikeys"}), "model_denied"),
            ("dev_search_read", json!({"model": "ir.mail_server"}), "model_denied"),
            ("dev_create", json!({"model": "ir.actions.server", "values": {"name": "x"}}), "model_denied"),
            ("dev_write", json!({"model": "res.users", "ids": [2], "values": {"name": "x"}}), "model_denied"),
            ("dev_unlink", json!({"model": "ir.rule", "ids": [1], "confirm": true}), "model_denied"),
            ("dev_write", json!({"model": m, "ids": [3], "values": {"user_ids": [[1, 2, {"password": "x"}]]}}), "model_denied"),
            ("dev_search_read", json!({"model": "res.users", "fields": ["password"]}), "field_denied"),
            ("dev_count", json!({"model": "res.users", "domain": [["password", "like", "a"]]}), "field_denied"),
            ("dev_count", json!({"model": m, "domain": [["user_ids.password", "like", "a"]]}), "field_denied"),
            ("dev_execute_method", json!({"model": m, "method": "_write", "ids": [3]}), "permission_denied"),
            ("dev_execute_method", json!({"model": m, "method": "unlink", "ids": [3]}), "permission_denied"),
            ("dev_execute_method", json!({"model": m, "method": "sudo", "ids": [3]}), "permission_denied"),
            (
                "dev_execute_method",
                json!({"model": "res.users", "method": "action_reset_password", "ids": [2], "confirm": true}),
                "model_denied",
            ),
        ] {
            let reply = full.call(tool, arguments.clone()).await;
            assert!(reply.is_error, "{tool} {arguments} was answered: {:#}", reply.body);
            assert_eq!(reply.body["code"], code, "{tool} {arguments}: {:#}", reply.body);
        }
        // Users are readable, without their secrets.
        let users = full.call("dev_search_read", json!({"model": "res.users", "limit": 1})).await.ok();
        assert!(users["records"][0].get("password").is_none(), "{users}");
        // Errors teach.
        let wrong = full.call("dev_search_read", json!({"model": m, "fields": ["emial"]})).await.refused("invalid_argument");
        assert!(wrong.to_string().contains("email"), "{wrong}");
        let wrong = full.call("dev_search_read", json!({"model": "res.partnr"})).await;
        assert!(wrong.is_error && wrong.body.to_string().contains("res.partner"), "{:#}", wrong.body);
        assert!(!wrong.body.to_string().contains("Traceback"));
    });
    assert_eq!(odoo.sql("SELECT count(*) FROM res_users WHERE login IN ('evil', 'e')"), "0");
}
