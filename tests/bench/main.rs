//! `make bench`: what governing a call costs, measured beside the raw call, in one run. Prints ratios against the bars.
//!
//! Latency on the real Odoo by alternating pairs (raw JSON-RPC with the same login, then through ocore), so that drift of the
//! machine falls on both. The rates and the memory against a stub that answers at once. Loopback only.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![allow(clippy::disallowed_methods, clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss)]
#![allow(dead_code, reason = "the harness serves the tests too")]

#[path = "../it/harness/mod.rs"]
mod harness;
mod stub;

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use harness::{Mcp, Ocore, Odoo, run};
use serde_json::{Value, json};

fn main() {
    // `cargo bench` passes --bench; a word picks one part.
    let only = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let wanted = |part: &str| only.as_deref().is_none_or(|o| part.contains(o));
    if wanted("start") {
        start_to_ready();
    }
    if wanted("list") {
        tool_lists();
    }
    if wanted("rate") {
        rates_and_memory();
    }
    if wanted("stub") {
        added_latency();
    }
    if wanted("odoo") {
        real_latency();
    }
}

fn quantile(sorted: &[Duration], q: f64) -> Duration {
    sorted.get(((sorted.len() - 1) as f64 * q).round() as usize).copied().unwrap_or_default()
}
fn ms(d: Duration) -> f64 {
    d.as_secs_f64() * 1e3
}
fn verdict(value: f64, bar: f64, lower_is_better: bool) -> &'static str {
    if (value <= bar) == lower_is_better { "met" } else { "MISSED" }
}

fn start_to_ready() {
    let mut times: Vec<Duration> = (0..7)
        .map(|_| {
            let mut ocore = Ocore::new();
            let start = Instant::now();
            ocore.serve();
            start.elapsed()
        })
        .collect();
    times.sort();
    let p50 = ms(quantile(&times, 0.5));
    println!("start to ready: p50 {p50:.0} ms (bar 150 ms: {})", verdict(p50, 150.0, true));
}

/// Registers instances without checking them: nothing of them is called.
fn register(ocore: &Ocore, count: usize, url: &str) {
    for n in 0..count {
        let (slug, database) = (format!("i{n:03}"), format!("db{n}"));
        let args = ["instance", "create", &slug, "--org", "acme", "--server", "host", "--url", url, "--database", &database];
        let rest = ["--login", "admin", "--secret-stdin", "--environment", "development", "--no-check"];
        ocore.cli(&[&args[..], &rest[..]].concat(), "admin\n").ok();
    }
}

fn tool_lists() {
    for count in [1, 10, 100] {
        let mut ocore = Ocore::new();
        register(&ocore, count, "http://127.0.0.1:9");
        ocore.serve();
        let mcp = ocore.key(&[]);
        run(async {
            let (tools, bytes) = {
                let (_, list) = mcp.request("tools/list", json!({})).await;
                (list["result"]["tools"].as_array().unwrap().len(), list.to_string().len())
            };
            let mut times = Vec::new();
            let cpu = cpu_seconds(ocore.pid());
            for _ in 0..200 {
                let start = Instant::now();
                let body = br#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#.to_vec();
                let answer = mcp.post(&[("mcp-protocol-version", "2025-11-25")], body).await;
                answer.bytes().await.unwrap();
                times.push(start.elapsed());
            }
            let cpu = (cpu_seconds(ocore.pid()) - cpu) / 200.0 * 1e3;
            times.sort();
            println!(
                "tools/list, {count:>3} instances: {tools} tools, {} KB, p50 {:.2} ms, server CPU {cpu:.2} ms (bar 5 ms for 100: {})",
                bytes / 1024,
                ms(quantile(&times, 0.5)),
                verdict(cpu, 5.0, true)
            );
        });
    }
}

/// User and system time of a process, from /proc (in ticks of 10 ms: measure long enough).
fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}
fn resident_megabytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<f64>().unwrap() / 1024.0
}

/// Calls of one worker before all change over.
const BLOCK: usize = 10;

