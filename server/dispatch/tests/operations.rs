//! Long work: it outlives its call, the same call attaches to it, and another process takes it over.
#![allow(clippy::wildcard_imports, clippy::unwrap_used, clippy::disallowed_methods, clippy::panic, clippy::indexing_slicing)]
mod common;

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
    time::Duration,
};

use common::World;
use dispatch::{Answer, Call, Dispatch, View};
use kernel::{Actor, Category, Changes, Code, Permissions};
use parking_lot::Mutex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tools::contract::{self as tool, *};

/// How often each job was begun and resumed.
static RUNS: LazyLock<Mutex<HashMap<String, (u32, u32)>>> = LazyLock::new(Mutex::default);

/// Builds something in steps of a tenth of a second.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Build {
    job: String,
    steps: u64,
    #[serde(default)]
    fails: bool,
}
#[derive(Debug, Serialize, JsonSchema)]
struct Built {
    job: String,
    steps: u64,
    resumed_at: Option<u64>,
}
impl tool::Answer for Built {}
impl Build {
    async fn from(self, cx: &WriteCx, first: u64, resumed_at: Option<u64>) -> Result<Built> {
        for step in first..self.steps {
            if cx.cancel.is_cancelled() {
                return Err(refusal(Code::Cancelled, format!("Stopped after {step} steps.")).into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            cx.progress(step + 1, self.steps);
            cx.checkpoint(&json!({"step": step + 1})).await?;
        }
        if self.fails {
            return Err(refusal(Code::OdooError, "It does not build.").into());
        }
        Ok(Built { job: self.job, steps: self.steps, resumed_at })
    }
}
impl WriteTool for Build {
    type Answer = Built;
    const CHANGES: Changes = Changes::Ocore;
    async fn plan(&self, _: &ReadCx) -> Result<Plan> {
        Ok(Plan { summary: "Would build".into(), ..Plan::default() })
    }
    async fn call(self, cx: &WriteCx) -> Result<Built> {
        RUNS.lock().entry(self.job.clone()).or_default().0 += 1;
        self.from(cx, 0, None).await
    }
    async fn resume(self, cx: &WriteCx, journal: Value) -> Result<Built> {
        RUNS.lock().entry(self.job.clone()).or_default().1 += 1;
        let step = journal["step"].as_u64().unwrap_or(0);
        self.from(cx, step, Some(step)).await
    }
}
static TOOLS: [Tool; 1] = [tool::write::<Build>("Build").operation(600).named("ocore_build", Category::Platform)];

fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.body.get()).unwrap()
}
fn runs(job: &str) -> (u32, u32) {
    RUNS.lock().get(job).copied().unwrap_or_default()
}
fn call(actor: &Arc<Actor>, arguments: Value) -> Call {
    Call { actor: Arc::clone(actor), view: View::default(), name: "ocore_build".into(), arguments }
}
async fn answer(dispatch: &Arc<Dispatch>, actor: &Arc<Actor>, arguments: Value) -> Answer {
    dispatch.call(call(actor, arguments)).answer().await
}

#[tokio::test]
async fn a_call_that_waits_long_enough_gets_the_outcome() {
    let world = World::new(&TOOLS).await;
    let done = world.call("ocore_build", json!({"job": "short", "steps": 2})).await;
    assert!(!done.is_error, "{done:?}");
    assert_eq!(body(&done), json!({"job": "short", "steps": 2, "resumed_at": null}));
    let rows = world.rows().await;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert!(rows[0].starts_with("ocore_build ok"), "{rows:?}");
}

#[tokio::test]
async fn at_the_deadline_it_goes_on_and_the_same_call_attaches() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let arguments = json!({"job": "long", "steps": 25, "timeout_seconds": 1});
    let first = body(&answer(&world.dispatch, &actor, arguments.clone()).await);
    assert_eq!(first["operation"]["state"], "running", "{first}");
    assert!(first["operation"]["done"].as_u64().unwrap() > 3 && first["operation"]["total"] == 25, "{first}");
    // Another key's same call is another operation; other arguments are too.
    assert!(world.store.fetch_all("SELECT id FROM operations", vec![]).await.unwrap().len() == 1);
    let attached = {
        let mut running = world.dispatch.call(call(&actor, json!({"job": "long", "steps": 25})));
        let mut progress = running.progress.clone();
        let seen = async {
            progress.changed().await.unwrap();
            progress.borrow().done
        };
        let (seen, answer) = tokio::join!(seen, running.answer());
        assert!(seen > 3, "the progress of the first call reaches the second: {seen}");
        answer
    };
    assert_eq!(body(&attached)["steps"], 25);
    assert_eq!(runs("long"), (1, 0), "it ran once");
    // Its outcome was seen: the same call is a new one now.
    let again = body(&answer(&world.dispatch, &actor, arguments).await);
    assert_eq!(again["operation"]["state"], "running");
    assert_eq!(runs("long"), (2, 0));
    let rows = world.rows().await;
    assert!(rows[0].starts_with("ocore_build ok"), "{rows:?}");
    assert!(rows.iter().any(|r| r.starts_with("ocore_build begun")), "{rows:?}");
}

