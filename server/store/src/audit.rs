//! The call audit: a row for every call, and for a write a committed one before it happens.
//!
//! One task owns the writing. Whatever waits when it looks goes into one transaction, so the price of a commit is shared by everybody
//! who waits for it. What a caller waits for (begins, completes) wakes the task at once; reads and refusals ride along, or wait for at
//! most the flush interval. The queue is bounded in rows and bytes: when it is full callers wait, then are refused; no row is dropped.
//!
//! A begun row carries a lease that this task renews while the call runs. When the process is gone nobody renews it, and [`sweep`]
//! turns the row to `unknown`.
use std::{
    borrow::Cow,
    collections::{HashMap, HashSet, VecDeque},
    fmt,
    net::IpAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use chrono::TimeDelta;
use kernel::{
    CallId, Code, Fault, GrantId, InstanceId, KeyId, OrgId, SessionId, Sources, Timestamp, UserId, WritePermit, refusal,
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot},
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{Arg, Assembled, Db, Durability, Engine, Result, StoreError, args};

/// The longest kept arguments, in bytes of their JSON text.
pub const MAX_ARGUMENTS: usize = 8 * 1024;
/// The longest kept summary, in characters.
pub const MAX_SUMMARY: usize = 500;
/// Longest kept names (a caller may ask for a tool that does not exist, under any name).
const MAX_NAME: usize = 200;

/// What a statement holds at most: SQLite takes 32,766 parameters, and longer statements gain nothing.
const BATCH: usize = 128;
/// So many rows that nobody waits for make a group at once, and so many ride in one: a begin behind them waits 2 ms.
const LAZY_GROUP: usize = 256;
/// So many rows that somebody waits for go into one group.
const URGENT_GROUP: usize = 512;
/// Room that a begun call keeps for its end.
const END_BYTES: usize = 2_560;
/// How long one group may take. The engines' own limits are shorter; this one is for a peer that is silent.
const GROUP_LIMIT: Duration = Duration::from_secs(20);
/// How long `close` tries to write what waits.
const CLOSE_LIMIT: Duration = Duration::from_secs(10);
/// How long [`Audit::settle`] waits.
const SETTLE_LIMIT: Duration = Duration::from_secs(2);
const RETRY_FIRST: Duration = Duration::from_millis(100);
const RETRY_LAST: Duration = Duration::from_secs(5);
/// Distinct (key, minute) pairs of folded refusals that are held.
const FOLDS: usize = 4_096;
const FOLDS_IN_GROUP: usize = 64;

/// What is known of a call when it comes in. The arguments and every text are already redacted.
#[derive(Debug, Clone)]
pub struct CallRow {
    pub id: CallId,
    pub org: OrgId,
    pub key: Option<KeyId>,
    pub key_label: Arc<str>,
    /// The consent by which an OAuth client used the key.
    pub grant: Option<GrantId>,
    pub user: Option<UserId>,
    pub session: Option<SessionId>,
    pub address: IpAddr,
    pub facade: &'static str,
    pub instance: Option<InstanceId>,
    pub instance_slug: Option<Arc<str>>,
    /// As the caller named it; it may not exist.
    pub tool: Cow<'static, str>,
    /// None for a tool that does not exist.
    pub category: Option<&'static str>,
    pub access: &'static str,
    /// JSON. Longer than [`MAX_ARGUMENTS`], its size is kept in its place.
    pub arguments: String,
    pub started_at: Timestamp,
}
impl CallRow {
    /// Within the limits, and without what PostgreSQL cannot store.
    fn kept(mut self) -> Self {
        if self.arguments.len() > MAX_ARGUMENTS {
            self.arguments = format!("{{\"too_large\":true,\"bytes\":{}}}", self.arguments.len());
        }
        if self.arguments.contains('\0') {
            self.arguments = self.arguments.replace('\0', "\\u0000");
        }
        if let Some(tool) = storable(&self.tool, MAX_NAME) {
            self.tool = Cow::Owned(tool);
        }
        if let Some(label) = storable(&self.key_label, MAX_NAME) {
            self.key_label = label.into();
        }
        self
    }
    fn bytes(&self) -> usize {
        size_of::<Item>() + 512 + self.arguments.len() + self.tool.len() + self.key_label.len()
    }
}

/// `Some` when the text must be changed: cut at a character, without NUL.
fn storable(text: &str, characters: usize) -> Option<String> {
    let end = text.char_indices().nth(characters).map(|(at, _)| at);
    if end.is_none() && !text.contains('\0') {
        return None;
    }
    Some(text.chars().take(characters).map(|c| if c == '\0' { '\u{fffd}' } else { c }).collect())
}

/// How a call ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    Ok,
    /// Answered with a plan; nothing was changed.
    Planned,
    Refused,
    Failed,
    Unknown,
}
impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Planned => "planned",
            Self::Refused => "refused",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }
}
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a call when it ends.
#[derive(Debug, Clone)]
pub struct CallEnd {
    pub outcome: Outcome,
    /// Why it was not ok.
    pub code: Option<Code>,
    /// Redacted; cut to [`MAX_SUMMARY`].
    pub summary: String,
    pub latency: Duration,
    /// Records that it changed, where that is known.
    pub affected: Option<u64>,
}
impl CallEnd {
    fn kept(mut self) -> Self {
        if let Some(summary) = storable(&self.summary, MAX_SUMMARY) {
            self.summary = summary;
        }
        self
    }
    /// The end of a call that was never run.
    fn not_run(outcome: Outcome, code: Code, summary: &str) -> Self {
        Self { outcome, code: Some(code), summary: summary.to_owned(), latency: Duration::ZERO, affected: None }
    }
}

#[derive(Debug, Clone)]
pub struct AuditSettings {
    /// How many rows may wait.
    pub queue_rows: usize,
    /// How many bytes of rows may wait.
    pub queue_bytes: usize,
    /// How long a row that nobody waits for may wait to be written; at most a second.
    pub flush: Duration,
    /// How long a call waits for room before it is refused.
    pub max_wait: Duration,
    /// Names this process in its rows.
    pub node: Arc<str>,
    /// How long after its last sign of life a begun call counts as running. Renewed every third of it.
    pub lease: Duration,
}
impl AuditSettings {
    pub fn new(node: impl Into<Arc<str>>) -> Self {
        Self {
            queue_rows: 10_000,
            queue_bytes: 16 << 20,
            flush: Duration::from_millis(200),
            max_wait: Duration::from_secs(5),
            node: node.into(),
            lease: Duration::from_mins(1),
        }
    }
}

/// A moment of the counters.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AuditMetrics {
    /// Begins, completes, reads, refusals that were committed.
    pub rows: u64,
    /// Transactions that were committed.
    pub groups: u64,
    /// Transactions that failed.
    pub failures: u64,
    /// Rows that the store refused for what is in them, and completes whose row was gone. Each is in the log.
    pub rejected: u64,
    /// Calls that were refused because the queue was full.
    pub busy: u64,
    /// Rows that wait.
    pub waiting: usize,
    /// Begun calls.
    pub running: usize,
}

#[derive(Debug, Default)]
struct Counters {
    rows: AtomicU64,
    groups: AtomicU64,
    failures: AtomicU64,
    rejected: AtomicU64,
    busy: AtomicU64,
    waiting: AtomicUsize,
}

/// Proof that a call's row is committed. Made in [`Audit::begin`] only. Dropped without [`Audit::complete`] the row stays begun; its
/// lease is no longer renewed, and a sweep will call the outcome unknown.
#[derive(Debug)]
pub struct Began {
    id: CallId,
    shared: Arc<Shared>,
    /// Room for the end: a call that ran never waits for room to say how it ended.
    room: Option<OwnedSemaphorePermit>,
}
impl Began {
    pub fn id(&self) -> CallId {
        self.id
    }
}
impl Drop for Began {
    fn drop(&mut self) {
        // With the room given away, the task ends the call and its lease.
        if self.room.is_some() {
            self.shared.lanes().running.remove(&self.id);
        }
    }
}

/// The audit. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    lanes: Mutex<Lanes>,
    /// Wakes the task. One waits, so a stored permit is never lost.
    wake: Notify,
    /// In bytes. Every row counts as at least `row_cost`, so one semaphore bounds rows and bytes alike.
    room: Arc<Semaphore>,
    room_size: u32,
    row_cost: u32,
    counters: Counters,
    sources: Sources,
    settings: AuditSettings,
}