const READ: &str = r#"{"model":"res.partner","fields":["name","email"],"limit":10}"#;

/// One tools/call of the legacy era (the shortest envelope), as raw as a client can make it.
async fn call(http: &reqwest::Client, mcp: &Mcp, arguments: &str) -> Result<Duration, String> {
    let body = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"dev_search_read","arguments":{arguments}}}}}"#
    );
    let start = Instant::now();
    let response = http
        .post(format!("{}/mcp", mcp.base))
        .bearer_auth(&mcp.key)
        .header("content-type", "application/json")
        .header("accept", "application/json, text/event-stream")
        .header("mcp-protocol-version", "2025-11-25")
        .body(body)
        .send()
        .await
        .map_err(|e| e.to_string())?;
    let text = response.text().await.map_err(|e| e.to_string())?;
    let took = start.elapsed();
    if text.contains(r#""isError":true"#) || !text.contains("structuredContent") { Err(text) } else { Ok(took) }
}

/// The call that a script would make with the same login.
async fn raw(http: &reqwest::Client, url: &str, database: &str, uid: i64) -> Result<Duration, String> {
    let body = json!({"jsonrpc": "2.0", "method": "call", "id": 1, "params": {"service": "object", "method": "execute_kw",
        "args": [database, uid, "admin", "res.partner", "search_read", [], {"domain": [], "fields": ["name", "email"], "limit": 10, "order": "id"}]}});
    let body = body.to_string();
    let start = Instant::now();
    let response = http
        .post(format!("{url}/jsonrpc"))
        .header("content-type", "application/json")
        .body(body)
        .send()
        .await
        .map_err(|e| e.to_string())?;
    let text = response.text().await.map_err(|e| e.to_string())?;
    let took = start.elapsed();
    if text.contains("\"error\"") { Err(text) } else { Ok(took) }
}

fn client() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().tcp_nodelay(true).build().unwrap()
}

