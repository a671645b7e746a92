//! Installing, upgrading and uninstalling modules by Odoo's own command line in its container.
//!
//! A process of its own has no time limit of a worker and loads changed code. Its exit code alone does not tell what became of
//! the modules (unknown names are ignored with a warning, a failure half way leaves some installed), so the states are read
//! back from the database, without loading a registry: that works after a failure too.
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    container::Container,
    error::{Error, Result},
    exec::{Captured, Event, Exit, Limits},
    logs::{Assembler, Level, Record},
    shell::{database_name, last_line, launching},
};

const DATABASE: &str = include_str!("scripts/database.py");
const UNINSTALL: &str = include_str!("scripts/uninstall.py");
const UPDATE_LIST: &str = "answer = list(env['ir.module.module'].update_list())\nenv.cr.commit()\n";
/// Bytes of Odoo's log that are kept for the report.
const LOG: usize = 4 << 20;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    Install,
    Upgrade,
    Uninstall,
}

/// When the container is restarted afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Restart {
    Never,
    /// When a Python file of the modules is newer than the container's start: running servers have the old code.
    #[default]
    IfCodeChanged,
    Always,
}

/// A module's row.
#[derive(Debug, Clone, Deserialize, Serialize, PartialEq, Eq)]
pub struct State {
    pub name: String,
    /// uninstallable, uninstalled, installed, to install, to upgrade, to remove.
    pub state: String,
    /// In the database; none while it is not installed.
    pub version: Option<String>,
    /// Whether its code is on the addons path; none for modules that were not asked about.
    #[serde(default)]
    pub on_disk: Option<bool>,
}

/// How far Odoo is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The module being loaded.
    pub module: String,
    /// From 1, of `of`. Odoo counts anew for each pass.
    pub number: u32,
    pub of: u32,
}

/// Why it failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The module that was being loaded, where the log tells.
    pub module: Option<String>,
    /// The exception's last line, or what else is known.
    pub message: String,
    /// The traceback or the last lines of the log; holds paths.
    pub detail: String,
}

/// What became of it.
#[derive(Debug, Clone)]
pub struct Report {
    /// The states are what was asked for.
    pub done: bool,
    pub exit: Exit,
    /// Of the modules named, and of those in a state of transition, before and after.
    pub before: Vec<State>,
    pub after: Vec<State>,
    /// Modules installed in all, before and after.
    pub installed: (u32, u32),
    pub failure: Option<Failure>,
    /// Warnings and errors of the log, at most 50.
    pub warnings: Vec<Record>,
    /// Whether the container was restarted and serves again; the error when it does not.
    pub restarted: Option<Result<(), String>>,
    /// A restart is needed for changed code to run, and was not made.
    pub restart_needed: bool,
    pub took: Duration,
}

#[derive(Debug, Deserialize)]
struct Answer {
    #[serde(default)]
    modules: Vec<State>,
    #[serde(default)]
    installed: u32,
    /// Unix seconds of the newest Python file of the modules named; 0 for none.
    #[serde(default)]
    newest_code: i64,
}

