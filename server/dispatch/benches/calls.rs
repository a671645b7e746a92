//! What one call costs inside: policy, rate, arguments, audit and shaping on, a tool that does nothing. Bar: 20,000 calls per CPU-second.
#![allow(
    clippy::wildcard_imports,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods,
    clippy::cast_precision_loss
)]
#[path = "../tests/common/mod.rs"]
mod common;

use std::sync::Arc;

use common::World;
use dispatch::{Call, View};
use kernel::{Category, Permissions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tools::contract::{self as tool, *};

/// Says what it was told.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Say {
    text: String,
}
#[derive(Debug, Serialize, JsonSchema)]
struct Said {
    text: String,
}
impl tool::Answer for Said {}
impl ReadTool for Say {
    type Answer = Said;
    async fn call(self, _: &ReadCx) -> Result<Said> {
        Ok(Said { text: self.text })
    }
}
static TOOLS: [Tool; 1] = [tool::read::<Say>("Say").named("ocore_say", Category::Platform)];

/// User and system time of this process so far, in seconds (ticks of 10 ms).
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let world = World::new(&TOOLS).await;
        let total = 100_000_u32;
        let start = (cpu_seconds(), std::time::Instant::now());
        let workers: Vec<_> = (0..8)
            .map(|_| {
                let (dispatch, actor) = (Arc::clone(&world.dispatch), world.actor(Permissions::all()));
                tokio::spawn(async move {
                    for _ in 0..total / 8 {
                        let call = Call {
                            actor: Arc::clone(&actor),
                            view: View::default(),
                            name: "ocore_say".to_owned(),
                            arguments: json!({"text": "hello", "timeout_seconds": 30}),
                        };
                        assert!(!dispatch.call(call).answer().await.is_error);
                    }
                })
            })
            .collect();
        for worker in workers {
            worker.await.unwrap();
        }
        let (cpu, wall) = (cpu_seconds() - start.0, start.1.elapsed().as_secs_f64());
        let rate = f64::from(total) / cpu;
        println!(
            "dispatcher: {rate:.0} calls per CPU-second, {:.1} µs each, audit included (bar 20,000: {}); {:.0} calls/s on the wall",
            1e6 / rate,
            if rate >= 20_000.0 { "met" } else { "MISSED" },
            f64::from(total) / wall
        );
    });
}
