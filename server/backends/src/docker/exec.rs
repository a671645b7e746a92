//! Programs in a container that die when they should.
//!
//! `docker exec` leaves what it started running when its client goes away. So a supervisor of our own (`scripts/supervise.py`,
//! Python being wherever Odoo is) runs the program as the same unprivileged user: a subreaper that no descendant escapes by
//! forking or detaching, whose standard input is the lifeline. It kills everything at the deadline, when memory or processes
//! exceed their limits, when asked, and when the connection is gone: dropping [`Running`] is enough. If the supervisor itself
//! is killed by what it runs, a second exec kills what carries the run's name in its environment, and orphans since then that
//! are in a session of their own. What a program does *within* the server's processes, whose user it has, is beyond this.
//!
//! Nothing secret is in an argument, an environment or a file: arguments hold the supervisor's text and a random name.
use std::{collections::VecDeque, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use http::Method;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf, split},
    time::{Instant as Moment, timeout, timeout_at},
};

use super::{
    container::Container,
    error::{Error, Result},
};

const SUPERVISE: &str = include_str!("scripts/supervise.py");
const REAP: &str = include_str!("scripts/reap.py");
/// Where Python 3 is, in the order of trying.
const PYTHONS: [&str; 4] = ["python3", "/usr/bin/python3", "/usr/local/bin/python3", "python"];
/// Until a supervisor has told that the program runs.
const START: Duration = Duration::from_secs(20);
/// Runs a program where there is no Python: it dies when the standard input, which nobody writes to, ends.
///
/// Every child is waited for. In a database's container PostgreSQL itself is process 1, to which orphans fall, and it takes one
/// that died by a signal for a crashed server process of its own: it would end all sessions and recover. For the same reason
/// a broken pipe is an error here and no signal.
const BARE: &str = r#"trap '' HUP PIPE
exec 3<&0
"$@" </dev/null 3<&- &
program=$!
(read -r line <&3; kill -9 $program) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $program
code=$?
kill -9 $watch 2>/dev/null
wait $watch 2>/dev/null
exit $code"#;
/// The same for a program that reads: it has the standard input, and ends when that does.
const BARE_READING: &str = r#"trap '' HUP PIPE
exec "$@""#;
/// What the supervisor may take to kill everything and say so, beyond the deadline.
const MARGIN: Duration = Duration::from_secs(15);

/// What a program may use.
#[derive(Debug, Clone)]
pub struct Limits {
    /// From its start on; then it and its children are killed.
    pub deadline: Duration,
    /// Bytes of address space for each process (RLIMIT_AS), and of resident memory for all together.
    pub memory: u64,
    /// Processes at a time. Threads count towards a looser limit (RLIMIT_NPROC).
    pub processes: u32,
    /// Bytes that one file may grow to (RLIMIT_FSIZE).
    pub file: u64,
    /// Bytes of each output that are passed on as they come; beyond them only the last `tail` bytes are kept, till the end.
    pub head: usize,
    pub tail: usize,
}
impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(15),
            // Odoo's own limit_memory_hard.
            memory: 2560 << 20,
            processes: 64,
            file: 1 << 30,
            head: 256 << 10,
            tail: 256 << 10,
        }
    }
}

impl Limits {
    /// Nothing is to run for more than a week.
    pub(super) fn bounded(&self) -> Self {
        Self { deadline: self.deadline.min(Duration::from_hours(7 * 24)), ..self.clone() }
    }
}

/// A program to run, without a shell.
#[derive(Debug, Clone, Default)]
pub struct Program {
    /// The program and its arguments: visible to everybody in the container, so never a secret. `{python}` as the program is
    /// the Python that supervises.
    pub argv: Vec<String>,
    /// Added to the container's own environment; visible to the container's user.
    pub env: Vec<(String, String)>,
    pub cwd: Option<String>,
    /// Its standard input, whole unless `keep_input`.
    pub stdin: Bytes,
    /// More comes by [`Running::input`], till [`Running::close_input`].
    pub keep_input: bool,
    /// What it can read from file descriptor 3; what it writes to 4 is [`Ended::answer`]. None: nothing.
    pub order: Option<Bytes>,
    /// Whether that is all of it, or more comes by [`Running::order`].
    pub close_order: bool,
}