/// Reads Odoo's log as it is written.
#[derive(Default)]
struct Reader {
    part: Vec<u8>,
    records: Assembler,
    log: Captured,
    loading: Option<String>,
    /// The last error with a traceback, and the module being loaded then.
    worst: Option<(Record, Option<String>)>,
    warnings: Vec<Record>,
}
impl Reader {
    /// Takes a piece of the log; gives how far Odoo is whenever that changes.
    fn feed(&mut self, data: &[u8], progress: &mut (impl FnMut(Progress) + ?Sized)) {
        if self.log.head.len() < LOG {
            self.log.head.extend_from_slice(data);
        } else {
            self.log.dropped += data.len() as u64;
        }
        for piece in data.split_inclusive(|byte| *byte == b'\n') {
            if self.part.len() < 64 << 10 {
                self.part.extend_from_slice(piece);
            }
            if !piece.ends_with(b"\n") {
                continue;
            }
            let line = std::mem::take(&mut self.part);
            let line = line.trim_ascii_end();
            if let Some(step) = loading(&String::from_utf8_lossy(line)) {
                self.loading = Some(step.module.clone());
                progress(step);
            }
            if let Some(record) = self.records.line(line, 0) {
                self.take(record);
            }
        }
    }
    fn take(&mut self, record: Record) {
        let Some(level) = record.level.filter(|level| *level >= Level::Warning) else { return };
        if self.warnings.len() < 50 {
            self.warnings.push(record.clone());
        }
        if level >= Level::Error && (!record.detail.is_empty() || self.worst.is_none()) {
            self.worst = Some((record, self.loading.clone()));
        }
    }
    fn finish(&mut self) {
        if !self.part.is_empty() {
            let line = std::mem::take(&mut self.part);
            if let Some(record) = self.records.line(&line, 0) {
                self.take(record);
            }
        }
        let rest: Vec<_> = self.records.finish().collect();
        for record in rest {
            self.take(record);
        }
    }
    fn failure(&self, exit: Exit) -> Failure {
        let text = self.log.text();
        let tail = || {
            let lines: Vec<_> = text.lines().rev().take(30).collect();
            lines.into_iter().rev().collect::<Vec<_>>().join("\n")
        };
        if let Exit::Killed(why) = exit {
            return Failure {
                module: self.loading.clone(),
                message: format!("Odoo was stopped ({why:?}) before it was done").to_lowercase().replacen("odoo", "Odoo", 1),
                detail: tail(),
            };
        }
        // A traceback without a record's head: Odoo fell before or beside its logging.
        let bare = text.rfind("Traceback (most recent call last):").map(|at| text.get(at..).unwrap_or_default());
        match (&self.worst, bare) {
            (Some((record, module)), _) => {
                let mut headline = exception_of(&record.detail).unwrap_or_else(|| record.message.clone());
                if let Some(root) = root_of(&record.detail) {
                    headline = format!("{headline}\ncaused by {root}");
                }
                let detail = if record.detail.is_empty() { record.message.clone() } else { record.detail.join("\n") };
                Failure { module: named_module(&detail).or_else(|| module.clone()), message: headline, detail }
            }
            (None, Some(trace)) => Failure {
                module: named_module(trace).or_else(|| self.loading.clone()),
                message: last_line(trace).unwrap_or_default(),
                detail: trace.to_owned(),
            },
            (None, None) => Failure {
                module: self.loading.clone(),
                message: last_line(&text).unwrap_or_else(|| format!("Odoo ended with exit code {}", exit.code())),
                detail: tail(),
            },
        }
    }
}

/// `… odoo.modules.loading: Loading module sale (23/45)`.
fn loading(line: &str) -> Option<Progress> {
    let rest = line.split_once("odoo.modules.loading: Loading module ")?.1;
    let (module, rest) = rest.split_once(" (")?;
    let (number, of) = rest.split_once(')')?.0.split_once('/')?;
    Some(Progress { module: module.to_owned(), number: number.parse().ok()?, of: of.parse().ok()? })
}

/// The last exception of a traceback: the first line after its frames, with what follows it up to an empty line.
fn exception_of(detail: &[String]) -> Option<String> {
    let from = detail.iter().rposition(|line| line.starts_with("Traceback (most recent call last)"))?;
    let mut lines = detail.iter().skip(from + 1).skip_while(|line| line.starts_with(' ') || line.is_empty());
    let first = lines.next()?.clone();
    let rest = lines.take_while(|line| !line.trim().is_empty()).take(5).map(String::as_str);
    let text = std::iter::once(first.as_str()).chain(rest).collect::<Vec<_>>().join("\n");
    Some(text.chars().take(1000).collect())
}

/// What the first of several chained exceptions says.
fn root_of(detail: &[String]) -> Option<String> {
    let traces = detail.iter().filter(|line| line.starts_with("Traceback (most recent call last)")).count();
    let first = detail.iter().skip_while(|line| !line.starts_with("Traceback (most recent call last)")).skip(1);
    let root =
        first.skip_while(|line| line.starts_with(' ') || line.is_empty()).map(|line| line.chars().take(500).collect()).next();
    root.filter(|_| traces > 1)
}

