//! What Odoo logs: Docker's log of the container, or Odoo's own log file, taken apart into records.
//!
//! Odoo writes `2025-01-01 12:00:00,123 PID LEVEL DATABASE logger: message` (14 to 19, UTC, `?` for no database), and what
//! follows without such a head belongs to the record before it: tracebacks as a rule. Workers write to one stream; a record of
//! up to 4 KB is never torn, longer ones can be, so lines of an unfinished traceback find their way back to it.
use std::{collections::VecDeque, fmt::Write as _, time::Duration};

use bytes::{Buf, Bytes, BytesMut};
use chrono::NaiveDateTime;
use http::Method;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Instant, timeout};

use super::{
    container::Container,
    error::{Error, Result},
    exec::{Exit, Limits, Program},
    shell::last_line,
};

const TAIL: &str = include_str!("scripts/tail.py");
/// Bytes of one line that are kept; the rest is counted.
const LONGEST_LINE: usize = 16 << 10;
/// Lines that may belong to one record beyond its first; the rest is counted.
const MOST_DETAIL: usize = 400;
/// How many records back a torn traceback is looked for.
const BACK: usize = 8;
/// Bytes that are looked through for one answer.
const MOST_BYTES: usize = 64 << 20;
/// Lines that are looked through where a filter may leave few of them.
const MOST_LINES: usize = 100_000;
/// How long a record may still get lines when nothing else comes.
const QUIET: Duration = Duration::from_millis(300);

/// Python's levels, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    Debug,
    Info,
    Warning,
    Error,
    Critical,
}
impl Level {
    /// Its name as Odoo writes it, in any case; `warn` and `fatal` too.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "DEBUG" => Self::Debug,
            "INFO" => Self::Info,
            "WARNING" | "WARN" => Self::Warning,
            "ERROR" => Self::Error,
            "CRITICAL" | "FATAL" => Self::Critical,
            _ => return None,
        })
    }
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warning => "WARNING",
            Self::Error => "ERROR",
            Self::Critical => "CRITICAL",
        }
    }
}

/// One record of the log, or lines that are none of Odoo's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// As logged, `2025-01-01 12:00:00,123`, UTC. Empty for lines that are not Odoo's; so are pid and logger.
    pub time: String,
    pub pid: u32,
    /// None for lines that are not Odoo's.
    pub level: Option<Level>,
    /// None where Odoo writes `?`.
    pub database: Option<String>,
    pub logger: String,
    pub message: String,
    /// The lines that follow the message, a traceback as a rule.
    pub detail: Vec<String>,
    /// Bytes and lines left out of it, because it was longer than a record may be.
    pub left_out: u64,
}

/// Where the log is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// What the container wrote to its outputs.
    Docker,
    /// A file in the container ([`super::shell::Launch::logfile`]).
    File(String),
}

/// What to look for. All filters have to fit.
#[derive(Debug, Clone)]
pub struct Query {
    /// The most records, the last ones; at most 1,000.
    pub lines: usize,
    /// Unix seconds.
    pub since: Option<i64>,
    pub until: Option<i64>,
    /// This or worse. Lines that are not Odoo's have no level: they are left out.
    pub level: Option<Level>,
    pub database: Option<String>,
    /// Beside those of the database, those of none (`?`).
    pub of_none: bool,
    /// A logger, or what it is below: `odoo.addons.sale`.
    pub logger: Option<String>,
    /// In message or detail, in any case; looked for after redaction.
    pub text: Option<String>,
}
impl Default for Query {
    fn default() -> Self {
        Self { lines: 100, since: None, until: None, level: None, database: None, of_none: false, logger: None, text: None }
    }
}

/// The records found, oldest first.
#[derive(Debug, Clone, Default)]
pub struct Found {
    pub records: Vec<Record>,
    /// Records that the filters let through, the ones that are not in `records` for their number included.
    pub matching: usize,
    /// Records looked at.
    pub seen: usize,
    /// Lines among them that are not Odoo's and belong to no record.
    pub unparsed: usize,
    /// There is more log before what was looked at.
    pub cut: bool,
}

/// Removes secrets from a text.
pub type Redact<'a> = &'a (dyn Fn(&str) -> String + Send + Sync);

