//! The command line: what there is to say, and who does it. Scripts rely on it; what a command takes and prints is a contract.
mod audit;
mod check;
mod config;
mod healthcheck;
mod impersonation;
pub mod input;
pub mod instance;
mod invite;
pub mod key;
mod knowledge;
mod openid;
mod operation;
mod org;
pub mod people;
mod resource;
mod serve;
mod server;
mod user;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::{ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use serde_json::json;

use crate::{
    config::{Arguments, Settings, environment},
    demo,
    failure::{Exit, Failure, Result},
    logging, reference,
    terminal::{self, Shown},
    wiring::Base,
};

/// A governed control plane for Odoo: who may do what on which instance, in one place.
#[derive(Debug, Parser)]
#[command(
    name = "ocore",
    version,
    disable_help_subcommand = true,
    after_help = "Exit codes: 0 done, 1 failed, 2 wrong use, 3 refused, 4 unknown outcome."
)]
pub struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Clone, Args)]
pub struct Global {
    /// The folder of the store and its key [env: OCORE_DATA]
    #[arg(long, global = true, value_name = "DIR", help_heading = "Global options")]
    pub data: Option<PathBuf>,
    /// The configuration file [env: OCORE_CONFIG]
    #[arg(long, global = true, value_name = "FILE", help_heading = "Global options")]
    pub config: Option<PathBuf>,
    /// Answers, and errors, as JSON
    #[arg(long, global = true, help_heading = "Global options")]
    pub json: bool,
    /// The store, without a password: postgres://user@host/db or sqlite:///file [env: OCORE_DATABASE_URL]
    #[arg(long, global = true, value_name = "URL", help_heading = "Global options")]
    pub database_url: Option<String>,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Runs the server
    Serve(serve::Serve),
    /// Shows ocore at work on an Odoo that you name
    Demo(demo::Demo),
    /// Organizations
    #[command(subcommand)]
    Org(org::Org),
    /// People
    #[command(subcommand)]
    User(user::User),
    /// Providers at which people sign in
    #[command(subcommand)]
    Openid(openid::Openid),
    /// Hosts that run Odoo
    #[command(subcommand)]
    Server(server::Server),
    /// Odoo databases
    #[command(subcommand)]
    Instance(Box<instance::Instance>),
    /// API keys
    #[command(subcommand)]
    Key(key::Key),
    /// Links that let people into an organization
    #[command(subcommand)]
    Invite(invite::Invite),
    /// What is allowed on Odoo models: operations, fields, records
    #[command(subcommand)]
    Resource(Box<resource::Resources>),
    /// What is known about instances: notes and summaries
    #[command(subcommand)]
    Note(Box<knowledge::NoteCommand>),
    /// Saved searches
    #[command(subcommand)]
    Filter(knowledge::FilterCommand),
    /// Calls that somebody wants to find again
    #[command(subcommand)]
    Bookmark(knowledge::BookmarkCommand),
    /// What was done, by whom, and how it ended
    #[command(subcommand)]
    Audit(audit::Audit),
    /// Long work that goes on without the call that began it
    #[command(subcommand)]
    Operation(operation::Operation),
    /// Visits to instances as one of their Odoo users
    #[command(subcommand)]
    Impersonation(impersonation::Impersonation),
    /// Brings the store's tables up to date
    Migrate,
    /// The configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Asks a running server whether it is ready; for containers and monitors
    Healthcheck(healthcheck::Healthcheck),
    /// The key that seals every stored secret
    #[command(subcommand)]
    Secrets(Secrets),
    #[command(flatten)]
    People(Box<people::People>),
    /// Prints a page of the reference
    #[command(subcommand, hide = true)]
    Docs(reference::Docs),
}

#[derive(Debug, Subcommand)]
pub enum Secrets {
    /// Makes a new key and wraps every stored secret with it; may run while the server does
    Rotate,
}

/// What every command is given.
pub struct Given {
    pub global: Global,
    /// The arguments of the innermost command, for who wants to know in which order they came.
    pub matches: ArgMatches,
}
impl Given {
    /// The settings in force, with what a command's own arguments add.
    pub fn settings(&self, listen: Option<&str>, public_url: Option<&str>) -> Result<Settings> {
        let arguments = Arguments {
            data: self.global.data.clone(),
            config: self.global.config.clone(),
            database_url: self.global.database_url.clone(),
            listen: listen.map(str::to_owned),
            public_url: public_url.map(str::to_owned),
        };
        Settings::load(&arguments, &environment())
    }
    /// The store of this installation, for a command that administers it.
    pub async fn open(&self) -> Result<(Settings, Base)> {
        let settings = self.settings(None, None)?;
        logging::for_commands(&settings)?;
        let base = Base::open(&settings).await?;
        Ok((settings, base))
    }
}

/// Runs the command line of the process.
pub fn main() -> ExitCode {
    let words: Vec<OsString> = std::env::args_os().collect();
    // Known before the line is understood: an error about the line itself is to be JSON too.
    let json = words.iter().skip(1).take_while(|w| *w != "--").any(|w| w == "--json");
    match run(words) {
        Ok(Some(shown)) => {
            terminal::show(&shown, json);
            ExitCode::SUCCESS
        }
        Ok(None) => ExitCode::SUCCESS,
        Err(failure) => {
            terminal::error(&failure, json);
            ExitCode::from(failure.exit as u8)
        }
    }
}

