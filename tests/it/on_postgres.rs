//! The same program on PostgreSQL: migrations by command, calls, audit, and two nodes that see each other's changes.
use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{Mcp, Ocore, Odoo, cannot_run, run, stack};

#[test]
fn two_nodes_on_one_postgresql() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let Ok(server) = stack(&["pgstore"]) else { return cannot_run("the stack tells no PostgreSQL for ocore's own store") };
    let name = format!("ocore_it_{}", std::process::id());
    let role = server.split("://").nth(1).and_then(|r| r.split([':', '@']).next()).expect("a role");
    stack(&["psql", "postgres", &format!("CREATE DATABASE {name} OWNER {role}")]).expect("a database");
    let (head, _) = server.rsplit_once('/').expect("a URL with a database");
    let url = format!("{head}/{name}");

    let mut first = Ocore::bare();
    first.env("OCORE_DATABASE_URL", &url);
    // A password in the argument would be seen in the process list.
    let refused = first.cli(&["--database-url", &url, "org", "list"], "");
    assert!([2, 3].contains(&refused.code) && refused.stderr.contains("password"), "{refused:?}");
    // PostgreSQL is migrated by command, never by the way.
    let refused = first.cli(&["org", "create", "acme"], "");
    assert!(refused.code != 0 && refused.stderr.contains("ocore migrate"), "{refused:?}");
    first.cli(&["migrate"], "").ok();
    first.cli(&["org", "create", "acme"], "").ok();
    first.cli(&["server", "create", "host", "--org", "acme"], "").ok();
    first.instance("dev", &odoo, &[]).ok();
    first.serve();
    let mcp = first.key(&[]);

    // The second node has the key file of the first, and nothing else.
    let mut second = Ocore::beside(&first);
    second.serve();
    let elsewhere = Mcp::new(&second.url, &mcp.key);
    run(async {
        let made = elsewhere
            .call("dev_create", json!({"model": "res.partner", "values": {"name": "By node two"}, "idempotency_key": "n"}))
            .await
            .ok();
        assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {}", made["id"])), "By node two");
        // The same idempotency key on the other node is the same call.
        let again = mcp
            .call("dev_create", json!({"model": "res.partner", "values": {"name": "By node two"}, "idempotency_key": "n"}))
            .await
            .ok();
        assert_eq!(made, again);
        // So is a confirmation.
        let plan = mcp.call("dev_unlink", json!({"model": "res.partner", "ids": [made["id"]]})).await.refused("confirm_required");
        let confirmed = json!({"model": "res.partner", "ids": [made["id"]], "confirm_token": plan["confirm_token"]});
        elsewhere.call("dev_unlink", confirmed).await.ok();
    });
    first.cli(&["org", "update", "acme", "--kill-switch", "on"], "").ok();
    let start = Instant::now();
    let stopped = |mcp: &Mcp| run(mcp.post(&[], br#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#.to_vec())).status() == 403;
    while !(stopped(&mcp) && stopped(&elsewhere)) {
        assert!(start.elapsed() < Duration::from_secs(30), "the kill switch does not reach both nodes");
        std::thread::sleep(Duration::from_millis(100));
    }
    println!("the kill switch reached both nodes after {} ms", start.elapsed().as_millis());
    assert_eq!((first.stop("TERM"), second.stop("TERM")), (0, 0));
    let _ = stack(&["psql", "postgres", &format!("DROP DATABASE {name} WITH (FORCE)")]);
}