/// One output: the beginning, and the end when it was longer than the limits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Captured {
    pub head: Vec<u8>,
    /// Bytes left out between the two.
    pub dropped: u64,
    pub tail: Vec<u8>,
}
impl Captured {
    /// As text: bytes that are no UTF-8 replaced, and what was left out told.
    pub fn text(&self) -> String {
        let head = String::from_utf8_lossy(&self.head);
        if self.dropped == 0 && self.tail.is_empty() {
            return head.into_owned();
        }
        let tail = String::from_utf8_lossy(&self.tail);
        if self.dropped == 0 {
            return format!("{head}{tail}");
        }
        format!("{head}\n[… {} bytes left out …]\n{tail}", self.dropped)
    }
    pub fn is_empty(&self) -> bool {
        self.head.is_empty() && self.tail.is_empty()
    }
    pub(super) fn add(&mut self, data: &[u8]) {
        if self.dropped > 0 { self.tail.extend_from_slice(data) } else { self.head.extend_from_slice(data) }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// By itself, with its exit code.
    Code(i32),
    /// By a signal that was not ours (9: perhaps the kernel, out of memory).
    Signal(i32),
    /// Killed by the supervisor, with all its children.
    Killed(Why),
}
/// Why a program was killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    Deadline,
    Memory,
    Processes,
    Cancelled,
}
impl Exit {
    /// As a shell tells it: 128 and the signal's number, 124 for the deadline, 137 for other kills.
    pub fn code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(number) => 128 + number,
            Self::Killed(Why::Deadline) => 124,
            Self::Killed(_) => 137,
        }
    }
}

/// A program's end.
#[derive(Debug, Clone)]
pub struct Ended {
    pub exit: Exit,
    pub stdout: Captured,
    pub stderr: Captured,
    /// What it wrote to file descriptor 4, at most 16 MB.
    pub answer: Vec<u8>,
    pub last: Last,
}
/// What the supervisor tells at the end.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Last {
    /// Processes besides the program's own that had to be killed.
    pub left_behind: u32,
    /// Processes that could not be killed within 10 s (in uninterruptible sleep); none as a rule.
    pub remain: u32,
    /// The most bytes of resident memory seen.
    pub resident: u64,
    pub took: Duration,
}

/// What happens while a program runs.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    Stdout(Bytes),
    Stderr(Bytes),
    /// What it wrote to file descriptor 4.
    Answer(Bytes),
    /// So many bytes of stdout (1) or stderr (2) were left out here.
    Gap {
        stream: u8,
        bytes: u64,
    },
    /// All output from before [`Running::flush`] has come.
    Flushed,
    Ended {
        exit: Exit,
        last: Last,
    },
}

/// A running program. Dropping it kills the program and all its children.
#[derive(Debug)]
pub struct Running {
    container: Container,
    user: String,
    python: String,
    run: String,
    exec: String,
    reader: ReadHalf<TokioIo<Upgraded>>,
    writer: WriteHalf<TokioIo<Upgraded>>,
    to_send: VecDeque<Bytes>,
    /// Docker's frames, and within those of its stdout the supervisor's.
    outer: BytesMut,
    inner: BytesMut,
    /// What is not the supervisor's: Python's own complaint, or Docker's.
    noise: Vec<u8>,
    until: Moment,
    began: Moment,
    ended: bool,
    /// There is no supervisor: the streams are the program's own.
    bare: Option<Bare>,
}
#[derive(Debug, Default)]
struct Bare {
    /// The standard input is to be closed once everything is sent; it has been.
    closing: bool,
    closed: bool,
}

#[derive(Deserialize)]
struct Looked {
    #[serde(rename = "Running")]
    running: bool,
    #[serde(rename = "ExitCode")]
    code: Option<i32>,
}
#[derive(Deserialize)]
struct Told {
    code: Option<i32>,
    signal: Option<i32>,
    cut: Option<Why>,
    left_behind: u32,
    remain: u32,
    resident: u64,
    seconds: f64,
}
#[derive(Deserialize)]
struct Refused {
    reason: String,
    message: String,
}
#[derive(Deserialize)]
struct Created {
    #[serde(rename = "Id")]
    id: String,
}

