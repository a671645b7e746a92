//! Code in an Odoo instance: `odoo shell`, started as its server was, with the code compiled and run by a driver of our own.
//!
//! The driver is the shell's standard input. Orders reach it by file descriptor 3 as JSON, one a line, and its answers come
//! back by 4, so nothing is ever spliced into code, and what Odoo prints while it loads is not taken for an answer. What the
//! code prints stands between random marks. Everything is rolled back at the end unless the code commits, and whether it did is
//! told: by counting Odoo's commits and by asking PostgreSQL what became of the transaction.
//!
//! A session holds one process for several snippets of one call (`execute_shell_multi`). None outlives its call: the REPL tool
//! is stateless by its contract, as an idle session would hold a transaction and a registry of hundreds of megabytes.
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    container::Container,
    error::{Error, Result},
    exec::{Captured, Ended, Event, Exit, Limits, Program, Running, Why},
};

pub(super) const LAUNCH: &str = include_str!("scripts/launch.py");
const DRIVER: &str = include_str!("scripts/driver.py");

/// How code is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// As a script; the value of a last expression is [`Outcome::value`].
    #[default]
    Script,
    /// As typed at a prompt: the value of every expression statement is printed.
    Prompt,
}

/// What Odoo tells when its shell is ready.
#[derive(Debug, Clone, Default, Deserialize, PartialEq)]
pub struct Ready {
    /// As `19.0` or `14.0-20201004`.
    pub version: String,
    pub database: String,
    pub data_dir: String,
    pub addons_path: Vec<String>,
    pub configuration: String,
    /// PostgreSQL's version as a number, 150004.
    pub postgres: i64,
}

/// What became of one snippet.
#[derive(Debug, Clone, Default)]
pub struct Outcome {
    pub stdout: Captured,
    pub stderr: Captured,
    /// 0; 1 after an exception; what `sys.exit` was given; 124 at the deadline, 128 + n by a signal.
    pub exit_code: i32,
    /// `repr` of the last expression, at most 20,000 characters; none in [`Mode::Prompt`].
    pub value: Option<String>,
    pub error: Option<CodeError>,
    /// Whether anything was committed; none when there is no telling (the process died, or the database is read-only).
    pub committed: Option<bool>,
    /// Odoo's commits, those of other cursors and of module operations included.
    pub commits: u32,
    /// A failed statement had ended the transaction: what the snippets before it had changed and not committed is lost too.
    pub lost: bool,
    /// Why it was killed, if it was.
    pub killed: Option<Why>,
    pub took: Duration,
}

/// An exception, trimmed to the code that was given.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct CodeError {
    /// `ValueError`, `odoo.exceptions.UserError`.
    pub kind: String,
    pub message: String,
    /// In the code, from 1.
    pub line: Option<u32>,
    /// What it was raised from, `KeyError: 'x'`.
    pub cause: Option<String>,
    /// A traceback with the code's own lines; frames elsewhere are counted and the last named. Holds paths.
    pub trace: String,
}

/// How Odoo is started in a container.
#[derive(Debug, Clone, Deserialize, PartialEq, Eq)]
pub struct Launch {
    /// The server's process in the container; none when it does not run.
    pub pid: Option<u32>,
    /// Interpreter and program.
    pub program: Vec<String>,
    /// The server's flags that say where things are, without the password.
    pub flags: Vec<String>,
    pub folder: Option<String>,
    pub configuration: Option<String>,
    /// Where the database's settings come from, in words.
    pub database_settings: Vec<String>,
    /// Where Odoo serves HTTP in the container.
    pub http_port: u16,
    /// From the server's flags or the configuration file; none: Odoo logs to the container's output.
    pub logfile: Option<String>,
    /// The databases that it serves, comma-separated, and its filter for them; from the flags or the configuration file.
    #[serde(default)]
    pub databases: Option<String>,
    #[serde(default)]
    pub database_filter: Option<String>,
    /// From the configuration file.
    pub data_dir: Option<String>,
    pub addons_path: Option<String>,
}

#[derive(Deserialize)]
struct Answered {
    exit_code: i32,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    answer: Value,
    #[serde(default)]
    error: Option<CodeError>,
    #[serde(default)]
    committed: Option<bool>,
    commits: u32,
    lost: bool,
    seconds: f64,
}

/// A running `odoo shell`. Dropping it kills it, and what was not committed is gone.
#[derive(Debug)]
pub struct Session {
    running: Running,
    container: String,
    ready: Ready,
    until: Instant,
    stdout: Captured,
    stderr: Captured,
    answers: Vec<u8>,
    /// Randomness for the marks.
    marks: Marks,
    ended: Option<Exit>,
}
#[derive(Debug)]
struct Marks {
    base: String,
    next: u32,
}

