//! Security events: what was refused before anybody was known. They belong to no tenant, anybody can cause them at any rate, so they
//! are folded in memory (one row per kind, address and minute), bounded in number, and written in the background.
use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use kernel::{CallId, Sources, Timestamp, redact};
use tokio::{
    sync::Notify,
    task::JoinHandle,
    time::{Instant, timeout, timeout_at},
};

use crate::{Db, Durability, Result, args};

/// What can be refused before authentication.
pub mod kind {
    pub const UNKNOWN_KEY: &str = "unknown_key";
    pub const MALFORMED_KEY: &str = "malformed_key";
    pub const BODY_TOO_LARGE: &str = "body_too_large";
    pub const WRONG_ORIGIN: &str = "wrong_origin";
    pub const WRONG_HOST: &str = "wrong_host";
    pub const TOO_MANY_REQUESTS: &str = "too_many_requests";
    pub const SIGN_IN_FAILED: &str = "sign_in_failed";
}

/// The longest kept detail, in characters.
pub const MAX_DETAIL: usize = 200;
/// Distinct events held at once; what goes beyond is counted per kind and minute, without addresses.
const HELD: usize = 4_096;
/// Rows in one transaction: the audit's begins wait behind it.
const BATCH: usize = 64;
const FLUSH: Duration = Duration::from_secs(2);
/// How long one write, and the last one at the end, may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Takes security events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SecurityEvents(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    closing: Notify,
    sources: Sources,
}
#[derive(Debug, Default)]
struct State {
    events: HashMap<Key, Event>,
    counts: BTreeMap<&'static str, u64>,
    closed: bool,
}
/// Kind, address (none for what went beyond [`HELD`]), minute.
type Key = (&'static str, Option<IpAddr>, i64);

#[derive(Debug, Clone)]
struct Event {
    id: CallId,
    at: Timestamp,
    /// Of the first of them.
    detail: Arc<str>,
    count: i64,
    written: i64,
}

impl SecurityEvents {
    /// Starts the task that writes. Wants a Tokio runtime.
    pub fn start(db: Db, sources: Sources) -> (Self, SecurityTask) {
        let shared = Arc::new(Shared { state: Mutex::default(), closing: Notify::new(), sources });
        let handle = tokio::spawn(run(db, Arc::clone(&shared)));
        (Self(Arc::clone(&shared)), SecurityTask { shared, handle })
    }

    /// Counts an event. Never waits. The detail is redacted and cut; of the events of one minute the first one's is kept.
    pub fn event(&self, kind: &'static str, address: IpAddr, detail: &str) {
        let at = self.0.sources.now();
        let minute = at.timestamp().div_euclid(60);
        let mut state = self.0.state();
        *state.counts.entry(kind).or_default() += 1;
        if state.closed {
            return;
        }
        if let Some(event) = state.events.get_mut(&(kind, Some(address), minute)) {
            event.count += 1;
            return;
        }
        let (key, detail) = if state.events.len() < HELD {
            ((kind, Some(address), minute), kept(detail).into())
        } else {
            ((kind, None, minute), "more addresses than are held at once".into())
        };
        let id = CallId::new(&self.0.sources);
        state.events.entry(key).and_modify(|e| e.count += 1).or_insert(Event { id, at, detail, count: 1, written: 0 });
    }

    /// How many events of each kind there were since the start.
    pub fn counts(&self) -> BTreeMap<&'static str, u64> {
        self.0.state().counts.clone()
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that can panic runs under it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Bounded before it is redacted, so that a long header costs no more than a short one.
fn kept(detail: &str) -> String {
    let bounded: String = detail.chars().take(8 * MAX_DETAIL).collect();
    redact::text(&bounded).chars().take(MAX_DETAIL).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

/// The task's handle: closes it at shutdown.
#[derive(Debug)]
pub struct SecurityTask {
    shared: Arc<Shared>,
    handle: JoinHandle<()>,
}
impl SecurityTask {
    /// Writes what is held and ends the task. Events that come later are counted, and not written.
    pub async fn close(self) {
        self.shared.state().closed = true;
        self.shared.closing.notify_one();
        // A task that panicked has nothing left to write.
        let _ = self.handle.await;
    }
}

async fn run(db: Db, shared: Arc<Shared>) {
    loop {
        let closing = timeout_at(Instant::now() + FLUSH, shared.closing.notified()).await.is_ok();
        match timeout(LIMIT, flush(&db, &shared)).await {
            Ok(Ok(())) => {}
            // They stay held, and are tried at the next flush.
            Ok(Err(error)) => tracing::warn!(%error, "security events could not be written"),
            Err(_) => tracing::warn!("security events could not be written in time"),
        }
        if closing {
            return;
        }
    }
}

async fn flush(db: &Db, shared: &Shared) -> Result<()> {
    let minute = shared.sources.now().timestamp().div_euclid(60);
    let changed: Vec<(Key, Event)> = {
        let mut state = shared.state();
        state.events.retain(|(_, _, of), event| *of >= minute || event.written < event.count);
        state.events.iter().filter(|(_, event)| event.written < event.count).map(|(key, event)| (*key, event.clone())).collect()
    };
    for batch in changed.chunks(BATCH) {
        let mut tx = db.begin_with(Durability::Lazy).await?;
        for ((kind, address, _), event) in batch {
            tx.execute(
                "INSERT INTO security_events (id, at, kind, address, detail, count) VALUES ($1, $2, $3, $4, $5, $6) \
                 ON CONFLICT (id) DO UPDATE SET count = excluded.count",
                args![event.id, event.at, *kind, *address, &event.detail, event.count],
            )
            .await?;
        }
        tx.commit().await?;
        let mut state = shared.state();
        for (key, event) in batch {
            if let Some(held) = state.events.get_mut(key) {
                held.written = event.count;
            }
        }
    }
    Ok(())
}

/// Forgets events from before `before`: strangers make them, so they must not grow for ever.
pub async fn prune(db: &Db, before: Timestamp) -> Result<u64> {
    db.execute("DELETE FROM security_events WHERE at < $1", args![before]).await
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;
    use crate::testing::{TestStore, each_engine};

    async fn rows(t: &TestStore) -> Vec<(String, Option<String>, String, i64)> {
        let rows = t
            .fetch_all("SELECT kind, address, detail, count FROM security_events ORDER BY at, count DESC", vec![])
            .await
            .unwrap();
        rows.iter()
            .map(|r| {
                (r.text("kind").unwrap(), r.opt_text("address").unwrap(), r.text("detail").unwrap(), r.int("count").unwrap())
            })
            .collect()
    }

    #[tokio::test]
    async fn events_are_folded_per_kind_address_and_minute_and_written_at_close() {
        each_engine(async |t| {
            let (events, task) = SecurityEvents::start(t.db.clone(), t.sources.clone());
            let [a, b]: [IpAddr; 2] = ["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
            for _ in 0..5 {
                events.event(kind::UNKNOWN_KEY, a, "Authorization: Bearer hunter2\0");
            }
            events.event(kind::UNKNOWN_KEY, b, &"x ".repeat(5_000));
            events.event(kind::WRONG_HOST, b, "");
            // A flush in between changes nothing: the row grows.
            flush(&t.db, &events.0).await.unwrap();
            events.event(kind::UNKNOWN_KEY, a, "other");
            t.clock.advance(TimeDelta::minutes(1));
            events.event(kind::UNKNOWN_KEY, a, "next minute");
            task.close().await;
            let rows = rows(t).await;
            assert_eq!(rows.len(), 4, "{rows:?}");
            assert_eq!((rows[0].3, rows[0].1.as_deref()), (6, Some("192.0.2.1")));
            assert!(rows.iter().all(|r| !r.2.contains("hunter2") && r.2.chars().count() <= MAX_DETAIL));
            assert_eq!(rows[3].2, "next minute");
            events.event(kind::UNKNOWN_KEY, a, "late");
            assert_eq!(events.counts(), BTreeMap::from([(kind::UNKNOWN_KEY, 9), (kind::WRONG_HOST, 1)]));
        })
        .await;
    }

    #[tokio::test]
    async fn a_flood_of_addresses_is_bounded_and_none_is_lost_from_the_count() {
        each_engine(async |t| {
            let (events, task) = SecurityEvents::start(t.db.clone(), t.sources.clone());
            let count = u32::try_from(HELD).unwrap() + 1_000;
            for n in 0..count {
                events.event(kind::UNKNOWN_KEY, IpAddr::V4(n.into()), "x");
            }
            assert!(events.0.state().events.len() <= HELD + 1);
            task.close().await;
            let rows = rows(t).await;
            assert_eq!(rows.len(), HELD + 1);
            assert_eq!(rows.iter().map(|r| r.3).sum::<i64>(), i64::from(count));
            let over = rows.iter().find(|r| r.1.is_none()).unwrap();
            assert_eq!(over.3, 1_000);
        })
        .await;
    }
}