#[derive(Debug, Default)]
struct Lanes {
    /// What somebody waits for.
    urgent: VecDeque<Item>,
    /// What nobody waits for, and what is tried again.
    lazy: VecDeque<Item>,
    /// Since when the oldest of the lazy ones waits.
    lazy_since: Option<Instant>,
    /// Somebody waits for the lazy ones.
    hurry: bool,
    folds: HashMap<FoldKey, Fold>,
    dirty_folds: Vec<FoldKey>,
    /// Begun calls whose lease is kept.
    running: HashSet<CallId>,
    /// No new calls; ends are still taken.
    closing: bool,
    /// The task is gone.
    closed: bool,
}

/// Organization, key, minute.
type FoldKey = (OrgId, Option<KeyId>, i64);

/// Refusals for the rate of one key in one minute.
#[derive(Debug)]
struct Fold {
    row: CallRow,
    times: i64,
    written: i64,
    last: Timestamp,
}

#[derive(Debug)]
enum Item {
    Begin {
        row: CallRow,
        done: oneshot::Sender<Result<Began, Fault>>,
        room: OwnedSemaphorePermit,
    },
    End(End),
    Row {
        row: CallRow,
        end: Box<CallEnd>,
        at: Timestamp,
        done: Option<Done>,
        room: OwnedSemaphorePermit,
    },
    /// Needs no room: there are at most [`FOLDS`].
    Fold {
        key: FoldKey,
        row: CallRow,
        times: i64,
        at: Timestamp,
    },
    /// Is no row: tells that those before it were written. Dropped when one of them was not.
    Mark(oneshot::Sender<()>),
}
type Done = oneshot::Sender<Result<(), Fault>>;

#[derive(Debug)]
struct End {
    id: CallId,
    how: CallEnd,
    at: Timestamp,
    done: Option<Done>,
    #[expect(dead_code, reason = "held until the end is written")]
    room: Option<OwnedSemaphorePermit>,
    /// Its row is there for certain: not the end of a begin that may have failed, nor a second try.
    sure: bool,
}

impl Audit {
    /// Starts the task that writes. Wants a Tokio runtime.
    pub fn start(db: Db, sources: Sources, settings: AuditSettings) -> (Self, AuditTask) {
        let room_size = u32::try_from(settings.queue_bytes).unwrap_or(u32::MAX).max(64 * 1024);
        let rows = u32::try_from(settings.queue_rows).unwrap_or(u32::MAX).max(1);
        let shared = Arc::new(Shared {
            lanes: Mutex::default(),
            wake: Notify::new(),
            room: Arc::new(Semaphore::new(room_size as usize)),
            room_size,
            row_cost: (room_size / rows).clamp(1, room_size / 4),
            counters: Counters::default(),
            sources,
            settings: AuditSettings { flush: settings.flush.min(Duration::from_secs(1)), ..settings },
        });
        let writer = Writer {
            db,
            shared: Arc::clone(&shared),
            texts: HashMap::new(),
            retry_at: None,
            retry_in: RETRY_FIRST,
            renew_at: Instant::now() + shared.settings.lease / 3,
            give_up_at: None,
        };
        let task = AuditTask { shared: Arc::clone(&shared), handle: tokio::spawn(writer.run()) };
        (Self(shared), task)
    }