/// What [`Session::wait`] came upon.
enum Came {
    Line(Vec<u8>),
    Ended(Exit),
}

/// A database's name as one word of a command line.
pub(super) fn database_name(name: &str) -> Result<()> {
    let fine = !name.is_empty()
        && name.len() <= 63
        && !name.starts_with('-')
        && !name.chars().any(|c| c.is_control() || c.is_whitespace() || c == ',');
    if fine {
        return Ok(());
    }
    Err(Error::Argument {
        what: "the database's name",
        why: "it is empty or too long, starts with -, or has spaces, commas or control characters".to_owned(),
    })
}

impl Container {
    /// How Odoo is started here; reads the server's process, configuration and environment, starts nothing of Odoo.
    pub async fn launch(&self) -> Result<Launch> {
        let program = launching(&["tell"]);
        let ended = self.run(&program, &Limits { deadline: Duration::from_secs(10), ..Limits::default() }).await?;
        if ended.exit == Exit::Code(0)
            && let Ok(found) = serde_json::from_slice(&ended.stdout.head)
        {
            return Ok(found);
        }
        let why = last_line(&ended.stderr.text()).unwrap_or_else(|| "it could not be looked at".to_owned());
        Err(Error::NoOdoo { container: self.name.clone(), why })
    }

    /// Runs a script of ocore's own (compiled in, hence `'static`) by Odoo's interpreter, as [`Container::launch`] found it, with
    /// Odoo's program (`-` for an installed package) and flags as its arguments. It loads nothing of Odoo by itself, finds its
    /// order as JSON on file descriptor 3, and writes its answer as JSON to 4.
    ///
    /// # Errors
    /// [`Error::Script`] with the last line of what it said.
    pub async fn python<T: DeserializeOwned>(&self, script: &'static str, order: &Value, limits: &Limits) -> Result<T> {
        let mut program = launching(&["python", script]);
        program.order = Some(Bytes::from(order.to_string()));
        program.close_order = true;
        let ended = self.run(&program, limits).await?;
        if ended.exit != Exit::Code(0) {
            let why = last_line(&ended.stderr.text()).unwrap_or_else(|| format!("{:?}", ended.exit));
            return Err(Error::Script { container: self.name.clone(), why });
        }
        serde_json::from_slice(&ended.answer)
            .map_err(|error| Error::Script { container: self.name.clone(), why: error.to_string() })
    }
    /// Runs a command of Odoo's own command line to its end (`["neutralize", "-d", "copy"]`), with the server's settings.
    pub async fn command(&self, words: &[&str], limits: &Limits) -> Result<Ended> {
        let mut all = vec!["run"];
        all.extend_from_slice(words);
        self.run(&launching(&all), limits).await
    }

    /// Starts `odoo shell` on a database; seconds, and hundreds of megabytes. `limits.deadline` is for all of the session.
    pub async fn shell(&self, database: &str, limits: &Limits) -> Result<Session> {
        self.shell_logging(database, limits, "warn").await
    }
    pub(super) async fn shell_logging(&self, database: &str, limits: &Limits, level: &str) -> Result<Session> {
        database_name(database)?;
        let limits = &limits.bounded();
        let level = format!("--log-level={level}");
        // A higher one in the configuration could not be set below ours, and Odoo would not start.
        let memory = format!("--limit-memory-hard={}", limits.memory);
        let mut program =
            launching(&["run", "shell", "-d", database, "--no-http", "--workers=0", "--max-cron-threads=0", &level, &memory]);
        program.stdin = Bytes::from_static(DRIVER.as_bytes());
        program.order = Some(Bytes::new());
        let running = self.start(&program, limits).await?;
        let mut session = Session {
            running,
            container: self.name.clone(),
            ready: Ready::default(),
            until: Instant::now() + limits.deadline,
            stdout: Captured::default(),
            stderr: Captured::default(),
            answers: Vec::new(),
            marks: Marks { base: self.endpoint.random_name(), next: 0 },
            ended: None,
        };
        match session.wait().await? {
            Came::Line(line) => session.ready = read(&session.container, &line)?,
            Came::Ended(Exit::Killed(Why::Deadline)) => {
                return Err(Error::Timeout { doing: "load Odoo's registry for the shell", within: limits.deadline });
            }
            Came::Ended(exit) => {
                let text = session.stderr.text();
                if exit == Exit::Code(1) && text.starts_with("no Odoo server runs here") {
                    return Err(Error::NoOdoo { container: self.name.clone(), why: text.trim().to_owned() });
                }
                let said = last_line(&text).unwrap_or_else(|| format!("it ended with {exit:?}"));
                return Err(Error::OdooStart { container: self.name.clone(), database: database.to_owned(), said });
            }
        }
        Ok(session)
    }

