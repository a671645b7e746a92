//! The narrow path, end to end: register an Odoo, make a key, read and write a partner, find it in Odoo's own database.
use serde_json::json;

use crate::harness::{Ocore, Odoo, run};

#[test]
fn a_partner_is_read_and_written_in_odoo_19() {
    narrow_path(19);
}

#[test]
fn a_partner_is_read_and_written_in_odoo_14() {
    narrow_path(14);
}

fn narrow_path(version: u16) {
    let Some(odoo) = Odoo::shared(version) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.serve();
    let mcp = ocore.key(&[]);
    run(async {
        let found = mcp
            .call("dev_search_read", json!({"model": "res.partner", "domain": [["is_company", "=", true]], "limit": 3}))
            .await
            .ok();
        assert_eq!(found["count"], 3, "{found}");
        let id = found["records"][0]["id"].as_i64().expect("an id");
        let name = format!("Smoke {version}");
        let written = mcp.call("dev_write", json!({"model": "res.partner", "ids": [id], "values": {"name": name}})).await.ok();
        assert_eq!(written["records"][0]["name"], name, "{written}");
        assert_eq!(odoo.sql(&format!("SELECT name FROM res_partner WHERE id = {id}")), name);
    });
    let audit = ocore.cli(&["audit", "list", "--org", "acme", "--json"], "").ok();
    assert!(audit.stdout.contains("search_read") && audit.stdout.contains("\"write\""), "{audit:?}");
    assert_eq!(ocore.stop("TERM"), 0);
    // The main audit log tells when the key's session began, and that it ended with the server.
    let log = ocore.cli(&["audit", "log", "--org", "acme", "--json"], "").ok().json();
    let log = log.as_array().unwrap();
    let of = |action: &str| log.iter().find(|row| row["action"] == action).unwrap_or_else(|| panic!("no {action}: {log:?}"));
    let (start, end) = (of("session.start"), of("session.end"));
    assert_eq!(start["target"]["id"], end["target"]["id"], "{start} {end}");
    assert!(end["detail"]["calls"].as_u64() >= Some(2) && end["detail"]["why"] == "the server stopped", "{end}");
}
