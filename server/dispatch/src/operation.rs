//! Long work. The call begins it, waits for it until its own deadline, and then answers "running"; the work goes on without it. The
//! same call made again attaches to what runs, or gets the outcome that nobody has seen yet. When this process ends, another takes
//! the work over with what the tool left in the journal.
use std::{collections::HashMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use kernel::{Actor, CallId, Code, Fault, OrgId, Progress, Refusal, Result, WritePermit, policy, refusal};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use store::{
    audit::Outcome,
    operations::{NewOperation, Operation, Operations, Orphan, State},
};
use tokio::{sync::watch, time::Instant};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tools::contract::{Prepared, PreparedWrite, ReadCx, Reply, Tool, WriteCx};

use crate::{
    Dispatch,
    arguments::{self, Common},
    catalogue::View,
    confirm::{Bound, fingerprint},
    pipeline::{Done, GRACE, summary_of},
    trail::{self, Trail},
};

/// How often the lease is renewed and the progress noted.
const BEAT: Duration = Duration::from_secs(2);
/// How often a call looks at an operation that another process runs.
const LOOK: Duration = Duration::from_secs(1);

/// The ways in which a caller lets go of a call.
#[derive(Debug, Clone, Default)]
pub(crate) struct Leash {
    /// Nobody waits any more: an ordinary call is cancelled, an operation goes on.
    pub gone: CancellationToken,
    /// Somebody asked for the end: an operation stops where it is safe.
    pub asked: CancellationToken,
    /// Nobody listens any more, and the protocol forbids to cancel for that.
    pub left: CancellationToken,
}

/// The end of an operation, for all who wait for it.
type Ended = std::result::Result<Reply, Fault>;

/// One that runs in this process.
struct Live {
    progress: watch::Receiver<Progress>,
    ended: watch::Receiver<Option<Arc<Ended>>>,
}

/// The operations of this node.
pub(crate) struct Running {
    pub store: Operations,
    live: Mutex<HashMap<CallId, Arc<Live>>>,
    tracker: TaskTracker,
    stopping: CancellationToken,
}
impl Running {
    pub fn new(store: Operations) -> Self {
        Self { store, live: Mutex::default(), tracker: TaskTracker::new(), stopping: CancellationToken::new() }
    }
    fn find(&self, id: CallId) -> Option<Arc<Live>> {
        self.live.lock().get(&id).map(Arc::clone)
    }
    /// Lets go of everything that runs: another process goes on with it.
    pub async fn stop(&self) {
        self.stopping.cancel();
        self.tracker.close();
        self.tracker.wait().await;
    }
}

/// What the task of an operation owns.
struct Work {
    id: CallId,
    tool: &'static Tool,
    body: Box<dyn PreparedWrite>,
    cx: WriteCx,
    trail: Trail,
    /// None at the first run; what was left when it is taken over.
    journal: Option<Value>,
    /// The API key and its idempotency key, whose claim ends with the work.
    idempotency: Option<(Arc<Actor>, String)>,
    until: Instant,
    asked: CancellationToken,
    progress: watch::Receiver<Progress>,
}

/// Makes two calls the same: the tool, the instance and the arguments.
pub(crate) fn same_call(bound: &Bound<'_>) -> [u8; 32] {
    fingerprint(&json!([bound.tool, bound.instance.map(|i| i.to_string()), bound.arguments.as_slice()]))
}

impl Dispatch {
    /// The outcome, or the progress, of the operation that the same call began before; none when there is none.
    pub(crate) async fn attached(
        &self,
        trail: &mut Trail,
        bound: &Bound<'_>,
        read: &ReadCx,
        deadline: Instant,
        leash: &Leash,
    ) -> Result<Option<Done>> {
        let Some(found) = self.operations.store.same(bound.actor.key(), same_call(bound)).await? else { return Ok(None) };
        // This call changes nothing: the row of the first one tells of the change.
        trail.reads();
        self.wait(found.org, found.id, Some(read), deadline, leash).await.map(Some)
    }

    /// 7 audit begin, 8 run, as an operation.
    #[expect(clippy::too_many_arguments, reason = "the stages of one call, split for reading; a struct would only rename them")]
    pub(crate) async fn operate(
        self: &Arc<Self>,
        trail: &mut Trail,
        tool: &'static Tool,
        write: WritePermit,
        body: Box<dyn PreparedWrite>,
        read: ReadCx,
        common: &Common,
        bound: &Bound<'_>,
        deadline: Instant,
        leash: &Leash,
    ) -> Result<Done> {
        let id = trail.row.id;
        let actor = Arc::clone(write.actor());
        let new = NewOperation {
            id,
            org: actor.org(),
            instance: trail.row.instance,
            instance_slug: trail.row.instance_slug.as_ref(),
            tool: tool.facts.name,
            key: actor.key(),
            key_label: actor.key_label(),
            session: actor.session(),
            address: actor.address(),
            hash: same_call(bound),
            arguments: &common.whole,
        };
        if self.operations.store.begin(&new).await?.is_none() {
            // The same call came in between.
            return match self.attached(trail, bound, &read, deadline, leash).await? {
                Some(done) => Ok(done),
                None => Err(refusal(Code::Busy, "The same call has just been made.").next("Call again.").into()),
            };
        }
        let began = match trail.begin(&self.audit, &write).await {
            Ok(began) => began,
            Err(fault) => {
                self.operations.store.forget(id).await?;
                return Err(fault);
            }
        };
        let progress = read.watch();
        let cx = WriteCx::new(read, write, &began).journalled(self.operations.store.clone(), id);
        trail.began = Some(began);
        let work = Work {
            id,
            tool,
            body,
            cx,
            trail: trail.hand_over(),
            journal: None,
            idempotency: common.idempotency_key.clone().map(|key| (actor.clone(), key)),
            until: Instant::now() + Duration::from_secs(tool.operation_seconds),
            asked: leash.asked.clone(),
            progress,
        };
        self.begin_work(work);
        self.wait(actor.org(), id, None, deadline, leash).await
    }

    fn begin_work(self: &Arc<Self>, work: Work) {
        let (sender, ended) = watch::channel(None);
        let id = work.id;
        self.operations.live.lock().insert(id, Arc::new(Live { progress: work.progress.clone(), ended }));
        let this = Arc::clone(self);
        self.operations.tracker.spawn(async move {
            if let Some(result) = this.work(work).await {
                sender.send_replace(Some(Arc::new(result)));
            }
            this.operations.live.lock().remove(&id);
        });
    }

    /// Runs to the end, which is recorded everywhere before anybody hears of it. None when this process ends before the work.
    async fn work(&self, work: Work) -> Option<Ended> {
        let Work { id, tool, body, cx, trail, journal, idempotency, until, asked, progress } = work;
        let store = &self.operations.store;
        let beats = async {
            loop {
                tokio::time::sleep(BEAT).await;
                let newest = progress.borrow().clone();
                match store.beat(id, &newest).await {
                    Ok(true) => asked.cancel(),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(operation = %id, error = &error as &dyn std::error::Error, "the lease of an operation could not be renewed");
                    }
                }
            }
        };
        let run = AssertUnwindSafe(async {
            match journal {
                None => body.run(&cx).await,
                Some(journal) => body.resume(&cx, journal).await,
            }
        })
        .catch_unwind();
        let check = "Look at what it was to change before you call again.";
        let result: Ended = tokio::select! {
            ended = run => ended.unwrap_or_else(|_| Err(Fault::unknown("ocore failed while the operation was under way.", check))),
            () = tokio::time::sleep_until(until + 2 * GRACE) => {
                Err(Fault::unknown(format!("The operation had not ended after {} s.", tool.operation_seconds), check))
            }
            () = beats => Err(Fault::failed("the heart of an operation")),
            () = self.operations.stopping.cancelled() => {
                if let Err(error) = store.release(id).await {
                    tracing::warn!(operation = %id, %error, "an operation could not be handed over; another process finds it in half a minute");
                }
                return None;
            }
        };
        if let Some((actor, key)) = &idempotency {
            let ran = result.as_ref().map(|reply| Done::Ran(reply.clone(), Vec::new())).map_err(Fault::clone);
            self.remember(actor, key, id, &ran).await;
        }
        let (outcome, code, body, affected) = match &result {
            Ok(reply) => {
                let outcome = if reply.unknown { Outcome::Unknown } else { Outcome::Ok };
                (outcome, None, reply.body.get().to_owned(), reply.affected)
            }
            Err(fault) => {
                if let Fault::Failed { what } = fault {
                    tracing::error!(operation = %id, tool = tool.facts.name, %what, "an operation failed inside ocore");
                }
                let public = fault.public();
                (trail::ended(fault), Some(public.code), serde_json::to_string(&public).unwrap_or_default(), None)
            }
        };
        let state = match (&outcome, code) {
            (Outcome::Unknown, _) => State::Unknown,
            (_, Some(Code::Cancelled)) => State::Cancelled,
            (_, None) => State::Ok,
            (_, Some(_)) => State::Failed,
        };
        let recorded = trail.close(&self.audit, outcome, code, &summary_of(&body), affected).await;
        let kept = store.finish(id, state, code, &body).await;
        if recorded.is_err() || kept.is_err() {
            tracing::error!(operation = %id, tool = tool.facts.name, "the end of an operation could not be recorded");
            return Some(Err(Fault::unknown(
                "The operation has ended, but ocore could not record how.",
                "Look at what it was to change, and tell the operator: the store does not take rows.",
            )));
        }
        Some(result)
    }

    /// Waits for the end until the deadline or until nobody listens.
    async fn wait(&self, org: OrgId, id: CallId, read: Option<&ReadCx>, deadline: Instant, leash: &Leash) -> Result<Done> {
        let store = &self.operations.store;
        loop {
            let here = self.operations.find(id);
            // It may have ended before anybody asked, here or elsewhere.
            if here.is_none()
                && let Some((operation, outcome)) = store.take_outcome(id).await?
            {
                return told(&operation, outcome);
            }
            let ended = async {
                let Some(live) = &here else {
                    tokio::time::sleep(LOOK).await;
                    return None;
                };
                let (mut ended, mut progress) = (live.ended.clone(), live.progress.clone());
                loop {
                    tokio::select! {
                        changed = ended.changed() => {
                            return if changed.is_ok() { ended.borrow_and_update().clone() } else { None };
                        }
                        Ok(()) = progress.changed(), if read.is_some() => {
                            if let Some(read) = read {
                                read.report(progress.borrow_and_update().clone());
                            }
                        }
                    }
                }
            };
            // It may have ended between two looks.
            let already = here.as_ref().and_then(|live| live.ended.borrow().clone());
            let result = if already.is_some() {
                already
            } else {
                tokio::select! {
                    result = ended => result,
                    () = tokio::time::sleep_until(deadline) => return self.still_running(org, id).await,
                    () = leash.gone.cancelled() => return self.still_running(org, id).await,
                    () = leash.left.cancelled() => return self.still_running(org, id).await,
                    () = self.operations.stopping.cancelled() => return self.still_running(org, id).await,
                }
            };
            if let Some(result) = result {
                if let Err(error) = store.delivered(id).await {
                    tracing::warn!(operation = %id, %error, "that an outcome was seen could not be noted");
                }
                return match &*result {
                    Ok(reply) => Ok(Done::Ran(reply.clone(), Vec::new())),
                    Err(fault) => Err(fault.clone()),
                };
            }
            tokio::task::yield_now().await;
        }
    }

    async fn still_running(&self, org: OrgId, id: CallId) -> Result<Done> {
        let Some(operation) = self.operations.store.get(org, id).await? else {
            return Err(Fault::failed("an operation is gone"));
        };
        // The store hears of progress every few seconds; the process that runs it knows more.
        let progress = self.operations.find(id).map_or(operation.progress.clone(), |live| live.progress.borrow().clone());
        Ok(Done::Running { operation, progress })
    }

    /// Takes over what processes that have ended left running. `actor_of` lets the keys in again that began it.
    pub async fn take_over(self: &Arc<Self>, actor_of: &(dyn Fn(&Orphan) -> std::result::Result<Arc<Actor>, Refusal> + Sync)) {
        let orphans = match self.operations.store.orphans().await {
            Ok(orphans) => orphans,
            Err(error) => {
                tracing::error!(error = &error as &dyn std::error::Error, "looking for operations to take over failed");
                return;
            }
        };
        for orphan in orphans {
            let (id, tool) = (orphan.operation.id, orphan.operation.tool.clone());
            tracing::warn!(operation = %id, %tool, "an operation whose process ended is taken over");
            if let Err(fault) = self.resume(orphan, actor_of).await {
                let why = Fault::unknown(
                    format!("ocore was stopped while this ran, and could not go on: {}", fault.public().message),
                    "Look at what it was to change before you call again.",
                );
                let body = serde_json::to_string(&why.public()).unwrap_or_default();
                if let Err(error) = self.operations.store.finish(id, State::Unknown, Some(Code::OutcomeUnknown), &body).await {
                    tracing::error!(operation = %id, %error, "the end of an operation could not be recorded");
                }
            }
        }
    }

    async fn resume(
        self: &Arc<Self>,
        orphan: Orphan,
        actor_of: &(dyn Fn(&Orphan) -> std::result::Result<Arc<Actor>, Refusal> + Sync),
    ) -> Result<()> {
        let actor = actor_of(&orphan)?;
        let snapshot = self.registry.current();
        let found = &orphan.operation;
        let entry = self.catalogue.get(&found.tool).ok_or_else(|| policy::unknown_tool(&found.tool))?;
        let tool = entry.tool;
        let instance = match &found.instance_slug {
            Some(slug) => Some(Arc::clone(snapshot.instance(slug).ok_or_else(|| policy::unknown_tool(&found.tool))?)),
            None => None,
        };
        let write = policy::decide(&actor, &tool.facts, instance.as_deref(), self.sources.now())?.write()?;
        let whole: Value = serde_json::from_str(&orphan.arguments).map_err(|_| Fault::failed("the arguments of an operation"))?;
        let mut trail = Trail::new(&actor, &found.tool, &whole, &self.sources);
        trail.resolved(tool, instance.as_ref());
        let (common, own) = arguments::split(whole, entry, actor.permissions())?;
        let mut prepared = (tool.prepare)(own)?;
        let until = Instant::now() + Duration::from_secs(tool.operation_seconds);
        let (sender, progress) = watch::channel(found.progress.clone());
        let asked = CancellationToken::new();
        let read = self.read_cx(
            &actor,
            &View::default(),
            entry,
            instance.as_ref(),
            &common,
            &snapshot,
            until,
            trail.row.id,
            (asked.clone(), sender),
        );
        if let Prepared::Probe(body) = prepared {
            prepared = body.probe(&read).await?;
        }
        let Prepared::Write(body) = prepared else { return Err(Fault::failed("an operation that only reads")) };
        let journal = match &orphan.journal {
            Some(text) => serde_json::from_str(text).map_err(|_| Fault::failed("the journal of an operation"))?,
            None => Value::Null,
        };
        let began = trail.begin(&self.audit, &write).await?;
        let cx = WriteCx::new(read, write, &began).journalled(self.operations.store.clone(), found.id);
        trail.began = Some(began);
        let idempotency = common.idempotency_key.clone().map(|key| (Arc::clone(&actor), key));
        self.begin_work(Work {
            id: found.id,
            tool,
            body,
            cx,
            trail,
            journal: Some(journal),
            idempotency,
            until,
            asked,
            progress,
        });
        Ok(())
    }
}

/// An outcome out of the store, as its call would have told it.
fn told(operation: &Operation, outcome: String) -> Result<Done> {
    #[derive(Deserialize)]
    struct Kept {
        code: Code,
        message: String,
        #[serde(default)]
        next: String,
    }
    if operation.state == State::Ok || operation.code.is_none() {
        let body = serde_json::value::RawValue::from_string(outcome).map_err(|_| Fault::failed("a stored outcome"))?;
        return Ok(Done::Stored(body));
    }
    let kept: Kept = serde_json::from_str(&outcome).map_err(|_| Fault::failed("a stored outcome"))?;
    Err(match kept.code {
        Code::OutcomeUnknown => Fault::unknown(kept.message, kept.next),
        code => refusal(code, kept.message).next(kept.next).into(),
    })
}