    /// Writes the row of a call that will change something, and gives the proof when it is committed.
    ///
    /// # Errors
    /// `busy` when the queue stays full; [`Fault::Failed`] when the store fails, the id is used, or `row` is of another organization or
    /// key than the permit. In every case the call must not run.
    pub async fn begin(&self, permit: &WritePermit, row: CallRow) -> Result<Began, Fault> {
        let actor = permit.actor();
        if actor.org() != row.org || row.key.is_some_and(|key| key != actor.key()) {
            return Err(Fault::failed("audit: the row is not of the permit's actor"));
        }
        let row = row.kept();
        let room = self.0.room(self.0.cost(row.bytes()).saturating_add(self.0.cost(END_BYTES))).await?;
        let (done, committed) = oneshot::channel();
        self.0.push_urgent(Item::Begin { row, done, room }, false)?;
        committed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Writes how a begun call ended; returns when it is committed.
    ///
    /// # Errors
    /// [`Fault::Failed`] when the store fails. The end is then kept and tried again while the process lives, but the caller must not be
    /// told that the write is recorded.
    pub async fn complete(&self, mut began: Began, end: CallEnd) -> Result<(), Fault> {
        let (done, committed) = oneshot::channel();
        let at = self.0.sources.now();
        let end = End { id: began.id, how: end.kept(), at, done: Some(done), room: began.room.take(), sure: true };
        drop(began);
        self.0.push_urgent(Item::End(end), true)?;
        committed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Queues the row of a read or a refusal; returns when it is queued. It is committed within the flush interval.
    ///
    /// # Errors
    /// `busy` when the queue stays full, [`Fault::Failed`] while closing. The row is then not kept, and what it is about is not to be
    /// answered.
    pub async fn record(&self, row: CallRow, end: CallEnd) -> Result<(), Fault> {
        let (row, end) = (row.kept(), end.kept());
        let room = self.0.room(self.0.cost(row.bytes() + end.summary.len())).await?;
        let at = self.0.sources.now();
        self.0.push_lazy(Item::Row { row, end: Box::new(end), at, done: None, room })
    }

    /// Like [`Audit::record`], and returns when the row is committed.
    ///
    /// # Errors
    /// As [`Audit::record`]; [`Fault::Failed`] when the store fails too. The row is then kept and tried again while the process lives.
    pub async fn record_committed(&self, row: CallRow, end: CallEnd) -> Result<(), Fault> {
        let (row, end) = (row.kept(), end.kept());
        let room = self.0.room(self.0.cost(row.bytes() + end.summary.len())).await?;
        let (done, committed) = oneshot::channel();
        let at = self.0.sources.now();
        self.0.push_urgent(Item::Row { row, end: Box::new(end), at, done: Some(done), room }, false)?;
        committed.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Counts a call that the rate refused: one row per key, minute and process holds the first of them and their number.
    ///
    /// # Errors
    /// `busy` when too many keys are refused at once; [`Fault::Failed`] while closing.
    pub fn record_rate_refusal(&self, row: CallRow) -> Result<(), Fault> {
        let shared = &*self.0;
        let key = (row.org, row.key, row.started_at.timestamp().div_euclid(60));
        let last = shared.sources.now();
        let mut lanes = shared.lanes();
        if lanes.closing || lanes.closed {
            return Err(closed());
        }
        let full = lanes.folds.len() >= FOLDS;
        let was_clean = match lanes.folds.get_mut(&key) {
            Some(fold) => {
                let clean = fold.times == fold.written;
                fold.times += 1;
                fold.last = last;
                clean
            }
            None if full => {
                drop(lanes);
                return Err(shared.busy());
            }
            None => {
                lanes.folds.insert(key, Fold { row: row.kept(), times: 1, written: 0, last });
                true
            }
        };
        if was_clean {
            lanes.dirty_folds.push(key);
            lanes.wait_since(Instant::now());
            shared.wake.notify_one();
        }
        Ok(())
    }

    /// Returns when every row that was recorded before is committed: for who reads the audit back.
    ///
    /// # Errors
    /// `busy` when the store does not take them within two seconds. The rows stay queued.
    pub async fn settle(&self) -> Result<(), Fault> {
        let (mark, passed) = oneshot::channel();
        {
            let mut lanes = self.0.lanes();
            if lanes.closing || lanes.closed {
                return Err(closed());
            }
            lanes.lazy.push_back(Item::Mark(mark));
            lanes.wait_since(Instant::now());
            lanes.hurry = true;
        }
        self.0.wake.notify_one();
        match timeout(SETTLE_LIMIT, passed).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(refusal(Code::Busy, "The rows of the last calls are not written yet.")
                .next("Try again in a few seconds.")
                .into()),
        }
    }

    pub fn metrics(&self) -> AuditMetrics {
        let c = &self.0.counters;
        AuditMetrics {
            rows: c.rows.load(Ordering::Relaxed),
            groups: c.groups.load(Ordering::Relaxed),
            failures: c.failures.load(Ordering::Relaxed),
            rejected: c.rejected.load(Ordering::Relaxed),
            busy: c.busy.load(Ordering::Relaxed),
            waiting: c.waiting.load(Ordering::Relaxed),
            running: self.0.lanes().running.len(),
        }
    }
}

fn closed() -> Fault {
    Fault::failed("audit: it is closed")
}

impl Shared {
    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        // Nothing that can panic runs under it, and every state that it protects is valid on its own.
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
    fn cost(&self, bytes: usize) -> u32 {
        // A row larger than the whole queue takes all of it.
        u32::try_from(bytes).unwrap_or(u32::MAX).clamp(self.row_cost, self.room_size / 4)
    }
    async fn room(&self, cost: u32) -> Result<OwnedSemaphorePermit, Fault> {
        if let Ok(room) = Arc::clone(&self.room).try_acquire_many_owned(cost) {
            return Ok(room);
        }
        match timeout(self.settings.max_wait, Arc::clone(&self.room).acquire_many_owned(cost)).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(closed()),
            Err(_) => Err(self.busy()),
        }
    }
    fn busy(&self) -> Fault {
        self.counters.busy.fetch_add(1, Ordering::Relaxed);
        refusal(Code::Busy, "ocore cannot record calls as fast as they come, and it does nothing that it cannot record.")
            .next("Try again in a few seconds; if it stays so, the operator should look at ocore's own database.")
            .into()
    }
    /// `end`: of a call that began, taken while closing too.
    fn push_urgent(&self, item: Item, end: bool) -> Result<(), Fault> {
        let mut lanes = self.lanes();
        if lanes.closed || (lanes.closing && !end) {
            return Err(closed());
        }
        lanes.urgent.push_back(item);
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        drop(lanes);
        self.wake.notify_one();
        Ok(())
    }
    fn push_lazy(&self, item: Item) -> Result<(), Fault> {
        let mut lanes = self.lanes();
        if lanes.closed || lanes.closing {
            return Err(closed());
        }
        lanes.lazy.push_back(item);
        let first = lanes.wait_since(Instant::now());
        let enough = lanes.lazy.len() == LAZY_GROUP;
        self.counters.waiting.fetch_add(1, Ordering::Relaxed);
        drop(lanes);
        // The task is woken to set its alarm, and when a group is full; not for every row.
        if first || enough {
            self.wake.notify_one();
        }
        Ok(())
    }
}

impl Lanes {
    /// Whether nothing waited before.
    fn wait_since(&mut self, now: Instant) -> bool {
        let first = self.lazy_since.is_none();
        self.lazy_since.get_or_insert(now);
        first
    }
    fn is_empty(&self) -> bool {
        self.urgent.is_empty() && self.lazy.is_empty() && self.dirty_folds.is_empty()
    }
    fn next(&mut self, now: Instant, flush: Duration, retry_at: Option<Instant>) -> Next {
        if self.closing && self.is_empty() {
            self.closed = true;
            return Next::Done;
        }
        let due = self.lazy_since.map(|since| since + flush);
        let ready = self.closing || self.hurry || self.lazy.len() >= LAZY_GROUP || due.is_some_and(|due| due <= now);
        let lazy = due.is_some() && ready && retry_at.is_none_or(|at| at <= now);
        if self.urgent.is_empty() && !lazy {
            // After a failure the alarm is the next try, however long something waits.
            return Next::Wait(due.map(|due| retry_at.map_or(due, |at| if ready { at } else { due.max(at) })));
        }
        let mut group: Vec<Item> = self.urgent.drain(..self.urgent.len().min(URGENT_GROUP)).collect();
        if retry_at.is_none_or(|at| at <= now) {
            group.extend(self.lazy.drain(..self.lazy.len().min(LAZY_GROUP)));
            for key in self.dirty_folds.drain(..self.dirty_folds.len().min(FOLDS_IN_GROUP)) {
                if let Some(fold) = self.folds.get(&key) {
                    group.push(Item::Fold { key, row: fold.row.clone(), times: fold.times, at: fold.last });
                }
            }
            self.hurry &= self.lazy.iter().any(|item| matches!(item, Item::Mark(_)));
            if self.lazy.is_empty() && self.dirty_folds.is_empty() {
                self.lazy_since = None;
                // After a jam the memory goes back.
                self.lazy.shrink_to(4 * LAZY_GROUP);
            }
        }
        Next::Group(group)
    }
}

enum Next {
    Group(Vec<Item>),
    Wait(Option<Instant>),
    Done,
}

/// The task's handle: closes it at shutdown.
#[derive(Debug)]
pub struct AuditTask {
    shared: Arc<Shared>,
    handle: JoinHandle<usize>,
}
impl AuditTask {
    /// Takes no new calls, writes all that waits, and ends the task. Let running calls end before: what completes later is refused.
    ///
    /// # Errors
    /// [`Fault::Failed`] when the store does not take everything within ten seconds (and the attempt then under way); the log says how
    /// many rows were lost.
    pub async fn close(self) -> Result<(), Fault> {
        self.shared.lanes().closing = true;
        self.shared.wake.notify_one();
        let lost = self.handle.await.map_err(|_| Fault::failed("audit: its task ended"))?;
        self.shared.room.close();
        if lost > 0 {
            return Err(Fault::failed(format!("audit: {lost} rows could not be written before the end")));
        }
        Ok(())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Text {
    /// A begin: an id that is used is an error.
    Insert,
    /// A whole row: twice is as good as once (a retry after a commit that may have worked), and it closes a begun one.
    Upsert,
    End,
    Renew,
}

/// What went wrong with a group.
struct Broken {
    error: StoreError,
    /// The commit was under way: the group may be there.
    maybe: bool,
}

enum Verdict<'a> {
    Committed,
    /// The store refuses this very row.
    Rejected(&'a StoreError),
    /// The store fails.
    Failed(&'a Broken),
}

struct Writer {
    db: Db,
    shared: Arc<Shared>,
    texts: HashMap<(Text, usize), Arc<str>>,
    /// When what nobody waits for is tried again.
    retry_at: Option<Instant>,
    retry_in: Duration,
    renew_at: Instant,
    give_up_at: Option<Instant>,
}

impl Writer {
    /// Gives the number of rows that were lost at the end.
    async fn run(mut self) -> usize {
        loop {
            let now = Instant::now();
            if now >= self.renew_at {
                self.renew().await;
                self.renew_at = Instant::now() + self.shared.settings.lease / 3;
                continue;
            }
            let (next, closing) = {
                let mut lanes = self.shared.lanes();
                (lanes.next(now, self.shared.settings.flush, self.retry_at), lanes.closing)
            };
            if closing && now >= *self.give_up_at.get_or_insert(now + CLOSE_LIMIT) {
                return self.give_up(next);
            }
            match next {
                Next::Group(group) => self.group(group).await,
                Next::Wait(until) => {
                    let until = until.map_or(self.renew_at, |until| until.min(self.renew_at));
                    let until = self.give_up_at.map_or(until, |at| until.min(at));
                    // Either is a reason to look again.
                    let _ = timeout_at(until, self.shared.wake.notified()).await;
                }
                Next::Done => return 0,
            }
        }
    }

    fn give_up(&self, next: Next) -> usize {
        let mut lanes = self.shared.lanes();
        lanes.closed = true;
        let taken = if let Next::Group(group) = next { group.len() } else { 0 };
        let lost = taken + lanes.urgent.len() + lanes.lazy.len() + lanes.dirty_folds.len();
        // Whoever waits is told by the dropped sender.
        lanes.urgent.clear();
        lanes.lazy.clear();
        tracing::error!(lost, "the audit ends with rows that the store did not take");
        lost
    }

    /// Writes a group; when a row in it is at fault, halves it until that row stands alone.
    async fn group(&mut self, mut group: Vec<Item>) {
        group.retain(|item| match item {
            // The caller is gone and nothing was written: there is nothing to tell.
            Item::Begin { done, .. } if done.is_closed() => {
                self.shared.counters.waiting.fetch_sub(1, Ordering::Relaxed);
                false
            }
            _ => true,
        });
        let mut parts = vec![group];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.write(&part).await {
                Ok(()) => {
                    self.retry_at = None;
                    self.retry_in = RETRY_FIRST;
                    self.shared.counters.groups.fetch_add(1, Ordering::Relaxed);
                    for item in part {
                        self.settle(item, &Verdict::Committed);
                    }
                }
                Err(broken) if !broken.maybe && blames_row(&broken.error) => {
                    if part.len() > 1 {
                        parts.push(part.split_off(part.len() / 2));
                        parts.push(part);
                    } else if let Some(item) = part.pop() {
                        self.settle(item, &Verdict::Rejected(&broken.error));
                    }
                }
                Err(broken) => {
                    self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
                    self.retry_at = Some(Instant::now() + self.retry_in);
                    self.retry_in = (self.retry_in * 2).min(RETRY_LAST);
                    let rows = part.len() + parts.iter().map(Vec::len).sum::<usize>();
                    tracing::warn!(error = %broken.error, cause = cause(&broken.error), rows, "the audit could not be written");
                    // What is tried again goes to the end: a mark would pass before it.
                    self.shared.lanes().lazy.retain(|item| !matches!(item, Item::Mark(_)));
                    for item in part.into_iter().chain(parts.drain(..).flatten()) {
                        self.settle(item, &Verdict::Failed(&broken));
                    }
                }
            }
        }
    }

    fn settle(&self, item: Item, verdict: &Verdict<'_>) {
        let item = match item {
            Item::Mark(passed) => {
                if matches!(verdict, Verdict::Committed) {
                    let _ = passed.send(());
                }
                return;
            }
            item => item,
        };
        let shared = &self.shared;
        match verdict {
            Verdict::Committed => _ = shared.counters.rows.fetch_add(1, Ordering::Relaxed),
            Verdict::Rejected(error) => {
                shared.counters.rejected.fetch_add(1, Ordering::Relaxed);
                let call = item.id().map(tracing::field::display);
                tracing::error!(%error, call, "the store refuses a row of the audit");
            }
            Verdict::Failed(_) => {}
        }
        let fault = |error: &StoreError| Fault::failed(format!("audit: {error}"));
        let kept = match (item, verdict) {
            (Item::Begin { row, done, mut room }, Verdict::Committed) => {
                let end_room = room.split(shared.cost(END_BYTES) as usize);
                drop(room);
                let began = Began { id: row.id, shared: Arc::clone(shared), room: end_room };
                shared.lanes().running.insert(row.id);
                done.send(Ok(began)).err().and_then(Result::ok).map(|mut began| {
                    let why = "The caller was gone before the call began; nothing was run.";
                    let end = CallEnd::not_run(Outcome::Refused, Code::Cancelled, why);
                    Item::End(End {
                        id: row.id,
                        how: end,
                        at: shared.sources.now(),
                        done: None,
                        room: began.room.take(),
                        sure: true,
                    })
                })
            }
            (Item::Begin { done, .. }, Verdict::Rejected(error)) => {
                let _ = done.send(Err(fault(error)));
                None
            }
            (Item::Begin { row, done, room }, Verdict::Failed(broken)) => {
                let _ = done.send(Err(fault(&broken.error)));
                broken.maybe.then(|| {
                    let why = "The store did not confirm this row, so the call was refused; nothing was run.";
                    let end = CallEnd::not_run(Outcome::Failed, Code::Internal, why);
                    Item::End(End { id: row.id, how: end, at: shared.sources.now(), done: None, room: Some(room), sure: false })
                })
            }
            (Item::End(end), Verdict::Committed) => {
                shared.lanes().running.remove(&end.id);
                end.done.map(|done| done.send(Ok(())));
                None
            }
            (Item::End(end), Verdict::Rejected(error)) => {
                shared.lanes().running.remove(&end.id);
                end.done.map(|done| done.send(Err(fault(error))));
                None
            }
            // It happened, so it is written when the store is back; but nobody is told that it is written.
            (Item::End(mut end), Verdict::Failed(broken)) => {
                end.done.take().map(|done| done.send(Err(fault(&broken.error))));
                Some(Item::End(End { sure: end.sure && !broken.maybe, ..end }))
            }
            (Item::Row { done, .. }, Verdict::Committed) => {
                done.map(|done| done.send(Ok(())));
                None
            }
            (Item::Row { done, .. }, Verdict::Rejected(error)) => {
                done.map(|done| done.send(Err(fault(error))));
                None
            }
            (Item::Row { row, end, at, mut done, room }, Verdict::Failed(broken)) => {
                done.take().map(|done| done.send(Err(fault(&broken.error))));
                Some(Item::Row { row, end, at, done: None, room })
            }
            (Item::Mark(_), _) => return,
            (Item::Fold { key, times, .. }, verdict) => {
                let mut lanes = shared.lanes();
                if let Some(fold) = lanes.folds.get_mut(&key) {
                    if !matches!(verdict, Verdict::Failed(_)) {
                        fold.written = times;
                    }
                    if fold.times > fold.written {
                        lanes.dirty_folds.push(key);
                        lanes.wait_since(Instant::now());
                    }
                }
                return;
            }
        };
        match kept {
            Some(item) => {
                let mut lanes = shared.lanes();
                lanes.lazy.push_back(item);
                lanes.wait_since(Instant::now());
            }
            None => _ = shared.counters.waiting.fetch_sub(1, Ordering::Relaxed),
        }
    }

    /// One transaction, or nothing.
    async fn write(&mut self, group: &[Item]) -> Result<(), Broken> {
        let mut maybe = false;
        match timeout(GROUP_LIMIT, self.write_within(group, &mut maybe)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Broken { error, maybe }),
            Err(_) => Err(Broken { error: StoreError::Unavailable(sqlx::Error::PoolTimedOut), maybe }),
        }
    }

    async fn write_within(&mut self, group: &[Item], maybe: &mut bool) -> Result<()> {
        let mut begins = Vec::new();
        let mut rows = Vec::new();
        let mut ends = Vec::new();
        let mut durability = Durability::Lazy;
        for item in group {
            match item {
                Item::Begin { row, .. } => {
                    begins.push(row);
                    durability = Durability::Full;
                }
                Item::End(end) => {
                    ends.push(end);
                    durability = Durability::Full;
                }
                Item::Row { done, .. } => {
                    rows.push(item);
                    if done.is_some() {
                        durability = Durability::Full;
                    }
                }
                Item::Fold { .. } => rows.push(item),
                Item::Mark(_) => {}
            }
        }
        let node = Arc::clone(&self.shared.settings.node);
        let lease = lease_until(&self.shared);
        let mut tx = self.db.begin_with(durability).await?;
        for piece in pieces(&begins) {
            let mut args = Vec::with_capacity(piece.len() * COLUMNS.len());
            for row in piece {
                begin_args(&mut args, row, &node, lease);
            }
            tx.execute(Assembled(self.text(Text::Insert, piece.len())), args).await?;
        }
        for piece in pieces(&rows) {
            let mut args = Vec::with_capacity(piece.len() * COLUMNS.len());
            for item in piece {
                whole_args(&mut args, item, &node);
            }
            tx.execute(Assembled(self.text(Text::Upsert, piece.len())), args).await?;
        }
        let mut ended = 0;
        for piece in pieces(&ends) {
            let mut args = Vec::with_capacity(piece.len() * END_COLUMNS.len());
            for end in piece {
                end_args(&mut args, end);
            }
            ended += tx.execute(Assembled(self.text(Text::End, piece.len())), args).await?;
        }
        // Whatever comes now, nobody can say that it is not there.
        *maybe = true;
        tx.commit().await?;
        let gone = ends.iter().filter(|end| end.sure).count().saturating_sub(usize::try_from(ended).unwrap_or(usize::MAX));
        if gone > 0 {
            self.shared.counters.rejected.fetch_add(gone as u64, Ordering::Relaxed);
            tracing::error!(gone, "calls ended whose rows in the audit are gone");
        }
        Ok(())
    }

    /// Keeps the leases of the calls that run, and forgets the folds of past minutes.
    async fn renew(&mut self) {
        let minute = self.shared.sources.now().timestamp().div_euclid(60);
        let running: Vec<CallId> = {
            let mut lanes = self.shared.lanes();
            lanes.folds.retain(|(_, _, of), fold| *of >= minute || fold.written < fold.times);
            lanes.running.iter().copied().collect()
        };
        if running.is_empty() {
            return;
        }
        match timeout(GROUP_LIMIT, self.renew_within(&running)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => self.not_renewed(&error),
            Err(_) => self.not_renewed(&StoreError::Unavailable(sqlx::Error::PoolTimedOut)),
        }
    }
    fn not_renewed(&self, error: &StoreError) {
        self.shared.counters.failures.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(%error, cause = cause(error), "the leases of running calls could not be renewed");
    }
    async fn renew_within(&mut self, running: &[CallId]) -> Result<()> {
        let lease = lease_until(&self.shared);
        let mut tx = self.db.begin_with(Durability::Lazy).await?;
        for piece in pieces(running) {
            let mut args = args![lease];
            args.extend(piece.iter().map(|id| Arg::from(*id)));
            tx.execute(Assembled(self.text(Text::Renew, piece.len())), args).await?;
        }
        tx.commit().await
    }

    /// The statement for so many rows. Few sizes are asked for, so both caches of statements (this one and the driver's) stay small.
    fn text(&mut self, text: Text, rows: usize) -> Arc<str> {
        let engine = self.db.engine();
        Arc::clone(self.texts.entry((text, rows)).or_insert_with(|| text.for_rows(engine, rows).into()))
    }
}

fn lease_until(shared: &Shared) -> Timestamp {
    shared.sources.now() + TimeDelta::from_std(shared.settings.lease).unwrap_or(TimeDelta::MAX)
}

/// Pieces of 128, 64, 32… rows.
fn pieces<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let rows = 1_usize << rest.len().min(BATCH).checked_ilog2()?;
        let (piece, tail) = rest.split_at_checked(rows)?;
        rest = tail;
        Some(piece)
    })
}