impl Record {
    /// As Odoo writes it.
    pub fn text(&self) -> String {
        let mut text = match self.level {
            Some(level) => format!(
                "{} {} {} {} {}: {}",
                self.time,
                self.pid,
                level.as_str(),
                self.database.as_deref().unwrap_or("?"),
                self.logger,
                self.message
            ),
            None => self.message.clone(),
        };
        for line in &self.detail {
            let _ = write!(text, "\n{line}");
        }
        text
    }
    fn redact(&mut self, redact: Redact<'_>) {
        self.message = redact(&self.message);
        if !self.detail.is_empty() {
            // As one text: a secret's name and the secret can be on two lines.
            self.detail = redact(&self.detail.join("\n")).split('\n').map(ToOwned::to_owned).collect();
        }
    }
    fn foreign(line: String) -> Self {
        Self {
            time: String::new(),
            pid: 0,
            level: None,
            database: None,
            logger: String::new(),
            message: line,
            detail: Vec::new(),
            left_out: 0,
        }
    }
    /// A record's first line.
    fn head(line: &str) -> Option<Self> {
        let bytes = line.as_bytes();
        // 2025-01-01 12:00:00,123
        let shape = b"0000-00-00 00:00:00,000 ";
        let dated = bytes.len() > shape.len()
            && shape.iter().zip(bytes).all(|(want, have)| if *want == b'0' { have.is_ascii_digit() } else { want == have });
        if !dated {
            return None;
        }
        let (time, rest) = line.split_at_checked(shape.len() - 1)?;
        let mut words = rest.trim_start_matches(' ').splitn(4, ' ');
        let pid = words.next()?.parse().ok()?;
        let level = Level::parse(words.next()?)?;
        let database = words.next()?;
        let (logger, message) = words.next()?.split_once(':')?;
        if logger.contains(' ') {
            return None;
        }
        Some(Self {
            time: time.to_owned(),
            pid,
            level: Some(level),
            database: (database != "?").then(|| database.to_owned()),
            logger: logger.to_owned(),
            message: message.strip_prefix(' ').unwrap_or(message).to_owned(),
            detail: Vec::new(),
            left_out: 0,
        })
    }
    /// Whether a traceback has begun in it and its exception has not come.
    fn unfinished(&self) -> bool {
        let Some(from) = self.detail.iter().rposition(|line| line.starts_with("Traceback (most recent call last)")) else {
            return false;
        };
        self.detail.iter().skip(from + 1).all(|line| line.starts_with(' '))
    }
    fn seconds(&self) -> Option<i64> {
        NaiveDateTime::parse_from_str(&self.time, "%Y-%m-%d %H:%M:%S,%3f").ok().map(|time| time.and_utc().timestamp())
    }
}

impl Query {
    fn fits(&self, record: &Record) -> bool {
        let time = record.seconds();
        self.level.is_none_or(|level| record.level.is_some_and(|have| have >= level))
            && self.database.as_deref().is_none_or(|name| record.database.as_deref().map_or(self.of_none, |of| of == name))
            && self.logger.as_deref().is_none_or(|name| {
                record
                    .logger
                    .strip_prefix(name)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('.') || name.ends_with('.'))
            })
            && self.since.is_none_or(|since| time.is_none_or(|time| time >= since))
            && self.until.is_none_or(|until| time.is_none_or(|time| time <= until))
            && self.text.as_deref().is_none_or(|text| {
                let text = text.to_lowercase();
                record.message.to_lowercase().contains(&text)
                    || record.detail.iter().any(|line| line.to_lowercase().contains(&text))
            })
    }
    const fn filters(&self) -> bool {
        self.level.is_some() || self.database.is_some() || self.logger.is_some() || self.text.is_some()
    }
}