impl Container {
    /// Runs a program to its end.
    ///
    /// # Errors
    /// When it could not be started, or the connection was lost. Any end of the program, the deadline's included, is none.
    pub async fn run(&self, program: &Program, limits: &Limits) -> Result<Ended> {
        let mut running = self.start(program, limits).await?;
        let (mut stdout, mut stderr, mut answer) = (Captured::default(), Captured::default(), Vec::new());
        loop {
            match running.next().await? {
                Event::Stdout(data) => stdout.add(&data),
                Event::Stderr(data) => stderr.add(&data),
                Event::Answer(data) if answer.len() + data.len() <= 16 << 20 => answer.extend_from_slice(&data),
                Event::Answer(_) => running.cancel(),
                Event::Gap { stream: 1, bytes } => stdout.dropped += bytes,
                Event::Gap { bytes, .. } => stderr.dropped += bytes,
                Event::Flushed => {}
                Event::Ended { exit, last } => return Ok(Ended { exit, stdout, stderr, answer, last }),
            }
        }
    }

    /// Starts a program; it runs when this returns.
    pub async fn start(&self, program: &Program, limits: &Limits) -> Result<Running> {
        let found = self.running().await?;
        let user = self.user(&found).await?;
        if let Some(python) = &self.options.python {
            self.start_by(python, &user, program, limits).await
        } else {
            for python in PYTHONS {
                match self.start_by(python, &user, program, limits).await {
                    Err(Error::NoPython { .. }) => {}
                    other => return other,
                }
            }
            Err(Error::NoPython { container: self.name.clone() })
        }
    }

    async fn start_by(&self, python: &str, user: &str, program: &Program, limits: &Limits) -> Result<Running> {
        let run = self.endpoint.random_name();
        let (exec, stream) = self.attach(user, &[python, "-I", "-S", "-c", SUPERVISE, &run], &[]).await?;
        let mut env = program.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect::<serde_json::Map<_, _>>();
        env.insert("OCORE_RUN".to_owned(), json!(run));
        let limits = limits.bounded();
        let order = json!({
            "argv": program.argv,
            "env": env,
            "cwd": program.cwd,
            "deadline": limits.deadline.as_secs_f64(),
            "memory": limits.memory,
            "processes": limits.processes,
            "file": limits.file,
            "head": limits.head,
            "tail": limits.tail,
        });
        let mut running = self.attached(user, python, run, exec, stream);
        running.queue(b'S', order.to_string().as_bytes());
        running.started().await?;
        running.until = Moment::now() + limits.deadline + MARGIN;
        running.input(&program.stdin);
        if !program.keep_input {
            running.close_input();
        }
        if let Some(order) = &program.order {
            running.order(order);
        }
        if program.order.is_none() || program.close_order {
            running.close_order();
        }
        Ok(running)
    }

    /// Starts a program in a container without Python (a database's, as a rule): by its shell, unsupervised.
    ///
    /// It dies when [`Running`] is dropped, unless it `reads`: then it has the standard input, which ends by
    /// [`Running::close_input`] or with the connection, and what it does at the end of its input is its own affair. There are no limits
    /// but the deadline, no [`Event::Answer`], nothing is left out of the output, and children that detach themselves stay.
    pub async fn start_bare(&self, program: &Program, deadline: Duration, reads: bool) -> Result<Running> {
        let found = self.running().await?;
        let user = self.user(&found).await?;
        let mut argv = vec!["sh", "-c", if reads { BARE_READING } else { BARE }, "sh"];
        argv.extend(program.argv.iter().map(String::as_str));
        let env: Vec<_> = program.env.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let attached = self.attach(&user, &argv, &env).await.map_err(|error| match error {
            Error::NoPython { container } => Error::NoProgram { container, program: "sh".to_owned() },
            other => other,
        });
        let (exec, stream) = attached?;
        let mut running = self.attached(&user, "", String::new(), exec, stream);
        running.bare = Some(Bare::default());
        running.until = Moment::now() + deadline.min(Duration::from_hours(7 * 24));
        running.input(&program.stdin);
        Ok(running)
    }