/// Whether a statement failed for what is in its rows: without the row at fault the others will pass.
fn blames_row(error: &StoreError) -> bool {
    match error {
        StoreError::Unique { .. }
        | StoreError::Reference
        | StoreError::Check { .. }
        | StoreError::Statement(sqlx::Error::Encode(_)) => true,
        StoreError::Statement(sqlx::Error::Database(e)) => e.code().is_some_and(|code| {
            // PostgreSQL: data exception, integrity, one row twice. SQLite: too big, constraint (a trigger too), mismatch.
            let sqlite = code.parse::<u32>().is_ok_and(|n| code.len() < 5 && matches!(n & 0xff, 18..=20));
            sqlite || (code.len() == 5 && (code.starts_with("22") || code.starts_with("23") || code == "21000"))
        }),
        _ => false,
    }
}

/// The engine's words, where they cannot hold a value of a row.
fn cause(error: &StoreError) -> Option<String> {
    if let StoreError::Unavailable(e) | StoreError::Statement(e) = error { Some(e.to_string()) } else { None }
}

const COLUMNS: [&str; 25] = [
    "id",
    "org_id",
    "instance_id",
    "instance_slug",
    "tool",
    "category",
    "access",
    "facade",
    "key_id",
    "key_label",
    "grant_id",
    "user_id",
    "session_id",
    "address",
    "arguments",
    "started_at",
    "node",
    "state",
    "code",
    "summary",
    "latency_us",
    "affected",
    "times",
    "lease_until",
    "ended_at",
];
const END_COLUMNS: [&str; 7] = ["id", "state", "code", "summary", "latency_us", "affected", "ended_at"];