fn run(words: Vec<OsString>) -> Result<Option<Shown>> {
    let matches = match Cli::command().try_get_matches_from(words) {
        Ok(matches) => matches,
        Err(error) if !error.use_stderr() => {
            terminal::out(error.to_string().trim_end());
            return Ok(None);
        }
        Err(error) => return Err(misused(&error)),
    };
    let cli = Cli::from_arg_matches(&matches).map_err(|e| misused(&e))?;
    let mut innermost = matches;
    while let Some((_, inner)) = innermost.remove_subcommand() {
        innermost = inner;
    }
    let given = Given { global: cli.global, matches: innermost };
    let mut runtime = match cli.command {
        Command::Serve(_) | Command::Demo(_) => tokio::runtime::Builder::new_multi_thread(),
        _ => tokio::runtime::Builder::new_current_thread(),
    };
    let runtime = runtime.enable_all().build().map_err(|e| Failure::because("The runtime could not be started", &e))?;
    runtime.block_on(dispatch(cli.command, given))
}

async fn dispatch(command: Command, given: Given) -> Result<Option<Shown>> {
    match command {
        Command::Serve(serve) => serve.run(&given).await.map(|()| None),
        Command::Demo(demo) => demo.run(&given).await.map(|()| None),
        Command::Org(org) => org.run(&given).await.map(Some),
        Command::User(user) => user.run(&given).await.map(Some),
        Command::Openid(openid) => openid.run(&given).await.map(Some),
        Command::Server(server) => server.run(&given).await.map(Some),
        Command::Instance(instance) => instance.run(&given).await.map(Some),
        Command::Key(key) => key.run(&given).await.map(Some),
        Command::Invite(invite) => invite.run(&given).await.map(Some),
        Command::Resource(resource) => resource.run(&given).await.map(Some),
        Command::Note(note) => note.run(&given).await.map(Some),
        Command::Filter(filter) => filter.run(&given).await.map(Some),
        Command::Bookmark(bookmark) => bookmark.run(&given).await.map(Some),
        Command::Audit(audit) => audit.run(&given).await.map(Some),
        Command::Impersonation(impersonation) => impersonation.run(&given).await.map(Some),
        Command::Operation(operation) => operation.run(&given).await.map(Some),
        Command::Migrate => migrate(&given).await.map(Some),
        Command::Config(config) => config.run(&given).await.map(Some),
        Command::Healthcheck(check) => check.run(&given).await.map(Some),
        Command::Secrets(Secrets::Rotate) => rotate(&given).await.map(Some),
        Command::People(people) => people.run(given.global.json, Cli::command()).await,
        Command::Docs(docs) => Ok(Some(docs.print())),
    }
}

async fn migrate(given: &Given) -> Result<Shown> {
    let settings = given.settings(None, None)?;
    logging::for_commands(&settings)?;
    let applied = Base::migrate(&settings).await?;
    let text = if applied.is_empty() {
        "The store is up to date.".to_owned()
    } else {
        format!("Applied {}. The store is up to date.", applied.join(", "))
    };
    Ok(Shown::new(text, json!({"applied": applied})))
}

async fn rotate(given: &Given) -> Result<Shown> {
    let (_, base) = given.open().await?;
    let count = admin::secrets::rotate(&base.admin, &base.by).await?;
    base.close().await;
    Ok(Shown::new(
        format!("A new key is in use; {count} stored secrets were wrapped with it. Back up the new key."),
        json!({"rewrapped": count}),
    ))
}

/// What clap says of a line that it does not understand, in our words.
fn misused(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    // "error: what happened", perhaps "  tip: …", then usage and where help is.
    let mut message = String::new();
    let mut next = String::new();
    for line in text.lines() {
        let line = line.trim();
        if let Some(what) = line.strip_prefix("error: ") {
            what.clone_into(&mut message);
        } else if let Some(tip) = line.strip_prefix("tip: ") {
            tip.clone_into(&mut next);
        } else if line.starts_with("Usage:") {
            if next.is_empty() {
                line.trim_start_matches("Usage:").trim().clone_into(&mut next);
            }
            break;
        } else if !line.is_empty() && !message.is_empty() && next.is_empty() {
            message.push(' ');
            message.push_str(line);
        }
    }
    if message.is_empty() || error.kind() == clap::error::ErrorKind::MissingSubcommand {
        message = "A command is missing.".into();
        next = "Add --help to see what there is.".into();
    }
    Failure { exit: Exit::Usage, code: "usage".into(), message, next }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_wrong_line_says_what_was_perhaps_meant() {
        let misuse = |words: &[&str]| misused(&Cli::command().try_get_matches_from(words).unwrap_err());
        let failure = misuse(&["ocore", "serve", "--lisen", "x"]);
        assert!(failure.message.contains("--lisen") && failure.next.contains("--listen"), "{failure:?}");
        let failure = misuse(&["ocore", "orgs"]);
        assert!(failure.message.contains("orgs") && failure.next.contains("org"), "{failure:?}");
        let failure = misuse(&["ocore", "org", "create"]);
        assert!(failure.message.contains("<SLUG>"), "{failure:?}");
    }
}