    fn attached(&self, user: &str, python: &str, run: String, exec: String, stream: TokioIo<Upgraded>) -> Running {
        let (reader, writer) = split(stream);
        Running {
            container: self.clone(),
            user: user.to_owned(),
            python: python.to_owned(),
            run,
            exec,
            reader,
            writer,
            to_send: VecDeque::new(),
            outer: BytesMut::new(),
            inner: BytesMut::new(),
            noise: Vec::new(),
            until: Moment::now() + START,
            began: Moment::now(),
            ended: false,
            bare: None,
        }
    }

    /// Creates an exec and takes its connection over.
    async fn attach(&self, user: &str, argv: &[&str], env: &[String]) -> Result<(String, TokioIo<Upgraded>)> {
        let path = format!("/containers/{}/exec", self.name);
        let body = json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true, "Tty": false, "User": user, "Cmd": argv, "Env": env,
        });
        let Created { id } =
            self.endpoint.post("create an exec", &path, &body).await.map_err(|error| self.explained(error, user))?;
        let within = self.endpoint.settings().answer;
        let answer = self
            .endpoint
            .send_within(
                "start an exec",
                Method::POST,
                &format!("/exec/{id}/start"),
                Some(&json!({ "Detach": false, "Tty": false })),
                within,
                true,
            )
            .await
            .map_err(|error| self.explained(error, user))?;
        let stream = timeout(within, hyper::upgrade::on(answer))
            .await
            .map_err(|_| Error::Timeout { doing: "start an exec", within })?
            .map_err(|error| Error::NotDocker {
                at: self.endpoint.at().to_owned(),
                why: format!("it does not hand over the connection of an exec ({error}); a proxy between has to pass upgrades"),
            })?;
        Ok((id, TokioIo::new(stream)))
    }

    /// Docker's reasons for not running a program, as it words them.
    fn explained(&self, error: Error, user: &str) -> Error {
        match self.named(error) {
            Error::Api { message, status, doing } => self.why(&message, user).unwrap_or(Error::Api { message, status, doing }),
            other => other,
        }
    }
    fn why(&self, message: &str, user: &str) -> Option<Error> {
        let container = self.name.clone();
        if message.contains("unable to find user") || message.contains("no matching entries in passwd") {
            return Some(Error::NoUser { container, user: user.to_owned() });
        }
        if message.contains("executable file not found") || message.contains("no such file or directory") {
            return Some(Error::NoPython { container });
        }
        if message.contains("is not running")
            || message.contains("stopped container")
            || message.contains("cannot exec in a stopped state")
            || message.contains("cannot exec in a deleted state")
        {
            return Some(Error::NotRunning { container, state: "stopped".to_owned(), exit_code: 0 });
        }
        None
    }
}

