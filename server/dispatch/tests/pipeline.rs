//! The stages that need no Odoo, on a real store, with tools that misbehave on purpose.
#![allow(clippy::wildcard_imports, clippy::unwrap_used, clippy::disallowed_methods, clippy::panic)]
mod common;

use std::{
    sync::atomic::{AtomicU32, Ordering::SeqCst},
    time::Duration,
};

use common::World;
use dispatch::{Answer, Call, View};
use kernel::{Category, Changes, Code, Permissions, Selection, ToolRule};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tools::contract::{self as tool, *};

static RUNS: AtomicU32 = AtomicU32::new(0);

#[derive(Debug, Serialize, JsonSchema)]
struct Said {
    records: Vec<String>,
}
impl tool::Answer for Said {
    const LIST: Option<&'static str> = Some("records");
}

/// Says a text so many times.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Say {
    text: String,
    #[serde(default)]
    times: usize,
}
impl ReadTool for Say {
    type Answer = Said;
    async fn call(self, _: &ReadCx) -> Result<Said> {
        match self.text.as_str() {
            "panic" => panic!("on purpose"),
            "slow" => tokio::time::sleep(Duration::from_secs(30)).await,
            _ => {}
        }
        Ok(Said { records: vec![self.text; self.times] })
    }
}

/// Changes something in ocore.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Change {
    text: String,
    #[serde(default)]
    password: String,
}
impl WriteTool for Change {
    type Answer = Said;
    const CHANGES: Changes = Changes::Ocore;
    fn confirm(&self) -> bool {
        self.text == "confirm"
    }
    async fn plan(&self, _: &ReadCx) -> Result<Plan> {
        Ok(Plan {
            summary: format!("Would change {}", self.text),
            affected: 1,
            examples: vec![self.password.clone()],
            ..Plan::default()
        })
    }
    async fn call(self, _: &WriteCx) -> Result<Said> {
        RUNS.fetch_add(1, SeqCst);
        match self.text.as_str() {
            "panic" => panic!("on purpose"),
            "slow" => tokio::time::sleep(Duration::from_secs(2)).await,
            "hangs" => std::future::pending().await,
            "refused" => return Err(refusal(Code::OdooError, "no").into()),
            _ => {}
        }
        Ok(Said { records: vec![self.text] })
    }
}

static TOOLS: [Tool; 3] = [
    tool::read::<Say>("Say").named("ocore_say", Category::Platform),
    tool::write::<Change>("Change").named("ocore_change", Category::Platform),
    tool::destructive::<Change>("Destroy").named("ocore_destroy", Category::Platform),
];

fn body(answer: &Answer) -> Value {
    serde_json::from_str(answer.body.get()).unwrap()
}

#[tokio::test]
async fn a_panic_stays_inside_and_a_write_that_panics_is_unknown() {
    let world = World::new(&TOOLS).await;
    let read = world.call("ocore_say", json!({"text": "panic"})).await;
    assert_eq!(read.code, Some(Code::Internal));
    assert!(!body(&read).to_string().contains("on purpose"));
    let write = world.call("ocore_change", json!({"text": "panic"})).await;
    assert_eq!(write.code, Some(Code::OutcomeUnknown));
    let rows = world.rows().await;
    // Ids made within one millisecond have no order.
    assert!(rows.iter().any(|r| r.starts_with("ocore_say failed internal")), "{rows:?}");
    assert!(rows.iter().any(|r| r.starts_with("ocore_change unknown outcome_unknown")), "{rows:?}");
}

#[tokio::test]
async fn deadlines_end_reads_and_make_writes_unknown() {
    let world = World::new(&TOOLS).await;
    let (read, write) = tokio::join!(
        world.call("ocore_say", json!({"text": "slow", "timeout_seconds": 1})),
        world.call("ocore_change", json!({"text": "hangs", "timeout_seconds": 1})),
    );
    assert_eq!(read.code, Some(Code::Timeout));
    assert_eq!(write.code, Some(Code::OutcomeUnknown));
}