#[tokio::test]
async fn a_lost_client_cancels_nothing_and_the_outcome_waits() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    for (job, fails) in [("lost", false), ("lost and failed", true)] {
        let arguments = json!({"job": job, "steps": 5, "fails": fails});
        let running = world.dispatch.call(call(&actor, arguments.clone()));
        tokio::time::sleep(Duration::from_millis(200)).await;
        drop(running);
        tokio::time::sleep(Duration::from_millis(800)).await;
        let later = answer(&world.dispatch, &actor, arguments).await;
        assert_eq!(later.is_error, fails, "{later:?}");
        assert_eq!(runs(job), (1, 0), "{later:?}");
        if fails {
            assert_eq!(later.code, Some(Code::OdooError));
            assert_eq!(body(&later)["message"], "It does not build.");
        }
    }
}

#[tokio::test]
async fn who_asks_cancels_it_at_a_safe_point() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let running = world.dispatch.call(call(&actor, json!({"job": "asked", "steps": 100})));
    tokio::time::sleep(Duration::from_millis(300)).await;
    running.cancel();
    drop(running);
    tokio::time::sleep(Duration::from_millis(400)).await;
    let rows = world.rows().await;
    assert!(rows[0].starts_with("ocore_build refused cancelled"), "{rows:?}");

    // From elsewhere, by its row.
    let running = world.dispatch.call(call(&actor, json!({"job": "from elsewhere", "steps": 100})));
    tokio::time::sleep(Duration::from_millis(300)).await;
    world.store.execute("UPDATE operations SET cancel_asked = TRUE WHERE state = 'running'", vec![]).await.unwrap();
    drop(running);
    for _ in 0..40 {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let rows = world.store.fetch_all("SELECT state FROM operations ORDER BY id", vec![]).await.unwrap();
        let states: Vec<String> = rows.iter().map(|r| r.text("state").unwrap()).collect();
        if states == ["cancelled", "cancelled"] {
            return;
        }
        assert!(!states.contains(&"ok".to_owned()), "{states:?}");
    }
    panic!("it was not cancelled");
}

#[tokio::test]
async fn another_process_takes_it_over_from_the_journal() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let arguments = json!({"job": "moved", "steps": 20, "timeout_seconds": 1});
    let first = body(&answer(&world.dispatch, &actor, arguments.clone()).await);
    assert_eq!(first["operation"]["state"], "running");
    let other = world.another(&TOOLS).await;
    // Attached from the other process while the first still runs it.
    let elsewhere = body(&answer(&other, &actor, arguments.clone()).await);
    assert_eq!(elsewhere["operation"]["id"], first["operation"]["id"], "{elsewhere}");
    world.dispatch.drain().await;
    let who = Arc::clone(&actor);
    other.take_over(&move |_| Ok(Arc::clone(&who))).await;
    let done = body(&answer(&other, &actor, json!({"job": "moved", "steps": 20})).await);
    let at = done["resumed_at"].as_u64().unwrap_or_else(|| panic!("{done}"));
    assert!(at > 5 && at <= 20, "{done}");
    assert_eq!(runs("moved"), (1, 1));
    // A key that is not let in any more: the outcome is unknown, and says so.
    let arguments = json!({"job": "revoked", "steps": 50, "timeout_seconds": 1});
    answer(&other, &actor, arguments.clone()).await;
    other.drain().await;
    let third = world.another(&TOOLS).await;
    third.take_over(&|_| Err(refusal(Code::Unauthorized, "This API key has been revoked."))).await;
    let told = answer(&third, &actor, arguments).await;
    assert_eq!(told.code, Some(Code::OutcomeUnknown), "{told:?}");
    assert!(body(&told)["message"].as_str().unwrap().contains("revoked"), "{told:?}");
}

#[tokio::test]
async fn an_idempotency_key_is_held_until_the_work_has_ended() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let arguments = json!({"job": "idem", "steps": 12, "timeout_seconds": 1, "idempotency_key": "a"});
    let first = body(&answer(&world.dispatch, &actor, arguments.clone()).await);
    assert_eq!(first["operation"]["state"], "running", "{first}");
    let second = body(&answer(&world.dispatch, &actor, arguments.clone()).await);
    assert_eq!(second["steps"], 12, "{second}");
    let third = body(&answer(&world.dispatch, &actor, arguments).await);
    assert_eq!(third["steps"], 12, "the stored outcome: {third}");
    assert_eq!(runs("idem"), (1, 0));
}