impl Running {
    /// The next thing that happens. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// [`Error::Lost`] and [`Error::Supervisor`]; what ran has then been killed, as far as the container could still be asked.
    pub async fn next(&mut self) -> Result<Event> {
        loop {
            if let Some(event) = self.parse()? {
                return Ok(event);
            }
            if let Some(event) = self.moved().await? {
                return Ok(event);
            }
        }
    }
    /// The next thing that happens, or none as soon as fewer than `room` bytes of input wait to be sent: for those who have
    /// more to send than should wait in memory. May be dropped while it waits, and called again.
    ///
    /// # Errors
    /// As [`Running::next`].
    pub async fn next_or_room(&mut self, room: usize) -> Result<Option<Event>> {
        loop {
            if let Some(event) = self.parse()? {
                return Ok(Some(event));
            }
            if self.to_send.iter().map(Bytes::len).sum::<usize>() < room {
                return Ok(None);
            }
            if let Some(event) = self.moved().await? {
                return Ok(Some(event));
            }
        }
    }
    /// Sends and receives once; an event only at a bare program's end.
    async fn moved(&mut self) -> Result<Option<Event>> {
        let until = self.until;
        match timeout_at(until, self.exchange()).await {
            Ok(Ok(true)) => Ok(None),
            Ok(Ok(false)) if self.bare.is_some() && !self.ended => self.looked_at().await.map(Some),
            Ok(Ok(false)) => Err(self.abandoned(None).await),
            Ok(Err(error)) => Err(self.abandoned(Some(error.to_string())).await),
            Err(_) => Err(self.abandoned(Some("it did not answer in time".to_owned())).await),
        }
    }
    /// How a bare program ended, by asking Docker.
    async fn looked_at(&mut self) -> Result<Event> {
        self.ended = true;
        let lost = |why: String| Error::Lost { doing: "run a program", why };
        let path = format!("/exec/{}/json", self.exec);
        for _ in 0..50 {
            let found: Looked =
                self.container.endpoint.get("look at an exec", &path).await.map_err(|error| lost(error.to_string()))?;
            if let (false, Some(code)) = (found.running, found.code) {
                // As a shell tells it.
                let exit = if code > 128 && code < 192 { Exit::Signal(code - 128) } else { Exit::Code(code) };
                let last = Last { left_behind: 0, remain: 0, resident: 0, took: self.began.elapsed() };
                return Ok(Event::Ended { exit, last });
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err(lost("its output ended, but it goes on".to_owned()))
    }
    /// More for the program's standard input. Nothing happens once it is closed.
    pub fn input(&mut self, data: &[u8]) {
        for part in data.chunks(64 << 10) {
            self.queue(b'0', part);
        }
    }
    pub fn close_input(&mut self) {
        match &mut self.bare {
            Some(bare) => bare.closing = true,
            None => self.queue(b'c', b"0"),
        }
    }
    /// More for file descriptor 3.
    pub fn order(&mut self, data: &[u8]) {
        for part in data.chunks(64 << 10) {
            self.queue(b'3', part);
        }
    }
    pub fn close_order(&mut self) {
        self.queue(b'c', b"3");
    }
    /// Asks for the output that is kept back, and lets the limits of output begin anew; [`Event::Flushed`] follows it.
    pub fn flush(&mut self) {
        self.queue(b'f', b"");
    }
    /// Asks for the program's death; [`Event::Ended`] tells it.
    pub fn cancel(&mut self) {
        match &mut self.bare {
            Some(bare) => bare.closing = true,
            None => self.queue(b'k', b""),
        }
    }

    fn queue(&mut self, kind: u8, payload: &[u8]) {
        if self.bare.is_some() {
            if kind == b'0' && !payload.is_empty() {
                self.to_send.push_back(Bytes::copy_from_slice(payload));
            }
            return;
        }
        let mut frame = BytesMut::with_capacity(5 + payload.len());
        frame.extend_from_slice(&[kind]);
        // Payloads are cut to 64 KB, but for the order at the start, which is small.
        frame.extend_from_slice(&u32::try_from(payload.len()).unwrap_or(0).to_be_bytes());
        frame.extend_from_slice(payload);
        self.to_send.push_back(frame.freeze());
    }

    /// Sends what is to be sent or receives what comes, whichever is first; false at the connection's end. Safe to drop.
    async fn exchange(&mut self) -> std::io::Result<bool> {
        let Self { reader, writer, to_send, outer, bare, .. } = self;
        match to_send.front_mut() {
            None => {
                if let Some(bare) = bare
                    && bare.closing
                    && !bare.closed
                {
                    // What could not be closed is closed at the other end already.
                    let _ = writer.shutdown().await;
                    bare.closed = true;
                }
                Ok(reader.read_buf(outer).await? > 0)
            }
            Some(first) => {
                tokio::select! {
                    sent = writer.write(first) => {
                        match sent {
                            Ok(sent) if sent > 0 => first.advance(sent),
                            // It reads no more; what it said before it went is still to be read.
                            _ => {
                                to_send.clear();
                                return Ok(true);
                            }
                        }
                        if first.is_empty() {
                            to_send.pop_front();
                            if to_send.is_empty() {
                                let _ = writer.flush().await;
                            }
                        }
                        Ok(true)
                    }
                    received = reader.read_buf(outer) => Ok(received? > 0),
                }
            }
        }
    }

    /// Takes Docker's frames apart: four bytes of stream, four of length, the payload.
    fn unwrap_frames(&mut self) {
        loop {
            let Some(&[stream, zero, .., a, b, c, d]) = self.outer.get(..8) else { return };
            if stream > 2 || zero != 0 {
                // Old Dockers tell here, in plain text, why the exec did not start.
                let rest = self.outer.split();
                self.noise.extend_from_slice(rest.get(..rest.len().min(4096)).unwrap_or_default());
                return;
            }
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if self.outer.len() - 8 < length {
                return;
            }
            if self.bare.is_some() {
                return;
            }
            self.outer.advance(8);
            let payload = self.outer.split_to(length);
            if stream == 1 {
                self.inner.extend_from_slice(&payload);
            } else if self.noise.len() < 8192 {
                self.noise.extend_from_slice(&payload);
            }
        }
    }
    /// The supervisor's next frame, when it is whole.
    fn frame(&mut self) -> Result<Option<(u8, Bytes)>> {
        self.unwrap_frames();
        let Some(&[kind, a, b, c, d]) = self.inner.get(..5) else { return Ok(None) };
        if !b"S124GFEX".contains(&kind) {
            let rest = self.inner.split();
            self.noise.extend_from_slice(rest.get(..rest.len().min(4096)).unwrap_or_default());
            return Ok(None);
        }
        let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > 64 << 20 {
            return Err(self.broken("it sent more than it may"));
        }
        if self.inner.len() - 5 < length {
            return Ok(None);
        }
        self.inner.advance(5);
        Ok(Some((kind, self.inner.split_to(length).freeze())))
    }
    fn broken(&self, why: &str) -> Error {
        Error::Supervisor { container: self.container.name.clone(), why: why.to_owned() }
    }
    /// A bare program's next piece of output.
    fn piece(&mut self) -> Option<Event> {
        loop {
            self.unwrap_frames();
            let &[stream, _, _, _, a, b, c, d] = self.outer.get(..8)? else { return None };
            let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(usize::MAX);
            if self.outer.len() - 8 < length {
                return None;
            }
            self.outer.advance(8);
            let payload = self.outer.split_to(length).freeze();
            if payload.is_empty() {
                continue;
            }
            return Some(if stream == 1 { Event::Stdout(payload) } else { Event::Stderr(payload) });
        }
    }
    fn parse(&mut self) -> Result<Option<Event>> {
        if self.bare.is_some() {
            return Ok(self.piece());
        }
        let Some((kind, payload)) = self.frame()? else { return Ok(None) };
        Ok(Some(match kind {
            b'1' => Event::Stdout(payload),
            b'2' => Event::Stderr(payload),
            b'4' => Event::Answer(payload),
            b'F' => Event::Flushed,
            b'G' => {
                let mut rest = payload;
                if rest.len() != 9 {
                    return Err(self.broken("it sent what cannot be read"));
                }
                Event::Gap { stream: if rest.get_u8() == b'1' { 1 } else { 2 }, bytes: rest.get_u64() }
            }
            b'E' => {
                let told: Told =
                    serde_json::from_slice(&payload).map_err(|error| self.broken(&format!("its last word is wrong: {error}")))?;
                self.ended = true;
                let exit = match (told.code, told.signal, told.cut) {
                    (Some(code), _, _) => Exit::Code(code),
                    (_, _, Some(why)) => Exit::Killed(why),
                    (_, Some(number), None) => Exit::Signal(number),
                    (None, None, None) => return Err(self.broken("it does not tell how the program ended")),
                };
                let last = Last {
                    left_behind: told.left_behind,
                    remain: told.remain,
                    resident: told.resident,
                    took: Duration::try_from_secs_f64(told.seconds).unwrap_or_default(),
                };
                Event::Ended { exit, last }
            }
            _ => return Err(self.broken("it sent what cannot be read")),
        }))
    }

    /// Waits until the program runs.
    async fn started(&mut self) -> Result<()> {
        let container = self.container.name.clone();
        loop {
            match self.frame()? {
                Some((b'S', _)) => return Ok(()),
                Some((b'X', payload)) => {
                    self.ended = true;
                    let Refused { reason, message } =
                        serde_json::from_slice(&payload).map_err(|error| self.broken(&error.to_string()))?;
                    return Err(match reason.as_str() {
                        "root" => Error::Root { container },
                        "missing" => Error::NoProgram { container, program: message },
                        _ => Error::Start { container, why: message },
                    });
                }
                Some(_) => return Err(self.broken("it sent what cannot be read")),
                None => {}
            }
            let until = self.until;
            let more = timeout_at(until, self.exchange())
                .await
                .map_err(|_| Error::Timeout { doing: "start a program", within: START })?;
            match more {
                Ok(true) => {}
                Ok(false) => {
                    self.ended = true;
                    self.unwrap_frames();
                    let said = String::from_utf8_lossy(&[self.noise.as_slice(), &self.outer, &self.inner].concat())
                        .split_whitespace()
                        .collect::<Vec<_>>()
                        .join(" ");
                    if said.is_empty() {
                        // Docker itself may have ended, and the connection with it. Looking whether it did leaves nothing unknown.
                        match self.container.endpoint.ping().await {
                            Err(error) if !error.outcome_unknown() => return Err(error),
                            _ => {}
                        }
                    }
                    return Err(self.container.why(&said, &self.user).unwrap_or(Error::Start {
                        container,
                        why: if said.is_empty() { "it ended at once".to_owned() } else { said },
                    }));
                }
                Err(error) => return Err(Error::Lost { doing: "start a program", why: error.to_string() }),
            }
        }
    }

    /// No answer will come any more: kills what may be left, and tells what is known.
    async fn abandoned(&mut self, why: Option<String>) -> Error {
        if self.ended {
            return self.broken("the program has ended already");
        }
        self.ended = true;
        if self.bare.is_some() {
            let why = why.unwrap_or_else(|| "the connection was closed".to_owned());
            return Error::Lost { doing: "run a program", why };
        }
        let said = String::from_utf8_lossy(&self.noise).trim().lines().last().unwrap_or_default().to_owned();
        let why = why.unwrap_or_else(|| if said.is_empty() { "it was killed".to_owned() } else { said });
        let after = match self.container.reap(&self.user, &self.python, &self.run, self.began.elapsed()).await {
            Ok(Reaped { killed, remain: 0 }) => format!("{killed} processes of it were killed"),
            Ok(Reaped { killed, remain }) => format!("{killed} processes of it were killed, {remain} could not be"),
            Err(error @ (Error::NotRunning { .. } | Error::NoContainer { .. } | Error::Restarting { .. })) => {
                return Error::Lost { doing: "run a program", why: error.to_string().trim_end_matches('.').to_owned() };
            }
            Err(error) => format!("whether anything of it goes on is not known ({error})"),
        };
        Error::Supervisor { container: self.container.name.clone(), why: format!("{why}; {after}") }
    }
}

#[derive(Deserialize)]
struct Reaped {
    killed: u32,
    remain: u32,
}

impl Container {
    /// Kills what is left of a run, by a second exec.
    async fn reap(&self, user: &str, python: &str, run: &str, since: Duration) -> Result<Reaped> {
        let since = since.as_secs_f64().ceil().to_string();
        let (_, mut stream) = self.attach(user, &[python, "-I", "-S", "-c", REAP, run, &since], &[]).await?;
        let mut all = Vec::new();
        let within = Duration::from_secs(20);
        timeout(within, (&mut stream).take(65536).read_to_end(&mut all))
            .await
            .map_err(|_| Error::Timeout { doing: "clean up after a program", within })?
            .map_err(|error| Error::Lost { doing: "clean up after a program", why: error.to_string() })?;
        let from = all.iter().position(|byte| *byte == b'{').unwrap_or(0);
        serde_json::from_slice(all.get(from..).unwrap_or_default().trim_ascii())
            .map_err(|error| self.broken_reaper(&error.to_string()))
    }
    fn broken_reaper(&self, why: &str) -> Error {
        Error::Supervisor { container: self.name.clone(), why: why.to_owned() }
    }
}