#[tokio::test]
async fn a_read_ends_when_nobody_waits_and_a_write_goes_on() {
    let world = World::new(&TOOLS).await;
    for (name, text) in [("ocore_say", "slow"), ("ocore_change", "slow")] {
        let call = Call {
            actor: world.actor(Permissions::all()),
            view: View::default(),
            name: name.to_owned(),
            arguments: json!({"text": text}),
        };
        drop(world.dispatch.call(call));
    }
    world.dispatch.drain().await;
    let rows = world.rows().await;
    assert!(rows.iter().any(|r| r.starts_with("ocore_say refused cancelled")), "{rows:?}");
    assert!(rows.iter().any(|r| r.starts_with("ocore_change ok")), "{rows:?}");
}

#[tokio::test]
async fn nothing_runs_that_cannot_be_audited() {
    let world = World::new(&TOOLS).await;
    world.store.execute("DROP TABLE call_audit", vec![]).await.unwrap();
    let before = RUNS.load(SeqCst);
    let write = world.call("ocore_change", json!({"text": "unseen-by-audit"})).await;
    assert!(write.is_error, "{write:?}");
    // Other tests run beside this one: only this text counts.
    assert!(!body(&write).to_string().contains("records"), "{before} {write:?}");
}

#[tokio::test]
async fn an_actor_verified_too_long_ago_is_refused() {
    let world = World::new(&TOOLS).await;
    let old = world.actor_at(Permissions::all(), world.sources.now() - kernel::TimeDelta::seconds(31));
    let answer = world.call_as(&old, "ocore_say", json!({"text": "x"})).await;
    assert_eq!(answer.code, Some(Code::Unauthorized));
}

#[tokio::test]
async fn intent_wins_in_the_agreed_order() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let arguments = json!({"text": "confirm"});
    let asked = world.call_as(&actor, "ocore_change", arguments.clone()).await;
    assert_eq!(asked.code, Some(Code::ConfirmRequired));
    let token = body(&asked)["confirm_token"].as_str().unwrap().to_owned();
    let planned = world.call_as(&actor, "ocore_change", json!({"text": "confirm", "confirm": true, "dry_run": true})).await;
    assert!(!planned.is_error && body(&planned)["plan"]["affected"] == 1);
    for (arguments, code) in [
        (json!({"text": "confirm", "confirm_token": token, "password": "other"}), Some(Code::InvalidArgument)),
        (json!({"text": "confirm", "confirm_token": "x"}), Some(Code::InvalidArgument)),
        (json!({"text": "confirm", "confirm_token": token}), None),
        (json!({"text": "confirm", "confirm": true}), None),
        (json!({"text": "confirm", "confirm": "yes"}), Some(Code::InvalidArgument)),
    ] {
        assert_eq!(world.call_as(&actor, "ocore_change", arguments.clone()).await.code, code, "{arguments}");
    }
    // Another tool with the same arguments, and another key: the token is for neither.
    let elsewhere = json!({"text": "confirm", "confirm_token": token});
    assert_eq!(world.call_as(&actor, "ocore_destroy", elsewhere.clone()).await.code, Some(Code::InvalidArgument));
    assert_eq!(world.call("ocore_change", elsewhere).await.code, Some(Code::InvalidArgument));
    let rows = world.rows().await;
    assert!(rows.iter().any(|r| r.starts_with("ocore_change planned confirm_required")), "{rows:?}");
}

