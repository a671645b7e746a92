//! Backups, restores and copies of real Odoos in containers of their own; restores are stopped at every step. Half an hour: `make soak`.
#![allow(clippy::print_stdout, clippy::disallowed_methods, reason = "tests say what they do, and read what was made")]

mod common;
mod copy;
mod create;
mod restore;