fn row_args(args: &mut Vec<Arg>, row: &CallRow, node: &Arc<str>) {
    args.extend(args![
        row.id,
        row.org,
        row.instance,
        row.instance_slug.as_ref(),
        row.tool.as_ref(),
        row.category,
        row.access,
        row.facade,
        row.key,
        &row.key_label,
        row.grant,
        row.user,
        row.session,
        row.address,
        &row.arguments,
        row.started_at,
        node,
    ]);
}
fn begin_args(args: &mut Vec<Arg>, row: &CallRow, node: &Arc<str>, lease: Timestamp) {
    row_args(args, row, node);
    args.extend(["begun".into(), Arg::NoText, Arg::NoText, Arg::NoInt, Arg::NoInt, Arg::Int(1), lease.into(), Arg::NoText]);
}
fn whole_args(args: &mut Vec<Arg>, item: &Item, node: &Arc<str>) {
    match item {
        Item::Row { row, end, at, .. } => {
            row_args(args, row, node);
            args.extend(args![end.outcome.as_str(), end.code, &end.summary, micros(end.latency), affected(end), 1_i64]);
            args.extend([Arg::NoText, (*at).into()]);
        }
        Item::Fold { row, times, at, .. } => {
            row_args(args, row, node);
            let calls = if *times == 1 { "1 call" } else { &format!("{times} calls") };
            let summary = format!("The rate limit refused {calls} of this key in this minute.");
            args.extend(args![Outcome::Refused.as_str(), Code::RateLimited, summary, 0_i64, None::<i64>, *times]);
            args.extend([Arg::NoText, (*at).into()]);
        }
        Item::Begin { .. } | Item::End(_) | Item::Mark(_) => {}
    }
}
fn end_args(args: &mut Vec<Arg>, End { id, how: end, at, .. }: &End) {
    args.extend(args![*id, end.outcome.as_str(), end.code, &end.summary, micros(end.latency), affected(end), *at]);
}
fn micros(latency: Duration) -> i64 {
    i64::try_from(latency.as_micros()).unwrap_or(i64::MAX)
}
fn affected(end: &CallEnd) -> Option<i64> {
    end.affected.map(|n| i64::try_from(n).unwrap_or(i64::MAX))
}

impl Item {
    fn id(&self) -> Option<CallId> {
        match self {
            Self::Begin { row, .. } | Self::Row { row, .. } | Self::Fold { row, .. } => Some(row.id),
            Self::End(end) => Some(end.id),
            Self::Mark(_) => None,
        }
    }
}

impl Text {
    fn for_rows(self, engine: Engine, rows: usize) -> String {
        let mut n = 0;
        // SQLite looks numbered parameters up one by one, which is quadratic in their number: 100 against 8 µs a row at 256 rows.
        let mut parameter = || match engine {
            Engine::Sqlite => "?".to_owned(),
            Engine::Postgres => {
                n += 1;
                format!("${n}")
            }
        };
        let mut list = |columns: usize| (0..columns).map(|_| parameter()).collect::<Vec<_>>().join(", ");
        let tuples = |list: &mut dyn FnMut(usize) -> String, columns| {
            (0..rows).map(|_| format!("({})", list(columns))).collect::<Vec<_>>().join(", ")
        };
        match self {
            Self::Insert => {
                format!("INSERT INTO call_audit ({}) VALUES {}", COLUMNS.join(", "), tuples(&mut list, COLUMNS.len()))
            }
            Self::Upsert => format!(
                "INSERT INTO call_audit ({}) VALUES {} \
                 ON CONFLICT (id) DO UPDATE SET state = excluded.state, code = excluded.code, summary = excluded.summary, \
                 latency_us = excluded.latency_us, affected = excluded.affected, times = excluded.times, lease_until = NULL, \
                 ended_at = excluded.ended_at \
                 WHERE call_audit.org_id = excluded.org_id AND (call_audit.state = 'begun' OR call_audit.times < excluded.times)",
                COLUMNS.join(", "),
                tuples(&mut list, COLUMNS.len())
            ),
            // A row that was swept while its process could not reach the store becomes what it truly was.
            Self::End => format!(
                "WITH ends ({}) AS (VALUES {}) \
                 UPDATE call_audit SET state = ends.state, code = ends.code, summary = ends.summary, latency_us = ends.latency_us, \
                 affected = ends.affected, lease_until = NULL, ended_at = ends.ended_at \
                 FROM ends WHERE call_audit.id = ends.id AND call_audit.state IN ('begun', 'unknown')",
                END_COLUMNS.join(", "),
                tuples(&mut list, END_COLUMNS.len())
            ),
            Self::Renew => {
                let lease = list(1);
                format!("UPDATE call_audit SET lease_until = {lease} WHERE state = 'begun' AND id IN ({})", list(rows))
            }
        }
    }
}

/// Begun rows whose lease has expired become `unknown`: their process ended, or lost the store, before it could say how the call went.
/// Gives their number. For `serve` alone, at its start and from time to time.
pub async fn sweep(db: &Db, now: Timestamp) -> Result<u64> {
    db.execute(
        "UPDATE call_audit SET state = 'unknown', code = 'outcome_unknown', summary = $1, lease_until = NULL, ended_at = $2 \
         WHERE state = 'begun' AND lease_until < $3",
        args![SWEPT, now, now],
    )
    .await
}
const SWEPT: &str =
    "ocore ended before the outcome of this call was known. It may have happened: look at the records before you do it again.";

#[cfg(test)]
mod tests {
    use std::{
        io::{BufRead as _, BufReader, Write as _},
        process::{Command, Stdio},
    };

    use kernel::{Access, Actor, Category, Changes, Facade, Facts, Permissions, Role, Verified, policy};
    use tokio::time::sleep;

    use super::*;
    use crate::{
        DbUrl, Row,
        testing::{each_engine, noon},
    };

    /// Where the process that is killed finds its store.
    const CHILD: &str = "OCORE_TEST_AUDIT_CHILD";