/// The module whose data file could not be read: `while parsing …/addons/NAME/…` or `file:…/addons/NAME/…`.
fn named_module(text: &str) -> Option<String> {
    let at = text.rfind("while parsing ")?;
    let path = text.get(at + "while parsing ".len()..)?.split([':', ',', ' ', '\n']).find(|part| part.contains('/'))?;
    // addons folders hold modules, those hold folders of data; a file at the top has none between.
    let parts: Vec<_> = path.split('/').filter(|part| !part.is_empty()).collect();
    let at = parts
        .iter()
        .rposition(|part| ["data", "views", "security", "demo", "wizard", "report", "reports", "wizards"].contains(part));
    let module = match at {
        Some(at) => parts.get(at.checked_sub(1)?)?,
        None => parts.get(parts.len().checked_sub(2)?)?,
    };
    Some((*module).to_owned())
}

impl Container {
    /// Makes Odoo look through its addons folders ("update the list of apps"): modules updated and modules added.
    pub async fn update_module_list(&self, database: &str, limits: &Limits) -> Result<(u32, u32)> {
        self.shell(database, limits).await?.script(UPDATE_LIST, json!({})).await
    }
    async fn look(&self, database: &str, modules: &[String], signal: bool) -> Result<Answer> {
        database_name(database)?;
        let mut program = launching(&["python", DATABASE]);
        program.order = Some(Bytes::from(json!({ "database": database, "modules": modules, "signal": signal }).to_string()));
        program.close_order = true;
        let ended = self.run(&program, &Limits { deadline: Duration::from_mins(1), ..Limits::default() }).await?;
        if ended.exit != Exit::Code(0) {
            let said = last_line(&ended.stderr.text()).unwrap_or_else(|| format!("{:?}", ended.exit));
            return Err(Error::OdooStart { container: self.name.clone(), database: database.to_owned(), said });
        }
        serde_json::from_slice(&ended.answer)
            .map_err(|error| Error::Script { container: self.name.clone(), why: error.to_string() })
    }