/// Takes lines together to records. Those that may still get lines are kept back.
#[derive(Debug, Default)]
pub struct Assembler {
    open: VecDeque<Record>,
}
impl Assembler {
    /// Takes a line without its end, and how many bytes of it were left out; gives the record that is complete because of it.
    pub fn line(&mut self, line: &[u8], over: u64) -> Option<Record> {
        let line = clean(line, over);
        if let Some(mut record) = Record::head(&line) {
            record.left_out = over;
            self.open.push_back(record);
            return if self.open.len() > BACK { self.open.pop_front() } else { None };
        }
        if line.is_empty() && self.open.is_empty() {
            return None;
        }
        // A line of a traceback that another worker's record has torn off, or else of the last record.
        let last = self.open.len().checked_sub(1);
        let torn = line.starts_with(' ') || exception_like(&line);
        let home = if torn { self.open.iter().rposition(Record::unfinished).or(last) } else { last };
        match home.and_then(|at| self.open.get_mut(at)) {
            Some(record) if record.level.is_some() => {
                if record.detail.len() < MOST_DETAIL {
                    record.left_out += over;
                    record.detail.push(line);
                } else {
                    record.left_out += line.len() as u64 + over;
                }
                None
            }
            _ => {
                let mut record = Record::foreign(line);
                record.left_out = over;
                self.open.push_back(record);
                if self.open.len() > BACK { self.open.pop_front() } else { None }
            }
        }
    }
    /// What is left, oldest first.
    pub fn finish(&mut self) -> impl Iterator<Item = Record> {
        std::mem::take(&mut self.open).into_iter().map(|mut record| {
            while record.detail.last().is_some_and(String::is_empty) {
                record.detail.pop();
            }
            record
        })
    }
}

/// `odoo.exceptions.UserError: …`, what ends a traceback.
fn exception_like(line: &str) -> bool {
    let name = line.split(':').next().unwrap_or(line);
    !name.is_empty()
        && name.chars().all(|c| c.is_alphanumeric() || c == '.' || c == '_')
        && name.rsplit('.').next().is_some_and(|last| last.starts_with(char::is_uppercase))
}

/// A line as text: no carriage return, no colours, no control characters; what was left out told.
fn clean(line: &[u8], over: u64) -> String {
    let text = String::from_utf8_lossy(line);
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c == '\u{1b}' && chars.peek() == Some(&'[') {
            chars.next();
            for c in chars.by_ref() {
                if ('\u{40}'..='\u{7e}').contains(&c) {
                    break;
                }
            }
        } else if c == '\t' || !c.is_control() {
            out.push(c);
        }
    }
    if over > 0 {
        let _ = write!(out, "[… {over} bytes left out]");
    }
    out
}

/// Cuts a stream into lines, each of Docker's two streams by itself. A line's excess over [`LONGEST_LINE`] is only counted.
#[derive(Debug)]
struct Lines {
    tty: bool,
    raw: BytesMut,
    /// stdout and stderr: the line so far, and the number of bytes beyond what is kept.
    parts: [(Vec<u8>, u64); 2],
    /// Of the frame that is coming in: its stream and the bytes still to come.
    frame: (usize, usize),
}
impl Lines {
    fn new(tty: bool) -> Self {
        Self { tty, raw: BytesMut::new(), parts: Default::default(), frame: (0, 0) }
    }
    /// Calls `each` with every line that is complete.
    fn feed(&mut self, data: &[u8], each: &mut impl FnMut(&[u8], u64)) {
        self.raw.extend_from_slice(data);
        loop {
            if self.tty {
                let all = self.raw.split();
                self.text(0, &all, each);
                return;
            }
            if self.frame.1 == 0 {
                let Some(&[stream, _, _, _, a, b, c, d]) = self.raw.get(..8) else { return };
                self.raw.advance(8);
                self.frame = (usize::from(stream == 2), usize::try_from(u32::from_be_bytes([a, b, c, d])).unwrap_or(0));
                continue;
            }
            if self.raw.is_empty() {
                return;
            }
            let part = self.raw.split_to(self.frame.1.min(self.raw.len()));
            self.frame.1 -= part.len();
            self.text(self.frame.0, &part, each);
        }
    }
    fn text(&mut self, stream: usize, data: &[u8], each: &mut impl FnMut(&[u8], u64)) {
        let Some((line, over)) = self.parts.get_mut(stream) else { return };
        for part in data.split_inclusive(|byte| *byte == b'\n') {
            let (text, ended) = part.strip_suffix(b"\n").map_or((part, false), |text| (text, true));
            let room = LONGEST_LINE.saturating_sub(line.len()).min(text.len());
            line.extend_from_slice(text.get(..room).unwrap_or_default());
            *over += (text.len() - room) as u64;
            if ended {
                each(line, std::mem::take(over));
                line.clear();
            }
        }
    }
    fn finish(&mut self, each: &mut impl FnMut(&[u8], u64)) {
        for (line, over) in &mut self.parts {
            if !line.is_empty() {
                each(line, std::mem::take(over));
                line.clear();
            }
        }
    }
}

