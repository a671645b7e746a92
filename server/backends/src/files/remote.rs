//! A container's files: one order, one run of the script, as the container's unprivileged user.
use std::{path::PathBuf, time::Duration};

use crate::docker::{
    container::Container,
    exec::{Event, Exit, Limits, Program, Running, Why},
};
use bytes::{Buf, Bytes, BytesMut};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use super::{
    error::{Error, Result},
    local::ScanLimits,
    place::{Failure, Fault, Order, Reply},
    roots::{Roots, barred},
};

const SCRIPT: &str = include_str!("scripts/files.py");
/// For the supervisor's own start and end, beyond the deadline of what it runs.
const MARGIN: Duration = Duration::from_secs(3);

#[derive(Debug)]
pub(super) struct Remote {
    container: Container,
    roots: Vec<String>,
    forbidden: Vec<String>,
}

#[derive(Deserialize)]
struct Answer<T> {
    #[serde(default = "Option::default")]
    ok: Option<T>,
    #[serde(default)]
    fault: Option<Fault>,
    /// Bytes of the payload that follows.
    #[serde(default)]
    size: usize,
}
#[derive(Deserialize)]
struct Candidates {
    candidates: Vec<(usize, Vec<String>)>,
    complete: bool,
}
#[derive(Deserialize)]
struct Content {
    number: Option<usize>,
    size: usize,
    #[serde(default)]
    complete: bool,
}

impl Remote {
    pub(super) fn new(container: Container, roots: &Roots, forbidden: &[PathBuf]) -> Result<Self> {
        let mut paths = Vec::new();
        for root in &roots.all {
            // As written; the script looks again at what it resolves to.
            if let Some(why) = barred(&root.path, forbidden) {
                return Err(Error::RootRefused { name: root.name.clone(), why });
            }
            if roots.all.iter().any(|other| other.name != root.name && root.path.starts_with(&other.path)) {
                return Err(Error::RootRefused { name: root.name.clone(), why: "it lies in another root".to_owned() });
            }
            paths.push(root.path.to_string_lossy().into_owned());
        }
        let forbidden = forbidden.iter().map(|path| path.to_string_lossy().into_owned()).collect();
        Ok(Self { container, roots: paths, forbidden })
    }

    fn program(&self, mut order: Value, payload: &[u8], more: bool) -> Program {
        if let Some(order) = order.as_object_mut() {
            order.insert("roots".to_owned(), json!(self.roots));
            order.insert("forbidden".to_owned(), json!(self.forbidden));
        }
        let mut bytes = BytesMut::from(order.to_string().as_bytes());
        bytes.extend_from_slice(b"\n");
        bytes.extend_from_slice(payload);
        Program {
            argv: ["{python}", "-I", "-S", "-B", "-c", SCRIPT].map(ToOwned::to_owned).to_vec(),
            order: Some(bytes.freeze()),
            close_order: !more,
            ..Program::default()
        }
    }
    fn limits(until: Instant) -> Limits {
        Limits { deadline: until.saturating_duration_since(Instant::now()), processes: 8, memory: 1 << 30, ..Limits::default() }
    }

    pub(super) async fn run(&self, order: Order, payload: Bytes, until: Instant) -> Result<(Reply, Bytes), Failure> {
        let value = serde_json::to_value(&order).map_err(|error| script(&error, false))?;
        let program = self.program(value, &payload, false);
        let limits = Self::limits(until);
        let run = self.container.run(&program, &limits);
        let ended = match timeout_at(until + MARGIN, run).await {
            Ok(ended) => ended.map_err(|source| {
                let unknown = source.outcome_unknown() || matches!(source, crate::docker::Error::Timeout { .. });
                Failure::Docker { source, unknown }
            })?,
            Err(_) => return Err(Failure::Late { unknown: true }),
        };
        let mut answer = Bytes::from(ended.answer);
        let committed = answer.starts_with(b"commit\n");
        if committed {
            answer.advance(7);
        }
        match take_line(&mut answer) {
            Some(line) => {
                let answered: Answer<Reply> = serde_json::from_slice(&line).map_err(|error| script(&error, committed))?;
                match (answered.ok, answered.fault) {
                    (Some(reply), _) => Ok((reply, answer)),
                    (None, Some(fault)) => Err(Failure::Fault(fault)),
                    (None, None) => Err(script(&"an answer of nothing", committed)),
                }
            }
            None if ended.exit == Exit::Killed(Why::Deadline) => Err(Failure::Late { unknown: committed }),
            None => {
                let said = ended.stderr.text();
                let said = said.lines().last().unwrap_or("no answer");
                Err(script(&format!("{said} ({:?})", ended.exit), committed))
            }
        }
    }

    /// For several orders that change nothing, one run of the script.
    pub(super) async fn open(&self, order: &Order, until: Instant) -> Result<Stream, Failure> {
        let mut value = serde_json::to_value(order).map_err(|error| script(&error, false))?;
        if let Some(order) = value.as_object_mut() {
            order.insert("more".to_owned(), json!(true));
        }
        self.stream(value, until).await
    }
    async fn stream(&self, order: Value, until: Instant) -> Result<Stream, Failure> {
        let (program, within) = (self.program(order, &[], true), Self::limits(until));
        let start = self.container.start(&program, &within);
        let running = timeout_at(until + MARGIN, start).await.map_err(|_| Failure::Late { unknown: false })?;
        let running = running.map_err(|source| Failure::Docker { source, unknown: false })?;
        Ok(Stream { running, bytes: BytesMut::new(), said: Vec::new(), until })
    }