#[tokio::test]
async fn the_same_idempotency_key_runs_once_and_remembers_what_is_unknown() {
    let world = World::new(&TOOLS).await;
    let actor = world.actor(Permissions::all());
    let call = |text: &str, key: &str| json!({"text": text, "idempotency_key": key});
    let first = world.call_as(&actor, "ocore_change", call("once", "k1")).await;
    let second = world.call_as(&actor, "ocore_change", call("once", "k1")).await;
    assert_eq!(body(&first), body(&second));
    assert_eq!(world.call_as(&actor, "ocore_change", call("twice", "k1")).await.code, Some(Code::Conflict));
    assert_eq!(
        world.call_as(&actor, "ocore_destroy", json!({"text": "once", "idempotency_key": "k1", "confirm": true})).await.code,
        Some(Code::Conflict)
    );
    // Refused before anything happened: the key may be used again.
    for _ in 0..2 {
        assert_eq!(world.call_as(&actor, "ocore_change", call("refused", "k2")).await.code, Some(Code::OdooError));
    }
    // Unknown stays unknown: the same key never runs it a second time.
    for _ in 0..2 {
        assert_eq!(world.call_as(&actor, "ocore_change", call("panic", "k3")).await.code, Some(Code::OutcomeUnknown));
    }
    let rows = world.rows().await;
    assert_eq!(rows.iter().filter(|r| r.contains("\"panic\"") && r.contains("k3")).count(), 2, "{rows:#?}");
}

#[tokio::test]
async fn secrets_never_reach_the_audit() {
    let world = World::new(&TOOLS).await;
    world.call("ocore_change", json!({"text": "password=hunter2", "password": "hunter2"})).await;
    world.call("ocore_change", json!({"text": "x", "password": "hunter2", "dry_run": true})).await;
    world.call("ocore_change", json!({"text": "x", "api_token": "hunter2"})).await;
    world.call("ock_hunter2hunter2hunter2hunter2", json!({})).await;
    let rows = world.rows().await;
    assert_eq!(rows.len(), 4, "{rows:#?}");
    let kept: String = rows.iter().map(|r| r.split('|').take(2).collect::<String>()).collect();
    assert!(!kept.contains("hunter2"), "{rows:#?}");
}

#[tokio::test]
async fn arguments_are_checked_by_name_and_size() {
    let world = World::new(&TOOLS).await;
    for (arguments, part) in [
        (json!({"text": "x", "tims": 3}), "times"),
        (json!({"text": "x", "times": -1}), "times"),
        (json!({"text": 3}), "text"),
        (json!({}), "text"),
        (json!([]), "object"),
        (json!({"text": "x", "timeout_seconds": 0}), "timeout_seconds"),
        (json!({"text": "x", "timeout_seconds": 121}), "timeout_seconds"),
        (json!({"text": "x", "max_response_size": 0}), "max_response_size"),
        (json!({"text": "x", "context": {"su": true}}), "context.su"),
    ] {
        let answer = world.call("ocore_say", arguments.clone()).await;
        assert_eq!(answer.code, Some(Code::InvalidArgument), "{arguments}");
        assert!(body(&answer)["message"].as_str().unwrap().contains(part), "{arguments}: {}", body(&answer));
    }
    let cut = world.call("ocore_say", json!({"text": "x".repeat(100), "times": 1000, "max_response_size": 3})).await;
    assert!(cut.body.get().len() <= 3 * 1024 && body(&cut)["truncated"]["of"] == 1000);
}

#[tokio::test]
async fn listing_and_calling_agree_for_every_kind_of_key() {
    let world = World::new(&TOOLS).await;
    let only = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    for permissions in [
        Permissions::all(),
        Permissions { read_only: true, ..Permissions::all() },
        Permissions { categories: Selection::only([]), ..Permissions::all() },
        Permissions { tools: ToolRule::Deny(only(&["ocore_say"])), ..Permissions::all() },
        Permissions { tools: ToolRule::Allow(only(&["ocore_say"])), ..Permissions::all() },
    ] {
        let actor = world.actor(permissions.clone());
        let mut list = Vec::new();
        world.dispatch.write_list(&actor, &View::default(), &mut list);
        let listed: Vec<Value> = serde_json::from_slice(&list).unwrap();
        assert_eq!(listed.len(), world.dispatch.list(&actor, &View::default()).len());
        for tool in &TOOLS {
            let name = tool.facts.name;
            let is_listed = listed.iter().any(|t| t["name"] == name);
            let answer = world.call_as(&actor, name, json!({"text": "x", "confirm": false})).await;
            let refused = answer.code == Some(Code::PermissionDenied);
            assert_eq!(is_listed, !refused, "{name} with {permissions:?}: {answer:?}");
        }
    }
}