/// Keeps the last records that fit.
struct Sieve<'a> {
    query: &'a Query,
    redact: Redact<'a>,
    last: VecDeque<Record>,
    found: Found,
}
impl Sieve<'_> {
    fn take(&mut self, mut record: Record) {
        self.found.seen += 1;
        if record.level.is_none() {
            self.found.unparsed += 1;
        }
        record.redact(self.redact);
        if !self.query.fits(&record) {
            return;
        }
        self.found.matching += 1;
        self.last.push_back(record);
        if self.last.len() > self.query.lines.clamp(1, 1000) {
            self.last.pop_front();
        }
    }
    fn done(mut self) -> Found {
        self.found.records = self.last.into();
        self.found
    }
}

impl Container {
    /// The last records that fit. Secrets are removed by `redact` before anything is compared or given.
    ///
    /// Looks through at most 100,000 lines or 64 MB; [`Found::cut`] tells when there is more. `deadline` is for all of it.
    pub async fn logs(&self, source: &Source, query: &Query, redact: Redact<'_>, deadline: Duration) -> Result<Found> {
        let mut sieve = Sieve { query, redact, last: VecDeque::new(), found: Found::default() };
        let mut assembler = Assembler::default();
        match source {
            Source::Docker => {
                let until = Instant::now() + deadline.min(Duration::from_hours(1));
                // A record has several lines at times; without filters a few times the number is plenty.
                let lines = if query.filters() { MOST_LINES } else { query.lines.clamp(1, 1000).saturating_mul(10) };
                let mut log = self.open_log(query, lines, false).await?;
                let (mut bytes, mut count) = (0, 0);
                while let Some(data) = log.next(until.saturating_duration_since(Instant::now())).await? {
                    bytes += data.len();
                    log.lines.feed(&data, &mut |line, over| {
                        count += 1;
                        if let Some(record) = assembler.line(line, over) {
                            sieve.take(record);
                        }
                    });
                    if bytes > MOST_BYTES {
                        sieve.found.cut = true;
                        break;
                    }
                }
                log.lines.finish(&mut |line, over| {
                    count += 1;
                    if let Some(record) = assembler.line(line, over) {
                        sieve.take(record);
                    }
                });
                sieve.found.cut |= count >= lines;
            }
            Source::File(path) => {
                if path.contains('\0') || !path.starts_with('/') {
                    return Err(Error::Argument { what: "the log file's path", why: "it is not absolute".to_owned() });
                }
                let most = MOST_BYTES / 8;
                let program = Program {
                    argv: ["{python}", "-I", "-S", "-c", TAIL, path, &most.to_string()].map(ToOwned::to_owned).to_vec(),
                    ..Program::default()
                };
                let limits = Limits { deadline, head: most + 1, ..Limits::default() };
                let ended = self.run(&program, &limits).await?;
                if ended.exit != Exit::Code(0) {
                    let why = last_line(&ended.stderr.text()).unwrap_or_else(|| format!("{:?}", ended.exit));
                    return Err(Error::Log { container: self.name.clone(), why });
                }
                sieve.found.cut = !ended.answer.is_empty();
                let mut lines = Lines::new(true);
                let mut each = |line: &[u8], over| {
                    if let Some(record) = assembler.line(line, over) {
                        sieve.take(record);
                    }
                };
                lines.feed(&ended.stdout.head, &mut each);
                lines.finish(&mut each);
            }
        }
        for record in assembler.finish() {
            sieve.take(record);
        }
        Ok(sieve.done())
    }

    /// The log from now on (and its last `query.lines` lines), record by record. Dropping it ends it.
    pub async fn follow(&self, query: Query) -> Result<Following> {
        let log = self.open_log(&query, query.lines.min(1000), true).await?;
        Ok(Following { log, query, assembler: Assembler::default(), ready: VecDeque::new(), ended: false })
    }