    /// Has the content of every wanted text file streamed; `visit` says whether to go on. False: there were too many.
    pub(super) async fn scan(
        &self,
        starts: &[(usize, Vec<String>)],
        limits: &ScanLimits,
        until: Instant,
        wanted: &(dyn Fn(usize, &[String]) -> bool + Sync),
        visit: &mut (dyn AsyncVisit + Send),
    ) -> Result<bool, Failure> {
        let order = json!({
            "op": "scan",
            "starts": starts,
            "limits": { "file": limits.file, "bytes": limits.bytes, "files": limits.files },
        });
        let mut stream = self.stream(order, until).await?;
        let answered: Answer<Candidates> =
            serde_json::from_slice(&stream.line().await?).map_err(|error| script(&error, false))?;
        let Candidates { candidates, mut complete } = match (answered.ok, answered.fault) {
            (Some(found), _) => found,
            (None, Some(fault)) => return Err(Failure::Fault(fault)),
            (None, None) => return Err(script(&"an answer of nothing", false)),
        };
        let most = usize::try_from(limits.files).unwrap_or(usize::MAX);
        let mut numbers: Vec<usize> = Vec::new();
        for (number, (root, path)) in candidates.iter().enumerate() {
            if path.iter().all(|part| super::roots::fault(part).is_none()) && wanted(*root, path) {
                numbers.push(number);
            }
        }
        if numbers.len() > most {
            numbers.truncate(most);
            complete = false;
        }
        stream.running.order(format!("{}\n", json!(numbers)).as_bytes());
        stream.running.close_order();
        let mut total: u64 = 0;
        loop {
            let content: Content = serde_json::from_slice(&stream.line().await?).map_err(|error| script(&error, false))?;
            let Some(number) = content.number else { return Ok(complete && content.complete) };
            let Some((root, path)) = candidates.get(number) else { return Err(script(&"an unknown number", false)) };
            total += content.size as u64;
            if content.size as u64 > limits.file || total > limits.bytes {
                return Err(script(&"more content than was asked for", false));
            }
            let bytes = stream.exactly(content.size).await?;
            if !visit.visit(*root, path, bytes).await {
                return Ok(true);
            }
        }
    }
}

/// What is done with content as it comes.
pub(super) trait AsyncVisit {
    /// False: enough.
    fn visit(
        &mut self,
        root: usize,
        path: &[String],
        content: Vec<u8>,
    ) -> std::pin::Pin<Box<dyn Future<Output = bool> + Send + '_>>;
}

/// A running script's answers.
#[derive(Debug)]
pub(super) struct Stream {
    running: Running,
    bytes: BytesMut,
    said: Vec<u8>,
    until: Instant,
}
impl Stream {
    /// One order more, that changes nothing.
    pub(super) fn ask(&mut self, order: &Order) -> Result<(), Failure> {
        let order = serde_json::to_string(order).map_err(|error| script(&error, false))?;
        self.running.order(format!("{order}\n").as_bytes());
        Ok(())
    }
    /// The answer to an order.
    pub(super) async fn answer(&mut self) -> Result<(Reply, Bytes), Failure> {
        let answered: Answer<Reply> = serde_json::from_slice(&self.line().await?).map_err(|error| script(&error, false))?;
        match (answered.ok, answered.fault) {
            (Some(reply), _) if answered.size <= 64 << 20 => Ok((reply, self.exactly(answered.size).await?.into())),
            (None, Some(fault)) => Err(Failure::Fault(fault)),
            _ => Err(script(&"an answer of nothing", false)),
        }
    }
    async fn more(&mut self) -> Result<(), Failure> {
        match timeout_at(self.until + MARGIN, self.running.next()).await {
            Err(_) | Ok(Ok(Event::Ended { exit: Exit::Killed(Why::Deadline), .. })) => Err(Failure::Late { unknown: false }),
            Ok(Err(source)) => Err(Failure::Docker { source, unknown: false }),
            Ok(Ok(Event::Ended { exit, .. })) => {
                let said = String::from_utf8_lossy(&self.said);
                Err(script(&format!("{} ({exit:?})", said.lines().last().unwrap_or("it ended early")), false))
            }
            Ok(Ok(Event::Answer(data))) => {
                self.bytes.extend_from_slice(&data);
                Ok(())
            }
            Ok(Ok(Event::Stderr(data))) => {
                self.said.extend_from_slice(data.get(..data.len().min(4096)).unwrap_or_default());
                Ok(())
            }
            Ok(Ok(_)) => Ok(()),
        }
    }
    async fn line(&mut self) -> Result<Vec<u8>, Failure> {
        let mut searched = 0;
        loop {
            if let Some(at) = self.bytes.get(searched..).and_then(|new| new.iter().position(|byte| *byte == b'\n')) {
                let line = self.bytes.split_to(searched + at).to_vec();
                self.bytes.advance(1);
                return Ok(line);
            }
            searched = self.bytes.len();
            if searched > 64 << 20 {
                return Err(script(&"a line without end", false));
            }
            self.more().await?;
        }
    }
    async fn exactly(&mut self, count: usize) -> Result<Vec<u8>, Failure> {
        while self.bytes.len() < count {
            self.more().await?;
        }
        Ok(self.bytes.split_to(count).to_vec())
    }
}

fn take_line(bytes: &mut Bytes) -> Option<Bytes> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = bytes.split_to(at);
    bytes.advance(1);
    Some(line)
}
fn script(why: &impl ToString, unknown: bool) -> Failure {
    Failure::Script { why: why.to_string(), unknown }
}