    /// Runs one snippet (`execute_shell`, `python_repl`).
    pub async fn execute(&self, database: &str, code: &str, mode: Mode, limits: &Limits) -> Result<Outcome> {
        let mut session = self.shell(database, limits).await?;
        session.execute(code, mode).await
    }

    /// Runs several snippets in one environment (`execute_shell_multi`): variables, imports and the transaction carry over.
    /// Gives an outcome for each that was run: all of them, or up to the first that failed unless `go_on`.
    pub async fn execute_multi(&self, database: &str, snippets: &[String], go_on: bool, limits: &Limits) -> Result<Vec<Outcome>> {
        let mut session = self.shell(database, limits).await?;
        let mut outcomes = Vec::with_capacity(snippets.len());
        for (index, snippet) in snippets.iter().enumerate() {
            let outcome = session.execute_named(&format!("<command {}>", index + 1), snippet, Mode::Script).await?;
            let failed = outcome.exit_code != 0;
            outcomes.push(outcome);
            if session.ended.is_some() || (failed && !go_on) {
                break;
            }
        }
        Ok(outcomes)
    }
}

/// The launcher with its arguments; the supervisor puts its own interpreter in the first place.
pub(super) fn launching(words: &[&str]) -> Program {
    let mut argv = vec!["{python}".to_owned(), "-c".to_owned(), LAUNCH.to_owned()];
    argv.extend(words.iter().map(|word| (*word).to_owned()));
    Program { argv, ..Program::default() }
}

/// The last line that says something: an exception's, as a rule.
pub(super) fn last_line(text: &str) -> Option<String> {
    text.lines().map(str::trim).rfind(|line| !line.is_empty()).map(|line| line.chars().take(500).collect())
}

fn read<T: DeserializeOwned>(container: &str, line: &[u8]) -> Result<T> {
    serde_json::from_slice(line).map_err(|error| Error::Supervisor {
        container: container.to_owned(),
        why: format!("its answer is not readable: {error}"),
    })
}

impl Session {
    /// Runs a snippet; its names stay for the next.
    pub async fn execute(&mut self, code: &str, mode: Mode) -> Result<Outcome> {
        self.execute_named("<code>", code, mode).await
    }
    async fn execute_named(&mut self, name: &str, code: &str, mode: Mode) -> Result<Outcome> {
        let order = json!({ "code": code, "name": name, "display": mode == Mode::Prompt });
        Ok(self.order(order).await?.0)
    }
    /// Runs a script of ocore's own (compiled in, hence `'static`) with `env`, `odoo` and `args`; it leaves what is to be
    /// answered in the variable `answer`, and commits itself what is to stay.
    ///
    /// # Errors
    /// [`Error::Script`] when it raised, with its traceback's last line.
    pub async fn script<T: DeserializeOwned>(&mut self, script: &'static str, args: Value) -> Result<T> {
        let (outcome, answer) = self.order(json!({ "own": true, "code": script, "args": args })).await?;
        if let Some(why) = outcome.killed {
            return Err(match why {
                Why::Deadline => Error::Timeout { doing: "run a script in Odoo", within: outcome.took },
                why => Error::Script { container: self.container.clone(), why: format!("it was killed ({why:?})") },
            });
        }
        if outcome.exit_code != 0 {
            let why = outcome.error.map_or_else(
                || last_line(&outcome.stderr.text()).unwrap_or_else(|| format!("exit code {}", outcome.exit_code)),
                |error| format!("{}: {}", error.kind, error.message),
            );
            return Err(Error::Script { container: self.container.clone(), why });
        }
        serde_json::from_value(answer)
            .map_err(|error| Error::Script { container: self.container.clone(), why: error.to_string() })
    }

    /// Runs a script of ocore's own whose log is wanted as it comes; how the script, or with it the process, ended.
    pub(super) async fn watched(
        &mut self,
        script: &'static str,
        args: Value,
        log: &mut (dyn FnMut(&[u8]) + Send),
    ) -> Result<Exit> {
        self.flush().await?;
        let left = self.until.saturating_duration_since(Instant::now()).as_secs_f64().max(1.0);
        let order = json!({ "own": true, "code": script, "args": args, "mark": "", "statement_timeout": left, "keep": false });
        self.running.order(format!("{order}\n").as_bytes());
        let mut code = None;
        loop {
            match self.running.next().await? {
                Event::Stdout(data) | Event::Stderr(data) => log(&data),
                Event::Answer(data) => {
                    self.answers.extend_from_slice(&data);
                    if self.answers.ends_with(b"\n") {
                        code = Some(read::<Answered>(&self.container, &std::mem::take(&mut self.answers))?.exit_code);
                    }
                }
                Event::Ended { exit, .. } => {
                    self.ended = Some(exit);
                    return Ok(code.map_or(exit, Exit::Code));
                }
                Event::Gap { .. } | Event::Flushed => {}
            }
        }
    }

