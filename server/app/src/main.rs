//! `ocore`, the program: its command line, its configuration, and how its parts are put together.
//!
//! `cli/` has one file per kind of command, `config.rs` every setting, `wiring.rs` who gets what, `serve.rs` the life of a server,
//! `jobs.rs` what it does by itself, `terminal.rs` everything that a person or a program reads of us.
mod cli;
mod config;
mod demo;
mod failure;
mod http;
mod jobs;
mod logging;
mod openid;
mod pages;
mod reference;
mod serve;
mod terminal;
mod wiring;

use std::process::ExitCode;

fn main() -> ExitCode {
    // One provider for every TLS connection of the process; a second installation would be refused, which is fine.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    cli::main()
}
