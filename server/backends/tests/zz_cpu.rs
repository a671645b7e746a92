#![allow(clippy::all, clippy::pedantic, clippy::unwrap_used, clippy::print_stdout, clippy::panic, clippy::indexing_slicing)]
mod common;
use backends::odoo::Search;
use common::Bench;
use kernel::RpcDialect;
use serde_json::json;
fn cpu() -> f64 {
    let s = std::fs::read_to_string("/proc/self/stat").unwrap();
    let v: Vec<&str> = s.rsplit(')').next().unwrap().split_whitespace().collect();
    (v[11].parse::<f64>().unwrap() + v[12].parse::<f64>().unwrap()) / 100.0
}
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn cpu_per_call() {
    let url = std::env::var("STUB").unwrap();
    let bench = Bench::new(&url, "db", "admin", "password", RpcDialect::Auto);
    let s = Search {
        model: "res.partner".into(),
        domain: json!([["is_company", "=", true]]),
        fields: vec!["name".into(), "email".into()],
        limit: 10,
        ..Search::default()
    };
    for _ in 0..500 {
        bench.reader().search_read(&s).await.unwrap();
    }
    let (n, a, t) = (20000, cpu(), std::time::Instant::now());
    for _ in 0..n {
        let r = bench.reader().search_read(&s).await.unwrap();
        assert_eq!(r.records.len(), 10);
    }
    println!(
        "serial: {:.1} us cpu, {:.1} us wall per call",
        (cpu() - a) * 1e6 / n as f64,
        t.elapsed().as_secs_f64() * 1e6 / n as f64
    );
    let bench = std::sync::Arc::new(bench);
    let (a, t) = (cpu(), std::time::Instant::now());
    let mut tasks = vec![];
    for _ in 0..4 {
        let (b, s) = (bench.clone(), s.clone());
        tasks.push(tokio::spawn(async move {
            for _ in 0..5000 {
                b.reader().search_read(&s).await.unwrap();
            }
        }));
    }
    for t in tasks {
        t.await.unwrap();
    }
    println!(
        "4 parallel: {:.1} us cpu, {:.1} us wall per call",
        (cpu() - a) * 1e6 / 20000.0,
        t.elapsed().as_secs_f64() * 1e6 / 20000.0
    );
}