    #[expect(clippy::disallowed_methods, reason = "a permit needs an actor; this one acts nowhere")]
    fn permit(sources: &Sources) -> WritePermit {
        let actor = Actor::verified(Verified {
            org: OrgId::new(sources),
            org_slug: "acme".into(),
            key: KeyId::new(sources),
            key_label: "a key".into(),
            user: Some(UserId::new(sources)),
            role: Role::Owner,
            operator: false,
            permissions: Arc::new(Permissions::all()),
            own: None,
            grant: None,
            ceiling: Some(kernel::Access::Destructive),
            address: [192, 0, 2, 1].into(),
            facade: Facade::Mcp,
            session: SessionId::new(sources),
            at: sources.now(),
        });
        let (category, access) = (Category::Platform, Access::Write);
        let tool = Facts { name: "ocore_change", category, access, least: access, changes: Changes::Ocore };
        policy::decide(&actor, &tool, None, sources.now()).unwrap().write().unwrap()
    }
    fn row(permit: &WritePermit, sources: &Sources, tool: &'static str) -> CallRow {
        let actor = permit.actor();
        CallRow {
            id: CallId::new(sources),
            org: actor.org(),
            key: Some(actor.key()),
            key_label: Arc::clone(actor.key_label()),
            grant: actor.grant(),
            user: actor.user(),
            session: Some(actor.session()),
            address: actor.address(),
            facade: actor.facade().as_str(),
            instance: Some(InstanceId::new(sources)),
            instance_slug: Some("prod".into()),
            tool: tool.into(),
            category: Some("orm"),
            access: "write",
            arguments: "{\"model\":\"res.partner\",\"values\":{\"name\":\"A\"}}".into(),
            started_at: sources.now(),
        }
    }
    fn ok(summary: &str) -> CallEnd {
        CallEnd {
            outcome: Outcome::Ok,
            code: None,
            summary: summary.into(),
            latency: Duration::from_micros(1_500),
            affected: Some(2),
        }
    }
    fn settings() -> AuditSettings {
        AuditSettings { flush: Duration::from_millis(20), ..AuditSettings::new("here") }
    }
    async fn read(db: &Db, id: CallId) -> Option<Row> {
        db.fetch_optional("SELECT * FROM call_audit WHERE id = $1", args![id]).await.unwrap()
    }
    async fn state(db: &Db, id: CallId) -> Option<String> {
        read(db, id).await.map(|r| r.text("state").unwrap())
    }
    async fn count(db: &Db, state: &str) -> i64 {
        let row = db.fetch_optional("SELECT count(*) AS n FROM call_audit WHERE state = $1", args![state]).await.unwrap();
        row.unwrap().int("n").unwrap()
    }
    /// Keeps every other transaction from writing to the audit.
    async fn blocked(db: &Db) -> crate::Tx {
        let mut tx = db.begin().await.unwrap();
        if tx.engine() == Engine::Postgres {
            tx.execute("LOCK TABLE call_audit IN SHARE ROW EXCLUSIVE MODE", vec![]).await.unwrap();
        }
        tx
    }
    async fn until(what: &str, mut done: impl AsyncFnMut() -> bool) {
        for _ in 0..500 {
            if done().await {
                return;
            }
            sleep(Duration::from_millis(20)).await;
        }
        panic!("never: {what}");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn two_hundred_writers_share_commits_and_nothing_is_lost() {
        each_engine(async |t| {
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), settings());
            let permit = permit(&t.sources);
            let writers: Vec<_> = (0..200)
                .map(|n| {
                    let (audit, permit, s) = (audit.clone(), permit.clone(), t.sources.clone());
                    tokio::spawn(async move {
                        for _ in 0..10 {
                            let began = audit.begin(&permit, row(&permit, &s, "write")).await.unwrap();
                            let end = CallEnd { outcome: Outcome::Failed, ..ok("") };
                            audit.record(row(&permit, &s, "read"), end).await.unwrap();
                            audit.complete(began, ok("done")).await.unwrap();
                        }
                        if n % 10 == 0 {
                            let end = CallEnd { outcome: Outcome::Refused, ..ok("") };
                            audit.record_committed(row(&permit, &s, "refused"), end).await.unwrap();
                        }
                    })
                })
                .collect();
            for writer in writers {
                writer.await.unwrap();
            }
            // What was acknowledged is there before anything is closed.
            assert_eq!((count(t, "ok").await, count(t, "begun").await, count(t, "refused").await), (2_000, 0, 20));
            task.close().await.unwrap();
            assert_eq!(count(t, "failed").await, 2_000);
            let m = audit.metrics();
            assert_eq!((m.rows, m.failures, m.rejected, m.busy, m.waiting, m.running), (6_020, 0, 0, 0, 0, 0));
            assert!(m.groups < 1_000, "{m:?}");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn who_settles_reads_what_was_recorded_before() {
        each_engine(async |t| {
            // Without settling, a row would wait for a second.
            let slow = AuditSettings { flush: Duration::from_secs(1), ..AuditSettings::new("here") };
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), slow);
            let permit = permit(&t.sources);
            // More than one group holds.
            for round in 1..=3 {
                for _ in 0..LAZY_GROUP * 2 + 7 {
                    audit.record(row(&permit, &t.sources, "read"), ok("")).await.unwrap();
                }
                let (one, other) = tokio::join!(audit.settle(), audit.settle());
                one.and(other).unwrap();
                assert_eq!(count(t, "ok").await, round * (2 * i64::try_from(LAZY_GROUP).unwrap() + 7));
            }
            audit.settle().await.unwrap();
            let m = audit.metrics();
            assert_eq!((m.waiting, m.rejected), (0, 0), "{m:?}");
            task.close().await.unwrap();
            assert!(audit.settle().await.is_err(), "closed");
        })
        .await;
    }

