//! What every test stands on: the real program, the real Odoos, and a plain MCP client.
#![allow(dead_code, unused_imports, reason = "the tests and the bench each use their part")]
mod mcp;
mod odoo;
mod process;

pub use mcp::{Mcp, Reply};
pub use odoo::{Odoo, stack};
pub use process::{Ocore, Output};

/// The repository's root.
pub fn root() -> std::path::PathBuf {
    std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// Says why a test cannot run. Under OCORE_TEST_REQUIRE (as `make test` sets it) that is a failure.
pub fn cannot_run(why: &str) {
    assert!(std::env::var_os("OCORE_TEST_REQUIRE").is_none(), "this test must run here, but {why}");
    println!("SKIPPED: {why}");
}

/// Runs the future of a test on a runtime of its own.
pub fn run<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime").block_on(test)
}
