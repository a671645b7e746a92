//! kill -9 in the middle of writes: the store opens again, and every write that a client saw acknowledged has its audit row.
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use crate::harness::{Ocore, Odoo, run};

#[test]
fn every_acknowledged_write_has_its_row_after_kill_9() {
    let Some(odoo) = Odoo::shared(19) else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.serve();
    let mcp = ocore.key(&[]);
    let acknowledged: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    run(async {
        let mut writers = Vec::new();
        for n in 0..200 {
            let (mcp, acknowledged) = (mcp.clone(), Arc::clone(&acknowledged));
            writers.push(tokio::spawn(async move {
                let name = format!("Crash {n:03}");
                let body = json!({
                    "jsonrpc": "2.0", "id": n, "method": "tools/call",
                    "params": {"name": "dev_create", "arguments": {"model": "res.partner", "values": {"name": name}, "timeout_seconds": 60}},
                });
                let request = reqwest::Client::new()
                    .post(format!("{}/mcp", mcp.base))
                    .bearer_auth(&mcp.key)
                    .header("content-type", "application/json")
                    // No streams: on a busy machine an answer that took ten seconds would come as one, and not be counted.
                    .header("accept", "application/json")
                    .header("mcp-protocol-version", "2025-06-18")
                    .body(body.to_string());
                // Connections die with the server: only what was answered counts.
                let Ok(response) = request.send().await else { return };
                let Ok(text) = response.text().await else { return };
                let Ok(answer) = serde_json::from_str::<Value>(&text) else { return };
                if answer["result"]["isError"] != true && answer["result"]["structuredContent"]["id"].is_number() {
                    acknowledged.lock().unwrap().insert(name);
                }
            }));
        }
        let start = Instant::now();
        while acknowledged.lock().unwrap().len() < 40 {
            assert!(start.elapsed() < Duration::from_mins(1), "no writes get through: {}", ocore.log());
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        ocore.stop("KILL");
        for writer in writers {
            writer.await.unwrap();
        }
    });
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() < 200, "it was killed too late to prove anything");
    // The store opens, the server starts, and calls work.
    ocore.serve();
    run(ocore.key(&[]).call("dev_count", json!({"model": "res.partner"}))).ok();
    let listed = ocore.cli(&["audit", "list", "--org", "acme", "--tool", "create", "--limit", "500", "--json"], "").ok().json();
    let rows = listed.as_array().cloned().or_else(|| listed["calls"].as_array().cloned()).unwrap();
    let state = |row: &Value| row["state"].as_str().or_else(|| row["outcome"].as_str()).unwrap_or_default().to_owned();
    for name in &acknowledged {
        let row = rows.iter().find(|r| r["arguments"].to_string().contains(name.as_str()));
        assert!(row.is_some_and(|r| state(r) == "ok"), "{name} was acknowledged, its row is {row:?}");
    }
    println!("{} writes were acknowledged before the kill, each has its row ({} rows in all)", acknowledged.len(), rows.len());
}