    async fn order(&mut self, mut order: Value) -> Result<(Outcome, Value)> {
        if let Some(exit) = self.ended {
            let why = format!("the shell has ended already ({exit:?})");
            return Err(Error::Supervisor { container: self.container.clone(), why });
        }
        // What came before is not this order's.
        self.flush().await?;
        self.stdout = Captured::default();
        self.stderr = Captured::default();
        let mark = format!("[{}-{}]", self.marks.base, self.marks.next);
        self.marks.next += 1;
        let began = Instant::now();
        if let Some(order) = order.as_object_mut() {
            order.insert("mark".to_owned(), json!(mark));
            let left = self.until.saturating_duration_since(began).as_secs_f64().max(1.0);
            order.insert("statement_timeout".to_owned(), json!(left));
        }
        self.running.order(format!("{order}\n").as_bytes());
        let came = self.wait().await?;
        let mut outcome = Outcome { took: began.elapsed(), ..Outcome::default() };
        let mut value = Value::Null;
        match came {
            Came::Line(line) => {
                self.flush().await?;
                let answered: Answered = read(&self.container, &line)?;
                outcome.exit_code = answered.exit_code;
                outcome.value = answered.value;
                outcome.error = answered.error;
                outcome.committed = answered.committed;
                outcome.commits = answered.commits;
                outcome.lost = answered.lost;
                outcome.took = Duration::try_from_secs_f64(answered.seconds).unwrap_or(outcome.took);
                value = answered.answer;
            }
            Came::Ended(exit) => {
                outcome.exit_code = exit.code();
                if let Exit::Killed(why) = exit {
                    outcome.killed = Some(why);
                }
            }
        }
        outcome.stdout = between(std::mem::take(&mut self.stdout), &mark);
        outcome.stderr = between(std::mem::take(&mut self.stderr), &mark);
        Ok((outcome, value))
    }

    /// Waits for an answer or the end.
    async fn wait(&mut self) -> Result<Came> {
        loop {
            if let Some(at) = self.answers.iter().position(|byte| *byte == b'\n') {
                let rest = self.answers.split_off(at + 1);
                return Ok(Came::Line(std::mem::replace(&mut self.answers, rest)));
            }
            if self.answers.len() > 16 << 20 {
                self.running.cancel();
                self.answers.clear();
            }
            match self.running.next().await? {
                Event::Ended { exit, .. } => {
                    self.ended = Some(exit);
                    return Ok(Came::Ended(exit));
                }
                event => self.take(event),
            }
        }
    }
    /// Gets all output from before now.
    async fn flush(&mut self) -> Result<()> {
        self.running.flush();
        loop {
            match self.running.next().await? {
                Event::Flushed => return Ok(()),
                Event::Ended { exit, .. } => {
                    self.ended = Some(exit);
                    return Ok(());
                }
                event => self.take(event),
            }
        }
    }
    fn take(&mut self, event: Event) {
        match event {
            Event::Stdout(data) => self.stdout.add(&data),
            Event::Stderr(data) => self.stderr.add(&data),
            Event::Gap { stream: 1, bytes } => self.stdout.dropped += bytes,
            Event::Gap { bytes, .. } => self.stderr.dropped += bytes,
            Event::Answer(data) => self.answers.extend_from_slice(&data),
            Event::Flushed | Event::Ended { .. } => {}
        }
    }
}

/// What stands between the marks; the second is missing when the process died.
fn between(mut text: Captured, mark: &str) -> Captured {
    let find = |text: &[u8], mark: &[u8]| text.windows(mark.len()).position(|window| window == mark);
    let (first, last) = (format!("{mark}<"), format!("{mark}>"));
    if let Some(at) = find(&text.head, first.as_bytes()) {
        text.head.drain(..at + first.len());
    }
    if let Some(at) = find(&text.head, last.as_bytes()) {
        text.head.truncate(at);
        (text.dropped, text.tail) = (0, Vec::new());
    } else if let Some(at) = find(&text.tail, last.as_bytes()) {
        text.tail.truncate(at);
    }
    text
}
