//! The commands for people: sign in at an ocore somewhere, look at its instances and tools, call them, and lend its MCP to programs that
//! speak it by standard input and output. They need no store and no configuration of a server: everything goes over HTTP.
//!
//! One file per command; below them `address.rs` (which URLs are talked to), `http.rs`, `oauth.rs` (the protocol of signing in),
//! `logins.rs` and `keyring.rs` (where tokens are kept), `access.rs` (which token a command uses), `mcp.rs` and `sse.rs` (one call).
mod access;
mod address;
mod arguments;
mod call;
mod client_config;
mod clock;
mod completions;
mod http;
mod instances;
mod keyring;
mod login;
mod logins;
mod logout;
mod mcp;
mod oauth;
pub mod plain;
mod qr;
mod render;
mod sse;
mod stdio;
mod tools;
mod whoami;

use clap::{Args, Subcommand};

use crate::{
    failure::{Exit, Failure, Result},
    terminal::Shown,
};
use access::Access;

/// What people do. The program flattens these into its own commands.
#[derive(Debug, Subcommand)]
pub enum People {
    /// Signs you in at an ocore: you approve a code in a browser
    Login(login::Login),
    /// Ends your login, here and at the server
    Logout(logout::Logout),
    /// Where you are signed in, and as whom
    Whoami(whoami::Whoami),
    /// The Odoo instances that you may use
    Instances(instances::Instances),
    /// The tools that you may call
    Tools(tools::Tools),
    /// Calls a tool
    Call(Box<call::Call>),
    /// Lends an ocore's MCP to a program by standard input and output
    Stdio(stdio::Stdio),
    /// Prints what an AI assistant needs to know of your ocore, and where it goes
    ClientConfig(client_config::ClientConfig),
    /// Prints a script that completes commands in your shell
    Completions(completions::Completions),
}

impl People {
    /// `json`: the answer is for a program. `command` is the whole command line, for completions. None: everything is said already.
    pub async fn run(self, json: bool, command: clap::Command) -> Result<Option<Shown>> {
        // These end well by themselves, and halfway they would leave something behind.
        let ends = matches!(self, Self::Login(_) | Self::Logout(_));
        let done = tokio::select! {
            // First what knows better what it means that somebody stops it.
            biased;
            done = self.carry_out(json, command) => done,
            _ = tokio::signal::ctrl_c(), if !ends => Err(Failure::new(Exit::Failed, "cancelled", "You stopped it.")),
        };
        access::settled().await;
        done
    }
    async fn carry_out(self, json: bool, command: clap::Command) -> Result<Option<Shown>> {
        match self {
            Self::Login(login) => login.run(json).await.map(Some),
            Self::Logout(logout) => logout.run().await.map(Some),
            Self::Whoami(whoami) => whoami.run().await.map(Some),
            Self::Instances(instances) => instances.run().await.map(Some),
            Self::Tools(tools) => tools.run().await.map(Some),
            Self::Call(call) => call.run(json).await,
            Self::Stdio(stdio) => stdio.run().await.map(|()| None),
            Self::ClientConfig(config) => config.run().await.map(Some),
            Self::Completions(completions) => Ok(Some(completions.run(command))),
        }
    }
}

/// Which ocore a command is for.
#[derive(Debug, Clone, Args)]
pub struct Target {
    /// The ocore, by its URL or the label of your login [env: OCORE_SERVER] [default: where you signed in first]
    #[arg(long, value_name = "URL")]
    pub server: Option<String>,
}
impl Target {
    async fn open(&self) -> Result<Access> {
        Access::open(self.server.as_deref()).await
    }
}

/// Columns of the terminal that answers go to, when it is one.
fn width() -> Option<usize> {
    use std::io::IsTerminal as _;
    let stdout = std::io::stdout();
    stdout.is_terminal().then(|| terminal_size::terminal_size_of(stdout)).flatten().map(|(width, _)| usize::from(width.0))
}
