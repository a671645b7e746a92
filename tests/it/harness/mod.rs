//! What every test stands on: the real program, the real Odoos, and a plain MCP client.
#![allow(dead_code, unused_imports, unused_macros, reason = "the tests and the bench each use their part")]
use std::{
    collections::BTreeMap,
    sync::{Mutex, OnceLock, PoisonError},
};

mod container;
mod mcp;
mod names;
mod odoo;
mod process;
/// TLS servers that answer as they are told, and the authority of their certificates.
#[path = "../../../server/identity/src/world.rs"]
pub mod tls;

pub use container::{Own, docker};
pub use mcp::{Mcp, Reply};
pub use names::{NAME_SERVER, Names};
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

/// A server with the shared Odoo of that version as `dev`, and a full key.
pub fn world(version: u16) -> Option<(Odoo, Ocore, Mcp)> {
    let odoo = Odoo::shared(version)?;
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    let mcp = ocore.serve().key(&[]).on(version);
    Some((odoo, ocore, mcp))
}

/// A database of the tests' own area, made once, with a server that has it as `dev`, and a full key. `make` is how it is made.
pub fn own(version: u16, area: &'static str, make: fn(u16, &str) -> Option<Odoo>) -> Option<(Odoo, Ocore, Mcp)> {
    type Made = BTreeMap<(u16, &'static str), Option<Odoo>>;
    static MADE: OnceLock<Mutex<Made>> = OnceLock::new();
    let odoo = {
        let mut made = MADE.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
        made.entry((version, area)).or_insert_with(|| make(version, area)).clone()?
    };
    let mut ocore = Ocore::new();
    ocore.instance("dev", &odoo, &[]).ok();
    let mcp = ocore.serve().key(&[]).on(version);
    Some((odoo, ocore, mcp))
}

/// Makes a test for each Odoo out of each function `async fn name(odoo: &Odoo, ocore: &Ocore, mcp: &Mcp)` of the module `checks`
/// beside it.
macro_rules! on_both {
    ($($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn odoo_19() {
                if let Some((odoo, ocore, mcp)) = crate::harness::world(19) {
                    crate::harness::run(super::checks::$name(&odoo, &ocore, &mcp));
                }
            }
            #[test]
            fn odoo_14() {
                if let Some((odoo, ocore, mcp)) = crate::harness::world(14) {
                    crate::harness::run(super::checks::$name(&odoo, &ocore, &mcp));
                }
            }
        }
    )+};
}
pub(crate) use on_both;

/// The same in a database of the area's own: `on_both_of_our_own!("area", how it is made: name, …)`.
macro_rules! on_both_of_our_own {
    ($area:literal, $make:expr; $($name:ident),+ $(,)?) => {$(
        mod $name {
            #[test]
            fn odoo_19() {
                if let Some((odoo, mut ocore, mcp)) = crate::harness::own(19, $area, $make) {
                    crate::harness::run(super::checks::$name(&odoo, &mut ocore, &mcp));
                }
            }
            #[test]
            fn odoo_14() {
                if let Some((odoo, mut ocore, mcp)) = crate::harness::own(14, $area, $make) {
                    crate::harness::run(super::checks::$name(&odoo, &mut ocore, &mcp));
                }
            }
        }
    )+};
}
pub(crate) use on_both_of_our_own;