    /// Does it, and tells what became of it. `progress` is called for every module that Odoo loads.
    ///
    /// Dropping this stops Odoo in the middle, which can leave modules half installed: run it where nothing drops it. Back up
    /// before an upgrade or uninstallation. Modules named must exist: an unknown one is an error before anything is begun.
    pub async fn modules(
        &self,
        database: &str,
        operation: Operation,
        modules: &[String],
        restart: Restart,
        limits: &Limits,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Report> {
        database_name(database)?;
        let fine = |name: &String| {
            name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        if modules.is_empty() || !modules.iter().all(fine) {
            return Err(Error::Argument { what: "the modules' names", why: "they are letters, digits and _ only".to_owned() });
        }
        let launch = self.launch().await?;
        let before = self.look(database, modules, false).await?;
        let has = |name: &String| before.modules.iter().any(|row| row.name == *name);
        // A module that is on disk and not in the list yet gets there by Odoo's own update of the list.
        let unknown: Vec<_> = modules.iter().filter(|name| !has(name)).cloned().collect();
        if !unknown.is_empty() {
            return Err(Error::UnknownModules { modules: unknown });
        }
        let mut program = if operation == Operation::Uninstall {
            None
        } else {
            let flag = if operation == Operation::Install { "-i" } else { "-u" };
            let list = modules.join(",");
            let mut words =
                vec!["run", "-d", database, flag, &list, "--stop-after-init", "--no-http", "--workers=0", "--max-cron-threads=0"];
            let memory = format!("--limit-memory-hard={}", limits.memory);
            words.extend(["--log-level=info", "--log-handler=:INFO", &memory]);
            if launch.logfile.is_some() {
                // The progress is read from the log: to our pipe, and not into the file.
                words.push("--logfile=/proc/self/fd/2");
            }
            Some(launching(&words))
        };
        let mut reader = Reader::default();
        let exit;
        let took;
        let limits = Limits { head: usize::MAX >> 1, ..limits.clone() };
        if let Some(program) = program.take() {
            let mut running = self.start(&program, &limits).await?;
            (exit, took) = loop {
                match running.next().await? {
                    Event::Stdout(data) | Event::Stderr(data) => reader.feed(&data, progress),
                    Event::Ended { exit, last } => break (exit, last.took),
                    _ => {}
                }
            };
        } else {
            let mut session = self.shell_logging(database, &limits, "info").await?;
            let began = tokio::time::Instant::now();
            let outcome =
                session.watched(UNINSTALL, json!({ "modules": modules }), &mut |data| reader.feed(data, progress)).await?;
            (exit, took) = (outcome, began.elapsed());
        }
        reader.finish();
        let after = self.look(database, modules, exit == Exit::Code(0)).await?;
        let wanted = if operation == Operation::Uninstall { "uninstalled" } else { "installed" };
        let state_of = |name: &String| after.modules.iter().find(|row| row.name == *name).map_or("", |row| row.state.as_str());
        let wrong: Vec<_> = modules.iter().filter(|name| state_of(name) != wanted).collect();
        let done = wrong.is_empty() && exit == Exit::Code(0);
        let failure = (!done).then(|| {
            let mut failure = reader.failure(exit);
            if exit == Exit::Code(0) {
                let states = wrong.iter().map(|name| format!("{name} is {}", state_of(name))).collect::<Vec<_>>().join(", ");
                failure.message = format!("Odoo ended without an error, but {states}");
            }
            failure
        });
        let mut report = Report {
            done,
            exit,
            before: before.modules,
            after: after.modules,
            installed: (before.installed, after.installed),
            failure,
            warnings: reader.warnings,
            restarted: None,
            restart_needed: false,
            took,
        };
        let changed = self.inspected().await?.state.started().is_some_and(|started| after.newest_code > started);
        if restart == Restart::Always || (changed && restart == Restart::IfCodeChanged) {
            let restarted = self.restart(Duration::from_secs(20), Duration::from_mins(3)).await;
            report.restarted = Some(restarted.map_err(|error| format!("{error} {}", error.advice())));
        } else {
            report.restart_needed = changed;
        }
        Ok(report)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_and_failure_are_read_from_the_log() {
        let log = b"2025-01-01 12:00:00,000 7 INFO db odoo.modules.loading: Loading module sale (23/45)\n\
                    2025-01-01 12:00:01,000 7 WARNING db odoo.modules.graph: module x: not installable, skipped\n\
                    2025-01-01 12:00:02,000 7 INFO db odoo.modules.loading: Loading module broken (24/45)\n\
                    2025-01-01 12:00:03,000 7 CRITICAL db odoo.service.server: Failed to initialize database `db`.\n\
                    Traceback (most recent call last):\n\
                    \x20 File \"/a.py\", line 1, in f\n\
                    KeyError: 'x'\n\
                    \n\
                    The above exception was the direct cause of the following exception:\n\
                    \n\
                    Traceback (most recent call last):\n\
                    \x20 File \"/b.py\", line 1, in g\n\
                    odoo.tools.convert.ParseError: while parsing /mnt/extra-addons/shop_theme/views/a.xml:3\n\
                    Invalid view\n";
        let mut steps = Vec::new();
        let mut reader = Reader::default();
        for part in log.chunks(50) {
            reader.feed(part, &mut |step: Progress| steps.push(step));
        }
        reader.finish();
        assert_eq!(
            steps.iter().map(|s| (s.module.as_str(), s.number, s.of)).collect::<Vec<_>>(),
            [("sale", 23, 45), ("broken", 24, 45)]
        );
        let failure = reader.failure(Exit::Code(255));
        assert_eq!(failure.module.as_deref(), Some("shop_theme"));
        assert!(
            failure.message.starts_with("odoo.tools.convert.ParseError: while parsing")
                && failure.message.ends_with("Invalid view\ncaused by KeyError: 'x'")
        );
        assert_eq!(reader.warnings.len(), 2);
        let killed = reader.failure(Exit::Killed(super::super::exec::Why::Deadline));
        assert_eq!(killed.message, "Odoo was stopped (deadline) before it was done");
    }
}
