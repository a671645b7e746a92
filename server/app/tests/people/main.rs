//! The commands for people as people and programs run them: the real program, against a small server that follows the RFCs.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::disallowed_methods
)]
mod authority;
mod bridge;
mod calls;
mod screen;
mod signing_in;
mod terminal;

use std::{
    path::{Path, PathBuf},
    process::{Output, Stdio},
};

use authority::Authority;
use serde_json::Value;
use tokio::{io::AsyncWriteExt as _, process::Command};

/// A person with a home of their own.
pub(crate) struct Person {
    pub home: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Person {
    pub(crate) fn new() -> Self {
        Self { home: tempfile::tempdir().unwrap(), env: vec![("OCORE_LOGIN_STORE".into(), "file".into())] }
    }
    pub(crate) fn folder(&self) -> PathBuf {
        self.home.path().join(".config/ocore")
    }
    /// A command with this person's environment and nothing of ours.
    pub(crate) fn program(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", self.home.path());
        command.envs(self.env.iter().map(|(k, v)| (k, v))).stdin(Stdio::null()).kill_on_drop(true);
        command
    }
    pub(crate) fn ocore(&self) -> Command {
        self.program(env!("CARGO_BIN_EXE_ocore"))
    }
    pub(crate) async fn run(&self, args: &[&str]) -> Ran {
        self.ocore().args(args).output().await.unwrap().into()
    }
    /// The same with something on standard input, through a pipe.
    pub(crate) async fn pipe(&self, args: &[&str], input: &str) -> Ran {
        let mut command = self.ocore();
        let piped = || Stdio::piped();
        let mut child = command.args(args).stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A command that does not read it may be gone already.
        let _ = stdin.write_all(input.as_bytes()).await;
        drop(stdin);
        child.wait_with_output().await.unwrap().into()
    }
    /// Signed in at that server.
    pub(crate) async fn at(authority: &Authority) -> Self {
        let person = Self::new();
        person.run(&["login", &authority.url]).await.ok();
        person
    }
    pub(crate) fn logins(&self) -> Value {
        serde_json::from_slice(&std::fs::read(self.folder().join("logins.json")).unwrap()).unwrap()
    }
}

/// What a command did.
#[derive(Debug)]
pub(crate) struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}
impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}
impl Ran {
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:#?}");
        self
    }
    #[track_caller]
    pub(crate) fn failed(self, code: i32, says: &str) -> Self {
        assert_eq!(self.code, code, "{self:#?}");
        assert!(self.stderr.contains(says), "{says:?} is not said: {self:#?}");
        self
    }
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("{e}: {self:#?}"))
    }
    /// Nothing in it moves a cursor, changes a colour or turns a text round.
    #[track_caller]
    pub(crate) fn harmless(self) -> Self {
        let bad = |c: char| {
            (c.is_control() && c != '\n')
                || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        assert!(!self.stdout.chars().any(bad) && !self.stderr.chars().any(bad), "{self:#?}");
        self
    }
}
