//! One binary for all tests that need more than a crate: the real `ocore` program against real Odoos.
//!
//! `make test` builds the program, brings up the Odoo stack and runs this. By hand: `cargo build -p ocore`,
//! `tests/odoo/stack up`, `cargo test -p tests`. A test that cannot run says why; with OCORE_TEST_REQUIRE=1 it fails instead.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr
)]
#![allow(clippy::disallowed_methods, reason = "tests look at files and clocks as they are")]

mod harness;
#[path = "../../server/app/tests/people/screen.rs"]
#[allow(dead_code, reason = "here nobody types")]
mod screen;

mod accounts;
mod architecture;
mod attachments;
mod backups;
mod bots;
mod clients;
mod crash;
mod export;
mod faults;
mod files;
mod host;
mod hostile;
mod impersonation;
mod invites;
mod keyboard;
mod knowledge;
mod listing;
mod metadata;
mod modules;
mod monitoring;
mod oauth;
mod oauth_attacks;
mod oauth_clients;
mod oauth_documents;
mod offers;
mod on_postgres;
mod openid;
mod people;
mod policy;
mod reports;
mod smoke;
mod system;
mod terminal;
mod tools;