    async fn open_log(&self, query: &Query, lines: usize, follow: bool) -> Result<Log> {
        let tty = self.inspected().await?.config.tty;
        let mut path = format!("/containers/{}/logs?stdout=1&stderr=1&tail={lines}", self.name);
        if let Some(since) = query.since {
            let _ = write!(path, "&since={since}");
        }
        if let (Some(until), false) = (query.until, follow) {
            // Docker takes the second's beginning.
            let _ = write!(path, "&until={}", until.saturating_add(1));
        }
        if follow {
            path.push_str("&follow=1");
        }
        let answer =
            self.endpoint.send("give a container's log", Method::GET, &path, None).await.map_err(|error| self.named(error))?;
        Ok(Log { body: answer.into_body(), lines: Lines::new(tty) })
    }
}

#[derive(Debug)]
struct Log {
    body: Incoming,
    lines: Lines,
}
impl Log {
    async fn next(&mut self, within: Duration) -> Result<Option<Bytes>> {
        const DOING: &str = "give a container's log";
        loop {
            let Ok(came) = timeout(within, self.body.frame()).await else {
                return Err(Error::Timeout { doing: DOING, within });
            };
            match came {
                None => return Ok(None),
                Some(Err(error)) => return Err(Error::Lost { doing: DOING, why: error.to_string() }),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

/// A log as it is written.
#[derive(Debug)]
pub struct Following {
    log: Log,
    query: Query,
    assembler: Assembler,
    ready: VecDeque<Record>,
    ended: bool,
}
impl Following {
    /// The next record that fits, redacted; a moment after its last line. None when the container has ended.
    pub async fn next(&mut self, redact: Redact<'_>) -> Result<Option<Record>> {
        loop {
            while let Some(mut record) = self.ready.pop_front() {
                record.redact(redact);
                if self.query.fits(&record) {
                    return Ok(Some(record));
                }
            }
            if self.ended {
                return Ok(None);
            }
            let waiting = !self.assembler.open.is_empty();
            let patience = if waiting { QUIET } else { Duration::from_hours(24) };
            match self.log.next(patience).await {
                Ok(Some(data)) => {
                    let (assembler, ready) = (&mut self.assembler, &mut self.ready);
                    self.log.lines.feed(&data, &mut |line, over| ready.extend(assembler.line(line, over)));
                }
                Ok(None) => {
                    self.ended = true;
                    let (assembler, ready) = (&mut self.assembler, &mut self.ready);
                    self.log.lines.finish(&mut |line, over| ready.extend(assembler.line(line, over)));
                    self.ready.extend(self.assembler.finish());
                }
                Err(Error::Timeout { .. }) => self.ready.extend(self.assembler.finish()),
                Err(error) => return Err(error),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assemble(text: &[u8]) -> Vec<Record> {
        let mut assembler = Assembler::default();
        let mut lines = Lines::new(true);
        let mut out = Vec::new();
        lines.feed(text, &mut |line, over| out.extend(assembler.line(line, over)));
        lines.finish(&mut |line, over| out.extend(assembler.line(line, over)));
        out.extend(assembler.finish());
        out
    }

    #[test]
    fn records_and_tracebacks_are_taken_apart() {
        let found = assemble(
            "starting up\n\
             2025-01-01 12:00:00,123 17 INFO ? odoo: Odoo version 19.0\n\
             2025-01-01 12:00:01,000 18 ERROR shop odoo.http: Exception during request handling.\n\
             Traceback (most recent call last):\n\
             \x20 File \"/x.py\", line 1, in f\n\
             \x20   1/0\n\
             ZeroDivisionError: division by zero\n\
             2025-01-01 12:00:02,000 18 INFO shop werkzeug: 1.2.3.4 - - [01/Jan/2025 12:00:02] \"GET / HTTP/1.1\" 200 - 5 0.1 0.2\r\n\
             2025-01-01 12:00:03,000 18 NOISE shop x: y\n"
                .as_bytes(),
        );
        assert_eq!(found.len(), 4);
        assert_eq!((found[0].level, found[0].message.as_str()), (None, "starting up"));
        assert_eq!((found[1].database.as_deref(), found[1].logger.as_str(), found[1].pid), (None, "odoo", 17));
        assert_eq!(found[2].detail.len(), 4);
        assert_eq!((found[2].level, found[2].database.as_deref()), (Some(Level::Error), Some("shop")));
        assert!(found[3].message.ends_with("0.2") && found[3].logger == "werkzeug");
        assert_eq!(found[3].detail, ["2025-01-01 12:00:03,000 18 NOISE shop x: y"]);
        assert!(found[2].text().ends_with("ZeroDivisionError: division by zero"));
    }

    #[test]
    fn a_torn_traceback_finds_back() {
        let found = assemble(
            b"2025-01-01 12:00:01,000 18 ERROR shop odoo.http: first\n\
              Traceback (most recent call last):\n\
              \x20 File \"a\"\n\
              2025-01-01 12:00:02,000 19 INFO shop odoo.x: between\n\
              \x20   code\n\
              ValueError: end\n\
              and a line of the last\n",
        );
        assert_eq!(found[0].detail.last().unwrap(), "ValueError: end");
        assert_eq!(found[0].detail.len(), 4);
        assert_eq!(found[1].detail, ["and a line of the last"]);
    }

    #[test]
    fn garbage_long_lines_and_colours() {
        let mut text = b"2025-01-01 12:00:00,123 17 \x1b[1;32mINFO\x1b[0m ? odoo: caf\xc3\xa9 \xff\x00 end\n".to_vec();
        text.extend_from_slice(b"2025-01-01 12:00:00,123 17 INFO db odoo: ");
        text.extend(vec![b'x'; 1 << 20]);
        text.extend_from_slice(b"\n\x00\x01\x02\xfe\n");
        let found = assemble(&text);
        assert_eq!(found[0].message, "café \u{fffd} end");
        assert_eq!(found[1].left_out, (1 << 20) + 41 - LONGEST_LINE as u64);
        assert!(found[1].message.ends_with("bytes left out]") && found[1].message.len() < LONGEST_LINE + 50);
        assert_eq!(found[1].detail, ["\u{fffd}"]);
        // A character that is cut in two by a frame is whole again.
        let mut lines = Lines::new(false);
        let mut out = Vec::new();
        for (stream, part) in [(1u8, &b"caf\xc3"[..]), (2, b"other"), (1, b"\xa9\n"), (2, b"\n")] {
            let mut frame = vec![stream, 0, 0, 0];
            frame.extend(u32::try_from(part.len()).unwrap().to_be_bytes());
            frame.extend(part);
            for byte in frame {
                lines.feed(&[byte], &mut |line, _| out.push(String::from_utf8(line.to_vec()).unwrap()));
            }
        }
        assert_eq!(out, ["café", "other"]);
    }

    #[test]
    fn filters_fit_together_and_see_no_secrets() {
        let text = b"2025-01-01 12:00:00,000 1 INFO a odoo.addons.sale.models: token=s3cret\n\
                     2025-01-01 12:00:10,000 1 WARNING a odoo.addons.sales: Hello\n\
                     2025-01-01 12:00:20,000 1 ERROR b odoo.sql_db: bad query\n";
        let run = |query: Query| {
            let redact = |text: &str| text.replace("s3cret", "[…]");
            let mut sieve = Sieve { query: &query, redact: &redact, last: VecDeque::new(), found: Found::default() };
            for record in assemble(text) {
                sieve.take(record);
            }
            sieve.done().records.iter().map(|r| r.message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(run(Query { level: Some(Level::Warning), ..Query::default() }), ["Hello", "bad query"]);
        assert_eq!(run(Query { logger: Some("odoo.addons.sale".into()), ..Query::default() }), ["token=[…]"]);
        assert_eq!(run(Query { text: Some("s3cret".into()), ..Query::default() }), [""; 0]);
        assert_eq!(run(Query { text: Some("HELLO".into()), database: Some("a".into()), ..Query::default() }), ["Hello"]);
        let noon = 1_735_732_800;
        assert_eq!(run(Query { since: Some(noon + 5), until: Some(noon + 15), ..Query::default() }), ["Hello"]);
        assert_eq!(run(Query { lines: 1, ..Query::default() }), ["bad query"]);
    }
}