/// The raw call and ocore's in turns. One worker alternates call by call. Several would disturb each other (what waits in ocore's
/// queue is load that the raw calls do not see), so there all workers alternate together, in blocks.
fn pairs(mcp: &Mcp, url: &str, database: &str, uid: i64, parallel: usize, total: usize) -> (Vec<Duration>, Vec<Duration>, usize) {
    let block = if parallel == 1 { 1 } else { BLOCK };
    let (raws, ours, errors) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(Vec::new())), Arc::new(Mutex::new(0)));
    run(async {
        let http = client();
        let together = Arc::new(tokio::sync::Barrier::new(parallel));
        let workers: Vec<_> = (0..parallel)
            .map(|_| {
                let together = Arc::clone(&together);
                let (http, mcp, url, database) = (http.clone(), mcp.clone(), url.to_owned(), database.to_owned());
                let (raws, ours, errors) = (Arc::clone(&raws), Arc::clone(&ours), Arc::clone(&errors));
                tokio::spawn(async move {
                    for round in 0..2 * (total / parallel / block) {
                        together.wait().await;
                        // Which comes first changes from pair to pair.
                        let governed = round % 4 == 1 || round % 4 == 2;
                        for _ in 0..block {
                            let result =
                                if governed { call(&http, &mcp, READ).await } else { raw(&http, &url, &database, uid).await };
                            match result {
                                Ok(took) => if governed { &ours } else { &raws }.lock().unwrap().push(took),
                                Err(why) => {
                                    let mut errors = errors.lock().unwrap();
                                    if *errors < 3 {
                                        println!("  {}: {}", if governed { "ocore" } else { "raw" }, &why[..why.len().min(300)]);
                                    }
                                    *errors += 1;
                                }
                            }
                        }
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
    });
    let sorted = |times: &Mutex<Vec<Duration>>| {
        let mut times = times.lock().unwrap().clone();
        times.sort();
        times
    };
    let errors = *errors.lock().unwrap();
    (sorted(&raws), sorted(&ours), errors)
}

fn real_latency() {
    let Some(odoo) = Odoo::fresh(19, "bench") else { return };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    ocore.serve();
    let mcp = ocore.key(&["--rate", "100000000"]);
    let uid = odoo.sql("SELECT id FROM res_users WHERE login = 'admin'").parse().unwrap();
    pairs(&mcp, &odoo.url, &odoo.database, uid, 2, 40);
    for (parallel, total) in [(1, 300), (10, 1000), (50, 5000)] {
        let (raw, ours, errors) = pairs(&mcp, &odoo.url, &odoo.database, uid, parallel, total);
        let p = |times: &[Duration], q| ms(quantile(times, q));
        let (r50, r99) = (p(&ours, 0.5) / p(&raw, 0.5), p(&ours, 0.99) / p(&raw, 0.99));
        println!(
            "real Odoo, {parallel:>2} parallel, {} pairs: raw p50 {:.2} p99 {:.2} ms; ocore p50 {:.2} p99 {:.2} ms; p50 × {r50:.2}{}, p99 × {r99:.2}{}, {errors} errors",
            ours.len(),
            p(&raw, 0.5),
            p(&raw, 0.99),
            p(&ours, 0.5),
            p(&ours, 0.99),
            if parallel < 50 { format!(" (bar 0.95: {})", verdict(r50, 0.95, true)) } else { String::new() },
            if parallel == 50 { format!(" (bar 1.2: {})", verdict(r99, 1.2, true)) } else { String::new() },
        );
    }
}

/// Against a stub that waits a fixed time: what ocore adds is the difference.
fn added_latency() {
    let stub = stub::Stub::start(Duration::from_millis(5));
    let mut ocore = Ocore::new();
    ocore.instance("dev", &stub.odoo(), &[]).ok();
    ocore.serve();
    let mcp = ocore.key(&["--rate", "100000000"]);
    pairs(&mcp, &stub.url, "stub", 2, 1, 50);
    let (raw, ours, errors) = pairs(&mcp, &stub.url, "stub", 2, 1, 1000);
    let added = ms(quantile(&ours, 0.5)) - ms(quantile(&raw, 0.5));
    println!("stub of 5 ms: ocore adds {added:.3} ms at p50 (bar 0.3 ms: {}), {errors} errors", verdict(added, 0.3, true));
}

const WORKERS: u32 = 16;

/// Calls per second of ocore's own CPU, HTTP to HTTP, against a stub that answers at once.
fn rates_and_memory() {
    let stub = stub::Stub::start(Duration::ZERO);
    let mut ocore = Ocore::new();
    // As many workers as the cap on one instance lets through: more would wait for each other.
    ocore.instance("dev", &stub.odoo(), &["--concurrency", "16"]).ok();
    ocore.serve();
    let mcp = ocore.key(&["--rate", "100000000"]);
    let total = 40_000;
    let before = cpu_seconds(ocore.pid());
    let start = Instant::now();
    let errors = run(async {
        let http = client();
        let workers: Vec<_> = (0..WORKERS)
            .map(|_| {
                let (http, mcp) = (http.clone(), mcp.clone());
                tokio::spawn(async move {
                    let mut errors = 0;
                    for _ in 0..total / WORKERS {
                        if let Err(why) = call(&http, &mcp, READ).await {
                            if errors == 0 {
                                println!("  {}", &why[..why.len().min(300)]);
                            }
                            errors += 1;
                        }
                    }
                    errors
                })
            })
            .collect();
        let mut errors = 0;
        for worker in workers {
            errors += worker.await.unwrap();
        }
        errors
    });
    let cpu = cpu_seconds(ocore.pid()) - before;
    let rate = f64::from(total) / cpu;
    println!(
        "HTTP to HTTP: {rate:.0} calls per CPU-second, {:.0} µs each (bar 15,000: {}); {:.0} calls/s on the wall; {errors} errors",
        1e6 / rate,
        verdict(rate, 15_000.0, false),
        f64::from(total) / start.elapsed().as_secs_f64()
    );
    let memory = resident_megabytes(ocore.pid());
    println!("resident after {total} calls: {memory:.0} MB (bar 60 MB: {})", verdict(memory, 60.0, true));
    let _: Value = json!(null);
}