    #[tokio::test]
    async fn nobody_is_told_that_rows_are_written_that_are_not() {
        each_engine(async |t| {
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), settings());
            let permit = permit(&t.sources);
            t.execute("ALTER TABLE call_audit RENAME TO elsewhere", vec![]).await.unwrap();
            audit.record(row(&permit, &t.sources, "read"), ok("")).await.unwrap();
            let fault = audit.settle().await.unwrap_err();
            assert_eq!(fault.code(), Code::Busy);
            t.execute("ALTER TABLE elsewhere RENAME TO call_audit", vec![]).await.unwrap();
            until("the row is written after all", async || count(t, "ok").await == 1).await;
            audit.settle().await.unwrap();
            task.close().await.unwrap();
        })
        .await;
    }

    #[tokio::test]
    async fn a_begin_is_committed_before_the_call_and_its_end_follows() {
        each_engine(async |t| {
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), settings());
            let permit = permit(&t.sources);
            let mut call = row(&permit, &t.sources, "write");
            call.arguments = format!("\"{}\"", "x".repeat(MAX_ARGUMENTS));
            let began = audit.begin(&permit, call.clone()).await.unwrap();
            let kept = read(t, began.id()).await.unwrap();
            assert_eq!((kept.text("state").unwrap(), kept.text("node").unwrap()), ("begun".into(), "here".into()));
            assert_eq!(kept.time("lease_until").unwrap(), noon() + TimeDelta::seconds(60));
            assert_eq!(kept.text("arguments").unwrap(), "{\"too_large\":true,\"bytes\":8194}");
            assert_eq!(audit.metrics().running, 1);

            let end = CallEnd { code: Some(Code::Timeout), ..ok(&"ä\0".repeat(MAX_SUMMARY)) };
            t.clock.advance(TimeDelta::seconds(1));
            audit.complete(began, end).await.unwrap();
            let kept = read(t, call.id).await.unwrap();
            assert_eq!((kept.text("state").unwrap(), kept.opt_text("lease_until").unwrap()), ("ok".into(), None));
            assert_eq!((kept.text("code").unwrap(), kept.int("affected").unwrap()), ("timeout".into(), 2));
            assert_eq!(
                (kept.int("latency_us").unwrap(), kept.time("ended_at").unwrap()),
                (1_500, noon() + TimeDelta::seconds(1))
            );
            assert_eq!(kept.text("summary").unwrap().chars().count(), MAX_SUMMARY);
            assert_eq!(audit.metrics().running, 0);

            // A read of a tool that does not exist, by nobody known, under a name of its own making.
            let mut odd = row(&permit, &t.sources, "");
            odd.tool = Cow::Owned(format!("\0{}", "x".repeat(1_000)));
            (odd.key, odd.user, odd.session, odd.instance, odd.instance_slug, odd.category) =
                (None, None, None, None, None, None);
            audit.record(odd.clone(), CallEnd { affected: None, ..ok("") }).await.unwrap();
            until("the row is written", async || read(t, odd.id).await.is_some()).await;
            let kept = read(t, odd.id).await.unwrap();
            assert_eq!((kept.opt_text("category").unwrap(), kept.opt_int("affected").unwrap()), (None, None));
            assert_eq!(kept.text("tool").unwrap().chars().count(), MAX_NAME);

            // The same id again, and another organization's row, are no proof of anything.
            assert!(matches!(audit.begin(&permit, call.clone()).await, Err(Fault::Failed { .. })));
            let foreign = CallRow { org: OrgId::new(&t.sources), ..row(&permit, &t.sources, "write") };
            assert!(matches!(audit.begin(&permit, foreign).await, Err(Fault::Failed { .. })));
            assert_eq!(state(t, call.id).await.as_deref(), Some("ok"));

            task.close().await.unwrap();
            let late = row(&permit, &t.sources, "write");
            assert!(matches!(audit.begin(&permit, late.clone()).await, Err(Fault::Failed { .. })));
            assert!(matches!(audit.record(late, ok("")).await, Err(Fault::Failed { .. })));
        })
        .await;
    }

    #[tokio::test]
    async fn a_row_at_fault_stands_alone() {
        each_engine(async |t| {
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), settings());
            let permit = permit(&t.sources);
            let known = row(&permit, &t.sources, "write");
            audit.record_committed(known.clone(), ok("the first")).await.unwrap();
            let twice = row(&permit, &t.sources, "read");

            // Everything waits for the same group.
            let block = blocked(t).await;
            let begin = |call: CallRow| {
                let (audit, permit) = (audit.clone(), permit.clone());
                tokio::spawn(async move { audit.begin(&permit, call).await })
            };
            let first = begin(row(&permit, &t.sources, "write"));
            sleep(Duration::from_millis(50)).await;
            let calls: Vec<_> = (0..40).map(|_| row(&permit, &t.sources, "write")).collect();
            let good: Vec<_> = calls.iter().cloned().map(begin).collect();
            let bad = begin(CallRow { arguments: "{\"forged\":true}".into(), ..known.clone() });
            for n in 0..40 {
                audit.record(row(&permit, &t.sources, "read"), ok("")).await.unwrap();
                if n % 20 == 0 {
                    audit.record(twice.clone(), ok("")).await.unwrap();
                }
            }
            sleep(Duration::from_millis(50)).await;
            block.rollback().await.unwrap();

            assert!(matches!(bad.await.unwrap(), Err(Fault::Failed { .. })));
            first.await.unwrap().unwrap();
            for (call, began) in calls.iter().zip(good) {
                let began = began.await.unwrap().unwrap();
                assert_eq!((began.id(), state(t, call.id).await.as_deref()), (call.id, Some("begun")));
            }
            task.close().await.unwrap();
            assert_eq!(count(t, "ok").await, 42);
            let kept = read(t, known.id).await.unwrap();
            assert_eq!(kept.text("summary").unwrap(), "the first");
            assert!(!kept.text("arguments").unwrap().contains("forged"));
            let m = audit.metrics();
            assert_eq!((m.rejected, m.waiting), (1, 0), "{m:?}");
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn while_the_store_is_blocked_calls_wait_then_are_refused_and_no_row_is_lost() {
        each_engine(async |t| {
            let small = AuditSettings { queue_rows: 40, max_wait: Duration::from_millis(300), ..settings() };
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), small);
            let permit = permit(&t.sources);
            let running = audit.begin(&permit, row(&permit, &t.sources, "write")).await.unwrap();
            let running_id = running.id();
            let other = t.another().await;
            let block = blocked(&other).await;

            let mut queued = Vec::new();
            let refused = loop {
                let call = row(&permit, &t.sources, "read");
                let id = call.id;
                match audit.record(call, ok("")).await {
                    Ok(()) => queued.push(id),
                    Err(fault) => break fault,
                }
                assert!(queued.len() <= 40, "the queue is bounded");
            };
            assert_eq!(refused.code(), Code::Busy);
            assert!(queued.len() > 20, "{}", queued.len());
            assert_eq!(audit.begin(&permit, row(&permit, &t.sources, "write")).await.unwrap_err().code(), Code::Busy);
            // A call that ran finds room for its end; but nobody may say that it is recorded.
            let end = audit.complete(running, ok("it ran")).await;
            assert!(matches!(end, Err(Fault::Failed { .. })), "{end:?}");
            assert!(audit.metrics().failures > 0);

            block.rollback().await.unwrap();
            until("all is written", async || audit.metrics().waiting == 0).await;
            for id in queued {
                assert_eq!(state(t, id).await.as_deref(), Some("ok"));
            }
            assert_eq!(read(t, running_id).await.unwrap().text("summary").unwrap(), "it ran");
            let began = audit.begin(&permit, row(&permit, &t.sources, "write")).await.unwrap();
            audit.complete(began, ok("")).await.unwrap();
            task.close().await.unwrap();
            other.close().await;
        })
        .await;
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_begin_that_fails_or_that_nobody_waits_for_leaves_no_running_call() {
        each_engine(async |t| {
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), settings());
            let permit = permit(&t.sources);
            let other = t.another().await;
            let block = blocked(&other).await;
            let failing = row(&permit, &t.sources, "write");
            let gone = row(&permit, &t.sources, "write");
            let waiting = timeout(Duration::from_millis(200), audit.begin(&permit, gone.clone()));
            let (failed, waited) = tokio::join!(audit.begin(&permit, failing.clone()), waiting);
            assert!(waited.is_err(), "the caller gives up");
            assert!(matches!(failed, Err(Fault::Failed { .. })), "{failed:?}");
            block.rollback().await.unwrap();

            // Here the task already writes the row when the caller gives up: it says that nothing was run.
            let block = blocked(t).await;
            let late = row(&permit, &t.sources, "write");
            assert!(timeout(Duration::from_millis(300), audit.begin(&permit, late.clone())).await.is_err());
            block.rollback().await.unwrap();
            until("the row is closed", async || state(t, late.id).await.as_deref() == Some("refused")).await;
            assert_eq!(read(t, late.id).await.unwrap().text("code").unwrap(), "cancelled");

            // And here at any moment.
            let mut given_up = Vec::new();
            for n in 0..40 {
                let call = row(&permit, &t.sources, "write");
                given_up.push(call.id);
                let _ = timeout(Duration::from_micros(n * 50), audit.begin(&permit, call)).await;
            }
            task.close().await.unwrap();
            assert_eq!((state(t, failing.id).await, state(t, gone.id).await), (None, None));
            for id in given_up {
                // Refused: nobody was there any more. Begun: the caller got its proof and let it go; the sweep will find it.
                if let Some(kept) = read(t, id).await {
                    let state = kept.text("state").unwrap();
                    assert!(state == "begun" || (state == "refused" && kept.text("code").unwrap() == "cancelled"), "{state}");
                }
            }
            assert_eq!((audit.metrics().running, audit.metrics().waiting), (0, 0));
            other.close().await;
        })
        .await;
    }

    #[tokio::test]
    async fn leases_are_renewed_while_a_call_runs_and_expired_ones_are_swept() {
        each_engine(async |t| {
            let quick = AuditSettings { lease: Duration::from_millis(300), ..settings() };
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), quick);
            let permit = permit(&t.sources);
            let runs = audit.begin(&permit, row(&permit, &t.sources, "write")).await.unwrap();
            let dropped = audit.begin(&permit, row(&permit, &t.sources, "write")).await.unwrap();
            let (runs_id, dropped_id) = (runs.id(), dropped.id());
            drop(dropped);
            t.clock.advance(TimeDelta::minutes(10));
            until("the lease is renewed", async || {
                read(t, runs_id).await.unwrap().time("lease_until").unwrap() > t.sources.now()
            })
            .await;
            assert_eq!(sweep(t, t.sources.now()).await.unwrap(), 1);
            let swept = read(t, dropped_id).await.unwrap();
            assert_eq!((swept.text("state").unwrap(), swept.text("code").unwrap()), ("unknown".into(), "outcome_unknown".into()));
            assert!(swept.text("summary").unwrap().starts_with("ocore ended before the outcome"));
            assert_eq!(swept.time("ended_at").unwrap(), t.sources.now());
            assert_eq!(sweep(t, t.sources.now()).await.unwrap(), 0);

            // A node that was cut off and comes back knows better than the sweep.
            assert_eq!(sweep(t, t.sources.now() + TimeDelta::hours(1)).await.unwrap(), 1);
            audit.complete(runs, ok("after all")).await.unwrap();
            assert_eq!(state(t, runs_id).await.as_deref(), Some("ok"));
            task.close().await.unwrap();
            assert_eq!(audit.metrics().rejected, 0);
        })
        .await;
    }

    #[tokio::test]
    async fn rate_refusals_are_one_row_per_key_and_minute() {
        each_engine(async |t| {
            let quick = AuditSettings { lease: Duration::from_millis(90), ..settings() };
            let (audit, task) = Audit::start(t.db.clone(), t.sources.clone(), quick);
            let (one, two) = (permit(&t.sources), permit(&t.sources));
            for _ in 0..100 {
                audit.record_rate_refusal(row(&one, &t.sources, "read")).unwrap();
                sleep(Duration::from_micros(500)).await;
            }
            until("they are written at once, not at the minute's end", async || count(t, "refused").await == 1).await;
            audit.record_rate_refusal(row(&two, &t.sources, "read")).unwrap();
            t.clock.advance(TimeDelta::minutes(1));
            audit.record_rate_refusal(row(&one, &t.sources, "read")).unwrap();
            until("past minutes are forgotten", async || audit.0.lanes().folds.len() == 1).await;
            task.close().await.unwrap();
            let sql = "SELECT summary, times, code FROM call_audit ORDER BY times DESC, id";
            let rows = t.fetch_all(sql, vec![]).await.unwrap();
            let told: Vec<_> = rows.iter().map(|r| (r.int("times").unwrap(), r.text("summary").unwrap())).collect();
            assert_eq!(told.iter().map(|r| r.0).collect::<Vec<_>>(), [100, 1, 1]);
            assert_eq!(told[0].1, "The rate limit refused 100 calls of this key in this minute.");
            assert_eq!(rows[0].text("code").unwrap(), "rate_limited");
            assert!(audit.record_rate_refusal(row(&one, &t.sources, "read")).is_err());
        })
        .await;
    }

    /// Not a test of its own: the process that the next one kills. Prints what was acknowledged.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn child() {
        let Ok(url) = std::env::var(CHILD) else { return };
        let db = Db::open(&url.parse().unwrap()).await.unwrap();
        let sources = Sources::system();
        let (audit, _task) = Audit::start(db, sources.clone(), settings());
        let permit = permit(&sources);
        for _ in 0..200 {
            let (audit, permit, s) = (audit.clone(), permit.clone(), sources.clone());
            tokio::spawn(async move {
                loop {
                    let began = audit.begin(&permit, row(&permit, &s, "write")).await.unwrap();
                    let id = began.id();
                    let say = |what: &str| std::io::stdout().write_all(format!("{what} {id}\n").as_bytes()).unwrap();
                    say("B");
                    audit.record(row(&permit, &s, "read"), ok("")).await.unwrap();
                    audit.complete(began, ok("done")).await.unwrap();
                    say("E");
                }
            });
        }
        // Longer than the other process lets it live.
        sleep(Duration::from_mins(1)).await;
    }

    #[tokio::test]
    async fn after_kill_9_every_acknowledged_row_is_there() {
        each_engine(async |t| {
            let url = match &t.url {
                DbUrl::Sqlite(path) => format!("sqlite://{}", path.display()),
                // The test's own server; the address was given to us with whatever it needs.
                DbUrl::Postgres { options, .. } => {
                    let server = std::env::var("OCORE_TEST_STORE_PG").unwrap();
                    let (head, tail) = server.split_once("://").unwrap();
                    let host = tail.split(['/', '?']).next().unwrap();
                    format!("{head}://{host}/{}", options.get_database().unwrap())
                }
            };
            let mut acknowledged = HashMap::new();
            for round in 0..3 {
                let written = count(t, "ok").await;
                let mut child = Command::new(std::env::current_exe().unwrap())
                    .args(["audit::tests::child", "--exact", "--nocapture", "--test-threads=1"])
                    .env(CHILD, &url)
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let out = BufReader::new(child.stdout.take().unwrap());
                let lines = std::thread::spawn(move || out.lines().map_while(std::io::Result::ok).collect::<Vec<_>>());
                let (before, after) = (acknowledged.len(), 300 * (round + 1));
                // Killed at different moments, but never before it worked: every call leaves two rows that are ok, its own and a read's.
                until("the child writes", async || count(t, "ok").await > written + 1_000).await;
                sleep(Duration::from_millis(after)).await;
                child.kill().unwrap();
                assert!(!child.wait().unwrap().success());
                for line in lines.join().unwrap() {
                    // The last line may be torn.
                    let Some((what, Ok(id))) = line.split_once(' ').map(|(w, id)| (w.to_owned(), id.parse::<CallId>())) else {
                        continue;
                    };
                    match what.as_str() {
                        "B" => _ = acknowledged.entry(id).or_insert(false),
                        "E" => _ = acknowledged.insert(id, true),
                        _ => {}
                    }
                }
                assert!(acknowledged.len() > before + 200);
            }
            let again = t.another().await;
            let rows = again.fetch_all("SELECT id, state FROM call_audit", vec![]).await.unwrap();
            let states: HashMap<CallId, String> =
                rows.iter().map(|r| (r.parsed("id").unwrap(), r.text("state").unwrap())).collect();
            for (id, ended) in &acknowledged {
                let state = states.get(id).map(String::as_str);
                assert!(state == Some("ok") || (!ended && state == Some("begun")), "{id}: {state:?}");
            }
            let begun = count(t, "begun").await;
            let later = Sources::system().now() + TimeDelta::minutes(2);
            assert_eq!(sweep(t, later).await.unwrap(), u64::try_from(begun).unwrap());
            again.close().await;
            eprintln!("{:?}: {} acknowledged calls, {begun} were running", t.engine(), acknowledged.len());
        })
        .await;
    }

    #[test]
    fn pieces_are_few_sizes_and_cover_everything() {
        for n in [0_usize, 1, 2, 3, 127, 128, 129, 1_000] {
            let all: Vec<usize> = (0..n).collect();
            let cut: Vec<&[usize]> = pieces(&all).collect();
            assert_eq!(cut.concat(), all);
            assert!(cut.iter().all(|p| p.len().is_power_of_two() && p.len() <= BATCH));
        }
    }

    /// Prints what a begin costs. Run it in release, alone: `OCORE_MEASURE=1 cargo test -p store --release measure -- --nocapture`.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn measure_writes() {
        if std::env::var_os("OCORE_MEASURE").is_none() {
            println!("SKIPPED: a measurement; make bench runs it (OCORE_MEASURE=1)");
            return;
        }
        each_engine(async |t| {
            let sources = Sources::system();
            for writers in [1_usize, 50, 200] {
                let (audit, task) = Audit::start(t.db.clone(), sources.clone(), AuditSettings::new("here"));
                let permit = permit(&sources);
                let each = 10_000 / writers;
                let start = Instant::now();
                let tasks: Vec<_> = (0..writers)
                    .map(|_| {
                        let (audit, permit, s) = (audit.clone(), permit.clone(), sources.clone());
                        tokio::spawn(async move {
                            let mut times = Vec::with_capacity(each);
                            for _ in 0..each {
                                let call = row(&permit, &s, "write");
                                let at = Instant::now();
                                let began = audit.begin(&permit, call).await.unwrap();
                                times.push(at.elapsed());
                                audit.complete(began, ok("done")).await.unwrap();
                            }
                            times
                        })
                    })
                    .collect();
                let mut times = Vec::new();
                for task in tasks {
                    times.extend(task.await.unwrap());
                }
                let took = start.elapsed();
                times.sort_unstable();
                let (p50, p99, calls) = (times[times.len() / 2], times[times.len() * 99 / 100], times.len());
                let groups = audit.metrics().groups;
                task.close().await.unwrap();
                eprintln!(
                    "{:?}, {writers} writers: begin p50 {p50:?} p99 {p99:?}; {calls} calls in {took:?}, {groups} groups",
                    t.engine()
                );
            }
        })
        .await;
    }

    /// Prints what a read costs; the processor time is `time`'s to tell.
    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn measure_reads() {
        if std::env::var_os("OCORE_MEASURE").is_none() {
            println!("SKIPPED: a measurement; make bench runs it (OCORE_MEASURE=1)");
            return;
        }
        each_engine(async |t| {
            let sources = Sources::system();
            let (audit, task) = Audit::start(t.db.clone(), sources.clone(), AuditSettings::new("here"));
            let (permit, start) = (permit(&sources), Instant::now());
            for _ in 0..50_000 {
                audit.record(row(&permit, &sources, "read"), ok("done")).await.unwrap();
            }
            let queued = start.elapsed();
            task.close().await.unwrap();
            eprintln!(
                "{:?}: 50,000 reads queued in {queued:?}, written in {:?}; {:?}",
                t.engine(),
                start.elapsed(),
                audit.metrics()
            );
        })
        .await;
    }
}
